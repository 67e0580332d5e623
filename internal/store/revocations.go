package store

import (
	"context"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// NumberedRevocation is a revocation and its place among all of the store.
type NumberedRevocation struct {
	cluster.Revocation
	Seq     int64
	Created time.Time
}

// sqlNextNumber takes the next number of a counter, and holds the counter until
// the transaction ends: whoever reads number n can read all below n.
const sqlNextNumber = `INSERT INTO counters (name, value) VALUES ($1, 1)
ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`

// A revocation that is there already can only become wider: issued_before and
// expires grow, and 0 (all, never) is the widest.
const sqlAddRevocation = `INSERT INTO revocations (tenant, kind, issuer, value, issued_before, expires, created, seq, reason, actor)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (tenant, kind, issuer, value) DO UPDATE SET seq = excluded.seq, created = excluded.created, reason = excluded.reason, actor = excluded.actor,
issued_before = CASE WHEN revocations.issued_before = 0 OR excluded.issued_before = 0 THEN 0
WHEN revocations.issued_before > excluded.issued_before THEN revocations.issued_before ELSE excluded.issued_before END,
expires = CASE WHEN revocations.expires = 0 OR excluded.expires = 0 THEN 0
WHEN revocations.expires > excluded.expires THEN revocations.expires ELSE excluded.expires END`

// AddRevocation stores a revocation for good and returns its number. Adding one
// again is no error; the wider of both stays.
func (db *DB) AddRevocation(ctx context.Context, r cluster.Revocation) (seq int64, err error) {
	err = db.write(ctx, "add revocation", func(ctx context.Context, tx *tx) (err error) {
		seq, err = db.addRevocation(ctx, tx, &r)
		return err
	})
	return seq, err
}

func (db *DB) addRevocation(ctx context.Context, tx *tx, r *cluster.Revocation) (seq int64, err error) {
	if !r.Tenant.Valid() || !r.Kind.Valid() {
		return 0, fault.New(fault.Invalid, "a revocation needs a tenant and a kind")
	}
	if word(r.Issuer) != r.Issuer || word(r.Value) != r.Value {
		return 0, fault.New(fault.Invalid, "the issuer or the value of a revocation is too long or is not text: revoke the token by its hash")
	}
	if err := tx.row(ctx, sqlNextNumber, "revocations").Scan(&seq); err != nil {
		return 0, err
	}
	err = tx.later(ctx, sqlAddRevocation, r.Tenant, string(r.Kind), r.Issuer, r.Value, micros(r.IssuedBefore), micros(r.Expires),
		micros(db.clock()), seq, word(r.Reason), word(r.Actor))
	return seq, err
}

const sqlRevocations = `SELECT tenant, kind, issuer, value, issued_before, expires, created, seq, reason, actor FROM revocations
WHERE seq > $1 AND (expires = 0 OR expires > $2) ORDER BY seq LIMIT $3`

// Revocations returns those of all tenants behind the number that are still of
// use at a time, in the order of their numbers, at most limit. Numbers that
// were pruned, or that a later one replaced, are missing.
func (db *DB) Revocations(ctx context.Context, after int64, now time.Time, limit int) (out []NumberedRevocation, err error) {
	err = db.read(ctx, "read revocations", func(ctx context.Context, tx *tx) error {
		out = nil
		return tx.rows(ctx, func(row scanner) error {
			r, err := scanRevocation(row)
			out = append(out, r)
			return err
		}, sqlRevocations, after, micros(now), limit)
	})
	return out, err
}

func scanRevocation(row scanner) (r NumberedRevocation, err error) {
	var before, expires, created int64
	err = row.Scan(&r.Tenant, &r.Kind, &r.Issuer, &r.Value, &before, &expires, &created, &r.Seq, &r.Reason, &r.Actor)
	r.IssuedBefore, r.Expires, r.Created = fromMicros(before), fromMicros(expires), fromMicros(created)
	return r, err
}

// RevocationQuery asks for some revocations of a tenant.
type RevocationQuery struct {
	After int64        // their numbers are larger than this
	Kind  cluster.Kind // "" for all
	Value string       // "" for all
	Limit int
}

const sqlFindRevocations = `SELECT tenant, kind, issuer, value, issued_before, expires, created, seq, reason, actor FROM revocations
WHERE tenant = $1 AND seq > $2 AND ($3 = '' OR kind = $3) AND ($4 = '' OR value = $4) AND (expires = 0 OR expires > $5) ORDER BY seq LIMIT $6`

// FindRevocations returns those of the context's tenant that are still of use at a
// time, in the order of their numbers.
func (db *DB) FindRevocations(ctx context.Context, q RevocationQuery, now time.Time) (out []NumberedRevocation, err error) {
	t, ok := tenant.From(ctx)
	if !ok {
		return nil, fault.New(fault.Invalid, "revocations are of a tenant")
	}
	err = db.read(ctx, "find revocations", func(ctx context.Context, tx *tx) error {
		out = nil
		return tx.rows(ctx, func(row scanner) error {
			r, err := scanRevocation(row)
			out = append(out, r)
			return err
		}, sqlFindRevocations, t, q.After, string(q.Kind), q.Value, micros(now), q.Limit)
	})
	return out, err
}

const (
	sqlRevocation = `SELECT tenant, kind, issuer, value, issued_before, expires, created, seq, reason, actor FROM revocations
WHERE tenant = $1 AND seq = $2`

	sqlLiftRevocation = `DELETE FROM revocations WHERE tenant = $1 AND seq = $2`
)

// LiftRevocation takes back a revocation of the context's tenant, by its number,
// and returns what it was; fault.NotFound when there is none.
func (db *DB) LiftRevocation(ctx context.Context, seq int64) (r cluster.Revocation, err error) {
	t, ok := tenant.From(ctx)
	if !ok {
		return r, fault.New(fault.Invalid, "a revocation is of a tenant")
	}
	err = db.write(ctx, "lift revocation", func(ctx context.Context, tx *tx) error {
		found, err := scanRevocation(tx.row(ctx, sqlRevocation, t, seq))
		if none(err) {
			return fault.New(fault.NotFound, "there is no revocation %d: it has expired, was taken back, or was made again under another number", seq)
		}
		if err != nil {
			return err
		}
		r = found.Revocation
		return tx.later(ctx, sqlLiftRevocation, t, seq)
	})
	return r, err
}

const sqlPruneRevocations = `DELETE FROM revocations WHERE expires > 0 AND expires <= $1`

// PruneRevocations forgets those that expired before the time, and returns how
// many they were.
func (db *DB) PruneRevocations(ctx context.Context, now time.Time) (n int64, err error) {
	return db.run(ctx, "prune revocations", sqlPruneRevocations, micros(now))
}

// run runs one statement in a transaction of its own, and returns how many rows it changed.
func (db *DB) run(ctx context.Context, what, text string, args ...any) (n int64, err error) {
	err = db.write(ctx, what, func(ctx context.Context, tx *tx) (err error) {
		n, err = tx.exec(ctx, text, args...)
		return err
	})
	return n, err
}

package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// An entry that expired may be taken again: its row is overwritten. Everything is
// one statement, so that of any number of callers exactly one changes a row.
const sqlUse = `INSERT INTO used_once (tenant, purpose, hash, expires) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant, purpose, hash) DO UPDATE SET expires = excluded.expires WHERE used_once.expires <= $5`

// Use marks a value as used until it expires, and reports whether this was the
// first use. hash is the SHA-256 of the value, as text; purpose keeps values of
// different meaning apart, such as "jti" and "dpop". It answers for the tenant of
// the context.
func (db *DB) Use(ctx context.Context, purpose, hash string, expires time.Time) (first bool, err error) {
	t, ok := tenant.From(ctx)
	if !ok || purpose == "" || hash == "" || expires.IsZero() || word(hash) != hash {
		return false, fault.New(fault.Invalid, "a single use needs a tenant, a purpose, a hash and an expiry")
	}
	err = db.write(ctx, "use once", func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, sqlUse, t, purpose, hash, micros(expires), micros(db.clock()))
		first = n == 1
		return err
	})
	return first && err == nil, err
}

const sqlPruneUsed = `DELETE FROM used_once WHERE expires <= $1`

// PruneUsed forgets the values that expired before the time, and returns how many
// they were.
func (db *DB) PruneUsed(ctx context.Context, now time.Time) (int64, error) {
	return db.run(ctx, "prune used values", sqlPruneUsed, micros(now))
}

package store

import (
	"context"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// SigningKeys returns the store as rings of signing keys see it.
func (db *DB) SigningKeys() keys.RingStore { return ringStore{db} }

type ringStore struct{ db *DB }

const sqlSigningKeys = `SELECT tenant, server, kid, algorithm, key_use, state, private, public, created, activates, expires
FROM signing_keys WHERE tenant = $1 AND server = $2 ORDER BY kid`

func (s ringStore) Keys(ctx context.Context, t tenant.ID, server string) ([]keys.Record, error) {
	var out []keys.Record
	err := s.db.read(ctx, "read signing keys", func(ctx context.Context, tx *tx) error {
		return tx.rows(ctx, func(row scanner) error {
			var r keys.Record
			var public string
			var created, activates, expires int64
			err := row.Scan(&r.Tenant, &r.Server, &r.ID, &r.Algorithm, &r.Use, &r.State, &r.Private, &public, &created, &activates, &expires)
			r.Public = []byte(public)
			r.Created, r.Activates, r.Expires = fromMicros(created), fromMicros(activates), fromMicros(expires)
			out = append(out, r)
			return err
		}, sqlSigningKeys, t, server)
	})
	return out, err
}

const sqlInsertSigningKey = `INSERT INTO signing_keys
(tenant, server, kid, algorithm, key_use, state, private, public, created, activates, expires)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`

func (s ringStore) Insert(ctx context.Context, r keys.Record) error {
	if !r.Tenant.Valid() || r.ID == "" {
		return fault.New(fault.Invalid, "a signing key needs a tenant and an id")
	}
	return s.db.write(ctx, "insert signing key", func(ctx context.Context, tx *tx) error {
		return tx.later(ctx, sqlInsertSigningKey, r.Tenant, r.Server, r.ID, string(r.Algorithm), r.Use, string(r.State), r.Private,
			string(r.Public), micros(r.Created), micros(r.Activates), micros(r.Expires))
	})
}

// The condition on the state is what makes one winner of two nodes that rotate
// at once.
const sqlChangeSigningKey = `UPDATE signing_keys SET state = $4, activates = $5, expires = $6
WHERE tenant = $1 AND server = $2 AND kid = $3 AND state = $7`

func (s ringStore) Change(ctx context.Context, r keys.Record, from keys.State) (changed bool, err error) {
	err = s.db.write(ctx, "change signing key", func(ctx context.Context, tx *tx) error {
		n, err := tx.exec(ctx, sqlChangeSigningKey, r.Tenant, r.Server, r.ID, string(r.State), micros(r.Activates), micros(r.Expires), string(from))
		changed = n == 1
		return err
	})
	return changed, err
}

const sqlDeleteSigningKey = `DELETE FROM signing_keys
WHERE tenant = $1 AND server = $2 AND kid = $3 AND state IN ('EXPIRED', 'REVOKED')`

func (s ringStore) Delete(ctx context.Context, t tenant.ID, server, id string) error {
	return s.db.write(ctx, "delete signing key", func(ctx context.Context, tx *tx) error {
		return tx.later(ctx, sqlDeleteSigningKey, t, server, id)
	})
}

package store

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

const (
	sqlAddOrigin = `INSERT INTO session_origins (tenant, session, provider, hint, expires) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, session) DO UPDATE SET provider = excluded.provider, hint = excluded.hint, expires = excluded.expires`
	sqlTakeOrigin   = `DELETE FROM session_origins WHERE tenant = $1 AND session = $2 RETURNING provider, hint`
	sqlPruneOrigins = `DELETE FROM session_origins WHERE expires <= $1`
)

// AddOrigin notes at which external provider a session was begun, in place of what was
// noted before. hint is what the provider is told at its end, sealed.
func (db *DB) AddOrigin(ctx context.Context, session, provider, hint string, expires time.Time) error {
	return db.ofTenant(ctx, "note the origin of a session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		_, err := tx.exec(ctx, sqlAddOrigin, t, session, provider, hint, micros(expires))
		return err
	})
}

// TakeOrigin returns what AddOrigin has noted, once, or fault.NotFound.
func (db *DB) TakeOrigin(ctx context.Context, session string) (provider, hint string, err error) {
	err = db.ofTenant(ctx, "take the origin of a session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		err := tx.row(ctx, sqlTakeOrigin, t, session).Scan(&provider, &hint)
		if none(err) {
			err = fault.New(fault.NotFound, "the session was begun here")
		}
		return err
	})
	return provider, hint, err
}

// PruneOrigins forgets those of sessions that are over.
func (db *DB) PruneOrigins(ctx context.Context, now time.Time) (int64, error) {
	return db.run(ctx, "prune origins", sqlPruneOrigins, micros(now))
}

package store

import (
	"context"
	"time"

	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

const sqlRefresh = `SELECT hash, grant_id, created, used, idle_until, expires, replaced, salt FROM refresh_tokens
WHERE tenant = $1 AND hash = $2`

// Refresh returns a generation of a refresh token and its grant, or fault.NotFound.
func (db *DB) Refresh(ctx context.Context, hash string) (r issued.Refresh, g issued.Grant, err error) {
	err = db.inTenant(ctx, "read refresh token", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var created, used, idle, expires, replaced int64
		err := tx.row(ctx, sqlRefresh, t, hash).Scan(&r.Hash, &r.Grant, &created, &used, &idle, &expires, &replaced, &r.Salt)
		if err != nil {
			return orNotFound(err, "refresh token")
		}
		r.Created, r.Used, r.IdleUntil = fromMicros(created), fromMicros(used), fromMicros(idle)
		r.Expires, r.Replaced = fromMicros(expires), fromMicros(replaced)
		g, err = scanGrant(tx.row(ctx, sqlGrant, t, r.Grant))
		return orNotFound(err, "grant")
	})
	return r, g, err
}

const sqlReplaceRefresh = `UPDATE refresh_tokens SET used = $3, replaced = $3, salt = $4 WHERE tenant = $1 AND hash = $2 AND replaced = 0`

// RotateRefresh replaces a refresh token by the one in made, and stores the rest
// of made. It reports false, and stores nothing, when the token has been replaced
// or its grant has ended: of any number of callers at a time one gets true.
func (db *DB) RotateRefresh(ctx context.Context, old issued.Refresh, salt string, made issued.Made, now time.Time) (bool, error) {
	return db.once(ctx, "rotate refresh token", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		n, err := tx.exec(ctx, sqlReplaceRefresh, t, old.Hash, micros(now), salt)
		if err != nil || n != 1 {
			return false, err
		}
		return addMade(ctx, tx, t, old.Grant, &made, now)
	})
}

const sqlRenewRefresh = `UPDATE refresh_tokens SET used = $3, idle_until = $4, expires = $5 WHERE tenant = $1 AND hash = $2`

// RenewRefresh stores that a refresh token was used and stays, and the token that
// came of it. It reports false, and stores nothing, when its grant has ended.
func (db *DB) RenewRefresh(ctx context.Context, r issued.Refresh, made issued.Made, now time.Time) (bool, error) {
	return db.once(ctx, "renew refresh token", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		if made.Refresh != nil {
			n, err := tx.exec(ctx, sqlRenewRefresh, t, r.Hash, micros(now), micros(made.Refresh.IdleUntil), micros(made.Refresh.Expires))
			if err != nil || n != 1 {
				return false, err
			}
		}
		return addMade(ctx, tx, t, r.Grant, &made, now)
	})
}

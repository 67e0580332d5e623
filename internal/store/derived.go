package store

import (
	"context"
	"time"

	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

const sqlTokenGrant = selectGrant + `JOIN access_tokens a ON a.tenant = g.tenant AND a.grant_id = g.id WHERE a.tenant = $1 AND a.jti = $2`

// TokenGrant returns the grant that an access token came of, or fault.NotFound.
func (db *DB) TokenGrant(ctx context.Context, jti string) (g issued.Grant, err error) {
	err = db.inTenant(ctx, "read the grant of a token", func(ctx context.Context, tx *tx, t tenant.ID) (err error) {
		g, err = scanGrant(tx.row(ctx, sqlTokenGrant, t, jti))
		return orNotFound(err, "grant")
	})
	return g, err
}

// AddToken stores a token that came of a grant; false when that has ended.
func (db *DB) AddToken(ctx context.Context, grant string, made issued.Token, now time.Time) (bool, error) {
	return db.once(ctx, "add token", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		return addMade(ctx, tx, t, grant, &issued.Made{Token: made}, now)
	})
}

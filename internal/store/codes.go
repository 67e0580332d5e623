package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

const sqlAddCode = `INSERT INTO codes (tenant, hash, grant_id, redirect_uri, challenge, created, expires, used)
VALUES ($1, $2, $3, $4, $5, $6, $7, 0)`

// AddCode stores a grant and the code that stands for it.
func (db *DB) AddCode(ctx context.Context, g issued.Grant, c issued.Code) error {
	return db.ofTenant(ctx, "add code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		if err := addGrant(ctx, tx, t, &g); err != nil {
			return err
		}
		return tx.later(ctx, sqlAddCode, t, c.Hash, g.ID, c.RedirectURI, c.CodeChallenge, micros(c.Created), micros(c.Expires))
	})
}

// AddGrant stores a grant that no code stands for; tok came of it.
func (db *DB) AddGrant(ctx context.Context, g issued.Grant, made issued.Made) error {
	return db.ofTenant(ctx, "add grant", func(ctx context.Context, tx *tx, t tenant.ID) error {
		if err := addGrant(ctx, tx, t, &g); err != nil {
			return err
		}
		_, err := addMade(ctx, tx, t, g.ID, &made, g.Created)
		return err
	})
}

const sqlCode = `SELECT hash, grant_id, redirect_uri, challenge, created, expires, used FROM codes WHERE tenant = $1 AND hash = $2`

// Code returns a code and its grant, or fault.NotFound.
func (db *DB) Code(ctx context.Context, hash string) (c issued.Code, g issued.Grant, err error) {
	err = db.inTenant(ctx, "read code", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var created, expires, used int64
		err := tx.row(ctx, sqlCode, t, hash).Scan(&c.Hash, &c.Grant, &c.RedirectURI, &c.CodeChallenge, &created, &expires, &used)
		if err != nil {
			return orNotFound(err, "code")
		}
		c.Created, c.Expires, c.Used = fromMicros(created), fromMicros(expires), fromMicros(used)
		g, err = scanGrant(tx.row(ctx, sqlGrant, t, c.Grant))
		return orNotFound(err, "grant")
	})
	return c, g, err
}

func orNotFound(err error, what string) error {
	if none(err) {
		return fault.New(fault.NotFound, "there is no such %s", what)
	}
	return err
}

const sqlUseCode = `UPDATE codes SET used = $3 WHERE tenant = $1 AND hash = $2 AND used = 0 AND expires > $3`

// RedeemCode uses a code and stores what was made for it. It reports false, and
// stores nothing, when the code has been used, is over, or its grant has ended: of
// any number of callers at a time one gets true.
func (db *DB) RedeemCode(ctx context.Context, c issued.Code, made issued.Made, now time.Time) (bool, error) {
	return db.once(ctx, "redeem code", func(ctx context.Context, tx *tx, t tenant.ID) (bool, error) {
		n, err := tx.exec(ctx, sqlUseCode, t, c.Hash, micros(now))
		if err != nil || n != 1 {
			return false, err
		}
		return addMade(ctx, tx, t, c.Grant, &made, now)
	})
}

// errLost undoes a transaction that came second.
var errLost = fault.New(fault.Conflict, "somebody else was first")

// once runs f in a transaction, which is undone when f reports false.
func (db *DB) once(ctx context.Context, what string, f func(ctx context.Context, tx *tx, t tenant.ID) (bool, error)) (bool, error) {
	lost := false
	err := db.ofTenant(ctx, what, func(ctx context.Context, tx *tx, t tenant.ID) error {
		ok, err := f(ctx, tx, t)
		lost = err == nil && !ok
		if lost {
			return errLost
		}
		return err
	})
	if lost {
		return false, nil
	}
	return err == nil, err
}

const (
	// A grant that has ended gives nothing: whoever ends it waits for this row, or
	// this waits for them.
	sqlUseGrant = `UPDATE grants SET used = $3 WHERE tenant = $1 AND id = $2 AND revoked = 0`

	sqlRefreshGrant = `UPDATE grants SET used = $3, updated = $4, refresh_until = $5, expires = $6
WHERE tenant = $1 AND id = $2 AND revoked = 0`

	sqlChangeTerms = `UPDATE grants SET terms = $3 WHERE tenant = $1 AND id = $2`

	sqlAddToken = `INSERT INTO access_tokens (tenant, grant_id, jti, expires) VALUES ($1, $2, $3, $4)`

	sqlAddRefresh = `INSERT INTO refresh_tokens (tenant, hash, grant_id, created, used, idle_until, expires, replaced, salt)
VALUES ($1, $2, $3, $4, 0, $5, $6, 0, '')`
)

// addMade stores what was made for a grant, unless that has ended.
func addMade(ctx context.Context, tx *tx, t tenant.ID, grant string, made *issued.Made, now time.Time) (bool, error) {
	var n int64
	var err error
	if r := made.Refresh; r != nil {
		n, err = tx.exec(ctx, sqlRefreshGrant, t, grant, micros(now), micros(r.Created), micros(r.Until()), micros(r.Expires))
	} else {
		n, err = tx.exec(ctx, sqlUseGrant, t, grant, micros(now))
	}
	if err != nil || n != 1 {
		return false, err
	}
	if made.Terms != nil {
		terms, err := json.Marshal(made.Terms)
		if err != nil {
			return false, err
		}
		if err := tx.later(ctx, sqlChangeTerms, t, grant, string(terms)); err != nil {
			return false, err
		}
	}
	if made.Token.ID != "" {
		if err := tx.later(ctx, sqlAddToken, t, grant, made.Token.ID, micros(made.Token.Expires)); err != nil {
			return false, err
		}
	}
	if r := made.Refresh; r != nil && !made.Kept {
		err = tx.later(ctx, sqlAddRefresh, t, r.Hash, grant, micros(r.Created), micros(r.IdleUntil), micros(r.Expires))
	}
	return err == nil, err
}

func joined(scopes []string) string { return strings.Join(scopes, " ") }

package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	sessions "gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

const sqlAddSession = `INSERT INTO sessions
(tenant, id, hash, user_id, created, seen, idle_until, expires, auth_time, password_at, factor_at, amr, acr, address, agent, idle_limit, risk, passkey)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`

// AddSession stores a session for good.
func (db *DB) AddSession(ctx context.Context, s sessions.Session) error {
	return db.ofTenant(ctx, "add session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlAddSession, sessionValues(t, &s)...)
	})
}

func sessionValues(t tenant.ID, s *sessions.Session) []any {
	amr, _ := json.Marshal(s.AMR) // of texts it does not fail
	return []any{
		t, s.ID, s.Hash, s.User, micros(s.Created), micros(s.Seen), micros(s.IdleUntil), micros(s.Expires), micros(s.AuthTime),
		micros(s.PasswordAt), micros(s.FactorAt), string(amr), word(s.ACR), word(s.Address), word(s.Agent), s.IdleLimit.Microseconds(), word(s.Risk), word(s.Passkey),
	}
}

const selectSession = `SELECT id, hash, user_id, created, seen, idle_until, expires, auth_time, password_at, factor_at, amr, acr, address, agent, idle_limit, risk, passkey FROM sessions `

const (
	sqlSession      = selectSession + `WHERE tenant = $1 AND hash = $2`
	sqlSessionByID  = selectSession + `WHERE tenant = $1 AND id = $2`
	sqlUserSessions = selectSession + `WHERE tenant = $1 AND user_id = $2 ORDER BY created DESC`
	sqlLogins       = `SELECT app, server FROM session_logins WHERE tenant = $1 AND session = $2 ORDER BY app, server`
)

func scanSession(row scanner) (s sessions.Session, err error) {
	var created, seen, idle, expires, auth, password, factor, limit int64
	var amr string
	if err := row.Scan(&s.ID, &s.Hash, &s.User, &created, &seen, &idle, &expires, &auth, &password, &factor, &amr, &s.ACR, &s.Address, &s.Agent, &limit, &s.Risk, &s.Passkey); err != nil {
		return s, err
	}
	s.Created, s.Seen, s.IdleUntil, s.Expires = fromMicros(created), fromMicros(seen), fromMicros(idle), fromMicros(expires)
	s.AuthTime, s.PasswordAt, s.FactorAt = fromMicros(auth), fromMicros(password), fromMicros(factor)
	s.IdleLimit = time.Duration(limit) * time.Microsecond
	return s, json.Unmarshal([]byte(amr), &s.AMR)
}

// Session returns the session whose secret has the hash, without its apps, or
// fault.NotFound.
func (db *DB) Session(ctx context.Context, hash string) (s sessions.Session, err error) {
	return db.oneSession(ctx, sqlSession, hash)
}

// SessionByID returns a session by its id, without its apps, or fault.NotFound.
func (db *DB) SessionByID(ctx context.Context, id string) (sessions.Session, error) {
	return db.oneSession(ctx, sqlSessionByID, id)
}

func (db *DB) oneSession(ctx context.Context, text, name string) (s sessions.Session, err error) {
	if word(name) != name {
		return s, fault.New(fault.NotFound, "there is no such session")
	}
	err = db.glanceInTenant(ctx, "read session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var err error
		s, err = scanSession(tx.row(ctx, text, t, name))
		if none(err) {
			return fault.New(fault.NotFound, "there is no such session")
		}
		return err
	})
	return s, err
}

// Sessions returns the sessions of a user that are not over, with their apps, the
// newest first.
func (db *DB) Sessions(ctx context.Context, user string, now time.Time) (out []sessions.Session, err error) {
	err = db.inTenant(ctx, "read sessions", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out = nil
		all, err := sessionsWithApps(ctx, tx, t, sqlUserSessions, user)
		for i := range all {
			if all[i].Live(now) {
				out = append(out, all[i])
			}
		}
		return err
	})
	return out, err
}

func sessionsWithApps(ctx context.Context, tx *tx, t tenant.ID, text, name string) (out []sessions.Session, err error) {
	err = tx.rows(ctx, func(row scanner) error {
		s, err := scanSession(row)
		out = append(out, s)
		return err
	}, text, t, name)
	for i := range out {
		if err == nil {
			out[i].Apps, err = logins(ctx, tx, t, out[i].ID)
		}
	}
	return out, err
}

// logins returns the apps that were signed in to with a session.
func logins(ctx context.Context, tx *tx, t tenant.ID, id string) (out []sessions.Login, err error) {
	err = tx.rows(ctx, func(row scanner) error {
		var l sessions.Login
		err := row.Scan(&l.App, &l.Server)
		out = append(out, l)
		return err
	}, sqlLogins, t, id)
	return out, err
}

// The condition on the old hash is what makes one winner of two requests that
// raise a session at once.
const sqlReplaceSession = `UPDATE sessions SET hash = $3, seen = $6, idle_until = $7, expires = $8, auth_time = $9, password_at = $10,
factor_at = $11, amr = $12, acr = $13, address = $14, agent = $15, idle_limit = $16, risk = $17, passkey = $18
WHERE tenant = $1 AND id = $2 AND user_id = $4 AND created = $5 AND hash = $19`

// ReplaceSession writes s over the session with its id if that has the old hash,
// and reports whether it had.
func (db *DB) ReplaceSession(ctx context.Context, old string, s sessions.Session) (replaced bool, err error) {
	err = db.ofTenant(ctx, "replace session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlReplaceSession, append(sessionValues(t, &s), old)...)
		replaced = n == 1
		return err
	})
	return replaced && err == nil, err
}

const sqlTouchSession = `UPDATE sessions SET seen = $3, idle_until = $4 WHERE tenant = $1 AND id = $2 AND seen < $3`

// TouchSession notes a use of a session; the later of two stays.
func (db *DB) TouchSession(ctx context.Context, id string, seen, idleUntil time.Time) error {
	return db.ofTenant(ctx, "touch session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlTouchSession, t, id, micros(seen), micros(idleUntil))
	})
}

// The first statement holds the row until the transaction ends: a session that is
// ended at the same time ends before or after, never in between.
const (
	sqlHoldSession = `UPDATE sessions SET seen = seen WHERE tenant = $1 AND id = $2`
	sqlJoinSession = `INSERT INTO session_logins (tenant, session, app, server, joined) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant, session, app, server) DO NOTHING`
)

// JoinSession notes that an app was signed in to with a session; fault.NotFound when
// it has ended.
func (db *DB) JoinSession(ctx context.Context, id string, l sessions.Login, now time.Time) error {
	return db.ofTenant(ctx, "join session", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlHoldSession, t, id)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "there is no such session, or it is over")
		}
		if err != nil {
			return err
		}
		return tx.later(ctx, sqlJoinSession, t, id, l.App, l.Server, micros(now))
	})
}

const (
	sqlDropSession = `DELETE FROM sessions WHERE tenant = $1 AND id = $2`
	sqlDropLogins  = `DELETE FROM session_logins WHERE tenant = $1 AND session = $2`
)

// What came of a session: the issuers of its tokens, its grants without a refresh
// token for later, and those with one.
const (
	sqlSessionIssuers = `SELECT issuer FROM grants WHERE tenant = $1 AND session = $2`
	sqlEndOnline      = `UPDATE grants SET revoked = $3 WHERE tenant = $1 AND session = $2 AND revoked = 0 AND (' ' || scopes || ' ') NOT LIKE '% offline_access %'`
	sqlPartFromGrants = `UPDATE grants SET session = '' WHERE tenant = $1 AND session = $2 AND revoked = 0`
)

// EndSessions removes the selected sessions and returns those, with their apps, and
// what revokes the tokens that were given in them; both are one transaction.
func (db *DB) EndSessions(ctx context.Context, sel sessions.Selection, now time.Time) (out []sessions.Session, revoked []cluster.Revocation, err error) {
	err = db.ofTenant(ctx, "end sessions", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out, revoked = nil, nil
		text, name := sqlSessionByID, sel.ID
		if name == "" {
			text, name = sqlUserSessions, sel.User
		}
		all, err := sessionsWithApps(ctx, tx, t, text, name)
		if err != nil {
			return err
		}
		for _, s := range all {
			if s.ID == sel.Except || sel.User != "" && s.User != sel.User {
				continue
			}
			n, err := tx.exec(ctx, sqlDropSession, t, s.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				continue // somebody else has ended it meanwhile
			}
			list, err := db.endSession(ctx, tx, t, &s, now)
			if err != nil {
				return err
			}
			out, revoked = append(out, s), append(revoked, list...)
		}
		return nil
	})
	return out, revoked, err
}

// endSession ends what came of a session that is gone. All tokens that name it are
// refused, however late they turn up, until none can be valid any more; those that a
// grant with offline access gives later name no session.
func (db *DB) endSession(ctx context.Context, tx *tx, t tenant.ID, s *sessions.Session, now time.Time) (revoked []cluster.Revocation, err error) {
	// Those that joined until the session was gone are told.
	if s.Apps, err = logins(ctx, tx, t, s.ID); err != nil {
		return nil, err
	}
	if err := tx.rows(ctx, func(row scanner) error {
		r := cluster.Revocation{Tenant: t, Kind: cluster.Session, Value: s.ID, Reason: "the session was ended", Expires: now.Add(tokensOver)}
		err := row.Scan(&r.Issuer)
		if !slices.ContainsFunc(revoked, func(o cluster.Revocation) bool { return o.Issuer == r.Issuer }) {
			revoked = append(revoked, r)
		}
		return err
	}, sqlSessionIssuers, t, s.ID); err != nil {
		return nil, err
	}
	for i := range revoked {
		if _, err := db.addRevocation(ctx, tx, &revoked[i]); err != nil {
			return nil, err
		}
	}
	for _, end := range []struct {
		text string
		args []any
	}{
		{sqlEndOnline, []any{t, s.ID, micros(now)}}, {sqlPartFromGrants, []any{t, s.ID}}, {sqlDropLogins, []any{t, s.ID}},
	} {
		if err := tx.later(ctx, end.text, end.args...); err != nil {
			return nil, err
		}
	}
	return revoked, nil
}

// tokensOver is longer than any access token lives.
const tokensOver = 25 * time.Hour

const sqlAddWaiting = `INSERT INTO waiting (tenant, purpose, hash, browser, data, created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7)`

// AddWaiting stores a request that waits.
func (db *DB) AddWaiting(ctx context.Context, w sessions.Waiting) error {
	return db.ofTenant(ctx, "add waiting request", func(ctx context.Context, tx *tx, t tenant.ID) error {
		return tx.later(ctx, sqlAddWaiting, t, w.Purpose, w.Hash, w.Browser, string(w.Data), micros(w.Created), micros(w.Expires))
	})
}

const sqlWaiting = `SELECT purpose, hash, browser, data, created, expires FROM waiting WHERE tenant = $1 AND purpose = $2 AND hash = $3`

// Waiting returns a request that waits, or fault.NotFound.
func (db *DB) Waiting(ctx context.Context, purpose, hash string) (w sessions.Waiting, err error) {
	err = db.inTenant(ctx, "read waiting request", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var created, expires int64
		var data string
		err := tx.row(ctx, sqlWaiting, t, purpose, hash).Scan(&w.Purpose, &w.Hash, &w.Browser, &data, &created, &expires)
		if none(err) {
			return fault.New(fault.NotFound, "there is no such request, or it is over")
		}
		w.Data, w.Created, w.Expires = []byte(data), fromMicros(created), fromMicros(expires)
		return err
	})
	return w, err
}

const sqlNthWaiting = `SELECT expires FROM waiting WHERE tenant = $1 AND expires > $2 ORDER BY expires LIMIT 1 OFFSET $3`

// AreWaiting reports whether at least n requests, from 1 on, wait at a time.
func (db *DB) AreWaiting(ctx context.Context, now time.Time, n int) (there bool, err error) {
	err = db.inTenant(ctx, "look for waiting requests", func(ctx context.Context, tx *tx, t tenant.ID) error {
		var expires int64
		err := tx.row(ctx, sqlNthWaiting, t, micros(now), n-1).Scan(&expires)
		if there = err == nil; none(err) {
			return nil
		}
		return err
	})
	return there, err
}

// PruneWaiting forgets the requests of all tenants that are over, and returns how many
// those were.
func (db *DB) PruneWaiting(ctx context.Context, now time.Time) (int64, error) {
	return db.run(ctx, "prune waiting requests", sqlPruneWaiting, micros(now))
}

const sqlTakeWaiting = `DELETE FROM waiting WHERE tenant = $1 AND purpose = $2 AND hash = $3`

// TakeWaiting removes a request that waits, and reports whether it was there: of
// any number of callers one gets true.
func (db *DB) TakeWaiting(ctx context.Context, purpose, hash string) (taken bool, err error) {
	err = db.ofTenant(ctx, "take waiting request", func(ctx context.Context, tx *tx, t tenant.ID) error {
		n, err := tx.exec(ctx, sqlTakeWaiting, t, purpose, hash)
		taken = n == 1
		return err
	})
	return taken && err == nil, err
}

const (
	sqlPruneSessions = `DELETE FROM sessions WHERE idle_until <= $1`
	sqlPruneLogins   = `DELETE FROM session_logins WHERE joined <= $1`
	sqlPruneWaiting  = `DELETE FROM waiting WHERE expires <= $1`
)

// forgetApps is longer than any session lasts.
const forgetApps = 90 * 24 * time.Hour

// PruneSessions forgets the sessions and requests of all tenants that are over at
// the time, codes that are, and places where nobody was for long, and returns how many rows that were.
func (db *DB) PruneSessions(ctx context.Context, now time.Time) (n int64, err error) {
	err = db.write(ctx, "prune sessions", func(ctx context.Context, tx *tx) error {
		n = 0
		for _, s := range []struct {
			text string
			time time.Time
		}{{sqlPruneSessions, now}, {sqlPruneLogins, now.Add(-forgetApps)}, {sqlPruneWaiting, now}, {sqlPrunePlaces, now.Add(-placeMemory)}, {sqlPruneEmailCodes, now}} {
			rows, err := tx.exec(ctx, s.text, micros(s.time))
			if err != nil {
				return err
			}
			n += rows
		}
		return nil
	})
	return n, err
}

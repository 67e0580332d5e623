package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

var _ issued.Store = (*DB)(nil)

// ofTenant is a transaction that writes for the tenant of the context.
func (db *DB) ofTenant(ctx context.Context, what string, f func(ctx context.Context, tx *tx, t tenant.ID) error) error {
	t, ok := tenant.From(ctx)
	if !ok {
		return fault.New(fault.Invalid, "%s: the context has no tenant", what)
	}
	return db.write(ctx, what, func(ctx context.Context, tx *tx) error { return f(ctx, tx, t) })
}

// inTenant is a transaction that reads for the tenant of the context.
func (db *DB) inTenant(ctx context.Context, what string, f func(ctx context.Context, tx *tx, t tenant.ID) error) error {
	t, ok := tenant.From(ctx)
	if !ok {
		return fault.New(fault.Invalid, "%s: the context has no tenant", what)
	}
	return db.read(ctx, what, func(ctx context.Context, tx *tx) error { return f(ctx, tx, t) })
}

// glanceInTenant is inTenant for one statement for one row.
func (db *DB) glanceInTenant(ctx context.Context, what string, f func(ctx context.Context, tx *tx, t tenant.ID) error) error {
	t, ok := tenant.From(ctx)
	if !ok {
		return fault.New(fault.Invalid, "%s: the context has no tenant", what)
	}
	return db.glance(ctx, what, func(ctx context.Context, tx *tx) error { return f(ctx, tx, t) })
}

const sqlAddGrant = `INSERT INTO grants (tenant, id, server, client, user_id, session, issuer, scopes, terms, created, revoked, used, updated,
refresh_until, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, $10, 0, 0)`

func addGrant(ctx context.Context, tx *tx, t tenant.ID, g *issued.Grant) error {
	if g.ID == "" || g.Client == "" || g.Server == "" || word(g.Session) != g.Session {
		return fault.New(fault.Invalid, "a grant needs an id, an app and a server")
	}
	terms, err := json.Marshal(g.Terms)
	if err != nil {
		return err
	}
	return tx.later(ctx, sqlAddGrant, t, g.ID, g.Server, g.Client, g.User, g.Session, g.Issuer, joined(g.Scopes), string(terms), micros(g.Created))
}

const selectGrant = `SELECT g.id, g.server, g.client, g.user_id, g.session, g.issuer, g.scopes, g.terms, g.created, g.revoked, g.used, g.updated,
g.expires, g.refresh_until FROM grants g `

const sqlGrant = selectGrant + `WHERE g.tenant = $1 AND g.id = $2`

func scanGrant(row scanner) (g issued.Grant, err error) {
	var scopes, terms string
	var created, revoked, used, updated, expires, until int64
	if err := row.Scan(&g.ID, &g.Server, &g.Client, &g.User, &g.Session, &g.Issuer, &scopes, &terms, &created, &revoked, &used, &updated, &expires, &until); err != nil {
		return g, err
	}
	g.Scopes = strings.Fields(scopes)
	g.Created, g.Revoked, g.LastUsed, g.Updated, g.Expires = fromMicros(created), fromMicros(revoked), fromMicros(used), fromMicros(updated), fromMicros(expires)
	g.Until = fromMicros(until)
	return g, json.Unmarshal([]byte(terms), &g.Terms)
}

// The first condition finds the grants by an index; the others narrow that.
const (
	grantNarrowed = ` AND ($3 = '' OR g.user_id = $3) AND ($4 = '' OR g.client = $4) AND ($5 = '' OR g.server = $5)
AND ($6 = '' OR g.session = $6)`

	whereGrant   = `WHERE g.tenant = $1 AND g.id = $2` + grantNarrowed
	whereUser    = `WHERE g.tenant = $1 AND g.user_id = $2` + grantNarrowed
	whereClient  = `WHERE g.tenant = $1 AND g.client = $2` + grantNarrowed
	whereSession = `WHERE g.tenant = $1 AND g.session = $2` + grantNarrowed

	selectToEnd = `UPDATE grants AS g SET revoked = $7 `
	stillHold   = ` AND g.revoked = 0`

	sqlEndGrant        = selectToEnd + whereGrant + stillHold
	sqlEndUserGrants   = selectToEnd + whereUser + stillHold
	sqlEndClientGrants = selectToEnd + whereClient + stillHold
	sqlEndSession      = selectToEnd + whereSession + stillHold

	selectTokens = `SELECT a.jti, a.expires, g.issuer FROM grants g JOIN access_tokens a ON a.tenant = g.tenant AND a.grant_id = g.id `
	notOver      = ` AND a.expires > $7`

	sqlGrantTokens   = selectTokens + whereGrant + notOver
	sqlUserTokens    = selectTokens + whereUser + notOver
	sqlClientTokens  = selectTokens + whereClient + notOver
	sqlSessionTokens = selectTokens + whereSession + notOver

	refreshable = stillHold + ` AND g.refresh_until > $7 AND g.id > $8 ORDER BY g.id LIMIT $9`

	sqlListGrant   = selectGrant + whereGrant + refreshable
	sqlListUser    = selectGrant + whereUser + refreshable
	sqlListClient  = selectGrant + whereClient + refreshable
	sqlListSession = selectGrant + whereSession + refreshable
)

// selected returns what finds the selection, and the text for it among those by
// grant, user, client and session.
func selected(t tenant.ID, s issued.Selection, texts [4]string) (text string, args []any) {
	key := s.Grant
	text = texts[0]
	switch {
	case s.Grant != "":
	case s.User != "":
		key, text = s.User, texts[1]
	case s.Client != "":
		key, text = s.Client, texts[2]
	default:
		key, text = s.Session, texts[3]
	}
	return text, []any{t, key, s.User, s.Client, s.Server, s.Session}
}

// RevokeGrants implements issued.Store.
func (db *DB) RevokeGrants(ctx context.Context, s issued.Selection, now time.Time) (grants int, tokens []cluster.Revocation, err error) {
	err = db.ofTenant(ctx, "revoke grants", func(ctx context.Context, tx *tx, t tenant.ID) error {
		tokens = nil
		text, args := selected(t, s, [4]string{sqlEndGrant, sqlEndUserGrants, sqlEndClientGrants, sqlEndSession})
		args = append(args, micros(now))
		n, err := tx.exec(ctx, text, args...)
		if err != nil {
			return err
		}
		grants = int(n)
		// Tokens of grants that had ended before are told again: who asked then may
		// not have got as far.
		text, _ = selected(t, s, [4]string{sqlGrantTokens, sqlUserTokens, sqlClientTokens, sqlSessionTokens})
		err = tx.rows(ctx, func(row scanner) error {
			r := cluster.Revocation{Tenant: t, Kind: cluster.TokenID}
			var expires int64
			err := row.Scan(&r.Value, &expires, &r.Issuer)
			r.Expires = fromMicros(expires)
			tokens = append(tokens, r)
			return err
		}, text, args...)
		if err != nil {
			return err
		}
		for i := range tokens {
			if _, err := db.addRevocation(ctx, tx, &tokens[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return grants, tokens, err
}

// Grants implements issued.Store.
func (db *DB) Grants(ctx context.Context, s issued.Selection, after string, limit int, now time.Time) (out []issued.Grant, err error) {
	err = db.inTenant(ctx, "list grants", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out = nil
		text, args := selected(t, s, [4]string{sqlListGrant, sqlListUser, sqlListClient, sqlListSession})
		return tx.rows(ctx, func(row scanner) error {
			g, err := scanGrant(row)
			out = append(out, g)
			return err
		}, text, append(args, micros(now), after, limit)...)
	})
	return out, err
}

// A person has grants of few apps. Of a server's, the next app is looked for behind the
// last one by the index of clients, so that what is read grows with the apps and not with
// their grants.
const (
	grantHolds = ` AND ($3 = '' OR g.server = $3) AND g.revoked = 0 AND g.refresh_until > $4`

	sqlUserClients = `SELECT DISTINCT g.client FROM grants g WHERE g.tenant = $1 AND g.user_id = $2` + grantHolds + ` ORDER BY g.client LIMIT $5`
	sqlNextClient  = `SELECT g.client FROM grants g WHERE g.tenant = $1 AND g.client > $2` + grantHolds + ` ORDER BY g.client LIMIT $5`
)

// GrantClients implements issued.Store.
func (db *DB) GrantClients(ctx context.Context, user, server string, limit int, now time.Time) (out []string, err error) {
	err = db.inTenant(ctx, "list the apps of grants", func(ctx context.Context, tx *tx, t tenant.ID) error {
		out = nil
		take := func(row scanner) error {
			var client string
			err := row.Scan(&client)
			out = append(out, client)
			return err
		}
		if user != "" {
			return tx.rows(ctx, take, sqlUserClients, t, user, server, micros(now), limit)
		}
		for last := ""; len(out) < limit; last = out[len(out)-1] {
			before := len(out)
			if err := tx.rows(ctx, take, sqlNextClient, t, last, server, micros(now), 1); err != nil || len(out) == before {
				return err
			}
		}
		return nil
	})
	return out, err
}

// How long things are kept after they are of use: a code that is presented again
// within codeMemory ends its grant, a replaced refresh token within replacedMemory.
const (
	codeMemory     = 25 * time.Hour // longer than any access token lives
	replacedMemory = 30 * 24 * time.Hour
	saltMemory     = 2 * time.Minute // longer than any leeway
)

const (
	sqlPruneCodes    = `DELETE FROM codes WHERE created < $1`
	sqlPruneTokens   = `DELETE FROM access_tokens WHERE expires <= $1`
	sqlPruneReplaced = `DELETE FROM refresh_tokens WHERE replaced > 0 AND replaced < $1`
	sqlPruneDevices  = `DELETE FROM device_codes WHERE expires < $1`
	sqlPruneGrants   = `DELETE FROM grants WHERE created < $1 AND (revoked > 0 OR refresh_until <= $2)
AND NOT EXISTS (SELECT 1 FROM access_tokens a WHERE a.tenant = grants.tenant AND a.grant_id = grants.id)
AND NOT EXISTS (SELECT 1 FROM codes c WHERE c.tenant = grants.tenant AND c.grant_id = grants.id)
AND NOT EXISTS (SELECT 1 FROM device_codes d WHERE d.tenant = grants.tenant AND d.grant_id = grants.id)`
	sqlPruneOrphans = `DELETE FROM refresh_tokens WHERE created < $1
AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.tenant = refresh_tokens.tenant AND g.id = refresh_tokens.grant_id)`
	sqlPruneSalts = `UPDATE refresh_tokens SET salt = '' WHERE replaced > 0 AND replaced < $1 AND salt <> ''`
)

// PruneGrants implements issued.Store.
func (db *DB) PruneGrants(ctx context.Context, now time.Time) (total int64, err error) {
	for _, p := range []struct {
		text string
		args []any
	}{
		{sqlPruneSalts, []any{micros(now.Add(-saltMemory))}},
		{sqlPruneCodes, []any{micros(now.Add(-codeMemory))}},
		{sqlPruneTokens, []any{micros(now)}},
		{sqlPruneDevices, []any{micros(now.Add(-codeMemory))}},
		{sqlPruneReplaced, []any{micros(now.Add(-replacedMemory))}},
		{sqlPruneGrants, []any{micros(now.Add(-codeMemory)), micros(now)}},
		{sqlPruneOrphans, []any{micros(now.Add(-codeMemory))}},
	} {
		n, err := db.run(ctx, "prune grants", p.text, p.args...)
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

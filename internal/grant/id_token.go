package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"time"

	"gatehouse/internal/access"
)

// scopeOpenID makes a request one of OpenID Connect; scopeOffline asks for a
// refresh token (OpenID Connect Core sections 3.1.2.1 and 11).
const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

// idTokenLifetime is Okta's.
const idTokenLifetime = time.Hour

// idToken is what an ID token is about.
type idToken struct {
	app         *access.AppView
	who         *subject
	scopes      []string
	nonce       string
	session     string        // sid
	accessToken string        // that goes with it; empty: none
	code        string        // that goes with it; empty: none
	alone       bool          // it comes without an access token, and so says everything itself
	lifetime    time.Duration // 0: idTokenLifetime
	ops         []hookOp      // what a hook changes
	trace       *[]access.ClaimStep
}

// mintID makes an ID token of the target's server (OpenID Connect Core section
// 2) in Okta's shape: aud is the client id as a plain string, sub the id of the
// user.
func (m *Minter) mintID(ctx context.Context, t *Target, id *idToken) (string, error) {
	id.alone = id.accessToken == "" && id.code == ""
	claims, err := m.composeID(t, id)
	if err != nil {
		return "", err
	}
	if claims, err = patched(claims, id.ops, &id.lifetime); err != nil {
		return "", err
	}
	return m.rings.Sign(ctx, t.Tenant, t.Server, claims, "")
}

// composeID makes the claims of an ID token: all of it but the signature.
func (m *Minter) composeID(t *Target, id *idToken) ([]byte, error) {
	facts := access.Facts{App: id.app, Person: id.who.person, Scopes: id.scopes, Trace: id.trace}
	values, err := t.Server.IdentityClaims(&facts, id.alone)
	if err != nil {
		return nil, err
	}
	now := m.now().Truncate(time.Second)
	var raw [32]byte
	_, _ = rand.Read(raw[:])
	b := make([]byte, 0, 1024)
	b = append(b, '{')
	b = memberString(b, "sub", id.who.userID)
	b = memberInt(b, "ver", 1)
	b = memberString(b, "iss", t.Issuer())
	b = memberString(b, "aud", id.app.ID)
	b = memberInt(b, "iat", now.Unix())
	b = memberInt(b, "exp", now.Add(cmp.Or(id.lifetime, idTokenLifetime)).Unix())
	b = memberString(b, "jti", "ID."+base64.RawURLEncoding.EncodeToString(raw[:]))
	if id.nonce != "" {
		b = memberString(b, "nonce", id.nonce)
	}
	if id.session != "" {
		b = memberString(b, "sid", id.session)
	}
	b = appendAuthentication(b, id.who)
	if id.accessToken != "" {
		b = memberString(b, "at_hash", halfHash(t.Server.Algorithm, id.accessToken))
	}
	if id.code != "" {
		b = memberString(b, "c_hash", halfHash(t.Server.Algorithm, id.code))
	}
	return append(appendValues(b, values, id.who), '}'), nil
}

// halfHash is at_hash and c_hash (OpenID Connect Core section 3.1.3.6): the left
// half of the hash that the signature algorithm uses.
func halfHash(algorithm, s string) string {
	if algorithm == access.EdDSA {
		sum := sha512.Sum512([]byte(s))
		return base64.RawURLEncoding.EncodeToString(sum[:32])
	}
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

package grant

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/issued"
	"gatehouse/verify"
)

// subject is whom a token is about.
type subject struct {
	name   string   // sub: the login of a user, the id of an app
	userID string   // uid; empty when the client acts for itself
	groups []string // names of groups, for the groups claim; nil for none
	// How and when the user proved who they are; zero when unknown.
	authTime time.Time
	acr      string
	amr      []string
	person   *access.Person // nil when the client acts for itself
	given    bool           // name is that of the token which this one is made of
}

// minted is a signed access token and what is known of it.
type minted struct {
	token    string
	id       string // jti
	issued   time.Time
	lifetime time.Duration
}

// Minter makes access tokens.
type Minter struct {
	rings *Rings
	hooks Hooks
	now   func() time.Time
}

// MinterConfig is what a Minter needs.
type MinterConfig struct {
	Rings *Rings
	Hooks Hooks            // nil: rules with a hook give no tokens
	Now   func() time.Time // the clock
}

// NewMinter returns a Minter.
func NewMinter(cfg MinterConfig) *Minter {
	return &Minter{rings: cfg.Rings, hooks: cfg.Hooks, now: cfg.Now}
}

// rfc9068Type is the typ of access tokens after RFC 9068 section 2.1.
const rfc9068Type = "at+jwt"

// bearer is the type of tokens that are not bound to a key (RFC 6750).
const bearer = "Bearer"

// tokenType returns the type of a token that is bound to the key, or to none.
func tokenType(jkt string) string {
	if jkt != "" {
		return "DPoP"
	}
	return bearer
}

// draft is what an access token is to say.
type draft struct {
	app      *access.AppView
	who      *subject
	scopes   []string
	audience []string // nil: the server's own
	lifetime time.Duration
	session  string         // sid: the browser session that it was given in; empty: none
	act      []byte         // JSON: who acts for the subject (RFC 8693 section 4.1); nil: nobody
	jkt      string         // thumbprint of the key that it is bound to
	details  []byte         // JSON: authorization details; nil: none
	x5t      string         // thumbprint of the certificate that it is bound to
	values   []access.Value // further claims
	ops      []hookOp       // what a hook changes
	// trace is told where the claims come from; nil for tokens that are given.
	trace *[]access.ClaimStep
}

// kept is what has to be known to revoke the token: its id until others have
// stopped accepting it, too.
func (m *minted) kept() issued.Token {
	return issued.Token{ID: m.id, Expires: m.issued.Add(m.lifetime + 2*verify.DefaultLeeway)}
}

// mint makes an access token of the target's server.
func (m *Minter) mint(ctx context.Context, t *Target, d *draft) (minted, error) {
	out, claims, typ, err := m.compose(t, d)
	if err != nil {
		return minted{}, err
	}
	if claims, err = patched(claims, d.ops, &d.lifetime); err != nil {
		return minted{}, err
	}
	token, err := m.rings.Sign(ctx, t.Tenant, t.Server, claims, typ)
	out.token = token
	return out, err
}

// compose makes the claims and the typ of an access token: all of it but the
// signature.
func (m *Minter) compose(t *Target, d *draft) (out minted, claims []byte, typ string, err error) {
	facts := access.Facts{App: d.app, Person: d.who.person, Scopes: d.scopes, Trace: d.trace}
	name, errName := t.Server.Subject(&facts)
	if errName != nil && d.trace == nil {
		return minted{}, nil, "", errName
	}
	if !d.who.given {
		d.who.name = name
	}
	if d.values, err = t.Server.ResourceClaims(&facts); err != nil || errName != nil {
		return minted{}, nil, "", cmp.Or(errName, err)
	}
	out = minted{id: newTokenID(), issued: m.now().Truncate(time.Second), lifetime: d.lifetime}
	claims = make([]byte, 0, 512)
	if t.Server.Shape == access.ShapeRFC9068 {
		return out, appendRFC9068(claims, t, d, &out), rfc9068Type, nil
	}
	return out, appendOkta(claims, t, d, &out), "", nil
}

// newTokenID returns a fresh jti: 256 random bits behind Okta's prefix.
func newTokenID() string {
	const prefix = "AT."
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	b := make([]byte, len(prefix)+base64.RawURLEncoding.EncodedLen(len(raw)))
	copy(b, prefix)
	base64.RawURLEncoding.Encode(b[len(prefix):], raw[:])
	return string(b)
}

// appendOkta appends the claims of Okta's access tokens: aud is a string, scp a
// list, uid there only for users.
func appendOkta(b []byte, t *Target, d *draft, m *minted) []byte {
	b = append(b, '{')
	b = memberInt(b, "ver", 1)
	b = memberString(b, "jti", m.id)
	b = memberString(b, "iss", t.Issuer())
	b = appendAudience(b, t, d)
	b = memberInt(b, "iat", m.issued.Unix())
	b = memberInt(b, "exp", m.issued.Add(m.lifetime).Unix())
	b = memberString(b, "cid", d.app.ID)
	if d.who.userID != "" {
		b = memberString(b, "uid", d.who.userID)
	}
	b = memberStrings(b, "scp", d.scopes)
	b = appendCircumstances(b, d)
	b = memberString(b, "sub", d.who.name)
	return append(appendValues(b, d.values, d.who), '}')
}

// appendRFC9068 appends the claims of RFC 9068 section 2.2, and uid for users.
func appendRFC9068(b []byte, t *Target, d *draft, m *minted) []byte {
	b = append(b, '{')
	b = memberString(b, "iss", t.Issuer())
	b = memberInt(b, "exp", m.issued.Add(m.lifetime).Unix())
	b = appendAudience(b, t, d)
	b = memberString(b, "sub", d.who.name)
	b = memberString(b, "client_id", d.app.ID)
	b = memberInt(b, "iat", m.issued.Unix())
	b = memberString(b, "jti", m.id)
	b = memberString(b, "scope", strings.Join(d.scopes, " "))
	if d.who.userID != "" {
		b = memberString(b, "uid", d.who.userID)
	}
	b = appendCircumstances(b, d)
	return append(appendValues(b, d.values, d.who), '}')
}

// appendSession appends the browser session that a token was given in, as ID tokens
// name it (sid, OpenID Connect Front-Channel Logout 1.0 section 3): the token is
// refused once that has ended.
func appendSession(b []byte, session string) []byte {
	if session == "" {
		return b
	}
	return memberString(b, "sid", session)
}

// appendCircumstances appends what is the same in both shapes: the session, how the
// user signed in, who acts for them, and what the token is bound to.
func appendCircumstances(b []byte, d *draft) []byte {
	b = appendAuthentication(appendSession(b, d.session), d.who)
	if d.act != nil {
		b = append(member(b, "act"), d.act...)
	}
	if d.details != nil {
		b = append(member(b, "authorization_details"), d.details...)
	}
	if who := d.app.Extension.MayAct; who != "" {
		b = append(memberString(append(member(b, "may_act"), '{'), "sub", who), '}')
	}
	return appendConfirmation(b, d.jkt, d.x5t)
}

// appendAudience says for whom the token is: a string, or a list when several were
// asked for (RFC 7519 section 4.1.3).
func appendAudience(b []byte, t *Target, d *draft) []byte {
	switch len(d.audience) {
	case 0:
		return memberString(b, "aud", t.Server.Audience(t.URL))
	case 1:
		return memberString(b, "aud", d.audience[0])
	}
	return memberStrings(b, "aud", d.audience)
}

// appendConfirmation binds the token to a key (RFC 9449 section 6.1), to a certificate
// (RFC 8705 section 3.1), or to both.
func appendConfirmation(b []byte, jkt, x5t string) []byte {
	if jkt == "" && x5t == "" {
		return b
	}
	b = append(member(b, "cnf"), '{')
	if jkt != "" {
		b = memberString(b, "jkt", jkt)
	}
	if x5t != "" {
		b = memberString(b, "x5t#S256", x5t)
	}
	return append(b, '}')
}

// appendValues appends the claims that the server's administrators have made. What
// cannot be written as JSON does not come out of an expression.
func appendValues(b []byte, values []access.Value, who *subject) []byte {
	for i := range values {
		if values[i].Name == "groups" && len(who.groups) > 0 {
			continue // an administrator's token names all of them
		}
		raw, err := json.Marshal(values[i].Value)
		if err != nil {
			continue
		}
		b = appendJSON(append(b, ','), values[i].Name)
		b = append(append(b, ':'), raw...)
	}
	return b
}

// appendAuthentication appends what is known of how the user signed in (RFC 9068
// section 2.2.1) and the groups (section 2.2.3.1).
func appendAuthentication(b []byte, who *subject) []byte {
	if !who.authTime.IsZero() {
		b = memberInt(b, "auth_time", who.authTime.Unix())
	}
	if who.acr != "" {
		b = memberString(b, "acr", who.acr)
	}
	if len(who.amr) > 0 {
		b = memberStrings(b, "amr", who.amr)
	}
	if len(who.groups) > 0 {
		b = memberStrings(b, "groups", who.groups)
	}
	return b
}

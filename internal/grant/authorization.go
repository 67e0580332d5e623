package grant

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// Authorization is what a person has granted to an app at the authorization
// endpoint, or on the page for devices. Whoever makes one has authenticated the
// person, asked for consent where it is needed, and checked the app's redirect
// URI; whether the access rules allow it is decided here.
type Authorization struct {
	Client  string // id of the app
	Server  string // id of the authorization server
	User    string // id of the user
	Session string // id of the browser session, the sid of tokens; may be empty
	Scopes  []string
	// RedirectURI is what the request had, byte for byte; empty when it had none: then
	// the token request must have none either (RFC 6749 section 4.1.3).
	RedirectURI   string
	CodeChallenge string // PKCE, S256 (RFC 7636); empty when there was none
	Nonce         string // for ID tokens
	Resources     []string
	Details       json.RawMessage // authorization details (RFC 9396)
	// How and when the person proved who they are.
	AuthTime time.Time
	AMR      []string
	ACR      string
	JKT      string             // thumbprint of the key that the code is bound to (dpop_jkt, RFC 9449 section 10)
	Address  string             // of the person's browser, for rules about networks
	Risk     string             // of the person's sign-in, for rules about it; empty: not known
	Device   issued.DeviceProof // that the person signed in on, for rules about it
	assumed  access.Device      // in its place, where there is none to look at
}

// lifetime of an authorization code: as long as a redirect takes, and what FAPI
// 2.0 (section 5.3.2.1) allows.
const codeLifetime = time.Minute

// CodeStore keeps grants and their authorization codes.
type CodeStore interface {
	AddCode(ctx context.Context, g issued.Grant, c issued.Code) error
	AddGrant(ctx context.Context, g issued.Grant, made issued.Made) error
	// Code returns a code and its grant, or fault.NotFound.
	Code(ctx context.Context, hash string) (issued.Code, issued.Grant, error)
	// RedeemCode uses a code and stores what was made for it; false when somebody
	// was first, the code is over, or its grant has ended.
	RedeemCode(ctx context.Context, c issued.Code, made issued.Made, now time.Time) (bool, error)
}

// CodesConfig is what Codes needs.
type CodesConfig struct {
	Store  CodeStore
	Judge  *Judge
	Minter *Minter
	Now    func() time.Time // the clock
}

// Codes makes authorization codes, and the tokens that the authorization endpoint
// gives directly.
type Codes struct{ cfg CodesConfig }

// NewCodes returns Codes.
func NewCodes(cfg CodesConfig) *Codes { return &Codes{cfg: cfg} }

// Issue returns a fresh authorization code that stands for a. Its faults have the reasons of the protocol (ErrorCode returns the
// error of RFC 6749): no_matching_policy when no access rule allows it,
// user_not_assigned, no_matching_scope and others; then there is no code.
func (c *Codes) Issue(ctx context.Context, t *Target, a Authorization) (code string, err error) {
	defer fault.Wrap(&err, "issue an authorization code")
	if _, _, err := c.cfg.Judge.person(ctx, t, &a, access.GrantAuthorizationCode); err != nil {
		return "", err
	}
	now := c.cfg.Now()
	g := newGrant(t, &a, access.GrantAuthorizationCode, now)
	code = keys.Secret(256)
	err = c.cfg.Store.AddCode(tenant.With(ctx, t.Tenant), g, issued.Code{
		Hash: keys.Hash(code), Grant: g.ID, RedirectURI: a.RedirectURI, CodeChallenge: a.CodeChallenge,
		Created: now, Expires: now.Add(codeLifetime),
	})
	return code, err
}

// newGrant returns the grant that an authorization begins.
func newGrant(t *Target, a *Authorization, grantType string, now time.Time) issued.Grant {
	return issued.Grant{
		ID: keys.ID("oar"), Server: t.Server.ID, Client: a.Client, User: a.User, Session: a.Session, Issuer: t.Issuer(),
		Scopes: slices.Clone(a.Scopes), Created: now,
		Terms: issued.Terms{
			AuthTime: a.AuthTime, AMR: a.AMR, ACR: a.ACR, JKT: a.JKT, Resources: a.Resources, Details: a.Details,
			Nonce: a.Nonce, GrantType: grantType, Address: a.Address, Risk: a.Risk, Device: a.Device,
		},
	}
}

// Wanted says what the authorization endpoint is to give directly.
type Wanted struct {
	AccessToken bool
	IDToken     bool   // needs the scope openid
	Code        string // the code that goes with an ID token (c_hash), in the hybrid flow
}

// Direct is what the authorization endpoint gives directly.
type Direct struct {
	AccessToken string
	TokenType   string
	ExpiresIn   time.Duration // of the access token
	IDToken     string
	Scopes      []string
}

// Direct makes the tokens of the implicit flow (RFC 6749 section 4.2, OpenID
// Connect Core section 3.2), and the ID token that goes with a code in the hybrid
// flow. The app must be one that may use the implicit grant: otherwise the fault
// is unauthorized_client.
func (c *Codes) Direct(ctx context.Context, t *Target, a Authorization, w Wanted) (_ Direct, err error) {
	defer fault.Wrap(&err, "make tokens at the authorization endpoint")
	app, ok := t.View.App(a.Client)
	if !ok || !app.MayUse(access.GrantImplicit) {
		return Direct{}, Refuse("unauthorized_client", nil, "")
	}
	if w.AccessToken && (app.OIDC.DPoPBound || app.Extension.CertificateBound) {
		return Direct{}, Refuse("direct_bound", nil)
	}
	if w.IDToken && (a.Nonce == "" || !slices.Contains(a.Scopes, scopeOpenID)) {
		return Direct{}, Refuse("nonce_required", nil)
	}
	who, decision, err := c.cfg.Judge.person(ctx, t, &a, access.GrantImplicit)
	if err != nil {
		return Direct{}, err
	}
	g := newGrant(t, &a, access.GrantImplicit, c.cfg.Now())
	d := draft{
		app: app, who: who, session: a.Session, scopes: a.Scopes, lifetime: decision.AccessTokenLifetime, audience: a.Resources, details: a.Details,
	}
	var id *idToken
	if w.IDToken {
		id = &idToken{app: app, who: who, scopes: a.Scopes, nonce: a.Nonce, session: a.Session, code: w.Code, alone: !w.AccessToken && w.Code == ""}
	}
	if err := c.cfg.Minter.transform(ctx, t, &decision, access.GrantImplicit, &d, id); err != nil {
		return Direct{}, err
	}
	out := Direct{Scopes: a.Scopes, TokenType: bearer, ExpiresIn: d.lifetime}
	var m minted
	if w.AccessToken {
		if m, err = c.cfg.Minter.mint(ctx, t, &d); err != nil {
			return Direct{}, err
		}
		if err := c.cfg.Store.AddGrant(tenant.With(ctx, t.Tenant), g, issued.Made{Token: m.kept()}); err != nil {
			return Direct{}, err
		}
		out.AccessToken = m.token
	}
	if w.IDToken {
		id.accessToken = m.token
		if out.IDToken, err = c.cfg.Minter.mintID(ctx, t, id); err != nil {
			return Direct{}, err
		}
	}
	return out, nil
}

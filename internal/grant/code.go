package grant

import (
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// authorizationCode is RFC 6749 section 4.1.3 with PKCE (RFC 7636).
type authorizationCode struct{}

func (authorizationCode) name() string { return access.GrantAuthorizationCode }

// prove finds the code and makes sure that it was given to this client, for this
// redirect URI and this verifier. It is used only when everything else is done.
func (authorizationCode) prove(e *Endpoint, x *exchange) error {
	code := x.form.Get("code")
	if code == "" {
		return Refuse("token_request_missing_code", nil)
	}
	c, g, err := e.cfg.Codes.Code(tenant.With(x.ctx(), x.target.Tenant), keys.Hash(code))
	switch {
	case fault.Is(err, fault.NotFound):
		return Refuse("invalid_code", nil)
	case err != nil:
		return err
	case !c.Used.IsZero():
		return e.replayed(x, &g, "invalid_code")
	case g.Client != x.app.ID || g.Server != x.target.Server.ID || !g.Revoked.IsZero() || !e.cfg.Now().Before(c.Expires):
		return Refuse("invalid_code", nil)
	case x.form.Get("redirect_uri") != c.RedirectURI:
		return Refuse("redirect_uri_mismatch", nil)
	}
	if err := provePKCE(x, &c); err != nil {
		return err
	}
	x.code, x.kept = &c, &g
	return x.bound()
}

// provePKCE applies RFC 7636 section 4.6, and RFC 9700 section 2.1.1: who sent a
// challenge must have its verifier, and a verifier without a challenge means that
// somebody took the challenge out of the authorization request. Apps that cannot
// keep a secret always need one.
func provePKCE(x *exchange, c *issued.Code) error {
	verifier := x.form.Get("code_verifier")
	if c.CodeChallenge == "" {
		if verifier != "" || x.app.Public() || x.app.OIDC.PKCERequired {
			return Refuse("pkce_failed", nil)
		}
		return nil
	}
	if len(verifier) < 43 || len(verifier) > 128 || strings.ContainsFunc(verifier, notUnreserved) || !keys.Equal(keys.Challenge(verifier), c.CodeChallenge) {
		return Refuse("pkce_failed", nil)
	}
	return nil
}

// notUnreserved reports whether the character may not be in a code verifier (RFC
// 7636 section 4.1).
func notUnreserved(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_', r == '~':
		return false
	}
	return true
}

// narrow takes the scopes of the grant: a token request with a code has none of
// its own (RFC 6749 section 4.1.3).
func (authorizationCode) narrow(x *exchange) error {
	x.scopes = x.kept.Scopes
	return nil
}

// persist uses the code. Who comes second ends the grant: two have had the code.
func (authorizationCode) persist(e *Endpoint, x *exchange) error {
	x.firstRefresh()
	ok, err := e.cfg.Codes.RedeemCode(tenant.With(x.ctx(), x.target.Tenant), *x.code, x.made, e.cfg.Now())
	if err != nil {
		return err
	}
	if !ok {
		return e.replayed(x, x.kept, "invalid_code")
	}
	return nil
}

// replayed ends a grant whose code or refresh token was presented again (RFC 6749
// sections 4.1.2 and 10.4, RFC 9700 section 4.14.2): when the answer goes out, its
// refresh token is worth nothing and every live node refuses its access tokens.
func (e *Endpoint) replayed(x *exchange, g *issued.Grant, reason string) error {
	ctx := tenant.With(x.ctx(), x.target.Tenant)
	if _, err := e.cfg.Grants.Revoke(ctx, issued.Selection{Grant: g.ID}); err != nil {
		return Refuse("temporarily_unavailable", err)
	}
	e.recordReplay(x, g)
	return Refuse(reason, nil)
}

package introspect

import (
	"strings"
	"time"

	"gatehouse/verify"
)

// read makes facts of an answer (RFC 7662 section 2.2), or an error when it is
// none: not one JSON object, names twice, a claim of a wrong type, no active.
// before is what was known of the token until now, if anything.
func (c *Client) read(body []byte, asked time.Time, before *entry) (*entry, error) {
	t, err := verify.FromClaims(body, c.cfg.Claims)
	if err != nil {
		return nil, c.unreachable("its answer cannot be read", err)
	}
	v, _ := t.Claim("active")
	active, ok := v.(bool)
	if !ok {
		return nil, c.unreachable("its answer does not say whether the token is active", nil)
	}
	now := c.cfg.Now()
	if refused := c.judge(t, active, now, before); refused != nil {
		refused.Issuer = c.cfg.Issuer
		return &entry{err: refused, until: asked.Add(inactiveLife).UnixNano()}, nil
	}
	t.Issuer = c.cfg.Issuer
	until := asked.Add(c.cfg.Life)
	if t.Expires == 0 {
		t.Expires = until.Unix()
	} else if exp := time.Unix(t.Expires, 0); exp.Before(until) {
		until = exp
	}
	return &entry{token: t, until: until.UnixNano(), size: len(body)}, nil
}

// judge says why a token of which the issuer has spoken is refused; nil when it is not.
func (c *Client) judge(t *verify.Token, active bool, now time.Time, before *entry) *verify.Error {
	expired := t.Expires != 0 && !now.Before(time.Unix(t.Expires, 0).Add(leeway))
	switch {
	case !active && (expired || before.hadExpired(now)):
		return &verify.Error{Reason: verify.ReasonExpired, Detail: "the issuer says that the token is not active, and it has expired"}
	case !active:
		return &verify.Error{Reason: ReasonRevoked, Detail: "the issuer says that the token is not active: it was revoked, has expired, or was never issued"}
	case t.Issuer != "" && t.Issuer != c.cfg.Issuer:
		return &verify.Error{Reason: verify.ReasonUnknownIssuer, Detail: "the answer names another issuer"}
	case !isAccessToken(t):
		return &verify.Error{Reason: verify.ReasonTokenType, Detail: "the answer says that it is no access token"}
	case expired:
		return &verify.Error{Reason: verify.ReasonExpired, Detail: "exp has passed"}
	case t.NotBefore != 0 && now.Before(time.Unix(t.NotBefore, 0).Add(-leeway)):
		return &verify.Error{Reason: verify.ReasonNotYetValid, Detail: "nbf is in the future"}
	}
	return nil
}

// hadExpired reports whether the facts that were known say that the token is too old.
func (e *entry) hadExpired(now time.Time) bool {
	return e != nil && e.token != nil && !now.Before(time.Unix(e.token.Expires, 0))
}

// isAccessToken reports whether nothing in the answer says that the token is one
// of another sort: endpoints answer about refresh tokens too. token_type is how the
// token is used (RFC 6749 section 7.1), typ and token_use are what Keycloak and
// Cognito call its sort. A DPoP token without the thumbprint of its key cannot be
// checked, so it is not taken for one that needs no proof.
func isAccessToken(t *verify.Token) bool {
	for _, name := range [...]string{"token_type", "typ", "token_use"} {
		v, has := t.Claim(name)
		if !has {
			continue
		}
		s, ok := v.(string)
		if !ok {
			return false
		}
		switch s = strings.ToLower(s); s {
		case "bearer", "access_token", "access", "at+jwt", "jwt", "urn:ietf:params:oauth:token-type:access_token":
		case "dpop":
			if t.KeyThumbprint == "" {
				return false
			}
		default:
			return false
		}
	}
	return true
}

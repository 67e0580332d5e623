package authserver

import (
	"crypto/rand"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/issued"
)

const partner = "https://partner.test"

// voucherHouse is a service that may bring assertions of a partner about people.
type voucherHouse struct {
	*signIn
	signer *signer
}

func newVoucher(t testing.TB) *voucherHouse {
	t.Helper()
	h := &voucherHouse{signer: newSigner(t)}
	h.signIn = newSignIn(t, func(a *access.App) {
		a.GrantTypes, a.OIDC = []string{access.GrantJWTBearer}, access.OIDC{ApplicationType: access.AppService}
		a.Extension.Issuers = []access.TrustedIssuer{{Issuer: partner, Keys: h.signer.jwks(t)}}
	})
	return h
}

// bring sends an assertion, changed by members; nil takes one out.
func (h *voucherHouse) bring(header, members map[string]any, pairs ...string) answer {
	h.t.Helper()
	now := h.clock.Now().Unix()
	head := map[string]any{"alg": "ES256", "kid": "ec"}
	c := map[string]any{"iss": partner, "sub": "ANA@acme.test", "aud": h.url + "/oauth2/default/v1/token", "iat": now, "exp": now + 300, "jti": newID()}
	maps.Copy(head, header)
	maps.Copy(c, members)
	for _, m := range []map[string]any{head, c} {
		maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	}
	return h.present(h.signer.sign(h.t, head, c), pairs...)
}

func (h *voucherHouse) present(assertion string, pairs ...string) answer {
	h.t.Helper()
	return h.post(url.Values{"grant_type": {access.GrantJWTBearer}, "assertion": {assertion}, "scope": {"orders:read"}}, pairs...)
}

// newID returns a jti that no other assertion has.
func newID() string { return rand.Text() }

// RFC 7523 section 2.1: what a good assertion gives, and that it is a grant like others.
func TestJWTBearer(t *testing.T) {
	h := newVoucher(t)
	got := h.bring(nil, nil).ok(t)
	token := claims(t, got.text("access_token"), 1)
	if token["uid"] != h.user.ID || token["sub"] != "ana" || token["cid"] != h.app.ID || got.text("refresh_token") != "" || got.text("id_token") != "" {
		t.Errorf("%s %v", got.body, token)
	}
	h.bring(map[string]any{"alg": "RS256", "kid": "rsa", "typ": "JWT"}, map[string]any{"aud": h.url + "/oauth2/default"}).ok(t)
	_, err := h.grants.Revoke(h.ctx, issued.Selection{User: h.user.ID})
	must(t, err)
	if h.active(h.app, got.text("access_token")) {
		t.Error("the token outlives what the person takes back")
	}
	// By id, where the issuer says so.
	h.extend(h.app.ID, access.Extension{Issuers: []access.TrustedIssuer{{Issuer: partner, Keys: h.signer.jwks(t), Subject: access.SubjectID}}})
	h.bring(nil, nil).want(t, http.StatusBadRequest, "invalid_grant")
	h.bring(nil, map[string]any{"sub": h.user.ID}).ok(t)
}

// attack identity 31, 35: what an assertion must not be.
func TestJWTBearerRefuses(t *testing.T) {
	h := newVoucher(t)
	now := h.clock.Now().Unix()
	for name, x := range map[string]struct {
		header, members map[string]any
		pairs           []string
		code            string
	}{
		"none":                    {pairs: []string{"assertion", ""}, code: "invalid_request"},
		"no JWT":                  {pairs: []string{"assertion", "x"}, code: "invalid_grant"},
		"another issuer":          {members: map[string]any{"iss": "https://evil.test"}, code: "invalid_grant"},
		"the client itself":       {members: map[string]any{"iss": h.app.ID}, code: "invalid_grant"},
		"no issuer":               {members: map[string]any{"iss": nil}, code: "invalid_grant"},
		"no subject":              {members: map[string]any{"sub": nil}, code: "invalid_grant"},
		"nobody":                  {members: map[string]any{"sub": "nobody@acme.test"}, code: "invalid_grant"},
		"alg none":                {header: map[string]any{"alg": "none"}, code: "invalid_grant"},
		"HS256 by the public key": {header: map[string]any{"alg": "HS256", "kid": "rsa"}, code: "invalid_grant"},
		"the other key":           {header: map[string]any{"kid": "rsa"}, code: "invalid_grant"},
		"an unknown key":          {header: map[string]any{"kid": "x"}, code: "invalid_grant"},
		"an access token":         {header: map[string]any{"typ": "at+jwt"}, code: "invalid_grant"},
		"a proof":                 {header: map[string]any{"typ": "dpop+jwt"}, code: "invalid_grant"},
		"another audience":        {members: map[string]any{"aud": "https://id.other.test/token"}, code: "invalid_grant"},
		"two audiences":           {members: map[string]any{"aud": []string{h.url + "/oauth2/default", "https://id.other.test"}}, code: "invalid_grant"},
		"no audience":             {members: map[string]any{"aud": nil}, code: "invalid_grant"},
		"no expiry":               {members: map[string]any{"exp": nil}, code: "invalid_grant"},
		"expired":                 {members: map[string]any{"exp": now - 31}, code: "invalid_grant"},
		"for too long":            {members: map[string]any{"exp": now + 3700}, code: "invalid_grant"},
		"from the future":         {members: map[string]any{"iat": now + 60}, code: "invalid_grant"},
		"not yet":                 {members: map[string]any{"nbf": now + 60}, code: "invalid_grant"},
		"no id":                   {members: map[string]any{"jti": nil}, code: "invalid_grant"},
		"openid":                  {pairs: []string{"scope", "openid"}, code: "invalid_scope"},
		"offline access":          {pairs: []string{"scope", "offline_access"}, code: "invalid_scope"},
		"an unknown scope":        {pairs: []string{"scope", "x:y"}, code: "invalid_scope"},
		"an unknown resource":     {pairs: []string{"resource", hr}, code: "invalid_target"},
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			if len(x.pairs) > 0 && x.pairs[0] == "assertion" {
				h.present("x", x.pairs...).want(t, http.StatusBadRequest, x.code)
				return
			}
			h.bring(x.header, x.members, x.pairs...).want(t, http.StatusBadRequest, x.code)
		})
	}
	h.t = t
	// What changes about the person and the rules is asked as everywhere.
	must(t, h.access.UnassignUser(h.ctx, h.admin, h.app.ID, h.user.ID))
	h.bring(nil, nil).want(t, http.StatusBadRequest, "access_denied")
	_, err := h.access.AssignUser(h.ctx, h.admin, access.AppUser{App: h.app.ID, User: h.user.ID})
	must(t, err)
	h.bring(nil, nil).ok(t)
	must(t, h.people.SetStatus(h.ctx, h.admin, h.user.ID, directory.Suspended))
	h.bring(nil, nil).want(t, http.StatusBadRequest, "invalid_grant")
}

// attack identity 35: of 32 requests with the same assertion one gets a token.
func TestJWTBearerOnce(t *testing.T) {
	h := newVoucher(t)
	now := h.clock.Now().Unix()
	assertion := h.signer.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, map[string]any{
		"iss": partner, "sub": "ana@acme.test", "aud": h.url + "/oauth2/default", "exp": now + 60, "jti": "once",
	})
	var wg sync.WaitGroup
	var given atomic.Int32
	for range 32 {
		wg.Go(func() {
			if h.present(assertion).status == http.StatusOK {
				given.Add(1)
			}
		})
	}
	wg.Wait()
	if given.Load() != 1 {
		t.Errorf("%d of 32 got a token", given.Load())
	}
	h.clock.Advance(89 * time.Second)
	h.present(assertion).want(t, http.StatusBadRequest, "invalid_grant")
}

func TestTrustedIssuersAreChecked(t *testing.T) {
	h := newVoucher(t)
	for name, list := range map[string][]access.TrustedIssuer{
		"no keys":       {{Issuer: partner}},
		"no issuer":     {{Keys: h.signer.jwks(t)}},
		"twice":         {{Issuer: partner, Keys: h.signer.jwks(t)}, {Issuer: partner, Keys: h.signer.jwks(t)}},
		"a private key": {{Issuer: partner, Keys: append(h.signer.jwks(t), []byte(`{"kty":"oct","kid":"x","k":"AAAA"}`))}},
		"no JWK":        {{Issuer: partner, Keys: append(h.signer.jwks(t), []byte(`7`))}},
		"a subject":     {{Issuer: partner, Keys: h.signer.jwks(t), Subject: "email"}},
	} {
		_, err := h.access.ChangeApp(h.ctx, h.admin, h.app.ID, access.AppChange{Change: func(a *access.App) error {
			a.Extension.Issuers = list
			return nil
		}})
		if err == nil {
			t.Errorf("%s: stored", name)
		}
	}
}

package authserver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// attack identity 30: a pushed request is its client's and its server's, until it is over;
// whoever tries it in vain does not use it up.
func TestPushedRequestIsBound(t *testing.T) {
	s := newSignIn(t, nil)
	other := s.house.app("Other")
	o, err := s.access.App(s.ctx, other.ID)
	must(t, err)
	o.Value.GrantTypes = []string{access.GrantAuthorizationCode}
	o.Value.OIDC = access.OIDC{ApplicationType: access.AppWeb, RedirectURIs: []string{callback}}
	s.putApp(other.ID, o.Value)
	push := func() string {
		t.Helper()
		got := s.form("/oauth2/default/v1/par", s.app.ID, s.app.Secret, url.Values{
			"redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid orders:read"}, "code_challenge": {keys.Challenge(verifier)}, "code_challenge_method": {"S256"},
		})
		if got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
		return got.text("request_uri")
	}
	// begun reports whether the authorization endpoint takes a request.
	begun := func(server, client, uri string) bool {
		t.Helper()
		got := s.call(http.MethodGet, server+"/v1/authorize?"+url.Values{"client_id": {client}, "request_uri": {uri}}.Encode(), "")
		if got.status != http.StatusSeeOther && got.status != http.StatusBadRequest {
			t.Errorf("%d %s", got.status, got.body)
		}
		return got.status == http.StatusSeeOther
	}
	uri := push()
	for what, x := range map[string][3]string{
		"another client":       {"/oauth2/default", other.ID, uri},
		"another server":       {"/oauth2", s.app.ID, uri},
		"nobody":               {"/oauth2/default", "", uri},
		"a name that is cut":   {"/oauth2/default", s.app.ID, uri[:len(uri)-1]},
		"a name with more":     {"/oauth2/default", s.app.ID, uri + "A"},
		"no name":              {"/oauth2/default", s.app.ID, requestURI},
		"what is kept of it":   {"/oauth2/default", s.app.ID, requestURI + keys.Hash(strings.TrimPrefix(uri, requestURI))},
		"an address elsewhere": {"/oauth2/default", s.app.ID, "https://evil.test/request"},
	} {
		if begun(x[0], x[1], x[2]) {
			t.Errorf("%s: the request is taken", what)
		}
	}
	if !begun("/oauth2/default", s.app.ID, uri) {
		t.Error("the request of the client itself is refused")
	}
	if begun("/oauth2/default", s.app.ID, uri) {
		t.Error("taken a second time")
	}
	early, late := push(), push()
	if early == late {
		t.Error("one name twice")
	}
	s.clock.Advance(pushedTime - time.Nanosecond)
	if !begun("/oauth2/default", s.app.ID, early) {
		t.Error("over too early")
	}
	s.clock.Advance(time.Nanosecond)
	if begun("/oauth2/default", s.app.ID, late) {
		t.Error("taken when it was over")
	}
}

// Of a pushed request that is refused nothing is kept, not even the proof that it came with;
// one proof is good for one that is taken.
func TestProofOfPushedRequest(t *testing.T) {
	s := newSignIn(t, nil)
	k := newProofKey(t)
	nonce := s.nonce(k)
	proof := k.proof(s, nonce, nil, map[string]any{"htu": s.url + "/oauth2/default/v1/par"})
	push := func(scope string) answer {
		t.Helper()
		v := url.Values{"redirect_uri": {callback}, "response_type": {"code"}, "scope": {scope}, "code_challenge": {keys.Challenge(verifier)}, "code_challenge_method": {"S256"}}
		return s.call(http.MethodPost, "/oauth2/default/v1/par", v.Encode(), "Authorization", basic(s.app.ID, s.app.Secret), "DPoP", proof)
	}
	push("no:such").want(t, http.StatusBadRequest, "invalid_scope")
	if got := push("openid"); got.status != http.StatusCreated {
		t.Errorf("%d %s", got.status, got.body)
	}
	push("openid").want(t, http.StatusBadRequest, "invalid_dpop_proof")
}

// The authorization endpoint is navigated to: no page may read what it answers (FAPI 2.0
// Security Profile section 5.2.2), whoever's it is; and browsers keep to TLS where there is
// any.
func TestAuthorizationEndpointIsOfNoOrigin(t *testing.T) {
	h := newHouse(t)
	c := h.config
	c.Origins = everyOrigin{}
	c.Site = func(*http.Request) (Site, bool) {
		return Site{Tenant: tenant.Default, URL: "https://id.acme.test"}, true
	}
	server, err := New(c)
	must(t, err)
	for path, open := range map[string]bool{"/oauth2/default/v1/authorize": false, "/oauth2/default/v1/logout": false, "/oauth2/default/v1/par": false, "/oauth2/default/v1/token": true, "/oauth2/default/v1/keys": true} {
		for _, method := range []string{http.MethodOptions, http.MethodGet, http.MethodPost} {
			r := httptest.NewRequestWithContext(h.ctx, method, path, http.NoBody)
			r.Header.Set("Origin", "https://app.test")
			r.Header.Set("Access-Control-Request-Method", "POST")
			w := httptest.NewRecorder()
			server.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin") != ""; got != open {
				t.Errorf("%s %s may be read by pages: %t", method, path, got)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" || !strings.HasPrefix(w.Header().Get("Strict-Transport-Security"), "max-age=") {
				t.Errorf("%s %s: %v", method, path, w.Header())
			}
		}
	}
}

// everyOrigin trusts all.
type everyOrigin struct{}

func (everyOrigin) AllowsOrigin(context.Context, string) (bool, error) { return true, nil }

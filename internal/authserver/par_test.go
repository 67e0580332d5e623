package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/keys"
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

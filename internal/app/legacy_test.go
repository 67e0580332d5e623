package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// legacyApp makes an app with grant types of OAuth 2.0 that are off unless somebody
// turns them on.
func (p *program) legacyApp(redirect string) (id, secret string) {
	p.t.Helper()
	a := p.okta(http.MethodPost, "/api/v1/apps", `{"name":"oidc_client","label":"Old app","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_post"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"web","consent_method":"TRUSTED","redirect_uris":["`+redirect+`"],
			"grant_types":["authorization_code","implicit","password","refresh_token"],"response_types":["code","token","id_token"]}}}`)
	client, _ := a.json(p.t)["credentials"].(map[string]any)
	oauth, _ := client["oauthClient"].(map[string]any)
	id, _ = oauth["client_id"].(string)
	secret, _ = oauth["client_secret"].(string)
	if id == "" || secret == "" {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return id, secret
}

// The password grant (RFC 6749 section 4.3) for an app that has it, and the bounds of
// guessing that it shares with the page. attack identity 63: ten attempts over all
// names of a person and both ways, and the same answer for who does not exist.
func TestPasswordGrant(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	id, secret := p.legacyApp("https://old.test/callback")
	ask := func(name, password string) (int, map[string]any) {
		return p.tokenRequest(url.Values{
			"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {name}, "password": {password},
			"scope": {"openid offline_access vacations:read"},
		})
	}
	status, got := ask(ana.Login, ana.Password)
	if status != http.StatusOK || got["refresh_token"] == nil || got["id_token"] == nil {
		t.Fatalf("%d %v", status, got)
	}
	token, _ := got["access_token"].(string)
	if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
		t.Errorf("the API answers %d %s", a.Status, a.Body)
	}
	// What needs a second factor says so: a password is all there was.
	step := p.call(http.MethodPut, "/hr/direct-deposit/ana", token)
	if step.Status == http.StatusOK {
		t.Error("a password is as good as two factors")
	}
	refresh, _ := got["refresh_token"].(string)
	if status, got := p.tokenRequest(url.Values{"grant_type": {"refresh_token"}, "client_id": {id}, "client_secret": {secret}, "refresh_token": {refresh}}); status != http.StatusOK {
		t.Errorf("refresh: %d %v", status, got)
	}
	// Apps that do not have it, and requests that lack something.
	if status, got := p.tokenRequest(url.Values{"grant_type": {"password"}, "username": {ana.Login}, "password": {ana.Password}}); status != 400 || got["error"] != "unauthorized_client" {
		t.Errorf("the demo's service: %d %v", status, got)
	}
	if status, got := ask(ana.Login, ""); status != 400 || got["error"] != "invalid_request" {
		t.Errorf("no password: %d %v", status, got)
	}
	texts := map[string]bool{}
	refused := func(name, password string) {
		status, got := ask(name, password)
		if status != http.StatusBadRequest || got["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", name, status, got)
		}
		texts[fmt.Sprint(got["error_description"])] = true
	}
	refused("nobody@example.com", "a guess")
	for i := range 10 { // under any spelling of the name
		refused([]string{ana.Login, strings.ToUpper(ana.Login)}[i%2], "a guess")
	}
	refused(ana.Login, ana.Password) // right, and too late
	if len(texts) != 1 || !texts["The credentials provided were invalid."] {
		t.Errorf("the answers tell apart: %v", texts)
	}
	// The page rests as well.
	c := p.browserApp()
	b := p.browser(t)
	b.signIn(b.get(authorizePath+"?"+c.request().Encode()), ana.Login, ana.Password).has(t, http.StatusUnauthorized, "signing in rests")
}

// The implicit flow (RFC 6749 section 4.2, OpenID Connect Core section 3.2) for an app
// that has it. attack identity 7: for every other it does not exist.
func TestImplicit(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	const redirect = "https://old.test/callback"
	id, _ := p.legacyApp(redirect)
	old := &relyingApp{id: id, redirect: redirect}
	request := func(types string, pairs ...string) string {
		q := old.request(append([]string{"response_type", types, "code_challenge", "", "code_challenge_method", "", "nonce", "n1"}, pairs...)...)
		return authorizePath + "?" + q.Encode()
	}
	b := p.browser(t)
	first := b.signIn(b.get(request("token")), ana.Login, ana.Password)
	got := old.answer(t, first)
	if !strings.HasPrefix(first.Header.Get("Location"), redirect+"#") || got.Get("access_token") == "" || got.Get("id_token") != "" || got.Get("code") != "" ||
		got.Get("token_type") != "Bearer" || got.Get("expires_in") == "" || got.Get("iss") != p.Ready().Demo.Issuer || got.Get("state") != "a state" {
		t.Fatalf("%v", got)
	}
	if a := p.call(http.MethodGet, "/hr/vacations/ana", got.Get("access_token")); a.Status != http.StatusOK {
		t.Errorf("the API answers %d %s", a.Status, a.Body)
	}
	if got := old.answer(t, b.get(request("id_token token"))); got.Get("access_token") == "" || got.Get("id_token") == "" {
		t.Errorf("both: %v", got)
	}
	if got := old.answer(t, b.get(request("id_token"))); got.Get("access_token") != "" || got.Get("id_token") == "" {
		t.Errorf("who it is: %v", got)
	}
	for name, x := range map[string]struct {
		types string
		pairs []string
		code  string
	}{
		"no nonce":            {"id_token", []string{"nonce", ""}, "invalid_request"},
		"no openid":           {"id_token", []string{"scope", "vacations:read"}, "invalid_request"},
		"tokens in the query": {"token", []string{"response_mode", "query"}, "invalid_request"},
		"hybrid":              {"code id_token", nil, "unsupported_response_type"},
		"twice":               {"token token", nil, "unsupported_response_type"},
		"none":                {"none", nil, "unsupported_response_type"},
	} {
		s := b.get(request(x.types, x.pairs...))
		if got := old.answer(t, s); got.Get("error") != x.code || got.Get("access_token") != "" || got.Get("id_token") != "" {
			t.Errorf("%s: %v", name, got)
		}
	}
	c := p.browserApp()
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("response_type", "token").Encode())); got.Get("error") != "unsupported_response_type" {
		t.Errorf("an app without it: %v", got)
	}
}

package app_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oauth2-proxy, which others have written, signs people in at our server: by discovery, a
// code with PKCE, nonce and ID token, refreshes what it was given, and has no way in for
// an answer that another browser has, one that was changed, or a session that was ended here.
func TestOAuth2Proxy(t *testing.T) {
	bin, err := filepath.Abs("../../bin/oauth2-proxy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		missing(t, "bin/oauth2-proxy is not built: make bin/oauth2-proxy")
	}
	p := start(t, "")
	up := echoUpstream(t, nil)
	address := freeAddress(t)
	app := p.okta("POST", "/api/v1/apps", `{"name":"oidc_client","label":"intranet","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_basic"}},
		"settings":{"oauthClient":{"application_type":"web","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"consent_method":"TRUSTED","redirect_uris":["http://`+address+`/oauth2/callback"]}}}`).json(t)
	id, _ := app["id"].(string)
	secret, _ := at(app, "credentials", "oauthClient", "client_secret").(string)
	ana := p.Ready().Demo.Users[0]
	user, _ := p.okta("GET", "/api/v1/users/"+ana.Login, "").json(t)["id"].(string)
	p.okta("POST", "/api/v1/apps/"+id+"/users", `{"id":"`+user+`","scope":"USER"}`)

	front := runFront(t, "oauth2-proxy", address, bin, "--provider=oidc", "--oidc-issuer-url="+p.Ready().Identity+"/oauth2/default",
		"--client-id="+id, "--client-secret="+secret, "--redirect-url=http://"+address+"/oauth2/callback", "--http-address="+address, "--upstream="+up.URL,
		"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-secure=false", "--cookie-refresh=1s", "--email-domain=example.com",
		"--code-challenge-method=S256", "--insecure-oidc-skip-nonce=false", "--skip-provider-button", "--pass-access-token", "--scope=openid profile email offline_access", "--standard-logging=false")
	b := p.browser(t)
	visit := func(b *browser, address string) *seen {
		t.Helper()
		b.base = front
		return b.get(address)
	}
	to := visit(b, front+"/reports").Header.Get("Location")
	for _, part := range []string{p.Ready().Identity + "/oauth2/default/v1/authorize?", "code_challenge_method=S256", "nonce=", "client_id=" + id} {
		if !strings.Contains(to, part) {
			t.Fatalf("led to %q without %q", to, part)
		}
	}
	b.base = p.Ready().Identity
	back := b.signIn(b.get(to), ana.Login, ana.Password).Header.Get("Location")
	if !strings.HasPrefix(back, front+"/oauth2/callback?code=") {
		t.Fatalf("back by %q", back)
	}
	changed := strings.Replace(back, "code=", "code=x", 1)
	if got := visit(b, changed); got.StatusCode < 400 {
		t.Errorf("another code: %d", got.StatusCode)
	}
	if got := visit(p.browser(t), back); got.StatusCode < 400 {
		t.Errorf("another browser: %d", got.StatusCode)
	}
	got := visit(b, back)
	got.has(t, 200)
	var told struct {
		Path    string
		Headers http.Header
	}
	if err := json.Unmarshal([]byte(got.body), &told); err != nil || told.Path != "/reports" || told.Headers.Get("X-Forwarded-Email") != ana.Login {
		t.Fatalf("the page behind is told %v, %v", told, err)
	}
	token := told.Headers.Get("X-Forwarded-Access-Token")
	info := p.request(http.MethodGet, p.Ready().Identity+"/oauth2/default/v1/userinfo", token, "")
	if info.Status != 200 || !strings.Contains(info.Body, user) {
		t.Errorf("userinfo with its token: %d %s", info.Status, info.Body)
	}
	eventually(t, "it to refresh", func() bool {
		_ = json.Unmarshal([]byte(visit(b, front+"/reports").body), &told)
		return told.Headers.Get("X-Forwarded-Access-Token") != token
	})
	// What was granted is withdrawn: it cannot refresh, and asks for a sign-in.
	if a := p.okta("DELETE", "/api/v1/users/"+user+"/clients/"+id+"/tokens", ""); a.Status != 204 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	eventually(t, "it to ask again", func() bool {
		return strings.HasPrefix(visit(b, front+"/reports").Header.Get("Location"), p.Ready().Identity)
	})
}

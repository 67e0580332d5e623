package app_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

// nativeApp is an app of somebody else for people's own machines, as its developer
// registers it: with no secret, and no port.
func (p *program) nativeApp(redirects string) oauth2.Config {
	p.t.Helper()
	app := p.okta("POST", "/api/v1/apps", `{"name":"oidc_client","label":"Sheet editor","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"none","pkce_required":true}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"native","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"consent_method":"REQUIRED","redirect_uris":[`+redirects+`]}}}`).json(p.t)
	id, _ := app["id"].(string)
	base := p.Ready().Identity + "/oauth2/default/v1/"
	return oauth2.Config{ClientID: id, Endpoint: oauth2.Endpoint{AuthURL: base + "authorize", TokenURL: base + "token", AuthStyle: oauth2.AuthStyleInParams}, Scopes: []string{"openid", "vacations:read", "offline_access"}}
}

// A native app signs a person in as RFC 8252 says, with the client library of others: it
// listens on a port that it gets from the system, on either loopback address, and proves
// with PKCE that the code is for it. The person is asked, and sees where the answer goes.
func TestNativeAppWithGoClient(t *testing.T) {
	p := start(t, "")
	config := p.nativeApp(`"http://127.0.0.1/cb","http://[::1]/cb"`)
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	for i, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", loopback)
		if err != nil {
			t.Skipf("this machine has no %s: %v", loopback, err)
		}
		codes := make(chan url.Values, 1)
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { codes <- r.URL.Query() })}}
		server.Start()
		defer server.Close()
		config.RedirectURL = server.URL + "/cb"
		verifier := oauth2.GenerateVerifier()
		page := b.get(config.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier)))
		if i == 0 {
			page = b.signIn(page, ana.Login, ana.Password)
			page.has(t, 200, "Allow Sheet editor to do this?", "127.0.0.1")
			page = b.post(page, "step", "consent", "shown", "vacations:read", "shown", "offline_access")
		}
		to := page.Header.Get("Location")
		if !strings.HasPrefix(to, config.RedirectURL+"?") {
			t.Fatalf("led to %q: %d\n%s", to, page.StatusCode, page.body)
		}
		b.only(to) // the browser calls the app
		got := <-codes
		if got.Get("state") != "st" || got.Get("iss") == "" {
			t.Errorf("the answer %v", got)
		}
		token, err := config.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil || token.RefreshToken == "" {
			t.Fatalf("%v %v", token, err)
		}
		old := token.AccessToken
		token.Expiry = token.Expiry.AddDate(-1, 0, 0)
		if token, err = config.TokenSource(t.Context(), token).Token(); err != nil || token.AccessToken == old {
			t.Errorf("refreshed %v, %v", token, err)
		}
	}
}

// Of the address only the port is free, and only on the literal loopback addresses that
// are registered (attack identity 1, 4); without PKCE there is no code, and a code without its
// verifier is worth nothing.
func TestNativeAppAddresses(t *testing.T) {
	p := start(t, "")
	config := p.nativeApp(`"http://127.0.0.1/cb"`)
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	verifier := oauth2.GenerateVerifier()
	ask := func(redirect string, more ...oauth2.AuthCodeOption) *seen {
		c := config
		c.RedirectURL = redirect
		return b.get(c.AuthCodeURL("st", more...))
	}
	for _, bad := range []string{
		"http://127.0.0.1:49152/cb/", "http://127.0.0.1:49152/CB", "http://127.0.0.1:49152/cb?x=1", "http://127.0.0.1:49152/cb#x", "http://127.0.0.1:49152/cb/../cb", "http://127.0.0.1:49152/",
		"http://[::1]:49152/cb", "http://localhost:49152/cb", "https://127.0.0.1:49152/cb", "http://127.0.0.1.evil.test:49152/cb", "http://127.0.0.1:49152@evil.test/cb", "http://evil.test:127.0.0.1/cb",
		"http://127.0.0.2:49152/cb", "http://127.1:49152/cb", "http://0x7f000001:49152/cb", "http://127.0.0.1:49152:80/cb", "http://127.0.0.1:x/cb", "http://127.0.0.1:70000/cb", "http://127.0.0.1:/cb", "com.evil:/cb",
	} {
		if got := ask(bad, oauth2.S256ChallengeOption(verifier)); got.StatusCode != 400 || got.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", bad, got.StatusCode, got.Header.Get("Location"))
		}
	}
	good := "http://127.0.0.1:49152/cb"
	if to := ask(good).Header.Get("Location"); !strings.Contains(to, "error=invalid_request") {
		t.Errorf("without PKCE: %q", to)
	}
	page := b.signIn(ask(good, oauth2.S256ChallengeOption(verifier)), ana.Login, ana.Password)
	code := func(page *seen) string {
		t.Helper()
		to, err := url.Parse(page.Header.Get("Location"))
		if err != nil || to.Query().Get("code") == "" {
			t.Fatalf("%v %v", to, err)
		}
		return to.Query().Get("code")
	}
	code(b.post(page, "step", "consent", "shown", "vacations:read", "shown", "offline_access"))
	config.RedirectURL = good
	other := config
	other.RedirectURL = "http://127.0.0.1:49153/cb" // the port of the request, not any
	for name, try := range map[string]func(context.Context, string) error{
		"no verifier": func(ctx context.Context, code string) error { _, err := config.Exchange(ctx, code); return err },
		"another verifier": func(ctx context.Context, code string) error {
			_, err := config.Exchange(ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
			return err
		},
		"another port": func(ctx context.Context, code string) error {
			_, err := other.Exchange(ctx, code, oauth2.VerifierOption(verifier))
			return err
		},
	} {
		if err := try(t.Context(), code(ask(good, oauth2.S256ChallengeOption(verifier)))); err == nil {
			t.Errorf("%s: tokens for it", name)
		}
	}
	if _, err := config.Exchange(t.Context(), code(ask(good, oauth2.S256ChallengeOption(verifier))), oauth2.VerifierOption(verifier)); err != nil {
		t.Errorf("as it should be: %v", err)
	}
}

// Any app of a telephone can claim the scheme of another one: what the person has agreed to
// once says nothing of who asks now (RFC 8252 section 8.6).
func TestConsentToASchemeIsNotRemembered(t *testing.T) {
	p := start(t, "")
	config := p.nativeApp(`"com.example.sheet:/cb"`)
	config.RedirectURL = "com.example.sheet:/cb"
	ana, challenge := p.Ready().Demo.Users[0], oauth2.S256ChallengeOption(oauth2.GenerateVerifier())
	b := p.browser(t)
	b.signIn(b.get("/account"), ana.Login, ana.Password)
	for range 2 {
		page := b.get(config.AuthCodeURL("st", challenge))
		page.has(t, 200, "Allow Sheet editor to do this?", "comes each time")
		if to := b.get(config.AuthCodeURL("st", challenge, oauth2.SetAuthURLParam("prompt", "none"))).Header.Get("Location"); !strings.Contains(to, "error=consent_required") {
			t.Errorf("silently: %q", to)
		}
		to := b.post(page, "step", "consent", "shown", "vacations:read", "shown", "offline_access").Header.Get("Location")
		if !strings.HasPrefix(to, config.RedirectURL+"?code=") {
			t.Errorf("led to %q", to)
		}
	}
	b.get("/account").has(t, 200, "Sheet editor")
}

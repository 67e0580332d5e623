package access

import (
	"strings"
	"testing"
)

func TestDocumentHost(t *testing.T) {
	for address, want := range map[string]string{
		"https://claude.test/oauth/client":                "claude.test",
		"https://a.b.test:8443/x":                         "a.b.test",
		"https://claude.test":                             "",
		"https://claude.test/":                            "",
		"https://claude.test/a?b":                         "",
		"https://claude.test/a?":                          "",
		"https://claude.test/a#":                          "",
		"https://claude.test/a#b":                         "",
		"https://claude.test/a/../b":                      "",
		"https://claude.test/./b":                         "",
		"https://claude.test/%2E%2e/b":                    "",
		"https://good@evil.test/a":                        "", // attack identity 2
		`https://good.test\@evil.test/a`:                  "", // attack identity 3
		"https://good.test\u3002evil.test/a":              "",
		"https://Claude.test/a":                           "",
		"https://claude.test:443/a":                       "",
		"https://claude.test./a":                          "",
		"https://10.0.0.1/a":                              "",
		"https://[2606:4700::1]/a":                        "",
		"https://intranet/a":                              "",
		"http://claude.test/a":                            "",
		"ftp://claude.test/a":                             "",
		"https:claude.test/a":                             "",
		"https://claude.test/" + strings.Repeat("a", 200): "",
	} {
		if host, ok := DocumentHost(address, false); host != want || ok != (want != "") {
			t.Errorf("%s: %q %v", address, host, ok)
		}
	}
	for _, address := range []string{"http://127.0.0.1:8000/a", "http://[::1]/a", "http://localhost/a"} {
		if _, ok := DocumentHost(address, true); !ok {
			t.Errorf("%s is refused in development", address)
		}
		if _, ok := DocumentHost(address, false); ok {
			t.Errorf("%s is taken outside of it", address)
		}
	}
}

// A name that is as long as one likes never hides the host that answers for it.
func TestDocumentLabel(t *testing.T) {
	for _, name := range []string{"", "Notes", strings.Repeat("Bank ", 100), strings.Repeat("é", 200), "a\u0000b\nc", strings.Repeat(" ", 300)} {
		label := documentLabel(name, "evil.test")
		if len(label) > 100 || !strings.HasSuffix(strings.TrimSuffix(label, ")"), "evil.test") || strings.ContainsFunc(label, isControl) {
			t.Errorf("%q: %q", name, label)
		}
	}
}

func FuzzReadDocument(f *testing.F) {
	const address = "https://notes.test/client"
	f.Add(`{"client_id":"https://notes.test/client","client_name":"Notes","redirect_uris":["https://notes.test/cb","http://127.0.0.1/cb","notes.app:/cb"],"grant_types":["authorization_code","refresh_token"]}`)
	f.Add(`{"client_id":"https://notes.test/client","redirect_uris":["https://notes.test/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://notes.test/keys"}`)
	f.Add(`{"client_id":"https://notes.test/client","client_secret":null,"redirect_uris":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		d, wrong := ReadDocument(address, []byte(body))
		if wrong != "" {
			return
		}
		app := newDocumentApp()
		d.onto(&app, address)
		app = app.fill()
		if err := checkApp(app); err != nil {
			t.Fatalf("what is read is no app: %v", err)
		}
		if app.WithSecret() || app.MayUse(GrantClientCredentials) || !app.OIDC.PKCERequired || app.OIDC.ConsentMethod != ConsentAsk || !strings.Contains(app.Label, "notes.test") {
			t.Fatalf("%+v", app)
		}
	})
}

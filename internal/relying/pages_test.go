package relying

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/relying/issuertest"
)

func TestLogout(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	b.signIn("/")
	for name, header := range map[string][]string{
		"another site":            {"Sec-Fetch-Site", "cross-site"},
		"a neighbour":             {"Sec-Fetch-Site", "same-site"},
		"another site, by Origin": {"Origin", "https://evil.test"},
		"nobody says":             {},
	} {
		if res := b.send(http.MethodPost, e.Path()+"logout", "", header...); res.StatusCode != http.StatusForbidden || b.session() == nil {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if res := b.get(e.Path() + "logout"); res.StatusCode != http.StatusMethodNotAllowed || b.session() == nil {
		t.Errorf("a link: %d", res.StatusCode)
	}
	id := b.session().tokens.Load().id
	res := b.send(http.MethodPost, e.Path()+"logout", "", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "navigate")
	to, _ := url.Parse(res.Header.Get("Location"))
	q := to.Query()
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to.String(), e.issuer.URL+"/end?") || q.Get("id_token_hint") != id ||
		q.Get("post_logout_redirect_uri") != e.site.URL+"/.gatehouse/okta/signed-out" {
		t.Fatalf("%d to %v", res.StatusCode, to)
	}
	if b.cookie() != "" || e.cfg.Sessions.Len() != 0 || e.issuer.Count("/revoke") != 1 {
		t.Errorf("cookie %q, %d sessions, %d revocations", b.cookie(), e.cfg.Sessions.Len(), e.issuer.Count("/revoke"))
	}
	if res := b.get(b.get(to.String()).Header.Get("Location")); res.StatusCode != http.StatusOK || !strings.Contains(res.body, "signed out") {
		t.Errorf("back: %d %s", res.StatusCode, res.body)
	}
	// A script is told where to go, also when nobody was signed in.
	b.signIn("/")
	var out struct{ Location string }
	res = b.send(http.MethodPost, e.Path()+"logout", "", "Origin", e.site.URL)
	if json.Unmarshal([]byte(res.body), &out) != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(out.Location, e.issuer.URL+"/end?") {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	res = b.send(http.MethodPost, e.Path()+"logout", "", "Sec-Fetch-Site", "same-origin")
	if json.Unmarshal([]byte(res.body), &out) != nil || out.Location != "/.gatehouse/okta/signed-out" {
		t.Errorf("nobody: %d %s", res.StatusCode, res.body)
	}
}

func TestBackChannelLogout(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) { s.SID = "sid-1" })
	now := e.clock.now()
	post := func(token string) seen {
		return e.browser().send(http.MethodPost, e.Path()+"backchannel-logout", url.Values{"logout_token": {token}}.Encode())
	}
	for name, over := range map[string]map[string]any{
		"another issuer":      {"iss": "https://evil.test"},
		"another client":      {"aud": "other"},
		"no event":            {"events": map[string]any{}},
		"another event":       {"events": map[string]any{"https://schemas.test/other": map[string]any{}}},
		"an event of text":    {"events": map[string]any{logoutEvent: "x"}},
		"a nonce":             {"nonce": "n"},
		"neither sub nor sid": {"sid": nil},
		"no iat":              {"iat": nil},
		"an old one":          {"iat": now.Add(-logoutAge - time.Minute).Unix()},
		"of the future":       {"iat": now.Add(time.Hour).Unix()},
		"expired":             {"exp": now.Add(-time.Hour).Unix()},
		"no jti":              {"jti": nil},
	} {
		b := e.browser()
		b.signIn("/")
		if res := post(e.issuer.LogoutToken("sid-1", over)); res.StatusCode != http.StatusBadRequest || b.session() == nil {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	b := e.browser()
	b.signIn("/")
	good := e.issuer.LogoutToken("sid-1", nil)
	for name, token := range map[string]string{"nothing": "", "no token": "x", "a broken signature": good[:len(good)-4] + "AAAA", "an ID token": b.session().tokens.Load().id, "an access token": string(b.session().tokens.Load().access)} {
		if res := post(token); res.StatusCode != http.StatusBadRequest || b.session() == nil {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
	if res := post(good); res.StatusCode != http.StatusOK || b.session() != nil || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", res.StatusCode, res.body)
	}
	b.signIn("/")
	if res := post(good); res.StatusCode != http.StatusBadRequest || b.session() == nil {
		t.Errorf("a logout token that comes twice: %d", res.StatusCode)
	}
	// By sub alone: all sessions of the person.
	c := e.browser()
	c.signIn("/")
	if res := post(e.issuer.LogoutToken("", map[string]any{"sid": nil, "sub": "ana"})); res.StatusCode != http.StatusOK || b.session() != nil || c.session() != nil {
		t.Errorf("by sub: %d", res.StatusCode)
	}
}

func TestFrontChannelLogout(t *testing.T) {
	e := newEdge(t, nil)
	e.issuer.Set(func(s *issuertest.Script) { s.SID = "sid-1" })
	b := e.browser()
	b.signIn("/")
	at := func(iss, sid string) string {
		return e.Path() + "frontchannel-logout?" + url.Values{"iss": {iss}, "sid": {sid}}.Encode()
	}
	for _, address := range []string{at("https://evil.test", "sid-1"), at(e.issuer.URL, ""), at(e.issuer.URL, "sid-2")} {
		b.get(address)
		if b.session() == nil {
			t.Fatalf("%s ended the session", address)
		}
	}
	// In a frame of another site there is no cookie of ours.
	res := e.browser().get(at(e.issuer.URL, "sid-1"))
	if res.StatusCode != http.StatusOK || b.session() != nil || !strings.Contains(res.Header.Get("Content-Security-Policy"), "frame-ancestors "+e.issuer.URL) {
		t.Errorf("%d, %s", res.StatusCode, res.Header.Get("Content-Security-Policy"))
	}
}

func TestSessionPage(t *testing.T) {
	e := newEdge(t, nil)
	b := e.browser()
	if res := b.get(e.Path() + "session"); res.StatusCode != http.StatusOK || !strings.Contains(res.body, `"signed_in":false`) {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	b.signIn("/")
	if res := b.send(http.MethodGet, e.Path()+"session", "", "Sec-Fetch-Site", "same-origin"); !strings.Contains(res.body, `"user":"ana"`) || strings.Contains(res.body, "eyJ") {
		t.Errorf("%d %s", res.StatusCode, res.body)
	}
	if res := b.send(http.MethodGet, e.Path()+"session", "", "Sec-Fetch-Site", "same-site"); res.StatusCode != http.StatusForbidden {
		t.Errorf("a neighbour: %d %s", res.StatusCode, res.body)
	}
	for _, page := range []string{"", "nothing", "login/x"} {
		if res := b.get(e.Path() + page); res.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %d", page, res.StatusCode)
		}
	}
}

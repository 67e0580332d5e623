package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const logoutPath = "/oauth2/default/v1/logout"

// attack identity 14: nobody is led to an address that is not registered for it,
// and a hint counts only as we have signed it.
func TestSignOutByApp(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	hint, _ := c.tokens(b, ana.Login, ana.Password, "openid vacations:read")["id_token"].(string)
	if hint == "" {
		t.Fatal("no ID token")
	}
	back := "http://127.0.0.1:49152/"
	logout := func(pairs ...string) *seen {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return b.get(logoutPath + "?" + q.Encode())
	}
	changed := hint[:len(hint)-6] + "AAAAAA"
	for _, bad := range [][]string{
		{"id_token_hint", hint, "post_logout_redirect_uri", "http://127.0.0.1:49152/callback"},
		{"id_token_hint", hint, "post_logout_redirect_uri", "http://evil.test/"},
		{"id_token_hint", hint, "post_logout_redirect_uri", back + "?x=1"},
		{"id_token_hint", changed, "post_logout_redirect_uri", back},
		{"id_token_hint", hint, "client_id", p.Ready().Demo.ClientID},
		{"post_logout_redirect_uri", back},
		{"client_id", p.Ready().Demo.ClientID, "post_logout_redirect_uri", back},
	} {
		got := logout(bad...)
		if got.StatusCode != http.StatusBadRequest || got.Header.Get("Location") != "" {
			t.Errorf("%v: %d, led to %q", bad, got.StatusCode, got.Header.Get("Location"))
		}
	}
	b.get("/account").has(t, 200, "Ana Example")

	// Without the session's own token the person is asked.
	page := logout("client_id", c.id, "post_logout_redirect_uri", back)
	page.has(t, 200, "Sign out?")
	b.send(b.form("/signout", url.Values{"return": {"http://evil.test/"}, "token": formToken.FindStringSubmatch(page.body)[1:]})).has(t, 403)
	b.get("/account").has(t, 200, "Ana Example")

	got := logout("id_token_hint", hint, "post_logout_redirect_uri", back, "state", "s 1")
	if to := got.Header.Get("Location"); to != back+"?state=s+1" {
		t.Errorf("led to %q", to)
	}
	b.get("/account").has(t, 200, "<h1>Sign in</h1>")
}

func TestSessionsAPI(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	ask := func(method, path, origin string) *seen {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, b.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if origin != "" {
			r.Header.Set("Origin", origin)
			r.Header.Set("Sec-Fetch-Site", "same-site")
		}
		return b.send(r)
	}
	none := ask(http.MethodGet, "/api/v1/sessions/me", "")
	none.has(t, 404, `"errorCode":"E0000007"`)
	c.tokens(b, ana.Login, ana.Password, "openid vacations:read")
	var me struct{ ID, Login, Status, UserID string }
	if err := json.Unmarshal([]byte(ask(http.MethodGet, "/api/v1/sessions/me", "").body), &me); err != nil || me.Login != ana.Login || me.Status != "ACTIVE" {
		t.Errorf("%+v %v", me, err)
	}
	ask(http.MethodPost, "/api/v1/sessions/me/lifecycle/refresh", "").has(t, 200, me.ID)

	const origin = "http://127.0.0.1:49152"
	if got := ask(http.MethodGet, "/api/v1/sessions/me", origin); got.StatusCode != 403 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a page of nobody: %d %v", got.StatusCode, got.Header)
	}
	admin := func(method, path, body string) *seen {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "SSWS "+p.Ready().APIToken)
		r.Header.Set("Content-Type", "application/json")
		return p.browser(t).send(r)
	}
	admin(http.MethodPost, "/api/v1/trustedOrigins", `{"name":"app","origin":"`+origin+`","scopes":[{"type":"CORS"}]}`).has(t, 200)
	if got := ask(http.MethodOptions, "/api/v1/sessions/me", origin); got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Credentials") != "true" || got.Header.Get("Access-Control-Allow-Origin") != origin {
		t.Errorf("preflight: %d %v", got.StatusCode, got.Header)
	}
	if got := ask(http.MethodOptions, "/oauth2/default/v1/token", origin); got.StatusCode != 204 || got.Header.Get("Access-Control-Allow-Origin") != origin || got.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("preflight of token: %d %v", got.StatusCode, got.Header)
	}
	if got := ask(http.MethodOptions, "/oauth2/default/v1/token", "http://evil.test"); got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("preflight of nobody: %v", got.Header)
	}

	// What an administrator sees and ends.
	admin(http.MethodGet, "/api/v1/sessions/"+me.ID, "").has(t, 200, me.UserID)
	grants := admin(http.MethodGet, "/api/v1/users/"+me.UserID+"/grants", "")
	grants.has(t, 200, `"source":"END_USER"`, `"issuer":"`+p.Ready().Demo.Issuer+`"`, c.id)
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(grants.body), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	admin(http.MethodGet, "/api/v1/users/"+me.UserID+"/clients/"+c.id+"/grants", "").has(t, 200, list[0].ID)
	admin(http.MethodDelete, "/api/v1/users/"+me.UserID+"/grants/"+list[0].ID, "").has(t, 204)
	admin(http.MethodGet, "/api/v1/users/"+me.UserID+"/grants/"+list[0].ID, "").has(t, 404)
	b.get(authorizePath+"?"+c.request().Encode()).has(t, 200, "Allow My HR to do this?")
	admin(http.MethodDelete, "/api/v1/users/"+me.UserID+"/sessions", "").has(t, 204)
	ask(http.MethodGet, "/api/v1/sessions/me", "").has(t, 404)
}

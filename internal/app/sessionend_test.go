package app_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/client"
)

// claimsOf returns what a token says, unverified.
func claimsOf(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	var claims map[string]any
	if len(parts) == 3 {
		if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil && json.Unmarshal(b, &claims) == nil {
			return claims
		}
	}
	t.Fatalf("%q is no JWT", token)
	return nil
}

// However a browser's session ends, the gateway refuses the tokens that were given in
// it before that returns, an open stream ends, and introspection says inactive. What was
// given in another session goes on. Attack gateway 30, identity 51.
func TestEndOfASessionRefusesItsTokens(t *testing.T) {
	p := startRevocable(t)
	c := p.browserApp()
	const password = "correct horse 4"
	admin := func(method, path string) {
		t.Helper()
		if a := p.okta(method, path, ""); a.Status/100 != 2 {
			t.Fatalf("%s %s: %d %s", method, path, a.Status, a.Body)
		}
	}
	type signedIn struct {
		b             *browser
		user, sid, id string // id: the ID token
	}
	for name, end := range map[string]func(s signedIn){
		"sign-out on the account page": func(s signedIn) {
			s.b.post(s.b.get("/account"), "do", "signout").has(t, 200)
		},
		"sign-out by the app": func(s signedIn) {
			q := url.Values{"id_token_hint": {s.id}, "post_logout_redirect_uri": {"http://127.0.0.1:49152/"}}
			if got := s.b.get(logoutPath + "?" + q.Encode()); got.StatusCode != http.StatusSeeOther {
				t.Errorf("sign-out: %d", got.StatusCode)
			}
		},
		"the browser's own sessions API": func(s signedIn) {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.b.base+"/api/v1/sessions/me", nil)
			s.b.send(r).has(t, 204)
		},
		"the sessions API":      func(s signedIn) { admin(http.MethodDelete, "/api/v1/sessions/"+s.sid) },
		"clear sessions":        func(s signedIn) { admin(http.MethodDelete, "/api/v1/users/"+s.user+"/sessions") },
		"the user is suspended": func(s signedIn) { admin(http.MethodPost, "/api/v1/users/"+s.user+"/lifecycle/suspend") },
		"the user is deactivated": func(s signedIn) {
			admin(http.MethodPost, "/api/v1/users/"+s.user+"/lifecycle/deactivate")
		},
	} {
		t.Run(name, func(t *testing.T) {
			login := strings.ReplaceAll(name, " ", "-") + "@example.com"
			user := p.made("/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`"},"credentials":{"password":{"value":"`+password+`"}}}`)
			b, other := p.browser(t), p.browser(t)
			got := c.tokens(b, login, password, "openid orders:read")
			elsewhere, _ := c.tokens(other, login, password, "openid orders:read")["access_token"].(string)
			token, _ := got["access_token"].(string)
			idToken, _ := got["id_token"].(string)
			sid, _ := claimsOf(t, token)["sid"].(string)
			if sid == "" || sid != claimsOf(t, idToken)["sid"] || sid == claimsOf(t, elsewhere)["sid"] {
				t.Fatalf("the token's session is %q", sid)
			}
			if p.refused(token) || !p.active(token) {
				t.Fatal("refused before")
			}
			stream, err := http.DefaultClient.Do(mustRequest(t, p.Ready().Gateway+"/events", token))
			if err != nil || stream.StatusCode != http.StatusOK {
				t.Fatal(stream, err)
			}
			defer func() { _ = stream.Body.Close() }()
			end(signedIn{b: b, user: user, sid: sid, id: idToken})
			if !p.refused(token) || p.active(token) {
				t.Error("its token is accepted")
			}
			if _, err := io.Copy(io.Discard, stream.Body); err == nil {
				t.Error("the stream looks whole")
			}
			b.get("/account").has(t, 200, "<h1>Sign in</h1>")
			whole := strings.HasPrefix(name, "the user") || name == "clear sessions"
			if p.refused(elsewhere) != whole {
				t.Errorf("the token of another session is refused: %v", !whole)
			}
		})
	}
}

// active reports what introspection says.
func (p *program) active(token string) bool {
	p.t.Helper()
	d := p.Ready().Demo
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, d.Issuer+"/v1/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(d.ClientID, d.ClientSecret)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Active bool }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	return answer.Active
}

// A refresh token with offline access outlives the session: what it gives later
// names no session and is accepted. A code that was not redeemed by then is worth
// nothing, unless it is for offline access.
func TestOfflineAccessOutlivesTheSession(t *testing.T) {
	p := startRevocable(t)
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	got := c.tokens(b, ana.Login, ana.Password, "openid offline_access orders:read")
	token, _ := got["access_token"].(string)
	refresh, _ := got["refresh_token"].(string)
	if claimsOf(t, token)["sid"] == nil || refresh == "" {
		t.Fatalf("%v", got)
	}
	code := c.answer(t, b.get(authorizePath+"?"+c.request("scope", "openid orders:read").Encode())).Get("code")
	b.post(b.get("/account"), "do", "signout").has(t, 200)
	if !p.refused(token) {
		t.Error("the token of the session is accepted")
	}
	status, got := c.redeem(b, "grant_type", "refresh_token", "refresh_token", refresh)
	later, _ := got["access_token"].(string)
	if status != http.StatusOK || claimsOf(t, later)["sid"] != nil || p.refused(later) {
		t.Errorf("refreshed after the sign-out: %d %v", status, got)
	}
	status, got = c.redeem(b, "grant_type", "authorization_code", "code", code, "redirect_uri", c.redirect, "code_verifier", c.verifier)
	if status != http.StatusBadRequest || got["error"] != "invalid_grant" {
		t.Errorf("a code from before the sign-out: %d %v", status, got)
	}
	list, err := p.admin().Revocations(t.Context(), client.RevocationQuery{Kind: "session"})
	if err != nil || len(list.Revocations) != 1 || list.Revocations[0].Reason == "" {
		t.Errorf("%+v %v", list, err)
	}
}

package app_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/app"
)

// onBothEngines runs a test on SQLite and on PostgreSQL.
func onBothEngines(t *testing.T, f func(t *testing.T, store startOption)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { f(t, func(*app.Config) {}) })
	t.Run("PostgreSQL", func(t *testing.T) { f(t, withStore(postgres.Database(t))) })
}

// crowd sends a request 32 times at once.
func crowd(send func() answer) []answer {
	answers := make([]answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = send() })
	}
	wg.Wait()
	return answers
}

// rotator is an app whose refresh tokens are good once, without leeway, and a person who
// has agreed to it.
type rotator struct {
	*relyingApp
	p *program
	b *browser
}

func (p *program) rotator() *rotator {
	p.t.Helper()
	c := &relyingApp{redirect: "https://shop.test/cb", verifier: strings.Repeat("verifier", 6)}
	c.id = p.made("/api/v1/apps", `{"name":"oidc_client","label":"Shop","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"none"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"browser","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
		"consent_method":"TRUSTED","refresh_token":{"rotation_type":"ROTATE","leeway":0},"redirect_uris":["`+c.redirect+`"]}}}`)
	// Not one of the demo's people: those get new passwords at each start, which ends what they granted.
	const login, password = "rita@shop.test", "a long pass phrase of hers"
	p.made("/api/v1/users?activate=true", `{"profile":{"login":"`+login+`","email":"`+login+`","firstName":"Rita","lastName":"Roth"},"credentials":{"password":{"value":"`+password+`"}}}`)
	b := p.browser(p.t)
	b.signIn(b.get("/account"), login, password).has(p.t, 200, "Rita Roth")
	return &rotator{relyingApp: c, p: p, b: b}
}

// code returns a new code.
func (r *rotator) code() string {
	r.b.t.Helper()
	return r.answer(r.b.t, r.b.get(authorizePath+"?"+r.request("scope", "openid offline_access vacations:read").Encode())).Get("code")
}

// ask sends a token request.
func (r *rotator) ask(pairs ...string) answer {
	q := url.Values{"client_id": {r.id}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return r.p.request(http.MethodPost, r.p.Ready().Identity+"/oauth2/default/v1/token", "", q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func (r *rotator) exchange(code string) answer {
	return r.ask("grant_type", "authorization_code", "code", code, "redirect_uri", r.redirect, "code_verifier", r.verifier)
}

func (r *rotator) refresh(token string) answer {
	return r.ask("grant_type", "refresh_token", "refresh_token", token)
}

// pair returns the tokens of an answer, which must have both.
func pair(t *testing.T, a answer) (access, refresh string) {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	body := a.json(t)
	access, _ = body["access_token"].(string)
	refresh, _ = body["refresh_token"].(string)
	if access == "" || refresh == "" {
		t.Fatalf("%s", a.Body)
	}
	return access, refresh
}

// winner returns the one good answer; all others are refused in the same way.
func winner(t *testing.T, what string, answers []answer) (won answer) {
	t.Helper()
	n := 0
	for _, a := range answers {
		switch {
		case a.Status == http.StatusOK:
			won, n = a, n+1
		case a.Status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant":
			t.Errorf("%s: %d %s", what, a.Status, a.Body)
		}
	}
	if n != 1 {
		t.Fatalf("%s: %d of 32 got tokens", what, n)
	}
	return won
}

// dead fails the test unless neither token is good for anything: at the API, and at the
// token endpoint.
func (r *rotator) dead(t *testing.T, what, access, refresh string) {
	t.Helper()
	if a := r.p.call(http.MethodGet, "/hr/vacations/ana", access); a.Status != http.StatusUnauthorized {
		t.Errorf("%s: the API answers %d", what, a.Status)
	}
	if a := r.refresh(refresh); a.Status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant" {
		t.Errorf("%s: the refresh token gets %d %s", what, a.Status, a.Body)
	}
}

// attack identity 18, 19, 25 and 30 through the whole program, on both engines: 32 at once
// with one code, one refresh token and one pushed request. One wins, what it won ends with
// the misuse, at the API too; and all of it stays so when the program is started again.
func TestTokensOnBothEngines(t *testing.T) {
	onBothEngines(t, func(t *testing.T, store startOption) {
		identity := freeAddress(t)
		p := start(t, "", store, withIdentity(identity))
		r := p.rotator()
		good := func(what, access string) {
			t.Helper()
			if a := r.p.call(http.MethodGet, "/hr/vacations/ana", access); a.Status != http.StatusOK {
				t.Fatalf("%s: %d %s", what, a.Status, a.Body)
			}
		}
		replayed := r.code()
		first, firstRefresh := pair(t, r.exchange(replayed))
		good("a code", first)
		winner(t, "a code that was used", append(crowd(func() answer { return r.exchange(replayed) }), answer{Status: http.StatusOK}))
		r.dead(t, "a code that came again", first, firstRefresh)

		code := r.code()
		raced, racedRefresh := pair(t, winner(t, "one code", crowd(func() answer { return r.exchange(code) })))
		r.dead(t, "a code that came 32 times", raced, racedRefresh)

		before, token := pair(t, r.exchange(r.code()))
		good("before the race", before)
		after, successor := pair(t, winner(t, "one refresh token", crowd(func() answer { return r.refresh(token) })))
		r.dead(t, "a refresh token that came 32 times", after, successor)
		r.dead(t, "what was before it", before, token)

		r.pushedOnce(t)

		kept, keptRefresh := pair(t, r.exchange(r.code()))
		good("a grant that nobody misuses", kept)
		_, spent := pair(t, r.exchange(r.code()))
		spentAccess, next := pair(t, r.refresh(spent))
		good("a refreshed token", spentAccess)
		data := p.data
		p.stop()
		r.p = start(t, "", store, withData(data), withIdentity(identity))
		good("from before the restart", kept)
		r.dead(t, "replayed, after the restart", first, firstRefresh)
		r.dead(t, "revoked, after the restart", after, successor)
		good("rotated before the restart", spentAccess)
		if a := r.refresh(spent); a.Status != http.StatusBadRequest {
			t.Errorf("a refresh token that was replaced before the restart gets %d %s", a.Status, a.Body)
		}
		r.dead(t, "a family whose old token came again after the restart", spentAccess, next)
		pair(t, r.refresh(keptRefresh))
	})
}

// pushedOnce tries one pushed request 32 times at once.
func (r *rotator) pushedOnce(t *testing.T) {
	t.Helper()
	pushed := r.p.request(http.MethodPost, r.p.Ready().Identity+"/oauth2/default/v1/par", "", r.request("prompt", "none").Encode(), "Content-Type", "application/x-www-form-urlencoded")
	uri, _ := pushed.json(t)["request_uri"].(string)
	if pushed.Status != http.StatusCreated || uri == "" {
		t.Fatalf("%d %s", pushed.Status, pushed.Body)
	}
	address := r.p.Ready().Identity + authorizePath + "?" + url.Values{"client_id": {r.id}, "request_uri": {uri}}.Encode()
	led := 0
	for _, a := range crowd(func() answer { return r.p.request(http.MethodGet, address, "", "") }) {
		switch {
		case a.Status == http.StatusSeeOther && strings.HasPrefix(a.Header.Get("Location"), r.redirect+"?error=login_required"):
			led++
		case a.Status != http.StatusBadRequest || a.Header.Get("Location") != "":
			t.Errorf("%d, led to %q", a.Status, a.Header.Get("Location"))
		}
	}
	if led != 1 {
		t.Errorf("%d of 32 used one pushed request", led)
	}
}

// attack identity 58: an API token that nobody has used for thirty days is none, however
// old it may get while it is used; it is refused on every path, and by one answer.
func TestIdleTokenEnds(t *testing.T) {
	p := start(t, "")
	who := p.hire("idle", "READ_ONLY_ADMIN")
	now := time.Now()
	day := 24 * time.Hour
	for _, x := range []struct {
		name          string
		created, used time.Time
		status        int
	}{
		{"old, and used lately", now.Add(-300 * day), now.Add(-29 * day), 200},
		{"old, and used long ago", now.Add(-300 * day), now.Add(-31 * day), 401},
		{"never used, young", now.Add(-29 * day), time.Time{}, 200},
		{"never used", now.Add(-31 * day), time.Time{}, 401},
	} {
		token := app.NewOldAPIToken(t, p.App, x.name, who.id, x.created, x.used)
		for range 2 { // a refusal is no use
			a := p.request("GET", p.Ready().Identity+"/api/v1/users/me", "", "", "Authorization", "SSWS "+token)
			if a.Status != x.status || x.status == 401 && a.json(t)["errorCode"] != "E0000011" {
				t.Errorf("%s: %d %s", x.name, a.Status, a.Body)
			}
		}
	}
}

// attack identity 60: what would put a claim of the protocol into tokens is refused by the
// management API, made anew and changed; attack identity 59: so is an expression that
// would reach for more than the facts.
func TestClaimsThatAreRefused(t *testing.T) {
	p := start(t, "")
	const claims = "/api/v1/authorizationServers/default/claims"
	body := func(name, value string) string {
		return jsonOf(t, map[string]any{"name": name, "status": "ACTIVE", "claimType": "RESOURCE", "valueType": "EXPRESSION", "value": value, "conditions": map[string]any{"scopes": []string{}}, "alwaysIncludeInToken": true})
	}
	id := p.made(claims, body("team", `"red"`))
	for _, name := range []string{"iss", "aud", "exp", "iat", "nbf", "jti", "scp", "scope", "cid", "uid", "client_id", "cnf", "act", "ver"} {
		if a := p.okta(http.MethodPost, claims, body(name, `"forged"`)); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if a := p.okta(http.MethodPut, claims+"/"+id, body(name, `"forged"`)); a.Status != http.StatusBadRequest {
			t.Errorf("renamed to %s: %d %s", name, a.Status, a.Body)
		}
	}
	for _, value := range []string{
		`T(java.lang.Runtime).getRuntime().exec("id")`, `new java.net.URL("http://169.254.169.254/")`, `''.getClass().forName("x")`, `@bean`, `#root`, `#{7*7}`, `user.n++`, `user.email = "x"`,
		strings.Repeat("(", 500) + "1" + strings.Repeat(")", 500), strings.Repeat("!", 1000) + "true",
	} {
		if a := p.okta(http.MethodPost, claims, body("x", value)); a.Status != http.StatusBadRequest {
			t.Errorf("%.60s: %d %s", value, a.Status, a.Body)
		}
	}
	token := strings.Split(p.token("vacations:read"), ".")[1]
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || !strings.Contains(string(raw), `"team":"red"`) || strings.Contains(string(raw), "forged") {
		t.Errorf("%s %v", raw, err)
	}
}

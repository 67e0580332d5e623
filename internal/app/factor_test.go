package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse/internal/keys"
)

var shownKey = regexp.MustCompile(`<code class="key">([A-Z2-7 ]+)</code>`)

// phone is an authenticator app, whose clock is the program's.
type phone struct {
	*program
	secret string
	given  time.Time // the step of the last code
}

func newPhone(p *program, page *seen) *phone {
	p.t.Helper()
	m := shownKey.FindStringSubmatch(page.body)
	if m == nil {
		p.t.Fatalf("%s shows no key:\n%s", page.at, page.body)
	}
	return &phone{program: p, secret: strings.ReplaceAll(m[1], " ", "")}
}

// code returns the code of this step, or of the next one when this one's was given: each is
// taken for half a minute at least. For a third the clock has to go on.
func (p *phone) code() string {
	p.t.Helper()
	now := p.now().Truncate(keys.TOTPStep)
	if next := p.given.Add(keys.TOTPStep); !p.given.Before(now) {
		if p.given = next; next.After(now.Add(keys.TOTPStep)) {
			p.t.Fatal("the clock has to go on before another code is taken")
		}
	} else {
		p.given = now
	}
	c, err := totp.GenerateCode(p.secret, p.given)
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

// A person sets up a second factor, and only the factor itself takes it away again
// (attack identity 61, 64 and 65).
func TestSecondFactor(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	account.has(t, 200, "None yet")
	begin := b.post(account, "do", "enroll")
	begin.has(t, 200, "Set up a second factor", "Begin")
	shown := b.post(begin, "step", "enroll")
	shown.has(t, 200, `role="img"`)
	app := newPhone(p, shown)
	before := b.cookie("gatehouse_session")
	b.post(shown, "step", "enroll", "code", "000000").has(t, 401, "not right")
	b.get(shown.at.String()).has(t, 200, "Begin") // the key is not shown twice
	used := app.code()
	b.post(shown, "step", "enroll", "code", used).has(t, 200, "Your second factor is set up", "An authenticator app")
	if b.cookie("gatehouse_session") == before {
		t.Error("the session has kept its secret though its level has changed")
	}

	// Whoever has learned the password cannot take it away, nor replace it.
	thief := p.browser(t)
	account = thief.signIn(thief.get("/account"), ana.Login, ana.Password)
	asked := thief.post(account, "do", "remove")
	asked.has(t, 200, "Second factor", "Code of your authenticator app")
	thief.post(thief.post(account, "do", "enroll"), "step", "enroll").has(t, 200, "Code of your authenticator app")
	thief.post(asked, "step", "factor", "code", used).has(t, 401, "has been used")
	// Nor does it do by the management API, and one that was used there does not here.
	var list []struct{ ID string }
	factors := "/api/v1/users/" + ana.Login + "/factors"
	if err := json.Unmarshal([]byte(p.okta("GET", factors, "").Body), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	verify := func(code string) answer {
		return p.okta("POST", factors+"/"+list[0].ID+"/verify", `{"passCode":"`+code+`"}`)
	}
	if a := verify(used); a.Status != 403 || !strings.Contains(a.Body, "E0000082") {
		t.Errorf("a code of the page, by the API: %d %s", a.Status, a.Body)
	}
	there := app.code()
	if a := verify(there); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	thief.post(asked, "step", "factor", "code", there).has(t, 401, "has been used")
	thief.get("/account").has(t, 200, "An authenticator app")

	// With a code of the app it can.
	ahead.Store(int64(keys.TOTPStep))
	thief.post(asked, "step", "factor", "code", app.code()).has(t, 200, "An authenticator app")
	thief.post(thief.get("/account"), "do", "remove").has(t, 200, "Your second factor is removed", "None yet")
	b.get("/account").has(t, 200, "<h1>Sign in</h1>") // signed in on its strength
}

// attack identity 63 and 64: wrong codes are counted per person, whatever the
// browser, and knowing the password does not begin the count anew.
func TestGuessingCodesIsBounded(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	shown := b.post(b.post(b.signIn(b.get("/account"), ana.Login, ana.Password), "do", "enroll"), "step", "enroll")
	app := newPhone(p, shown)
	b.post(shown, "step", "enroll", "code", app.code()).has(t, 200, "is set up")

	for i := range 11 {
		thief := p.browser(t)
		asked := thief.post(thief.signIn(thief.get("/account"), ana.Login, ana.Password), "do", "remove")
		got := thief.post(asked, "step", "factor", "code", "000000")
		if want := 401; i < 10 && got.StatusCode != want || i == 10 && got.StatusCode != 429 {
			t.Fatalf("guess %d: %d", i+1, got.StatusCode)
		}
	}
	// Not even a right one is taken now, in a browser that has made no mistake.
	late := p.browser(t)
	asked := late.post(late.signIn(late.get("/account"), ana.Login, ana.Password), "do", "remove")
	late.post(asked, "step", "factor", "code", app.code()).has(t, 429, "too many wrong codes")
}

// The whole way of a step-up: an API refuses, says what it needs, the app sends the
// person to sign in at that level, and the next call is allowed.
func TestStepUpWithSecondFactor(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	const scopes, operation = "openid email vacations:read payroll:write", "/hr/direct-deposit/ana@example.com"
	token, _ := c.tokens(b, ana.Login, ana.Password, scopes)["access_token"].(string)
	refused := p.call(http.MethodPut, operation, token)
	need := regexp.MustCompile(`acr_values="([^"]+)".*max_age="([0-9]+)"`).FindStringSubmatch(refused.Header.Get("WWW-Authenticate"))
	if refused.Status != http.StatusUnauthorized || need == nil {
		t.Fatalf("%d %v", refused.Status, refused.Header)
	}

	ifPossible := authorizePath + "?" + c.request("scope", scopes, "acr_values", need[1]+":ifpossible").Encode()
	if got := c.answer(t, b.get(ifPossible)); got.Get("code") == "" {
		t.Errorf("two factors of who has one: %v", got)
	}
	again := c.request("scope", scopes, "acr_values", need[1], "max_age", need[2])
	if got := c.answer(t, b.get(authorizePath+"?"+again.Encode()+"&prompt=none")); got.Get("error") != "interaction_required" {
		t.Errorf("silently: %v", got)
	}
	page := b.get(authorizePath + "?" + again.Encode())
	page.has(t, 200, "My HR asks for more than a password")
	shown := b.post(page, "step", "enroll")
	code := c.answer(t, b.post(shown, "step", "enroll", "code", newPhone(p, shown).code())).Get("code")
	status, body := c.redeem(b, "grant_type", "authorization_code", "code", code, "redirect_uri", c.redirect, "code_verifier", c.verifier)
	if status != http.StatusOK {
		t.Fatalf("token: %d %v", status, body)
	}
	token, _ = body["access_token"].(string)
	if done := p.call(http.MethodPut, operation, token); done.Status != http.StatusOK {
		t.Errorf("stepped up: %d %s", done.Status, done.Body)
	}
	other := p.browser(t)
	other.signIn(other.get(ifPossible), ana.Login, ana.Password).has(t, 200, "Code of your authenticator app")
	info := p.request(http.MethodGet, p.Ready().Identity+"/oauth2/default/v1/userinfo", token, "")
	if info.Status != http.StatusOK || info.json(t)["email"] != "ana@example.com" {
		t.Errorf("userinfo: %d %s", info.Status, info.Body)
	}
}

// attack identity 29: a person sees which app asks for what before anything is
// given, a link alone approves nothing, and wrong codes are bounded.
func TestDevicePage(t *testing.T) {
	p := start(t, "", timeStandsStill()) // so many codes are looked for in a minute
	ana := p.Ready().Demo.Users[0]
	made := p.okta(http.MethodPost, "/api/v1/apps", `{"name":"oidc_client","label":"Kitchen display","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"none"}},
		"settings":{"oauthClient":{"application_type":"native","grant_types":["urn:ietf:params:oauth:grant-type:device_code"],"redirect_uris":[],"response_types":[]}}}`)
	app, _ := made.json(t)["id"].(string)
	id, _ := p.okta(http.MethodGet, "/api/v1/users/ana@example.com", "").json(t)["id"].(string)
	if got := p.okta(http.MethodPost, "/api/v1/apps/"+app+"/users", `{"id":"`+id+`","scope":"USER"}`); app == "" || got.Status != http.StatusOK {
		t.Fatalf("the app: %d %s; assigned: %d %s", made.Status, made.Body, got.Status, got.Body)
	}
	b := p.browser(t)
	begin := func() map[string]any {
		t.Helper()
		got := b.send(b.form("/oauth2/default/v1/device/authorize", url.Values{"client_id": {app}, "scope": {"openid vacations:read"}}))
		var body map[string]any
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.StatusCode != http.StatusOK {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
		return body
	}
	poll := func(body map[string]any) (int, map[string]any) {
		t.Helper()
		c := &relyingApp{id: app}
		code, _ := body["device_code"].(string)
		return c.redeem(b, "grant_type", "urn:ietf:params:oauth:grant-type:device_code", "device_code", code)
	}
	first := begin()
	link, _ := first["verification_uri_complete"].(string)
	page := b.signIn(b.get(link), ana.Login, ana.Password)
	page.has(t, 200, "Type the code that your device shows", first["user_code"].(string))
	page = b.post(page, "do", "find", "code", first["user_code"].(string))
	page.has(t, 200, "Connect Kitchen display?", "See when you are on vacation.", first["user_code"].(string))
	b.post(page, "do", "approve", "code", first["user_code"].(string)).has(t, 200, "Your device is connected")
	status, tokens := poll(first)
	if token, _ := tokens["access_token"].(string); status != http.StatusOK || p.call(http.MethodGet, "/hr/vacations/ana", token).Status != http.StatusOK {
		t.Errorf("%d %v", status, tokens)
	}
	b.get("/account").has(t, 200, "Kitchen display")

	second := begin()
	page = b.post(b.get("/activate"), "do", "find", "code", strings.ToLower(second["user_code"].(string)))
	b.post(page, "do", "deny", "code", second["user_code"].(string)).has(t, 200, "Not connected")
	if status, body := poll(second); status != http.StatusBadRequest || body["error"] != "access_denied" {
		t.Errorf("denied: %d %v", status, body)
	}
	page = b.get("/activate")
	b.post(page, "do", "find", "code", first["user_code"].(string)).has(t, 422, "not valid, or not any more")
	for i := 0; ; i++ {
		if got := b.post(page, "do", "find", "code", "BCDF-GHJK"); got.StatusCode == http.StatusTooManyRequests {
			break
		}
		if i > 10 {
			t.Fatal("codes can be guessed without end")
		}
	}
}

package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// relyingApp is an app that people sign in to, as a test plays it.
type relyingApp struct {
	id       string
	redirect string
	verifier string
}

func (p *program) browserApp() *relyingApp {
	return &relyingApp{id: p.Ready().Demo.BrowserClientID, redirect: "http://127.0.0.1:49152/callback", verifier: strings.Repeat("verifier", 6)}
}

// challenge returns what goes with the verifier (RFC 7636 section 4.2).
func (c *relyingApp) challenge() string {
	sum := sha256.Sum256([]byte(c.verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// request returns the parameters of an authorization request; pairs replace them,
// an empty value leaves one out.
func (c *relyingApp) request(pairs ...string) url.Values {
	q := url.Values{
		"client_id": {c.id}, "redirect_uri": {c.redirect}, "response_type": {"code"}, "scope": {"openid vacations:read"}, "state": {"a state"},
		"code_challenge": {c.challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		}
	}
	return q
}

const authorizePath = "/oauth2/default/v1/authorize"

// answer returns the parameters that an app got, by its redirect URI.
func (c *relyingApp) answer(t *testing.T, s *seen) url.Values {
	t.Helper()
	to := s.Header.Get("Location")
	rest, ok := strings.CutPrefix(to, c.redirect)
	if !ok || s.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %d, led to %q:\n%s", s.at, s.StatusCode, to, s.body)
	}
	q, err := url.ParseQuery(strings.TrimLeft(rest, "?#&"))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestAuthorizationCode(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)

	// Nobody is signed in: a silent request says so, and names the issuer (attack identity 10, 13).
	silent := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none").Encode()))
	if silent.Get("error") != "login_required" || silent.Get("iss") != p.Ready().Demo.Issuer || silent.Get("state") != "a state" || silent.Get("code") != "" {
		t.Errorf("silent: %v", silent)
	}

	page := b.get(authorizePath + "?" + c.request().Encode())
	page.has(t, 200, "to continue to <strong>My HR</strong>")
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://127.0.0.1:49152;") {
		t.Errorf("policy %q", csp)
	}
	// attack identity 8: what the app asks for is in no cookie.
	u, _ := url.Parse(b.base)
	for _, cookie := range b.http.Jar.Cookies(u) {
		if strings.Contains(cookie.Value, "state") || len(cookie.Value) > 64 {
			t.Errorf("cookie %s=%s", cookie.Name, cookie.Value)
		}
	}
	page = b.signIn(page, ana.Login, ana.Password)
	// attack identity 12: exactly what is asked for, in its own words.
	page.has(t, 200, "Allow My HR to do this?", "See when you are on vacation.", "the people department")
	if strings.Contains(page.body, "payroll:write") || strings.Contains(page.body, "Signals that") {
		t.Errorf("the page asks for more:\n%s", page.body)
	}
	got := c.answer(t, b.post(page, "step", "consent", "shown", "vacations:read"))
	if got.Get("code") == "" || got.Get("iss") != p.Ready().Demo.Issuer || got.Get("state") != "a state" || got.Get("error") != "" {
		t.Fatalf("answer: %v", got)
	}

	// Now the app is known: nobody is asked, until it wants more.
	if again := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none").Encode())); again.Get("code") == "" || again.Get("code") == got.Get("code") {
		t.Errorf("silent: %v", again)
	}
	more := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid vacations:read payroll:write").Encode()))
	if more.Get("error") != "consent_required" {
		t.Errorf("more, silently: %v", more)
	}
	page = b.get(authorizePath + "?" + c.request("scope", "openid vacations:read payroll:write").Encode())
	page.has(t, 200, "Change the bank account", `<span class="tag">new</span>`)
	denied := c.answer(t, b.post(page, "step", "cancel"))
	if denied.Get("error") != "access_denied" || denied.Get("code") != "" || denied.Get("iss") == "" {
		t.Errorf("denied: %v", denied)
	}
	b.get(page.at.String()).has(t, 404)
	b.get(authorizePath+"?"+c.request("prompt", "consent").Encode()).has(t, 200, "Allow My HR to do this?")
	b.get(authorizePath+"?"+c.request("prompt", "login").Encode()).has(t, 200, "Confirm it is you")
	b.get(authorizePath+"?"+c.request("max_age", "0").Encode()).has(t, 200, "Confirm it is you")

	// Withdrawn, it asks again.
	account := b.get("/account")
	account.has(t, 200, "My HR", "See when you are on vacation.")
	app := strings.Split(strings.Split(account.body, `name="id" value="`)[1], `"`)[0]
	b.post(account, "do", "withdraw", "id", app).has(t, 200, "has no access any more", "No app has asked")
	b.get(authorizePath+"?"+c.request().Encode()).has(t, 200, "Allow My HR to do this?")
}

// attack identity 11 and 12: what the page did not show is not agreed to, whatever
// a form says; and a form without the page's token is nobody's.
func TestConsentIsToWhatWasShown(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	page := b.signIn(b.get(authorizePath+"?"+c.request().Encode()), ana.Login, ana.Password)
	b.send(b.form(page.at.String(), url.Values{"step": {"consent"}, "shown": {"vacations:read"}})).has(t, 403)
	b.post(page, "step", "consent", "shown", "payroll:write").has(t, 200, "has changed")
	// A step that is not due does nothing.
	b.post(page, "step", "signin", "identifier", ana.Login, "password", "wrong-password").has(t, 200, "Allow My HR to do this?")
	if got := c.answer(t, b.post(page, "step", "consent", "shown", "vacations:read", "shown", "payroll:write")); got.Get("code") == "" {
		t.Errorf("answer %v", got)
	}
	if list := b.get("/account"); strings.Contains(list.body, "bank account") {
		t.Error("consent to what was not asked for")
	}
}

// attack identity 1 to 6, 9, 15, 16, 17: nobody is led to an address that is not
// registered, whatever else is wrong; and what is shown is text.
func TestNobodyIsLedAstray(t *testing.T) {
	p := start(t, "")
	c := p.browserApp()
	b := p.browser(t)
	for _, to := range []string{
		"", "http://127.0.0.1:49152/callback/", "http://127.0.0.1:49152/callback?x=1", "http://127.0.0.1:49152/callback#x", "http://127.0.0.1:49152/Callback",
		"https://127.0.0.1:49152/callback", "http://localhost:49152/callback", "http://127.0.0.1.evil.test/callback", "http://127.0.0.1@evil.test/callback",
		"http://127.0.0.1:49152@evil.test/callback", "http://evil.test/callback", "//127.0.0.1/callback", `http://127.0.0.1\@evil.test/callback`, "http://127.0.0.1:49152/call%62ack",
		"http://127.0.0.1:49152/x/../callback", "http://127.0.0.1:/callback", "http://127.0.0.1:999999/callback", "http://127.0.0.1:49152/callback\n", "javascript:alert(1)",
		"data:text/html,x", "http://127.0.0.1:49152\u3002evil.test/callback", "http://[::1]/callback", "http://127.0.0.1:49152%2f@evil.test/callback",
	} {
		for _, more := range [][]string{nil, {"prompt", "none"}, {"scope", "nothing"}, {"response_type", "token"}, {"response_mode", "form_post"}} {
			got := b.get(authorizePath + "?" + c.request(append([]string{"redirect_uri", to}, more...)...).Encode())
			if got.Header.Get("Location") != "" || got.StatusCode != http.StatusBadRequest {
				t.Errorf("%q %v: %d, led to %q", to, more, got.StatusCode, got.Header.Get("Location"))
			}
		}
	}
	for _, pairs := range [][]string{{"client_id", "0oaNobody"}, {"client_id", ""}, {"client_id", `"><script>alert(1)</script>`}, {"client_id", p.Ready().Demo.ClientID}} {
		got := b.get(authorizePath + "?" + c.request(pairs...).Encode())
		if got.Header.Get("Location") != "" || got.StatusCode != http.StatusBadRequest || strings.Contains(got.body, "<script>alert") {
			t.Errorf("%v: %d, led to %q", pairs, got.StatusCode, got.Header.Get("Location"))
		}
	}
	twice := b.get(authorizePath + "?" + c.request().Encode() + "&state=other")
	twice.has(t, 400, "multiple parameters")
	if twice.Header.Get("Location") != "" {
		t.Error("led somewhere with a parameter that occurs twice")
	}
}

// attack identity 5, 7 and 17: no parameter may occur twice, and once a request waits for
// a person, nothing that its address or a form says besides changes what is answered, or
// where.
func TestRequestsCannotBeChanged(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	for name := range c.request("nonce", "n", "prompt", "none", "response_mode", "query", "max_age", "9") {
		got := b.get(authorizePath + "?" + c.request("prompt", "none").Encode() + "&" + url.Values{name: {"other"}}.Encode() + "&" + url.Values{name: {"http://evil.test/"}}.Encode())
		if got.StatusCode != http.StatusBadRequest || got.Header.Get("Location") != "" {
			t.Errorf("%s twice: %d, led to %q", name, got.StatusCode, got.Header.Get("Location"))
		}
	}
	page := b.get(authorizePath + "?" + c.request("scope", "openid").Encode())
	evil := url.Values{"response_type": {"token"}, "redirect_uri": {"http://evil.test/"}, "client_id": {p.Ready().Demo.ClientID}, "scope": {"openid payroll:write"}, "state": {"evil"}, "response_mode": {"fragment"}}
	again := b.get(page.at.String() + "?" + evil.Encode())
	again.has(t, 200, "<h1>Sign in</h1>")
	form := url.Values{"token": {formToken.FindStringSubmatch(again.body)[1]}, "step": {"signin"}, "identifier": {ana.Login}, "password": {ana.Password}}
	for name, values := range evil {
		form[name] = values
	}
	got := b.send(b.form(again.at.String(), form))
	for got.StatusCode == http.StatusSeeOther && strings.HasPrefix(got.Header.Get("Location"), "/") {
		got = b.get(got.Header.Get("Location"))
	}
	if a := c.answer(t, got); a.Get("code") == "" || a.Get("state") != "a state" || a.Get("access_token") != "" || strings.Contains(got.Header.Get("Location"), "#") {
		t.Errorf("answer %v", a)
	}
}

// A person signs in once for every app; max_age asks again and tokens say when that was;
// login_hint fills the name in, as text; and signing out everywhere is that.
func TestOneSignInForEveryApp(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana, first := p.Ready().Demo.Users[0], p.browserApp()
	made := p.okta("POST", "/api/v1/apps", `{"name":"oidc_client","label":"Second","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"none"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"browser","consent_method":"TRUSTED","grant_types":["authorization_code"],"response_types":["code"],"redirect_uris":["http://127.0.0.1:49153/callback"]}}}`).json(t)
	second := *first
	second.id, _ = made["id"].(string)
	second.redirect = "http://127.0.0.1:49153/callback"
	claims := func(c *relyingApp, page *seen) (got struct {
		SID  string `json:"sid"`
		Auth int64  `json:"auth_time"`
	},
	) {
		t.Helper()
		b := p.browser(t)
		_, body := c.redeem(b, "grant_type", "authorization_code", "code", c.answer(t, page).Get("code"), "redirect_uri", c.redirect, "code_verifier", c.verifier)
		part := strings.Split(fmt.Sprint(body["id_token"]), ".")
		if len(part) != 3 {
			t.Fatalf("no ID token: %v", body)
		}
		raw, err := base64.RawURLEncoding.DecodeString(part[1])
		if err == nil {
			err = json.Unmarshal(raw, &got)
		}
		if err != nil || got.SID == "" || got.Auth == 0 {
			t.Fatalf("%s: %v", raw, err)
		}
		return got
	}
	ask := func(b *browser, c *relyingApp, pairs ...string) *seen {
		return b.get(authorizePath + "?" + c.request(append([]string{"scope", "openid"}, pairs...)...).Encode())
	}
	b := p.browser(t)
	page := ask(b, first, "login_hint", `ana"><script>@example.com`)
	page.has(t, 200, `value="ana&#34;&gt;&lt;script&gt;@example.com"`)
	one := claims(first, b.signIn(page, ana.Login, ana.Password))
	ahead.Store(int64(2 * time.Minute))
	if two := claims(&second, ask(b, &second, "prompt", "none")); two != one {
		t.Errorf("the second app gets %+v, the first got %+v", two, one)
	}
	claims(&second, ask(b, &second, "max_age", "600"))
	again := ask(b, &second, "max_age", "60")
	again.has(t, 200, "Confirm it is you")
	if three := claims(&second, b.post(again, "step", "signin", "password", ana.Password)); three.SID != one.SID || three.Auth < one.Auth+120 {
		t.Errorf("asked again, and the token says %+v; before it said %+v", three, one)
	}
	// Elsewhere too, the app's token among it.
	other := p.browser(t)
	token, _ := first.tokens(other, ana.Login, ana.Password, "openid vacations:read")["access_token"].(string)
	if got := p.call(http.MethodGet, "/hr/vacations/ana", token); got.Status != http.StatusOK {
		t.Fatalf("the API answers %d", got.Status)
	}
	b.post(b.get("/account"), "do", "everywhere")
	other.get("/account").has(t, 200, "<h1>Sign in</h1>")
	if got := p.call(http.MethodGet, "/hr/vacations/ana", token); got.Status != http.StatusUnauthorized {
		t.Errorf("after signing out everywhere the API answers %d", got.Status)
	}
}

func TestAuthorizationErrors(t *testing.T) {
	p := start(t, "")
	c := p.browserApp()
	b := p.browser(t)
	for _, x := range []struct{ name, value, code string }{
		{"response_type", "token", "unsupported_response_type"}, // attack identity 7
		{"response_type", "code id_token", "unsupported_response_type"},
		{"response_type", "", "invalid_request"},
		{"scope", "vacations:read nothing:such", "invalid_scope"}, // attack identity 6
		{"scope", `"><script>alert(1)</script>`, "invalid_scope"}, // attack identity 15
		{"code_challenge", "", "invalid_request"},                 // attack identity 22
		{"code_challenge_method", "plain", "invalid_request"},
		{"code_challenge_method", "", "invalid_request"},
		{"code_challenge", "short", "invalid_request"},
		{"prompt", "none login", "invalid_request"},
		{"prompt", "perhaps", "invalid_request"},
		{"max_age", "-1", "invalid_request"},
		{"acr_values", "high", "invalid_request"},
		{"response_mode", "smoke", "invalid_request"},
		{"resource", "not a uri", "invalid_target"},
		{"dpop_jkt", "x", "invalid_request"},
		{"claims", "{}", "invalid_request"},
		{"id_token_hint", "x.y.z", "invalid_request"},
	} {
		got := c.answer(t, b.get(authorizePath+"?"+c.request(x.name, x.value).Encode()))
		if got.Get("error") != x.code || got.Get("iss") != p.Ready().Demo.Issuer || got.Get("state") != "a state" || strings.Contains(got.Get("error_description"), "<") {
			t.Errorf("%s=%q: %v, want %s", x.name, x.value, got, x.code)
		}
	}
	ana := p.Ready().Demo.Users[0]
	page := b.get(authorizePath + "?" + c.request("acr_values", "phr").Encode())
	got := c.answer(t, b.signIn(page, ana.Login, ana.Password))
	if got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("a level that nobody reaches: %v", got)
	}
}

func TestResponseModes(t *testing.T) {
	p := start(t, "")
	c := p.browserApp()
	b := p.browser(t)
	silent := func(mode string) *seen {
		return b.get(authorizePath + "?" + c.request("prompt", "none", "response_mode", mode, "state", `"><script>alert(1)</script>`).Encode())
	}
	if to := silent("fragment").Header.Get("Location"); !strings.HasPrefix(to, c.redirect+"#error=login_required&") {
		t.Errorf("fragment: %q", to)
	}
	// attack identity 9: the answer goes to the registered address alone, and is text.
	form := silent("form_post")
	form.has(t, 200, `action="`+c.redirect+`"`, `name="error" value="login_required"`, `name="iss"`)
	message := silent("okta_post_message")
	message.has(t, 200, `data-target="http://127.0.0.1:49152"`, `value="login_required" title="error"`)
	for _, s := range []*seen{form, message} {
		if strings.Contains(s.body, "<script>alert") {
			t.Error("a state that is markup")
		}
	}
	if csp := message.Header.Get("Content-Security-Policy"); !strings.HasSuffix(csp, "frame-ancestors http://127.0.0.1:49152") || message.Header.Get("X-Frame-Options") != "" {
		t.Errorf("policy of the message: %q", csp)
	}
	if csp := form.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "form-action 'self' http://127.0.0.1:49152;") {
		t.Errorf("policy of the form: %q", csp)
	}
}

// attack identity 30.
func TestPushedRequests(t *testing.T) {
	p := start(t, "")
	c := p.browserApp()
	b := p.browser(t)
	push := func(q url.Values) (int, map[string]any) {
		t.Helper()
		got := b.send(b.form("/oauth2/default/v1/par", q))
		var body map[string]any
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err)
		}
		return got.StatusCode, body
	}
	status, body := push(c.request("state", "pushed"))
	uri, _ := body["request_uri"].(string)
	if status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || len(uri) < 34+43 || body["expires_in"] != 90.0 {
		t.Fatalf("%d %v", status, body)
	}
	use := func(client string) *seen {
		return b.get(authorizePath + "?" + url.Values{"client_id": {client}, "request_uri": {uri}, "prompt": {"none"}, "redirect_uri": {"http://evil.test/"}}.Encode())
	}
	use(p.Ready().Demo.ClientID).has(t, 400, "not valid")
	use(c.id).has(t, 200, "<h1>Sign in</h1>") // what the address says besides is not read
	use(c.id).has(t, 400, "was used")
	if status, body := push(c.request("redirect_uri", "http://evil.test/")); status != 400 || body["error"] != "invalid_request" {
		t.Errorf("%d %v", status, body)
	}
	if status, body := push(c.request("request_uri", uri)); status != 400 || body["error"] != "invalid_request" {
		t.Errorf("%d %v", status, body)
	}
	if status, body := push(c.request("client_id", p.Ready().Demo.ClientID)); status != 401 || body["error"] != "invalid_client" {
		t.Errorf("%d %v", status, body)
	}
}

// redeem exchanges a code or a refresh token.
func (c *relyingApp) redeem(b *browser, pairs ...string) (int, map[string]any) {
	b.t.Helper()
	q := url.Values{"client_id": {c.id}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	got := b.send(b.form("/oauth2/default/v1/token", q))
	var body map[string]any
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		b.t.Fatal(err)
	}
	return got.StatusCode, body
}

// tokens signs ana in, agrees, and returns what the app gets.
func (c *relyingApp) tokens(b *browser, user, password, scope string) map[string]any {
	b.t.Helper()
	page := b.get(authorizePath + "?" + c.request("scope", scope, "nonce", "n-1").Encode())
	if page.StatusCode == http.StatusOK && strings.Contains(page.body, "<h1>Sign in</h1>") {
		page = b.signIn(page, user, password)
	}
	if strings.Contains(page.body, "Allow My HR") {
		fields := []string{"step", "consent"}
		for _, s := range strings.Fields(scope) {
			fields = append(fields, "shown", s)
		}
		page = b.post(page, fields...)
	}
	status, body := c.redeem(b, "grant_type", "authorization_code", "code", c.answer(b.t, page).Get("code"), "redirect_uri", c.redirect, "code_verifier", c.verifier)
	if status != http.StatusOK {
		b.t.Fatalf("token: %d %v", status, body)
	}
	return body
}

// A person signs in, the app calls the API, is told to step up, and loses its
// access when the person takes it back: the token that it has, and the next one.
func TestFromSignInToWithdrawal(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	body := c.tokens(b, ana.Login, ana.Password, "openid offline_access vacations:read payroll:write")
	token, _ := body["access_token"].(string)
	refresh, _ := body["refresh_token"].(string)
	if token == "" || refresh == "" || body["id_token"] == nil {
		t.Fatalf("tokens: %v", body)
	}
	for _, of := range []string{"/api/v1/users/" + ana.Login, "/api/v1/authorizationServers/default"} {
		if got := p.okta(http.MethodGet, of+"/clients", ""); got.Status != http.StatusOK || !strings.Contains(got.Body, `"client_id":"`+c.id+`","client_name":"My HR"`) || strings.Count(got.Body, "client_id") != 1 {
			t.Errorf("%s/clients: %d %s", of, got.Status, got.Body)
		}
	}
	call := func(method, path string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, p.Ready().Gateway+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		got := b.send(r)
		if got.StatusCode == http.StatusUnauthorized && method == http.MethodPut && !strings.Contains(got.Header.Get("WWW-Authenticate"), "insufficient_user_authentication") {
			t.Errorf("not told to step up: %v", got.Header)
		}
		return got.StatusCode
	}
	if status := call(http.MethodGet, "/hr/vacations/ana"); status != http.StatusOK {
		t.Errorf("the API answers %d", status)
	}
	if status := call(http.MethodPut, "/hr/direct-deposit/ana@example.com"); status != http.StatusUnauthorized {
		t.Errorf("without a second factor the API answers %d", status)
	}
	account := b.get("/account")
	account.has(t, 200, "My HR", "bank account")
	b.post(account, "do", "withdraw", "id", c.id).has(t, 200, "has no access any more")
	if status := call(http.MethodGet, "/hr/vacations/ana"); status != http.StatusUnauthorized {
		t.Errorf("after the withdrawal the API answers %d", status)
	}
	if status, body := c.redeem(b, "grant_type", "refresh_token", "refresh_token", refresh); status != http.StatusBadRequest || body["error"] != "invalid_grant" {
		t.Errorf("refresh after the withdrawal: %d %v", status, body)
	}
}

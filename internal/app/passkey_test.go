package app_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/app"
	"gatehouse/internal/directory"
	"gatehouse/internal/directory/passkeytest"
)

// withName gives the identity listener a name: passkeys need one.
func withName(t *testing.T) startOption {
	t.Helper()
	address := freeAddress(t)
	return func(c *app.Config) {
		c.Flags.Identity, c.Flags.IdentityURL = address, "http://"+strings.Replace(address, "127.0.0.1", "localhost", 1)
	}
}

func (p *program) device() *passkeytest.Device {
	return passkeytest.New(p.Ready().Identity, "localhost")
}

// Chromium's own virtual authenticator makes and uses a passkey, and a call of an API
// goes from refused to allowed by it.
func TestPasskeysInChromium(t *testing.T) {
	inChromium(t, "passkeys.mjs", withName(t))
}

var passkeyOptions = regexp.MustCompile(`data-use="(create|get)" data-options="([^"]+)"`)

// asks returns what a page asks of an authenticator.
func (s *seen) asks(t *testing.T, use string) []byte {
	t.Helper()
	m := passkeyOptions.FindStringSubmatch(s.body)
	if m == nil || m[1] != use {
		t.Fatalf("%s asks for no passkey to %s:\n%s", s.at, use, s.body)
	}
	if !strings.Contains(s.body, "/assets/passkey.") || !strings.Contains(s.Header.Get("Content-Security-Policy"), "script-src 'self'") {
		t.Errorf("%s has no script for it, or may not run it", s.at)
	}
	return []byte(html.UnescapeString(m[2]))
}

// passkey answers the page's question with the device.
func (b *browser) passkey(page *seen, step string, d *passkeytest.Device, fields ...string) *seen {
	b.t.Helper()
	use, answer := "get", d.Get
	if step == "enroll" {
		use, answer = "create", d.Create
	}
	got, err := answer(page.asks(b.t, use))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.post(page, append([]string{"step", step, "passkey", string(got)}, fields...)...)
}

// addPasskey signs in by the password and gives the person a passkey.
func (b *browser) addPasskey(login, password string, d *passkeytest.Device) {
	b.t.Helper()
	account := b.signIn(b.get("/account"), login, password)
	account.has(b.t, 200, "None yet", "Add a passkey")
	page := b.post(account, "do", "passkey")
	page.has(b.t, 200, "Add a passkey", "no-script")
	b.passkey(page, "enroll", d, "name", "Work laptop").has(b.t, 200, "Your passkey is added", "Work laptop")
}

// A passkey is added behind a fresh proof, signs in alone, and is taken away by who
// has it (attack identity 61, 64, 65).
func TestPasskeys(t *testing.T) {
	p := start(t, "", withName(t))
	ana := p.Ready().Demo.Users[0]
	b, d := p.browser(t), p.device()
	b.addPasskey(ana.Login, ana.Password, d)
	b.post(b.get("/account"), "do", "signout")

	before := b.cookie("gatehouse_session")
	page := b.get("/account")
	page.has(t, 200, "<h1>Sign in</h1>", "username webauthn", "Sign in with a passkey")
	signed := b.passkey(page, "signin", d)
	signed.has(t, 200, "Ana Example", "Work laptop", "used <time")
	if b.cookie("gatehouse_session") == before || before != "" {
		t.Error("the session has the secret of the one before")
	}

	// The answer is good once, and in the browser that was asked.
	other := p.browser(t)
	stolen := other.get("/account")
	answer, err := d.Get(page.asks(t, "get"))
	if err != nil {
		t.Fatal(err)
	}
	other.post(stolen, "step", "signin", "passkey", string(answer)).has(t, 401, "did not work")
	answer, err = d.Get(stolen.asks(t, "get"))
	if err != nil {
		t.Fatal(err)
	}
	third := p.browser(t)
	third.post(third.get("/account"), "step", "signin", "passkey", string(answer)).has(t, 401, "did not work")
	other.post(stolen, "step", "signin", "passkey", string(answer)).has(t, 200, "Ana Example")
	other.post(other.get("/account"), "do", "signout")
	again := other.get("/account")
	other.post(again, "step", "signin", "passkey", string(answer)).has(t, 401, "did not work")

	// Who has learned the password cannot take it away, nor add another.
	thief := p.browser(t)
	account := thief.signIn(thief.get("/account"), ana.Login, ana.Password)
	for _, do := range []string{"remove", "passkey", "enroll"} {
		asked := thief.post(account, "do", do, "id", factorID(t, account))
		asked.has(t, 200, "Second factor", "Use a passkey")
		evil := p.device()
		made, err := evil.Create(asked.asks(t, "get"))
		if err != nil {
			t.Fatal(err)
		}
		thief.passkey(asked, "factor", evil).has(t, 401, "did not work")
		thief.post(asked, "step", "enroll", "passkey", string(made)).has(t, 200, "Use a passkey")
	}
	thief.get("/account").has(t, 200, "Work laptop")

	// A second passkey, then the first is taken away with it: other browsers are out.
	second := p.device()
	page = b.post(b.get("/account"), "do", "passkey")
	page.has(t, 200, "Add a passkey", "excludeCredentials")
	account = b.passkey(page, "enroll", second, "name", "Phone")
	account.has(t, 200, "Work laptop", "Phone")
	b.post(account, "do", "remove", "id", factorID(t, account)).has(t, 200, "is removed", "Phone")
	thief.get("/account").has(t, 200, "<h1>Sign in</h1>")
	last := p.browser(t)
	last.passkey(last.get("/account"), "signin", d).has(t, 401, "did not work")
	last.passkey(last.get("/account"), "signin", second).has(t, 200, "Phone")
}

var shownFactor = regexp.MustCompile(`name="id" value="(ufs[^"]+)"`)

func factorID(t *testing.T, page *seen) string {
	t.Helper()
	m := shownFactor.FindStringSubmatch(page.body)
	if m == nil {
		t.Fatalf("%s shows no factor:\n%s", page.at, page.body)
	}
	return m[1]
}

const phishingFile = `version: 1
issuers:
  default: { builtin: default }
apis:
  vault:
    base_path: /vault
    upstream: %s
    auth: default
    routes:
      GET /keys: { scopes: [vault:read], acr: phr }
`

// The whole way of a step-up to what is safe from phishing, for somebody who has an
// authenticator app alone: the app is shown first, then a passkey is made.
func TestStepUpToPasskey(t *testing.T) {
	p := start(t, write(t, fmt.Sprintf(phishingFile, echoUpstream(t, http.Header{}).URL)), withName(t))
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b, d := p.browser(t), p.device()
	const scopes = "openid vault:read"
	shown := b.post(b.post(b.signIn(b.get("/account"), ana.Login, ana.Password), "do", "enroll"), "step", "enroll")
	phone := newPhone(p, shown)
	b.post(shown, "step", "enroll", "code", phone.code()).has(t, 200, "is set up")

	weak := c.tokens(b, ana.Login, ana.Password, scopes)
	token, _ := weak["access_token"].(string)
	refused := p.call(http.MethodGet, "/vault/keys", token)
	need := regexp.MustCompile(`acr_values="([^"]+)"`).FindStringSubmatch(refused.Header.Get("WWW-Authenticate"))
	if refused.Status != http.StatusUnauthorized || need == nil || need[1] != "phr" {
		t.Fatalf("%d %v", refused.Status, refused.Header)
	}
	again := authorizePath + "?" + c.request("scope", scopes, "acr_values", need[1]).Encode()
	later := p.browser(t)
	asked := later.signIn(later.get(again), ana.Login, ana.Password)
	asked.has(t, 200, "Show first the one that you have", "Code of your authenticator app")
	page := later.post(asked, "step", "factor", "code", phone.code())
	page.has(t, 200, "My HR asks for one", "Make a passkey")
	if strings.Contains(page.body, "authenticator app") {
		t.Error("an authenticator app is offered, which would not be enough")
	}
	token = c.redeemed(later, later.passkey(page, "enroll", d))
	if got := p.call(http.MethodGet, "/vault/keys", token); got.Status != http.StatusOK {
		t.Errorf("after the enrolment: %d %s", got.Status, got.Body)
	}

	// From then on by the passkey alone, in any browser; and what a token says is true.
	fresh := p.browser(t)
	token = c.redeemed(fresh, fresh.passkey(fresh.get(again), "signin", d))
	if got := p.call(http.MethodGet, "/vault/keys", token); got.Status != http.StatusOK {
		t.Errorf("by the passkey: %d %s", got.Status, got.Body)
	}
	claims := claimsOf(t, token)
	if claims["acr"] != "phr" || fmt.Sprint(claims["amr"]) != "[hwk user mfa]" {
		t.Errorf("acr %v, amr %v", claims["acr"], claims["amr"])
	}
	// Who asks for two factors is answered in its own word; a password is asked for
	// where a password is what the app wants; hardware cannot be shown here.
	for acr, want := range map[string]string{"urn:okta:loa:2fa:any": "urn:okta:loa:2fa:any", "urn:okta:loa:1fa:any": "phr"} {
		token := c.redeemed(fresh, fresh.get(authorizePath+"?"+c.request("scope", scopes, "acr_values", acr).Encode()))
		if got := claimsOf(t, token)["acr"]; got != want {
			t.Errorf("acr_values=%s: acr %v", acr, got)
		}
	}
	fresh.get(authorizePath+"?"+c.request("scope", scopes, "acr_values", "urn:okta:loa:1fa:pwd").Encode()).has(t, 200, "Confirm it is you", "Password")
	got := c.answer(t, fresh.get(authorizePath+"?"+c.request("scope", scopes, "acr_values", "phrh").Encode()))
	if got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("phrh: %v", got)
	}
	// A passkey before this very request is not one within its time.
	got = c.answer(t, fresh.get(authorizePath+"?"+c.request("scope", scopes, "acr_values", "phr", "prompt", "none", "max_age", "0").Encode()))
	if got.Get("error") != "login_required" {
		t.Errorf("max_age=0: %v", got)
	}
}

// A suspended person's passkey opens nothing, and says no more than a wrong one.
func TestPasskeyOfWhoMayNotSignIn(t *testing.T) {
	p := start(t, "", withName(t))
	ana := p.Ready().Demo.Users[0]
	b, d := p.browser(t), p.device()
	b.addPasskey(ana.Login, ana.Password, d)
	if got := p.okta(http.MethodPost, "/api/v1/users/"+url.PathEscape(ana.Login)+"/lifecycle/suspend", ""); got.Status != http.StatusOK {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	b.get("/account").has(t, 200, "<h1>Sign in</h1>")
	fresh := p.browser(t)
	fresh.passkey(fresh.get("/account"), "signin", d).has(t, 401, "did not work")
}

// At an address no passkey can be had, and what needs one is refused and not loosened.
func TestNoPasskeysAtAnAddress(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	page := b.get("/account")
	account := b.signIn(page, ana.Login, ana.Password)
	for _, s := range []*seen{page, account} {
		if strings.Contains(strings.ToLower(s.body), "passkey") {
			t.Errorf("%s offers one:\n%s", s.at, s.body)
		}
	}
	got := c.answer(t, b.get(authorizePath+"?"+c.request("acr_values", "phr").Encode()))
	if got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("%v", got)
	}
	if _, ok := directory.PartyOf(p.Ready().Identity); ok {
		t.Error("the address is taken for a name")
	}
}

// redeemed returns the access token of an answer, agreeing to what is asked for.
func (c *relyingApp) redeemed(b *browser, page *seen) string {
	b.t.Helper()
	if strings.Contains(page.body, "Allow My HR") {
		fields := []string{"step", "consent"}
		for _, m := range regexp.MustCompile(`name="shown" value="([^"]+)"`).FindAllStringSubmatch(page.body, -1) {
			fields = append(fields, "shown", m[1])
		}
		page = b.post(page, fields...)
	}
	status, body := c.redeem(b, "grant_type", "authorization_code", "code", c.answer(b.t, page).Get("code"), "redirect_uri", c.redirect, "code_verifier", c.verifier)
	token, _ := body["access_token"].(string)
	if status != http.StatusOK || token == "" {
		b.t.Fatalf("token: %d %v", status, body)
	}
	return token
}

package app_test

import (
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var codeInLetter = regexp.MustCompile(`(?m)^ {4}([0-9]{6})$`)

// mailbox reads the codes that are sent to somebody.
type mailbox struct {
	*program
	to   string
	seen int
}

// next waits for the next code.
func (m *mailbox) next() (code string) {
	m.t.Helper()
	m.seen++
	eventually(m.t, "a code", func() bool {
		var codes []string
		for _, l := range m.letters(0) {
			if found := codeInLetter.FindStringSubmatch(l.Text); found != nil && l.To == m.to {
				codes = append(codes, found[1])
			}
		}
		if len(codes) >= m.seen {
			code = codes[0]
		}
		return code != ""
	})
	return code
}

// wrongCode is one that is not the code.
func wrongCode(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// Codes by e-mail as a second factor: set up by a code that has come, then asked for
// where a level demands it; each is good once and for five minutes, and guesses are
// bounded (attack identity 61, 63, 64 and 65).
func TestMailCodes(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	box := &mailbox{program: p, to: ana.Login}
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	account.has(t, 200, "Codes by e-mail")
	offer := b.post(account, "do", "mail")
	offer.has(t, 200, "A code of six digits is sent to a***@example.com.")
	before := b.cookie("gatehouse_session")
	sent := b.post(offer, "step", "enroll", "mail", "send")
	sent.has(t, 200, "Code from the letter", "good for five minutes")
	code := box.next()
	b.post(sent, "step", "enroll", "mailcode", wrongCode(code)).has(t, 401, "That code is not right")
	b.get(offer.at.String()).has(t, 200, "Code from the letter") // it still waits
	b.post(sent, "step", "enroll", "mailcode", code[:3]+" "+code[3:]).has(t, 200, "Your second factor is set up", "a***@example.com")
	if b.cookie("gatehouse_session") == before {
		t.Error("the session has kept its secret though its level has changed")
	}

	// A level asks for it, and the token says what was shown.
	level := authorizePath + "?" + c.request("scope", "openid", "acr_values", "urn:okta:loa:2fa:any").Encode()
	other := p.browser(t)
	asked := other.signIn(other.get(level), ana.Login, ana.Password)
	asked.has(t, 200, "A code of six digits is sent to")
	other.post(asked, "step", "factor", "mailcode", code).has(t, 401) // it was used
	sent = other.post(asked, "step", "factor", "mail", "send")
	code = box.next()
	claims := claimsOf(t, c.redeemed(other, other.post(sent, "step", "factor", "mailcode", code)))
	if claims["acr"] != "urn:okta:loa:2fa:any" {
		t.Errorf("the token says %v", claims["acr"])
	}
	other.get("/api/v1/sessions/me").has(t, 200, `"amr":["pwd","otp","mfa"]`)

	// It is over after five minutes, and after five wrong ones.
	thief := p.browser(t)
	asked = thief.signIn(thief.get(level), ana.Login, ana.Password)
	sent = thief.post(asked, "step", "factor", "mail", "send")
	code = box.next()
	ahead.Store(int64(5*time.Minute + time.Second))
	thief.post(sent, "step", "factor", "mailcode", code).has(t, 401)
	sent = thief.post(asked, "step", "factor", "mail", "send")
	code = box.next()
	for range 5 {
		thief.post(sent, "step", "factor", "mailcode", wrongCode(code)).has(t, 401)
	}
	thief.post(sent, "step", "factor", "mailcode", code).has(t, 401)
	// Knowing the password begins no count anew, in whatever browser.
	for range 3 {
		thief.post(sent, "step", "factor", "mailcode", wrongCode(code)).has(t, 401)
	}
	again := p.browser(t)
	asked = again.signIn(again.get(level), ana.Login, ana.Password)
	again.post(asked, "step", "factor", "mailcode", wrongCode(code)).has(t, 429, "too many wrong codes")
	// Nor can the mailbox be filled.
	for i := range 4 {
		got := again.post(asked, "step", "factor", "mail", "send")
		if i == 3 {
			got.has(t, 429, "Several letters have been sent already")
		}
	}
	p.mailFactorAPI(t)
}

// mailFactorAPI sets ben's up by the management API, in Okta's shapes.
func (p *program) mailFactorAPI(t *testing.T) {
	t.Helper()
	box := &mailbox{program: p, to: "ben@example.com"}
	const factors = "/api/v1/users/ben@example.com/factors"
	for _, wrong := range []string{
		`{"factorType":"email","provider":"OKTA","profile":{"email":"ana@example.com"}}`,
		`{"factorType":"email","provider":"GOOGLE","profile":{"email":"ben@example.com"}}`,
	} {
		if a := p.okta(http.MethodPost, factors, wrong); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, a.Status, a.Body)
		}
	}
	const body = `{"factorType":"email","provider":"OKTA","profile":{"email":"ben@example.com"}}`
	if a := p.okta(http.MethodPost, factors+"?activate=true", body); a.Status != http.StatusBadRequest {
		t.Errorf("an address that nobody has shown to be theirs: %d %s", a.Status, a.Body)
	}
	a := p.okta(http.MethodPost, factors, body)
	if a.Status != http.StatusOK || !strings.Contains(a.Body, `"PENDING_ACTIVATION"`) || !strings.Contains(a.Body, `"profile":{"email":"ben@example.com"}`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id, _ := a.json(t)["id"].(string)
	at := factors + "/" + id
	first := box.next()
	if a := p.okta(http.MethodPost, at+"/resend", ""); a.Status != http.StatusOK {
		t.Errorf("resend: %d %s", a.Status, a.Body)
	}
	code := box.next()
	if first != code {
		if a := p.okta(http.MethodPost, at+"/lifecycle/activate", `{"passCode":"`+first+`"}`); a.Status != http.StatusForbidden || a.json(t)["errorCode"] != "E0000068" {
			t.Errorf("the code before: %d %s", a.Status, a.Body)
		}
	}
	if a := p.okta(http.MethodPost, at+"/lifecycle/activate", `{"passCode":"`+code+`"}`); a.Status != http.StatusOK || a.json(t)["status"] != "ACTIVE" {
		t.Errorf("activate: %d %s", a.Status, a.Body)
	}
	if a := p.okta(http.MethodPost, at+"/verify", `{}`); a.Status != http.StatusOK || a.json(t)["factorResult"] != "CHALLENGE" {
		t.Errorf("challenge: %d %s", a.Status, a.Body)
	}
	code = box.next()
	if a := p.okta(http.MethodPost, at+"/verify", `{"passCode":"`+wrongCode(code)+`"}`); a.Status != http.StatusForbidden {
		t.Errorf("a wrong one: %d %s", a.Status, a.Body)
	}
	for i := range 2 {
		if a := p.okta(http.MethodPost, at+"/verify", `{"passCode":"`+code+`"}`); (a.Status == http.StatusOK) != (i == 0) {
			t.Errorf("the right one, %d: %d %s", i, a.Status, a.Body)
		}
	}
	if a := p.okta(http.MethodGet, factors+"/catalog", ""); !strings.Contains(a.Body, `"factorType":"email"`) {
		t.Errorf("catalog: %s", a.Body)
	}
}

// The pages of codes by e-mail in Chromium.
func TestMailCodePages(t *testing.T) { inChromium(t, "mailcodes.mjs", withName(t)) }

package app_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

var shownKey = regexp.MustCompile(`<code class="key">([A-Z2-7 ]+)</code>`)

// phone is an authenticator app. Each code it gives is of a later step than the one
// before, within the tolerance of the clock, so that no test has to wait.
type phone struct {
	t      *testing.T
	secret string
	begun  time.Time
	given  int
}

func newPhone(t *testing.T, page *seen) *phone {
	t.Helper()
	m := shownKey.FindStringSubmatch(page.body)
	if m == nil {
		t.Fatalf("%s shows no key:\n%s", page.at, page.body)
	}
	return &phone{t: t, secret: strings.ReplaceAll(m[1], " ", ""), begun: time.Now()}
}

// code returns the next code: of the step before this one, of this, of the next.
func (p *phone) code() string {
	p.t.Helper()
	c, err := totp.GenerateCode(p.secret, p.begun.Add(time.Duration(p.given-1)*30*time.Second))
	if err != nil {
		p.t.Fatal(err)
	}
	p.given++
	return c
}

// A person sets up a second factor, and only the factor itself takes it away again
// (attack identity 61, 64 and 65).
func TestSecondFactor(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	account.has(t, 200, "None yet")
	begin := b.post(account, "do", "enroll")
	begin.has(t, 200, "Set up a second factor", "Begin")
	shown := b.post(begin, "step", "enroll")
	shown.has(t, 200, `role="img"`)
	app := newPhone(t, shown)
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
	thief.get("/account").has(t, 200, "An authenticator app")

	// With a code of the app it can.
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
	app := newPhone(t, shown)
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

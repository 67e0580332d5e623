package app_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var shownCode = regexp.MustCompile(`<li><code>([0-9a-z-]+)</code></li>`)

// Recovery codes are made behind a second factor, shown once, and each stands in for
// it once (attack identity 64, 65).
func TestRecoveryCodes(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	if strings.Contains(account.body, "Recovery codes") {
		t.Error("codes are offered to who has nothing to recover")
	}
	shown := b.post(b.post(account, "do", "enroll"), "step", "enroll")
	app := newPhone(p, shown)
	account = b.post(shown, "step", "enroll", "code", app.code())
	account.has(t, 200, "is set up", "without them")
	made := b.post(account, "do", "recovery")
	made.has(t, 200, "Your recovery codes", "shown this once")
	var codes []string
	for _, m := range shownCode.FindAllStringSubmatch(made.body, -1) {
		codes = append(codes, html.UnescapeString(m[1]))
	}
	if len(codes) != 10 {
		t.Fatalf("%d codes:\n%s", len(codes), made.body)
	}
	b.get("/account").has(t, 200, "10 of 10 left")
	for _, page := range []string{"/account", made.at.String()} {
		if strings.Contains(b.get(page).body, codes[0]) {
			t.Errorf("%s shows a code again", page)
		}
	}

	// Knowing the password makes none; one of the codes does, and takes the app away.
	lost := p.browser(t)
	asked := lost.post(lost.signIn(lost.get("/account"), ana.Login, ana.Password), "do", "recovery")
	asked.has(t, 200, "Use a recovery code")
	lost.post(asked, "step", "factor", "recovery", "00000-00000-00000-00000-000000").has(t, 401, "none of your recovery codes", "<details open>")
	lost.post(asked, "step", "factor", "recovery", strings.ToUpper(codes[7])).has(t, 200, "9 of 10 left")
	again := p.browser(t)
	asked = again.post(again.signIn(again.get("/account"), ana.Login, ana.Password), "do", "recovery")
	again.post(asked, "step", "factor", "recovery", codes[7]).has(t, 401, "none of your recovery codes")
	lost.post(lost.get("/account"), "do", "recovery").has(t, 200, "Your recovery codes")
	again.post(asked, "step", "factor", "recovery", codes[6]).has(t, 401, "none of your recovery codes") // older than the new ones
	lost.post(lost.get("/account"), "do", "remove").has(t, 200, "is removed", "None yet")

	if log := p.logged(t, "user.mfa.recovery_codes.use"); strings.Count(log, `"user.mfa.recovery_codes.use"`) != 1 || strings.Contains(log, codes[7]) {
		t.Errorf("the system log: %s", log)
	}
}

// attack identity 63: a thousand wrong codes of every kind, in many browsers, open
// nothing, and neither does a right one among those that come too late.
func TestThousandWrongCodes(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	shown := b.post(b.post(b.signIn(b.get("/account"), ana.Login, ana.Password), "do", "enroll"), "step", "enroll")
	app := newPhone(p, shown)
	made := b.post(b.post(shown, "step", "enroll", "code", app.code()), "do", "recovery")
	codes := shownCode.FindAllStringSubmatch(made.body, -1)
	if len(codes) != 10 {
		t.Fatalf("no codes:\n%s", made.body)
	}
	type thief struct {
		*browser
		asked *seen
	}
	var thieves []thief
	for range 4 {
		b := p.browser(t)
		thieves = append(thieves, thief{b, b.post(b.signIn(b.get("/account"), ana.Login, ana.Password), "do", "remove")})
	}
	statuses := map[int]int{}
	for i := range 1000 {
		w := thieves[i%len(thieves)]
		kind, code := "code", "000000"
		if i%2 == 1 {
			kind, code = "recovery", "0000000000000000000000000"+string("0123456789"[i%10])
		}
		switch i {
		case 500:
			kind, code = "code", app.code()
		case 501:
			kind, code = "recovery", codes[0][1]
		}
		got := w.post(w.asked, "step", "factor", kind, code)
		statuses[got.StatusCode]++
		if got.StatusCode != http.StatusUnauthorized && got.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("guess %d: %d\n%s", i+1, got.StatusCode, got.body)
		}
	}
	if statuses[http.StatusUnauthorized] > 10 {
		t.Errorf("%d guesses were judged", statuses[http.StatusUnauthorized])
	}
	for _, w := range thieves {
		if got := w.get("/account"); strings.Contains(got.body, "is removed") || !strings.Contains(got.body, "An authenticator app") {
			t.Errorf("it opened:\n%s", got.body)
		}
	}
}

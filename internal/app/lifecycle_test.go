package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/keys"
	"gatehouse/internal/mail"
	"gatehouse/internal/mail/mailtest"
)

var linkInLetter = regexp.MustCompile(`http://[^ \n]+/(reset_password|welcome|confirm_email)/[^ \n]+`)

// letters returns those that have come once there are so many, the newest first.
func (p *program) letters(n int) []mail.Caught {
	p.t.Helper()
	return app.Letters(p.t, p.App, n)
}

// linkOf returns the link of a letter that is to somebody.
func linkOf(t *testing.T, l mail.Caught, to string) string {
	t.Helper()
	link := linkInLetter.FindString(l.Text)
	if l.To != to || link == "" {
		t.Fatalf("a letter to %s: %s\n%s", l.To, l.Subject, l.Text)
	}
	return link
}

// attack identity 62 and 66: nobody learns who exists, a link is good once, for one
// person, and ends what the old password had opened.
func TestForgottenPassword(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	b.get("/account").has(t, 200, "/recover")
	signedIn := p.browser(t)
	signedIn.signIn(signedIn.get("/account"), ana.Login, ana.Password).has(t, 200, "Ana Example")
	c := p.browserApp()
	token, _ := c.tokens(p.browser(t), ana.Login, ana.Password, "openid vacations:read")["access_token"].(string)
	if got := p.call(http.MethodGet, "/hr/vacations/ana", token); got.Status != http.StatusOK {
		t.Fatalf("the token: %d", got.Status)
	}

	page := b.get("/recover")
	page.has(t, 200, "Forgotten your password?")
	known, unknown := b.post(page, "identifier", "ana"), b.post(page, "identifier", "nobody@example.com")
	if known.body != unknown.body || known.StatusCode != unknown.StatusCode || known.StatusCode != http.StatusOK {
		t.Errorf("the answers differ:\n%s\n%s", known.body, unknown.body)
	}
	b.post(page, "identifier", " ").has(t, 422, "Enter your name")
	link := linkOf(t, p.letters(1)[0], "ana@example.com")

	// A scanner opens the link; a password that is not good does not use it up.
	for range 2 {
		b.get(link).has(t, 200, "Choose a new password", "ana@example.com")
	}
	opened := b.get(link)
	b.post(opened, "password", "short").has(t, 422, "too short")
	const chosen = "four words make one"
	b.post(opened, "password", chosen).has(t, 200, "Your password is saved")
	for _, got := range []*seen{b.post(opened, "password", "another one of them"), b.get(link)} {
		got.has(t, 404, "not good any more")
	}

	signedIn.get("/account").has(t, 200, "<h1>Sign in</h1>")
	if got := p.call(http.MethodGet, "/hr/vacations/ana", token); got.Status != http.StatusUnauthorized {
		t.Errorf("a token from before: %d", got.Status)
	}
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 401)
	b.signIn(b.get("/account"), ana.Login, chosen).has(t, 200, "Ana Example")
	if told := p.letters(2)[0]; told.Subject != "Your password was changed" || told.To != "ana@example.com" {
		t.Errorf("%+v", told)
	}
	if log := p.err.String(); strings.Contains(log, link[strings.LastIndexByte(link, '/')+1:]) {
		t.Error("the log holds the token")
	}
}

// attack identity 66: of any number who use a link at a time one is first; links from
// before are not good after it, nor one to an address that was taken away.
func TestALinkIsGoodOnce(t *testing.T) {
	p := start(t, "")
	b := p.browser(t)
	page := b.get("/recover")
	for range 2 {
		b.post(page, "identifier", "ana")
	}
	list := p.letters(2)
	link, other := linkOf(t, list[0], "ana@example.com"), linkOf(t, list[1], "ana@example.com")
	var first, refused atomic.Int32
	var work sync.WaitGroup
	for i := range 8 { // each hashes a password; the store's own test has 32
		work.Go(func() {
			got := p.browser(t).send(b.form(link, url.Values{"password": {fmt.Sprintf("chosen by number %d", i)}}))
			switch {
			case got.StatusCode == http.StatusOK && strings.Contains(got.body, "is saved"):
				first.Add(1)
			case got.StatusCode == http.StatusNotFound || got.StatusCode == http.StatusServiceUnavailable:
				refused.Add(1)
			}
		})
	}
	work.Wait()
	if first.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d were first, %d were refused", first.Load(), refused.Load())
	}
	b.get(other).has(t, 404, "not good any more")

	p.letters(3) // that ana's was changed; letters on their way at a time come in any order
	b.post(page, "identifier", "ben")
	link = linkOf(t, p.letters(4)[0], "ben@example.com")
	if got := p.okta("POST", "/api/v1/users/ben@example.com", `{"profile":{"email":"ben@elsewhere.test"}}`); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	b.get(link).has(t, 404, "not good any more")
}

// Okta's life cycle: links are sent, or answered in Okta's shapes.
func TestInvitation(t *testing.T) {
	p := start(t, "")
	const users = "/api/v1/users"
	eve := p.made(users, `{"profile":{"login":"eve@example.com","email":"eve@example.com"}}`)
	letter := p.letters(1)[0]
	link := linkOf(t, letter, "eve@example.com")
	if !strings.Contains(link, "/welcome/") {
		t.Errorf("%s", letter.Text)
	}
	b := p.browser(t)
	b.signIn(b.get("/account"), "eve@example.com", "whatever it is").has(t, 401)
	b.post(b.get(link), "password", "a password of eve").has(t, 200, "is saved")
	if got := p.okta("GET", users+"/"+eve, "").json(t)["status"]; got != "ACTIVE" {
		t.Errorf("eve is %v", got)
	}
	b.signIn(b.get("/account"), "eve@example.com", "a password of eve").has(t, 200, "eve@example.com")

	// Without letters: each answer is Okta's.
	kim := p.made(users+"?activate=false", `{"profile":{"login":"kim@example.com","email":"kim@example.com"}}`)
	activated := p.okta("POST", users+"/"+kim+"/lifecycle/activate?sendEmail=false", "")
	first, _ := activated.json(t)["activationUrl"].(string)
	if token, _ := activated.json(t)["activationToken"].(string); activated.Status != http.StatusOK || token == "" || first != p.Ready().Identity+"/welcome/"+token {
		t.Fatalf("%d %s", activated.Status, activated.Body)
	}
	again := p.okta("POST", users+"/"+kim+"/lifecycle/reactivate", "")
	second, _ := again.json(t)["activationUrl"].(string)
	b.post(b.get(second), "password", "a password of kim").has(t, 200, "is saved")
	b.get(first).has(t, 404)

	reset := p.okta("POST", users+"/"+kim+"/lifecycle/reset_password?sendEmail=false", "")
	link, _ = reset.json(t)["resetPasswordUrl"].(string)
	if reset.Status != http.StatusOK || !strings.HasPrefix(link, p.Ready().Identity+"/reset_password/") || len(reset.json(t)) != 1 {
		t.Fatalf("%d %s", reset.Status, reset.Body)
	}
	locked := p.browser(t)
	locked.signIn(locked.get("/account"), "kim@example.com", "a password of kim").has(t, 401)
	if got := p.okta("GET", users+"/"+kim, "").json(t)["status"]; got != "RECOVERY" {
		t.Errorf("kim is %v", got)
	}
	b.post(b.get(link), "password", "another one of kim").has(t, 200, "is saved")
	forgot := p.okta("POST", users+"/"+kim+"/credentials/forgot_password?sendEmail=false", "")
	if link, _ = forgot.json(t)["resetPasswordUrl"].(string); link == "" || p.okta("GET", users+"/"+kim, "").json(t)["status"] != "ACTIVE" {
		t.Errorf("%d %s", forgot.Status, forgot.Body)
	}
	for _, path := range []string{"/lifecycle/reset_password?sendEmail=true", "/credentials/forgot_password"} {
		if got := p.okta("POST", users+"/"+kim+path, ""); got.Status != http.StatusOK || got.Body != "{}" {
			t.Errorf("%s: %d %s", path, got.Status, got.Body)
		}
	}
	if got := p.okta("POST", users+"/"+kim+"/lifecycle/reset_password?sendEmail=perhaps", ""); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if got := p.okta("POST", users+"/"+kim+"/lifecycle/suspend", ""); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	b.get(link).has(t, 404)
	if got := p.okta("POST", users+"/"+kim+"/credentials/forgot_password?sendEmail=false", ""); got.Status != http.StatusForbidden || got.json(t)["errorCode"] != "E0000034" {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// An address changes when its reader says so, and the old one is told.
func TestChangeOfAddress(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "/account/email")
	page := b.get("/account/email")
	page.has(t, 200, "ana@example.com")
	b.post(page, "email", "not an address").has(t, 422, "not an e-mail address")
	b.post(page, "email", "ana@new.example").has(t, 200, "Look into your new mailbox")
	link := linkOf(t, p.letters(1)[0], "ana@new.example")
	other := p.browser(t) // the letter is read elsewhere
	other.get(link).has(t, 200, "Use this address?", "ana@new.example")
	b.get("/account/email").has(t, 200, "ana@example.com")
	other.post(other.get(link), "x", "y").has(t, 200, "Your address is changed")
	b.get("/account/email").has(t, 200, "ana@new.example")
	other.get(link).has(t, 404)
	if told := p.letters(2)[0]; told.To != "ana@example.com" || !strings.Contains(told.Text, "a***@new.example") {
		t.Errorf("%+v", told)
	}
}

// Somebody who signs in from elsewhere is told of to the person.
func TestNewSignInIsToldOf(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	signIn := func(agent string) {
		t.Helper()
		b := p.browser(t)
		page := b.get("/account")
		form := b.form(page.at.String(), url.Values{
			"step": {"signin"}, "identifier": {ana.Login}, "password": {ana.Password}, "token": formToken.FindStringSubmatch(page.body)[1:],
		})
		form.Header.Set("User-Agent", agent)
		if got := b.send(form); got.StatusCode != http.StatusSeeOther {
			t.Fatalf("%d %s", got.StatusCode, got.body)
		}
	}
	seenSignIns := func(n int) {
		t.Helper()
		eventually(t, "the sign-ins in the system log", func() bool {
			return strings.Count(p.okta("GET", `/api/v1/logs?filter=`+url.QueryEscape(`eventType eq "user.session.start"`), "").Body, `"user.session.start"`) >= n
		})
	}
	const firefox, chrome = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0", "Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36"
	signIn(firefox) // the first of all
	seenSignIns(1)
	signIn(firefox) // as before
	seenSignIns(2)
	signIn(chrome)
	told := p.letters(1)
	if len(told) != 1 || told[0].Subject != "A new sign-in" || !strings.Contains(told[0].Text, "Chrome on Windows, from 127.0.0.1") {
		t.Errorf("%+v", told)
	}
}

// Letters leave by the operator's server, over TLS and with a password; nothing that
// opens an account is in the log of the process or in the system log.
func TestLettersBySMTP(t *testing.T) {
	server := mailtest.Start(t, mailtest.Config{StartTLS: true, User: "gate", Password: "canary-smtp-password"})
	folder := t.TempDir()
	for name, content := range map[string]string{"ca.pem": string(server.CA), "password": "canary-smtp-password"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, write(t, fmt.Sprintf(`version: 1
server:
  mail:
    smtp: smtp://%s
    from: Acme <no-reply@acme.test>
    user: gate
    password: ${file:%s}
    ca: %s
`, server.Address, filepath.Join(folder, "password"), filepath.Join(folder, "ca.pem"))))
	if p.Ready().Mailbox != "" || p.request(http.MethodGet, p.Ready().Console+"/mailbox", "", "").Status != http.StatusNotFound {
		t.Error("letters are sent, and shown as well")
	}
	b := p.browser(t)
	b.post(b.get("/recover"), "identifier", "ana@example.com").has(t, 200, "Look into your mailbox")
	var got mailtest.Letter
	select {
	case got = <-server.Letters:
	case <-time.After(time.Minute):
		t.Fatalf("no letter came\n%s", p.err)
	}
	subject, text, err := mail.Read(got.Raw)
	if err != nil || !got.Secure || got.User != "gate" || got.To != "ana@example.com" || got.From != "no-reply@acme.test" || subject != "Choose a new password" {
		t.Errorf("%+v %q %v", got, subject, err)
	}
	link := linkInLetter.FindString(text)
	b.post(b.get(link), "password", "a password of ana").has(t, 200, "is saved")
	var log string
	eventually(t, "the delivery in the system log", func() bool {
		log = p.okta("GET", "/api/v1/logs?filter="+url.QueryEscape(`eventType eq "system.email.delivery"`), "").Body
		return strings.Contains(log, "system.email.delivery")
	})
	token := link[strings.LastIndexByte(link, '/')+1:]
	for where, what := range map[string]string{"system log": log + p.okta("GET", "/api/v1/logs", "").Body, "log": p.err.String() + p.out.String()} {
		if strings.Contains(what, token) || strings.Contains(what, "canary-smtp-password") {
			t.Errorf("the %s holds a secret", where)
		}
	}
}

// What dev catches can be read by a person.
func TestMailboxPage(t *testing.T) {
	p := start(t, "")
	if p.Ready().Mailbox != p.Ready().Console+"/mailbox" || !strings.Contains(p.Welcome(), p.Ready().Mailbox) {
		t.Errorf("the mailbox is not named: %q", p.Ready().Mailbox)
	}
	empty := p.request(http.MethodGet, p.Ready().Mailbox, "", "")
	if empty.Status != http.StatusOK || !strings.Contains(empty.Body, "No letter yet") {
		t.Errorf("%d %s", empty.Status, empty.Body)
	}
	b := p.browser(t)
	b.post(b.get("/recover"), "identifier", "ana")
	link := linkOf(t, p.letters(1)[0], "ana@example.com")
	page := p.request(http.MethodGet, p.Ready().Mailbox, "", "")
	if !strings.Contains(page.Body, `<a href="`+link+`">`) || page.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s", page.Body)
	}
}

// People make accounts for themselves where the file says so: with an address that
// is theirs, of a domain that may, and nobody learns who has one already.
func TestRegistration(t *testing.T) {
	off := start(t, "")
	b := off.browser(t)
	b.get("/register").has(t, 404)

	p := start(t, write(t, "version: 1\nserver:\n  people: { registration: { domains: [acme.test, example.com] } }\n"))
	b = p.browser(t)
	b.get("/account").has(t, 200, "/register")
	page := b.get("/register")
	page.has(t, 200, "Create an account", "acme.test, example.com")
	b.post(page, "email", "eve@elsewhere.test").has(t, 422, "cannot be used here")
	b.post(page, "email", "not an address").has(t, 422, "not an e-mail address")
	fresh, known := b.post(page, "email", "eve@ACME.test"), b.post(page, "email", "ana@example.com")
	if fresh.StatusCode != http.StatusOK || fresh.body != known.body {
		t.Errorf("the answers differ:\n%s\n%s", fresh.body, known.body)
	}
	list := p.letters(2)
	if list[0].To != "ana@example.com" { // they leave at the same time
		list[0], list[1] = list[1], list[0]
	}
	if list[0].To != "ana@example.com" || list[0].Subject != "You have an account at "+strings.TrimPrefix(p.Ready().Identity, "http://") {
		t.Errorf("%+v", list[0])
	}
	if got := p.okta("GET", "/api/v1/users/eve@ACME.test", ""); got.Status != http.StatusNotFound {
		t.Errorf("somebody exists who has confirmed nothing: %d %s", got.Status, got.Body)
	}
	link := regexp.MustCompile(`http://[^ \n]+/register/[^ \n]+`).FindString(list[1].Text)
	opened := b.get(link)
	opened.has(t, 200, "Create your account", "eve@ACME.test")
	b.post(opened, "first", "Eve", "last", strings.Repeat("x", 60), "password", "a password of eve").has(t, 422, "at most 50")
	b.post(opened, "first", "Eve", "last", "Example", "password", "short").has(t, 422, "too short")
	b.post(opened, "first", "Eve", "last", "Example", "password", "a password of eve").has(t, 200, "Your account is ready")
	b.post(opened, "password", "another password").has(t, 404)
	b.signIn(b.get("/account"), "eve@acme.test", "a password of eve").has(t, 200, "Eve Example", "No app has asked you for anything yet")
	if got := p.okta("GET", "/api/v1/users/eve@acme.test", "").json(t)["status"]; got != "ACTIVE" {
		t.Errorf("eve is %v", got)
	}
	for i := 0; ; i++ {
		if got := b.post(page, "email", fmt.Sprintf("x%d@acme.test", i)); got.StatusCode == http.StatusTooManyRequests {
			break
		}
		if i > 30 {
			t.Fatal("letters to strangers without end")
		}
	}
}

// After ten wrong passwords signing in rests, also with the right one; an administrator sees
// that and ends it, and nobody does who may do less than the person.
func TestUnlock(t *testing.T) {
	p := start(t, "")
	desk, boss := p.hire("desk", "HELP_DESK_ADMIN"), p.hire("boss", "SUPER_ADMIN")
	const password = "correct horse 4"
	eve := p.made("/api/v1/users", `{"profile":{"login":"eve@example.com","email":"eve@example.com"},"credentials":{"password":{"value":"`+password+`"}}}`)
	b := p.browser(t)
	for range 10 {
		b.signIn(b.get("/account"), "eve@example.com", "a guess").has(t, 401)
	}
	b.signIn(b.get("/account"), "eve@example.com", password).has(t, 401)
	if got := p.okta("GET", "/api/v1/users/"+eve+"/blocks", ""); !strings.Contains(got.Body, "ANY_DEVICES") {
		t.Errorf("blocks: %s", got.Body)
	}
	if got := desk.call("POST", "/api/v1/users/"+boss.id+"/lifecycle/unlock", ""); got.Status != http.StatusForbidden {
		t.Errorf("an administrator with more rights: %d %s", got.Status, got.Body)
	}
	if got := desk.call("POST", "/api/v1/users/"+eve+"/lifecycle/unlock", ""); got.Status != http.StatusOK || got.Body != "{}" {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	if got := p.okta("GET", "/api/v1/users/"+eve+"/blocks", ""); got.Body != "[]" {
		t.Errorf("blocks: %s", got.Body)
	}
	b.signIn(b.get("/account"), "eve@example.com", password).has(t, 200, "eve@example.com")
	if got := desk.call("POST", "/api/v1/users/"+eve+"/lifecycle/unlock", ""); got.Status != http.StatusForbidden || got.json(t)["errorCode"] != "E0000038" {
		t.Errorf("who is not locked out: %d %s", got.Status, got.Body)
	}
	eventually(t, "the event", func() bool {
		return strings.Contains(p.okta("GET", "/api/v1/logs?limit=1000", "").Body, "user.account.unlock_by_admin")
	})
}

// Passwords that thieves know cannot be chosen; hashes of another system are good
// until the first sign-in, which replaces them.
func TestPasswordRules(t *testing.T) {
	list := filepath.Join(t.TempDir(), "breached.txt")
	if err := os.WriteFile(list, []byte("correct horse battery staple\nhunter2hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, write(t, "version: 1\nserver:\n  people: { breached_passwords: "+list+" }\n"))
	b := p.browser(t)
	b.post(b.get("/recover"), "identifier", "ana")
	opened := b.get(linkOf(t, p.letters(1)[0], "ana@example.com"))
	b.post(opened, "password", "Hunter2hunter2").has(t, 422, "Thieves know this password")
	b.post(opened, "password", "another one entirely").has(t, 200, "is saved")
	got := p.okta("POST", "/api/v1/users", `{"profile":{"login":"x@example.com","email":"x@example.com"},"credentials":{"password":{"value":"hunter2hunter2"}}}`)
	if got.Status != http.StatusBadRequest || got.json(t)["errorCode"] != "E0000080" {
		t.Errorf("%d %s", got.Status, got.Body)
	}

	id := p.made("/api/v1/users", `{"profile":{"login":"isa@example.com","email":"isa@example.com"},
		"credentials":{"password":{"hash":{"algorithm":"BCRYPT","workFactor":5,"salt":"CCCCCCCCCCCCCCCCCCCCC.","value":"E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"}}}}`)
	if got := p.okta("GET", "/api/v1/users/"+id, ""); got.json(t)["status"] != "ACTIVE" || strings.Contains(got.Body, "E5YPO9") {
		t.Errorf("%s", got.Body)
	}
	b.signIn(b.get("/account"), "isa@example.com", "not it").has(t, 401)
	if v := app.Verifier(t, p.App, id); !strings.HasPrefix(v, "$2a$05$") {
		t.Errorf("before: %q", v)
	}
	b.signIn(b.get("/account"), "isa@example.com", "U*U").has(t, 200, "isa@example.com")
	if v := app.Verifier(t, p.App, id); !strings.HasPrefix(v, "$argon2id$") {
		t.Errorf("after: %q", v)
	}
	other := p.browser(t)
	other.signIn(other.get("/account"), "isa@example.com", "U*U").has(t, 200, "isa@example.com")
	if got := p.okta("POST", "/api/v1/users/"+id, `{"credentials":{"password":{"hash":{"algorithm":"SHA-1","value":"0Of0r5wvFVBHbE5BW8CpyQG3+Hs="}}}}`); got.Status != http.StatusForbidden {
		t.Errorf("a hash for a user in use: %d %s", got.Status, got.Body)
	}
	if got := p.okta("POST", "/api/v1/users", `{"profile":{"login":"y@example.com","email":"y@example.com"},"credentials":{"password":{"hash":{"algorithm":"MD5","value":"AAAA"}}}}`); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

// Passwords are hashed one by one where the memory is for one: who comes when too many wait
// is told at once to come again, and that is not counted as a guess.
func TestTooManyPasswordsAtATime(t *testing.T) {
	p := start(t, "", func(c *app.Config) {
		c.Passwords = keys.PasswordConfig{MemoryKiB: 64 << 10, Iterations: 2, Lanes: 1, Concurrent: 1, Waiting: 1}
	})
	ben := p.Ready().Demo.Users[1]
	var judged, busy atomic.Int32
	for range 2 {
		var work sync.WaitGroup
		for range 10 {
			b := p.browser(t)
			page := b.get("/account")
			work.Go(func() {
				switch got := b.signIn(page, ben.Login, "a guess"); {
				case got.StatusCode == http.StatusUnauthorized:
					judged.Add(1)
				case got.StatusCode == http.StatusServiceUnavailable && got.Header.Get("Retry-After") != "" && strings.Contains(got.body, `type="password"`):
					busy.Add(1)
				default:
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			})
		}
		work.Wait()
	}
	if judged.Load() < 1 || judged.Load() >= 10 || judged.Load()+busy.Load() != 20 {
		t.Fatalf("%d were judged, %d were told to come again", judged.Load(), busy.Load())
	}
	b := p.browser(t)
	b.signIn(b.get("/account"), ben.Login, ben.Password).has(t, 200, ben.Login)
}

// People see what was done with their account, and take what is held about them: with
// nothing in it that would let its reader act as them.
func TestActivityAndExport(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	c := p.browserApp()
	if token, _ := c.tokens(b, ana.Login, ana.Password, "openid vacations:read")["access_token"].(string); token == "" {
		t.Fatal("no token")
	}
	app.FlushLog(t, p.App)
	b.get("/account").has(t, 200, "/account/activity", "/account/export")
	b.get("/account/activity").has(t, 200, "Recent activity", "Signed in", "A Go program", "127.0.0.1", "Access was allowed: My HR")
	p.browser(t).get("/account/activity").has(t, 200, "<h1>Sign in</h1>")

	page := b.get("/account/export")
	page.has(t, 200, "Download the file")
	got := b.post(page, "x", "y")
	got.has(t, 200, `"login": "ana@example.com"`, `"name": "employees"`, "user.session.start", "vacations:read", `"grants"`, "My HR", `"places"`, `"network": "127.0.0.0/24"`)
	if h := got.Header; h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", h)
	}
	for _, secret := range []string{"argon2", b.cookie("gatehouse_session"), "passwordHash", "answerHash"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the file holds %q", secret)
		}
	}
	// A browser that was left open gives nothing away: the form asks for a proof.
	b.send(b.form("/account/export", url.Values{})).has(t, 403)
}

// A letter, and the pages about it, are in the language of the browser that asks.
func TestLettersInTheReadersLanguage(t *testing.T) {
	p := start(t, "")
	b := p.browser(t)
	r := b.form("/recover", url.Values{"identifier": {"ana"}})
	r.Header.Set("Accept-Language", "pt, de-AT;q=0.9, en;q=0.5")
	b.send(r).has(t, 200, `<html lang="de">`, "Sehen Sie in Ihr Postfach")
	if got := p.letters(1)[0]; got.Subject != "Wählen Sie ein neues Passwort" || !strings.Contains(got.Text, "Der Link gilt einmal") {
		t.Errorf("%+v", got)
	}
	b.get("/recover").has(t, 200, `<html lang="en">`)
}

// attack identity 67: what links in letters lead to is the configured address, whatever a
// request says that it was sent to.
func TestLinksLeadHere(t *testing.T) {
	p := start(t, "")
	b := p.browser(t)
	page := b.get("/recover")
	for i, spoof := range []func(*http.Request){
		func(r *http.Request) { r.Host = "evil.test" },
		func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "evil.test") },
		func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "gopher") },
		func(r *http.Request) { r.Header.Set("Forwarded", "host=evil.test;proto=gopher") },
		func(r *http.Request) {
			r.Header.Set("X-Original-Host", "evil.test")
			r.Header.Set("X-Host", "evil.test")
		},
	} {
		name := fmt.Sprintf("spoofed%d@example.com", i)
		p.made("/api/v1/users", `{"profile":{"login":"`+name+`","email":"`+name+`"},"credentials":{"password":{"value":"correct horse 4"}}}`)
		r := b.form("/recover", url.Values{"identifier": {name}, "token": formTokens(page)})
		spoof(r)
		b.send(r).has(t, 200)
		if link := linkOf(t, p.letters(i + 1)[0], name); !strings.HasPrefix(link, p.Ready().Identity+"/") {
			t.Errorf("spoof %d: a letter leads to %s", i, link)
		}
	}
}

// formTokens returns the token of a page's form, if it has one.
func formTokens(page *seen) []string {
	if m := formToken.FindStringSubmatch(page.body); m != nil {
		return m[1:]
	}
	return nil
}

package app_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser is what a person without scripts has: cookies, and forms to send.
type browser struct {
	t    *testing.T
	http *http.Client
	base string
}

// seen is a page as the browser got it.
type seen struct {
	*http.Response
	body string
	at   *url.URL
}

func (p *program) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{t: t, base: p.Ready().Identity, http: &http.Client{
		Jar: jar, Transport: tr, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) send(r *http.Request) *seen {
	b.t.Helper()
	resp, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	return &seen{Response: resp, body: string(body), at: r.URL}
}

// get follows redirects as long as they stay with the identity listener.
func (b *browser) get(address string) *seen {
	b.t.Helper()
	for range 10 {
		r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.absolute(address), nil)
		if err != nil {
			b.t.Fatal(err)
		}
		got := b.send(r)
		to := got.Header.Get("Location")
		if to == "" || !strings.HasPrefix(b.absolute(to), b.base+"/") {
			return got
		}
		address = to
	}
	b.t.Fatal("too many redirects")
	return nil
}

func (b *browser) absolute(address string) string {
	if strings.HasPrefix(address, "/") {
		return b.base + address
	}
	return address
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// post sends a form of a page, with the page's token, and follows what comes.
func (b *browser) post(page *seen, fields ...string) *seen {
	b.t.Helper()
	form := url.Values{}
	if m := formToken.FindStringSubmatch(page.body); m != nil {
		form.Set("token", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	got := b.send(b.form(page.at.String(), form))
	if to := got.Header.Get("Location"); to != "" && strings.HasPrefix(b.absolute(to), b.base+"/") {
		return b.get(to)
	}
	return got
}

func (b *browser) form(address string, form url.Values) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.absolute(address), strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

// signIn answers the page for signing in.
func (b *browser) signIn(page *seen, name, password string) *seen {
	b.t.Helper()
	return b.post(page, "step", "signin", "identifier", name, "password", password)
}

// session returns the value of the session's cookie.
func (b *browser) cookie(name string) string {
	b.t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

func (s *seen) has(t *testing.T, status int, texts ...string) {
	t.Helper()
	if s.StatusCode != status {
		t.Errorf("%s: status %d, want %d", s.at, s.StatusCode, status)
	}
	for _, text := range texts {
		if !strings.Contains(s.body, text) {
			t.Errorf("%s does not say %q:\n%s", s.at, text, s.body)
		}
	}
}

func TestSignInAndAccount(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	page := b.get("/account")
	page.has(t, 200, "<h1>Sign in</h1>", `autocomplete="current-password"`)
	h := page.Header
	if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none';") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp) // attack identity 10
	}
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" {
		t.Errorf("headers %v", h)
	}
	b.signIn(page, ana.Login, "wrong-password").has(t, 401, "do not match")

	// attack identity 11: a form of another site, and one without the page's token.
	foreign := b.form(page.at.String(), url.Values{"step": {"signin"}, "identifier": {ana.Login}, "password": {ana.Password}, "token": formToken.FindStringSubmatch(page.body)[1:]})
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	b.send(foreign).has(t, 403)
	b.send(b.form(page.at.String(), url.Values{"step": {"signin"}, "identifier": {ana.Login}, "password": {ana.Password}})).has(t, 403)
	// A sign-in that another browser began.
	p.browser(t).get(page.at.String()).has(t, 404, "out of date")

	account := b.signIn(page, " ANA@example.com ", ana.Password)
	account.has(t, 200, "Ana Example", "this browser")
	if account.at.Path != "/account" {
		t.Errorf("led to %s", account.at)
	}
	b.get(page.at.String()).has(t, 404) // it is answered once

	// A second browser appears, and is signed out from the first.
	other := p.browser(t)
	other.signIn(other.get("/account"), "ana", ana.Password).has(t, 200, "Ana Example")
	list := b.get("/account")
	ids := regexp.MustCompile(`name="id" value="(102[^"]+)"`).FindAllStringSubmatch(list.body, -1)
	if len(ids) != 1 {
		t.Fatalf("other sessions: %v", ids)
	}
	b.post(list, "do", "session", "id", ids[0][1]).has(t, 200, "That browser is signed out")
	other.get("/account").has(t, 200, "<h1>Sign in</h1>")

	b.post(b.get("/account"), "do", "everywhere").has(t, 200, "You are signed out")
	b.get("/account").has(t, 200, "<h1>Sign in</h1>")
}

// attack identity 61: nobody's cookie from before the sign-in is good after it.
func TestSessionIDsChangeAtSignIn(t *testing.T) {
	p := start(t, "")
	ana, ben := p.Ready().Demo.Users[0], p.Ready().Demo.Users[1]
	b := p.browser(t)
	planted := &http.Cookie{Name: "gatehouse_session", Value: strings.Repeat("x", 43), Path: "/"}
	u, _ := url.Parse(b.base)
	b.http.Jar.SetCookies(u, []*http.Cookie{planted})
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Ana Example")
	first := b.cookie("gatehouse_session")
	if first == planted.Value || len(first) < 32 {
		t.Errorf("the session is %q", first)
	}
	b.post(b.get("/account"), "do", "password", "old", ana.Password, "password", "a longer one of four words").has(t, 200, "Your password is changed")
	b.post(b.get("/account"), "do", "password", "old", "not it", "password", "a longer one of four words").has(t, 422, "not right")
	// Another person in the same browser ends the first one's session.
	b.post(b.get("/account"), "do", "signout")
	b.signIn(b.get("/account"), ben.Login, ben.Password).has(t, 200, "Ben Example")
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: "gatehouse_session", Value: first, Path: "/"}})
	b.get("/account").has(t, 200, "<h1>Sign in</h1>")
}

// attack identity 62 and 63: the answer is the same for who does not exist, and
// attempts count over all names of a person.
func TestGuessingIsBounded(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	b := p.browser(t)
	page := b.get("/account")
	names := []string{"ana@example.com", "ana", "ANA@EXAMPLE.COM"}
	answer := func(name, password string) string {
		got := b.signIn(page, name, password)
		got.has(t, 401)
		return strings.ReplaceAll(got.body, `value="`+name+`"`, `value=""`)
	}
	known, unknown := "", answer("nobody@example.com", "wrong-password")
	for i := range 10 {
		known = answer(names[i%len(names)], "wrong-password")
	}
	if known != unknown {
		t.Errorf("the answers differ:\n%s\n%s", known, unknown)
	}
	for _, name := range names {
		if got := answer(name, ana.Password); got != unknown {
			t.Errorf("after ten attempts %s with the right password is told:\n%s", name, got)
		}
	}
	ben := p.Ready().Demo.Users[1]
	b.signIn(page, ben.Login, ben.Password).has(t, 200, "Ben Example")
}

package app_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// Single sign-on lasts as long as the session and no longer: neither use nor proving
// anew moves the end that it was begun with.
func TestLimitsOfSessions(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	silent := func() string {
		t.Helper()
		return c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())).Get("error")
	}
	at := func(d time.Duration) { ahead.Store(int64(d)) }
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Last changed")
	first := b.cookie("gatehouse_session")
	for h := range 6 {
		if at(time.Duration(h) * 119 * time.Minute); silent() != "" {
			t.Fatalf("hour %d: not signed in", h)
		}
	}
	// Proved anew: another secret, the same end.
	at(11 * time.Hour)
	page := b.get(authorizePath + "?" + c.request("prompt", "login", "scope", "openid").Encode())
	page.has(t, 200, "Confirm it is you")
	c.answer(t, b.post(page, "step", "signin", "password", ana.Password))
	if b.cookie("gatehouse_session") == first {
		t.Error("the session has its old secret")
	}
	thief := p.browser(t)
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/account", nil)
	r.AddCookie(&http.Cookie{Name: "gatehouse_session", Value: first})
	if got := thief.send(r); got.StatusCode != http.StatusSeeOther {
		t.Errorf("the old secret opens the account: %d", got.StatusCode)
	}
	if at(12*time.Hour - time.Minute); silent() != "" {
		t.Error("over before its time")
	}
	if at(12*time.Hour + time.Minute); silent() != "login_required" {
		t.Error("single sign-on outlives the session")
	}
	// A new session, left alone.
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Last changed")
	if at(14 * time.Hour); silent() != "" {
		t.Error("less than two hours without use")
	}
	if at(16*time.Hour + time.Minute); silent() != "login_required" {
		t.Error("two hours without use")
	}
}

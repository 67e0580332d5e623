package login

import "testing"

// TestSiteOf: a domain is shown with an app's name only when the answer goes there.
func TestSiteOf(t *testing.T) {
	for _, c := range []struct{ own, redirect, want string }{
		{"https://hr.acme.test/about", "https://hr.acme.test/callback", "hr.acme.test"},
		{"https://www.acme.test", "https://acme.test/callback", "www.acme.test"},
		{"https://bank.example", "https://thief.example/callback", ""},
		{"https://acme.test", "https://acme.test.thief.example/callback", ""},
		{"https://pages.example", "https://thief.pages.example/callback", ""},
		{"https://acme.test:8443", "https://acme.test/callback", ""},
		{"https://acme.test", "com.thief.app:/callback", ""},
		{"", "https://acme.test/callback", ""},
	} {
		if got := siteOf(c.own, c.redirect); got != c.want {
			t.Errorf("%q, answered at %q: %q, want %q", c.own, c.redirect, got, c.want)
		}
	}
}

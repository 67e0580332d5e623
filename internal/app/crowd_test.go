package app_test

import (
	"net/http"
	"strconv"
	"testing"

	"gatehouse/internal/relying/issuertest"
)

// Somebody who fills the room of requests that wait for a person is told to come back
// later: by a page where a browser is, by the protocol where an app is.
func TestSignInsAndPushedRequestsAreBounded(t *testing.T) {
	p := start(t, "", timeStandsStill()) // a place comes back each 200 ms
	c := p.browserApp()
	b := p.browser(t)
	issuer := issuertest.New(t)
	p.provider("Other", issuer.URL, issuer.ClientID, issuer.Secret, "")
	way := providerAddress.FindStringSubmatch(b.get(authorizePath + "?" + c.request().Encode()).body)
	flood := func(r func() *http.Request, fine int) *seen {
		t.Helper()
		for range 400 {
			if got := b.send(r()); got.StatusCode != fine {
				return got
			}
		}
		t.Fatal("nothing was refused")
		return nil
	}
	later := func(got *seen) {
		t.Helper()
		got.has(t, http.StatusTooManyRequests)
		if n, err := strconv.Atoi(got.Header.Get("Retry-After")); err != nil || n < 1 || got.Header.Get("Location") != "" {
			t.Errorf("%v", got.Header)
		}
	}
	page := flood(func() *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+authorizePath+"?"+c.request().Encode(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, http.StatusSeeOther)
	later(page)
	page.has(t, 429, "Too many sign-ins from here")
	pushed := b.send(b.form("/oauth2/default/v1/par", c.request()))
	later(pushed)
	pushed.has(t, 429, `"error":"temporarily_unavailable"`)
	led := b.get(way[1])
	later(led)
	led.has(t, 429, "Too many sign-ins from here")
	// Who need not wait is not held up.
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none").Encode())); got.Get("error") != "login_required" {
		t.Errorf("%v", got)
	}
}

package gateway

import (
	"context"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/relying"
	"gatehouse/internal/relying/issuertest"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// plainSealer seals nothing.
type plainSealer struct{}

func (plainSealer) Seal(plain []byte, _ string) (string, error) {
	return hex.EncodeToString(plain), nil
}
func (plainSealer) Open(sealed, _ string) ([]byte, error) { return hex.DecodeString(sealed) }

// partySessions shows a party's sessions to the gateway, as the program does.
type partySessions struct{ *relying.Party }

func (p partySessions) Find(value []byte, now time.Time) Session {
	if s := p.Party.Find(value, now); s != nil {
		return s
	}
	return nil
}

func (p partySessions) Renew(ctx context.Context, s Session, wait bool) error {
	return p.Party.Renew(ctx, s.(*relying.Session), wait)
}
func (p partySessions) End(s Session) error { return p.Party.End(s.(*relying.Session)) }
func (p partySessions) LoginURL(to, acr, age string) string {
	return relying.LoginURL(p.Path(), to, acr, age)
}

// sessionHouse is a gateway with an API for browsers at /web, one that takes tokens at
// /token, and a browser that has signed in.
type sessionHouse struct {
	*Gateway
	issuer *issuertest.Issuer
	cookie string // "NAME=VALUE"
	token  string
}

func newSessionHouse(t testing.TB) *sessionHouse {
	t.Helper()
	h := &sessionHouse{issuer: issuertest.New(t)}
	keys, err := verify.NewStaticKeys(h.issuer.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := relying.OpenSessions(relying.SessionsConfig{Path: filepath.Join(t.TempDir(), "sessions.log"), Sealer: plainSealer{}})
	if err != nil {
		t.Fatal(err)
	}
	calls := safehttp.New(safehttp.Config{AllowPrivate: true, Timeout: time.Minute})
	party, err := relying.New(relying.Config{
		Name: "main", Issuer: h.issuer.URL, Keys: keys, ClientID: h.issuer.ClientID, Secret: h.issuer.Secret, Scopes: []string{"orders:read"},
		HTTP: calls, Sealer: plainSealer{}, Sessions: sessions,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { party.Close(); _ = sessions.Close(); calls.Close() })
	c := ConfigFor(t)
	c.Issuer = func(spec.Issuer) (verify.Issuer, error) {
		return verify.Issuer{URL: h.issuer.URL, Keys: keys}, nil
	}
	c.Backend = func(spec.API, Backend) (Backend, error) { return &replyBackend{}, nil }
	c.SignIn = func(spec.Issuer, []string) (SignIn, error) {
		return SignIn{Cookie: party.Cookie(), Path: party.Path(), Sessions: partySessions{party}, Pages: partySessions{party}}, nil
	}
	snap := OrdersSnapshot(spec.Route{Method: "*", Path: "/*", Scopes: [][]string{{"orders:read"}}})
	snap.Issuers[0].URL, snap.Issuers[0].ClientID = h.issuer.URL, h.issuer.ClientID
	web, token := snap.APIs[0], snap.APIs[0]
	web.Name, web.BasePath, web.Auth = "web", "/web", []string{spec.AuthSession}
	token.Name, token.BasePath = "token", "/token"
	snap.APIs = []spec.API{web, token}
	h.Gateway = newTestGateway(t, c, snap)
	h.signIn(t, party)
	now := time.Now().Unix()
	h.token = h.issuer.Sign("at+jwt", map[string]any{
		"iss": h.issuer.URL, "aud": "api://test", "sub": "ana", "uid": "ana", "cid": "app", "scp": []string{"orders:read"}, "iat": now, "exp": now + 600, "jti": "j",
	})
	return h
}

// signIn leads a browser through the pages.
func (h *sessionHouse) signIn(t testing.TB, p *relying.Party) {
	t.Helper()
	page := func(address string, cookies ...*http.Cookie) *http.Response {
		r := httptest.NewRequest(http.MethodGet, address, nil)
		r.URL.Scheme, r.URL.Host = "https", "api.test"
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		if err := p.ServePage(w, r); err != nil {
			t.Fatal(err)
		}
		return w.Result()
	}
	begun := page("/.gatehouse/main/login")
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	res, err := client.Get(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range page(back.RequestURI(), begun.Cookies()...).Cookies() {
		if c.Name == p.Cookie() {
			h.cookie = c.Name + "=" + c.Value
		}
	}
	if h.cookie == "" {
		t.Fatal("nobody signed in")
	}
}

// A request with a session costs no allocation, as one with a token.
func TestSessionsCostNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	h := newSessionHouse(t)
	for name, l := range map[string]*memoryLane{
		"session": newLane("GET", "/web/x", "Cookie", "theme=dark; "+h.cookie+"; lang=en"),
		"token":   newLane("GET", "/token/x", "Authorization", "Bearer "+h.token),
	} {
		l.quiet = true
		h.ServeExchange(l)
		if l.status != http.StatusOK {
			t.Fatalf("%s: %d", name, l.status)
		}
		if n := testing.AllocsPerRun(500, func() { h.ServeExchange(l) }); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// What becomes of the Cookie line: ours are taken out wherever they stand, nothing
// else is touched, and a line with nothing left goes.
func TestOwnCookiesAreTakenOut(t *testing.T) {
	own := cookiePrefix + "session-main=x"
	for in, want := range map[string]string{
		"a=1":                                    "a=1",
		"a=1; b=\"2; c=3\"":                      "a=1; b=\"2; c=3\"",
		own:                                      "",
		own + "; a=1":                            "a=1",
		"a=1; " + own:                            "a=1",
		"a=1;" + own + ";b=2":                    "a=1; b=2",
		"a=1; " + own + "; " + own:               "a=1",
		"a=1; " + cookiePrefix + "flow-1=x; b=2": "a=1; b=2",
		" ; ;" + own + "; ; a=1;":                "a=1",
		"a=1; \u00a0" + own + ";\u2000" + own:    "a=1",
		"a=" + own:                               "a=" + own,
	} {
		ex := &Exchange{}
		if got := string(ex.withoutOwnCookies([]byte(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzOwnCookies(f *testing.F) {
	for _, s := range []string{"a=1; b=2", cookiePrefix + "session-main=x", ";;; =", "a", cookiePrefix, "a=1;" + cookiePrefix + "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ex := &Exchange{}
		out := string(ex.withoutOwnCookies([]byte(s)))
		for part := range strings.SplitSeq(out, ";") {
			if strings.HasPrefix(strings.TrimSpace(part), cookiePrefix) {
				t.Errorf("%q leaves %q", s, out)
			}
		}
		r := &wire.Request{Fields: []wire.Field{{Name: []byte("Cookie"), Value: []byte(s), Kind: wire.Cookie}}}
		if _, n := cookie(r, cookiePrefix+"session-main"); n > 0 && !strings.Contains(s, cookiePrefix+"session-main=") {
			t.Errorf("%q has %d cookies", s, n)
		}
	})
}

// A cookie twice could mean two people: neither is taken.
func TestTwoCookiesOfASession(t *testing.T) {
	h := newSessionHouse(t)
	for _, lines := range [][]string{
		{"Cookie", h.cookie + "; " + h.cookie}, {"Cookie", h.cookie, "Cookie", h.cookie},
	} {
		l := newLane("GET", "/web/x", lines...)
		h.ServeExchange(l)
		if l.status != http.StatusBadRequest || l.reason() != ReasonAmbiguousRequest {
			t.Errorf("%d %s", l.status, l.body)
		}
	}
}

// A page of a neighbouring host can set a cookie whose name begins with what looks like a
// space, since the rules of __Host- are not for it: it is no session here, neither instead
// of one nor beside one.
func TestNoOtherNameIsTheCookie(t *testing.T) {
	h := newSessionHouse(t)
	for _, space := range []string{"\u00a0", "\u0085", "\u2000", "\u3000", "\u2028", "\v", "\f", "\xa0", "."} {
		l := newLane("GET", "/web/x", "Cookie", "theme=dark;"+space+h.cookie)
		h.ServeExchange(l)
		if l.status != http.StatusUnauthorized || l.reason() != ReasonNoToken {
			t.Errorf("%q: %d %s", space, l.status, l.body)
		}
		l = newLane("GET", "/web/x", "Cookie", h.cookie+"; "+space+h.cookie)
		h.ServeExchange(l)
		if l.status != http.StatusOK {
			t.Errorf("%q beside a session: %d %s", space, l.status, l.body)
		}
	}
	l := newLane("GET", "/web/x", "Cookie", "theme=dark;\t "+h.cookie+" \t; lang=en")
	if h.ServeExchange(l); l.status != http.StatusOK {
		t.Errorf("spaces and tabs: %d %s", l.status, l.body)
	}
}

// What a session request costs beside one with a cached token.
func BenchmarkSession(b *testing.B) {
	h := newSessionHouse(b)
	for _, c := range []struct {
		name string
		lane *memoryLane
	}{
		{"token", newLane("GET", "/token/x", "Authorization", "Bearer "+h.token)},
		{"session", newLane("GET", "/web/x", "Cookie", "theme=dark; "+h.cookie)},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.lane.quiet = true
			b.ReportAllocs()
			for b.Loop() {
				h.ServeExchange(c.lane)
			}
			if c.lane.status != http.StatusOK {
				b.Fatal(c.lane.status)
			}
		})
	}
}

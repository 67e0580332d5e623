package relying

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/relying/issuertest"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// clock is moved by tests.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// openSealer seals nothing: it only keeps purposes apart, so that files can be looked
// into. What is secret is checked with the real one, through the program.
type openSealer struct{}

func (openSealer) Seal(plain []byte, purpose string) (string, error) {
	return base64.RawURLEncoding.EncodeToString([]byte(purpose)) + ":" + base64.RawURLEncoding.EncodeToString(plain), nil
}

func (openSealer) Open(sealed, purpose string) ([]byte, error) {
	head, tail, _ := strings.Cut(sealed, ":")
	if head != base64.RawURLEncoding.EncodeToString([]byte(purpose)) {
		return nil, errors.New("sealed for something else")
	}
	return base64.RawURLEncoding.DecodeString(tail)
}

// outcomes counts.
type outcomes struct {
	mu sync.Mutex
	n  map[string]int
}

func (o *outcomes) SignIn(_, outcome string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.n[outcome]++
}

func (o *outcomes) of(outcome string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n[outcome]
}

// edge is a site with a relying party: pages, and everything else answers who is there.
type edge struct {
	*Party
	t        *testing.T
	clock    *clock
	issuer   *issuertest.Issuer
	outcomes *outcomes
	path     string // of the file
	log      *bytes.Buffer
	site     *httptest.Server
	http     *safehttp.Client
}

func newEdge(t *testing.T, change func(*Config)) *edge {
	t.Helper()
	e := &edge{
		t: t, clock: &clock{t: time.Now().Truncate(time.Second)}, issuer: issuertest.New(t), outcomes: &outcomes{n: map[string]int{}},
		path: filepath.Join(t.TempDir(), "sessions.log"), log: &bytes.Buffer{}, http: safehttp.New(safehttp.Config{AllowPrivate: true, Timeout: time.Minute}),
	}
	e.issuer.Set(func(s *issuertest.Script) { s.Now = e.clock.now })
	e.open(change)
	e.site = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Scheme, r.URL.Host = "https", r.Host
		if strings.HasPrefix(r.URL.Path, e.Path()) {
			if err := e.ServePage(w, r); err != nil {
				w.Header().Set("Trailer-Error", err.Error())
				e.t.Log("page:", err)
			}
			return
		}
		if s := e.sessionOf(r); s != nil {
			_, _ = io.WriteString(w, s.subject+" at "+r.URL.RequestURI())
			return
		}
		http.Error(w, "nobody", http.StatusUnauthorized)
	}))
	t.Cleanup(func() {
		e.site.Close()
		e.Close()
		_ = e.cfg.Sessions.Close()
		e.http.Close()
	})
	return e
}

// open makes party and sessions, from what the file holds.
func (e *edge) open(change func(*Config)) {
	e.t.Helper()
	sessions, err := OpenSessions(SessionsConfig{Path: e.path, Sealer: openSealer{}, Now: e.clock.now, Logger: slog.New(slog.NewTextHandler(e.log, nil))})
	if err != nil {
		e.t.Fatal(err)
	}
	keys, err := verify.NewStaticKeys(e.issuer.JWKS())
	if err != nil {
		e.t.Fatal(err)
	}
	c := Config{
		Name: "okta", Issuer: e.issuer.URL, Keys: keys, ClientID: e.issuer.ClientID, Secret: e.issuer.Secret, Scopes: []string{"orders:read"},
		HTTP: e.http, Sealer: openSealer{}, Sessions: sessions, Counter: e.outcomes, Now: e.clock.now,
	}
	if change != nil {
		change(&c)
	}
	if e.Party, err = New(c); err != nil {
		e.t.Fatal(err)
	}
}

// restart ends the party and begins with what is on disk.
func (e *edge) restart() {
	e.t.Helper()
	e.Party.Close()
	if err := e.cfg.Sessions.Close(); err != nil {
		e.t.Fatal(err)
	}
	e.open(nil)
}

// browser is one browser: it keeps cookies, and follows redirects when told to.
type browser struct {
	e *edge
	c *http.Client
}

func (e *edge) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		e.t.Fatal(err)
	}
	c := *e.site.Client()
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{e, &c}
}

type seen struct {
	*http.Response
	body string
}

func (b *browser) send(method, address, body string, header ...string) seen {
	b.e.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = b.e.site.URL + address
	}
	r, err := http.NewRequestWithContext(b.e.t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		b.e.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.c.Do(r)
	if err != nil {
		b.e.t.Fatalf("%s %s: %v", method, address, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.e.t.Fatal(err)
	}
	return seen{res, string(raw)}
}

func (b *browser) get(address string) seen { return b.send(http.MethodGet, address, "") }

// begin opens the login page and goes as far as the way back: it returns the address
// of the callback.
func (b *browser) begin(login string) string {
	b.e.t.Helper()
	res := b.get(login)
	if res.StatusCode != http.StatusSeeOther {
		b.e.t.Fatalf("login: %d %s", res.StatusCode, res.body)
	}
	res = b.get(res.Header.Get("Location"))
	if res.StatusCode != http.StatusSeeOther {
		b.e.t.Fatalf("authorize: %d %s", res.StatusCode, res.body)
	}
	return res.Header.Get("Location")
}

// signIn goes all the way and returns the last answer.
func (b *browser) signIn(returnTo string) seen {
	b.e.t.Helper()
	return b.get(b.begin(LoginURL(b.e.Path(), returnTo, "", "")))
}

// cookies returns the names of the cookies that the site gets.
func (b *browser) cookies() (names []string) {
	u, _ := url.Parse(b.e.site.URL)
	for _, c := range b.c.Jar.Cookies(u) {
		names = append(names, c.Name)
	}
	return names
}

func (b *browser) cookie() string {
	u, _ := url.Parse(b.e.site.URL)
	for _, c := range b.c.Jar.Cookies(u) {
		if c.Name == b.e.Cookie() {
			return c.Value
		}
	}
	return ""
}

func (b *browser) session() *Session { return b.e.Find([]byte(b.cookie()), b.e.clock.now()) }

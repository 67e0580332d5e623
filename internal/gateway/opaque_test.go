package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// fakeAsked is an issuer that knows some tokens, and notes what it is asked.
type fakeAsked struct {
	url  string
	mu   sync.Mutex
	say  map[string]*verify.Token // nil value: it is down
	kept map[string]bool
	got  []string
}

func (f *fakeAsked) Cached(raw []byte) (*verify.Token, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.kept[string(raw)] {
		return nil, false, nil
	}
	t, err := f.answer(raw)
	return t, true, err
}

func (f *fakeAsked) Ask(_ context.Context, raw []byte) (*verify.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(raw))
	t, err := f.answer(raw)
	if verify.ReasonOf(err) != verify.ReasonIssuerUnreachable {
		f.kept[string(raw)] = true
	}
	return t, err
}

func (f *fakeAsked) answer(raw []byte) (*verify.Token, error) {
	t, known := f.say[string(raw)]
	switch {
	case known && t == nil:
		return nil, &verify.Error{Reason: verify.ReasonIssuerUnreachable, Issuer: f.url}
	case known:
		return t, nil
	}
	return nil, &verify.Error{Reason: ReasonRevoked, Issuer: f.url, Detail: "not active"}
}

func (f *fakeAsked) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

func hashOf(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func fact(url string, change ...func(*verify.Token)) *verify.Token {
	t := &verify.Token{
		Issuer: url, Subject: "ana", UserID: "ana", ClientID: "app1", Audience: []string{"api://test"},
		Scopes: []string{"orders:read"}, Expires: time.Now().Add(time.Hour).Unix(), IssuedAt: time.Now().Unix(),
	}
	for _, f := range change {
		f(t)
	}
	return t
}

// opaqueHouse is a gateway with a local issuer "main" and two that are asked, "a"
// and "b".
type opaqueHouse struct {
	*Gateway
	main *FakeIssuer
	a, b *fakeAsked
}

func newOpaqueHouse(t testing.TB, change ...func(*Config, *spec.Snapshot)) *opaqueHouse {
	t.Helper()
	h := &opaqueHouse{main: NewIssuerFor(t, "https://issuer.test")}
	h.a = &fakeAsked{url: "https://a.test", say: map[string]*verify.Token{}, kept: map[string]bool{}}
	h.b = &fakeAsked{url: "https://b.test", say: map[string]*verify.Token{}, kept: map[string]bool{}}
	c := ConfigFor(t, h.main)
	c.Introspect = func(s spec.Issuer) (Introspector, error) {
		switch s.Name {
		case "a", "live", "lax":
			return h.a, nil
		case "b":
			return h.b, nil
		}
		return nil, fmt.Errorf("no such issuer")
	}
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "PUT", Path: "/orders", Scopes: [][]string{{"orders:write"}}})
	asked := func(name string) spec.Issuer {
		return spec.Issuer{Name: name, URL: "https://" + name + ".test", Audience: []string{"api://test"}, Tokens: spec.TokensOpaque, ClientID: "g", ClientSecret: "sealed"}
	}
	s.Issuers = append(s.Issuers, asked("a"), asked("b"))
	api := func(name string, auth ...string) spec.API {
		return spec.API{
			Name: name, BasePath: "/" + name, Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}, Auth: auth,
			Routes: []spec.Route{{Method: "GET", Path: "/x", Scopes: [][]string{{"orders:read"}}}, {Method: "PUT", Path: "/x", Scopes: [][]string{{"orders:write"}}}},
		}
	}
	s.APIs = append(s.APIs, api("only-a", "a"), api("only-b", "b"), api("both", "a", "b"), api("mixed", "main", "a"))
	for _, f := range change {
		f(&c, &s)
	}
	h.Gateway = newTestGateway(t, c, s)
	return h
}

func (h *opaqueHouse) call(method, path, token string, headers ...string) *memoryLane {
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	l := newLane(method, path, headers...)
	h.ServeExchange(l)
	return l
}

func (l *memoryLane) want(t *testing.T, status int, reason string) {
	t.Helper()
	if l.status != status || l.reason() != reason {
		t.Errorf("answered %d %q, not %d %q", l.status, l.reason(), status, reason)
	}
}

// Attack gateway 25: what is remembered of a token is facts and no verdict.
func TestOpaqueFactsAreJudgedForEachRoute(t *testing.T) {
	h := newOpaqueHouse(t)
	h.a.say["tok"] = fact(h.a.url)
	h.call("GET", "/only-a/x", "tok").want(t, 200, "")
	h.call("PUT", "/only-a/x", "tok").want(t, 403, ReasonMissingScope)
	h.call("GET", "/only-a/x", "tok").want(t, 200, "")
	if n := h.a.asked(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// Attack gateway 26, attack identity 50: the same text at another API is asked about at that API's
// issuer, whatever the first one has said.
func TestOpaqueAnswersBelongToTheirIssuer(t *testing.T) {
	h := newOpaqueHouse(t)
	h.a.say["tok"] = fact(h.a.url)
	h.call("GET", "/only-a/x", "tok").want(t, 200, "")
	h.call("GET", "/only-b/x", "tok").want(t, 401, ReasonRevoked)
	if h.b.asked() != 1 {
		t.Error("the other issuer was not asked")
	}
	h.b.say["tok2"] = fact(h.b.url)
	h.call("GET", "/only-b/x", "tok2").want(t, 200, "")
	h.call("GET", "/only-a/x", "tok2").want(t, 401, ReasonRevoked)
	h.call("GET", "/both/x", "tok2").want(t, 200, "")
}

// Attack gateway 27: what the answer does not say about the audience is not made up.
func TestOpaqueAudience(t *testing.T) {
	h := newOpaqueHouse(t)
	h.a.say["other"] = fact(h.a.url, func(t *verify.Token) { t.Audience = []string{"api://other"} })
	h.a.say["none"] = fact(h.a.url, func(t *verify.Token) { t.Audience = nil })
	h.call("GET", "/only-a/x", "other").want(t, 401, ReasonWrongAudience)
	h.call("GET", "/only-a/x", "none").want(t, 401, ReasonWrongAudience)

	h = newOpaqueHouse(t, func(_ *Config, s *spec.Snapshot) { s.Issuers[1].MissingAudience = spec.MissingAudienceAccept })
	h.a.say["other"] = fact(h.a.url, func(t *verify.Token) { t.Audience = []string{"api://other"} })
	h.a.say["none"] = fact(h.a.url, func(t *verify.Token) { t.Audience = nil })
	h.call("GET", "/only-a/x", "other").want(t, 401, ReasonWrongAudience)
	h.call("GET", "/only-a/x", "none").want(t, 200, "")
	// The setting is of the issuer that is asked; what is signed has an audience or none.
	h.call("GET", "/mixed/x", h.main.Token(t, Claims{"aud": nil})).want(t, 401, ReasonWrongAudience)
}

// Attack gateway 29: an issuer that cannot say is 503, and another one's no does
// not make a no of it; another one's yes is a yes.
func TestOpaqueIssuerDown(t *testing.T) {
	h := newOpaqueHouse(t)
	h.a.say["tok"], h.a.say["tok-b"] = nil, nil
	h.call("GET", "/only-a/x", "tok").want(t, 503, ReasonIssuerUnreachable)
	h.call("GET", "/both/x", "tok").want(t, 503, ReasonIssuerUnreachable)
	h.b.say["tok-b"] = fact(h.b.url)
	h.call("GET", "/both/x", "tok-b").want(t, 200, "")
}

// The form of a token says who may be asked about it: a JWT is shown to nobody but
// the issuer that it names.
func TestWhoIsAskedAboutAToken(t *testing.T) {
	h := newOpaqueHouse(t)
	local := h.main.Token(t, nil)
	h.call("GET", "/mixed/x", local).want(t, 200, "")
	foreign := *h.main
	foreign.URL = "https://elsewhere.test"
	h.call("GET", "/mixed/x", foreign.Token(t, nil)).want(t, 401, ReasonUnknownIssuer)
	h.call("GET", "/only-a/x", foreign.Token(t, nil)).want(t, 401, ReasonUnknownIssuer)
	h.call("GET", "/only-a/x", local).want(t, 401, ReasonUnknownIssuer)
	h.call("GET", "/mixed/x", local[:len(local)-8]+"AAAAAAAA").want(t, 401, ReasonBadSignature)
	if h.a.asked() != 0 {
		t.Errorf("issuer a was shown %v", h.a.got)
	}
	ofB := *h.main
	ofB.URL = h.b.url
	tok := ofB.Token(t, nil)
	h.b.say[tok] = fact(h.b.url)
	h.call("GET", "/both/x", tok).want(t, 200, "")
	h.call("GET", "/both/x", tok).want(t, 200, "")
	if h.a.asked() != 0 {
		t.Errorf("issuer a was shown a token of b")
	}
	// What only looks like a JWT is as opaque as anything else.
	odd := "aaaa.bbbb.cccc"
	h.a.say[odd] = fact(h.a.url)
	h.call("GET", "/only-a/x", odd).want(t, 200, "")
	jwe := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir"}`)) + ".a.b.c.d"
	h.a.say[jwe] = fact(h.a.url)
	h.call("GET", "/only-a/x", jwe).want(t, 200, "")
}

// An issuer may be configured twice: tokens are verified here for one API, and
// asked about for another. What the first knows is not enough for the second.
func TestOneIssuerBothWays(t *testing.T) {
	h := newOpaqueHouse(t, func(_ *Config, s *spec.Snapshot) {
		live := s.Issuers[1]
		live.Name, live.URL = "live", "https://issuer.test"
		live.Algorithms = []string{"ES256"}
		s.Issuers = append(s.Issuers, live)
		live.Name, live.MissingAudience = "lax", spec.MissingAudienceAccept
		s.Issuers = append(s.Issuers, live)
		s.APIs = append(s.APIs, spec.API{
			Name: "lax", BasePath: "/lax", Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}, Auth: []string{"main", "lax"},
			Routes: []spec.Route{{Method: "GET", Path: "/x"}},
		}, spec.API{
			Name: "strict", BasePath: "/strict", Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}, Auth: []string{"live"},
			Routes: []spec.Route{{Method: "GET", Path: "/x"}},
		})
	})
	tok := h.main.Token(t, nil)
	h.call("GET", "/orders", tok).want(t, 200, "")
	h.call("GET", "/strict/x", tok).want(t, 401, ReasonRevoked)
	h.call("GET", "/orders", tok).want(t, 200, "")
	other := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"https://issuer.test"}`)) + ".c2ln"
	h.call("GET", "/strict/x", other).want(t, 401, ReasonUnknownKey)
	if n := h.a.asked(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// A missing audience is accepted on the issuer's word alone, not on a signature.
	h.call("GET", "/lax/x", h.main.Token(t, Claims{"aud": nil})).want(t, 401, ReasonWrongAudience)
	h.a.say["tok"] = fact("https://issuer.test", func(t *verify.Token) { t.Audience = nil })
	h.call("GET", "/lax/x", "tok").want(t, 200, "")
}

// Revocations reach tokens that were asked about, by all of their names (attack
// gateway 30).
func TestOpaqueRevocation(t *testing.T) {
	for name, r := range map[string]cluster.Revocation{
		"client": {Tenant: tenant.Default, Kind: cluster.Client, Issuer: "https://a.test", Value: "app1"},
		"user":   {Tenant: tenant.Default, Kind: cluster.User, Issuer: "https://a.test", Value: "ana"},
		"issuer": {Tenant: tenant.Default, Kind: cluster.Issuer, Issuer: "https://a.test"},
		"hash":   {Tenant: tenant.Default, Kind: cluster.TokenHash, Value: ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newOpaqueHouse(t)
			h.a.say["tok"], h.b.say["tok"] = fact(h.a.url), fact(h.b.url)
			h.call("GET", "/only-a/x", "tok").want(t, 200, "")
			if r.Kind == cluster.TokenHash {
				r.Value = hashOf("tok")
			}
			if err := h.config.Revocations.Add(time.Now(), r); err != nil {
				t.Fatal(err)
			}
			h.call("GET", "/only-a/x", "tok").want(t, 401, ReasonRevoked)
			if r.Kind != cluster.TokenHash {
				h.call("GET", "/only-b/x", "tok").want(t, 200, "")
			}
		})
	}
}

// A token that is bound to a key is no bearer token, whoever says so.
func TestOpaqueBoundToken(t *testing.T) {
	h := newOpaqueHouse(t)
	h.a.say["tok"] = fact(h.a.url, func(t *verify.Token) { t.KeyThumbprint = "x" })
	h.call("GET", "/only-a/x", "tok").want(t, 401, ReasonProofInvalid)
}

// Who makes the gateway ask about nonsense has a limit.
func TestOpaqueNonsenseIsLimited(t *testing.T) {
	h := newOpaqueHouse(t, func(c *Config, _ *spec.Snapshot) { c.Forgeries = ratelimit.Rate{Count: 5, Period: time.Hour} })
	h.a.say["good"] = fact(h.a.url)
	h.call("GET", "/only-a/x", "good").want(t, 200, "")
	for i := range 5 {
		h.call("GET", "/only-a/x", fmt.Sprint("bad", i)).want(t, 401, ReasonRevoked)
	}
	h.call("GET", "/only-a/x", "bad-too").want(t, 429, ReasonRateLimited)
	h.call("GET", "/only-a/x", "good").want(t, 200, "")
	if n := h.a.asked(); n != 6 {
		t.Errorf("asked %d times", n)
	}
}

// A token that is known costs no more than one that was verified here.
func TestOpaqueCachedDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	h := newOpaqueHouse(t, func(c *Config, _ *spec.Snapshot) {
		c.Backend = func(spec.API, Backend) (Backend, error) {
			return &backendFunc{func(ex *Exchange) error { return ex.Relay(&wire.Response{Status: 200}) }}, nil
		}
	})
	h.a.say["tok"] = fact(h.a.url)
	tok := h.main.Token(t, nil)
	measure := func(path, token string) float64 {
		l := newLane("GET", path, "Authorization", "Bearer "+token)
		l.quiet = true
		h.ServeExchange(l)
		return testing.AllocsPerRun(200, func() { h.ServeExchange(l) })
	}
	if local, asked := measure("/orders", tok), measure("/only-a/x", "tok"); asked > local {
		t.Errorf("%v allocations, and %v for one that is verified here", asked, local)
	}
}

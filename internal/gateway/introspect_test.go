package gateway

import (
	"testing"

	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// newBothHouse has an issuer "main" whose JWTs are verified here, and that is asked
// about everything else; operations of the API "fresh" ask about JWTs too.
func newBothHouse(t testing.TB, change ...func(*Config, *spec.Snapshot)) *opaqueHouse {
	t.Helper()
	return newOpaqueHouse(t, func(c *Config, s *spec.Snapshot) {
		first := c.Introspect
		c.Introspect = func(i spec.Issuer) (Introspector, error) {
			if i.Name == "main" {
				i.Name = "a"
			}
			return first(i)
		}
		s.Issuers = s.Issuers[:1]
		s.Issuers[0].Tokens, s.Issuers[0].ClientID, s.Issuers[0].ClientSecret = spec.TokensBoth, "g", "sealed"
		s.APIs = s.APIs[:1]
		s.APIs = append(s.APIs, spec.API{
			Name: "some", BasePath: "/some", Upstream: s.APIs[0].Upstream, Auth: []string{"main"},
			Routes: []spec.Route{{Method: "GET", Path: "/x", Scopes: [][]string{{"orders:read"}}}, {Method: "DELETE", Path: "/x", Introspect: true}},
		}, spec.API{
			Name: "fresh", BasePath: "/fresh", Upstream: s.APIs[0].Upstream, Auth: []string{"main"}, Introspect: true,
			Routes: []spec.Route{{Method: "GET", Path: "/x", Scopes: [][]string{{"orders:read"}}}},
		})
		for _, f := range change {
			f(c, s)
		}
	})
}

// tokens: both: what can be verified here is, and nobody is asked; anything else is
// asked about.
func TestBothFormsOfTokens(t *testing.T) {
	h := newBothHouse(t)
	h.a.say["tok"] = fact("https://issuer.test")
	h.call("GET", "/orders", h.main.Token(t, nil)).want(t, 200, "")
	if n := h.a.asked(); n != 0 {
		t.Errorf("asked %d times about a JWT", n)
	}
	h.call("GET", "/orders", "tok").want(t, 200, "")
	h.call("GET", "/orders", "unknown").want(t, 401, ReasonRevoked)
	forged := NewIssuerFor(t, "https://issuer.test").Token(t, nil)
	h.a.say[forged] = fact("https://issuer.test") // a signature that is false is not asked away
	h.call("GET", "/orders", forged).want(t, 401, ReasonBadSignature)
	h.call("GET", "/orders", h.main.Token(t, Claims{"aud": nil})).want(t, 401, ReasonWrongAudience)
	if n := h.a.asked(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// introspect: true asks about JWTs too, at the operations that say so and no others;
// it can only refuse, and what the token says is what counts.
func TestIntrospectedOperations(t *testing.T) {
	h := newBothHouse(t)
	dead, weak, live := h.main.Token(t, nil), h.main.Token(t, Claims{"scp": []string{"other"}}), h.main.Token(t, nil)
	h.a.say[weak], h.a.say[live] = fact("https://issuer.test"), fact("https://issuer.test")
	for _, c := range []struct {
		method, path, token string
		status              int
		reason              string
		asked               int
	}{
		{"GET", "/some/x", dead, 200, "", 0},
		{"DELETE", "/some/x", dead, 401, ReasonRevoked, 1},
		{"GET", "/fresh/x", dead, 401, ReasonRevoked, 0}, // remembered
		{"GET", "/some/x", dead, 200, "", 0},
		{"GET", "/fresh/x", weak, 403, ReasonMissingScope, 1},
		{"GET", "/fresh/x", live, 200, "", 1},
		{"GET", "/fresh/x", live, 200, "", 0},
		{"DELETE", "/some/x", live, 200, "", 0},
		{"GET", "/fresh/x", NewIssuerFor(t, "https://issuer.test").Token(t, nil), 401, ReasonBadSignature, 0}, // nobody is asked about a forgery
	} {
		before := h.a.asked()
		l := h.call(c.method, c.path, c.token)
		if n := h.a.asked() - before; l.status != c.status || l.reason() != c.reason || n != c.asked {
			t.Errorf("%s %s: %d %q after asking %d times, want %d %q after %d", c.method, c.path, l.status, l.reason(), n, c.status, c.reason, c.asked)
		}
	}
	down := h.main.Token(t, nil)
	h.a.say[down] = nil
	h.call("GET", "/fresh/x", down).want(t, 503, ReasonIssuerUnreachable)
	h.call("GET", "/some/x", down).want(t, 200, "")
}

// Who cannot be asked does not get operations that ask.
func TestIntrospectNeedsSomebodyToAsk(t *testing.T) {
	h := newBothHouse(t)
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x", Introspect: true})
	if err := h.Load(t.Context(), s); err == nil {
		t.Error("it compiles with an issuer that is not asked")
	}
	s.Issuers[0].Builtin = "default" // what it revokes is known here
	if err := h.Load(t.Context(), s); err != nil {
		t.Error(err)
	}
}

// An operation that asks costs no more, once the answer is known, than hashing the
// token; one that does not ask costs what it did.
func TestIntrospectedCachedDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	h := newBothHouse(t, func(c *Config, _ *spec.Snapshot) {
		c.Backend = func(spec.API, Backend) (Backend, error) {
			return &backendFunc{func(ex *Exchange) error { return ex.Relay(&wire.Response{Status: 200}) }}, nil
		}
	})
	token := h.main.Token(t, nil)
	h.a.say[token] = fact("https://issuer.test", func(f *verify.Token) { f.Scopes = nil })
	measure := func(path string) float64 {
		l := newLane("GET", path, "Authorization", "Bearer "+token)
		l.quiet = true
		h.ServeExchange(l)
		return testing.AllocsPerRun(200, func() { h.ServeExchange(l) })
	}
	if plain, fresh := measure("/some/x"), measure("/fresh/x"); fresh > plain {
		t.Errorf("%v allocations, and %v where nobody is asked", fresh, plain)
	}
}

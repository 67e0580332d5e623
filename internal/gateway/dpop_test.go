package gateway

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

const ordersURL = "http://api.test/shop/orders/1"

// boundGateway has routes with each demand, below /shop of api.test.
func boundGateway(t testing.TB, change func(*Config, *spec.Snapshot)) (*Gateway, *FakeIssuer) {
	t.Helper()
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders/{id}", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "GET", Path: "/any", Proof: spec.ProofAny},
		spec.Route{Method: "GET", Path: "/mtls", Proof: spec.ProofMTLS},
		spec.Route{Method: "GET", Path: "/dpop", Proof: spec.ProofDPoP},
		spec.Route{Method: "GET", Path: "/nonce", Proof: spec.ProofDPoPNew},
	)
	s.APIs[0].BasePath, s.APIs[0].Host = "/shop", "api.test"
	if change != nil {
		change(&c, &s)
	}
	return newTestGateway(t, c, s), iss
}

// Attack identity 40 and 41 at the edge: each way in which a proof can be wrong.
func TestProofs(t *testing.T) {
	began := time.Now()
	g, iss := boundGateway(t, func(c *Config, _ *spec.Snapshot) { c.Now = func() time.Time { return began } })
	k, other := NewProofKey(t), NewProofKey(t)
	token := iss.Token(t, k.Bound())
	plain := iss.Token(t, nil)
	proof := func(header, claims map[string]any) string {
		return k.Proof(t, "GET", ordersURL, token, header, claims)
	}
	type m = map[string]any
	now := began.Unix()
	private := m{"kty": "EC", "crv": "P-256", "x": k.JWK["x"], "y": k.JWK["y"], "d": "AA"}
	tampered := proof(nil, nil)
	tampered = tampered[:len(tampered)-6] + "AAAAAA"
	for _, c := range []struct {
		name   string
		auth   string
		proofs []string
		reason string
	}{
		{"good", "DPoP " + token, []string{proof(nil, nil)}, ""},
		{"scheme in lower case", "dpop " + token, []string{proof(nil, nil)}, ""},
		{"query and fragment do not count", "DPoP " + token, []string{proof(nil, m{"htu": ordersURL + "?x=1#y"})}, ""},
		{"address in another spelling", "DPoP " + token, []string{proof(nil, m{"htu": "HTTP://API.test:80/shop/%6frders/1"})}, ""},
		{"as a bearer token", "Bearer " + token, []string{proof(nil, nil)}, "proof_invalid"},
		{"as a bearer token, no proof", "Bearer " + token, nil, "proof_invalid"},
		{"a token that is not bound", "DPoP " + plain, []string{k.Proof(t, "GET", ordersURL, plain, nil, nil)}, "token_type_not_accepted"},
		{"an ordinary token with a proof beside it", "Bearer " + plain, []string{k.Proof(t, "GET", ordersURL, plain, nil, nil)}, ""},
		{"no proof", "DPoP " + token, nil, "proof_invalid"},
		{"two proofs", "DPoP " + token, []string{proof(nil, nil), proof(nil, nil)}, "proof_invalid"},
		{"two proofs in one line", "DPoP " + token, []string{proof(nil, nil) + ", " + proof(nil, nil)}, "proof_invalid"},
		{"two tokens", "DPoP " + token + ", DPoP " + token, []string{proof(nil, nil)}, "token_malformed"},
		{"method", "DPoP " + token, []string{proof(nil, m{"htm": "POST"})}, "proof_invalid"},
		{"method in lower case", "DPoP " + token, []string{proof(nil, m{"htm": "get"})}, "proof_invalid"},
		{"path", "DPoP " + token, []string{proof(nil, m{"htu": "http://api.test/shop/orders/2"})}, "proof_invalid"},
		{"host", "DPoP " + token, []string{proof(nil, m{"htu": "http://evil.test/shop/orders/1"})}, "proof_invalid"},
		{"port", "DPoP " + token, []string{proof(nil, m{"htu": "http://api.test:81/shop/orders/1"})}, "proof_invalid"},
		{"http scheme", "DPoP " + token, []string{proof(nil, m{"htu": "https://api.test/shop/orders/1"})}, "proof_invalid"},
		{"userinfo", "DPoP " + token, []string{proof(nil, m{"htu": "http://x@api.test/shop/orders/1"})}, "proof_invalid"},
		{"dot segments", "DPoP " + token, []string{proof(nil, m{"htu": "http://api.test/shop/x/../orders/1"})}, "proof_invalid"},
		{"no address", "DPoP " + token, []string{proof(nil, m{"htu": nil})}, "proof_invalid"},
		{"stale", "DPoP " + token, []string{proof(nil, m{"iat": now - 70})}, "proof_invalid"},
		{"from the future", "DPoP " + token, []string{proof(nil, m{"iat": now + 40})}, "proof_invalid"},
		{"no time", "DPoP " + token, []string{proof(nil, m{"iat": nil})}, "proof_invalid"},
		{"time as text", "DPoP " + token, []string{proof(nil, m{"iat": "now"})}, "proof_invalid"},
		{"another token", "DPoP " + token, []string{k.Proof(t, "GET", ordersURL, plain, nil, nil)}, "proof_invalid"},
		{"no ath", "DPoP " + token, []string{proof(nil, m{"ath": nil})}, "proof_invalid"},
		{"no jti", "DPoP " + token, []string{proof(nil, m{"jti": nil})}, "proof_invalid"},
		{"jti without end", "DPoP " + token, []string{proof(nil, m{"jti": strings.Repeat("x", 300)})}, "proof_invalid"},
		{"another key", "DPoP " + token, []string{other.Proof(t, "GET", ordersURL, token, nil, nil)}, "proof_invalid"},
		{"another key, and the right one in the header", "DPoP " + token, []string{other.Proof(t, "GET", ordersURL, token, m{"jwk": k.JWK}, nil)}, "proof_invalid"},
		{"tampered", "DPoP " + token, []string{tampered}, "proof_invalid"},
		{"private key in the header", "DPoP " + token, []string{proof(m{"jwk": private}, nil)}, "proof_invalid"},
		{"no key in the header", "DPoP " + token, []string{proof(m{"jwk": nil}, nil)}, "proof_invalid"},
		{"symmetric key", "DPoP " + token, []string{proof(m{"alg": "HS256", "jwk": m{"kty": "oct", "k": "AA"}}, nil)}, "proof_invalid"},
		{"alg none", "DPoP " + token, []string{proof(m{"alg": "none"}, nil)}, "proof_invalid"},
		{"another alg", "DPoP " + token, []string{proof(m{"alg": "RS256"}, nil)}, "proof_invalid"},
		{"typ", "DPoP " + token, []string{proof(m{"typ": "JWT"}, nil)}, "proof_invalid"},
		{"critical extension", "DPoP " + token, []string{proof(m{"crit": []string{"x"}}, nil)}, "proof_invalid"},
		{"no JWS", "DPoP " + token, []string{"x"}, "proof_invalid"},
	} {
		headers := []string{"Authorization", c.auth}
		for _, p := range c.proofs {
			headers = append(headers, "DPoP", p)
		}
		l := newLane("GET", "/shop/orders/1", headers...)
		g.ServeExchange(l)
		if l.reason() != c.reason || (l.status == 200) != (c.reason == "") {
			t.Errorf("%s: %d %s, want %s", c.name, l.status, l.reason(), c.reason)
		}
		if c.reason == "proof_invalid" && !strings.HasPrefix(strings.Join(l.fields["WWW-Authenticate"], ""), `DPoP algs="`) {
			t.Errorf("%s: the challenge is %q", c.name, l.fields["WWW-Authenticate"])
		}
	}
}

// The key in the header must be the one that the token is bound to, also for the first
// proof of a token, when no key is known yet: anybody can sign with a key of their own.
func TestProofByAnotherKeyThatComesFirst(t *testing.T) {
	g, iss := boundGateway(t, nil)
	k, thief := NewProofKey(t), NewProofKey(t)
	token := iss.Token(t, k.Bound())
	l := newLane("GET", "/shop/orders/1", "Authorization", "DPoP "+token, "DPoP", thief.Proof(t, "GET", ordersURL, token, nil, nil))
	g.ServeExchange(l)
	if l.reason() != "proof_invalid" {
		t.Errorf("%d %s", l.status, l.reason())
	}
}

// A proof is good once, whoever asks first, and again for nobody: with 32 at the
// same time one wins (attack identity 40).
func TestProofsAreUsedOnce(t *testing.T) {
	g, iss := boundGateway(t, nil)
	k := NewProofKey(t)
	token := iss.Token(t, k.Bound())
	for range 8 {
		proof := k.Proof(t, "GET", ordersURL, token, nil, nil)
		var won atomic.Int32
		var wg sync.WaitGroup
		either := []string{proof, twinOf(t, proof)} // attack gateway 22: the other signature makes no other proof
		for i := range 32 {
			wg.Go(func() {
				l := newLane("GET", "/shop/orders/1", "Authorization", "DPoP "+token, "DPoP", either[i%2])
				g.ServeExchange(l)
				if l.status == 200 {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Fatalf("%d of 32 requests with one proof passed", n)
		}
	}
}

// What is remembered is bounded: when there is no room, nothing new is accepted,
// and room comes back when proofs have become too old.
func TestReplaysAreBounded(t *testing.T) {
	r := newReplays(replayShards)
	now := time.Unix(1_000_000_000, 0)
	var taken, full []replayKey
	for i := range 300 {
		k := replayID("key", string(rune('a'+i)))
		switch r.take(k, now, now.Add(proofBehind), false) {
		case seenNever:
			taken = append(taken, k)
		case seenFull:
			full = append(full, k)
		case seenBefore:
			t.Fatal("seen before its time")
		}
	}
	if len(taken) > replayShards || len(taken) < replayShards/2 || len(full) == 0 {
		t.Errorf("%d remembered, %d refused, of a set of %d", len(taken), len(full), replayShards)
	}
	for _, k := range taken {
		if r.take(k, now.Add(proofBehind), now.Add(2*proofBehind), true) != seenBefore {
			t.Fatal("forgotten before its time")
		}
	}
	later := now.Add(proofBehind + replaySlice)
	if got := r.take(full[0], later, later.Add(proofBehind), false); got != seenNever {
		t.Errorf("no room after the time: %d", got)
	}
}

// A nonce is asked for, given, good for two minutes, and renewed after one
// (RFC 9449 sections 8 and 9). Another node with the same key knows it.
func TestNonces(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Now().Unix())
	setup := func(c *Config, _ *spec.Snapshot) {
		c.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
		c.NonceKey = []byte("shared by the nodes")
	}
	g, iss := boundGateway(t, setup)
	k := NewProofKey(t)
	token := iss.Token(t, k.Bound())
	ask := func(g *Gateway, nonce any) *memoryLane {
		l := newLane("GET", "/shop/nonce", "Authorization", "DPoP "+token,
			"DPoP", k.Proof(t, "GET", "http://api.test/shop/nonce", token, nil, map[string]any{"nonce": nonce}))
		g.ServeExchange(l)
		return l
	}
	l := ask(g, nil)
	if l.status != 401 || l.reason() != "proof_invalid" || !strings.Contains(l.fields["WWW-Authenticate"][0], `error="use_dpop_nonce"`) || len(l.fields["DPoP-Nonce"]) != 1 {
		t.Fatalf("without a nonce: %d %v", l.status, l.fields)
	}
	nonce := l.fields["DPoP-Nonce"][0]
	if l = ask(g, nonce); l.status != 200 || len(l.fields["DPoP-Nonce"]) != 0 {
		t.Fatalf("with the nonce: %d %s %v", l.status, l.body, l.fields)
	}
	if l = ask(g, nonce[:len(nonce)-6]+"AAAAAA"); l.status != 401 {
		t.Errorf("a nonce of somebody's own making: %d", l.status)
	}
	clock.Add(61)
	if l = ask(g, nonce); l.status != 200 || len(l.fields["DPoP-Nonce"]) != 1 || l.fields["DPoP-Nonce"][0] == nonce {
		t.Errorf("after a minute: %d %v", l.status, l.fields)
	}
	clock.Add(60)
	if l = ask(g, nonce); l.status != 401 || len(l.fields["DPoP-Nonce"]) != 1 {
		t.Errorf("after two minutes: %d %v", l.status, l.fields)
	}
	one, two := newNonces([]byte("k")), newNonces([]byte("k"))
	now := time.Unix(clock.Load(), 0)
	if _, ok := two.made(one.make(now), now); !ok {
		t.Error("a node does not know the nonce of another with the same key")
	}
	if _, ok := newNonces(nil).made(one.make(now), now); ok {
		t.Error("a node knows the nonce of another with another key")
	}
}

// The setting demands that a credential is bound; each word takes what it names.
func TestDemandedProofs(t *testing.T) {
	g, iss := boundGateway(t, nil)
	k := NewProofKey(t)
	bound, plain := iss.Token(t, k.Bound()), iss.Token(t, nil)
	for _, c := range []struct {
		path, token string
		reason      string
		challenge   string
	}{
		{"/shop/any", bound, "", ""},
		{"/shop/any", plain, "proof_invalid", `DPoP algs=`},
		{"/shop/dpop", bound, "", ""},
		{"/shop/dpop", plain, "proof_invalid", `DPoP algs=`},
		{"/shop/nonce", bound, "proof_invalid", `use_dpop_nonce`},
		{"/shop/mtls", bound, "proof_invalid", ``},
		{"/shop/mtls", plain, "proof_invalid", ``},
		{"/shop/dpop", "", "no_token", `DPoP algs=`},
		{"/shop/any", "", "no_token", `DPoP algs=`},
	} {
		var headers []string
		switch c.token {
		case "":
		case plain:
			headers = []string{"Authorization", "Bearer " + plain}
		default:
			headers = []string{"Authorization", "DPoP " + bound, "DPoP", k.Proof(t, "GET", "http://api.test"+c.path, bound, nil, nil)}
		}
		l := newLane("GET", c.path, headers...)
		g.ServeExchange(l)
		if l.reason() != c.reason || !strings.Contains(strings.Join(l.fields["WWW-Authenticate"], "|"), c.challenge) {
			t.Errorf("%s: %d %s %v", c.path, l.status, l.reason(), l.fields["WWW-Authenticate"])
		}
	}
}

// Behind proxies the address in the proof is the one that callers use: what a
// trusted proxy says, or what the operator has written down. Nobody else's word counts.
func TestProofsBehindProxies(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*Config, *spec.Snapshot)
		headers []string
		htu     string
		good    bool
	}{
		{"the configured url", func(_ *Config, s *spec.Snapshot) { s.APIs[0].URL = "https://public.test/v1" }, nil, "https://public.test/v1/orders/1", true},
		{"not the address behind it", func(_ *Config, s *spec.Snapshot) { s.APIs[0].URL = "https://public.test/v1" }, nil, ordersURL, false},
		{"a stranger's X-Forwarded-Proto", nil, []string{"X-Forwarded-Proto", "https"}, "https://api.test/shop/orders/1", false},
		{"a trusted X-Forwarded-Proto", trustPeer, []string{"X-Forwarded-Proto", "https"}, "https://api.test/shop/orders/1", true},
		{"a forwarded host does not replace the API's own", trustPeer, []string{"X-Forwarded-Host", "evil.test"}, "http://evil.test/shop/orders/1", false},
		{"a trusted host where any will do", func(c *Config, s *spec.Snapshot) { trustPeer(c, s); s.APIs[0].Host = "" }, []string{"X-Forwarded-Host", "front.test"}, "http://front.test/shop/orders/1", true},
	} {
		g, iss := boundGateway(t, c.change)
		k := NewProofKey(t)
		token := iss.Token(t, k.Bound())
		l := newLane("GET", "/shop/orders/1", append(c.headers, "Authorization", "DPoP "+token, "DPoP", k.Proof(t, "GET", c.htu, token, nil, nil))...)
		g.ServeExchange(l)
		if (l.status == 200) != c.good {
			t.Errorf("%s: %d %s", c.name, l.status, l.reason())
		}
	}
}

func trustPeer(c *Config, _ *spec.Snapshot) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
}

// Whoever has another's token, and makes proofs of their own, soon stops costing
// signature checks.
func TestForgedProofsHaveALimit(t *testing.T) {
	g, iss := boundGateway(t, func(c *Config, _ *spec.Snapshot) {
		c.Forgeries.Count, c.Forgeries.Period = 5, time.Hour
	})
	k, thief := NewProofKey(t), NewProofKey(t)
	token := iss.Token(t, k.Bound())
	last := 0
	for range 7 {
		l := newLane("GET", "/shop/orders/1", "Authorization", "DPoP "+token,
			"DPoP", thief.Proof(t, "GET", ordersURL, token, map[string]any{"jwk": k.JWK}, nil))
		g.ServeExchange(l)
		last = l.status
	}
	if last != 429 {
		t.Errorf("the seventh forged proof: %d", last)
	}
}

// What the gateway has checked is not passed on, and an upstream gives no nonces in
// its name.
func TestProofsEndAtTheGateway(t *testing.T) {
	g, iss := boundGateway(t, nil)
	k := NewProofKey(t)
	token := iss.Token(t, k.Bound())
	l := newLane("GET", "/shop/orders/1", "Authorization", "DPoP "+token, "DPoP", k.Proof(t, "GET", ordersURL, token, nil, nil))
	ex := &Exchange{}
	ex.begin(g, l)
	if err := ex.guarded(); err != nil {
		t.Fatal(err)
	}
	for _, f := range ex.Out.Fields {
		if strings.EqualFold(string(f.Name), "dpop") || strings.EqualFold(string(f.Name), "authorization") {
			t.Errorf("the upstream got %s", f.Name)
		}
	}
	if !gatewayOnly([]byte("dpop-NONCE")) {
		t.Error("an upstream may give nonces")
	}
}

// One check of a signature, and no store: what a bound token costs beside a plain one.
func BenchmarkDPoP(b *testing.B) {
	g, iss := boundGateway(b, func(c *Config, _ *spec.Snapshot) {
		c.Backend = func(spec.API, Backend) (Backend, error) { return &replyBackend{}, nil }
		c.Replays = 1 << 24
	})
	k := NewProofKey(b)
	token := iss.Token(b, k.Bound())
	proofs := make([]*memoryLane, 4096)
	for i := range proofs {
		proofs[i] = newLane("GET", "/shop/orders/1", "Authorization", "DPoP "+token, "DPoP", k.Proof(b, "GET", ordersURL, token, nil, nil))
		proofs[i].quiet = true
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%len(proofs) == 0 {
			g.replays = newReplays(0) // the same proofs again
		}
		l := proofs[n%len(proofs)]
		n++
		g.ServeExchange(l)
		if l.status != 200 {
			b.Fatal(l.status)
		}
	}
}

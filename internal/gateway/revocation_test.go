package gateway

import (
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/revocation"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
)

// listed is a list as a Set reads it.
func listed(list ...cluster.Revocation) iter.Seq2[cluster.Revocation, error] {
	return func(yield func(cluster.Revocation, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// attack gateway 30, 70: once Add has returned, no request that starts later passes.
func TestRevocation(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	now := time.Now().Truncate(time.Second)
	claims := Claims{"jti": "j1", "sid": "s1", "iat": now.Unix() - 60}
	raw := iss.Token(t, claims)
	sum := sha256.Sum256([]byte(raw))
	hash := base64.RawURLEncoding.EncodeToString(sum[:])
	for _, x := range []struct {
		name string
		r    cluster.Revocation
		want string
	}{
		{"jti", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: iss.URL, Value: "j1"}, "revoked"},
		{"hash", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenHash, Value: hash}, "revoked"},
		{"session", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Session, Issuer: iss.URL, Value: "s1"}, "revoked"},
		{"client", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Client, Issuer: iss.URL, Value: "app1"}, "revoked"},
		{"user id", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.User, Issuer: iss.URL, Value: "00u1"}, "revoked"},
		{"subject", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.User, Issuer: iss.URL, Value: "ana"}, "revoked"},
		{"key", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Key, Issuer: iss.URL, Value: "k1"}, "revoked"},
		{"issuer", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Issuer, Issuer: iss.URL}, "revoked"},
		{"tenant", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Tenant}, "revoked"},
		{"issued before", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Client, Issuer: iss.URL, Value: "app1", IssuedBefore: now}, "revoked"},
		{"issued within its second", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Client, Issuer: iss.URL, Value: "app1", IssuedBefore: now.Add(-60*time.Second + time.Millisecond)}, "revoked"},

		{"issued after", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Client, Issuer: iss.URL, Value: "app1", IssuedBefore: now.Add(-60 * time.Second)}, ""},
		{"another tenant", cluster.Revocation{Tenant: "other", Kind: cluster.Client, Issuer: iss.URL, Value: "app1"}, ""},
		{"another tenant as a whole", cluster.Revocation{Tenant: "other", Kind: cluster.Tenant}, ""},
		{"another jti", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: iss.URL, Value: "j2"}, ""},
		{"another issuer", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: "https://else.test", Value: "j1"}, ""},
		{"another kind", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Session, Issuer: iss.URL, Value: "j1"}, ""},
		{"empty value", cluster.Revocation{Tenant: tenant.Default, Kind: cluster.Session, Issuer: iss.URL}, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := ConfigFor(t, iss)
			g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}, spec.Route{Method: "GET", Path: "/open", Public: true}))
			send := func(path string) string {
				l := newLane("GET", path, "Authorization", "Bearer "+raw)
				g.ServeExchange(l)
				return l.reason()
			}
			if got := send("/x"); got != "" {
				t.Fatal(got)
			}
			if err := c.Revocations.Add(now, x.r); err != nil {
				t.Fatal(err)
			}
			if got := send("/x"); got != x.want {
				t.Errorf("after Add: %q, want %q", got, x.want)
			}
			if got := send("/open"); got != "" {
				t.Errorf("a public route: %q", got)
			}
			if err := c.Revocations.Replace(listed(x.r)); err != nil || send("/x") != x.want || c.Revocations.Len() != 1 {
				t.Errorf("after Replace by the same: %v", err)
			}
			if err := c.Revocations.Replace(listed()); err != nil || send("/x") != "" {
				t.Errorf("after Replace by nothing: %v", err)
			}
		})
	}
}

// twinOf returns the token with the other signature that ECDSA takes for the same
// text: whoever has (r, s) can make (r, n-s) of it without the key.
func twinOf(t *testing.T, token string) string {
	t.Helper()
	cut := strings.LastIndexByte(token, '.') + 1
	sig, err := base64.RawURLEncoding.DecodeString(token[cut:])
	if err != nil || len(sig) != 64 {
		t.Fatalf("%d bytes, %v", len(sig), err)
	}
	s := new(big.Int).SetBytes(sig[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(sig[32:])
	return token[:cut] + base64.RawURLEncoding.EncodeToString(sig)
}

// attack gateway 22, 30: a token that is revoked by its hash does not come back with the
// other signature, whichever of the two was revoked, seen before or not.
func TestRevokedByHashUnderEitherSignature(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}))
	send := func(token string) string {
		l := newLane("GET", "/x", "Authorization", "Bearer "+token)
		g.ServeExchange(l)
		return l.reason()
	}
	for name, seen := range map[string]bool{"seen before": true, "never seen": false} {
		raw := iss.Token(t, Claims{"jti": nil})
		if seen && (send(raw) != "" || send(twinOf(t, raw)) != "") {
			t.Fatalf("%s: not accepted before", name)
		}
		if err := c.Revocations.Add(time.Now(), cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenHash, Value: hashOf(raw)}); err != nil {
			t.Fatal(err)
		}
		for which, token := range map[string]string{"itself": raw, "its twin": twinOf(t, raw)} {
			if got := send(token); got != "revoked" {
				t.Errorf("%s, %s: %q, want revoked", name, which, got)
			}
		}
	}
	if got := send(iss.Token(t, nil)); got != "" {
		t.Errorf("another token: %s", got)
	}
}

func TestUnknownRevocationsRefuse(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	c.Revocations = revocation.New(revocation.Config{})
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}, spec.Route{Method: "GET", Path: "/open", Public: true}))
	token := "Bearer " + iss.Token(t, nil)
	send := func(path string) *memoryLane {
		l := newLane("GET", path, "Authorization", token)
		g.ServeExchange(l)
		return l
	}
	if l := send("/x"); l.status != 503 || l.reason() != "revocation_state_unknown" || l.fields["Retry-After"] == nil {
		t.Errorf("%d %s", l.status, l.reason())
	}
	if l := send("/open"); l.status != 200 {
		t.Errorf("public: %d", l.status)
	}
	if err := c.Revocations.Replace(listed()); err != nil {
		t.Fatal(err)
	}
	if l := send("/x"); l.status != 200 {
		t.Errorf("once it is known: %d", l.status)
	}
	c.Revocations.Forget()
	if l := send("/x"); l.status != 503 {
		t.Errorf("once it is forgotten: %d", l.status)
	}
}

func TestRevocationsInParallel(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}))
	var wg sync.WaitGroup
	for i := range 8 {
		id := fmt.Sprint("j", i)
		token := "Bearer " + iss.Token(t, Claims{"jti": id})
		wg.Go(func() {
			for range 50 {
				g.ServeExchange(newLane("GET", "/x", "Authorization", token))
			}
			if err := c.Revocations.Add(time.Now(), cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: iss.URL, Value: id}); err != nil {
				t.Error(err)
			}
			for range 50 {
				l := newLane("GET", "/x", "Authorization", token)
				g.ServeExchange(l)
				if l.reason() != "revoked" {
					t.Errorf("%s passes after it was revoked: %d", id, l.status)
					return
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkRevoked(b *testing.B) {
	iss := NewIssuerFor(b, "https://issuer.test")
	g := hotGateway(b, iss, nowhere{}, 0)
	list := make([]cluster.Revocation, 0, 500_000)
	some := []cluster.Kind{cluster.TokenID, cluster.TokenHash, cluster.Session, cluster.Client, cluster.User, cluster.Key}
	for i := range cap(list) {
		list = append(list, cluster.Revocation{Tenant: tenant.Default, Kind: some[i%len(some)], Issuer: iss.URL, Value: fmt.Sprint(i)})
	}
	if err := g.config.Revocations.Replace(listed(list...)); err != nil {
		b.Fatal(err)
	}
	l := hotLane(b, iss)
	b.ReportAllocs()
	for b.Loop() {
		g.ServeExchange(l)
	}
}

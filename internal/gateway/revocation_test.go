package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

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
		r    Revocation
		want string
	}{
		{"jti", Revocation{Kind: RevokedTokenID, Issuer: iss.URL, Value: "j1"}, "revoked"},
		{"hash", Revocation{Kind: RevokedTokenHash, Value: hash}, "revoked"},
		{"session", Revocation{Kind: RevokedSession, Issuer: iss.URL, Value: "s1"}, "revoked"},
		{"client", Revocation{Kind: RevokedClient, Issuer: iss.URL, Value: "app1"}, "revoked"},
		{"user id", Revocation{Kind: RevokedUser, Issuer: iss.URL, Value: "00u1"}, "revoked"},
		{"subject", Revocation{Kind: RevokedUser, Issuer: iss.URL, Value: "ana"}, "revoked"},
		{"key", Revocation{Kind: RevokedKey, Issuer: iss.URL, Value: "k1"}, "revoked"},
		{"issuer", Revocation{Kind: RevokedIssuer, Issuer: iss.URL}, "revoked"},
		{"issued before", Revocation{Kind: RevokedClient, Issuer: iss.URL, Value: "app1", IssuedBefore: now}, "revoked"},
		{"issued within its second", Revocation{Kind: RevokedClient, Issuer: iss.URL, Value: "app1", IssuedBefore: now.Add(-60*time.Second + time.Millisecond)}, "revoked"},

		{"issued after", Revocation{Kind: RevokedClient, Issuer: iss.URL, Value: "app1", IssuedBefore: now.Add(-60 * time.Second)}, ""},
		{"another jti", Revocation{Kind: RevokedTokenID, Issuer: iss.URL, Value: "j2"}, ""},
		{"another issuer", Revocation{Kind: RevokedTokenID, Issuer: "https://else.test", Value: "j1"}, ""},
		{"another kind", Revocation{Kind: RevokedSession, Issuer: iss.URL, Value: "j1"}, ""},
		{"empty value", Revocation{Kind: RevokedSession, Issuer: iss.URL}, ""},
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
			if err := c.Revocations.Replace([]Revocation{x.r}); err != nil || send("/x") != x.want || c.Revocations.Len() != 1 {
				t.Errorf("after Replace by the same: %v", err)
			}
			if err := c.Revocations.Replace(nil); err != nil || send("/x") != "" {
				t.Errorf("after Replace by nothing: %v", err)
			}
		})
	}
}

func TestUnknownRevocationsRefuse(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	c.Revocations = NewRevocations(RevocationsConfig{})
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
	if err := c.Revocations.Replace(nil); err != nil {
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

func TestRevocationsAreBounded(t *testing.T) {
	now := time.Now()
	r := NewRevocations(RevocationsConfig{Max: 2, Loaded: true})
	entry := func(v string, expires time.Time) Revocation {
		return Revocation{Kind: RevokedTokenID, Issuer: "i", Value: v, Expires: expires}
	}
	if err := r.Add(now, entry("a", now.Add(time.Minute)), entry("b", time.Time{})); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(now, entry("c", time.Time{})); !fault.Is(err, fault.Full) {
		t.Errorf("%v", err)
	}
	if err := r.Replace(make([]Revocation, 3)); !fault.Is(err, fault.Full) || r.Len() != 2 {
		t.Errorf("%v", err)
	}
	// Room is made of what has expired.
	if err := r.Add(now.Add(2*time.Minute), entry("c", time.Time{})); err != nil || r.Len() != 2 {
		t.Errorf("%v, %d", err, r.Len())
	}
	if n := r.RemoveExpired(now.Add(time.Hour)); n != 0 || r.Len() != 2 {
		t.Errorf("%d removed", n)
	}
}

// A second revocation of the same thing can only make the first one wider.
func TestRevocationsOnlyGrow(t *testing.T) {
	now := time.Now()
	base := Revocation{Kind: RevokedClient, Issuer: "i", Value: "c"}
	narrow := base
	narrow.IssuedBefore, narrow.Expires = now.Add(-time.Hour), now.Add(time.Minute)
	for _, order := range [][]Revocation{{base, narrow}, {narrow, base}} {
		for name, put := range map[string]func(*Revocations) error{
			"add":     func(r *Revocations) error { return r.Add(now, order...) },
			"replace": func(r *Revocations) error { return r.Replace(order) },
		} {
			r := NewRevocations(RevocationsConfig{})
			if err := put(r); err != nil {
				t.Fatal(err)
			}
			k := r.key(RevokedClient, "i", "c")
			e := (*r.shards[k[0]%revocationShards].Load())[k]
			if e.before != 0 || e.expires != 0 || r.Len() != 1 {
				t.Errorf("%s: %+v, %d", name, e, r.Len())
			}
		}
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
			if err := c.Revocations.Add(time.Now(), Revocation{Kind: RevokedTokenID, Issuer: iss.URL, Value: id}); err != nil {
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
	g := hotGateway(b, iss, nowhere{})
	list := make([]Revocation, 0, 500_000)
	for i := range cap(list) {
		list = append(list, Revocation{Kind: RevocationKind(i % int(RevokedIssuer)), Issuer: iss.URL, Value: fmt.Sprint(i)})
	}
	if err := g.config.Revocations.Replace(list); err != nil {
		b.Fatal(err)
	}
	l := hotLane(b, iss)
	b.ReportAllocs()
	for b.Loop() {
		g.ServeExchange(l)
	}
}

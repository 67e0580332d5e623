package revocation

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/verify"
)

func listed(list ...cluster.Revocation) iter.Seq2[cluster.Revocation, error] {
	return func(yield func(cluster.Revocation, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func one(v string, expires time.Time) cluster.Revocation {
	return cluster.Revocation{Tenant: "acme", Kind: cluster.TokenID, Issuer: "i", Value: v, Expires: expires}
}

// has reports whether the set names a token of the id.
func (s *Set) has(id string) bool {
	k := s.KeysOf("acme", &verify.Token{Issuer: "i", ID: id}, "h", "")
	return s.Names(&k, 0) != ""
}

// Every kind is found by what it names, and by nothing else.
func TestKinds(t *testing.T) {
	tok := &verify.Token{Issuer: "i", ID: "j", Session: "s", ClientID: "c", UserID: "u", Subject: "login", KeyID: "k", CertThumbprint: "x5t"}
	for _, r := range []cluster.Revocation{
		{Kind: cluster.TokenID, Issuer: "i", Value: "j"},
		{Kind: cluster.TokenHash, Value: "hash"},
		{Kind: cluster.TokenHash, Value: "twin"},
		{Kind: cluster.Session, Issuer: "i", Value: "s"},
		{Kind: cluster.Client, Issuer: "i", Value: "c"},
		{Kind: cluster.User, Issuer: "i", Value: "u"},
		{Kind: cluster.User, Issuer: "i", Value: "login"},
		{Kind: cluster.Key, Issuer: "i", Value: "k"},
		{Kind: cluster.Certificate, Value: "x5t"},
		{Kind: cluster.Issuer, Issuer: "i"},
		{Kind: cluster.Tenant},
	} {
		r.Tenant = "acme"
		s := New(Config{Loaded: true})
		keys, elsewhere := s.KeysOf("acme", tok, "hash", "twin"), s.KeysOf("bravo", tok, "hash", "twin")
		if s.Names(&keys, 0) != "" {
			t.Fatalf("%s: named before", r.Kind)
		}
		turn := s.Turn()
		if err := s.Add(time.Now(), r); err != nil {
			t.Fatal(err)
		}
		if got := s.Names(&keys, 0); got != r.Kind || s.Turn() == turn {
			t.Errorf("%s: named as %q", r.Kind, got)
		}
		if s.Names(&elsewhere, 0) != "" {
			t.Errorf("%s: names a token at another tenant", r.Kind)
		}
		if got := s.NamesCertificate("acme", "x5t"); got != (r.Kind == cluster.Certificate) {
			t.Errorf("%s: the certificate is named: %v", r.Kind, got)
		}
		s.Lift(r)
		s.Lift(r)
		if s.Names(&keys, 0) != "" || s.Len() != 0 || s.kinds.Load() != 0 {
			t.Errorf("%s: named after it was taken back", r.Kind)
		}
	}
	if err := New(Config{}).Add(time.Now(), cluster.Revocation{Kind: "planet"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestBound(t *testing.T) {
	now := time.Now()
	s := New(Config{Max: 32, Loaded: true})
	for i := range 30 {
		expires := time.Time{}
		if i == 0 {
			expires = now.Add(time.Minute)
		}
		if err := s.Add(now, one(fmt.Sprint(i), expires)); err != nil {
			t.Fatal(err)
		}
	}
	// Single tokens have filled their part: the next is refused, and nothing is said to
	// be in force that is not. What is wider has room left.
	if err := s.Add(now, one("more", time.Time{})); !fault.Is(err, fault.Full) || s.has("more") {
		t.Errorf("%v", err)
	}
	wide := cluster.Revocation{Tenant: "acme", Kind: cluster.User, Issuer: "i", Value: "u"}
	if err := s.Add(now, wide); err != nil {
		t.Error(err)
	}
	var many []cluster.Revocation
	for i := range 33 {
		many = append(many, one(fmt.Sprint("x", i), time.Time{}))
	}
	if err := s.Replace(listed(many...)); !fault.Is(err, fault.Full) || s.Len() != 31 || !s.has("7") {
		t.Errorf("%v", err)
	}
	// Room is made of what has expired.
	s.Lift(wide)
	if err := s.Add(now.Add(2*time.Minute), one("more", time.Time{})); err != nil || s.Len() != 30 || s.has("0") || !s.has("more") {
		t.Errorf("%v, %d", err, s.Len())
	}
	if n := s.RemoveExpired(now.Add(time.Hour)); n != 0 || s.Len() != 30 {
		t.Errorf("%d removed", n)
	}
}

// A second revocation of the same thing can only make the first one wider.
func TestOnlyGrows(t *testing.T) {
	now := time.Now()
	base := cluster.Revocation{Tenant: "acme", Kind: cluster.Client, Issuer: "i", Value: "c"}
	narrow := base
	narrow.IssuedBefore, narrow.Expires = now.Add(-time.Hour), now.Add(time.Minute)
	for _, order := range [][]cluster.Revocation{{base, narrow}, {narrow, base}} {
		for name, put := range map[string]func(*Set) error{
			"add":     func(s *Set) error { return s.Add(now, order...) },
			"replace": func(s *Set) error { return s.Replace(listed(order...)) },
		} {
			s := New(Config{})
			if err := put(s); err != nil {
				t.Fatal(err)
			}
			k := s.KeysOf("acme", &verify.Token{Issuer: "i", ClientID: "c"}, "h", "")
			if s.Names(&k, now.Unix()+9) == "" || s.RemoveExpired(now.Add(time.Hour)) != 0 || s.Len() != 1 {
				t.Errorf("%s: the narrower one has won", name)
			}
		}
	}
}

// Times are kept as whole seconds and rounded to the strict side.
func TestSeconds(t *testing.T) {
	at := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		t    time.Time
		want uint32
	}{
		{time.Time{}, 0}, {at, 1_000_000}, {at.Add(1), 1_000_001}, {time.Unix(-5, 0), 1}, {time.Unix(1<<33, 0), 0},
	} {
		if got := seconds(c.t); got != c.want {
			t.Errorf("%v: %d, want %d", c.t, got, c.want)
		}
	}
}

// A list that breaks off replaces nothing, and makes nothing known.
func TestReplaceThatFails(t *testing.T) {
	s := New(Config{})
	broken := errors.New("the store has gone")
	err := s.Replace(func(yield func(cluster.Revocation, error) bool) {
		_ = yield(one("a", time.Time{}), nil) && yield(cluster.Revocation{}, broken)
	})
	if !errors.Is(err, broken) || s.Known() || s.Len() != 0 {
		t.Errorf("%v, known %v, %d", err, s.Known(), s.Len())
	}
}

// Whatever is done in whatever order, the set says what a plain map says.
func TestAgainstAMap(t *testing.T) {
	s, model := New(Config{Loaded: true}), map[string]bool{}
	now := time.Now()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		id := fmt.Sprint(rng.IntN(3000))
		switch rng.IntN(3) {
		case 0:
			s.Lift(one(id, time.Time{}))
			delete(model, id)
		default:
			if err := s.Add(now, one(id, time.Time{})); err != nil {
				t.Fatal(err)
			}
			model[id] = true
		}
	}
	var all []cluster.Revocation
	check := func() {
		t.Helper()
		for i := range 3000 {
			if id := fmt.Sprint(i); s.has(id) != model[id] {
				t.Fatalf("%s: %v", id, s.has(id))
			}
		}
		if s.Len() != len(model) {
			t.Errorf("%d entries, want %d", s.Len(), len(model))
		}
	}
	check()
	for id := range model {
		all = append(all, one(id, time.Time{}))
	}
	if err := s.Replace(listed(all...)); err != nil {
		t.Fatal(err)
	}
	check()
}

// A million entries, read from a store one by one, take less than 100 MB, also
// while they are read, and are asked without an allocation.
func TestMemoryOfAMillion(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) // #nosec G115 -- far from the end of it
	}
	before, most := heap(), int64(0)
	s := New(Config{})
	const n = 1_000_000
	err := s.Replace(func(yield func(cluster.Revocation, error) bool) {
		for i := range n {
			if !yield(one(fmt.Sprint("AT.", i), time.Now().Add(time.Hour)), nil) {
				return
			}
			if i%200_000 == 0 || i == n-1 {
				most = max(most, heap()-before)
			}
		}
	})
	if err != nil || s.Len() != n {
		t.Fatal(err, s.Len())
	}
	after := heap() - before
	t.Logf("%.1f MB at rest, %.1f MB at most while reading", float64(after)/1e6, float64(most)/1e6)
	if after > 50e6 || most > 100e6 {
		t.Errorf("%d bytes at rest, %d at most", after, most)
	}
	k := s.KeysOf("acme", &verify.Token{Issuer: "i", ID: "nobody", Subject: "ana", ClientID: "c", KeyID: "k"}, "h", "")
	if allocs := testing.AllocsPerRun(100, func() {
		if s.Names(&k, 5) != "" {
			t.Error("named")
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	runtime.KeepAlive(s)
}

func BenchmarkNames(b *testing.B) {
	tok := &verify.Token{Issuer: "i", ID: "nobody", Session: "s", Subject: "ana", UserID: "u", ClientID: "c", KeyID: "k"}
	for _, n := range []int{0, 1000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Config{})
			some := []cluster.Kind{cluster.TokenID, cluster.TokenHash, cluster.Session, cluster.Client, cluster.User, cluster.Key}
			_ = s.Replace(func(yield func(cluster.Revocation, error) bool) {
				for i := range n {
					r := one(fmt.Sprint(i), time.Time{})
					r.Kind = some[i%len(some)]
					if !yield(r, nil) {
						return
					}
				}
			})
			k := s.KeysOf("acme", tok, "h", "")
			b.ReportAllocs()
			for b.Loop() {
				_ = s.Names(&k, 5)
			}
		})
	}
}

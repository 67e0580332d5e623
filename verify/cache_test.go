package verify

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// clock is a clock that the test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func TestCacheServesTheSameToken(t *testing.T) {
	c := &clock{start}
	v := verifierA(t, func(cfg *Config) { cfg.Now = c.now })
	raw := mint(RS256, rsaKey(), "rsa", oktaClaims(nil))
	if _, ok := v.VerifyCached(raw); ok {
		t.Fatal("cached before it was verified")
	}
	first := must(v.Verify(t.Context(), raw))
	second := must(v.Verify(t.Context(), raw))
	third, ok := v.VerifyCached(raw)
	if first != second || !ok || first != third {
		t.Error("not the same token")
	}
	first.Slot().Store(&raw)
	if third.Slot().Load() != any(&raw) {
		t.Error("the slot was lost")
	}
	raw[len(raw)-1] ^= 1 // the cache must not share the caller's memory
	if _, ok := v.VerifyCached(raw); ok {
		t.Error("a changed token is served from the cache")
	}
	if s := v.CacheStats(); s.Tokens != 1 || s.Bytes != int64(len(raw)) {
		t.Errorf("%+v", s)
	}
}

func TestCacheEnds(t *testing.T) {
	keys := must(NewStaticKeys(jwks(jwk("ed", edKey(), nil))))
	issuer := Issuer{URL: issuerA, Keys: keys}
	raw := mint(EdDSA, edKey(), "ed", oktaClaims(obj{"exp": start.Unix() + 7200, "nbf": start.Unix()}))
	for _, c := range []struct {
		name   string
		do     func(*clock, **Verifier)
		cached bool
		reason Reason // of a Verify afterwards
	}{
		{"nothing happens", func(*clock, **Verifier) {}, true, ""},
		{"CacheFor ends", func(c *clock, _ **Verifier) { c.t = start.Add(time.Hour) }, false, ""},
		{"one second before", func(c *clock, _ **Verifier) { c.t = start.Add(time.Hour - time.Second) }, true, ""},
		{"the token expires", func(c *clock, _ **Verifier) { c.t = start.Add(2*time.Hour + DefaultLeeway) }, false, ReasonExpired},
		{"the clock is set back", func(c *clock, _ **Verifier) { c.t = start.Add(-time.Minute) }, false, ReasonNotYetValid},
		{"drop by id", func(_ *clock, v **Verifier) { (*v).Drop(func(t *Token) bool { return t.ID == "AT.abc" }) }, false, ""},
		{"drop of another", func(_ *clock, v **Verifier) { (*v).Drop(func(t *Token) bool { return t.ID == "AT.x" }) }, true, ""},
		{"purge", func(_ *clock, v **Verifier) { (*v).Purge() }, false, ""},
		{"keys retired", func(*clock, **Verifier) { keys.Retire() }, false, ""},
		{"same configuration again", func(_ *clock, v **Verifier) { *v = must((*v).With([]Issuer{issuer})) }, true, ""},
		{"another issuer added", func(_ *clock, v **Verifier) {
			*v = must((*v).With([]Issuer{{URL: issuerB, Keys: keys}, issuer}))
		}, true, ""},
		{"issuer removed", func(_ *clock, v **Verifier) { *v = must((*v).With(nil)) }, false, ReasonUnknownIssuer},
		{"audience narrowed", func(_ *clock, v **Verifier) {
			narrow := issuer
			narrow.Audience = []string{"api://pay"}
			*v = must((*v).With([]Issuer{narrow}))
		}, false, ReasonWrongAudience},
		{"algorithm removed", func(_ *clock, v **Verifier) {
			narrow := issuer
			narrow.Algorithms = []Algorithm{RS256}
			*v = must((*v).With([]Issuer{narrow}))
		}, false, ReasonUnknownKey},
		{"other keys", func(_ *clock, v **Verifier) {
			*v = must((*v).With([]Issuer{{URL: issuerA, Keys: must(NewStaticKeys(jwks(jwk("ec", p256(), nil))))}}))
		}, false, ReasonUnknownKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys.set.keys[0].UsableUntil(start.Add(24 * time.Hour))
			clk := &clock{start}
			v := must(New(Config{Issuers: []Issuer{issuer}, Now: clk.now}))
			must(v.Verify(t.Context(), raw))
			c.do(clk, &v)
			if _, ok := v.VerifyCached(raw); ok != c.cached {
				t.Errorf("cached = %t, want %t", ok, c.cached)
			}
			_, err := v.Verify(t.Context(), raw)
			want(t, err, c.reason)
		})
	}
}

// slowSource lets something happen between a verification's start and its end.
type slowSource struct {
	KeySource
	meanwhile func()
}

func (s *slowSource) Key(ctx context.Context, kid string, alg Algorithm) (*Key, error) {
	s.meanwhile()
	return s.KeySource.Key(ctx, kid, alg)
}

// A token that is being verified while a revocation drops it is not cached
// afterwards.
func TestDropDuringVerify(t *testing.T) {
	src := &slowSource{KeySource: must(NewStaticKeys(jwks(jwk("ed", edKey(), nil))))}
	v := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: src}}, Now: at(start)}))
	src.meanwhile = func() { v.Drop(func(*Token) bool { return true }) }
	raw := mint(EdDSA, edKey(), "ed", oktaClaims(nil))
	must(v.Verify(t.Context(), raw))
	if _, ok := v.VerifyCached(raw); ok {
		t.Error("cached over the drop")
	}
	src.meanwhile = func() {}
	must(v.Verify(t.Context(), raw))
	if _, ok := v.VerifyCached(raw); !ok {
		t.Error("not cached after the drop")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(100, 1<<20)
	key := must(NewKey("k", "", edKey().Public()))
	put := func(n int, size int, until int64) *entry {
		raw := make([]byte, size)
		copy(raw, fmt.Sprint(n))
		return c.put(&entry{raw: raw, token: &Token{ID: fmt.Sprint(n)}, key: key, until: until}, c.mark(), 0)
	}
	for n := range 10_000 {
		put(n, 20, 1)
		if s := c.stats(); s.Tokens > 100 {
			t.Fatalf("%d tokens", s.Tokens)
		}
	}
	if s := c.stats(); s.Tokens < 90 {
		t.Errorf("only %d of 100 places are used", s.Tokens)
	}
	for n := range 100 {
		put(n, 100<<10, 1)
		if s := c.stats(); s.Bytes > 1<<20 {
			t.Fatalf("%d bytes", s.Bytes)
		}
	}
	if put(-1, 2<<20, 1); c.stats().Bytes > 1<<20 {
		t.Error("a token larger than the cache is in it")
	}
	// A token that is used stays while others pass.
	hot := put(-2, 20, 1)
	kept := 0
	for n := range 1_000 {
		if c.find(hot.raw) == hot {
			kept++
		}
		put(n, 20, 1)
	}
	if kept < 900 {
		t.Errorf("the token in use was there %d times of 1000", kept)
	}
	total := 0
	var bytes int64
	for i := range c.table {
		if e := c.table[i].Load(); e != nil {
			total++
			bytes += int64(len(e.raw))
		}
	}
	if s := c.stats(); s.Tokens != total || s.Bytes != bytes {
		t.Errorf("counted %+v, there are %d of %d bytes", s, total, bytes)
	}
}

// Expired tokens leave without anybody asking for them.
func TestCacheForgetsExpired(t *testing.T) {
	c := newCache(1000, 1<<20)
	key := must(NewKey("k", "", edKey().Public()))
	for n := range 500 {
		c.put(&entry{raw: []byte(fmt.Sprint("old", n)), key: key, until: 10}, c.mark(), 0)
	}
	for n := range 700 {
		c.put(&entry{raw: []byte(fmt.Sprint("new", n)), key: key, until: 100}, c.mark(), 50)
	}
	if s := c.stats(); s.Tokens > 720 {
		t.Errorf("%d tokens are kept, of which 700 are alive", s.Tokens)
	}
}

func TestHitDoesNotAllocate(t *testing.T) {
	v := verifierA(t, nil)
	raw := mint(RS256, rsaKey(), "rsa", oktaClaims(nil))
	ctx := t.Context()
	must(v.Verify(ctx, raw))
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := v.Verify(ctx, raw); err != nil {
			t.Fatal(err)
		}
		if _, ok := v.VerifyCached(raw); !ok {
			t.Fatal("not cached")
		}
	}); n != 0 {
		t.Errorf("%v allocations for a hit", n)
	}
}

func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			v := verifierA(b, func(c *Config) { c.Now = time.Now })
			raws := make([][]byte, n)
			now := time.Now().Unix()
			for i := range raws {
				raws[i] = mint(EdDSA, edKey(), "ed", oktaClaims(obj{"jti": fmt.Sprint("AT.", i), "iat": now, "exp": now + 3600, "pad": pad}))
				must(v.Verify(b.Context(), raws[i]))
			}
			ctx := b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := v.Verify(ctx, raws[i]); err != nil {
					b.Fatal(err)
				}
				if i += 7919; i >= n {
					i %= n
				}
			}
		})
	}
}

// pad makes tokens as long as those of Okta, about 1,000 bytes.
const pad = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

func BenchmarkCold(b *testing.B) {
	for _, c := range []struct {
		alg Algorithm
		raw func() []byte
	}{
		{RS256, func() []byte { return mint(RS256, rsaKey(), "rsa", oktaClaims(nil)) }},
		{PS256, func() []byte { return mint(PS256, rsaKey(), "rsa", oktaClaims(nil)) }},
		{ES256, func() []byte { return mint(ES256, p256(), "ec", oktaClaims(nil)) }},
		{EdDSA, func() []byte { return mint(EdDSA, edKey(), "ed", oktaClaims(nil)) }},
	} {
		b.Run(string(c.alg), func(b *testing.B) {
			v := verifierA(b, func(c *Config) { c.CacheSize = -1 })
			raw := c.raw()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

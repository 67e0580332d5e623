package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// idp is an issuer in memory: what it answers can be changed, and it counts.
type idp struct {
	mu     sync.Mutex
	issuer string // as its metadata says
	keys   []byte // nil = down
	delay  time.Duration
	meta   int // fetches of metadata
	sets   int // fetches of the key set
}

func newIDP(keys ...obj) *idp { return &idp{issuer: issuerA, keys: jwks(keys...)} }

var errDown = errors.New("connection refused")

func (p *idp) fetch(ctx context.Context, url string) ([]byte, error) {
	p.mu.Lock()
	keys, delay, issuer := p.keys, p.delay, p.issuer
	meta := strings.Contains(url, "/.well-known/")
	if meta {
		p.meta++
	} else {
		p.sets++
	}
	p.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	switch {
	case keys == nil:
		return nil, errDown
	case url == issuerA+"/.well-known/openid-configuration":
		return []byte(text(obj{"issuer": issuer, "jwks_uri": issuerA + "/v1/keys", "token_endpoint": issuerA + "/v1/token"})), nil
	case url == issuerA+"/v1/keys":
		return keys, nil
	default:
		return nil, errors.New("status 404")
	}
}

func (p *idp) set(change func(*idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

func (p *idp) publish(keys ...obj) { p.set(func(p *idp) { p.keys = jwks(keys...) }) }

// count returns the fetches of the key set.
func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sets
}

// remote is a RemoteKeys of the idp with a Verifier, in a bubble of synctest,
// where time is the test's.
type remote struct {
	*RemoteKeys
	v *Verifier
}

func (p *idp) remote(t *testing.T, store Store) *remote {
	t.Helper()
	keys, err := NewRemoteKeys(RemoteConfig{Issuer: issuerA, Fetch: p.fetch, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return &remote{keys, must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: keys}}}))}
}

// token returns a fresh token, so that no cache answers for it.
func token(kid string, seq int) []byte {
	now := time.Now().Unix()
	key := p256()
	if strings.HasSuffix(kid, "'") { // other material under the same kid
		kid, key = strings.TrimSuffix(kid, "'"), p256b()
	}
	return mint(ES256, key, kid, oktaClaims(obj{"iat": now, "exp": now + 300, "jti": fmt.Sprint(seq)}))
}

// pass lets time go by in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	rsaKey() // keys are made outside of the bubble's time
	p256()
	p256b()
	edKey()
	synctest.Test(t, test)
}

// attack identity 72, attack gateway 6: many unknown kids cost one fetch in each interval, and good
// tokens go on.
func TestUnknownKidFlood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		before := p.count()
		for i := range 1000 {
			_, err := r.v.Verify(t.Context(), token(fmt.Sprint("evil", i), i))
			want(t, err, ReasonUnknownKey)
		}
		if n := p.count() - before; n > 1 {
			t.Errorf("%d fetches for 1000 unknown kids within one interval", n)
		}
		_, err := r.v.Verify(t.Context(), token("k1", 0))
		want(t, err, "")
		// A minute of it: at most one fetch for each 10 s.
		before = p.count()
		for i := range 600 {
			pass(100 * time.Millisecond)
			_, err := r.v.Verify(t.Context(), token(fmt.Sprint("more", i), i))
			want(t, err, ReasonUnknownKey)
		}
		if n := p.count() - before; n > 7 || n < 5 {
			t.Errorf("%d fetches in 60 s, want about 6", n)
		}
	})
}

// attack gateway 6: those who ask at the same time wait for one fetch together.
func TestSingleFlight(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		before := p.count()
		p.publish(jwk("k1", p256(), nil), jwk("k2", p256(), nil))
		p.set(func(p *idp) { p.delay = time.Second })
		raw := token("k2", 1)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				_, err := r.v.Verify(t.Context(), raw)
				want(t, err, "")
			})
		}
		wg.Wait()
		if n := p.count() - before; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
	})
}

// attack gateway 7: a key published under a new kid is accepted at first sight.
func TestNewKid(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		for i := range 5 {
			p.publish(jwk("k1", p256(), nil), jwk(fmt.Sprint("new", i), p256(), nil))
			_, err := r.v.Verify(t.Context(), token(fmt.Sprint("new", i), i))
			want(t, err, "")
			pass(11 * time.Second)
		}
	})
}

// A key that the issuer takes back is out of use, and its tokens are out of the cache.
func TestKeyRemoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil), jwk("k2", p256b(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		now := time.Now().Unix()
		one := mint(ES256, p256(), "k1", oktaClaims(obj{"iat": now, "exp": now + 86400}))
		two := mint(ES256, p256b(), "k2", oktaClaims(obj{"iat": now, "exp": now + 86400}))
		must(r.v.Verify(t.Context(), one))
		must(r.v.Verify(t.Context(), two))
		p.publish(jwk("k2", p256b(), nil))
		if err := r.Fetch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.v.VerifyCached(one); ok {
			t.Error("a token by the removed key is served from the cache")
		}
		if _, ok := r.v.VerifyCached(two); !ok {
			t.Error("a token by the key that stayed is out of the cache")
		}
		_, err := r.v.Verify(t.Context(), one)
		want(t, err, ReasonUnknownKey)
	})
}

// attack gateway 8: new material under the same kid is found by one fetch, and
// forged signatures do not buy fetches.
func TestSameKidNewMaterial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		old := token("k1", 0)
		must(r.v.Verify(t.Context(), old))
		before := p.count()
		p.publish(jwk("k1", p256b(), nil))
		_, err := r.v.Verify(t.Context(), token("k1'", 1))
		want(t, err, "")
		if n := p.count() - before; n != 1 {
			t.Errorf("%d fetches, want 1", n)
		}
		if _, ok := r.v.VerifyCached(old); ok {
			t.Error("a token by the old material is served from the cache")
		}
		// Ten minutes of forged signatures, ten a second.
		before = p.count()
		for i := range 6000 {
			pass(100 * time.Millisecond)
			_, err := r.v.Verify(t.Context(), token("k1", i))
			want(t, err, ReasonBadSignature)
		}
		if n := p.count() - before; n > 8 {
			t.Errorf("%d fetches for forged signatures in 10 min", n)
		}
		// And they do not stop a real change from being found.
		pass(maxFruitless)
		p.publish(jwk("k1", p256(), nil))
		_, err = r.v.Verify(t.Context(), token("k1", 7000))
		want(t, err, "")
	})
}

// attack gateway 9: the issuer is down for hours; known keys go on up to max
// stale, and then the reason is that the issuer cannot be reached.
func TestIssuerDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		p.set(func(p *idp) { p.keys = nil })
		now := time.Now().Unix()
		long := mint(ES256, p256(), "k1", oktaClaims(obj{"iat": now, "exp": now + 7*86400}))
		for i := range 23 {
			pass(time.Hour)
			_, err := r.v.Verify(t.Context(), token("k1", i))
			want(t, err, "")
			_, err = r.v.Verify(t.Context(), token("other", i))
			want(t, err, ReasonUnknownKey)
		}
		must(r.v.Verify(t.Context(), long))
		if s := r.State(); s.Err == nil || s.StaleSince.IsZero() || len(s.Keys) != 1 {
			t.Errorf("the state does not show it: %+v", s)
		}
		pass(time.Hour + time.Minute)
		_, err := r.v.Verify(t.Context(), token("k1", 100))
		want(t, err, ReasonIssuerUnreachable)
		if _, ok := r.v.VerifyCached(long); ok {
			t.Error("a token is served from the cache though its key is too old")
		}
		p.publish(jwk("k1", p256(), nil))
		pass(time.Minute)
		_, err = r.v.Verify(t.Context(), token("k1", 101))
		want(t, err, "")
		if s := r.State(); s.Err != nil || !s.StaleSince.IsZero() {
			t.Errorf("the state does not show that it is over: %+v", s)
		}
	})
}

// An issuer that was never there gives 503 and not 401, quickly, and is found
// when it comes.
func TestIssuerNeverThere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		keys := p.keys
		p.keys = nil
		r := p.remote(t, nil)
		for i := range 100 {
			_, err := r.v.Verify(t.Context(), token("k1", i))
			want(t, err, ReasonIssuerUnreachable)
			if !errors.Is(err, errDown) {
				t.Fatalf("%v does not hold the cause", err)
			}
		}
		if p.meta > 4 { // two forms, once at the start and once for a token
			t.Errorf("%d fetches for 100 tokens", p.meta)
		}
		p.set(func(p *idp) { p.keys = keys })
		pass(retryBare + time.Second)
		_, err := r.v.Verify(t.Context(), token("k1", 101))
		want(t, err, "")
	})
}

// A bad answer never replaces a good one.
func TestBadSetsDoNotReplace(t *testing.T) {
	good := string(jwks(jwk("k1", p256(), nil)))
	many := make([]obj, 101)
	for i := range many {
		many[i] = jwk(fmt.Sprint(i), edKey(), nil)
	}
	for name, bad := range map[string]string{
		"empty set": `{"keys":[]}`, "empty answer": ``, "HTML": `<html>`, "null": `null`, "object": `{}`, "cut off": good[:len(good)-3],
		"over 1 MiB": good + strings.Repeat(" ", 1<<20), "over 100 keys": string(jwks(many...)),
		"symmetric keys alone": `{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}`,
		"the same kid twice":   string(jwks(jwk("k1", p256(), nil), jwk("k1", p256b(), nil))),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				p := newIDP(jwk("k1", p256(), nil))
				dir := Directory(t.TempDir())
				r := p.remote(t, dir)
				synctest.Wait()
				p.set(func(p *idp) { p.keys = []byte(bad) })
				if err := r.Fetch(t.Context()); err == nil {
					t.Fatal("the bad set was accepted")
				}
				_, err := r.v.Verify(t.Context(), token("k1", 1))
				want(t, err, "")
				again := p.remote(t, dir) // a restart from what was kept
				_, err = again.v.Verify(t.Context(), token("k1", 2))
				want(t, err, "")
			})
		})
	}
}

// attack gateway 11: an issuer that answers slowly or not at all holds nobody
// for longer than the time limit.
func TestSlowIssuer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		p.set(func(p *idp) { p.delay = time.Hour })
		began := time.Now()
		_, err := r.v.Verify(t.Context(), token("other", 1))
		want(t, err, ReasonUnknownKey)
		if d := time.Since(began); d != fetchTime {
			t.Errorf("waited for %v", d)
		}
		began = time.Now()
		_, err = r.v.Verify(t.Context(), token("k1", 1))
		want(t, err, "")
		_, err = r.v.Verify(t.Context(), token("other", 2))
		want(t, err, ReasonUnknownKey)
		if d := time.Since(began); d != 0 {
			t.Errorf("the next ones waited for %v", d)
		}
		// A caller that gives up does not stop the fetch for the others.
		pass(time.Minute)
		p.set(func(p *idp) { p.delay = time.Second })
		p.publish(jwk("k1", p256(), nil), jwk("k2", p256(), nil))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = r.v.Verify(ctx, token("k2", 3))
		want(t, err, ReasonIssuerUnreachable)
		_, err = r.v.Verify(t.Context(), token("k2", 4))
		want(t, err, "")
	})
}

// attack gateway 12: metadata of another issuer is refused, its keys are never fetched.
func TestDiscoveryMismatch(t *testing.T) {
	for _, other := range []string{issuerB, issuerA + "/", strings.ToUpper(issuerA), "", "https://a.test"} {
		bubble(t, func(t *testing.T) {
			p := newIDP(jwk("k1", p256(), nil))
			p.issuer = other
			r := p.remote(t, nil)
			err := r.Fetch(t.Context())
			want(t, err, ReasonIssuerUnreachable)
			_, err = r.v.Verify(t.Context(), token("k1", 1))
			want(t, err, ReasonIssuerUnreachable)
			if p.sets != 0 {
				t.Error("the key set was fetched")
			}
			if s := r.State(); s.Err == nil || len(s.Keys) != 0 {
				t.Errorf("the state does not show it: %+v", s)
			}
		})
	}
}

func TestRestartWithEverythingDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dir := Directory(filepath.Join(t.TempDir(), "new"))
		p := newIDP(jwk("k1", p256(), nil))
		first := p.remote(t, dir)
		synctest.Wait()
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		p.set(func(p *idp) { p.keys = nil })
		pass(12 * time.Hour)
		r := p.remote(t, dir)
		_, err := r.v.Verify(t.Context(), token("k1", 1))
		want(t, err, "")
		if s := r.State(); !s.FromStore || s.Fetched.IsZero() || r.TokenEndpoint() != issuerA+"/v1/token" {
			t.Errorf("%+v", s)
		}
		// The age counts from the fetch, not from the restart.
		pass(12*time.Hour + time.Second)
		_, err = r.v.Verify(t.Context(), token("k1", 2))
		want(t, err, ReasonIssuerUnreachable)
		old := p.remote(t, dir)
		_, err = old.v.Verify(t.Context(), token("k1", 3))
		want(t, err, ReasonIssuerUnreachable)
		if s := old.State(); s.FromStore || !s.Fetched.IsZero() {
			t.Errorf("keys that are too old were taken up: %+v", s)
		}
	})
}

// storeFunc is a Store made of functions.
type storeFunc struct {
	load func() ([]byte, error)
	save func([]byte) error
}

func (s storeFunc) Load(string) ([]byte, error)     { return s.load() }
func (s storeFunc) Save(_ string, doc []byte) error { return s.save(doc) }

func TestBadStore(t *testing.T) {
	full := errors.New("no space left on device")
	for name, doc := range map[string]string{
		"not JSON": `x`, "of another issuer": `{"issuer":"https://evil.test","fetched":1,"jwks":{}}`,
		"bad set": `{"issuer":"` + issuerA + `","fetched":9999999999,"jwks":{"keys":[]}}`,
	} {
		bubble(t, func(t *testing.T) {
			p := newIDP(jwk("k1", p256(), nil))
			r := p.remote(t, storeFunc{func() ([]byte, error) { return []byte(doc), nil }, func([]byte) error { return full }})
			_, err := r.v.Verify(t.Context(), token("k1", 1))
			want(t, err, "")
			synctest.Wait()
			if s := r.State(); !errors.Is(s.Err, full) || !s.StaleSince.IsZero() {
				t.Errorf("%s: the state does not say that the keys could not be kept: %+v", name, s)
			}
			before := p.count()
			pass(30 * time.Minute)
			if n := p.count() - before; n != 0 {
				t.Errorf("%s: fetched %d times more because the store fails", name, n)
			}
		})
	}
}

// The token endpoint is known from discovery, so client assertions are refused.
func TestAssertionAfterDiscovery(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		now := time.Now().Unix()
		_, err := r.v.Verify(t.Context(), mint(ES256, p256(), "k1", oktaClaims(obj{"iat": now, "exp": now + 60, "aud": issuerA + "/v1/token"})))
		want(t, err, ReasonTokenType)
	})
}

func TestRefreshByTheClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newIDP(jwk("k1", p256(), nil))
		r := p.remote(t, nil)
		synctest.Wait()
		k := must(r.Key(t.Context(), "k1", ES256))
		before := p.count()
		pass(3*time.Hour + time.Minute)
		if n := p.count() - before; n != 3 {
			t.Errorf("%d fetches in 3 h, want 3", n)
		}
		if must(r.Key(t.Context(), "k1", ES256)) != k {
			t.Error("the same key has another identity after a refresh")
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := r.Fetch(t.Context()); err == nil {
			t.Error("fetched after Close")
		}
		must(r.Key(t.Context(), "k1", ES256))
		if _, err := r.Key(t.Context(), "k2", ES256); ReasonOf(err) != ReasonUnknownKey {
			t.Errorf("%v", err)
		}
	})
}

package hostile_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/hostile"
	"gatehouse/internal/introspect"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// budget is what an issuer may cost: calls, and bytes of memory beyond what was there.
const budget = 20 << 20

// peak runs f and returns by how much the heap was larger at most. What the issuer
// itself uses, in the same process, counts as well.
func peak(f func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, m.HeapAlloc
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(stop)
	<-done
	return most - before
}

func issuer(t *testing.T) *hostile.Issuer {
	t.Helper()
	i, err := hostile.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// caller asks the issuer patiently while it is honest, and not for long when it has turned.
type caller struct {
	patient, hasty *safehttp.Client
	turned         atomic.Bool
}

func newCaller(t *testing.T, most int64) *caller {
	c := &caller{
		patient: safehttp.New(safehttp.Config{AllowPrivate: true, Timeout: time.Minute, MaxBody: most}),
		hasty:   safehttp.New(safehttp.Config{AllowPrivate: true, Timeout: 300 * time.Millisecond, MaxBody: most}),
	}
	t.Cleanup(c.patient.Close)
	t.Cleanup(c.hasty.Close)
	return c
}

func (c *caller) now() *safehttp.Client {
	if c.turned.Load() {
		return c.hasty
	}
	return c.patient
}

// Get implements introspect.Caller.
func (c *caller) Get(ctx context.Context, url string) ([]byte, string, error) {
	return c.now().Get(ctx, url)
}

// Post implements introspect.Caller.
func (c *caller) Post(ctx context.Context, url string, header http.Header, body []byte) ([]byte, string, error) {
	return c.now().Post(ctx, url, header, body)
}

func token(t *testing.T, i *hostile.Issuer, kid string, genuine bool) []byte {
	t.Helper()
	raw, err := i.Token(kid, genuine)
	if err != nil {
		t.Error(err)
	}
	return raw
}

// attack gateway 6, 9 to 12: whatever an issuer's metadata and keys turn into, the
// keys that were good go on, nobody else's token is accepted, it is not asked in a storm,
// and it costs less than 20 MiB.
func TestKeysOfAHostileIssuer(t *testing.T) {
	for name, answer := range hostile.Answers() {
		t.Run(name, func(t *testing.T) {
			i := issuer(t)
			client, standing := newCaller(t, 0), time.Now()
			keys, err := verify.NewRemoteKeys(verify.RemoteConfig{
				Issuer: i.URL, Now: func() time.Time { return standing }, // no second look is due, however long this takes
				Fetch: func(ctx context.Context, url string) ([]byte, error) { return client.now().Fetch(ctx, url) },
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = keys.Close() })
			v, err := verify.New(verify.Config{Issuers: []verify.Issuer{{URL: i.URL, Keys: keys}}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := v.Verify(t.Context(), token(t, i, "k1", true)); err != nil {
				t.Fatal(err)
			}
			i.Asked()
			i.Turn(answer)
			client.turned.Store(true)
			used := peak(func() {
				var all sync.WaitGroup
				for range 16 {
					all.Go(func() {
						for n := range 20 {
							if _, err := v.Verify(t.Context(), token(t, i, "k1", false)); err == nil {
								t.Error("a token of somebody else's key was accepted")
							}
							if _, err := v.Verify(t.Context(), token(t, i, fmt.Sprint("t", n), false)); err == nil {
								t.Error("a token of an unknown key was accepted")
							}
						}
					})
				}
				all.Wait()
			})
			if _, err := v.Verify(t.Context(), token(t, i, "k1", true)); err != nil && name != "another's key under the same kid" {
				t.Errorf("the key that was good is not good any more: %v", err)
			}
			// One look for unknown keys and one for new material, of metadata and keys.
			if n := i.Asked(); n > 6 {
				t.Errorf("it was asked %d times", n)
			}
			if used > budget {
				t.Errorf("%d bytes", used)
			}
			t.Logf("%.1f MiB", float64(used)/(1<<20))
		})
	}
}

// attack gateway 28, 29: whatever its introspection turns into, no token is accepted,
// it is left alone after some failures, and it costs less than 20 MiB.
func TestIntrospectionOfAHostileIssuer(t *testing.T) {
	for name, answer := range hostile.Answers() {
		t.Run(name, func(t *testing.T) {
			i := issuer(t)
			client, standing := newCaller(t, 256<<10), time.Now()
			c, err := introspect.New(introspect.Config{
				Issuer: i.URL, ClientID: "gatehouse", Secret: "s", HTTP: client, Timeout: time.Minute,
				Now: func() time.Time { return standing }, // nobody comes back to it, however long this takes
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			if _, err := c.Ask(t.Context(), []byte("good")); err != nil {
				t.Fatal(err)
			}
			i.Asked()
			i.Turn(answer)
			client.turned.Store(true)
			used := peak(func() {
				var all sync.WaitGroup
				for n := range 400 {
					all.Go(func() {
						if tok, err := c.Ask(t.Context(), fmt.Appendf(nil, "token %d", n)); err == nil && name != "flapping" {
							t.Errorf("accepted: %+v", tok)
						}
					})
				}
				all.Wait()
			})
			if _, err := c.Ask(t.Context(), []byte("good")); err != nil {
				t.Errorf("what it has said does not count any more: %v", err)
			}
			// Those that were under way when it began to fail; then nobody.
			if n := i.Asked(); n > 64+8 && name != "flapping" {
				t.Errorf("it was asked %d times", n)
			}
			if used > budget {
				t.Errorf("%d bytes", used)
			}
			t.Logf("%.1f MiB", float64(used)/(1<<20))
		})
	}
}

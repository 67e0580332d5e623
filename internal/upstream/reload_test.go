package upstream

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

func TestReloadKeepsUnchangedTargets(t *testing.T) {
	kept, gone, added := serveRaw(t, answering(ok200)), serveRaw(t, answering(ok200)), serveRaw(t, answering(ok200))
	first := pool(t, nil, kept.url, gone.url)
	for range 4 {
		if _, err := send(first, "GET", "/", nil); err != nil {
			t.Fatal(err)
		}
	}
	fail(&first.targets[0].guard, first.now().UnixNano(), breakAfter)
	for range 10 { // many reloads in a row
		next := pool(t, func(c *Config) { c.Previous = first }, kept.url, added.url)
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		first = next
	}
	if why := first.Status()[0].Why; why != "breaker open" {
		t.Errorf("the breaker's state was lost: %q", why)
	}
	first.targets[0].guard.close(nil)
	for range 4 {
		if _, err := send(first, "GET", "/", nil); err != nil {
			t.Fatal(err)
		}
	}
	if kept.conns.Load() != 1 || added.conns.Load() != 1 {
		t.Errorf("%d connections to the target that stayed, %d to the new one, want 1 and 1", kept.conns.Load(), added.conns.Load())
	}
	eventually(t, "the connection to the target that went is closed", func() bool { return gone.open.Load() == 0 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every connection is closed", func() bool { return kept.open.Load()+added.open.Load() == 0 })
}

// A configuration that fails to compile later on leaves the old pool as it was.
func TestReloadThatIsGivenUp(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	old := pool(t, nil, s.url)
	if _, err := send(old, "GET", "/", nil); err != nil {
		t.Fatal(err)
	}
	next := pool(t, func(c *Config) { c.Previous = old }, s.url)
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil { // twice does nothing
		t.Fatal(err)
	}
	if _, err := send(old, "GET", "/", nil); err != nil || s.conns.Load() != 1 {
		t.Errorf("%v, %d connections", err, s.conns.Load())
	}
}

// Exchanges that began before a pool was closed, and even those that come with
// it later, are served; nothing stays open after the last.
func TestCloseLetsExchangesEnd(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	p := pool(t, nil, s.url)
	slow := &fakeExchange{hold: make(chan struct{}), held: make(chan struct{})}
	done := make(chan error)
	go func() { done <- sendAs(p, slow, "GET", "/", nil) }()
	<-slow.held
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := send(p, "GET", "/", nil); err != nil || f.status != 200 {
		t.Errorf("an exchange that comes late: %v, %d", err, f.status)
	}
	close(slow.hold)
	if err := <-done; err != nil || string(slow.body) != "ok" {
		t.Errorf("an exchange that began before: %v, %q", err, slow.body)
	}
	eventually(t, "every connection is closed", func() bool { return s.open.Load() == 0 })
}

func TestHealthChecks(t *testing.T) {
	var down, badAgent atomic.Bool
	var probes, requests atomic.Int64
	flapping := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/health" {
			requests.Add(1)
			io.WriteString(w, "served") //nolint:errcheck // the test sees what is missing
			return
		}
		probes.Add(1)
		if !strings.HasPrefix(r.UserAgent(), "gatehouse") || r.Host != strings.TrimPrefix(r.Host, "http://") {
			badAgent.Store(true)
		}
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer flapping.Close()
	steady := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer steady.Close()
	p := pool(t, func(c *Config) {
		c.API.Upstream.Health = &spec.Health{Path: "/health", Interval: spec.Duration(5 * time.Millisecond)}
	}, flapping.URL+"/v1", steady.URL)

	down.Store(true)
	eventually(t, "the target is unhealthy", func() bool { return p.Status()[0].Why == "unhealthy" })
	before := requests.Load()
	for range 10 {
		if f, err := send(p, "GET", "/", nil); err != nil || f.target != steady.URL {
			t.Fatalf("%v, served by %s", err, f.target)
		}
	}
	if requests.Load() != before {
		t.Error("an unhealthy target is given traffic")
	}
	down.Store(false)
	eventually(t, "the target is healthy again", func() bool { return p.Status()[0].Available })
	for range 2 {
		if _, err := send(p, "GET", "/", nil); err != nil {
			t.Fatal(err)
		}
	}
	if requests.Load() != before+1 {
		t.Error("a healthy target is given no traffic")
	}
	if badAgent.Load() {
		t.Error("a probe does not say who it is")
	}
	p.Close() // never fails
	after := probes.Load()
	flapping.CloseClientConnections()
	if again := probes.Load(); again > after {
		t.Errorf("%d probes after Close", again-after)
	}
}

// Probes leave nothing behind.
func TestProbesKeepNoConnection(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	p := pool(t, func(c *Config) {
		c.API.Upstream.Health = &spec.Health{Path: "/health", Interval: spec.Duration(5 * time.Millisecond)}
	}, s.url)
	eventually(t, "some probes", func() bool { return s.requests.Load() > 2 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every connection is closed", func() bool { return s.open.Load() == 0 })
}

// When every target is unhealthy the caller is told when to come back.
func TestAllUnhealthy(t *testing.T) {
	p := pool(t, func(c *Config) {
		c.API.Upstream.Health = &spec.Health{Path: "/health", Interval: spec.Duration(5 * time.Millisecond)}
	}, refused(t))
	eventually(t, "the target is unhealthy", func() bool { return !p.Status()[0].Available })
	f, err := send(p, "GET", "/", nil)
	if reasonOf(err) != "upstream_unreachable" || f.retryAfter < time.Second || f.attempts != 0 {
		t.Errorf("%v, Retry-After %s, %d attempts", err, f.retryAfter, f.attempts)
	}
}

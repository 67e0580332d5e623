package upstream

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	fail(&first.targets[0].guard, first.now().Add(time.Hour).UnixNano(), breakAfter) // it stays open for as long as the test takes
	for range 10 {                                                                   // many reloads in a row
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
	synctest.Test(t, testHealthChecks)
}

func testHealthChecks(t *testing.T) {
	var down, badAgent atomic.Bool
	var probes, requests atomic.Int64
	network := pipes{}
	network.serve(t, "flapping:80", func(w http.ResponseWriter, r *http.Request) {
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
	})
	network.serve(t, "steady:80", func(http.ResponseWriter, *http.Request) {})
	p := pool(t, func(c *Config) {
		c.Dial = network.dial
		c.API.Upstream.Health = &spec.Health{Path: "/health", Interval: spec.Duration(10 * time.Second)}
	}, "http://flapping/v1", "http://steady")

	down.Store(true)
	eventually(t, "the target is unhealthy", func() bool { return p.Status()[0].Why == "unhealthy" })
	before := requests.Load()
	for range 10 {
		if f, err := send(p, "GET", "/", nil); err != nil || f.target != "http://steady" {
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
	<-time.After(time.Minute)
	if again := probes.Load(); again > after {
		t.Errorf("%d probes after Close", again-after)
	}
}

// pipes is a network in memory, for a bubble of synctest: what listens at each address.
type pipes map[string]chan net.Conn

func (n pipes) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case n[addr] <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve serves HTTP at addr until the test ends.
func (n pipes) serve(t *testing.T, addr string, handler http.HandlerFunc) {
	l := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	n[addr] = l.conns
	s := &http.Server{Handler: handler, ReadHeaderTimeout: time.Hour}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l) //nolint:errcheck // it always ends with an error
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (*pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

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

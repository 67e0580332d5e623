package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

func TestServeAddressesTheTarget(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := serveRaw(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for {
			req, _, err := s.readRequest(r)
			if err != nil {
				return
			}
			mu.Lock()
			got = append(got, req.Method+" "+req.RequestURI+" "+req.Host)
			mu.Unlock()
			io.WriteString(c, ok200) //nolint:errcheck // the test sees what is missing
		}
	})
	host := strings.TrimPrefix(s.url, "http://")
	plain, prefixed := pool(t, nil, s.url), pool(t, nil, s.url+"/v1/")
	for _, c := range []struct {
		p            *Pool
		method, path string
		want         string
	}{
		{plain, "GET", "/a%20b/c?x=1;y=%2f", "GET /a%20b/c?x=1;y=%2f " + host},
		{prefixed, "GET", "/a%20b/c?x=1;y=%2f", "GET /v1/a%20b/c?x=1;y=%2f " + host},
		{prefixed, "DELETE", "/", "DELETE /v1/ " + host},
		{prefixed, "OPTIONS", "*", "OPTIONS * " + host},
	} {
		f, err := send(c.p, c.method, c.path, nil)
		if err != nil || f.status != 200 || string(f.body) != "ok" || f.attempts != 1 || !strings.HasPrefix(f.target, s.url) {
			t.Fatalf("%s %s: %v, %+v", c.method, c.path, err, f)
		}
		mu.Lock()
		last := got[len(got)-1]
		mu.Unlock()
		if last != c.want {
			t.Errorf("the upstream saw %q, want %q", last, c.want)
		}
	}
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections for two pools used one after another, want 2", n)
	}
}

func TestServeRefused(t *testing.T) {
	dials := 0
	var clock *standing
	p := pool(t, func(c *Config) {
		clock = standingClock(c)
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("connection refused")
		}
	}, "http://a")
	for i := range 20 {
		clock.move(time.Millisecond)
		f, err := send(p, "GET", "/", nil)
		if reasonOf(err) != "upstream_unreachable" || f.retryAfter < time.Second {
			t.Fatalf("request %d: %v, Retry-After %s", i, err, f.retryAfter)
		}
	}
	if dials != breakAfter {
		t.Errorf("%d dials for 20 requests, want %d and then the breaker", dials, breakAfter)
	}
	if s := p.Status()[0]; s.Available || s.Why != "breaker open" || s.Active != 0 {
		t.Errorf("status %+v", s)
	}
	if h := p.Health(t.Context()); h.State != telemetry.Failing {
		t.Errorf("health %+v", h)
	}
}

// The breaker closes again when the target is back.
func TestServeRecovers(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	var clock *standing
	var down atomic.Bool
	down.Store(true)
	p := pool(t, func(c *Config) {
		clock = standingClock(c)
		c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if down.Load() {
				return nil, errors.New("connection refused")
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
	}, s.url)
	for range breakAfter {
		send(p, "GET", "/", nil) //nolint:errcheck // it fails
	}
	down.Store(false)
	clock.move(breakFirst - 1)
	if _, err := send(p, "GET", "/", nil); reasonOf(err) != "upstream_unreachable" {
		t.Fatalf("the open breaker lets through: %v", err)
	}
	clock.move(1)
	for range 3 {
		if f, err := send(p, "GET", "/", nil); err != nil || f.status != 200 {
			t.Fatalf("%v, status %d", err, f.status)
		}
	}
}

// A target that refuses connections costs no caller anything: nothing was sent,
// so any method may go to another one.
func TestServeFailsOver(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	p := pool(t, retries(1), refused(t), s.url)
	for i := range 30 {
		method, body := "GET", []byte(nil)
		if i%2 == 0 {
			method, body = "POST", []byte("pay once")
		}
		if f, err := send(p, method, "/", body); err != nil || f.status != 200 {
			t.Fatalf("request %d: %v, status %d", i, err, f.status)
		}
	}
	if n := s.requests.Load(); n != 30 {
		t.Errorf("%d requests arrived, want 30", n)
	}
	p = pool(t, nil, refused(t), s.url)
	failed := 0
	for range 4 {
		if _, err := send(p, "GET", "/", nil); err != nil {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("without retries %d of 4 failed, want 2", failed)
	}
}

// What may have arrived is sent again only when that does no harm.
func TestServeBrokenOff(t *testing.T) {
	for _, c := range []struct {
		name, method string
		body         []byte
		repeated     bool
	}{
		{"GET", "GET", nil, true},
		{"DELETE", "DELETE", nil, true},
		{"PUT with a body", "PUT", []byte("x"), false},
		{"POST", "POST", []byte("pay once"), false},
		{"POST without a body", "POST", nil, false},
	} {
		bad, good := serveRaw(t, closing), serveRaw(t, answering(ok200))
		p := pool(t, retries(3), bad.url, good.url)
		p.next.Store(1) // the next one is the bad one
		f, err := send(p, c.method, "/", c.body)
		if c.repeated && (err != nil || f.status != 200 || f.attempts != 2 || f.target != good.url) {
			t.Errorf("%s: %v %+v, want the other target's answer", c.name, err, f)
		}
		if !c.repeated && (reasonOf(err) != "upstream_invalid" || f.attempts != 1) {
			t.Errorf("%s: %v after %d attempts, want upstream_invalid after one", c.name, err, f.attempts)
		}
		if n := bad.requests.Load() + good.requests.Load(); !c.repeated && n != 1 {
			t.Errorf("%s: arrived %d times", c.name, n)
		}
	}
}

// An upstream that closes its idle connections races with the next request. No
// request that is not idempotent arrives twice, whoever wins.
func TestServeStaleKeepAlive(t *testing.T) {
	var mu sync.Mutex
	arrived := map[string]int{}
	s := serveRaw(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for i := range 2 {
			_, body, err := s.readRequest(r)
			if err != nil {
				return
			}
			mu.Lock()
			arrived[string(body)]++
			mu.Unlock()
			if i == 1 && len(body)%3 == 0 {
				return // the second request of a connection is taken and never answered
			}
			io.WriteString(c, ok200) //nolint:errcheck // the client may have gone
		}
	})
	p := pool(t, retries(3), s.url)
	served, failed := 0, 0
	for i := range 300 {
		body := strings.Repeat("x", i+1)
		f, err := send(p, "POST", "/", []byte(body))
		switch {
		case err == nil && f.status == 200:
			served++
		case reasonOf(err) == "upstream_invalid":
			failed++
		default:
			t.Fatalf("request %d: %v", i, err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for body, n := range arrived {
		if n != 1 {
			t.Errorf("the request of %d bytes arrived %d times", len(body), n)
		}
	}
	if served < 150 || failed == 0 {
		t.Errorf("%d served, %d failed: the race was not run", served, failed)
	}
}

func TestServeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections sync.WaitGroup
		defer connections.Wait()
		p := pool(t, func(c *Config) {
			c.API.Upstream.Retries, c.API.Upstream.Timeout = 3, spec.Duration(100*time.Millisecond)
			c.Dial = func(_ context.Context, _, addr string) (net.Conn, error) {
				handle := answering(ok200)
				if addr == "slow:80" {
					handle = silent
				}
				here, there := net.Pipe()
				connections.Go(func() {
					handle(&rawServer{}, there, bufio.NewReader(there))
					there.Close()
				})
				return here, nil
			}
		}, "http://slow", "http://good")
		defer p.Close()
		p.next.Store(1)
		start := time.Now()
		f, err := send(p, "GET", "/", nil)
		if reasonOf(err) != "upstream_timeout" || f.attempts != 1 {
			t.Errorf("%v after %d attempts", err, f.attempts)
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("took %s, the timeout is 100 ms", d)
		}
	})
}

func TestServeDiesInTheBody(t *testing.T) {
	bad := serveRaw(t, answeringOnce("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nten bytes!"))
	good := serveRaw(t, answering(ok200))
	p := pool(t, retries(3), bad.url, good.url)
	p.next.Store(1)
	f, err := send(p, "GET", "/", nil)
	if !errors.Is(err, wire.ErrBodyTruncated) || string(f.body) != "ten bytes!" || good.requests.Load() != 0 {
		t.Errorf("%v, body %q, %d requests at the other target", err, f.body, good.requests.Load())
	}
	if p.targets[0].guard.failures.Load() != 1 {
		t.Error("the target is not blamed")
	}
}

// answeringOnce answers one request and hangs up.
func answeringOnce(text string) func(*rawServer, net.Conn, *bufio.Reader) {
	return func(s *rawServer, c net.Conn, r *bufio.Reader) {
		if _, _, err := s.readRequest(r); err == nil {
			io.WriteString(c, text) //nolint:errcheck // the client may have gone
		}
	}
}

func TestServeInvalidAnswers(t *testing.T) {
	for _, text := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 1<<20) + "\r\n\r\n",
	} {
		s := serveRaw(t, answeringOnce(text))
		if _, err := send(pool(t, nil, s.url), "GET", "/", nil); reasonOf(err) != "upstream_invalid" {
			t.Errorf("%.60q: %v, want upstream_invalid", text, err)
		}
	}
}

func TestServe5xx(t *testing.T) {
	for _, c := range []struct {
		name, method, answer string
		status, attempts     int
	}{
		{"503 to GET", "GET", status503, 200, 2},
		{"500 to GET speaks of the request", "GET", status500, 500, 1},
		{"503 to POST", "POST", status503, 503, 1},
	} {
		bad, good := serveRaw(t, answering(c.answer)), serveRaw(t, answering(ok200))
		p := pool(t, retries(1), bad.url, good.url)
		p.next.Store(1)
		if f, err := send(p, c.method, "/", nil); err != nil || f.status != c.status || f.attempts != c.attempts {
			t.Errorf("%s: %v, %d after %d attempts; want %d after %d", c.name, err, f.status, f.attempts, c.status, c.attempts)
		}
	}
	a, b := serveRaw(t, answering(status503)), serveRaw(t, answering(status503))
	if f, err := send(pool(t, retries(5), a.url, b.url), "GET", "/", nil); err != nil || f.status != 503 || string(f.body) != "busy" || f.attempts != 2 {
		t.Errorf("all answer 503: %v, %+v; want the last one's answer", err, f)
	}
}

func TestServeEjectsAtMostHalf(t *testing.T) {
	var servers []*rawServer
	var urls []string
	for range 4 {
		s := serveRaw(t, answering(status500))
		servers, urls = append(servers, s), append(urls, s.url)
	}
	good := serveRaw(t, answering(ok200))
	p := pool(t, func(c *Config) { standingClock(c) }, append(urls, good.url)...)
	for range 100 {
		if _, err := send(p, "GET", "/", nil); err != nil {
			t.Fatal(err)
		}
	}
	out := 0
	for _, s := range p.Status() {
		if s.Why == "ejected" {
			out++
		}
	}
	if out != 2 {
		t.Errorf("%d of 5 ejected, want 2, the most that is half", out)
	}
	for _, s := range servers {
		if n := s.requests.Load(); n < ejectAfter {
			t.Errorf("a target was given up after %d requests", n)
		}
	}
	if p.Health(t.Context()).State != telemetry.Degraded {
		t.Error("not degraded")
	}
}

// Under total failure retries do not multiply the traffic.
func TestServeNoStorm(t *testing.T) {
	var servers []*rawServer
	var urls []string
	for range 4 {
		s := serveRaw(t, answering(status503))
		servers, urls = append(servers, s), append(urls, s.url)
	}
	p := pool(t, retries(3), urls...)
	const sent = 500
	start := time.Now()
	for range sent {
		if f, err := send(p, "GET", "/", nil); err != nil || f.status != 503 {
			t.Fatalf("%v, %d", err, f.status)
		}
	}
	var arrived int64
	for _, s := range servers {
		arrived += s.requests.Load()
		if n := s.conns.Load(); n != 1 {
			t.Errorf("%d connections to one target, want 1: an answer that is given up costs none", n)
		}
	}
	most := int64(sent+sent/budgetShare) + budgetLeast*int64(time.Since(start)/time.Second+2)
	if arrived > most || arrived < sent {
		t.Errorf("%d requests arrived for %d sent, want at most %d", arrived, sent, most)
	}
}

// Nor do they when nobody can be reached: the breakers bound the attempts.
func TestServeNoStormOfDials(t *testing.T) {
	dials := 0
	p := pool(t, func(c *Config) {
		standingClock(c)
		c.API.Upstream.Retries = 3
		c.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			return nil, errors.New("no route to host")
		}
	}, "http://a", "http://b", "http://c")
	for range 200 {
		if _, err := send(p, "GET", "/", nil); reasonOf(err) != "upstream_unreachable" {
			t.Fatal(err)
		}
	}
	if dials != 3*breakAfter {
		t.Errorf("%d dials for 200 requests at three dead targets", dials)
	}
}

func TestServeMaxConnections(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	one := func(c *Config) { c.API.Upstream.MaxConnections = 1 }
	p := pool(t, one, s.url)
	slow := &fakeExchange{hold: make(chan struct{}), held: make(chan struct{})}
	done := make(chan error)
	go func() { done <- sendAs(p, slow, "GET", "/", nil) }()
	<-slow.held
	f, err := send(p, "GET", "/", nil)
	if reasonOf(err) != "overloaded" || f.retryAfter != time.Second || s.conns.Load() != 1 {
		t.Errorf("%v, Retry-After %s, %d connections", err, f.retryAfter, s.conns.Load())
	}
	close(slow.hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if f, err := send(p, "GET", "/", nil); err != nil || f.status != 200 {
		t.Errorf("%v after the first exchange has ended", err)
	}
}

// TestServePanic: when passing an answer on panics, its connection and the memory that the
// answer is in are not used again, and its place is free.
func TestServePanic(t *testing.T) {
	content := strings.Repeat("x", 100<<10) // more than arrives with the head
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) }))
	t.Cleanup(s.Close)
	p := pool(t, nil, s.URL)
	f := &fakeExchange{}
	if err := sendAs(p, f, "GET", "/", nil); err != nil || f.kept == nil {
		t.Fatalf("%v, kept %v", err, f.kept)
	}
	f.panics = true
	func() {
		defer func() { _ = recover() }()
		_ = sendAs(p, f, "GET", "/", nil)
		t.Error("no panic")
	}()
	if stats := p.targets[0].client.Stats(); f.kept != nil || p.targets[0].active.Load() != 0 || stats.Open != 0 {
		t.Errorf("kept %v, %d under way, %+v", f.kept, p.targets[0].active.Load(), stats)
	}
	f.panics, f.body = false, nil
	if err := sendAs(p, f, "GET", "/", nil); err != nil || string(f.body) != content {
		t.Errorf("afterwards: %d bytes, %v", len(f.body), err)
	}
}

func TestServeUpgrade(t *testing.T) {
	s := serveRaw(t, answeringOnce("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nframes"))
	p := pool(t, nil, s.url)
	upgrade := func(p *Pool) (*fakeExchange, error) {
		f := &fakeExchange{}
		out := &wire.Outbound{Method: []byte("GET"), Target: []byte("/ws"), Upgrade: []byte("websocket")}
		return f, p.serve(f, out, true)
	}
	if f, err := upgrade(p); err != nil || !f.upgraded || string(f.body) != "frames" {
		t.Errorf("%v %+v", err, f)
	}
	no := serveRaw(t, answering("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno"))
	if f, err := upgrade(pool(t, nil, no.url)); err != nil || f.upgraded || f.status != 426 || string(f.body) != "no" {
		t.Errorf("an answer other than 101: %v %+v", err, f)
	}
}

// failingBody is a request body whose client goes away.
type failingBody struct{ err error }

func (b failingBody) Read([]byte) (int, error) { return 0, b.err }

// What a client does wrong is never held against the target.
func TestServeClientFault(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	p := pool(t, retries(3), s.url)
	gone := errors.New("the client went away")
	for range 2 * breakAfter {
		f := &fakeExchange{}
		b := wire.NewBody(failingBody{gone}, 10)
		err := p.serve(f, &wire.Outbound{Method: []byte("PUT"), Target: []byte("/"), Body: &b}, true)
		if !errors.Is(err, gone) || reasonOf(err) != "" || f.attempts != 1 {
			t.Fatalf("%v after %d attempts, want the client's own error", err, f.attempts)
		}
	}
	if st := p.Status()[0]; !st.Available {
		t.Errorf("%+v", st)
	}
}

// A client that is gone is not worth another attempt.
func TestServeNoRetryForTheGone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := pool(t, retries(3), refused(t), refused(t))
	f := &fakeExchange{ctx: ctx}
	if err := sendAs(p, f, http.MethodGet, "/", nil); err == nil || f.attempts != 1 {
		t.Errorf("%v after %d attempts", err, f.attempts)
	}
}

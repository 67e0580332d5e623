package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// fakeExchange is the gateway's side: it keeps what it was given.
type fakeExchange struct {
	someone
	ctx context.Context //nolint:containedctx // the interface hands it out

	status     int
	fields     map[string]string
	body       []byte
	upgraded   bool
	retryAfter time.Duration
	target     string
	attempts   int
	hold       chan struct{} // when not nil, Relay waits for it
	held       chan struct{} // when not nil, closed when Relay begins to wait
	panics     bool          // Relay does
	kept       any
}

func (f *fakeExchange) Kept() *any { return &f.kept }

func (f *fakeExchange) Context() context.Context {
	if f.ctx == nil {
		return context.Background()
	}
	return f.ctx
}

func (f *fakeExchange) Relay(r *wire.Response) error {
	f.status, f.fields = r.Status, map[string]string{}
	for _, field := range r.Fields {
		f.fields[http.CanonicalHeaderKey(string(field.Name))] = string(field.Value)
	}
	if f.panics {
		panic("boom")
	}
	if f.hold != nil {
		close(f.held)
		<-f.hold
	}
	buf := make([]byte, 1024)
	for {
		n, err := r.Body.Read(buf)
		f.body = append(f.body, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil { // as the lanes do
			return &wire.Error{Phase: wire.PhaseRead, Sent: true, Err: err}
		}
	}
}

func (f *fakeExchange) Upgrade(r *wire.Response) error {
	f.status, f.upgraded = r.Status, true
	conn, rest, err := r.Hijack()
	if err != nil {
		return err
	}
	f.body = append(f.body, rest...)
	more, err := io.ReadAll(conn)
	f.body = append(f.body, more...)
	return errors.Join(err, conn.Close())
}

func (f *fakeExchange) SetRetryAfter(d time.Duration) { f.retryAfter = d }

func (f *fakeExchange) SetUpstream(target string, attempts int, _ time.Duration) {
	f.target, f.attempts = target, attempts
}

// send serves one request through the pool. A body makes it one that cannot be replayed.
func send(p *Pool, method, path string, body []byte) (*fakeExchange, error) {
	f := &fakeExchange{}
	return f, sendAs(p, f, method, path, body)
}

func sendAs(p *Pool, f *fakeExchange, method, path string, body []byte) error {
	out := &wire.Outbound{Method: []byte(method), Target: []byte(path)}
	if body != nil {
		b := wire.BytesBody(body)
		out.Body = &b
	}
	idempotent := method != http.MethodPost && method != http.MethodPatch
	err := p.serve(f, out, idempotent)
	if string(out.Target) != path {
		return errors.New("the request's target was left as " + string(out.Target))
	}
	return err
}

// reasonOf returns the reason of a refusal, "" for none.
func reasonOf(err error) string {
	if f := fault.Of(err); f != nil {
		return f.Reason
	}
	return ""
}

// pool returns a pool over the targets; change may be nil.
func pool(t *testing.T, change func(*Config), targets ...string) *Pool {
	t.Helper()
	c := Config{AllowPrivate: true, API: spec.API{Name: "hr", Upstream: spec.Upstream{Targets: targets}}}
	if change != nil {
		change(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() }) // never fails
	return p
}

func retries(n int) func(*Config) { return func(c *Config) { c.API.Upstream.Retries = n } }

// rawServer is an upstream that does what a handler of connections says.
type rawServer struct {
	url      string
	conns    atomic.Int64 // accepted so far
	open     atomic.Int64
	requests atomic.Int64 // heads read by readHead so far
}

// serveRaw starts a server; it ends with the test. The handler's connection is
// closed when it returns.
func serveRaw(t testing.TB, handle func(s *rawServer, c net.Conn, r *bufio.Reader)) *rawServer {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + ln.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	live := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.open.Add(1)
			mu.Lock()
			live[c] = true
			mu.Unlock()
			wg.Go(func() {
				handle(s, c, bufio.NewReader(c))
				c.Close() // it may be closed already
				mu.Lock()
				delete(live, c)
				mu.Unlock()
				s.open.Add(-1)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close() // ends Accept
		mu.Lock()
		for c := range live {
			c.Close() // ends its handler
		}
		mu.Unlock()
		wg.Wait()
	})
	return s
}

// readRequest reads one request, its body included, and counts it.
func (s *rawServer) readRequest(r *bufio.Reader) (*http.Request, []byte, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, nil, err
	}
	s.requests.Add(1)
	return req, body, nil
}

// answering answers every request of a connection with the text.
func answering(text string) func(*rawServer, net.Conn, *bufio.Reader) {
	return func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := s.readRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

const (
	ok200     = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	status500 = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops"
	status503 = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
)

// closing reads a request and hangs up without a word.
func closing(s *rawServer, _ net.Conn, r *bufio.Reader) {
	s.readRequest(r) //nolint:errcheck // what comes does not matter
}

// silent reads and never answers.
func silent(s *rawServer, c net.Conn, r *bufio.Reader) {
	if _, _, err := s.readRequest(r); err == nil {
		io.Copy(io.Discard, c) //nolint:errcheck // until the other side gives up
	}
}

// refused returns the address of a port that nobody listens on: it is that of a
// connection's other end, so that nobody else gets it before the test ends.
func refused(t testing.TB) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // and its queue
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return "http://" + c.LocalAddr().String()
}

// standing is a clock that stands still until it is moved, however slow the machine is.
// The timeout of an exchange, by such a clock, is that of a minute later.
type standing struct{ at atomic.Int64 }

func standingClock(c *Config) *standing {
	s := &standing{}
	s.move(time.Duration(time.Now().UnixNano()))
	c.Now, c.API.Upstream.Timeout = s.now, spec.Duration(time.Minute)
	return s
}

func (s *standing) now() time.Time       { return time.Unix(0, s.at.Load()) }
func (s *standing) move(d time.Duration) { s.at.Add(int64(d)) }

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			t.Fatalf("not within a minute: %s", what)
		case <-tick.C:
		}
	}
}

// loopConn is a connection to an upstream that is not there: what is written is
// thrown away, and for each write one canned answer can be read.
type loopConn struct {
	net.Conn
	answer []byte
	unread []byte
}

func (c *loopConn) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("\r\n\r\n")) {
		c.unread = c.answer
	}
	return len(p), nil
}

func (c *loopConn) Read(p []byte) (int, error) {
	if len(c.unread) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	return n, nil
}

func (c *loopConn) Close() error                     { return nil }
func (c *loopConn) SetDeadline(time.Time) error      { return nil }
func (c *loopConn) SetReadDeadline(time.Time) error  { return nil }
func (c *loopConn) SetWriteDeadline(time.Time) error { return nil }
func (c *loopConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *loopConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }

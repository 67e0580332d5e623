package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestShutdownUnderLoad: clients that go on until they are told to stop, or find
// nobody listening, lose no request.
func TestShutdownUnderLoad(t *testing.T) {
	before := runtime.NumGoroutine()
	var answered atomic.Int64
	for range 5 {
		s := NewServer(ServerConfig{Timeouts: Timeouts{Drain: patience}, Handler: handlerFunc(func(x Exchange) {
			runtime.Gosched()
			_ = x.Respond(http.StatusOK, nil, []byte("hello"))
		})})
		ln := listen(t)
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		var wg sync.WaitGroup
		for range 16 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for load(t, ln.Addr().String(), &answered) {
				}
			}()
		}
		goal := answered.Load() + 500
		waitFor(t, "some load", func() bool { return answered.Load() >= goal })
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		cancel()
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
		wg.Wait()
		if s.Conns() != 0 {
			t.Errorf("%d connections left", s.Conns())
		}
	}
	waitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

// load sends requests on one connection until it is told that it ends. It
// reports false when nobody listens any more.
func load(t *testing.T, addr string, answered *atomic.Int64) bool {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for n := 0; ; n++ {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			if n > 0 || !neverAccepted(err) {
				t.Errorf("request %d could not be sent: %v", n, err)
			}
			return true
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			if n > 0 || !neverAccepted(err) {
				t.Errorf("request %d got no answer: %v", n, err)
			}
			return true
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(body) != "hello" {
			t.Errorf("request %d got %q %v", n, body, err)
		}
		answered.Add(1)
		if resp.Close {
			return true
		}
	}
}

// neverAccepted reports whether a connection was reset while it waited in the
// queue of a listener that was closed: the kernel leaves no way to spare those that come last.
func neverAccepted(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// TestShutdownIdle closes a connection that is idle for long at once, and answers
// what runs with "Connection: close".
func TestShutdownIdle(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	s := NewServer(ServerConfig{Timeouts: Timeouts{Drain: time.Nanosecond}, Handler: handlerFunc(func(x Exchange) {
		if string(x.Request().Target) == "/slow" {
			close(running)
			<-release
		}
		_ = x.Respond(http.StatusOK, nil, nil)
	})})
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	idle, busy := dial(t, ln.Addr().String()), dial(t, ln.Addr().String())
	_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(idle), nil); err != nil || resp.Close {
		t.Fatal(err)
	}
	_, _ = io.WriteString(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
	<-running
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(t.Context()) }()
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("idle connection: %v", err)
	}
	select {
	case err := <-done:
		t.Errorf("shutdown did not wait: %v", err)
	default:
	}
	close(release)
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil || !resp.Close {
		t.Errorf("running request: %+v %v", resp, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
}

// TestShutdownGivesUp cuts what does not end in time.
func TestShutdownGivesUp(t *testing.T) {
	running := make(chan struct{})
	s := NewServer(ServerConfig{Handler: handlerFunc(func(x Exchange) {
		close(running)
		_, err := io.ReadAll(&x.Request().Body)
		if err == nil {
			t.Error("a body that never came was read")
		}
	})})
	ln := listen(t)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	c := dial(t, ln.Addr().String())
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	<-running
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := <-served; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
}

// TestHandoff gives away what is for the standard lane, with every byte of it
// and none of a next request.
func TestHandoff(t *testing.T) {
	const up = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	const expect = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
	for _, c := range []struct{ name, input, want string }{
		{"upgrade", up, up},
		{"expect", expect + "hello", expect + "hello"},
		{"expect, body to come", expect, expect},
		{"trailer", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\n\r\n"},
		{"te trailers", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n"},
		{"h2 preface", preface + "SM\r\n\r\n\x00\x00", preface + "SM\r\n\r\n\x00\x00"},
		{"after a plain request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + up, up},
		{"pipelined behind", up + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"pipelined behind a body", expect + "helloGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", ""},
		{"h2 preface after a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n" + preface, ""},
		{"invalid before it is looked at", "GET /ws HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), Handoff: func(nc net.Conn) {
				b := make([]byte, len(c.want))
				_, _ = io.ReadFull(nc, b)
				got <- string(b)
				_, _ = io.WriteString(nc, "handed")
				_ = nc.Close()
			}})
			answer := converse(t, addr, c.input)
			if c.want == "" {
				if !strings.Contains(answer, "\r\nConnection: close\r\n") || strings.Contains(answer, "smuggled") || strings.Contains(answer, "handed") {
					t.Errorf("answered %q", answer)
				}
				return
			}
			if g := <-got; g != c.want || !strings.HasSuffix(answer, "handed") {
				t.Errorf("handed %q, answered %q", g, answer)
			}
		})
	}
}

// TestPanic cuts the connection of a handler that panics, tells, and goes on serving. Attack gateway 21.
func TestPanic(t *testing.T) {
	told := make(chan any, 1)
	_, addr := startServer(t, ServerConfig{
		OnPanic: func(v any, _ []byte) { told <- v },
		Handler: handlerFunc(func(x Exchange) {
			if string(x.Request().Target) == "/panic" {
				panic("boom")
			}
			_ = x.Respond(http.StatusOK, nil, nil)
		}),
	})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes of an answer", n)
	}
	if v := <-told; v != "boom" {
		t.Errorf("told %v", v)
	}
	if got := converse(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status(got) != "200" {
		t.Errorf("afterwards: %q", got)
	}
}

// TestPanicWithinRelay: when an answer breaks off by a panic that the handler recovers from,
// no other answer follows on the connection.
func TestPanicWithinRelay(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		if string(x.Request().Target) != "/panic" {
			_ = x.Respond(http.StatusOK, nil, []byte("of another"))
			return
		}
		defer func() {
			if recover() == nil {
				t.Error("this test needs another way to make Relay panic")
			}
		}()
		_, _ = x.Relay(&Response{Status: http.StatusOK, Body: BytesBody([]byte("x"))}) // no body of a Client
	})})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if n, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// TestMisuse: a handler that answers twice, not at all, or with a field that
// would split the answer. Attack gateway 52.
func TestMisuse(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		switch string(x.Request().Target) {
		case "/twice":
			_ = x.Respond(http.StatusOK, nil, nil)
			if err := x.Respond(http.StatusOK, nil, nil); !errors.Is(err, ErrAnswered) {
				t.Errorf("second answer: %v", err)
			}
		case "/split":
			if err := x.Respond(http.StatusOK, []Field{{Name: []byte("X-A"), Value: []byte("b\r\nX-B: c")}}, nil); err == nil {
				t.Error("a field with a line end was taken")
			}
		case "/upgrade":
			if _, err := x.Upgrade(nil, nil); !errors.Is(err, ErrNoUpgrade) {
				t.Errorf("upgrade: %v", err)
			}
		}
	})})
	for target, want := range map[string]string{"/twice": "200", "/split": "500", "/upgrade": "500", "/nothing": "500"} {
		got := converse(t, addr, "GET "+target+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if status(got) != want || strings.Count(got, "HTTP/1.1 ") != 1 || strings.Contains(got, "X-B") {
			t.Errorf("%s: %q", target, got)
		}
	}
}

// TestMaxServerConns serves no more connections at once than allowed; the others
// wait and are served after.
func TestMaxServerConns(t *testing.T) {
	s, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), MaxConns: 2})
	held := []net.Conn{dial(t, addr), dial(t, addr)}
	waitFor(t, "two connections", func() bool { return s.Conns() == 2 })
	third := dial(t, addr)
	_, _ = io.WriteString(third, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	if s.Conns() != 2 {
		t.Errorf("%d connections", s.Conns())
	}
	for _, c := range held {
		_ = c.Close()
	}
	if got, err := io.ReadAll(third); err != nil || status(string(got)) != "200" {
		t.Errorf("%q %v", got, err)
	}
}

// TestAcceptErrors goes on after the process has been out of descriptors.
func TestAcceptErrors(t *testing.T) {
	ln := &failingListener{Listener: listen(t), fail: 3}
	var told atomic.Int32
	s := NewServer(ServerConfig{Handler: handlerFunc(echo), OnAcceptError: func(error) { told.Add(1) }})
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	if got := converse(t, ln.Addr().String(), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); status(got) != "200" {
		t.Errorf("%q", got)
	}
	if told.Load() != 3 {
		t.Errorf("told %d times", told.Load())
	}
	_ = s.Close()
	if err := <-done; !errors.Is(err, ErrServerClosed) {
		t.Error(err)
	}
}

type failingListener struct {
	net.Listener
	fail int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.fail > 0 {
		l.fail--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// TestIdleTimeout ends connections that send nothing, and only those.
func TestIdleTimeout(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), Timeouts: Timeouts{Idle: 50 * time.Millisecond}})
	c := dial(t, addr)
	start := time.Now()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(start) > patience/2 {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestSlowReader: a client that takes nothing of its answer is cut.
func TestSlowReader(t *testing.T) {
	upstream := startWebUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000000")
		_, _ = w.Write(make([]byte, 100000000))
	})
	for _, path := range []string{"/respond", "/relay"} {
		errs := make(chan error, 1)
		p := &proxy{client: NewClient(ClientConfig{Addr: upstream}), errs: func(err error) { errs <- err }}
		_, addr := startServer(t, ServerConfig{Timeouts: Timeouts{Write: 100 * time.Millisecond}, Handler: handlerFunc(func(x Exchange) {
			if string(x.Request().Target) == "/relay" {
				p.ServeExchange(x)
				return
			}
			errs <- x.Respond(http.StatusOK, nil, make([]byte, 100000000))
		})})
		c := dial(t, addr)
		_, _ = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		if err := <-errs; !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("%s: %v", path, err)
		}
		_ = p.client.Close()
	}
}

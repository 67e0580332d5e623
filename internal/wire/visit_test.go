package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asked returns a connection on which a request has been answered: from the second on,
// requests that arrive whole are answered within a visit.
func asked(t *testing.T, cfg ServerConfig) (*Server, *net.TCPConn, *bufio.Reader) {
	t.Helper()
	if cfg.Handler == nil {
		cfg.Handler = handlerFunc(echo)
	}
	s, addr := startServer(t, cfg)
	c := dial(t, addr)
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		t.Fatalf("%T", c)
	}
	r := bufio.NewReader(c)
	say(t, c, "GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
	expect(t, r, "GET /first host=a body=")
	return s, tcp, r
}

func say(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads an answer of echo.
func expect(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("no answer where %q was due: %v", want, err)
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if line := strings.TrimSpace(string(got)); err != nil || line != want {
		t.Fatalf("answered %q %v, want %q", line, err, want)
	}
}

// TestVisit: however requests are cut into segments, each gets its answer, and the
// answers come in order.
func TestVisit(t *testing.T) {
	_, c, r := asked(t, ServerConfig{})
	get := func(n int) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", n) }
	post := func(n int, body string) string {
		return fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", n, len(body), body)
	}
	long := strings.Repeat("x", 3*bufferSize)
	for _, segments := range [][]string{
		{get(1)},                                   // by itself
		{get(1) + get(2)},                          // one behind the other
		{get(1) + get(2)[:9], get(2)[9:]},          // and a half
		{get(1)[:20], get(1)[20:] + get(2)},        // a half, and another
		{post(1, "abc")},                           // with its body
		{post(1, "abc")[:50], post(1, "abc")[50:]}, // without the end of it
		{post(1, "abc") + get(2) + post(3, "d")},   // all in one
		{post(1, long)},                            // more than the buffer
		{post(1, long) + get(2)},
		{get(1) + post(2, long) + get(3)},
		{strings.Repeat(get(1), 2*bufferSize/len(get(1)))}, // as much as fits, and more
		{"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n" + get(2)},
	} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, s := range segments {
				say(t, c, s)
			}
		}()
		all := bufio.NewReader(strings.NewReader(strings.Join(segments, "")))
		for {
			req, err := http.ReadRequest(all)
			if err != nil {
				break
			}
			body, _ := io.ReadAll(req.Body)
			expect(t, r, req.Method+" "+req.RequestURI+" host=a body="+string(body))
		}
		<-done
	}
}

// TestVisitEnds: what is refused, closes or belongs elsewhere is so in a visit as well.
func TestVisitEnds(t *testing.T) {
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                                   "400",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                         "200",
		"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat("x", 40<<10):                            "431",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "400",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n":                         "501",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                               "505",
	} {
		_, c, r := asked(t, ServerConfig{})
		say(t, c, request)
		if all, _ := io.ReadAll(r); status(string(all)) != want {
			t.Errorf("%.60q: answered %.80q, want %s", request, all, want)
		}
	}
}

// TestVisitHalfClosed: a client that closes its side together with a request gets its
// answer, and then the connection ends long before it would be idle for too long.
func TestVisitHalfClosed(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	_, c, r := asked(t, ServerConfig{Timeouts: Timeouts{Idle: time.Hour}, Handler: handlerFunc(func(x Exchange) {
		if string(x.Request().Target) == "/held" {
			close(running)
			<-release
			<-time.After(50 * time.Millisecond) // the poller has told of all of it, in one
		}
		echo(x)
	})})
	say(t, c, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	<-running
	say(t, c, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n") // arrives, as the end does, before anybody looks
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(release)
	expect(t, r, "GET /held host=a body=")
	expect(t, r, "GET /last host=a body=")
	if _, err := r.ReadByte(); err != io.EOF {
		t.Errorf("the connection did not end: %v", err)
	}
}

// TestVisitIdle: a connection is closed when it was idle for too long, not sooner,
// whenever its last request was.
func TestVisitIdle(t *testing.T) {
	const idle = 300 * time.Millisecond
	last := time.Now() // when the last request was sent, or sooner
	_, c, r := asked(t, ServerConfig{Timeouts: Timeouts{Idle: idle}})
	tick := time.NewTicker(idle / 3)
	defer tick.Stop()
	for range 6 { // twice the idle time
		<-tick.C
		now := time.Now()
		_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if time.Since(last) >= idle { // the machine was too slow to keep it in use: it may be closed
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		expect(t, r, "GET / host=a body=")
		last = now
	}
	if _, err := io.Copy(io.Discard, r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection did not end: %v", err)
	}
	if took := time.Since(last); took < idle {
		t.Errorf("closed after %v", took)
	}
}

// TestVisitPanic: a panic of the handler within a visit cuts the connection and nothing else.
func TestVisitPanic(t *testing.T) {
	told := make(chan any, 1)
	s, c, r := asked(t, ServerConfig{OnPanic: func(v any, _ []byte) { told <- v }, Handler: handlerFunc(func(x Exchange) {
		if string(x.Request().Target) == "/panic" {
			panic("on purpose")
		}
		echo(x)
	})})
	say(t, c, "GET /panic HTTP/1.1\r\nHost: a\r\n\r\n")
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("answered %q", b)
	}
	if v := <-told; v != "on purpose" {
		t.Errorf("told of %v", v)
	}
	waitFor(t, "the connection to be forgotten", func() bool { return s.Conns() == 0 })
}

// TestVisitCut: Close ends a connection whose request is being answered, and waits for it.
func TestVisitCut(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	s, c, r := asked(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		if string(x.Request().Target) == "/held" {
			close(running)
			<-release
		}
		echo(x)
	})})
	say(t, c, "GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
	<-running
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	waitFor(t, "the server to close", s.closing.Load)
	select {
	case <-closed:
		t.Error("Close did not wait for the request that runs")
	default:
	}
	close(release)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	_, _ = io.Copy(io.Discard, r)
	if s.Conns() != 0 {
		t.Errorf("%d connections left", s.Conns())
	}
}

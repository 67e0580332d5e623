package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for what must come: it ends only what hangs.
const patience = time.Minute

// handlerFunc is a Handler made of a function.
type handlerFunc func(Exchange)

func (f handlerFunc) ServeExchange(x Exchange) { f(x) }

// listen opens a listener on loopback, closed with the test.
func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// startServer serves cfg on loopback until the test ends, and returns its address.
func startServer(t testing.TB, cfg ServerConfig) (*Server, string) {
	t.Helper()
	ln := listen(t)
	s := NewServer(cfg)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, ln.Addr().String()
}

// startUpstream accepts connections and gives each to script, numbered from 0.
func startUpstream(t testing.TB, script func(n int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	ln := listen(t)
	var wg sync.WaitGroup
	wg.Add(1)
	var mu sync.Mutex
	var open []net.Conn
	go func() {
		defer wg.Done()
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Add(1)
			go func() {
				defer wg.Done()
				defer func() { _ = c.Close() }()
				script(n, c, bufio.NewReader(c))
			}()
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr().String()
}

// startWebUpstream serves h by net/http.
func startWebUpstream(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	ln := listen(t)
	s := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return ln.Addr().String()
}

// proxy is the plainest gateway: what comes goes to one upstream.
type proxy struct {
	client  *Client
	timeout time.Duration
	limit   int64
	errs    func(error)
	work    sync.Pool
}

type proxyWork struct {
	out  Outbound
	resp Response
}

func (p *proxy) ServeExchange(x Exchange) {
	w, _ := p.work.Get().(*proxyWork)
	if w == nil {
		w = &proxyWork{}
	}
	defer p.work.Put(w)
	req := x.Request()
	w.out = Outbound{
		Method: req.Method, Target: req.Target, Host: req.Host, Fields: req.Fields,
		Replayable: string(req.Method) == "GET",
	}
	if p.timeout > 0 {
		w.out.Deadline = time.Now().Add(p.timeout)
	}
	if req.Body.Length() != 0 {
		w.out.Body = &req.Body
		if p.limit > 0 {
			_ = req.Body.Limit(p.limit)
		}
	}
	err := p.client.RoundTrip(&w.out, &w.resp)
	if err == nil {
		_, err = x.Relay(&w.resp)
		w.resp.Finish()
	} else {
		_ = x.Respond(statusOf(err), nil, nil)
	}
	if err != nil && p.errs != nil {
		p.errs(err)
	}
}

func statusOf(err error) int {
	var e *Error
	switch {
	case errors.Is(err, ErrBodyTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrBodyTimeout):
		return http.StatusRequestTimeout
	case errors.As(err, &e) && e.Phase == PhaseBody:
		return http.StatusBadRequest
	case errors.As(err, &e) && e.Timeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// startProxy serves a proxy in front of upstream and returns its address.
func startProxy(t testing.TB, upstream string, cfg ServerConfig, p *proxy) (*Server, string) {
	t.Helper()
	if p.client == nil {
		p.client = NewClient(ClientConfig{Addr: upstream})
	}
	t.Cleanup(func() { _ = p.client.Close() })
	cfg.Handler = p
	return startServer(t, cfg)
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// converse sends input and returns everything that comes back until the server closes.
func converse(t testing.TB, addr, input string) string {
	t.Helper()
	c := dial(t, addr)
	go func() { _, _ = io.WriteString(c, input) }()
	var out bytes.Buffer
	if _, err := io.Copy(&out, c); err != nil && out.Len() == 0 {
		t.Fatalf("reading the answer: %v", err)
	}
	return out.String()
}

// status returns the status code in the first line of an answer, "" if there is none.
func status(answer string) string {
	if f := strings.Fields(answer); len(f) > 1 && strings.HasPrefix(answer, "HTTP/1.1 ") {
		return f[1]
	}
	return ""
}

// waitFor polls until ok, or in vain.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// echo answers with what the request was understood to be.
func echo(x Exchange) {
	r := x.Request()
	body, err := io.ReadAll(&r.Body)
	if err != nil {
		_ = x.Respond(http.StatusBadRequest, nil, []byte("body: "+err.Error()))
		return
	}
	var b bytes.Buffer
	b.WriteString(string(r.Method) + " " + string(r.Target) + " host=" + string(r.Host) + " body=" + string(body))
	for _, f := range r.Fields {
		if !f.HopByHop() && !f.Kind.Framing() {
			b.WriteString(" " + string(f.Name) + "=" + string(f.Value))
		}
	}
	b.WriteByte('\n')
	_ = x.Respond(http.StatusOK, nil, b.Bytes())
}

package wire

import (
	"bufio"
	"context"
	"crypto/tls"
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
)

// roundTrip sends a request of the client's own and returns the answer's body.
func roundTrip(c *Client, out *Outbound) (int, string, error) {
	if out.Method == nil {
		out.Method = []byte("GET")
	}
	out.Target, out.Host = []byte("/"), []byte("upstream")
	if out.Deadline.IsZero() {
		out.Deadline = time.Now().Add(patience)
	}
	var resp Response
	if err := c.RoundTrip(out, &resp); err != nil {
		return 0, "", err
	}
	defer resp.Finish()
	body, err := io.ReadAll(&resp.Body)
	return resp.Status, string(body), err
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestStaleConnection: a pooled connection that the upstream has closed is found
// before a request is written on it, so that even one that must not be repeated succeeds.
func TestStaleConnection(t *testing.T) {
	var served atomic.Int32
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) { // one request a connection, and it says nothing about it
		if _, _, err := readRequest(r); err == nil {
			served.Add(1)
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	for range 5 {
		body := BytesBody([]byte("x"))
		code, got, err := roundTrip(c, &Outbound{Method: []byte("POST"), Body: &body})
		if err != nil || code != 200 || got != "ok" {
			t.Fatalf("%d %q %v", code, got, err)
		}
		waitFor(t, "the upstream's end of the connection", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.idle) == 1 && !c.idle[0].sock.quiet()
		})
	}
	if s := c.Stats(); served.Load() != 5 || s.Stale != 4 || s.Retries != 0 {
		t.Errorf("served %d, %+v", served.Load(), s)
	}
}

// TestStaleConnectionChunked: a body of unknown length is whole on the connection that
// comes after one found closed.
func TestStaleConnectionChunked(t *testing.T) {
	got := make(chan string, 10)
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if _, body, err := readRequest(r); err == nil {
			got <- string(body)
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	client := NewClient(ClientConfig{Addr: upstream})
	_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{client: client})
	c := dial(t, addr)
	answers := bufio.NewReader(c)
	for range 3 {
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		res, err := http.ReadResponse(answers, nil)
		if err != nil || res.StatusCode != 200 {
			t.Fatalf("%v %v", res, err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if body := <-got; body != "abc" {
			t.Errorf("the upstream got %q", body)
		}
		waitFor(t, "the upstream's end of the connection", func() bool {
			client.mu.Lock()
			defer client.mu.Unlock()
			return len(client.idle) == 1 && !client.idle[0].sock.quiet()
		})
	}
}

// TestInterruptedAtTheEnd: an interruption that comes when the answer has been read whole does
// not reach the exchange that is next on the connection.
func TestInterruptedAtTheEnd(t *testing.T) {
	content := strings.Repeat("x", 100<<10)
	upstream := startWebUpstream(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) })
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	var resp Response
	out := &Outbound{Method: []byte("GET"), Target: []byte("/"), Host: []byte("upstream")}
	if err := c.RoundTrip(out, &resp); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(&resp.Body)
	resp.Body.Interrupt()
	resp.Finish()
	body := BytesBody([]byte("x"))
	if code, got, err := roundTrip(c, &Outbound{Method: []byte("POST"), Body: &body}); code != 200 || got != content || err != nil {
		t.Errorf("the next exchange: %d, %d bytes, %v", code, len(got), err)
	}
}

// TestKeepAliveRace: the upstream takes the request on a pooled connection and
// closes without an answer. What is replayable is sent once more, anything else is an error
// that says that it may have been acted on.
func TestKeepAliveRace(t *testing.T) {
	for _, replayable := range []bool{true, false} {
		var seen atomic.Int32
		upstream := startUpstream(t, func(n int, c net.Conn, r *bufio.Reader) {
			for i := 0; ; i++ {
				if _, _, err := readRequest(r); err != nil {
					return
				}
				seen.Add(1)
				if n == 0 && i == 1 {
					return
				}
				_, _ = io.WriteString(c, okAnswer)
			}
		})
		c := NewClient(ClientConfig{Addr: upstream})
		if _, _, err := roundTrip(c, &Outbound{}); err != nil {
			t.Fatal(err)
		}
		body := BytesBody([]byte("x"))
		_, _, err := roundTrip(c, &Outbound{Method: []byte("PUT"), Replayable: replayable, Body: &body})
		var e *Error
		switch {
		case replayable && (err != nil || seen.Load() != 3 || c.Stats().Retries != 1):
			t.Errorf("replayable: %v after %d requests, %+v", err, seen.Load(), c.Stats())
		case !replayable && (!errors.As(err, &e) || e.Phase != PhaseRead || !e.Sent || e.Timeout || seen.Load() != 2):
			t.Errorf("not replayable: %v after %d requests", err, seen.Load())
		}
		_ = c.Close()
	}
}

// TestFreshConnectionDies is no keep-alive race: nothing is repeated.
func TestFreshConnectionDies(t *testing.T) {
	var seen atomic.Int32
	upstream := startUpstream(t, func(_ int, _ net.Conn, r *bufio.Reader) {
		_, _, _ = readRequest(r)
		seen.Add(1)
	})
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	if _, _, err := roundTrip(c, &Outbound{Replayable: true}); err == nil || seen.Load() != 1 {
		t.Errorf("%v after %d requests", err, seen.Load())
	}
}

// TestUnsolicited: bytes that come while nothing was asked, or behind an
// answer, are never taken for the next answer. Attack gateway 62.
func TestUnsolicited(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for _, c := range []struct{ name, answer string }{
		{"second answer", okAnswer + poison},
		{"body behind 204", "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison"},
		{"body behind 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison"},
		{"late", okAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := make(chan struct{})
			upstream := startUpstream(t, func(n int, conn net.Conn, r *bufio.Reader) {
				for {
					if _, _, err := readRequest(r); err != nil {
						return
					}
					if n > 0 {
						_, _ = io.WriteString(conn, okAnswer)
						continue
					}
					_, _ = io.WriteString(conn, c.answer)
					if c.name == "late" {
						<-first
						_, _ = io.WriteString(conn, poison)
					}
				}
			})
			client := NewClient(ClientConfig{Addr: upstream})
			defer func() { _ = client.Close() }()
			if _, _, err := roundTrip(client, &Outbound{}); err != nil {
				t.Fatal(err)
			}
			close(first)
			if c.name == "late" {
				waitFor(t, "the late bytes", func() bool {
					client.mu.Lock()
					defer client.mu.Unlock()
					return !client.idle[0].sock.quiet()
				})
			}
			if code, got, err := roundTrip(client, &Outbound{Replayable: true}); code != 200 || got != "ok" || err != nil {
				t.Errorf("second request got %d %q %v", code, got, err)
			}
			if s := client.Stats(); s.Dials != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestUnreadAnswer: an answer whose body nobody reads does not stay in a pooled connection.
func TestUnreadAnswer(t *testing.T) {
	upstream := startWebUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, 1<<20))
	})
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	var resp Response
	out := &Outbound{Method: []byte("GET"), Target: []byte("/"), Host: []byte("a")}
	if err := c.RoundTrip(out, &resp); err != nil {
		t.Fatal(err)
	}
	resp.Finish()
	resp.Finish()
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// TestDeadline: an upstream that does not answer in time is a timeout, whatever
// it was doing, and a slow upload is not held against it.
func TestDeadline(t *testing.T) {
	upstream := func(c net.Conn, r *bufio.Reader) {
		for {
			req, _, err := readRequest(r)
			if err != nil {
				return
			}
			if req.Method == http.MethodPost {
				_, _ = io.WriteString(c, okAnswer)
			}
		}
	}
	silent := func(t *testing.T, c *Client) {
		body := BytesBody([]byte("x")) // so that there is a connection: it is the answer that does not come
		if code, _, err := roundTrip(c, &Outbound{Method: []byte("POST"), Body: &body}); code != 200 || err != nil {
			t.Fatalf("%d %v", code, err)
		}
		var e *Error
		_, _, err := roundTrip(c, &Outbound{Deadline: time.Now().Add(50 * time.Millisecond)})
		if !errors.As(err, &e) || e.Phase != PhaseRead || !e.Timeout || !e.Sent {
			t.Errorf("silent upstream: %v", err)
		}
	}
	t.Run("TCP", func(t *testing.T) {
		c := NewClient(ClientConfig{Addr: startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) { upstream(c, r) })})
		defer func() { _ = c.Close() }()
		silent(t, c)
	})
	t.Run("other", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := pipeClient(t, upstream)
			silent(t, c)
			slow, feed := io.Pipe()
			go func() {
				tick := time.NewTicker(40 * time.Millisecond)
				defer tick.Stop()
				for range 5 {
					<-tick.C
					_, _ = feed.Write([]byte("a"))
				}
				_ = feed.Close()
			}()
			body := NewBody(slow, -1)
			code, _, err := roundTrip(c, &Outbound{Method: []byte("POST"), Body: &body, Deadline: time.Now().Add(100 * time.Millisecond)})
			if err != nil || code != 200 {
				t.Errorf("slow upload: %d %v", code, err)
			}
		})
	})
}

// pipeClient returns a client, for a bubble of synctest, whose connections end at script.
func pipeClient(t *testing.T, script func(c net.Conn, r *bufio.Reader)) *Client {
	var wg sync.WaitGroup
	c := NewClient(ClientConfig{Addr: "upstream:80", DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		wg.Go(func() {
			script(there, bufio.NewReader(there))
			_ = there.Close()
		})
		return here, nil
	}})
	t.Cleanup(func() {
		_ = c.Close()
		wg.Wait()
	})
	return c
}

func TestDialFails(t *testing.T) {
	c := NewClient(ClientConfig{Addr: "upstream:1", DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no route")
	}})
	defer func() { _ = c.Close() }()
	var e *Error
	if _, _, err := roundTrip(c, &Outbound{}); !errors.As(err, &e) || e.Phase != PhaseDial || e.Sent || e.Timeout {
		t.Errorf("%v", err)
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// TestMaxConns: no more connections than allowed; the rest wait in order, or until their deadline.
func TestMaxConns(t *testing.T) {
	var open, most atomic.Int32
	release := make(chan struct{})
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if n := open.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer open.Add(-1)
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			<-release
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	c := NewClient(ClientConfig{Addr: upstream, MaxConns: 2})
	defer func() { _ = c.Close() }()
	var wg sync.WaitGroup
	for range 10 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, got, err := roundTrip(c, &Outbound{}); err != nil || got != "ok" {
				t.Errorf("%q %v", got, err)
			}
		}()
	}
	waitFor(t, "eight waiting", func() bool { return c.Stats().Waiting == 8 })
	var e *Error
	if _, _, err := roundTrip(c, &Outbound{Deadline: time.Now().Add(20 * time.Millisecond)}); !errors.Is(err, ErrConnLimit) || !errors.As(err, &e) || !e.Timeout || e.Sent {
		t.Errorf("the one too many: %v", err)
	}
	close(release)
	wg.Wait()
	if most.Load() > 2 || c.Stats().Open > 2 || c.Stats().Waiting != 0 {
		t.Errorf("%d connections at once, %+v", most.Load(), c.Stats())
	}
}

// TestIdleClosed: unused connections are closed after IdleTimeout, those that come later too.
func TestIdleClosed(t *testing.T) {
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(c, okAnswer)
		}
	})
	c := NewClient(ClientConfig{Addr: upstream, IdleTimeout: 30 * time.Millisecond})
	defer func() { _ = c.Close() }()
	for range 2 {
		for range 3 { // so that the connection is in use for a while after the reaper was set
			if _, _, err := roundTrip(c, &Outbound{}); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, "the idle connection is closed", func() bool { s := c.Stats(); return s.Open == 0 && s.Idle == 0 })
	}
}

func TestClosedClient(t *testing.T) {
	upstream := startUpstream(t, scripted(okAnswer))
	c := NewClient(ClientConfig{Addr: upstream})
	if _, _, err := roundTrip(c, &Outbound{}); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, _, err := roundTrip(c, &Outbound{}); !errors.Is(err, ErrClientClosed) {
		t.Errorf("%v", err)
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHijack switches protocols and finds the bytes that came with the answer.
func TestHijack(t *testing.T) {
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		req, _, err := readRequest(r)
		if err != nil || req.Header.Get("Upgrade") != "websocket" || req.Header.Get("Connection") != "Upgrade" {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nearly")
		_, _ = io.Copy(c, r)
	})
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	var resp Response
	out := &Outbound{Method: []byte("GET"), Target: []byte("/"), Host: []byte("a"), Upgrade: []byte("websocket"), Deadline: time.Now().Add(patience)}
	if err := c.RoundTrip(out, &resp); err != nil {
		t.Fatal(err)
	}
	conn, early, err := resp.Hijack()
	if err != nil || resp.Status != 101 {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if resp.buffer != nil {
		t.Error("the tunnel holds the memory that answers are read into")
	}
	if len(early) < 5 {
		rest := make([]byte, 5-len(early))
		_, _ = io.ReadFull(conn, rest)
		early = append(early, rest...)
	}
	_, _ = io.WriteString(conn, "ping")
	back := make([]byte, 4)
	_, _ = io.ReadFull(conn, back)
	if string(early) != "early" || string(back) != "ping" {
		t.Errorf("%q, then %q", early, back)
	}
	if s := c.Stats(); s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// TestTLS speaks TLS on both sides: no kernel shortcuts, the same bytes.
func TestTLS(t *testing.T) {
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	}))
	defer upstream.Close()
	transport, _ := upstream.Client().Transport.(*http.Transport)
	p := &proxy{timeout: patience, client: NewClient(ClientConfig{
		Addr: upstream.Listener.Addr().String(),
		TLS:  &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com", MinVersion: tls.VersionTLS12},
	})}
	defer func() { _ = p.client.Close() }()
	var state atomic.Bool
	srv := NewServer(ServerConfig{Handler: handlerFunc(func(x Exchange) {
		state.Store(x.Request().TLS != nil)
		p.ServeExchange(x)
	})})
	ln := listen(t)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() {
				defer wg.Done()
				tc := tls.Server(nc, &tls.Config{Certificates: upstream.TLS.Certificates, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
				if tc.HandshakeContext(t.Context()) == nil {
					srv.ServeConn(tc)
				}
				_ = tc.Close()
			}()
		}
	}()
	client := upstream.Client()
	body := string(pattern(200 << 10))
	for range 3 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+ln.Addr().String()+"/", strings.NewReader(body))
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != body || !state.Load() {
			t.Errorf("%d bytes back, %v", len(got), err)
		}
	}
	if s := p.client.Stats(); s.Reuses < 1 {
		t.Errorf("%+v", s)
	}
	client.CloseIdleConnections()
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	_ = ln.Close()
	wg.Wait()
}

package gateway_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// Reloads under load: no request fails, no connection is dropped.
func TestReloadUnderLoad(t *testing.T) {
	for _, l := range []lane{lanes()[0], lanes()[5]} {
		t.Run(l.name, func(t *testing.T) {
			var s spec.Snapshot
			h := open(t, func(_ *gateway.Config, snap *spec.Snapshot) { s = *snap }, l.secure)
			token := "Bearer " + h.issuer.Token(t, nil)
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 4 {
				c := l.client(h)
				t.Cleanup(c.CloseIdleConnections)
				wg.Go(func() {
					for !stop.Load() {
						if a := h.do(t, l, c, "GET", "/orders/1", "", "Authorization", token); a.StatusCode != 200 {
							t.Errorf("%d %s", a.StatusCode, a.body)
							return
						}
					}
				})
			}
			for i := range 100 {
				s.Revision = int64(i + 2)
				s.APIs[0].Upstream.Timeout = spec.Duration(time.Duration(10+i) * time.Second)
				if err := h.Load(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
			stop.Store(true)
			wg.Wait()
			if h.Revision() != 101 {
				t.Errorf("revision %d", h.Revision())
			}
		})
	}
}

// Shutdown under load: every request that was begun gets its answer. (Where each
// request has a connection of its own, one that is accepted in the very moment
// and has not sent anything cannot be told from an idle one.)
func TestShutdownUnderLoad(t *testing.T) {
	for _, l := range lanes() {
		if strings.HasPrefix(l.name, "standard") {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			// A client that is slow to send its next request is waited for.
			h := openWithin(t, nil, l.secure, wire.Timeouts{Drain: gateway.Patience})
			var wg sync.WaitGroup
			var done atomic.Int32
			running := make(chan struct{})
			for range 4 {
				c := l.client(h)
				wg.Go(func() {
					defer c.CloseIdleConnections() // the server would wait for one more request
					for {
						fresh := false
						ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { fresh = !i.Reused }})
						r, err := http.NewRequestWithContext(ctx, "GET", h.url("/public/x"), nil)
						if err != nil {
							t.Error(err)
							return
						}
						l.mark(r)
						resp, err := c.Do(r)
						var op *net.OpError
						if errors.As(err, &op) && op.Op == "dial" {
							return // the listener is closed: that is how it should end
						}
						if fresh && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
							return // it was closed with this connection in its queue: the kernel spares nobody who comes last
						}
						if err != nil {
							t.Errorf("after %d answers: %v", done.Load(), err)
							return
						}
						if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
							t.Errorf("%d %v", resp.StatusCode, err)
						}
						resp.Body.Close()
						if done.Add(1) == 50 {
							close(running)
						}
					}
				})
			}
			<-running
			ctx, cancel := context.WithTimeout(t.Context(), gateway.Patience)
			defer cancel()
			if err := h.server.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}

// starved is a listener whose server gets no turn between its first Accept and the end of
// the deadline that it has set.
type starved struct {
	*net.TCPListener
	once   sync.Once
	served chan struct{} // closed at the first Accept
	late   chan time.Time
}

// Accept implements net.Listener.
func (l *starved) Accept() (net.Conn, error) {
	l.once.Do(func() {
		close(l.served)
		timer := time.NewTimer(time.Until(<-l.late))
		defer timer.Stop()
		<-timer.C
	})
	return l.TCPListener.Accept()
}

// SetDeadline tells of the first one.
func (l *starved) SetDeadline(end time.Time) error {
	err := l.TCPListener.SetDeadline(end)
	select {
	case l.late <- end:
	default:
	}
	return err
}

// Who waits in the queue when the server begins to shut down is answered, also when the machine
// has had no time for it until then.
func TestShutdownTakesTheQueue(t *testing.T) {
	h := open(t, nil, false)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &starved{TCPListener: tcp.(*net.TCPListener), served: make(chan struct{}), late: make(chan time.Time, 1)}
	server := gateway.NewServer(gateway.ServerConfig{Gateway: h.Gateway})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	<-ln.served
	conn, err := net.Dial("tcp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
	if got, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("%v %s", err, got)
	}
}

// onItsWay sends a request over HTTP/2 before it has read that it should send no more, and
// fails unless it is answered. A client of a library may read first, and then asks elsewhere.
func onItsWay(t *testing.T, conn net.Conn) {
	t.Helper()
	c := beginH2(t, conn)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/public/x"}} {
		_ = c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	status, ended := "", false
	for !ended {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatalf("not answered: %v", err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status, ended = f.PseudoValue("status"), f.StreamEnded()
		case *http2.DataFrame:
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			ended = true
		case *http2.PingFrame:
			_ = c.WritePing(true, f.Data)
		default:
		}
	}
	if status != "200" {
		t.Errorf("status %q", status)
	}
	_ = c.Close()
}

// A connection that was accepted before the server began to shut down gets one
// answer, also when its handshake is not over yet.
func TestShutdownDuringHandshake(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			h := openWithin(t, nil, true, wire.Timeouts{Drain: gateway.Patience})
			nc, err := net.Dial("tcp", h.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			l := lanes()[1]
			if a := h.do(t, l, l.client(h), "GET", "/public/x", "", "Connection", "close"); a.StatusCode != 200 { // came later: so the first one is accepted
				t.Fatalf("status %d", a.StatusCode)
			}
			done := make(chan error, 1)
			go func() { done <- h.server.Shutdown(t.Context()) }()
			for { // until nobody listens any more
				c, err := net.Dial("tcp", h.addr)
				if err != nil {
					break
				}
				_ = c.Close()
			}
			conn := tls.Client(nc, &tls.Config{RootCAs: h.tls, ServerName: "127.0.0.1", NextProtos: []string{protocol}})
			if protocol == "h2" {
				onItsWay(t, conn)
				if err := <-done; err != nil {
					t.Error(err)
				}
				return
			}
			var used atomic.Bool
			transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
				if used.Swap(true) {
					return nil, errors.New("a second connection is asked for")
				}
				return conn, conn.Handshake()
			}}
			resp, err := (&http.Client{Transport: transport}).Get(h.url("/public/x"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
				t.Errorf("%d %v", resp.StatusCode, err)
			}
			_ = resp.Body.Close()
			transport.CloseIdleConnections() // its answer may have come before the server said that it is the last
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

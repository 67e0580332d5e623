package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/h2"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// acceptGrace is how long connections are still taken from a listener's queue when the
// server shuts down. On a machine that had no time for that it has passed with some of them in
// the queue: lastLooks more are taken, of lastLook each.
const (
	acceptGrace = 20 * time.Millisecond
	lastLook    = 5 * time.Millisecond
	lastLooks   = 2
)

// handshakeGrace is how long a handshake that has begun may take while the server shuts down.
const handshakeGrace = time.Second

// maxStreams bounds the requests that one HTTP/2 connection may have open.
const maxStreams = 250

// ServerConfig is what a Server is made of. Gateway is required.
type ServerConfig struct {
	Gateway *Gateway
	// TLS makes it a server for TLS; nil for plain connections. Keep
	// certificates fresh with GetCertificate. ALPN is the server's own business.
	TLS      *tls.Config
	Limits   wire.Limits
	Timeouts wire.Timeouts
	MaxConns int // connections open at once; 0 = no limit
}

// Server serves a gateway on listeners. Plain HTTP/1.1 goes to the strict lane,
// HTTP/2 (chosen by ALPN, or by prior knowledge on a plain connection) to its own,
// and what is left (Upgrade, Expect, trailers) to the standard lane.
type Server struct {
	config ServerConfig
	strict *wire.Server
	h1     *http.Server // one request of a connection that was handed over
	h2     *h2.Server
	toH1   *handover
	gate   gate

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	closed    bool
	loops     sync.WaitGroup // that accept
	new       sync.WaitGroup // connections that no lane knows yet
	conns     sync.WaitGroup // goroutines of this server
	served    sync.WaitGroup // of the standard server

	ctx, accept          context.Context //nolint:containedctx // the life of the server itself, and of its loops
	cancel, cancelAccept context.CancelFunc
}

// NewServer returns a server that serves nothing yet; Close it also when Serve was never called.
func NewServer(c ServerConfig) *Server {
	s := &Server{config: c, listeners: map[net.Listener]struct{}{}, toH1: newHandover()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.accept, s.cancelAccept = context.WithCancel(s.ctx)
	s.gate = gate{max: c.MaxConns, freed: make(chan struct{}, 1)}
	if c.TLS != nil {
		s.config.TLS = c.TLS.Clone()
		s.config.TLS.NextProtos = []string{"h2", "http/1.1"}
		if s.config.TLS.MinVersion < tls.VersionTLS12 {
			s.config.TLS.MinVersion = tls.VersionTLS12
		}
	}
	g := c.Gateway
	panicked := func(v any, stack []byte) {
		g.config.Logger.Error("a lane panicked", slog.Any("panic", v), slog.String("stack", string(stack)))
	}
	s.strict = wire.NewServer(wire.ServerConfig{
		Handler: g, Handoff: s.takeOver, Reject: g.RejectAnswer, OnReject: g.Rejected, Limits: c.Limits, Timeouts: c.Timeouts, OnPanic: panicked,
	})
	s.h2 = h2.NewServer(h2.Config{
		Handler: g, Reject: g.RejectAnswer, Limits: c.Limits, Timeouts: c.Timeouts, MaxStreams: maxStreams, OnPanic: panicked, Base: g.base,
	})
	s.h1 = s.standard()
	s.h1.SetKeepAlivesEnabled(false)
	s.served.Add(1)
	go s.run(s.h1, s.toH1)
	return s
}

// standard makes the net/http server of the standard lane.
func (s *Server) standard() *http.Server {
	g := s.config.Gateway
	var one http.Protocols
	one.SetHTTP1(true)
	return &http.Server{
		Handler: standardHandler{g, wire.NewPace(s.config.Timeouts)}, Protocols: &one, TLSConfig: s.config.TLS,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, MaxHeaderBytes: maxHeadBytes,
		ErrorLog:    slog.NewLogLogger(g.config.Logger.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return g.base },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			// A connection that was handed over is a TLS connection that net/http does not know as one.
			if p, ok := c.(*peekedConn); ok {
				if t, ok := p.Conn.(interface{ TLS() *tls.ConnectionState }); ok && t.TLS() != nil {
					return context.WithValue(ctx, tlsKey{}, t.TLS())
				}
			}
			return ctx
		},
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.gate.enter()
				g.config.Metrics.ConnectionOpened(telemetry.Standard)
			case http.StateClosed, http.StateHijacked:
				s.gate.leave()
				g.config.Metrics.ConnectionClosed(telemetry.Standard)
			default:
			}
		},
	}
}

func (s *Server) run(server *http.Server, from *handover) {
	defer s.served.Done()
	if err := server.Serve(from); err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.config.Gateway.config.Logger.Error("the standard lane ended", slog.Any("error", err))
	}
}

// Serve accepts connections until Shutdown or Close and then returns nil. It
// closes the listener. It may be called for several listeners.
func (s *Server) Serve(ln net.Listener) error {
	if !s.add(ln) {
		return errors.Join(fault.New(fault.Unavailable, "the server is closed"), ln.Close())
	}
	defer s.remove(ln)
	wait, looks := time.Duration(0), lastLooks
	for {
		if !s.gate.wait(s.accept) {
			return nil
		}
		nc, err := ln.Accept()
		if err != nil {
			if s.closing() {
				if looks--; looks >= 0 && errors.Is(err, os.ErrDeadlineExceeded) && deadline(ln, lastLook) {
					continue
				}
				return nil
			}
			if !isTemporary(err) {
				return fault.Because(err, fault.Unavailable, "accept on %s", ln.Addr())
			}
			// Out of descriptors, most likely: let some connections end first.
			wait = min(max(2*wait, 5*time.Millisecond), time.Second)
			s.config.Gateway.config.Logger.Warn("a connection could not be accepted", slog.Any("error", err))
			if !s.pause(wait) {
				return nil
			}
			continue
		}
		wait = 0
		s.conns.Add(1)
		s.new.Add(1)
		s.gate.enter()
		go s.serve(nc)
	}
}

// serve leads one connection to its lane.
func (s *Server) serve(nc net.Conn) {
	defer s.conns.Done()
	defer s.gate.leave()
	if lane := s.lane(nc); lane != nil {
		lane()
	}
}

// lane finds out which lane a new connection belongs to and returns what serves it there;
// nil when it has come to nothing.
func (s *Server) lane(nc net.Conn) func() {
	defer s.new.Done()
	if s.config.TLS != nil {
		conn := tls.Server(nc, s.config.TLS)
		ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
		err := conn.HandshakeContext(ctx)
		cancel()
		if err != nil {
			_ = nc.Close() // there was no connection yet
			return nil
		}
		if state := conn.ConnectionState(); state.NegotiatedProtocol == "h2" {
			return func() { s.serveH2(conn, &state) }
		}
		nc = conn
	}
	serve := s.strict.Admit(nc)
	if serve == nil {
		return nil
	}
	return func() {
		m := s.config.Gateway.config.Metrics
		m.ConnectionOpened(telemetry.Strict)
		defer m.ConnectionClosed(telemetry.Strict)
		serve()
	}
}

// settle waits until the connections that have been accepted are in their lanes, or for as
// long as handshakes may take while the server shuts down.
func (s *Server) settle(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		s.new.Wait()
		close(done)
	}()
	t := time.NewTimer(handshakeGrace)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	case <-ctx.Done():
	}
}

// takeOver gets what the strict lane does not serve: the HTTP/2 preface, or one
// HTTP/1.1 request, after which the connection is closed.
func (s *Server) takeOver(nc net.Conn) {
	c, two, err := handedOver(nc)
	if err != nil {
		_ = nc.Close() // it broke off
		return
	}
	if !two {
		s.toH1.give(c)
		return
	}
	s.conns.Add(1)
	s.gate.enter()
	go func() {
		defer s.conns.Done()
		defer s.gate.leave()
		var state *tls.ConnectionState
		if t, ok := nc.(interface{ TLS() *tls.ConnectionState }); ok {
			state = t.TLS()
		}
		s.serveH2(c, state)
	}()
}

// serveH2 serves an HTTP/2 connection until it ends.
func (s *Server) serveH2(nc net.Conn, state *tls.ConnectionState) {
	m := s.config.Gateway.config.Metrics
	m.ConnectionOpened(telemetry.Standard)
	defer m.ConnectionClosed(telemetry.Standard)
	s.h2.ServeConn(nc, state)
}

// Shutdown stops accepting, lets the requests that run finish, asks upgraded
// connections to end, and waits for all of it. When ctx ends first, what is left
// is cut and ctx's error returned; an exchange that waits for a silent upstream
// may then outlive the call, until that upstream's own time is over.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(acceptGrace)
	full := time.AfterFunc(2*acceptGrace, s.cancelAccept) // a loop may wait for room
	s.loops.Wait()
	full.Stop()
	s.settle(ctx)
	s.config.Gateway.Drain()
	done := make(chan error, 1)
	go func() {
		var errs [3]error
		var all sync.WaitGroup
		all.Go(func() { errs[2] = s.h2.Shutdown(ctx) })
		all.Go(func() {
			// In this order: the strict lane may hand over until it has ended.
			errs[0] = s.strict.Shutdown(ctx)
			errs[1] = errors.Join(s.h1.Shutdown(ctx), s.h2.Shutdown(ctx))
		})
		all.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			done <- errors.Join(err, s.Close())
			return
		}
		s.wait()
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	cut := errors.Join(s.h1.Close(), s.h2.Close())
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return errors.Join(fault.Because(ctx.Err(), fault.Timeout, "some requests had not ended in time and were cut"), cut)
}

// Close cuts every connection and waits for their goroutines.
func (s *Server) Close() error {
	s.stop(0)
	s.loops.Wait()
	s.config.Gateway.Drain()
	err := errors.Join(s.strict.Close(), s.h1.Close(), s.h2.Close())
	s.wait()
	return err
}

func (s *Server) wait() {
	s.cancel()
	s.conns.Wait()
	s.toH1.close()
	s.served.Wait()
	s.config.Gateway.tunnels.Wait()
}

// stop ends accepting. Connections that wait in a listener's queue would be
// reset with it, so for the time of grace they are still taken.
func (s *Server) stop(grace time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if grace == 0 {
		s.cancelAccept() // a loop may wait for room
	}
	for ln := range s.listeners {
		if grace == 0 || !deadline(ln, grace) {
			_ = ln.Close() // Accept has returned or will
		}
	}
}

// deadline lets the listener accept for that long from now, and reports whether it can.
func deadline(ln net.Listener, d time.Duration) bool {
	l, ok := ln.(interface{ SetDeadline(t time.Time) error })
	return ok && l.SetDeadline(time.Now().Add(d)) == nil //nolint:forbidigo // the socket's clock
}

func (s *Server) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) add(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.loops.Add(1)
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) remove(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.loops.Done()
	delete(s.listeners, ln)
	_ = ln.Close() // it may be closed already
}

func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.accept.Done():
		return false
	}
}

func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return !errors.Is(err, net.ErrClosed) && errors.As(err, &t) && t.Temporary()
}

// Package h2 is HTTP/2 (RFC 9113) on the wire: the server's side of it, as a
// lane beside the strict HTTP/1.1 lane and with the same exchanges.
//
// Frames are read by golang.org/x/net/http2's Framer and heads decoded by its
// hpack; what is made of them, and everything that is sent, is written here.
// What the peer is sent gathers in one buffer, which goes out in one write when
// nobody has anything to add. Heads are encoded without Huffman coding and
// without a dynamic table: the peer is near, and nothing of one answer can then
// be guessed from the size of another (RFC 7541 section 7.1).
//
// The package knows frames, windows and time limits; it must not know tenants,
// tokens, routes or policy.
package h2

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/wire"
)

// Config configures a Server. Handler is required.
type Config struct {
	Handler wire.Handler
	// Reject renders the answer to a request that no handler is to see, and records
	// it: further fields and a body; nil means an empty body.
	Reject func(*wire.Rejection) ([]wire.Field, []byte)
	// OnPanic is told of a panic of the handler, whose stream is then reset; nil means
	// that the panic goes on.
	OnPanic func(value any, stack []byte)
	// Base is what the contexts of exchanges are made from; nil means the background.
	Base context.Context //nolint:containedctx // the parent of what is made later

	Limits     wire.Limits
	Timeouts   wire.Timeouts // Head belongs to HTTP/1.1
	MaxStreams uint32        // requests that one connection may have open; default 250
	Now        func() time.Time
}

// Server serves HTTP/2 connections. Create it with NewServer.
type Server struct {
	cfg    Config
	pace   wire.Pace // of every body, before it begins
	date   atomic.Pointer[date]
	copies sync.Pool // *[]byte of copySize
	heads  sync.Pool // *memory

	mu      sync.Mutex
	conns   map[*conn]struct{}
	closing bool // connections are told that they are to end
	closed  bool // and cut
	fewer   sync.Cond
}

// copySize is the buffer through which a body goes: two frames of the usual size.
const copySize = 32 << 10

// NewServer returns a server that serves nothing yet.
func NewServer(cfg Config) *Server {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&cfg.Timeouts.Body, 30 * time.Second},
		{&cfg.Timeouts.Idle, 75 * time.Second},
		{&cfg.Timeouts.Write, 30 * time.Second},
		{&cfg.Timeouts.Drain, time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if cfg.Limits.HeadBytes <= 0 {
		cfg.Limits.HeadBytes = 32 << 10
	}
	if cfg.Limits.Fields <= 0 {
		cfg.Limits.Fields = 100
	}
	if cfg.Limits.TargetBytes <= 0 {
		cfg.Limits.TargetBytes = 8 << 10
	}
	if cfg.MaxStreams == 0 {
		cfg.MaxStreams = 250
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Base == nil {
		cfg.Base = context.Background()
	}
	s := &Server{cfg: cfg, conns: map[*conn]struct{}{}, pace: wire.NewPace(cfg.Timeouts)}
	s.fewer.L = &s.mu
	s.copies.New = func() any { b := make([]byte, copySize); return &b }
	s.heads.New = func() any { return &memory{} }
	return s
}

// ServeConn serves one connection, the client's preface included, until it ends
// or the server shuts down. state is that of the TLS connection; nil on a plain one.
func (s *Server) ServeConn(nc net.Conn, state *tls.ConnectionState) {
	c := newConn(s, nc, state)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = nc.Close() // nobody has been promised anything
		return
	}
	s.conns[c] = struct{}{}
	closing := s.closing
	s.mu.Unlock()
	if closing { // its first requests may be on their way
		c.drain()
	}
	c.serve()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.fewer.Broadcast()
}

// Shutdown tells every client to open no more streams, lets those that are open
// finish, and waits for all of it. When ctx ends first, what is left is cut and ctx's
// error returned. A connection that comes later is told at once; call Shutdown again to wait for it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	list := s.all()
	s.mu.Unlock()
	for _, c := range list {
		c.drain()
	}
	stop := context.AfterFunc(ctx, s.cut)
	s.wait()
	if !stop() {
		return ctx.Err()
	}
	return nil
}

// Close cuts every connection and waits for their goroutines.
func (s *Server) Close() error {
	s.cut()
	s.wait()
	return nil
}

func (s *Server) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		s.fewer.Wait()
	}
}

// cut ends every connection, and lets none in from now on.
func (s *Server) cut() {
	s.mu.Lock()
	s.closing, s.closed = true, true
	list := s.all()
	s.mu.Unlock()
	for _, c := range list {
		c.cut(errCut)
	}
}

// all returns the open connections. mu is held.
func (s *Server) all() []*conn {
	list := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		list = append(list, c)
	}
	return list
}

// date is the value of a Date field, good for one second.
type date struct {
	second int64
	text   []byte
}

func (s *Server) dateNow() []byte {
	now := s.cfg.Now()
	if d := s.date.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &date{second: now.Unix(), text: now.UTC().AppendFormat(nil, http.TimeFormat)}
	s.date.Store(d)
	return d.text
}

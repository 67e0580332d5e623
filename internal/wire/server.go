package wire

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Limits bounds the head of a message. Zero fields take the default.
type Limits struct {
	HeadBytes   int // start line and fields with their line ends; default 32 KiB for requests, 64 KiB for answers
	Fields      int // header lines; default 100 for requests, 200 for answers
	TargetBytes int // request target; default 8 KiB
}

// Timeouts bounds how long a client may take. Zero fields take the default.
type Timeouts struct {
	Head time.Duration // from the first byte of a request to the end of its head; default 10 s
	Body time.Duration // silence within a request body; default 30 s
	Idle time.Duration // between requests; default 75 s
	// Write is how long the client may take no byte of an answer; default 30 s.
	Write time.Duration
	// BodyRate is the least average rate of a request body in bytes a second after
	// a grace of Body, counting only the time spent waiting for the client; default
	// 240, negative for none.
	BodyRate int64
	// Drain is how long after Shutdown a connection that was in use a moment ago
	// may still send a request (it is answered with "Connection: close"); default 1 s.
	Drain time.Duration
}

// Rejection describes a request that was refused before any handler saw it.
type Rejection struct {
	Remote netip.AddrPort
	Status int    // what it is answered; 0 when the connection is cut without an answer
	Reason string // stable reason code, such as ReasonAmbiguous
	Detail string // what is wrong, for logs; holds nothing that the client sent
}

// ServerConfig configures a Server. Handler is required.
type ServerConfig struct {
	Handler Handler
	// Handoff takes over a connection whose next request is not for this lane: it
	// asks for an Upgrade, Expect, or trailers, or is the HTTP/2 preface. The head has
	// passed the strict parser. The connection is a *HandedConn, which yields the
	// bytes of that request first. The receiver owns it: it must answer at most this one
	// HTTP/1.1 request, and wait for it when the process drains. Handoff
	// should pass the connection on and return: Shutdown waits for the call, and for
	// nothing after it. nil: such requests are answered 501.
	Handoff func(net.Conn)
	// Reject renders the answer to a refused request: further fields and a body.
	// nil means an empty body. It must not block.
	Reject func(r *Rejection) (fields []Field, body []byte)
	// OnReject is told of each refused request, for metrics and logs; may be nil.
	OnReject func(r *Rejection)
	// OnPanic is told of a panic of the handler, whose connection is then cut; nil
	// means that the panic goes on.
	OnPanic func(value any, stack []byte)
	// OnAcceptError is told why a connection could not be accepted; may be nil.
	OnAcceptError func(err error)

	Limits   Limits
	Timeouts Timeouts
	MaxConns int              // connections open at once, 0 = no limit; further ones wait in the listener's queue
	Now      func() time.Time // default time.Now; must advance with real time
}

// Server is the strict HTTP/1.1 lane. Create it with NewServer.
type Server struct {
	cfg      ServerConfig
	sessions sync.Pool // *session: what a connection needs while a request is on it
	copies   sync.Pool // *[]byte of copySize
	pipes    pipePool
	date     atomic.Pointer[dateLine]
	closing  atomic.Bool
	slots    chan struct{} // one for each connection that may be open; nil = no limit

	mu        sync.Mutex
	listeners map[net.Listener]struct{}
	conns     map[*serverConn]struct{}
	closed    chan struct{} // closed when the server begins to close
	running   sync.WaitGroup
}

// NewServer returns a server that serves nothing yet.
func NewServer(cfg ServerConfig) *Server {
	cfg.Limits = cfg.Limits.orElse(32<<10, 100)
	cfg.Timeouts = cfg.Timeouts.orElse()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, closed: make(chan struct{}),
		listeners: map[net.Listener]struct{}{}, conns: map[*serverConn]struct{}{},
	}
	if cfg.MaxConns > 0 {
		s.slots = make(chan struct{}, cfg.MaxConns)
	}
	s.sessions.New = func() any { return newSession(s) }
	s.copies.New = func() any { b := make([]byte, copySize); return &b }
	return s
}

func (l Limits) orElse(head, fields int) Limits {
	if l.HeadBytes <= 0 {
		l.HeadBytes = head
	}
	if l.Fields <= 0 {
		l.Fields = fields
	}
	if l.TargetBytes <= 0 {
		l.TargetBytes = 8 << 10
	}
	return l
}

func (t Timeouts) orElse() Timeouts {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Head, 10 * time.Second},
		{&t.Body, 30 * time.Second},
		{&t.Idle, 75 * time.Second},
		{&t.Write, 30 * time.Second},
		{&t.Drain, time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if t.BodyRate == 0 {
		t.BodyRate = 240
	}
	t.BodyRate = max(0, t.BodyRate)
	return t
}

// Serve accepts connections on ln until Shutdown or Close, and then returns
// ErrServerClosed. It closes ln. It may be called for several listeners.
func (s *Server) Serve(ln net.Listener) error {
	defer func() { _ = ln.Close() }()
	if !s.listen(ln) {
		return ErrServerClosed
	}
	defer s.unlisten(ln)
	delay := time.Duration(0)
	for {
		if !s.takeSlot() {
			return ErrServerClosed
		}
		nc, err := ln.Accept()
		if err == nil {
			delay = 0
			if c := s.open(nc); c != nil {
				go c.serve()
			}
			continue
		}
		s.freeSlot()
		if s.closing.Load() {
			return ErrServerClosed
		}
		if delay = backoff(err, delay); delay < 0 {
			return fmt.Errorf("accept on %s: %w", ln.Addr(), err)
		}
		if s.cfg.OnAcceptError != nil {
			s.cfg.OnAcceptError(err)
		}
		if !s.pause(delay) {
			return ErrServerClosed
		}
	}
}

// backoff returns how long to wait before accepting again after err: not at all
// when only that connection failed, longer and longer when the process or the machine is out of
// something, negative when the listener itself is broken.
func backoff(err error, last time.Duration) time.Duration {
	switch {
	case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.ECONNRESET):
		return 0
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM), isTimeout(err):
		return min(max(2*last, 5*time.Millisecond), time.Second)
	}
	return -1
}

func (s *Server) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.closed:
		return false
	}
}

func (s *Server) takeSlot() bool {
	if s.slots == nil {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	case <-s.closed:
		return false
	}
}

func (s *Server) freeSlot() {
	if s.slots != nil {
		<-s.slots
	}
}

func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.running.Add(1)
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) unlisten(ln net.Listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.mu.Unlock()
	s.running.Done()
}

// ServeConn serves one connection until it ends, is handed over, or the server
// shuts down. A *tls.Conn must have finished its handshake.
func (s *Server) ServeConn(nc net.Conn) {
	if serve := s.Admit(nc); serve != nil {
		serve()
	}
}

// Admit takes a connection into the books, so that Shutdown waits for it, and
// returns the function that serves it, as ServeConn does. When the server closes, the
// connection is closed and nil returned.
func (s *Server) Admit(nc net.Conn) (serve func()) {
	if !s.takeSlot() {
		_ = nc.Close()
		return nil
	}
	c := s.open(nc)
	if c == nil {
		return nil
	}
	return c.serve
}

// open takes a connection into the books. While the server closes, one that was
// still in the listener's queue is served once.
func (s *Server) open(nc net.Conn) *serverConn {
	c := newServerConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() && len(s.listeners) == 0 {
		_ = nc.Close()
		s.freeSlot()
		return nil
	}
	s.running.Add(1)
	s.conns[c] = struct{}{}
	return c
}

// forget takes a connection off the books, leave its goroutine.
func (s *Server) forget(c *serverConn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

func (s *Server) leave() {
	s.freeSlot()
	s.running.Done()
}

// Conns returns the number of connections open on this lane.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

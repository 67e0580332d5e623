package wire

import (
	"context"
	"errors"
	"net"
	"net/netip"
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
	// passed the strict parser. Reading from the connection yields the bytes of that
	// request first. The receiver must answer at most this one HTTP/1.1 request and
	// must wait for the connection when the process drains. It may block: it is
	// called on the goroutine of the connection. nil: such requests are answered 501.
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
type Server struct{ cfg ServerConfig }

// NewServer returns a server that serves nothing yet.
func NewServer(cfg ServerConfig) *Server { return &Server{cfg: cfg} }

// Serve accepts connections on ln until Shutdown or Close, and then returns
// ErrServerClosed. It closes ln. It may be called for several listeners.
func (s *Server) Serve(ln net.Listener) error { return errors.ErrUnsupported }

// ServeConn serves one connection until it ends, is handed over, or the server
// shuts down. A *tls.Conn must have finished its handshake.
func (s *Server) ServeConn(nc net.Conn) {}

// Shutdown stops accepting, closes idle connections, lets requests that run
// finish (their answers say "Connection: close"), and waits for all of it. When
// ctx ends first, what is left is cut and ctx's error returned. Connections that
// were handed over are not its business.
func (s *Server) Shutdown(ctx context.Context) error { return errors.ErrUnsupported }

// Close cuts every connection and waits for their goroutines.
func (s *Server) Close() error { return errors.ErrUnsupported }

// Conns returns the number of connections open on this lane.
func (s *Server) Conns() int { return 0 }

package app

import (
	"cmp"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// Bounds of a request on the listeners that net/http serves. Handlers bound what they
// read themselves, by less: mostSent is for those that read nothing.
const (
	mostHead = 32 << 10 // bytes; net/http takes up to 4 KiB more
	mostSent = 32 << 20 // bytes of a body
)

// serveHTTP serves the handler on the listener, within bounds: HTTP/1.1 alone, with TLS
// when conf is not nil. Strangers reach the identity listener, so that whoever is slow,
// sends too much or holds connections is ended, and others are served meanwhile.
func (a *App) serveHTTP(lane telemetry.Lane, ln net.Listener, conf *tls.Config, h http.Handler) {
	patience := a.config.Patience
	ln = pacedListener{ln, cmp.Or(patience.Write, 30*time.Second)}
	if conf != nil {
		ln = tls.NewListener(ln, conf)
	}
	var one http.Protocols
	one.SetHTTP1(true)
	crowd := &crowd{
		most: cmp.Or(a.config.Connections, a.settings.Limits.EdgeConnections), waits: map[net.Conn]*list.Element{},
		lane: lane, metrics: a.metrics,
	}
	s := &http.Server{
		Handler: bounded(patience, a.settings.Limits.HeaderFields, h), Protocols: &one, MaxHeaderBytes: mostHead,
		// That of heads is also for handshakes. There is none for whole requests and answers:
		// bodies have a pace, and some answers, such as that of `tail`, go on for hours.
		ReadHeaderTimeout: cmp.Or(patience.Head, 10*time.Second), IdleTimeout: cmp.Or(patience.Idle, 75*time.Second),
		ConnState: crowd.changed,
		ErrorLog:  slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
		// Long answers end with the process.
		BaseContext: func(net.Listener) context.Context { return a.ctx },
	}
	a.run(lane.String(), func() error { return s.Serve(ln) }, func(ctx context.Context) error {
		a.stop()
		if err := s.Shutdown(ctx); err != nil {
			return errors.Join(err, s.Close())
		}
		return nil
	})
}

// bounded refuses requests with too many header lines or too large a body, and has
// bodies come at the pace that t asks for, those that nobody reads as well.
func bounded(t wire.Timeouts, fields int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body *pacedBody
		if r.Body != nil && r.Body != http.NoBody {
			body = &pacedBody{ReadCloser: r.Body, control: http.NewResponseController(w), pace: wire.NewPace(t)}
			// net/http reads on, within this, when a handler answers without having read the
			// body to its end. At that end it takes the limit back: whoever waits for a long
			// answer is not ended.
			body.wait()
		}
		lines := 0
		for _, values := range r.Header {
			lines += len(values)
		}
		switch {
		case lines > fields:
			writeProblem(w, http.StatusRequestHeaderFieldsTooLarge, "too large", "the request has too many header lines")
			return
		case r.ContentLength > mostSent:
			w.Header().Set("Connection", "close")
			writeProblem(w, http.StatusRequestEntityTooLarge, "too large", "the request body is too large")
			return
		case body != nil:
			// A copy: net/http still has to know its own body, to see what is left of it.
			r = r.WithContext(r.Context())
			r.Body = http.MaxBytesReader(w, body, mostSent)
		}
		next.ServeHTTP(w, r)
	})
}

// pacedBody is a request body whose sender may be slow to some degree.
type pacedBody struct {
	io.ReadCloser
	control *http.ResponseController
	pace    wire.Pace
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	b.wait()
	began := time.Now()
	n, err := b.ReadCloser.Read(p)
	b.pace.Took(time.Since(began), n)
	return n, err
}

// wait sets how long the client may take from now.
func (b *pacedBody) wait() {
	_ = b.control.SetReadDeadline(time.Now().Add(b.pace.Patience())) // the connection may be gone
}

// pacedListener has clients take their answers: its connections fail when one takes no
// part of them for as long as patience.
type pacedListener struct {
	net.Listener
	patience time.Duration
}

// Accept implements net.Listener.
func (l pacedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &pacedConn{Conn: nc, patience: l.patience}, nil
}

// piece is what a client has to take in one time of patience, in bytes.
const piece = 16 << 10

type pacedConn struct {
	net.Conn
	patience time.Duration

	mu    sync.Mutex
	above bool // there is a deadline of whoever writes
}

// Write implements net.Conn.
func (c *pacedConn) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		c.mu.Lock()
		if !c.above {
			_ = c.Conn.SetWriteDeadline(time.Now().Add(c.patience)) // writing says it as well
		}
		c.mu.Unlock()
		m, err = c.Conn.Write(p[n:min(len(p), n+piece)])
		n += m
	}
	return n, err
}

// CloseWrite ends what is sent, and not yet what is read: net/http has a client that sends
// too much read its answer so, which a plain close could take back.
func (c *pacedConn) CloseWrite() error {
	if nc, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return nc.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SetWriteDeadline implements net.Conn. A deadline counts in place of the patience.
func (c *pacedConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.above = !t.IsZero()
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *pacedConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// crowd bounds the connections of a server. For one too many, that one is closed which
// has had no request under way for longest: who holds connections loses them, and who
// sends a request at once is served.
type crowd struct {
	most    int
	lane    telemetry.Lane
	metrics *telemetry.Metrics

	mu    sync.Mutex
	waits map[net.Conn]*list.Element // every connection; nil: it has a request under way
	queue list.List                  // of net.Conn, those without one, the oldest first
}

// changed is the server's ConnState.
func (c *crowd) changed(nc net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, known := c.waits[nc]
	if !known && state != http.StateNew {
		return // closed here
	}
	if at != nil {
		c.queue.Remove(at)
	}
	if !known {
		c.metrics.ConnectionOpened(c.lane)
	}
	switch state {
	case http.StateNew, http.StateIdle:
		c.waits[nc] = c.queue.PushBack(nc)
	case http.StateActive:
		c.waits[nc] = nil
	case http.StateClosed, http.StateHijacked:
		c.forget(nc)
	}
	for len(c.waits) > c.most && c.queue.Len() > 0 {
		oldest, _ := c.queue.Remove(c.queue.Front()).(net.Conn)
		c.forget(oldest)
		c.metrics.ConnectionGivenUp(c.lane)
		if t, ok := oldest.(*tls.Conn); ok {
			oldest = t.NetConn() // without a farewell, which might have to wait
		}
		_ = oldest.Close() // it is given up
	}
}

func (c *crowd) forget(nc net.Conn) {
	delete(c.waits, nc)
	c.metrics.ConnectionClosed(c.lane)
}

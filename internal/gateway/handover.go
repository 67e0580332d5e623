package gateway

import (
	"bytes"
	"context"
	"net"
	"sync"
)

// gate bounds the connections open at once. One that changes lanes counts twice
// for a moment.
type gate struct {
	mu    sync.Mutex
	n     int
	max   int // 0 = no limit
	freed chan struct{}
}

func (g *gate) enter() {
	g.mu.Lock()
	g.n++
	g.mu.Unlock()
}

func (g *gate) leave() {
	g.mu.Lock()
	g.n--
	g.mu.Unlock()
	select {
	case g.freed <- struct{}{}:
	default:
	}
}

// wait returns when one more connection may be open, or false when ctx ends before.
func (g *gate) wait(ctx context.Context) bool {
	for {
		g.mu.Lock()
		room := g.max <= 0 || g.n < g.max
		g.mu.Unlock()
		if room {
			return true
		}
		select {
		case <-g.freed:
		case <-ctx.Done():
			return false
		}
	}
}

// tlsKey is the context key of a handed-over connection's TLS state.
type tlsKey struct{}

// handover is a listener whose connections are given to it.
type handover struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give hands a connection to whoever accepts, or closes it when nobody does any more.
func (h *handover) give(c net.Conn) {
	select {
	case h.conns <- c:
	case <-h.done:
		_ = c.Close() // the server is shutting down
	}
}

func (h *handover) close() { h.once.Do(func() { close(h.done) }) }

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.close()
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return handoverAddr{} }

type handoverAddr struct{}

// Network implements net.Addr.
func (handoverAddr) Network() string { return "handover" }

// String implements net.Addr.
func (handoverAddr) String() string { return "handed over within the process" }

// handedOver reports whether a connection that the strict lane hands over begins
// with the HTTP/2 preface, and returns a connection that still yields those bytes.
func handedOver(nc net.Conn) (net.Conn, bool, error) {
	const preface = "PRI * HTTP/2.0\r\n"
	c := &peekedConn{Conn: nc}
	for len(c.head) < len(preface) {
		var b [len(preface)]byte
		n, err := nc.Read(b[:len(preface)-len(c.head)])
		c.head = append(c.head, b[:n]...)
		if !bytes.HasPrefix([]byte(preface), c.head) {
			return c, false, nil
		}
		if err != nil {
			return c, false, err
		}
	}
	return c, true, nil
}

// peekedConn is a connection of which some bytes have been read already.
type peekedConn struct {
	net.Conn
	head []byte
}

// Read implements net.Conn.
func (c *peekedConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite ends the sending direction, where the connection can do that.
func (c *peekedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

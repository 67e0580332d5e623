package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// upstreamConn is a connection to the upstream. It is used by one exchange at a
// time, on the goroutine of that exchange. What it reads into is the Response's: while
// it is unused it holds no buffer.
type upstreamConn struct {
	client    *Client
	sock      socket
	in        stream
	out       []byte
	head      answerHead
	patience  time.Duration // between Outbound's start and its Deadline; 0 = no limit
	pump      *pump         // sends a body that was not all there; nil for none
	lastAsked bool          // the answer says that this exchange is the connection's last
	used      bool          // it has served before, and is looked at before it serves again
	idleSince time.Time     // about when the answer was read
}

// dial opens a connection in the place that the caller has taken.
func (c *Client) dial(deadline time.Time) (*upstreamConn, error) {
	until := c.cfg.Now().Add(c.cfg.DialTimeout)
	if !deadline.IsZero() && deadline.Before(until) {
		until = deadline
	}
	nc, err := c.connect(until)
	if err != nil {
		c.mu.Lock()
		c.release()
		c.mu.Unlock()
		return nil, err
	}
	c.count(func(s *ClientStats) { s.Dials++ })
	u := &upstreamConn{client: c, out: make([]byte, 0, 2<<10)}
	u.sock.init(nc, c.cfg.Now)
	u.in.sock = &u.sock
	return u, nil
}

func (c *Client) connect(until time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	nc, err := c.cfg.DialContext(ctx, "tcp", c.cfg.Addr)
	if err != nil || c.cfg.TLS == nil {
		return nc, err
	}
	t := tls.Client(nc, c.cfg.TLS)
	if err := t.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return t, nil
}

// headroom is kept free before an answer, for the head that the client gets is longer by
// what is added to it, see session.join.
const headroom = 512

// lendBuffer gives the connection the memory that is the Response's, see Response.buffer.
func (u *upstreamConn) lendBuffer(resp *Response) {
	if resp.buffer == nil {
		resp.buffer = make([]byte, bufferSize)
	}
	u.in.buf = resp.buffer
	u.in.base, u.in.r, u.in.w = headroom, headroom, headroom
}

func (u *upstreamConn) giveBuffer() {
	u.in.buf = nil
	if cap(u.out) > 4*bufferSize {
		u.out = make([]byte, 0, 2<<10)
	}
}

// drop closes the connection and gives up its place.
func (u *upstreamConn) drop() {
	_ = u.sock.nc.Close()
	u.giveBuffer()
	u.client.mu.Lock()
	u.client.release()
	u.client.mu.Unlock()
}

// sending reports whether the request body is still on its way. While it is,
// it belongs to another goroutine.
func (r *Response) sending() bool {
	return r.conn != nil && r.conn.pump != nil && !r.conn.pump.done.Load()
}

// Finish ends the exchange: the connection goes back to the pool when the body
// has been read to its end and both sides keep it open, and is closed otherwise.
// It may be called more than once.
func (r *Response) Finish() {
	u := r.conn
	if u == nil {
		return
	}
	r.conn = nil
	whole := r.Body.settle()
	if u.pump != nil && !u.stopPump() {
		whole = false
	}
	// Who is interrupted at the last moment would hand that on to the next exchange.
	if !whole || u.lastAsked || len(u.in.pending()) > 0 || u.sock.stopRead.Load() {
		u.drop()
		return
	}
	if u.idleSince = r.Received; !r.short {
		u.idleSince = u.sock.now()
	}
	u.client.put(u)
}

// Hijack gives up the connection of a 101 answer: the caller owns it, and the
// bytes that have arrived behind the head. The slice is the caller's too.
func (r *Response) Hijack() (net.Conn, []byte, error) {
	u := r.conn
	if u == nil || r.Status != 101 {
		return nil, nil, errNoHijack
	}
	r.conn = nil
	_ = u.sock.nc.SetDeadline(time.Time{})
	early := append([]byte(nil), u.in.pending()...)
	u.giveBuffer()
	r.buffer = nil // a tunnel may last for long
	u.client.mu.Lock()
	u.client.release()
	u.client.mu.Unlock()
	return u.sock.nc, early, nil
}

var errNoHijack = errors.New("only the connection of a 101 answer can be taken over, and only once")

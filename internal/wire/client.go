package wire

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// ClientConfig configures a Client. Addr is required.
type ClientConfig struct {
	Addr string      // host:port of the upstream
	TLS  *tls.Config // nil for plain; cloned, NextProtos is set to http/1.1
	// DialContext opens a connection; default a net.Dialer's. The tests and the
	// guard against forbidden addresses come in here.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	DialTimeout time.Duration // for TCP and TLS together; default 5 s
	IdleTimeout time.Duration // how long a connection is kept unused; default 60 s
	BodyTimeout time.Duration // silence within the body of an answer; default 60 s, negative for none
	MaxIdle     int           // unused connections kept; default 256
	MaxConns    int           // connections open at once, 0 = no limit; further requests wait until their deadline

	Limits Limits           // of the heads of answers
	Now    func() time.Time // default time.Now; must advance with real time
}

// ClientStats counts what a client has done and holds.
type ClientStats struct {
	Open    int    // connections open, idle ones included
	Idle    int    // connections unused
	Waiting int    // round trips waiting for a connection (MaxConns)
	Dials   uint64 // connections opened so far
	Reuses  uint64 // requests sent on a connection that had served one before
	Stale   uint64 // unused connections found closed, or with bytes nobody asked for
	Retries uint64 // requests sent again on a fresh connection
}

// Client sends requests to one upstream address over pooled connections, which
// the caller's goroutine uses directly. It is safe for concurrent use.
type Client struct {
	cfg    ClientConfig
	copies sync.Pool // *[]byte of copySize
	pipes  pipePool

	mu      sync.Mutex
	idle    []*upstreamConn // the one used last is the last
	open    int
	closed  bool
	waiters []chan *upstreamConn // receives a connection, or nil for leave to open one
	reaper  *time.Timer
	reaping bool // the reaper runs; it sees by itself whether there is still anything to do
	stats   ClientStats
}

// NewClient returns a client; it opens no connection yet.
func NewClient(cfg ClientConfig) *Client {
	cfg.Limits = cfg.Limits.orElse(64<<10, 200)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.DialContext == nil {
		cfg.DialContext = (&net.Dialer{}).DialContext
	}
	if cfg.TLS != nil {
		cfg.TLS = cfg.TLS.Clone()
		cfg.TLS.NextProtos = []string{"http/1.1"}
		if cfg.TLS.ServerName == "" {
			cfg.TLS.ServerName, _, _ = net.SplitHostPort(cfg.Addr)
		}
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&cfg.DialTimeout, 5 * time.Second}, {&cfg.IdleTimeout, time.Minute}, {&cfg.BodyTimeout, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if cfg.MaxIdle <= 0 {
		cfg.MaxIdle = 256
	}
	c := &Client{cfg: cfg}
	c.copies.New = func() any { b := make([]byte, copySize); return &b }
	return c
}

// take returns a connection that is in use by nobody else, an unused one if there is one
// and fresh is false.
func (c *Client) take(deadline time.Time, fresh bool) (*upstreamConn, error) {
	u, err := c.pick(deadline, fresh)
	if u != nil || err != nil {
		return u, err
	}
	return c.dial(deadline)
}

// pick takes an idle connection, or nil and with it a place for a new one; when
// there is neither, it waits for one of the two.
func (c *Client) pick(deadline time.Time, fresh bool) (*upstreamConn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClientClosed
	}
	if n := len(c.idle); n > 0 {
		u := c.idle[n-1]
		if !fresh {
			c.idle[n-1] = nil
			c.idle = c.idle[:n-1]
			c.stats.Reuses++
			c.mu.Unlock()
			return u, nil
		}
		if c.cfg.MaxConns > 0 && c.open >= c.cfg.MaxConns { // make place by closing the oldest
			u = c.idle[0]
			c.idle = append(c.idle[:0], c.idle[1:]...)
			c.open--
			_ = u.sock.nc.Close()
		}
	}
	if c.cfg.MaxConns <= 0 || c.open < c.cfg.MaxConns {
		c.open++
		c.mu.Unlock()
		return nil, nil //nolint:nilnil // the place for a new connection
	}
	w := make(chan *upstreamConn, 1)
	c.waiters = append(c.waiters, w)
	c.mu.Unlock()
	return c.wait(w, deadline)
}

// wait waits until a connection or the place of one is passed on through w.
func (c *Client) wait(w chan *upstreamConn, deadline time.Time) (*upstreamConn, error) {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		t := time.NewTimer(deadline.Sub(c.cfg.Now()))
		defer t.Stop()
		expired = t.C
	}
	select {
	case u, ok := <-w:
		if !ok {
			return nil, ErrClientClosed
		}
		return u, nil
	case <-expired:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.waiters, w); i >= 0 {
		c.waiters = slices.Delete(c.waiters, i, i+1)
		return nil, ErrConnLimit
	}
	u, ok := <-w // it came at the last moment
	if !ok {
		return nil, ErrClientClosed
	}
	return u, nil
}

// put takes a connection back that may serve again.
func (c *Client) put(u *upstreamConn) {
	u.giveBuffer()
	u.used = true
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || len(c.idle) >= c.cfg.MaxIdle && len(c.waiters) == 0:
		c.release()
		_ = u.sock.nc.Close()
	case len(c.waiters) > 0:
		c.stats.Reuses++
		c.nextWaiter() <- u
	default:
		c.idle = append(c.idle, u)
		if c.reaping {
			return
		}
		c.reaping = true
		if c.reaper == nil {
			c.reaper = time.AfterFunc(c.cfg.IdleTimeout, c.reap)
		} else {
			c.reaper.Reset(c.cfg.IdleTimeout)
		}
	}
}

// release gives up the place of a connection that is closed; the caller holds mu.
func (c *Client) release() {
	if len(c.waiters) > 0 {
		c.nextWaiter() <- nil
		return
	}
	c.open--
}

func (c *Client) nextWaiter() chan<- *upstreamConn {
	w := c.waiters[0]
	c.waiters = slices.Delete(c.waiters, 0, 1)
	return w
}

// reap closes the connections that have been unused for too long: those at the bottom of the stack.
func (c *Client) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	n := 0
	for n < len(c.idle) && now.Sub(c.idle[n].idleSince) >= c.cfg.IdleTimeout {
		_ = c.idle[n].sock.nc.Close()
		c.release()
		n++
	}
	c.idle = slices.Delete(c.idle, 0, n)
	if c.reaping = len(c.idle) > 0 && !c.closed; c.reaping {
		c.reaper.Reset(c.cfg.IdleTimeout - now.Sub(c.idle[0].idleSince))
	}
}

func (c *Client) count(f func(*ClientStats)) {
	c.mu.Lock()
	f(&c.stats)
	c.mu.Unlock()
}

// CloseIdle closes the connections that are unused.
func (c *Client) CloseIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.idle {
		_ = u.sock.nc.Close()
		c.release()
	}
	clear(c.idle)
	c.idle = c.idle[:0]
}

// Close closes idle connections, and each other one when its exchange ends.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	for _, w := range c.waiters {
		close(w)
	}
	c.waiters = nil
	if c.reaper != nil {
		c.reaper.Stop()
	}
	c.mu.Unlock()
	c.CloseIdle()
	return nil
}

// Stats returns the counts.
func (c *Client) Stats() ClientStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Open, s.Idle, s.Waiting = c.open, len(c.idle), len(c.waiters)
	return s
}

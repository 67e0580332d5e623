package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
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
type Client struct{ cfg ClientConfig }

// NewClient returns a client; it opens no connection yet.
func NewClient(cfg ClientConfig) *Client { return &Client{cfg: cfg} }

// RoundTrip sends out and reads the head of the answer into resp, whose Fields
// slice is reused. Answers 100 to 199 but 101 are skipped. An error is always an
// *Error. After success the caller must call resp.Finish.
func (c *Client) RoundTrip(out *Outbound, resp *Response) error { return errors.ErrUnsupported }

// CloseIdle closes the connections that are unused.
func (c *Client) CloseIdle() {}

// Close closes idle connections, and each other one when its exchange ends.
func (c *Client) Close() error { return errors.ErrUnsupported }

// Stats returns the counts.
func (c *Client) Stats() ClientStats { return ClientStats{} }

// Finish ends the exchange: the connection goes back to the pool when the body
// has been read to its end and both sides keep it open, and is closed otherwise.
// It may be called more than once.
func (r *Response) Finish() {}

// Hijack gives up the connection of a 101 answer: the caller owns it, and the
// bytes that have arrived behind the head. The slice is the caller's too.
func (r *Response) Hijack() (net.Conn, []byte, error) { return nil, nil, errors.ErrUnsupported }

type upstreamConn struct{}

//go:build unix

package wire

import (
	"io"
	"net"
	"syscall"
	"time"
)

// sysConn reaches the descriptor of a TCP connection, below TLS if there is any.
type sysConn struct {
	raw syscall.RawConn

	// The callbacks are made once, so that using them allocates nothing.
	peekFn func(fd uintptr)
	readFn func(fd uintptr) bool
	// What they work on and leave behind.
	from lender
	one  [1]byte
	n    int
	err  error
}

func (c *sysConn) init(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = t.NetConn()
	}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	c.raw, c.peekFn, c.readFn = raw, c.peekFD, c.readFD
}

// quiet reports whether the connection is open and nothing has arrived on it.
func (s *socket) quiet() bool {
	c := &s.sys
	if c.raw == nil {
		return true
	}
	if err := c.raw.Control(c.peekFn); err != nil {
		return false
	}
	return c.err == syscall.EAGAIN
}

// gone reports whether the connection has ended or broken, as far as can be
// seen without reading.
func (s *socket) gone() bool {
	return s.sys.raw != nil && !s.quiet() && s.sys.n <= 0
}

func (c *sysConn) peekFD(fd uintptr) {
	for {
		c.n, c.err = sysPeek(int(fd), c.one[:])
		if c.err != syscall.EINTR {
			return
		}
	}
}

// readLent waits until there is something to read and borrows a buffer only
// then, so that a connection that is idle holds none. It returns a timeout as
// soon as any deadline passes; the caller knows whether it was meant.
func (s *socket) readLent(from lender, until time.Time) (int, error) {
	c := &s.sys
	if s.tcp == nil || c.raw == nil {
		return s.readLentPortable(from, until)
	}
	s.armRead(until)
	c.from = from
	err := c.raw.Read(c.readFn)
	c.from = nil
	if err == nil {
		err = c.err
	}
	if err != nil {
		return 0, err
	}
	return c.n, nil
}

func (c *sysConn) readFD(fd uintptr) bool {
	p := c.from.lend()
	for {
		n, err := sysRead(int(fd), p)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			c.from.takeBack()
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		c.n, c.err = n, err
		return true
	}
}

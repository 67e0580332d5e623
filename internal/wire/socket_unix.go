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
	peekFn          func(fd uintptr)
	readFn, writeFn func(fd uintptr) bool
	// What they work on and leave behind. Reading and writing may go on at the
	// same time.
	from    lender // where to get the buffer to read into, when it is not readTo
	readTo  []byte
	n       int
	err     error
	into    int // read: the pipe to splice into, when it is not 0
	most    int
	toWrite []byte
	outOf   int // write: the pipe to splice out of, when it is not 0
	toSend  int
	sent    int
	sendErr error
	one     [1]byte

	peekErr error

	watched watched
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
	c.raw, c.peekFn, c.readFn, c.writeFn = raw, c.peekFD, c.readFD, c.writeFD
	c.watched.askFn, c.watched.attendFn = c.askFD, c.watched.attendFD
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
	return c.peekErr == syscall.EAGAIN //nolint:errorlint // a plain errno
}

// gone reports whether the other side has closed the connection and nothing of it
// is left to read. It may be called while another goroutine uses the connection.
func (s *socket) gone() bool {
	c := &s.sys
	if c.raw == nil {
		return false
	}
	var one [1]byte
	var n int
	var err error
	if c.raw.Control(func(fd uintptr) { n, err = sysPeek(int(fd), one[:]) }) != nil {
		return true // closed on this side
	}
	return n == 0 && err == nil || err != nil && err != syscall.EAGAIN && err != syscall.EINTR //nolint:errorlint // plain errnos
}

func (c *sysConn) peekFD(fd uintptr) {
	for {
		_, c.peekErr = sysPeek(int(fd), c.one[:])
		if c.peekErr != syscall.EINTR { //nolint:errorlint // a plain errno
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
	n, err := c.rawRead()
	c.from = nil
	return n, err
}

// rawRead runs readFn until it has something, or the deadline passes.
func (c *sysConn) rawRead() (int, error) {
	c.n, c.err = 0, nil
	if err := c.raw.Read(c.readFn); err != nil {
		return 0, err
	}
	return c.n, c.err
}

// readSome reads into p what there is, waiting for it until the armed deadline.
func (s *socket) readSome(p []byte) (int, error) {
	c := &s.sys
	if s.tcp == nil || c.raw == nil {
		return s.nc.Read(p)
	}
	c.readTo = p
	n, err := c.rawRead()
	c.readTo = nil
	return n, err
}

func (c *sysConn) readFD(fd uintptr) bool {
	p := c.readTo
	if c.from != nil {
		p = c.from.lend()
	}
	for {
		n, err := c.readOnce(int(fd), p)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // a plain errno
			continue
		case err == syscall.EAGAIN: //nolint:errorlint // a plain errno
			if c.from != nil {
				c.from.takeBack()
			}
			return false
		case err == nil && n == 0:
			err = io.EOF
		}
		c.n, c.err = max(n, 0), err
		return true
	}
}

func (c *sysConn) readOnce(fd int, p []byte) (int, error) {
	if c.into != 0 {
		return sysSplice(fd, c.into, c.most)
	}
	return sysRead(fd, p)
}

// writeSome sends p, or else n bytes out of the pipe, waiting for room until the
// armed deadline; it returns how much was sent.
func (s *socket) writeSome(p []byte, from *pipe, n int) (int, error) {
	c := &s.sys
	if s.tcp == nil || c.raw == nil {
		return s.nc.Write(p)
	}
	c.toWrite, c.outOf, c.toSend, c.sent, c.sendErr = p, 0, n, 0, nil
	if from != nil {
		c.outOf = from.r
	}
	err := c.raw.Write(c.writeFn)
	c.toWrite = nil
	if err == nil {
		err = c.sendErr
	}
	return c.sent, err
}

func (c *sysConn) writeOnce(fd int) (int, error) {
	if c.outOf != 0 {
		return sysSplice(c.outOf, fd, c.toSend-c.sent)
	}
	return sysWrite(fd, c.toWrite[c.sent:])
}

func (c *sysConn) writeFD(fd uintptr) bool {
	for c.sent < c.toSend {
		n, err := c.writeOnce(int(fd))
		switch {
		case err == syscall.EINTR: //nolint:errorlint // a plain errno
		case err == syscall.EAGAIN: //nolint:errorlint // a plain errno
			return false
		case err != nil:
			c.sendErr = err
			return true
		default:
			c.sent += n
		}
	}
	return true
}

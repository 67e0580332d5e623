//go:build unix

package wire

import (
	"io"
	"syscall"
	"time"
)

// The runtime's poller tells of what arrives on a descriptor once. Whoever has asked it
// to watch before he writes need not read to find out that nothing is there yet: he
// waits, and is woken by the answer. So an exchange costs two reads, one of the
// request and one of its answer, and neither is in vain.
//
// A RawConn watches for as long as one call of its Read lasts, and the descriptor is
// ours during its callback.

// watched is what goes on while the poller watches.
type watched struct {
	askFn, attendFn func(fd uintptr) bool // made once, as in sysConn

	look  bool        // ask: first see whether the connection is quiet
	asked bool        // ask: the bytes are sent, now the answer is waited for
	turn  func() bool // attend: what is done with what arrives
	fd    int         // attend: the descriptor while turn runs, else 0
}

// watchable reports whether ask and attend work on this connection.
func (s *socket) watchable() bool { return s.tcp != nil && s.sys.raw != nil }

// ask writes p, waits for the first bytes of what comes back, and reads them into
// buf. When the connection does not take all of p at once, ask returns how
// much was sent and waits for nothing. Any deadline that passes ends the wait without
// an error, with got 0; the caller knows whether it was meant. With look, nothing is
// written and writeErr is errStale when the connection is closed or something has
// arrived on it.
func (s *socket) ask(p, buf []byte, look bool, until time.Time) (sent, got int, writeErr, readErr error) {
	c := &s.sys
	s.armRead(until)
	c.watched.look, c.watched.asked = look, false
	c.toWrite, c.sent, c.sendErr = p, 0, nil
	c.readTo, c.n, c.err = buf, 0, nil
	readErr = c.raw.Read(c.watched.askFn)
	c.toWrite, c.readTo = nil, nil
	switch {
	case c.sendErr != nil:
		return c.sent, 0, c.sendErr, nil
	case readErr == nil:
		readErr = c.err
	case isTimeout(readErr):
		s.readBy, readErr = time.Time{}, nil
	}
	return c.sent, c.n, nil, readErr
}

func (c *sysConn) askFD(fd uintptr) bool {
	if c.watched.asked {
		return c.readFD(fd)
	}
	if c.watched.look {
		if c.peekFD(fd); c.peekErr != syscall.EAGAIN { //nolint:errorlint // a plain errno
			c.sendErr = errStale
			return true
		}
	}
	c.watched.asked = true
	for {
		n, err := sysWrite(int(fd), c.toWrite)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // a plain errno
			continue
		case err == syscall.EAGAIN: //nolint:errorlint // a plain errno
			return true
		case err != nil:
			c.sendErr = err
			return true
		}
		c.sent = n
		return n < len(c.toWrite)
	}
}

// attend calls turn, at once and then whenever something has arrived, until it
// returns true or a deadline passes, which is the error. What arrives during a turn
// brings about the next. A turn takes all there is, or returns true. It may
// write, but neither read by other means than take, nor close the connection.
func (s *socket) attend(turn func() bool, until time.Time) error {
	w := &s.sys.watched
	s.armRead(until)
	w.turn = turn
	err := s.sys.raw.Read(w.attendFn)
	w.turn, w.fd = nil, 0
	return err
}

func (w *watched) attendFD(fd uintptr) bool {
	w.fd = int(fd)
	done := w.turn()
	w.fd = 0
	return done
}

// take reads into p what has arrived, within a turn: 0 and no error when nothing has.
func (s *socket) take(p []byte) (int, error) {
	for {
		n, err := sysRead(s.sys.watched.fd, p)
		switch {
		case err == nil && n == 0:
			return 0, io.EOF
		case err == nil:
			return n, nil
		case err == syscall.EAGAIN: //nolint:errorlint // a plain errno
			return 0, nil
		case err != syscall.EINTR: //nolint:errorlint // a plain errno
			return 0, err
		}
	}
}

// give writes as much of p as the connection takes at once, within a turn, and
// returns how much that was; outside of a turn it is nothing. What went wrong
// shows at the next write.
func (s *socket) give(p []byte) int {
	if s.sys.watched.fd == 0 {
		return 0
	}
	n, _ := sysWrite(s.sys.watched.fd, p)
	return max(n, 0)
}

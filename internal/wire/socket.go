package wire

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// socket is a connection with time limits that cost nothing while they are kept.
//
// Arming a deadline takes a lock and a timer in the runtime. So an armed one is
// left alone as long as it is not later than the one that is wanted; when it fires too
// early, reading goes on under a new one. On a busy connection that happens once in
// as many seconds as the limit is long.
type socket struct {
	nc  net.Conn
	tcp *net.TCPConn // nc when it is plain TCP, else nil
	now func() time.Time
	sys sysConn

	readBy  time.Time // what is armed; zero when unknown or none
	writeBy time.Time

	// Set by another goroutine before it makes the deadline pass, so that what
	// blocks here ends with ErrInterrupted.
	stopRead, stopWrite atomic.Bool
}

// longAgo is a deadline that has passed.
func longAgo() time.Time { return time.Unix(1, 0) }

func (s *socket) init(nc net.Conn, now func() time.Time) {
	s.nc, s.now = nc, now
	if tcp, ok := nc.(*net.TCPConn); ok {
		s.tcp = tcp
	}
	s.sys.init(nc)
}

// plain reports whether bytes on the connection are the peer's own, so that the
// kernel may move them.
func (s *socket) plain() bool { return s.tcp != nil }

// armRead sees to it that a read ends at until, or earlier; zero is never.
func (s *socket) armRead(until time.Time) {
	if s.readBy.IsZero() || !until.IsZero() && until.Before(s.readBy) {
		_ = s.nc.SetReadDeadline(until) // a closed connection fails at the read itself
		s.readBy = until
	}
}

// read reads what is there, waiting for it until the given time; zero is for ever.
func (s *socket) read(p []byte, until time.Time) (int, error) {
	for {
		s.armRead(until)
		if s.stopRead.Load() {
			return 0, ErrInterrupted
		}
		n, err := s.readSome(p)
		if n > 0 || err == nil {
			return n, nil
		}
		if !isTimeout(err) {
			return 0, err
		}
		s.readBy = time.Time{}
		if s.stopRead.Load() {
			return 0, ErrInterrupted
		}
		if !until.IsZero() && !s.now().Before(until) {
			return 0, err
		}
	}
}

// write sends all of p. The peer may take nothing for as long as patience, and
// at most twice that.
func (s *socket) write(p []byte, patience time.Duration) (int, error) {
	if s.tcp == nil { // a TLS connection is broken by a deadline that passes
		_ = s.nc.SetWriteDeadline(s.now().Add(patience))
		if s.stopWrite.Load() {
			return 0, ErrInterrupted
		}
		n, err := s.nc.Write(p)
		if err != nil && isTimeout(err) {
			err = s.writeStopped()
		}
		return n, err
	}
	if s.stopWrite.Load() {
		return 0, ErrInterrupted
	}
	sent := s.give(p)
	if sent == len(p) {
		return sent, nil
	}
	n, err := s.push(p[sent:], nil, len(p)-sent, patience)
	return sent + n, err
}

// push sends p, or else n bytes out of the pipe, on a plain connection.
func (s *socket) push(p []byte, from *pipe, n int, patience time.Duration) (int, error) {
	sent, stalled := 0, false
	for {
		if s.writeBy.IsZero() {
			s.writeBy = s.now().Add(patience)
			_ = s.tcp.SetWriteDeadline(s.writeBy)
		}
		if s.stopWrite.Load() {
			return sent, ErrInterrupted
		}
		k, err := s.writeSome(p[min(sent, len(p)):], from, n-sent)
		sent += k
		if err == nil || !isTimeout(err) {
			return sent, err
		}
		s.writeBy = time.Time{}
		if s.stopWrite.Load() || stalled && k == 0 {
			return sent, s.writeStopped()
		}
		stalled = true
	}
}

func (s *socket) writeStopped() error {
	if s.stopWrite.Load() {
		return ErrInterrupted
	}
	return ErrWriteTimeout
}

// interruptRead makes a read that blocks on another goroutine, and each one
// after it, end with ErrInterrupted.
func (s *socket) interruptRead() {
	s.stopRead.Store(true)
	_ = s.nc.SetReadDeadline(longAgo())
}

// interruptWrite is interruptRead for writes.
func (s *socket) interruptWrite() {
	s.stopWrite.Store(true)
	_ = s.nc.SetWriteDeadline(longAgo())
}

// resume takes interruptions back, when nobody else reads or writes any more.
func (s *socket) resume() {
	s.stopRead.Store(false)
	s.stopWrite.Store(false)
	s.forgetDeadlines()
}

// forgetDeadlines makes the next read and write arm theirs anew.
func (s *socket) forgetDeadlines() {
	s.readBy, s.writeBy = time.Time{}, time.Time{}
}

// reset closes the connection so that the peer cannot take what it got for a
// whole message.
func (s *socket) reset() {
	if s.tcp != nil {
		_ = s.tcp.SetLinger(0)
	}
	_ = s.nc.Close()
}

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

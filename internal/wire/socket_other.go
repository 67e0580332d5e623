//go:build !unix

package wire

import (
	"errors"
	"net"
	"time"
)

// sysConn has nothing to offer where descriptors cannot be reached.
type sysConn struct{}

func (*sysConn) init(net.Conn) {}

// quiet cannot look; a connection that has died shows it at the first use.
func (*socket) quiet() bool { return true }

// gone cannot look either: silence is bounded by the time limit of the body.
func (*socket) gone() bool { return false }

func (s *socket) readSome(p []byte) (int, error) { return s.nc.Read(p) }

func (s *socket) writeSome(p []byte, _ *pipe, _ int) (int, error) { return s.nc.Write(p) }

func (s *socket) readLent(from lender, until time.Time) (int, error) {
	return s.readLentPortable(from, until)
}

func (*socket) watchable() bool { return false }

func (*socket) ask(_, _ []byte, _ bool, _ time.Time) (sent, got int, writeErr, readErr error) {
	return 0, 0, errors.ErrUnsupported, nil
}

func (*socket) attend(func() bool, time.Time) error { return errors.ErrUnsupported }

func (*socket) take([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (*socket) give([]byte) int { return 0 }

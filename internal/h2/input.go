package h2

import (
	"errors"
	"net"
	"sync/atomic"
	"time"
)

const (
	// inputSize is what is read at once while frames are small: a connection keeps
	// it also when nothing comes.
	inputSize = 1 << 10
	// tick is how often a silent connection is looked at.
	tick = 15 * time.Second

	lingerTime  = time.Second
	lingerBytes = 512 << 10
)

// input reads the connection. A time limit that passes is no error as long as the
// connection is to go on: a frame that has come in part stays whole.
type input struct {
	c       *conn
	buf     []byte
	r, w    int
	frames  boundaries
	armed   time.Time // when the deadline passes
	stopped atomic.Bool
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	for in.r == in.w {
		if len(p) >= len(in.buf) {
			n, err := in.receive(p)
			if n == 0 && err == nil {
				continue
			}
			if broke := in.frames.pass(p[:n]); broke != nil {
				return 0, broke
			}
			return n, err
		}
		n, err := in.receive(in.buf)
		if err != nil {
			return 0, err
		}
		in.r, in.w = 0, n
	}
	n := copy(p, in.buf[in.r:in.w])
	in.r += n
	if err := in.frames.pass(p[:n]); err != nil {
		return 0, err
	}
	return n, nil
}

// receive reads once, and returns nothing when it was time to look at the connection.
func (in *input) receive(p []byte) (int, error) {
	now := in.c.srv.cfg.Now()
	if !now.Before(in.armed) {
		in.armed = now.Add(min(tick, in.c.srv.cfg.Timeouts.Idle))
		_ = in.c.nc.SetReadDeadline(in.armed) // a closed connection fails at the read itself
		in.c.mu.Lock()
		err := in.c.err // whoever has set it has made a deadline pass that is gone now
		in.c.mu.Unlock()
		if err != nil {
			return 0, err
		}
		if in.stopped.Load() {
			return 0, errDone
		}
	}
	n, err := in.c.nc.Read(p)
	now = in.c.srv.cfg.Now()
	if n > 0 {
		in.c.mu.Lock()
		in.c.heard = now
		in.c.mu.Unlock()
		return n, nil
	}
	var t net.Error
	if errors.As(err, &t) && t.Timeout() {
		in.armed = time.Time{}
		return 0, in.c.silence(now)
	}
	return 0, err
}

// stop makes a read that waits return.
func (in *input) stop() {
	in.stopped.Store(true)
	_ = in.c.nc.SetReadDeadline(time.Unix(1, 0)) // it may be closed already
}

// linger lets the client read why the connection ends: closing with unread bytes
// would reset it and take the word back.
func (in *input) linger() {
	w, ok := in.c.nc.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil {
		return
	}
	_ = in.c.nc.SetReadDeadline(in.c.srv.cfg.Now().Add(lingerTime)) // as above
	for total := 0; total < lingerBytes; {
		n, err := in.c.nc.Read(in.buf)
		if err != nil {
			return
		}
		total += n
	}
}

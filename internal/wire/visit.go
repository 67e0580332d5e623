package wire

import (
	"os"
	"time"
)

// glance is how long a connection may be quiet after requests were answered in one
// visit before it is looked at: a client that has closed its side together with its
// request has told so only once.
const glance = time.Second

// visit is how a connection waits for requests and answers the ordinary ones:
// those that arrive whole are answered without leaving the poller's watch, see
// socket.attend. For any other the visit ends.
type visit struct {
	turn     func() bool // serverConn.turn, made once
	ended    error       // why the visit has ended with nothing to do
	answered bool        // the request that is here has been answered; the rest cannot be done within the visit
	unseen   bool        // requests have been answered since the connection was last found quiet
}

// arrive waits for a request until the given time.
func (c *serverConn) arrive(until time.Time) error {
	if !c.sock.watchable() {
		n, err := c.sock.readLent(c, until)
		if err == nil {
			c.sess.in.w += n
		}
		return err
	}
	c.visit.ended = nil
	if err := c.sock.attend(c.visit.turn, until); err != nil {
		return err
	}
	return c.visit.ended
}

// turn reads what has arrived and answers the requests that are whole. It
// reports whether there is more to do than that.
func (c *serverConn) turn() bool {
	for {
		p := c.lend()
		n, err := c.sock.take(p)
		c.sess.in.w += n
		switch {
		case err != nil:
			c.visit.ended = err
			return true
		case n == 0:
			c.takeBack()
			c.visit.unseen = false
			return false
		case !c.served || !c.sess.whole():
			return true
		}
		c.answer()
		if !c.sess.clean() {
			c.visit.answered = true
			return true
		}
		if n < len(p) { // that was all, and what comes from now on brings about the next turn
			c.takeBack()
			return c.leaveUnseen()
		}
	}
}

// leaveUnseen sees to it that the connection is looked at when it is quiet for long, and
// reports whether the visit has to end.
func (c *serverConn) leaveUnseen() bool {
	if c.visit.unseen {
		return false
	}
	c.visit.unseen = true
	c.sock.armRead(c.srv.cfg.Now().Add(min(glance, c.srv.cfg.Timeouts.Idle)))
	if !c.srv.closing.Load() { // Shutdown may have passed by meanwhile
		return false
	}
	c.visit.ended = os.ErrDeadlineExceeded
	return true
}

// whole parses a request that has arrived with all of its body and is for this
// lane. When it reports false, exchange looks at the same bytes again.
func (s *session) whole() bool {
	here := s.in.pending()
	n, err := headEnd(here, 0)
	if err != nil || n <= 0 || n > s.srv.cfg.Limits.HeadBytes || s.begin(here[:n]) != nil {
		return false
	}
	f := &s.framing
	if f.chunked || f.length > int64(len(here)-n) || elsewhere(&s.req, f) {
		return false
	}
	s.in.keepHead(n)
	return true
}

// clean reports whether the exchange has been answered and leaves nothing to do or to
// read, and then makes place for the next.
func (s *session) clean() bool {
	if !s.answered || s.close || s.broken || !s.req.Body.settle() || len(s.in.pending()) > 0 {
		return false
	}
	s.in.base = 0
	return true
}

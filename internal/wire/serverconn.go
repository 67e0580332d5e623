package wire

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"
)

// serverConn is a client's connection. It is small: what a request needs is in a
// session, which it holds only while there is one.
type serverConn struct {
	srv      *Server
	sock     socket
	sess     *session
	remote   netip.AddrPort
	local    netip.AddrPort
	tls      *tls.ConnectionState
	lastUsed time.Time
	served   bool // at least one request was answered
	handed   bool // somebody else owns the connection now
	visit    visit
}

func newServerConn(s *Server, nc net.Conn) *serverConn {
	c := &serverConn{srv: s, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr()), lastUsed: s.cfg.Now()}
	if t, ok := nc.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := t.ConnectionState()
		c.tls = &state
	}
	c.sock.init(nc, s.cfg.Now)
	c.visit.turn = c.turn
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// serve answers requests until the connection ends.
func (c *serverConn) serve() {
	defer c.end()
	for c.await() {
		if !c.proceed() {
			return
		}
	}
}

// proceed does what there is to do after await, and reports whether the connection goes on.
func (c *serverConn) proceed() bool {
	if !c.visit.answered {
		return c.exchange()
	}
	c.visit.answered = false
	return c.finish()
}

// end closes the connection, when it is still ours, and takes it off the books.
func (c *serverConn) end() {
	if v := recover(); v != nil {
		c.sock.reset()
		if c.srv.cfg.OnPanic == nil {
			c.srv.forget(c)
			c.srv.leave()
			panic(v)
		}
		c.srv.cfg.OnPanic(v, debug.Stack())
		c.sess = nil // whoever panicked may still hold parts of it
	}
	if c.handed {
		c.srv.leave()
		return
	}
	_ = c.sock.nc.Close()
	c.takeBack()
	c.srv.forget(c)
	c.srv.leave()
}

// lend gives the connection a session, and returns its buffer: see socket.readLent.
func (c *serverConn) lend() []byte {
	if c.sess == nil {
		c.sess = c.srv.sessions.Get().(*session) //nolint:errcheck,forcetypeassert // the pool holds nothing else
		c.sess.attach(c)
	}
	return c.sess.in.room()
}

// takeBack returns the session to the pool.
func (c *serverConn) takeBack() {
	if s := c.sess; s != nil {
		c.sess = nil
		s.detach()
		c.srv.sessions.Put(s)
	}
}

// await returns when the first bytes of a request are in the session's buffer, or
// when one has been answered and the rest is for proceed. It reports false when the
// connection is to end.
func (c *serverConn) await() bool {
	if c.sess != nil && len(c.sess.in.pending()) > 0 {
		return true // pipelined
	}
	limits := &c.srv.cfg.Timeouts
	since, late := c.lastUsed, false
	for {
		until := since.Add(limits.Idle)
		closing := c.srv.closing.Load()
		if closing {
			until = since.Add(limits.Drain)
		}
		c.sock.armRead(until)
		if !closing && c.srv.closing.Load() {
			continue // Shutdown may have passed by between the two lines above
		}
		err := c.arrive(until)
		if err == nil {
			return true
		}
		c.sock.readBy = time.Time{}
		if !isTimeout(err) {
			return false
		}
		now := c.srv.cfg.Now()
		if c.visit.unseen {
			c.visit.unseen, since, late = false, now, false
		} else if !now.Before(until) {
			if late || c.sock.quiet() {
				return false
			}
			late = true // something has come at the last moment
			since = now
		}
	}
}

// exchange reads one request head, has it answered, and reports whether the
// connection goes on.
func (c *serverConn) exchange() bool {
	s := c.sess
	n, err := s.readHead()
	if err != nil {
		s.refuse(err)
		return false
	}
	head := s.in.pending()[:n]
	if !c.served && c.tls == nil && string(head) == preface {
		if c.srv.cfg.Handoff == nil {
			s.refuse(errNotHere)
			return false
		}
		c.handOver(s.in.pending())
		return false
	}
	if err := s.begin(head); err != nil {
		s.refuse(err)
		return false
	}
	if elsewhere(&s.req, &s.framing) {
		c.elsewhere(n)
		return false
	}
	s.in.keepHead(n)
	c.answer()
	return c.finish()
}

// answer has the request answered whose head is kept.
func (c *serverConn) answer() {
	c.sess.openBody()
	c.srv.cfg.Handler.ServeExchange(c.sess)
	c.served = true
}

// finish ends an exchange and reports whether the connection goes on.
func (c *serverConn) finish() bool {
	if !c.sess.finish() {
		return false
	}
	c.lastUsed = c.srv.cfg.Now()
	return true
}

// elsewhere hands a connection over whose request, n bytes of head, is for the
// standard lane. Bytes of a next request must not go there unseen.
func (c *serverConn) elsewhere(n int) {
	s := c.sess
	behind := int64(len(s.in.pending()) - n)
	if c.srv.cfg.Handoff == nil {
		s.refuse(errNotHere)
		return
	}
	if !s.framing.chunked && behind > max(0, s.framing.length) {
		s.refuse(errBehind)
		return
	}
	c.handOver(s.in.pending())
}

// readHead reads until a whole request head is pending and returns its length.
func (s *session) readHead() (int, error) {
	lim := &s.srv.cfg.Limits
	seen := 0
	var until time.Time
	for {
		here := s.in.pending()
		if n, err := headEnd(here, seen); err != nil {
			return 0, err
		} else if n > 0 {
			if n > lim.HeadBytes {
				return 0, headTooLarge(here, lim)
			}
			return n, nil
		}
		seen = len(here)
		if seen >= lim.HeadBytes {
			return 0, headTooLarge(here, lim)
		}
		if err := hopeless(here, lim); err != nil {
			return 0, err
		}
		if until.IsZero() {
			until = s.srv.cfg.Now().Add(s.srv.cfg.Timeouts.Head)
		}
		if seen == len(s.in.buf) {
			s.in.grow(lim.HeadBytes + 4<<10)
		}
		if err := s.in.fillUntil(until); err != nil {
			return 0, err
		}
	}
}

// hopeless tells from the beginning of a head that no request can come of it.
func hopeless(here []byte, lim *Limits) *refusal {
	if here[0]-'A' >= 26 {
		return errMethod
	}
	if len(here) > lim.TargetBytes+maxMethod+16 && bytes.IndexByte(here, '\r') < 0 {
		return errTargetSize
	}
	return nil
}

func headTooLarge(here []byte, lim *Limits) *refusal {
	if bytes.IndexByte(here[:min(len(here), lim.TargetBytes+maxMethod+16)], '\r') < 0 {
		return errTargetSize
	}
	return errHeadSize
}

var (
	errBehind  = bad("bytes follow a request that ends this lane's part of the connection")
	errTooSlow = &refusal{http.StatusRequestTimeout, ReasonAmbiguous, "the head did not arrive in time"}
)

// refuse answers a request that no handler will see, when there is anybody to
// answer, and lets the client read that.
func (s *session) refuse(err error) {
	var why *refusal
	switch {
	case errors.As(err, &why):
	case isTimeout(err):
		why = errTooSlow
	default:
		why = &refusal{0, ReasonAmbiguous, "the connection ended in the middle of a head"}
		if !errors.Is(err, io.EOF) {
			why.detail = "the connection broke in the middle of a head"
		}
	}
	r := &Rejection{Remote: s.conn.remote, Status: why.status, Reason: why.reason, Detail: why.detail}
	if s.srv.cfg.OnReject != nil {
		s.srv.cfg.OnReject(r)
	}
	if r.Status == 0 {
		return
	}
	var fields []Field
	var body []byte
	if s.srv.cfg.Reject != nil {
		fields, body = s.srv.cfg.Reject(r)
	}
	s.refused(r.Status, fields, body)
	s.linger()
}

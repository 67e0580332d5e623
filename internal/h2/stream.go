package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/internal/wire"
)

// stream is one request and its answer: a wire.Exchange. What its connection's
// reader touches, the connection's mu guards.
type stream struct {
	conn *conn
	id   uint32
	mem  *memory
	req  wire.Request

	window  int64 // what the client takes of this stream
	changed sync.Cond
	err     error // why nothing can be sent any more; nil while it can
	closed  error // why nothing can be read any more beyond what is here; nil while it can

	body       []byte // what has come of the body and has not been read
	declared   int64  // Content-Length, -1 for none
	received   int64
	ended      bool // the client has sent everything
	wants100   bool
	recvWindow int64
	recvDebt   int64
	unwanted   bool // Interrupt
	pace       wire.Pace

	ctx    context.Context //nolint:containedctx // the life of the stream itself; made when asked for
	cancel context.CancelFunc
	answer *wire.Body // that is being relayed; nil for none

	answered bool
	finished bool // END_STREAM has been sent
	broken   bool
	linger   *time.Timer // once the answer is out and the body is not: what comes of it is thrown away
}

// memory is what a request's head and its answer's are kept in. It is used again.
type memory struct {
	bytes  []byte
	fields []wire.Field
	block  []byte
}

func newStream(c *conn, id uint32) *stream {
	s := &stream{conn: c, id: id, window: c.peerWindow, recvWindow: streamWindow, declared: -1, pace: c.srv.pace}
	s.changed.L = &c.mu
	s.mem = c.srv.heads.Get().(*memory) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	return s
}

// forget gives back what the next stream can use.
func (s *stream) forget() {
	m := s.mem
	s.mem, s.req = nil, wire.Request{}
	clear(m.fields)
	m.fields = m.fields[:0]
	if cap(m.bytes) > 64<<10 {
		m.bytes = nil
	}
	if cap(m.block) > 64<<10 {
		m.block = nil
	}
	s.conn.srv.heads.Put(m)
}

// gone says that the stream is over, whoever ended it. mu is held.
func (s *stream) gone(code http2.ErrCode) {
	if s.err == nil {
		s.err = fmt.Errorf("the stream was ended: %s", code)
	}
	if s.closed == nil && !s.ended {
		s.closed = wire.ErrBodyTruncated
	}
	if s.cancel != nil {
		s.cancel()
	}
	if s.answer != nil {
		s.answer.Interrupt()
	}
	s.leave()
	s.changed.Broadcast()
}

// leave takes the stream off the connection's books. mu is held.
func (s *stream) leave() {
	c := s.conn
	if c.streams[s.id] != s {
		return
	}
	delete(c.streams, s.id)
	if s.linger != nil {
		s.linger.Stop()
		c.lingering--
	}
	if len(c.streams) == 0 {
		c.busy = c.srv.cfg.Now()
	}
	c.credit(nil, int64(len(s.body)))
	s.body = nil
	c.perhapsDone()
}

// run has the request answered, on a goroutine of its own.
func (s *stream) run(refused *wire.Rejection) {
	c := s.conn
	defer s.end()
	if refused != nil {
		s.reject(refused)
		return
	}
	c.srv.cfg.Handler.ServeExchange(s)
}

// end finishes what the handler has left, and has it sent.
func (s *stream) end() {
	c := s.conn
	if v := recover(); v != nil {
		s.broken = true
		if c.srv.cfg.OnPanic == nil {
			defer panic(v)
		} else {
			c.srv.cfg.OnPanic(v, debug.Stack())
		}
	}
	if !s.answered && !s.broken {
		_ = s.Respond(http.StatusInternalServerError, nil, nil)
	}
	c.mu.Lock()
	switch {
	case s.err != nil:
	case s.broken || !s.finished:
		// What the client has got so far must not look whole.
		c.rstStream(s.id, http2.ErrCodeInternal)
	default:
		c.calm = min(c.calm+1, mischief)
	}
	if s.cancel != nil {
		s.cancel()
	}
	if s.err == nil && s.finished && !s.broken && !s.ended {
		s.stay()
	} else {
		s.leave()
	}
	s.err = errAnswered
	c.running--
	c.idle.Broadcast()
	wait := len(c.out) > 0 && !c.flushing && !c.starting
	c.mu.Unlock()
	if s.answered { // after a panic somebody may still hold parts of it
		s.forget()
	}
	if wait {
		runtime.Gosched() // other streams may be about to add something to the same write
		c.flush()
	}
}

// stay keeps a stream whose answer is out for as long as its client needs to read it:
// some take a reset that comes with the answer for the whole of it. Then it is told that the
// rest of the body is not wanted (RFC 9113 section 8.1). mu is held.
func (s *stream) stay() {
	c := s.conn
	c.credit(nil, int64(len(s.body)))
	s.body = nil
	if c.lingering >= c.srv.cfg.MaxStreams {
		c.rstStream(s.id, http2.ErrCodeNo)
		s.leave()
		return
	}
	c.lingering++
	s.linger = time.AfterFunc(streamLinger, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.streams[s.id] == s {
			c.rstStream(s.id, http2.ErrCodeNo)
			s.leave()
			c.flushSoon()
		}
	})
}

// streamLinger is how long the body of a request that is answered may go on.
const streamLinger = 250 * time.Millisecond

var errAnswered = errors.New("the stream has been answered")

// Request implements wire.Exchange.
func (s *stream) Request() *wire.Request { return &s.req }

// Context ends when the client has given the stream up, or the connection has ended.
func (s *stream) Context() context.Context {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.ctx == nil {
		s.ctx, s.cancel = context.WithCancel(s.conn.srv.cfg.Base)
		if s.err != nil {
			s.cancel()
		}
	}
	return s.ctx
}

// take adds what has come of the body. mu is held.
func (s *stream) take(p []byte, end bool) error {
	if s.linger != nil {
		s.conn.credit(nil, int64(len(p)))
		if end {
			return s.endBody()
		}
		return nil
	}
	s.received += int64(len(p))
	if s.declared >= 0 && (s.received > s.declared || end && s.received != s.declared) {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol} // RFC 9113 section 8.1.1
	}
	s.body = append(s.body, p...)
	if end {
		return s.endBody()
	}
	s.changed.Broadcast()
	return nil
}

// endBody notes that the client has sent everything. mu is held.
func (s *stream) endBody() error {
	if s.linger != nil {
		s.leave()
		return nil
	}
	if s.declared >= 0 && s.received != s.declared {
		return http2.StreamError{StreamID: s.id, Code: http2.ErrCodeProtocol}
	}
	s.ended = true
	if s.closed == nil {
		s.closed = io.EOF
	}
	s.changed.Broadcast()
	return nil
}

// body is the request's body as its handler reads it.
type body struct{ s *stream }

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	s, c := b.s, b.s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	var patience *time.Timer
	var since time.Time
	for {
		switch {
		case s.unwanted:
			return 0, wire.ErrInterrupted
		case len(s.body) > 0:
			n := copy(p, s.body)
			wait := time.Duration(0)
			if patience != nil {
				wait = c.srv.cfg.Now().Sub(since)
			}
			s.pace.Took(wait, n)
			if s.body = s.body[n:]; len(s.body) == 0 {
				s.body = nil
			}
			c.credit(s, int64(n))
			return n, nil
		case s.closed != nil:
			return 0, s.closed
		}
		if patience == nil {
			s.invite()
			since = c.srv.cfg.Now()
			patience = time.AfterFunc(s.pace.Patience(), func() { s.fail(wire.ErrBodyTimeout) })
			defer patience.Stop()
		}
		s.changed.Wait()
	}
}

// fail ends the body with an error.
func (s *stream) fail(err error) {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.closed == nil {
		s.closed = err
		s.changed.Broadcast()
	}
}

// invite asks a client for the body that waits to be asked (RFC 9110 section 10.1.1). mu is held.
func (s *stream) invite() {
	if s.wants100 && s.received == 0 && !s.answered {
		s.conn.head(s.id, appendStatus(nil, 100), false)
		s.conn.flushSoon()
	}
	s.wants100 = false
}

// Interrupt makes a Read that waits return: the body is no longer wanted.
func (b body) Interrupt() {
	b.s.conn.mu.Lock()
	defer b.s.conn.mu.Unlock()
	b.s.unwanted = true
	b.s.changed.Broadcast()
}

package h2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/wire"
)

// Upgrade always fails: HTTP/2 has no upgrade (RFC 9113 section 8.6).
func (s *stream) Upgrade(*wire.Response, <-chan struct{}) (int64, error) { return 0, wire.ErrNoUpgrade }

// reject answers a request that no handler is to see.
func (s *stream) reject(r *wire.Rejection) {
	var fields []wire.Field
	var content []byte
	if s.conn.srv.cfg.Reject != nil {
		fields, content = s.conn.srv.cfg.Reject(r)
	}
	_ = s.Respond(r.Status, fields, content) // the client is gone; the refusal is recorded
}

// Respond implements wire.Exchange.
func (s *stream) Respond(status int, fields []wire.Field, content []byte) error {
	if s.answered {
		return wire.ErrAnswered
	}
	for i := range fields {
		if !wire.ValidFieldName(fields[i].Name) || !wire.ValidFieldValue(fields[i].Value) {
			return errField
		}
	}
	s.answered = true
	length := int64(len(content))
	if status == http.StatusNoContent || status == http.StatusNotModified && length == 0 {
		length = -1
	}
	if bodyless(s.req.Method, status) {
		content = nil
	}
	if err := s.begin(status, fields, length, len(content) == 0); err != nil {
		return err
	}
	if len(content) == 0 {
		return nil
	}
	return s.send(content, true)
}

var errField = errors.New("a field of the answer has an invalid name, or a value that cannot stand in a head; encode it first")

// bodyless reports whether an answer has no content (RFC 9110 sections 9.3.2 and 15).
func bodyless(method []byte, status int) bool {
	return string(method) == http.MethodHead || status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

// begin sends the head of the answer. length is that of the content, -1 when it is not to be told.
func (s *stream) begin(status int, fields []wire.Field, length int64, end bool) error {
	c := s.conn
	b := appendStatus(s.mem.block[:0], status)
	dated := false
	for i := range fields {
		f := &fields[i]
		if f.HopByHop() || f.Kind.Framing() {
			continue
		}
		dated = dated || f.Kind == wire.Date
		b = appendField(b, f.Name, f.Value, f.Kind == wire.SetCookie)
	}
	if !dated {
		b = appendField(b, []byte("date"), c.srv.dateNow(), false)
	}
	if length >= 0 {
		var digits [20]byte
		b = appendField(b, []byte("content-length"), strconv.AppendInt(digits[:0], length, 10), false)
	}
	s.mem.block = b
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.finished = end
	c.head(s.id, b, end)
	return nil
}

// Relay implements wire.Exchange. What has arrived of the body goes out with the
// head; the rest follows as it comes.
func (s *stream) Relay(r *wire.Response) (int64, error) {
	if s.answered {
		return 0, wire.ErrAnswered
	}
	s.answered = true
	length := r.Body.Length()
	none := bodyless(s.req.Method, r.Status)
	switch {
	case r.Status == http.StatusNoContent:
		length = -1 // RFC 9110 section 8.6
	case none:
		length = r.Declared()
	}
	none = none || length == 0
	if err := s.begin(r.Status, r.Fields, length, none); err != nil || none {
		return 0, err
	}
	buf := s.conn.srv.copies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer s.conn.srv.copies.Put(buf)
	var sent int64
	if here := len(r.Body.Buffered()); here > 0 {
		n, err := s.pass(&r.Body, *buf, 0)
		if sent = n; err != nil || sent == length {
			return sent, s.failed(err)
		}
	}
	n, why, err := s.copyWatched(r, *buf, sent)
	if err != nil && why != "" && s.unauthenticated(r.Fields, why) {
		return n, err
	}
	return n, s.failed(err)
}

// copyWatched is copy under watch; why says that the watcher has wanted the end.
func (s *stream) copyWatched(r *wire.Response, buf []byte, sent int64) (n int64, why string, err error) {
	v := s.watch(r)
	defer func() { why = v.end() }() // after a panic too: what it watches is used again
	n, err = s.copy(&r.Body, buf, sent)
	return n, "", err
}

// failed marks an answer that breaks off.
func (s *stream) failed(err error) error {
	s.broken = s.broken || err != nil
	return err
}

// copy sends the rest of a body, of which sent bytes have been.
func (s *stream) copy(from *wire.Body, buf []byte, sent int64) (int64, error) {
	for {
		// What has been added is written before waiting for more.
		s.conn.flush()
		n, err := s.pass(from, buf, sent)
		sent += n
		if errors.Is(err, io.EOF) {
			return sent, nil
		}
		if err != nil || sent == from.Length() {
			return sent, err
		}
	}
}

// pass reads once and sends that; io.EOF when that was the end of the body.
func (s *stream) pass(from *wire.Body, buf []byte, sent int64) (int64, error) {
	n, err := from.Read(buf)
	ended := errors.Is(err, io.EOF)
	if err != nil && !ended {
		return 0, &wire.Error{Phase: wire.PhaseRead, Sent: true, Err: fmt.Errorf("relay the body: %w", err)}
	}
	if n == 0 && !ended {
		return 0, nil
	}
	if serr := s.send(buf[:n], ended || sent+int64(n) == from.Length()); serr != nil {
		return 0, serr
	}
	if ended {
		return int64(n), io.EOF
	}
	return int64(n), nil
}

// unauthenticated ends a stream of gRPC with the status UNAUTHENTICATED in place of
// a reset, and reports whether the answer is one.
func (s *stream) unauthenticated(fields []wire.Field, why string) bool {
	grpc := false
	for i := range fields {
		grpc = grpc || wire.EqualFold(fields[i].Name, "content-type") && strings.HasPrefix(string(fields[i].Value), "application/grpc")
	}
	if !grpc {
		return false
	}
	b := appendField(nil, []byte("grpc-status"), []byte("16"), false)
	b = appendField(b, []byte("grpc-message"), []byte(why), false)
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.err == nil {
		s.finished = true
		c.head(s.id, b, true)
	}
	return true
}

// vigil watches over an answer that is waited for: its watcher may want it to end,
// and its client may give it up.
type vigil struct {
	s     *stream
	body  *wire.Body
	watch wire.Watcher // nil: nobody wants to know
	timer *time.Timer

	mu     sync.Mutex
	over   bool
	opened bool
	why    string // the watcher has wanted the end
}

func (s *stream) watch(r *wire.Response) *vigil {
	v := &vigil{s: s, body: &r.Body, watch: r.Watch}
	if v.watch != nil {
		v.timer = time.AfterFunc(wire.OpenAfter, v.open)
	}
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	s.answer = &r.Body
	if s.err != nil {
		s.answer.Interrupt() // it has gone already
	}
	return v
}

func (v *vigil) open() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.over {
		v.opened = true
		v.watch.Opened(v.finish)
	}
}

// finish interrupts what the answer waits for: its upstream first, and then a client
// that takes nothing.
func (v *vigil) finish(why string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.over:
	case v.why == "":
		v.why = why
		v.body.Interrupt()
	default:
		v.s.stalled()
	}
}

// end returns when the vigil touches nothing any more, and why the answer was to end
// early, if it was.
func (v *vigil) end() (why string) {
	c := v.s.conn
	c.mu.Lock()
	v.s.answer = nil
	c.mu.Unlock()
	if v.watch == nil {
		return ""
	}
	v.timer.Stop()
	v.mu.Lock()
	v.over = true
	opened, why := v.opened, v.why
	v.mu.Unlock()
	if opened {
		v.watch.Closed()
	}
	return why
}

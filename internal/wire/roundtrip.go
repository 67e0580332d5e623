package wire

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// maxInterim is how many 1xx answers may come before the final one.
const maxInterim = 8

// RoundTrip sends out and reads the head of the answer into resp, whose Fields
// slice is reused. Answers 100 to 199 but 101 are skipped. An error is always an
// *Error. After success the caller must call resp.Finish.
//
// A final answer may come before the request body has been sent. One below 300
// is returned while the body goes on being sent on another goroutine, which Finish
// ends; any other stops the body.
//
// It is not inlined, so that callers need no room for it while they relay the answer.
//
//go:noinline
func (c *Client) RoundTrip(out *Outbound, resp *Response) error {
	*resp = Response{Fields: resp.Fields[:0], declared: -1, buffer: resp.buffer}
	if out.Body != nil && out.Body.err != nil {
		return &Error{Phase: PhaseBody, Err: out.Body.err}
	}
	retried := false
	for {
		u, err := c.take(out.Deadline, retried)
		if err != nil {
			return &Error{Phase: PhaseDial, Timeout: isTimeout(err) || errors.Is(err, ErrConnLimit), Err: err}
		}
		u.lendBuffer(resp)
		failed := u.exchange(out, resp)
		if failed == nil {
			resp.conn, resp.Received = u, c.cfg.Now()
			return nil
		}
		u.drop()
		switch {
		case failed.stale:
			c.count(func(s *ClientStats) { s.Stale++ })
		case u.used && !retried && failed.died && (out.Replayable || !failed.Sent):
			c.count(func(s *ClientStats) { s.Retries++ })
			retried = true
		default:
			return &failed.Error
		}
	}
}

// failure is an Error that knows whether a second try makes sense.
type failure struct {
	Error
	died  bool // the connection ended before any byte of an answer, and the body is still whole
	stale bool // it was not used: a look has found its end, or bytes nobody asked for
}

var errStale = errors.New("the connection is not quiet")

func failed(phase Phase, sent bool, err error) *failure {
	return &failure{Error: Error{Phase: phase, Sent: sent, Timeout: isTimeout(err) || errors.Is(err, ErrWriteTimeout), Err: err}}
}

// exchange sends the request and reads the head of its answer.
func (u *upstreamConn) exchange(out *Outbound, resp *Response) *failure {
	u.pump, u.lastAsked, u.patience = nil, false, 0
	if !out.Deadline.IsZero() {
		if out.Body != nil && !out.Body.atEnd() { // only then is there more than one wait
			u.patience = max(time.Millisecond, out.Deadline.Sub(u.sock.now()))
		}
	}
	if out.Body != nil && !u.fresh() { // before any of the body is taken
		return &failure{stale: true}
	}
	b := appendHead(u.out[:0], out)
	b, taken, whole := appendStart(b, out.Body)
	u.out = b
	if out.Body != nil && out.Body.err != nil {
		return failed(PhaseBody, false, out.Body.err)
	}
	if f := u.send(b, whole, out); f != nil {
		return f
	}
	if whole { // taken only when there is an answer: until then it may be sent again
		f := u.readAnswer(out, resp)
		if f == nil && taken > 0 {
			out.Body.consume(taken)
		}
		return f
	}
	if taken > 0 {
		out.Body.consume(taken)
	}
	u.startPump(out.Body)
	return u.readAnswer(out, resp)
}

// fresh reports whether the connection has not served yet, or is open and quiet.
func (u *upstreamConn) fresh() bool { return !u.used || u.sock.quiet() }

// send sends b. When that is the whole request, the beginning of the answer is
// read as well where that costs nothing more.
func (u *upstreamConn) send(b []byte, whole bool, out *Outbound) *failure {
	sent := 0
	if whole && u.sock.watchable() {
		n, got, writeErr, readErr := u.sock.ask(b, u.in.room(), u.used && out.Body == nil, out.Deadline)
		u.in.w += got
		switch {
		case writeErr == errStale: //nolint:errorlint // as ask returns it
			return &failure{stale: true}
		case writeErr != nil:
			return unsent(out, n, writeErr)
		case readErr != nil:
			return u.unanswered(out, false, readErr)
		case n == len(b):
			return nil
		}
		sent = n
	}
	if sent == 0 && out.Body == nil && !u.fresh() {
		return &failure{stale: true}
	}
	n, err := u.sock.write(b[sent:], u.writePatience())
	if err != nil {
		return unsent(out, sent+n, err)
	}
	return nil
}

// unsent is the failure of a request of which n bytes could be written.
func unsent(out *Outbound, n int, err error) *failure {
	f := failed(PhaseWrite, n > 0, err)
	f.died = intact(out) && !f.Timeout
	return f
}

// writePatience is how long the upstream may take nothing of what it is sent.
func (u *upstreamConn) writePatience() time.Duration {
	if u.patience > 0 {
		return u.patience
	}
	return 30 * time.Second
}

// readAnswer reads heads until a final one, or 101 when that was asked for.
func (u *upstreamConn) readAnswer(out *Outbound, resp *Response) *failure {
	for range maxInterim {
		n, f := u.readHead(out)
		if f == nil {
			if err := parseResponse(u.in.pending()[:n], &u.client.cfg.Limits, resp, &u.head); err != nil {
				f = failed(PhaseInvalid, true, err)
			}
		}
		if f != nil {
			u.stopPump()
			return f
		}
		u.in.keepHead(n)
		if resp.Status == http.StatusSwitchingProtocols && out.Upgrade == nil {
			u.stopPump()
			return failed(PhaseInvalid, true, errSwitch)
		}
		if resp.Status >= 200 || resp.Status == http.StatusSwitchingProtocols {
			u.openAnswer(out, resp)
			return nil
		}
		resp.Fields = resp.Fields[:0]
	}
	u.stopPump()
	return failed(PhaseInvalid, true, errInterim)
}

// openAnswer sets up the body of the final answer, and what becomes of the connection.
func (u *upstreamConn) openAnswer(out *Outbound, resp *Response) {
	h := &u.head
	u.lastAsked = h.close || h.old && !h.keepAlive
	resp.declared = h.length
	u.in.startBody(max(0, u.client.cfg.BodyTimeout), 0)
	switch {
	case bodyless(out.Method, resp.Status):
		resp.Body = Body{}
		if resp.Status == http.StatusNoContent && (h.length > 0 || h.chunked) {
			u.lastAsked = true // what it announces and must not send may come yet
		}
	case h.chunked:
		resp.Body = chunkedBody(&u.in)
	case h.length >= 0:
		resp.Body = fixedBody(&u.in, h.length)
	default:
		resp.Body = closeBody(&u.in)
		u.lastAsked = true
	}
	resp.short = resp.Body.Length() >= 0 && int64(len(resp.Body.Buffered())) == resp.Body.Length()
	if u.pump != nil && resp.Status >= 300 && !u.stopPump() {
		u.lastAsked = true
	}
}

// readHead reads until a whole head is pending and returns its length.
func (u *upstreamConn) readHead(out *Outbound) (int, *failure) {
	most := u.client.cfg.Limits.HeadBytes
	seen := 0
	for {
		here := u.in.pending()
		n, bad := headEnd(here, seen)
		if bad == nil && (n > most || n == 0 && len(here) >= most) {
			bad = errHeadSize
		}
		if bad != nil {
			return 0, failed(PhaseInvalid, true, bad)
		}
		if n > 0 {
			return n, nil
		}
		seen = len(here)
		if len(here) == len(u.in.buf)-u.in.base {
			u.in.grow(most + 4<<10)
		}
		if f := u.fillHead(out, seen > 0); f != nil {
			return 0, f
		}
	}
}

// fillHead reads more of a head. begun says that some of it has come.
func (u *upstreamConn) fillHead(out *Outbound, begun bool) *failure {
	var err error
	if u.pump == nil {
		until := out.Deadline
		err = u.in.fillUntil(until)
	} else {
		err = u.fillBesidePump()
	}
	if err == nil {
		return nil
	}
	return u.unanswered(out, begun, err)
}

// unanswered is the failure of a request whose answer has not come, or, when it has begun, not its whole head.
func (u *upstreamConn) unanswered(out *Outbound, begun bool, err error) *failure {
	switch {
	case errors.Is(err, errPumpFailed):
		return failed(PhaseBody, true, u.pump.err)
	case begun && errors.Is(err, io.EOF):
		return failed(PhaseInvalid, true, errEndOfHead)
	}
	f := failed(PhaseRead, true, err)
	f.died = !begun && !f.Timeout && u.pump == nil && intact(out)
	return f
}

// intact reports whether the body could be sent once more.
func intact(out *Outbound) bool {
	return out.Body == nil || out.Body.got == 0
}

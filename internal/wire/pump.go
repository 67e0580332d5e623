package wire

import (
	"errors"
	"os"
	"sync/atomic"
	"time"
)

// pump sends the rest of a request body that was not all there, on a goroutine
// of its own, while the exchange waits for the answer: an upstream may refuse a
// body before it has seen all of it.
type pump struct {
	body     *Body
	done     atomic.Bool // err and answerBy are set; the goroutine touches nothing any more
	finished chan struct{}
	err      error
	fromBody bool      // err came from reading the body, not from the upstream
	answerBy time.Time // when the answer is due, now that the body has been sent; zero = no limit
}

var errPumpFailed = errors.New("the request body could not be read")

func (u *upstreamConn) startPump(body *Body) {
	p := &pump{body: body, finished: make(chan struct{})}
	u.pump = p
	go func() {
		defer close(p.finished)
		p.fromBody, p.err = u.sendRest(body)
		if u.patience > 0 {
			p.answerBy = u.sock.now().Add(u.patience)
		}
		p.done.Store(true)
		_ = u.sock.nc.SetReadDeadline(longAgo()) // the exchange looks up
	}()
}

// sendRest sends the body to its end. It reports whether an error came from the body.
func (u *upstreamConn) sendRest(body *Body) (fromBody bool, err error) {
	bp := u.client.copies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer u.client.copies.Put(bp)
	if body.length < 0 {
		return u.sendChunks(body, *bp)
	}
	for spliced := false; !body.atEnd(); {
		if here := body.Buffered(); len(here) > 0 {
			if _, err := u.sock.write(here, u.writePatience()); err != nil {
				return false, err
			}
			body.consume(len(here))
			continue
		}
		if !spliced && canMove(&u.sock, body) {
			spliced = true
			if _, fromBody, err = move(&u.sock, body, u.writePatience(), &u.client.pipes); err != nil {
				return fromBody, err
			}
			continue
		}
		n, err := body.Read(*bp)
		if err != nil && !body.atEnd() {
			return true, err
		}
		if _, err := u.sock.write((*bp)[:n], u.writePatience()); err != nil {
			return false, err
		}
	}
	return false, nil
}

func (u *upstreamConn) sendChunks(body *Body, buf []byte) (fromBody bool, err error) {
	for {
		chunk, _, err := readChunk(body, buf)
		if err != nil {
			return true, err
		}
		if _, err := u.sock.write(chunk, u.writePatience()); err != nil {
			return false, err
		}
		if body.atEnd() {
			return false, nil
		}
	}
}

// stopPump ends the sending of the body, waits for it, and reports whether the
// body had been sent whole.
func (u *upstreamConn) stopPump() bool {
	p := u.pump
	if p == nil {
		return true
	}
	u.pump = nil
	if !p.done.Load() {
		p.body.Interrupt()
		u.sock.interruptWrite()
	}
	<-p.finished
	if p.body.src != nil {
		p.body.src.sock.resume()
	}
	u.sock.resume()
	return p.err == nil
}

// fillBesidePump reads more of the answer's head while the body is being sent,
// and when it has been.
func (u *upstreamConn) fillBesidePump() error {
	p := u.pump
	room := u.in.room()
	for {
		// Arm first and look afterwards: the pump wakes this read when it is done.
		var until time.Time
		u.sock.readBy = time.Time{}
		_ = u.sock.nc.SetReadDeadline(until)
		if p.done.Load() {
			switch {
			case p.err != nil && p.fromBody:
				return errPumpFailed
			case p.err != nil: // the upstream stopped reading; perhaps it said why
				until = u.sock.now().Add(2 * time.Second)
			default:
				until = p.answerBy
			}
			err := u.in.fillUntil(until)
			if err != nil && p.err != nil {
				return p.err
			}
			return err
		}
		n, err := u.sock.readSome(room)
		if n > 0 {
			u.in.w += n
			return nil
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
}

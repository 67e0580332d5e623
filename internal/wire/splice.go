package wire

import (
	"io"
	"time"
)

const (
	// spliceLeast is the rest of a body from which moving it inside the kernel
	// costs less than copying it.
	spliceLeast = 48 << 10
	// spliceStep bounds how much moves under one deadline of the receiver.
	spliceStep = 256 << 10
)

// slowStep is how long a step may take before copying takes over: a copy knows
// what a slow receiver has taken, while splice loses what is in between.
const slowStep = 2 * time.Second

// canMove reports whether the rest of the body may go to dst inside the kernel.
func canMove(dst *socket, body *Body) bool {
	return body.mode == bodyFixed && body.err == nil && body.left >= spliceLeast &&
		dst.plain() && body.src.sock.plain()
}

// move moves the rest of the body to dst inside the kernel, or as much of it as
// goes fast. lr is scratch space. fromSrc tells on whose side an error is.
//
// Bytes that are between the two sockets when dst's deadline passes are lost, so
// src's deadline always comes first: when it passes, nothing is in between, and the
// next step goes on.
func move(dst *socket, body *Body, patience time.Duration, lr *io.LimitedReader) (n int64, fromSrc bool, err error) {
	src := body.src
	defer func() {
		lr.R = nil
		src.sock.readBy, dst.writeBy = time.Time{}, time.Time{}
	}()
	heard := dst.now()
	for body.left > 0 {
		bodyUntil, start := src.bodyDeadline()
		if start.IsZero() {
			start = dst.now()
		}
		until, writeUntil := start.Add(patience/3), start.Add(patience)
		if !bodyUntil.IsZero() && bodyUntil.Before(until) {
			until = bodyUntil
		}
		_ = src.sock.nc.SetReadDeadline(until)
		_ = dst.nc.SetWriteDeadline(writeUntil)
		if src.sock.stopRead.Load() || dst.stopWrite.Load() {
			return n, true, ErrInterrupted
		}
		want := min(body.left, spliceStep)
		lr.R, lr.N = src.sock.tcp, want
		k, err := dst.tcp.ReadFrom(lr)
		n += k
		body.moved(k)
		src.received(int(k), start)
		if err == nil && k == want {
			if want == spliceStep && dst.now().Sub(start) > slowStep {
				return n, false, nil
			}
			continue
		}
		now := dst.now()
		if k > 0 {
			heard = now
		}
		switch {
		case src.sock.stopRead.Load() || dst.stopWrite.Load():
			return n, true, ErrInterrupted
		case err == nil:
			return n, true, ErrBodyTruncated
		case !isTimeout(err):
			return n, src.sock.gone(), err
		case !now.Before(writeUntil):
			return n, false, ErrWriteTimeout
		case k == 0 && src.silence > 0 && (now.Sub(heard) >= src.silence || !start.Before(bodyUntil)):
			return n, true, ErrBodyTimeout
		}
	}
	return n, false, nil
}

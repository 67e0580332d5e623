package wire

import (
	"errors"
	"time"
)

// spliceLeast is the rest of a body from which moving it inside the kernel costs
// less than copying it.
const spliceLeast = 48 << 10

// canMove reports whether the rest of the body may go to dst inside the kernel.
func canMove(dst *socket, body *Body) bool {
	return canSplice && body.mode == bodyFixed && body.err == nil && body.left >= spliceLeast &&
		dst.plain() && body.src.sock.plain()
}

// move moves the rest of the body to dst inside the kernel, by way of a pipe. It
// keeps the same time limits as copying does. n is what dst was given; fromSrc tells
// on whose side an error is.
func move(dst *socket, body *Body, patience time.Duration, pipes *pipePool) (n int64, fromSrc bool, err error) {
	p := pipes.get()
	if p == nil {
		return 0, false, nil // out of descriptors: copying needs none
	}
	defer func() { pipes.put(p, err == nil) }()
	src := body.src
	for body.left > 0 {
		until, start := src.bodyDeadline()
		k, err := src.sock.pull(p, min(body.left, pipeSize), until)
		src.received(k, start)
		body.moved(int64(k))
		if err != nil {
			if isTimeout(err) && !errors.Is(err, ErrInterrupted) {
				err = ErrBodyTimeout
			}
			return n, true, truncated(err)
		}
		sent, err := dst.push(nil, p, k, patience)
		n += int64(sent)
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

package wire

import (
	"io"
	"time"
)

// bufferSize holds a request head with room to spare, and an answer of 10 KB
// with its head in one read.
const bufferSize = 16 << 10

// stream is the reading half of a connection: one buffer, of which
// buf[:base] is a message head that is still in use, and buf[r:w] has arrived and
// has not been taken.
type stream struct {
	sock *socket
	buf  []byte
	base int
	r, w int

	pace Pace // of the body being read; no silence is no limit
}

// pending returns what has arrived and has not been taken.
func (s *stream) pending() []byte { return s.buf[s.r:s.w] }

// room makes space behind w and returns it; it is empty when what is pending
// fills the buffer down to base.
func (s *stream) room() []byte {
	if s.r == s.w {
		s.r, s.w = s.base, s.base
	} else if s.w == len(s.buf) && s.r > s.base {
		s.w = s.base + copy(s.buf[s.base:], s.buf[s.r:s.w])
		s.r = s.base
	}
	return s.buf[s.w:]
}

// grow makes the buffer at least n bytes long. What is pending stays pending.
func (s *stream) grow(n int) {
	if n <= len(s.buf) {
		return
	}
	fresh := make([]byte, n)
	s.w = copy(fresh, s.buf[s.r:s.w])
	s.buf, s.base, s.r = fresh, 0, 0
}

// fillUntil reads more into the buffer, waiting until the given time.
func (s *stream) fillUntil(until time.Time) error {
	p := s.room()
	if len(p) == 0 {
		return io.ErrShortBuffer
	}
	n, err := s.sock.read(p, until)
	s.w += n
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// keepHead marks the n pending bytes as a head that stays where it is while the
// body behind it is read. When too little room is left, what follows gets a new buffer.
func (s *stream) keepHead(n int) {
	s.r += n
	s.base = s.r
	if len(s.buf)-s.base >= 4<<10 {
		return
	}
	fresh := make([]byte, max(bufferSize, s.w-s.r+4<<10))
	s.w = copy(fresh, s.buf[s.r:s.w])
	s.buf, s.base, s.r = fresh, 0, 0
}

// startBody sets the pace for a body: how long the sender may be silent, and the least
// average rate in bytes a second beyond that; 0 is no limit.
func (s *stream) startBody(silence time.Duration, rate int64) {
	s.pace = Pace{silence: silence, rate: rate}
}

// receive reads bytes of a body into p at the pace that is allowed.
func (s *stream) receive(p []byte) (int, error) {
	until, start := s.bodyDeadline()
	n, err := s.sock.read(p, until)
	s.received(n, start)
	if err != nil && isTimeout(err) {
		err = ErrBodyTimeout
	}
	return n, err
}

// bodyDeadline returns when the wait that begins now has lasted too long.
func (s *stream) bodyDeadline() (until, start time.Time) {
	if s.pace.silence <= 0 {
		return time.Time{}, time.Time{}
	}
	start = s.sock.now()
	return start.Add(s.pace.Patience()), start
}

func (s *stream) received(n int, start time.Time) {
	var wait time.Duration
	if s.pace.rate > 0 && !start.IsZero() {
		wait = s.sock.now().Sub(start)
	}
	s.pace.Took(wait, n)
}

// fillBody reads more of a body into the buffer.
func (s *stream) fillBody() error {
	p := s.room()
	if len(p) == 0 {
		return io.ErrShortBuffer
	}
	n, err := s.receive(p)
	s.w += n
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	return err
}

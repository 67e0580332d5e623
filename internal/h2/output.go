package h2

import (
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"gatehouse/internal/wire"
)

const (
	// outputBound is how much may wait to be written before streams have to.
	outputBound = 64 << 10
	// controlBound is how much more may wait of what answers the client's own
	// frames: a client that asks and does not read is cut off.
	controlBound = 64 << 10
	// outputKept is how large a buffer may be that is kept for the next write.
	outputKept = 16 << 10
)

// output is what the client is to be sent. The connection's mu guards it, but for
// the write itself, which one goroutine at a time does.
type output struct {
	out      []byte // whole frames
	spare    []byte
	flushing bool
	starting bool      // a goroutine that flushes is on its way
	armed    time.Time // when the deadline of writing passes
	window   int64     // what the client takes of all streams together
	maxFrame int64
	idle     sync.Cond // a handler has returned, or a write
	sized    bool      // the first head has said that there is no dynamic table
}

// frameHead appends the nine bytes before a payload.
func frameHead(b []byte, size int, kind http2.FrameType, flags http2.Flags, id uint32) []byte {
	b = append(b, byte(size>>16), byte(size>>8), byte(size), byte(kind), byte(flags))
	return binary.BigEndian.AppendUint32(b, id)
}

// settings announces what this side allows.
func (c *conn) settings() {
	list := [...]http2.Setting{
		{ID: http2.SettingMaxConcurrentStreams, Val: c.srv.cfg.MaxStreams},
		{ID: http2.SettingInitialWindowSize, Val: streamWindow},
		{ID: http2.SettingMaxHeaderListSize, Val: c.framer.MaxHeaderListSize},
	}
	c.out = frameHead(c.out, 6*len(list), http2.FrameSettings, 0, 0)
	for _, s := range list {
		c.out = binary.BigEndian.AppendUint16(c.out, uint16(s.ID))
		c.out = binary.BigEndian.AppendUint32(c.out, s.Val)
	}
}

func (c *conn) settingsAck() {
	c.out = frameHead(c.out, 0, http2.FrameSettings, http2.FlagSettingsAck, 0)
}

func (c *conn) pingFrame(data [8]byte) {
	c.out = append(frameHead(c.out, 8, http2.FramePing, 0, 0), data[:]...)
}

func (c *conn) pong(data [8]byte) {
	c.out = append(frameHead(c.out, 8, http2.FramePing, http2.FlagPingAck, 0), data[:]...)
}

func (c *conn) goAway(last uint32, code http2.ErrCode) {
	c.out = frameHead(c.out, 8, http2.FrameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

// rstStream ends a stream from here.
func (c *conn) rstStream(id uint32, code http2.ErrCode) {
	c.left[c.leftAt%remembered] = id
	c.leftAt++
	c.out = frameHead(c.out, 4, http2.FrameRSTStream, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
}

func (c *conn) windowUpdate(id uint32, by int64) {
	c.out = frameHead(c.out, 4, http2.FrameWindowUpdate, 0, id)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(by))
}

// credit lets the client send n bytes of a body again, and tells it when they are
// many. s is nil when its stream needs no more.
func (c *conn) credit(s *stream, n int64) {
	if n == 0 {
		return
	}
	if c.recvDebt += n; c.recvDebt >= connWindow/4 {
		c.windowUpdate(0, c.recvDebt)
		c.recvWindow += c.recvDebt
		c.recvDebt = 0
		c.flushSoon()
	}
	if s == nil || s.ended {
		return
	}
	if s.recvDebt += n; s.recvDebt >= streamWindow/4 {
		c.windowUpdate(s.id, s.recvDebt)
		s.recvWindow += s.recvDebt
		s.recvDebt = 0
		c.flushSoon()
	}
}

// head appends a block of header fields as HEADERS and, when it is long, CONTINUATION.
func (c *conn) head(id uint32, block []byte, end bool) {
	if !c.sized {
		// The client may have asked for a smaller dynamic table, and must be told of
		// the change before the first field (RFC 7541 section 4.2): it is none at all.
		c.sized = true
		block = append([]byte{0x20}, block...)
	}
	kind, flags := http2.FrameHeaders, http2.Flags(0)
	if end {
		flags = http2.FlagHeadersEndStream
	}
	for {
		part := block
		if int64(len(part)) > c.maxFrame {
			part = part[:c.maxFrame]
		}
		block = block[len(part):]
		if len(block) == 0 {
			flags |= http2.FlagHeadersEndHeaders // the same bit in CONTINUATION
		}
		c.out = append(frameHead(c.out, len(part), kind, flags, id), part...)
		if len(block) == 0 {
			return
		}
		kind, flags = http2.FrameContinuation, 0
	}
}

// send appends a part of a body as DATA frames, waiting for windows and room as it
// must. A client that takes nothing for too long has its stream reset.
func (s *stream) send(p []byte, end bool) error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	var patience *time.Timer
	for {
		n := min(int64(len(p)), c.maxFrame, c.window, s.window)
		switch {
		case s.err != nil:
			return s.err
		case n <= 0 && len(p) > 0 || len(c.out) >= outputBound:
			if patience == nil {
				patience = time.AfterFunc(c.srv.cfg.Timeouts.Write, s.stalled)
				defer patience.Stop()
			}
			s.wait()
			continue
		}
		flags := http2.Flags(0)
		if end && n == int64(len(p)) {
			flags = http2.FlagDataEndStream
			s.finished = true
		}
		c.out = append(frameHead(c.out, int(n), http2.FrameData, flags, s.id), p[:n]...)
		c.window -= n
		s.window -= n
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if patience != nil {
			patience.Reset(c.srv.cfg.Timeouts.Write)
		}
	}
}

// wait returns when a window or the buffer may have changed; mu is held before and after.
func (s *stream) wait() {
	c := s.conn
	if len(c.out) > 0 && !c.flushing {
		c.mu.Unlock()
		c.flush()
		c.mu.Lock()
		return
	}
	c.waiting[s] = struct{}{}
	s.changed.Wait()
	delete(c.waiting, s)
}

// stalled gives a stream up whose client takes nothing of it.
func (s *stream) stalled() {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	if s.err == nil {
		s.conn.rstStream(s.id, http2.ErrCodeCancel)
		s.err = wire.ErrWriteTimeout
		s.gone(http2.ErrCodeCancel)
		s.conn.flushSoon()
	}
}

// flushSoon has what waits written by another goroutine, which lets those go first
// that may have something to add. The reader and timers use it, which must not wait for
// the client. mu is held.
func (c *conn) flushSoon() {
	if len(c.out) > outputBound+controlBound && c.err == nil {
		go c.cut(errNoReader)
		return
	}
	if c.starting || c.flushing || len(c.out) == 0 {
		return
	}
	c.starting = true
	go func() {
		runtime.Gosched()
		c.mu.Lock()
		c.starting = false
		c.mu.Unlock()
		c.flush()
	}()
}

// flushAll returns when everything has been written, or cannot be.
func (c *conn) flushAll() {
	for {
		c.flush()
		c.mu.Lock()
		for c.flushing {
			c.idle.Wait()
		}
		done := len(c.out) == 0 || c.err != nil
		c.mu.Unlock()
		if done {
			return
		}
	}
}

// flush writes what waits, and what is added meanwhile. It returns at once when
// another goroutine is at it.
func (c *conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing {
		return
	}
	c.flushing = true
	for len(c.out) > 0 {
		b := c.out
		c.out, c.spare = c.spare[:0], nil
		c.mu.Unlock()
		err := c.write(b)
		c.mu.Lock()
		if cap(b) <= outputKept {
			c.spare = b[:0]
		}
		if err != nil {
			c.out = nil
			go c.cut(errors.Join(errNoReader, err))
			break
		}
		c.wakeAll()
	}
	c.flushing = false
	c.idle.Broadcast()
}

// write sends b. The client may take nothing for as long as Timeouts.Write, and at
// most twice that.
func (c *conn) write(b []byte) error {
	patience := c.srv.cfg.Timeouts.Write
	if now := c.srv.cfg.Now(); c.armed.Sub(now) < patience {
		c.armed = now.Add(2 * patience)
		_ = c.nc.SetWriteDeadline(c.armed) // a closed connection fails at the write itself
	}
	_, err := c.nc.Write(b)
	return err
}

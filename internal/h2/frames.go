package h2

import (
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// What each kind of frame does (RFC 9113 section 6).

// frame does what a frame asks for.
func (c *conn) frame(f http2.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := f.(*http2.SettingsFrame); !ok && !c.settled {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	switch f := f.(type) {
	case *http2.MetaHeadersFrame:
		return c.headers(f)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.WindowUpdateFrame:
		return c.update(f)
	case *http2.RSTStreamFrame:
		return c.reset(f)
	case *http2.SettingsFrame:
		return c.set(f)
	case *http2.PingFrame:
		c.ping(f)
	case *http2.PriorityFrame:
		if f.StreamDep == f.StreamID {
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeProtocol}
		}
	case *http2.PushPromiseFrame:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case *http2.GoAwayFrame:
		// The client opens no more streams; those that are open go on.
	}
	return nil
}

// trouble counts something of no use, and ends a connection that does little else.
func (c *conn) trouble() error {
	if n := int(c.heard.Sub(c.forgiven) / forgivenIn); n > 0 {
		c.forgiven = c.forgiven.Add(time.Duration(n) * forgivenIn)
		c.calm = min(c.calm+n, mischief)
	}
	if c.calm--; c.calm < 0 {
		return http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	return nil
}

// refuse resets one stream.
func (c *conn) refuse(e http2.StreamError) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.StreamID > c.lastID {
		c.lastID = e.StreamID // its head was read, and was no good
	}
	c.rstStream(e.StreamID, e.Code)
	if s := c.streams[e.StreamID]; s != nil {
		s.gone(e.Code)
	}
	c.flushSoon()
	return c.trouble()
}

// headers opens a stream, or ends one with trailers, which are not passed on.
func (c *conn) headers(f *http2.MetaHeadersFrame) error {
	id := f.StreamID
	if s := c.streams[id]; s != nil {
		switch {
		case s.ended:
			return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
		case !f.StreamEnded() || len(f.PseudoFields()) > 0:
			return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
		}
		return s.endBody()
	}
	switch {
	case id%2 == 0:
		return http2.ConnectionError(http2.ErrCodeProtocol)
	case id <= c.lastID && slices.Contains(c.left[:], id):
		return nil // trailers of a request that was no longer wanted
	case id <= c.lastID:
		return http2.ConnectionError(http2.ErrCodeStreamClosed)
	}
	c.lastID = id
	switch {
	case f.HasPriority() && f.Priority.StreamDep == id:
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeProtocol}
	case c.last || c.running >= c.srv.cfg.MaxStreams:
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeRefusedStream} // it was not looked at: safe to send again
	}
	s := newStream(c, id)
	s.ended = f.StreamEnded()
	refused, code := s.adapt(f)
	if code != http2.ErrCodeNo {
		s.forget()
		return http2.StreamError{StreamID: id, Code: code}
	}
	c.streams[id] = s
	c.running++
	go s.run(refused)
	return nil
}

// data takes a part of a request's body.
func (c *conn) data(f *http2.DataFrame) error {
	id, all, p := f.StreamID, int64(f.Length), f.Data()
	if id > c.lastID {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if c.recvWindow -= all; c.recvWindow < 0 {
		return http2.ConnectionError(http2.ErrCodeFlowControl)
	}
	if len(p) == 0 && !f.StreamEnded() {
		if err := c.trouble(); err != nil {
			return err
		}
	}
	s := c.streams[id]
	if s == nil || s.ended {
		c.credit(nil, all)
		if s == nil && slices.Contains(c.left[:], id) {
			return nil
		}
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeStreamClosed}
	}
	if s.recvWindow -= all; s.recvWindow < 0 {
		return http2.StreamError{StreamID: id, Code: http2.ErrCodeFlowControl}
	}
	c.credit(s, all-int64(len(p))) // padding is read at once
	return s.take(p, f.StreamEnded())
}

// update lets more be sent.
func (c *conn) update(f *http2.WindowUpdateFrame) error {
	const most = 1<<31 - 1
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > most {
			return http2.ConnectionError(http2.ErrCodeFlowControl)
		}
		c.wakeAll()
		return nil
	}
	if f.StreamID > c.lastID {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if s := c.streams[f.StreamID]; s != nil {
		if s.window += int64(f.Increment); s.window > most {
			return http2.StreamError{StreamID: f.StreamID, Code: http2.ErrCodeFlowControl}
		}
		s.changed.Broadcast()
	}
	return nil
}

// reset ends a stream that the client has given up.
func (c *conn) reset(f *http2.RSTStreamFrame) error {
	if f.StreamID > c.lastID {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	if s := c.streams[f.StreamID]; s != nil {
		s.gone(f.ErrCode)
	}
	return c.trouble()
}

// set takes the client's settings over (RFC 9113 section 6.5).
func (c *conn) set(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	if c.settled {
		if err := c.trouble(); err != nil {
			return err
		}
	}
	c.settled = true
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		switch s.ID { //nolint:exhaustive // the others ask for what this side does not do
		case http2.SettingInitialWindowSize:
			by := int64(s.Val) - c.peerWindow
			c.peerWindow = int64(s.Val)
			for _, st := range c.streams {
				if st.window += by; st.window > 1<<31-1 {
					return http2.ConnectionError(http2.ErrCodeFlowControl)
				}
			}
			c.wakeAll()
		case http2.SettingMaxFrameSize:
			c.maxFrame = int64(s.Val)
		}
		return nil
	})
	c.settingsAck()
	c.flushSoon()
	return err
}

// ping answers, or takes an answer.
func (c *conn) ping(f *http2.PingFrame) {
	if !f.IsAck() {
		c.pong(f.Data)
		c.flushSoon() // which ends a connection that asks and does not read
		return
	}
	c.pinged = time.Time{}
	if c.draining && f.Data == drainPing {
		c.lastStreams()
	}
}

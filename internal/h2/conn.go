package h2

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What this side announces (RFC 9113 section 6.5.2) and allows.
const (
	connWindow   = 1 << 20 // bytes of request bodies that may be on their way
	streamWindow = 256 << 10
	frameSize    = 16 << 10 // the least that a peer may be held to, and enough
	firstWindow  = 65535    // of both sides until something else is said

	pingAfter  = 30 * time.Second // of silence while streams are open
	pingWithin = 15 * time.Second

	// mischief is how much of what is of no use to anybody a client may do: streams
	// opened and reset, frames on streams that are gone, empty frames (CVE-2023-44487
	// and its kin). An answered request makes up for one, as does a twentieth of a second.
	mischief   = 1000
	forgivenIn = time.Second / 20

	// remembered is how many streams are known to have been reset from here: what the
	// client has sent before it knew is no mischief.
	remembered = 64
)

var (
	errCut      = errors.New("the server is closed")
	errDone     = errors.New("all streams have ended")
	errIdle     = errors.New("no streams for too long")
	errSilent   = errors.New("the client does not answer")
	errNoReader = errors.New("the client does not read what it is sent")
)

// conn is one connection. mu guards all that the goroutines of its streams share.
type conn struct {
	srv    *Server
	nc     net.Conn
	in     input
	framer *http2.Framer
	remote netip.AddrPort
	local  netip.AddrPort
	tls    *tls.ConnectionState

	mu      sync.Mutex
	err     error // why the connection is over; nil while it is not
	streams map[uint32]*stream
	lastID  uint32 // highest that the client has opened
	running uint32 // handlers, those of streams that are gone included
	// lingering are streams that have been answered before their body has come.
	lingering uint32
	waiting   map[*stream]struct{}
	output

	calm     int       // mischief left
	forgiven time.Time // when it was last made up for
	left     [remembered]uint32
	leftAt   int

	recvWindow int64 // what the client may send
	recvDebt   int64 // what it may send again, and has not been told yet
	peerWindow int64 // what a new stream may be sent at first
	settled    bool  // the client's SETTINGS have come

	heard    time.Time // when something came last
	busy     time.Time // when a stream was open last
	pinged   time.Time // when a PING was sent that has not been answered
	draining bool      // the client has been told to open no more streams
	last     bool      // and those that it opens nevertheless are not served
	grace    *time.Timer
}

func newConn(s *Server, nc net.Conn, state *tls.ConnectionState) *conn {
	c := &conn{
		srv: s, nc: nc, tls: state, remote: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr()),
		streams: map[uint32]*stream{}, waiting: map[*stream]struct{}{},
		recvWindow: firstWindow, peerWindow: firstWindow,
	}
	c.window, c.maxFrame, c.idle.L = firstWindow, frameSize, &c.mu
	c.heard = s.cfg.Now()
	c.busy, c.forgiven, c.calm = c.heard, c.heard, mischief
	c.in = input{c: c, buf: make([]byte, inputSize), frames: boundaries{left: len(http2.ClientPreface)}}
	c.framer = http2.NewFramer(io.Discard, &c.in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(frameSize)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = uint32(s.cfg.Limits.HeadBytes + s.cfg.Limits.Fields*fieldOverhead)
	c.settings() // nothing may be said before, not even that the connection is to end
	c.windowUpdate(0, connWindow-firstWindow)
	c.recvWindow = connWindow
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

// serve reads frames until the connection ends, and then waits for its handlers.
func (c *conn) serve() {
	err := c.greet()
	for err == nil {
		var f http2.Frame
		if f, err = c.framer.ReadFrame(); err == nil {
			err = c.frame(f)
		}
		var stream http2.StreamError
		if errors.As(err, &stream) {
			err = c.refuse(stream)
		}
	}
	c.farewell(err)
}

// greet exchanges prefaces (RFC 9113 section 3.4).
func (c *conn) greet() error {
	c.mu.Lock() // the server may be ending its connections meanwhile
	c.flushSoon()
	c.mu.Unlock()
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(&c.in, preface); err != nil {
		return err
	}
	if string(preface) != http2.ClientPreface {
		return http2.ConnectionError(http2.ErrCodeProtocol)
	}
	return nil
}

// farewell ends the connection: with a word to the client when it broke the protocol.
func (c *conn) farewell(err error) {
	code, say := http2.ErrCodeNo, false
	var broke http2.ConnectionError
	switch {
	case errors.As(err, &broke):
		code, say = http2.ErrCode(broke), true
	case errors.Is(err, http2.ErrFrameTooLarge):
		code, say = http2.ErrCodeFrameSize, true
	case errors.Is(err, errIdle), errors.Is(err, errDone):
		say = true
	}
	c.mu.Lock()
	if say && c.err == nil && !(c.last && code == http2.ErrCodeNo) {
		c.goAway(c.lastID, code)
	}
	c.mu.Unlock()
	if say {
		c.flushAll()
	}
	c.cut(fmt.Errorf("the connection ended: %w", err))
	if say { // also when all is well: a request may be on its way that nobody will answer
		c.in.linger()
	}
	_ = c.nc.Close() // it may be closed already
	c.mu.Lock()
	for c.running > 0 {
		c.idle.Wait()
	}
	c.mu.Unlock()
}

// cut makes every stream fail, and the connection's reader return.
func (c *conn) cut(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.grace != nil {
		c.grace.Stop()
	}
	for _, s := range c.streams {
		s.gone(http2.ErrCodeCancel)
	}
	c.wakeAll()
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // it may be closed already
}

// drainPing marks the PING whose answer says that the client has seen the first GOAWAY.
var drainPing = [8]byte{'d', 'r', 'a', 'i', 'n'}

// drain asks the client to open no more streams. Those that were on their way are
// still served: the last of them is named only when the client must have seen the
// request, or after Timeouts.Drain (RFC 9113 section 6.8).
func (c *conn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining || c.err != nil {
		return
	}
	c.draining = true
	c.goAway(1<<31-1, http2.ErrCodeNo)
	c.pingFrame(drainPing)
	c.grace = time.AfterFunc(c.srv.cfg.Timeouts.Drain, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lastStreams()
	})
	c.flushSoon()
}

// lastStreams names the last stream that is served, and ends the connection when
// none is open.
func (c *conn) lastStreams() {
	if c.last || c.err != nil {
		return
	}
	c.last = true
	c.goAway(c.lastID, http2.ErrCodeNo)
	c.flushSoon()
	c.perhapsDone()
}

// perhapsDone ends a connection that is to end and has no more streams.
func (c *conn) perhapsDone() {
	if c.last && len(c.streams) == 0 {
		c.in.stop()
	}
}

// silence is asked by the reader when nothing has come for a while, and says why the connection is to end.
func (c *conn) silence(now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.last && len(c.streams) == 0:
		return errDone
	case len(c.streams) == 0:
		if now.Sub(c.busy) >= c.srv.cfg.Timeouts.Idle {
			return errIdle
		}
	case !c.pinged.IsZero():
		if now.Sub(c.pinged) >= pingWithin {
			return errSilent
		}
	case now.Sub(c.heard) >= pingAfter:
		c.pinged = now
		c.pingFrame([8]byte{'t', 'h', 'e', 'r', 'e', '?'})
		c.flushSoon()
	}
	return nil
}

// wakeAll wakes what waits for a window or for room in the buffer.
func (c *conn) wakeAll() {
	for s := range c.waiting {
		s.changed.Broadcast()
	}
}

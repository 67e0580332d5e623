package h2

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/wire"
)

// patience is how long a test waits for what must come: it ends only what hangs.
const patience = time.Minute

// handlerFunc is a handler.
type handlerFunc func(wire.Exchange)

// ServeExchange implements wire.Handler.
func (f handlerFunc) ServeExchange(ex wire.Exchange) { f(ex) }

// serveOn serves connections of a listener until the test ends.
func serveOn(t testing.TB, cfg Config) (*Server, string) {
	t.Helper()
	s := serverFor(cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var loop sync.WaitGroup
	loop.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			loop.Go(func() { s.ServeConn(nc, nil) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		_ = s.Close()
		loop.Wait()
	})
	return s, ln.Addr().String()
}

func serverFor(cfg Config) *Server {
	if cfg.Reject == nil {
		cfg.Reject = func(r *wire.Rejection) ([]wire.Field, []byte) { return nil, []byte(r.Detail) }
	}
	return NewServer(cfg)
}

// serveWithin serves connections in memory until the test ends: for a bubble of synctest,
// where no time passes while anybody has something to do. connect opens one.
func serveWithin(t testing.TB, cfg Config) (s *Server, connect func(...http2.Setting) *client) {
	t.Helper()
	s = serverFor(cfg)
	var conns sync.WaitGroup
	t.Cleanup(func() {
		_ = s.Close()
		conns.Wait()
	})
	return s, func(settings ...http2.Setting) *client {
		here, there := net.Pipe()
		conns.Go(func() { s.ServeConn(there, nil) })
		return begun(t, newRoomy(here, &conns), settings...)
	}
}

// roomy is an end of a net.Pipe with room for what is on its way, as the kernel has it.
type roomy struct {
	net.Conn
	in, out chan []byte
	rest    []byte
	closed  chan struct{}
	once    sync.Once
}

func newRoomy(nc net.Conn, running *sync.WaitGroup) *roomy {
	r := &roomy{Conn: nc, in: make(chan []byte, 10_000), out: make(chan []byte, 10_000), closed: make(chan struct{})}
	running.Go(func() {
		defer close(r.in)
		for {
			b := make([]byte, 32<<10)
			n, err := nc.Read(b)
			if n > 0 {
				r.in <- b[:n]
			}
			if err != nil {
				return
			}
		}
	})
	running.Go(func() {
		for {
			select {
			case b := <-r.out:
				_, _ = nc.Write(b)
			case <-r.closed:
				return
			}
		}
	})
	return r
}

// Read implements io.Reader.
func (r *roomy) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		b, ok := <-r.in
		if !ok {
			return 0, io.EOF
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Write implements io.Writer.
func (r *roomy) Write(p []byte) (int, error) {
	r.out <- bytes.Clone(p)
	return len(p), nil
}

// Close implements io.Closer.
func (r *roomy) Close() error {
	r.once.Do(func() { close(r.closed) })
	return r.Conn.Close()
}

// echo answers with the request's body.
func echo(ex wire.Exchange) {
	b, err := io.ReadAll(&ex.Request().Body)
	if err != nil {
		_ = ex.Respond(400, nil, []byte(err.Error()))
		return
	}
	_ = ex.Respond(200, nil, b)
}

// client is the other side of HTTP/2, which may say what no library says.
type client struct {
	net.Conn
	*http2.Framer
	t   testing.TB
	enc *hpack.Encoder
	buf bytes.Buffer
}

func dial(t testing.TB, addr string, settings ...http2.Setting) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return begun(t, nc, settings...)
}

// begun is a client that has said the preface on the connection.
func begun(t testing.TB, nc net.Conn, settings ...http2.Setting) *client {
	t.Helper()
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(patience))
	c := &client{Conn: nc, Framer: http2.NewFramer(nc, nc), t: t}
	c.AllowIllegalWrites = true
	c.enc = hpack.NewEncoder(&c.buf)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return c
}

// open sends the head of a request; more fields are name, value pairs.
func (c *client) open(id uint32, method string, end bool, more ...string) {
	c.buf.Reset()
	fields := append([]string{":method", method, ":scheme", "http", ":authority", "a.test", ":path", "/x"}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	block := c.buf.Bytes()
	part := block[:min(len(block), frameSize)]
	block = block[len(part):]
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: part, EndStream: end, EndHeaders: len(block) == 0})
	for len(block) > 0 {
		part, block = block[:min(len(block), frameSize)], block[min(len(block), frameSize):]
		_ = c.WriteContinuation(id, len(block) == 0, part)
	}
}

// begin sends a part of the head of a request, of which more is to come.
func (c *client) begin(id uint32) error {
	c.buf.Reset()
	_ = c.enc.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.buf.Bytes()})
}

// trailers ends a request with a field.
func (c *client) trailers(id uint32, name, value string) {
	c.buf.Reset()
	_ = c.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true})
}

// answer is what has come of one stream when it has ended.
type answer struct {
	status string
	body   []byte
	reset  http2.ErrCode
	failed bool // it was reset, or the connection ended
	goAway *http2.ErrCode
}

// read reads until the stream has ended. Settings are acknowledged.
func (c *client) read(id uint32) answer {
	a := answer{}
	for {
		f, err := c.ReadFrame()
		if err != nil {
			a.failed = true
			return a
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID != id {
				continue
			}
			if s := f.PseudoValue("status"); s != "" {
				a.status = s
			}
			if f.StreamEnded() {
				return a
			}
		case *http2.DataFrame:
			if f.StreamID != id {
				continue
			}
			a.body = append(a.body, f.Data()...)
			if f.StreamEnded() {
				return a
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				a.reset, a.failed = f.ErrCode, true
				return a
			}
		case *http2.GoAwayFrame:
			code := f.ErrCode
			a.goAway = &code
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = c.WritePing(true, f.Data)
			}
		default:
		}
	}
}

// goAway reads until the connection ends, and returns the code it was ended with.
func (c *client) goAway() (http2.ErrCode, bool) {
	var last *http2.ErrCode
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if last == nil {
				return 0, false
			}
			return *last, true
		}
		if f, ok := f.(*http2.GoAwayFrame); ok {
			code := f.ErrCode
			last = &code
		}
	}
}

// upstream is an answer whose body comes from a reader.
func upstream(r io.Reader, length int64, fields ...string) *wire.Response {
	resp := &wire.Response{Status: 200, Body: wire.NewBody(r, length)}
	for i := 0; i < len(fields); i += 2 {
		name := []byte(fields[i])
		resp.Fields = append(resp.Fields, wire.Field{Name: name, Value: []byte(fields[i+1]), Kind: wire.Classify(name)})
	}
	return resp
}

// silent is a body that never comes, until it is interrupted.
type silent struct{ stop chan struct{} }

func newSilent() *silent { return &silent{make(chan struct{})} }

var errStopped = errors.New("interrupted")

// Read implements io.Reader.
func (s *silent) Read([]byte) (int, error) {
	<-s.stop
	return 0, errStopped
}

// Interrupt makes Read return.
func (s *silent) Interrupt() { close(s.stop) }

// within fails the test when done is not closed in time.
func within(t testing.TB, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("not in time: " + what)
	}
}

// closing shuts the server down beside the test.
func closing(ctx context.Context, s *Server) <-chan error {
	done := make(chan error, 1)
	go func() { done <- s.Shutdown(ctx) }()
	return done
}

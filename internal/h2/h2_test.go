package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/wire"
)

// Many requests at once through the client of another implementation, with bodies
// beyond every window: each gets its own answer, whole.
func TestManyStreamsWithARealClient(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		_, _ = ex.Relay(upstream(&ex.Request().Body, ex.Request().Body.Length(), "X-Path", string(ex.Request().Target)))
	})})
	var plain http.Protocols
	plain.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &plain, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}}
	defer tr.CloseIdleConnections()
	var all sync.WaitGroup
	for i := range 60 {
		all.Go(func() {
			size := []int{0, 1, 1000, 70_000, 700_000}[i%5]
			sent := bytes.Repeat([]byte{byte('a' + i%26)}, size)
			var r io.Reader = bytes.NewReader(sent)
			if i%2 == 0 {
				r = io.MultiReader(r) // of unknown length
			}
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://a.test/%d", i), r)
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Errorf("request %d: %v", i, err)
				return
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || !bytes.Equal(got, sent) || resp.Header.Get("X-Path") != fmt.Sprintf("/%d", i) {
				t.Errorf("request %d: %d of %d bytes, %s, %v", i, len(got), size, resp.Header.Get("X-Path"), err)
			}
		})
	}
	all.Wait()
}

// A client with the smallest windows is sent what it takes, and no more.
func TestSmallWindows(t *testing.T) {
	content := strings.Repeat("0123456789", 20)
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		_, _ = ex.Relay(upstream(strings.NewReader(content), int64(len(content))))
	})})
	c := dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 7})
	c.open(1, "GET", true)
	var got []byte
	for len(got) < len(content) {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		d, ok := f.(*http2.DataFrame)
		if !ok {
			continue
		}
		if len(d.Data()) > 7 {
			t.Fatalf("%d bytes where 7 were allowed", len(d.Data()))
		}
		got = append(got, d.Data()...)
		_ = c.WriteWindowUpdate(1, uint32(len(d.Data())))
	}
	if string(got) != content {
		t.Errorf("%q", got)
	}
}

// attack gateway 60: what a head says that HTTP/2 forbids resets the stream alone.
func TestMalformedHeads(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(echo)})
	for _, x := range []struct {
		name   string
		fields []string
		status string // "" = reset
	}{
		{"good", nil, "200"},
		{"connection", []string{"connection", "x"}, ""},
		{"transfer-encoding", []string{"transfer-encoding", "chunked"}, ""},
		{"te", []string{"te", "trailers, gzip"}, ""},
		{"te trailers", []string{"te", "trailers"}, "200"},
		{"upper case", []string{"X-A", "b"}, ""},
		{"protocol", []string{":protocol", "websocket"}, ""},
		{"line break", []string{"x-a", "b\r\nc: d"}, ""},
		{"body announced, none sent", []string{"content-length", "3"}, ""},
		{"underscore", []string{"x_a", "b"}, "400"},
		{"two hosts", []string{"host", "a.test", "host", "a.test"}, "400"},
		{"other host", []string{"host", "b.test"}, "400"},
		{"two lengths", []string{"content-length", "0", "content-length", "0"}, "400"},
		{"space at the end", []string{"x-a", "b "}, "400"},
		{"too many", many("x-a", "b", 101), "431"},
		{"too large", many("x-a", strings.Repeat("b", 9000), 4), "431"},
	} {
		c := dial(t, addr)
		c.open(1, "GET", true, x.fields...)
		if a := c.read(1); a.status != x.status || a.failed != (x.status == "") || a.goAway != nil {
			t.Errorf("%s: %+v", x.name, a)
			continue
		}
		c.open(3, "GET", true)
		if a := c.read(3); a.status != "200" {
			t.Errorf("%s: the next request: %+v", x.name, a)
		}
	}
}

func many(name, value string, n int) []string {
	var out []string
	for range n {
		out = append(out, name, value)
	}
	return out
}

// Cookies that come in crumbs are one line again (RFC 9113 section 8.2.3).
func TestCookieCrumbs(t *testing.T) {
	got := make(chan string, 1)
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		var lines []string
		for _, f := range ex.Request().Fields {
			if string(f.Name) == "cookie" {
				lines = append(lines, string(f.Value))
			}
		}
		got <- strings.Join(lines, "|")
		_ = ex.Respond(204, nil, nil)
	})})
	c := dial(t, addr)
	c.open(1, "GET", true, "cookie", "a=1", "x-a", "b", "cookie", "c=2")
	if a, want := c.read(1), "a=1; c=2"; a.status != "204" || <-got != want {
		t.Errorf("%+v", a)
	}
}

// A body is what its length says, or the stream is reset and nobody takes it for whole.
func TestBodyLengths(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(echo)})
	for _, x := range []struct {
		name, declared string
		sent           []string
		status         string
	}{
		{"exact", "4", []string{"ab", "cd"}, "200"},
		{"none declared", "", []string{"ab", "cd"}, "200"},
		{"more", "3", []string{"ab", "cd"}, ""},
		{"less", "5", []string{"ab", "cd"}, ""},
	} {
		c := dial(t, addr)
		var fields []string
		if x.declared != "" {
			fields = []string{"content-length", x.declared}
		}
		c.open(1, "POST", false, fields...)
		for i, part := range x.sent {
			_ = c.WriteDataPadded(1, i == len(x.sent)-1, []byte(part), make([]byte, 9))
		}
		if a := c.read(1); a.status != x.status || x.status == "200" && string(a.body) != "abcd" || x.status == "" && a.reset != http2.ErrCodeProtocol {
			t.Errorf("%s: %+v", x.name, a)
		}
	}
}

// attack gateway 61: floods that cost the client nothing end its connection, and
// nobody else's.
func TestFloods(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) { _ = ex.Respond(204, nil, nil) })})
	for name, flood := range map[string]func(c *client, i uint32) error{
		"reset as soon as opened": func(c *client, i uint32) error {
			c.open(2*i+1, "GET", true)
			return c.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
		},
		"empty frames": func(c *client, i uint32) error {
			if i == 0 {
				c.open(1, "POST", false)
			}
			return c.WriteData(1, false, nil)
		},
		"settings": func(c *client, _ uint32) error { return c.WriteSettings() },
		"pings that are not read": func(c *client, _ uint32) error {
			return c.WritePing(false, [8]byte{1})
		},
		"malformed heads": func(c *client, i uint32) error {
			c.open(2*i+1, "GET", true, "connection", "x")
			return c.WritePing(false, [8]byte{1}) // says whether the connection is still there
		},
		"continuations of nothing": func(c *client, i uint32) error {
			if i == 0 {
				return c.begin(1)
			}
			return c.WriteContinuation(1, false, nil)
		},
		"windows of nothing": func(c *client, i uint32) error {
			if i == 0 {
				c.open(1, "POST", false)
			}
			return c.WriteRawFrame(http2.FrameWindowUpdate, 0, 1, make([]byte, 4))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			code := make(chan http2.ErrCode, 1)
			if name == "pings that are not read" {
				code <- http2.ErrCodeEnhanceYourCalm // it will not hear why
			} else {
				go func() {
					why, _ := c.goAway()
					code <- why
				}()
			}
			start := time.Now()
			for i := uint32(0); flood(c, i) == nil; i++ {
				if i%1000 == 0 && time.Since(start) > patience/2 {
					t.Fatal("it may go on for ever")
				}
			}
			if why := <-code; why != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("ended with %v", why)
			}
			other := dial(t, addr)
			other.open(1, "GET", true)
			if a := other.read(1); a.status != "204" {
				t.Errorf("another client: %+v", a)
			}
		})
	}
}

// attack gateway 61: a head that goes on over frame after frame ends the connection long
// before it fills memory, and so does one that is large only when it is decoded: one byte
// on the wire that stands for four thousand.
func TestEndlessHeads(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(echo)})
	c := dial(t, addr)
	code := make(chan http2.ErrCode, 1)
	go func() {
		why, _ := c.goAway()
		code <- why
	}()
	err, sent := c.begin(1), 0
	for ; err == nil && sent < 64<<20; sent += frameSize {
		c.buf.Reset()
		for c.buf.Len() < frameSize-200 {
			_ = c.enc.WriteField(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("b", 100), Sensitive: true})
		}
		err = c.WriteContinuation(1, false, c.buf.Bytes())
	}
	if why := <-code; err == nil || why != http2.ErrCodeProtocol && why != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("after %d bytes of a head: %v, ended with %v", sent, err, why)
	}

	c = dial(t, addr)
	long := strings.Repeat("b", 3000)
	c.open(1, "GET", true, "x-a", long)
	if a := c.read(1); a.status != "200" {
		t.Fatalf("%+v", a)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := uint32(3); id < 43; id += 2 {
		c.buf.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/x"}} {
			_ = c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		for c.buf.Len() < frameSize-10 {
			_ = c.enc.WriteField(hpack.HeaderField{Name: "x-a", Value: long}) // one byte: it is in the table
		}
		_ = c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true})
		if a := c.read(id); a.status != "431" {
			t.Fatalf("stream %d: %+v", id, a)
		}
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 { // decoded they are 20 times 48 MB
		t.Errorf("%d MiB for %d kB", used>>20, 20*frameSize>>10)
	}
}

// More streams than allowed are refused in a way that is safe to try again.
func TestStreamLimit(t *testing.T) {
	release := make(chan struct{})
	_, addr := serveOn(t, Config{MaxStreams: 2, Handler: handlerFunc(func(ex wire.Exchange) {
		<-release
		_ = ex.Respond(204, nil, nil)
	})})
	c := dial(t, addr)
	for _, id := range []uint32{1, 3, 5} {
		c.open(id, "GET", true)
	}
	if a := c.read(5); a.reset != http2.ErrCodeRefusedStream {
		t.Errorf("%+v", a)
	}
	// Resetting a stream does not make room as long as its handler runs.
	_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
	c.open(7, "GET", true)
	if a := c.read(7); a.reset != http2.ErrCodeRefusedStream {
		t.Errorf("after a reset: %+v", a)
	}
	close(release)
	if a := c.read(3); a.status != "204" {
		t.Errorf("%+v", a)
	}
}

// A client that gives a request up ends what its handler waits for.
func TestResetInterrupts(t *testing.T) {
	relaying, interrupted := make(chan struct{}), make(chan struct{})
	ctxDone := make(chan struct{})
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		has, ok := ex.(interface{ Context() context.Context })
		if !ok {
			panic("an exchange of HTTP/2 has a context")
		}
		ctx := has.Context()
		go func() {
			<-ctx.Done()
			close(ctxDone)
		}()
		close(relaying)
		if _, err := ex.Relay(upstream(newSilent(), -1)); err != nil {
			close(interrupted)
		}
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	within(t, "the handler", relaying)
	_ = c.WriteRSTStream(1, http2.ErrCodeCancel)
	within(t, "the interruption", interrupted)
	within(t, "the context", ctxDone)
}

// The same when the connection is gone.
func TestGoneClientInterrupts(t *testing.T) {
	relaying, interrupted := make(chan struct{}), make(chan struct{})
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		close(relaying)
		if _, err := ex.Relay(upstream(newSilent(), -1)); err != nil {
			close(interrupted)
		}
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	within(t, "the handler", relaying)
	_ = c.Close()
	within(t, "the interruption", interrupted)
}

// An upstream that breaks off must not leave an answer that looks whole.
func TestBrokenAnswerIsReset(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		_, _ = ex.Relay(upstream(io.MultiReader(strings.NewReader("half"), errorReader{}), -1))
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	if a := c.read(1); a.status != "200" || a.reset != http2.ErrCodeInternal {
		t.Errorf("%+v", a)
	}
}

type errorReader struct{}

// Read implements io.Reader.
func (errorReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// A handler that panics, or does not answer, costs its own stream alone.
func TestPanicAndSilence(t *testing.T) {
	panics := make(chan any, 1)
	_, addr := serveOn(t, Config{OnPanic: func(v any, _ []byte) { panics <- v }, Handler: handlerFunc(func(ex wire.Exchange) {
		if string(ex.Request().Method) == "GET" {
			panic("oops")
		}
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	if a := c.read(1); a.reset != http2.ErrCodeInternal || <-panics != "oops" {
		t.Errorf("%+v", a)
	}
	c.open(3, "DELETE", true)
	if a := c.read(3); a.status != "500" {
		t.Errorf("%+v", a)
	}
}

// What is left of a body that nobody reads is thrown away, for a while; its client
// gets the answer, and the connection goes on.
func TestUnreadBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, connect := serveWithin(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
			_, _ = ex.Request().Body.Read(make([]byte, 1))
			_ = ex.Respond(401, nil, []byte("no"))
		})})
		c := connect()
		for i := range uint32(100) { // more in all than the window of the connection
			id := 2*i + 1
			c.open(id, "POST", false)
			_ = c.WriteData(id, false, make([]byte, 16<<10))
			_ = c.WriteData(id, false, make([]byte, 16<<10))
			a := c.read(id)
			if a.status != "401" || a.failed || a.goAway != nil {
				t.Fatalf("request %d: %+v", i, a)
			}
			// It could not know yet: neither more of the body nor trailers are held against it.
			_ = c.WriteData(id, false, make([]byte, 1<<10))
			if i%2 == 0 {
				c.trailers(id, "x-sum", "1")
			}
		}
		// Those that do not end are told in the end, and what was on its way then is ignored.
		told := 0
		for told < 50 {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("after %d: %v", told, err)
			}
			if r, ok := f.(*http2.RSTStreamFrame); ok && r.ErrCode == http2.ErrCodeNo {
				told++
				c.trailers(r.StreamID, "x-sum", "1")
			}
		}
		c.open(999, "POST", false)
		_ = c.WriteData(999, true, []byte("x"))
		if a := c.read(999); a.status != "401" || a.goAway != nil {
			t.Errorf("%+v", a)
		}
	})
}

// Expect: 100-continue is answered when somebody wants the body.
func TestContinue(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(echo)})
	c := dial(t, addr)
	c.open(1, "POST", false, "expect", "100-continue")
	for {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*http2.MetaHeadersFrame); ok {
			if s := h.PseudoValue("status"); s != "100" {
				t.Fatalf("status %s", s)
			}
			break
		}
	}
	_ = c.WriteData(1, true, []byte("body"))
	if a := c.read(1); a.status != "200" || string(a.body) != "body" {
		t.Errorf("%+v", a)
	}
}

// Shutting down loses no request: one that runs is finished, one that is on its way
// is served, and the client is told before the connection ends.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		started, release := make(chan struct{}), make(chan struct{})
		s, connect := serveWithin(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
			if string(ex.Request().Method) == "PUT" {
				close(started)
				<-release
			}
			_ = ex.Respond(204, nil, nil)
		})})
		c := connect()
		c.open(1, "PUT", true)
		within(t, "the handler", started)
		done := closing(t.Context(), s)
		for told := false; !told; {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if g, ok := f.(*http2.GoAwayFrame); ok {
				told = true
				if g.LastStreamID != 1<<31-1 || g.ErrCode != http2.ErrCodeNo {
					t.Errorf("the first word is %+v", g)
				}
			}
		}
		c.open(3, "GET", true) // before the client has answered
		if a := c.read(3); a.status != "204" {
			t.Errorf("a request on its way: %+v", a)
		}
		close(release)
		if a := c.read(1); a.status != "204" {
			t.Errorf("the request that ran: %+v", a)
		}
		if code, ok := c.goAway(); ok && code != http2.ErrCodeNo {
			t.Errorf("ended with %v", code)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A shutdown that takes too long cuts.
func TestShutdownCuts(t *testing.T) {
	started := make(chan struct{})
	s, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		close(started)
		_, _ = ex.Relay(upstream(newSilent(), -1))
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	within(t, "the handler", started)
	ctx, cancel := context.WithCancel(t.Context())
	done := closing(ctx, s)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Whatever there is to say to a client, the server's settings come first (RFC 9113
// section 3.4), also to one that comes while the server shuts down; and its requests that
// are on their way are served.
func TestSettingsBeforeGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := serveWithin(t, Config{Handler: handlerFunc(echo)})
		held := make(chan struct{})
		first := connect()
		first.open(1, "GET", true)
		_ = first.read(1)
		first.open(3, "POST", false) // keeps the server from having shut down
		go func() {
			defer close(held)
			<-closing(t.Context(), s)
		}()
		for {
			f, err := first.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if f.Header().Type == http2.FrameGoAway {
				break
			}
		}
		late := connect()
		late.open(1, "GET", true)
		if f, err := late.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
			t.Errorf("the first frame is %v %v", f, err)
		}
		if a := late.read(1); a.status != "200" {
			t.Errorf("%+v", a)
		}
		if err := first.WriteData(3, true, nil); err != nil {
			t.Fatal(err)
		}
		within(t, "the end", held)
	})
}

// TestLastWordIsRead: a request that is sent in the moment in which an idle connection ends
// does not take from its client the word that nobody has seen it.
func TestLastWordIsRead(t *testing.T) {
	ahead := func() time.Time { return time.Now().Add(time.Hour) } // it listens on for longer by this: the client may be slow
	s, addr := serveOn(t, Config{Handler: handlerFunc(echo), Now: ahead})
	c := dial(t, addr)
	c.open(1, "GET", true)
	_ = c.read(1)
	done := closing(t.Context(), s)
	said := 0
	for said < 2 {
		f, err := c.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if err := c.WritePing(true, f.Data); err != nil {
				t.Fatal(err)
			}
		case *http2.GoAwayFrame:
			if said++; said == 2 && f.LastStreamID != 1 {
				t.Errorf("the last stream is %d", f.LastStreamID)
			}
		}
	}
	if f, err := c.ReadFrame(); !errors.Is(err, io.EOF) {
		t.Errorf("%v %v instead of the end", f, err)
	}
	for id := uint32(3); id < 33; id += 2 { // was on its way; the connection is not reset under it
		if err := c.begin(id); err != nil {
			t.Fatalf("stream %d: %v", id, err)
		}
	}
	_ = c.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Connections without streams end; so does one whose client does not read.
func TestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, connect := serveWithin(t, Config{
			Timeouts: wire.Timeouts{Idle: 50 * time.Millisecond, Body: 50 * time.Millisecond, Write: 50 * time.Millisecond},
			Handler: handlerFunc(func(ex wire.Exchange) {
				if string(ex.Request().Method) == "GET" {
					_, _ = ex.Relay(upstream(bytes.NewReader(make([]byte, 1<<20)), 1<<20))
					return
				}
				echo(ex)
			}),
		})
		c := connect()
		if code, ok := c.goAway(); !ok || code != http2.ErrCodeNo {
			t.Errorf("idle: %v %v", code, ok)
		}
		c = connect()
		c.open(1, "POST", false)
		if a := c.read(1); a.status != "400" || !strings.Contains(string(a.body), "slow") {
			t.Errorf("a body that does not come: %+v", a)
		}
		c = connect()
		c.open(1, "GET", true)
		if a := c.read(1); a.reset != http2.ErrCodeCancel {
			t.Errorf("a window that is never opened: %v", a.reset)
		}
	})
}

// What watches over a long answer can end it, and a gRPC client is told why.
func TestWatcherEndsAnAnswer(t *testing.T) {
	for _, grpc := range []bool{false, true} {
		kind := "text/event-stream"
		if grpc {
			kind = "application/grpc"
		}
		_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
			r := upstream(newSilent(), -1, "Content-Type", kind)
			r.Watch = ender{}
			_, _ = ex.Relay(r)
		})})
		c := dial(t, addr)
		c.open(1, "GET", true)
		a := c.read(1)
		if a.failed == grpc || !grpc && a.reset != http2.ErrCodeInternal {
			t.Errorf("gRPC %v: %+v", grpc, a)
		}
	}
}

// ender ends every answer as soon as it is told of it.
type ender struct{}

// Opened implements wire.Watcher.
func (ender) Opened(end func(string)) { go end("revoked") }

// Closed implements wire.Watcher.
func (ender) Closed() {}

// A watch ends with its answer, also when reading the answer panics and the handler recovers.
func TestPanicEndsTheWatch(t *testing.T) {
	w := &noted{opened: make(chan struct{})}
	_, addr := serveOn(t, Config{Handler: handlerFunc(func(ex wire.Exchange) {
		r := upstream(readerFunc(func([]byte) (int, error) {
			<-w.opened
			panic("boom")
		}), -1)
		r.Watch = w
		defer func() {
			if recover() == nil || !w.closed {
				t.Error("the watch goes on")
			}
		}()
		_, _ = ex.Relay(r)
	})})
	c := dial(t, addr)
	c.open(1, "GET", true)
	if a := c.read(1); !a.failed && a.reset != http2.ErrCodeInternal {
		t.Errorf("%+v", a)
	}
}

type readerFunc func([]byte) (int, error)

// Read implements io.Reader.
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// noted is a watcher that notes what it is told.
type noted struct {
	opened chan struct{}
	closed bool
}

// Opened implements wire.Watcher.
func (n *noted) Opened(func(string)) { close(n.opened) }

// Closed implements wire.Watcher.
func (n *noted) Closed() { n.closed = true }

// Arbitrary frames after the preface: nothing makes the server panic or hang.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x05\x01\x05\x00\x00\x00\x01\x82\x86\x84\x01\x00"))
	f.Add([]byte("\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x08\x06\x00\x00\x00\x00\x00abcdefgh\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	s := NewServer(Config{Handler: handlerFunc(echo), Timeouts: wire.Timeouts{Body: 20 * time.Millisecond, Idle: 20 * time.Millisecond}})
	f.Fuzz(func(t *testing.T, frames []byte) {
		here, there := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.ServeConn(there, nil)
		}()
		go func() { _, _ = io.Copy(io.Discard, here) }()
		_, _ = here.Write(append([]byte(http2.ClientPreface), frames...))
		_ = here.Close()
		within(t, "the end of the connection", done)
	})
}

func TestRandomFramesOfAllKinds(t *testing.T) {
	_, addr := serveOn(t, Config{Handler: handlerFunc(echo), Timeouts: wire.Timeouts{Body: 20 * time.Millisecond}})
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1)) // #nosec G404 -- a test's choice
		c := dial(t, addr)
		go func() { _, _ = c.goAway() }()
		for range 30 {
			payload := make([]byte, r.IntN(40))
			for i := range payload {
				payload[i] = byte(r.Uint32())
			}
			_ = c.WriteRawFrame(http2.FrameType(r.IntN(11)), http2.Flags(r.IntN(256)), uint32(r.IntN(6)), payload)
			if r.IntN(3) == 0 {
				c.open(uint32(2*r.IntN(20)+1), "POST", r.IntN(2) == 0)
			}
		}
		_ = c.Close()
	}
	c := dial(t, addr)
	c.open(1, "GET", true)
	if a := c.read(1); a.status != "200" {
		t.Errorf("%+v", a)
	}
}

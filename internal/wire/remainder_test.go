package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHeadOutlivesBody: the head stays as it is while a body that comes later is
// read through the same buffer, however often that is filled.
func TestHeadOutlivesBody(t *testing.T) {
	begun := make(chan struct{})
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		close(begun)
		n := 0
		for p := make([]byte, 100); ; { // small reads go through the buffer
			k, err := x.Request().Body.Read(p)
			n += k
			if err != nil {
				break
			}
		}
		r := x.Request()
		if n != 100000 || string(r.Method) != "POST" || string(r.Target) != "/head" || string(r.Host) != "h" || string(r.Fields[0].Name) != "Host" {
			t.Errorf("after %d bytes: %q %q %q %v", n, r.Method, r.Target, r.Host, r.Fields)
		}
		_ = x.Respond(http.StatusNoContent, nil, nil)
	})})
	c := dial(t, addr)
	_, _ = io.WriteString(c, "POST /head HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")
	<-begun
	_, _ = c.Write(bytes.Repeat([]byte("x"), 100000))
	if got, err := io.ReadAll(c); err != nil || status(string(got)) != "204" {
		t.Errorf("%q %v", got, err)
	}
}

// TestAnswerIsNotReset: an answer that comes before its request was read is
// followed by a clean end, so that the client gets it.
func TestAnswerIsNotReset(t *testing.T) {
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n", // refused by the handler
		"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n",            // refused by the parser
	} {
		var ahead atomic.Int64 // every time limit is longer by this: the client may be slow
		ahead.Store(int64(time.Hour))
		_, addr := startServer(t, ServerConfig{
			Handler: handlerFunc(func(x Exchange) { _ = x.Respond(http.StatusRequestEntityTooLarge, nil, nil) }),
			Now:     func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		})
		t.Cleanup(func() { ahead.Store(0) })
		c := dial(t, addr)
		_, _ = io.WriteString(c, head)
		r := bufio.NewReader(c)
		if _, err := r.Peek(1); err != nil { // the answer is on its way
			t.Fatal(err)
		}
		for range 30 {
			if _, err := c.Write(make([]byte, 10000)); err != nil {
				t.Errorf("writing on: %v", err)
				break
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
		if got, err := io.ReadAll(r); err != nil || !strings.Contains(string(got), "\r\nConnection: close\r\n") {
			t.Errorf("%q, then %v", got, err)
		}
	}
}

// TestHopelessAtOnce: what can be no request is answered without waiting for more.
func TestHopelessAtOnce(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), Timeouts: Timeouts{Head: time.Hour}})
	for _, input := range []string{"GET /\rx", "GET / HTTP/1.1\nHost: a\n", "\x16\x03\x01", "GET /\x00", "get", "GET / HTTP/1.1\r\nX-A: \x7f"} {
		if got := converse(t, addr, input); status(got) != "400" {
			t.Errorf("%q: %q", input, got)
		}
	}
}

// TestTimeoutIsNotRepeated: a replayable request whose answer does not come in
// time on a pooled connection is not sent again.
func TestTimeoutIsNotRepeated(t *testing.T) {
	var seen atomic.Int32
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			if seen.Add(1) == 1 {
				_, _ = io.WriteString(c, okAnswer)
			}
		}
	})
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	if _, _, err := roundTrip(c, &Outbound{}); err != nil {
		t.Fatal(err)
	}
	var e *Error
	_, _, err := roundTrip(c, &Outbound{Replayable: true, Deadline: time.Now().Add(50 * time.Millisecond)})
	if s := c.Stats(); !errors.As(err, &e) || !e.Timeout || e.Phase != PhaseRead || s.Dials != 1 || s.Retries != 0 {
		t.Errorf("%v, %+v", err, s)
	}
	waitFor(t, "the second request", func() bool { return seen.Load() == 2 })
}

// TestSilentAfterUpload: the answer is due again when the body has been sent.
func TestSilentAfterUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pipeClient(t, func(_ net.Conn, r *bufio.Reader) {
			_, _, _ = readRequest(r)
			_, _ = r.Peek(1)
		})
		body := NewBody(strings.NewReader("hello"), -1)
		start := time.Now()
		var e *Error
		_, _, err := roundTrip(c, &Outbound{Method: []byte("POST"), Body: &body, Deadline: time.Now().Add(50 * time.Millisecond)})
		if took := time.Since(start); !errors.As(err, &e) || !e.Timeout || e.Phase != PhaseRead || took != 50*time.Millisecond {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestNoContentWithLength: the connection of an answer that announces what it
// must not send is not used again.
func TestNoContentWithLength(t *testing.T) {
	upstream := startUpstream(t, scripted("HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\n"))
	c := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = c.Close() }()
	if code, _, err := roundTrip(c, &Outbound{}); err != nil || code != 204 || c.Stats().Open != 0 {
		t.Errorf("%d %v %+v", code, err, c.Stats())
	}
}

// TestHandedBytesAreCopied: what is handed over is not the lane's buffer.
func TestHandedBytesAreCopied(t *testing.T) {
	const up = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	handed := make(chan net.Conn, 1)
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), Handoff: func(nc net.Conn) { handed <- nc }})
	c := dial(t, addr)
	_, _ = io.WriteString(c, up)
	nc := <-handed
	for range 20 {
		converse(t, addr, "GET /"+strings.Repeat("x", 200)+" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	got := make([]byte, len(up))
	if _, err := io.ReadFull(nc, got); err != nil || string(got) != up {
		t.Errorf("%q %v", got, err)
	}
	_ = nc.Close()
}

// TestPipelined answers many requests that come at once in their order, bodies included.
func TestPipelined(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo)})
	var in, want strings.Builder
	for i := range 300 {
		tag := strings.Repeat("y", i)
		in.WriteString("POST /" + tag + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
		want.WriteString("POST /" + tag + " host=a body=ab\n")
	}
	in.WriteString("GET /end HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	want.WriteString("GET /end host=a body=\n")
	var got strings.Builder
	for line := range strings.Lines(converse(t, addr, in.String())) {
		if strings.Contains(line, "host=a") {
			got.WriteString(line)
		}
	}
	if got.String() != want.String() {
		t.Errorf("answers out of order or missing: %d bytes, want %d", got.Len(), want.Len())
	}
}

// TestClassify knows names in any case, and no others.
func TestClassify(t *testing.T) {
	for name, want := range map[string]Kind{
		"HOST": Host, "content-LENGTH": ContentLength, "Te": TE, "X-Forwarded-For": XForwardedFor,
		"x-forwarded-client-cert": XForwardedOther, "X-Forwarded-Anything-At-All-Of-Any-Length": XForwardedOther,
		"SSL-Client-Verify": ClientCert, "X-SSL-Client-S-DN-And-Something-Long": ClientCert, "Client-Cert-Chain": ClientCert,
		"X-HTTP-Method-Override": XMethodOverride, "DPoP": DPoP, "Hos": Other, "Hostt": Other, "": Other, "x": Other,
		"content_length": Other, "Transfer-Encodin\x67": TransferEncoding, "Proxy-Authorization": ProxyAuthorization,
	} {
		if got := Classify([]byte(name)); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
	for k := range kindCount {
		if k.HopByHop() != (k == Connection || k == KeepAlive || k == TE || k == Trailer || k == Upgrade ||
			k == ProxyConnection || k == ProxyAuthenticate || k == ProxyAuthorization || k == HTTP2Settings) {
			t.Errorf("hop-by-hop of kind %d", k)
		}
	}
}

// TestValidFieldValue tries every byte at every place, also of what is looked at as a whole.
func TestValidFieldValue(t *testing.T) {
	for n := 1; n <= 75; n++ {
		for i := range n {
			for c := range 256 {
				b := bytes.Repeat([]byte("a"), n)
				b[i] = byte(c)
				want := c >= ' ' && c != 0x7f || c == '\t'
				if (c == ' ' || c == '\t') && (i == 0 || i == n-1) {
					want = false
				}
				if ValidFieldValue(b) != want {
					t.Fatalf("%q: %v", b, !want)
				}
			}
		}
	}
}

// TestTwoSuspects: a tab, or a byte beyond ASCII, hides no control byte before or behind it.
func TestTwoSuspects(t *testing.T) {
	for n := 2; n <= 75; n++ {
		for i := range n {
			for j := range n {
				for _, pair := range []string{"\t\x00", "\t\x1f", "\t\x7f", "\x80\x00", "\xff\x7f", "\xa0\x1f", "\t\t", "\t\xff"} {
					b := bytes.Repeat([]byte("a"), n)
					b[i], b[j] = pair[0], pair[1]
					if want := pair[1] == '\t' || pair[1] == 0xff; i != j && noControls(b) != want {
						t.Fatalf("%q: %t", b, !want)
					}
				}
			}
		}
	}
}

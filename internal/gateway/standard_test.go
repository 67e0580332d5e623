package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// An event is passed on as it comes, on every lane.
func TestEventsAreNotHeldBack(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", h.url("/events"), nil)
		if err != nil {
			t.Fatal(err)
		}
		l.mark(r)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		br := bufio.NewReader(resp.Body)
		if line, err := br.ReadString('\n'); err != nil || line != "data: one\n" {
			t.Errorf("%q, %v", line, err)
		}
		end, err := http.Get(h.echo.URL + "/end-events")
		if err != nil {
			t.Fatal(err)
		}
		end.Body.Close()
		if _, err := io.Copy(io.Discard, br); err != nil {
			t.Errorf("the end of the stream: %v", err)
		}
	})
}

// An answer that the upstream breaks off must not look whole.
func TestCutAnswersDoNotLookWhole(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", h.url("/cut"), nil)
		if err != nil {
			t.Fatal(err)
		}
		l.mark(r)
		resp, err := c.Do(r)
		if err != nil {
			return // cut before the head: not whole either
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%d %q looks whole", resp.StatusCode, b)
		}
	})
}

const wsRequest = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// dialWS opens a tunnel and returns it after the greeting.
func dialWS(t *testing.T, h *house) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(conn, wsRequest+"Authorization: Bearer "+h.issuer.Token(t, nil)+"\r\n\r\n")
	br := bufio.NewReader(conn)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "websocket" || resp.Header.Get("X-User") != "00u1" || resp.Header.Get("X-Request-ID") == "" {
		t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	if line, err := br.ReadString('\n'); err != nil || line != "hello\n" {
		t.Fatalf("%q, %v", line, err)
	}
	return conn, br
}

// attack gateway 64: an upgrade runs through the same steps, and only WebSocket is tunnelled.
func TestUpgrade(t *testing.T) {
	h := open(t, nil, false)
	conn, br := dialWS(t, h)
	for _, s := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(conn, s)
		if line, err := br.ReadString('\n'); err != nil || line != "echo "+s {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if resp, body := h.raw(t, wsRequest+"\r\n"); resp.StatusCode != 401 || !strings.Contains(body, "no_token") {
		t.Errorf("without a token: %d %s", resp.StatusCode, body)
	}
	if resp, body := h.raw(t, strings.Replace(wsRequest, "/ws", "/admin", 1)+"Authorization: Bearer "+h.issuer.Token(t, nil)+"\r\n\r\n"); resp.StatusCode != 403 {
		t.Errorf("on another route: %d %s", resp.StatusCode, body)
	}
	// An upstream that does not switch gives an ordinary answer.
	if resp, body := h.raw(t, strings.Replace(wsRequest, "/ws", "/public/x", 1)+"\r\n"); resp.StatusCode != 200 {
		t.Errorf("an upstream that does not switch: %d %s", resp.StatusCode, body)
	}
}

// attack gateway 60: h2c by Upgrade is not passed on, and is no way around the steps.
func TestUpgradeToOtherProtocolsIsIgnored(t *testing.T) {
	h := open(t, nil, false)
	for _, protocol := range []string{"h2c", "TLS/1.0", "h2c, websocket", "anything"} {
		head := " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: " + protocol + "\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
		resp, body := h.raw(t, "GET /public/x"+head)
		var e echo
		_ = json.Unmarshal([]byte(body), &e)
		if resp.StatusCode == 400 {
			continue // refused by the grammar is as good
		}
		if resp.StatusCode != 200 || e.Headers["Upgrade"] != nil || e.Headers["Http2-Settings"] != nil {
			t.Errorf("%s: %d %s", protocol, resp.StatusCode, body)
		}
		if resp, _ := h.raw(t, "GET /admin"+head); resp.StatusCode != 401 {
			t.Errorf("%s: %d", protocol, resp.StatusCode)
		}
	}
}

// Draining ends tunnels: they would outlive every deadline.
func TestShutdownEndsTunnels(t *testing.T) {
	h := open(t, nil, false)
	_, br := dialWS(t, h)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := h.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := br.ReadByte(); err == nil {
		t.Error("the tunnel is still open")
	}
}

// attack gateway 62: the upstream answers before the body was sent; the next
// request on the pooled connection is not disturbed by what is left of it.
func TestExpectWithEarlyAnswer(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		for i := range 5 {
			r, err := http.NewRequestWithContext(t.Context(), "POST", h.url("/ignores-body"), bytes.NewReader(make([]byte, 300_000)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Expect", "100-continue")
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 418 {
				t.Errorf("%d: status %d", i, resp.StatusCode)
			}
			if a := h.do(t, l, c, "GET", "/public/next", ""); a.StatusCode != 200 || a.echo.Target != "/public/next" {
				t.Errorf("%d: %d %s", i, a.StatusCode, a.body)
			}
		}
	})
}

// attack gateway 54: who the client is, from trusted peers and others.
func TestForwardedFromTrustedProxies(t *testing.T) {
	trusting := func(c *gateway.Config, _ *spec.Snapshot) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}
	}
	onLanes(t, trusting, func(t *testing.T, h *house, l lane, c *http.Client) {
		for _, x := range []struct{ xff, want, forwarded string }{
			{"203.0.113.5", "203.0.113.5, 127.0.0.1", "for=203.0.113.5;"},
			{"1.1.1.1, 203.0.113.5", "203.0.113.5, 127.0.0.1", "for=203.0.113.5;"}, // 1.1.1.1 is only what 203.0.113.5 says
			{"203.0.113.5, 10.1.1.1, 10.1.1.2", "203.0.113.5, 10.1.1.1, 10.1.1.2, 127.0.0.1", "for=203.0.113.5;"},
			{"203.0.113.5:4711, 10.1.1.1", "203.0.113.5, 10.1.1.1, 127.0.0.1", "for=203.0.113.5;"},
			{"2001:db8::1", "2001:db8::1, 127.0.0.1", `for="[2001:db8::1]";`},
			{"nonsense, 10.1.1.1", "10.1.1.1, 127.0.0.1", "for=10.1.1.1;"},
			{"10.1.1.1", "10.1.1.1, 127.0.0.1", "for=10.1.1.1;"},
			{"nonsense", "127.0.0.1", "for=127.0.0.1;"},
			{"", "127.0.0.1", "for=127.0.0.1;"},
		} {
			headers := []string{
				"X-Request-Id", "id-of-the-proxy", "X-Forwarded-Host", "shop.acme.test", "X-Forwarded-Proto", "https", "X-Forwarded-Port", "8443",
				"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "Tracestate", "a=b",
			}
			if x.xff != "" {
				headers = append(headers, "X-Forwarded-For", x.xff)
			}
			a := h.do(t, l, c, "GET", "/public/x", "", headers...)
			get := func(name string) string { return strings.Join(a.echo.Headers[name], "|") }
			if get("X-Forwarded-For") != x.want || !strings.HasPrefix(get("Forwarded"), x.forwarded) {
				t.Errorf("%s: X-Forwarded-For %q, Forwarded %q; want %q", x.xff, get("X-Forwarded-For"), get("Forwarded"), x.want)
			}
			if get("X-Forwarded-Host") != "shop.acme.test" || get("X-Forwarded-Proto") != "https" || get("X-Forwarded-Port") != "8443" {
				t.Errorf("%v", a.echo.Headers)
			}
			if get("X-Request-Id") != "id-of-the-proxy" || a.Header.Get("X-Request-Id") != "id-of-the-proxy" {
				t.Errorf("request id %q, %q", get("X-Request-Id"), a.Header.Get("X-Request-Id"))
			}
			if tp := get("Traceparent"); !strings.HasPrefix(tp, "00-0af7651916cd43dd8448eb211c80319c-") || strings.Contains(tp, "b7ad6b7169203331") || get("Tracestate") != "a=b" {
				t.Errorf("trace context %q, %q", tp, get("Tracestate"))
			}
		}
	})
}

// attack gateway 55
func TestTrustingEverybodyIsRefused(t *testing.T) {
	for _, p := range []string{"0.0.0.0/0", "::/0"} {
		c := gateway.ConfigFor(t)
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(p)}
		if _, err := gateway.New(c); err == nil {
			t.Errorf("%s is trusted", p)
		}
	}
}

// attack gateway 51: trailers go nowhere.
func TestTrailersAreDropped(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", h.url("/public/x"), io.MultiReader(strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		r.Trailer = http.Header{"X-User-Id": {"root"}, "X-Late": {"1"}}
		l.mark(r)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var e echo
		b, _ := io.ReadAll(resp.Body)
		_ = json.Unmarshal(b, &e)
		if resp.StatusCode != 200 || e.Body != "body" || len(e.Trailer) != 0 || e.Headers["X-User-Id"] != nil {
			t.Errorf("%d %s", resp.StatusCode, b)
		}
	})
}

// h2Conn is a client's side of HTTP/2 that may say what no client library says.
type h2Conn struct {
	net.Conn
	*http2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
}

func dialH2(t *testing.T, h *house) *h2Conn {
	t.Helper()
	var conn net.Conn
	var err error
	if h.tls != nil {
		conn, err = tls.Dial("tcp", h.addr, &tls.Config{RootCAs: h.tls, ServerName: "example.com", NextProtos: []string{"h2"}})
	} else {
		conn, err = net.Dial("tcp", h.addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := &h2Conn{Conn: conn, Framer: http2.NewFramer(conn, conn)}
	c.enc = hpack.NewEncoder(&c.buf)
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	_ = c.WriteSettings()
	return c
}

// request sends a head of name, value pairs and returns the status, or 0 when
// the stream or the connection was ended instead.
func (c *h2Conn) request(t *testing.T, stream uint32, fields ...string) (status string, body string) {
	t.Helper()
	c.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return "closed", ""
	}
	for {
		f, err := c.ReadFrame()
		if err != nil {
			return "closed", ""
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				status = f.PseudoValue("status")
				if f.StreamEnded() {
					return status, body
				}
			}
		case *http2.DataFrame:
			body += string(f.Data())
			if f.StreamID == stream && f.StreamEnded() {
				return status, body
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "reset", ""
			}
		case *http2.GoAwayFrame:
			return "goaway", ""
		default:
		}
	}
}

// attack gateway 42, 60: heads that only a handmade client sends.
func TestHandmadeHTTP2Heads(t *testing.T) {
	for _, secure := range []bool{false, true} {
		h := open(t, nil, secure)
		scheme := "http"
		if secure {
			scheme = "https"
		}
		base := []string{":method", "GET", ":scheme", scheme, ":authority", "a.test", ":path", "/public/x"}
		with := func(more ...string) []string { return append(base[:len(base):len(base)], more...) }
		for _, x := range []struct {
			name   string
			fields []string
			ok     bool
		}{
			{"plain", base, true},
			{"host agrees", with("host", "a.test"), true},
			{"host disagrees", with("host", "b.test"), false},
			{"two hosts", with("host", "a.test", "host", "a.test"), false},
			{"path without slash", []string{":method", "GET", ":scheme", scheme, ":authority", "a.test", ":path", "public/x"}, false},
			{"absolute path", []string{":method", "GET", ":scheme", scheme, ":authority", "a.test", ":path", "http://b.test/public/x"}, false},
			{"two paths", with(":path", "/admin"), false},
			{"two methods", with(":method", "POST"), false},
			{"pseudo header last", append([]string{"a", "b"}, base...), false},
			{"line break in a value", with("x-a", "b\r\nX-User-ID: root"), false},
			{"line break in the path", []string{":method", "GET", ":scheme", scheme, ":authority", "a.test", ":path", "/public/x HTTP/1.1\r\nX: y"}, false},
			{"space in the path", []string{":method", "GET", ":scheme", scheme, ":authority", "a.test", ":path", "/public/x y"}, false},
			{"user information", []string{":method", "GET", ":scheme", scheme, ":authority", "u@a.test", ":path", "/public/x"}, false},
			{"transfer-encoding", with("transfer-encoding", "chunked"), false},
			{"connection", with("connection", "x-a"), false},
			{"te other than trailers", with("te", "gzip"), false},
			{"upper-case name", with("X-A", "b"), false},
			{"underscore", with("x_user_id", "root"), false},
			{"two lengths", with("content-length", "0", "content-length", "0"), false},
			{"a length that is none", with("content-length", "+0"), false},
			{"many fields", with(many("x-a", "b", 150)...), false},
			{"large fields", with(many("x-a", strings.Repeat("b", 8000), 6)...), false},
			{"connect", []string{":method", "CONNECT", ":authority", "a.test:443"}, false},
		} {
			status, body := dialH2(t, h).request(t, 1, x.fields...)
			if ok := status == "200"; ok != x.ok {
				t.Errorf("%s (tls %v): %s %s", x.name, secure, status, body)
			}
			if strings.Contains(body, "root") {
				t.Errorf("%s: %s", x.name, body)
			}
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

// attack gateway 61: a client that opens and resets streams as fast as it can is
// cut off, and others are served meanwhile.
func TestRapidReset(t *testing.T) {
	h := open(t, nil, false)
	c := dialH2(t, h)
	cut := make(chan struct{})
	go func() { // read what comes, so that the peer is not blocked
		defer close(cut)
		for {
			if _, err := c.ReadFrame(); err != nil {
				return
			}
		}
	}()
	for i := range uint32(20_000) {
		c.buf.Reset()
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/public/x"}} {
			_ = c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		if c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true}) != nil ||
			c.WriteRSTStream(2*i+1, http2.ErrCodeCancel) != nil {
			break
		}
	}
	l := lanes()[0]
	if a := h.do(t, l, l.client(h), "GET", "/public/x", ""); a.StatusCode != 200 {
		t.Errorf("another client: %d", a.StatusCode)
	}
	_ = c.Close()
	<-cut
}

// attack gateway 59, 41: one meaning or none, on the way through the whole gateway.
func TestAmbiguousFramingIsRefused(t *testing.T) {
	h := open(t, nil, false)
	for _, x := range []struct{ name, request string }{
		{"CL.TE", "POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"},
		{"two lengths", "POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"},
		{"signed length", "POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na"},
		{"space before colon", "POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"},
		{"TE.TE", "POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
		{"folded line", "GET /public/x HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n"},
		{"bare LF", "GET /public/x HTTP/1.1\nHost: a\n\n"},
		{"no host", "GET /public/x HTTP/1.1\r\n\r\n"},
		{"two hosts", "GET /public/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
		{"absolute form disagrees", "GET http://evil/admin HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"user information", "GET http://u@a/public/x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"underscore", "GET /public/x HTTP/1.1\r\nHost: a\r\nX_User_ID: root\r\n\r\n"},
		{"tab after a name", "GET /public/x HTTP/1.1\r\nHost: a\r\nX-User-Id\t: root\r\n\r\n"},
		{"expect and CL.TE", "POST /public/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"},
		{"expect and absolute form", "GET http://evil/public/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"},
	} {
		resp, body := h.raw(t, x.request)
		if resp.StatusCode != 400 || resp.Header.Get("Gatehouse-Decision") != "deny; reason=ambiguous_request" || !strings.Contains(body, `"reason":"ambiguous_request"`) {
			t.Errorf("%s: %d %v %s", x.name, resp.StatusCode, resp.Header, body)
		}
		if _, ok := h.Decision(resp.Header.Get("X-Request-ID")); !ok {
			t.Errorf("%s: the refusal cannot be explained", x.name)
		}
	}
	if resp, body := h.raw(t, "GET http://a/public/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 200 || !strings.Contains(body, `"target":"/public/x?y=1"`) {
		t.Errorf("absolute form that agrees: %d %s", resp.StatusCode, body)
	}
}

// Reloads under load: no request fails, no connection is dropped.
func TestReloadUnderLoad(t *testing.T) {
	for _, l := range []lane{lanes()[0], lanes()[5]} {
		t.Run(l.name, func(t *testing.T) {
			var s spec.Snapshot
			h := open(t, func(_ *gateway.Config, snap *spec.Snapshot) { s = *snap }, l.secure)
			token := "Bearer " + h.issuer.Token(t, nil)
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 4 {
				c := l.client(h)
				t.Cleanup(c.CloseIdleConnections)
				wg.Go(func() {
					for !stop.Load() {
						if a := h.do(t, l, c, "GET", "/orders/1", "", "Authorization", token); a.StatusCode != 200 {
							t.Errorf("%d %s", a.StatusCode, a.body)
							return
						}
					}
				})
			}
			for i := range 100 {
				s.Revision = int64(i + 2)
				s.APIs[0].Upstream.Timeout = spec.Duration(time.Duration(10+i) * time.Second)
				if err := h.Load(t.Context(), s); err != nil {
					t.Error(err)
				}
			}
			stop.Store(true)
			wg.Wait()
			if h.Revision() != 101 {
				t.Errorf("revision %d", h.Revision())
			}
		})
	}
}

// Shutdown under load: every request that was begun gets its answer. (Where each
// request has a connection of its own, one that is accepted in the very moment
// and has not sent anything cannot be told from an idle one.)
func TestShutdownUnderLoad(t *testing.T) {
	for _, l := range lanes() {
		if strings.HasPrefix(l.name, "standard") {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			h := open(t, nil, l.secure)
			var wg sync.WaitGroup
			var done atomic.Int32
			running := make(chan struct{})
			for range 4 {
				c := l.client(h)
				t.Cleanup(c.CloseIdleConnections)
				wg.Go(func() {
					for {
						r, err := http.NewRequestWithContext(t.Context(), "GET", h.url("/public/x"), nil)
						if err != nil {
							t.Error(err)
							return
						}
						l.mark(r)
						resp, err := c.Do(r)
						var op *net.OpError
						if errors.As(err, &op) && op.Op == "dial" {
							return // the listener is closed: that is how it should end
						}
						if err != nil {
							t.Errorf("after %d answers: %v", done.Load(), err)
							return
						}
						if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
							t.Errorf("%d %v", resp.StatusCode, err)
						}
						resp.Body.Close()
						if done.Add(1) == 50 {
							close(running)
						}
					}
				})
			}
			<-running
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := h.server.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			wg.Wait()
		})
	}
}

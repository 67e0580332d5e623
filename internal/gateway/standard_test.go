package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// An event is passed on as it comes, on every lane.
func TestEventsAreNotHeldBack(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), gateway.Patience)
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
		for _, path := range []string{"/cut", "/cut-chunked"} {
			r, err := http.NewRequestWithContext(t.Context(), "GET", h.url(path), nil)
			if err != nil {
				t.Fatal(err)
			}
			l.mark(r)
			resp, err := c.Do(r)
			if err != nil {
				continue // cut before the head: not whole either
			}
			if b, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("%s: %d %q looks whole", path, resp.StatusCode, b)
			}
			resp.Body.Close()
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
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
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
	ctx, cancel := context.WithTimeout(t.Context(), gateway.Patience)
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
		for i := range 2 {
			r, err := http.NewRequestWithContext(t.Context(), "POST", h.url("/ignores-body"), bytes.NewReader(make([]byte, 300_000)))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Expect", "100-continue")
			// An HTTP/1.1 client that is still sending when the answer is out may
			// find its connection reset. What counts is the one behind.
			if resp, err := c.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 418 {
					t.Errorf("%d: status %d", i, resp.StatusCode)
				}
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
	for head, status := range map[string]int{
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n": 405, "TRACE /public/x HTTP/1.1\r\nHost: a\r\n\r\n": 405,
		"GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n":                    414,
		"GET /public/x HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: b\r\n", 101) + "\r\n":    431,
		"GET /public/x HTTP/1.1\r\nHost: a\r\nX-A: " + strings.Repeat("b", 33<<10) + "\r\n\r\n": 431,
	} {
		resp, body := h.raw(t, head)
		var doc struct{ Status int }
		if json.Unmarshal([]byte(body), &doc) != nil || resp.StatusCode != status || doc.Status != status || (status == 405) != (resp.Header.Get("Allow") != "") {
			t.Errorf("%.20q: %d %v %s", head, resp.StatusCode, resp.Header, body)
		}
	}
	if resp, body := h.raw(t, "GET http://a/public/x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 200 || !strings.Contains(body, `"target":"/public/x?y=1"`) {
		t.Errorf("absolute form that agrees: %d %s", resp.StatusCode, body)
	}
}

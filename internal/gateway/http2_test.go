package gateway_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/gateway"
)

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
	return beginH2(t, conn)
}

// beginH2 says the preface on a connection.
func beginH2(t *testing.T, conn net.Conn) *h2Conn {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
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

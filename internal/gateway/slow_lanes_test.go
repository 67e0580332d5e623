package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// attack gateway 61: a body that drips, each byte within the limit for silence, ends on
// every lane; whoever asks for 100-continue or speaks HTTP/2 gets no more time.
func TestDrippingBodiesEnd(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h := openWithin(t, func(_ *gateway.Config, s *spec.Snapshot) {
				s.APIs[0].Routes = append(s.APIs[0].Routes, spec.Route{Method: "POST", Path: "/slow", Public: true})
			}, l.secure, wire.Timeouts{Body: 300 * time.Millisecond, BodyRate: 1 << 20})
			began := time.Now()
			status := h.drip(t, l)
			if status != "400" && status != "" || time.Since(began) > gateway.Patience/2 {
				t.Errorf("after %v: %q", time.Since(began), status)
			}
		})
	}
}

// drip sends a body of a byte every 20 ms and returns the status that it is answered,
// empty when it is cut off.
func (h *house) drip(t *testing.T, l lane) string {
	t.Helper()
	stop := make(chan struct{})
	defer close(stop)
	drops := func(send func() error) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if send() != nil {
					return
				}
			case <-stop:
				return
			}
		}
	}
	if l.name == "h2" || l.name == "h2c" {
		c := dialH2(t, h)
		for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", "/slow"}, {"content-length", "100000"}} {
			_ = c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.buf.Bytes(), EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
		go drops(func() error { return c.WriteData(1, false, []byte("a")) })
		for {
			f, err := c.ReadFrame()
			if err != nil {
				return ""
			}
			switch f := f.(type) {
			case *http2.MetaHeadersFrame:
				return f.PseudoValue("status")
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				return ""
			default:
			}
		}
	}
	var conn net.Conn
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if l.secure {
		conn = tls.Client(conn, &tls.Config{RootCAs: h.tls, ServerName: "example.com"})
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
	head := bytes.NewBufferString("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n")
	r, err := http.NewRequest(http.MethodPost, "http://a/", nil)
	if err != nil {
		t.Fatal(err)
	}
	l.mark(r)
	if err := r.Header.Write(head); err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(conn, head.String()+"\r\n")
	go drops(func() error {
		_, err := io.WriteString(conn, "a")
		return err
	})
	br := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return ""
		}
		if resp.StatusCode != http.StatusContinue {
			return resp.Status[:3]
		}
	}
}

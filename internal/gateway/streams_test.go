package gateway_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/revocation"
	"gatehouse/internal/spec"
	"gatehouse/internal/tenant"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// endless is an upstream whose answers do not end by themselves. It tells on gone
// when the gateway has left one.
type endless struct {
	*httptest.Server
	gone   chan string
	begun  chan struct{} // /late is asked for
	begin  chan struct{} // lets /late answer
	ahead  atomic.Int64  // by how much the gateway's clock is ahead
	looked atomic.Int64  // how often the gateway has asked what time it is
}

func (u *endless) now() time.Time {
	u.looked.Add(1)
	return time.Now().Add(time.Duration(u.ahead.Load()))
}

// until moves the gateway's clock to a minute before the time, waits until the streams were
// looked at a few times, and moves it on: what ends at that time ends only now.
func (u *endless) until(t *testing.T, h *house, at time.Time, open int) {
	t.Helper()
	u.ahead.Store(int64(time.Until(at) - gateway.Patience))
	looks := u.looked.Load() + 3
	wait(t, "looks at the open streams", func() bool { return u.looked.Load() >= looks })
	if n := h.Streams(); n != open {
		t.Errorf("%d streams are open before the time, want %d", n, open)
	}
	u.ahead.Store(int64(time.Until(at)))
}

// wait waits until it is so.
func wait(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(gateway.Patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func newEndless(t *testing.T) *endless {
	u := &endless{gone: make(chan string, 16), begun: make(chan struct{}), begin: make(chan struct{})}
	mux := http.NewServeMux()
	stay := func(kind, first, length string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			_, _ = io.WriteString(w, first)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			u.gone <- r.URL.Path
		}
	}
	mux.HandleFunc("/s/events", stay("text/event-stream", "data: one\n\n", ""))
	mux.HandleFunc("/s/download", stay("application/octet-stream", strings.Repeat("x", 200<<10), strconv.Itoa(1<<30)))
	mux.HandleFunc("/s/grpc", stay("application/grpc", "\x00\x00\x00\x00\x02hi", ""))
	mux.HandleFunc("/s/flood", func(w http.ResponseWriter, r *http.Request) {
		block := strings.Repeat("x", 1<<20)
		for {
			if _, err := io.WriteString(w, block); err != nil {
				u.gone <- r.URL.Path
				return
			}
		}
	})
	mux.HandleFunc("/s/late", func(w http.ResponseWriter, _ *http.Request) {
		close(u.begun)
		<-u.begin
		_, _ = io.WriteString(w, "late")
	})
	mux.HandleFunc("/s/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+"\x81\x02hi")
		if r.URL.RawQuery == "half" {
			_, _ = io.WriteString(conn, "\x82\x7e\x01\x00half of it")
		}
		_, _ = io.Copy(io.Discard, conn)
		u.gone <- r.URL.Path
	})
	u.Server = httptest.NewServer(mux)
	t.Cleanup(u.Close)
	return u
}

func (u *endless) left(t *testing.T) {
	t.Helper()
	select {
	case <-u.gone:
	case <-time.After(gateway.Patience):
		t.Error("the upstream was not left")
	}
}

// streaming opens a house before an endless upstream.
func streaming(t *testing.T, secure bool) (*house, *endless, *gateway.Config) {
	t.Helper()
	u := newEndless(t)
	var config gateway.Config
	h := open(t, func(c *gateway.Config, s *spec.Snapshot) {
		c.APIKeys = gateway.NewAPIKeys()
		c.Now = u.now
		c.Backend = func(api spec.API, _ gateway.Backend) (gateway.Backend, error) {
			return upstream.New(upstream.Config{API: api, AllowPrivate: true, Now: u.now})
		}
		config = *c
		s.APIs[0].Auth = append(s.APIs[0].Auth, spec.AuthAPIKey)
		s.APIs[0].Upstream.Targets = []string{u.URL}
		s.APIs[0].Routes = append(s.APIs[0].Routes, spec.Route{Method: "*", Path: "/s/*"})
	}, secure)
	return h, u, &config
}

func (h *house) revoke(t *testing.T, set *revocation.Set, jti string) {
	t.Helper()
	err := set.Add(time.Now(), cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: h.issuer.URL, Value: jti})
	if err != nil {
		t.Fatal(err)
	}
}

// begun sends a request on the lane and returns the answer after its first byte.
func (h *house) begun(t *testing.T, l lane, path string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(header[0], header[1])
	l.mark(r)
	res, err := l.client(h).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	return res
}

// ended waits until the body has come to an end that does not look whole.
func ended(t *testing.T, res *http.Response, since time.Time) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, res.Body)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("the answer looks whole")
		}
		t.Logf("after %s: %v", time.Since(since).Round(time.Millisecond), err)
	case <-time.After(gateway.Patience):
		t.Fatal("the stream goes on")
	}
}

func (h *house) lastLine(t *testing.T, has string) {
	t.Helper()
	wait(t, "a line with "+has, func() bool { // it is written behind the answer
		return slices.ContainsFunc(h.log.All(), func(line string) bool { return strings.Contains(line, has) })
	})
}

// attack gateway 63: an event stream, a call of gRPC and a large download end when
// their token is revoked or expires, or their API key is disabled, on both lanes. What
// the client has does not look whole, the upstream is left, and the log says why.
func TestStreamsEnd(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			h, u, c := streaming(t, l.secure)
			kept := h.begun(t, l, "/s/events", "Authorization", "Bearer "+h.issuer.Token(t, gateway.Claims{"jti": "kept"}))
			for _, path := range []string{"/s/events", "/s/download"} {
				res := h.begun(t, l, path, "Authorization", "Bearer "+h.issuer.Token(t, gateway.Claims{"jti": path}))
				at := time.Now()
				h.revoke(t, c.Revocations, path)
				ended(t, res, at)
				u.left(t)
			}
			h.lastLine(t, `"status":200,"reason":"revoked"`)

			exp := time.Now().Add(5 * time.Minute).Truncate(time.Second) // the one that is kept has ten
			res := h.begun(t, l, "/s/events", "Authorization", "Bearer "+h.issuer.Token(t, gateway.Claims{"exp": exp.Unix()}))
			wait(t, "both streams", func() bool { return h.Streams() == 2 })
			u.until(t, h, exp, 2)
			ended(t, res, time.Now())
			u.left(t)
			h.lastLine(t, `"reason":"token_expired"`)

			text := keys.APIKey()
			sum := sha256.Sum256([]byte(text))
			key := gateway.APIKey{ID: "k1", Hash: hex.EncodeToString(sum[:]), App: "app1", Created: time.Now()}
			if err := c.APIKeys.Replace([]gateway.APIKey{key}); err != nil {
				t.Fatal(err)
			}
			res = h.begun(t, l, "/s/events", "X-API-Key", text)
			key.Disabled = true
			at := time.Now()
			if err := c.APIKeys.Put(key); err != nil {
				t.Fatal(err)
			}
			ended(t, res, at)
			u.left(t)
			h.lastLine(t, `"reason":"key_disabled"`)

			if n := h.Streams(); n != 1 {
				t.Errorf("%d streams are open, want the one that was kept", n)
			}
			at = time.Now()
			h.revoke(t, c.Revocations, "kept")
			ended(t, kept, at)
			u.left(t)
		})
	}
}

// attack gateway 63: over HTTP/2 a call of gRPC ends with the status
// UNAUTHENTICATED, as clients of gRPC expect.
func TestGRPCEndsWithItsStatus(t *testing.T) {
	for _, l := range lanes()[4:] {
		t.Run(l.name, func(t *testing.T) {
			h, u, c := streaming(t, l.secure)
			res := h.begun(t, l, "/s/grpc", "Authorization", "Bearer "+h.issuer.Token(t, gateway.Claims{"jti": "j"}))
			h.revoke(t, c.Revocations, "j")
			if b, err := io.ReadAll(res.Body); err != nil || len(b) != 6 {
				t.Errorf("%q, %v", b, err)
			}
			if res.Trailer.Get("Grpc-Status") != "16" || res.Trailer.Get("Grpc-Message") != "revoked" {
				t.Errorf("trailers %v", res.Trailer)
			}
			u.left(t)
		})
	}
}

// A client that takes nothing of its answer is cut off as well.
func TestAStalledClientIsCutOff(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			h, u, c := streaming(t, l.secure)
			_ = h.begun(t, l, "/s/flood", "Authorization", "Bearer "+h.issuer.Token(t, gateway.Claims{"jti": "j"}))
			h.revoke(t, c.Revocations, "j")
			u.left(t)
		})
	}
}

// Whoever was revoked while the upstream thought about it gets no answer of it.
func TestALateAnswerIsNotGiven(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			h, u, c := streaming(t, l.secure)
			token := h.issuer.Token(t, gateway.Claims{"jti": "j"})
			go func() {
				<-u.begun
				h.revoke(t, c.Revocations, "j")
				u.ahead.Store(int64(wire.OpenAfter)) // that is how long the upstream thinks
				close(u.begin)
			}()
			a := h.do(t, l, l.client(h), http.MethodGet, "/s/late", "", "Authorization", "Bearer "+token)
			if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, `"reason":"revoked"`) {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
		})
	}
}

// frame reads one frame of WebSocket.
func frame(r io.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	payload = make([]byte, head[1])
	_, err = io.ReadFull(r, payload)
	return head[0] & 0x0f, payload, err
}

func (h *house) websocket(t *testing.T, path, token string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
	_, _ = io.WriteString(conn, strings.Replace(wsRequest, "/ws", path, 1)+"Authorization: Bearer "+token+"\r\n\r\n")
	br := bufio.NewReader(conn)
	if res, err := http.ReadResponse(br, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", res, err)
	}
	if op, b, err := frame(br); op != 1 || string(b) != "hi" || err != nil {
		t.Fatalf("%d %q %v", op, b, err)
	}
	return conn, br
}

// attack gateway 63: a WebSocket whose token is revoked or expires is closed with
// 1008 and the reason, at the end of a frame; in the middle of one it is cut. When the
// gateway ends, it is closed with 1001.
func TestWebSocketEnds(t *testing.T) {
	h, u, c := streaming(t, false)
	closed := func(br *bufio.Reader, code uint16, why string) {
		t.Helper()
		op, b, err := frame(br)
		if err != nil || op != 8 || len(b) < 2 || binary.BigEndian.Uint16(b) != code || string(b[2:]) != why {
			t.Errorf("op %d, %q, %v", op, b, err)
		}
		if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("the connection stays open: %v", err)
		}
	}
	_, br := h.websocket(t, "/s/ws", h.issuer.Token(t, gateway.Claims{"jti": "j"}))
	at := time.Now()
	h.revoke(t, c.Revocations, "j")
	closed(br, 1008, "revoked")
	t.Logf("after %s", time.Since(at))
	u.left(t)
	h.lastLine(t, `"status":101,"reason":"revoked"`)

	exp := time.Now().Add(5 * time.Minute).Truncate(time.Second)
	_, br = h.websocket(t, "/s/ws", h.issuer.Token(t, gateway.Claims{"exp": exp.Unix()}))
	wait(t, "the tunnel", func() bool { return h.Streams() == 1 })
	u.until(t, h, exp, 1)
	closed(br, 1008, "token_expired")
	u.left(t)

	_, br = h.websocket(t, "/s/ws?half", h.issuer.Token(t, gateway.Claims{"jti": "half"}))
	h.revoke(t, c.Revocations, "half")
	if b, _ := io.ReadAll(br); string(b) != "\x82\x7e\x01\x00half of it" {
		t.Errorf("in the middle of a frame: %q", b)
	}
	u.left(t)

	_, br = h.websocket(t, "/s/ws", h.issuer.Token(t, nil))
	h.Drain()
	closed(br, 1001, "")
	u.left(t)
}

package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/internal/upstream"
	"gatehouse/internal/wire"
)

// echo is what the upstream answers: what it received.
type echo struct {
	Method  string              `json:"method"`
	Target  string              `json:"target"`
	Host    string              `json:"host"`
	Headers map[string][]string `json:"headers"`
	Body    string              `json:"body"`
	Trailer map[string][]string `json:"trailer"`
}

// echoServer answers with what it received, and plays some tricks on request.
func echoServer(t testing.TB) *httptest.Server {
	mux := http.NewServeMux()
	end := make(chan struct{})
	mux.HandleFunc("/end-events", func(http.ResponseWriter, *http.Request) { close(end) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Gatehouse-Decision", "allow; by=upstream")
		w.Header().Set("X-Request-ID", "upstream")
		w.Header().Set("RateLimit", "upstream")
		w.Header().Set("X-Own", "kept")
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		_ = json.NewEncoder(w).Encode(echo{r.Method, r.RequestURI, r.Host, r.Header, string(body), r.Trailer})
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: one\n\n")
		_ = http.NewResponseController(w).Flush()
		select { // the second event does not come by itself: the first must not wait for it
		case <-r.Context().Done():
		case <-end:
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/cut-chunked", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/ignores-body", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-User: "+r.Header.Get("X-User-ID")+"\r\n\r\nhello\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "echo "+line)
		}
	})
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = nil
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// house is a gateway with its server on a real socket.
type house struct {
	*gateway.Gateway
	server *gateway.Server
	addr   string
	tls    *x509.CertPool
	log    *gateway.LogLines
	issuer *gateway.FakeIssuer
	echo   *httptest.Server
}

func poolFor(api spec.API, previous gateway.Backend) (gateway.Backend, error) {
	old, _ := previous.(*upstream.Pool)
	return upstream.New(upstream.Config{API: api, Previous: old, AllowPrivate: true})
}

// open builds the house: config and snapshot may be changed first.
func open(t testing.TB, change func(*gateway.Config, *spec.Snapshot), secure bool) *house {
	t.Helper()
	return openWithin(t, change, secure, wire.Timeouts{})
}

// openWithin is open with other time limits.
func openWithin(t testing.TB, change func(*gateway.Config, *spec.Snapshot), secure bool, limits wire.Timeouts) *house {
	t.Helper()
	h := &house{log: &gateway.LogLines{}, issuer: gateway.NewIssuerFor(t, "https://issuer.test"), echo: echoServer(t)}
	c := gateway.ConfigFor(t, h.issuer)
	c.Backend = poolFor
	c.AccessLog = h.log
	s := gateway.OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders/*", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "POST", Path: "/orders", Scopes: [][]string{{"orders:read"}}, MaxBody: 1000},
		spec.Route{Method: "GET", Path: "/admin", Scopes: [][]string{{"admin"}}},
		spec.Route{Method: "*", Path: "/public/*", Public: true, MaxBody: 1000},
		spec.Route{Method: "GET", Path: "/events", Public: true},
		spec.Route{Method: "GET", Path: "/cut", Public: true},
		spec.Route{Method: "GET", Path: "/cut-chunked", Public: true},
		spec.Route{Method: "GET", Path: "/large", Public: true},
		spec.Route{Method: "GET", Path: "/ws"},
		spec.Route{Method: "POST", Path: "/ignores-body", Public: true, MaxBody: -1},
		spec.Route{Method: "GET", Path: "/echo/{x}"},
	)
	s.APIs[0].Upstream.Targets = []string{h.echo.URL}
	s.APIs[0].Headers.Claims = map[string]string{"X-User-Email": "email", "X-Groups": "groups"}
	if change != nil {
		change(&c, &s)
	}
	var err error
	if h.Gateway, err = gateway.New(c); err != nil {
		t.Fatal(err)
	}
	if err := h.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	sc := gateway.ServerConfig{Gateway: h.Gateway, Timeouts: limits}
	if secure {
		cert := httptest.NewUnstartedServer(nil)
		cert.StartTLS()
		h.tls = x509.NewCertPool()
		h.tls.AddCert(cert.Certificate())
		sc.TLS = &tls.Config{Certificates: cert.TLS.Certificates, ClientAuth: tls.RequestClientCert}
		cert.Close()
	}
	h.server = gateway.NewServer(sc)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.server.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), gateway.Patience)
		defer cancel()
		if err := h.server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil && !fault.Is(err, fault.Unavailable) { // over before it began: nobody has called
			t.Errorf("serve: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return h
}

// lane is a way to the gateway.
type lane struct {
	name   string
	secure bool
	client func(h *house) *http.Client
	mark   func(*http.Request) // makes a request take this lane
}

func lanes() []lane {
	client := func(protocols func(*http.Protocols)) func(*house) *http.Client {
		return func(h *house) *http.Client {
			var p http.Protocols
			protocols(&p)
			return &http.Client{
				Transport: &http.Transport{
					Protocols: &p, TLSClientConfig: &tls.Config{RootCAs: h.tls, ServerName: "example.com"},
					ExpectContinueTimeout: gateway.Patience, DisableCompression: true,
				},
				CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			}
		}
	}
	one := func(p *http.Protocols) { p.SetHTTP1(true) }
	return []lane{
		{"strict", false, client(one), func(*http.Request) {}},
		{"strict tls", true, client(one), func(*http.Request) {}},
		{"standard http/1.1", false, client(one), func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		{"standard http/1.1 tls", true, client(one), func(r *http.Request) { r.Header.Set("Expect", "100-continue") }},
		{"h2c", false, client(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }), func(*http.Request) {}},
		{"h2", true, client(func(p *http.Protocols) { p.SetHTTP2(true) }), func(*http.Request) {}},
	}
}

func (h *house) url(path string) string {
	if h.tls != nil {
		return "https://" + h.addr + path
	}
	return "http://" + h.addr + path
}

// answer is a whole response.
type answer struct {
	*http.Response
	body string
	echo echo
}

// do sends a request on the lane. headers are name, value pairs.
func (h *house) do(t *testing.T, l lane, c *http.Client, method, path, body string, headers ...string) answer {
	t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, h.url(path), rd)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header[headers[i]] = append(r.Header[headers[i]], headers[i+1])
	}
	l.mark(r)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: read: %v", method, path, err)
	}
	a := answer{Response: resp, body: string(b)}
	_ = json.Unmarshal(b, &a.echo)
	return a
}

// onLanes runs a test on every lane.
func onLanes(t *testing.T, change func(*gateway.Config, *spec.Snapshot), test func(t *testing.T, h *house, l lane, c *http.Client)) {
	t.Helper()
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h := open(t, change, l.secure)
			c := l.client(h)
			t.Cleanup(c.CloseIdleConnections)
			test(t, h, l, c)
		})
	}
}

func TestLanesAgree(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		token := "Bearer " + h.issuer.Token(t, gateway.Claims{"email": "ana@acme.test"})
		a := h.do(t, l, c, "GET", "/orders/7?x=1&x=2&y=a%20b", "", "Authorization", token)
		if a.StatusCode != 200 || a.echo.Target != "/orders/7?x=1&x=2&y=a%20b" || a.echo.Method != "GET" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		proto := "http"
		if l.secure {
			proto = "https"
		}
		port := h.addr[strings.LastIndexByte(h.addr, ':')+1:]
		for name, want := range map[string]string{
			"X-User-Id": "00u1", "X-Client-Id": "app1", "X-Granted-Scopes": "orders:read", "X-User-Email": "ana@acme.test",
			"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": proto, "X-Forwarded-Host": h.addr, "X-Forwarded-Port": port,
			"Forwarded":     `for=127.0.0.1;host="` + h.addr + `";proto=` + proto,
			"X-Request-Id":  a.Header.Get("X-Request-ID"),
			"Authorization": "",
		} {
			if got := strings.Join(a.echo.Headers[name], "|"); got != want {
				t.Errorf("upstream got %s: %q, want %q", name, got, want)
			}
		}
		if got := a.echo.Headers["Traceparent"]; len(got) != 1 || len(got[0]) != 55 {
			t.Errorf("traceparent %q", got)
		}
		if ctx := a.echo.Headers["X-Gatehouse-Context"]; len(ctx) != 1 || strings.Count(ctx[0], ".") != 2 {
			t.Errorf("context %q", ctx)
		}
		if a.Header.Get("X-Own") != "kept" || len(a.Header["Set-Cookie"]) != 2 || a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("answer: %v", a.Header)
		}
		if a.Header.Get("Gatehouse-Decision") != "" || a.Header.Get("RateLimit") != "" || a.Header.Get("X-Request-ID") == "upstream" {
			t.Errorf("the upstream spoke in the gateway's name: %v", a.Header)
		}

		// That the request took the lane that it should have.
		wantProto, wantClose := "HTTP/1.1", strings.HasPrefix(l.name, "standard")
		if strings.HasPrefix(l.name, "h2") {
			wantProto = "HTTP/2.0"
		}
		if a.Proto != wantProto || a.Close != wantClose {
			t.Errorf("answered by another lane: %s, close %v", a.Proto, a.Close)
		}

		a = h.do(t, l, c, "POST", "/orders", "hello", "Authorization", token, "Content-Type", "text/plain")
		if a.StatusCode != 200 || a.echo.Body != "hello" || a.echo.Headers["Expect"] != nil {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		a = h.do(t, l, c, "HEAD", "/orders/7", "", "Authorization", token)
		if a.StatusCode != 200 || a.body != "" || a.Header.Get("Content-Length") == "" {
			t.Errorf("HEAD: %d %q, length %q", a.StatusCode, a.body, a.Header.Get("Content-Length"))
		}
		a = h.do(t, l, c, "HEAD", "/orders/7", "")
		if a.StatusCode != 401 || a.body != "" || a.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("HEAD without a token: %d %q %v", a.StatusCode, a.body, a.Header)
		}
		a = h.do(t, l, c, "GET", "/large", "")
		if a.StatusCode != 200 || len(a.body) != 1<<20 {
			t.Errorf("large: %d, %d bytes", a.StatusCode, len(a.body))
		}
	})
}

func TestLanesRefuse(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		token := "Bearer " + h.issuer.Token(t, nil)
		for _, x := range []struct {
			name, method, path, body string
			headers                  []string
			status                   int
			reason                   string
		}{
			{"no token", "GET", "/orders/1", "", nil, 401, "no_token"},
			{"scope", "GET", "/admin", "", []string{"Authorization", token}, 403, "missing_scope"},
			{"no route", "GET", "/else", "", nil, 404, "no_route"},
			{"method", "DELETE", "/admin", "", nil, 405, "method_not_allowed"},
			{"attack gateway 36", "GET", "/public/%2e%2e/admin", "", nil, 400, "ambiguous_request"},
			{"attack gateway 36: %5c", "GET", "/public/%5c..", "", nil, 400, "ambiguous_request"},
			{"attack gateway 36: %252e", "GET", "/public/%252e%252e/admin", "", nil, 400, "ambiguous_request"},
			{"attack gateway 39", "GET", "/public/a%2Fb", "", nil, 400, "ambiguous_request"},
			{"attack gateway 45: TRACE", "TRACE", "/public/x", "", nil, 405, "method_not_allowed"},
			{"attack gateway 47", "GET", "/public/x?a=1;b=2", "", nil, 400, "ambiguous_request"},
			{"attack gateway 48: underscore", "GET", "/public/x", "", []string{"X_User_ID", "root"}, 400, "ambiguous_request"},
			{"declared too large", "POST", "/orders", strings.Repeat("x", 1001), []string{"Authorization", token}, 413, "body_too_large"},
		} {
			a := h.do(t, l, c, x.method, x.path, x.body, x.headers...)
			var doc struct{ Reason string }
			_ = json.Unmarshal([]byte(a.body), &doc)
			if a.StatusCode != x.status || doc.Reason != x.reason {
				t.Errorf("%s: %d %s, want %d %s", x.name, a.StatusCode, a.body, x.status, x.reason)
			}
			if !strings.HasSuffix(a.Header.Get("Gatehouse-Decision"), "reason="+x.reason) || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("X-Request-ID") == "" {
				t.Errorf("%s: %v", x.name, a.Header)
			}
		}
	})
}

// A body whose length is not declared is cut off at the limit, whatever the upstream does.
func TestLanesLimitChunkedBodies(t *testing.T) {
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", h.url("/orders"), io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+h.issuer.Token(t, nil))
		l.mark(r)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 413 || !strings.Contains(string(body), "body_too_large") {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	})
}

// attack gateway 48, 49, 50, 54, 56, 44: what a client says in the gateway's
// name, on a route with a token and on a public one.
func TestLanesStripWhatTheClientClaims(t *testing.T) {
	spoofed := []string{ // none of the values can stand in an identifier or a signed text by chance
		"X-User-ID", "root.user", "x-user-id", "root.user2", "X-Client-ID", "evil.app", "X-Granted-Scopes", "admin", "X-User-Email", "root.user@acme.test", "X-Groups", "admins",
		"X-Gatehouse-Context", "forged.context", "X-Gatehouse-Anything", "1", "Gatehouse-Decision", "allow",
		"X-Forwarded-For", "10.9.9.9", "X-Forwarded-Proto", "gopher", "X-Forwarded-Host", "evil.test", "X-Forwarded-Port", "1", "X-Forwarded-Prefix", "/evil.app",
		"X-Forwarded-User", "root.user", "X-Forwarded-Uri", "/admin", "X-Forwarded", "for=x", "Forwarded", "for=10.9.9.9", "X-Real-Ip", "10.9.9.9", "True-Client-Ip", "10.9.9.9", "X-Client-Ip", "10.9.9.9",
		"X-Forwarded-Client-Cert", "By=x", "Client-Cert", "x", "Client-Cert-Chain", "x", "Ssl-Client-Verify", "SUCCESS", "X-Ssl-Client-Dn", "CN=root.user",
		"X-Original-Url", "/admin", "X-Rewrite-Url", "/admin", "X-Http-Method-Override", "DELETE", "X-Method-Override", "DELETE",
		"X-Request-Id", "chosen-by-client", "Proxy", "http://evil.test", "Proxy-Authorization", "Basic eA==", "Tracestate", "a=b",
	}
	onLanes(t, nil, func(t *testing.T, h *house, l lane, c *http.Client) {
		token := "Bearer " + h.issuer.Token(t, gateway.Claims{"groups": []string{"employees", "a,b"}})
		for path, auth := range map[string]bool{"/public/x": false, "/orders/1": true} {
			headers := append([]string{"Cookie", "a=b", "X-Other", "kept"}, spoofed...)
			if auth {
				headers = append(headers, "Authorization", token)
			}
			a := h.do(t, l, c, "GET", path, "", headers...)
			if a.StatusCode != 200 {
				t.Fatalf("%s: %d %s", path, a.StatusCode, a.body)
			}
			all := strings.ToLower(a.body)
			for _, bad := range []string{"root.user", "evil.", "forged.context", "10.9.9.9", "gopher", "chosen-by-client", "/admin", "success", "by=x", "delete", "eA==", "tracestate"} {
				if strings.Contains(all, strings.ToLower(bad)) {
					t.Errorf("%s: the upstream got %q: %s", path, bad, a.body)
				}
			}
			want := map[string]string{"X-User-Id": "", "X-Client-Id": "", "X-Granted-Scopes": "", "X-Groups": "", "Cookie": "a=b", "X-Other": "kept"}
			if auth {
				want["X-User-Id"], want["X-Client-Id"], want["X-Granted-Scopes"], want["X-Groups"] = "00u1", "app1", "orders:read", "employees,a%2Cb"
			}
			for name, w := range want {
				if got := strings.Join(a.echo.Headers[name], "|"); got != w {
					t.Errorf("%s: upstream got %s: %q, want %q", path, name, got, w)
				}
			}
		}
	})
}

// attack gateway 50: a Connection line cannot take our headers away.
func TestConnectionLineCannotRemoveOurHeaders(t *testing.T) {
	h := open(t, nil, false)
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		token := h.issuer.Token(t, nil)
		resp, body := h.raw(t, "POST /public/x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Drop, X-Forwarded-For, X-Request-ID\r\nX-Drop: 1\r\nContent-Length: 0\r\n"+expect+"\r\n")
		var e echo
		_ = json.Unmarshal([]byte(body), &e)
		if resp.StatusCode != 200 || len(e.Headers["X-Forwarded-For"]) != 1 || len(e.Headers["X-Request-Id"]) != 1 || e.Headers["X-Drop"] != nil {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		resp, body = h.raw(t, "GET /orders/1 HTTP/1.1\r\nHost: a\r\nConnection: close, X-User-ID, Authorization\r\nAuthorization: Bearer "+token+"\r\n"+expect+"\r\n")
		e = echo{}
		_ = json.Unmarshal([]byte(body), &e)
		if resp.StatusCode != 200 || len(e.Headers["X-User-Id"]) != 1 {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

// raw sends bytes on a connection of its own and reads one answer.
func (h *house) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	if resp.StatusCode == http.StatusContinue {
		t.Fatalf("%q: an interim answer came last", request)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return resp, string(b)
}

// halfPanic answers with half a body, and panics where the other half would be.
type halfPanic struct{ said bool }

// Serve implements gateway.Backend.
func (*halfPanic) Serve(ex *gateway.Exchange) error {
	return ex.Relay(&wire.Response{Status: 200, Body: wire.NewBody(&halfPanic{}, -1)})
}

// Read implements io.Reader.
func (h *halfPanic) Read(p []byte) (int, error) {
	if h.said {
		panic("boom")
	}
	h.said = true
	return copy(p, "half"), nil
}

// TestPanicWithinAnAnswer: what a client has got before a panic does not look whole.
func TestPanicWithinAnAnswer(t *testing.T) {
	change := func(c *gateway.Config, _ *spec.Snapshot) {
		c.Backend = func(spec.API, gateway.Backend) (gateway.Backend, error) { return &halfPanic{}, nil }
		c.Logger = slog.New(slog.DiscardHandler)
	}
	onLanes(t, change, func(t *testing.T, h *house, l lane, c *http.Client) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url("/public/x"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		l.mark(r)
		resp, err := c.Do(r)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("%d with the body %q", resp.StatusCode, b)
		}
	})
}

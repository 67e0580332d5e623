package gateway_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// send sends a request as its bytes stand, on the lane, on a connection of its own, and
// returns the status and the body of the one answer; the status is empty when the
// connection or the stream was ended instead. headers are name, value pairs; Host among them
// is what the request is for.
func (h *house) send(t *testing.T, l lane, method, target string, headers ...string) (status, body string) {
	t.Helper()
	host := "a.test"
	if len(headers) > 0 && headers[0] == "Host" {
		host, headers = headers[1], headers[2:]
	}
	if strings.HasPrefix(l.name, "h2") {
		scheme := "http"
		if l.secure {
			scheme = "https"
		}
		fields := []string{":method", method, ":scheme", scheme, ":authority", host, ":path", target}
		for i := 0; i < len(headers); i += 2 {
			fields = append(fields, strings.ToLower(headers[i]), headers[i+1])
		}
		status, body = dialH2(t, h).request(t, 1, fields...)
		switch status {
		case "closed", "reset", "goaway":
			return "", ""
		}
		return status, body
	}
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if l.secure {
		conn = tls.Client(conn, &tls.Config{RootCAs: h.tls, ServerName: "example.com"})
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, host)
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&head, "%s: %s\r\n", headers[i], headers[i+1])
	}
	mark := &http.Request{Header: http.Header{}}
	l.mark(mark)
	_ = mark.Header.Write(&head)
	_, _ = io.WriteString(conn, head.String()+"\r\n")
	answers := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answers, &http.Request{Method: method})
	if err != nil {
		return "", ""
	}
	b, _ := io.ReadAll(resp.Body)
	if rest, _ := io.ReadAll(answers); len(rest) > 0 {
		t.Errorf("%s: %q on %s: more than one answer: %q", l.name, target, method, rest)
	}
	return resp.Status[:3], string(b)
}

// attack gateway 36 to 39, 43, 45 to 47: what could mean another path, method or query
// than the one that is decided about is refused, with its bytes as they stand, on every
// lane, and reaches no upstream; what has one meaning reaches it as it was decided. The
// log holds a line of JSON for each and none that a client wrote.
func TestBytesOnEveryLane(t *testing.T) {
	type attack struct {
		name, method, target string
		headers              []string
		want                 string // status; a stream or connection that ends counts as 400
		upstream             string // target that the upstream sees, empty for none
	}
	token := "Authorization"
	attacks := []attack{
		{name: "36: dots", target: "/public/../admin", want: "400"},
		{name: "36: coded dots", target: "/public/%2e%2e/admin", want: "400"},
		{name: "36: half-coded dots", target: "/public/.%2E/admin", want: "400"},
		{name: "36: dots with a parameter", target: "/public/..;/admin", want: "400"},
		{name: "36: backslash", target: `/public/..\admin`, want: "400"},
		{name: "36: coded backslash", target: "/public/..%5cadmin", want: "400"},
		{name: "36: coded twice", target: "/public/%252e%252e/admin", want: "400"},
		{name: "36: coded twice in parts", target: "/public/%25%32%65/admin", want: "400"},
		{name: "36: dots at the end", target: "/public/..", want: "400"},
		{name: "36: dots to the root and on", target: "/public/x/../../admin", want: "400"},
		{name: "36: a dot that is coded and means itself", target: "/public/a%2Eb", want: "200", upstream: "/public/a.b"},
		{name: "37: two slashes", target: "//admin", want: "400"},
		{name: "37: slash at the end", target: "/admin/", want: "404"},
		{name: "37: two slashes at the end", target: "/admin//", want: "400"},
		{name: "37: a dot", target: "/./admin", want: "400"},
		{name: "37: upper case", target: "/ADMIN", want: "404"},
		{name: "37: coded letters", target: "/%61dmi%6E", want: "401"},
		{name: "38: dots behind the base path", target: "/strip../admin", want: "400"},
		{name: "38: dots in the base path", target: "/strip/../admin", want: "400"},
		{name: "38: a longer word than the base path", target: "/stripadmin", want: "404"},
		{name: "38: stripped", target: "/strip/x", want: "200", upstream: "/x"},
		{name: "38: stripped to two slashes", target: "/strip//admin", want: "400"},
		{name: "39: coded slash", target: "/public/a%2Fb", want: "400"},
		{name: "39: coded slash instead of a slash", target: "/public%2fx", want: "400"},
		{name: "39: opt in", target: "/coded/a%2fb", want: "200", upstream: "/coded/a%2Fb"},
		{name: "39: opt in, with dots", target: "/coded/..%2fadmin", want: "400"},
		{name: "43: a public path in the query", target: "/admin?x=/public/x", want: "401"},
		{name: "43: a public path in the fragment", target: "/admin#/public/x", want: "400"},
		{name: "43: a public path in a parameter", target: "/admin;/public/x", want: "400"},
		{name: "43: a public path as a parameter", target: "/admin;x=/public/x", want: "400"},
		{name: "45: lower case", method: "get", target: "/public/x", want: "400"},
		{name: "45: mixed case", method: "Get", target: "/admin", want: "400"},
		{name: "45: TRACE", method: "TRACE", target: "/public/x", want: "405"},
		{name: "45: TRACE of what is protected", method: "TRACE", target: "/admin", want: "405"},
		{name: "45: HEAD of what is protected", method: "HEAD", target: "/admin", want: "401"},
		{name: "45: preflight", method: "OPTIONS", target: "/admin", headers: []string{"Origin", "https://evil.test", "Access-Control-Request-Method", "GET"}, want: "405"},
		{name: "45: a method that nobody knows", method: "BREW", target: "/admin", want: "405"},
		{name: "45: all methods are allowed", method: "BREW", target: "/public/x", want: "200", upstream: "/public/x"},
		{name: "45: another method in a header", method: "BREW", target: "/admin", headers: []string{"X-HTTP-Method-Override", "GET"}, want: "405"},
		{name: "46: NUL", target: "/public/\x00", want: "400"},
		{name: "46: coded NUL", target: "/public/%00", want: "400"},
		{name: "46: coded line break", target: "/public/%0d%0aX-User-ID:%20root", want: "400"},
		{name: "46: tab", target: "/public/a\tb", want: "400"},
		{name: "46: DEL", target: "/public/a\x7fb", want: "400"},
		{name: "46: overlong", target: "/public/%c0%ae%c0%ae/admin", want: "400"},
		{name: "46: overlong of three bytes", target: "/public/%e0%80%ae", want: "400"},
		{name: "46: half of a surrogate", target: "/public/%ed%a0%80", want: "400"},
		{name: "46: beyond ASCII", target: "/public/\xc3\xa9", want: "400"},
		{name: "46: coded beyond ASCII", target: "/public/%c3%a9", want: "200", upstream: "/public/%C3%A9"},
		{name: "46: full-width dots", target: "/public/%ef%bc%8e%ef%bc%8e/admin", want: "200", upstream: "/public/%EF%BC%8E%EF%BC%8E/admin"},
		{name: "46: NUL in the query", target: "/public/x?a=\x00", want: "400"},
		{name: "46: NUL in a header", target: "/public/x", headers: []string{"X-A", "b\x00c"}, want: "400"},
		{name: "46: escape in a header", target: "/public/x", headers: []string{"X-A", "b\x1b[31mc"}, want: "400"},
		{name: "46: bare CR in a header", target: "/public/x", headers: []string{"X-A", "b\rX-User-ID: root"}, want: "400"},
		{name: "46: bare LF in a header", target: "/public/x", headers: []string{"X-A", "b\nX_User_ID: root"}, want: "400"},
		{name: "47: semicolon", target: "/public/x?a=1;b=2", want: "400"},
		{name: "47: broken code", target: "/public/x?a=%zz", want: "400"},
		{name: "47: half a code", target: "/public/x?a=%2", want: "400"},
		{name: "47: twice", target: "/public/x?a=1&a=2&b=%20&c", want: "200", upstream: "/public/x?a=1&a=2&b=%20&c"},
		{name: "47: a second question mark", target: "/public/x?a=?b&&=", want: "200", upstream: "/public/x?a=?b&&="},
		{name: "23: two tokens in two lines", target: "/orders/1", headers: []string{token, "Bearer TOKEN", token, "Bearer TOKEN"}, want: "400"},
		{name: "23: another scheme in a second line", target: "/orders/1", headers: []string{token, "Bearer TOKEN", token, "Basic eA=="}, want: "400"},
		{name: "23: two tokens in one line", target: "/orders/1", headers: []string{token, "Bearer TOKEN, Bearer TOKEN"}, want: "401"},
		{name: "23: lower case", target: "/orders/1", headers: []string{token, "bearer TOKEN"}, want: "200", upstream: "/orders/1"},
		{name: "23: tab", target: "/orders/1", headers: []string{token, "Bearer\tTOKEN"}, want: "401"},
		{name: "23: header and query", target: "/orders/1?access_token=TOKEN", headers: []string{token, "Basic eA=="}, want: "401"},
	}
	change := func(_ *gateway.Config, s *spec.Snapshot) {
		up := s.APIs[0].Upstream
		s.APIs = append(s.APIs,
			spec.API{Name: "strip", BasePath: "/strip", Auth: []string{"main"}, Upstream: up, Routes: []spec.Route{{Method: "GET", Path: "/*", Public: true}}},
			spec.API{Name: "coded", BasePath: "/coded", KeepBasePath: true, EncodedSlashes: true, Auth: []string{"main"}, Upstream: up, Routes: []spec.Route{{Method: "GET", Path: "/{x}", Public: true}}})
	}
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h := open(t, change, l.secure)
			bearer := h.issuer.Token(t, nil)
			for _, a := range attacks {
				method, headers := a.method, make([]string, len(a.headers))
				if method == "" {
					method = "GET"
				}
				for i, v := range a.headers {
					headers[i] = strings.ReplaceAll(v, "TOKEN", bearer)
				}
				status, body := h.send(t, l, method, strings.ReplaceAll(a.target, "TOKEN", bearer), headers...)
				if status == "" {
					status = "400"
				}
				var e echo
				_ = json.Unmarshal([]byte(body), &e)
				if status != a.want || e.Target != a.upstream || e.Method != "" && e.Method != method {
					t.Errorf("%s: %s, the upstream saw %s %q; want %s %q", a.name, status, e.Method, e.Target, a.want, a.upstream)
				}
				if e.Headers["X-User-Id"] != nil && a.headers == nil {
					t.Errorf("%s: the upstream was told %v", a.name, e.Headers)
				}
			}
			for _, line := range h.log.All() {
				if !json.Valid([]byte(line)) || strings.Count(line, "\n") != 1 || strings.Contains(line, "root") || strings.Contains(line, bearer) {
					t.Errorf("in the log: %q", line)
				}
			}
		})
	}
}

// TestLogOnEveryLane: whatever bytes path, host and request id are made of, a line of the
// log is one JSON object of plain bytes, with what the gateway has decided about.
func TestLogOnEveryLane(t *testing.T) {
	bytes := []string{"\x00", "\t", "\n", "\r", "\"", "\\", "\x7f", "\x80", "\xff", "é", "%22", "%5C", "%5c", "%0A", "%C3%A9", "%27", "<", "{", "\",\"status\":1,\"x\":\""}
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h := open(t, nil, l.secure)
			for _, b := range bytes {
				_, _ = h.send(t, l, "GET", "/public/a"+b+"b")
				_, _ = h.send(t, l, "GET", "/public/x?a"+b+"b")
				_, _ = h.send(t, l, "GET", "/public/x", "Host", "a"+b+".test")
				_, _ = h.send(t, l, "GET", "/public/x", "Host", "[::1"+b+"]")
				_, _ = h.send(t, l, "GET", "/public/x", "X-Request-ID", "a"+b+"b")
				_, _ = h.send(t, l, "GET"+b, "/public/x")
			}
			lines := h.log.All()
			if len(lines) < len(bytes) {
				t.Errorf("%d lines", len(lines))
			}
			for _, line := range lines {
				var fields map[string]any
				err := json.Unmarshal([]byte(line), &fields)
				if err != nil || fields["x"] != nil || fields["status"] == 1.0 || strings.Count(line, "\n") != 1 || strings.ContainsAny(line, "\x00\t\r\x7f") ||
					strings.ContainsFunc(line, func(r rune) bool { return r > 0x7e }) {
					t.Errorf("%v: %q", err, line)
				}
			}
		})
	}
}

// attack gateway 59: a chunked body that could end elsewhere is refused on the lane of
// net/http as well, and what stands behind a request that was handed over is not served.
func TestSmugglingOnBothHTTP1Lanes(t *testing.T) {
	const behind = "GET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for lane, mark := range map[string]string{"strict": "", "standard": "Expect: 100-continue\r\n"} {
		t.Run(lane, func(t *testing.T) {
			h := open(t, nil, false)
			converse := func(request string) (answers string) {
				t.Helper()
				conn, err := net.Dial("tcp", h.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(gateway.Patience))
				_, _ = io.WriteString(conn, request)
				_ = conn.(*net.TCPConn).CloseWrite()
				all, _ := io.ReadAll(conn)
				return strings.ReplaceAll(string(all), "HTTP/1.1 100 Continue\r\n\r\n", "")
			}
			head := "POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + mark + "\r\n"
			for name, body := range map[string]string{
				"size empty": "\r\nabc\r\n0\r\n\r\n", "size signed": "+3\r\nabc\r\n0\r\n\r\n", "size negative": "-3\r\nabc\r\n0\r\n\r\n",
				"size 0x": "0x3\r\nabc\r\n0\r\n\r\n", "size overflow": "10000000000000003\r\nabc\r\n0\r\n\r\n", "space before": " 3\r\nabc\r\n0\r\n\r\n",
				"line bare LF": "3\nabc\r\n0\r\n\r\n", "line bare CR": "3\rabc\r\n0\r\n\r\n", "extension bare LF": "3;a\nabc\r\n0\r\n\r\n",
				"extension flood": strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\na\r\n", 400) + "0\r\n\r\n",
				"content longer":  "3\r\nabcd\r\n0\r\n\r\n", "content ends in LF": "3\r\nabc\n0\r\n\r\n", "content ends in CR": "3\r\nabc\r0\r\n\r\n",
				"trailer without colon": "0\r\nX-A\r\n\r\n", "trailer bare LF": "0\r\nX-A: b\n\r\n", "end is bare LF": "3\r\nabc\r\n0\r\n\n",
				"never ends": "3\r\nabc\r\n",
			} {
				got := converse(head + body + behind)
				// Where net/http takes a bare LF, behind the body, it has one meaning: the connection ends.
				lax := lane == "standard" && (name == "trailer bare LF" || name == "end is bare LF")
				if strings.Contains(got, "HTTP/1.1 200") && !lax || strings.Count(got, "HTTP/1.1 ") > 1 || strings.Contains(got, "smuggled") {
					t.Errorf("%s: %.300q", name, got)
				}
			}
			for name, request := range map[string]string{
				"a length": "POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n" + mark + "\r\nabc",
				"chunks":   head + "3\r\nabc\r\n0\r\nX-User-ID: root\r\n\r\n",
			} {
				got := converse(request + behind)
				// The strict lane serves each in its turn. The other one serves one request of a
				// connection, and refuses it when it can see that there is more.
				ok := strings.Count(got, "HTTP/1.1 200") == 2 && strings.Count(got, `"body":"abc"`) == 1
				if lane == "standard" {
					ok = strings.Count(got, "HTTP/1.1 ") == 1 && !strings.Contains(got, "smuggled")
				}
				if !ok || strings.Contains(got, "root") {
					t.Errorf("%s: %.600q", name, got)
				}
			}
			// A body that is announced and not sent is not the next request.
			if got := converse("POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n" + mark + "\r\n" + behind); strings.Contains(got, "HTTP/1.1 200") {
				t.Errorf("a body that is cut short: %.300q", got)
			}
		})
	}
}

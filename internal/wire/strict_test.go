package wire

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestRefused sends what must never reach a handler: attack gateway 41
// (absolute form), 45 (method grammar), 46 (bytes), 59 (framing), 61 (sizes).
func TestRefused(t *testing.T) {
	const ok = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct{ name, input, want string }{
		{"length and coding", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"coding and length", ok + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "400"},
		{"two lengths", ok + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "400"},
		{"two equal lengths", ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "400"},
		{"length list", ok + "Content-Length: 3, 3\r\n\r\nabc", "400"},
		{"length plus", ok + "Content-Length: +3\r\n\r\nabc", "400"},
		{"length minus", ok + "Content-Length: -3\r\n\r\nabc", "400"},
		{"length hex", ok + "Content-Length: 0x3\r\n\r\nabc", "400"},
		{"length empty", ok + "Content-Length:\r\n\r\nabc", "400"},
		{"length with space", ok + "Content-Length: 1 1\r\n\r\nabc", "400"},
		{"length overflow", ok + "Content-Length: 18446744073709551616\r\n\r\nabc", "400"},
		{"length with letter", ok + "Content-Length: 3a\r\n\r\nabc", "400"},
		{"coding other", ok + "Transfer-Encoding: gzip\r\n\r\n", "400"},
		{"coding list", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400"},
		{"coding identity", ok + "Transfer-Encoding: identity\r\n\r\n", "400"},
		{"coding quoted", ok + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400"},
		{"coding parameter", ok + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "400"},
		{"coding trailing comma", ok + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", "400"},
		{"coding empty", ok + "Transfer-Encoding:\r\n\r\n", "400"},
		{"coding vertical tab", ok + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "400"},
		{"coding twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"coding twice differing", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "400"},
		{"coding on 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"space before colon", ok + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"tab before colon", ok + "X-A\t: b\r\n\r\n", "400"},
		{"empty name", ok + ": b\r\n\r\n", "400"},
		{"no colon", ok + "nonsense\r\n\r\n", "400"},
		{"space in name", ok + "X A: b\r\n\r\n", "400"},
		{"name not a token", ok + "X(A): b\r\n\r\n", "400"},
		{"name beyond ascii", ok + "X-\xc3\xa9: b\r\n\r\n", "400"},
		{"name with underscore", ok + "X_User_ID: root\r\n\r\n", "400"},
		{"underscore that aliases framing", ok + "Content_Length: 3\r\n\r\nabc", "400"},
		{"folded", ok + "X-A: b\r\n c\r\n\r\n", "400"},
		{"folded by tab", ok + "X-A: b\r\n\tc\r\n\r\n", "400"},
		{"fold at first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"},
		{"bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", "400"},
		{"bare LF after request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"},
		{"bare LF in head", ok + "X-A: b\nX-B: c\r\n\r\n", "400"},
		{"bare LF at end", ok + "X-A: b\r\n\n", "400"},
		{"bare CR in value", ok + "X-A: b\rX-B: c\r\n\r\n", "400"},
		{"bare CR in request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"CR CR LF", "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400"},
		{"NUL in value", ok + "X-A: b\x00c\r\n\r\n", "400"},
		{"NUL in name", ok + "X\x00A: b\r\n\r\n", "400"},
		{"DEL in value", ok + "X-A: b\x7f\r\n\r\n", "400"},
		{"control in value", ok + "X-A: b\x01c\r\n\r\n", "400"},
		{"escape in value", ok + "X-A: 0123456789\x1b[31m\r\n\r\n", "400"},
		{"no host", "GET / HTTP/1.1\r\nX-A: b\r\n\r\n", "400"},
		{"two hosts", ok + "Host: a\r\n\r\n", "400"},
		{"two hosts differing", ok + "Host: b\r\n\r\n", "400"},
		{"host empty", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "400"},
		{"host with user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"},
		{"host with user and password", "GET / HTTP/1.1\r\nHost: u:p@a\r\n\r\n", "400"},
		{"host with space", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
		{"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"},
		{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
		{"host beyond ascii", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", "400"},
		{"host with percent", "GET / HTTP/1.1\r\nHost: %61\r\n\r\n", "400"},
		{"port letters", "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", "400"},
		{"port empty", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", "400"},
		{"port large", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"},
		{"port signed", "GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", "400"},
		{"two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n\r\n", "400"},
		{"v6 without brackets", "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", "400"},
		{"v6 open", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"},
		{"v6 zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", "400"},
		{"v6 garbage behind", "GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", "400"},
		{"absolute form disagrees", "GET http://evil/admin HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"absolute form port disagrees", "GET http://a:81/ HTTP/1.1\r\nHost: a:80\r\n\r\n", "400"},
		{"absolute form with user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"absolute form without host line", "GET http://a/ HTTP/1.1\r\n\r\n", "400"},
		{"absolute form other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"absolute form empty host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"absolute form backslash", "GET http://a\\@b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"authority form", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"path without slash", "GET admin HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", "405"},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
		{"small method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"mixed method", "Get / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"method not a token", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"method long", strings.Repeat("A", 40) + " / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"method empty", " / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"tab in request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"space behind version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
		{"fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"target beyond ascii", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"NUL in target", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"broken escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"short escape", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"leading empty line", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"HTTP/0.9", "GET /\r\n\r\n", "400"},
		{"HTTP/0.9 with a name", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"},
		{"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
		{"HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"},
		{"http small", "GET / http/1.1\r\nHost: a\r\n\r\n", "400"},
		{"TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},
		{"Connection names Host", ok + "Connection: host\r\n\r\n", "400"},
		{"Connection names framing", ok + "Connection: close, Content-Length\r\n\r\n", "400"},
		{"Connection garbage", ok + "Connection: a b\r\n\r\n", "400"},
		{"Trailer names framing", ok + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", "400"},
		{"target long", "GET /" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		{"target endless", "GET /" + strings.Repeat("a", 100<<10), "414"},
		{"fields many", ok + strings.Repeat("X-A: b\r\n", 120) + "\r\n", "431"},
		{"head large", ok + "X-A: " + strings.Repeat("a", 33<<10) + "\r\n\r\n", "431"},
		{"head of a megabyte", ok + strings.Repeat("X-A: "+strings.Repeat("a", 1000)+"\r\n", 1000) + "\r\n", "431"},
		{"expect with nobody to hand it to", ok + "Expect: 100-continue\r\n\r\n", "501"},
		{"h2 preface with nobody to hand it to", preface + "SM\r\n\r\n", "501"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var told []Rejection
			_, addr := startServer(t, ServerConfig{
				Handler: handlerFunc(func(x Exchange) {
					t.Errorf("reached the handler: %q", x.Request().Target)
					_ = x.Respond(200, nil, nil)
				}),
				Reject: func(r *Rejection) ([]Field, []byte) {
					return []Field{{Name: []byte("Content-Type"), Value: []byte("text/plain")}}, []byte(r.Reason)
				},
				OnReject: func(r *Rejection) { mu.Lock(); told = append(told, *r); mu.Unlock() },
			})
			got := converse(t, addr, c.input)
			if status(got) != c.want || !strings.Contains(got, "\r\nConnection: close\r\n") {
				t.Errorf("got %q, want %s and close", got, c.want)
			}
			if !strings.HasSuffix(got, "\r\n\r\nambiguous_request") && !strings.HasSuffix(got, "\r\n\r\nmethod_not_allowed") {
				t.Errorf("body not rendered: %q", got)
			}
			if n := strings.Count(got, "HTTP/1.1 "); n != 1 {
				t.Errorf("%d answers: %q", n, got)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(told) != 1 || told[0].Detail == "" || !told[0].Remote.IsValid() {
				t.Errorf("OnReject got %+v", told)
			}
		})
	}
}

// TestRefusedBodies sends broken chunked bodies: attack gateway 59.
func TestRefusedBodies(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo)})
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct{ name, body string }{
		{"size empty", "\r\nabc\r\n0\r\n\r\n"},
		{"size signed", "+3\r\nabc\r\n0\r\n\r\n"},
		{"size negative", "-3\r\nabc\r\n0\r\n\r\n"},
		{"size 0x", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"size not hex", "g\r\nabc\r\n0\r\n\r\n"},
		{"size overflow", "10000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"size sixteen digits", "f000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"size with space before", " 3\r\nabc\r\n0\r\n\r\n"},
		{"size with space behind", "3 \r\nabc\r\n0\r\n\r\n"},
		{"size line bare LF", "3\nabc\r\n0\r\n\r\n"},
		{"size line bare CR", "3\rabc\r\n0\r\n\r\n"},
		{"extension bare LF", "3;a\nabc\r\n0\r\n\r\n"},
		{"extension control", "3;\x00\r\nabc\r\n0\r\n\r\n"},
		{"extension long", "3;" + strings.Repeat("a", 300) + "\r\nabc\r\n0\r\n\r\n"},
		{"extension flood", strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\na\r\n", 100) + "0\r\n\r\n"},
		{"content longer", "3\r\nabcd\r\n0\r\n\r\n"},
		{"content ends in LF", "3\r\nabc\n0\r\n\r\n"},
		{"content ends in CR", "3\r\nabc\r0\r\n\r\n"},
		{"trailer folded", "0\r\nX-A: b\r\n c\r\n\r\n"},
		{"trailer without colon", "0\r\nX-A\r\n\r\n"},
		{"trailer bare LF", "0\r\nX-A: b\n\r\n"},
		{"trailer control", "0\r\nX-A: \x01\r\n\r\n"},
		{"trailer space before colon", "0\r\nX-A : b\r\n\r\n"},
		{"trailers many", "0\r\n" + strings.Repeat("X-A: b\r\n", 100) + "\r\n"},
		{"trailer large", "0\r\nX-A: " + strings.Repeat("a", 20<<10) + "\r\n\r\n"},
		{"end is bare LF", "3\r\nabc\r\n0\r\n\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := converse(t, addr, head+c.body+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			if status(got) != "400" || strings.Count(got, "HTTP/1.1 ") != 1 || strings.Contains(got, "smuggled") {
				t.Errorf("got %q, want 400 and nothing else", got)
			}
		})
	}
}

// TestAccepted sends what has one meaning, and looks at which one was taken.
func TestAccepted(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo)})
	const last = "GET /last HTTP/1.1\r\nHost: z\r\nConnection: close\r\n\r\n"
	for _, c := range []struct{ name, input, want string }{
		{"plain", "GET /a?b=c HTTP/1.1\r\nHost: h:80\r\nX-A:  b c\t\r\n\r\n", "GET /a?b=c host=h:80 body= X-A=b c"},
		{"own method", "M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH / host=h body="},
		{"length", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "POST / host=h body=abc"},
		{"length zero", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", "POST / host=h body="},
		{"chunks", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n02;x=y\r\nde\r\n0\r\n\r\n", "POST / host=h body=abcde"},
		{"trailers dropped", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-User-ID: root\r\n\r\n", "POST / host=h body=a"},
		{"GET with a body", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "GET / host=h body=abc"},
		{"absolute form", "GET http://h/x?y HTTP/1.1\r\nHost: H\r\n\r\n", "GET /x?y host=H body="},
		{"absolute form https", "GET HTTPS://h:443/x HTTP/1.1\r\nHost: h:443\r\n\r\n", "GET /x host=h:443 body="},
		{"absolute form without path", "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "GET / host=h body="},
		{"absolute form with query only", "GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?x host=h body="},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * host=h body="},
		{"asterisk in absolute form", "OPTIONS http://h HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * host=h body="},
		{"v6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / host=[::1]:80 body="},
		{"hop by hop", "GET / HTTP/1.1\r\nHost: h\r\nConnection: x-a, keep-alive\r\nX-A: b\r\nKeep-Alive: 5\r\nX-B: c\r\nTE: gzip\r\n\r\n", "GET / host=h body= X-B=c"},
		{"upgrade not named by Connection", "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\n\r\n", "GET / host=h body="},
		{"obs-text", "GET / HTTP/1.1\r\nHost: h\r\nX-A: \xc3\xa9\r\n\r\n", "GET / host=h body= X-A=\xc3\xa9"},
		{"many headers in a large head", "GET / HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("a", 20000) + "\r\nContent-Length: 5\r\n\r\nhello", "GET / host=h body=hello Cookie=" + strings.Repeat("a", 20000)},
		{"head that fills the buffer", "GET / HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("a", 15000) + "\r\nContent-Length: 5\r\n\r\nhello", "GET / host=h body=hello Cookie=" + strings.Repeat("a", 15000)},
	} {
		for _, step := range []int{0, 1} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				conn := dial(t, addr)
				go func() { // all at once, or byte by byte
					in := []byte(c.input + last)
					if step == 0 || len(in) > 1000 {
						_, _ = conn.Write(in)
						return
					}
					for i := range in {
						_, _ = conn.Write(in[i : i+1])
					}
				}()
				var all bytes.Buffer
				_, _ = all.ReadFrom(conn)
				got := all.String()
				if strings.Count(got, "HTTP/1.1 200 OK\r\n") != 2 || !strings.Contains(got, "\r\n\r\n"+c.want+"\n") || !strings.HasSuffix(got, "GET /last host=z body=\n") {
					t.Errorf("got %.500q\nwant %.500q and the next request in order", got, c.want)
				}
			})
		}
	}
}

// TestOldClients speaks HTTP/1.0.
func TestOldClients(t *testing.T) {
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo)})
	got := converse(t, addr, "GET / HTTP/1.0\r\n\r\n")
	if status(got) != "200" || !strings.Contains(got, "Connection: close\r\n") {
		t.Errorf("without keep-alive: %q", got)
	}
	got = converse(t, addr, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n")
	if strings.Count(got, "200 OK") != 2 || !strings.Contains(got, "Connection: keep-alive\r\n") {
		t.Errorf("with keep-alive: %q", got)
	}
}

// TestSlowHead is slowloris: attack gateway 61.
func TestSlowHead(t *testing.T) {
	_, addr := startServer(t, ServerConfig{
		Handler: handlerFunc(echo), Timeouts: Timeouts{Head: 100 * time.Millisecond, Idle: time.Minute},
	})
	c := dial(t, addr)
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a byte every few milliseconds must not keep it open
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		_, _ = c.Write([]byte("GET / HTTP/1.1\r\nX-A: "))
		for {
			select {
			case <-tick.C:
				if _, err := c.Write([]byte("a")); err != nil {
					return
				}
			case <-stop:
				return
			}
		}
	}()
	start := time.Now()
	var all bytes.Buffer
	_, _ = all.ReadFrom(c)
	if d := time.Since(start); d > patience/2 || status(all.String()) != "408" {
		t.Errorf("after %v: %q", d, all.String())
	}
}

// TestSlowBody: a body that drips slower than the rate ends; attack gateway 61.
func TestSlowBody(t *testing.T) {
	for _, c := range []struct {
		name string
		t    Timeouts
	}{
		{"silent", Timeouts{Body: 100 * time.Millisecond}},
		{"dripping", Timeouts{Body: 300 * time.Millisecond, BodyRate: 1 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo), Timeouts: c.t})
			conn := dial(t, addr)
			_, _ = conn.Write([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\na"))
			if c.t.BodyRate > 0 {
				go func() {
					tick := time.NewTicker(20 * time.Millisecond)
					defer tick.Stop()
					for range tick.C {
						if _, err := conn.Write([]byte("a")); err != nil {
							return
						}
					}
				}()
			}
			var all bytes.Buffer
			_, _ = all.ReadFrom(conn)
			if got := all.String(); status(got) != "400" || !strings.Contains(got, ErrBodyTimeout.Error()) {
				t.Errorf("got %q", got)
			}
			_ = conn.Close()
		})
	}
}

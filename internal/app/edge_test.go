package app_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse/internal/app"
	"gatehouse/internal/wire"
)

// door is a listener that net/http serves, as strangers see it.
type door struct {
	name, address string
	roots         *x509.CertPool // nil: without TLS
	known         string         // a path that is answered 200
	program       *program
}

// doors are the identity listener, with and without TLS, and the console.
func doors(t *testing.T, opts ...startOption) []door {
	t.Helper()
	cert, key, roots := selfSigned(t)
	with := func(settings string) *program {
		return start(t, write(t, strings.NewReplacer("SETTINGS", settings, "UPSTREAM", echo(t)).Replace(tlsIdentity)), opts...)
	}
	host := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Host
	}
	secure, plain := with("tls: { cert: "+cert+", key: "+key+" }"), with("trusted_proxies: [192.0.2.1/32]")
	const keys = "/.well-known/gatehouse/jwks.json"
	return []door{
		{"identity", host(plain.Ready().Identity), nil, keys, plain},
		{"identity with TLS", host(secure.Ready().Identity), roots, keys, secure},
		{"console", host(plain.Ready().Console), nil, "/livez", plain},
	}
}

func withPatience(w wire.Timeouts) startOption { return func(c *app.Config) { c.Patience = w } }

// testTime is when a test has failed that waits for a connection to be ended.
const testTime = time.Minute

// shortTime is a limit that tests wait for. It is long for who does as they should, on a
// machine with much else to do.
const shortTime = 4 * time.Second

func (e door) dial(t *testing.T, protocols ...string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", e.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(testTime)); err != nil {
		t.Fatal(err)
	}
	if e.roots == nil {
		return nc
	}
	conn := tls.Client(nc, &tls.Config{RootCAs: e.roots, ServerName: "127.0.0.1", NextProtos: protocols, MinVersion: tls.VersionTLS12})
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// serves fails the test unless somebody else is served.
func (e door) serves(t *testing.T) {
	t.Helper()
	conn := e.dial(t)
	defer func() { _ = conn.Close() }()
	if status := e.exchange(conn, "GET "+e.known+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); status != "200" {
		t.Errorf("another client is answered %q", status)
	}
}

// exchange sends the text and returns the status of what is answered, as ended does.
func (e door) exchange(conn net.Conn, text string) string {
	_, _ = io.WriteString(conn, text) // the answer may have come before it is all sent
	return ended(conn)
}

// answered sends the text on a connection of its own and returns what answers does.
func (e door) answered(t *testing.T, text string) []string {
	conn := e.dial(t)
	_, _ = io.WriteString(conn, text) // the answer may have come before it is all sent
	return answers(conn)
}

// ended reads until the connection is ended, and returns the status of the last answer;
// empty when there was none, and "open" when the connection stays.
func ended(conn net.Conn) string {
	all := answers(conn)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

// answers returns the statuses of what is answered until the connection is ended, and
// "open" behind them when it is not.
func answers(conn net.Conn) (all []string) {
	br := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(br, nil)
		if err == nil {
			if r.StatusCode == http.StatusContinue {
				continue
			}
			all = append(all, r.Status[:3])
			_, err = io.Copy(io.Discard, r.Body)
			_ = r.Body.Close()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return append(all, "open")
		}
		if err != nil {
			return all
		}
	}
}

// drip calls send every few milliseconds until it fails or the test ends.
func drip(t *testing.T, send func() error) {
	var done sync.WaitGroup
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop); done.Wait() })
	done.Go(func() {
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
	})
}

// h2Flood is a client's side of HTTP/2 that never stops.
type h2Flood struct {
	*http2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
}

func newH2Flood(w io.Writer) *h2Flood {
	f := &h2Flood{}
	f.Framer = http2.NewFramer(w, nil)
	f.enc = hpack.NewEncoder(&f.buf)
	_, _ = io.WriteString(w, http2.ClientPreface) // a failure shows in the first frame
	_ = f.WriteSettings()                         // likewise
	return f
}

func (f *h2Flood) head(fields ...string) []byte {
	f.buf.Reset()
	for _, x := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "localhost"}, {":path", "/"}} {
		_ = f.enc.WriteField(hpack.HeaderField{Name: x[0], Value: x[1]}) // a buffer takes it
	}
	for _, v := range fields {
		_ = f.enc.WriteField(hpack.HeaderField{Name: "x-a", Value: v})
	}
	return f.buf.Bytes()
}

// attack gateway 60, 61: these listeners speak no HTTP/2. Whatever is sent in it ends the
// connection before it costs anything, h2 cannot be had by ALPN, and h2c not by Upgrade.
func TestEdgesSpeakNoHTTP2(t *testing.T) {
	long := strings.Repeat("b", 3000)
	open := func(f *h2Flood, i uint32, end bool, fields ...string) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: f.head(fields...), EndStream: true, EndHeaders: end})
	}
	floods := map[string]func(f *h2Flood, i uint32) error{
		"endless continuation": func(f *h2Flood, i uint32) error {
			if i == 0 {
				return open(f, 0, false)
			}
			return f.WriteContinuation(1, false, f.head(long))
		},
		"rapid reset": func(f *h2Flood, i uint32) error {
			return errors.Join(open(f, i, true), f.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"bombs of HPACK": func(f *h2Flood, i uint32) error {
			return open(f, i, true, strings.Split(strings.Repeat(long+" ", 1000), " ")...)
		},
		"pings":    func(f *h2Flood, _ uint32) error { return f.WritePing(false, [8]byte{1}) },
		"settings": func(f *h2Flood, _ uint32) error { return f.WriteSettings() },
	}
	for _, e := range doors(t) {
		t.Run(e.name, func(t *testing.T) {
			for name, flood := range floods {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				conn := e.dial(t)
				f := newH2Flood(conn)
				var err error
				for i := uint32(0); err == nil && i < 1<<22; i++ {
					err = flood(f, i)
				}
				if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: it may go on for ever: %v", name, err)
				}
				if status := ended(conn); status == "200" || status == "open" {
					t.Errorf("%s: %q", name, status)
				}
				runtime.ReadMemStats(&after)
				if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
					t.Errorf("%s: %d MiB, of both sides", name, used>>20)
				}
				e.serves(t)
			}
			for _, preface := range []string{http2.ClientPreface, "PRI * HTTP/2.0\r\n\r\n"} {
				if status := e.exchange(e.dial(t), preface); status == "200" || status == "open" {
					t.Errorf("%q: %q", preface, status)
				}
			}
			upgrade := "GET " + e.known + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
			if status := e.exchange(e.dial(t), upgrade); status != "200" {
				t.Errorf("h2c by Upgrade: %q", status)
			}
			if e.roots == nil {
				return
			}
			if got := e.dial(t, "h2", "http/1.1").(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("ALPN chooses %q", got)
			}
			_, err := tls.Dial("tcp", e.address, &tls.Config{RootCAs: e.roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12})
			if err == nil {
				t.Error("a client of h2 alone is taken")
			}
		})
	}
}

// attack gateway 61: heads beyond the bounds are refused and their connections ended,
// long before they fill memory.
func TestEdgesRefuseLargeHeads(t *testing.T) {
	for _, e := range doors(t) {
		t.Run(e.name, func(t *testing.T) {
			begin := "GET " + e.known + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
			for _, x := range []struct {
				name, text string
				status     string
			}{
				{"as many lines as may be", begin + strings.Repeat("X-A: b\r\n", 99) + "\r\n", "200"},
				{"one more", begin + strings.Repeat("X-A: b\r\n", 100) + "\r\n", "431"},
				{"thousands of lines", begin + strings.Repeat("X-A: b\r\n", 4000) + "\r\n", "431"},
				{"one large line", begin + "X-A: " + strings.Repeat("b", 1<<20) + "\r\n\r\n", "431"},
				{"a large target", "GET /" + strings.Repeat("b", 1<<20) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
			} {
				if status := e.exchange(e.dial(t), x.text); status != x.status && (status != "" || x.status != "431") { // what was not read may take the answer with it
					t.Errorf("%s: %q, want %s", x.name, status, x.status)
				}
			}
			// Who has sent all of it can read the answer to its end.
			conn, err := e.dial(t), error(nil)
			_, _ = io.WriteString(conn, begin+"X-A: "+strings.Repeat("b", 60<<10)+"\r\n\r\n")
			if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 431 ") {
				t.Errorf("60 KiB: %.40q, %v", answer, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			conn = e.dial(t)
			_, _ = io.WriteString(conn, begin) // a failure shows below
			line := []byte("X-A: " + strings.Repeat("b", 8000) + "\r\n")
			for sent := 0; err == nil && sent < 64<<20; sent += len(line) {
				_, err = conn.Write(line)
			}
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a head may go on for ever: %v", err)
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB for a head", used>>20)
			}
			e.serves(t)
		})
	}
}

// attack gateway 61: slowloris. Who says nothing, who drips a head, and who does so after
// a first request, is ended when the time for it is over.
func TestEdgesEndSlowHeads(t *testing.T) {
	for _, e := range doors(t, withPatience(wire.Timeouts{Head: shortTime, Idle: shortTime})) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			whole := "GET " + e.known + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
			type held struct {
				name, status string
				conn         net.Conn
			}
			var all []held
			hold := func(name, status, text string) {
				conn := e.dial(t)
				_, _ = io.WriteString(conn, text) // a failure shows below
				all = append(all, held{name, status, conn})
			}
			hold("nothing", "", "")
			hold("half a line", "", "GE")
			hold("half a head", "", "GET / HTTP/1.1\r\nHost: localhost\r\n")
			hold("nothing more", "200", whole)
			hold("two letters more", "200", whole+"GE")
			hold("half a head more", "200", whole+"GET / HTTP/1.1\r\nHost: localhost\r\n")
			for _, text := range []string{"", whole} {
				hold("dripping after "+text, map[string]string{"": "", whole: "200"}[text], text+"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ")
				conn := all[len(all)-1].conn
				drip(t, func() error { _, err := io.WriteString(conn, "b"); return err })
			}
			if e.roots != nil { // a handshake that goes no further
				nc, err := net.Dial("tcp", e.address)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = nc.Close() }()
				_ = nc.SetDeadline(time.Now().Add(testTime))
				_, _ = nc.Write([]byte{22, 3, 1, 2, 0, 1})
				all = append(all, held{"half a handshake", "", nc})
			}
			e.serves(t)
			for _, h := range all {
				if status := ended(h.conn); status != h.status && status != "408" && status != "400" {
					t.Errorf("%s: %q", h.name, status)
				}
			}
		})
	}
}

// attack gateway 61: a body that drips, or never comes, ends in time, whether its handler
// reads it, refuses it unread, or does not know of bodies.
func TestEdgesEndSlowBodies(t *testing.T) {
	for _, e := range doors(t, withPatience(wire.Timeouts{Body: 300 * time.Millisecond, BodyRate: 1 << 20})) {
		t.Run(e.name, func(t *testing.T) {
			heads := map[string]string{
				"of a page":          "POST /login HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
				"of a token request": "POST /oauth2/default/v1/token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n",
				"of a question":      "POST /access/v1/evaluation HTTP/1.1\r\nContent-Type: application/json\r\n",
				"of Okta's API":      "POST /api/v1/users HTTP/1.1\r\nContent-Type: application/json\r\n",
				"of SCIM":            "POST /scim/v2/Users HTTP/1.1\r\nContent-Type: application/scim+json\r\n",
				"of administration":  "POST /gatehouse/v1/tokens HTTP/1.1\r\nContent-Type: application/json\r\n",
				"of what takes none": "GET " + e.known + " HTTP/1.1\r\n",
				"of nothing":         "POST /nothing HTTP/1.1\r\n",
			}
			lengths := map[string]string{
				"declared": "Content-Length: 60000\r\n\r\n", "in chunks": "Transfer-Encoding: chunked\r\n\r\n",
				"waited for": "Content-Length: 60000\r\nExpect: 100-continue\r\n\r\n",
			}
			type held struct {
				name string
				conn net.Conn
			}
			var all []held
			for name, head := range heads {
				for how, length := range lengths {
					for _, silent := range []bool{false, true} {
						conn := e.dial(t)
						_, _ = io.WriteString(conn, head+"Host: localhost\r\n"+length) // a failure shows below
						if !silent {
							part := "a"
							if how == "in chunks" {
								part = "1\r\na\r\n"
							}
							drip(t, func() error { _, err := io.WriteString(conn, part); return err })
						}
						all = append(all, held{name + " " + how, conn})
					}
				}
			}
			e.serves(t)
			for _, h := range all {
				if status := ended(h.conn); status == "open" {
					t.Errorf("a body %s is waited for without end", h.name)
				}
			}
		})
	}
}

// Who listens to an answer that goes on is ended by no limit, however long nothing happens.
func TestEdgesLetListenersStay(t *testing.T) {
	short := wire.Timeouts{Head: shortTime, Body: shortTime / 4, Idle: shortTime / 4, Write: shortTime / 4}
	p := start(t, write(t, strings.NewReplacer("SETTINGS", "trusted_proxies: [192.0.2.1/32]", "UPSTREAM", echo(t)).Replace(tlsIdentity)), withPatience(short))
	e := door{"console", strings.TrimPrefix(p.Ready().Console, "http://"), nil, "/livez", p}
	listener := e.dial(t)
	_, _ = io.WriteString(listener, "GET /gatehouse/v1/tail HTTP/1.1\r\nHost: localhost\r\nAuthorization: SSWS "+p.Ready().APIToken+
		"\r\nContent-Length: 2\r\n\r\n{}") // a failure shows below
	r, err := http.ReadResponse(bufio.NewReader(listener), nil)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%v %v", r, err)
	}
	defer func() { _ = listener.Close() }()           // closing the body would wait for its end
	if status := ended(e.dial(t)); status == "open" { // as long as the longest of the limits, and four times the others
		t.Fatal("who says nothing is not ended")
	}
	p.call(http.MethodGet, "/x", "")
	line, err := bufio.NewReader(r.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "data: ") {
		t.Errorf("the listener hears %q, %v", line, err)
	}
}

// attack gateway 61: a length that is declared is not a length that is believed: nothing
// is set aside for it, and what is refused is not read to its end.
func TestEdgesBelieveNoLength(t *testing.T) {
	for _, e := range doors(t) {
		t.Run(e.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for _, path := range []string{"/oauth2/default/v1/token", "/login", "/api/v1/users", "/scim/v2/Users", "/gatehouse/v1/tokens", "/access/v1/evaluation", "/nothing"} {
				for _, length := range []string{"65537", "33554433", "1099511627776", "9223372036854775807"} {
					for _, kind := range []string{"application/x-www-form-urlencoded", "application/json"} {
						conn := e.dial(t)
						status := e.exchange(conn, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "+kind+"\r\nContent-Length: "+length+"\r\n\r\n"+strings.Repeat("a", 1000))
						if len(length) > 5 && status != "413" || status == "open" || status < "400" {
							t.Errorf("%s of %s bytes: %q", path, length, status)
						}
					}
				}
			}
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
				t.Errorf("%d MiB for lengths", used>>20)
			}
			// And without one: as much as it likes.
			for _, path := range []string{"/oauth2/default/v1/token", "/nothing"} {
				conn, err := e.dial(t), error(nil)
				_, _ = io.WriteString(conn, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n")
				chunk := []byte("8000\r\n" + strings.Repeat("a", 0x8000) + "\r\n")
				for sent := 0; err == nil && sent < 64<<20; sent += len(chunk) {
					_, err = conn.Write(chunk)
				}
				if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: a body may go on for ever: %v", path, err)
				}
			}
			e.serves(t)
		})
	}
}

// attack gateway 61: who asks and asks and takes no answer is ended.
func TestEdgesEndSlowReaders(t *testing.T) {
	for _, e := range doors(t, withPatience(wire.Timeouts{Write: shortTime})) {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			conn, err := e.dial(t), error(nil)
			request := []byte(strings.Repeat("GET /docs/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n", 100))
			for err == nil {
				_, err = conn.Write(request)
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("its answers are kept for it without end")
			}
			e.serves(t)
		})
	}
}

// series returns the value of one series of the metrics, a whole number.
func series(t *testing.T, metrics, name string) int {
	t.Helper()
	_, after, _ := strings.Cut(metrics, "\n"+name)
	value, _, _ := strings.Cut(after, "\n")
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// attack gateway 61: who holds connections loses the oldest, and somebody with a request
// is served, however many there are.
func TestEdgesKeepRoom(t *testing.T) {
	const most = 20
	for _, e := range doors(t, func(c *app.Config) { c.Connections = most }) {
		t.Run(e.name, func(t *testing.T) {
			ends := make(chan string, 5*most)
			for i := range cap(ends) {
				conn := e.dial(t)
				_, _ = io.WriteString(conn, []string{
					"", "GET / HTTP/1.1\r\nHost: localhost\r\n", "GET " + e.known + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
				}[i%3]) // it may be closed
				go func() { ends <- ended(conn) }()
			}
			e.serves(t)
			for i := range cap(ends) - most {
				if <-ends == "open" {
					t.Fatalf("of %d connections %d have been closed", cap(ends), i)
				}
			}
			e.serves(t)
			lane := `{lane="` + strings.Fields(e.name)[0] + `"} `
			metrics := e.program.request(http.MethodGet, e.program.Ready().Console+"/metrics", "", "").Body
			if n := series(t, metrics, "gatehouse_connections_given_up_total"+lane); n < cap(ends)-most {
				t.Errorf("%d are counted as given up of %d", n, cap(ends))
			}
			if n := series(t, metrics, "gatehouse_connections_open"+lane); n < 1 || n > most {
				t.Errorf("%d are counted as open", n)
			}
			if n := series(t, metrics, "gatehouse_connections_total"+lane); n < cap(ends) {
				t.Errorf("%d are counted as accepted of %d", n, cap(ends))
			}
		})
	}
}

// attack gateway 41, 46, 59, 60: what could be read in two ways is refused and ends the
// connection, so that nothing behind it is taken for a request. A length besides chunks
// alone is read, in one way: the chunks count.
func TestEdgesReadRequestsInOneWay(t *testing.T) {
	const post, form = "POST /oauth2/default/v1/token HTTP/1.1\r\nHost: localhost\r\n", "Content-Type: application/x-www-form-urlencoded\r\n"
	for _, e := range doors(t) {
		t.Run(e.name, func(t *testing.T) {
			hidden := "GET " + e.known + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
			for name, text := range map[string]string{
				"two lengths":                 post + form + "Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
				"a signed length":             post + form + "Content-Length: +0\r\n\r\n",
				"a length in base 16":         post + form + "Content-Length: 0x0\r\n\r\n",
				"a list of lengths":           post + form + "Content-Length: 0, 5\r\n\r\n",
				"space before the colon":      post + form + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
				"two codings":                 post + form + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
				"an unknown coding":           post + form + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
				"a coding with something":     post + form + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
				"two hosts":                   "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n",
				"no host":                     "GET / HTTP/1.1\r\n\r\n",
				"a zero byte in a value":      "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: a\x00b\r\n\r\n",
				"a carriage return in a name": "GET / HTTP/1.1\r\nHost: localhost\r\nX\rA: b\r\n\r\n",
				"a space in the target":       "GET / x HTTP/1.1\r\nHost: localhost\r\n\r\n",
				"a control in the target":     "GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n",
				"a version that is none":      "GET / HTTP/1.1.1\r\nHost: localhost\r\n\r\n",
			} {
				got := e.answered(t, text+hidden)
				if len(got) != 1 || got[0] != "400" && got[0] != "501" {
					t.Errorf("%s: %q", name, got)
				}
			}
			for name, body := range map[string]string{
				"a chunk that ends in a bare line feed": "1\na\n0\n\n", "a chunk of a negative size": "-1\r\n\r\n", "a chunk of an endless size": strings.Repeat("f", 17) + "\r\n",
				"a chunk without an end": "1\r\nab\r\n0\r\n\r\n", "a chunk with a long extension": "0;" + strings.Repeat("a", 64<<10) + "\r\n\r\n",
			} {
				got := e.answered(t, post+form+"Transfer-Encoding: chunked\r\n\r\n"+body+hidden)
				if len(got) != 1 || got[0] < "400" {
					t.Errorf("%s: %q", name, got)
				}
			}
			both := e.answered(t, post+form+"Content-Length: 400\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+hidden)
			if len(both) == 0 || both[0] < "400" || len(both) > 1 && (len(both) != 2 || both[1] != "200") {
				t.Errorf("a length and chunks: %q", both)
			}
		})
	}
}

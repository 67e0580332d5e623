package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

const ordinaryRequest = "GET /hr/vacations/ana?year=2026 HTTP/1.1\r\nHost: api.example.test\r\nUser-Agent: curl/8\r\n" +
	"Accept: */*\r\nAuthorization: Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln\r\nX-Request-ID: 5\r\nCookie: a=b\r\n\r\n"

// bareUpstream answers every request with the same bytes as cheaply as can be:
// the requests that this package sends to it have no body and fit one read.
func bareUpstream(t testing.TB, answer []byte) string {
	return startUpstream(t, func(_ int, c net.Conn, _ *bufio.Reader) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
}

func answerOf(n int) []byte {
	return []byte("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(n) + "\r\n\r\n" + strings.Repeat("x", n))
}

// exchangeOnce sends a request and reads an answer of known size.
func exchangeOnce(t testing.TB, c net.Conn, request, buf []byte, want int) {
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, buf[:want]); err != nil {
		t.Fatal(err)
	}
}

// proxiedConn returns a connection to a proxy that has warmed up, and the size of an answer.
func proxiedConn(t testing.TB, body int) (net.Conn, int) {
	_, addr := startProxy(t, bareUpstream(t, answerOf(body)), ServerConfig{}, &proxy{})
	c := dial(t, addr)
	_ = c.SetDeadline(time.Time{})
	_, _ = io.WriteString(c, ordinaryRequest)
	r := bufio.NewReader(c)
	size := 0
	for length := -1; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		size += len(line)
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			if _, err := r.Discard(length); err != nil {
				t.Fatal(err)
			}
			return c, size + length
		}
	}
}

// TestNoAllocation: an ordinary request through server and client allocates nothing.
func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties the pools
	for _, body := range []int{1 << 10, 10 << 10, 200 << 10} {
		c, size := proxiedConn(t, body)
		request, buf := []byte(ordinaryRequest), make([]byte, size)
		if n := testing.AllocsPerRun(500, func() { exchangeOnce(t, c, request, buf, size) }); n > 0 {
			t.Errorf("%v allocations for a request with an answer of %d bytes", n, body)
		}
	}
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		_ = x.Respond(http.StatusForbidden, nil, nil)
	})})
	c := dial(t, addr)
	request, buf := []byte(ordinaryRequest), make([]byte, 4096)
	n := testing.AllocsPerRun(500, func() {
		_, _ = c.Write(request)
		_, _ = c.Read(buf)
	})
	if n >= 0.5 { // the Date line is made once a second
		t.Errorf("%v allocations for an answer of the gateway's own", n)
	}
}

// TestIdleMemory: connections that wait for a request hold little. The bar is 100 MiB
// for a whole process with 5,000 of them.
func TestIdleMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector multiplies memory")
	}
	const count = 500
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(echo)})
	before := footprint()
	conns := make([]net.Conn, count)
	buf := make([]byte, 4096)
	for i := range conns {
		conns[i] = dial(t, addr)
		_ = conns[i].SetDeadline(time.Time{})
		_, _ = io.WriteString(conns[i], ordinaryRequest)
		if _, err := conns[i].Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	each := (footprint() - before) / count
	t.Logf("%d bytes for each idle connection, the test's own end included", each)
	if each > 12<<10 {
		t.Errorf("%d bytes for each idle connection", each)
	}
	runtime.KeepAlive(conns)
}

// footprint returns the bytes in use by heap and stacks after a collection.
func footprint() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) // #nosec G115 -- far from the end of it
}

func benchmarkProxy(b *testing.B, body int) {
	c, size := proxiedConn(b, body)
	request, buf := []byte(ordinaryRequest), make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		exchangeOnce(b, c, request, buf, size)
	}
}

func BenchmarkProxyPlain(b *testing.B) { benchmarkProxy(b, 1<<10) }
func BenchmarkProxy10K(b *testing.B)   { benchmarkProxy(b, 10<<10) }
func BenchmarkProxy1M(b *testing.B)    { benchmarkProxy(b, 1<<20) }

func BenchmarkParseRequest(b *testing.B) {
	head := []byte(ordinaryRequest)
	lim := Limits{}.orElse(32<<10, 100)
	var req Request
	var f framing
	b.ReportAllocs()
	for b.Loop() {
		n, _ := headEnd(head, 0)
		if err := parseRequest(head[:n], &lim, &req, &f); err != nil {
			b.Fatal(err)
		}
	}
}

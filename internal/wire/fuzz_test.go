package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"
)

// memoryConn is a connection whose input is all there.
type memoryConn struct {
	net.Conn
	in  *bytes.Reader
	out bytes.Buffer
}

func (c *memoryConn) Read(p []byte) (int, error)     { return c.in.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error)    { return c.out.Write(p) }
func (*memoryConn) Close() error                     { return nil }
func (*memoryConn) SetDeadline(time.Time) error      { return nil }
func (*memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (*memoryConn) SetWriteDeadline(time.Time) error { return nil }
func (*memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func newMemoryStream(data []byte) *stream {
	s := &socket{}
	s.init(&memoryConn{in: bytes.NewReader(data)}, time.Now)
	return &stream{sock: s, buf: make([]byte, bufferSize)}
}

// understood is what a parser takes a request for.
type understood struct {
	method, target, host, body string
	fields                     []string // "Name: value", sorted
	next                       int      // bytes left for the next request
}

// understandHere reads one request as this package does; nil when it refuses.
func understandHere(data []byte) *understood {
	srv := NewServer(ServerConfig{Handler: handlerFunc(func(Exchange) {})})
	c := newServerConn(srv, &memoryConn{in: bytes.NewReader(data)})
	s := newSession(srv)
	s.attach(c)
	c.sess = s
	if s.in.fillUntil(time.Time{}) != nil {
		return nil
	}
	n, err := s.readHead()
	if err != nil {
		return nil
	}
	if err := s.begin(s.in.pending()[:n]); err != nil {
		return nil
	}
	s.in.keepHead(n)
	s.openBody()
	body, err := io.ReadAll(&s.req.Body)
	if err != nil {
		return nil
	}
	u := &understood{method: string(s.req.Method), target: string(s.req.Target), host: string(s.req.Host), body: string(body)}
	for _, f := range s.req.Fields {
		if f.Kind != Host && f.Kind != TransferEncoding && f.Kind != Trailer {
			u.fields = append(u.fields, textproto.CanonicalMIMEHeaderKey(string(f.Name))+": "+string(f.Value))
		}
	}
	slices.Sort(u.fields)
	mc, _ := c.sock.nc.(*memoryConn)
	u.next = len(s.in.pending()) + mc.in.Len()
	return u
}

// understandThere reads one request as net/http does.
func understandThere(data []byte) (*understood, error) {
	in := bytes.NewReader(data)
	r := bufio.NewReader(in)
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	u := &understood{method: req.Method, target: req.RequestURI, host: req.Host, body: string(body)}
	if req.URL.IsAbs() {
		if u.target = req.URL.RequestURI(); u.method == http.MethodOptions && req.URL.Path == "" && req.URL.RawQuery == "" && !req.URL.ForceQuery {
			u.target = "*"
		} else if i := strings.IndexAny(req.RequestURI[8:], "/?"); i >= 0 { // keep the bytes, not url's rendering of them
			if u.target = req.RequestURI[8+i:]; u.target[0] == '?' {
				u.target = "/" + u.target
			}
		}
	}
	req.Header.Del("Trailer") // it keeps the line when the body is not chunked
	for name, values := range req.Header {
		for _, v := range values {
			u.fields = append(u.fields, name+": "+v)
		}
	}
	slices.Sort(u.fields)
	u.next = r.Buffered() + in.Len()
	return u, nil
}

// FuzzRequestAgainstNetHTTP: what both accept they understand alike, and what
// only this package accepts is a bug.
func FuzzRequestAgainstNetHTTP(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /x?y=%zz HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nrest",
		"GET http://a/b HTTP/1.1\r\nHost: A\r\nPragma: no-cache\r\nConnection: x, close\r\nX: 1\r\n\r\n",
		"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:8\r\n\r\n",
		"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET //a/../b;c HTTP/1.1\r\nHost: a\r\nX-A:\t b \t\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n0\r\nX-A: b\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		ours := understandHere(data)
		if ours == nil {
			return
		}
		theirs, err := understandThere(data)
		if err != nil {
			t.Fatalf("only we accept %q: net/http says %v", data, err)
		}
		fields := slices.DeleteFunc(theirs.fields, func(s string) bool {
			// net/http adds this one for Pragma: no-cache.
			return s == "Cache-Control: no-cache" && !slices.Contains(ours.fields, s)
		})
		if ours.method != theirs.method || ours.target != theirs.target || !strings.EqualFold(ours.host, theirs.host) ||
			ours.body != theirs.body || ours.next != theirs.next || !slices.Equal(ours.fields, fields) {
			t.Fatalf("%q\n  here %+v\n there %+v", data, ours, theirs)
		}
	})
}

// FuzzResponse: an answer that is accepted is understood as net/http does.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
		"HTTP/1.0 404 \r\n\r\nuntil the end",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 204\r\nX_A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u := &upstreamConn{client: NewClient(ClientConfig{})}
		in := newMemoryStream(data)
		u.in, u.sock.now = *in, time.Now
		u.sock.nc = in.sock.nc
		u.in.sock = &u.sock
		var resp Response
		out := &Outbound{Method: []byte("GET")}
		if failed := u.readAnswer(out, &resp); failed != nil {
			return
		}
		body, err := io.ReadAll(&resp.Body)
		if err != nil {
			return
		}
		r := bufio.NewReader(bytes.NewReader(data))
		var theirs *http.Response
		for {
			var theirErr error
			if theirs, theirErr = http.ReadResponse(r, nil); theirErr != nil {
				t.Fatalf("only we accept %q: net/http says %v", data, theirErr)
			}
			if theirs.StatusCode >= 200 {
				break
			}
			_ = theirs.Body.Close()
		}
		defer func() { _ = theirs.Body.Close() }()
		want, err := io.ReadAll(theirs.Body)
		if err != nil || theirs.StatusCode != resp.Status || !bytes.Equal(want, body) {
			t.Fatalf("%q: here %d %q, there %d %q (%v)", data, resp.Status, body, theirs.StatusCode, want, err)
		}
	})
}

// FuzzChunked: however a chunked body arrives, it is the same body, or none.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\nrest"), 1)
	f.Add([]byte("A;x=\"y\"\r\n0123456789\r\n0\r\nA: b\r\n\r\n"), 3)
	f.Add([]byte("0\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		whole, left, wholeErr := readChunked(data, len(data)+1)
		if step = step%64 + 64; step > 0 {
			parts, partsLeft, partsErr := readChunked(data, step)
			if !bytes.Equal(whole, parts) || !errors.Is(partsErr, wholeErr) || wholeErr == nil && left != partsLeft {
				t.Fatalf("%q: at once %q %v %d, in steps of %d %q %v %d", data, whole, wholeErr, left, step, parts, partsErr, partsLeft)
			}
		}
		if wholeErr != nil {
			return
		}
		again, _ := appendChunks(nil, ptr(BytesBody(whole)))
		back, _, err := readChunked(append(again, lastChunk...), 7)
		if err != nil || !bytes.Equal(back, whole) {
			t.Fatalf("framed anew as %q: %q %v", again, back, err)
		}
	})
}

func ptr[T any](v T) *T { return &v }

// stepConn gives at most step bytes at a time.
type stepConn struct {
	memoryConn
	step int
}

func (c *stepConn) Read(p []byte) (int, error) { return c.in.Read(p[:min(len(p), c.step)]) }

func readChunked(data []byte, step int) (content []byte, left int, err error) {
	sock := &socket{}
	conn := &stepConn{memoryConn: memoryConn{in: bytes.NewReader(data)}, step: step}
	sock.init(conn, time.Now)
	in := &stream{sock: sock, buf: make([]byte, bufferSize)}
	body := chunkedBody(in)
	content, err = io.ReadAll(&body)
	return content, len(in.pending()) + conn.in.Len(), err
}

package wire

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// readRequest reads one request's head and body at a scripted upstream.
func readRequest(r *bufio.Reader) (*http.Request, []byte, error) {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(req.Body)
	return req, body, err
}

// scripted answers every request on every connection with the same bytes.
func scripted(answer string) func(int, net.Conn, *bufio.Reader) {
	return func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, answer); err != nil {
				return
			}
			if strings.Contains(answer, "close") || !strings.Contains(answer, "ength") && !strings.Contains(answer, "chunked") {
				return
			}
		}
	}
}

// TestRelay sends answers through and looks at the bytes the client gets.
func TestRelay(t *testing.T) {
	const date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	for _, c := range []struct{ name, method, proto, answer, want string }{
		{"length", "GET", "1.1", "HTTP/1.1 200 Fine\r\n" + date + "X_A: b\r\nContent-Length: 2\r\nKeep-Alive: 5\r\n\r\nab", "HTTP/1.1 200 Fine\r\n" + date + "X_A: b\r\nContent-Length: 2\r\n\r\nab"},
		{"length zero", "GET", "1.1", "HTTP/1.1 404 \r\n" + date + "Content-Length: 0\r\n\r\n", "HTTP/1.1 404 Not Found\r\n" + date + "Content-Length: 0\r\n\r\n"},
		{"nominated", "GET", "1.1", "HTTP/1.1 200 OK\r\n" + date + "Connection: X-A\r\nX-A: b\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 0\r\n\r\n"},
		{"chunks", "GET", "1.1", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nX-T: v\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"},
		{"until close", "GET", "1.1", "HTTP/1.1 200 OK\r\n" + date + "\r\nabc", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{"chunks to an old client", "GET", "1.0", "HTTP/1.1 200 OK\r\n" + date + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\n\r\nabc"},
		{"HEAD keeps the length", "HEAD", "1.1", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 7\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 7\r\n\r\n"},
		{"HEAD without length", "HEAD", "1.1", "HTTP/1.1 200 OK\r\n" + date + "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n" + date + "\r\n"},
		{"204", "GET", "1.1", "HTTP/1.1 204 No Content\r\n" + date + "Content-Length: 0\r\n\r\n", "HTTP/1.1 204 No Content\r\n" + date + "\r\n"},
		{"304 with length", "GET", "1.1", "HTTP/1.1 304 Not Modified\r\n" + date + "Content-Length: 9\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n" + date + "Content-Length: 9\r\n\r\n"},
		{"interim answers dropped", "GET", "1.1", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\nab", "HTTP/1.1 200 OK\r\n" + date + "Content-Length: 2\r\n\r\nab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := startUpstream(t, scripted(c.answer))
			_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{timeout: patience})
			connection := "keep-alive"
			if c.proto == "1.0" {
				connection = "close"
			}
			conn := dial(t, addr)
			_, _ = fmt.Fprintf(conn, "%s / HTTP/%s\r\nHost: a\r\nConnection: %s\r\n\r\n", c.method, c.proto, connection)
			got := make([]byte, len(c.want))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != c.want {
				t.Fatalf("got %q (%v)\nwant %q", got, err, c.want)
			}
			if c.proto == "1.1" { // and the next answer begins right behind it
				_, _ = io.WriteString(conn, "BAD\r\n\r\n")
				next, _ := io.ReadAll(conn)
				if !strings.HasPrefix(string(next), "HTTP/1.1 400 ") {
					t.Errorf("behind it: %q", next)
				}
			}
		})
	}
}

// TestLongerHead: what is added to an answer's head may be longer than the room before its
// body, and neither part damages the other.
func TestLongerHead(t *testing.T) {
	const content = "what the upstream said"
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			if _, _, err := readRequest(r); err != nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 Fine\r\nX-From: upstream\r\nContent-Length: %d\r\n\r\n%s", len(content), content)
		}
	})
	client := NewClient(ClientConfig{Addr: upstream})
	defer func() { _ = client.Close() }()
	var resp Response
	_, addr := startServer(t, ServerConfig{Handler: handlerFunc(func(x Exchange) {
		n, _ := strconv.Atoi(string(x.Request().Target[1:]))
		err := client.RoundTrip(&Outbound{Method: []byte("GET"), Target: []byte("/"), Host: []byte("h")}, &resp)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Finish()
		resp.Fields = append(resp.Fields, Field{Name: []byte("X-Added"), Value: bytes.Repeat([]byte("a"), n)})
		if sent, err := x.Relay(&resp); sent != int64(len(content)) || err != nil {
			t.Errorf("%d bytes, %v", sent, err)
		}
	})})
	for n := headroom - 100; n < headroom+100; n++ { // on both sides of what there is room for
		res, err := http.Get(fmt.Sprintf("http://%s/%d", addr, n))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || string(body) != content || res.Header.Get("X-From") != "upstream" || res.Header.Get("X-Added") != strings.Repeat("a", n) {
			t.Fatalf("%d bytes added: %q %q %v", n, body, res.Header, err)
		}
	}
}

// TestUpstreamInvalid sends answers that have two meanings: 502, and the connection is not used again.
func TestUpstreamInvalid(t *testing.T) {
	for _, c := range []struct{ name, answer string }{
		{"length and coding", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab"},
		{"length signed", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab"},
		{"coding unknown", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
		{"coding on 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nab"},
		{"folded", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 0\r\n\r\n"},
		{"space before colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab"},
		{"control in value", "HTTP/1.1 200 OK\r\nX-A: \x00\r\nContent-Length: 2\r\n\r\nab"},
		{"not a status", "HTTP/1.1 2xx OK\r\nContent-Length: 2\r\n\r\nab"},
		{"other protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"},
		{"switches unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"},
		{"interim for ever", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 50)},
		{"head endless", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 70<<10) + "\r\n\r\n"},
		{"head ends early", "HTTP/1.1 200 OK\r\nConnection: close\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got atomic.Pointer[Error]
			upstream := startUpstream(t, func(_ int, c2 net.Conn, r *bufio.Reader) {
				_, _, _ = readRequest(r)
				_, _ = io.WriteString(c2, c.answer)
				if !strings.Contains(c.answer, "close") {
					_, _ = r.Peek(1) // until the proxy closes
				}
			})
			p := &proxy{timeout: patience, errs: func(err error) {
				var e *Error
				if errors.As(err, &e) {
					got.Store(e)
				}
			}}
			_, addr := startProxy(t, upstream, ServerConfig{}, p)
			answer := converse(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			if status(answer) != "502" {
				t.Errorf("answer %q", answer)
			}
			if e := got.Load(); e == nil || e.Phase != PhaseInvalid || !e.Sent || e.Timeout {
				t.Errorf("error %+v", e)
			}
			if s := p.client.Stats(); s.Open != 0 {
				t.Errorf("connections left open: %+v", s)
			}
		})
	}
}

// TestTruncated: what the upstream did not finish must not look whole to the client.
func TestTruncated(t *testing.T) {
	for _, c := range []struct{ name, proto, answer string }{
		{"length", "1.1", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX: close\r\n\r\nabc"},
		{"large length", "1.1", "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nX: close\r\n\r\n" + strings.Repeat("a", 300000)},
		{"chunks", "1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: close\r\n\r\n3\r\nabc\r\n"},
		{"chunks broken", "1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: close\r\n\r\n3\r\nabc\r\nx\r\n"},
		{"chunks to an old client", "1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: close\r\n\r\n3\r\nabc\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			upstream := startUpstream(t, scripted(c.answer))
			_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{timeout: patience})
			conn := dial(t, addr)
			_, _ = fmt.Fprintf(conn, "GET / HTTP/%s\r\nHost: a\r\n\r\n", c.proto)
			var got bytes.Buffer
			_, err := io.Copy(&got, conn)
			if err == nil {
				t.Errorf("a clean end after %q", got.String()[:min(got.Len(), 200)])
			}
			if strings.HasSuffix(got.String(), lastChunk) {
				t.Errorf("a last chunk in %q", got.String())
			}
		})
	}
}

// pattern is a body in which any byte out of place shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// TestBodies sends bodies of all sizes through in both directions, with length
// and in chunks, over connections that are used again.
func TestBodies(t *testing.T) {
	upstream := startWebUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		} else {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = w.Write(body)
	})
	p := &proxy{timeout: patience}
	_, addr := startProxy(t, upstream, ServerConfig{}, p)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	for _, n := range []int{0, 1, 100, 4000, 10 << 10, 16 << 10, 17000, 40 << 10, 64 << 10, 100 << 10, 1 << 20, 5 << 20} {
		body := pattern(n)
		for _, path := range []string{"/length", "/chunks"} {
			for _, known := range []bool{true, false} {
				var in io.Reader = bytes.NewReader(body)
				if !known {
					in = struct{ io.Reader }{in}
				}
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, in)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatalf("%d bytes %s known=%v: %v", n, path, known, err)
				}
				got, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes %s known=%v: %d came back (%v)", n, path, known, len(got), err)
				}
			}
		}
	}
	if s := p.client.Stats(); s.Dials > 3 || s.Reuses < 40 {
		t.Errorf("connections were not used again: %+v", s)
	}
}

// TestEarlyAnswer: an upstream that refuses a large body before it has seen it
// is heard at once, and the connection to it is not used again.
func TestEarlyAnswer(t *testing.T) {
	for _, kind := range []string{"Content-Length: 10000000", "Transfer-Encoding: chunked"} {
		t.Run(kind, func(t *testing.T) {
			upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						break
					}
				}
				_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nbig!")
				_, _ = io.Copy(io.Discard, r) // reads on, and still nobody may send it all
			})
			p := &proxy{timeout: patience}
			_, addr := startProxy(t, upstream, ServerConfig{}, p)
			conn := dial(t, addr)
			first := "abc"
			if strings.HasPrefix(kind, "T") {
				first = "3\r\nabc\r\n"
			}
			// The client sends a little and then waits: only the answer can end this.
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+kind+"\r\n\r\n"+first)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || string(got) != "big!" || !resp.Close {
				t.Errorf("got %d %q close=%v %v", resp.StatusCode, got, resp.Close, err)
			}
			waitFor(t, "the upstream's connection is closed", func() bool { return p.client.Stats().Open == 0 })
		})
	}
}

// TestEarlySuccess: an answer below 300 goes on while the body is being sent,
// as an echo does it.
func TestEarlySuccess(t *testing.T) {
	upstream := startUpstream(t, func(_ int, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", req.ContentLength)
		_, _ = io.Copy(c, req.Body)
	})
	_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{timeout: patience})
	conn := dial(t, addr)
	body := pattern(300 << 10)
	_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body))
	var wg sync.WaitGroup
	wg.Add(1)
	go func() { defer wg.Done(); _, _ = conn.Write(body) }()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	wg.Wait()
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes came back of %d: %v", len(got), len(body), err)
	}
}

// TestBodyLimit bounds bodies with and without a length.
func TestBodyLimit(t *testing.T) {
	var arrived atomic.Int64
	upstream := startWebUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			arrived.Store(n)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{timeout: patience, limit: 5})
	for _, c := range []struct{ input, want string }{
		{"Content-Length: 5\r\n\r\nhello", "204"},
		{"Content-Length: 6\r\n\r\nhello!", "413"},
		{"Content-Length: 100000\r\n\r\n", "413"},
		{"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "204"},
		{"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n1\r\n!\r\n0\r\n\r\n", "413"},
		{"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + strings.Repeat("a", 50000), "413"},
	} {
		arrived.Store(-1)
		got := converse(t, addr, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+c.input)
		if status(got) != c.want || c.want == "413" && arrived.Load() >= 0 {
			t.Errorf("%.80q: %q, upstream read %d bytes to their end", c.input, got, arrived.Load())
		}
	}
}

// TestClientAborts: a body that the client does not finish reaches no upstream as whole.
func TestClientAborts(t *testing.T) {
	for _, head := range []string{"Content-Length: 1000\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		whole := make(chan error, 1)
		upstream := startUpstream(t, func(_ int, _ net.Conn, r *bufio.Reader) {
			_, _, err := readRequest(r)
			whole <- err
		})
		errs := make(chan error, 1)
		_, addr := startProxy(t, upstream, ServerConfig{}, &proxy{timeout: patience, errs: func(err error) { errs <- err }})
		conn := dial(t, addr)
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\n"+head)
		_ = conn.(*net.TCPConn).CloseWrite()
		if err := <-whole; err == nil {
			t.Error("the upstream took a truncated body for whole")
		}
		var e *Error
		if err := <-errs; !errors.As(err, &e) || e.Phase != PhaseBody || !errors.Is(err, ErrBodyTruncated) {
			t.Errorf("error %v", err)
		}
	}
}

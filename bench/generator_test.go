//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// requestFile writes a file of requests and returns its path.
func requestFile(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestGeneratorSendsEveryRequestOnce(t *testing.T) {
	var first, second, withToken, bad atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/first" && r.Header.Get("Authorization") == "":
			first.Add(1)
		case r.URL.Path == "/second" && r.Header.Get("Authorization") == "Bearer abc" && r.Header.Get("X-More") == "1":
			second.Add(1)
		case r.URL.Path == "/denied":
			withToken.Add(1)
			w.WriteHeader(http.StatusForbidden)
		default:
			bad.Add(1)
		}
		_, _ = w.Write([]byte("body"))
	})
	l, err := generate(job{Address: address, File: requestFile(t, "/first", "/second\tAuthorization: Bearer abc\tX-More: 1", "/denied\tAuthorization: x"), Connections: 4, Count: 300})
	if err != nil {
		t.Fatal(err)
	}
	if l.Requests != 200 || l.Failed != 100 || !l.Saturated || l.P50 <= 0 || l.P99 < l.P50 {
		t.Errorf("got %+v", l)
	}
	if first.Load() != 100 || second.Load() != 100 || withToken.Load() != 100 || bad.Load() != 0 {
		t.Errorf("the server saw %d, %d, %d and %d others", first.Load(), second.Load(), withToken.Load(), bad.Load())
	}
}

func TestGeneratorKeepsItsRate(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) {})
	l, err := generate(job{Address: address, File: requestFile(t, "/"), Connections: 8, Rate: 500, Time: 400 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if l.Requests != 200 || l.Failed != 0 {
		t.Errorf("got %d good and %d failed, want 200 and 0", l.Requests, l.Failed)
	}
	if l.Elapsed < 350*time.Millisecond {
		t.Errorf("200 requests at 500 a second took %v", l.Elapsed)
	}
}

// A server that stops once for 300 ms delays every request that was due in that
// time. A generator that waits for answers before it sends would see one.
func TestGeneratorCountsFromTheMomentARequestWasDue(t *testing.T) {
	var n atomic.Int64
	stop := make(chan struct{})
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 20:
			time.AfterFunc(300*time.Millisecond, func() { close(stop) })
			<-stop
		default:
			if n.Load() > 20 {
				select {
				case <-stop:
				case <-r.Context().Done():
				}
			}
		}
	})
	l, err := generate(job{Address: address, File: requestFile(t, "/"), Connections: 2, Rate: 200, Time: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if l.Requests != 200 {
		t.Errorf("%d requests were answered, want 200", l.Requests)
	}
	if l.P99 < 200*time.Millisecond {
		t.Errorf("p99 is %v though 60 of 200 requests were due during a stop of 300 ms", l.P99)
	}
}

func TestGeneratorSaysWhenTheServerIsGone(t *testing.T) {
	address := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if l, err := generate(job{Address: address, File: requestFile(t, "/"), Connections: 2, Count: 10}); err == nil {
		t.Errorf("got %+v, want an error", l)
	}
}

func TestParseHead(t *testing.T) {
	status, length, err := parseHead([]byte("HTTP/1.1 403 Forbidden\r\nX: y\r\ncontent-length: 12\r\n"))
	if err != nil || status != 403 || length != 12 {
		t.Errorf("got %d, %d, %v", status, length, err)
	}
	for _, bad := range []string{"", "HTTP/1.1 2", "HTTP/1.1 abc no\r\nContent-Length: 1\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n"} {
		if _, _, err := parseHead([]byte(bad)); err == nil {
			t.Errorf("parseHead(%q) must fail", bad)
		}
	}
}

// The generator answers itself what comes through a proxy, and also without one.
func TestGeneratorIsItsOwnOrigin(t *testing.T) {
	addresses, err := freeAddresses(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	origin := addresses[0]
	to := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: origin}) }}
	proxy := serve(t, to.ServeHTTP)
	for _, address := range []string{origin, proxy} {
		l, err := generate(job{Address: address, Origin: origin, File: requestFile(t, "/1k"), Connections: 8, Count: 400})
		if err != nil {
			t.Fatal(err)
		}
		if l.Requests != 400 || l.Failed != 0 {
			t.Errorf("through %s: %+v", address, l)
		}
	}
}

package safehttp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

// names is a Resolver made of a function.
type names func(host string) ([]netip.Addr, error)

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) { return n(host) }

func fixed(addrs ...string) names {
	list := make([]netip.Addr, len(addrs))
	for i, a := range addrs {
		list[i] = netip.MustParseAddr(a)
	}
	return func(string) ([]netip.Addr, error) { return list, nil }
}

func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	var hits atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s, &hits
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		addr            string
		public, private bool // allowed without and with AllowPrivate
	}{
		{"8.8.8.8", true, true},
		{"1.1.1.1", true, true},
		{"2606:4700:4700::1111", true, true},
		{"64:ff9b::808:808", true, true},
		{"::ffff:8.8.8.8", true, true},
		{"2002:808:808::1", true, true},
		{"127.0.0.1", false, true},
		{"127.255.255.254", false, true},
		{"::1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:10.0.0.1", false, true},
		{"10.1.2.3", false, true},
		{"172.16.0.1", false, true},
		{"172.31.255.255", false, true},
		{"172.32.0.1", true, true},
		{"192.168.1.1", false, true},
		{"100.64.0.1", false, true},
		{"fc00::1", false, true},
		{"fd12:3456::1", false, true},
		{"64:ff9b::7f00:1", false, true},
		{"2002:7f00:1::1", false, true},
		{"2002:a00:1::1", false, true},
		{"169.254.169.254", false, false},
		{"169.254.0.1", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::a9fe:a9fe", false, false},
		{"64:ff9b:1::a9fe:a9fe", false, false},
		{"2002:a9fe:a9fe::1", false, false},
		{"::169.254.169.254", false, false},
		{"::ffff:0:169.254.169.254", false, false},
		{"2606:4700::5efe:a9fe:a9fe", false, false},
		{"2606:4700::200:5efe:7f00:1", false, true},
		{"2001:0:4136:e378:8000:63bf:3fff:fdd2", false, false},
		{"fd00:ec2::254", false, false},
		{"100.100.100.200", false, false},
		{"168.63.129.16", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"0.0.0.0", false, false},
		{"0.1.2.3", false, false},
		{"::", false, false},
		{"224.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"240.0.0.1", false, false},
		{"ff02::1", false, false},
		{"4000::1", false, false},
		{"::8.8.8.8", false, false},
	} {
		ip := netip.MustParseAddr(c.addr)
		if why := Refused(ip, false); (why == "") != c.public {
			t.Errorf("%s: public policy says %q, want allowed = %t", c.addr, why, c.public)
		}
		if why := Refused(ip, true); (why == "") != c.private {
			t.Errorf("%s: operator's policy says %q, want allowed = %t", c.addr, why, c.private)
		}
	}
}

// attack identity 34, attack gateway 11 and 67: names and literals that lead inside are refused
// before any connection, also when only one of several addresses does.
func TestDialRefusesInside(t *testing.T) {
	s, hits := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		url  string
		res  Resolver
	}{
		{"loopback literal", "https://127.0.0.1:" + port + "/", nil},
		{"IPv6 loopback literal", "https://[::1]:" + port + "/", nil},
		{"IPv4-mapped literal", "https://[::ffff:127.0.0.1]:" + port + "/", nil},
		{"name of loopback", "https://idp.test:" + port + "/", fixed("127.0.0.1")},
		{"one bad among good", "https://idp.test:" + port + "/", fixed("8.8.8.8", "127.0.0.1")},
		{"metadata", "https://169.254.169.254/latest/meta-data/", nil},
		{"name of metadata", "https://idp.test/", fixed("169.254.169.254")},
		{"metadata by translation", "https://idp.test/", fixed("64:ff9b::a9fe:a9fe")},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := New(Config{Resolver: c.res, Timeout: time.Minute})
			defer cl.Close()
			if _, err := cl.Fetch(t.Context(), c.url); !fault.Is(err, fault.Denied) {
				t.Fatalf("got %v, want denied", err)
			}
		})
	}
	if n := hits.Load(); n != 0 {
		t.Fatalf("%d connections reached the inside", n)
	}
}

// attack gateway 67, DNS rebinding: the name is looked up once for a connection,
// and the address that was checked is the address that is dialled. Were it looked
// up again, the second answer would be used, which leads elsewhere.
func TestRebinding(t *testing.T) {
	s, hits := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	var lookups atomic.Int32
	rebind := names(func(string) ([]netip.Addr, error) {
		if lookups.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	})
	cl := New(Config{AllowPrivate: true, Resolver: rebind, Timeout: time.Minute})
	if body, err := cl.Fetch(t.Context(), "http://idp.test:"+port+"/"); err != nil || string(body) != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	if lookups.Load() != 1 || hits.Load() != 1 {
		t.Fatalf("%d lookups and %d hits, want 1 and 1", lookups.Load(), hits.Load())
	}
	cl.Close() // a new connection asks anew, and is checked anew
	if _, err := cl.Fetch(t.Context(), "http://idp.test:"+port+"/"); !fault.Is(err, fault.Denied) {
		t.Fatalf("the rebound name gave %v, want denied", err)
	}
}

func TestURLs(t *testing.T) {
	cl := New(Config{Resolver: fixed("127.0.0.1")})
	defer cl.Close()
	for _, c := range []struct {
		url  string
		code fault.Code
	}{
		{"http://idp.test/", fault.Denied},
		{"file:///etc/passwd", fault.Denied},
		{"gopher://idp.test/", fault.Denied},
		{"https://user:pw@idp.test/", fault.Denied},
		{"https:///path", fault.Invalid},
		{"https:idp.test", fault.Invalid},
		{"://", fault.Invalid},
		{"", fault.Denied},
		{"https://idp.test/" + strings.Repeat("a", maxURL), fault.Invalid},
	} {
		if _, err := cl.Fetch(t.Context(), c.url); fault.CodeOf(err) != c.code || err == nil {
			t.Errorf("%.40q: got %v, want %v", c.url, err, c.code)
		}
	}
}

// attack identity 34, attack gateway 11: an answer that is too large, too slow, redirected or packed.
func TestBadAnswers(t *testing.T) {
	inside, insideHits := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") })
	release := make(chan struct{})
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		code fault.Code
	}{
		{"100 MB with length", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "104857600")
		}, fault.TooLarge},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for chunk := make([]byte, 64<<10); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, fault.TooLarge},
		{"one byte over", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20+1)) }, fault.TooLarge},
		{"slow headers", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, fault.Timeout},
		{"slow body", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, fault.Timeout},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL, http.StatusFound)
		}, fault.Unavailable},
		{"error with a body", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "canary", http.StatusInternalServerError)
		}, fault.Unavailable},
		{"gzip", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(make([]byte, 10<<20))
			_ = z.Close()
		}, fault.Unavailable},
		{"headers without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("a", 128<<10))
		}, fault.Unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := serve(t, c.h)
			cfg := Config{AllowPrivate: true, Timeout: time.Minute}
			if c.code == fault.Timeout {
				cfg.Timeout = 300 * time.Millisecond
			}
			cl := New(cfg)
			defer cl.Close()
			body, err := cl.Fetch(t.Context(), s.URL)
			if !fault.Is(err, c.code) {
				t.Fatalf("got %d bytes and %v, want %v", len(body), err, c.code)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Fatal("the error repeats the answer")
			}
		})
	}
	close(release)
	if insideHits.Load() != 0 {
		t.Fatal("a redirect was followed")
	}
}

func TestGetAndPost(t *testing.T) {
	s, hits := serve(t, func(w http.ResponseWriter, r *http.Request) {
		in, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("Authorization")+" "+string(in)+r.Header.Get("Cookie"))
	})
	cl := New(Config{AllowPrivate: true})
	defer cl.Close()
	for range 2 { // the second call would carry a cookie, were there a jar
		body, ct, err := cl.Get(t.Context(), s.URL)
		if err != nil || string(body) != "GET  " || ct != "application/json" {
			t.Fatalf("%q, %q, %v", body, ct, err)
		}
	}
	body, _, err := cl.Post(t.Context(), s.URL, http.Header{"Authorization": {"Basic x"}}, []byte("token=t"))
	if err != nil || string(body) != "POST Basic x token=t" {
		t.Fatalf("%q, %v", body, err)
	}
	if hits.Load() != 3 {
		t.Fatalf("%d requests", hits.Load())
	}
	exact := New(Config{AllowPrivate: true, MaxBody: 5})
	defer exact.Close()
	if body, err := exact.Fetch(t.Context(), s.URL); err != nil || !bytes.Equal(body, []byte("GET  ")) {
		t.Fatalf("a body of exactly the limit: %q, %v", body, err)
	}
}

// A proxy would resolve the name anew, out of the reach of the checks. The
// standard library reads the environment once in a process, so a test cannot set it.
func TestNoProxy(t *testing.T) {
	tr, ok := New(Config{}).http.Transport.(*http.Transport)
	if !ok || tr.Proxy != nil {
		t.Error("the client may use a proxy")
	}
}

func TestTLSIsChecked(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // refused handshakes are the point
	s.StartTLS()
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	good := New(Config{AllowPrivate: true, Roots: roots, Resolver: fixed("127.0.0.1")})
	defer good.Close()
	if body, err := good.Fetch(t.Context(), "https://example.com:"+port+"/"); err != nil || string(body) != "ok" {
		t.Fatalf("%q, %v", body, err)
	}
	if _, err := good.Fetch(t.Context(), "https://other.test:"+port+"/"); err == nil {
		t.Fatal("a certificate of another name was accepted")
	}
	bare := New(Config{AllowPrivate: true, Resolver: fixed("127.0.0.1")})
	defer bare.Close()
	if _, err := bare.Fetch(t.Context(), "https://example.com:"+port+"/"); err == nil {
		t.Fatal("a certificate of an unknown authority was accepted")
	}
}

// PostForAnswer hands out what other statuses say, and follows no redirect.
func TestPostForAnswerReturnsEveryStatus(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "http://127.0.0.1:1/")
		status, _ := strconv.Atoi(r.URL.Path[1:])
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
	}))
	defer s.Close()
	c := New(Config{AllowPrivate: true, MaxBody: 64})
	defer c.Close()
	for _, status := range []int{200, 201, 302, 400, 503} {
		a, err := c.PostForAnswer(t.Context(), s.URL+"/"+strconv.Itoa(status), nil, []byte("x=1"))
		if err != nil || a.Status != status || a.ContentType != "application/json" || string(a.Body) != `{"error":"invalid_grant"}` {
			t.Errorf("%d: %+v %v", status, a, err)
		}
	}
}

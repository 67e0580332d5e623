package upstream

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/internal/spec"
)

func TestServeTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host+" "+r.TLS.ServerName) //nolint:errcheck // the test sees what is missing
	}))
	defer s.Close()
	s.Config.ErrorLog = nil
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	dial := func(c *Config) { // the certificate is for example.com and 127.0.0.1
		c.Dial = (&net.Dialer{}).DialContext
		c.Roots = roots
	}
	f, err := send(pool(t, dial, s.URL), "GET", "/", nil)
	if err != nil || f.status != 200 || !strings.HasSuffix(string(f.body), port+" ") {
		t.Errorf("by address: %v, %q", err, f.body)
	}
	for name, p := range map[string]*Pool{
		"a name that is not in the certificate": pool(t, dial, "https://localhost"+port),
		"an authority that is not trusted":      pool(t, nil, s.URL),
		"plain HTTP to a TLS port":              pool(t, nil, "http://127.0.0.1"+port),
	} {
		f, err := send(p, "GET", "/", nil)
		if err == nil && f.status != http.StatusBadRequest { // net/http answers plain HTTP so
			t.Errorf("%s: answered %d", name, f.status)
		}
		if name[0] == 'a' && reasonOf(err) != "upstream_unreachable" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestServeIPv6(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 loopback here")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Host) //nolint:errcheck // the test sees what is missing
	}))
	s.Listener.Close() // another one takes its place
	s.Listener = ln
	s.Start()
	defer s.Close()
	f, err := send(pool(t, nil, s.URL), "GET", "/", nil)
	if err != nil || "http://"+string(f.body) != s.URL {
		t.Errorf("%v, Host %q, want that of %s", err, f.body, s.URL)
	}
}

// attack gateway 67: a tenant's upstream does not reach into the gateway's own
// network, by whatever name; its probes do not either.
func TestServePrivateAddresses(t *testing.T) {
	s := serveRaw(t, answering(ok200))
	port := s.url[strings.LastIndexByte(s.url, ':'):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "127.1.2.3"} {
		p := pool(t, func(c *Config) {
			c.AllowPrivate = false
			c.API.Upstream.Health = &spec.Health{Path: "/", Interval: 1e6}
		}, "http://"+host+port)
		if _, err := send(p, "GET", "/", nil); reasonOf(err) != "upstream_unreachable" {
			t.Errorf("%s: %v", host, err)
		}
		eventually(t, host+" is unhealthy", func() bool { return !p.Status()[0].Available })
	}
	if n := s.conns.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

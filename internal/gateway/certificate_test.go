package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// with returns a client of the lane that shows the certificates.
func (h *house) with(t *testing.T, l lane, certs ...tls.Certificate) *http.Client {
	t.Helper()
	c := l.client(h)
	tr, ok := c.Transport.(*http.Transport)
	if !ok {
		t.Fatal("a client without a transport")
	}
	// Whatever the server says that it takes: the tests ask what it does with others.
	tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(certs) == 0 {
			return &tls.Certificate{}, nil
		}
		return &certs[0], nil
	}
	t.Cleanup(tr.CloseIdleConnections)
	return c
}

// Client certificates as identity, and as what tokens are bound to, on every lane
// with TLS. A header never stands for a certificate (attack gateway 56, attack
// identity 42).
func TestClientCertificates(t *testing.T) {
	ca, other := gateway.NewTestCA(t, "devices"), gateway.NewTestCA(t, "strangers")
	crl := filepath.Join(t.TempDir(), "devices.crl")
	good := ca.Client(t, "device-17", func(c *x509.Certificate) { c.EmailAddresses = []string{"ana@example.com"} })
	gone := ca.Client(t, "device-18", nil)
	ca.Revoke(t, crl, time.Now().Add(time.Hour), gone)
	change := func(_ *gateway.Config, s *spec.Snapshot) {
		s.Issuers = append(s.Issuers, spec.Issuer{Name: "devices", ClientCA: ca.PEM, CRL: crl, Scopes: []string{"orders:read"}})
		s.APIs = append(s.APIs, spec.API{
			Name: "devices", BasePath: "/devices", Upstream: s.APIs[0].Upstream, Auth: []string{"devices"},
			Routes: []spec.Route{
				{Method: "GET", Path: "/mine", Scopes: [][]string{{"orders:read"}}},
				{Method: "GET", Path: "/admin", Scopes: [][]string{{"admin"}}},
				{Method: "GET", Path: "/proven", Proof: spec.ProofMTLS},
			},
		}, spec.API{
			Name: "both", BasePath: "/both", Upstream: s.APIs[0].Upstream, Auth: []string{"main", "devices"},
			Routes: []spec.Route{{Method: "GET", Path: "/x"}, {Method: "GET", Path: "/proven", Proof: spec.ProofMTLS}},
		})
	}
	for _, l := range lanes() {
		if !l.secure {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			h := open(t, change, true)
			der := ":" + base64.StdEncoding.EncodeToString(good.Certificate[0]) + ":"
			bound := "Bearer " + h.issuer.Token(t, gateway.Claims{"cnf": map[string]any{"x5t#S256": gateway.Thumbprint(good)}})
			plain := "Bearer " + h.issuer.Token(t, nil)
			for _, c := range []struct {
				name    string
				certs   []tls.Certificate
				path    string
				headers []string
				status  int
				reason  string
				client  string
			}{
				{"good", []tls.Certificate{good}, "/devices/mine", nil, 200, "", "device-17"},
				{"good, proof demanded", []tls.Certificate{good}, "/devices/proven", nil, 200, "", "device-17"},
				{"none", nil, "/devices/mine", nil, 401, "no_token", ""},
				{"a header in place of one", nil, "/devices/mine", []string{"Client-Cert", der}, 401, "no_token", ""},
				{"a header and a token in place of one", nil, "/devices/mine", []string{"X-Forwarded-Client-Cert", "Cert=x", "Authorization", plain}, 401, "no_token", ""},
				{"another authority", []tls.Certificate{other.Client(t, "device-17", nil)}, "/devices/mine", nil, 401, "unknown_issuer", ""},
				{"expired", []tls.Certificate{ca.Client(t, "device-17", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })}, "/devices/mine", nil, 401, "token_expired", ""},
				{"not yet valid", []tls.Certificate{ca.Client(t, "device-17", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })}, "/devices/mine", nil, 401, "token_not_yet_valid", ""},
				{"of a server", []tls.Certificate{ca.Client(t, "device-17", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, "/devices/mine", nil, 401, "unknown_issuer", ""},
				{"without a name", []tls.Certificate{ca.Client(t, "", nil)}, "/devices/mine", nil, 401, "token_malformed", ""},
				{"revoked by its authority", []tls.Certificate{gone}, "/devices/mine", nil, 401, "revoked", ""},
				{"without the scope", []tls.Certificate{good}, "/devices/admin", nil, 403, "missing_scope", ""},
				{"a certificate where both will do", []tls.Certificate{good}, "/both/x", nil, 200, "", "device-17"},
				{"a token where both will do", []tls.Certificate{good}, "/both/x", []string{"Authorization", plain}, 200, "", "app1"},
				{"a bound token with its certificate", []tls.Certificate{good}, "/both/proven", []string{"Authorization", bound}, 200, "", "app1"},
				{"a bound token with another", []tls.Certificate{gone}, "/both/x", []string{"Authorization", bound}, 401, "proof_invalid", ""},
				{"a bound token without", nil, "/both/x", []string{"Authorization", bound}, 401, "proof_invalid", ""},
				{"a bound token and a header", nil, "/both/x", []string{"Authorization", bound, "Client-Cert", der}, 401, "proof_invalid", ""},
				{"a plain token where a bound one is demanded", []tls.Certificate{good}, "/both/proven", []string{"Authorization", plain}, 401, "proof_invalid", ""},
			} {
				a := h.do(t, l, h.with(t, l, c.certs...), "GET", c.path, "", c.headers...)
				var got string
				if d := a.Header.Get("Gatehouse-Decision"); d != "" {
					_, got, _ = strings.Cut(d, "reason=")
				}
				if a.StatusCode != c.status || got != c.reason {
					t.Errorf("%s: %d %s, want %d %s", c.name, a.StatusCode, got, c.status, c.reason)
				}
				if c.client != "" && (len(a.echo.Headers["X-Client-Id"]) != 1 || a.echo.Headers["X-Client-Id"][0] != c.client) {
					t.Errorf("%s: the upstream was told %v", c.name, a.echo.Headers["X-Client-Id"])
				}
			}
			a := h.do(t, l, h.with(t, l, good), "GET", "/devices/mine", "", "Client-Cert", "x", "Client-Cert-Chain", "y", "X-Forwarded-Client-Cert", "z", "Ssl-Client-Cert", "w", "X-Client-Cert", "v")
			for name := range a.echo.Headers {
				switch name {
				case "Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "Ssl-Client-Cert", "X-Client-Cert":
					t.Errorf("the upstream got the client's %s", name)
				}
			}
		})
	}
}

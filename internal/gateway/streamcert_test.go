package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
)

// attack gateway 63 for client certificates: a stream ends when its caller's authority
// revokes the certificate, and when the authority is not believed any more; others go on.
func TestStreamsOfCertificatesEnd(t *testing.T) {
	for _, l := range lanes() {
		if !l.secure {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			ca := gateway.NewTestCA(t, "devices")
			crl := filepath.Join(t.TempDir(), "devices.crl")
			good, gone := ca.Client(t, "device-1", nil), ca.Client(t, "device-2", nil)
			ca.Revoke(t, crl, time.Now().Add(time.Hour))
			believed := atomic.Pointer[x509.CertPool]{}
			believed.Store(x509.NewCertPool())
			believed.Load().AddCert(ca.Cert)
			u := newEndless(t)
			h := open(t, func(c *gateway.Config, s *spec.Snapshot) {
				c.ClientCA = believed.Load
				up := spec.Upstream{Targets: []string{u.URL}}
				s.Issuers = append(s.Issuers, spec.Issuer{Name: "devices", ClientCA: ca.PEM, CRL: crl})
				s.APIs = append(s.APIs,
					spec.API{Name: "devices", BasePath: "/devices", Upstream: up, Auth: []string{"devices"}, Routes: []spec.Route{{Method: "*", Path: "/s/*"}}},
					spec.API{Name: "listener", BasePath: "/listener", Upstream: up, Auth: []string{spec.AuthMTLS}, Routes: []spec.Route{{Method: "*", Path: "/s/*"}}})
			}, true)
			begin := func(path string, cert tls.Certificate) *http.Response {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url(path), nil)
				if err != nil {
					t.Fatal(err)
				}
				l.mark(r)
				res, err := h.with(t, l, cert).Do(r)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = res.Body.Close() })
				if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil || res.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d %v", path, res.StatusCode, err)
				}
				return res
			}
			kept, ends := begin("/devices/s/events", good), begin("/devices/s/events", gone)
			wait(t, "both streams", func() bool { return h.Streams() == 2 })
			at := time.Now()
			ca.Revoke(t, crl, time.Now().Add(time.Hour), gone)
			ended(t, ends, at)
			u.left(t)
			h.lastLine(t, `"reason":"revoked"`)
			if n := h.Streams(); n != 1 {
				t.Errorf("%d streams are open, want the one that was kept", n)
			}
			other := begin("/listener/s/events", good)
			at = time.Now()
			believed.Store(x509.NewCertPool())
			ended(t, other, at)
			u.left(t)
			at = time.Now()
			ca.Revoke(t, crl, time.Now().Add(time.Hour), gone, good)
			ended(t, kept, at)
			u.left(t)
		})
	}
}

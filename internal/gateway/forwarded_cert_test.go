package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

// certGateway takes certificates of the authority at /x of any API.
func certGateway(t testing.TB, ca *TestCA, change func(*Config, *spec.Snapshot)) *Gateway {
	t.Helper()
	c := ConfigFor(t)
	s := OrdersSnapshot2("devices", spec.Route{Method: "GET", Path: "/x"})
	s.Issuers = []spec.Issuer{{Name: "devices", ClientCA: ca.PEM}}
	if change != nil {
		change(&c, &s)
	}
	return newTestGateway(t, c, s)
}

// What a proxy says about the client's certificate counts when it is trusted, and
// the operator has said in which header; the proxy's own certificate is nobody's
// (attack gateway 56, attack identity 42).
func TestForwardedCertificates(t *testing.T) {
	ca, other := NewTestCA(t, "devices"), NewTestCA(t, "others")
	device := ca.Client(t, "device-17", nil)
	rfc := ":" + base64.StdEncoding.EncodeToString(device.Certificate[0]) + ":"
	text := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: device.Certificate[0]})))
	stranger := url.PathEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Client(t, "x", nil).Certificate[0]})))
	for _, c := range []struct {
		name    string
		header  string
		trusted bool
		proxy   bool // the connection itself has the device's certificate
		headers []string
		want    string
	}{
		{"trusted, RFC 9440", CertHeaderClientCert, true, false, []string{"Client-Cert", rfc}, ""},
		{"trusted, with a chain", CertHeaderClientCert, true, false, []string{"Client-Cert", rfc, "Client-Cert-Chain", rfc + ", " + rfc}, ""},
		{"trusted, Envoy", CertHeaderForwarded, true, false, []string{"X-Forwarded-Client-Cert", `By=spiffe://x;Hash=00;Cert="` + text + `";Subject="CN=a\",b"`}, ""},
		{"Envoy behind another, whose word is not the last", CertHeaderForwarded, true, false, []string{"X-Forwarded-Client-Cert", `Cert="` + text + `",Cert="` + stranger + `"`}, "unknown_issuer"},
		{"trusted, nginx", CertHeaderNginx, true, false, []string{"Ssl-Client-Cert", text}, ""},
		{"nginx, with something behind it", CertHeaderNginx, true, false, []string{"Ssl-Client-Cert", text + "x"}, "no_token"},
		{"nginx, a bad encoding", CertHeaderNginx, true, false, []string{"Ssl-Client-Cert", text + "%zz"}, "no_token"},
		{"nginx, from a stranger", CertHeaderNginx, false, false, []string{"Ssl-Client-Cert", text}, "no_token"},
		{"trusted, Traefik", CertHeaderTraefik, true, false, []string{"X-Forwarded-Tls-Client-Cert", strings.Trim(rfc, ":")}, ""},
		{"Traefik, with a chain", CertHeaderTraefik, true, false, []string{"X-Forwarded-Tls-Client-Cert", url.QueryEscape(strings.Trim(rfc, ":") + "," + strings.Trim(rfc, ":"))}, ""},
		{"Traefik, an empty member", CertHeaderTraefik, true, false, []string{"X-Forwarded-Tls-Client-Cert", strings.Trim(rfc, ":") + ","}, "no_token"},
		{"Traefik, from a stranger", CertHeaderTraefik, false, false, []string{"X-Forwarded-Tls-Client-Cert", strings.Trim(rfc, ":")}, "no_token"},
		{"from a stranger", CertHeaderClientCert, false, false, []string{"Client-Cert", rfc}, "no_token"},
		{"not configured", "", true, false, []string{"Client-Cert", rfc}, "no_token"},
		{"another header than configured", CertHeaderForwarded, true, false, []string{"Client-Cert", rfc}, "no_token"},
		{"two lines", CertHeaderClientCert, true, false, []string{"Client-Cert", rfc, "client-cert", rfc}, "no_token"},
		{"no byte sequence", CertHeaderClientCert, true, false, []string{"Client-Cert", strings.Trim(rfc, ":")}, "no_token"},
		{"no certificate", CertHeaderClientCert, true, false, []string{"Client-Cert", ":AAAA:"}, "no_token"},
		{"a broken chain", CertHeaderClientCert, true, false, []string{"Client-Cert", rfc, "Client-Cert-Chain", rfc + ", x"}, "no_token"},
		{"the proxy's own", CertHeaderClientCert, true, true, nil, "no_token"},
		{"the proxy's own, no header configured", "", true, true, nil, "no_token"},
		{"the client's own connection, and a header", CertHeaderClientCert, false, true, []string{"Client-Cert", ":AAAA:"}, ""},
	} {
		g := certGateway(t, ca, func(conf *Config, s *spec.Snapshot) {
			conf.CertificateHeader = c.header
			if c.trusted {
				trustPeer(conf, s)
			}
		})
		l := newLane("GET", "/x", c.headers...)
		if c.proxy {
			l.request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{device.Leaf}}
		}
		g.ServeExchange(l)
		if l.reason() != c.want || (l.status == 200) != (c.want == "") {
			t.Errorf("%s: %d %s, want %q", c.name, l.status, l.reason(), c.want)
		}
	}
}

// The list of revoked certificates is read again when it changes. Missing or too
// old, it lets nobody in: 503, since nobody knows.
func TestRevocationLists(t *testing.T) {
	ca := NewTestCA(t, "devices")
	a, b := ca.Client(t, "a", nil), ca.Client(t, "b", nil)
	path := filepath.Join(t.TempDir(), "list.crl")
	var clock atomic.Int64
	clock.Store(time.Now().Unix())
	g := certGateway(t, ca, func(c *Config, s *spec.Snapshot) {
		s.Issuers[0].CRL = path
		c.Now = func() time.Time { return time.Unix(clock.Load(), 0) }
	})
	ask := func(c tls.Certificate) string {
		l := newLane("GET", "/x")
		l.request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.Leaf}}
		g.ServeExchange(l)
		return l.reason()
	}
	expect := func(when, wantA, wantB string) {
		t.Helper()
		if gotA, gotB := ask(a), ask(b); gotA != wantA || gotB != wantB {
			t.Errorf("%s: %q and %q, want %q and %q", when, gotA, gotB, wantA, wantB)
		}
	}
	expect("without the file", "revocation_state_unknown", "revocation_state_unknown")
	ca.Revoke(t, path, time.Unix(clock.Load(), 0).Add(10*time.Minute))
	clock.Add(10)
	expect("with an empty list", "", "")
	ca.Revoke(t, path, time.Unix(clock.Load(), 0).Add(10*time.Minute), b)
	clock.Add(10)
	expect("with b revoked", "", "revoked")
	if err := os.WriteFile(path, []byte("half a li"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.Add(10)
	expect("with a broken file, the last list counts", "", "revoked")
	clock.Add(600)
	expect("when that is too old", "revocation_state_unknown", "revocation_state_unknown")
	NewTestCA(t, "devices").Revoke(t, path, time.Unix(clock.Load(), 0).Add(10*time.Minute))
	clock.Add(10)
	expect("with a list of another authority of the same name", "revocation_state_unknown", "revocation_state_unknown")
}

// Which field names the caller is a setting; several values are nobody.
func TestCertificateNames(t *testing.T) {
	ca := NewTestCA(t, "devices")
	spiffe, _ := url.Parse("spiffe://acme.test/billing")
	cert := ca.Client(t, "unit 7", func(c *x509.Certificate) {
		c.URIs, c.EmailAddresses, c.DNSNames = []*url.URL{spiffe}, []string{"ana@example.com"}, []string{"a.test", "b.test"}
	})
	for _, c := range []struct {
		names                spec.ClaimNames
		client, user, reason string
	}{
		{spec.ClaimNames{}, "unit 7", "", ""},
		{spec.ClaimNames{Client: spec.CertURI, User: spec.CertEmail}, "spiffe://acme.test/billing", "ana@example.com", ""},
		{spec.ClaimNames{Client: spec.CertSubject}, "CN=unit 7", "", ""},
		{spec.ClaimNames{Client: spec.CertThumbprint}, Thumbprint(cert), "", ""},
		{spec.ClaimNames{Client: spec.CertDNS}, "", "", "token_malformed"},
		{spec.ClaimNames{User: spec.CertDNS}, "", "", "token_malformed"},
	} {
		g := certGateway(t, ca, func(_ *Config, s *spec.Snapshot) { s.Issuers[0].Claims = c.names })
		l := newLane("GET", "/x")
		l.request.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
		ex := &Exchange{}
		ex.begin(g, l)
		err := ex.guarded()
		switch {
		case c.reason != "" && err != nil:
			ex.settle(err)
			if ex.reason.Name != c.reason {
				t.Errorf("%+v: %s", c.names, ex.reason.Name)
			}
		case c.reason != "" || err != nil:
			t.Errorf("%+v: %v", c.names, err)
		case ex.token.ClientID != c.client || ex.token.UserID != c.user:
			t.Errorf("%+v: %q %q", c.names, ex.token.ClientID, ex.token.UserID)
		}
	}
}

func FuzzForwardedCertificates(f *testing.F) {
	f.Add(":AAAA:", ":AAAA:, :AAAA:", `By=x;Cert="%2D";Hash=1`)
	f.Add("::", ",", `Cert="\"`)
	f.Fuzz(func(t *testing.T, own, chain, xfcc string) {
		if ders, ok := parseClientCert([]byte(own), []byte(chain)); ok && (len(ders) == 0 || len(ders) > maxChain+1 || len(ders[0]) == 0) {
			t.Fatalf("%q %q: %d", own, chain, len(ders))
		}
		if ders, ok := parseXFCC(xfcc); ok && len(ders) != 1 {
			t.Fatalf("%q: %d", xfcc, len(ders))
		}
		parseForwarded(CertHeaderClientCert, []byte(own), []byte(chain))
		parseForwarded(CertHeaderForwarded, []byte(xfcc), nil)
		for _, header := range []string{CertHeaderNginx, CertHeaderTraefik} {
			if c := parseForwarded(header, []byte(own), nil); (len(c.list) == 0) != (c.thumbprint == "") || len(c.list) > maxChain+1 {
				t.Fatalf("%s %q: %d", header, own, len(c.list))
			}
		}
	})
}

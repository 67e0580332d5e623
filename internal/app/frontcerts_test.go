package app_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"gatehouse/client"
)

const certFrontAPI = `version: 1
server:
  decide: { envoy: "127.0.0.1:0", client_cert_header: %s }
issuers:
  devices: { client_ca: "${file:%s/ca.pem}", crl: %s }
  other:   { url: %s, audience: api://orders }
apis:
  hr:
    base_path: /hr
    upstream: %s
    auth: [devices, other]
    routes:
      GET /x: {}
`

// certFront is a gateway that is asked by a proxy which ends TLS, and those who come to
// the proxy: with a certificate each, and tokens that are bound to them.
type certFront struct {
	*program
	t                   *testing.T
	server, key         string // files of the proxy
	ca                  string // of the devices' authority
	pool                *x509.CertPool
	upstream            string
	device, other, gone tls.Certificate
	stranger            tls.Certificate // of nobody's authority
	token               string          // bound to device
}

func newCertFront(t *testing.T, header string) *certFront {
	t.Helper()
	f := &certFront{t: t, upstream: echoUpstream(t, nil).URL}
	ca := newAuthority(t)
	f.ca = filepath.Join(ca.dir, "ca.pem")
	load := func(a *authority, serial int64) tls.Certificate {
		cert, key := a.device(serial)
		c, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	f.device, f.other, f.gone, f.stranger = load(ca, 23), load(ca, 24), load(ca, 25), load(newAuthority(t), 23)
	f.server, f.key, f.pool = selfSigned(t)
	is := newSigningIssuer(t)
	f.token = is.token(t, map[string]any{"x5t#S256": thumbprint(f.device.Certificate[0])})
	f.program = start(t, write(t, fmt.Sprintf(certFrontAPI, header, ca.dir, ca.revoke(25), is.URL, f.upstream)))
	return f
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func stdBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// get asks the proxy as somebody with these certificates, and returns the answer.
func (f *certFront) get(front string, certs []tls.Certificate, header ...string) answer {
	f.t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.pool, Certificates: certs}}
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, front+"/hr/x", http.NoBody)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := tr.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// attack sends what a proxy may be sent: certificates good and bad, and headers by which
// somebody without one says that they have it, in every form that is known (attack gateway
// 56, attack identity 42).
func (f *certFront) attack(front string) {
	f.t.Helper()
	text := url.PathEscape(pemOf(f.device.Certificate[0]))
	bare := stdBase64(f.device.Certificate[0])
	spoofed := []string{
		"Client-Cert", ":" + bare + ":", "Client-Cert-Chain", ":" + bare + ":", "Ssl-Client-Cert", text,
		"X-Forwarded-Client-Cert", `Cert="` + text + `"`, "X-Forwarded-Tls-Client-Cert", bare,
	}
	bearer := []string{"Authorization", "Bearer " + f.token}
	for _, c := range []struct {
		name   string
		certs  []tls.Certificate
		header []string
		status int
		client string
	}{
		{"a device", []tls.Certificate{f.device}, nil, 200, "device-23"},
		{"another, which says that it is the first", []tls.Certificate{f.other}, spoofed, 200, "device-24"},
		{"one that is revoked", []tls.Certificate{f.gone}, nil, 401, ""},
		{"one of another authority", []tls.Certificate{f.stranger}, nil, 401, ""},
		{"nobody", nil, nil, 401, ""},
		{"nobody, who says that they are", nil, spoofed, 401, ""},
		{"a bound token with its certificate", []tls.Certificate{f.device}, bearer, 200, "app1"},
		{"a bound token with another", []tls.Certificate{f.other}, bearer, 401, ""},
		{"a bound token with another, and the right one in headers", []tls.Certificate{f.other}, append(bearer, spoofed...), 401, ""},
		{"a bound token with none", nil, bearer, 401, ""},
		{"a bound token with headers alone", nil, append(bearer, spoofed...), 401, ""},
	} {
		a := f.get(front, c.certs, c.header...)
		if a.Status != c.status {
			f.t.Errorf("%s: %d %s", c.name, a.Status, a.Body)
			continue
		}
		if c.status != http.StatusOK {
			continue
		}
		headers, _ := a.json(f.t)["headers"].(map[string]any)
		if got := fmt.Sprint(headers["X-Client-Id"]); got != "["+c.client+"]" {
			f.t.Errorf("%s: the upstream is told %s", c.name, got)
		}
	}
}

// The real nginx hands over the certificate of its own client, and nobody else's.
func TestNginxHandsOverCertificates(t *testing.T) {
	f := newCertFront(t, "ssl-client-cert")
	address := freeAddress(t)
	locations := howto(t, "forward-auth.md", "nginx", askedInHowto, bare(f.Ready().Console), upstreamInHowto, bare(f.upstream),
		"    internal;\n", "    internal;\n    proxy_set_header Ssl-Client-Cert $ssl_client_escaped_cert;\n")
	startNginx(t, address+" ssl", "ssl_certificate "+f.server+";\nssl_certificate_key "+f.key+";\nssl_verify_client optional_no_ca;\n"+locations)
	f.attack("https://" + address)
}

// The real HAProxy, by the script that the how-to ships.
func TestHAProxyHandsOverCertificates(t *testing.T) {
	f := newCertFront(t, "client-cert")
	var both []byte
	for _, part := range []string{f.server, f.key} {
		b, err := os.ReadFile(part)
		if err != nil {
			t.Fatal(err)
		}
		both = append(both, b...)
	}
	address := freeAddress(t)
	startHAProxy(t, address+" ssl crt "+configuration(t, "both.pem", string(both))+" ca-file "+f.ca+" verify optional crt-ignore-err all ca-ignore-err all", f.upstream, f.Ready().Console, "")
	f.attack("https://" + address)
}

// The real Caddy.
func TestCaddyHandsOverCertificates(t *testing.T) {
	f := newCertFront(t, "client-cert")
	name := strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1) // Caddy holds the Host line against the handshake's name
	site := "https://" + name + " {\n\tbind 127.0.0.1\n\ttls " + f.server + " " + f.key + " {\n\t\tclient_auth {\n\t\t\tmode request\n\t\t}\n\t}"
	startCaddy(t, site, f.upstream, f.Ready().Console,
		"header_up Host localhost", "header_up Host localhost\n\t\theader_up Client-Cert \":{http.request.tls.client.certificate_der_base64}:\"\n\t\theader_up -Client-Cert-Chain")
	f.attack("https://" + name)
}

// Envoy's own client and a program say it in a field of the question, where no header
// of a client reaches.
func TestQuestionsWithCertificates(t *testing.T) {
	f := newCertFront(t, "client-cert")
	conn, err := grpc.NewClient(f.Ready().Envoy, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for name, c := range map[string]struct {
		cert   []byte
		header []string
		status int
	}{
		"a device":                       {f.device.Certificate[0], nil, 200},
		"a bound token, its certificate": {f.device.Certificate[0], []string{"Authorization", "Bearer " + f.token}, 200},
		"a bound token, another's":       {f.other.Certificate[0], []string{"Authorization", "Bearer " + f.token}, 401},
		"revoked":                        {f.gone.Certificate[0], nil, 401},
		"of another authority":           {f.stranger.Certificate[0], nil, 401},
		"in a header":                    {nil, []string{"Client-Cert", ":" + stdBase64(f.device.Certificate[0]) + ":"}, 401},
	} {
		text, headers, lines := "", map[string]string{}, map[string][]string{}
		if c.cert != nil {
			text = pemOf(c.cert)
		}
		for i := 0; i < len(c.header); i += 2 {
			headers[strings.ToLower(c.header[i])], lines[c.header[i]] = c.header[i+1], []string{c.header[i+1]}
		}
		res, err := auth.NewAuthorizationClient(conn).Check(t.Context(), &auth.CheckRequest{Attributes: &auth.AttributeContext{
			Source: &auth.AttributeContext_Peer{
				Address:     &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{Address: "192.0.2.9"}}},
				Certificate: url.PathEscape(text),
			},
			Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{Method: "GET", Path: "/hr/x", Host: "api.test", Scheme: "https", Headers: headers}},
		}})
		if err != nil || (res.GetOkResponse() != nil) != (c.status == 200) {
			t.Errorf("%s, of Envoy: %v %v", name, res, err)
		}
		a, err := f.admin().Authz(t.Context(), client.AuthzQuestion{Method: "GET", Host: "api.test", Path: "/hr/x", ClientIP: "192.0.2.9", Headers: lines, ClientCertificate: text})
		if err != nil || a.Status != c.status {
			t.Errorf("%s, of a program: %+v %v", name, a, err)
		}
	}
	if _, err := f.admin().Authz(t.Context(), client.AuthzQuestion{Method: "GET", Host: "a", Path: "/hr/x", ClientIP: "192.0.2.9", ClientCertificate: "x"}); err == nil {
		t.Error("a certificate that is none was taken")
	}
}

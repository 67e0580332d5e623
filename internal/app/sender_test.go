package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// es256 signs a compact JWS.
func es256(t *testing.T, key *ecdsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	header["alg"] = "ES256"
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	signed := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

func newKey(t *testing.T) (*ecdsa.PrivateKey, map[string]any) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return key, map[string]any{"kty": "EC", "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:])}
}

// signingIssuer is an authorization server elsewhere, with one key.
type signingIssuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newSigningIssuer(t *testing.T) *signingIssuer {
	t.Helper()
	key, jwk := newKey(t)
	i := &signingIssuer{key: key}
	jwk["kid"], jwk["use"], jwk["alg"] = "k1", "sig", "ES256"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, i.URL, i.URL+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{jwk}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func (i *signingIssuer) token(t *testing.T, cnf map[string]any) string {
	claims := map[string]any{
		"iss": i.URL, "aud": "api://orders", "sub": "ana", "cid": "app1", "scp": []string{"orders:read"}, "jti": rand.Text(),
		"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	}
	if cnf != nil {
		claims["cnf"] = cnf
	}
	return es256(t, i.key, map[string]any{"typ": "at+jwt", "kid": "k1"}, claims)
}

// dpopTransport is a Go client with DPoP: it binds each request to its key, and
// repeats one that is answered with a nonce.
type dpopTransport struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	jwk   map[string]any
	token string
	nonce string
	sent  int
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (d *dpopTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		sum := sha256.Sum256([]byte(d.token))
		claims := map[string]any{
			"htm": r.Method, "htu": "http://" + r.URL.Host + r.URL.Path, "jti": rand.Text(), "iat": time.Now().Unix(),
			"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
		}
		if d.nonce != "" {
			claims["nonce"] = d.nonce
		}
		out := r.Clone(r.Context())
		out.Header.Set("Authorization", "DPoP "+d.token)
		out.Header.Set("DPoP", es256(d.t, d.key, map[string]any{"typ": "dpop+jwt", "jwk": d.jwk}, claims))
		d.sent++
		res, err := d.next.RoundTrip(out)
		if err != nil {
			return nil, err
		}
		next := res.Header.Get("DPoP-Nonce")
		if next == "" || !strings.Contains(res.Header.Get("WWW-Authenticate"), "use_dpop_nonce") || d.nonce == next {
			return res, nil
		}
		_ = res.Body.Close()
		d.nonce = next
	}
}

const dpopAPI = `version: 1
issuers:
  other: { url: %s, audience: api://orders }
apis:
  orders:
    host: 127.0.0.1
    upstream: %s
    auth: other
    proof: dpop_nonce
    routes:
      GET /orders/*: orders:read
`

// A Go client with DPoP through the whole program: nonce, proof, and the same token
// without its key.
func TestDPoPThroughTheProgram(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Client-Id")+r.Header.Get("Dpop")+r.Header.Get("Authorization"))
	}))
	defer up.Close()
	iss := newSigningIssuer(t)
	p := start(t, write(t, fmt.Sprintf(dpopAPI, iss.URL, up.URL)))
	key, jwk := newKey(t)
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, jwk["x"], jwk["y"]))
	token := iss.token(t, map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum[:])})
	plain := p.http.Transport
	tr := &dpopTransport{t: t, key: key, jwk: jwk, token: token, next: plain}
	p.http.Transport = tr
	for n, want := range []int{2, 3, 4} {
		if a := p.call(http.MethodGet, "/orders/1", ""); a.Status != http.StatusOK || a.Body != "app1" || tr.sent != want {
			t.Fatalf("request %d: %d %s, %d sent", n, a.Status, a.Body, tr.sent)
		}
	}
	p.http.Transport = plain
	for name, token := range map[string]string{"stolen": token, "not bound": iss.token(t, nil)} {
		a := p.call(http.MethodGet, "/orders/1", token)
		if a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "DPoP algs=") {
			t.Errorf("%s: %d %s", name, a.Status, a.Header.Get("WWW-Authenticate"))
		}
	}
}

const mtlsAPI = `version: 1
server:
  gateway: { tls: { cert: %[1]s, key: %[2]s, client_ca: %[3]s } }
issuers:
  devices: { client_ca: "${file:%[3]s}", crl: %[4]s, claims: { client: serial }, scopes: readings:write }
apis:
  readings:
    base_path: /readings
    upstream: %[5]s
    auth: devices
    routes:
      POST /new: readings:write
  internal:
    base_path: /internal
    upstream: %[5]s
    auth: mtls
    routes:
      GET /x: {}
tests:
  - POST /readings/new with readings:write -> allow
  - POST /readings/new -> deny no_token
`

// authority is a certificate authority that writes files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key, _ = newKey(t)
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devices"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, self, self, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// device makes a client certificate and returns its files.
func (a *authority) device(serial int64) (cert, key string) {
	a.t.Helper()
	private, _ := newKey(a.t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprintf("device-%d", serial)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &private.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write(fmt.Sprintf("d%d.pem", serial), "CERTIFICATE", der), a.write(fmt.Sprintf("d%d.key", serial), "PRIVATE KEY", pk)
}

func (a *authority) revoke(serials ...int64) string {
	a.t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, s := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.write("list.crl", "X509 CRL", der)
}

// curl with client certificates against the whole program, over HTTP/1.1 and HTTP/2.
func TestClientCertificatesThroughTheProgram(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "client="+r.Header.Get("X-Client-Id")+" cert="+r.Header.Get("Client-Cert"))
	}))
	defer up.Close()
	server, key, _ := selfSigned(t)
	ca := newAuthority(t)
	cert, priv := ca.device(0x17)
	revoked, revokedKey := ca.device(0x18)
	file := write(t, fmt.Sprintf(mtlsAPI, server, key, filepath.Join(ca.dir, "ca.pem"), ca.revoke(0x18), up.URL))
	p := start(t, file)
	call := func(args ...string) string {
		out, _ := exec.CommandContext(t.Context(), curl, append([]string{"-s", "-w", " %{http_code}", "--cacert", server, "-H", "Client-Cert: :AAAA:"}, args...)...).Output()
		return string(out)
	}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"good", []string{"--http1.1", "--cert", cert, "--key", priv, "-d", "{}", p.Ready().Gateway + "/readings/new"}, "client=17 cert= 200"},
		{"good, HTTP/2", []string{"--http2", "--cert", cert, "--key", priv, "-d", "{}", p.Ready().Gateway + "/readings/new"}, "client=17 cert= 200"},
		{"auth: mtls", []string{"--cert", cert, "--key", priv, p.Ready().Gateway + "/internal/x"}, "client=device-23 cert= 200"},
		{"revoked", []string{"--cert", revoked, "--key", revokedKey, "-d", "{}", p.Ready().Gateway + "/readings/new"}, `"reason":"revoked"`},
		{"none", []string{"-d", "{}", p.Ready().Gateway + "/readings/new"}, `"reason":"no_token"`},
		{"self-signed", []string{"--cert", server, "--key", key, p.Ready().Gateway + "/internal/x"}, " 000"}, // the handshake
	} {
		if got := call(c.args...); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

const placedAPI = `version: 1
issuers:
  other: { url: %s, audience: api://orders }
apis:
  orders:
    url: https://api.acme.test
    upstream: %s
    auth: other
    proof: dpop
    routes:
      GET /orders/*: orders:read
`

// A proof that was used stays so over a restart of the program; after a crash proofs
// need a nonce, since nobody knows which were used.
func TestProofsStayUsedOverARestart(t *testing.T) {
	up := echoUpstream(t, nil)
	iss := newSigningIssuer(t)
	file := write(t, fmt.Sprintf(placedAPI, iss.URL, up.URL))
	key, jwk := newKey(t)
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, jwk["x"], jwk["y"]))
	token := iss.token(t, map[string]any{"jkt": base64.RawURLEncoding.EncodeToString(sum[:])})
	var p *program
	proof := func(nonce string) []string {
		claims := map[string]any{"htm": "GET", "htu": "https://api.acme.test/orders/1", "jti": rand.Text(), "iat": p.now().Unix(), "ath": b64(sum256(token)), "nonce": nonce}
		if nonce == "" {
			delete(claims, "nonce")
		}
		return []string{"Authorization", "DPoP " + token, "DPoP", es256(t, key, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims)}
	}
	still := timeStandsStill() // a proof is good for a minute
	p = start(t, file, still)
	ask := func(what string, header []string, status int) answer {
		t.Helper()
		a := p.request(http.MethodGet, p.Ready().Gateway+"/orders/1", "", "", header...)
		if a.Status != status {
			t.Errorf("%s: %d %s, want %d", what, a.Status, a.Body, status)
		}
		return a
	}
	used, fresh := proof(""), proof("")
	ask("a proof", used, 200)
	ask("again", used, 401)
	data := p.data
	p.stop()
	p = start(t, file, withData(data), still)
	ask("again after a restart", used, 401)
	ask("one that was not used", fresh, 200)
	p.stop()
	if err := os.WriteFile(filepath.Join(data, "proofs"), []byte("gatehouse-proofs 1 running\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, file, withData(data), still)
	ask("again after a crash", used, 401)
	a := ask("a new one after a crash", proof(""), 401)
	if nonce := a.Header.Get("DPoP-Nonce"); nonce == "" || !strings.Contains(a.Header.Get("WWW-Authenticate"), "use_dpop_nonce") {
		t.Errorf("the challenge is %v", a.Header)
	} else {
		ask("with its nonce", proof(nonce), 200)
	}
}

func sum256(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:]
}

package app_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
)

const tlsIdentity = `
version: 1
server:
  identity:
    SETTINGS
issuers:
  default: { builtin: default }
apis:
  a:
    upstream: UPSTREAM
    auth: default
    routes:
      GET /*: a:read
`

// certClient is a client that shows a certificate, or none when the files are empty.
func certClient(t *testing.T, roots *x509.CertPool, cert, key string) *http.Client {
	t.Helper()
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	tr := &http.Transport{TLSClientConfig: conf}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// ask asks the token endpoint as the app, with header lines.
func (p *program) ask(c *http.Client, app string, header ...string) (int, map[string]any) {
	p.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}, "client_id": {app}}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.Ready().Identity+"/oauth2/default/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		p.t.Fatalf("%d %s", res.StatusCode, raw)
	}
	return res.StatusCode, body
}

// certApp makes an app with the method and settings, by Okta's API.
func (p *program) certApp(c *http.Client, method, keys, extension string) string {
	p.t.Helper()
	body := `{"name":"oidc_client","label":"by ` + method + `","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"` + method + `"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]` + keys + `},"gatehouse":` + extension + `}}`
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.Ready().Identity+"/api/v1/apps", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "SSWS "+p.Ready().APIToken)
	r.Header.Set("Content-Type", "application/json")
	res, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var made struct {
		ID string `json:"id"`
	}
	raw, _ := io.ReadAll(res.Body)
	if json.Unmarshal(raw, &made) != nil || made.ID == "" {
		p.t.Fatalf("%d %s", res.StatusCode, raw)
	}
	return made.ID
}

// certOf reads a certificate, and the key in it as a JWK.
func certOf(t *testing.T, path string) (der []byte, jwk string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pub, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		t.Fatal("not an EC key")
	}
	raw, err := pub.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return block.Bytes, `{"kty":"EC","crv":"P-256","kid":"cert","use":"sig","x":"` + b64(raw[1:33]) + `","y":"` + b64(raw[33:]) + `"}`
}

func thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// RFC 8705 at the identity listener's own TLS: an app proves itself by its certificate,
// and its token is bound to that.
func TestCertificatesOfApps(t *testing.T) {
	server, serverKey, roots := selfSigned(t)
	ca, strangers := newAuthority(t), newAuthority(t)
	cert, key := ca.device(23)
	other, otherKey := ca.device(24)
	stranger, strangerKey := strangers.device(23) // the same name, by another authority
	file := strings.NewReplacer("SETTINGS", "tls: { cert: "+server+", key: "+serverKey+", client_ca: "+filepath.Join(ca.dir, "ca.pem")+", client_certs: optional }", "UPSTREAM", echo(t)).Replace(tlsIdentity)
	p := start(t, write(t, file))
	plain := certClient(t, roots, "", "")
	named := p.certApp(plain, "tls_client_auth", "", `{"tls_client_auth":{"subject_dn":"CN=device-23"},"tls_client_certificate_bound_access_tokens":true}`)
	der, jwk := certOf(t, stranger)
	keyed := p.certApp(plain, "self_signed_tls_client_auth", `,"jwks":{"keys":[`+jwk+`]}`, `{"tls_client_certificate_bound_access_tokens":true}`)

	for _, x := range []struct {
		name, app string
		client    *http.Client
		header    []string
		status    int
	}{
		{"its certificate", named, certClient(t, roots, cert, key), nil, 200},
		{"another certificate of the authority", named, certClient(t, roots, other, otherKey), nil, 401},
		{"the name, by another authority", named, certClient(t, roots, stranger, strangerKey), nil, 401},
		{"none", named, plain, nil, 401},
		{"none, and a header that says so", named, plain, []string{"Client-Cert", ":" + base64.StdEncoding.EncodeToString(der) + ":"}, 401}, // attack identity 42
		{"none, and a secret", named, plain, []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(named+":x"))}, 401},
		{"its key", keyed, certClient(t, roots, stranger, strangerKey), nil, 200},
		{"another key", keyed, certClient(t, roots, cert, key), nil, 401},
	} {
		status, body := p.ask(x.client, x.app, x.header...)
		if status != x.status || status == 401 && body["error"] != "invalid_client" {
			t.Errorf("%s: %d %v", x.name, status, body)
		}
	}
	_, body := p.ask(certClient(t, roots, stranger, strangerKey), keyed)
	token, _ := body["access_token"].(string)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || !strings.Contains(string(payload), `"cnf":{"x5t#S256":"`+thumbprint(der)+`"}`) {
		t.Errorf("the token is not bound: %s", payload)
	}
	// The gateway takes it with the certificate alone: here nobody can show one.
	if a := p.call(http.MethodGet, "/x", token); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "proof_invalid") {
		t.Errorf("the gateway answers %d %s", a.Status, a.Body)
	}
	p.certManagement(plain, certClient(t, roots, cert, key), certClient(t, roots, other, otherKey))
	// Under FAPI 2.0 a token is bound to the certificate that is shown, whatever the app's
	// settings say.
	if _, err := p.admin().UpdateServer(t.Context(), "default", client.Server{Algorithm: "ES256"}); err != nil {
		t.Fatal(err)
	}
	bank := p.certApp(plain, "self_signed_tls_client_auth", `,"jwks":{"keys":[`+jwk+`]}`, `{"profile":"fapi2_security"}`)
	status, body := p.ask(certClient(t, roots, stranger, strangerKey), bank)
	token, _ = body["access_token"].(string)
	if cnf, _ := claimsOf(t, token)["cnf"].(map[string]any); status != http.StatusOK || cnf["x5t#S256"] != thumbprint(der) {
		t.Errorf("under FAPI 2.0: %d %v", status, body)
	}
	res, err := plain.Get(p.Ready().Demo.Issuer + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	for _, want := range []string{`"tls_client_auth"`, `"self_signed_tls_client_auth"`, `"tls_client_certificate_bound_access_tokens":true`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the metadata does not say %s", want)
		}
	}
	if strings.Contains(string(raw), "mtls_endpoint_aliases") {
		t.Error("the metadata names endpoints that there are not")
	}
}

// certManagement asks each management API with a token that is bound to the certificate of
// own: it is taken on that one's connections, and on no other.
func (p *program) certManagement(plain, own, other *http.Client) {
	p.t.Helper()
	app := p.certApp(plain, "tls_client_auth", "", `{"tls_client_auth":{"subject_dn":"CN=device-23"},"tls_client_certificate_bound_access_tokens":true}`)
	p.manage(plain, http.MethodPost, "/api/v1/apps/"+app+"/grants", "SSWS "+p.Ready().APIToken, `{"issuer":"`+p.Ready().Identity+`","scopeId":"okta.users.read"}`)
	p.manage(plain, http.MethodPost, "/oauth2/v1/clients/"+app+"/roles", "SSWS "+p.Ready().APIToken, `{"type":"READ_ONLY_ADMIN"}`)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"okta.users.read"}, "client_id": {app}}
	_, body := p.manage(own, http.MethodPost, "/oauth2/v1/token", "", form.Encode())
	var got struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal([]byte(body), &got) != nil || got.Token == "" {
		p.t.Fatalf("no token: %s", body)
	}
	for path, in := range map[string]int{"/api/v1/users?limit=1": 200, "/scim/v2/Users?count=1": 200, "/gatehouse/v1/apps": 403} {
		for _, c := range []struct {
			name   string
			client *http.Client
			status int
		}{{"its certificate", own, in}, {"another", other, 401}, {"none", plain, 401}} {
			if status, body := p.manage(c.client, http.MethodGet, path, "Bearer "+got.Token, ""); status != c.status {
				p.t.Errorf("%s with %s: %d %s, want %d", path, c.name, status, body, c.status)
			}
		}
	}
}

// manage sends one request to the identity listener.
func (p *program) manage(c *http.Client, method, path, authorization, body string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.Ready().Identity+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	} else {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// attack identity 42: a proxy that ends TLS is believed when it is trusted, and nobody
// else is.
func TestForwardedCertificatesOfApps(t *testing.T) {
	ca := newAuthority(t)
	cert, _ := ca.device(23)
	der, jwk := certOf(t, cert)
	line := ":" + base64.StdEncoding.EncodeToString(der) + ":"
	for _, trust := range []struct {
		network string
		status  int
	}{{"127.0.0.0/8", 200}, {"192.0.2.0/24", 401}} {
		file := strings.NewReplacer("SETTINGS", "trusted_proxies: "+trust.network+"\n    client_cert_header: client-cert", "UPSTREAM", echo(t)).Replace(tlsIdentity)
		p := start(t, write(t, file))
		c := &http.Client{}
		app := p.certApp(c, "self_signed_tls_client_auth", `,"jwks":{"keys":[`+jwk+`]}`, `{"tls_client_certificate_bound_access_tokens":true}`)
		if status, body := p.ask(c, app, "Client-Cert", line); status != trust.status {
			t.Errorf("%s: %d %v", trust.network, status, body)
		}
		for name, header := range map[string][]string{
			"twice": {"Client-Cert", line, "Client-Cert", line}, "none": nil, "another form": {"Client-Cert", strings.Trim(line, ":")}, "Envoy's": {"X-Forwarded-Client-Cert", "Cert=x"},
		} {
			if status, body := p.ask(c, app, header...); status != 401 {
				t.Errorf("%s, %s: %d %v", trust.network, name, status, body)
			}
		}
	}
}

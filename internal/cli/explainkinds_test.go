package cli

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/keys"
)

// everyKind has an API for each kind of credential.
const everyKind = `version: 1
issuers:
  default: { builtin: default }
  asked:   { url: %[1]s, audience: api://t, tokens: opaque, client_id: g, client_secret: "${env:S}" }
  web:     { url: %[1]s/web, audience: api://t, client_id: g, client_secret: "${env:S}" }
  acme:    { keys: { k1: "${file:%[2]s}" }, scopes: a }
  devices: { client_ca: "${file:%[3]s}", scopes: a }
apis:
`

const oneKind = `  %[1]s:
    host: api.test
    base_path: /%[1]s
    upstream: http://127.0.0.1:9
    auth: %[2]s
%[3]s    routes:
      GET /x:      a
      GET /strong: { scopes: a, mfa: 5m }
`

// writePEM writes a file and returns its path.
func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	return write(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

// selfMade makes a certificate of an authority.
func selfMade(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "devices"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// gatehouse explain says why for every kind of credential: what would have been needed of
// somebody who has none, what a caller as described gets, and what was wrong with a
// request that was refused.
func TestExplainEveryKindOfCredential(t *testing.T) {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			_, _ = io.WriteString(w, `{"active":false}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"introspection_endpoint":%q}`, "http://"+r.Host, "http://"+r.Host+"/introspect")
	}))
	t.Cleanup(issuer.Close)
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(everyKind, issuer.URL, writePEM(t, "PUBLIC KEY", spki), writePEM(t, "CERTIFICATE", selfMade(t)))
	kinds := []struct{ name, auth, more, needed string }{
		{"jwt", "default", "", "a token of default"},
		{"opaque", "asked", "", "a token of asked"},
		{"key", "api_key", "", "an API key"},
		{"dpop", "default", "    proof: dpop\n", "a token of default"},
		{"signed", "acme", "", "a request signed by acme"},
		{"cert", "devices", "", "a client certificate for which devices vouches"},
		{"session", "session", "    sign_in: web\n", "a browser's session with web"},
	}
	for _, k := range kinds {
		config += fmt.Sprintf(oneKind, k.name, k.auth, k.more)
	}
	server, env := serverWith(t, write(t, config), map[string]string{"S": "secret"})
	explain := func(code int, args ...string) string {
		t.Helper()
		r := run(t, env, append([]string{"explain"}, args...)...)
		if r.code != code {
			t.Errorf("explain %v: exit %d\n%s%s", args, r.code, r.out, r.err)
		}
		return r.out
	}
	has := func(out, what string, words ...string) {
		t.Helper()
		for _, w := range words {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is not in\n%s", what, w, out)
			}
		}
	}
	for _, k := range kinds {
		has(explain(exitDenied, "GET", "/"+k.name+"/x", "--host", "api.test"), k.name+", nobody", "CHALLENGE no_token", k.needed)
		has(explain(exitOK, "GET", "/"+k.name+"/x", "--host", "api.test", "--as", "ana", "--scope", "a"), k.name, "ALLOW", "a caller as described", k.needed)
		has(explain(exitOK, "GET", "/"+k.name+"/x", "--host", "api.test", "--as", "client:app1", "--scope", "a"), k.name+", an app", "ALLOW")
		has(explain(exitDenied, "GET", "/"+k.name+"/x", "--host", "api.test", "--as", "ana", "--scope", "b"), k.name+", another scope", "DENY missing_scope", "scopes b")
		has(explain(exitDenied, "GET", "/"+k.name+"/strong", "--host", "api.test", "--as", "ana", "--scope", "a", "--mfa", "20m"), k.name+", long ago", "CHALLENGE step_up_required", "a second factor used at most 5m0s ago")
	}

	admin := client.New(client.Config{URL: server.Ready().Console, Token: server.Ready().APIToken})
	minted, err := admin.Mint(t.Context(), client.TokenRequest{User: "ana@example.com", Scopes: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	stranger := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafOf(t)}))
	for _, c := range []struct {
		api    string
		header []string
		cert   string
		words  []string
	}{
		{"jwt", []string{"Authorization", "Bearer x"}, "", []string{"token_malformed"}},
		{"opaque", []string{"Authorization", "Bearer x"}, "", []string{"revoked", "which the issuer is asked about"}},
		{"key", []string{"X-API-Key", keys.APIKey()}, "", []string{"key_disabled", "there is no such API key"}},
		{"key", []string{"X-API-Key", "gk_live_x"}, "", []string{"token_malformed", "typing error"}},
		{"jwt", []string{"Authorization", "Bearer " + keys.APIKey()}, "", []string{"token_type_not_accepted", "this API takes none"}},
		{"dpop", []string{"Authorization", "Bearer " + minted.AccessToken}, "", []string{"proof_invalid", "asks for a DPoP proof", "bound to nothing"}},
		{"dpop", []string{"Authorization", "DPoP " + minted.AccessToken}, "", []string{"token_type_not_accepted", "bound to no key"}},
		{"signed", []string{"Signature-Input", "x", "Signature", "x"}, "", []string{"proof_invalid"}},
		{"cert", nil, stranger, []string{"unknown_issuer", "no authority that this API accepts vouches"}},
		{"session", []string{"Cookie", "__Host-gatehouse-session-web=" + strings.Repeat("A", 43)}, "", []string{"session_ended", "names no session that is alive"}},
	} {
		q := client.AuthzQuestion{Method: "GET", Host: "api.test", Path: "/" + c.api + "/x", ClientIP: "192.0.2.9", Headers: map[string][]string{}, ClientCertificate: c.cert}
		for i := 0; i < len(c.header); i += 2 {
			q.Headers[c.header[i]] = []string{c.header[i+1]}
		}
		a, err := admin.Authz(t.Context(), q)
		if err != nil || a.Decision == "allow" {
			t.Errorf("%s %v: %+v %v", c.api, c.header, a, err)
			continue
		}
		has(explain(exitDenied, a.RequestID), c.api, c.words...)
	}
}

// leafOf makes a certificate of a client of nobody's authority.
func leafOf(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "device-17"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// The gateway proves itself to an issuer by a private key, through the whole program:
// each question has an assertion of its own, and the key is nowhere in plain.
func TestOpaqueTokensByPrivateKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "order") }))
	defer up.Close()
	var last atomic.Pointer[string]
	mux := http.NewServeMux()
	is := httptest.NewServer(mux)
	defer is.Close()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"introspection_endpoint":%q}`, is.URL, is.URL+"/introspect")
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		a := r.PostFormValue("client_assertion")
		if old := last.Swap(&a); strings.Count(a, ".") != 2 || old != nil && *old == a || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"ana","scope":"orders:read","aud":"api://orders"}`)
	})
	conf := strings.Replace(fmt.Sprintf(partnerAPI, is.URL, up.URL), "    client_id: gatehouse\n", "    client_id: gatehouse\n    client_auth: private_key_jwt\n", 1)
	p := start(t, write(t, conf), withEnv(map[string]string{"PARTNER_SECRET": text}))
	for _, token := range []string{"one", "two"} {
		if a := p.call(http.MethodGet, "/orders/1", token); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", token, a.Status, a.Body)
		}
	}
	p.stop()
	line := strings.Split(text, "\n")[1]
	if where := contains(t, p.data, line); len(where) != 0 {
		t.Errorf("the key stands in %v", where)
	}
}

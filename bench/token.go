//go:build linux

package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// audience is what the tokens of the benchmark are for, and scope what they allow.
const (
	audience = "api://bench"
	scope    = "bench:read"
)

// What is known at the introspection endpoint: one opaque token, and who may ask.
const (
	opaqueToken        = "opaque-token-of-the-benchmark-0123456789abcdef" // #nosec G101 -- good nowhere else
	introspector       = "gatehouse"
	introspectorSecret = "secret-of-the-benchmark" // #nosec G101 -- good nowhere else
)

// issuer is an authorization server for the length of the benchmark: it
// publishes its keys on loopback and mints access tokens (RFC 9068).
type issuer struct {
	url    string
	server *http.Server
	rsa    *rsa.PrivateKey
	ec     *ecdsa.PrivateKey
	ed     ed25519.PrivateKey
	edKey  ed25519.PublicKey
	until  time.Time
	now    time.Time

	// The EC key is also that of the client whose tokens are bound to it.
	jwk, thumbprint string // RFC 7638

	introspections atomic.Int64 // how often the endpoint was asked
}

// newIssuer makes keys and serves them on a free port of loopback.
func newIssuer(ctx context.Context) (*issuer, error) {
	var (
		i   issuer
		err error
	)
	if i.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		return nil, err
	}
	if i.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if i.edKey, i.ed, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return nil, err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.url = "http://" + ln.Addr().String()
	i.now = time.Now()
	i.until = i.now.Add(3 * time.Hour)
	keys, err := i.keySet()
	if err != nil {
		return nil, err
	}
	metadata, err := json.Marshal(map[string]any{
		"issuer": i.url, "jwks_uri": i.url + "/keys", "token_endpoint": i.url + "/token",
		"introspection_endpoint": i.url + "/introspect",
		"authorization_endpoint": i.url + "/authorize", "response_types_supported": []string{"code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"},
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	document := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(b)
		}
	}
	mux.Handle("GET /.well-known/openid-configuration", document(metadata))
	mux.Handle("GET /.well-known/oauth-authorization-server", document(metadata))
	mux.Handle("GET /keys", document(keys))
	mux.HandleFunc("POST /introspect", i.introspect)
	mux.HandleFunc("GET /authorize", i.authorize)
	mux.HandleFunc("POST /token", i.exchange)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = i.server.Serve(ln) }()
	return &i, nil
}

// introspect answers for the one opaque token (RFC 7662).
func (i *issuer) introspect(w http.ResponseWriter, r *http.Request) {
	i.introspections.Add(1)
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	user, password, _ := r.BasicAuth()
	answer := map[string]any{"active": false}
	switch {
	case user != introspector || password != introspectorSecret:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case r.FormValue("token") == opaqueToken:
		answer = map[string]any{
			"active": true, "iss": i.url, "aud": audience, "sub": "client-opaque", "client_id": "client-opaque", "scope": scope,
			"iat": i.now.Unix(), "exp": i.until.Unix(),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func (i *issuer) close() { _ = i.server.Close() }

func (i *issuer) keySet() ([]byte, error) {
	point, err := i.ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, err
	}
	// The members in the order of their names, without spaces: RFC 7638 section 3.
	i.jwk = fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(point[1:33]), encode(point[33:]))
	sum := sha256.Sum256([]byte(i.jwk))
	i.thumbprint = encode(sum[:])
	return json.Marshal(map[string]any{"keys": []map[string]string{
		{
			"kty": "RSA", "kid": "RS256", "use": "sig", "alg": "RS256",
			"n": encode(i.rsa.N.Bytes()), "e": encode(big.NewInt(int64(i.rsa.E)).Bytes()),
		},
		{"kty": "EC", "crv": "P-256", "kid": "ES256", "use": "sig", "alg": "ES256", "x": encode(point[1:33]), "y": encode(point[33:])},
		{"kty": "OKP", "crv": "Ed25519", "kid": "EdDSA", "use": "sig", "alg": "EdDSA", "x": encode(i.edKey)},
	}})
}

// publicPEM writes the RSA key as HAProxy reads it.
func (i *issuer) publicPEM(path string) error {
	der, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
}

// token mints the n-th token of the algorithm, for a client of its own.
func (i *issuer) token(alg string, n int) (string, error) { return i.mint(alg, "at+jwt", n, nil) }

// mint is token with further claims, of a type.
func (i *issuer) mint(alg, typ string, n int, more map[string]any) (string, error) {
	client := fmt.Sprintf("client-%06d", n)
	all := map[string]any{
		"iss": i.url, "aud": audience, "sub": client, "client_id": client, "scope": scope,
		"iat": i.now.Unix(), "exp": i.until.Unix(), "jti": fmt.Sprintf("%s-%d", alg, n),
	}
	maps.Copy(all, more)
	claims, err := json.Marshal(all)
	if err != nil {
		return "", err
	}
	input := encode([]byte(`{"alg":"`+alg+`","kid":"`+alg+`","typ":"`+typ+`"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	switch alg {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(nil, i.rsa, crypto.SHA256, digest[:])
	case "ES256":
		signature, err = i.signES256(input)
	case "EdDSA":
		signature, err = i.ed.Sign(nil, []byte(input), crypto.Hash(0))
	default:
		err = fmt.Errorf("no algorithm %q", alg)
	}
	return input + "." + encode(signature), err
}

// signES256 signs as RFC 7518 section 3.4 has it.
func (i *issuer) signES256(input string) ([]byte, error) {
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, i.ec, digest[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

// tokens mints n tokens on all cores.
func (i *issuer) tokens(alg string, n int) ([]string, error) {
	tokens := make([]string, n)
	errs := make([]error, runtime.NumCPU())
	var wait sync.WaitGroup
	for w := range errs {
		wait.Go(func() {
			for k := w; k < n && errs[w] == nil; k += len(errs) {
				tokens[k], errs[w] = i.token(alg, k)
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

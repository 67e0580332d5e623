package verify_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"gatehouse/verify"
)

// A service that accepts the access tokens of one issuer. Here the issuer is a
// test server; NewRemoteKeys finds the keys of a real one in the same way.
func Example() {
	issuer, token := exampleIssuer()
	defer issuer.Close()

	keys, err := verify.NewRemoteKeys(verify.RemoteConfig{
		Issuer: issuer.URL,
		// Store: verify.Directory("/var/lib/hr") keeps the keys for a restart with the issuer down.
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = keys.Close() }()
	verifier, err := verify.New(verify.Config{Issuers: []verify.Issuer{{
		URL:        issuer.URL,
		Keys:       keys,
		Algorithms: []verify.Algorithm{verify.EdDSA},
		Audience:   []string{"api://hr"},
	}}})
	if err != nil {
		panic(err)
	}

	protect := verify.Middleware(verify.MiddlewareConfig{Verifier: verifier, Scopes: []string{"vacations:read"}})
	api := httptest.NewServer(protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, _ := verify.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "hello %s by %s", t.Subject, t.ClientID)
	})))
	defer api.Close()

	for _, authorization := range []string{"Bearer " + token, "Bearer " + token[:len(token)-4] + "AAAA"} {
		req, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, api.URL, http.NoBody)
		req.Header.Set("Authorization", authorization)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Println(res.StatusCode, strings.TrimSpace(string(body)))
	}

	// Output:
	// 200 hello ana by app
	// 401 bad_signature
}

// exampleIssuer starts an issuer with one key and returns it with a token of it.
func exampleIssuer() (issuer *httptest.Server, token string) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	b64 := base64.RawURLEncoding.EncodeToString
	mux := http.NewServeMux()
	issuer = httptest.NewServer(mux)
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, issuer.URL, issuer.URL+"/keys")
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		x := b64(private.Public().(ed25519.PublicKey))
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","alg":"EdDSA","use":"sig","x":%q}]}`, x)
	})
	now := time.Now().Unix()
	claims, _ := json.Marshal(map[string]any{
		"iss": issuer.URL, "aud": "api://hr", "sub": "ana", "client_id": "app", "scope": "vacations:read", "iat": now, "exp": now + 300,
	})
	input := b64([]byte(`{"alg":"EdDSA","kid":"1","typ":"at+jwt"}`)) + "." + b64(claims)
	return issuer, input + "." + b64(ed25519.Sign(private, []byte(input)))
}

package gateway

import (
	"bytes"
	"testing"

	"gatehouse/internal/keys"
)

// Whatever a caller sends: what looks like an API key is never taken for a token,
// and a text without the form of a JWT names no issuer.
func FuzzCredential(f *testing.F) {
	f.Add([]byte("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EudGVzdCJ9.c2ln"))
	f.Add([]byte("a.b.c"))
	f.Add([]byte(keys.APIKey()))
	f.Add([]byte("e30.e30."))
	f.Fuzz(func(t *testing.T, raw []byte) {
		iss, alg, isJWT := issuerNamed(raw)
		if !isJWT && (iss != "" || alg != "") {
			t.Fatalf("no JWT, but of %q", iss)
		}
		if isJWT && bytes.Count(raw, []byte{'.'}) != 2 {
			t.Fatal("a JWT without three parts")
		}
		if keys.WellFormedAPIKey(raw) && (!looksLikeAPIKey(raw) || isJWT) {
			t.Fatal("an API key that may be taken for a token")
		}
	})
}

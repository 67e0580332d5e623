package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"gatehouse/verify"
)

// ProofKey is the key of a client that sends DPoP proofs.
type ProofKey struct {
	key        *ecdsa.PrivateKey
	JWK        map[string]any
	Thumbprint string
}

// NewProofKey makes a P-256 key.
func NewProofKey(t testing.TB) *ProofKey {
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
	x, y := b64(raw[1:33]), b64(raw[33:65])
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))
	return &ProofKey{key: key, JWK: map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}, Thumbprint: b64(sum[:])}
}

// Proof signs a proof for a request with the token: the defaults, and over them
// header members and claims; a nil value removes a default.
func (k *ProofKey) Proof(t testing.TB, method, url, token string, header, claims map[string]any) string {
	t.Helper()
	h := map[string]any{"typ": verify.ProofType, "alg": "ES256", "jwk": k.JWK}
	c := map[string]any{"htm": method, "htu": url, "jti": rand.Text(), "iat": time.Now().Unix(), "ath": verify.TokenHash([]byte(token))}
	return k.sign(t, merged(h, header), merged(c, claims))
}

func merged(into, over map[string]any) map[string]any {
	maps.Copy(into, over)
	maps.DeleteFunc(into, func(_ string, v any) bool { return v == nil })
	return into
}

func (k *ProofKey) sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	h, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

// Bound are the claims of a token that is bound to the key.
func (k *ProofKey) Bound() Claims { return Claims{"cnf": map[string]any{"jkt": k.Thumbprint}} }

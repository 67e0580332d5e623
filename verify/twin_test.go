package verify

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"math/big"
	"testing"
)

// attack gateway 22: the other signature that is as good as the first is accepted, so
// both have to be known by name; what no verifier accepts has no twin.
func TestTwinHash(t *testing.T) {
	for alg, c := range map[Algorithm]struct {
		key crypto.Signer
		n   *big.Int
	}{ES256: {p256(), p256().Params().N}, ES384: {p384(), p384().Params().N}, ES512: {p521(), p521().Params().N}} {
		raw := mint(alg, c.key, "k", oktaClaims(nil))
		cut := bytes.LastIndexByte(raw, '.') + 1
		sig := must(base64.RawURLEncoding.DecodeString(string(raw[cut:])))
		half := sig[len(sig)/2:]
		new(big.Int).Sub(c.n, new(big.Int).SetBytes(half)).FillBytes(half)
		twin := append(bytes.Clone(raw[:cut]), b64(sig)...)
		j := must(Parse(twin, 0))
		if !j.Verify(must(NewKey("k", alg, c.key.Public()))) {
			t.Fatalf("%s: the twin is not accepted, so nobody needs its hash", alg)
		}
		if got := TwinHash(raw); got != TokenHash(twin) {
			t.Errorf("%s: %q, want that of the twin", alg, got)
		}
		if got := TwinHash(twin); got != TokenHash(raw) {
			t.Errorf("%s: the twin's twin is %q, not the first", alg, got)
		}
	}
	ec := "e30.e30."
	for name, token := range map[string]string{
		"RS256": string(mint(RS256, rsaKey(), "rsa", oktaClaims(nil))), "empty": "", "opaque": "abc", "two parts": "a.b", "four parts": "a." + ec + b64(make([]byte, 64)),
		"no signature": ec, "s = 0": ec + b64(make([]byte, 64)), "s over n": ec + b64(bytes.Repeat([]byte{0xff}, 64)), "not base64url": ec + "!" + b64(make([]byte, 64))[1:],
	} {
		if got := TwinHash([]byte(token)); got != "" {
			t.Errorf("%s has the twin %q", name, got)
		}
	}
}

package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	issuerA = "https://a.test/oauth2/default"
	issuerB = "https://b.test"
)

// start is the time at which most tests happen.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// The private keys of the tests, made once: RSA is slow.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherRSA = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	p256     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p256b    = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521     = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32))) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type obj = map[string]any

// jwk returns the public JWK of a private key.
func jwk(kid string, priv crypto.Signer, extra obj) obj {
	m := obj{"kid": kid}
	switch k := priv.Public().(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"], m["e"] = "RSA", b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		half := (len(point) - 1) / 2
		m["kty"], m["crv"], m["x"], m["y"] = "EC", k.Curve.Params().Name, b64(point[1:1+half]), b64(point[1+half:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	maps.Copy(m, extra)
	return m
}

func jwks(keys ...obj) []byte { return must(json.Marshal(obj{"keys": keys})) }

// sign makes a compact JWS of header and payload as they are.
func sign(alg Algorithm, priv crypto.Signer, header, payload string) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	m := alg.method()
	var sig []byte
	switch m.family {
	case familyRSA:
		sig = must(rsa.SignPKCS1v15(nil, priv.(*rsa.PrivateKey), m.hash, digest(nil, m.hash, []byte(input))))
	case familyPSS:
		sig = must(rsa.SignPSS(rand.Reader, priv.(*rsa.PrivateKey), m.hash, digest(nil, m.hash, []byte(input)), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
	case familyECDSA:
		r, s, err := ecdsa.Sign(rand.Reader, priv.(*ecdsa.PrivateKey), digest(nil, m.hash, []byte(input)))
		must(0, err)
		sig = append(r.FillBytes(make([]byte, m.size)), s.FillBytes(make([]byte, m.size))...)
	case familyEd25519:
		sig = ed25519.Sign(priv.(ed25519.PrivateKey), []byte(input))
	case familyNone:
	}
	return input + "." + b64(sig)
}

// oktaClaims are the claims of an access token as Okta issues them.
func oktaClaims(extra obj) obj {
	m := obj{
		"ver": 1, "jti": "AT.abc", "iss": issuerA, "aud": "api://hr",
		"iat": start.Unix() - 60, "exp": start.Unix() + 3600,
		"cid": "0oaclient", "uid": "00uperson", "scp": []string{"vacations:read", "openid"}, "sub": "ana@acme.test",
		"auth_time": start.Unix() - 60, "groups": []string{"employees"},
	}
	maps.Copy(m, extra)
	for k, v := range extra {
		if v == nil {
			delete(m, k)
		}
	}
	return m
}

func text(v any) string { return string(must(json.Marshal(v))) }

// mint signs claims with a header of kid and alg, as Okta does.
func mint(alg Algorithm, priv crypto.Signer, kid string, claims obj) []byte {
	return []byte(sign(alg, priv, fmt.Sprintf(`{"kid":%q,"alg":%q}`, kid, alg), text(claims)))
}

// verifierA accepts tokens of issuerA signed by rsaKey ("rsa"), p256 ("ec") and
// edKey ("ed").
func verifierA(t testing.TB, change func(*Config)) *Verifier {
	t.Helper()
	keys, err := NewStaticKeys(jwks(jwk("rsa", rsaKey(), nil), jwk("ec", p256(), nil), jwk("ed", edKey(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Issuers: []Issuer{{URL: issuerA, Keys: keys}}, Now: at(start)}
	if change != nil {
		change(&cfg)
	}
	v, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// want fails the test unless the error has the reason ("" = no error).
func want(t testing.TB, err error, reason Reason) {
	t.Helper()
	if (err == nil) != (reason == "") || ReasonOf(err) != reason {
		t.Errorf("got %v, want reason %q", err, reason)
	}
}

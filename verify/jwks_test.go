package verify

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

// attack gateway 10: keys that must be ignored, beside one that is good.
func TestKeySetIgnores(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	ec := jwk("bad", p256b(), nil)
	for _, c := range []struct {
		name string
		bad  []obj
	}{
		{"for encryption", []obj{jwk("bad", otherRSA(), obj{"use": "enc"})}},
		{"use of a wrong type", []obj{jwk("bad", otherRSA(), obj{"use": 1})}},
		{"key_ops without verify", []obj{jwk("bad", otherRSA(), obj{"key_ops": []string{"encrypt"}})}},
		{"key_ops empty", []obj{jwk("bad", otherRSA(), obj{"key_ops": []string{}})}},
		{"key_ops of a wrong type", []obj{jwk("bad", otherRSA(), obj{"key_ops": "verify"})}},
		{"alg for encryption", []obj{jwk("bad", otherRSA(), obj{"alg": "RSA-OAEP"})}},
		{"alg symmetric", []obj{jwk("bad", otherRSA(), obj{"alg": "HS256"})}},
		{"alg none", []obj{jwk("bad", otherRSA(), obj{"alg": "none"})}},
		{"alg of another type", []obj{jwk("bad", otherRSA(), obj{"alg": "ES256"})}},
		{"alg of another curve", []obj{jwk("bad", p256b(), obj{"alg": "ES384"})}},
		{"RSA of 1024 bits", []obj{jwk("bad", small, nil)}},
		{"RSA with e = 1", []obj{jwk("bad", otherRSA(), obj{"e": "AQ"})}},
		{"RSA with even e", []obj{jwk("bad", otherRSA(), obj{"e": "Ag"})}},
		{"RSA with a huge e", []obj{jwk("bad", otherRSA(), obj{"e": "AQAAAAAB"})}},
		{"RSA with an even modulus", []obj{jwk("bad", otherRSA(), obj{"n": b64(append(otherRSA().N.Bytes()[:255], 2))})}},
		{"RSA with a huge modulus", []obj{jwk("bad", otherRSA(), obj{"n": b64([]byte(strings.Repeat("\xff", 8193)))})}},
		{"RSA without n", []obj{{"kty": "RSA", "kid": "bad", "e": "AQAB"}}},
		{"point off the curve", []obj{jwk("bad", p256b(), obj{"y": ec["x"]})}},
		{"point at zero", []obj{jwk("bad", p256b(), obj{"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))})}},
		{"coordinate too short", []obj{jwk("bad", p256b(), obj{"x": b64(make([]byte, 31))})}},
		{"coordinate too long", []obj{jwk("bad", p256b(), obj{"x": b64(make([]byte, 33))})}},
		{"curve of another size", []obj{jwk("bad", p256b(), obj{"crv": "P-384"})}},
		{"curve secp256k1", []obj{jwk("bad", p256b(), obj{"crv": "secp256k1"})}},
		{"X25519", []obj{jwk("bad", edKey(), obj{"crv": "X25519"})}},
		{"Ed25519 too short", []obj{jwk("bad", edKey(), obj{"x": "AAAA"})}},
		{"symmetric", []obj{{"kty": "oct", "kid": "bad", "k": b64([]byte(strings.Repeat("k", 32)))}}},
		{"type unknown", []obj{{"kty": "AKP", "kid": "bad"}}},
		{"no type", []obj{{"kid": "bad"}}},
		{"private", []obj{jwk("bad", otherRSA(), obj{"d": b64(otherRSA().D.Bytes())})}},
		{"kid of a wrong type", []obj{jwk("bad", otherRSA(), obj{"kid": 1})}},
		{"one kid, two keys", []obj{jwk("bad", otherRSA(), nil), jwk("bad", p256b(), nil)}},
		{"one kid, three keys, two of them the same", []obj{jwk("bad", otherRSA(), nil), jwk("bad", otherRSA(), nil), jwk("bad", p256b(), nil)}},
		{"one kid, two algorithms", []obj{jwk("bad", otherRSA(), obj{"alg": "RS256"}), jwk("bad", otherRSA(), obj{"alg": "PS256"})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := ParseKeySet(jwks(append(c.bad, jwk("good", rsaKey(), nil))...))
			if err != nil {
				t.Fatal(err)
			}
			if k := set.Keys(); len(k) != 1 || k[0].ID() != "good" {
				t.Fatalf("%d keys are used, want the good one alone", len(k))
			}
			if len(set.Ignored()) == 0 {
				t.Error("nothing says that a key is ignored")
			}
			for _, alg := range Algorithms() {
				if set.find("bad", alg) != nil {
					t.Errorf("the key is used for %s", alg)
				}
			}
			if _, err := ParseKeySet(jwks(c.bad...)); err == nil {
				t.Error("a set without usable keys was accepted")
			}
		})
	}
}

func TestKeySetDocument(t *testing.T) {
	good := string(must(json.Marshal(jwk("good", rsaKey(), nil))))
	many := make([]obj, 101)
	for i := range many {
		many[i] = jwk(fmt.Sprint(i), edKey(), nil)
	}
	for _, c := range []struct {
		name, doc string
		ok        bool
	}{
		{"good", `{"keys":[` + good + `]}`, true},
		{"the same key twice", `{"keys":[` + good + `,` + good + `]}`, true},
		{"with x5c and others", `{"keys":[` + good[:len(good)-1] + `,"x5c":["AAAA"],"x5t":"x","status":"ACTIVE"}]}`, true},
		{"100 keys", string(jwks(many[:100]...)), true},
		{"101 keys", string(jwks(many...)), false},
		{"empty set", `{"keys":[]}`, false},
		{"no set", `{}`, false},
		{"null", `{"keys":null}`, false},
		{"a key alone", good, false},
		{"list", `[` + good + `]`, false},
		{"HTML", `<!DOCTYPE html>`, false},
		{"empty", ``, false},
		{"duplicate keys", `{"keys":[` + good + `],"keys":[]}`, false},
		{"duplicate member", `{"keys":[` + good[:len(good)-1] + `,"kid":"other"}]}`, false},
		{"cut off", `{"keys":[` + good, false},
		{"over 1 MiB", `{"keys":[` + good + `],"x":"` + strings.Repeat("x", 1<<20) + `"}`, false},
		{"key is no object", `{"keys":[1]}`, false},
	} {
		if _, err := NewStaticKeys([]byte(c.doc)); (err == nil) != c.ok {
			t.Errorf("%s: got %v, want ok = %t", c.name, err, c.ok)
		}
	}
}

func TestKeyWithoutKid(t *testing.T) {
	set := must(ParseKeySet(jwks(jwk("r", rsaKey(), nil), jwk("e", p256(), nil), jwk("f", p256b(), nil), jwk("o", edKey(), obj{"alg": "EdDSA"}))))
	for _, c := range []struct {
		alg  Algorithm
		want string
	}{{RS256, "r"}, {PS512, "r"}, {ES256, ""}, {ES384, ""}, {EdDSA, "o"}, {"none", ""}, {"HS256", ""}, {"", ""}} {
		got := ""
		if k := set.find("", c.alg); k != nil {
			got = k.ID()
		}
		if got != c.want {
			t.Errorf("%q without kid: %q, want %q", c.alg, got, c.want)
		}
	}
}

func TestParseKey(t *testing.T) {
	k, err := ParseKey(must(json.Marshal(jwk("k", p384(), obj{"alg": "ES384", "use": "sig", "key_ops": []string{"verify"}}))))
	if err != nil {
		t.Fatal(err)
	}
	if k.ID() != "k" || k.Algorithm() != ES384 || !k.Allows(ES384) || k.Allows(ES256) || !p384().PublicKey.Equal(k.Public()) {
		t.Error("not the key that was written")
	}
	if _, err := ParseKey([]byte(`{"kty":"EC","kty":"RSA"}`)); err == nil {
		t.Error("a duplicate name was accepted")
	}
	if _, err := NewKey("k", "", "not a key"); err == nil {
		t.Error("a key of an unknown type was accepted")
	}
	if _, err := NewKey("k", "HS256", &rsaKey().PublicKey); err == nil {
		t.Error("a symmetric algorithm was accepted")
	}
	if _, err := NewKey("k", "ES256", &rsaKey().PublicKey); err == nil {
		t.Error("an algorithm of another type was accepted")
	}
}

// attack gateway 2: every text of the public key as an HMAC secret.
func secretsOfPublicKey() [][]byte {
	der := must(x509.MarshalPKIXPublicKey(&rsaKey().PublicKey))
	pkcs1 := x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return [][]byte{
		block, []byte(strings.TrimSpace(string(block))), der, pkcs1,
		pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		must(json.Marshal(jwk("rsa", rsaKey(), nil))), jwks(jwk("rsa", rsaKey(), nil)),
		rsaKey().N.Bytes(),
		{},
	}
}

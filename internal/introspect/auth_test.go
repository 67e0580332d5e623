package introspect

import (
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
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/keys"
	"gatehouse/verify"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// pemOf returns the private key as an operator has it, and the public one.
func pemOf(t *testing.T, key crypto.Signer) (text []byte, set *verify.StaticKeys) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var jwk map[string]string
	switch k := key.Public().(type) {
	case *ecdsa.PublicKey:
		raw, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		jwk = map[string]string{"kty": "EC", "crv": "P-256", "x": b64(raw[1:33]), "y": b64(raw[33:])}
	case ed25519.PublicKey:
		jwk = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	case *rsa.PublicKey:
		jwk = map[string]string{"kty": "RSA", "n": b64(k.N.Bytes()), "e": "AQAB"}
	}
	jwk["kid"] = "k1"
	b, err := json.Marshal(map[string]any{"keys": []any{jwk}})
	if err != nil {
		t.Fatal(err)
	}
	if set, err = verify.NewStaticKeys(b); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), set
}

// The gateway proves who it is by an assertion: signed with its key, of one use and
// short life, for the address that is asked. No secret is sent.
func TestPrivateKeyJWT(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rs, _ := rsa.GenerateKey(rand.Reader, 2048)
	for alg, key := range map[verify.Algorithm]crypto.Signer{verify.ES256: ec, verify.EdDSA: ed, verify.RS256: rs} {
		t.Run(string(alg), func(t *testing.T) {
			text, set := pemOf(t, key)
			var mu sync.Mutex
			var seen []string
			f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, r.FormValue("client_assertion"))
				if r.Header.Get("Authorization") != "" || r.FormValue("client_secret") != "" || r.FormValue("client_id") != "gate:house" ||
					r.FormValue("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
					t.Errorf("%v %v", r.Header, r.Form)
				}
				says(`{"active":true,"sub":"ana"}`)(w, r)
			})
			signer, err := keys.ParseAssertionKey(text)
			if err != nil {
				t.Fatal(err)
			}
			c, at := newTestClient(t, f, func(c *Config) {
				c.Auth, c.Secret, c.Sign, c.NewID = AuthKey, "", signer.Sign, func() string { return keys.ID("ast") }
			})
			ids := map[any]bool{}
			for i := range 3 {
				if _, err := c.Ask(t.Context(), fmt.Appendf(nil, "token %d", i)); err != nil {
					t.Fatal(err)
				}
				jws, err := verify.Parse([]byte(seen[i]), 4096)
				if err != nil || jws.Algorithm != alg {
					t.Fatal(jws, err)
				}
				k, err := set.Key(t.Context(), "", alg)
				if err != nil || !jws.Verify(k) {
					t.Fatalf("not signed by the key: %v", err)
				}
				var claims map[string]any
				if err := json.Unmarshal(jws.Payload, &claims); err != nil {
					t.Fatal(err)
				}
				now := float64(at.now().Unix())
				if claims["iss"] != "gate:house" || claims["sub"] != "gate:house" || claims["exp"] != now+60 || claims["iat"] != now ||
					claims["aud"] != f.URL+"/introspect" {
					t.Errorf("%v", claims)
				}
				ids[claims["jti"]] = true
			}
			if len(ids) != 3 {
				t.Errorf("an assertion is used more than once: %v", ids)
			}
		})
	}
}

func TestClientSecretPost(t *testing.T) {
	f := newFakeIssuer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.PostFormValue("client_id") != "gate:house" || r.PostFormValue("client_secret") != "s3 cr+t" || r.URL.RawQuery != "" {
			t.Errorf("%v %v", r.Header, r.Form)
		}
		says(`{"active":true,"sub":"ana"}`)(w, r)
	})
	c, _ := newTestClient(t, f, func(c *Config) { c.Auth = AuthPost })
	if _, err := c.Ask(t.Context(), []byte("x")); err != nil {
		t.Error(err)
	}
}

// An answer that is signed counts when it is the issuer's, for this client, of its
// type and of now; whatever else comes is no answer (RFC 9701 section 8.1).
func TestSignedAnswers(t *testing.T) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	thief, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, set := pemOf(t, key)
	now := int64(0)
	sign := func(by *ecdsa.PrivateKey, head, claims string) string {
		signed := b64([]byte(head)) + "." + b64([]byte(claims))
		sum := sha256.Sum256([]byte(signed))
		r, s, err := ecdsa.Sign(rand.Reader, by, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		sig := make([]byte, 64)
		r.FillBytes(sig[:32])
		s.FillBytes(sig[32:])
		return signed + "." + b64(sig)
	}
	const head = `{"alg":"ES256","kid":"k1","typ":"token-introspection+jwt"}`
	f := newFakeIssuer(t, nil)
	claims := func(iss, aud string, iat int64) string {
		return fmt.Sprintf(`{"iss":%q,"aud":%s,"iat":%d,"token_introspection":{"active":true,"sub":"ana","scope":"a"}}`, iss, aud, iat)
	}
	for name, x := range map[string]struct {
		kind string
		body func() string
		ok   bool
	}{
		"right": {"", func() string { return sign(key, head, claims(f.URL, `"gate:house"`, now)) }, true},
		"type with prefix": {"", func() string {
			return sign(key, strings.Replace(head, `"token-`, `"application/token-`, 1), claims(f.URL, `"gate:house"`, now))
		}, true},
		"one of two":          {"", func() string { return sign(key, head, claims(f.URL, `["x","gate:house"]`, now)) }, true},
		"plain JSON":          {"application/json", func() string { return `{"active":true,"sub":"ana"}` }, false},
		"plain JSON as a JWT": {"", func() string { return `{"active":true,"sub":"ana"}` }, false},
		"another's key":       {"", func() string { return sign(thief, head, claims(f.URL, `"gate:house"`, now)) }, false},
		"unknown kid": {"", func() string {
			return sign(key, strings.Replace(head, "k1", "k2", 1), claims(f.URL, `"gate:house"`, now))
		}, false},
		"an access token": {"", func() string {
			return sign(key, strings.Replace(head, "token-introspection+jwt", "at+jwt", 1), claims(f.URL, `"gate:house"`, now))
		}, false},
		"no type":        {"", func() string { return sign(key, `{"alg":"ES256","kid":"k1"}`, claims(f.URL, `"gate:house"`, now)) }, false},
		"another issuer": {"", func() string { return sign(key, head, claims("https://else.test", `"gate:house"`, now)) }, false},
		"another client": {"", func() string { return sign(key, head, claims(f.URL, `"other"`, now)) }, false},
		"no audience":    {"", func() string { return sign(key, head, claims(f.URL, `[]`, now)) }, false},
		"of last week":   {"", func() string { return sign(key, head, claims(f.URL, `"gate:house"`, now-7*86400)) }, false},
		"of tomorrow":    {"", func() string { return sign(key, head, claims(f.URL, `"gate:house"`, now+86400)) }, false},
		"none": {"", func() string {
			s := sign(key, strings.Replace(head, "ES256", "none", 1), claims(f.URL, `"gate:house"`, now))
			return s[:strings.LastIndex(s, ".")+1]
		}, false},
		"no answer in it": {"", func() string {
			return sign(key, head, fmt.Sprintf(`{"iss":%q,"aud":"gate:house","iat":%d}`, f.URL, now))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f.answers(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Accept") != "application/token-introspection+jwt" {
					t.Errorf("Accept: %s", r.Header.Get("Accept"))
				}
				kind := x.kind
				if kind == "" {
					kind = "application/token-introspection+jwt"
				}
				w.Header().Set("Content-Type", kind)
				_, _ = io.WriteString(w, x.body())
			})
			c, at := newTestClient(t, f, func(c *Config) { c.Keys = set })
			now = at.now().Unix()
			tok, err := c.Ask(t.Context(), []byte("x"))
			if x.ok && (err != nil || tok.Subject != "ana") || !x.ok && (tok != nil || reasonOf(err) != verify.ReasonIssuerUnreachable) {
				t.Errorf("%+v %v", tok, err)
			}
		})
	}
}

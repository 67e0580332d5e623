package verify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Tokens of every algorithm, made by another implementation, are accepted, and
// none after any change of a byte.
func TestAlgorithms(t *testing.T) {
	for _, c := range []struct {
		alg Algorithm
		key any
		pub obj
	}{
		{RS256, rsaKey(), jwk("k", rsaKey(), nil)},
		{RS384, rsaKey(), jwk("k", rsaKey(), nil)},
		{RS512, rsaKey(), jwk("k", rsaKey(), nil)},
		{PS256, rsaKey(), jwk("k", rsaKey(), nil)},
		{PS384, rsaKey(), jwk("k", rsaKey(), nil)},
		{PS512, rsaKey(), jwk("k", rsaKey(), nil)},
		{ES256, p256(), jwk("k", p256(), nil)},
		{ES384, p384(), jwk("k", p384(), nil)},
		{ES512, p521(), jwk("k", p521(), nil)},
		{EdDSA, edKey(), jwk("k", edKey(), nil)},
	} {
		t.Run(string(c.alg), func(t *testing.T) {
			signer := must(jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(c.alg), Key: jose.JSONWebKey{Key: c.key, KeyID: "k"}}, nil))
			raw := []byte(must(must(signer.Sign([]byte(text(oktaClaims(nil))))).CompactSerialize()))
			keys := must(NewStaticKeys(jwks(c.pub)))
			v := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: keys, Algorithms: []Algorithm{c.alg}}}, Now: at(start)}))
			if _, err := v.Verify(t.Context(), raw); err != nil {
				t.Fatal(err)
			}
			step := 1
			if c.alg == ES384 || c.alg == ES512 {
				step = 7 // these are slow to check
			}
			for i := 0; i < len(raw); i += step {
				bad := append([]byte(nil), raw...)
				bad[i] ^= 1
				if _, err := v.Verify(t.Context(), bad); err == nil {
					t.Fatalf("accepted with byte %d changed", i)
				}
			}
			// The algorithm is good, but not on the list.
			for _, other := range Algorithms() {
				if other == c.alg {
					continue
				}
				v := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: keys, Algorithms: []Algorithm{other}}}, Now: at(start)}))
				_, err := v.Verify(t.Context(), raw)
				want(t, err, ReasonUnknownKey)
			}
		})
	}
}

// attack gateway 1 to 5, attack identity 31 to 33: forged headers. The key source counts as well that
// nothing but the kid is ever asked for.
func TestForgedHeaders(t *testing.T) {
	claims := text(oktaClaims(nil))
	v := verifierA(t, nil)
	refuse := func(name, token string) {
		t.Helper()
		if tok, err := v.Verify(t.Context(), []byte(token)); err == nil || tok != nil {
			t.Errorf("%s: accepted", name)
		} else if ReasonOf(err) == "" {
			t.Errorf("%s: %v has no reason", name, err)
		}
	}
	input := func(header string) string { return b64([]byte(header)) + "." + b64([]byte(claims)) }
	good := strings.Split(string(mint(RS256, rsaKey(), "rsa", oktaClaims(nil))), ".")
	for _, alg := range []string{"none", "None", "NONE", "nOnE", "", "null", "none ", "RS256\x00", "rs256", "HS256"} {
		head := fmt.Sprintf(`{"alg":%q,"kid":"rsa"}`, alg)
		refuse(alg+" without signature", input(head)+".")
		refuse(alg+" without part", input(head))
		refuse(alg+" with a signature", input(head)+"."+good[2])
	}
	for i, secret := range secretsOfPublicKey() {
		for _, kid := range []string{`,"kid":"rsa"`, ""} {
			in := input(`{"alg":"HS256","typ":"JWT"` + kid + `}`)
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(in))
			refuse(fmt.Sprintf("HMAC with secret %d", i), in+"."+b64(mac.Sum(nil)))
		}
	}
	own := text(jwk("rsa", otherRSA(), nil))
	for name, head := range map[string]string{
		"jwk":              `{"alg":"RS256","kid":"rsa","jwk":` + own + `}`,
		"jwk without kid":  `{"alg":"RS256","jwk":` + own + `}`,
		"jku":              `{"alg":"RS256","kid":"rsa","jku":"https://evil.test/jwks.json"}`,
		"x5u":              `{"alg":"RS256","kid":"rsa","x5u":"https://evil.test/cert.pem"}`,
		"x5c":              `{"alg":"RS256","kid":"rsa","x5c":["AAAA"]}`,
		"kid path":         `{"alg":"RS256","kid":"../../dev/null"}`,
		"kid SQL":          `{"alg":"RS256","kid":"' OR 1=1 --"}`,
		"kid with NUL":     `{"alg":"RS256","kid":"rsa\u0000"}`,
		"kid of 1 kB":      `{"alg":"RS256","kid":"` + strings.Repeat("a", 1024) + `"}`,
		"kid URL":          `{"alg":"RS256","kid":"https://evil.test/"}`,
		"kid of other key": `{"alg":"RS256","kid":"ec"}`,
		"no kid":           `{"alg":"RS256"}`,
	} {
		refuse(name, sign(RS256, otherRSA(), head, claims))
	}
	// An EC key under the name of an RSA algorithm and the other way round.
	refuse("ES256 by the RSA kid", sign(ES256, p256(), `{"alg":"ES256","kid":"rsa"}`, claims))
	refuse("RS256 by the EC kid", sign(RS256, rsaKey(), `{"alg":"RS256","kid":"ec"}`, claims))
	refuse("RS256 said to be PS256", strings.Join([]string{input(`{"alg":"PS256","kid":"rsa"}`), good[2]}, "."))
}

// attack gateway 22: signatures of ECDSA that are out of range or of a wrong length.
func TestECDSARange(t *testing.T) {
	v := verifierA(t, nil)
	raw := string(mint(ES256, p256(), "ec", oktaClaims(nil)))
	cut := strings.LastIndexByte(raw, '.')
	good, _ := base64.RawURLEncoding.DecodeString(raw[cut+1:])
	n := p256().Params().N
	r, s := new(big.Int).SetBytes(good[:32]), new(big.Int).SetBytes(good[32:])
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	zero, one := new(big.Int), big.NewInt(1)
	for name, sig := range map[string][]byte{
		"r = s = 0": pair(zero, zero), "r = 0": pair(zero, s), "s = 0": pair(r, zero), "r = n": pair(n, s), "s = n": pair(r, n),
		"r = s = 1": pair(one, one), "r = s = n": pair(n, n), "all ones": []byte(strings.Repeat("\xff", 64)), "swapped": pair(s, r),
		"short": good[:63], "long": append(append([]byte(nil), good...), 0), "one byte": {1}, "32 bytes": good[:32],
		"of P-384": append(make([]byte, 16), append(append([]byte(nil), good[:32]...), append(make([]byte, 16), good[32:]...)...)...),
	} {
		_, err := v.Verify(t.Context(), []byte(raw[:cut+1]+b64(sig)))
		want(t, err, ReasonBadSignature)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	der := must(p256().Sign(nil, digest(nil, ES256.method().hash, []byte(raw[:cut])), ES256.method().hash))
	_, err := v.Verify(t.Context(), []byte(raw[:cut+1]+b64(der)))
	want(t, err, ReasonBadSignature)
}

// attack gateway 13, attack identity 72: two issuers with the same kid, each with keys of its own.
func TestMixUp(t *testing.T) {
	a, b := must(NewStaticKeys(jwks(jwk("k", p256(), nil)))), must(NewStaticKeys(jwks(jwk("k", p256b(), nil))))
	v := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: a}, {URL: issuerB, Keys: b}}, Now: at(start)}))
	tok, err := v.Verify(t.Context(), mint(ES256, p256b(), "k", oktaClaims(obj{"iss": issuerB})))
	want(t, err, "")
	if tok.Issuer != issuerB {
		t.Errorf("issuer %q", tok.Issuer)
	}
	_, err = v.Verify(t.Context(), mint(ES256, p256b(), "k", oktaClaims(nil)))
	want(t, err, ReasonBadSignature)
	_, err = v.Verify(t.Context(), mint(ES256, p256(), "k", oktaClaims(obj{"iss": issuerB})))
	want(t, err, ReasonBadSignature)
	only, err := v.With([]Issuer{{URL: issuerA, Keys: a}})
	want(t, err, "")
	_, err = only.Verify(t.Context(), mint(ES256, p256b(), "k", oktaClaims(obj{"iss": issuerB})))
	want(t, err, ReasonUnknownIssuer)
}

// attack gateway 14.
func TestAudience(t *testing.T) {
	v := verifierA(t, func(c *Config) { c.Issuers[0].Audience = []string{"api://hr", "api://pay"} })
	for _, c := range []struct {
		aud    any
		reason Reason
	}{
		{"api://hr", ""},
		{[]string{"x", "api://pay"}, ""},
		{"api://other", ReasonWrongAudience},
		{[]string{"x", "y"}, ReasonWrongAudience},
		{[]string{}, ReasonWrongAudience},
		{"", ReasonWrongAudience},
		{"API://HR", ReasonWrongAudience},
		{"api://hr/", ReasonWrongAudience},
		{nil, ReasonWrongAudience},
	} {
		_, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(obj{"aud": c.aud})))
		want(t, err, c.reason)
	}
}

func TestNewRefuses(t *testing.T) {
	keys := must(NewStaticKeys(jwks(jwk("k", p256(), nil))))
	for _, c := range []Config{
		{Issuers: []Issuer{{Keys: keys}}},
		{Issuers: []Issuer{{URL: issuerA}}},
		{Issuers: []Issuer{{URL: issuerA, Keys: keys}, {URL: issuerA, Keys: keys}}},
		{Issuers: []Issuer{{URL: issuerA, Keys: keys, Algorithms: []Algorithm{"HS256"}}}},
		{Issuers: []Issuer{{URL: issuerA, Keys: keys, Algorithms: []Algorithm{RS256, "none"}}}},
		{Issuers: []Issuer{{URL: issuerA, Keys: keys, Algorithms: []Algorithm{""}}}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("accepted %+v", c.Issuers)
		}
	}
}

func TestLeeway(t *testing.T) {
	for _, c := range []struct {
		leeway time.Duration
		late   int64
		reason Reason
	}{{0, 29, ""}, {0, 30, ReasonExpired}, {-1, 0, ReasonExpired}, {-1, -1, ""}, {time.Minute, 59, ""}} {
		v := verifierA(t, func(cfg *Config) { cfg.Leeway = c.leeway })
		_, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(obj{"exp": start.Unix() - c.late})))
		want(t, err, c.reason)
	}
}

// A source that fails in its own way is an issuer that cannot be reached.
type brokenSource struct{}

var errBroken = errors.New("broken")

func (brokenSource) Key(context.Context, string, Algorithm) (*Key, error) { return nil, errBroken }

func TestSourceFails(t *testing.T) {
	v := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: brokenSource{}}}, Now: at(start)}))
	_, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(nil)))
	want(t, err, ReasonIssuerUnreachable)
	var e *Error
	if !errors.Is(err, errBroken) || !errors.As(err, &e) || e.Issuer != issuerA {
		t.Errorf("%v does not say what happened", err)
	}
}

// Errors never hold any part of the token.
func TestErrorsHoldNoToken(t *testing.T) {
	v := verifierA(t, nil)
	secret := "canary-5f3a9c"
	for _, raw := range [][]byte{
		mint(ES256, p256b(), "ec", oktaClaims(obj{"sub": secret})),
		mint(ES256, p256(), secret, oktaClaims(nil)),
		mint(ES256, p256(), "ec", oktaClaims(obj{"iss": secret})),
		mint(ES256, p256(), "ec", oktaClaims(obj{"exp": secret})),
		mint(ES256, p256(), "ec", oktaClaims(obj{"exp": 1, "sub": secret})),
		mint(ES256, p256(), "ec", oktaClaims(obj{"scp": secret + "\n"})),
		[]byte(sign(ES256, p256(), `{"alg":"`+secret+`"}`, `{}`)),
		[]byte(sign(ES256, p256(), `{"alg":"ES256","typ":"`+secret+`"}`, text(oktaClaims(nil)))),
		[]byte(sign(ES256, p256(), `{"alg":"ES256"}`, `{"`+secret+`":1,"`+secret+`":2}`)),
		[]byte(secret),
	} {
		_, err := v.Verify(t.Context(), raw)
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), string(raw[:8])) {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestConcurrentVerify(t *testing.T) {
	v := verifierA(t, func(c *Config) { c.CacheSize = 64 })
	var raws [][]byte
	for i := range 100 {
		raws = append(raws, mint(EdDSA, edKey(), "ed", oktaClaims(obj{"jti": fmt.Sprint(i)})))
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				n := (i*7 + g) % len(raws)
				tok, err := v.Verify(t.Context(), raws[n])
				if err != nil || tok.ID != fmt.Sprint(n) {
					t.Errorf("token %d: %v, %v", n, tok, err)
					return
				}
				if i%50 == 0 {
					v.Drop(func(t *Token) bool { return t.ID == "3" })
				}
			}
		})
	}
	wg.Wait()
	if s := v.CacheStats(); s.Tokens > 64 {
		t.Errorf("%d tokens are cached, over the bound of 64", s.Tokens)
	}
}

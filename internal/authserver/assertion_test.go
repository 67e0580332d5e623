package authserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
)

var b64 = base64.RawURLEncoding.EncodeToString

// signer makes client assertions by hand, right and wrong ones.
type signer struct {
	ec  *ecdsa.PrivateKey
	rsa *rsa.PrivateKey
}

func newSigner(t testing.TB) *signer {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return &signer{ec, rs}
}

// jwks are the public keys: "ec" for ES256 and "rsa" for RS256.
func (s *signer) jwks(t testing.TB) []json.RawMessage {
	t.Helper()
	p, err := s.ec.PublicKey.Bytes()
	must(t, err)
	return []json.RawMessage{
		json.RawMessage(fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"ec","use":"sig","alg":"ES256","x":%q,"y":%q}`, b64(p[1:33]), b64(p[33:]))),
		json.RawMessage(fmt.Sprintf(`{"kty":"RSA","kid":"rsa","use":"sig","alg":"RS256","e":"AQAB","n":%q}`, b64(s.rsa.N.Bytes()))),
	}
}

func (s *signer) sign(t testing.TB, header, payload map[string]any) string {
	t.Helper()
	h, err := json.Marshal(header)
	must(t, err)
	p, err := json.Marshal(payload)
	must(t, err)
	return s.signRaw(t, fmt.Sprint(header["alg"]), string(h), string(p))
}

func (s *signer) signRaw(t testing.TB, alg, header, payload string) string {
	t.Helper()
	text := b64([]byte(header)) + "." + b64([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	switch alg {
	case "ES256":
		r, ss, err := ecdsa.Sign(rand.Reader, s.ec, sum[:])
		must(t, err)
		sig = append(r.FillBytes(make([]byte, 32)), ss.FillBytes(make([]byte, 32))...)
	case "RS256":
		var err error
		sig, err = rsa.SignPKCS1v15(rand.Reader, s.rsa, crypto.SHA256, sum[:])
		must(t, err)
	case "HS256":
		m := hmac.New(sha256.New, s.rsa.N.Bytes())
		m.Write([]byte(text))
		sig = m.Sum(nil)
	}
	return text + "." + b64(sig)
}

// keyApp makes an app that authenticates with private_key_jwt.
func (h *house) keyApp(s *signer, label string) access.Created {
	h.t.Helper()
	a, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: label, AuthMethod: access.AuthPrivateKey, PublicKeys: s.jwks(h.t)})
	must(h.t, err)
	return a
}

func (h *house) assertion(client string) map[string]any {
	now := h.clock.Now().Unix()
	return map[string]any{
		"iss": client, "sub": client, "aud": h.url + "/oauth2/default/v1/token",
		"iat": now, "exp": now + 300, "jti": fmt.Sprint("jti-", time.Now().UnixNano()),
	}
}

func (h *house) withAssertion(path, assertion string, more url.Values) answer {
	h.t.Helper()
	v := url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	}
	maps.Copy(v, more)
	return h.form(path, "", "", v)
}

// identity 31, 33, 35, 38, 39: what a client assertion must and must not be.
func TestClientAssertions(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	h.app("scopes", "a:read")
	a := h.keyApp(s, "job")
	secretApp := h.app("has a secret")
	off := h.keyApp(s, "off")
	must(t, h.access.DeactivateApp(h.ctx, h.admin, off.ID))
	now := h.clock.Now().Unix()
	const generic = "Client authentication failed. Either the client or the client credentials are invalid."
	const malformed = "The parsing of the client_assertion failed."
	es, rs := map[string]any{"alg": "ES256", "kid": "ec"}, map[string]any{"alg": "RS256", "kid": "rsa"}
	with := func(name string, value any) map[string]any {
		c := h.assertion(a.ID)
		if value == nil {
			delete(c, name)
		} else {
			c[name] = value
		}
		return c
	}
	text := func(c map[string]any) string { b, _ := json.Marshal(c); return string(b) }
	tests := []struct {
		name, assertion, want string
		extra                 url.Values
	}{
		{"ES256", s.sign(t, es, h.assertion(a.ID)), "", nil},
		{"RS256", s.sign(t, rs, h.assertion(a.ID)), "", nil},
		{"no kid, one key fits", s.sign(t, map[string]any{"alg": "ES256"}, h.assertion(a.ID)), "", nil},
		{"typ JWT", s.sign(t, map[string]any{"alg": "ES256", "kid": "ec", "typ": "JWT"}, h.assertion(a.ID)), "", nil},
		{"client_id as well", s.sign(t, es, h.assertion(a.ID)), "", url.Values{"client_id": {a.ID}}},
		{"audience is the issuer", s.sign(t, es, with("aud", h.url+"/oauth2/default")), "", nil},
		{"audience in a list of one", s.sign(t, es, with("aud", []string{h.url + "/oauth2/default/v1/token"})), "", nil},
		{"an hour", s.sign(t, es, with("exp", now+3600)), "", nil},

		{"audience is another server", s.sign(t, es, with("aud", h.url+"/oauth2/other/v1/token")), "The audience claim for client_assertion must be the endpoint invoked for the request.", nil},
		{"audience has another as well", s.sign(t, es, with("aud", []string{h.url + "/oauth2/default/v1/token", "https://evil.test"})), "The audience claim for client_assertion must be the endpoint invoked for the request.", nil},
		{"audience has a slash more", s.sign(t, es, with("aud", h.url+"/oauth2/default/")), "The audience claim for client_assertion must be the endpoint invoked for the request.", nil},
		{"no audience", s.sign(t, es, with("aud", nil)), "The audience claim for client_assertion must be the endpoint invoked for the request.", nil},
		{"no exp", s.sign(t, es, with("exp", nil)), "The client_assertion must contain the 'exp' claim as seconds since epoch.", nil},
		{"expired", s.sign(t, es, with("exp", now-60)), "The client_assertion token is expired.", nil},
		{"too long", s.sign(t, es, with("exp", now+3700)), "The client_assertion token has an expiration too far into the future.", nil},
		{"exp in milliseconds", s.sign(t, es, with("exp", (now+300)*1000)), malformed, nil},
		{"exp is text", s.sign(t, es, with("exp", "soon")), malformed, nil},
		{"issued in the future", s.sign(t, es, with("iat", now+120)), "The client_assertion token must be issued before the current time.", nil},
		{"not yet valid", s.sign(t, es, with("nbf", now+120)), "The client_assertion token must be issued before the current time.", nil},
		{"no jti", s.sign(t, es, with("jti", nil)), "The client_assertion must contain a 'jti' claim.", nil},
		{"iss is not sub", s.sign(t, es, with("iss", secretApp.ID)), generic, nil},
		{"client_id is another", s.sign(t, es, h.assertion(a.ID)), generic, url.Values{"client_id": {secretApp.ID}}},
		{"unknown client", s.sign(t, es, h.assertion("0oaNobody")), generic, nil},
		{"client with a secret", s.sign(t, es, h.assertion(secretApp.ID)), generic, nil},
		{"inactive client", s.sign(t, es, h.assertion(off.ID)), generic, nil},
		{"unknown kid", s.sign(t, map[string]any{"alg": "ES256", "kid": "../../dev/null"}, h.assertion(a.ID)), generic, nil},
		{"kid of another algorithm", s.sign(t, map[string]any{"alg": "ES256", "kid": "rsa"}, h.assertion(a.ID)), generic, nil},
		{"alg none", s.sign(t, map[string]any{"alg": "none", "kid": "ec"}, h.assertion(a.ID)), "*", nil},
		{"HS256 with the public key", s.sign(t, map[string]any{"alg": "HS256", "kid": "rsa"}, h.assertion(a.ID)), "*", nil},
		{"own key in the header", newSigner(t).sign(t, map[string]any{"alg": "ES256", "jwk": json.RawMessage(newSigner(t).jwks(t)[0])}, h.assertion(a.ID)), generic, nil},
		{"access token type", s.sign(t, map[string]any{"alg": "ES256", "kid": "ec", "typ": "at+jwt"}, h.assertion(a.ID)), generic, nil},
		{"crit", s.sign(t, map[string]any{"alg": "ES256", "kid": "ec", "crit": []string{"exp"}}, h.assertion(a.ID)), malformed, nil},
		{"claim twice", s.signRaw(t, "ES256", `{"alg":"ES256","kid":"ec"}`, `{"sub":"evil",`+text(h.assertion(a.ID))[1:]), malformed, nil},
		{"claims in another case", s.signRaw(t, "ES256", `{"alg":"ES256","kid":"ec"}`, strings.Replace(text(h.assertion(a.ID)), `"sub"`, `"SUB"`, 1)), generic, nil},
		{"not JSON", s.signRaw(t, "ES256", `{"alg":"ES256","kid":"ec"}`, "hello"), malformed, nil},
		{"many dots", strings.Repeat("a.", 5000), malformed, nil},
		{"too large", s.sign(t, es, with("x", strings.Repeat("a", 20_000))), malformed, nil},
		{"empty", "", malformed, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			more := url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}
			maps.Copy(more, tt.extra)
			got := h.withAssertion("/oauth2/default/v1/token", tt.assertion, more)
			if tt.want == "" {
				if got.status != http.StatusOK {
					t.Errorf("%d %s", got.status, got.body)
				}
				return
			}
			if got.status != 401 || got.text("error") != "invalid_client" || tt.want != "*" && got.text("error_description") != tt.want {
				t.Errorf("got %d %s\nwant %q", got.status, got.body, tt.want)
			}
		})
	}
}

// identity 35, SECURITY 15: of 32 clients with one assertion one gets a token.
func TestAssertionIsUsedOnce(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	h.app("scopes", "a:read")
	a := h.keyApp(s, "job")
	h.token(h.app("warm"), "a:read") // the first RSA key is there before the race
	claim := h.assertion(a.ID)
	once := s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, claim)
	var wg sync.WaitGroup
	var mu sync.Mutex
	results := map[string]int{}
	for range 32 {
		wg.Go(func() {
			got := h.withAssertion("/oauth2/default/v1/token", once, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}})
			mu.Lock()
			defer mu.Unlock()
			results[fmt.Sprint(got.status, " ", got.text("error_description"))]++
		})
	}
	wg.Wait()
	if results["200 "] != 1 || results["401 The client_assertion token has already been used."] != 31 {
		t.Errorf("results: %v", results)
	}
	// The same id in another assertion of the same client is a reuse, too; that of
	// another client is not.
	claim["exp"] = claim["exp"].(int64) + 60
	again := s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, claim)
	if got := h.withAssertion("/oauth2/default/v1/token", again, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}); got.status != 401 {
		t.Errorf("reused jti: %d %s", got.status, got.body)
	}
	b := h.keyApp(s, "another")
	claim["iss"], claim["sub"] = b.ID, b.ID
	other := s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, claim)
	if got := h.withAssertion("/oauth2/default/v1/token", other, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}); got.status != 200 {
		t.Errorf("jti of another client: %d %s", got.status, got.body)
	}
}

// attack identity 35, gateway 22: an assertion without jti, as Okta's SDKs send it, is used
// once as a whole, and the other signature that is as good does not make another of it.
func TestAssertionWithoutIDIsUsedOnce(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	a := h.keyApp(s, "job")
	claims := h.assertion(a.ID)
	claims["aud"] = h.url + "/oauth2/v1/token"
	delete(claims, "jti")
	send := func(assertion string) answer {
		return h.withAssertion("/oauth2/v1/introspect", assertion, url.Values{"token": {"x"}})
	}
	for _, alg := range []map[string]any{{"alg": "ES256", "kid": "ec"}, {"alg": "RS256", "kid": "rsa"}} {
		first := s.sign(t, alg, claims)
		again := first
		if alg["alg"] == "ES256" {
			cut := strings.LastIndexByte(first, '.') + 1
			sig, err := base64.RawURLEncoding.DecodeString(first[cut:])
			must(t, err)
			half := new(big.Int).SetBytes(sig[32:])
			half.Sub(elliptic.P256().Params().N, half).FillBytes(sig[32:])
			again = first[:cut] + b64(sig)
		}
		if got := send(first); got.status != http.StatusOK {
			t.Fatalf("%s: %d %s", alg["alg"], got.status, got.body)
		}
		for name, assertion := range map[string]string{"the same": first, "its twin": again} {
			if got := send(assertion); got.status != http.StatusUnauthorized || got.text("error_description") != "The client_assertion token has already been used." {
				t.Errorf("%s, %s: %d %s", alg["alg"], name, got.status, got.body)
			}
		}
		claims["exp"] = claims["exp"].(int64) + 1
		if got := send(s.sign(t, alg, claims)); got.status != http.StatusOK {
			t.Errorf("%s, another: %d %s", alg["alg"], got.status, got.body)
		}
	}
}

// attack gateway 16: a client assertion is no access token.
func TestAssertionIsNoToken(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	a := h.keyApp(s, "job")
	asker := h.app("resource server")
	if h.active(asker, s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, h.assertion(a.ID))) {
		t.Error("introspection says that a client assertion is an active token")
	}
	own := s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, h.assertion(a.ID))
	got := h.withAssertion("/oauth2/default/v1/introspect", own, url.Values{"token": {own}})
	if got.status != 200 || got.body != `{"active":false}` {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Keys of an app are public keys that can be used, or they are refused.
func TestAppKeysAreChecked(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	good := string(s.jwks(t)[0])
	for name, jwk := range map[string]string{
		"private":     strings.Replace(good, `"kty"`, `"d":"AAAA","kty"`, 1),
		"symmetric":   `{"kty":"oct","kid":"x","k":"c2VjcmV0c2VjcmV0c2VjcmV0"}`,
		"no kid":      strings.Replace(good, `"kid":"ec",`, ``, 1),
		"off curve":   `{"kty":"EC","crv":"P-256","kid":"x","x":"AAAA","y":"AAAA"}`,
		"short RSA":   `{"kty":"RSA","kid":"x","e":"AQAB","n":"` + b64(make([]byte, 64)) + `"}`,
		"not JSON":    `nonsense`,
		"a whole set": `{"keys":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{
				Label: "job", AuthMethod: access.AuthPrivateKey, PublicKeys: []json.RawMessage{json.RawMessage(jwk)},
			})
			if err == nil {
				t.Error("the key was taken")
			}
		})
	}
}

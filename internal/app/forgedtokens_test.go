package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// signWith makes a token with any header and claims, signed by any key.
func signWith(t *testing.T, key *ecdsa.PrivateKey, header, claims string) string {
	t.Helper()
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

// Forged, misused and malformed tokens against the whole program, on both lanes, where
// the issuer is elsewhere (attack gateway 1-5, 13-24; attack identity 31-33, 38, 39, 72):
// nothing gets through, the upstream hears of none, nobody that a token names is called,
// and a good token is served all the while.
func TestForgedTokensThroughTheProgram(t *testing.T) {
	var reached, called atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(up.Close)
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(evil.Close)
	is, other := newIssuer(t), newIssuer(t)
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  okta:  { url: %s, audience: api://orders }
  other: { url: %s, audience: api://orders }
apis:
  orders: { upstream: %s, auth: okta,  routes: { GET /orders/*: orders:read } }
  b:      { base_path: /b, upstream: %s, auth: other, routes: { GET /*: orders:read } }
`, is.URL, other.URL, up.URL, up.URL)))
	now := time.Now().Unix()
	claims := func(change map[string]any) string {
		all := map[string]any{"iss": is.URL, "aud": "api://orders", "sub": "ana", "iat": now, "exp": now + 600, "jti": rand.Text(), "cid": "app1", "scp": []string{"orders:read"}}
		for k, v := range change {
			if all[k] = v; v == nil {
				delete(all, k)
			}
		}
		b, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const head = `{"alg":"ES256","kid":"k1","typ":"at+jwt"}`
	good := func(change map[string]any) string { return signWith(t, is.key, head, claims(change)) }
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plain := claims(nil)
	raw, err := is.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&is.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	thiefRaw, err := thief.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64(thiefRaw[1:33]), b64(thiefRaw[33:]))
	bad := map[string]string{
		"3: jwk in the header":     signWith(t, thief, `{"alg":"ES256","kid":"k1","jwk":`+jwk+`}`, plain),
		"3: jwk without kid":       signWith(t, thief, `{"alg":"ES256","jwk":`+jwk+`}`, plain),
		"4: jku":                   signWith(t, thief, `{"alg":"ES256","kid":"k2","jku":"`+evil.URL+`/jwks"}`, plain),
		"4: x5u":                   signWith(t, thief, `{"alg":"ES256","kid":"k1","x5u":"`+evil.URL+`/cert"}`, plain),
		"4: iss":                   signWith(t, thief, head, claims(map[string]any{"iss": evil.URL})),
		"5: a path":                signWith(t, thief, `{"alg":"ES256","kid":"../../dev/null"}`, plain),
		"5: SQL":                   signWith(t, thief, `{"alg":"ES256","kid":"' OR 1=1 --"}`, plain),
		"5: NUL":                   signWith(t, thief, `{"alg":"ES256","kid":"k1\u0000"}`, plain),
		"5: long":                  signWith(t, thief, `{"alg":"ES256","kid":"`+strings.Repeat("a", 10<<10)+`"}`, plain),
		"5: a number":              signWith(t, is.key, `{"alg":"ES256","kid":1}`, plain),
		"13: another issuer's":     other.token(t, nil),
		"13: its key, our name":    signWith(t, other.key, head, plain),
		"13: our key, its name":    good(map[string]any{"iss": other.URL}),
		"14: another audience":     good(map[string]any{"aud": "api://else"}),
		"14: no audience":          good(map[string]any{"aud": nil}),
		"14: an empty audience":    good(map[string]any{"aud": []string{}}),
		"14: the client's own":     good(map[string]any{"aud": "app1"}),
		"15: an ID token":          signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, claims(map[string]any{"nonce": "n", "at_hash": "x", "scp": nil, "auth_time": now})),
		"16: a logout token":       signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"logout+jwt"}`, claims(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})),
		"16: a client assertion":   signWith(t, is.key, `{"alg":"ES256","kid":"k1"}`, claims(map[string]any{"iss": "app1", "sub": "app1"})),
		"16: a DPoP proof":         signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"dpop+jwt"}`, plain),
		"16: a refresh token":      rand.Text() + rand.Text(),
		"17: no exp":               good(map[string]any{"exp": nil}),
		"17: exp as text":          good(map[string]any{"exp": fmt.Sprint(now + 600)}),
		"17: exp beyond all":       signWith(t, is.key, head, strings.Replace(plain, fmt.Sprint(now+600), "1e30", 1)),
		"17: exp below zero":       good(map[string]any{"exp": -1}),
		"17: expired":              good(map[string]any{"exp": now - 3600}),
		"17: not yet":              good(map[string]any{"nbf": now + 3600}),
		"17: in milliseconds":      good(map[string]any{"exp": now * 1e6}),
		"18: crit":                 signWith(t, is.key, `{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}`, plain),
		"18: b64":                  signWith(t, is.key, `{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}`, plain),
		"19: encrypted":            b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483648,"zip":"DEF"}`)) + ".AAAA.AAAA.AAAA.AAAA",
		"20: sub twice":            signWith(t, is.key, head, strings.Replace(plain, `"sub":"ana"`, `"sub":"ana","sub":"admin"`, 1)),
		"20: alg twice":            signWith(t, is.key, `{"alg":"none","alg":"ES256","kid":"k1"}`, plain),
		"20: escaped the 2nd time": signWith(t, is.key, head, strings.Replace(plain, `"sub":"ana"`, `"sub":"ana","\u0073ub":"admin"`, 1)),
		"21: dots":                 strings.Repeat(".", 7000),
		"21: padding":              good(nil) + "==",
		"21: not UTF-8":            signWith(t, is.key, head, strings.Replace(plain, "ana", "an\xff", 1)),
		"21: not JSON":             signWith(t, is.key, head, "ana"),
		"21: three words":          "a.b.c",
		"22: r = s = 0":            good(nil)[:strings.LastIndexByte(good(nil), '.')+1] + b64(make([]byte, 64)),
		"22: too short":            strings.TrimRight(good(nil)[:len(good(nil))-2], "."),
		"23: two in one":           good(nil) + "," + good(nil),
		"23: two with a space":     good(nil) + " " + good(nil),
	}
	for _, alg := range []string{"none", "None", "nOnE", ""} {
		bad["1: alg "+alg] = b64([]byte(fmt.Sprintf(`{"alg":%q,"kid":"k1"}`, alg))) + "." + b64([]byte(plain)) + "."
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, secret := range map[string][]byte{"PEM": []byte(text), "PEM without its end": []byte(strings.TrimSpace(text)), "DER": der, "point": raw} {
		signed := b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + b64([]byte(plain))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		bad["2: HMAC by the "+name] = signed + "." + b64(mac.Sum(nil))
	}
	fine := good(nil)
	passed := int64(0)
	for name, token := range bad {
		for lane, header := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			a := p.call(http.MethodGet, "/orders/1", token, header...)
			if a.Status != http.StatusUnauthorized && a.Status != http.StatusTooManyRequests {
				t.Errorf("%s on the %s lane: %d %s", name, lane, a.Status, a.Body)
			}
			if strings.Contains(a.Body, "okta") || strings.Contains(a.Body, is.URL) {
				t.Errorf("%s: the answer says too much: %s", name, a.Body)
			}
		}
		if a := p.call(http.MethodGet, "/orders/1", fine); a.Status != http.StatusOK {
			t.Fatalf("after %s a good token is answered %d %s", name, a.Status, a.Body)
		}
		passed++
	}
	for name, address := range map[string]string{
		"24: in the query":     "/orders/1?access_token=" + fine,
		"24: in a matrix":      "/orders/1;access_token=" + fine,
		"24: in the path":      "/orders/" + fine,
		"24: beside a forgery": "/orders/1?access_token=" + fine,
	} {
		token := ""
		if strings.HasSuffix(name, "forgery") {
			token = bad["1: alg none"]
		}
		if a := p.call(http.MethodGet, address, token); a.Status != http.StatusUnauthorized && a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	if n := reached.Load(); n != passed {
		t.Errorf("the upstream was reached %d times, by %d good tokens", n, passed)
	}
	if n := called.Load(); n != 0 {
		t.Errorf("whom the tokens name was called %d times", n)
	}
	if said := p.out.String() + p.err.String(); strings.Contains(said, fine) {
		t.Error("a token was logged")
	}
}

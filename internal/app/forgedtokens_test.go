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

	"gatehouse/client"
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

// forgery is a token and why it is refused: for what it tries, and not for a slip.
type forgery struct{ token, reason string }

// Forged, misused and malformed tokens against the whole program, on both lanes, where
// the issuer is elsewhere (attack gateway 1-5, 13-24; attack identity 31-33, 38, 39, 72):
// nothing gets through, the upstream hears of none, nobody that a token names is called,
// and a good token is served all the while. Those who only ask are told the same, and real
// nginx, Caddy and HAProxy pass none on (attack gateway 30 and 41, attack identity 41 and 42).
func TestForgedTokensThroughTheProgram(t *testing.T) {
	var reached, called atomic.Int64
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(up.Close)
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(evil.Close)
	is, other := newIssuer(t), newIssuer(t)
	p := start(t, write(t, "version: 1\n"+decideServer(t)+fmt.Sprintf(`issuers:
  okta:  { url: %s, audience: api://orders }
  other: { url: %s, audience: api://orders }
apis:
  orders: { base_path: /hr, upstream: %s, auth: okta,  routes: { GET /orders/*: orders:read } }
  b:      { base_path: /b, upstream: %s, auth: other, routes: { GET /*: orders:read } }
`, is.URL, other.URL, up.URL, up.URL)))
	bad, good := forgeries(t, is, other, evil.URL)
	dead := good(map[string]any{"jti": "dead"})
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: "dead", Issuer: is.URL}); err != nil {
		t.Fatal(err)
	}
	bad["30: revoked"] = forgery{dead, "revoked"}
	fine := good(nil)
	passed := int64(0)
	askers := p.askers(t, up.URL)
	for where, ask := range askers {
		if status, _, said := ask("/hr/orders/1", fine); status != http.StatusOK {
			t.Errorf("%s, a good token: %d %s", where, status, said)
		}
		if !strings.HasSuffix(where, "asks") {
			passed++
		}
	}
	for name, f := range bad {
		for where, ask := range askers {
			status, reason, said := ask("/hr/orders/1", f.token)
			if fronts()[where] != nil && len(f.token) > 8<<10 && status >= 400 {
				continue // longer than the proxy takes itself
			}
			if status != http.StatusUnauthorized || reason != f.reason && where != "nginx" { // which makes a page of its own
				t.Errorf("%s, %s: %d %s, want 401 %s", name, where, status, reason, f.reason)
			}
			if strings.Contains(said, "okta") || strings.Contains(said, is.URL) {
				t.Errorf("%s, %s: the answer says too much: %s", name, where, said)
			}
		}
		if a := p.call(http.MethodGet, "/hr/orders/1", fine); a.Status != http.StatusOK {
			t.Fatalf("after %s a good token is answered %d %s", name, a.Status, a.Body)
		}
		passed++
	}
	for name, address := range map[string]string{
		"24: in the query":     "/hr/orders/1?access_token=" + fine,
		"24: in a matrix":      "/hr/orders/1;access_token=" + fine,
		"24: in the path":      "/hr/orders/" + fine,
		"24: beside a forgery": "/hr/orders/1?access_token=" + fine,
	} {
		token := ""
		if strings.HasSuffix(name, "forgery") {
			token = bad["1: alg none"].token
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

// forgeries returns what is not a token of is for api://orders, and what makes one that is,
// with claims changed. evil is an address that nobody may call.
func forgeries(t *testing.T, is, other *issuer, evil string) (bad map[string]forgery, good func(change map[string]any) string) {
	t.Helper()
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
	good = func(change map[string]any) string { return signWith(t, is.key, head, claims(change)) }
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
	bad = map[string]forgery{
		"3: jwk in the header":      {signWith(t, thief, `{"alg":"ES256","kid":"k1","jwk":`+jwk+`}`, plain), "bad_signature"},
		"3: jwk without kid":        {signWith(t, thief, `{"alg":"ES256","jwk":`+jwk+`}`, plain), "bad_signature"},
		"4: jku":                    {signWith(t, thief, `{"alg":"ES256","kid":"k2","jku":"`+evil+`/jwks"}`, plain), "unknown_key"},
		"4: x5u":                    {signWith(t, thief, `{"alg":"ES256","kid":"k1","x5u":"`+evil+`/cert"}`, plain), "bad_signature"},
		"4: iss":                    {signWith(t, thief, head, claims(map[string]any{"iss": evil})), "unknown_issuer"},
		"5: a path":                 {signWith(t, thief, `{"alg":"ES256","kid":"../../dev/null"}`, plain), "unknown_key"},
		"5: SQL":                    {signWith(t, thief, `{"alg":"ES256","kid":"' OR 1=1 --"}`, plain), "unknown_key"},
		"5: NUL":                    {signWith(t, thief, `{"alg":"ES256","kid":"k1\u0000"}`, plain), "unknown_key"},
		"5: long":                   {signWith(t, thief, `{"alg":"ES256","kid":"`+strings.Repeat("a", 10<<10)+`"}`, plain), "token_malformed"},
		"5: a number":               {signWith(t, is.key, `{"alg":"ES256","kid":1}`, plain), "token_malformed"},
		"5: none":                   {signWith(t, thief, `{"alg":"ES256"}`, plain), "bad_signature"},
		"13: another issuer's":      {other.token(t, nil), "unknown_issuer"},
		"13: its key, our name":     {signWith(t, other.key, head, plain), "bad_signature"},
		"13: our key, its name":     {good(map[string]any{"iss": other.URL}), "bad_signature"},
		"14: another audience":      {good(map[string]any{"aud": "api://else"}), "wrong_audience"},
		"14: no audience":           {good(map[string]any{"aud": nil}), "wrong_audience"},
		"14: an empty audience":     {good(map[string]any{"aud": []string{}}), "wrong_audience"},
		"14: the client's own":      {good(map[string]any{"aud": "app1"}), "wrong_audience"},
		"15: an ID token":           {signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"JWT"}`, claims(map[string]any{"nonce": "n", "at_hash": "x", "scp": nil, "auth_time": now})), "token_type_not_accepted"},
		"16: a logout token":        {signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"logout+jwt"}`, claims(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}})), "token_type_not_accepted"},
		"16: a client assertion":    {signWith(t, is.key, `{"alg":"ES256","kid":"k1"}`, claims(map[string]any{"iss": "app1", "sub": "app1"})), "unknown_issuer"},
		"16: one of our own issuer": {good(map[string]any{"sub": "app1", "scp": nil, "aud": []string{"api://orders", is.URL + "/token"}}), "token_type_not_accepted"},
		"16: a DPoP proof":          {signWith(t, is.key, `{"alg":"ES256","kid":"k1","typ":"dpop+jwt"}`, plain), "token_type_not_accepted"},
		"16: a refresh token":       {rand.Text() + rand.Text(), "token_malformed"},
		"41: bound to a key":        {good(map[string]any{"cnf": map[string]any{"jkt": b64(make([]byte, 32))}}), "proof_invalid"},
		"42: to a certificate":      {good(map[string]any{"cnf": map[string]any{"x5t#S256": b64(make([]byte, 32))}}), "proof_invalid"},
		"17: no exp":                {good(map[string]any{"exp": nil}), "token_malformed"},
		"17: exp as text":           {good(map[string]any{"exp": fmt.Sprint(now + 600)}), "token_malformed"},
		"17: exp beyond all":        {signWith(t, is.key, head, strings.Replace(plain, fmt.Sprint(now+600), "1e30", 1)), "token_malformed"},
		"17: exp below zero":        {good(map[string]any{"exp": -1}), "token_malformed"},
		"17: expired":               {good(map[string]any{"exp": now - 3600}), "token_expired"},
		"17: not yet":               {good(map[string]any{"nbf": now + 3600}), "token_not_yet_valid"},
		"17: made tomorrow":         {good(map[string]any{"iat": now + 86400}), "token_not_yet_valid"},
		"17: in milliseconds":       {good(map[string]any{"exp": (now + 600) * 1000}), "token_malformed"},
		"18: crit":                  {signWith(t, is.key, `{"alg":"ES256","kid":"k1","crit":["exp"],"exp":1}`, plain), "token_malformed"},
		"18: b64":                   {signWith(t, is.key, `{"alg":"ES256","kid":"k1","b64":false}`, plain), "token_malformed"},
		"19: encrypted":             {b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483648,"zip":"DEF"}`)) + ".AAAA.AAAA.AAAA.AAAA", "token_malformed"},
		"19: nested":                {signWith(t, is.key, `{"alg":"ES256","kid":"k1","cty":"JWT"}`, good(nil)), "token_malformed"},
		"20: sub twice":             {signWith(t, is.key, head, strings.Replace(plain, `"sub":"ana"`, `"sub":"ana","sub":"admin"`, 1)), "token_malformed"},
		"20: alg twice":             {signWith(t, is.key, `{"alg":"none","alg":"ES256","kid":"k1"}`, plain), "token_malformed"},
		"20: escaped the 2nd time":  {signWith(t, is.key, head, strings.Replace(plain, `"sub":"ana"`, `"sub":"ana","\u0073ub":"admin"`, 1)), "token_malformed"},
		"21: dots":                  {strings.Repeat(".", 7000), "token_malformed"},
		"21: padding":               {good(nil) + "==", "token_malformed"},
		"21: not UTF-8":             {signWith(t, is.key, head, strings.Replace(plain, "ana", "an\xff", 1)), "token_malformed"},
		"21: not JSON":              {signWith(t, is.key, head, "ana"), "token_malformed"},
		"21: three words":           {"a.b.c", "token_malformed"},
		"22: r = s = 0":             {good(nil)[:strings.LastIndexByte(good(nil), '.')+1] + b64(make([]byte, 64)), "bad_signature"},
		"22: too short":             {strings.TrimRight(good(nil)[:len(good(nil))-2], "."), "bad_signature"},
		"23: two in one":            {good(nil) + "," + good(nil), "token_malformed"},
		"23: two with a space":      {good(nil) + " " + good(nil), "token_malformed"},
	}
	for _, alg := range []string{"none", "None", "nOnE", ""} {
		unsigned := b64([]byte(fmt.Sprintf(`{"alg":%q,"kid":"k1"}`, alg))) + "." + b64([]byte(plain)) + "."
		bad["1: alg "+alg] = forgery{unsigned, "token_malformed"}
		if alg != "" {
			bad["1: signed, alg "+alg] = forgery{unsigned + b64([]byte("x")), "unknown_key"}
		}
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	for name, secret := range map[string][]byte{"PEM": []byte(text), "PEM without its end": []byte(strings.TrimSpace(text)), "DER": der, "point": raw} {
		signed := b64([]byte(`{"alg":"HS256","kid":"k1"}`)) + "." + b64([]byte(plain))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		bad["2: HMAC by the "+name] = forgery{signed + "." + b64(mac.Sum(nil)), "unknown_key"}
	}
	return bad, good
}

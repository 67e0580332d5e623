package authserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/issued"
)

// forger makes JWTs in the name of a key that it knows the public part of.
type forger struct {
	thief  *signer
	victim *ecdsa.PublicKey
	kid    string           // of the victim's key
	site   *httptest.Server // whose addresses the forgeries name
	called atomic.Int32
}

func newForger(t testing.TB, victim *ecdsa.PublicKey, kid string) *forger {
	t.Helper()
	f := &forger{thief: newSigner(t), victim: victim, kid: kid}
	f.site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		f.called.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": f.thief.jwks(t)})
	}))
	t.Cleanup(f.site.Close)
	return f
}

// secrets are the texts of the victim's public key that a careless verifier takes for
// an HMAC secret.
func (f *forger) secrets(t testing.TB) map[string][]byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(f.victim)
	must(t, err)
	point, err := f.victim.Bytes()
	must(t, err)
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk := fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","kid":%q,"use":"sig","alg":"ES256","x":%q,"y":%q}`, f.kid, b64(point[1:33]), b64(point[33:]))
	return map[string][]byte{"PEM": block, "PEM without its end": []byte(strings.TrimSpace(string(block))), "DER": der, "point": point, "JWK": jwk, "nothing": {}}
}

// forgeries are JWTs with the claims, none of which the victim has signed.
func (f *forger) forgeries(t testing.TB, claims map[string]any) map[string]string {
	t.Helper()
	raw, err := json.Marshal(claims)
	must(t, err)
	payload := string(raw)
	signed := func(header string) string { return f.thief.signRaw(t, "ES256", header, payload) }
	out := map[string]string{
		"its own key in the header":   signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"jwk":%s}`, f.kid, f.thief.jwks(t)[0])),
		"its own key, no kid":         signed(fmt.Sprintf(`{"alg":"ES256","jwk":%s}`, f.thief.jwks(t)[0])),
		"its own key, that key's kid": signed(fmt.Sprintf(`{"alg":"ES256","kid":"ec","jwk":%s}`, f.thief.jwks(t)[0])),
		"jku":                         signed(fmt.Sprintf(`{"alg":"ES256","kid":"ec","jku":"%s/jwks"}`, f.site.URL)),
		"jku, the victim's kid":       signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"jku":"%s/jwks"}`, f.kid, f.site.URL)),
		"x5u":                         signed(fmt.Sprintf(`{"alg":"ES256","kid":%q,"x5u":"%s/cert"}`, f.kid, f.site.URL)),
		"kid is an address":           signed(fmt.Sprintf(`{"alg":"ES256","kid":"%s/jwks"}`, f.site.URL)),
		"kid is a path":               signed(`{"alg":"ES256","kid":"../../dev/null"}`),
		"kid is SQL":                  signed(`{"alg":"ES256","kid":"' OR 1=1 --"}`),
		"kid with NUL":                signed(fmt.Sprintf(`{"alg":"ES256","kid":"%s\u0000"}`, f.kid)),
		"kid without end":             signed(`{"alg":"ES256","kid":"` + strings.Repeat("k", 10<<10) + `"}`),
		"kid is a number":             signed(`{"alg":"ES256","kid":1}`),
		"no kid":                      signed(`{"alg":"ES256"}`),
		"no alg":                      signed(fmt.Sprintf(`{"kid":%q}`, f.kid)),
		"two algs":                    signed(fmt.Sprintf(`{"alg":"none","alg":"ES256","kid":%q}`, f.kid)),
		"r = s = 0":                   f.with(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, f.kid), payload, make([]byte, 64)),
		"bomb of derivations":         b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA"}`)) + ".AAAA.AAAA.AAAA.AAAA",
		"bomb of compression":         b64([]byte(`{"alg":"dir","enc":"A128GCM","zip":"DEF"}`)) + "..AAAA.AAAA.AAAA",
		"many dots":                   strings.Repeat(".", 10_000),
	}
	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		head := fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, f.kid)
		out["alg "+alg] = f.with(head, payload, nil)
		out["alg "+alg+" with a signature"] = f.with(head, payload, make([]byte, 64))
	}
	for name, secret := range f.secrets(t) {
		head := fmt.Sprintf(`{"alg":"HS256","kid":%q}`, f.kid)
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(b64([]byte(head)) + "." + b64(raw)))
		out["HMAC by "+name] = f.with(head, payload, m.Sum(nil))
	}
	return out
}

func (f *forger) with(header, payload string, signature []byte) string {
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(signature)
}

// attack identity 31, 32, 33, 38, 39: no forgery signs an app in, at any endpoint where
// apps sign in, and nobody that one names is called.
func TestForgedAssertionsAtEveryEndpoint(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	h.app("scopes", "a:read")
	a, other := h.keyApp(s, "job"), newSigner(t)
	h.keyApp(other, "its neighbour") // with keys of the same names
	f := newForger(t, &s.ec.PublicKey, "ec")
	es := map[string]any{"alg": "ES256", "kid": "ec"}
	for _, endpoint := range []string{"token", "introspect", "revoke", "par", "device/authorize"} {
		path := "/oauth2/default/v1/" + endpoint
		all := f.forgeries(t, h.assertion(a.ID))
		all["the neighbour's key"] = other.sign(t, es, h.assertion(a.ID))
		for name, assertion := range all {
			got := h.withAssertion(path, assertion, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}, "token": {"x"}})
			if got.status != http.StatusUnauthorized || got.text("error") != "invalid_client" {
				t.Errorf("%s, %s: %d %s", endpoint, name, got.status, got.body)
			}
		}
		good := h.withAssertion(path, s.sign(t, es, h.assertion(a.ID)), url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}, "token": {"x"}})
		if good.text("error") == "invalid_client" {
			t.Errorf("%s: the app itself is refused: %d %s", endpoint, good.status, good.body)
		}
	}
	if n := f.called.Load(); n != 0 {
		t.Errorf("whom the assertions name was called %d times", n)
	}
}

// attack identity 31 to 33, 38, 39: nor does one speak for a trusted issuer.
func TestForgedVouchers(t *testing.T) {
	h := newVoucher(t)
	f := newForger(t, &h.signer.ec.PublicKey, "ec")
	now := h.clock.Now().Unix()
	for name, assertion := range f.forgeries(t, map[string]any{
		"iss": partner, "sub": "ana@acme.test", "aud": h.url + "/oauth2/default/v1/token", "iat": now, "exp": now + 300, "jti": newID(),
	}) {
		if got := h.present(assertion); got.status != http.StatusBadRequest || got.text("error") != "invalid_grant" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	h.bring(nil, nil).ok(t)
	if n := f.called.Load(); n != 0 {
		t.Errorf("whom the assertions name was called %d times", n)
	}
}

// attack identity 31 to 33, 38, 39, 49, 72: a forged access token is none at any endpoint
// that takes one, and cannot end the one whose id it has.
func TestForgedTokensAtEveryEndpoint(t *testing.T) {
	s := newSignIn(t, nil)
	s.setAlgorithm(access.ES256)
	service := s.exchanger("Service", access.Extension{})
	token := s.redeem(s.code(s.authorization())).ok(t).text("access_token")
	f := newForger(t, s.published(claims(t, token, 0)["kid"]), claims(t, token, 0)["kid"].(string))
	for name, forged := range f.forgeries(t, claims(t, token, 1)) {
		if got := s.introspect(s.app, forged); got.status != http.StatusOK || got.body != `{"active":false}` {
			t.Errorf("introspect, %s: %d %s", name, got.status, got.body)
		}
		if got := s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+forged); got.status != http.StatusUnauthorized || got.text("error") != "invalid_token" {
			t.Errorf("userinfo, %s: %d %s", name, got.status, got.body)
		}
		if got := s.exchange(service, forged); got.status != http.StatusBadRequest || got.text("error") != "invalid_grant" {
			t.Errorf("exchange, %s: %d %s", name, got.status, got.body)
		}
		if got := s.form("/oauth2/default/v1/revoke", s.app.ID, s.app.Secret, url.Values{"token": {forged}}); got.status != http.StatusOK || !s.active(s.app, token) {
			t.Fatalf("revoke, %s: %d %s", name, got.status, got.body)
		}
	}
	s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+token).ok(t)
	s.exchange(service, token).ok(t)
	if n := f.called.Load(); n != 0 {
		t.Errorf("whom the tokens name was called %d times", n)
	}
}

// published reads a key of the server's as anybody can.
func (h *house) published(kid any) *ecdsa.PublicKey {
	h.t.Helper()
	list, _ := h.call(http.MethodGet, "/oauth2/default/v1/keys", "").json["keys"].([]any)
	for _, k := range list {
		jwk := k.(map[string]any)
		if jwk["kid"] != kid || jwk["crv"] != "P-256" {
			continue
		}
		number := func(name string) *big.Int {
			raw, err := base64.RawURLEncoding.DecodeString(jwk[name].(string))
			must(h.t, err)
			return new(big.Int).SetBytes(raw)
		}
		return &ecdsa.PublicKey{Curve: elliptic.P256(), X: number("x"), Y: number("y")}
	}
	h.t.Fatalf("no key %v in %v", kid, list)
	return nil
}

// attack identity 46: a part of a refresh token, or more than one, is none: at the token
// endpoint, at introspection, and it ends nothing.
func TestTruncatedRefreshToken(t *testing.T) {
	s := newSignIn(t, func(a *access.App) { a.OIDC.Rotation = access.StaticTokens })
	token := s.redeem(s.code(s.authorization())).ok(t).text("refresh_token")
	flip := []byte(token)
	flip[len(flip)-1] ^= 1
	for name, part := range map[string]string{
		"one less": token[:len(token)-1], "without its start": token[1:], "half": token[:len(token)/2], "one more": token + "A", "twice": token + token,
		"a blank more": token + " ", "NUL": token + "\x00", "other case": strings.ToUpper(token), "another end": string(flip), "first dozen": token[:12],
	} {
		s.refresh(part).want(t, http.StatusBadRequest, "invalid_grant")
		if s.active(s.app, part) {
			t.Errorf("%s is active", name)
		}
		if got := s.form("/oauth2/default/v1/revoke", s.app.ID, s.app.Secret, url.Values{"token": {part}}); got.status != http.StatusOK || !s.active(s.app, token) {
			t.Errorf("%s revokes: %d %s", name, got.status, got.body)
		}
	}
	s.refresh(token).ok(t)
}

// failingGrants cannot revoke.
type failingGrants struct{}

func (failingGrants) Revoke(context.Context, issued.Selection) (int, error) {
	return 0, errors.New("disk on fire")
}

// attack identity 47: nor is the end of a refresh token that could not be stored answered
// with 200.
func TestRevocationOfRefreshTokenFails(t *testing.T) {
	s := newSignIn(t, nil)
	token := s.redeem(s.code(s.authorization())).ok(t).text("refresh_token")
	works := s.server.cfg.Grants
	s.server.cfg.Grants = failingGrants{}
	revoke := func() answer {
		return s.form("/oauth2/default/v1/revoke", s.app.ID, s.app.Secret, url.Values{"token": {token}, "token_type_hint": {"refresh_token"}})
	}
	if got := revoke(); got.status != http.StatusServiceUnavailable || got.text("error") != "temporarily_unavailable" || strings.Contains(got.body, "fire") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if len(s.events(audit.TokenRevoked)) != 0 || !s.active(s.app, token) {
		t.Error("what did not happen is told")
	}
	s.server.cfg.Grants = works
	// A node that has not heard of it makes it fail, and is told when it is asked again.
	node := &recorder{fail: errors.New("unplugged")}
	_, err := s.bus.Join("gateway-1", "gateway", node)
	must(t, err)
	if got := revoke(); got.status != http.StatusServiceUnavailable {
		t.Errorf("the bus fails: %d %s", got.status, got.body)
	}
	told := node.count()
	node.fail = nil
	if got := revoke(); got.status != http.StatusOK || s.active(s.app, token) || node.count() != told+1 {
		t.Errorf("%d %s, the node has heard %d", got.status, got.body, node.count())
	}
}

// attack identity 36, 43, 44: what is too large, broken or said twice is refused at every
// endpoint that reads a form, and a body without a length is no larger.
func TestFormsAtEveryEndpoint(t *testing.T) {
	h := newHouse(t)
	a, other := h.app("job", "a:read"), h.app("other")
	token := h.token(a, "a:read")
	const ok = "grant_type=client_credentials&scope=a:read&redirect_uri=https%3A%2F%2Fa.test%2Fcb&response_type=code&token="
	me := basic(a.ID, a.Secret)
	for _, endpoint := range []string{"token", "introspect", "revoke", "par", "device/authorize"} {
		path := "/oauth2/default/v1/" + endpoint
		for name, c := range map[string]struct {
			body    string
			headers []string
			status  int
		}{
			"too large":             {ok + token + "&x=" + strings.Repeat("a", 70_000), []string{"Authorization", me}, 413},
			"too many":              {ok + token + manyParameters(), []string{"Authorization", me}, 413},
			"Bearer":                {ok + token, []string{"Authorization", "Bearer"}, 401},
			"Bearer and a token":    {ok + token, []string{"Authorization", "Bearer " + token}, 401},
			"Basic":                 {ok + token, []string{"Authorization", "Basic"}, 401},
			"Basic without end":     {ok + token, []string{"Authorization", "Basic " + strings.Repeat("YTpi", 10_000)}, 401},
			"two Basic":             {ok + token, []string{"Authorization", me, "Authorization", basic(other.ID, other.Secret)}, 401},
			"Basic and post":        {ok + token + "&client_id=" + a.ID + "&client_secret=" + a.Secret, []string{"Authorization", me}, 401},
			"post of another":       {ok + token + "&client_id=" + other.ID, []string{"Authorization", me}, 401},
			"post and an assertion": {ok + token + "&client_id=" + a.ID + "&client_secret=" + a.Secret + "&client_assertion=x&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer", nil, 401},
			"client_id twice":       {ok + token + "&client_id=" + a.ID + "&client_id=" + other.ID, []string{"Authorization", me}, 400},
		} {
			if got := h.call(http.MethodPost, path, c.body, c.headers...); got.status != c.status {
				t.Errorf("%s, %s: %d %s, want %d", endpoint, name, got.status, got.body, c.status)
			}
		}
		r, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.url+path, io.MultiReader(strings.NewReader(ok+token+"&x="), strings.NewReader(strings.Repeat("a", 70_000))))
		must(t, err)
		maps.Copy(r.Header, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {me}})
		if got := h.do(r); got.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s, without a length: %d %s", endpoint, got.status, got.body)
		}
	}
	if !h.active(a, token) {
		t.Error("one of them has revoked the token")
	}
}

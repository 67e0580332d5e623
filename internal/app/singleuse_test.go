package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// attack identity 29, 35 and 40 through the whole program, on both engines: 32 at once with
// one device code, one client assertion and one DPoP proof. One wins.
func TestSingleUseOnBothEngines(t *testing.T) {
	onBothEngines(t, func(t *testing.T, store startOption) {
		p := start(t, "", store, timeStandsStill()) // a code is good for a minute
		r := p.rotator()
		r.deviceOnce(t)
		p.assertionOnce(t)
		r.proofOnce(t)
	})
}

// tokenForm sends a form to the token endpoint of the default server.
func (p *program) tokenForm(q url.Values, header ...string) answer {
	return p.request(http.MethodPost, p.Ready().Identity+"/oauth2/default/v1/token", "", q.Encode(), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
}

// deviceOnce has 32 poll for one device code that the person has approved. Those who come
// too early are told to slow down, and get nothing either.
func (r *rotator) deviceOnce(t *testing.T) {
	t.Helper()
	const device = "urn:ietf:params:oauth:grant-type:device_code"
	app := r.p.made("/api/v1/apps", `{"name":"oidc_client","label":"Display","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"none"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"native","grant_types":["`+device+`"],"redirect_uris":[],"response_types":[]}}}`)
	begun := r.p.request(http.MethodPost, r.p.Ready().Identity+"/oauth2/default/v1/device/authorize", "",
		url.Values{"client_id": {app}, "scope": {"vacations:read"}}.Encode(), "Content-Type", "application/x-www-form-urlencoded").json(t)
	code, _ := begun["device_code"].(string)
	typed, _ := begun["user_code"].(string)
	page := r.b.post(r.b.get("/activate"), "do", "find", "code", typed)
	r.b.post(page, "do", "approve", "code", typed).has(t, 200, "Your device is connected")
	won := 0
	for _, a := range crowd(func() answer {
		return r.p.tokenForm(url.Values{"grant_type": {device}, "client_id": {app}, "device_code": {code}})
	}) {
		switch {
		case a.Status == http.StatusOK:
			won++
		case a.Status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant" && a.json(t)["error"] != "slow_down":
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if won != 1 {
		t.Errorf("%d of 32 got the tokens of one device code", won)
	}
}

// assertionOnce has 32 authenticate with one client assertion.
func (p *program) assertionOnce(t *testing.T) {
	t.Helper()
	s := p.serviceApp("asserts")
	now := p.now().Unix()
	assertion := es256(t, s.key, map[string]any{"kid": s.kid}, map[string]any{
		"iss": s.id, "sub": s.id, "aud": p.Ready().Identity + "/oauth2/default/v1/token", "iat": now, "exp": now + 60, "jti": rand.Text(),
	})
	won := 0
	for _, a := range crowd(func() answer {
		return p.tokenForm(url.Values{
			"grant_type": {"client_credentials"}, "scope": {"vacations:read"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		})
	}) {
		switch {
		case a.Status == http.StatusOK:
			won++
		case a.Status != http.StatusUnauthorized || a.json(t)["error"] != "invalid_client":
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if won != 1 {
		t.Errorf("%d of 32 got tokens by one assertion", won)
	}
}

// proofOnce has 32 codes redeemed with one DPoP proof.
func (r *rotator) proofOnce(t *testing.T) {
	t.Helper()
	key, jwk := newKey(t)
	proof := func(nonce string) string {
		return tokenProof(t, key, jwk, r.p.Ready().Identity+"/oauth2/default/v1/token", nonce)
	}
	exchange := func(code, proof string) answer {
		return r.p.tokenForm(url.Values{"client_id": {r.id}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {r.redirect}, "code_verifier": {r.verifier}}, "DPoP", proof)
	}
	first := exchange(r.code(), proof(""))
	nonce := first.Header.Get("DPoP-Nonce")
	if first.json(t)["error"] != "use_dpop_nonce" || nonce == "" {
		t.Fatalf("%d %s", first.Status, first.Body)
	}
	codes := make(chan string, 32)
	for range cap(codes) {
		codes <- r.code()
	}
	once, won := proof(nonce), 0
	for _, a := range crowd(func() answer { return exchange(<-codes, once) }) {
		switch {
		case a.Status == http.StatusOK:
			won++
		case a.Status != http.StatusBadRequest || a.json(t)["error"] != "invalid_dpop_proof":
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if won != 1 {
		t.Errorf("%d of 32 got tokens by one proof", won)
	}
}

// tokenProof is a DPoP proof for a token request.
func tokenProof(t *testing.T, key *ecdsa.PrivateKey, jwk map[string]any, address, nonce string) string {
	t.Helper()
	claims := map[string]any{"htm": "POST", "htu": address, "jti": rand.Text(), "iat": time.Now().Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return es256(t, key, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims)
}

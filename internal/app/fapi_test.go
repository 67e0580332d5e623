package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
)

// bankApp is a client that is held to FAPI 2.0, and the browser of a person.
type bankApp struct {
	*relyingApp
	p     *program
	b     *browser
	key   *ecdsa.PrivateKey // of its assertions
	nonce string
}

// post sends a request of the app itself: with its assertion, and a DPoP proof by the
// key where there is one. Who is told of a nonce uses it.
func (a *bankApp) post(endpoint string, proof *ecdsa.PrivateKey, jwk map[string]any, form url.Values) (int, map[string]any) {
	t := a.b.t
	t.Helper()
	for range 2 {
		now := time.Now()
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", es256(t, a.key, map[string]any{"kid": "bank"}, map[string]any{
			"iss": a.id, "sub": a.id, "aud": a.p.Ready().Demo.Issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		}))
		address := "/oauth2/default/v1/" + endpoint
		r := a.b.form(address, form)
		if proof != nil {
			claims := map[string]any{"htm": "POST", "htu": a.p.Ready().Identity + address, "jti": rand.Text(), "iat": now.Unix()}
			if a.nonce != "" {
				claims["nonce"] = a.nonce
			}
			r.Header.Set("DPoP", es256(t, proof, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims))
		}
		got := a.b.send(r)
		var body map[string]any
		if err := json.Unmarshal([]byte(got.body), &body); err != nil {
			t.Fatal(err, got.body)
		}
		if body["error"] != "use_dpop_nonce" {
			return got.StatusCode, body
		}
		a.nonce = got.Header.Get("DPoP-Nonce")
	}
	t.Fatal("the nonce is not accepted")
	return 0, nil
}

// A bank's client under FAPI 2.0, from the pushed request to the call of the API: its
// code and its token are worth nothing without the key that it proved to have.
func TestFAPI2ThroughTheProgram(t *testing.T) {
	p := start(t, "")
	if _, err := p.admin().UpdateServer(t.Context(), "default", client.Server{Algorithm: "ES256"}); err != nil {
		t.Fatal(err)
	}
	ana := p.Ready().Demo.Users[0]
	key, jwk := newKey(t)
	jwk["kid"], jwk["use"], jwk["alg"] = "bank", "sig", "ES256"
	public, _ := json.Marshal(jwk)
	c := p.browserApp()
	c.redirect = "https://bank.test/callback"
	c.id = p.made("/api/v1/apps", `{"name":"oidc_client","label":"Bank","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"implicitAssignment":true,"gatehouse":{"profile":"fapi2_security"},"oauthClient":{"application_type":"web","grant_types":["authorization_code","refresh_token"],
		"response_types":["code"],"redirect_uris":["`+c.redirect+`"],"consent_method":"TRUSTED","jwks":{"keys":[`+string(public)+`]}}}}`)
	a := &bankApp{relyingApp: c, p: p, b: p.browser(t), key: key}
	proof, proofJWK := newKey(t)
	other, otherJWK := newKey(t)

	a.b.get(authorizePath+"?"+c.request().Encode()).has(t, 400, "pushed authorization request endpoint only")
	begin := func(pairs ...string) string {
		t.Helper()
		status, body := a.post("par", proof, proofJWK, c.request(append([]string{"scope", "openid offline_access vacations:read"}, pairs...)...))
		uri, _ := body["request_uri"].(string)
		if status != http.StatusCreated {
			t.Fatalf("%d %v", status, body)
		}
		page := a.b.get(authorizePath + "?" + url.Values{"client_id": {c.id}, "request_uri": {uri}}.Encode())
		if page.StatusCode == http.StatusOK {
			page = a.b.signIn(page, ana.Login, ana.Password)
		}
		q := c.answer(t, page)
		if q.Get("iss") != p.Ready().Demo.Issuer {
			t.Errorf("answer: %v", q)
		}
		return q.Get("code")
	}
	redeem := func(code string) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirect}, "code_verifier": {c.verifier}}
	}
	code := begin()
	if status, body := a.post("token", other, otherJWK, redeem(code)); status == http.StatusOK || body["access_token"] != nil {
		t.Errorf("with another key: %d %v", status, body)
	}
	status, body := a.post("token", proof, proofJWK, redeem(code))
	token, _ := body["access_token"].(string)
	refresh, _ := body["refresh_token"].(string)
	if status != http.StatusOK || body["token_type"] != "DPoP" || refresh == "" {
		t.Fatalf("%d %v", status, body)
	}
	call := &dpopTransport{t: t, key: proof, jwk: proofJWK, token: token, next: &http.Transport{}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.Ready().Gateway+"/hr/vacations/"+strings.Split(ana.Login, "@")[0], http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := call.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("the API: %d", res.StatusCode)
	}
	if got := p.call(http.MethodGet, "/hr/vacations/ana", token); got.Status != http.StatusUnauthorized { // attack identity 41
		t.Errorf("as a bearer: %d", got.Status)
	}
	status, body = a.post("token", proof, proofJWK, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}})
	if status != http.StatusOK || body["refresh_token"] != refresh {
		t.Errorf("refresh: %d %v", status, body)
	}
	if status, body = a.post("token", nil, nil, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}); status != http.StatusBadRequest || body["error"] != "invalid_dpop_proof" {
		t.Errorf("refresh without a key: %d %v", status, body)
	}
}

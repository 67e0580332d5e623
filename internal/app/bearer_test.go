package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// RFC 7523: a partner's word about who somebody is gets a token for the API, once.
func TestJWTBearerThroughTheProgram(t *testing.T) {
	p := start(t, "")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	a := p.okta(http.MethodPost, "/api/v1/apps", `{"name":"oidc_client","label":"Partner","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_post"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"service","grant_types":["urn:ietf:params:oauth:grant-type:jwt-bearer"]},
			"gatehouse":{"trusted_issuers":[{"issuer":"https://partner.test","keys":[`+string(jwk)+`]}]}}}`)
	var app struct {
		Credentials struct {
			Client struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			} `json:"oauthClient"`
		} `json:"credentials"`
	}
	if err := json.Unmarshal([]byte(a.Body), &app); err != nil || a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k1"))
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "https://partner.test", Subject: p.Ready().Demo.Users[0].Login, Audience: jwt.Audience{p.Ready().Demo.Issuer + "/v1/token"},
		Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)), ID: "a1",
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}, "scope": {"vacations:read"},
		"client_id": {app.Credentials.Client.ID}, "client_secret": {app.Credentials.Client.Secret},
	}
	status, got := p.tokenRequest(form)
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, got)
	}
	if a := p.call(http.MethodGet, "/hr/vacations/ana", got["access_token"].(string)); a.Status != http.StatusOK {
		t.Errorf("the API answers %d %s", a.Status, a.Body)
	}
	if status, got := p.tokenRequest(form); status != http.StatusBadRequest || got["error"] != "invalid_grant" {
		t.Errorf("a second time: %d %v", status, got)
	}
}

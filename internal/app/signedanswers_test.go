package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
)

const asksForSigned = `version: 1
issuers:
  idp: { url: %s, audience: api://default, tokens: opaque, client_id: %s, client_secret: "${env:KEY}", client_auth: private_key_jwt, signed_answers: true }
apis:
  shop: { upstream: %s, auth: idp, routes: { GET /orders/*: orders:read } }
`

// Two programs: the gateway of one asks the authorization server of the other about
// tokens, by a key and no secret, and takes nothing but signed answers (RFC 9701).
func TestGatewayTakesOurSignedAnswers(t *testing.T) {
	private, public := assertionKey(t)
	at := startRevocable(t)
	id := at.made("/api/v1/apps", `{"name":"oidc_client","label":"the gateway","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"],"response_types":["token"],"jwks":{"keys":[`+public+`]}}}}`)
	p := start(t, write(t, fmt.Sprintf(asksForSigned, at.Ready().Demo.Issuer, id, whoami(t))), withEnv(map[string]string{"KEY": private}))
	good, gone := at.subject("ana@example.com"), at.subject("ben@example.com")
	if err := at.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, gone)}); err != nil {
		t.Fatal(err)
	}
	if a := p.call(http.MethodGet, "/orders/1", good); a.Status != http.StatusOK || !strings.Contains(a.Body, "user 00u") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/orders/1", gone); a.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/orders/1", "nonsense"); a.Status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

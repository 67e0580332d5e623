package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const presetsAPI = `version: 1
issuers:
  okta:     { url: %[1]s/okta,     audience: api://orders, claims: okta }
  entra:    { url: %[1]s/entra,    audience: [api://orders, 11111111-aaaa-4bbb-8ccc-222222222222], claims: entra }
  keycloak: { url: %[1]s/keycloak, audience: orders, claims: keycloak }
  auth0:    { url: %[1]s/auth0/,   audience: https://orders.acme.test, claims: auth0 }
  cognito:  { url: %[1]s/cognito,  audience: 7abcclient, claims: cognito }
  google:   { url: %[1]s/google,   audience: https://orders.acme.test, claims: google }
apis:
  orders:
    upstream: %[2]s
    auth: [okta, entra, keycloak, auth0, cognito, google]
    routes:
      GET /any: {}
      GET /scope: { scopes: [[orders:read], [orders.read], [orders/read]] }
      GET /group: { groups: staff }
      GET /role: { roles: reader }
      GET /person: { when: principal is User }
`

// Tokens as the issuers with a preset make them, by their documentation: people, clients
// that act for themselves, and what is no access token, though it is signed by the same key.
func TestTokensAsIssuersMakeThem(t *testing.T) {
	up := echoUpstream(t, nil)
	is := newNamedIssuers(t)
	p := start(t, write(t, fmt.Sprintf(presetsAPI, is.URL, up.URL)))
	now := time.Now().Unix()
	for name, c := range map[string]struct {
		header, claims string // NOW and IN stand for times, URL for the address of all issuers
		user, client   string
		passes         string // routes that let it in, of all; "" = it is no access token
	}{
		"okta, a person": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"ver":1,"jti":"AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE","iss":"URL/okta","aud":"api://orders","iat":NOW,"exp":IN,"cid":"0oa1client","uid":"00u1ana","scp":["openid","orders:read"],"auth_time":NOW,"sub":"ana@acme.test","groups":["Everyone","staff"]}`,
			"00u1ana", "0oa1client", "any scope group person",
		},
		"okta, a client": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"ver":1,"jti":"AT.b","iss":"URL/okta","aud":"api://orders","iat":NOW,"exp":IN,"cid":"0oa1client","scp":["orders:read"],"sub":"0oa1client"}`,
			"0oa1client", "0oa1client", "any scope",
		},
		"entra v2, a person": {
			`{"typ":"JWT","alg":"ES256","kid":"k1"}`,
			`{"aud":"11111111-aaaa-4bbb-8ccc-222222222222","iss":"URL/entra","iat":NOW,"nbf":NOW,"exp":IN,"aio":"AXQA","azp":"app-guid","azpacr":"1","name":"Ana","oid":"oid-ana","preferred_username":"ana@acme.test","rh":"0.A","roles":["reader"],"groups":["staff"],"scp":"access_as_user orders.read","sid":"s","sub":"pairwise-sub","tid":"tenant","uti":"u","ver":"2.0"}`,
			"oid-ana", "app-guid", "any scope group role person",
		},
		"entra v1, a person": {
			`{"typ":"JWT","alg":"ES256","x5t":"x","kid":"k1"}`,
			`{"aud":"api://orders","iss":"URL/entra","iat":NOW,"nbf":NOW,"exp":IN,"acr":"1","amr":["pwd","mfa"],"appid":"app-guid","appidacr":"0","ipaddr":"192.0.2.1","name":"Ana","oid":"oid-ana","scp":"orders.read","sub":"pairwise-sub","tid":"tenant","unique_name":"ana@acme.test","upn":"ana@acme.test","ver":"1.0"}`,
			"oid-ana", "app-guid", "any scope person",
		},
		"entra v2, a client": {
			`{"typ":"JWT","alg":"ES256","kid":"k1"}`,
			`{"aud":"api://orders","iss":"URL/entra","iat":NOW,"nbf":NOW,"exp":IN,"azp":"app-guid","azpacr":"1","oid":"sp-oid","roles":["reader"],"sub":"sp-oid","tid":"tenant","uti":"u","ver":"2.0"}`,
			"sp-oid", "app-guid", "any role",
		},
		"keycloak, a person": {
			`{"alg":"ES256","typ":"JWT","kid":"k1"}`,
			`{"exp":IN,"iat":NOW,"auth_time":NOW,"jti":"onrtac:1","iss":"URL/keycloak","aud":["orders","account"],"sub":"f:uuid:ana","typ":"Bearer","azp":"portal","sid":"s","acr":"1","allowed-origins":["https://portal.acme.test"],"realm_access":{"roles":["offline_access","reader"]},"resource_access":{"account":{"roles":["manage-account"]}},"scope":"openid orders:read profile email","email_verified":true,"name":"Ana","preferred_username":"ana","groups":["staff"],"nonce":"n"}`,
			"f:uuid:ana", "portal", "any scope group role person",
		},
		"keycloak, a client": {
			`{"alg":"ES256","typ":"JWT","kid":"k1"}`,
			`{"exp":IN,"iat":NOW,"jti":"trrtcc:1","iss":"URL/keycloak","aud":"orders","sub":"uuid-of-the-account","typ":"Bearer","azp":"Nightly","acr":"1","scope":"orders:read","clientHost":"192.0.2.1","preferred_username":"service-account-nightly","clientAddress":"192.0.2.1","client_id":"Nightly"}`,
			"uuid-of-the-account", "Nightly", "any scope",
		},
		"keycloak, a person with the name of an account": {
			`{"alg":"ES256","typ":"JWT","kid":"k1"}`,
			`{"exp":IN,"iat":NOW,"jti":"1","iss":"URL/keycloak","aud":"orders","sub":"uuid-of-eve","typ":"Bearer","azp":"portal","scope":"openid","preferred_username":"service-account-eve"}`,
			"uuid-of-eve", "portal", "any person",
		},
		"keycloak, an ID token": {
			`{"alg":"ES256","typ":"JWT","kid":"k1"}`,
			`{"exp":IN,"iat":NOW,"auth_time":NOW,"jti":"1","iss":"URL/keycloak","aud":"orders","sub":"f:uuid:ana","typ":"ID","azp":"orders","sid":"s","at_hash":"x","acr":"1","preferred_username":"ana"}`,
			"", "", "",
		},
		"auth0, a person": {
			`{"alg":"ES256","typ":"JWT","kid":"k1"}`,
			`{"iss":"URL/auth0/","sub":"auth0|5f7c8ec7c33c6c004bbafe82","aud":["https://orders.acme.test","URL/auth0/userinfo"],"iat":NOW,"exp":IN,"azp":"spaClient","scope":"openid profile","permissions":["orders:read"]}`,
			"auth0|5f7c8ec7c33c6c004bbafe82", "spaClient", "any scope person",
		},
		"auth0, a client": {
			`{"alg":"ES256","typ":"at+jwt","kid":"k1"}`,
			`{"iss":"URL/auth0/","sub":"m2mClient@clients","aud":"https://orders.acme.test","iat":NOW,"exp":IN,"azp":"m2mClient","scope":"orders:read","gty":"client-credentials"}`,
			"m2mClient@clients", "m2mClient", "any scope",
		},
		"cognito, a person": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"sub":"uuid-ana","cognito:groups":["staff"],"iss":"URL/cognito","version":2,"client_id":"7abcclient","origin_jti":"o","event_id":"e","token_use":"access","scope":"openid orders/read","auth_time":NOW,"exp":IN,"iat":NOW,"jti":"j","username":"ana"}`,
			"uuid-ana", "7abcclient", "any scope group person",
		},
		"cognito, a client": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"sub":"7abcclient","token_use":"access","scope":"orders/read","auth_time":NOW,"iss":"URL/cognito","exp":IN,"iat":NOW,"version":2,"jti":"j","client_id":"7abcclient"}`,
			"7abcclient", "7abcclient", "any scope",
		},
		"cognito, an ID token": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"at_hash":"x","sub":"uuid-ana","cognito:groups":["staff"],"email_verified":true,"iss":"URL/cognito","cognito:username":"ana","origin_jti":"o","aud":"7abcclient","event_id":"e","token_use":"id","auth_time":NOW,"exp":IN,"iat":NOW,"jti":"j","email":"ana@acme.test"}`,
			"", "", "",
		},
		"cognito, another client of the pool": {
			`{"kid":"k1","alg":"ES256"}`,
			`{"sub":"uuid-ana","iss":"URL/cognito","client_id":"other","token_use":"access","scope":"orders/read","exp":IN,"iat":NOW,"jti":"j"}`,
			"", "", "",
		},
		"google, a service account": {
			`{"alg":"ES256","kid":"k1","typ":"JWT"}`,
			`{"aud":"https://orders.acme.test","azp":"112233445566778899000","email":"job@acme.iam.gserviceaccount.com","email_verified":true,"exp":IN,"iat":NOW,"iss":"URL/google","sub":"112233445566778899000"}`,
			"112233445566778899000", "112233445566778899000", "any",
		},
	} {
		claims := strings.NewReplacer("URL", is.URL, "NOW", fmt.Sprint(now), "IN,", fmt.Sprint(now+600)+",", "IN}", fmt.Sprint(now+600)+"}").Replace(c.claims)
		if !json.Valid([]byte(claims)) {
			t.Fatalf("%s: %s", name, claims)
		}
		token := signWith(t, is.key, c.header, claims)
		for _, route := range []string{"any", "scope", "group", "role", "person"} {
			a := p.call(http.MethodGet, "/"+route, token)
			want := http.StatusForbidden
			switch {
			case c.passes == "":
				want = http.StatusUnauthorized
			case strings.Contains(" "+c.passes+" ", " "+route+" "):
				want = http.StatusOK
			}
			if a.Status != want {
				t.Errorf("%s, %s: %d %s, want %d", name, route, a.Status, a.Body, want)
				continue
			}
			if want != http.StatusOK {
				continue
			}
			headers, _ := a.json(t)["headers"].(map[string]any)
			if got, want := fmt.Sprint(headers["X-User-Id"], headers["X-Client-Id"]), fmt.Sprintf("[%s] [%s]", c.user, c.client); got != want {
				t.Errorf("%s: the upstream is told %s, want %s", name, got, want)
			}
		}
	}
}

// newNamedIssuers serves many issuers, each below its name, which sign with one key.
func newNamedIssuers(t *testing.T) *issuer {
	t.Helper()
	is := newIssuer(t)
	one := is.Config.Handler
	many := http.NewServeMux()
	many.Handle("/", one)
	many.HandleFunc("GET /{name}/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		url := is.URL + "/" + r.PathValue("name")
		if r.PathValue("name") == "auth0" {
			url += "/" // as it calls itself
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": url, "jwks_uri": is.URL + "/keys"})
	})
	is.Config.Handler = many
	return is
}

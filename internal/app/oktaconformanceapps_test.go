package app_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// everySetting is an OIDC app with all settings that are served.
const everySetting = `{"name":"oidc_client","label":"documented","signOnMode":"OPENID_CONNECT",
	"credentials":{"oauthClient":{"autoKeyRotation":true,"token_endpoint_auth_method":"client_secret_post","pkce_required":true}},
	"settings":{"implicitAssignment":false,"notes":{"admin":"a note","enduser":"another"},"oauthClient":{
		"client_uri":"https://a.example","logo_uri":"https://a.example/l.png","tos_uri":"https://a.example/t","policy_uri":"https://a.example/p",
		"redirect_uris":["https://a.example/b","https://a.example/a"],"post_logout_redirect_uris":["https://a.example/out"],"initiate_login_uri":"https://a.example/i",
		"response_types":["code"],"grant_types":["authorization_code","refresh_token"],"application_type":"web","consent_method":"REQUIRED","issuer_mode":"ORG_URL",
		"wildcard_redirect":"DISABLED","refresh_token":{"rotation_type":"ROTATE","leeway":30},"idp_initiated_login":{"mode":"DISABLED","default_scope":[]},
		"dpop_bound_access_tokens":true,"participate_slo":true,"frontchannel_logout_uri":"https://a.example/slo","frontchannel_logout_session_required":true,
		"jwks":{"keys":[]}}},
	"accessibility":{"selfService":false,"errorRedirectUrl":null,"loginRedirectUrl":null},
	"visibility":{"autoSubmitToolbar":true,"autoLaunch":false,"hide":{"iOS":true,"web":false}},
	"profile":{"label":"of ours","nested":{"x":[1,2]}}}`

func (w *oktaWalk) apps() {
	w.Helper()
	const app = "/api/v1/apps/{appId}"
	w.do("POST", "/api/v1/apps", "", strings.Replace(everySetting, `"jwks":{"keys":[]}`, `"jwks_uri":"https://a.example/jwks"`, 1), "appId", "clientId")
	w.again("PUT", app)
	w.do("POST", app+"/lifecycle/deactivate", "", "")
	w.do("DELETE", app, "", "")
	w.do("POST", "/api/v1/apps", "?activate=false", everySetting, "appId")
	w.do("POST", app+"/lifecycle/activate", "", "")
	w.do("GET", "/api/v1/apps", "?q=documented", "")
	w.again("PUT", app)
	w.secrets(app)
	w.keys(app)
	w.do("POST", app+"/grants", "", `{"issuer":"`+w.p.Ready().Identity+`","scopeId":"okta.users.read"}`, "grantId")
	w.do("GET", app+"/grants", "", "")
	w.do("GET", app+"/grants/{grantId}", "", "")
	w.do("DELETE", app+"/grants/{grantId}", "", "")
	w.do("POST", app+"/users", "", `{"id":"`+w.args["userId"]+`","scope":"USER","credentials":{"userName":"doc"},"profile":{"gender":"x"}}`)
	w.do("GET", app+"/users", "?expand=user&q=doc", "")
	w.do("GET", app+"/users/{userId}", "?expand=user", "")
	w.do("POST", app+"/users/{userId}", "", `{"credentials":{"userName":"document"}}`)
	w.do("DELETE", app+"/users/{userId}", "", "")
	w.do("PUT", app+"/groups/{groupId}", "", `{"priority":3,"profile":{"gender":"y"}}`)
	w.do("GET", app+"/groups", "?expand=group&q=docu", "")
	w.do("GET", app+"/groups/{groupId}", "", "")
	w.do("PATCH", app+"/groups/{groupId}", "", `[{"op":"replace","path":"/priority","value":0}]`)
	w.do("GET", "/api/v1/groups/{groupId}/apps", "", "")
	w.do("DELETE", app+"/groups/{groupId}", "", "")
	w.args["policyId"] = listed(w.T, w.p, "/api/v1/policies?type=ACCESS_POLICY")[0]
	w.do("PUT", app+"/policies/{policyId}", "", "")
	w.clients()
}

func (w *oktaWalk) secrets(app string) {
	w.Helper()
	const one = "/credentials/secrets/{secretId}"
	w.do("GET", app+"/credentials/secrets", "", "")
	w.do("POST", app+"/credentials/secrets", "", `{}`, "secretId")
	for _, step := range []string{"deactivate", "activate", "deactivate"} {
		w.do("POST", app+one+"/lifecycle/"+step, "", "")
		w.do("GET", app+one, "", "")
	}
	w.do("DELETE", app+one, "", "")
}

// modulus is that of a new RSA key.
func (w *oktaWalk) modulus() string {
	w.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		w.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(key.N.Bytes())
}

func (w *oktaWalk) keys(app string) {
	w.Helper()
	w.do("POST", app+"/credentials/jwks", "", `{"kty":"RSA","use":"sig","kid":"documented","alg":"RS256","e":"AQAB","n":"`+w.modulus()+`","status":"ACTIVE"}`, "keyId")
	w.do("GET", app+"/credentials/jwks", "", "")
	for _, step := range []string{"deactivate", "activate", "deactivate"} {
		w.do("POST", app+"/credentials/jwks/{keyId}/lifecycle/"+step, "", "")
		w.do("GET", app+"/credentials/jwks/{keyId}", "", "")
	}
	w.do("DELETE", app+"/credentials/jwks/{keyId}", "", "")
	made := w.do("POST", app+"/credentials/keys/generate", "?validityYears=5", "")
	w.args["keyId"], _ = made["kid"].(string)
	w.do("GET", app+"/credentials/keys", "", "")
	w.do("GET", app+"/credentials/keys/{keyId}", "", "")
	other := w.p.made("/api/v1/apps", strings.Replace(everySetting, "documented", "another", 1))
	w.do("POST", app+"/credentials/keys/{keyId}/clone", "?targetAid="+other, "")
}

func (w *oktaWalk) clients() {
	w.Helper()
	const clients = "/oauth2/v1/clients"
	const client = clients + "/{clientId}"
	w.do("POST", clients, "", `{"client_name":"registered","redirect_uris":["https://a.example/cb"],"response_types":["code"],"grant_types":["authorization_code"],
		"application_type":"web","token_endpoint_auth_method":"client_secret_basic"}`, "clientId")
	w.do("GET", clients, "", "")
	w.again("PUT", client)
	w.do("POST", client+"/lifecycle/newSecret", "", "")
	w.do("POST", client+"/roles", "", `{"type":"HELP_DESK_ADMIN"}`, "roleAssignmentId")
	w.do("GET", client+"/roles", "", "")
	w.do("GET", client+"/roles/{roleAssignmentId}", "", "")
	w.do("DELETE", client+"/roles/{roleAssignmentId}", "", "")
	w.do("DELETE", client, "", "")
}

// rest is what stands for itself: zones, origins, the log, API tokens, sessions; and the
// ends of those who were made before.
func (w *oktaWalk) rest() {
	w.Helper()
	const zone, origin, token = "/api/v1/zones/{zoneId}", "/api/v1/trustedOrigins/{trustedOriginId}", "/api/v1/api-tokens/{apiTokenId}"
	for _, body := range []string{
		`{"type":"IP","name":"documented","usage":"POLICY","status":"ACTIVE","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}],"proxies":[{"type":"RANGE","value":"198.51.100.4-198.51.100.15"}]}`,
		`{"type":"DYNAMIC","name":"documented 2","usage":"POLICY","status":"ACTIVE","proxyType":"Any","asns":["23457"],"locations":[{"country":"NL","region":"NL-NH"}]}`,
		`{"type":"DYNAMIC_V2","name":"documented 3","usage":"BLOCKLIST","status":"ACTIVE","locations":{"include":[{"country":"NL","region":"NL-NH"}],"exclude":[]},"asns":{"include":["23457"],"exclude":[]},
			"ipServiceCategories":{"include":["ALL_ANONYMIZERS"],"exclude":[]}}`,
	} {
		w.do("POST", "/api/v1/zones", "", body, "zoneId")
		w.do("GET", "/api/v1/zones", "", "")
		w.again("PUT", zone)
		for _, step := range []string{"deactivate", "activate", "deactivate"} {
			w.do("POST", zone+"/lifecycle/"+step, "", "")
		}
		w.do("DELETE", zone, "", "")
	}
	w.do("POST", "/api/v1/trustedOrigins", "", `{"name":"documented","origin":"https://documented.example","scopes":[{"type":"CORS"},{"type":"REDIRECT"}],"status":"ACTIVE"}`, "trustedOriginId")
	w.do("GET", "/api/v1/trustedOrigins", "?q=documented", "")
	w.again("PUT", origin)
	w.do("POST", origin+"/lifecycle/deactivate", "", "")
	w.do("POST", origin+"/lifecycle/activate", "", "")
	w.do("DELETE", origin, "", "")
	w.do("GET", "/api/v1/logs", "?sortOrder=DESCENDING&limit=500", "")
	w.do("GET", "/.well-known/okta-organization", "", "")
	hired := w.p.hire("documented", "HELP_DESK_ADMIN")
	var tokens []struct{ ID, UserID string }
	if err := json.Unmarshal([]byte(w.p.okta("GET", "/api/v1/api-tokens", "").Body), &tokens); err != nil {
		w.Fatal(err)
	}
	for _, t := range tokens {
		if t.UserID == hired.id { // and not the one by which all of this is asked
			w.args["apiTokenId"] = t.ID
		}
	}
	w.do("GET", "/api/v1/api-tokens", "", "")
	w.do("GET", token, "", "")
	w.do("PUT", token, "", `{"name":"renamed","network":{"connection":"ANYWHERE"}}`)
	w.do("DELETE", token, "", "")
	who := w.p.hire("current", "HELP_DESK_ADMIN")
	if a := who.call("DELETE", "/api/v1/api-tokens/current", ""); a.Status != http.StatusNoContent || who.call("GET", "/api/v1/users/me", "").Status != http.StatusUnauthorized {
		w.Errorf("a token that revokes itself: %d %s", a.Status, a.Body)
	}
	w.walked["DELETE /api/v1/api-tokens/current"] = true
	w.do("DELETE", "/api/v1/groups/{groupId}", "", "")
	w.do("DELETE", "/api/v1/users/{id}", "", "")
}

package app_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const clientsPath = "/oauth2/v1/clients"

// registered is what a client is told when it has registered.
type registered struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Token  string `json:"registration_access_token"`
	URI    string `json:"registration_client_uri"`
}

// bearer sends a request with an access token, or a registration access token.
func (p *program) bearer(method, path, token, body string) answer {
	p.t.Helper()
	return p.request(method, p.Ready().Identity+strings.TrimPrefix(path, p.Ready().Identity), token, body, "Content-Type", "application/json")
}

// A client registers with an initial access token that allows nothing else, is an app
// like any other, gets a token, and manages itself until it is gone (RFC 7591, RFC 7592).
// Attack identity 52, 53, 54.
func TestRegistrationOfClients(t *testing.T) {
	p := startOrg(t)
	registrar := p.serviceApp("registrar", "okta.clients.register")
	p.made(clientsPath+"/"+registrar.id+"/roles", `{"type":"APP_ADMIN"}`)
	initial, _ := registrar.token("okta.clients.register").json(t)["access_token"].(string)
	if initial == "" {
		t.Fatal("no initial access token")
	}
	register := func(body string) (answer, registered) {
		t.Helper()
		a := p.bearer(http.MethodPost, clientsPath, initial, body)
		var r registered
		if err := json.Unmarshal([]byte(a.Body), &r); err != nil {
			t.Fatal(err, a.Body)
		}
		return a, r
	}
	a, one := register(`{"client_name":"a shop","application_type":"service","grant_types":["client_credentials"],
		"client_id":"0oaMine","client_secret":"mine","status":"INACTIVE","id":"0oaMine","consent_method":"TRUSTED","_links":{},"system":true,"registration_access_token":"rat.mine"}`)
	if a.Status != http.StatusCreated || one.Secret == "" || one.Secret == "mine" || one.ID == "0oaMine" || !strings.HasPrefix(one.Token, "rat.") || one.Token == "rat.mine" || one.URI != orgURL+clientsPath+"/"+one.ID {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(one.ID) + ":" + url.QueryEscape(one.Secret)))
	token := p.request(http.MethodPost, p.Ready().Identity+"/oauth2/default/v1/token", "", "grant_type=client_credentials&scope=vacations:read",
		"Content-Type", "application/x-www-form-urlencoded", "Authorization", "Basic "+basic)
	if token.Status != http.StatusOK {
		t.Errorf("token: %d %s", token.Status, token.Body)
	}
	app := p.okta(http.MethodGet, "/api/v1/apps/"+one.ID, "")
	if app.Status != http.StatusOK || !strings.Contains(app.Body, `"consent_method":"REQUIRED"`) || !strings.Contains(app.Body, `"status":"ACTIVE"`) || strings.Contains(app.Body, "rat.") {
		t.Errorf("as an app: %d %s", app.Status, app.Body)
	}
	// The initial access token does this and nothing else.
	for _, path := range []string{clientsPath, clientsPath + "/" + one.ID, "/api/v1/apps"} {
		if a := p.bearer(http.MethodGet, path, initial, ""); a.Status != http.StatusForbidden {
			t.Errorf("%s with the initial access token: %d", path, a.Status)
		}
	}
	_, two := register(`{"client_name":"another","redirect_uris":["https://app.test/cb"],"grant_types":["authorization_code","refresh_token"]}`)
	if two.ID == "" {
		t.Fatal("not registered")
	}

	// A registration access token is for its client, and for its registration.
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, clientsPath + "/" + two.ID},
		{http.MethodDelete, clientsPath + "/" + two.ID},
		{http.MethodPut, clientsPath + "/" + two.ID},
		{http.MethodPost, clientsPath + "/" + two.ID + "/lifecycle/newSecret"},
		{http.MethodGet, clientsPath},
		{http.MethodPost, clientsPath},
		{http.MethodGet, clientsPath + "/" + registrar.id},
		{http.MethodGet, clientsPath + "/0oaNobody"},
		{http.MethodGet, "/api/v1/apps/" + one.ID},
		{http.MethodGet, "/api/v1/users"},
	} {
		if a := p.bearer(c.method, c.path, one.Token, "{}"); a.Status != http.StatusUnauthorized {
			t.Errorf("%s %s with the token of another client: %d %s", c.method, c.path, a.Status, a.Body)
		}
	}
	if a := p.bearer(http.MethodGet, clientsPath+"/"+one.ID+"/roles", one.Token, ""); a.Status != http.StatusForbidden {
		t.Errorf("roles: %d", a.Status)
	}
	for _, broken := range []string{"rat.", "rat." + strings.Repeat("x", 43), one.Token + "x", "rat." + strings.Repeat("y", 9000)} {
		if a := p.bearer(http.MethodGet, clientsPath+"/"+one.ID, broken, ""); a.Status != http.StatusUnauthorized {
			t.Errorf("a token that is none: %d", a.Status)
		}
	}
	if a := p.bearer(http.MethodGet, one.URI[len(orgURL):], one.Token, ""); a.Status != http.StatusOK || a.json(t)["client_name"] != "a shop" || a.json(t)["client_secret"] != nil {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	a = p.bearer(http.MethodPut, clientsPath+"/"+one.ID, one.Token, `{"client_id":"`+one.ID+`","client_name":"a larger shop","application_type":"service","grant_types":["client_credentials"],"client_secret":"`+one.Secret+`"}`)
	if a.Status != http.StatusOK || a.json(t)["client_name"] != "a larger shop" || a.json(t)["client_secret"] != one.Secret {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.bearer(http.MethodPut, clientsPath+"/"+one.ID, one.Token, `{"client_name":"x","application_type":"service","grant_types":["password"]}`); a.Status != http.StatusBadRequest {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	a = p.bearer(http.MethodPost, clientsPath+"/"+one.ID+"/lifecycle/newSecret", one.Token, "")
	if s, _ := a.json(t)["client_secret"].(string); a.Status != http.StatusOK || s == "" || s == one.Secret {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.bearer(http.MethodDelete, clientsPath+"/"+one.ID, one.Token, ""); a.Status != http.StatusNoContent {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.bearer(http.MethodGet, clientsPath+"/"+one.ID, one.Token, ""); a.Status != http.StatusUnauthorized {
		t.Errorf("after its end: %d", a.Status)
	}

	// What administrators see and do, by Okta's paths.
	if a := p.okta(http.MethodGet, clientsPath+"?q=ANO&limit=1", ""); a.Status != http.StatusOK || !strings.Contains(a.Body, two.ID) || strings.Contains(a.Body, "rat.") || strings.Contains(a.Body, two.Secret) {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.okta(http.MethodGet, clientsPath+"/0oaNobody", ""); a.Status != http.StatusNotFound || a.json(t)["errorSummary"] != "Not found: Resource not found: 0oaNobody (OAuth2Client)" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.okta(http.MethodDelete, clientsPath+"/"+two.ID, ""); a.Status != http.StatusNoContent {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// attack identity 43, 52: who may not register is told so, and what is not to be
// registered is refused with the errors of RFC 7591.
func TestRegistrationIsGuarded(t *testing.T) {
	p := start(t, "", timeStandsStill()) // the bound is that of a minute
	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer " + strings.Repeat("x", 9000), "Basic eDp5", "SSWS x", p.token("vacations:read"), "Bearer " + p.token("vacations:read")} {
		a := p.request(http.MethodPost, p.Ready().Identity+clientsPath, "", `{"client_name":"x"}`, "Authorization", header)
		if a.Status != http.StatusUnauthorized {
			t.Errorf("%.40q: %d %s", header, a.Status, a.Body)
		}
	}
	for body, code := range map[string]string{
		`{"client_name":""}`: "invalid_client_metadata",
		`{`:                  "invalid_client_metadata",
		`{"client_name":"x","redirect_uris":["https://a.test/cb"],"jwks_uri":"http://169.254.169.254/"}`:          "invalid_client_metadata",
		`{"client_name":"x","redirect_uris":["https://a.test/cb"],"software_statement":"a.b.c"}`:                  "unapproved_software_statement",
		`{"client_name":"x","redirect_uris":["https://a.test/cb"],"token_endpoint_auth_method":"magic"}`:          "invalid_client_metadata",
		`{"client_name":"x","redirect_uris":["https://a.test/cb"],"logo_uri":"javascript:alert(1)"}`:              "invalid_client_metadata",
		`{"client_name":"x","redirect_uris":["https://a.test/cb"],"backchannel_logout_uri":"file:///etc/passwd"}`: "invalid_client_metadata",
		`{"client_name":"x"}`: "invalid_client_metadata",
	} {
		a := p.okta(http.MethodPost, clientsPath, body)
		if a.Status != http.StatusBadRequest || a.json(t)["error"] != code || a.json(t)["error_description"] == "" {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	for _, address := range []string{
		"javascript:alert(1)", "data:text/html,x", "http://internal.test/cb", "http://169.254.169.254/cb", "http://localhost/cb", "https://*.a.test/cb", "https://a.test/cb#x",
		"https://user@a.test/cb", "com.example.app:/cb", "myapp:/cb", "//a.test/cb", "https://", "ftp://a.test/cb", "http://127.0.0.1.evil.test/cb",
	} {
		a := p.okta(http.MethodPost, clientsPath, fmt.Sprintf(`{"client_name":"x","redirect_uris":[%q]}`, address))
		if a.Status != http.StatusBadRequest || a.json(t)["error"] != "invalid_redirect_uri" {
			t.Errorf("%s: %d %s", address, a.Status, a.Body)
		}
	}
	for _, address := range []string{"https://a.test/cb?x=1", "http://127.0.0.1/cb", "http://[::1]:8080/cb", "com.example.app:/cb"} {
		a := p.okta(http.MethodPost, clientsPath, fmt.Sprintf(`{"client_name":"x","application_type":"native","token_endpoint_auth_method":"none","redirect_uris":[%q]}`, address))
		if a.Status != http.StatusCreated || a.json(t)["client_secret"] != nil {
			t.Errorf("%s: %d %s", address, a.Status, a.Body)
		}
	}
	// Not without bounds.
	var last answer
	for range 70 {
		last = p.okta(http.MethodPost, clientsPath, `{"client_name":"many","application_type":"service","grant_types":["client_credentials"]}`)
		if last.Status != http.StatusCreated {
			break
		}
	}
	if last.Status != http.StatusTooManyRequests || last.Header.Get("Retry-After") == "" {
		t.Errorf("the last of many: %d %v", last.Status, last.Header)
	}
}

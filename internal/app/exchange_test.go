package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
)

// exchanger makes an app that may exchange tokens, by Okta's API, with the settings
// that are not Okta's.
func (p *program) exchanger(extension string) (id, secret string) {
	p.t.Helper()
	a := p.okta(http.MethodPost, "/api/v1/apps", `{"name":"oidc_client","label":"Payslips","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_post"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials","urn:ietf:params:oauth:grant-type:token-exchange"],
			"response_types":["token"]},"gatehouse":`+extension+`}}`)
	var made struct {
		Credentials struct {
			Client struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			} `json:"oauthClient"`
		} `json:"credentials"`
		Settings struct {
			Gatehouse json.RawMessage `json:"gatehouse"`
		} `json:"settings"`
	}
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || a.Status != http.StatusOK {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	if extension != "{}" && string(made.Settings.Gatehouse) != extension {
		p.t.Errorf("the app shows %s", made.Settings.Gatehouse)
	}
	return made.Credentials.Client.ID, made.Credentials.Client.Secret
}

// A service behind the gateway calls the next one for the person who called it, from
// the browser to the second API: the token says who acts, and ends when the person
// takes back what the first app has.
func TestExchangeThroughTheProgram(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)
	page := b.signIn(b.get(authorizePath+"?"+c.request().Encode()), ana.Login, ana.Password)
	code := c.answer(t, b.post(page, "step", "consent", "shown", "vacations:read")).Get("code")
	status, first := p.tokenRequest(url.Values{"client_id": {c.id}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirect}, "code_verifier": {c.verifier}})
	if status != http.StatusOK {
		t.Fatalf("%d %v", status, first)
	}
	id, secret := p.exchanger("{}")
	ask := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {first["access_token"].(string)},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}, "scope": {"vacations:read"}, "client_id": {id}, "client_secret": {secret},
	}
	status, got := p.tokenRequest(ask)
	if status != http.StatusOK || got["issued_token_type"] != "urn:ietf:params:oauth:token-type:access_token" {
		t.Fatalf("%d %v", status, got)
	}
	token, _ := got["access_token"].(string)
	if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
		t.Errorf("the API answers %d %s", a.Status, a.Body)
	}
	ask.Set("scope", "payroll:write")
	if status, got := p.tokenRequest(ask); status != http.StatusBadRequest || got["error"] != "invalid_scope" {
		t.Errorf("widened: %d %v", status, got)
	}
	account := b.get("/account")
	b.post(account, "do", "withdraw", "id", c.id).has(t, 200, "has no access any more")
	if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusUnauthorized {
		t.Errorf("after the person took it back the API answers %d", a.Status)
	}
	ask.Set("scope", "vacations:read")
	if status, got := p.tokenRequest(ask); status != http.StatusBadRequest || got["error"] != "invalid_grant" {
		t.Errorf("after the person took it back: %d %v", status, got)
	}
	p.exchanger(`{"token_exchange":{"impersonation":true,"audiences":["https://billing.test/"]}}`)
}

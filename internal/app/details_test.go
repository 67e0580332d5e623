package app_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const paymentTypes = `[{"type":"payment_initiation","sentence":"Pay {amount} EUR to {creditor}","fields":[{"name":"amount","kind":"string","required":true},{"name":"creditor","kind":"string","required":true}]}]`

// RFC 9396 from the page of consent to the token: the person reads what is asked in
// words, each time, and a policy of the gateway reads it in the token.
func TestAuthorizationDetailsThroughTheProgram(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	if a := p.okta(http.MethodPut, "/api/v1/authorizationServers/default", `{"name":"default","audiences":["api://default"],"gatehouse":{"authorization_details_types":`+paymentTypes+`}}`); a.Status != http.StatusOK || !strings.Contains(a.Body, `"payment_initiation"`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	app := p.okta(http.MethodGet, "/api/v1/apps/"+c.id, "")
	changed := strings.Replace(app.Body, `"settings":{`, `"settings":{"gatehouse":{"authorization_details_types":["payment_initiation"]},`, 1)
	if a := p.okta(http.MethodPut, "/api/v1/apps/"+c.id, changed); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	// Who does not know the extension leaves it as it is.
	if a := p.okta(http.MethodPut, "/api/v1/apps/"+c.id, app.Body); a.Status != http.StatusOK || !strings.Contains(a.Body, "payment_initiation") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	const details = `[{"type":"payment_initiation","amount":"123.50","creditor":"<b>Merchant</b>"}]`
	b := p.browser(t)
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("authorization_details", `[{"type":"other"}]`).Encode())); got.Get("error") != "invalid_authorization_details" {
		t.Errorf("%v", got)
	}
	page := b.signIn(b.get(authorizePath+"?"+c.request("authorization_details", details).Encode()), ana.Login, ana.Password)
	page.has(t, 200, "Pay 123.50 EUR to &lt;b&gt;Merchant&lt;/b&gt;", "this time")
	seen := strings.Split(strings.Split(page.body, `name="details" value="`)[1], `"`)[0]
	b.post(page, "step", "consent", "shown", "vacations:read").has(t, 200, "has changed") // the page's own words are part of the answer
	code := c.answer(t, b.post(page, "step", "consent", "shown", "vacations:read", "details", seen)).Get("code")
	status, got := p.tokenRequest(url.Values{"client_id": {c.id}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirect}, "code_verifier": {c.verifier}})
	list, _ := got["authorization_details"].([]any)
	if status != http.StatusOK || len(list) != 1 {
		t.Fatalf("%d %v", status, got)
	}
	// It is asked every time: nobody agrees to a payment for good.
	if silent := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "authorization_details", details).Encode())); silent.Get("error") != "consent_required" {
		t.Errorf("silently: %v", silent)
	}
	if silent := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none").Encode())); silent.Get("code") == "" {
		t.Errorf("without details: %v", silent)
	}
}

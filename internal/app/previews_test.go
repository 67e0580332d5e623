package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/client"
	"gatehouse/internal/app"
)

// sharedClaims returns the claims of a token less those that no two tokens share.
func sharedClaims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("no token: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	return timeless(t, raw)
}

func timeless(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	for _, name := range []string{"jti", "iat", "exp", "auth_time", "sid", "at_hash", "amr", "acr", "nonce", "sid"} {
		delete(claims, name)
	}
	return claims
}

func (p *program) preview(r client.PreviewRequest) client.Preview {
	p.t.Helper()
	v, err := p.admin().Preview(p.t.Context(), "default", r)
	if err != nil {
		p.t.Fatalf("%+v: %v", r, err)
	}
	return v
}

// What the preview says is what the token endpoint does: for an app, for a person,
// for what is refused.
func TestPreviewIsWhatTheTokenEndpointDoes(t *testing.T) {
	p := start(t, "")
	demo := p.Ready().Demo
	const claims = "/api/v1/authorizationServers/default/claims"
	for _, c := range []string{
		`{"name":"team","claimType":"RESOURCE","valueType":"EXPRESSION","value":"appuser == null ? 'machines' : String.toUpperCase(user.firstName)","alwaysIncludeInToken":true,"conditions":{"scopes":["vacations:read"]}}`,
		`{"name":"crews","claimType":"RESOURCE","valueType":"GROUPS","group_filter_type":"STARTS_WITH","value":"emp","alwaysIncludeInToken":true}`,
		`{"name":"nick","claimType":"IDENTITY","valueType":"EXPRESSION","value":"user.login + '!'","alwaysIncludeInToken":true}`,
		`{"name":"empty","claimType":"RESOURCE","valueType":"EXPRESSION","value":"user.nickName","alwaysIncludeInToken":true}`,
	} {
		p.made(claims, c)
	}

	service := client.PreviewRequest{ClientID: demo.ClientID, Scopes: []string{"vacations:read"}}
	v := p.preview(service)
	if !v.Granted || v.AccessTokenSeconds != 3600 || v.RefreshToken != nil || len(v.IDToken) > 0 {
		t.Fatalf("a service: %+v", v)
	}
	if d := cmp.Diff(sharedClaims(t, p.token("vacations:read")), timeless(t, v.AccessToken)); d != "" {
		t.Errorf("the token of a service differs from its preview:\n%s", d)
	}

	tokens := p.browserApp().tokens(p.browser(t), demo.Users[0].Login, demo.Users[0].Password, "openid vacations:read profile")
	accessToken, _ := tokens["access_token"].(string)
	idToken, _ := tokens["id_token"].(string)
	person := client.PreviewRequest{ClientID: demo.BrowserClientID, User: demo.Users[0].Login, Scopes: []string{"openid", "vacations:read", "profile"}}
	v = p.preview(person)
	if d := cmp.Diff(sharedClaims(t, accessToken), timeless(t, v.AccessToken)); d != "" {
		t.Errorf("a person's access token differs from its preview:\n%s", d)
	}
	if d := cmp.Diff(sharedClaims(t, idToken), timeless(t, v.IDToken)); d != "" {
		t.Errorf("a person's ID token differs from its preview:\n%s", d)
	}
	from := map[string]client.PreviewedClaim{}
	for _, c := range v.Claims {
		from[c.Token+" "+c.Name] = c
	}
	for name, want := range map[string]client.PreviewedClaim{
		"access sub":   {Source: "(appuser != null) ? appuser.userName : app.clientId", Included: true, Value: json.RawMessage(`"ana@example.com"`)},
		"access team":  {Source: "appuser == null ? 'machines' : String.toUpperCase(user.firstName)", Included: true, Value: json.RawMessage(`"ANA"`)},
		"access crews": {Source: "STARTS_WITH emp", Included: true, Value: json.RawMessage(`["employees"]`)},
		"access empty": {Source: "user.nickName", Reason: "it has no value"},
		"id nick":      {Source: "user.login + '!'", Included: true, Value: json.RawMessage(`"ana@example.com!"`)},
		"id email":     {Reason: "none of its scopes is granted"},
		"id locale":    {Reason: "it is not always included: userinfo has it"},
	} {
		got := from[name]
		if got.Source != want.Source || got.Included != want.Included || string(got.Value) != string(want.Value) || want.Reason != "" && got.Reason != want.Reason {
			t.Errorf("%s: %+v", name, got)
		}
	}

	// One claim that fails ends the request; the others still say what would be.
	p.made(claims, `{"name":"cool","claimType":"RESOURCE","valueType":"EXPRESSION","value":"cool","alwaysIncludeInToken":true}`)
	v = p.preview(service)
	if v.Granted || v.Error != "server_error" || v.Description != "The 'cool' user claim could not be evaluated." || len(v.AccessToken) > 0 {
		t.Errorf("a claim that fails: %+v", v)
	}
	var failed, team bool
	for _, c := range v.Claims {
		failed = failed || c.Name == "cool" && strings.Contains(c.Error, "there is no attribute cool")
		team = team || c.Name == "team" && string(c.Value) == `"machines"`
	}
	if !failed || !team {
		t.Errorf("the claims: %+v", v.Claims)
	}
}

// A rule says where a request may come from; the token endpoint knows the caller's
// address, behind proxies that are trusted too, and the preview any that is asked for.
func TestRulesAboutNetworks(t *testing.T) {
	p := start(t, write(t, "version: 1\nserver: { identity: { trusted_proxies: [127.0.0.0/8] } }\n"))
	server := p.made("/api/v1/authorizationServers", `{"name":"zoned","audiences":["api://zoned"]}`)
	at := "/api/v1/authorizationServers/" + server
	p.made(at+"/scopes", `{"name":"a"}`)
	office := p.made("/api/v1/zones", `{"type":"IP","name":"office","gateways":[{"type":"CIDR","value":"203.0.113.0/24"}]}`)
	policy := p.made(at+"/policies", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p","description":"p","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	rule := func(network string) string {
		return `{"type":"RESOURCE_ACCESS","name":"office","priority":1,"conditions":{"people":{"users":{},"groups":{"include":["EVERYONE"]}},
			"grantTypes":{"include":["client_credentials"]},"scopes":{"include":["*"]}` + network + `},
			"actions":{"token":{"accessTokenLifetimeMinutes":10,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`
	}
	zone := `,"network":{"connection":"ZONE","include":["` + office + `"]}`
	id := p.made(at+"/policies/"+policy+"/rules", rule(zone))
	// Okta's clients do not know the condition, and write the rule back without it.
	a := p.okta("PUT", at+"/policies/"+policy+"/rules/"+id, rule(""))
	if !strings.Contains(string(a.Body), office) {
		t.Fatalf("the condition is gone: %d %s", a.Status, a.Body)
	}
	ask := func(forwarded string) answer {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"a"}, "client_id": {p.Ready().Demo.ClientID}, "client_secret": {p.Ready().Demo.ClientSecret}}
		return p.request("POST", p.Ready().Identity+"/oauth2/"+server+"/v1/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "X-Forwarded-For", forwarded)
	}
	for _, tt := range []struct {
		forwarded string
		status    int
	}{{"203.0.113.9", 200}, {"192.0.2.1", 401}, {"203.0.113.9, 192.0.2.1", 401}, {"", 401}} {
		if a := ask(tt.forwarded); a.Status != tt.status {
			t.Errorf("from %q: %d %s", tt.forwarded, a.Status, a.Body)
		}
	}
	admin := p.admin()
	for ip, granted := range map[string]bool{"203.0.113.9": true, "192.0.2.1": false, "": false} {
		v, err := admin.Preview(t.Context(), server, client.PreviewRequest{ClientID: p.Ready().Demo.ClientID, Scopes: []string{"a"}, IP: ip})
		if err != nil || v.Granted != granted {
			t.Fatalf("preview from %q: %+v %v", ip, v, err)
		}
		last := v.Considered[len(v.Considered)-1]
		if !granted && (last.Matched || !strings.Contains(last.Detail, "office")) {
			t.Errorf("preview from %q: %+v", ip, last)
		}
	}
	// The refusal's event says the same.
	app.FlushLog(t, p.App)
	a = p.okta("GET", "/api/v1/logs?limit=1000", "")
	if !strings.Contains(string(a.Body), "from 192.0.2.1, which is in none of the zones office") {
		t.Errorf("the event does not say why: %s", a.Body)
	}
	// Taken out by name, it is out.
	if a := p.okta("PUT", at+"/policies/"+policy+"/rules/"+id, rule(`,"network":null`)); strings.Contains(string(a.Body), office) || ask("192.0.2.1").Status != 200 {
		t.Errorf("the condition stays: %d %s", a.Status, a.Body)
	}
	for _, wrong := range []string{`,"network":{"connection":"ZONE"}`, `,"network":{"connection":"ZONE","include":["nzo404"]}`, `,"network":7`, `,"riskScore":"LOW"`} {
		if a := p.okta("PUT", at+"/policies/"+policy+"/rules/"+id, rule(wrong)); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, a.Status, a.Body)
		}
	}
}

// Only administrators may ask, nothing is minted, and what is asked wrongly is said.
func TestPreviewIsForAdministrators(t *testing.T) {
	p := start(t, "")
	body := `{"client_id":"` + p.Ready().Demo.ClientID + `","scopes":["vacations:read"]}`
	const path = "/gatehouse/v1/servers/default/preview"
	if a := p.hire("appadmin", "APP_ADMIN").call("POST", path, body); a.Status != http.StatusForbidden {
		t.Errorf("an administrator of apps: %d %s", a.Status, a.Body)
	}
	if a := p.request("POST", p.Ready().Identity+path, "", body); a.Status != http.StatusUnauthorized {
		t.Errorf("nobody: %d %s", a.Status, a.Body)
	}
	for text, body := range map[string]string{
		`there is no app`:        `{"client_id":"0oanone"}`,
		`is not a grant type`:    `{"client_id":"` + p.Ready().Demo.ClientID + `","user":"ana@example.com","grant_type":"magic"}`,
		`is not an IP address`:   `{"client_id":"` + p.Ready().Demo.ClientID + `","ip":"office"}`,
		`for the app itself`:     `{"client_id":"` + p.Ready().Demo.ClientID + `","grant_type":"authorization_code"}`,
		`without a second facto`: `{"client_id":"` + p.Ready().Demo.ClientID + `","mfa":true}`,
	} {
		if a := p.okta("POST", path, body); a.Status < 400 || !strings.Contains(string(a.Body), text) {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
	const given = "/api/v1/logs?limit=1000&filter=eventType+eq+%22app.oauth2.as.token.grant.access_token%22"
	app.FlushLog(t, p.App)
	before := p.okta("GET", given, "")
	if a := p.okta("POST", path, body); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	app.FlushLog(t, p.App)
	if after := p.okta("GET", given, ""); string(after.Body) != string(before.Body) {
		t.Errorf("a token was made: %s", after.Body)
	}
	// Nobody who is not assigned, and no scope that is not there.
	for reason, r := range map[string]client.PreviewRequest{
		"no_matching_scope":   {ClientID: p.Ready().Demo.ClientID, Scopes: []string{"nothing"}},
		"unauthorized_client": {ClientID: p.Ready().Demo.ClientID, User: "ana@example.com", GrantType: "authorization_code"},
	} {
		if v := p.preview(r); v.Granted || v.Reason != reason {
			t.Errorf("%+v: %+v", r, v)
		}
	}
}

// The system log answers keywords and filters over everything that it shows.
func TestLogIsFiltered(t *testing.T) {
	p := start(t, "")
	p.token("vacations:read")
	group := p.made("/api/v1/groups", `{"profile":{"name":"night watch"}}`)
	app.FlushLog(t, p.App)
	for _, query := range []string{
		"q=NIGHT+watch", "filter=" + url.QueryEscape(`target.id eq "`+group+`"`),
		"filter=" + url.QueryEscape(`eventType sw "group." and outcome.result eq "SUCCESS" and target.displayName eq "night watch"`),
	} {
		var events []struct {
			Type string `json:"eventType"`
		}
		a := p.okta("GET", "/api/v1/logs?limit=5&"+query, "")
		if err := json.Unmarshal([]byte(a.Body), &events); err != nil || len(events) != 1 || events[0].Type != "group.lifecycle.create" {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
	if a := p.okta("GET", "/api/v1/logs?filter="+url.QueryEscape(`client.zone eq "x"`), ""); a.Status != http.StatusBadRequest || a.json(t)["errorCode"] != "E0000031" {
		t.Errorf("an unknown attribute: %d %s", a.Status, a.Body)
	}
	// Each page has its matches, and the next one goes on behind them.
	a := p.okta("GET", "/api/v1/logs?limit=1&q=SUCCESS", "")
	if links := a.Header.Values("Link"); len(links) != 2 || !strings.Contains(links[1], "after=") {
		t.Errorf("links: %v", links)
	}
}

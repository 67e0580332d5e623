package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/app"
)

// behind lets all that a browser sends come from an address, by a proxy that is
// trusted.
type behind struct {
	http.RoundTripper
	address string
}

func (b *behind) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", b.address)
	return b.RoundTripper.RoundTrip(r)
}

// at lets the browser move to an address.
func (b *browser) at(address string) *browser {
	if already, ok := b.http.Transport.(*behind); ok {
		already.address = address
		return b
	}
	b.http.Transport = &behind{b.http.Transport, address}
	return b
}

// logged returns the events of a type, as JSON.
func (p *program) logged(t *testing.T, eventType string) string {
	t.Helper()
	app.FlushLog(t, p.App)
	return p.okta(http.MethodGet, "/api/v1/logs?filter="+url.QueryEscape(`eventType eq "`+eventType+`"`), "").Body
}

// userID returns the id of who has a login.
func (p *program) userID(login string) string {
	p.t.Helper()
	id, _ := p.okta("GET", "/api/v1/users/"+login, "").json(p.t)["id"].(string)
	return id
}

const (
	office    = "203.0.113.5"
	elsewhere = "198.51.100.1"
)

// signOnRules makes a policy for the demo's employees: in the office a password will do
// for a short while, ben is kept out elsewhere, and others need a second factor.
func (p *program) signOnRules() (policy string) {
	p.t.Helper()
	zone := p.made("/api/v1/zones", `{"type":"IP","name":"office","gateways":[{"type":"CIDR","value":"203.0.113.0/24"}]}`)
	var groups []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/groups?q=employees", "").Body), &groups); err != nil || len(groups) != 1 {
		p.t.Fatalf("%v %v", groups, err)
	}
	policy = p.made("/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"staff","conditions":{"people":{"groups":{"include":["`+groups[0].ID+`"]}}}}`)
	rules := "/api/v1/policies/" + policy + "/rules"
	// The shape in which Okta's Terraform provider sends a rule.
	p.made(rules, `{"type":"SIGN_ON","name":"office","priority":1,"status":"ACTIVE","conditions":{"network":{"connection":"ZONE","include":["`+zone+`"]},
		"people":{"users":{"exclude":[]}},"authContext":{"authType":"ANY"},"riskScore":{"level":"ANY"},"identityProvider":{"provider":"ANY"}},
		"actions":{"signon":{"access":"ALLOW","requireFactor":false,"session":{"usePersistentCookie":true,"maxSessionIdleMinutes":30,"maxSessionLifetimeMinutes":60}}}}`)
	p.made(rules, `{"type":"SIGN_ON","name":"not ben","priority":2,"conditions":{"people":{"users":{"include":["`+p.userID("ben@example.com")+`"]}}},"actions":{"signon":{"access":"DENY"}}}`)
	p.made(rules, `{"type":"SIGN_ON","name":"elsewhere","actions":{"signon":{"access":"ALLOW","requireFactor":true,"factorPromptMode":"ALWAYS"}}}`)
	return policy
}

const behindProxy = "version: 1\nserver: { identity: { trusted_proxies: [127.0.0.0/8] } }\n"

// The rules of a sign-on policy decide where people may sign in, with what, and for how
// long, and the system log says why; they hold for who is signed in already as well.
func TestSignOnPolicy(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, write(t, behindProxy), withClock(&ahead))
	p.signOnRules()
	ana, ben, c := p.Ready().Demo.Users[0], p.Ready().Demo.Users[1], p.browserApp()
	b := p.browser(t)
	silent := func() string {
		t.Helper()
		return c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())).Get("error")
	}

	// In the office a password is enough, the cookie stays, and the rule's limits hold.
	page := b.at(office).get("/account")
	got := b.send(b.form(page.at.String(), url.Values{"token": {formToken.FindStringSubmatch(page.body)[1]}, "step": {"signin"}, "identifier": {ana.Login}, "password": {ana.Password}}))
	if set := strings.Join(got.Header.Values("Set-Cookie"), "\n"); !strings.Contains(set, "gatehouse_session=") || !strings.Contains(set, "Max-Age=") {
		t.Errorf("the cookie does not outlive the window: %s", set)
	}
	b.get("/account").has(t, 200, "Last changed")
	if e := silent(); e != "" {
		t.Errorf("in the office: %s", e)
	}
	if log := p.logged(t, "user.session.start"); !strings.Contains(log, "staff / office: all conditions hold") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	ahead.Store(int64(31 * time.Minute))
	if e := silent(); e != "login_required" {
		t.Errorf("idle for longer than the rule says: %q", e)
	}

	// The same browser elsewhere: what the session has shown is not enough any more, for
	// apps, for pages of ours, and for who asks about the session.
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Last changed")
	b.at(elsewhere)
	if e := silent(); e != "interaction_required" {
		t.Errorf("elsewhere: %q", e)
	}
	b.get("/account").has(t, 200, "Set up a second factor")
	b.get("/api/v1/sessions/me").has(t, 200, `"MFA_REQUIRED"`)
	shown := b.post(b.get("/account"), "step", "enroll")
	app := newPhone(p, shown)
	b.post(shown, "step", "enroll", "code", app.code()).has(t, 200, "An authenticator app")
	b.get("/api/v1/sessions/me").has(t, 200, `"ACTIVE"`)
	if e := silent(); e != "" {
		t.Errorf("with a second factor: %q", e)
	}
	// ALWAYS: each sign-in needs it anew (attack identity 66).
	again := b.get(authorizePath + "?" + c.request("prompt", "login", "scope", "openid").Encode())
	asked := b.post(again, "step", "signin", "password", ana.Password)
	asked.has(t, 200, "Code of your authenticator app")
	c.answer(t, b.post(asked, "step", "factor", "code", app.code()))

	// Who is kept out gets no session, by the page or by an app that sees the password.
	other := p.browser(t).at(elsewhere)
	other.signIn(other.get("/account"), ben.Login, ben.Password).has(t, 403, "does not allow you to sign in from here")
	if other.cookie("gatehouse_session") != "" {
		t.Error("a session was begun")
	}
	if log := p.logged(t, "policy.evaluate_sign_on"); !strings.Contains(log, `"DENY"`) || !strings.Contains(log, "staff / office: the request does not come from where the rule says (from 198.51.100.1, which is in none of the zones office); staff / not ben: all conditions hold") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	other.at(office).signIn(other.get("/account"), ben.Login, ben.Password).has(t, 200, "Last changed")
	other.at(elsewhere).get("/account").has(t, 403, "You cannot sign in here")
	if got := c.answer(t, other.get(authorizePath+"?"+c.request("scope", "openid").Encode())); got.Get("error") != "access_denied" {
		t.Errorf("signed in already: %v", got)
	}
	id, secret := p.legacyApp("https://old.test/callback")
	for _, u := range []struct{ login, password string }{{ana.Login, ana.Password}, {ben.Login, ben.Password}} {
		status, got := p.tokenRequest(url.Values{"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {u.login}, "password": {u.password}, "scope": {"openid"}})
		if status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("attack identity 64: %s gets a token by the password alone: %d %v", u.login, status, got)
		}
	}
	p.simulated(t, ben.Login)
}

// In the mode DEVICE a browser is asked once, for as long as the rule says; what it keeps is
// the person's own, no factor, and nothing once the password or the factors are others.
func TestFactorOncePerBrowser(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana, ben, c := p.Ready().Demo.Users[0], p.Ready().Demo.Users[1], p.browserApp()
	_, rule := p.ownPolicy("OKTA_SIGN_ON")
	b := p.browser(t)
	shown := b.post(b.post(b.signIn(b.get("/account"), ana.Login, ana.Password), "do", "enroll"), "step", "enroll")
	app := newPhone(p, shown)
	b.post(shown, "step", "enroll", "code", app.code()).has(t, 200, "An authenticator app")
	b.post(b.get("/account"), "do", "signout")
	p.set(rule, `{"type":"SIGN_ON","name":"Default Rule","actions":{"signon":{"access":"ALLOW","requireFactor":true,"factorPromptMode":"DEVICE","factorLifetime":4320,"rememberDeviceByDefault":true}}}`)

	asked := b.signIn(b.get("/account"), ana.Login, ana.Password)
	asked.has(t, 200, "Code of your authenticator app", "for 3 days", `value="yes" checked`)
	b.post(asked, "step", "factor", "code", app.code(), "remember", "yes").has(t, 200, "Ana Example")
	b.post(b.get("/account"), "do", "signout")
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Ana Example")
	b.get("/api/v1/sessions/me").has(t, 200, `"ACTIVE"`, `"mfaActive":false`)
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid", "acr_values", "urn:okta:loa:2fa:any").Encode())); got.Get("error") != "interaction_required" {
		t.Errorf("attack identity 66: the cookie counts as a factor: %v", got)
	}
	// Another browser, and another person in this one, are asked.
	other := p.browser(t)
	other.signIn(other.get("/account"), ana.Login, ana.Password).has(t, 200, "Code of your authenticator app")
	b.post(b.get("/account"), "do", "signout")
	b.signIn(b.get("/account"), ben.Login, ben.Password).has(t, 200, "Set up a second factor")
	b.get("/account").has(t, 200, "Set up a second factor")

	// The session is over, what the browser keeps is not; after the rule's time it is asked again.
	ahead.Store(int64(13 * time.Hour))
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Ana Example")
	ahead.Store(int64(73 * time.Hour))
	asked = b.signIn(b.get("/account"), ana.Login, ana.Password)
	b.post(asked, "step", "factor", "code", app.code(), "remember", "yes").has(t, 200, "Ana Example")
	b.post(b.get("/account"), "do", "password", "old", ana.Password, "password", "four words make one").has(t, 200, "Your password is changed")
	b.post(b.get("/account"), "do", "signout")
	b.signIn(b.get("/account"), ana.Login, "four words make one").has(t, 200, "Code of your authenticator app")
}

// simulated asks what the policies would say.
func (p *program) simulated(t *testing.T, login string) {
	t.Helper()
	var got []map[string]any
	a := p.okta("POST", "/api/v1/policies/simulate", `{"appInstance":"x","policyTypes":["OKTA_SIGN_ON"],"policyContext":{"user":{"id":"`+p.userID(login)+`"},"groups":{"ids":[]},"ip":"198.51.100.1"}}`)
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != 200 || len(got) != 1 {
		t.Fatalf("simulation: %d %s", a.Status, a.Body)
	}
	result, _ := json.Marshal(got[0]["result"])
	evaluated, _ := json.Marshal(got[0]["evaluated"])
	if !strings.Contains(string(result), `"not ben"`) || !strings.Contains(string(result), "DENY") || !strings.Contains(string(evaluated), "which is in none of the zones office") {
		t.Errorf("simulation: %s", a.Body)
	}
	for _, wrong := range []string{`{"policyTypes":["PASSWORD"]}`, `{"policyContext":{"ip":"x"}}`, `{"policyContext":{"zones":{"ids":["x"]}}}`} {
		if a := p.okta("POST", "/api/v1/policies/simulate", wrong); a.Status != 400 {
			t.Errorf("%s: %d %s", wrong, a.Status, a.Body)
		}
	}
}

// Sign-on policies over the management API: what is not enforced is refused, what the
// tenant came with stays, and priorities hold whoever changes them at once.
func TestManageSignOnPolicies(t *testing.T) {
	p := start(t, "")
	list := p.okta("GET", "/api/v1/policies?type=OKTA_SIGN_ON", "")
	var all []map[string]any
	if err := json.Unmarshal([]byte(list.Body), &all); err != nil || len(all) != 1 || all[0]["system"] != true {
		t.Fatalf("%d %s", list.Status, list.Body)
	}
	own := "/api/v1/policies/" + fmt.Sprint(all[0]["id"])
	ruleList := p.okta("GET", own+"/rules", "")
	var rules []map[string]any
	if err := json.Unmarshal([]byte(ruleList.Body), &rules); err != nil || len(rules) != 1 || !strings.Contains(ruleList.Body, `"maxSessionIdleMinutes":120`) {
		t.Fatalf("%d %s", ruleList.Status, ruleList.Body)
	}
	ownRule := own + "/rules/" + fmt.Sprint(rules[0]["id"])
	made := "/api/v1/policies/" + p.made("/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"one"}`)
	rule := made + "/rules/" + p.made(made+"/rules", `{"type":"SIGN_ON","name":"first"}`)
	zone := p.made("/api/v1/zones", `{"type":"IP","name":"here","gateways":[{"type":"CIDR","value":"203.0.113.0/24"}]}`)
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", made, "", 200},
		{"GET", rule, "", 200},
		{"POST", "/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"one"}`, 400},
		{"POST", "/api/v1/policies", `{"type":"IDP_DISCOVERY","name":"two"}`, 400},
		{"GET", "/api/v1/policies?type=IDP_DISCOVERY", "", 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","conditions":{"risk":{"behaviors":["bhv1"]}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","conditions":{"identityProvider":{"provider":"SPECIFIC_IDP"}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","conditions":{"network":{"connection":"ZONE","include":["nzo1"]}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","actions":{"signon":{"access":"MAYBE"}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","actions":{"signon":{"requireFactor":true}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","actions":{"signon":{"requireFactor":true,"factorPromptMode":"SESSION"}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","actions":{"signon":{"session":{"maxSessionIdleMinutes":0}}}}`, 400},
		{"POST", made + "/rules", `{"type":"SIGN_ON","name":"x","actions":{"signon":{"session":{"maxSessionIdleMinutes":90,"maxSessionLifetimeMinutes":60}}}}`, 400},
		// A zone that a rule names stays; what a client does not send stays too.
		{"PUT", rule, `{"type":"SIGN_ON","name":"first","conditions":{"network":{"connection":"ZONE","exclude":["` + zone + `"]}}}`, 200},
		{"PUT", rule, `{"type":"SIGN_ON","name":"renamed"}`, 200},
		{"POST", "/api/v1/zones/" + zone + "/lifecycle/deactivate", "", 400},
		{"POST", rule + "/lifecycle/deactivate", "", 204},
		{"POST", rule + "/lifecycle/activate", "", 204},
		{"POST", made + "/lifecycle/deactivate", "", 204},
		{"POST", made + "/lifecycle/activate", "", 204},
		{"PUT", made, `{"type":"OKTA_SIGN_ON","name":"renamed","priority":1}`, 200},
		// What the tenant came with.
		{"DELETE", own, "", 403},
		{"DELETE", ownRule, "", 403},
		{"POST", own + "/lifecycle/deactivate", "", 403},
		{"POST", ownRule + "/lifecycle/deactivate", "", 403},
		{"PUT", ownRule, `{"type":"SIGN_ON","name":"Default Rule","conditions":{"people":{"users":{"exclude":["` + p.userID("ana@example.com") + `"]}}},"actions":{"signon":{"session":{"maxSessionIdleMinutes":45}}}}`, 200},
		{"DELETE", rule, "", 204},
		{"GET", rule, "", 404},
		{"DELETE", made, "", 204},
		{"GET", made + "/rules", "", 404},
	} {
		if a := p.okta(tt.method, tt.path, tt.body); a.Status != tt.status {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, a.Status, a.Body)
		}
	}
	if a := p.okta("GET", ownRule, ""); !strings.Contains(a.Body, `"maxSessionIdleMinutes":45`) || strings.Contains(a.Body, p.userID("ana@example.com")) {
		t.Errorf("the tenant's own rule: %s", a.Body)
	}
	p.crowdedPriorities(t)
}

// crowdedPriorities makes policies at once, all of them the first.
func (p *program) crowdedPriorities(t *testing.T) {
	t.Helper()
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if a := p.okta("POST", "/api/v1/policies", fmt.Sprintf(`{"type":"OKTA_SIGN_ON","name":"p%d","priority":1}`, i)); a.Status != 200 {
				t.Errorf("%d %s", a.Status, a.Body)
			}
		})
	}
	wg.Wait()
	var all []struct {
		Priority int  `json:"priority"`
		System   bool `json:"system"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/policies?type=OKTA_SIGN_ON", "").Body), &all); err != nil || len(all) != n+1 || !all[n].System {
		t.Fatalf("%v %v", all, err)
	}
	for i := range n {
		if all[i].Priority != i+1 {
			t.Errorf("priorities %v", all)
		}
	}
}

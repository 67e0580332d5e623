package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ownPolicyOf returns the address of the tenant's own policy of a type.
func (p *program) ownPolicyOf(kind string) (policy string) {
	p.t.Helper()
	var all []map[string]any
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/policies?type="+kind, "").Body), &all); err != nil {
		p.t.Fatal(err)
	}
	for _, one := range all {
		if one["system"] == true {
			policy = "/api/v1/policies/" + fmt.Sprint(one["id"])
		}
	}
	return policy
}

// ownPolicy returns the addresses of the tenant's own policy of a type and of its rule.
func (p *program) ownPolicy(kind string) (policy, rule string) {
	p.t.Helper()
	policy = p.ownPolicyOf(kind)
	var rules []map[string]any
	if err := json.Unmarshal([]byte(p.okta("GET", policy+"/rules", "").Body), &rules); err != nil || len(rules) != 1 {
		p.t.Fatalf("%s: %v %v", kind, rules, err)
	}
	return policy, policy + "/rules/" + fmt.Sprint(rules[0]["id"])
}

// set puts a body, which has to be taken.
func (p *program) set(path, body string) {
	p.t.Helper()
	if a := p.okta("PUT", path, body); a.Status != 200 {
		p.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
}

// A password policy governs wherever a password is chosen: what it has to be, which may
// not be taken again, and how soon; and what people may do by themselves.
func TestPasswordPolicy(t *testing.T) {
	p := start(t, "")
	ana := p.Ready().Demo.Users[0]
	policy, rule := p.ownPolicy("PASSWORD")
	p.set(policy, `{"type":"PASSWORD","name":"Default Policy","settings":{"password":{"complexity":{"minLength":10,"minUpperCase":1,"minNumber":1,"excludeUsername":true,"excludeAttributes":["lastName"]},
		"age":{"historyCount":2}},"recovery":{"factors":{"okta_email":{"status":"ACTIVE","properties":{"recoveryToken":{"tokenLifetimeMinutes":10}}}}}}}`)

	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	account.has(t, 200, "At least 10 characters", "<li>With an upper-case letter.</li><li>With a digit.</li><li>Without your name.</li><li>None of your last 2.</li>", `minlength="10"`)
	change := func(old, next string, status int, says string) {
		t.Helper()
		b.post(b.get("/account"), "do", "password", "old", old, "password", next).has(t, status, says)
	}
	change(ana.Password, "Short 1", 422, "too short")
	change(ana.Password, "four words make one", 422, "lacks letters, digits")
	change(ana.Password, "An Example of 1", 422, "has your name in it")
	change(ana.Password, "Four words make 1", 200, "Your password is changed")
	change("Four words make 1", "Four words make 2", 200, "Your password is changed")
	change("Four words make 2", "Four words make 1", 422, "used this password before")
	change("Four words make 2", "Four words make 3", 200, "Your password is changed")
	change("Four words make 3", "Four words make 1", 200, "Your password is changed") // the last but two

	// Others who set one are bound as well; a temporary one is as the policy wants it.
	user := "/api/v1/users/" + p.userID(ana.Login)
	if a := p.okta("POST", user, `{"credentials":{"password":{"value":"no digit and no capital"}}}`); a.Status != 400 || !strings.Contains(a.Body, "E0000080") {
		t.Errorf("an administrator: %d %s", a.Status, a.Body)
	}
	if a := p.okta("POST", user+"/lifecycle/expire_password?tempPassword=true", ""); a.Status != 200 || !strings.ContainsAny(fmt.Sprint(a.json(t)["tempPassword"]), "0123456789") {
		t.Errorf("a temporary one: %d %s", a.Status, a.Body)
	}
	p.recoveryByPolicy(t, b, policy, rule)

	// Nor can people change it where no rule lets them.
	p.set(rule, `{"type":"PASSWORD","name":"Default Rule","actions":{"passwordChange":{"access":"DENY"},"selfServicePasswordReset":{"access":"ALLOW"},"selfServiceUnlock":{"access":"DENY"}}}`)
	ben := p.Ready().Demo.Users[1]
	b = p.browser(t)
	b.signIn(b.get("/account"), ben.Login, ben.Password).has(t, 200, "does not let you change the password here")
	b.post(b.get("/account"), "do", "password", "old", ben.Password, "password", "Four words make 9").has(t, 403, "does not let you change the password here")
}

// recoveryByPolicy replaces a forgotten password as far as the policy lets people.
func (p *program) recoveryByPolicy(t *testing.T, b *browser, policy, rule string) {
	t.Helper()
	p.letters(5) // that the password was changed; letters on their way at a time come in any order
	page := b.get("/recover")
	b.post(page, "identifier", "ana").has(t, 200, "not good for long")
	letter := p.letters(6)[0]
	if link := linkOf(t, letter, "ana@example.com"); !strings.Contains(letter.Text, "good once, until") {
		t.Errorf("a letter that does not say until when:\n%s", letter.Text)
	} else {
		opened := b.get(link)
		opened.has(t, 200, "At least 10 characters", "None of your last 2.")
		b.post(opened, "password", "no digit and no capital").has(t, 422, "lacks letters, digits")
		b.post(opened, "password", "Four words make 5").has(t, 200, "Your password is saved")
	}
	n := len(p.letters(7))
	user := "/api/v1/users/" + p.userID("ana@example.com")
	for _, denied := range []string{
		`{"type":"PASSWORD","name":"Default Rule","actions":{"selfServicePasswordReset":{"access":"DENY"}}}`,
		`{"type":"PASSWORD","name":"Default Rule","conditions":{"people":{"users":{"include":[]}}},"actions":{"selfServicePasswordReset":{"access":"ALLOW"}}}`,
	} {
		p.set(rule, denied)
		if strings.Contains(denied, "ALLOW") {
			p.set(policy, `{"type":"PASSWORD","name":"Default Policy","settings":{"recovery":{"factors":{"okta_email":{"status":"INACTIVE"}}}}}`)
		}
		b.post(page, "identifier", "ana").has(t, 200, "not good for long") // as ever
		if a := p.okta("POST", user+"/credentials/forgot_password?sendEmail=false", ""); a.Status != 403 || !strings.Contains(a.Body, "E0000034") {
			t.Errorf("the management API: %d %s", a.Status, a.Body)
		}
	}
	// The welcome of another person is behind those that were not written.
	p.made("/api/v1/users?activate=true", `{"profile":{"login":"new@example.com","email":"new@example.com","firstName":"N","lastName":"N"}}`)
	if got := p.letters(n + 1); got[0].To != "new@example.com" || len(got) != n+1 {
		t.Errorf("%d letters, the last to %s: %s", len(got), got[0].To, got[0].Subject)
	}
}

// Passwords grow old and guesses are counted as the policy says. attack identity 63: who
// is locked out learns nothing, and a right password opens nothing, by any way.
func TestPasswordAgeAndLockout(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, "", withClock(&ahead))
	ana, ben := p.Ready().Demo.Users[0], p.Ready().Demo.Users[1]
	policy, _ := p.ownPolicy("PASSWORD")
	p.set(policy, `{"type":"PASSWORD","name":"Default Policy","settings":{"password":{"age":{"maxAgeDays":20,"expireWarnDays":10,"minAgeMinutes":60},"lockout":{"maxAttempts":3,"autoUnlockMinutes":0}}}}`)
	id, secret := p.legacyApp("https://old.test/callback")
	byApp := func(login, password string) int {
		status, _ := p.tokenRequest(url.Values{"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {login}, "password": {password}, "scope": {"openid"}})
		return status
	}
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	b.post(account, "do", "password", "old", ana.Password, "password", "four words make one").has(t, 422, "changed just now")
	ahead.Store(int64(15 * 24 * time.Hour))
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "expires in 5 days")
	if status := byApp(ana.Login, ana.Password); status != 200 {
		t.Errorf("an app gets %d for a password that is good", status)
	}
	ahead.Store(int64(21 * 24 * time.Hour))
	if status := byApp(ana.Login, ana.Password); status != 400 {
		t.Errorf("attack identity 64: an app gets %d for an expired password", status)
	}
	expired := b.signIn(b.get("/account"), ana.Login, ana.Password)
	expired.has(t, 200, "has expired")
	b.get("/account").has(t, 200, "has expired")
	b.post(expired, "step", "password", "old", ana.Password, "password", "four words make one").has(t, 200, "Ana Example")
	if status := byApp(ana.Login, "four words make one"); status != 200 {
		t.Errorf("the new one: %d", status)
	}

	texts := map[string]bool{}
	for i := range 9 {
		got := b.signIn(p.freshSignIn(t, &b), ben.Login, []string{"wrong", ben.Password}[i/8])
		got.has(t, 401, "do not match")
		texts[got.body[strings.Index(got.body, `role="alert"`):strings.Index(got.body, "</p>")+40]] = true
	}
	if len(texts) != 1 {
		t.Errorf("the answers tell apart: %v", texts)
	}
	user := "/api/v1/users/" + p.userID(ben.Login)
	if status := p.okta("GET", user, "").json(t)["status"]; status != "LOCKED_OUT" {
		t.Errorf("after three wrong ones: %v", status)
	}
	if status := byApp(ben.Login, ben.Password); status != 400 {
		t.Errorf("locked out, and an app gets %d", status)
	}
	if a := p.okta("POST", user+"/lifecycle/unlock", ""); a.Status != http.StatusOK && a.Status != http.StatusNoContent {
		t.Errorf("unlock: %d %s", a.Status, a.Body)
	}
	b.signIn(p.freshSignIn(t, &b), ben.Login, ben.Password).has(t, 200, "has expired")
}

// freshSignIn returns the page for signing in of a browser that has no session.
func (p *program) freshSignIn(t *testing.T, b **browser) *seen {
	t.Helper()
	*b = p.browser(t)
	return (*b).get("/account")
}

// An enrollment policy says which second factors people may have, by every way to one,
// and which they must.
func TestEnrollmentPolicy(t *testing.T) {
	p := start(t, "", withName(t))
	ana := p.Ready().Demo.Users[0]
	policy, rule := p.ownPolicy("MFA_ENROLL")
	p.set(policy, `{"type":"MFA_ENROLL","name":"Default Policy","settings":{"type":"AUTHENTICATORS","authenticators":[
		{"key":"okta_email","enroll":{"self":"NOT_ALLOWED"}},{"key":"webauthn","enroll":{"self":"NOT_ALLOWED"}},{"key":"google_otp","enroll":{"self":"OPTIONAL"}},{"key":"duo","enroll":{"self":"NOT_ALLOWED"}}]}}`)
	b := p.browser(t)
	account := b.signIn(b.get("/account"), ana.Login, ana.Password)
	account.has(t, 200, `value="enroll"`)
	for _, gone := range []string{"Add a passkey", `value="mail"`} {
		if strings.Contains(account.body, gone) {
			t.Errorf("the page offers %q", gone)
		}
	}
	for _, do := range []string{"passkey", "mail"} {
		b.post(account, "do", do).has(t, 200, "None yet")
	}
	user := "/api/v1/users/" + p.userID(ana.Login)
	if a := p.okta("POST", user+"/factors", `{"factorType":"email","provider":"OKTA","profile":{"email":"ana@example.com"}}`); a.Status != 403 {
		t.Errorf("the management API: %d %s", a.Status, a.Body)
	}
	// Demanded, and the one that may be had is offered alone.
	c := p.browserApp()
	asked := b.get(authorizePath + "?" + c.request("acr_values", "urn:okta:loa:2fa:any", "scope", "openid").Encode())
	asked.has(t, 200, "Set up a second factor", "Begin")
	if strings.Contains(asked.body, "passkey") || strings.Contains(asked.body, `name="mail"`) {
		t.Errorf("more is offered:\n%s", asked.body)
	}
	b.post(asked, "step", "enroll", "mail", "1").has(t, 200, "Begin") // a form that was made up

	// Where none may be had, what is demanded cannot be reached, and the app is told so.
	p.set(policy, `{"type":"MFA_ENROLL","name":"Default Policy","settings":{"factors":{"okta_otp":{"enroll":{"self":"NOT_ALLOWED"}}}}}`)
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("acr_values", "urn:okta:loa:2fa:any", "scope", "openid").Encode())); got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("none may be had: %v", got)
	}

	// What people must have is set up with the next sign-in; the page comes after it.
	p.set(policy, `{"type":"MFA_ENROLL","name":"Default Policy","settings":{"factors":{"okta_otp":{"enroll":{"self":"REQUIRED"}}}}}`)
	p.set(rule, `{"type":"MFA_ENROLL","name":"Default Rule","actions":{"enroll":{"self":"LOGIN"}}}`)
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())); got.Get("error") != "interaction_required" {
		t.Errorf("silently: %v", got)
	}
	b = p.browser(t)
	must := b.signIn(b.get("/account"), ana.Login, ana.Password)
	must.has(t, 200, "Set up a second factor")
	shown := b.post(must, "step", "enroll")
	b.post(shown, "step", "enroll", "code", newPhone(p, shown).code()).has(t, 200, "Ana Example", "An authenticator app")
	if got := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())); got.Get("code") == "" {
		t.Errorf("with it: %v", got)
	}
}

// The policy of an app holds for every way to sign in to it, and for nothing else.
func TestAppSignOnPolicy(t *testing.T) {
	var ahead atomic.Int64
	p := start(t, write(t, behindProxy), withClock(&ahead))
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	zone := p.made("/api/v1/zones", `{"type":"IP","name":"office","gateways":[{"type":"CIDR","value":"203.0.113.0/24"}]}`)
	policy := p.made("/api/v1/policies", `{"type":"ACCESS_POLICY","name":"payroll"}`)
	rules := "/api/v1/policies/" + policy + "/rules"
	p.made(rules, `{"type":"ACCESS_POLICY","name":"office","priority":1,"conditions":{"network":{"connection":"ZONE","include":["`+zone+`"]}},
		"actions":{"appSignOn":{"access":"ALLOW","verificationMethod":{"type":"ASSURANCE","factorMode":"1FA","reauthenticateIn":"PT10M","constraints":[{"knowledge":{"types":["PASSWORD"]}}]}}}}`)
	deny := p.made(rules, `{"type":"ACCESS_POLICY","name":"not ben","conditions":{"people":{"users":{"include":["`+p.userID("ben@example.com")+`"]}}},"actions":{"appSignOn":{"access":"DENY"}}}`)
	assign := func(app string) {
		t.Helper()
		if a := p.okta("PUT", "/api/v1/apps/"+app+"/policies/"+policy, ""); a.Status != 204 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	assign(c.id)
	id, secret := p.legacyApp("https://old.test/callback")
	assign(id)
	b := p.browser(t)
	silent := func() string {
		t.Helper()
		return c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())).Get("error")
	}
	b.at(office).signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "None yet") // the account page is no app
	if e := silent(); e != "" {
		t.Errorf("in the office: %s", e)
	}
	ahead.Store(int64(11 * time.Minute))
	if e := silent(); e != "login_required" {
		t.Errorf("after reauthenticateIn: %q", e)
	}
	again := b.get(authorizePath + "?" + c.request("scope", "openid").Encode())
	again.has(t, 200, "Confirm it is you")
	c.answer(t, b.post(again, "step", "signin", "password", ana.Password))

	// Elsewhere the rule that came with the policy counts: two factors.
	b.at(elsewhere)
	if e := silent(); e != "interaction_required" {
		t.Errorf("elsewhere: %q", e)
	}
	status, got := p.tokenRequest(url.Values{"grant_type": {"password"}, "client_id": {id}, "client_secret": {secret}, "username": {ana.Login}, "password": {ana.Password}, "scope": {"openid"}})
	if status != 400 || got["error"] != "invalid_grant" {
		t.Errorf("attack identity 64: a token by the password alone: %d %v", status, got)
	}
	asked := b.get(authorizePath + "?" + c.request("scope", "openid").Encode())
	asked.has(t, 200, "Set up a second factor")
	shown := b.post(asked, "step", "enroll")
	app := newPhone(p, shown)
	c.answer(t, b.post(shown, "step", "enroll", "code", app.code()))
	if e := silent(); e != "" {
		t.Errorf("with two factors: %s", e)
	}

	// Who is kept out is told by the app, and is in everywhere else.
	ben := p.Ready().Demo.Users[1]
	other := p.browser(t).at(elsewhere)
	other.signIn(other.get("/account"), ben.Login, ben.Password).has(t, 200, "Last changed")
	if got := c.answer(t, other.get(authorizePath+"?"+c.request("scope", "openid").Encode())); got.Get("error") != "access_denied" {
		t.Errorf("kept out: %v", got)
	}
	if log := p.logged(t, "policy.evaluate_sign_on"); !strings.Contains(log, "payroll / not ben: all conditions hold") || !strings.Contains(log, policy) {
		t.Errorf("the log does not say why:\n%s", log)
	}
	if a := p.okta("DELETE", rules+"/"+deny, ""); a.Status != 204 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.okta("DELETE", "/api/v1/policies/"+policy, ""); a.Status == 204 {
		t.Error("a policy went that apps name")
	}
}

// Policies over the management API: what is not enforced is refused, and what was sent is
// shown as it was.
func TestManagePeoplePolicies(t *testing.T) {
	p := start(t, "")
	for _, tt := range []struct{ kind, refused, rule, refusedRule string }{
		{
			"PASSWORD", `{"password":{"lockout":{"maxAttempts":0}}} {"password":{"lockout":{"showLockoutFailures":true}}} {"password":{"complexity":{"minLength":65}}} {"password":{"complexity":{"dictionary":{"common":{"exclude":true}}}}}
			{"password":{"complexity":{"oelStatement":"x"}}} {"password":{"age":{"historyCount":25}}} {"password":{"age":{"maxAgeDays":1,"minAgeMinutes":1440}}} {"recovery":{"factors":{"okta_sms":{"status":"ACTIVE"}}}} {"password":{"breachedProtection":{"expireAfterDays":1}}} []`,
			`{"passwordChange":{"access":"DENY"}}`, `{"passwordChange":{"access":"MAYBE"}} {"selfServicePasswordReset":{"access":"ALLOW","requirement":{"primary":{"methods":["sms"]}}}}`,
		},
		{
			"MFA_ENROLL", `{"authenticators":[{"key":"duo","enroll":{"self":"OPTIONAL"}}]} {"authenticators":[{"key":"webauthn","enroll":{"self":"MAYBE"}}]} {"type":"OTHER"}
			{"authenticators":[{"key":"google_otp","enroll":{"self":"OPTIONAL"}},{"key":"okta_otp","enroll":{"self":"REQUIRED"}}]} {"authenticators":[{"key":"webauthn","enroll":{"self":"OPTIONAL"},"constraints":{"aaguidGroups":["x"]}}]}`,
			`{"enroll":{"self":"LOGIN"}}`, `{"enroll":{"self":"SOON"}}`,
		},
		{
			"ACCESS_POLICY", "", `{"appSignOn":{"access":"ALLOW","verificationMethod":{"type":"ASSURANCE","factorMode":"2FA","reauthenticateIn":"PT2H","inactivityPeriod":"PT1H","constraints":[]}}}`,
			`{"appSignOn":{"access":"MAYBE"}} {"appSignOn":{"verificationMethod":{"factorMode":"3FA"}}} {"appSignOn":{"verificationMethod":{"factorMode":"1FA","reauthenticateIn":"P1M"}}} {"appSignOn":{"verificationMethod":{"type":"AUTH_METHOD_CHAIN","factorMode":"1FA"}}}
			{"appSignOn":{"verificationMethod":{"factorMode":"2FA","constraints":[{"possession":{"hardwareProtection":"REQUIRED"}}]}}} {"appSignOn":{"verificationMethod":{"factorMode":"2FA","constraints":[{},{}]}}}`,
		},
	} {
		policy := "/api/v1/policies/" + p.made("/api/v1/policies", `{"type":"`+tt.kind+`","name":"one"}`)
		for _, settings := range strings.Fields(tt.refused) {
			if a := p.okta("PUT", policy, `{"type":"`+tt.kind+`","name":"one","settings":`+settings+`}`); a.Status != 400 {
				t.Errorf("%s %s: %d %s", tt.kind, settings, a.Status, a.Body)
			}
		}
		rule := policy + "/rules/" + p.made(policy+"/rules", `{"type":"`+tt.kind+`","name":"first","actions":`+tt.rule+`}`)
		if a := p.okta("GET", rule, ""); !strings.Contains(a.Body, strings.Trim(tt.rule[strings.IndexByte(tt.rule, ':')+1:], "{}")[:14]) {
			t.Errorf("%s: %s", tt.kind, a.Body)
		}
		for _, actions := range append(strings.Fields(tt.refusedRule), `{"signon":{"access":"MAYBE"}},"type":"SIGN_ON"`) {
			if a := p.okta("POST", policy+"/rules", `{"name":"x","actions":`+actions+`}`); a.Status != 400 {
				t.Errorf("%s %s: %d %s", tt.kind, actions, a.Status, a.Body)
			}
		}
		own := p.ownPolicyOf(tt.kind)
		for _, call := range []struct {
			method, path string
			status       int
		}{{"DELETE", own, 403}, {"POST", rule + "/lifecycle/deactivate", 204}, {"POST", rule + "/lifecycle/activate", 204}, {"DELETE", rule, 204}, {"GET", rule, 404}, {"DELETE", policy, 204}, {"GET", policy, 404}} {
			if a := p.okta(call.method, call.path, ""); a.Status != call.status {
				t.Errorf("%s %s %s: %d %s", tt.kind, call.method, call.path, a.Status, a.Body)
			}
		}
	}
}

package app_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/app"
	"gatehouse/internal/geo/geotest"
)

const (
	berlin = "203.0.113.5"
	tokyo  = "198.51.100.1"
	unseen = "192.0.2.1" // of no known place
)

// What is new about a sign-in raises what it has to show, as the rules say: a browser, a
// network, a country, a distance. The system log and the person's activity say what.
func TestAdaptiveSignOn(t *testing.T) {
	cities := filepath.Join(t.TempDir(), "cities.mmdb")
	if err := os.WriteFile(cities, geotest.File(map[string]geotest.Value{
		"203.0.113.0/24": geotest.City("DE", 52.52, 13.40), "198.51.100.0/24": geotest.City("JP", 35.68, 139.69),
	}), 0o600); err != nil {
		t.Fatal(err)
	}
	var ahead atomic.Int64
	p := start(t, write(t, fmt.Sprintf("version: 1\nserver: { identity: { trusted_proxies: [127.0.0.0/8] }, geo: { country: %s } }\n", cities)), withClock(&ahead))
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t).at(berlin)
	b.signIn(b.get("/account"), ana.Login, ana.Password).has(t, 200, "Last changed")
	if log := p.logged(t, "user.session.start"); !strings.Contains(log, `"level":"MEDIUM","reasons":["a browser that the person has not signed in with before","a network that the person has not signed in from before"]`) {
		t.Errorf("the first sign-in:\n%s", log)
	}
	b.get("/account/activity").has(t, 200, "New browser · New network")

	// Where somebody was goes with them, and not before.
	ben := p.Ready().Demo.Users[1]
	other := p.browser(t).at(tokyo)
	other.signIn(other.get("/account"), ben.Login, ben.Password).has(t, 200, "Last changed")
	id, _ := p.okta("GET", "/api/v1/users/"+ben.Login, "").json(t)["id"].(string)
	for i, want := range []int{1, 1, 0} { // signed in, deactivated, deleted
		if i > 0 {
			if a := p.okta("DELETE", "/api/v1/users/"+id, ""); a.Status != 204 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		if n := app.KnownPlaces(t, p.App, id); n != want {
			t.Errorf("after %d deletions %d places are known, want %d", i, n, want)
		}
	}

	policy := p.made("/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"adaptive"}`)
	rules := "/api/v1/policies/" + policy + "/rules"
	p.made(rules, `{"type":"SIGN_ON","name":"too risky","conditions":{"riskScore":{"level":"HIGH"}},"actions":{"signon":{"access":"DENY"}}}`)
	p.made(rules, `{"type":"SIGN_ON","name":"unusual","conditions":{"riskScore":{"level":"MEDIUM"}},"actions":{"signon":{"access":"ALLOW","requireFactor":true,"factorPromptMode":"ALWAYS"}}}`)
	anew := func(b *browser) *seen {
		t.Helper()
		return b.signIn(b.get(authorizePath+"?"+c.request("prompt", "login", "scope", "openid").Encode()), ana.Login, ana.Password)
	}
	silent := func(b *browser) string {
		t.Helper()
		return c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none", "scope", "openid").Encode())).Get("error")
	}

	// The session itself was begun with everything new: it needs the second factor now.
	if e := silent(b); e != "interaction_required" {
		t.Errorf("the first session: %q", e)
	}
	b.post(b.get("/account"), "step", "switch")
	// The known browser, and another one in the known network.
	c.answer(t, anew(b))
	other = p.browser(t).at(berlin)
	c.answer(t, anew(other))
	// Another one from elsewhere: it stays new until it has shown what was asked for.
	for range 2 {
		thief := p.browser(t).at(unseen)
		anew(thief).has(t, 200, "Set up a second factor")
	}
	// A session whose cookie turns up at the other end of the world.
	b.at(tokyo)
	if e := silent(b); e != "access_denied" {
		t.Errorf("a stolen cookie: %q", e)
	}
	page := b.get("/account")
	page.has(t, 403, "You cannot sign in here")
	if log := p.logged(t, "policy.evaluate_sign_on"); !strings.Contains(log, "km from the last sign-in") || !strings.Contains(log, "adaptive / too risky: all conditions hold") {
		t.Errorf("the log does not say why:\n%s", log)
	}
	// A day later one can be there: another country is unusual, and no more.
	ahead.Store(int64(24 * time.Hour))
	shown := anew(b)
	shown.has(t, 200, "Set up a second factor")
	begun := b.post(shown, "step", "enroll")
	phone := newPhone(p, begun)
	c.answer(t, b.post(begun, "step", "enroll", "code", phone.code()))
	b.get("/account/activity").has(t, 200, "New country")
	// Three wrong passwords, from another browser and network in the next country.
	thief := p.browser(t).at(unseen)
	for range 3 {
		at := thief.get("/account")
		thief.send(thief.form(at.at.String(), url.Values{"token": {formToken.FindStringSubmatch(at.body)[1]}, "step": {"signin"}, "identifier": {ana.Login}, "password": {"wrong-password"}})).has(t, 401)
	}
	anew(thief).has(t, 200, "Code of your authenticator app")
	if log := p.logged(t, "user.session.start"); !strings.Contains(log, "3 wrong passwords right before") {
		t.Errorf("the log does not say what came before:\n%s", log)
	}
}

// An access rule about the risk holds for people whose sign-in was of that level, and the
// preview says why it does not for others.
func TestRulesAboutRisk(t *testing.T) {
	p := start(t, "")
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	server := p.made("/api/v1/authorizationServers", `{"name":"calm","audiences":["api://calm"]}`)
	at := "/api/v1/authorizationServers/" + server
	p.made(at+"/scopes", `{"name":"a"}`)
	policy := p.made(at+"/policies", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p","description":"p","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	rule := func(risk string) string {
		return `{"type":"RESOURCE_ACCESS","name":"as ever","priority":1,"conditions":{"people":{"users":{},"groups":{"include":["EVERYONE"]}},
			"grantTypes":{"include":["authorization_code","client_credentials"]},"scopes":{"include":["*"]}` + risk + `},
			"actions":{"token":{"accessTokenLifetimeMinutes":10,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`
	}
	id := p.made(at+"/policies/"+policy+"/rules", rule(`,"riskScore":{"level":"LOW"}`))
	if a := p.okta("PUT", at+"/policies/"+policy+"/rules/"+id, rule("")); !strings.Contains(a.Body, `"riskScore":{"level":"LOW"}`) {
		t.Fatalf("a client that does not know the condition takes it out: %d %s", a.Status, a.Body)
	}
	if a := p.okta("PUT", at+"/policies/"+policy+"/rules/"+id, rule(`,"riskScore":{"level":"SOME"}`)); a.Status != 400 {
		t.Errorf("a level that there is not: %d %s", a.Status, a.Body)
	}
	authorize := "/oauth2/" + server + "/v1/authorize?" + c.request("scope", "a").Encode()
	b := p.browser(t)
	// The first sign-in of all is MEDIUM, the next one with the same browser LOW.
	if got := c.answer(t, b.signIn(b.get(authorize), ana.Login, ana.Password)); got.Get("error") != "access_denied" {
		t.Errorf("the first sign-in: %v", got)
	}
	b.post(b.get("/account"), "do", "signout")
	if got := c.answer(t, b.signIn(b.get(authorize), ana.Login, ana.Password)); got.Get("code") == "" {
		t.Errorf("as ever: %v", got)
	}
	admin := p.admin()
	for risk, granted := range map[string]bool{"LOW": true, "HIGH": false, "": false} {
		v, err := admin.Preview(t.Context(), server, client.PreviewRequest{ClientID: c.id, User: ana.Login, Scopes: []string{"a"}, Risk: risk})
		if err != nil || v.Granted != granted {
			t.Fatalf("preview at %q: %+v %v", risk, v, err)
		}
		if last := v.Considered[len(v.Considered)-1]; !granted && last.Reason != access.BecauseRisk {
			t.Errorf("preview at %q: %+v", risk, v.Considered)
		}
	}
}

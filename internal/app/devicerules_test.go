package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/access"
)

// shows lets all that a browser sends come with a client certificate, as a proxy says that
// is trusted.
type shows struct {
	http.RoundTripper
	certificate string
}

func (s *shows) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Client-Cert", s.certificate)
	return s.RoundTripper.RoundTrip(r)
}

// holding lets the browser show the certificate in a file from now on.
func (b *browser) holding(file string) *browser {
	b.t.Helper()
	der, _ := certOf(b.t, file)
	b.http.Transport = &shows{b.http.Transport, ":" + base64.StdEncoding.EncodeToString(der) + ":"}
	return b
}

// deviceServer is an authorization server with one rule.
type deviceServer struct {
	*program
	c                      *relyingApp
	server, address, rules string
	rule                   string
}

func (p *program) deviceServer() *deviceServer {
	p.t.Helper()
	d := &deviceServer{program: p, c: p.browserApp()}
	d.server = p.made("/api/v1/authorizationServers", `{"name":"known devices","audiences":["api://devices"]}`)
	at := "/api/v1/authorizationServers/" + d.server
	p.made(at+"/scopes", `{"name":"a"}`)
	policy := p.made(at+"/policies", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p","description":"p","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	d.address, d.rules = "/oauth2/"+d.server+"/v1/", at+"/policies/"+policy+"/rules"
	d.rule = p.made(d.rules, d.body(`,"device":{"registered":true}`))
	return d
}

func (*deviceServer) body(device string) string {
	return `{"type":"RESOURCE_ACCESS","name":"known","priority":1,"conditions":{"people":{"users":{},"groups":{"include":["EVERYONE"]}},
		"grantTypes":{"include":["authorization_code","client_credentials"]},"scopes":{"include":["*"]}` + device + `},
		"actions":{"token":{"accessTokenLifetimeMinutes":10,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`
}

// is makes the rule's condition about devices another.
func (d *deviceServer) is(device string) answer {
	d.t.Helper()
	return d.okta(http.MethodPut, d.rules+"/"+d.rule, d.body(device))
}

// asks asks for a code, with whoever is signed in.
func (d *deviceServer) asks(b *browser, scope string) url.Values {
	d.t.Helper()
	return d.c.answer(d.t, b.get(d.address+"authorize?"+d.c.request("scope", scope, "prompt", "none").Encode()))
}

// token asks the token endpoint, and returns what it says.
func (d *deviceServer) token(b *browser, pairs ...string) map[string]any {
	d.t.Helper()
	q := url.Values{"client_id": {d.c.id}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	a := d.request(http.MethodPost, d.Ready().Identity+d.address+"token", "", q.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return a.json(d.t)
}

// refreshable gets a refresh token.
func (d *deviceServer) refreshable(b *browser) string {
	d.t.Helper()
	body := d.token(b, "grant_type", "authorization_code", "code", d.asks(b, "a offline_access").Get("code"), "redirect_uri", d.c.redirect, "code_verifier", d.c.verifier)
	token, _ := body["refresh_token"].(string)
	if token == "" {
		d.t.Fatalf("no refresh token: %v", body)
	}
	return token
}

const devicesFile = `
version: 1
server:
  identity:
    trusted_proxies: 127.0.0.0/8
    client_cert_header: client-cert
    device_ca: %s
`

// An access rule about devices holds for people who sign in with a key that is in the
// device, or on a device that its management vouches for; for as long as both are good.
func TestRulesAboutDevices(t *testing.T) {
	ca, strangers := newAuthority(t), newAuthority(t)
	p := start(t, write(t, fmt.Sprintf(devicesFile, filepath.Join(ca.dir, "ca.pem"))), withName(t))
	ana, d := p.Ready().Demo.Users[0], p.deviceServer()
	if a := d.is(""); !strings.Contains(a.Body, `"device":{"registered":true}`) {
		t.Fatalf("a client that does not know the condition takes it out: %d %s", a.Status, a.Body)
	}
	for body, path := range map[string]string{
		`{"registered":true,"assurance":{"include":["dae1"]}}`: "assurance: ",
		`{"platform":{"types":["IOS"]}}`:                       "platform: ",
		`{"rooted":false}`:                                     "rooted: ",
		`{"trustLevel":"TRUSTED"}`:                             "trustLevel: ",
		`{"registered":false}`:                                 "registered: ",
		`{"managed":true}`:                                     "registered: ",
		`{"registered":"yes"}`:                                 "device: ",
		`{"registered":true,"colour":"red"}`:                   "colour: ",
		`["registered"]`:                                       "device: ",
	} {
		if a := d.is(`,"device":` + body); a.Status != http.StatusBadRequest || !strings.Contains(a.Body, path) {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}

	// A password tells nothing of the device; a passkey in it does, from its first use on.
	b, key := p.browser(t), p.device()
	b.addPasskey(ana.Login, ana.Password, key)
	if got := d.asks(b, "a"); got.Get("error") != "access_denied" {
		t.Errorf("by the password: %v", got)
	}
	with := func(change func()) url.Values {
		t.Helper()
		b.post(b.get("/account"), "do", "signout")
		change()
		b.passkey(b.get("/account"), "signin", key).has(t, 200, "Ana Example")
		return d.asks(b, "a")
	}
	if got := with(func() { key.Apart = true }); got.Get("error") != "access_denied" {
		t.Errorf("by a passkey in another device: %v", got)
	}
	if got := with(func() { key.Apart = false }); got.Get("code") == "" {
		t.Errorf("by a passkey in the device: %v", got)
	}
	refresh := d.refreshable(b)
	body := d.token(b, "grant_type", "refresh_token", "refresh_token", refresh)
	if refresh, _ = body["refresh_token"].(string); refresh == "" {
		t.Fatalf("refreshed: %v", body)
	}
	d.is(`,"device":{"registered":true,"managed":true}`)
	if body := d.token(b, "grant_type", "refresh_token", "refresh_token", refresh); body["error"] != "access_denied" {
		t.Errorf("a refresh under a stricter rule: %v", body)
	}
	d.is(`,"device":{"registered":true,"managed":false}`)
	account := b.get("/account")
	b.post(account, "do", "remove", "id", factorID(t, account)).has(t, 200, "is removed")
	if body := d.token(b, "grant_type", "refresh_token", "refresh_token", refresh); body["error"] == nil {
		t.Errorf("a refresh after the passkey was removed: %v", body)
	}
	d.managed(ca, strangers)
	for device, granted := range map[string]bool{"managed": true, "registered": false, "": false} {
		v, err := p.admin().Preview(t.Context(), d.server, client.PreviewRequest{ClientID: d.c.id, User: ana.Login, Scopes: []string{"a"}, Device: device})
		if err != nil || v.Granted != granted {
			t.Fatalf("preview of %q: %+v %v", device, v, err)
		}
		if last := v.Considered[len(v.Considered)-1]; !granted && last.Reason != access.BecauseDevice {
			t.Errorf("preview of %q: %+v", device, v.Considered)
		}
	}
	if _, err := p.admin().Preview(t.Context(), d.server, client.PreviewRequest{ClientID: d.c.id, Device: "blessed"}); err == nil {
		t.Error("a preview of a device that there is not")
	}
}

// managed signs in on devices with certificates, and asks for an app that acts for itself.
func (d *deviceServer) managed(ca, strangers *authority) {
	t := d.t
	t.Helper()
	if a := d.is(`,"device":{"registered":true,"managed":true}`); a.Status != http.StatusOK || !strings.Contains(a.Body, `"device":{"registered":true,"managed":true}`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	ben := d.Ready().Demo.Users[1]
	good, _ := ca.device(7)
	bad, _ := strangers.device(7)
	in := func(file string) *browser {
		b := d.browser(t).holding(file)
		b.signIn(b.get("/account"), ben.Login, ben.Password).has(t, 200, "Last changed")
		return b
	}
	if got := d.asks(in(bad), "a"); got.Get("error") != "access_denied" {
		t.Errorf("a certificate of another authority: %v", got)
	}
	b := in(good)
	refresh := d.refreshable(b)
	demo := d.Ready().Demo
	service := func(header ...string) answer {
		basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(demo.ClientID+":"+demo.ClientSecret))
		return d.request(http.MethodPost, d.Ready().Identity+d.address+"token", "", "grant_type=client_credentials&scope=a",
			append([]string{"Authorization", basic, "Content-Type", "application/x-www-form-urlencoded"}, header...)...)
	}
	der, _ := certOf(t, good)
	shown := []string{"Client-Cert", ":" + base64.StdEncoding.EncodeToString(der) + ":"}
	if a := service(); a.Status == http.StatusOK {
		t.Errorf("an app on a machine without a certificate: %d %s", a.Status, a.Body)
	}
	if a := service(shown...); a.Status != http.StatusOK {
		t.Errorf("an app on a machine with one: %d %s", a.Status, a.Body)
	}
	// The device is lost.
	if err := d.admin().Revoke(t.Context(), client.Revocation{Kind: "certificate", Value: thumbprint(der)}); err != nil {
		t.Fatal(err)
	}
	if body := d.token(b, "grant_type", "refresh_token", "refresh_token", refresh); body["error"] != "access_denied" {
		t.Errorf("a refresh after the certificate was revoked: %v", body)
	}
	if a := service(shown...); a.Status == http.StatusOK {
		t.Errorf("an app with a revoked certificate: %d %s", a.Status, a.Body)
	}
	if got := d.asks(b, "a"); got.Get("error") != "access_denied" {
		t.Errorf("a browser with a revoked certificate: %v", got)
	}
}

// A rule of an app's sign-on policy that is about devices lets nobody in on others; rules of
// other policies cannot be about them.
func TestAppPoliciesAboutDevices(t *testing.T) {
	ca := newAuthority(t)
	p := start(t, write(t, fmt.Sprintf(devicesFile, filepath.Join(ca.dir, "ca.pem"))), withName(t))
	users, c := p.Ready().Demo.Users, p.browserApp()
	policy := p.made("/api/v1/policies", `{"type":"ACCESS_POLICY","name":"known devices"}`)
	rules := "/api/v1/policies/" + policy + "/rules"
	body := func(name, conditions, decision string) string {
		return `{"type":"ACCESS_POLICY","name":"` + name + `","conditions":{` + conditions + `},"actions":{"appSignOn":{"access":"` + decision + `","verificationMethod":{"type":"ASSURANCE","factorMode":"1FA"}}}}`
	}
	rule := p.made(rules, body("registered", `"device":{"registered":true}`, "ALLOW"))
	p.made(rules, body("others", ``, "DENY"))
	if a := p.okta(http.MethodPut, "/api/v1/apps/"+c.id+"/policies/"+policy, ""); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, wrong := range []string{`"device":{"registered":false}`, `"device":{"registered":true,"assurance":{"include":["dae1"]}}`} {
		if a := p.okta(http.MethodPut, rules+"/"+rule, body("registered", wrong, "ALLOW")); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", wrong, a.Status, a.Body)
		}
	}
	session := p.made("/api/v1/policies", `{"type":"OKTA_SIGN_ON","name":"sessions"}`)
	if a := p.okta(http.MethodPost, "/api/v1/policies/"+session+"/rules", `{"type":"SIGN_ON","name":"x","conditions":{"device":{"registered":true}},"actions":{"signon":{"access":"ALLOW","session":{"maxSessionIdleMinutes":30}}}}`); a.Status != http.StatusBadRequest {
		t.Errorf("a rule about sessions: %d %s", a.Status, a.Body)
	}
	asks := func(b *browser) url.Values {
		t.Helper()
		return c.answer(t, b.get(authorizePath+"?"+c.request("scope", "openid", "prompt", "none").Encode()))
	}
	b, key := p.browser(t), p.device()
	b.addPasskey(users[0].Login, users[0].Password, key)
	if got := asks(b); got.Get("error") != "access_denied" {
		t.Errorf("by the password: %v", got)
	}
	b.post(b.get("/account"), "do", "signout")
	b.passkey(b.get("/account"), "signin", key).has(t, 200, "Ana Example")
	if got := asks(b); got.Get("code") == "" {
		t.Errorf("by a passkey in the device: %v", got)
	}
	if a := p.okta(http.MethodPut, rules+"/"+rule, body("registered", `"device":{"registered":true,"managed":true}`, "ALLOW")); !strings.Contains(a.Body, `"device":{"registered":true,"managed":true}`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := asks(b); got.Get("error") != "access_denied" {
		t.Errorf("on a device that is not managed: %v", got)
	}
	cert, _ := ca.device(7)
	other := p.browser(t).holding(cert)
	other.signIn(other.get("/account"), users[1].Login, users[1].Password).has(t, 200, "Last changed")
	if got := asks(other); got.Get("code") == "" {
		t.Errorf("on a managed device: %v", got)
	}
}

package app_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/saml/idptest"
)

const samlOn = "version: 1\nserver:\n  identity: { saml: true }\n"

// samlProvider makes a SAML provider; more is laid into its JSON.
func (p *program) samlProvider(name string, idp *idptest.IDP, settings, more string) string {
	p.t.Helper()
	key, _ := p.okta("POST", "/api/v1/idps/credentials/keys", fmt.Sprintf(`{"x5c":[%q]}`, idp.X5C())).json(p.t)["kid"].(string)
	return p.made("/api/v1/idps", fmt.Sprintf(`{"name":%q,"type":"SAML2","protocol":{"type":"SAML2","endpoints":{"sso":{"url":"https://idp.example/sso","binding":"HTTP-REDIRECT"}},
		"settings":{%s},"credentials":{"trust":{"issuer":%q,"kid":%q}}}%s}`, name, settings, idp.Issuer, key, more))
}

// answered is the form that a provider has a browser send.
func (b *browser) answered(to string, response []byte, relay string) *seen {
	b.t.Helper()
	form := url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(response)}}
	if relay != "" {
		form.Set("RelayState", relay)
	}
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://idp.example")
	got := b.send(r)
	if next := got.Header.Get("Location"); next != "" {
		return b.get(next)
	}
	return got
}

// samlVisit is a browser that is at a SAML provider, with what that one was asked.
type samlVisit struct {
	b              *browser
	id, relay      string
	consumer, meta string
	idp            *idptest.IDP
	program        *program
}

func (p *program) toSAML(t *testing.T, idp *idptest.IDP, provider string) samlVisit {
	t.Helper()
	v := samlVisit{b: p.browser(t), idp: idp, program: p, consumer: p.Ready().Identity + "/sso/saml2/" + provider}
	v.meta = v.consumer + "/metadata"
	to := v.b.away(v.b.get("/account"))
	var request string
	v.id, v.relay, request = idptest.Asked(t, to)
	if !strings.HasPrefix(to, "https://idp.example/sso?") || !strings.Contains(request, v.consumer) || !strings.Contains(request, v.meta) {
		t.Fatalf("asked with %s at %s", request, to)
	}
	return v
}

// says answers as the provider, honestly but for what change does.
func (v samlVisit) says(subject string, change func(*idptest.Answer)) *seen {
	a := idptest.Answer{Destination: v.consumer, Audience: v.meta, InResponseTo: v.id, Subject: subject}
	if change != nil {
		change(&a)
	}
	return v.b.answered(v.consumer, v.idp.Respond(v.b.t, a.Now(time.Now())), v.relay)
}

// People of a SAML provider's domain sign in, get an account, attributes and groups, and
// keep them by the provider's name for them.
func TestSAMLSignIn(t *testing.T) {
	p := start(t, write(t, samlOn))
	idp := idptest.New(t, time.Now())
	group := p.made("/api/v1/groups", `{"profile":{"name":"partners"}}`)
	provider := p.samlProvider("Acme", idp, "", `,"domains":["acme.example"],"mapping":{"costCenter":"idpuser.costCentre"},"policy":{"trustClaims":true,
		"provisioning":{"action":"AUTO","profileMaster":true,"groups":{"action":"SYNC","sourceAttributeName":"groups","filter":["`+group+`"]}}}`)
	meta := p.browser(t).get("/sso/saml2/" + provider + "/metadata")
	if !strings.Contains(meta.body, `entityID="`+p.Ready().Identity+`/sso/saml2/`+provider+`/metadata"`) || meta.Header.Get("Content-Type") != "application/samlmetadata+xml" {
		t.Errorf("metadata: %d %s", meta.StatusCode, meta.body)
	}
	for _, c := range []struct {
		attributes map[string][]string
		groups     bool
	}{
		{map[string][]string{"firstName": {"Cleo"}, "https://acme.example/costCentre": {"7"}, "groups": {"partners", "others"}}, true},
		{map[string][]string{"firstName": {"Clea"}, "groups": {"others"}}, false},
	} {
		v := p.toSAML(t, idp, provider)
		page := v.says("cleo@acme.example", func(a *idptest.Answer) { a.Attributes, a.Class = c.attributes, "https://refeds.org/profile/mfa" })
		if who := v.b.whoIs(); who != "cleo@acme.example" {
			t.Fatalf("signed in as %q: %d %s", who, page.StatusCode, page.body)
		}
		if s := v.b.get("/api/v1/sessions/me").body; !strings.Contains(s, `"mfa"`) {
			t.Errorf("session %s", s)
		}
		u := p.okta("GET", "/api/v1/users/cleo@acme.example", "").json(t)
		if at(u, "profile", "firstName") != c.attributes["firstName"][0] || at(u, "profile", "costCenter") != "7" {
			t.Errorf("the account: %v", u)
		}
		if g := p.okta("GET", "/api/v1/users/cleo@acme.example/groups", "").Body; strings.Contains(g, `"partners"`) != c.groups {
			t.Errorf("groups: %s", g)
		}
	}
	shown := p.okta("GET", "/api/v1/idps/"+provider, "").json(t)
	if at(shown, "protocol", "credentials", "trust", "issuer") != idp.Issuer || at(shown, "protocol", "type") != "SAML2" || at(shown, "policy", "subject", "userNameTemplate", "template") != "idpuser.subjectNameId" {
		t.Errorf("shown as %v", shown)
	}
	kid, _ := at(shown, "protocol", "credentials", "trust", "kid").(string)
	if a := p.okta("DELETE", "/api/v1/idps/credentials/keys/"+kid, ""); a.Status < 400 {
		t.Errorf("a certificate in use was deleted: %d", a.Status)
	}
}

// A provider is known by its metadata alone, and changes its certificate by it: both are good
// while the metadata has both, and one that is not in it any more is not.
func TestSAMLByMetadata(t *testing.T) {
	p := start(t, write(t, samlOn))
	first, second := idptest.New(t, time.Now()), idptest.New(t, time.Now())
	body := func(more string, keys ...*idptest.IDP) string {
		text := `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="` + first.Issuer + `"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">`
		for _, k := range keys {
			text += `<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>` + k.X5C() + `</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`
		}
		text += `<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>`
		return fmt.Sprintf(`{"name":"Acme","type":"SAML2","domains":["acme.example"],"protocol":{"type":"SAML2","metadata":%q%s}}`, text, more)
	}
	for _, bad := range []string{
		strings.Replace(body("", first), "IDPSSODescriptor", "SPSSODescriptor", 2), body(""), strings.Replace(body("", first), `"type":"SAML2","domains"`, `"type":"OIDC","domains"`, 1),
		body(`,"credentials":{"trust":{"issuer":"https://other.example"}}`, first),
	} {
		if a := p.okta("POST", "/api/v1/idps", bad); a.Status != 400 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	provider := p.made("/api/v1/idps", body("", first))
	for round, keys := range [][]*idptest.IDP{{first}, {first, second}, {second}} {
		if round > 0 {
			if a := p.okta("PUT", "/api/v1/idps/"+provider, body("", keys...)); a.Status != 200 {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
		}
		for i, idp := range []*idptest.IDP{first, second} {
			v := p.toSAML(t, idp, provider)
			page := v.says("cleo@acme.example", nil)
			if in, want := v.b.whoIs() != "", i == 0 && round < 2 || i == 1 && round > 0; in != want {
				t.Errorf("metadata %d, key %d: signed in %v\n%s", round, i, in, page.body)
			}
		}
	}
}

// Whom SAML answers sign in, and in whose browser (attack identity 68): the messages
// themselves are the table of internal/saml.
func TestSAMLAnswersAreBound(t *testing.T) {
	p := start(t, write(t, samlOn))
	idp := idptest.New(t, time.Now())
	other := idptest.New(t, time.Now())
	other.Issuer = "https://other.example/saml"
	acme := p.samlProvider("Acme", idp, "", `,"domains":["acme.example"]`)
	ben := p.Ready().Demo.Users[1].Login
	portal := p.samlProvider("Portal", other, `"unsolicited":true`, `,"domains":["portal.example"]`)
	p.okta("POST", "/api/v1/idps/"+portal+"/lifecycle/deactivate", "")
	forged := func(a *idptest.Answer) { a.Sign = "nothing" }

	v := p.toSAML(t, idp, acme)
	if page := v.says("x@acme.example", forged); page.StatusCode != 403 || v.b.whoIs() != "" {
		t.Errorf("an unsigned answer: %d %q", page.StatusCode, v.b.whoIs())
	}
	if page := v.says("x@acme.example", nil); page.StatusCode != 404 || v.b.whoIs() != "" {
		t.Errorf("a second try: %d", page.StatusCode)
	}
	// Another browser has the answer: it is not signed in, and has not used it up for nobody.
	v = p.toSAML(t, idp, acme)
	mine := v.b
	v.b = p.browser(t)
	if page := v.says("x@acme.example", nil); page.StatusCode != 404 || v.b.whoIs() != "" || mine.whoIs() != "" {
		t.Errorf("in another browser: %d, %q and %q", page.StatusCode, v.b.whoIs(), mine.whoIs())
	}
	// The answer to another provider's address, and with what waits for another request.
	v = p.toSAML(t, idp, acme)
	v.consumer = strings.Replace(v.consumer, acme, portal, 1)
	if page := v.says("x@portal.example", nil); page.StatusCode < 400 || v.b.whoIs() != "" {
		t.Errorf("at another provider's address: %d", page.StatusCode)
	}
	first, second := p.toSAML(t, idp, acme), p.toSAML(t, idp, acme)
	second.id = first.id
	if page := second.says("x@acme.example", nil); page.StatusCode != 403 || second.b.whoIs() != "" {
		t.Errorf("the answer to another request: %d", page.StatusCode)
	}
	// Nobody's address but those of the domain; no account that is here.
	for name, subject := range map[string]string{"somebody's": ben, "another domain's": "x@elsewhere.example"} {
		v = p.toSAML(t, idp, acme)
		page := v.says(subject, func(a *idptest.Answer) { a.Attributes = map[string][]string{"email_verified": {"true"}} })
		if page.StatusCode != 403 || v.b.whoIs() != "" {
			t.Errorf("%s address: %d, signed in as %q", name, page.StatusCode, v.b.whoIs())
		}
	}
	// What nobody has asked for.
	v = p.toSAML(t, idp, acme)
	v.relay, v.id = "", ""
	if page := v.says("x@acme.example", nil); page.StatusCode != 403 || v.b.whoIs() != "" {
		t.Errorf("unsolicited: %d", page.StatusCode)
	}
	p.okta("POST", "/api/v1/idps/"+acme+"/lifecycle/deactivate", "")
	p.okta("POST", "/api/v1/idps/"+portal+"/lifecycle/activate", "")
	b := p.browser(t)
	page := b.answered(p.Ready().Identity+"/sso/saml2/"+portal, other.Respond(t, idptest.Answer{Destination: p.Ready().Identity + "/sso/saml2/" + portal, Subject: "x@portal.example"}.Now(time.Now())), "/home")
	if !strings.HasPrefix(page.Header.Get("Location"), "https://idp.example/sso?") || b.whoIs() != "" {
		t.Errorf("an unsolicited answer where it is a wish: %d to %q, signed in as %q", page.StatusCode, page.Header.Get("Location"), b.whoIs())
	}
}

// Without its setting there is no SAML, and what would be managed and not done is refused.
func TestSAMLIsOffByDefault(t *testing.T) {
	p := start(t, "")
	key, _ := p.okta("POST", "/api/v1/idps/credentials/keys", fmt.Sprintf(`{"x5c":[%q]}`, idptest.New(t, time.Now()).X5C())).json(t)["kid"].(string)
	body := `{"name":"Acme","type":"SAML2","protocol":{"type":"SAML2","endpoints":{"sso":{"url":"https://idp.example/sso"}},"credentials":{"trust":{"issuer":"https://idp.example","kid":"` + key + `"}}}}`
	if a := p.okta("POST", "/api/v1/idps", body); a.Status != 400 || !strings.Contains(a.Body, "server.identity.saml") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if page := p.browser(t).answered(p.Ready().Identity+"/sso/saml2/0oa1", []byte("<a/>"), ""); page.StatusCode != 404 {
		t.Errorf("an answer: %d", page.StatusCode)
	}
}

// A provider that others have written, in a real browser, whose rules for cookies and
// forms across sites count.
func TestSAMLInChromium(t *testing.T) {
	folder, chromium := needsChromium(t)
	p := start(t, write(t, samlOn))
	key, certificate := idptest.New(t, time.Now()).PEM(t)
	told := filepath.Join(t.TempDir(), "told.json")
	raw := jsonOf(t, map[string]string{"here": p.Ready().Identity, "token": p.Ready().APIToken, "key": key, "certificate": certificate, "login": "cleo@acme.example"})
	if err := os.WriteFile(told, []byte(raw), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := walkPages(t, folder, "saml.mjs", told, chromium); err != nil || !strings.Contains(out, "ok: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	if u := p.okta("GET", "/api/v1/users/cleo@acme.example", "").json(t); at(u, "profile", "firstName") != "Cleo" {
		t.Errorf("the account: %v", u)
	}
}

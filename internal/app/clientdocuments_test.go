package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// documents serves metadata documents, one for each path.
type documents struct {
	*httptest.Server
	serve atomic.Pointer[http.HandlerFunc]
	hits  atomic.Int32
}

func newDocuments(t *testing.T) *documents {
	t.Helper()
	d := &documents{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.hits.Add(1)
		w.Header().Set("Content-Type", "application/json")
		(*d.serve.Load())(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

// says has every document be a good one, with more members.
func (d *documents) says(more string) {
	var h http.HandlerFunc = func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"client_id":%q,"client_name":"Ada\u0000 Notes","redirect_uris":["http://127.0.0.1/cb","https://notes.test/cb","javascript:alert(1)"]%s}`, d.URL+r.URL.Path, more)
	}
	d.serve.Store(&h)
}

func (d *documents) answers(h http.HandlerFunc) { d.serve.Store(&h) }

// takeDocuments lets apps come to the default server by their documents at hosts.
func (p *program) takeDocuments(hosts string) {
	p.t.Helper()
	a := p.okta(http.MethodPut, "/api/v1/authorizationServers/default", `{"name":"default","audiences":["api://default"],"gatehouse":{"client_id_metadata_documents":`+hosts+`}}`)
	if a.Status != http.StatusOK {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
}

func supportsDocuments(b *browser) bool {
	return strings.Contains(b.get("/oauth2/default/.well-known/oauth-authorization-server").body, `"client_id_metadata_document_supported":true`)
}

// An app that nobody has registered: it is refused until documents at its host are taken,
// shown with its host, and known after the person has agreed; what has changed in its
// document counts when it comes again. Attack identity 12, 52.
func TestClientDocument(t *testing.T) {
	p := start(t, "")
	d := newDocuments(t)
	d.says(`,"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"],"scope":"payroll:write"`)
	ana := p.Ready().Demo.Users[0]
	c := &relyingApp{id: d.URL + "/client.json", redirect: "http://127.0.0.1:49152/cb", verifier: strings.Repeat("verifier", 6)}
	b := p.browser(t)
	b.get(authorizePath+"?"+c.request().Encode()).has(t, 400, "takes none at its host")
	if supportsDocuments(b) || d.hits.Load() != 0 {
		t.Error("off, it is announced, or a document was fetched")
	}
	p.takeDocuments(`["127.0.0.1"]`)
	if !supportsDocuments(b) {
		t.Error("it is not announced")
	}
	code := func(page *seen) string {
		t.Helper()
		if strings.Contains(page.body, "<h1>Sign in</h1>") {
			page = b.signIn(page, ana.Login, ana.Password)
		}
		page.has(t, 200, "Ada Notes (127.0.0.1)", "unverified", "come from 127.0.0.1", "Allow ")
		return c.answer(t, b.post(page, "step", "consent", "shown", "openid", "shown", "vacations:read")).Get("code")
	}
	page := b.get(authorizePath + "?" + c.request().Encode())
	if got := p.okta(http.MethodGet, "/api/v1/apps?q=Ada", ""); strings.Contains(got.Body, "Ada") {
		t.Error("it is kept before anybody has agreed")
	}
	if status, _ := c.redeem(b, "grant_type", "authorization_code", "code", "x"); status != http.StatusUnauthorized {
		t.Errorf("a token for an app that is not known yet: %d", status)
	}
	got := code(page)
	status, body := c.redeem(b, "grant_type", "authorization_code", "code", got, "redirect_uri", c.redirect, "code_verifier", c.verifier)
	if status != http.StatusOK || body["access_token"] == nil {
		t.Fatalf("%d %v", status, body)
	}
	if fetched := d.hits.Load(); fetched != 1 {
		t.Errorf("the document was fetched %d times", fetched)
	}
	// Now nobody is asked again, and an administrator sees the app and takes it out of force.
	if again := c.answer(t, b.get(authorizePath+"?"+c.request("prompt", "none").Encode())); again.Get("code") == "" {
		t.Errorf("silent: %v", again)
	}
	list := p.okta(http.MethodGet, "/api/v1/apps?q=Ada", "")
	if !strings.Contains(list.Body, `"client_id":"`+c.id+`"`) {
		t.Fatalf("apps: %s", list.Body)
	}
	id := strings.Split(strings.Split(list.Body, `"id":"`)[1], `"`)[0]
	if a := p.okta(http.MethodPost, "/api/v1/apps/"+id+"/lifecycle/deactivate", ""); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	b.get(authorizePath+"?"+c.request().Encode()).has(t, 400, "invalid_client")
	if a := p.okta(http.MethodPost, "/api/v1/apps/"+id+"/lifecycle/activate", ""); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	// Of a host that is not taken any more it gets nothing either.
	p.takeDocuments(`["*.elsewhere.test"]`)
	refresh, _ := body["refresh_token"].(string)
	if status, body := c.redeem(b, "grant_type", "refresh_token", "refresh_token", refresh); status != http.StatusBadRequest || body["error"] != "invalid_client" {
		t.Errorf("refresh: %d %v", status, body)
	}
	b.get(authorizePath+"?"+c.request().Encode()).has(t, 400, "takes none at its host")
}

// Documents that are refused, and why. Attack identity 34, 52.
func TestClientDocumentRefused(t *testing.T) {
	p := start(t, "", timeStandsStill()) // so many of a host are fetched in a minute
	p.takeDocuments(`["any"]`)
	d := newDocuments(t)
	b := p.browser(t)
	c := p.browserApp()
	ask := func(id string) *seen {
		t.Helper()
		return b.get(authorizePath + "?" + c.request("client_id", id, "redirect_uri", "https://notes.test/cb").Encode())
	}
	for name, x := range map[string]struct {
		serve http.HandlerFunc
		why   string
	}{
		"another client_id": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"client_id":"https://bank.test/client","redirect_uris":["https://notes.test/cb"]}`)
		}, "its client_id is not its address"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) }, "status 302"},
		"not there":  {http.NotFound, "status 404"},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, `{"client_id":"`+strings.Repeat("x", 6<<10)+`"}`)
		}, "larger than 5120 bytes"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "{}")
		}, "content type"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "{") }, "not a JSON object"},
		"a bomb":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, strings.Repeat("[", 4000)) }, "not a JSON object"},
		"compression": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{0x1f, 0x8b})
		}, "compressed"},
	} {
		d.answers(x.serve)
		if page := ask(d.URL + "/" + url.PathEscape(name)); !strings.Contains(page.body, x.why) || page.StatusCode != http.StatusBadRequest || page.Header.Get("Location") != "" {
			t.Errorf("%s: %d, not %q:\n%s", name, page.StatusCode, x.why, page.body)
		}
	}
	for name, more := range map[string]string{
		"secret":   `,"client_secret":"s"`,
		"expiry":   `,"client_secret_expires_at":0`,
		"basic":    `,"token_endpoint_auth_method":"client_secret_basic"`,
		"post":     `,"token_endpoint_auth_method":"client_secret_post"`,
		"hmac":     `,"token_endpoint_auth_method":"client_secret_jwt"`,
		"mtls":     `,"token_endpoint_auth_method":"tls_client_auth"`,
		"machine":  `,"grant_types":["client_credentials"]`,
		"no keys":  `,"token_endpoint_auth_method":"private_key_jwt"`,
		"private":  `,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[{"kty":"oct","kid":"a","k":"AAAA"}]}`,
		"in clear": `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://notes.test/keys"`,
		"nowhere":  `,"redirect_uris":["javascript:alert(1)","http://notes.test/cb","https://*.notes.test/cb"]`,
	} {
		d.says(more)
		if page := ask(d.URL + "/" + url.PathEscape(name)); page.StatusCode != http.StatusBadRequest || !strings.Contains(page.body, "metadata document cannot be used: it") {
			t.Errorf("%s: %d\n%s", name, page.StatusCode, page.body)
		}
	}
	d.says("")
	if page := b.get(authorizePath + "?" + c.request("client_id", d.URL+"/other-redirect", "redirect_uri", "https://evil.test/cb").Encode()); page.StatusCode != http.StatusBadRequest || page.Header.Get("Location") != "" {
		t.Errorf("an address that the document does not have: %d", page.StatusCode)
	}
	before := d.hits.Load()
	for _, id := range []string{
		d.URL, d.URL + "/", d.URL + "/a?b=c", d.URL + "/a#b", d.URL + "/a/../b", d.URL + "/%2e%2e/b", strings.Replace(d.URL, "http://", "http://user@", 1) + "/a",
		"https://8.8.8.8/client", "https://intranet/client", "https://EXAMPLE.com/client", "http://notes.test/client", "https://notes.test:443/client", "https://notes.test/" + strings.Repeat("a", 200),
	} {
		if page := ask(id); page.StatusCode != http.StatusBadRequest || !strings.Contains(page.body, "not an https address") {
			t.Errorf("%s: %d", id, page.StatusCode)
		}
	}
	if d.hits.Load() != before {
		t.Error("something was fetched for an address that is none")
	}
	// Nobody has us ask one host all the time.
	limited := false
	for i := range 40 {
		limited = limited || ask(fmt.Sprintf("%s/%d", d.URL, i)).StatusCode == http.StatusServiceUnavailable
	}
	if !limited {
		t.Error("documents of one host are fetched without end")
	}
}

const publicApps = `version: 1
server: { identity: { private_apps: false } }
apis: { a: { upstream: "http://127.0.0.1:9", auth: default, routes: { GET /x: vacations:read } } }
issuers: { default: { builtin: default } }
`

// Outside of development no document is fetched from an internal address, whatever name
// leads there. Attack identity 34.
func TestClientDocumentAtInternalAddress(t *testing.T) {
	p := start(t, write(t, publicApps))
	p.takeDocuments(`["any"]`)
	d := newDocuments(t)
	d.says("")
	b := p.browser(t)
	c := p.browserApp()
	for id, why := range map[string]string{
		d.URL + "/client": "not an https address",
		strings.Replace(d.URL, "http", "https", 1) + "/c": "not an https address",
		"https://169.254.169.254/latest/meta-data":        "not an https address",
		"https://[::ffff:127.0.0.1]/client":               "not an https address",
		"https://localhost/client":                        "not an https address",
		"https://client.localhost/client":                 "cannot be used", // resolves to loopback, or to nothing
	} {
		if page := b.get(authorizePath + "?" + c.request("client_id", id).Encode()); page.StatusCode != http.StatusBadRequest || !strings.Contains(page.body, why) {
			t.Errorf("%s: %d\n%s", id, page.StatusCode, page.body)
		}
	}
	if d.hits.Load() != 0 {
		t.Error("a document at an internal address was fetched")
	}
}

// An app that signs with a key of its document pushes its first request, before anybody
// here has known it.
func TestClientDocumentWithKey(t *testing.T) {
	p := start(t, "")
	p.takeDocuments(`["127.0.0.1"]`)
	d := newDocuments(t)
	key, jwk := newKey(t)
	jwk["kid"] = "bank"
	public, _ := json.Marshal(jwk)
	d.says(`,"token_endpoint_auth_method":"private_key_jwt","jwks":{"keys":[` + string(public) + `]}`)
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	c.id, c.redirect = d.URL+"/signs", "https://notes.test/cb"
	a := &bankApp{relyingApp: c, p: p, b: p.browser(t), key: key}
	stranger, _ := newKey(t)
	if status, body := (&bankApp{relyingApp: c, p: p, b: a.b, key: stranger}).post("par", nil, nil, c.request()); status != http.StatusUnauthorized {
		t.Errorf("with another key: %d %v", status, body)
	}
	status, body := a.post("par", nil, nil, c.request())
	uri, _ := body["request_uri"].(string)
	if status != http.StatusCreated {
		t.Fatalf("%d %v", status, body)
	}
	page := a.b.signIn(a.b.get(authorizePath+"?"+url.Values{"client_id": {c.id}, "request_uri": {uri}}.Encode()), ana.Login, ana.Password)
	code := c.answer(t, a.b.post(page, "step", "consent", "shown", "openid", "shown", "vacations:read")).Get("code")
	status, body = a.post("token", nil, nil, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirect}, "code_verifier": {c.verifier}})
	if status != http.StatusOK || body["id_token"] == nil {
		t.Fatalf("%d %v", status, body)
	}
}

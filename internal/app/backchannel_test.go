package app_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// plainJar is a browser's jar that trusts loopback as browsers do: it sends secure
// cookies there over plain http.
type plainJar struct{ *cookiejar.Jar }

func (j plainJar) SetCookies(u *url.URL, list []*http.Cookie) {
	for _, c := range list {
		c.Secure = false
	}
	j.Jar.SetCookies(u, list)
}

// edge is a gateway whose browsers sign in at an issuer, and one of these browsers.
type edge struct {
	*program
	at     *program // the issuer
	client string   // of the gateway at the issuer
	b      *browser
}

const edgeAtIssuer = `version: 1
issuers:
  idp: { url: %s, audience: api://default, client_id: %s, client_secret: "${env:SECRET}" }
apis:
  shop: { upstream: %s, auth: session, routes: { GET /orders/*: orders:read } }
`

// whoami is an upstream that says who the gateway says it is.
func whoami(t *testing.T) string {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "user "+r.Header.Get("X-User-Id"))
	}))
	t.Cleanup(up.Close)
	return up.URL
}

// newEdge starts an issuer and a gateway in front of an API, as two programs.
func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{at: startRevocable(t)}
	address := freeAddress(t)
	var secret string
	e.client, secret = e.at.edgeApp("http://"+address, "idp")
	file := write(t, fmt.Sprintf(edgeAtIssuer, e.at.Ready().Demo.Issuer, e.client, whoami(t)))
	e.program = start(t, file, withGateway(address), withEnv(map[string]string{"SECRET": secret}))
	e.b = e.at.browser(t)
	e.b.http.Jar = plainJar{e.b.http.Jar.(*cookiejar.Jar)} //nolint:forcetypeassert // as it was made
	return e
}

// edgeApp registers a gateway as an app that people sign in to, whose pages are below
// the name of the issuer.
func (p *program) edgeApp(base, name string) (id, secret string) {
	p.t.Helper()
	pages := base + "/.gatehouse/" + name + "/"
	a := p.okta(http.MethodPost, "/api/v1/apps", `{"name":"oidc_client","label":"the edge","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"client_secret_basic"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"web","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
		"redirect_uris":["`+pages+`callback"],"post_logout_redirect_uris":["`+pages+`signed-out"],"backchannel_logout_uri":"`+pages+`backchannel-logout"}}}`)
	var made struct {
		Credentials struct {
			Client struct {
				ID     string `json:"client_id"`
				Secret string `json:"client_secret"`
			} `json:"oauthClient"`
		}
	}
	if err := json.Unmarshal([]byte(a.Body), &made); err != nil || made.Credentials.Client.Secret == "" || !strings.Contains(a.Body, `"backchannel_logout_uri":"`+pages) {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return made.Credentials.Client.ID, made.Credentials.Client.Secret
}

// open is a navigation with all that it leads to, to whatever host.
func (e *edge) open(address string) *seen {
	e.t.Helper()
	at, err := url.Parse(e.Ready().Gateway + address)
	if strings.HasPrefix(address, "http") {
		at, err = url.Parse(address)
	}
	for range 12 {
		if err != nil {
			e.t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, at.String(), http.NoBody)
		if err != nil {
			e.t.Fatal(err)
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Sec-Fetch-Site", "none")
		r.Header.Set("Accept", "text/html")
		got := e.b.send(r)
		to := got.Header.Get("Location")
		if to == "" {
			return got
		}
		at, err = at.Parse(to)
		if err != nil {
			e.t.Fatal(err)
		}
	}
	e.t.Fatal("too many redirects")
	return nil
}

// in opens a page, signs in at the issuer, and comes back to the page.
func (e *edge) in(address, login, password string) *seen {
	e.t.Helper()
	page := e.open(address)
	if !strings.Contains(page.body, "<h1>Sign in</h1>") {
		return page
	}
	got := e.b.signIn(page, login, password)
	if to := got.Header.Get("Location"); to != "" {
		return e.open(to)
	}
	return got
}

// signedIn reports whether the gateway knows the browser.
func (e *edge) signedIn() bool {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodGet, e.Ready().Gateway+"/orders/1", http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.b.send(r).StatusCode == http.StatusOK
}

// Two programs, an issuer and a gateway whose browsers sign in there: whoever signs
// out at the issuer, in whatever way, is signed out at the gateway by the back channel.
// It is in the issuer's system log.
func TestBackchannelLogoutReachesTheEdge(t *testing.T) {
	e := newEdge(t)
	ben := e.at.Ready().Demo.Users[1] // no administrator
	for name, end := range map[string]func(){
		"account page":  func() { e.b.post(e.b.get("/account"), "do", "signout").has(t, 200) },
		"administrator": func() { e.at.okta(http.MethodDelete, "/api/v1/users/"+ben.Login+"/sessions", "") },
		"session API": func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, e.b.base+"/api/v1/sessions/me", http.NoBody)
			e.b.send(r).has(t, 204)
		},
		"user suspended": func() { e.at.okta(http.MethodPost, "/api/v1/users/"+ben.Login+"/lifecycle/suspend", "") },
	} {
		e.in("/orders/7", ben.Login, ben.Password).has(t, 200, "user ")
		if !e.signedIn() {
			t.Fatalf("%s: not signed in", name)
		}
		end()
		eventually(t, name+": the gateway to hear of it", func() bool { return !e.signedIn() })
		e.open("/orders/7").has(t, 200, "<h1>Sign in</h1>") // the issuer does not know the browser either
		e.at.okta(http.MethodPost, "/api/v1/users/"+ben.Login+"/lifecycle/unsuspend", "")
	}
	eventually(t, "the system log", func() bool {
		a := e.at.okta(http.MethodGet, `/api/v1/logs?filter=eventType+eq+%22app.oauth2.client.backchannel_logout%22`, "")
		return strings.Count(a.Body, `"result":"SUCCESS"`) == 4 && strings.Contains(a.Body, e.client)
	})
}

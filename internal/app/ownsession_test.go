package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/app"
)

const ownSessions = `version: 1
issuers:
  default: { builtin: default%s }
apis:
  shop: { upstream: %s, auth: %s, routes: { GET /orders/*: orders:read } }
`

// withClock has the clock of what is served stand still, so far ahead: how long a busy
// machine takes for a test does not count. Each look at it is a microsecond later than the
// one before.
func withClock(ahead *atomic.Int64) startOption {
	now := time.Now()
	var looks atomic.Int64
	return func(c *app.Config) {
		c.Now = func() time.Time {
			return now.Add(time.Duration(ahead.Load()) + time.Duration(looks.Add(1))*time.Microsecond)
		}
	}
}

// timeStandsStill is withClock for a test that does not move it.
func timeStandsStill() startOption { return withClock(new(atomic.Int64)) }

// assertionKey makes a private key in PEM, and its public JWK.
func assertionKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "edge",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(jwk)
}

// One program is issuer and edge: browsers of an API with auth: session sign in at the
// built-in server, where the gateway proves itself by a key and shares no secret.
// Calls, a silent renewal, the app's own sign-out, and a sign-out at the issuer.
func TestSessionsAtTheBuiltInServer(t *testing.T) {
	private, public := assertionKey(t)
	upstream := whoami(t)
	path := write(t, fmt.Sprintf(ownSessions, "", upstream, "default"))
	var ahead atomic.Int64
	p := start(t, path, withEnv(map[string]string{"EDGE_KEY": private}), withClock(&ahead))
	pages := p.Ready().Gateway + "/.gatehouse/default/"
	id := p.made("/api/v1/apps", `{"name":"oidc_client","label":"the edge","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"web","grant_types":["authorization_code","refresh_token"],"response_types":["code"],
		"jwks":{"keys":[`+public+`]},"redirect_uris":["`+pages+`callback"],"post_logout_redirect_uris":["`+pages+`signed-out"],"backchannel_logout_uri":"`+pages+`backchannel-logout"}}}`)
	with := `, client_id: ` + id + `, client_auth: private_key_jwt, client_secret: "${env:EDGE_KEY}", session: { idle: 12h }`
	if err := os.WriteFile(path, fmt.Appendf(nil, ownSessions, with, upstream, "session"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &edge{program: p, at: p, client: id, b: p.browser(t)}
	e.b.http.Jar = plainJar{e.b.http.Jar.(*cookiejar.Jar)} //nolint:forcetypeassert // as it was made
	eventually(t, "the API to have sessions", func() bool {
		return strings.Contains(p.call(http.MethodGet, "/orders/1", "").Body, "/.gatehouse/default/login")
	})

	// Signed in, and the page that was wanted.
	ana := p.Ready().Demo.Users[0]
	page := e.in("/orders/7", ana.Login, ana.Password)
	page.has(t, 200, "user 00u")
	if page.at.Path != "/orders/7" || !e.signedIn() {
		t.Fatalf("led to %s", page.at)
	}

	// The access token ends in an hour: whoever comes then does not notice.
	ahead.Store(int64(61 * time.Minute))
	if !e.signedIn() {
		t.Error("not renewed")
	}
	app.FlushLog(t, p.App)
	if log := p.okta(http.MethodGet, `/api/v1/logs?limit=100`, ""); !strings.Contains(log.Body, `"grantType":"refresh_token"`) {
		t.Errorf("nothing was renewed: %s", log.Body)
	}

	// The app signs the person out, here and at the issuer.
	form := e.b.form(pages+"logout", url.Values{})
	form.Header.Set("Sec-Fetch-Mode", "navigate")
	logout := e.b.send(form)
	if left := e.open(logout.Header.Get("Location")); left.at.Path != "/.gatehouse/default/signed-out" {
		t.Errorf("led to %s", left.at)
	}
	if e.signedIn() {
		t.Error("signed in after the sign-out")
	}
	e.open("/orders/7").has(t, 200, "<h1>Sign in</h1>")

	// And the other way round.
	e.in("/orders/7", ana.Login, ana.Password).has(t, 200, "user 00u")
	e.b.post(e.b.get("/account"), "do", "signout").has(t, 200)
	if e.signedIn() {
		t.Error("signed in after the sign-out at the issuer")
	}
	eventually(t, "the back channel", func() bool {
		a := p.okta(http.MethodGet, `/api/v1/logs?filter=eventType+eq+%22app.oauth2.client.backchannel_logout%22`, "")
		return strings.Count(a.Body, `"result":"SUCCESS"`) >= 2
	})
}

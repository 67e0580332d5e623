package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	sdk "github.com/okta/okta-sdk-golang/v5/okta"

	"gatehouse/internal/app"
)

// orgURL is the address that Okta's SDK makes of the org's: without the port.
const orgURL = "http://127.0.0.1"

// serviceApp is an app that calls the management API with a key of its own.
type serviceApp struct {
	*program
	id, kid string
	key     *ecdsa.PrivateKey
}

func (p *program) serviceApp(label string, scopes ...string) *serviceApp {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &serviceApp{program: p, kid: "key of " + label, key: key}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey, KeyID: s.kid, Algorithm: "ES256", Use: "sig"})
	if err != nil {
		p.t.Fatal(err)
	}
	s.id = p.made("/api/v1/apps", `{"name":"oidc_client","label":"`+label+`","signOnMode":"OPENID_CONNECT",
		"credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"],"jwks":{"keys":[`+string(jwk)+`]}}}}`)
	for _, scope := range scopes {
		p.made("/api/v1/apps/"+s.id+"/grants", `{"issuer":"`+orgURL+`","scopeId":"`+scope+`"}`)
	}
	return s
}

func (s *serviceApp) pem() string {
	s.t.Helper()
	raw, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// token gets an access token of the org server.
func (s *serviceApp) token(scope string, header ...string) answer {
	s.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, (&jose.SignerOptions{}).WithHeader("kid", s.kid))
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: s.id, Subject: s.id, Audience: jwt.Audience{orgURL + "/oauth2/v1/token"}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
	}).Serialize()
	if err != nil {
		s.t.Fatal(err)
	}
	form := url.Values{
		"grant_type": {"client_credentials"}, "scope": {scope}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
	return s.request("POST", s.Ready().Identity+"/oauth2/v1/token", "", form.Encode(), append(header, "Content-Type", "application/x-www-form-urlencoded")...)
}

// startOrg runs the program as Okta's SDK sees an org: at an address without port.
func startOrg(t *testing.T) *program {
	t.Helper()
	address := freeAddress(t)
	p := start(t, "", func(c *app.Config) { c.Flags.Identity, c.Flags.IdentityURL = address, orgURL })
	transport, ok := p.http.Transport.(*http.Transport)
	if !ok {
		t.Fatal("the client has another transport")
	}
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		if to == "127.0.0.1:80" {
			to = address
		}
		return (&net.Dialer{}).DialContext(ctx, network, to)
	}
	return p
}

// Okta's SDK in its mode "PrivateKey", unmodified.
func TestOktaSDKPrivateKey(t *testing.T) {
	p := startOrg(t)
	s := p.serviceApp("terraform", "okta.groups.manage", "okta.users.read")
	p.made("/oauth2/v1/clients/"+s.id+"/roles", `{"type":"ORG_ADMIN"}`)
	config, err := sdk.NewConfiguration(
		sdk.WithOrgUrl(orgURL), sdk.WithAuthorizationMode("PrivateKey"), sdk.WithClientId(s.id), sdk.WithPrivateKey(s.pem()), sdk.WithPrivateKeyId(s.kid),
		sdk.WithScopes([]string{"okta.groups.manage", "okta.users.read"}), sdk.WithTestingDisableHttpsCheck(true), sdk.WithCache(false), sdk.WithHttpClientPtr(p.http))
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := sdk.NewAPIClient(config), t.Context()
	g, resp, err := c.GroupAPI.CreateGroup(ctx).Group(sdk.Group{Profile: &sdk.GroupProfile{Name: sdk.PtrString("by an app")}}).Execute()
	if err != nil || g.GetId() == "" {
		t.Fatalf("create: %v", err)
	}
	closeBody(t, resp)
	users, resp, err := c.UserAPI.ListUsers(ctx).Execute()
	if err != nil || len(users) == 0 {
		t.Fatalf("list: %v", err)
	}
	closeBody(t, resp)
	if _, resp, err := c.ApplicationAPI.ListApplications(ctx).Execute(); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("apps without okta.apps.read: %v", err)
	}
}

// A token of the org server does what its scopes, the app's grants and the roles
// allow, all three.
func TestOktaBearer(t *testing.T) {
	p := startOrg(t)
	s := p.serviceApp("job", "okta.users.read", "okta.groups.manage")
	// What was not granted is not given.
	if a := s.token("okta.apps.read"); a.Status == http.StatusOK {
		t.Errorf("a scope that was not granted: %d %s", a.Status, a.Body)
	}
	if a := s.token("openid"); a.Status == http.StatusOK {
		t.Errorf("openid: %d %s", a.Status, a.Body)
	}
	a := s.token("okta.users.read okta.groups.manage")
	token, ok := a.json(t)["access_token"].(string)
	if !ok {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	call := func(method, path, body string) answer {
		return p.request(method, p.Ready().Identity+path, token, body)
	}
	group := func(name string) answer { return call("POST", "/api/v1/groups", `{"profile":{"name":"`+name+`"}}`) }
	// Without a role the scopes are empty.
	if a := call("GET", "/api/v1/users", ""); a.Status != http.StatusForbidden {
		t.Errorf("without a role: %d %s", a.Status, a.Body)
	}
	p.made("/oauth2/v1/clients/"+s.id+"/roles", `{"type":"READ_ONLY_ADMIN"}`)
	if a := call("GET", "/api/v1/users", ""); a.Status != http.StatusOK {
		t.Errorf("read: %d %s", a.Status, a.Body)
	}
	if a := group("no"); a.Status != http.StatusForbidden {
		t.Errorf("the role does not allow it: %d %s", a.Status, a.Body)
	}
	p.made("/oauth2/v1/clients/"+s.id+"/roles", `{"type":"ORG_ADMIN"}`)
	if a := group("yes"); a.Status != http.StatusOK {
		t.Errorf("role and scope: %d %s", a.Status, a.Body)
	}
	a = call("GET", "/api/v1/apps", "")
	if a.Status != http.StatusForbidden || !strings.Contains(a.Header.Get("WWW-Authenticate"), `scope="okta.apps.read"`) {
		t.Errorf("without the scope: %d %s %v", a.Status, a.Body, a.Header)
	}
	// A grant that is taken back is not in force any more, whatever the token says.
	var grants []struct {
		ID    string `json:"id"`
		Scope string `json:"scopeId"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/apps/"+s.id+"/grants", "").Body), &grants); err != nil || len(grants) != 2 {
		t.Fatalf("%v %v", grants, err)
	}
	for _, g := range grants {
		if g.Scope == "okta.groups.manage" {
			if a := p.okta("DELETE", "/api/v1/apps/"+s.id+"/grants/"+g.ID, ""); a.Status != http.StatusNoContent {
				t.Errorf("revoke: %d %s", a.Status, a.Body)
			}
		}
	}
	if a := group("again"); a.Status != http.StatusForbidden {
		t.Errorf("after the grant went: %d %s", a.Status, a.Body)
	}
	// A token of another server, even with such a scope, is none.
	p.made("/api/v1/authorizationServers/default/scopes", `{"name":"okta.users.read"}`)
	if a := p.request("GET", p.Ready().Identity+"/api/v1/users", p.token("okta.users.read"), ""); a.Status != http.StatusUnauthorized ||
		!strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("a token of the default server: %d %s", a.Status, a.Body)
	}
	if a := call("POST", "/api/v1/users/me/lifecycle/suspend", ""); a.Status < 400 {
		t.Errorf("an app is nobody: %d %s", a.Status, a.Body)
	}
	// Off is off.
	if a := p.okta("POST", "/api/v1/apps/"+s.id+"/lifecycle/deactivate", ""); a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	if a := call("GET", "/api/v1/users", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("of an app that is off: %d %s", a.Status, a.Body)
	}
}

// Nobody grants an app more than they may do.
func TestOktaGrantsAreGuarded(t *testing.T) {
	p := start(t, "")
	apps := p.hire("appadmin", "APP_ADMIN")
	bot := p.made("/api/v1/apps", `{"name":"oidc_client","label":"bot","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	path := "/api/v1/apps/" + bot + "/grants"
	if a := apps.call("POST", path, `{"scopeId":"okta.apps.read"}`); a.Status != http.StatusForbidden {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for _, bad := range []string{`{"scopeId":"okta.manage"}`, `{"scopeId":"openid"}`, `{"scopeId":""}`, `{"issuer":"https://elsewhere.example","scopeId":"okta.apps.read"}`} {
		if a := p.okta("POST", path, bad); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	p.made(path, `{"scopeId":"okta.users.manage"}`)
	// The app's secret is worth the scope now.
	if a := apps.call("POST", "/api/v1/apps/"+bot+"/credentials/secrets", ""); a.Status != http.StatusForbidden {
		t.Errorf("a secret of an app with more: %d %s", a.Status, a.Body)
	}
}

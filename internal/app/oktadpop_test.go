package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/okta/okta-sdk-golang/v5/okta"
)

// boundApp makes a service app whose tokens are bound to a DPoP key.
func (p *program) boundApp(label string, scopes ...string) *serviceApp {
	p.t.Helper()
	s := p.serviceApp(label, scopes...)
	o := p.okta(http.MethodGet, "/api/v1/apps/"+s.id, "").json(p.t)
	settings, _ := o["settings"].(map[string]any)
	client, _ := settings["oauthClient"].(map[string]any)
	client["dpop_bound_access_tokens"] = true
	raw, err := json.Marshal(o)
	if err != nil {
		p.t.Fatal(err)
	}
	if a := p.okta(http.MethodPut, "/api/v1/apps/"+s.id, string(raw)); a.Status != http.StatusOK {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	p.made(clientsPath+"/"+s.id+"/roles", `{"type":"ORG_ADMIN"}`)
	return s
}

// Okta's SDK in its mode "PrivateKey" for an app whose tokens are bound: it sends the
// nonce of the token endpoint with every call, for as long as the token lives.
func TestOktaSDKWithDPoP(t *testing.T) {
	p := startOrg(t)
	s := p.boundApp("terraform", "okta.groups.manage", "okta.users.read")
	config, err := sdk.NewConfiguration(
		sdk.WithOrgUrl(orgURL), sdk.WithAuthorizationMode("PrivateKey"), sdk.WithClientId(s.id), sdk.WithPrivateKey(s.pem()), sdk.WithPrivateKeyId(s.kid),
		sdk.WithScopes([]string{"okta.groups.manage", "okta.users.read"}), sdk.WithTestingDisableHttpsCheck(true), sdk.WithCache(false), sdk.WithHttpClientPtr(p.http))
	if err != nil {
		t.Fatal(err)
	}
	c, ctx := sdk.NewAPIClient(config), t.Context()
	g, resp, err := c.GroupAPI.CreateGroup(ctx).Group(sdk.Group{Profile: &sdk.GroupProfile{Name: sdk.PtrString("by an app")}}).Execute()
	if err != nil || g.GetId() == "" || !strings.HasPrefix(resp.Request.Header.Get("Authorization"), "DPoP ") {
		t.Fatalf("create: %v", err)
	}
	closeBody(t, resp)
	users, resp, err := c.UserAPI.ListUsers(ctx).Limit(1).Search(`profile.login sw "a"`).Execute()
	if err != nil || len(users) == 0 {
		t.Fatalf("list: %v", err)
	}
	closeBody(t, resp)
}

// A token of the management APIs that is bound to a key is worth nothing without a fresh
// proof by that key, for this call and this token, at each of them. Attack identity 40, 41.
func TestManagementDPoP(t *testing.T) {
	p := startOrg(t)
	s := p.boundApp("job", "okta.users.read")
	free := p.serviceApp("free", "okta.users.read")
	p.made(clientsPath+"/"+free.id+"/roles", `{"type":"READ_ONLY_ADMIN"}`)
	key, jwk := newKey(t)
	bound := s.boundToken(key, jwk, "okta.users.read")
	unbound, _ := free.token("okta.users.read").json(t)["access_token"].(string)
	for _, api := range []struct {
		path string
		in   int // the status for who is let in
	}{
		{"/api/v1/users", http.StatusOK},
		{"/scim/v2/Users", http.StatusOK},
		{"/gatehouse/v1/apps", http.StatusForbidden}, // nobody's token: it is known, and may not
	} {
		m := &managementCalls{program: p, path: api.path, key: key, jwk: jwk}
		good := m.proof(bound, nil)
		if a := m.call("DPoP", bound, good); a.Status != api.in {
			t.Fatalf("%s: %d %s %v", api.path, a.Status, a.Body, a.Header)
		}
		other, otherJWK := newKey(t)
		for name, a := range map[string]answer{
			"as a bearer":          m.call("Bearer", bound),
			"a bearer with proof":  m.call("Bearer", bound, m.proof(bound, nil)),
			"no proof":             m.call("DPoP", bound),
			"two proofs":           m.call("DPoP", bound, m.proof(bound, nil), m.proof(bound, nil)),
			"the same proof again": m.call("DPoP", bound, good),
			"another method":       m.call("DPoP", bound, m.proof(bound, map[string]any{"htm": "POST"})),
			"another path":         m.call("DPoP", bound, m.proof(bound, map[string]any{"htu": orgURL + "/api/v1/users/me"})),
			"another host":         m.call("DPoP", bound, m.proof(bound, map[string]any{"htu": "http://evil.test" + api.path})),
			"another token":        m.call("DPoP", bound, m.proof(bound, map[string]any{"ath": strings.Repeat("A", 43)})),
			"no token named":       m.call("DPoP", bound, m.proof(bound, map[string]any{"ath": nil})),
			"old":                  m.call("DPoP", bound, m.proof(bound, map[string]any{"iat": time.Now().Add(-10 * time.Minute).Unix()})),
			"of the future":        m.call("DPoP", bound, m.proof(bound, map[string]any{"iat": time.Now().Add(10 * time.Minute).Unix()})),
			"another key":          m.call("DPoP", bound, es256(t, other, map[string]any{"typ": "dpop+jwt", "jwk": otherJWK}, m.claims(bound, nil))),
			"another's signature":  m.call("DPoP", bound, es256(t, other, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, m.claims(bound, nil))),
		} {
			scheme, code := "DPoP", "invalid_dpop_proof"
			if strings.Contains(name, "bearer") {
				scheme, code = "Bearer", "invalid_token"
			}
			if why := a.Header.Get("WWW-Authenticate"); a.Status != http.StatusUnauthorized || !strings.HasPrefix(why, scheme+" ") || !strings.Contains(why, `error="`+code+`"`) {
				t.Errorf("%s, %s: %d %s %q", api.path, name, a.Status, a.Body, why)
			}
		}
		// A token that is bound to nothing gains nothing by the scheme.
		if a := m.call("DPoP", unbound, m.proof(unbound, nil)); a.Status != http.StatusUnauthorized {
			t.Errorf("%s, a bearer token in the scheme DPoP: %d", api.path, a.Status)
		}
		if a := m.call("Bearer", unbound); a.Status != api.in {
			t.Errorf("%s, a bearer token: %d %s", api.path, a.Status, a.Body)
		}
	}
}

// managementCalls are those of one address with tokens that may be bound to a key.
type managementCalls struct {
	*program
	path string
	key  *ecdsa.PrivateKey
	jwk  map[string]any
}

// claims are those of a good proof but for the change; nil takes one out.
func (m *managementCalls) claims(token string, change map[string]any) map[string]any {
	sum := sha256.Sum256([]byte(token))
	c := map[string]any{
		"htm": "GET", "htu": orgURL + m.path, "jti": rand.Text(), "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	for k, v := range change {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	return c
}

func (m *managementCalls) proof(token string, change map[string]any) string {
	return es256(m.t, m.key, map[string]any{"typ": "dpop+jwt", "jwk": m.jwk}, m.claims(token, change))
}

func (m *managementCalls) call(scheme, token string, proofs ...string) answer {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), http.MethodGet, m.Ready().Identity+m.path+"?limit=1", nil)
	if err != nil {
		m.t.Fatal(err)
	}
	req.Header.Set("Authorization", scheme+" "+token)
	req.Header["Dpop"] = proofs // as many lines
	res, err := m.http.Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// boundToken gets an access token of the org server that is bound to the key.
func (s *serviceApp) boundToken(key *ecdsa.PrivateKey, jwk map[string]any, scope string) string {
	s.t.Helper()
	nonce := ""
	for range 2 {
		claims := map[string]any{"htm": "POST", "htu": orgURL + "/oauth2/v1/token", "jti": rand.Text(), "iat": time.Now().Unix()}
		if nonce != "" {
			claims["nonce"] = nonce
		}
		a := s.token(scope, "DPoP", es256(s.t, key, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims))
		if nonce = a.Header.Get("DPoP-Nonce"); a.Status == http.StatusOK {
			token, _ := a.json(s.t)["access_token"].(string)
			return token
		}
	}
	s.t.Fatal("no bound token")
	return ""
}

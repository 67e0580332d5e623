package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
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

// A token of the management API that is bound to a key is worth nothing without a fresh
// proof by that key, for this call and this token. Attack identity 40, 41.
func TestOktaDPoP(t *testing.T) {
	p := startOrg(t)
	s := p.boundApp("job", "okta.users.read")
	key, jwk := newKey(t)
	token := s.boundToken(key, jwk, "okta.users.read")
	const path = "/api/v1/users/me"
	claims := func(change map[string]any) map[string]any {
		sum := sha256.Sum256([]byte(token))
		c := map[string]any{
			"htm": "GET", "htu": orgURL + "/api/v1/users", "jti": rand.Text(), "iat": time.Now().Unix(), "ath": base64.RawURLEncoding.EncodeToString(sum[:]),
		}
		for k, v := range change {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	proof := func(change map[string]any) string {
		return es256(t, key, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims(change))
	}
	call := func(scheme, bound string, proofs ...string) answer {
		t.Helper()
		header := []string{"Authorization", scheme + " " + bound}
		for _, x := range proofs {
			header = append(header, "DPoP", x)
		}
		return p.request(http.MethodGet, p.Ready().Identity+"/api/v1/users?limit=1", "", "", header...)
	}
	good := proof(nil)
	if a := call("DPoP", token, good); a.Status != http.StatusOK {
		t.Fatalf("%d %s %v", a.Status, a.Body, a.Header)
	}
	other, otherJWK := newKey(t)
	for name, a := range map[string]answer{
		"as a bearer":          call("Bearer", token),
		"a bearer with proof":  call("Bearer", token, proof(nil)),
		"no proof":             call("DPoP", token),
		"the same proof again": call("DPoP", token, good),
		"another method":       call("DPoP", token, proof(map[string]any{"htm": "POST"})),
		"another path":         call("DPoP", token, proof(map[string]any{"htu": orgURL + path})),
		"another host":         call("DPoP", token, proof(map[string]any{"htu": "http://evil.test/api/v1/users"})),
		"another token":        call("DPoP", token, proof(map[string]any{"ath": strings.Repeat("A", 43)})),
		"no token named":       call("DPoP", token, proof(map[string]any{"ath": nil})),
		"old":                  call("DPoP", token, proof(map[string]any{"iat": time.Now().Add(-10 * time.Minute).Unix()})),
		"of the future":        call("DPoP", token, proof(map[string]any{"iat": time.Now().Add(10 * time.Minute).Unix()})),
		"another key":          call("DPoP", token, es256(t, other, map[string]any{"typ": "dpop+jwt", "jwk": otherJWK}, claims(nil))),
		"another's signature":  call("DPoP", token, es256(t, other, map[string]any{"typ": "dpop+jwt", "jwk": jwk}, claims(nil))),
	} {
		scheme, code := "DPoP", "invalid_dpop_proof"
		if strings.Contains(name, "bearer") {
			scheme, code = "Bearer", "invalid_token"
		}
		if why := a.Header.Get("WWW-Authenticate"); a.Status != http.StatusUnauthorized || !strings.HasPrefix(why, scheme+" ") || !strings.Contains(why, `error="`+code+`"`) {
			t.Errorf("%s: %d %s %q", name, a.Status, a.Body, why)
		}
	}
	// A token that is bound to nothing gains nothing by the scheme.
	free := p.serviceApp("free", "okta.users.read")
	p.made(clientsPath+"/"+free.id+"/roles", `{"type":"READ_ONLY_ADMIN"}`)
	token, _ = free.token("okta.users.read").json(t)["access_token"].(string)
	if a := call("DPoP", token, proof(nil)); a.Status != http.StatusUnauthorized {
		t.Errorf("a bearer token in the scheme DPoP: %d", a.Status)
	}
	if a := call("Bearer", token); a.Status != http.StatusOK {
		t.Errorf("a bearer token: %d %s", a.Status, a.Body)
	}
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

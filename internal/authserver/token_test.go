package authserver

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
)

// claims decodes a part of a compact JWS.
func claims(t testing.TB, token string, part int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a compact JWS: %s", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[part])
	must(t, err)
	var m map[string]any
	must(t, json.Unmarshal(raw, &m))
	return m
}

func TestClientCredentials(t *testing.T) {
	h := newHouse(t)
	a := h.app("payroll job", "vacations:read", "payroll:write")
	got := h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"payroll:write vacations:read payroll:write"}})
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	token := got.text("access_token")
	delete(got.json, "access_token")
	want := map[string]any{"token_type": "Bearer", "expires_in": 3600.0, "scope": "payroll:write vacations:read"}
	if d := cmp.Diff(want, got.json); d != "" {
		t.Error(d)
	}
	for name, value := range map[string]string{
		"Cache-Control": "no-store", "Pragma": "no-cache", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
	} {
		if got.header.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), value)
		}
	}
	head := claims(t, token, 0)
	if head["alg"] != "RS256" || head["kid"] == "" || len(head) != 2 {
		t.Errorf("header is %v, want kid and alg RS256 alone", head)
	}
	body := claims(t, token, 1)
	if jti, _ := body["jti"].(string); !strings.HasPrefix(jti, "AT.") || len(jti) != 46 {
		t.Errorf("jti is %q", jti)
	}
	delete(body, "jti")
	now := float64(h.clock.Now().Unix())
	wantClaims := map[string]any{
		"ver": 1.0, "iss": h.url + "/oauth2/default", "aud": "api://default", "iat": now, "exp": now + 3600,
		"cid": a.ID, "scp": []any{"payroll:write", "vacations:read"}, "sub": a.ID,
	}
	if d := cmp.Diff(wantClaims, body); d != "" {
		t.Error(d)
	}
	granted := h.events(audit.TokenGranted)
	if len(granted) != 1 || granted[0].Actor.ID != a.ID || granted[0].Debug["grantedScopes"] != "payroll:write vacations:read" {
		t.Errorf("system log has %+v", granted)
	}
}

func TestRFC9068ShapeAndES256(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read", "b:read")
	alg, shape, minutes := access.ES256, access.ShapeRFC9068, 10
	must(t, h.access.UpdateServer(h.ctx, h.admin, access.DefaultServer, access.ServerSettings{Algorithm: &alg, Shape: &shape, AccessTokenMinutes: &minutes}))
	token := h.token(a, "a:read b:read")
	if d := cmp.Diff("at+jwt", claims(t, token, 0)["typ"]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("ES256", claims(t, token, 0)["alg"]); d != "" {
		t.Error(d)
	}
	body := claims(t, token, 1)
	delete(body, "jti")
	now := float64(h.clock.Now().Unix())
	want := map[string]any{
		"iss": h.url + "/oauth2/default", "aud": "api://default", "iat": now, "exp": now + 3600,
		"client_id": a.ID, "scope": "a:read b:read", "sub": a.ID,
	}
	if d := cmp.Diff(want, body); d != "" {
		t.Error(d)
	}
	if !h.active(a, token) {
		t.Error("the token is not active")
	}
}

// Every way to be refused (RFC 6749 sections 2.3, 3.2 and 5.2), with Okta's texts.
func TestTokenErrors(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	other := h.app("other")
	noGrant, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: "code only", GrantTypes: []string{access.GrantAuthorizationCode}})
	must(t, err)
	public, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: "spa", AuthMethod: access.AuthNone, GrantTypes: []string{access.GrantAuthorizationCode}})
	must(t, err)
	off := h.app("off")
	must(t, h.access.DeactivateApp(h.ctx, h.admin, off.ID))
	server := h.target().Server
	_, err = h.access.CreateScope(h.ctx, h.admin, access.Scope{Server: server.ID, Name: "asks", Consent: access.ConsentRequired})
	must(t, err)
	_, err = h.access.CreateScope(h.ctx, h.admin, access.Scope{Server: server.ID, Name: "flexible", Consent: access.ConsentFlexible})
	must(t, err)

	const ok = "grant_type=client_credentials&scope=a:read"
	auth := []string{"Authorization", basic(a.ID, a.Secret)}
	const generic = "Client authentication failed. Either the client or the client credentials are invalid."
	const multiple = "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body."
	post := "&client_id=" + a.ID + "&client_secret=" + a.Secret
	tests := []struct {
		name, query, body string
		header            []string
		status            int
		code, text        string
	}{
		{"no grant type", "", "scope=a:read", auth, 400, "invalid_request", "The token request must specify a 'grant_type'. Valid values: [authorization_code, client_credentials, refresh_token, urn:ietf:params:oauth:grant-type:device_code, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:jwt-bearer]"},
		{"unknown grant type", "", "grant_type=magic", auth, 400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server. Configured grant types: [authorization_code, client_credentials, refresh_token, urn:ietf:params:oauth:grant-type:device_code, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:jwt-bearer]."},
		{"password grant", "", "grant_type=password&username=a&password=b", auth, 400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server. Configured grant types: [authorization_code, client_credentials, refresh_token, urn:ietf:params:oauth:grant-type:device_code, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:jwt-bearer]."},
		{"identity 5: parameter twice", "", ok + "&scope=b", auth, 400, "invalid_request", "The request contained multiple parameters with the same name."},
		{"identity 5: parameter twice, once encoded", "", ok + "&%73cope=b", auth, 400, "invalid_request", "The request contained multiple parameters with the same name."},
		{"broken escape", "", ok + "&x=%zz", auth, 400, "invalid_request", "The request body is not a well-formed form."},
		{"escape cut off", "", ok + "&x=%4", auth, 400, "invalid_request", "The request body is not a well-formed form."},
		{"JSON body", "", `{"grant_type":"client_credentials"}`, append([]string{"Content-Type", "", "Content-Type", "application/json"}, auth...), 400, "invalid_request", "The request must have the content type application/x-www-form-urlencoded."},
		{"secret in the address", "?client_secret=" + a.Secret, ok, auth, 400, "invalid_request", "Client credentials cannot be supplied via query parameters."},
		{"secret in the address, encoded", "?client%5fsecret=" + a.Secret, ok, auth, 400, "invalid_request", "Client credentials cannot be supplied via query parameters."},
		{"parameters in the address alone", "?" + ok, "", auth, 400, "invalid_request", "The token request must specify a 'grant_type'. Valid values: [authorization_code, client_credentials, refresh_token, urn:ietf:params:oauth:grant-type:device_code, urn:ietf:params:oauth:grant-type:token-exchange, urn:ietf:params:oauth:grant-type:jwt-bearer]"},
		{"identity 44: body too large", "", ok + "&x=" + strings.Repeat("a", 70_000), auth, 413, "invalid_request", "The request is too large."},
		{"too many parameters", "", ok + manyParameters(), auth, 413, "invalid_request", "The request is too large."},
		{"identity 44: scope too large", "", "grant_type=client_credentials&scope=" + strings.Repeat("a+", 5_000), auth, 400, "invalid_scope", "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner."},
		{"no credentials", "", ok, nil, 401, "invalid_client", "No client credentials found."},
		{"wrong scheme", "", ok, []string{"Authorization", "Bearer abc"}, 401, "invalid_client", "Found Authentication header but was not valid client credentials."},
		{"identity 43: header without value", "", ok, []string{"Authorization", "Basic"}, 401, "invalid_client", "Found Authentication header but was not valid client credentials."},
		{"broken Basic", "", ok, []string{"Authorization", "Basic !!!"}, 401, "invalid_client", "Found Authentication header but was not valid client credentials."},
		{"wrong secret", "", ok, []string{"Authorization", basic(a.ID, a.Secret+"x")}, 401, "invalid_client", generic},
		{"secret of another", "", ok, []string{"Authorization", basic(a.ID, other.Secret)}, 401, "invalid_client", generic},
		{"empty secret", "", ok, []string{"Authorization", basic(a.ID, "")}, 401, "invalid_client", generic},
		{"id alone", "", ok + "&client_id=" + a.ID, nil, 401, "invalid_client", generic},
		{"unknown client", "", ok, []string{"Authorization", basic("0oaNobody", a.Secret)}, 401, "invalid_client", generic},
		{"inactive client", "", ok, []string{"Authorization", basic(off.ID, off.Secret)}, 401, "invalid_client", generic},
		{"client id in body differs", "", ok + "&client_id=" + other.ID, auth, 401, "invalid_client", "Found Authentication header but was not valid client credentials."},
		{"identity 36: Basic and post", "", ok + post, auth, 401, "invalid_request", multiple},
		{"identity 36: post and assertion", "", ok + post + "&client_assertion=x&client_assertion_type=" + url.QueryEscape("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), nil, 401, "invalid_request", multiple},
		{"identity 36: two headers", "", ok, append([]string{"Authorization", basic(other.ID, other.Secret)}, auth...), 401, "invalid_request", multiple},
		{"wrong assertion type", "", ok + "&client_assertion=x&client_assertion_type=saml", nil, 400, "invalid_request", "The client_assertion_type is invalid."},
		{"public client", "", ok + "&client_id=" + public.ID, nil, 400, "unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code]."},
		{"grant not allowed", "", ok, []string{"Authorization", basic(noGrant.ID, noGrant.Secret)}, 400, "unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: [authorization_code]."},
		{"DPoP proof", "", ok, append([]string{"DPoP", "x.y.z"}, auth...), 400, "invalid_dpop_proof", "The DPoP proof JWT is malformed, or is not one: it needs typ, alg and the public jwk, and htm, htu, iat and jti."},
		{"resource", "", ok + "&resource=https://api.test", auth, 400, "invalid_target", "The 'resource' parameter must be an absolute URI without a fragment that is an audience of the authorization server."},
		{"audience", "", ok + "&audience=api://default", auth, 400, "invalid_target", "The 'audience' parameter is for token exchange only. Use 'resource'."},
		{"unknown scope", "", "grant_type=client_credentials&scope=a:read+b:read", auth, 400, "invalid_scope", "One or more scopes are not configured for the authorization server resource."},
		{"scope with a quote", "", "grant_type=client_credentials&scope=%22", auth, 400, "invalid_scope", "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner."},
		{"no scope, no default", "", "grant_type=client_credentials", auth, 400, "invalid_scope", "The authorization server resource does not have any configured default scopes, 'scope' must be provided."},
		{"empty scope", "", "grant_type=client_credentials&scope=", auth, 400, "invalid_scope", "The authorization server resource does not have any configured default scopes, 'scope' must be provided."},
		{"openid", "", "grant_type=client_credentials&scope=openid", auth, 400, "invalid_scope", "Cannot request 'openid' scopes using client credentials."},
		{"scope that needs consent", "", "grant_type=client_credentials&scope=asks", auth, 400, "consent_required", "The following scopes require user consent and cannot be granted for the client credentials grant type: [asks]."},
		{"flexible scope", "", "grant_type=client_credentials&scope=flexible", auth, 200, "", ""},
		{"post", "", ok + post, nil, 200, "", ""},
		{"content type with charset", "", ok, append([]string{"Content-Type", "", "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"}, auth...), 200, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := h.call(http.MethodPost, "/oauth2/default/v1/token"+tt.query, tt.body, tt.header...)
			if got.status != tt.status || got.text("error") != tt.code || got.text("error_description") != tt.text {
				t.Errorf("got %d %s\nwant %d %s %q", got.status, got.body, tt.status, tt.code, tt.text)
			}
			if got.header.Get("Cache-Control") != "no-store" {
				t.Error("the answer may be cached")
			}
			if (got.status == http.StatusUnauthorized) != (got.header.Get("WWW-Authenticate") != "") {
				t.Errorf("WWW-Authenticate is %q with %d", got.header.Get("WWW-Authenticate"), got.status)
			}
		})
	}
}

func manyParameters() string {
	var b strings.Builder
	for i := range 70 {
		b.WriteString("&p")
		b.WriteByte(byte('a' + i%26))
		b.WriteByte(byte('a' + i/26))
		b.WriteString("=1")
	}
	return b.String()
}

func TestDefaultScopes(t *testing.T) {
	h := newHouse(t)
	a := h.app("job")
	server := h.target().Server
	_, err := h.access.CreateScope(h.ctx, h.admin, access.Scope{Server: server.ID, Name: "basic", Default: true})
	must(t, err)
	got := h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{"grant_type": {"client_credentials"}})
	if got.status != http.StatusOK || got.text("scope") != "basic" {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// identity 37: secrets overlap in a rotation, and an inactive one is refused.
func TestSecretRotation(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	second, err := h.access.RotateSecret(h.ctx, h.admin, a.ID)
	must(t, err)
	works := func(secret string) bool {
		got := h.form("/oauth2/default/v1/token", a.ID, secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}})
		return got.status == http.StatusOK
	}
	if !works(a.Secret) || !works(second) {
		t.Fatal("old and new secret must both work")
	}
	third, err := h.access.RotateSecret(h.ctx, h.admin, a.ID)
	must(t, err)
	if works(a.Secret) || !works(second) || !works(third) {
		t.Fatal("after two rotations the first secret must be gone and the two others work")
	}
	o, err := h.access.App(h.ctx, a.ID)
	must(t, err)
	for _, s := range o.Value.Secrets {
		must(t, h.access.SetSecretStatus(h.ctx, h.admin, a.ID, s.ID, access.Inactive))
	}
	if works(second) || works(third) {
		t.Error("an inactive secret works")
	}
}

func TestPolicyDecides(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read", "b:read")
	b := h.app("other job")
	server, err := h.access.EnsureServer(h.ctx, h.admin, access.Server{Name: "orders", Audiences: []string{"api://orders"}, Algorithm: access.ES256})
	must(t, err)
	_, err = h.access.EnsureScopes(h.ctx, h.admin, server.ID, []string{"a:read", "b:read"}, "")
	must(t, err)
	ask := func(app access.Created, scope string) answer {
		return h.form("/oauth2/"+server.ID+"/v1/token", app.ID, app.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	}
	const refused = "Policy evaluation failed for this request, please check the policy configurations."
	if got := ask(a, "a:read"); got.status != 401 || got.text("error") != "access_denied" || got.text("error_description") != refused {
		t.Fatalf("a server without policies answered %d %s", got.status, got.body)
	}
	policy, err := h.access.CreatePolicy(h.ctx, h.admin, access.Policy{
		Server: server.ID, Name: "jobs", Conditions: access.PolicyContexts{Clients: access.Selection{Include: []string{a.ID}}},
	})
	must(t, err)
	_, err = h.access.CreateRule(h.ctx, h.admin, access.Rule{
		Policy: policy, Name: "read",
		Conditions: access.RuleConditions{
			GrantTypes: access.Selection{Include: []string{access.GrantClientCredentials}},
			Scopes:     access.Selection{Include: []string{"a:read"}},
		},
		Actions: access.RuleActions{Token: access.TokenActions{AccessTokenMinutes: 5}},
	})
	must(t, err)
	if got := ask(a, "a:read"); got.status != 200 || got.json["expires_in"] != 300.0 {
		t.Errorf("allowed request got %d %s", got.status, got.body)
	}
	for _, got := range []answer{ask(b, "a:read"), ask(a, "b:read"), ask(a, "a:read b:read")} {
		if got.status != 401 || got.text("error_description") != refused {
			t.Errorf("got %d %s", got.status, got.body)
		}
	}
	var considered []string
	for _, e := range h.events(audit.TokenRefused) {
		considered = append(considered, e.Debug["considered"])
	}
	for _, want := range []string{
		"the server has no policies",
		"jobs: " + access.BecauseClient + " (it is for " + a.ID + ")",
		"jobs: " + access.BecauseMatched + "; jobs / read: " + access.BecauseScopes + " (b:read)",
	} {
		if !slices.Contains(considered, want) {
			t.Errorf("the system log does not say %q but %q", want, considered)
		}
	}
}

// Guessing fills neither the system log nor the store: a peer's failures are
// recorded up to a rate.
func TestFailuresAreRecordedUpToARate(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	for range 100 {
		h.form("/oauth2/default/v1/token", a.ID, "wrong", url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}})
	}
	events := h.events(audit.ClientAuthFailed)
	if len(events) != 60 {
		t.Errorf("%d events of 100 failures, want 60", len(events))
	}
	if e := events[0]; e.Actor.ID != a.ID || e.Outcome.Reason != "invalid_client" || e.Client.IP != "127.0.0.1" {
		t.Errorf("%+v", e)
	}
}

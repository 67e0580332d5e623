package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"gatehouse/client"
	"gatehouse/internal/app"
)

// hookServer is somebody's program that is asked about tokens.
type hookServer struct {
	*httptest.Server
	mu     sync.Mutex
	answer string
	status int
	asked  []map[string]any
	header http.Header
}

func newHookServer(t *testing.T) *hookServer {
	t.Helper()
	h := &hookServer{status: http.StatusOK}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		var q map[string]any
		_ = json.Unmarshal(raw, &q)
		h.asked, h.header = append(h.asked, q), r.Header.Clone()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(h.status)
		_, _ = io.WriteString(w, h.answer)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) answers(status int, body string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status, h.answer, h.asked = status, body, nil
}

func (h *hookServer) last(t *testing.T) map[string]any {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.asked) != 1 {
		t.Fatalf("the hook was asked %d times", len(h.asked))
	}
	return h.asked[0]
}

// within walks into a JSON object.
func within(v any, path string) any {
	for name := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

// A hook is asked before tokens are signed; it adds, changes and takes away claims,
// chooses the lifetime, and says no. Without an answer that can be used there is no
// token, unless the hook is set to go on without.
func TestTokenHook(t *testing.T) {
	p := start(t, "")
	h := newHookServer(t)
	body := func(more string) string {
		return `{"name":"hook","type":"com.okta.oauth2.tokens.transform","version":"1.0.0","status":"ACTIVE","channel":{"type":"HTTP","version":"1.0.0",
			"config":{"uri":"` + h.URL + `/ask","method":"POST","headers":[{"key":"X-Other","value":"other"}],"authScheme":{"type":"HEADER","key":"Authorization","value":"a secret of the hook"}` + more + `}}}`
	}
	id := p.made("/api/v1/inlineHooks", body(""))
	server := p.made("/api/v1/authorizationServers", `{"name":"hooked","audiences":["api://hooked"]}`)
	base := "/api/v1/authorizationServers/" + server
	p.made(base+"/scopes", `{"name":"a"}`)
	p.made(base+"/claims", `{"name":"team","claimType":"RESOURCE","valueType":"EXPRESSION","value":"'red'","alwaysIncludeInToken":true}`)
	policy := p.made(base+"/policies", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p","description":"p","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	rule := func(hook string) string {
		return `{"type":"RESOURCE_ACCESS","name":"r","priority":1,"conditions":{"people":{"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["client_credentials"]},
			"scopes":{"include":["*"]}},"actions":{"token":{"accessTokenLifetimeMinutes":10,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080,"inlineHook":{"id":"` + hook + `"}}}}`
	}
	if a := p.okta("POST", base+"/policies/"+policy+"/rules", rule("cal404")); a.Status != http.StatusBadRequest {
		t.Errorf("a rule names a hook that is not there: %d %s", a.Status, a.Body)
	}
	ruleID := p.made(base+"/policies/"+policy+"/rules", rule(id))
	ask := func() answer {
		form := url.Values{"grant_type": {"client_credentials"}, "scope": {"a"}, "client_id": {p.Ready().Demo.ClientID}, "client_secret": {p.Ready().Demo.ClientSecret}}
		return p.request("POST", p.Ready().Identity+"/oauth2/"+server+"/v1/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}

	h.answers(200, `{"commands":[{"type":"com.okta.access.patch","value":[{"op":"add","path":"/claims/patient","value":{"id":7}},
		{"op":"replace","path":"/claims/team","value":"blue"},{"op":"replace","path":"/token/lifetime/expiration","value":900}]},
		{"type":"com.okta.identity.patch","value":[{"op":"add","path":"/claims/x","value":1}]}]}`)
	a := ask()
	token, _ := a.json(t)["access_token"].(string)
	claims := sharedClaims(t, token)
	if a.json(t)["expires_in"] != 900.0 || claims["team"] != "blue" || within(claims, "patient.id") != 7.0 {
		t.Errorf("%s: %v", a.Body, claims)
	}
	q := h.last(t)
	if within(q, "eventType") != "com.okta.oauth2.tokens.transform" || within(q, "data.access.claims.team") != "red" || within(q, "data.context.policy.rule.id") != ruleID ||
		within(q, "data.context.protocol.client.id") != p.Ready().Demo.ClientID || within(q, "data.access.token.lifetime.expiration") != 600.0 {
		t.Errorf("asked: %v", q)
	}
	if h.header.Get("Authorization") != "a secret of the hook" || h.header.Get("X-Other") != "other" {
		t.Errorf("headers: %v", h.header)
	}

	h.answers(200, "")
	if a := ask(); a.Status != 200 || a.json(t)["expires_in"] != 600.0 {
		t.Errorf("an empty answer: %d %s", a.Status, a.Body)
	}
	h.answers(200, `{"error":{"errorSummary":"The patient has moved."}}`)
	if a := ask(); a.Status != 400 || a.json(t)["error"] != "server_error" || a.json(t)["error_description"] != "The patient has moved." {
		t.Errorf("no: %d %s", a.Status, a.Body)
	}
	failures := []struct {
		status int
		body   string
	}{{500, "{}"}, {200, "<html>"}, {302, ""}, {200, `{"commands":[{"type":"com.okta.unknown","value":[]}]}`}, {200, `{"commands":[{"type":"com.okta.access.patch","value":[{"op":"replace","path":"/claims/iss","value":"x"}]}]}`}}
	for _, f := range failures {
		h.answers(f.status, f.body)
		if a := ask(); a.Status != 503 || a.json(t)["error"] != "temporarily_unavailable" {
			t.Errorf("%d %s: %d %s", f.status, f.body, a.Status, a.Body)
		}
	}
	if a := p.okta("PUT", "/api/v1/inlineHooks/"+id, body(`,"failureMode":"CONTINUE"`)); a.Status != 200 || strings.Contains(a.Body, "a secret") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for _, f := range failures {
		h.answers(f.status, f.body)
		if a := ask(); a.Status != 200 || a.json(t)["expires_in"] != 600.0 || sharedClaims(t, a.json(t)["access_token"].(string))["team"] != "red" {
			t.Errorf("goes on: %d %s: %d %s", f.status, f.body, a.Status, a.Body)
		}
	}
	h.answers(200, `{"error":{"errorSummary":"no"}}`)
	if a := ask(); a.Status != 400 {
		t.Errorf("a hook that says no is no failure: %d %s", a.Status, a.Body)
	}

	// What Okta's clients do not know stays; a preview asks nobody.
	if a := p.okta("PUT", "/api/v1/inlineHooks/"+id, body("")); within(a.json(t), "channel.config.failureMode") != "CONTINUE" {
		t.Errorf("%s", a.Body)
	}
	h.answers(200, "")
	v, err := p.admin().Preview(t.Context(), server, client.PreviewRequest{ClientID: p.Ready().Demo.ClientID, Scopes: []string{"a"}})
	if err != nil || !v.Granted || v.Hook != "hook ("+id+")" || len(h.asked) > 0 {
		t.Errorf("preview: %+v %v", v, err)
	}
	// It is in the log, it can be executed, and it cannot go while a rule names it.
	app.FlushLog(t, p.App)
	if log := p.okta("GET", "/api/v1/logs?limit=1000&filter=eventType+eq+%22inline_hook.executed%22", ""); !strings.Contains(log.Body, id) || strings.Contains(log.Body, "a secret") {
		t.Errorf("log: %s", log.Body)
	}
	h.answers(200, `{"commands":[]}`)
	if a := p.okta("POST", "/api/v1/inlineHooks/"+id+"/execute", `{"my":"payload"}`); a.Status != 200 || within(h.last(t), "my") != "payload" || !strings.Contains(a.Body, "commands") {
		t.Errorf("execute: %d %s", a.Status, a.Body)
	}
	if a := p.okta("DELETE", "/api/v1/inlineHooks/"+id, ""); a.Status != http.StatusForbidden {
		t.Errorf("an active hook is deleted: %d %s", a.Status, a.Body)
	}
	p.okta("POST", "/api/v1/inlineHooks/"+id+"/lifecycle/deactivate", "")
	h.answers(500, "")
	if a := ask(); a.Status != 200 || len(h.asked) > 0 {
		t.Errorf("a hook that is not in force is asked: %d %s", a.Status, a.Body)
	}
	if a := p.okta("DELETE", "/api/v1/inlineHooks/"+id, ""); a.Status < 400 {
		t.Errorf("a hook that a rule names is deleted: %d", a.Status)
	}
	// Its secret goes nowhere else than where it was given for.
	elsewhere := strings.Replace(strings.Replace(body(""), h.URL, "https://evil.example", 1), `,"value":"a secret of the hook"`, "", 1)
	if a := p.okta("PUT", "/api/v1/inlineHooks/"+id, elsewhere); a.Status != 400 {
		t.Errorf("the secret goes to another address: %d %s", a.Status, a.Body)
	}
}

// An app that publishes its keys authenticates with them, with new ones when it has
// changed them, and not with keys of somebody else.
func TestPublishedKeysOfApps(t *testing.T) {
	p := start(t, "")
	var mu sync.Mutex
	var published jose.JSONWebKeySet
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(published)
	}))
	t.Cleanup(keys.Close)
	newKey := func(kid string) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		published.Keys = []jose.JSONWebKey{{Key: &k.PublicKey, KeyID: kid, Algorithm: "ES256", Use: "sig"}}
		return k
	}
	first := newKey("one")
	app := `{"name":"oidc_client","label":"publisher","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"],"jwks_uri":"` + keys.URL + `/keys"%s}}}`
	if a := p.okta("POST", "/api/v1/apps", strings.Replace(app, "%s", `,"jwks":{"keys":[{"kty":"EC","crv":"P-256","kid":"x","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`, 1)); a.Status != 400 {
		t.Errorf("keys and an address of keys: %d %s", a.Status, a.Body)
	}
	id := p.made("/api/v1/apps", strings.Replace(app, "%s", "", 1))
	n := 0
	ask := func(kid string, key *ecdsa.PrivateKey) int {
		t.Helper()
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
		if err != nil {
			t.Fatal(err)
		}
		n++
		now := time.Now()
		assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
			Issuer: id, Subject: id, Audience: jwt.Audience{p.Ready().Demo.Issuer + "/v1/token"}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(time.Minute)), ID: kid + strings.Repeat("x", n),
		}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		form := url.Values{
			"grant_type": {"client_credentials"}, "scope": {"vacations:read"}, "client_assertion": {assertion},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
		return p.request("POST", p.Ready().Demo.Issuer+"/v1/token", "", form.Encode(), "Content-Type", "application/x-www-form-urlencoded").Status
	}
	if got := ask("one", first); got != 200 {
		t.Fatalf("with the published key: %d", got)
	}
	second, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got := ask("one", second); got != 401 {
		t.Errorf("with a key of somebody else: %d", got)
	}
	// The address moves, and with it the keys.
	second = newKey("two")
	if a := p.okta("PUT", "/api/v1/apps/"+id, strings.Replace(strings.Replace(app, "/keys", "/others", 1), "%s", "", 1)); a.Status != 200 || !strings.Contains(a.Body, "/others") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := ask("two", second); got != 200 {
		t.Errorf("with the new key: %d", got)
	}
	if got := ask("one", first); got != 401 {
		t.Errorf("with the old key: %d", got)
	}
}

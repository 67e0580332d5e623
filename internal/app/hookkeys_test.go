package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// guarded is somebody's program that is a hook, behind the authorization server that it
// trusts.
type guarded struct {
	*httptest.Server
	mu     sync.Mutex
	forms  []url.Values // of the requests for tokens
	shown  []string     // Authorization headers of the calls
	refuse bool         // the next call
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	g := &guarded{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			_ = r.ParseForm()
			g.forms = append(g.forms, r.PostForm)
			if r.PostForm.Get("client_secret") == "wrong" {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"wrong is not the secret"}`)
				return
			}
			_, _ = io.WriteString(w, `{"access_token":"token`+string(rune('0'+len(g.forms)))+`","token_type":"Bearer","expires_in":3600}`)
			return
		}
		g.shown = append(g.shown, r.Header.Get("Authorization"))
		if g.refuse {
			g.refuse = false
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"commands":[]}`)
	}))
	t.Cleanup(g.Close)
	return g
}

// A hook of the type OAUTH is called with a token that is got for it, by an assertion that a
// hook key signs or by a secret, once for as long as it lasts; a token that is refused is
// got anew, once.
func TestHooksWithTokens(t *testing.T) {
	p := start(t, "")
	g := newGuarded(t)
	key := p.okta("POST", "/api/v1/hook-keys", `{"name":"for hooks"}`)
	made := key.json(t)
	id, _ := made["id"].(string)
	kid, _ := made["keyId"].(string)
	if key.Status != http.StatusOK || !strings.HasPrefix(id, "HKY") || len(id) != 20 || made["isUsed"] != false {
		t.Fatalf("%d %s", key.Status, key.Body)
	}
	if a := p.okta("POST", "/api/v1/hook-keys", `{"name":"for hooks"}`); a.Status != http.StatusBadRequest {
		t.Errorf("the name twice: %d %s", a.Status, a.Body)
	}
	config := func(more string) string {
		return `{"name":"guarded","type":"com.okta.oauth2.tokens.transform","version":"1.0.0","channel":{"type":"OAUTH","version":"1.0.0","config":{
			"uri":"` + g.URL + `/hook","method":"POST","clientId":"gatehouse","scope":"ask","tokenUrl":"` + g.URL + `/token",` + more + `}}}`
	}
	byKey := `"authType":"private_key_jwt","hookKeyId":"` + id + `"`
	for _, bad := range []string{`"authType":"none"`, `"authType":"private_key_jwt"`, `"authType":"private_key_jwt","hookKeyId":"HKY0"`, `"authType":"client_secret_post"`, byKey + `,"authScheme":{"type":"HEADER","key":"Authorization","value":"x"}`} {
		if a := p.okta("POST", "/api/v1/inlineHooks", config(bad)); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	hook := p.made("/api/v1/inlineHooks", config(byKey))
	ask := func(want int) {
		t.Helper()
		if a := p.okta("POST", "/api/v1/inlineHooks/"+hook+"/execute", `{"data":{}}`); a.Status != want {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	ask(http.StatusOK)
	ask(http.StatusOK)
	if len(g.forms) != 1 || strings.Join(g.shown, ",") != "Bearer token1,Bearer token1" {
		t.Errorf("%d tokens were got; shown: %v", len(g.forms), g.shown)
	}
	signedByKey(t, p, g, kid)
	g.refuse = true
	ask(http.StatusOK)
	if len(g.forms) != 2 || g.shown[len(g.shown)-1] != "Bearer token2" {
		t.Errorf("after a refusal: %d tokens, %v", len(g.forms), g.shown)
	}
	// A key that a hook names stays.
	if a := p.okta("DELETE", "/api/v1/hook-keys/"+id, ""); a.Status != http.StatusForbidden || p.okta("GET", "/api/v1/hook-keys/"+id, "").json(t)["isUsed"] != true {
		t.Errorf("a key in use is deleted: %d %s", a.Status, a.Body)
	}

	// With a secret, which is not shown again and not sent elsewhere.
	put := func(body string) answer { t.Helper(); return p.okta("PUT", "/api/v1/inlineHooks/"+hook, body) }
	if a := put(config(`"authType":"client_secret_post","clientSecret":"a secret of theirs"`)); a.Status != http.StatusOK || strings.Contains(a.Body, "a secret of theirs") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	ask(http.StatusOK)
	if f := g.forms[len(g.forms)-1]; f.Get("client_secret") != "a secret of theirs" || f.Get("client_id") != "gatehouse" || f.Get("scope") != "ask" || f.Has("client_assertion") {
		t.Errorf("sent: %v", f)
	}
	elsewhere := strings.Replace(config(`"authType":"client_secret_post"`), g.URL+"/token", g.URL+"/other", 1)
	if a := put(elsewhere); a.Status != http.StatusBadRequest {
		t.Errorf("the secret goes elsewhere: %d %s", a.Status, a.Body)
	}
	put(config(`"authType":"client_secret_post","clientSecret":"wrong"`))
	ask(http.StatusBadRequest)
	if log := p.logged(t, "inline_hook.executed"); strings.Contains(log, "wrong") || strings.Contains(log, "token2") {
		t.Errorf("the log has what was said: %s", log)
	}
	if a := p.okta("DELETE", "/api/v1/hook-keys/"+id, ""); a.Status != http.StatusNoContent {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// signedByKey makes sure that the first token was got by an assertion of the key.
func signedByKey(t *testing.T, p *program, g *guarded, kid string) {
	t.Helper()
	public := p.okta("GET", "/api/v1/hook-keys/public/"+kid, "")
	fields := public.json(t)
	delete(fields, "alg") // Okta has the key's there, RSA, which is no algorithm of RFC 7518
	delete(fields, "use")
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var key jose.JSONWebKey
	if err := json.Unmarshal(raw, &key); err != nil {
		t.Fatalf("%s: %v", public.Body, err)
	}
	assertion, err := jwt.ParseSigned(g.forms[0].Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := assertion.Claims(key.Key, &claims); err != nil || assertion.Headers[0].KeyID != kid {
		t.Fatalf("%v %v", assertion.Headers, err)
	}
	if claims.Issuer != "gatehouse" || claims.Subject != "gatehouse" || !claims.Audience.Contains(g.URL+"/token") || claims.ID == "" || claims.Expiry == nil {
		t.Errorf("%+v", claims)
	}
}

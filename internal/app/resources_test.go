package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/client"
)

// tokenRequest asks the token endpoint of the server default as the demo's service.
func (p *program) tokenRequest(form url.Values) (status int, body map[string]any) {
	p.t.Helper()
	d := p.Ready().Demo
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, d.Issuer+"/v1/token", strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if !form.Has("client_id") {
		r.SetBasicAuth(d.ClientID, d.ClientSecret)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		p.t.Fatal(err)
	}
	return res.StatusCode, body
}

// echo is an API that answers everything with 200.
func echo(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(s.Close)
	return s.URL
}

// RFC 8707 from the browser to the gateway: the API takes the token that was asked
// for it, and refuses the one for another.
func TestResourcesThroughTheProgram(t *testing.T) {
	const own, other = "api://default", "https://billing.test/"
	demo, err := os.ReadFile("demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The API takes the tokens that are for it, and not every token of the server.
	file := filepath.Join(t.TempDir(), "gatehouse.yaml")
	narrowed := strings.Replace(string(demo), "{ builtin: default }", "{ builtin: default, audience: "+own+" }", 1)
	narrowed, _, _ = strings.Cut(narrowed, "tests:")
	if err := os.WriteFile(file, []byte(narrowed), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, file, withEnv(map[string]string{"GATEHOUSE_DEMO_UPSTREAM": echo(t)}))
	if _, err := p.admin().UpdateServer(t.Context(), "default", client.Server{Audiences: []string{own, other}}); err != nil {
		t.Fatal(err)
	}
	ana, c := p.Ready().Demo.Users[0], p.browserApp()
	b := p.browser(t)

	bad := c.answer(t, b.get(authorizePath+"?"+c.request("resource", "https://evil.test/").Encode()))
	if bad.Get("error") != "invalid_target" || bad.Get("code") != "" {
		t.Errorf("an unknown resource: %v", bad)
	}
	q := c.request("scope", "openid offline_access vacations:read")
	q["resource"] = []string{own, other}
	pushed := b.send(b.form("/oauth2/default/v1/par", q))
	var par struct {
		URI string `json:"request_uri"`
	}
	if err := json.Unmarshal([]byte(pushed.body), &par); err != nil || pushed.StatusCode != http.StatusCreated {
		t.Fatalf("pushed: %d %s", pushed.StatusCode, pushed.body)
	}
	page := b.signIn(b.get(authorizePath+"?"+url.Values{"client_id": {c.id}, "request_uri": {par.URI}}.Encode()), ana.Login, ana.Password)
	code := c.answer(t, page).Get("code") // scopes of a file ask nobody for consent
	redeem := url.Values{"client_id": {c.id}, "grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {c.redirect}, "code_verifier": {c.verifier}, "resource": {other}}
	status, got := p.tokenRequest(redeem)
	if status != http.StatusOK {
		t.Fatalf("code: %d %v", status, got)
	}
	use := func(token any) int {
		text, _ := token.(string)
		return p.call(http.MethodGet, "/hr/vacations/ana", text).Status
	}
	introspected := func(token any) []string {
		text, _ := token.(string)
		d := p.Ready().Demo
		a := p.request(http.MethodPost, d.Issuer+"/v1/introspect", "", url.Values{"token": {text}, "client_id": {d.ClientID}, "client_secret": {d.ClientSecret}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		switch aud := a.json(t)["aud"].(type) {
		case string:
			return []string{aud}
		case []any:
			out := make([]string, len(aud))
			for i, x := range aud {
				out[i], _ = x.(string)
			}
			return out
		}
		return nil
	}
	if aud := introspected(got["access_token"]); !slices.Equal(aud, []string{other}) {
		t.Errorf("aud %v", aud)
	}
	if s := use(got["access_token"]); s != http.StatusUnauthorized {
		t.Errorf("the API answers %d to a token for another", s)
	}
	status, all := p.tokenRequest(url.Values{"client_id": {c.id}, "grant_type": {"refresh_token"}, "refresh_token": {got["refresh_token"].(string)}})
	if aud := introspected(all["access_token"]); status != http.StatusOK || !slices.Equal(aud, []string{own, other}) {
		t.Errorf("refreshed: %d %v %v", status, all, aud)
	}
	if s := use(all["access_token"]); s != http.StatusOK {
		t.Errorf("the API answers %d", s)
	}
	status, wide := p.tokenRequest(url.Values{"client_id": {c.id}, "grant_type": {"refresh_token"}, "refresh_token": {all["refresh_token"].(string)}, "resource": {"https://evil.test/"}})
	if status != http.StatusBadRequest || wide["error"] != "invalid_target" {
		t.Errorf("widened: %d %v", status, wide)
	}
}

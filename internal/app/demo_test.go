package app_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"gatehouse/client"
)

// The demo API is the first thing that anybody sees: what is allowed, what is
// not, and why.
func TestDemo(t *testing.T) {
	p := start(t, "")
	reads, writes := p.token("vacations:read"), p.token("payroll:write")

	a := p.call(http.MethodGet, "/hr/vacations/ana", reads)
	if a.Status != http.StatusOK {
		t.Fatalf("allowed call: %d %s", a.Status, a.Body)
	}
	got := a.json(t)
	if got["path"] != "/vacations/ana" || got["method"] != "GET" {
		t.Errorf("the upstream saw %v %v", got["method"], got["path"])
	}
	headers, _ := got["headers"].(map[string]any)
	for name, want := range map[string]string{"X-Client-Id": p.Ready().Demo.ClientID, "X-Granted-Scopes": "vacations:read"} {
		if v, _ := headers[name].([]any); len(v) != 1 || v[0] != want {
			t.Errorf("%s = %v, want once %q", name, headers[name], want)
		}
	}
	for _, name := range []string{"X-Request-Id", "X-Forwarded-For", "Traceparent", "X-Gatehouse-Context", "X-User-Id"} {
		if v, _ := headers[name].([]any); len(v) != 1 || v[0] == "" {
			t.Errorf("%s = %v, want it once", name, headers[name])
		}
	}
	if headers["Authorization"] != nil {
		t.Error("the token reached the upstream")
	}

	for _, c := range []struct {
		name, method, path, token string
		status                    int
		reason                    string
	}{
		{"no token", "GET", "/hr/vacations/ana", "", 401, "no_token"},
		{"the wrong scope", "GET", "/hr/vacations/ana", writes, 403, "missing_scope"},
		{"not an employee", "PUT", "/hr/direct-deposit/ana", writes, 401, "step_up_required"},
		{"no such operation", "GET", "/hr/payslips", reads, 404, "no_route"},
		{"the wrong method", "DELETE", "/hr/vacations/ana", reads, 405, "method_not_allowed"},
		{"a broken token", "GET", "/hr/vacations/ana", reads + "x", 401, "bad_signature"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := p.call(c.method, c.path, c.token)
			v := a.json(t)
			if a.Status != c.status || v["reason"] != c.reason && !(c.reason == "bad_signature" && v["reason"] == "token_malformed") {
				t.Errorf("%d %v, want %d %s\n%s", a.Status, v["reason"], c.status, c.reason, a.Body)
			}
			decision := "deny"
			if c.status == http.StatusUnauthorized {
				decision = "challenge"
			}
			if d := a.Header.Get("Gatehouse-Decision"); d != decision+"; reason="+v["reason"].(string) {
				t.Errorf("Gatehouse-Decision: %q", d)
			}
			id := a.Header.Get("X-Request-Id")
			if id == "" || v["request_id"] != id {
				t.Errorf("request id %q, in the body %v", id, v["request_id"])
			}
			d, err := p.decision(id)
			if err != nil {
				t.Fatalf("explain: %v", err)
			}
			if d.Decision != decision || d.Reason != v["reason"] || len(d.Steps) == 0 {
				t.Errorf("explained as %+v", d)
			}
			page := p.request(http.MethodGet, v["type"].(string), "", "")
			if page.Status != http.StatusOK || !strings.Contains(page.Body, c.reason) && !strings.Contains(page.Body, v["reason"].(string)) {
				t.Errorf("the reason's page %v answers %d", v["type"], page.Status)
			}
		})
	}
	if a := p.call(http.MethodGet, "/hr/health", ""); a.Status != http.StatusOK {
		t.Errorf("the public operation answers %d", a.Status)
	}
}

// An employee with the scope may, once a second factor has been used.
func TestDemoStepUp(t *testing.T) {
	p := start(t, "")
	mint := func(r client.TokenRequest) string {
		t.Helper()
		tok, err := p.admin().Mint(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		return tok.AccessToken
	}
	ana := client.TokenRequest{User: "ana@example.com", Scopes: []string{"payroll:write"}}
	a := p.call(http.MethodPut, "/hr/direct-deposit/ana@example.com", mint(ana))
	if a.Status != http.StatusUnauthorized || a.json(t)["reason"] != "step_up_required" {
		t.Errorf("without a second factor: %d %s", a.Status, a.Body)
	}
	if c := a.Header.Get("WWW-Authenticate"); !strings.HasPrefix(c, `Bearer error="insufficient_user_authentication", acr_values="urn:okta:loa:2fa:any", max_age="300", `) {
		t.Errorf("challenge: %s", c)
	}
	ana.MFA = true
	if a := p.call(http.MethodPut, "/hr/direct-deposit/ana@example.com", mint(ana)); a.Status != http.StatusOK {
		t.Errorf("with one: %d %s", a.Status, a.Body)
	}
	// But nobody else's record.
	a = p.call(http.MethodPut, "/hr/direct-deposit/ben@example.com", mint(ana))
	if a.Status != http.StatusForbidden || a.json(t)["reason"] != "condition_failed" {
		t.Errorf("another's record: %d %s", a.Status, a.Body)
	}
	d, err := p.decision(a.Header.Get("X-Request-Id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Steps {
		if s.Name == "policy" && (!strings.Contains(s.Had, `principal.login = "ana@example.com"`) || !strings.HasPrefix(s.Source, "demo.yaml:")) {
			t.Errorf("explained as %+v", s)
		}
	}
	if _, err := p.admin().Mint(t.Context(), client.TokenRequest{MFA: true, Scopes: []string{"payroll:write"}}); err == nil {
		t.Error("an app has used a second factor")
	}
}

// What `dev` prints can be copied.
func TestWelcomeNamesWhatServes(t *testing.T) {
	p := start(t, "")
	w := p.Welcome()
	for _, want := range []string{p.Ready().Gateway, p.Ready().Identity, p.Ready().Console, "curl -H", "ana@example.com", "--ready-file"} {
		if !strings.Contains(w, want) {
			t.Errorf("the welcome does not name %q:\n%s", want, w)
		}
	}
	if strings.Contains(w, p.Ready().Demo.ClientSecret) || strings.Contains(w, p.Ready().APIToken) || strings.Contains(w, p.Ready().Demo.Users[0].Password) {
		t.Error("the welcome shows a secret")
	}
	// Of a file of one's own: how to get a token for the first operation that asks for one.
	p = start(t, write(t, fmt.Sprintf(twoScopes, "http://127.0.0.1:1")))
	if w := p.Welcome(); !regexp.MustCompile(`A token for GET /a/\S+:\n\n  gatehouse token --scope orders:\w+\n`).MatchString(w) {
		t.Errorf("the welcome of a file does not say how to call it:\n%s", w)
	}
}

// When the revocation call has returned, the token is dead.
func TestRevokedTokenIsRefusedBeforeTheCallReturns(t *testing.T) {
	p := start(t, "")
	d := p.Ready().Demo
	for range 20 {
		token := p.token("vacations:read")
		if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
			t.Fatalf("before: %d", a.Status)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.Issuer+"/v1/revoke", strings.NewReader("token="+token))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(d.ClientID, d.ClientSecret)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := p.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("revoke answers %d", res.StatusCode)
		}
		if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusUnauthorized || a.json(t)["reason"] != "revoked" {
			t.Fatalf("after: %d %s", a.Status, a.Body)
		}
	}
}

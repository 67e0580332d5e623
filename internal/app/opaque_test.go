package app_test

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/settings"
)

// opaqueIssuer is an authorization server elsewhere whose tokens say nothing.
type opaqueIssuer struct {
	*httptest.Server
	asked  atomic.Int64
	mu     sync.Mutex
	secret string
	down   bool
	tokens map[string]string // answers
}

func newOpaqueIssuer(t *testing.T, secret string) *opaqueIssuer {
	t.Helper()
	o := &opaqueIssuer{secret: secret, tokens: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"introspection_endpoint":%q}`, o.URL, o.URL+"/introspect")
	})
	mux.HandleFunc("POST /introspect", func(w http.ResponseWriter, r *http.Request) {
		o.asked.Add(1)
		o.mu.Lock()
		defer o.mu.Unlock()
		user, password, _ := r.BasicAuth()
		switch {
		case o.down:
			w.WriteHeader(http.StatusBadGateway)
			return
		case user != "gatehouse" || password != o.secret:
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer := o.tokens[r.FormValue("token")]
		if answer == "" {
			answer = `{"active":false}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})
	o.Server = httptest.NewServer(mux)
	t.Cleanup(o.Close)
	return o
}

func (o *opaqueIssuer) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}

const partnerAPI = `version: 1
issuers:
  partner:
    url: %s
    audience: api://orders
    tokens: opaque
    client_id: gatehouse
    client_secret: ${env:PARTNER_SECRET}
apis:
  orders:
    upstream: %s
    auth: partner
    routes:
      GET /orders/*: orders:read
      PUT /orders/*: orders:write
`

// contains reports which files below the folder hold the text.
func contains(t *testing.T, folder, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(b), text) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Opaque tokens through the whole program: the issuer is asked, its answer is what
// counts, and the secret that the gateway asks with is nowhere in plain. Attack
// gateway 25, 27, 29.
func TestOpaqueTokens(t *testing.T) {
	const secret = "canary-partner-secret"
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-User-Id")+" "+r.Header.Get("X-Client-Id")+" "+r.Header.Get("Authorization"))
	}))
	defer up.Close()
	o := newOpaqueIssuer(t, secret)
	o.tokens["good"] = `{"active":true,"sub":"ana","client_id":"app1","scope":"orders:read","aud":"api://orders"}`
	o.tokens["elsewhere"] = `{"active":true,"sub":"ana","scope":"orders:read","aud":"api://other"}`
	o.tokens["unsaid"] = `{"active":true,"sub":"ana","scope":"orders:read"}`
	file := write(t, fmt.Sprintf(partnerAPI, o.URL, up.URL))
	env := withEnv(map[string]string{"PARTNER_SECRET": secret})
	p := start(t, file, env)
	for token, want := range map[string]struct {
		status int
		reason string
	}{
		"good": {200, ""}, "never-issued": {401, "revoked"}, "elsewhere": {401, "wrong_audience"}, "unsaid": {401, "wrong_audience"},
	} {
		a := p.call(http.MethodGet, "/orders/1", token)
		if a.Status != want.status || !strings.Contains(a.Header.Get("Gatehouse-Decision"), want.reason) {
			t.Errorf("%s: %d %s", token, a.Status, a.Header.Get("Gatehouse-Decision"))
		}
		if token == "good" && a.Body != "ana app1 " {
			t.Errorf("the upstream was told %q", a.Body)
		}
	}
	if a := p.call(http.MethodPut, "/orders/1", "good"); a.Status != http.StatusForbidden {
		t.Errorf("without the scope: %d", a.Status)
	}

	o.set(func() { o.down = true })
	if a := p.call(http.MethodGet, "/orders/1", "good"); a.Status != http.StatusOK {
		t.Errorf("issuer down, answer known: %d", a.Status)
	}
	if a := p.call(http.MethodGet, "/orders/1", "new"); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "issuer_unreachable") {
		t.Errorf("issuer down, answer not known: %d %s", a.Status, a.Body)
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", ""); a.Status != http.StatusOK || !strings.Contains(a.Body, "introspection partner degraded") {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
	o.set(func() { o.down = false })

	b, err := p.admin().Export(t.Context(), 0)
	if err != nil || !strings.Contains(string(b), "client_secret: \"${env:PARTNER_SECRET}\"") {
		t.Errorf("export: %v\n%s", err, b)
	}
	status, err := p.admin().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	data := p.data
	if said := p.out.String() + p.err.String(); strings.Contains(said, secret) || strings.Contains(said, "never-issued") {
		t.Error("the secret or a token was logged")
	}
	p.stop()
	if where := contains(t, data, secret); len(where) != 0 {
		t.Errorf("the secret stands in %v", where)
	}

	// The same secret again is no change, although it would be sealed into other bytes.
	p = start(t, file, env, withData(data))
	if list, err := p.admin().Changes(t.Context(), status.Revision, 10, "issuer"); err != nil || len(list) != 0 {
		t.Errorf("a restart has changed the issuer: %+v %v", list, err)
	}
	p.stop()

	// With the store down the node has the secret from its snapshot.
	p = start(t, file, withEnv(map[string]string{"PARTNER_SECRET": secret}), withData(data), withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"))
	if a := p.call(http.MethodGet, "/orders/1", "good"); a.Status != http.StatusOK {
		t.Errorf("with the store down: %d %s", a.Status, a.Body)
	}
	p.stop()

	// Another secret is a change, and what is asked with from then on.
	o.set(func() { o.secret = "the-next-one" })
	p = start(t, file, withEnv(map[string]string{"PARTNER_SECRET": "the-next-one"}), withData(data))
	if a := p.call(http.MethodGet, "/orders/1", "good"); a.Status != http.StatusOK {
		t.Errorf("with the next secret: %d %s", a.Status, a.Body)
	}
	list, err := p.admin().Changes(t.Context(), status.Revision, 10, "issuer")
	if err != nil || len(list) != 1 {
		t.Errorf("changes of the issuer: %v %v", list, err)
	}
}

// What an issuer calls its claims is a setting of the issuer, for tokens that are
// verified here and for those that are asked about.
func TestClaimNames(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-User-Id")+" "+r.Header.Get("X-Client-Id")+" "+r.Header.Get("X-Granted-Scopes"))
	}))
	defer up.Close()
	signs, asked := newIssuer(t), newOpaqueIssuer(t, "s")
	asked.tokens["tok"] = `{"active":true,"sub":"s1","user":"ben","client_id":"portal","permissions":["orders:read"],"teams":["sales"]}`
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  signs:
    url: %s
    audience: portal
    claims: { preset: auth0, user: person.login, client: app, audience: app, groups: teams }
  asked:
    url: %s
    audience: portal
    tokens: opaque
    client_id: gatehouse
    client_secret: ${env:S}
    claims: { user: user, audience: client_id, scopes: permissions, groups: teams }
apis:
  orders:
    upstream: %s
    auth: [signs, asked]
    routes:
      GET /orders/*: { scopes: [orders:read], groups: [sales] }
`, signs.URL, asked.URL, up.URL)), withEnv(map[string]string{"S": "s"}))
	claims := map[string]any{
		"aud": "https://elsewhere.test", "app": "portal", "person": map[string]any{"login": "ana"}, "permissions": []string{"orders:read"},
		"scp": []string{"nothing"}, "teams": []string{"sales"}, "groups": []string{"nobody"},
	}
	if a := p.call(http.MethodGet, "/orders/1", signs.token(t, claims)); a.Status != http.StatusOK || a.Body != "ana portal orders:read" {
		t.Errorf("signed: %d %s", a.Status, a.Body)
	}
	claims["teams"] = []string{"nobody"}
	if a := p.call(http.MethodGet, "/orders/1", signs.token(t, claims)); a.Status != http.StatusForbidden {
		t.Errorf("signed, in another team: %d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/orders/1", "tok"); a.Status != http.StatusOK || a.Body != "ben portal orders:read" {
		t.Errorf("asked: %d %s", a.Status, a.Body)
	}
}

// One Gatehouse asks another one about its tokens: the built-in server's
// introspection is what this side takes for an answer, and what is revoked there is
// refused here when the answer has run out at the latest.
func TestOneGatehouseAsksAnother(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Client-Id"))
	}))
	defer up.Close()
	other := start(t, "")
	d := other.Ready().Demo
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  other:
    url: %s
    audience: api://default
    tokens: opaque
    client_id: %s
    client_secret: ${env:S}
apis:
  hr: { upstream: %s, auth: other, routes: { GET /*: vacations:read } }
`, d.Issuer, d.ClientID, up.URL)), withEnv(map[string]string{"S": d.ClientSecret}))
	good, dead := other.token("vacations:read"), other.token("vacations:read")
	if a := p.call(http.MethodGet, "/x", good); a.Status != http.StatusOK || a.Body != d.ClientID {
		t.Errorf("a good token: %d %s %s", a.Status, a.Body, p.err)
	}
	if err := other.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, dead)}); err != nil {
		t.Fatal(err)
	}
	if a := p.call(http.MethodGet, "/x", dead); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "revoked") {
		t.Errorf("a revoked token: %d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/x", other.token("payroll:write")); a.Status != http.StatusForbidden {
		t.Errorf("without the scope: %d %s", a.Status, a.Body)
	}
}

// The doctor asks the issuer about a token that nobody has: with the right secret
// it answers, with another one it does not.
func TestDoctorAsksTheIssuer(t *testing.T) {
	o := newOpaqueIssuer(t, "right")
	file := write(t, fmt.Sprintf(partnerAPI, o.URL, "http://127.0.0.1:9"))
	for secret, want := range map[string]app.Outcome{"right": app.Passed, "wrong": app.Failed} {
		list, err := app.Doctor(t.Context(), app.Config{
			File: file, Dev: true, Flags: settings.Flags{Data: t.TempDir()},
			Getenv: func(name string) (string, bool) { return secret, name == "PARTNER_SECRET" },
		})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(f app.Finding) bool { return f.Check == "issuer partner" })
		if i < 0 || list[i].Outcome != want {
			t.Errorf("with the %s secret: %+v", secret, list)
		}
	}
}

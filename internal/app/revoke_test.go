package app_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/cli"
)

const revocable = `version: 1
apis:
  orders:
    upstream: %s
    auth: [default, api_key]
    routes:
      GET /orders/*: orders:read
      GET /events: orders:read
issuers:
  default: { builtin: default }
`

// subject mints a token of a user, a second after whatever was revoked before.
func (p *program) subject(login string) string {
	p.t.Helper()
	t, err := p.admin().Mint(p.t.Context(), client.TokenRequest{User: login, Scopes: []string{"orders:read"}})
	if err != nil {
		p.t.Fatal(err)
	}
	return t.AccessToken
}

func (p *program) refused(token string) bool {
	p.t.Helper()
	a := p.call(http.MethodGet, "/orders/1", token)
	switch {
	case a.Status == http.StatusOK:
		return false
	case a.Status == http.StatusUnauthorized && strings.Contains(a.Body, `"reason":"revoked"`):
		return true
	}
	p.t.Fatalf("%d %s", a.Status, a.Body)
	return false
}

func startRevocable(t *testing.T) *program {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: one\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(up.Close)
	return start(t, write(t, fmt.Sprintf(revocable, up.URL)))
}

// Every kind of revocation, by the native API of the whole program: in force when
// the call returns, listed with who and why, and taken back. Attack gateway 30,
// identity 51.
func TestRevocationOfEveryKind(t *testing.T) {
	p := startRevocable(t)
	d := p.Ready().Demo
	key, err := p.admin().CreateAPIKey(t.Context(), client.APIKey{App: d.ClientID, Name: "k", Scopes: []string{"orders:read"}})
	if err != nil {
		t.Fatal(err)
	}
	token := p.subject("ana@example.com")
	if p.refused(token) {
		t.Fatal("refused before")
	}
	for _, r := range []client.Revocation{
		{Kind: "token", Value: jti(t, token)},
		{Kind: "token_hash", Value: b64(sum(token))},
		{Kind: "user", Value: "ana@example.com"},
		{Kind: "client", Value: d.ClientID},
		{Kind: "key", Value: kid(t, token)},
		{Kind: "issuer", Issuer: d.Issuer},
		{Kind: "tenant"},
		{Kind: "api_key", Value: key.ID},
	} {
		t.Run(r.Kind, func(t *testing.T) {
			r.Reason = "a test"
			if dry, err := p.admin().CreateRevocation(t.Context(), r, true); err != nil || dry.ID != "" || dry.Kind != r.Kind || p.refused(token) {
				t.Fatalf("dry run: %+v %v", dry, err)
			}
			made, err := p.admin().CreateRevocation(t.Context(), r, false)
			if err != nil {
				t.Fatal(err)
			}
			if r.Kind == "api_key" {
				if a := p.call(http.MethodGet, "/orders/1", "", "X-API-Key", key.Key); a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "key_disabled") {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			} else if !p.refused(token) {
				t.Error("not in force")
			}
			page, err := p.admin().Revocations(t.Context(), client.RevocationQuery{Kind: r.Kind})
			if err != nil || len(page.Revocations) != 1+len(made.Also) {
				t.Fatalf("%+v %v", page, err)
			}
			if got := page.Revocations[0]; got.ID != made.ID || got.Value != r.Value || got.Reason != "a test" || got.Actor == "" || got.Created.IsZero() {
				t.Errorf("%+v", got)
			}
			if err := p.admin().LiftRevocation(t.Context(), made.ID); err != nil {
				t.Fatal(err)
			}
			if a := p.call(http.MethodGet, "/orders/1", "", "X-API-Key", key.Key); p.refused(token) || a.Status != http.StatusOK {
				t.Errorf("refused after it was taken back: %d %s", a.Status, a.Body)
			}
			if err := p.admin().LiftRevocation(t.Context(), made.ID); err == nil {
				t.Error("taken back twice")
			}
			if page, err := p.admin().Revocations(t.Context(), client.RevocationQuery{Kind: r.Kind}); err != nil || len(page.Revocations) != 0 {
				t.Errorf("left: %+v %v", page, err)
			}
		})
	}
	for _, bad := range []client.Revocation{
		{Kind: "planet", Value: "x"},
		{Kind: "user"},
		{Kind: "tenant", Value: "x"},
		{Kind: "token_hash", Value: token},
		{Kind: "certificate", Value: "x", Issuer: d.Issuer},
		{Kind: "user", Value: "x", Expires: time.Now().Add(-time.Hour)},
		{Kind: "user", Value: "x", ID: "7"},
	} {
		if _, err := p.admin().CreateRevocation(t.Context(), bad, false); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

// kid returns the id of the key that has signed a token.
func kid(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(head)
	var h struct {
		KID string `json:"kid"`
	}
	if err != nil || json.Unmarshal(b, &h) != nil || h.KID == "" {
		t.Fatal(err, h)
	}
	return h.KID
}

func sum(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

// Pages of the list follow each other.
func TestRevocationPages(t *testing.T) {
	p := startRevocable(t)
	for i := range 5 {
		if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: fmt.Sprint("t", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	q := client.RevocationQuery{Limit: 2}
	for {
		page, err := p.admin().Revocations(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Revocations {
			got = append(got, r.Value)
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	if strings.Join(got, " ") != "t0 t1 t2 t3 t4" {
		t.Error(got)
	}
}

// What ends in the directory ends at the gateway before the call returns: a user
// who is suspended, deactivated or deleted, or whose password is set anew, and an app that
// is deactivated. An open stream of theirs ends too. Attack gateway 30, 63.
func TestRevocationFollowsUsersAndApps(t *testing.T) {
	p := startRevocable(t)
	fresh := func(login string) (id, token string) {
		id = p.made("/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`"},"credentials":{"password":{"value":"correct horse 4"}}}`)
		token = p.subject(login)
		if p.refused(token) {
			t.Fatal("refused before")
		}
		return id, token
	}
	ok := func(a answer) {
		t.Helper()
		if a.Status/100 != 2 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	_, other := fresh("other@example.com")
	for name, do := range map[string]func(id string){
		"suspended":   func(id string) { ok(p.okta("POST", "/api/v1/users/"+id+"/lifecycle/suspend", "")) },
		"deactivated": func(id string) { ok(p.okta("POST", "/api/v1/users/"+id+"/lifecycle/deactivate", "")) },
		"password set": func(id string) {
			ok(p.okta("POST", "/api/v1/users/"+id, `{"credentials":{"password":{"value":"correct horse 5"}}}`))
		},
		"profile changed": func(id string) { ok(p.okta("POST", "/api/v1/users/"+id, `{"profile":{"nickName":"x"}}`)) },
	} {
		id, token := fresh(strings.ReplaceAll(name, " ", "") + "@example.com")
		res, err := http.DefaultClient.Do(mustRequest(t, p.Ready().Gateway+"/events", token))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res, err)
		}
		do(id)
		want := name != "profile changed"
		if got := p.refused(token); got != want {
			t.Errorf("%s: refused %v", name, got)
		}
		if want {
			if _, err := io.Copy(io.Discard, res.Body); err == nil {
				t.Errorf("%s: the stream looks whole", name)
			}
		}
		_ = res.Body.Close()
		page, err := p.admin().Revocations(t.Context(), client.RevocationQuery{Kind: "user", Value: id})
		if err != nil || (len(page.Revocations) > 0) != want || want && page.Revocations[0].Reason == "" {
			t.Errorf("%s: %+v %v", name, page, err)
		}
	}
	app, err := p.admin().CreateApp(t.Context(), client.App{Label: "job"})
	if err != nil {
		t.Fatal(err)
	}
	minted, err := p.admin().Mint(t.Context(), client.TokenRequest{ClientID: app.ID, Scopes: []string{"orders:read"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.refused(minted.AccessToken) {
		t.Fatal("refused before")
	}
	ok(p.okta("POST", "/api/v1/apps/"+app.ID+"/lifecycle/deactivate", ""))
	if !p.refused(minted.AccessToken) {
		t.Error("the token of a deactivated app is accepted")
	}
	if p.refused(other) {
		t.Error("another user's token is refused")
	}
}

func mustRequest(t *testing.T, address, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// The commands: a token found in a file is revoked by its hash without being sent.
func TestRevocationCommands(t *testing.T) {
	p := startRevocable(t)
	token := p.subject("ana@example.com")
	run := func(in string, args ...string) (string, int) {
		var out, said strings.Builder
		code := cli.Run(t.Context(), append(args, "--server", p.Ready().Console, "--token", p.Ready().APIToken), cli.IO{In: strings.NewReader(in), Out: &out, Err: &said, Getenv: func(string) (string, bool) { return "", false }})
		return out.String() + said.String(), code
	}
	if out, code := run(token+"\n", "token", "revoke", "token_hash", "-", "--dry-run"); code != 0 || !strings.Contains(out, "would be") || p.refused(token) {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run(token+"\n", "token", "revoke", "token_hash", "-", "--reason", "leaked"); code != 0 || !p.refused(token) {
		t.Errorf("%d %s", code, out)
	}
	out, code := run("", "revocations", "list", "-o", "json")
	if code != 0 || !strings.Contains(out, "leaked") || !strings.Contains(out, b64(sum(token))) || strings.Contains(out, token) {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run("", "revocations", "delete", "1"); code != 0 || p.refused(token) {
		t.Errorf("%d %s", code, out)
	}
	if out, code := run("two tokens", "revocations", "create", "token_hash", "-"); code != 2 {
		t.Errorf("%d %s", code, out)
	}
}

// Who revokes a user and names no issuer means the user, whichever built-in server has
// issued the tokens; and takes that back at once.
func TestRevocationAtEveryBuiltInServer(t *testing.T) {
	up := echoUpstream(t, nil)
	file := write(t, fmt.Sprintf(revocable, up.URL))
	p := start(t, file)
	server := p.made("/api/v1/authorizationServers", `{"name":"payroll","audiences":["api://payroll"]}`)
	at := "/api/v1/authorizationServers/" + server
	p.made(at+"/scopes", `{"name":"orders:read"}`)
	policy := p.made(at+"/policies", `{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p","description":"p","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	p.made(at+"/policies/"+policy+"/rules", `{"type":"RESOURCE_ACCESS","name":"r","priority":1,"conditions":{"people":{"groups":{"include":["EVERYONE"]}},
		"grantTypes":{"include":["client_credentials","authorization_code"]},"scopes":{"include":["*"]}},"actions":{"token":{"accessTokenLifetimeMinutes":10,"refreshTokenLifetimeMinutes":0,"refreshTokenWindowMinutes":10080}}}`)
	text := strings.Replace(fmt.Sprintf(revocable, up.URL), "[default, api_key]", "[default, payroll]", 1) + "  payroll: { builtin: " + server + " }\n"
	replace(t, file, text)
	mint := func(user, app string) string {
		t.Helper()
		made, err := p.admin().Mint(t.Context(), client.TokenRequest{Server: server, User: user, ClientID: app, Scopes: []string{"orders:read"}})
		if err != nil {
			t.Fatal(err)
		}
		return made.AccessToken
	}
	id := p.Ready().Demo.ClientID
	ana, app := mint("ana@example.com", id), mint("", id)
	eventually(t, "the second issuer", func() bool { return p.call(http.MethodGet, "/orders/1", ana).Status == http.StatusOK })
	for _, r := range []client.Revocation{{Kind: "user", Value: "ana@example.com"}, {Kind: "client", Value: id}} {
		if p.refused(ana) {
			t.Fatalf("%s: refused before", r.Kind)
		}
		made, err := p.admin().CreateRevocation(t.Context(), r, false)
		if err != nil {
			t.Fatal(err)
		}
		if !p.refused(ana) || p.refused(app) != (r.Kind == "client") || len(made.Also) < 2 {
			t.Errorf("%s: %+v", r.Kind, made)
		}
		if err := p.admin().LiftRevocation(t.Context(), made.ID); err != nil || p.refused(ana) || p.refused(app) {
			t.Errorf("%s: taken back in part: %v", r.Kind, err)
		}
	}
	// A login counts whatever its case, an id as well, and a slip is told.
	made, err := p.admin().CreateRevocation(t.Context(), client.Revocation{Kind: "user", Value: "ANA@example.com"}, false)
	if err != nil || !p.refused(ana) {
		t.Errorf("in capitals: %+v %v", made, err)
	}
	if err := p.admin().LiftRevocation(t.Context(), made.ID); err != nil {
		t.Error(err)
	}
	if _, err := p.admin().CreateRevocation(t.Context(), client.Revocation{Kind: "user", Value: "anna@example.com"}, true); err == nil || !strings.Contains(err.Error(), "nothing was revoked") {
		t.Errorf("nobody: %v", err)
	}
	// With an issuer, it is that one's.
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "user", Value: "ana@example.com", Issuer: p.Ready().Demo.Issuer}); err != nil || p.refused(ana) {
		t.Errorf("of another issuer: %v", err)
	}
}

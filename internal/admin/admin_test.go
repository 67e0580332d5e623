package admin

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/client"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The surface is a table; this is what it looks like to those who rely on it.
func TestRoutesAreGolden(t *testing.T) {
	var b strings.Builder
	for _, r := range routes() {
		fmt.Fprintf(&b, "%-6s %-26s %s\n", r.Method, r.Path, r.Summary)
	}
	const path = "testdata/routes.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("the routes have changed (-update writes them):\n%s", d)
	}
}

type fakeAuth struct{}

func (fakeAuth) Authenticate(_ context.Context, token string, _ *http.Request) (Actor, error) {
	if token != "good" {
		return Actor{}, fault.New(fault.Unauthenticated, "the API token is not valid")
	}
	return Actor{ID: "00u1"}, nil
}

type fakeTokens struct {
	err error
	got client.Revocation
}

func (f *fakeTokens) Mint(context.Context, Actor, client.TokenRequest) (client.Token, error) {
	return client.Token{}, f.err
}

// fakeRevocations answers with what it was sent.
type fakeRevocations struct{ *fakeTokens }

func (f fakeRevocations) Revoke(_ context.Context, _ Actor, r client.Revocation, dryRun bool) (client.Revocation, error) {
	f.got = r
	if !dryRun {
		r.ID = "7"
	}
	return r, f.err
}

func (f fakeRevocations) List(_ context.Context, q client.RevocationQuery) (client.RevocationPage, error) {
	return client.RevocationPage{Next: fmt.Sprint(q)}, f.err
}

func (f fakeRevocations) Lift(_ context.Context, _ Actor, id string) error {
	if id != "7" {
		return fault.New(fault.NotFound, "no such revocation")
	}
	return f.err
}

func serve(t *testing.T, tokens *fakeTokens, method, path, auth, body string) *httptest.ResponseRecorder {
	t.Helper()
	api := New(Config{Authenticator: fakeAuth{}, Tokens: tokens, Revocations: fakeRevocations{tokens}, Tenant: tenant.Default, Log: slog.New(slog.DiscardHandler)})
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if auth != "" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	return w
}

func TestAnswers(t *testing.T) {
	const ok = "SSWS good"
	for _, c := range []struct {
		name, method, path, auth, body string
		err                            error
		status                         int
		text                           string // part of the body
	}{
		{"done", "POST", "/revocations", ok, `{"kind":"token","value":"x"}`, nil, 200, `"id":"7","kind":"token","value":"x"`},
		{"a dry run", "POST", "/revocations?dryRun=true", ok, `{"kind":"token","value":"x"}`, nil, 200, `{"kind":"token","value":"x"}`},
		{"list", "GET", "/revocations?kind=user&value=ana&after=3&limit=5", ok, "", nil, 200, `{user ana 3 5}`},
		{"list without limit", "GET", "/revocations?limit=100000", ok, "", nil, 200, ` 200}`},
		{"taken back", "DELETE", "/revocations/7", ok, "", nil, 204, ""},
		{"taken back, unknown", "DELETE", "/revocations/8", ok, "", nil, 404, "no such"},
		{"no credentials", "POST", "/revocations", "", `{}`, nil, 401, "SSWS"},
		{"an API token as an access token", "POST", "/revocations", "Bearer good", `{}`, nil, 401, "not valid"},
		{"an access token", "DELETE", "/revocations/8", "Bearer access", "", nil, 404, "no such"},
		{"another scheme", "POST", "/revocations", "Basic good", `{}`, nil, 401, "SSWS"},
		{"wrong token", "POST", "/revocations", "SSWS bad", `{}`, nil, 401, "not valid"},
		{"unknown field", "POST", "/revocations", ok, `{"kind":"token","vlaue":"x"}`, nil, 422, "vlaue"},
		{"not JSON", "POST", "/revocations", ok, `kind=token`, nil, 422, "JSON"},
		{"no such address", "GET", "/nothing", ok, "", nil, 404, "openapi.json"},
		{"wrong method", "DELETE", "/revocations", ok, "", nil, 405, "POST"},
		{"conflict", "POST", "/revocations", ok, `{}`, fault.New(fault.Conflict, "in use"), 409, "in use"},
		{"stale", "POST", "/revocations", ok, `{}`, fault.New(fault.Stale, "changed"), 412, "changed"},
		{"full", "POST", "/revocations", ok, `{}`, fault.New(fault.Full, "no space"), 507, "no space"},
		{"unavailable", "POST", "/revocations", ok, `{}`, fault.Because(errors.New("secret cause"), fault.Unavailable, "later"), 503, "later"},
		{"unknown error", "POST", "/revocations", ok, `{}`, errors.New("secret cause"), 500, "the log"},
		{"too large", "POST", "/revocations", ok, `{"kind":"` + strings.Repeat("x", maxBody) + `"}`, nil, 413, "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := serve(t, &fakeTokens{err: c.err}, c.method, "/gatehouse/v1"+c.path, c.auth, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.text) {
				t.Errorf("%d %s, want %d and %q", w.Code, w.Body, c.status, c.text)
			}
			if strings.Contains(w.Body.String(), "secret cause") {
				t.Error("the answer shows the cause")
			}
			if w.Code >= 400 {
				var p client.Error
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Title == "" || w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("no problem document: %s %v", w.Body, err)
				}
			}
		})
	}
}

func TestFieldsReachTheCaller(t *testing.T) {
	err := fault.New(fault.Invalid, "two things").WithFields(fault.Field{Path: "gatehouse.yaml:3:1", Message: "one"}, fault.Field{Path: "x", Message: "two"})
	w := serve(t, &fakeTokens{err: err}, "POST", "/gatehouse/v1/revocations", "SSWS good", `{}`)
	var p client.Error
	if e := json.Unmarshal(w.Body.Bytes(), &p); e != nil {
		t.Fatal(e)
	}
	want := []client.Problem{{Source: "gatehouse.yaml:3:1", Message: "one"}, {Source: "x", Message: "two"}}
	if d := cmp.Diff(want, p.Problems); d != "" {
		t.Error(d)
	}
}

// Every reference of the OpenAPI document leads somewhere, and every route is in it.
func TestOpenAPI(t *testing.T) {
	w := serve(t, nil, http.MethodGet, "/gatehouse/v1/openapi.json", "", "")
	var doc struct {
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]any `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes() {
		if doc.Paths["/gatehouse/v1"+r.Path][strings.ToLower(r.Method)] == nil {
			t.Errorf("%s %s is missing", r.Method, r.Path)
		}
	}
	for part := range strings.SplitSeq(w.Body.String(), `"$ref":"#/components/schemas/`) {
		name, _, found := strings.Cut(part, `"`)
		if found && !strings.HasPrefix(part, "{") && doc.Components.Schemas[name] == nil {
			t.Errorf("schema %q is missing", name)
		}
	}
	// Fields are described as they are written: of embedded structs too, of any value as any.
	for name, want := range map[string]string{
		"ObjectChange.revision": `{"format":"int64","type":"integer"}`, "ObjectChange.Change": "null",
		"Hypothetical.asn": `{"format":"int64","minimum":0,"type":"integer"}`, "Preview.access_token": "{}",
	} {
		kind, field, _ := strings.Cut(name, ".")
		schema, _ := doc.Components.Schemas[kind].(map[string]any)
		properties, _ := schema["properties"].(map[string]any)
		if got, err := json.Marshal(properties[field]); err != nil || string(got) != want {
			t.Errorf("%s is described as %s", name, got)
		}
	}
}

// AuthenticateNative knows one access token.
func (fakeAuth) AuthenticateNative(_ http.ResponseWriter, _ *http.Request, token string, _ bool) (Actor, error) {
	if token != "access" {
		return Actor{}, fault.New(fault.Unauthenticated, "the access token is not valid")
	}
	return Actor{ID: "00uana", Name: "ana"}, nil
}

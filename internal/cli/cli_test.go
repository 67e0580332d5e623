package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/settings"
)

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// run runs the command line as the shell would, in a folder of the test.
func run(t *testing.T, env map[string]string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	code := Run(ctx, args, IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	return result{code, out.String(), errs.String()}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const shop = `version: 1
issuers:
  default: { builtin: default }
apis:
  shop:
    base_path: /shop
    upstream: %s
    auth: default
    routes:
      GET /items/*: items:read
`

// server starts the real program with a configuration, and returns what commands
// need to reach it.
func server(t *testing.T, file string) (*app.App, map[string]string) {
	t.Helper()
	return serverWith(t, file, nil)
}

// serverWith is server in an environment.
func serverWith(t *testing.T, file string, env map[string]string) (*app.App, map[string]string) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	var log bytes.Buffer
	a, err := app.Start(t.Context(), app.Config{
		File: file, Dev: true, Out: &log, Err: &log, Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
		Flags: settings.Flags{Data: data, Gateway: "127.0.0.1:0", Identity: "127.0.0.1:0", Console: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a, map[string]string{"GATEHOUSE_DATA": data}
}

// Scripts rely on the exit codes.
func TestExitCodes(t *testing.T) {
	good := write(t, fmt.Sprintf(shop, "http://127.0.0.1:9"))
	bad := write(t, strings.Replace(fmt.Sprintf(shop, "http://127.0.0.1:9"), "upstream", "upstraem", 1))
	a, env := server(t, good)
	nowhere := map[string]string{"GATEHOUSE_URL": "http://127.0.0.1:1", "GATEHOUSE_TOKEN": "x"}
	stranger := map[string]string{"GATEHOUSE_URL": a.Ready().Console, "GATEHOUSE_TOKEN": "wrong"}
	changed := write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")+"      POST /items: items:write\n")
	gateway := map[string]string{"GATEHOUSE_URL": a.Ready().Gateway, "GATEHOUSE_TOKEN": "x"}
	homeless := map[string]string{"GATEHOUSE_URL": "127.0.0.1:8082", "GATEHOUSE_TOKEN": "x"}
	another := filepath.Join(t.TempDir(), "another.yaml")
	misnamed := write(t, strings.Replace(fmt.Sprintf(shop, "http://127.0.0.1:9"), "builtin: default", "builtin: defautl", 1))
	if err := os.WriteFile(another, fmt.Appendf(nil, shop, "http://127.0.0.1:9"), 0o600); err != nil {
		t.Fatal(err)
	}
	same := filepath.Join(filepath.Dir(good), "gatehouse.yaml")
	for _, c := range []struct {
		name string
		env  map[string]string
		args []string
		code int
		err  string // part of what is said
	}{
		{"valid", env, []string{"validate", good}, exitOK, "is valid"},
		{"broken file", env, []string{"validate", bad}, exitFailed, "did you mean upstream?"},
		{"no such file", env, []string{"validate", "nowhere.yaml"}, exitFailed, "gatehouse init"},
		{"unknown command", env, []string{"frobnicate"}, exitUsage, "unknown command"},
		{"unknown flag", env, []string{"validate", "--frob"}, exitUsage, "--help"},
		{"too many arguments", env, []string{"validate", "a", "b"}, exitUsage, "--help"},
		{"bad output", env, []string{"version", "-o", "xml"}, exitUsage, "json"},
		{"no difference", env, []string{"diff", same}, exitOK, "no differences"},
		{"a difference", env, []string{"diff", changed}, exitDifferences, ""},
		{"allowed", env, []string{"explain", "GET", "/shop/items/1", "--scope", "items:read"}, exitOK, ""},
		{"denied", env, []string{"explain", "GET", "/shop/items/1", "--scope", "other"}, exitDenied, ""},
		{"unreachable", nowhere, []string{"keys"}, exitUnreachable, "cannot be reached"},
		{"no server", map[string]string{"GATEHOUSE_DATA": t.TempDir()}, []string{"keys"}, exitUnreachable, "gatehouse dev"},
		{"an address without a scheme", homeless, []string{"keys"}, exitUsage, "http://127.0.0.1:8082"},
		{"the gateway's address", gateway, []string{"keys"}, exitFailed, "name the console"},
		{"what another file declares", env, []string{"apply", another}, exitFailed, "issuer \"default\" is managed by gatehouse.yaml already"},
		{"no such server", env, []string{"diff", misnamed}, exitFailed, "gatehouse.yaml:3:14: there is no built-in authorization server \"defautl\": \"gatehouse servers\" lists them: did you mean default?"},
		{"not authorized", stranger, []string{"keys"}, exitNotAuthorized, "not valid"},
		{"no such request", env, []string{"explain", "nothing"}, exitFailed, "remembered"},
		{"a slip", env, []string{"aply"}, exitUsage, "did you mean apply?"},
		{"a slip below", env, []string{"db", "migrat"}, exitUsage, "did you mean migrate?"},
		{"nothing to take", env, []string{"version", "x"}, exitUsage, "gatehouse version takes no arguments"},
		{"something is missing", env, []string{"keys", "rotate"}, exitUsage, "write gatehouse keys rotate SERVER"},
		{"one of two forms", env, []string{"explain"}, exitUsage, "gatehouse explain REQUEST_ID, or gatehouse explain METHOD PATH"},
		{"no such command in a group", env, []string{"revocations", "frobnicate"}, exitUsage, "unknown command"},
		{"no such shell", env, []string{"completion", "tcsh"}, exitUsage, "unknown command"},
		{"help about nothing", env, []string{"help", "frobnicate"}, exitUsage, "unknown command"},
		{"a method without a path", env, []string{"explain", "GET"}, exitUsage, "write the path"},
		{"a path without a method", env, []string{"explain", "/shop"}, exitUsage, "write the method"},
		{"a path without its slash", env, []string{"explain", "GET", "shop"}, exitUsage, "GET /shop"},
		{"a URL with credentials", env, []string{"explain", "GET", "http://a:b@shop.test/"}, exitUsage, "is no URL"},
		{"no address", env, []string{"explain", "GET", "/shop", "--from", "here"}, exitUsage, "--from here"},
		{"no age", env, []string{"explain", "GET", "/shop", "--mfa", "soon"}, exitUsage, "--mfa soon"},
		{"no such issuer", env, []string{"explain", "GET", "/shop/items/1", "--issuer", "nobody"}, exitFailed, "there is no issuer \"nobody\""},
		{"no such user", env, []string{"token", "--as", "nobody"}, exitFailed, "there is no user with the login \"nobody\""},
		{"an app with a second factor", env, []string{"token", "--mfa"}, exitUsage, "--mfa needs --as"},
		{"a flag with a wrong value", env, []string{"run", "--gateway", "8080", "--config", good}, exitUsage, "--gateway"},
		{"no store", map[string]string{"GATEHOUSE_DATA": t.TempDir()}, []string{"db", "check"}, exitFailed, "there is no store"},
		{"no configuration of a store", env, []string{"db", "check", "--config", "nowhere.yaml"}, exitFailed, "nowhere.yaml"},
		{"revision is no number", env, []string{"rollback", "x"}, exitUsage, "history"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.env, c.args...)
			if r.code != c.code || !strings.Contains(r.err, c.err) {
				t.Errorf("exit %d, want %d\nstdout: %s\nstderr: %s", r.code, c.code, r.out, r.err)
			}
		})
	}
}

// A change goes live, shows in the history, and is taken back.
func TestApplyHistoryRollback(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	text := fmt.Sprintf(shop, up.URL)
	a, env := server(t, write(t, text))
	before := a.Revision()
	// Another file than the one that the server follows, which would bring itself back.
	file := write(t, text+"      GET /ping: public\n")
	if r := run(t, env, "apply", file, "--dry-run"); r.code != exitOK || !strings.Contains(r.err, "nothing was written") {
		t.Fatalf("dry run: %+v", r)
	}
	if r := run(t, env, "apply", file, "--reason", "a ping"); r.code != exitOK {
		t.Fatalf("apply: %+v", r)
	}
	if r := run(t, env, "explain", "GET", "/shop/ping"); r.code != exitOK {
		t.Errorf("the new route is not live: %+v", r)
	}
	if r := run(t, env, "apply", file); r.code != exitOK || !strings.Contains(r.err, "nothing to do") {
		t.Errorf("applying again: %+v", r)
	}
	r := run(t, env, "history", "--since", fmt.Sprint(before), "-o", "json")
	var changes []map[string]any
	if err := json.Unmarshal([]byte(r.out), &changes); err != nil || len(changes) == 0 {
		t.Fatalf("history: %v\n%s", err, r.out)
	}
	if r := run(t, env, "export"); r.code != exitOK || !strings.Contains(r.out, "GET /ping: public") {
		t.Errorf("export: %+v", r)
	}
	if r := run(t, env, "export", "-o", "json"); r.code != exitOK || !json.Valid([]byte(r.out)) || !strings.Contains(r.out, `"GET /ping": "public"`) {
		t.Errorf("export as JSON: %+v", r)
	}
	var apis []servedAPI
	if r := run(t, env, "apis", "list", "-o", "json"); r.code != exitOK || json.Unmarshal([]byte(r.out), &apis) != nil ||
		len(apis) != 1 || apis[0].Upstream[0] != up.URL || apis[0].Auth[0] != "default" || len(apis[0].Routes) != 2 {
		t.Errorf("apis: %+v", r)
	}
	if r := run(t, env, "rollback", fmt.Sprint(before), "--reason", "no ping"); r.code != exitOK || !strings.Contains(r.err, "put right as well") {
		t.Fatalf("rollback: %+v", r)
	}
	if r := run(t, env, "explain", "GET", "/shop/ping"); r.code != exitDenied {
		t.Errorf("the route is still live: %+v", r)
	}
	if r := run(t, env, "export", "--revision", fmt.Sprint(before)); strings.Contains(r.out, "ping") {
		t.Errorf("the export of revision %d: %s", before, r.out)
	}
}

// What a newcomer writes with init is valid, and its tests pass.
func TestInitIsValid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "first.yaml")
	if r := run(t, nil, "init", path); r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	if r := run(t, nil, "validate", path); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := run(t, nil, "test", path); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := run(t, nil, "init", path); r.code != exitFailed || !strings.Contains(r.err, "exists already") {
		t.Errorf("a second init: %+v", r)
	}
}

// A failing test of the file is an error, with its line and what the gateway answers.
func TestFailingTestOfTheFile(t *testing.T) {
	file := write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")+"tests:\n  - GET /shop/items/1 with items:read -> deny no_token\n")
	for _, command := range []string{"validate", "test"} {
		r := run(t, nil, command, file)
		if r.code != exitFailed || !strings.Contains(r.out+r.err, "allow") {
			t.Errorf("%s: %+v", command, r)
		}
	}
	// For programs: what is wrong as a list, tests that fail included; nothing is an empty one.
	var problems []config.Problem
	r := run(t, nil, "validate", file, "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &problems); err != nil || r.code != exitFailed || len(problems) != 1 || problems[0].Line != 12 || !strings.Contains(problems[0].Message, "answers: allow") {
		t.Errorf("as JSON: %v %+v", err, r)
	}
	if r := run(t, nil, "validate", write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")), "-o", "json"); r.code != exitOK || strings.TrimSpace(r.out) != "[]" {
		t.Errorf("nothing wrong, as JSON: %+v", r)
	}
	if r := run(t, nil, "test", file); !strings.Contains(r.out, ":12:") {
		t.Errorf("test does not say where the test stands: %+v", r)
	}
}

// What would keep the process from starting is wrong with the file: texts of people's pages,
// and how a directory server is asked.
func TestFilesBesideTheFileAreValidated(t *testing.T) {
	words := t.TempDir()
	if err := os.WriteFile(filepath.Join(words, "fr.json"), []byte(`{"signin_titl": "x", "device_title": "{nope}"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string]string{
		"brand: { words: " + words + " }":                          `"signin_titl" is no key of a text`,
		"brand: { logo: " + filepath.Join(words, "fr.json") + " }": "neither a PNG nor an SVG",
		"brand: { language: tlh }":                                 `there are no texts in "tlh"`,
		`people: { ldap: { url: "ldaps://ldap.acme.test", base: "dc=acme,dc=test", filter: "(uid=*)", domains: acme.test } }`: "filter must say {login} or {name}",
	} {
		r := run(t, nil, "validate", write(t, "version: 1\nserver:\n  "+server+"\n"))
		if r.code != exitFailed || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v", server, r)
		}
	}
}

func TestSchemaVersionCompletion(t *testing.T) {
	if r := run(t, nil, "words", "ja"); r.code != exitOK || !strings.Contains(r.out, `"signin_title": "サインイン"`) {
		t.Errorf("words: %d %s", r.code, r.out)
	}
	if r := run(t, nil, "words", "tlh"); r.code != exitFailed || !strings.Contains(r.err, "languages are en, de, es, fr, ja") {
		t.Errorf("words: %d %s", r.code, r.err)
	}
	if r := run(t, nil, "schema"); r.code != exitOK || !json.Valid([]byte(r.out)) {
		t.Errorf("schema: %d", r.code)
	}
	if r := run(t, nil, "version", "-o", "json"); r.code != exitOK || !json.Valid([]byte(r.out)) {
		t.Errorf("version: %+v", r)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := run(t, nil, "completion", shell); r.code != exitOK || len(r.out) < 1000 {
			t.Errorf("completion %s: %d, %d bytes", shell, r.code, len(r.out))
		}
	}
}

func TestAPIKeys(t *testing.T) {
	_, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	var next, key client.APIKey
	decode := func(r result, v any) {
		t.Helper()
		if err := json.Unmarshal([]byte(r.out), v); r.code != exitOK || err != nil {
			t.Fatalf("%+v: %v", r, err)
		}
	}
	var made struct {
		ID string `json:"id"`
	}
	decode(run(t, env, "apps", "create", "Export", "-o", "json"), &made)
	decode(run(t, env, "apikeys", "create", "nightly", "--app", made.ID, "--scope", "items:read", "--expires", "24h", "-o", "json"), &key)
	if !strings.HasPrefix(key.Key, "gk_live_") || key.Expires.IsZero() || key.App != made.ID {
		t.Errorf("%+v", key)
	}
	if r := run(t, env, "apikeys", "list"); r.code != exitOK || !strings.Contains(r.out, key.ID) || !strings.Contains(r.out, "active") || strings.Contains(r.out, key.Key) {
		t.Errorf("list: %+v", r)
	}
	decode(run(t, env, "apikeys", "rotate", key.ID, "--overlap", "1h", "-o", "json"), &next)
	if next.Replaces != key.ID {
		t.Errorf("rotate: %+v", next)
	}
	if r := run(t, env, "apikeys", "delete", key.ID); r.code == exitOK {
		t.Error("a key that is in use was deleted")
	}
	if r := run(t, env, "apikeys", "disable", key.ID); r.code != exitOK || !strings.Contains(r.out, "is disabled") {
		t.Errorf("disable: %+v", r)
	}
	if r := run(t, env, "apikeys", "delete", key.ID); r.code != exitOK {
		t.Errorf("delete: %+v", r)
	}
	if r := run(t, env, "apikeys", "list", "--app", made.ID); strings.Contains(r.out, key.ID+" ") || !strings.Contains(r.out, next.ID) {
		t.Errorf("list: %+v", r)
	}
	if r := run(t, env, "apikeys", "create", "nameless"); r.code != exitUsage {
		t.Errorf("without --app: %+v", r)
	}
}

func TestKeysTokensApps(t *testing.T) {
	_, env := server(t, write(t, fmt.Sprintf(shop, "http://127.0.0.1:9")))
	before := run(t, env, "keys", "-o", "json")
	if r := run(t, env, "keys", "rotate", "default"); r.code != exitOK || !strings.Contains(r.out, "ACTIVE") {
		t.Fatalf("rotate: %+v", r)
	}
	if after := run(t, env, "keys", "-o", "json"); after.out == before.out {
		t.Error("the keys are what they were")
	}
	if r := run(t, env, "token", "--scope", "items:read"); r.code != exitOK || strings.Count(r.out, ".") != 2 {
		t.Errorf("token: %+v", r)
	}
	if r := run(t, env, "servers", "set", "default", "--algorithm", "ES256", "--token-shape", "rfc9068"); r.code != exitOK || !strings.Contains(r.out, "ES256") {
		t.Fatalf("servers set: %+v", r)
	}
	token := run(t, env, "token", "--scope", "items:read")
	if head, err := base64.RawURLEncoding.DecodeString(strings.Split(token.out, ".")[0]); err != nil || !strings.Contains(string(head), "ES256") || !strings.Contains(string(head), "at+jwt") {
		t.Errorf("the next token has the header %s: %+v", head, token)
	}
	if r := run(t, env, "explain", "GET", "/shop/items/1", "--jwt", strings.TrimSpace(token.out)); r.code != exitOK {
		t.Errorf("the gateway refuses it: %+v", r)
	}
	if r := run(t, env, "servers", "set", "default", "--algorithm", "HS256"); r.code == exitOK {
		t.Error("HS256 was accepted")
	}
	made := run(t, env, "apps", "create", "Billing")
	if made.code != exitOK || !strings.Contains(made.out, "client_secret") {
		t.Errorf("create: %+v", made)
	}
	if r := run(t, env, "apps"); !strings.Contains(r.out, "Billing") || strings.Contains(r.out, "client_secret") {
		t.Errorf("apps: %+v", r)
	}
}

func TestDoctor(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	file := write(t, fmt.Sprintf(shop, up.URL))
	dir := t.TempDir()
	env := map[string]string{"GATEHOUSE_DATA": filepath.Join(dir, "none"), "GATEHOUSE_GATEWAY": "127.0.0.1:0", "GATEHOUSE_IDENTITY": "127.0.0.1:0", "GATEHOUSE_CONSOLE": "127.0.0.1:0"}
	if r := run(t, env, "doctor", "--config", file); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("doctor made a data folder")
	}
	// What else the settings name: each that cannot be used, by its name.
	more := write(t, strings.Replace(fmt.Sprintf(shop, up.URL), "version: 1", `version: 1
server:
  gateway: { tls: { cert: /nowhere/cert.pem, key: /nowhere/key.pem, client_ca: /nowhere/ca.pem } }
  mail: { smtp: "smtp://127.0.0.1:1", from: a@b.test }
  geo: { country: /nowhere/country.mmdb }
  people: { breached_passwords: /nowhere/list }`, 1))
	r := run(t, env, "doctor", "--config", more)
	for _, want := range []string{"gateway certificate", "authorities", "mail server", "places", "breached passwords"} {
		if r.code != exitFailed || !regexp.MustCompile(`(?m)^failed +`+want+` `).MatchString(r.out) {
			t.Errorf("doctor says nothing of the %s: %+v", want, r)
		}
	}
	up.Close()
	if r := run(t, env, "doctor", "--config", file); r.code != exitFailed || !strings.Contains(r.out, "does not accept connections") {
		t.Errorf("with the upstream down: %+v", r)
	}
}

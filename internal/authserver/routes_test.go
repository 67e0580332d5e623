package authserver

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.MkdirAll("testdata", 0o750))
		must(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", path, d)
	}
}

func TestRoutesGolden(t *testing.T) {
	var b strings.Builder
	for _, r := range routes {
		name := runtime.FuncForPC(reflect.ValueOf(r.serve).Pointer()).Name()
		fmt.Fprintf(&b, "%-4s %-66s %s\n", r.method, r.pattern, name[strings.LastIndexByte(name, '.')+1:])
	}
	golden(t, "routes.golden", b.String())
}

func TestPhasesGolden(t *testing.T) {
	golden(t, "phases.golden", grant.DescribePhases())
}

func TestMetadataGolden(t *testing.T) {
	h := newHouse(t)
	h.token(h.app("job", "a:read", "b:read"), "a:read") // the first key is there
	server, err := h.access.EnsureServer(h.ctx, h.admin, access.Server{Name: "orders", Audiences: []string{"api://orders"}, Algorithm: access.ES256})
	must(t, err)
	_, err = h.access.CreateScope(h.ctx, h.admin, access.Scope{Server: server.ID, Name: "orders:read", MetadataPublish: access.PublishAll})
	must(t, err)
	var b strings.Builder
	for _, path := range []string{
		"/oauth2/default/.well-known/openid-configuration",
		"/oauth2/default/.well-known/oauth-authorization-server",
		"/oauth2/" + server.ID + "/.well-known/oauth-authorization-server",
		"/.well-known/openid-configuration",
	} {
		got := h.call(http.MethodGet, path, "")
		body := strings.NewReplacer(h.url, "https://id.acme.test", server.ID, "aus_orders").Replace(got.body)
		body = strings.NewReplacer(`,"`, ",\n  \"", `{"`, "{\n  \"", "}", "\n}").Replace(body)
		fmt.Fprintf(&b, "%s %d\n%s\n\n", strings.ReplaceAll(path, server.ID, "aus_orders"), got.status, body)
	}
	golden(t, "metadata.golden", b.String())
	same := func(x, y string) {
		if a, b := h.call(http.MethodGet, x, ""), h.call(http.MethodGet, y, ""); a.status != 200 || a.body != b.body {
			t.Errorf("%s and %s differ: %s\n%s", x, y, a.body, b.body)
		}
	}
	same("/oauth2/default/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/oauth2/default")
	same("/oauth2/default/.well-known/openid-configuration", "/.well-known/openid-configuration/oauth2/default")
	same("/oauth2/"+h.target().Server.ID+"/v1/keys", "/oauth2/default/v1/keys")
}

// Every address that the metadata names exists.
func TestMetadataIsTrue(t *testing.T) {
	h := newHouse(t)
	h.token(h.app("job", "a:read"), "a:read")
	got := h.call(http.MethodGet, "/oauth2/default/.well-known/openid-configuration", "")
	found := 0
	for name, v := range got.json {
		address, ok := v.(string)
		if !ok || name == "issuer" {
			continue
		}
		found++
		path := strings.TrimPrefix(address, h.url)
		if a := h.call(http.MethodGet, path, ""); a.status == http.StatusNotFound {
			t.Errorf("%s is announced as %s, but there is nothing", name, path)
		}
	}
	if found < 4 {
		t.Errorf("the metadata names %d addresses", found)
	}
	if got.text("issuer") != h.url+"/oauth2/default" {
		t.Errorf("issuer %q", got.text("issuer"))
	}
}

func TestNoRoute(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{
		"/", "/oauth2", "/oauth2/", "/oauth2/default", "/oauth2/default/v1/", "/oauth2/default/v1/authorize/", "/oauth2/default/v1/token/",
		"/oauth2/nobody/v1/keys", "/oauth2/org/v1/keys", "/oauth2//v1/keys", "/oauth2/default/v1/keys/x", "/oauth2/default/x/v1/keys",
		"/oauth2/%64efault/v1/keys", "/oauth2/default%2fv1/keys", "/oauth2/default;x/v1/keys", "/OAUTH2/default/v1/keys", "/oauth2/DEFAULT/v1/keys",
		"/.well-known/", "/.well-known/oauth-authorization-server/oauth2/", "/.well-known/oauth-authorization-server/oauth2/nobody", "/docs/reasons/x",
	} {
		got := h.call(http.MethodGet, path, "")
		if got.status != http.StatusNotFound || got.text("errorCode") != "E0000007" {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no security headers", path)
		}
	}
	for _, bad := range []struct{ method, path, allow string }{
		{http.MethodGet, "/oauth2/default/v1/token", "POST"},
		{http.MethodPut, "/oauth2/default/v1/introspect", "POST"},
		{http.MethodOptions, "/oauth2/default/v1/revoke", "POST"},
		{http.MethodPost, "/oauth2/default/v1/keys", "GET, HEAD"},
		{http.MethodDelete, "/.well-known/openid-configuration", "GET, HEAD"},
	} {
		if got := h.call(bad.method, bad.path, ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != bad.allow {
			t.Errorf("%s %s: %d, Allow %q", bad.method, bad.path, got.status, got.header.Get("Allow"))
		}
	}
}

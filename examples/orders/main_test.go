package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/app"
	"gatehouse/internal/settings"
	"gatehouse/verify"
)

const file = `version: 1
issuers:
  default: { builtin: default }
apis:
  orders:
    upstream: %s
    auth: default
    routes:
      GET /orders/*: orders:read
`

// The example behind the real gateway: who comes through it is known, and who comes
// to the service directly is not, whatever they say.
func TestOrdersBehindTheGateway(t *testing.T) {
	var service atomic.Pointer[http.Handler]
	var last atomic.Pointer[string]
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := r.Header.Get(verify.ContextHeader)
		last.Store(&seen)
		(*service.Load()).ServeHTTP(w, r)
	}))
	defer up.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, file, up.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), app.Config{
		File: path, Dev: true, Version: "test", Out: io.Discard, Err: io.Discard, Getenv: func(string) (string, bool) { return "", false },
		Flags: settings.Flags{Data: filepath.Join(dir, "data"), Gateway: "127.0.0.1:0", Identity: "127.0.0.1:0", Console: "127.0.0.1:0", ShutdownTimeout: 10 * time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	ready := a.Ready()
	handler, keys, err := newHandler(ready.Identity, "orders")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = keys.Close() }()
	service.Store(&handler)

	token := clientToken(t, ready.Identity, ready.Demo.ClientID, ready.Demo.ClientSecret)
	status, body := get(t, ready.Gateway+"/orders/17", "Authorization", "Bearer "+token, verify.ContextHeader, "mine")
	if want := fmt.Sprintf(`{"for":%q,"order":"17"}`, ready.Demo.ClientID); status != http.StatusOK || strings.TrimSpace(body) != want {
		t.Errorf("through the gateway: %d %s", status, body)
	}
	if status, body := get(t, ready.Gateway+"/orders/17"); status != http.StatusUnauthorized || !strings.Contains(body, "no_token") {
		t.Errorf("through the gateway, nobody: %d %s", status, body)
	}
	signed := *last.Load()
	for name, c := range map[string]struct {
		header []string
		status int
	}{
		"the gateway's own word, overheard": {[]string{verify.ContextHeader, signed}, http.StatusOK}, // for a minute: keep the network between them private
		"changed":                           {[]string{verify.ContextHeader, signed[:len(signed)-6] + "AAAAAA"}, http.StatusUnauthorized},
		"the access token":                  {[]string{verify.ContextHeader, token}, http.StatusUnauthorized},
		"as Authorization":                  {[]string{"Authorization", "Bearer " + token}, http.StatusUnauthorized},
		"headers that anybody can write":    {[]string{"X-User-Id", "ana", "X-Granted-Scopes", "orders:read"}, http.StatusUnauthorized},
	} {
		if status, body := get(t, up.URL+"/orders/17", c.header...); status != c.status {
			t.Errorf("directly, %s: %d %s", name, status, body)
		}
	}
}

func clientToken(t *testing.T, identity, id, secret string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, identity+"/oauth2/default/v1/token", strings.NewReader("grant_type=client_credentials&scope=orders:read"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(id, secret)
	status, body := do(t, r)
	_, rest, ok := strings.Cut(body, `"access_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if status != http.StatusOK || !ok {
		t.Fatalf("no token: %d %s", status, body)
	}
	return token
}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return do(t, r)
}

func do(t *testing.T, r *http.Request) (int, string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
)

const keyedAPI = `version: 1
issuers:
  default: { builtin: default }
apis:
  orders:
    upstream: %s
    auth: [api_key, default]
    routes:
      GET /orders/*: orders:read
      PUT /orders/*: orders:write
`

// API keys through the whole program: made, used, rotated, disabled, and known to
// a node that restarts while the store is down (attack gateway 30).
func TestAPIKeys(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Client-Id")+" "+r.Header.Get("X-Api-Key")+r.Header.Get("Authorization"))
	}))
	defer up.Close()
	file := write(t, fmt.Sprintf(keyedAPI, up.URL))
	began := time.Now().Truncate(time.Second)
	p := start(t, file)
	cl, ctx := p.admin(), t.Context()
	app, err := cl.CreateApp(ctx, client.App{Label: "Nightly export"})
	if err != nil {
		t.Fatal(err)
	}
	create := func(k client.APIKey) client.APIKey {
		t.Helper()
		k.App = app.ID
		made, err := cl.CreateAPIKey(ctx, k)
		if err != nil || made.Key == "" || made.Status != "active" || !strings.HasPrefix(made.Key, made.Hint) {
			t.Fatalf("%+v, %v", made, err)
		}
		return made
	}
	get := func(key string) int {
		return p.call(http.MethodGet, "/orders/1", "", "X-API-Key", key).Status
	}
	expect := func(what, key string, status int) {
		t.Helper()
		if got := get(key); got != status {
			t.Errorf("%s: %d, not %d", what, got, status)
		}
	}
	reader := create(client.APIKey{Name: "reader", Scopes: []string{"orders:read"}})
	a := p.call(http.MethodGet, "/orders/1", "", "X-API-Key", reader.Key)
	if a.Status != http.StatusOK || a.Body != app.ID+" " {
		t.Errorf("a new key: %d, and the upstream saw %q", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/orders/1", reader.Key); a.Status != http.StatusOK || a.Body != app.ID+" " {
		t.Errorf("as a bearer token: %d %q", a.Status, a.Body)
	}
	if a := p.call(http.MethodPut, "/orders/1", "", "X-API-Key", reader.Key); a.Status != http.StatusForbidden {
		t.Errorf("without the scope: %d", a.Status)
	}
	if a := p.call(http.MethodGet, "/orders/1", p.token("orders:read")); a.Status != http.StatusOK {
		t.Errorf("a token: %d", a.Status)
	}
	if a := p.call(http.MethodGet, "/orders/1", p.token("orders:read"), "X-API-Key", reader.Key); a.Status != http.StatusBadRequest {
		t.Errorf("both: %d", a.Status)
	}

	off := create(client.APIKey{Name: "off", Scopes: []string{"orders:read"}})
	expect("before it is disabled", off.Key, 200)
	if k, err := cl.DisableAPIKey(ctx, off.ID); err != nil || k.Status != "disabled" || k.Key != "" {
		t.Fatalf("%+v, %v", k, err)
	}
	a = p.call(http.MethodGet, "/orders/1", "", "X-API-Key", off.Key)
	if a.Status != http.StatusUnauthorized || !strings.Contains(a.Body, "key_disabled") {
		t.Errorf("disabled: %d %s", a.Status, a.Body)
	}
	if _, err := cl.DisableAPIKey(ctx, off.ID); err != nil {
		t.Errorf("disabled again: %v", err)
	}

	next, err := cl.RotateAPIKey(ctx, reader.ID, time.Hour)
	if err != nil || next.Replaces != reader.ID || next.Key == reader.Key {
		t.Fatalf("%+v, %v", next, err)
	}
	expect("rotated, the old one", reader.Key, 200)
	expect("rotated, the new one", next.Key, 200)
	last, err := cl.RotateAPIKey(ctx, next.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	expect("rotated without overlap, the old one", next.Key, 401)
	expect("rotated without overlap, the new one", last.Key, 200)
	if _, err := cl.RotateAPIKey(ctx, off.ID, 0); err == nil {
		t.Error("a disabled key was rotated")
	}

	if err := cl.DeleteAPIKey(ctx, reader.ID); err == nil {
		t.Error("a key that is in use was deleted")
	}
	gone := create(client.APIKey{Name: "gone", Scopes: []string{"orders:read"}})
	if _, err := cl.DisableAPIKey(ctx, gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := cl.DeleteAPIKey(ctx, gone.ID); err != nil {
		t.Error(err)
	}
	expect("deleted", gone.Key, 401)

	data, said := p.data, p.out.String()+p.err.String()
	p.stop()
	for _, k := range []string{reader.Key, off.Key, next.Key, last.Key} {
		if strings.Contains(said, k) {
			t.Errorf("a key was logged")
		}
		if where := contains(t, data, k); len(where) != 0 {
			t.Errorf("a key stands in %v", where)
		}
	}
	p = start(t, file, withData(data), withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"))
	for key, status := range map[string]int{reader.Key: 200, last.Key: 200, off.Key: 401, next.Key: 401, gone.Key: 401} {
		expect("with the store down, "+key[:12], key, status)
	}
	p.stop()

	// The uses were told to the store when the program ended.
	p = start(t, file, withData(data))
	list, err := p.admin().APIKeys(ctx, app.ID)
	if err != nil || len(list) != 4 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, k := range list {
		if k.ID == reader.ID && (k.Uses == 0 || k.LastUsed.Before(began) || k.Key != "") {
			t.Errorf("%+v", k)
		}
	}
}

// What is wrong with a key is said when it is made.
func TestAPIKeysThatCannotBeMade(t *testing.T) {
	p := start(t, "")
	app := p.Ready().Demo.ClientID
	for name, k := range map[string]client.APIKey{
		"no app":                {Name: "x"},
		"an unknown app":        {Name: "x", App: "0oanobody"},
		"no name":               {App: app},
		"a scope that is none":  {Name: "x", App: app, Scopes: []string{"a b"}},
		"expired":               {Name: "x", App: app, Expires: time.Now().Add(-time.Hour)},
		"a key of its own":      {Name: "x", App: app, Key: "gk_live_mine"},
		"an API without a name": {Name: "x", App: app, APIs: []string{""}},
	} {
		if made, err := p.admin().CreateAPIKey(t.Context(), k); err == nil {
			t.Errorf("%s: %+v", name, made)
		}
	}
	if _, err := p.admin().DisableAPIKey(t.Context(), "gkynobody"); err == nil {
		t.Error("a key that is not there was disabled")
	}
	if _, err := p.admin().RotateAPIKey(context.Background(), "gkynobody", -time.Hour); err == nil {
		t.Error("a key that is not there was rotated")
	}
}

// Zones and limits of a key through the whole program, also when it was rotated and
// when a node restarts while the store is down.
func TestAPIKeyZonesAndLimits(t *testing.T) {
	up := echoUpstream(t, nil)
	file := write(t, fmt.Sprintf(keyedAPI, up.URL)+"zones:\n  here: 127.0.0.0/8\n  elsewhere: 192.0.2.0/24\n")
	p := start(t, file)
	app := p.Ready().Demo.ClientID
	create := func(k client.APIKey) client.APIKey {
		t.Helper()
		k.App, k.Scopes = app, []string{"orders:read"}
		made, err := p.admin().CreateAPIKey(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	get := func(key string, status int, reason string) answer {
		t.Helper()
		a := p.call(http.MethodGet, "/orders/1", "", "X-API-Key", key)
		if a.Status != status || !strings.Contains(a.Header.Get("Gatehouse-Decision"), reason) {
			t.Errorf("%d %s, want %d %s", a.Status, a.Body, status, reason)
		}
		return a
	}
	here, there := create(client.APIKey{Name: "here", Zones: []string{"here"}}), create(client.APIKey{Name: "there", Zones: []string{"elsewhere"}})
	few := create(client.APIKey{Name: "few", Limits: []string{"2/h"}})
	get(here.Key, 200, "")
	get(there.Key, 403, "zone_not_allowed")
	if a := get(few.Key, 200, ""); a.Header.Get("RateLimit-Policy") != `"key";q=2;w=3600` {
		t.Errorf("told %q", a.Header.Get("RateLimit-Policy"))
	}
	next, err := p.admin().RotateAPIKey(t.Context(), few.ID, time.Hour)
	if err != nil || len(next.Limits) != 1 {
		t.Fatalf("%+v %v", next, err)
	}
	get(next.Key, 200, "")
	get(few.Key, 429, "rate_limited") // both count together
	last, err := p.admin().RotateAPIKey(t.Context(), next.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	get(last.Key, 429, "rate_limited")
	for name, k := range map[string]client.APIKey{
		"a limit that is none": {Limits: []string{"often"}}, "per something": {Limits: []string{"1/min per client"}},
		"two of one period": {Limits: []string{"1/min", "2/min"}}, "three": {Limits: []string{"1/s", "1/min", "1/h"}}, "a zone without a name": {Zones: []string{""}},
	} {
		k.App, k.Name = app, "x"
		if _, err := p.admin().CreateAPIKey(t.Context(), k); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	data := p.data
	p.stop()
	p = start(t, file, withData(data), withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"))
	get(there.Key, 403, "zone_not_allowed")
	get(last.Key, 200, "") // counters are the node's
	get(few.Key, 200, "")
	get(last.Key, 429, "rate_limited")
}

package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/app"
)

func asRun(c *app.Config) { c.Dev = false }

// `run` has no demo, no user, no app but that of the command line, and no token but the setup token; with it everything
// that a first client needs can be made.
func TestRunWithSetupToken(t *testing.T) {
	up := echoUpstream(t, nil)
	const setup = "a-setup-token-of-at-least-32-characters"
	file := write(t, fmt.Sprintf(twoScopes, up.URL))
	p := start(t, file, asRun, withEnv(map[string]string{"GATEHOUSE_SETUP_TOKEN": setup}))
	if r := p.Ready(); r.Demo != nil || r.APIToken != "" {
		t.Errorf("run announces a demo: %+v", r)
	}
	admin := client.New(client.Config{URL: p.Ready().Console, Token: setup})
	if apps, err := admin.Apps(t.Context()); err != nil || len(apps) != 1 || apps[0].Label != "Gatehouse command line" {
		t.Fatalf("%v, %d apps", err, len(apps))
	}
	made, err := admin.CreateApp(t.Context(), client.App{Label: "Billing"})
	if err != nil {
		t.Fatal(err)
	}
	issuer := p.Ready().Identity + "/oauth2/default"
	a := p.request(http.MethodPost, issuer+"/v1/token", "", "grant_type=client_credentials&scope=orders:read&client_id="+made.ID+"&client_secret="+made.Secret, "Content-Type", "application/x-www-form-urlencoded")
	if a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	token, _ := a.json(t)["access_token"].(string)
	if a := p.call(http.MethodGet, "/a/orders/1", token); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	// The access log of run is on stdout, a JSON line for each request.
	eventually(t, "the line of the access log", func() bool { return strings.Contains(p.out.String(), `"route":"GET /a/orders/{id}"`) })

	if _, err := tryStart(t, file, asRun, withEnv(map[string]string{"GATEHOUSE_SETUP_TOKEN": "short"})); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short setup token: %v", err)
	}
}

// Traces are off until a collector is named; then spans reach it, and the
// upstream's parent is the gateway's span.
func TestTracesReachTheCollector(t *testing.T) {
	var spans atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/v1/traces") && strings.Contains(string(b), "gatehouse") {
			spans.Add(1)
		}
		w.WriteHeader(http.StatusOK)
	}))
	defer collector.Close()
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(publicAPI, up.URL, "")), withEnv(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for range 20 {
		a := p.call(http.MethodGet, "/a/x", "", "Traceparent", parent)
		headers, _ := a.json(t)["headers"].(map[string]any)
		got, _ := headers["Traceparent"].([]any)
		if len(got) != 1 || got[0] == parent {
			t.Fatalf("the upstream's traceparent is %v", got)
		}
	}
	p.stop() // what waits is sent
	if spans.Load() == 0 {
		t.Error("no span has reached the collector")
	}
}

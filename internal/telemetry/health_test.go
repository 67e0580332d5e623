package telemetry

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, h http.Handler, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	return w.Code, w.Body.String()
}

func TestHealthPages(t *testing.T) {
	var h Health
	status := map[string]Status{}
	var remove func()
	for _, c := range []Check{
		{Name: "store", Required: true}, {Name: "redis"}, {Name: "upstream hr"}, {Name: "issuer okta"},
	} {
		c.Probe = func(context.Context) Status { return status[c.Name] }
		remove = h.Register(c)
	}
	type page struct {
		name   string
		before func()
		path   string
		status int
		want   string
	}
	for _, p := range []page{
		{"starting", func() {}, "/readyz", 503, "not ready: process; see /readyz?verbose\n"},
		{"live while starting", func() {}, "/livez", 200, "ok\n"},
		{"started", h.Started, "/readyz", 200, "ok\n"},
		{"verbose", func() {}, "/readyz?verbose", 200, "[+]issuer okta ok\n[+]redis ok\n[+]store ok\n[+]upstream hr ok\nreadyz check passed\n"},
		{"failing but not required", func() {
			status["redis"] = Status{Degraded, "limits count\non this node [+]alone"}
			status["upstream hr"] = Status{Failing, "all targets ejected"}
		}, "/readyz?verbose", 200, "[+]issuer okta ok\n[~]redis degraded: limits count on this node [+]alone\n[+]store ok\n" +
			"[-]upstream hr failing: all targets ejected (not required for traffic)\nreadyz check passed\n"},
		{"degraded and required", func() { status["store"] = Status{State: Degraded} }, "/readyz", 200, "ok\n"},
		{"failing and required", func() { status["store"] = Status{Failing, "connection refused"} }, "/readyz", 503, "not ready: store; see /readyz?verbose\n"},
		{"check removed", remove, "/readyz?verbose", 503, "[~]redis degraded: limits count on this node [+]alone\n[-]store failing: connection refused\n" +
			"[-]upstream hr failing: all targets ejected (not required for traffic)\nreadyz check failed\n"},
		{
			"draining", func() { clear(status); h.Draining() }, "/readyz?verbose", 503,
			"[-]process failing: draining, about to end\n[+]redis ok\n[+]store ok\n[+]upstream hr ok\nreadyz check failed\n",
		},
	} {
		p.before()
		handler := h.ReadyHandler()
		if p.path == "/livez" {
			handler = h.Live()
		}
		code, body := get(t, handler, p.path)
		if code != p.status {
			t.Errorf("%s: status %d, want %d", p.name, code, p.status)
		}
		if d := cmp.Diff(p.want, body); d != "" {
			t.Errorf("%s: %s", p.name, d)
		}
		if p.path != "/livez" && h.Ready(t.Context()) != (p.status == http.StatusOK) {
			t.Errorf("%s: Ready disagrees with the page", p.name)
		}
	}
}

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/spec"
)

// askFor is a client's request as somebody vouches for it.
func askFor(method, target, peer string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Method, r.RequestURI, r.Host, r.RemoteAddr = method, target, "api.test", peer
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func askedGateway(t *testing.T) (*Gateway, *FakeIssuer, *LogLines) {
	t.Helper()
	issuer := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, issuer)
	log := &LogLines{}
	c.AccessLog = log
	now := time.Now()
	c.Now = func() time.Time { return now } // no allowance comes back meanwhile
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(*Exchange) error {
			t.Error("a request that was only asked about reached a backend")
			return nil
		}}, nil
	}
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders", Scopes: [][]string{{"orders:read"}}, Limits: []spec.Limit{{Count: 2, Period: spec.Duration(time.Minute), Per: "client"}}},
		spec.Route{Method: "GET", Path: "/open", Public: true},
		spec.Route{Method: "PUT", Path: "/orders", Scopes: [][]string{{"orders:write"}}},
	)
	s.APIs[0].Headers.Claims = map[string]string{"X-Mail": "mail", "X-Team": "team"}
	return newTestGateway(t, c, s), issuer, log
}

// Attack gateway 48 and 57: the answer holds what is on the list, once, and what the
// caller has no value for is there too, empty; a client's own is never repeated.
func TestDecideSaysWhoCalls(t *testing.T) {
	g, issuer, log := askedGateway(t)
	token := issuer.Token(t, Claims{"team": "blue", "mail": nil})
	a := g.Decide(askFor("GET", "/orders", "192.0.2.1:0", "Authorization", "Bearer "+token,
		"X-User-Id", "root", "X-User-Id", "admin", "X-Mail", "root@evil.test", "X-Gatehouse-Context", "forged", "X-Forwarded-For", "10.0.0.1", "X-Request-Id", "chosen-by-client"))
	if a.Status != 200 || len(a.Body) != 0 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	var names []string
	for name, v := range a.Header {
		names = append(names, name)
		if len(v) != 1 {
			t.Errorf("%s is there %d times", name, len(v))
		}
	}
	slices.Sort(names)
	if d := cmp.Diff([]string{
		"Cache-Control", "Ratelimit", "Ratelimit-Policy", "X-Client-Id", "X-Gatehouse-Context", "X-Gatehouse-Omitted",
		"X-Granted-Scopes", "X-Mail", "X-Request-Id", "X-Team", "X-User-Id",
	}, names); d != "" {
		t.Error(d)
	}
	for name, want := range map[string]string{"X-User-Id": "00u1", "X-Client-Id": "app1", "X-Granted-Scopes": "orders:read", "X-Team": "blue", "X-Mail": "", "X-Gatehouse-Omitted": ""} {
		if got := a.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if c := a.Header.Get("X-Gatehouse-Context"); !strings.HasPrefix(c, "e30.") {
		t.Errorf("context %q", c)
	}
	id := a.Header.Get("X-Request-Id")
	trace, known := g.Decision(id)
	if !known || !trace.Allowed || trace.Decision.Status != 200 || trace.Decision.User != "00u1" || trace.Decision.ClientIP.String() != "192.0.2.1" {
		t.Errorf("decision %q: %v %+v", id, known, trace.Decision)
	}
	if lines := log.All(); len(lines) != 1 || !strings.Contains(lines[0], id) {
		t.Errorf("log: %q", lines)
	}
}

func TestDecideClearsOnPublicRoutes(t *testing.T) {
	g, _, _ := askedGateway(t)
	a := g.Decide(askFor("GET", "/open", "192.0.2.1:0", "X-User-Id", "root"))
	for _, name := range []string{"X-User-Id", "X-Client-Id", "X-Granted-Scopes", "X-Mail", "X-Team", "X-Gatehouse-Context"} {
		if v := a.Header[name]; a.Status != 200 || len(v) != 1 || v[0] != "" {
			t.Errorf("%d %s: %q", a.Status, name, v)
		}
	}
}

func TestDecideRefusesAsTheGatewayDoes(t *testing.T) {
	g, issuer, _ := askedGateway(t)
	bearer := "Bearer " + issuer.Token(t, nil)
	for _, c := range []struct {
		method, target, auth string
		status               int
		reason               string
	}{
		{"GET", "/orders", "", 401, ReasonNoToken},
		{"GET", "/orders", "Bearer x", 401, ReasonTokenMalformed},
		{"PUT", "/orders", bearer, 403, ReasonMissingScope},
		{"GET", "/nowhere", bearer, 404, ReasonNoRoute},
		{"DELETE", "/orders", bearer, 405, ReasonMethodNotAllowed},
		{"GET", "/open/../orders", bearer, 400, ReasonAmbiguousRequest},
		{"GET", "/open/..%2forders", bearer, 400, ReasonAmbiguousRequest},
		{"GET", "orders", bearer, 400, ReasonAmbiguousRequest},
		{"GET /open", "/orders", bearer, 400, ReasonAmbiguousRequest},
		// The gateway's own document is no route that a proxy may pass on.
		{"GET", "/.well-known/oauth-protected-resource", bearer, 404, ReasonNoRoute},
	} {
		var h []string
		if c.auth != "" {
			h = []string{"Authorization", c.auth}
		}
		a := g.Decide(askFor(c.method, c.target, "192.0.2.1:0", h...))
		if a.Status != c.status || !strings.Contains(string(a.Body), `"reason":"`+c.reason+`"`) || a.Header.Get("X-User-Id") != "" ||
			c.status == 401 && !strings.HasPrefix(a.Header.Get("Www-Authenticate"), "Bearer ") {
			t.Errorf("%s %s: %d %s %v, want %d %s", c.method, c.target, a.Status, a.Body, a.Header, c.status, c.reason)
		}
	}
	if a := g.Decide(askFor("GET", "/open", "192.0.2.1:0", "X_User_Id", "root")); a.Status != 400 {
		t.Errorf("a folded header name: %d", a.Status)
	}
}

func TestDecideCounts(t *testing.T) {
	g, issuer, _ := askedGateway(t)
	auth := "Bearer " + issuer.Token(t, nil)
	for i, want := range []int{200, 200, 429} {
		a := g.Decide(askFor("GET", "/orders", "192.0.2.1:0", "Authorization", auth))
		if a.Status != want || want == 429 && a.Header.Get("Retry-After") == "" {
			t.Errorf("request %d: %d %v, want %d", i, a.Status, a.Header, want)
		}
	}
}

func TestDecideWithoutASnapshotRefuses(t *testing.T) {
	g, err := New(ConfigFor(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	if a := g.Decide(askFor("GET", "/open", "192.0.2.1:0")); a.Status != 503 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// TestDecideLogsPlainBytes: whatever byte the asking proxy passes on, the line of the log is
// one JSON object, whose path and host are as they were decided about.
func TestDecideLogsPlainBytes(t *testing.T) {
	g, _, log := askedGateway(t)
	asked := 0
	ask := func(method, host, target, id string) {
		r := askFor(method, target, "192.0.2.1:0", "X-Request-Id", id)
		r.Host = host
		g.Decide(r)
		asked++
	}
	for c := range 256 {
		for _, b := range []string{string([]byte{byte(c)}), fmt.Sprintf("%%%02x", c)} {
			ask("GET", "api.test", "/open"+b, "id")
			ask("GET", "api.test", b+"/open", "id")
			ask("GET", "api.test", "/open?"+b, "id")
			ask("GET", "api"+b+".test", "/open", "id")
			ask("GET", "[::"+b+"]", "/open", "id")
			ask("G"+b+"T", "api.test", "/open", "id")
			ask("GET", "api.test", "/open", "id"+b)
		}
	}
	lines := log.All()
	if len(lines) != asked {
		t.Errorf("%d lines for %d requests", len(lines), asked)
	}
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("%v: %q", err, line)
			continue
		}
		for _, name := range []string{"path", "host", "request_id"} {
			text, _ := fields[name].(string)
			if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
				t.Errorf("%s %q in %q", name, text, line)
			}
		}
	}
}

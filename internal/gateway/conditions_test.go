package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
)

func conditionsSnapshot() spec.Snapshot {
	s := OrdersSnapshot(
		spec.Route{Method: "PUT", Path: "/deposit/{user}", When: "resource.user == principal.login"},
		spec.Route{Method: "GET", Path: "/plain"},
		spec.Route{Method: "GET", Path: "/claims", When: `principal.claims.department == "hr"`},
		spec.Route{Method: "GET", Path: "/role", When: `resource.headers["x-role"] == ["user"]`},
		spec.Route{Method: "GET", Path: "/office", When: `context.zones.contains("office") && context.ip.isInRange(ip("192.0.2.0/24"))`},
		spec.Route{Method: "GET", Path: "/open", Public: true},
	)
	s.APIs[0].BasePath = "/hr"
	s.Zones = []spec.Zone{{Name: "office", Networks: []string{"192.0.2.0/25"}}}
	s.Policies = []spec.Policy{
		{Name: "no_contractors_at_night", Text: "// by day only\nforbid (principal, action, resource)\nwhen { principal.groups.contains(\"contractors\") && (context.hour < 7 || context.hour > 19) };\n"},
		{Name: "no_trace_header", Text: `forbid (principal, action == Action::"GET /hr/open", resource) when { resource.headers["x-debug"].contains("1") };`},
	}
	s.Sources = map[string]string{
		"apis.orders.routes.PUT /deposit/{user}.when": "g.yaml:9:9",
		"policies.no_contractors_at_night":            "g.yaml:20:3",
		"policies.no_contractors_at_night.text":       "g.yaml:21:1",
		"policies.no_trace_header":                    "g.yaml:25:3",
	}
	return s
}

func TestConditionsDecide(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := newTestGateway(t, ConfigFor(t, iss), conditionsSnapshot())
	for _, x := range []struct {
		name, method, target string
		claims               Claims
		headers              []string
		status               int
		reason               string
	}{
		{"their own record", "PUT", "/hr/deposit/ana@example.com", Claims{"sub": "ana@example.com"}, nil, 200, ""},
		{"their own record, encoded", "PUT", "/hr/deposit/ana%40example.com", Claims{"sub": "ana@example.com"}, nil, 200, ""},
		{"another's record", "PUT", "/hr/deposit/ben@example.com", Claims{"sub": "ana@example.com"}, nil, 403, ReasonConditionFailed},
		{"the user id is no login", "PUT", "/hr/deposit/00u1", Claims{"sub": "ana@example.com"}, nil, 403, ReasonConditionFailed},
		{"a login claim", "PUT", "/hr/deposit/ana", Claims{"sub": "f3c1", "login": "ana"}, nil, 200, ""},
		{"a login claim beats sub", "PUT", "/hr/deposit/f3c1", Claims{"sub": "f3c1", "login": "ana"}, nil, 403, ReasonConditionFailed},
		{"what people choose themselves", "PUT", "/hr/deposit/ben", Claims{"sub": "f3c1", "preferred_username": "ben"}, nil, 403, ReasonConditionFailed},
		{"a login that is no text", "PUT", "/hr/deposit/ana", Claims{"login": []string{"ben"}}, nil, 200, ""},
		{"an app has no login", "PUT", "/hr/deposit/app1", Claims{"sub": "app1", "uid": nil}, nil, 403, ReasonConditionFailed},
		{"a claim", "GET", "/hr/claims", Claims{"department": "hr"}, nil, 200, ""},
		{"another claim", "GET", "/hr/claims", Claims{"department": "it"}, nil, 403, ReasonConditionFailed},
		{"no claim", "GET", "/hr/claims", nil, nil, 503, ReasonPolicyError},
		{"one role", "GET", "/hr/role", nil, []string{"X-Role", "user"}, 200, ""},
		{"two roles", "GET", "/hr/role", nil, []string{"X-Role", "user", "x-role", "admin"}, 403, ReasonConditionFailed},
		{"two roles in a line", "GET", "/hr/role", nil, []string{"X-Role", "user,admin"}, 403, ReasonConditionFailed},
		{"no role", "GET", "/hr/role", nil, nil, 403, ReasonConditionFailed},
		{"the office", "GET", "/hr/office", nil, nil, 200, ""},
		{"a policy that does not apply", "GET", "/hr/plain", Claims{"groups": []string{"employees"}}, nil, 200, ""},
		{"a public operation", "GET", "/hr/open", nil, []string{"X-Debug", "0"}, 200, ""},
		{"a public operation that a policy forbids", "GET", "/hr/open", nil, []string{"X-Debug", "0", "X-Debug", "1"}, 403, ReasonPolicyForbids},
	} {
		l := newLane(x.method, x.target, append([]string{"Authorization", "Bearer " + iss.Token(t, x.claims)}, x.headers...)...)
		for range 2 { // the second time from the token's memory
			g.ServeExchange(l)
			if l.status != x.status || x.reason != "" && l.reason() != x.reason {
				t.Errorf("%s: %d %s, want %d %s", x.name, l.status, l.reason(), x.status, x.reason)
			}
		}
		if x.reason != "" && strings.Contains(string(l.body), "policy no_") {
			t.Errorf("%s: the answer names a rule: %s", x.name, l.body)
		}
	}
}

// A policy is asked with the snapshot that it belongs to, whatever the token remembers.
func TestPoliciesChangeUnderATokenThatIsKnown(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := conditionsSnapshot()
	g := newTestGateway(t, ConfigFor(t, iss), s)
	l := newLane("GET", "/hr/plain", "Authorization", "Bearer "+iss.Token(t, Claims{"department": "it", "floor": 3}))
	for i, x := range []struct {
		text   string
		status int
	}{
		{`forbid (principal, action, resource) when { principal.claims has department && principal.claims.department == "it" };`, 403},
		{`forbid (principal, action, resource) when { principal.claims has wing };`, 200},
		{`forbid (principal, action, resource) when { principal.claims has floor && principal.claims.floor == 3 };`, 403},
		{`forbid (principal, action, resource) unless { principal in Group::"staff" };`, 403},
	} {
		s.Revision++
		s.Policies = []spec.Policy{{Name: "p", Text: x.text}}
		if err := g.Load(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if g.ServeExchange(l); l.status != x.status {
			t.Errorf("%d: %d %s", i, l.status, l.reason())
		}
	}
}

func TestConditionsAreExplained(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := newTestGateway(t, ConfigFor(t, iss), conditionsSnapshot())
	night := time.Date(2026, 1, 5, 22, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		h    Hypothetical
		want TraceStep
	}{
		{Hypothetical{Method: "PUT", Path: "/hr/deposit/ben", User: "ana"}, TraceStep{
			Outcome: OutcomeRefuse, Reason: ReasonConditionFailed, Source: "g.yaml:9:9",
			Needed: "that resource.user == principal.login; that none of these policies forbids it: no_contractors_at_night",
			Had:    `the condition does not hold: resource.user = "ben", principal.login = "ana"`,
		}},
		{Hypothetical{Path: "/hr/plain", User: "ana", Groups: []string{"contractors"}, At: night}, TraceStep{
			Outcome: OutcomeRefuse, Reason: ReasonPolicyForbids, Source: "g.yaml:22:1",
			Needed: "that none of these policies forbids it: no_contractors_at_night",
			Had:    `the policy no_contractors_at_night (its line 2) forbids it: principal.groups = ["contractors"], context.hour = 22`,
		}},
		{Hypothetical{Path: "/hr/plain", User: "ana", Groups: []string{"contractors"}, At: night.Add(-10 * time.Hour)}, TraceStep{
			Outcome: OutcomePass, Needed: "that none of these policies forbids it: no_contractors_at_night",
		}},
		{Hypothetical{Path: "/hr/open", Header: map[string]string{"X-Debug": "1"}}, TraceStep{
			Outcome: OutcomeRefuse, Reason: ReasonPolicyForbids, Source: "g.yaml:25:3",
			Needed: "that none of these policies forbids it: no_contractors_at_night, no_trace_header",
			Had:    `the policy no_trace_header (its line 1) forbids it: resource.headers.x-debug = ["1"]`,
		}},
		{Hypothetical{Path: "/hr/claims", User: "ana"}, TraceStep{
			Outcome: OutcomeRefuse, Reason: ReasonPolicyError,
			Needed: `that principal.claims.department == "hr"; that none of these policies forbids it: no_contractors_at_night`,
			Had:    "the condition could not be evaluated: record does not have the attribute `department`; principal.claims.department is missing",
		}},
	} {
		tr, err := g.Explain(t.Context(), x.h)
		if err != nil {
			t.Fatal(err)
		}
		x.want.Name = "policy"
		found := false
		for _, st := range tr.Steps {
			if st.Name == "policy" {
				found = true
				if st != x.want {
					t.Errorf("%s:\n%+v\n%+v", x.h.Path, st, x.want)
				}
			}
		}
		if !found {
			t.Errorf("%s: no step", x.h.Path)
		}
	}
}

// A route that asks for none of it has no step of it.
func TestUnusedFeaturesCostNoStep(t *testing.T) {
	s := conditionsSnapshot()
	s.Policies = s.Policies[1:] // about one operation only
	g := newTestGateway(t, ConfigFor(t, NewIssuerFor(t, "https://issuer.test")), s)
	for _, r := range g.current.Load().routes {
		var has []string
		for _, b := range r.steps {
			if b.id == stepPolicy || b.id == stepStepUp || b.id == stepZone || b.id == stepGroups {
				has = append(has, b.id.String())
			}
		}
		want := "[]"
		if r.spec.When != "" || r.spec.Path == "/open" {
			want = "[policy]"
		}
		if fmt.Sprint(has) != want {
			t.Errorf("%s has the steps %v", r.name, has)
		}
	}
}

// A policy in shadow mode denies nobody: what it would have done is counted, logged
// and explained.
func TestShadowIsToldAndNotEnforced(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := conditionsSnapshot()
	s.Policies = []spec.Policy{{Name: "soon", Text: "@shadow\nforbid (principal, action, resource) when { principal.login == \"ana\" };"}}
	c := ConfigFor(t, iss)
	log := &LogLines{}
	c.AccessLog = log
	c.Metrics = telemetry.NewMetrics(telemetry.MetricsConfig{})
	g := newTestGateway(t, c, s)
	for _, who := range []string{"ana", "ben"} {
		l := newLane("GET", "/hr/plain", "Authorization", "Bearer "+iss.Token(t, Claims{"sub": who}))
		if g.ServeExchange(l); l.status != 200 {
			t.Fatalf("%s: %d %s", who, l.status, l.reason())
		}
		tr, ok := g.Decision(l.fields["X-Request-ID"][0])
		if !ok || !tr.Allowed {
			t.Fatalf("%s: %+v", who, tr)
		}
		want := ""
		if who == "ana" {
			want = `only tried out: the policy soon (its line 1) forbids it: principal.login = "ana"`
		}
		for _, st := range tr.Steps {
			if st.Name == "policy" && (st.Had != want || st.Outcome != OutcomePass) {
				t.Errorf("%s: %+v", who, st)
			}
		}
	}
	if lines := log.All(); !strings.Contains(lines[0], `"would_deny":"soon"`) || strings.Contains(lines[1], "would_deny") {
		t.Errorf("%q", lines)
	}
	if _, err := g.Explain(t.Context(), Hypothetical{Path: "/hr/plain", User: "ana"}); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	c.Metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if want := `gatehouse_policy_would_deny_total{policy="soon",tenant="default"} 1`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("the metrics lack %s", want)
	}
}

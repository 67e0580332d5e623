package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"gatehouse/internal/spec"
)

func explainSnapshot() spec.Snapshot {
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/vacations/{user}", Scopes: [][]string{{"vacations:read"}}},
		spec.Route{
			Method: "PUT", Path: "/deposit/{user}", Scopes: [][]string{{"payroll:write"}}, Groups: []string{"employees"},
			Limits: []spec.Limit{{Count: 5, Period: spec.Duration(time.Hour), Per: "user"}},
		},
		spec.Route{Method: "GET", Path: "/health", Public: true},
	)
	s.APIs[0].BasePath = "/hr"
	s.Sources = map[string]string{
		"apis.orders": "g.yaml:3:3", "apis.orders.auth": "g.yaml:5:5",
		"apis.orders.routes.PUT /deposit/{user}":        "g.yaml:9:7",
		"apis.orders.routes.PUT /deposit/{user}.scopes": "g.yaml:10:9",
		"apis.orders.routes.PUT /deposit/{user}.groups": "g.yaml:11:9",
		"apis.orders.routes.PUT /deposit/{user}.limit":  "g.yaml:12:9",
	}
	return s
}

func TestExplainHypothetical(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	other := NewIssuerFor(t, "https://other.test")
	sent := 0
	c := ConfigFor(t, iss, other)
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(*Exchange) error { sent++; return nil }}, nil
	}
	log := &LogLines{}
	c.AccessLog = log
	s := explainSnapshot()
	s.Issuers = append(s.Issuers, spec.Issuer{Name: "other", URL: other.URL, Audience: []string{"api://test"}})
	s.APIs = append(s.APIs, spec.API{
		Name: "else", BasePath: "/else-where", Auth: []string{"other"}, Upstream: s.APIs[0].Upstream,
		Routes: []spec.Route{{Method: "GET", Path: "/"}},
	})
	g := newTestGateway(t, c, s)
	for _, x := range []struct {
		name   string
		h      Hypothetical
		allow  bool
		reason string
		step   string
	}{
		{"scope", Hypothetical{Path: "/hr/vacations/ana", Scopes: []string{"vacations:read"}}, true, "", ""},
		{"wrong scope", Hypothetical{Path: "/hr/vacations/ana", Scopes: []string{"payroll:write"}}, false, "missing_scope", "authorize"},
		{"anonymous", Hypothetical{Path: "/hr/vacations/ana"}, false, "no_token", "authenticate"},
		{"public", Hypothetical{Path: "/hr/health"}, true, "", ""},
		{"public, described", Hypothetical{Path: "/hr/health", User: "ana"}, true, "", ""},
		{"no group", Hypothetical{Method: "PUT", Path: "/hr/deposit/ana", User: "ana", Scopes: []string{"payroll:write"}}, false, "group_required", "groups"},
		{"all", Hypothetical{Method: "PUT", Path: "/hr/deposit/ana", User: "ana", Scopes: []string{"payroll:write"}, Groups: []string{"employees"}}, true, "", ""},
		{"of its issuer", Hypothetical{Path: "/hr/vacations/ana", Scopes: []string{"vacations:read"}, Issuer: "main"}, true, "", ""},
		{"of another issuer", Hypothetical{Path: "/hr/vacations/ana", Scopes: []string{"vacations:read"}, Issuer: "other"}, false, "unknown_issuer", "authenticate"},
		{"unknown path", Hypothetical{Path: "/else"}, false, "no_route", "match"},
		{"method", Hypothetical{Method: "DELETE", Path: "/hr/health"}, false, "method_not_allowed", "match"},
		{"ambiguous", Hypothetical{Path: "/hr/../health"}, false, "ambiguous_request", "canonicalize"},
		{"a real token", Hypothetical{Path: "/hr/vacations/ana", Token: iss.Token(t, Claims{"scp": []string{"vacations:read"}})}, true, "", ""},
		{"a bad token", Hypothetical{Path: "/hr/vacations/ana", Token: "x.y.z"}, false, "token_malformed", "authenticate"},
		{"too large", Hypothetical{Path: "/hr/health", Length: 1 << 30}, false, "body_too_large", "guard"},
	} {
		for range 10 { // more often than any limit allows: nothing is counted
			tr, err := g.Explain(t.Context(), x.h)
			if err != nil {
				t.Fatal(err)
			}
			if tr.Allowed != x.allow || tr.Decision.Reason != x.reason || tr.Decision.Step != x.step {
				t.Fatalf("%s: %+v", x.name, tr)
			}
		}
	}
	if sent != 0 || len(log.All()) != 0 {
		t.Errorf("explaining sent %d requests and wrote %d lines", sent, len(log.All()))
	}
	tr, err := g.Explain(t.Context(), Hypothetical{Method: "PUT", Path: "/hr/deposit/ana", User: "ana", Scopes: []string{"payroll:write", "a"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []TraceStep{
		{Name: "canonicalize", Outcome: "pass", Needed: "a request with one meaning"},
		{Name: "match", Outcome: "pass", Needed: "a route for this method, host and path", Had: "PUT /hr/deposit/{user}", Source: "g.yaml:9:7"},
		{Name: "guard", Outcome: "pass", Needed: "a body of at most 10485760 bytes"},
		{Name: "authenticate", Outcome: "assumed", Needed: "a token of main (https://issuer.test) for api://test", Had: "a caller as described", Source: "g.yaml:5:5"},
		{Name: "sender", Outcome: "assumed", Needed: "nothing more than a token; of one that is bound to its sender, the proof"},
		{Name: "revocation", Outcome: "pass", Needed: "a caller of whom nothing is revoked"},
		{Name: "authorize", Outcome: "pass", Needed: "scopes payroll:write", Had: "scopes a payroll:write", Source: "g.yaml:10:9"},
		{Name: "step-up", Outcome: "not needed"},
		{Name: "zone", Outcome: "not needed"},
		{Name: "groups", Outcome: "refuse", Reason: "group_required", Needed: "one of the groups employees", Had: "no groups", Source: "g.yaml:11:9"},
		{Name: "policy", Outcome: "not reached"},
		{Name: "decision points", Outcome: "not reached"},
		{Name: "limit", Outcome: "not reached", Needed: "at most 5 in 1h0m0s per user", Source: "g.yaml:12:9"},
		{Name: "transform", Outcome: "not reached"},
		{Name: "backend", Outcome: "not reached", Source: "g.yaml:3:3"},
	}
	if diff := cmp.Diff(want, tr.Steps); diff != "" {
		t.Error(diff)
	}
	for _, s := range tr.Shallow().Steps {
		if s.Needed != "" || s.Had != "" || s.Source != "" {
			t.Errorf("the shallow view shows %+v", s)
		}
	}
}

// What explain says of a request is what the request got.
func TestDecisionIsWhatHappened(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := newTestGateway(t, ConfigFor(t, iss), explainSnapshot())
	token := "Bearer " + iss.Token(t, Claims{"scp": []string{"payroll:write"}})
	for _, x := range []struct {
		method, target, reason, step string
		status                       int
	}{
		{"GET", "/hr/health?secret=1", "", "", 200},
		{"PUT", "/hr/deposit/ana", "group_required", "groups", 403},
		{"GET", "/hr/none", "no_route", "match", 404},
		{"GET", "/hr//none", "ambiguous_request", "canonicalize", 400},
	} {
		l := newLane(x.method, x.target, "Authorization", token)
		g.ServeExchange(l)
		tr, ok := g.Decision(l.fields["X-Request-ID"][0])
		if !ok {
			t.Fatalf("%s: not kept", x.target)
		}
		d := tr.Decision
		path, _, _ := strings.Cut(x.target, "?")
		if x.step == "canonicalize" {
			path = ""
		}
		if d.Status != x.status || d.Reason != x.reason || d.Step != x.step || d.Method != x.method || d.Path != path || d.Revision != 1 ||
			d.ClientIP != netip.MustParseAddr("192.0.2.1") || tr.Allowed != (x.reason == "") {
			t.Errorf("%s: %+v", x.target, tr)
		}
		if x.step == "authorize" && (d.User != "00u1" || d.ClientID != "app1" || d.Issuer != iss.URL || d.API != "orders" || d.Route != "PUT /hr/deposit/{user}") {
			t.Errorf("%+v", d)
		}
	}
	if _, ok := g.Decision("nothing"); ok {
		t.Error("an unknown id is known")
	}
	if _, ok := g.Decision(""); ok {
		t.Error("the empty id is known")
	}
}

func TestDecisionsAreBounded(t *testing.T) {
	c := ConfigFor(t)
	c.Decisions = 3
	g := newTestGateway(t, c, OrdersSnapshotPublic())
	var ids []string
	for range 5 {
		l := newLane("GET", "/x")
		g.ServeExchange(l)
		ids = append(ids, l.fields["X-Request-ID"][0])
	}
	for i, id := range ids {
		if _, ok := g.Decision(id); ok != (i >= 2) {
			t.Errorf("decision %d: kept %v", i, ok)
		}
	}
}

func TestTail(t *testing.T) {
	g := newTestGateway(t, ConfigFor(t), OrdersSnapshotPublic())
	ctx, cancel := context.WithCancel(t.Context())
	all, denied := g.Tail(ctx, DecisionFilter{}), g.Tail(ctx, DecisionFilter{Denied: true})
	g.ServeExchange(newLane("GET", "/x"))
	g.ServeExchange(newLane("GET", "/y"))
	if a, b := <-all, <-all; a.Status != 200 || b.Reason != "no_route" {
		t.Errorf("%+v, %+v", a, b)
	}
	if d := <-denied; d.Reason != "no_route" {
		t.Errorf("%+v", d)
	}
	// Nobody reads: the gateway goes on, and says how much was missed.
	for range 1000 {
		g.ServeExchange(newLane("GET", "/x"))
	}
	if g.TailDropped() == 0 {
		t.Error("nothing was dropped")
	}
	cancel()
	drain(all)
	drain(denied)
	last := g.Tail(t.Context(), DecisionFilter{})
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	drain(last)
	if _, open := <-g.Tail(t.Context(), DecisionFilter{}); open {
		t.Error("a closed gateway has decisions")
	}
}

// drain reads until the channel is closed.
func drain(c <-chan Decision) (n int) {
	for range c {
		n++
	}
	return n
}

// attack gateway 69, 68: never more than the limit pass, however many come at
// once, and rotating what a client may choose gains nothing.
func TestLimitsAreExact(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	now := time.Now()
	c.Now = func() time.Time { return now } // no allowance comes back meanwhile
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x", Limits: []spec.Limit{{Count: 100, Period: spec.Duration(time.Hour), Per: "client"}}})
	s.APIs[0].Limits = []spec.Limit{{Count: 150, Period: spec.Duration(time.Hour), Per: "api"}}
	g := newTestGateway(t, c, s)
	fire := func(client string, n int) int64 {
		var passed atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			token := "Bearer " + iss.Token(t, Claims{"cid": client})
			wg.Go(func() {
				for i := range n / 8 {
					l := newLane("GET", "/x", "Authorization", token, "X-Forwarded-For", fmt.Sprintf("10.0.0.%d", i))
					g.ServeExchange(l)
					switch l.status {
					case 200:
						passed.Add(1)
					case 429:
						if l.fields["Retry-After"] == nil || l.fields["RateLimit"] == nil || l.fields["RateLimit-Policy"] == nil {
							t.Errorf("%v", l.fields)
						}
					default:
						t.Errorf("status %d", l.status)
					}
				}
			})
		}
		wg.Wait()
		return passed.Load()
	}
	if n := fire("app1", 200); n != 100 {
		t.Errorf("%d passed for the first client, want 100", n)
	}
	if n := fire("app2", 200); n > 50 {
		t.Errorf("%d passed for the second client: the API's own limit has 50 left", n)
	}
}

func TestLimitHeaders(t *testing.T) {
	c := ConfigFor(t)
	now := time.Now()
	c.Now = func() time.Time { return now }
	s := OrdersSnapshotPublic()
	s.APIs[0].Limits = []spec.Limit{{Count: 60, Period: spec.Duration(time.Minute), Per: "ip"}}
	s.APIs[0].Routes[0].Limits = []spec.Limit{{Count: 2, Period: spec.Duration(time.Minute), Per: "ip"}}
	g := newTestGateway(t, c, s)
	for i, want := range []string{`"ip";r=59;t=1, "route-ip";r=1;t=30`, `"ip";r=58;t=2, "route-ip";r=0;t=60`, `"ip";r=58;t=2, "route-ip";r=0;t=60`} {
		l := newLane("GET", "/x")
		g.ServeExchange(l)
		if got := l.fields["RateLimit"]; !slices.Equal(got, []string{want}) {
			t.Errorf("%d: RateLimit %q, want %q", i, got, want)
		}
		if got := l.fields["RateLimit-Policy"]; !slices.Equal(got, []string{`"ip";q=60;w=60, "route-ip";q=2;w=60`}) {
			t.Errorf("RateLimit-Policy %q", got)
		}
		if i == 2 && (l.status != 429 || !slices.Equal(l.fields["Retry-After"], []string{"30"})) {
			t.Errorf("%d %v", l.status, l.fields)
		}
	}
}

// attack gateway 24, 72: neither tokens nor what stands in a query reach log, answer or decision.
func TestSecretsDoNotLeak(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	log := &LogLines{}
	c.AccessLog = log
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x", Scopes: [][]string{{"orders:read"}}}))
	token := iss.Token(t, Claims{"sub": "canary-person", "uid": "canary-uid", "email": "canary@mail.test"})
	for _, target := range []string{"/x?access_token=" + token + "&q=canary-query", "/none?canary-query", "/canary-path//x?canary-query"} {
		for _, auth := range []string{"Bearer " + token, "Bearer " + token[:len(token)-9] + "AAAAAAAAA", "Basic canary-basic"} {
			l := newLane("GET", target, "Authorization", auth, "Cookie", "canary-cookie")
			g.ServeExchange(l)
			answer := fmt.Sprint(l.fields, string(l.body))
			tr, _ := g.Decision(l.fields["X-Request-ID"][0])
			deep, err := json.Marshal(tr)
			if err != nil {
				t.Fatal(err)
			}
			for where, text := range map[string]string{"answer": answer, "log": strings.Join(log.All(), ""), "decision": string(deep)} {
				for _, secret := range []string{token, token[len(token)-20:], "canary-query", "canary-basic", "canary-cookie", "canary-path", "canary@mail.test"} {
					if strings.Contains(text, secret) {
						t.Errorf("%s holds %q: %s", where, secret, text)
					}
				}
				if where != "decision" && strings.Contains(text, "canary") {
					t.Errorf("%s names the person: %s", where, text)
				}
			}
		}
	}
	for _, line := range log.All() {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || !strings.HasSuffix(line, "}\n") {
			t.Errorf("%v: %q", err, line)
		}
	}
}

// Policy only tightens: whatever is added to a route, no request passes that did
// not pass before.
func TestPolicyOnlyTightens(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g, err := New(ConfigFor(t, iss))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a", "b", "c"}
	some := func(t *rapid.T, what string) []string {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID[string]).Draw(t, what)
	}
	rapid.Check(t, func(t *rapid.T) {
		base := spec.Route{Method: "GET", Path: "/x"}
		if set := some(t, "scopes"); len(set) > 0 {
			base.Scopes = [][]string{set}
		}
		tight := base
		switch rapid.IntRange(0, 2).Draw(t, "added") {
		case 0:
			extra := rapid.SampledFrom(names).Draw(t, "scope")
			if len(base.Scopes) == 0 {
				tight.Scopes = [][]string{{extra}}
			} else {
				tight.Scopes = [][]string{append(slices.Clone(base.Scopes[0]), extra)}
			}
		case 1:
			tight.Groups = append(some(t, "groups"), "g")
		case 2:
			tight.Limits = []spec.Limit{{Count: 1, Period: spec.Duration(time.Hour), Per: "client"}}
		}
		h := Hypothetical{Path: "/x", User: "u", Scopes: some(t, "had"), Groups: some(t, "in")}
		before, err := g.ExplainWith(context.Background(), OrdersSnapshot(base), []Hypothetical{h})
		if err != nil {
			t.Fatal(err)
		}
		after, err := g.ExplainWith(context.Background(), OrdersSnapshot(tight), []Hypothetical{h})
		if err != nil {
			t.Fatal(err)
		}
		if after[0].Allowed && !before[0].Allowed {
			t.Fatalf("%+v passes %+v but not %+v", h, tight, base)
		}
	})
}

func TestHypotheticalURL(t *testing.T) {
	for raw, want := range map[string][2]string{
		"/a/b?c": {"", "/a/b?c"}, "https://api.test/a/../b?x": {"api.test", "/a/../b?x"}, "http://api.test:8080": {"api.test:8080", "/"},
		"http://api.test?x=1": {"api.test", "/?x=1"}, "https://api.test/%2e": {"api.test", "/%2e"},
	} {
		var h Hypothetical
		if err := h.ParseURL(raw); err != nil || h.Host != want[0] || h.Path != want[1] {
			t.Errorf("%s: %q %q %v", raw, h.Host, h.Path, err)
		}
	}
	for _, raw := range []string{"", "api.test/x", "ftp://a/b", "https:///x"} {
		if (&Hypothetical{}).ParseURL(raw) == nil {
			t.Errorf("%q is accepted", raw)
		}
	}
}

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// oracle is a DecisionPoint that a test tells what to say.
type oracle struct {
	mu    sync.Mutex
	asked []string
	says  func(question string) (bool, string, error)
}

// Ask implements DecisionPoint.
func (o *oracle) Ask(_ context.Context, id string, question []byte) (permitted bool, reason string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if id == "" {
		return false, "", errors.New("the question has no id")
	}
	o.asked = append(o.asked, string(question))
	return o.says(string(question))
}

func (o *oracle) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

func always(permitted bool, reason string, err error) func(string) (bool, string, error) {
	return func(string) (bool, string, error) { return permitted, reason, err }
}

// oracleHouse has two decision points, a for the API and b for one route besides.
type oracleHouse struct {
	*Gateway
	a, b   *oracle
	issuer *FakeIssuer
	passed int
}

func newOracleHouse(t *testing.T, change ...func(*Config, *spec.Snapshot)) *oracleHouse {
	t.Helper()
	h := &oracleHouse{a: &oracle{says: always(true, "", nil)}, b: &oracle{says: always(true, "", nil)}, issuer: NewIssuerFor(t, "https://issuer.test")}
	c := ConfigFor(t, h.issuer)
	c.DecisionPoint = func(p spec.DecisionPoint) (DecisionPoint, error) {
		switch p.Name {
		case "a":
			return h.a, nil
		case "b":
			return h.b, nil
		}
		return nil, errors.New("nobody of this name")
	}
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			h.passed++
			return ex.Relay(&wire.Response{Status: 200})
		}}, nil
	}
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders/{id}", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "PUT", Path: "/orders/{id}", Scopes: [][]string{{"orders:write"}}},
		spec.Route{Method: "GET", Path: "/both", Authorize: []string{"b", "a"}},
		spec.Route{Method: "GET", Path: "/open", Public: true},
		spec.Route{Method: "GET", Path: "/limited", Limits: []spec.Limit{{Count: 2, Period: spec.Duration(time.Hour), Per: "client"}}},
	)
	s.APIs[0].Authorize = []string{"a"}
	s.DecisionPoints = []spec.DecisionPoint{{Name: "a", URL: "https://a.test"}, {Name: "b", URL: "https://b.test"}}
	s.Zones = []spec.Zone{{Name: "office", Networks: []string{"192.0.2.0/24"}}, {Name: "else", Networks: []string{"10.0.0.0/8"}}}
	s.Sources = map[string]string{"apis.orders.authorize": "x.yaml:9:5"}
	for _, f := range change {
		f(&c, &s)
	}
	h.Gateway = newTestGateway(t, c, s)
	return h
}

func (h *oracleHouse) get(method, target, token string) *memoryLane {
	l := newLane(method, target, "Authorization", "Bearer "+token, "X-Secret", "canary-header")
	if token == "" {
		l = newLane(method, target)
	}
	h.ServeExchange(l)
	return l
}

// What a decision point is told: who, what, with what and under which circumstances,
// and no credential.
func TestDecisionPointIsAsked(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	h := newOracleHouse(t)
	const token = "canary.token.text"
	ex := &Exchange{}
	ex.begin(h.Gateway, newLane("GET", "/orders/a%20b?q=1", "Authorization", "Bearer "+token, "X-Secret", "canary-header"))
	ex.started = now
	for _, s := range []step{canonicalize{}, match{}} {
		if err := s.Do(ex); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := verify.FromClaims(fmt.Appendf(nil, `{"iss":"https://issuer.test","aud":"api://test","sub":"ana","cid":"app1","uid":"00u1","jti":"t1","at_hash":"x",
		"iat":%d,"exp":%d,"auth_time":%d,"scp":["orders:read"],"groups":["staff"],"acr":"phr","amr":["mfa"],"floor":3,"risk":"LOW","login":"ana@acme.test"}`,
		now.Unix(), now.Unix()+600, now.Unix()-60), verify.ClaimNames{})
	if err != nil {
		t.Fatal(err)
	}
	ex.token = tok
	raw, err := json.Marshal(ex.question())
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("%s is in the question: %s", secret, raw)
		}
	}
	var got any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal([]byte(`{
		"subject": {"type": "identity", "id": "ana", "properties": {
			"login": "ana@acme.test", "user": "00u1", "client": "app1", "issuer": "https://issuer.test", "acr": "phr", "amr": ["mfa"],
			"scopes": ["orders:read"], "groups": ["staff"], "roles": [], "claims": {"floor": 3, "risk": "LOW", "login": "ana@acme.test"}}},
		"action": {"name": "GET"},
		"resource": {"type": "route", "id": "/orders/{id}", "properties": {
			"api": "orders", "operation": "GET /orders/{id}", "params": {"id": "a b"}, "path": "/orders/a%20b", "host": "api.test"}},
		"context": {"ip": "192.0.2.1", "zones": ["office"], "time": "2026-03-04T05:06:07Z", "risk": "low", "auth_age": 60}}`), &want); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Their answer is one for this request and no other; it is asked for when all else
// has passed, and never let pass what something else refuses.
func TestDecisionPointsOnlyTighten(t *testing.T) {
	h := newOracleHouse(t)
	token := h.issuer.Token(t, nil)
	pass := func(method, target, tok string, status int, reason string, asked int) {
		t.Helper()
		before, passed := h.a.count(), h.passed
		l := h.get(method, target, tok)
		if l.status != status || l.reason() != reason {
			t.Errorf("%s %s: %d %q, want %d %q", method, target, l.status, l.reason(), status, reason)
		}
		if n := h.a.count() - before; n != asked {
			t.Errorf("%s %s: asked %d times, want %d", method, target, n, asked)
		}
		if (status == 200) != (h.passed == passed+1) {
			t.Errorf("%s %s: reached the upstream %d times", method, target, h.passed-passed)
		}
	}
	pass("GET", "/orders/1", token, 200, "", 1)
	pass("GET", "/orders/1", token, 200, "", 1) // asked anew
	pass("PUT", "/orders/1", token, 403, ReasonMissingScope, 0)
	pass("GET", "/orders/1", "", 401, ReasonNoToken, 0)
	pass("GET", "/nowhere", token, 404, ReasonNoRoute, 0)
	pass("GET", "/open", token, 200, "", 0)
	h.a.says = func(q string) (bool, string, error) { return !strings.Contains(q, `"id":"2"`), "not yours", nil }
	pass("GET", "/orders/1", token, 200, "", 1)
	pass("GET", "/orders/2", token, 403, ReasonPolicyForbids, 1)
	pass("GET", "/orders/1", token, 200, "", 1)
	h.a.says = always(true, "", errors.New("down")) // an error that comes with a yes is an error
	pass("GET", "/orders/1", token, 503, ReasonPolicyError, 1)
	pass("GET", "/both", token, 503, ReasonPolicyError, 1)
	if n := h.b.count(); n != 0 {
		t.Errorf("b was asked %d times, although a had not permitted", n)
	}
	h.a.says, h.b.says = always(true, "", nil), always(false, "", nil)
	pass("GET", "/both", token, 403, ReasonPolicyForbids, 1)
	h.b.says = always(true, "", nil)
	pass("GET", "/both", token, 200, "", 1)
	pass("GET", "/limited", token, 200, "", 1)
	pass("GET", "/limited", token, 200, "", 1)
	pass("GET", "/limited", token, 429, ReasonRateLimited, 0) // who sends too much does not make others work
}

// What is refused by them costs nothing of the caller's allowance.
func TestDecisionPointRefusalsDoNotCount(t *testing.T) {
	h := newOracleHouse(t)
	token := h.issuer.Token(t, nil)
	h.a.says = always(false, "", nil)
	for range 5 {
		h.get("GET", "/limited", token)
	}
	h.a.says = always(true, "", nil)
	if l := h.get("GET", "/limited", token); l.status != 200 {
		t.Errorf("%d %s", l.status, l.reason())
	}
}

// The same for proxies that only ask for the decision.
func TestDecisionPointOfDecisions(t *testing.T) {
	h := newOracleHouse(t)
	r := askFor("GET", "/orders/1", "192.0.2.1:0", "Authorization", "Bearer "+h.issuer.Token(t, nil))
	if a := h.Decide(r); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	h.a.says = always(false, "", nil)
	if a := h.Decide(r); a.Status != 403 || h.a.count() != 2 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// Explain says who was asked, what they said and why, and the line; the caller is
// told nothing of it. Nobody is asked about a request that was not sent.
func TestDecisionPointIsExplained(t *testing.T) {
	h := newOracleHouse(t)
	h.a.says = always(false, "outside of the trial", nil)
	l := h.get("GET", "/orders/1", h.issuer.Token(t, nil))
	if strings.Contains(string(l.body), "trial") || strings.Contains(fmt.Sprint(l.fields), "trial") {
		t.Errorf("the caller is told: %s", l.body)
	}
	id := strings.Join(l.fields["X-Request-ID"], "")
	tr, ok := h.Decision(id)
	if !ok {
		t.Fatal("no decision")
	}
	s := tr.step("decision points")
	if s.Outcome != OutcomeRefuse || s.Reason != ReasonPolicyForbids || s.Needed != "that each of these decision points permits it: a" ||
		!strings.HasPrefix(s.Had, "a forbids it, because: outside of the trial (after ") || s.Source != "x.yaml:9:5" {
		t.Errorf("%+v", s)
	}
	if s := tr.step("limit"); s.Outcome != OutcomeNotReached && s.Outcome != OutcomeSkip {
		t.Errorf("%+v", s)
	}
	h.a.says = always(false, "", errors.New("connection refused"))
	l = h.get("GET", "/orders/1", h.issuer.Token(t, nil))
	tr, _ = h.Decision(strings.Join(l.fields["X-Request-ID"], ""))
	if s := tr.step("decision points"); !strings.Contains(s.Had, "a has decided nothing: connection refused") {
		t.Errorf("%+v", s)
	}
	before := h.a.count()
	tr, err := h.Explain(t.Context(), Hypothetical{Path: "/orders/1", User: "ana", Scopes: []string{"orders:read"}})
	if s := tr.step("decision points"); err != nil || !tr.Allowed || s.Outcome != OutcomeNotAsked || s.Had != "nobody was asked, since the request was not sent" {
		t.Errorf("%+v %v", s, err)
	}
	if h.a.count() != before {
		t.Error("somebody was asked")
	}
}

// step returns the step of the name.
func (t Trace) step(name string) TraceStep {
	for _, s := range t.Steps {
		if s.Name == name {
			return s
		}
	}
	return TraceStep{}
}

// A decision that is decided again takes what was said then; what was never asked is not known.
func TestDecisionPointReplayed(t *testing.T) {
	var kept []Facts
	h := newOracleHouse(t, func(c *Config, _ *spec.Snapshot) { c.Recorder = recorderFunc(func(f Facts) { kept = append(kept, f) }) })
	token := h.issuer.Token(t, nil)
	h.get("GET", "/orders/1", token)
	h.a.says = always(false, "", nil)
	h.get("GET", "/orders/1", token)
	judge := func(change func(*spec.Snapshot)) [2]Judgement {
		t.Helper()
		s := h.current.Load().spec
		change(&s)
		j, err := h.NewJudge(s)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		var out [2]Judgement
		for i := range out {
			if out[i], err = j.Decide(&kept[i]); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	same := judge(func(*spec.Snapshot) {})
	if !same[0].Allowed || same[1].Allowed || same[1].Reason != ReasonPolicyForbids || len(same[0].Unknown)+len(same[1].Unknown) != 0 {
		t.Errorf("the same configuration: %+v", same)
	}
	apis := func(s *spec.Snapshot, authorize ...string) {
		a := s.APIs[0]
		a.Authorize = authorize
		s.APIs = []spec.API{a}
	}
	without := judge(func(s *spec.Snapshot) { apis(s) })
	if !without[0].Allowed || !without[1].Allowed {
		t.Errorf("without it: %+v", without)
	}
	other := judge(func(s *spec.Snapshot) { apis(s, "b") })
	if d := cmp.Diff([]string{"the decision point b"}, other[0].Unknown); d != "" {
		t.Error(d)
	}
	if h.b.count() != 0 {
		t.Error("somebody was asked")
	}
}

type recorderFunc func(Facts)

// Record implements Recorder.
func (f recorderFunc) Record(one Facts) { f(one) }

// A decision point that nobody knows, or that nobody can ask, does not compile.
func TestDecisionPointsCompile(t *testing.T) {
	h := newOracleHouse(t)
	for name, change := range map[string]func(*spec.Snapshot){
		"unknown":           func(s *spec.Snapshot) { s.APIs[0].Authorize = []string{"c"} },
		"cannot be made":    func(s *spec.Snapshot) { s.DecisionPoints[0].Name = "c"; s.APIs[0].Authorize = []string{"c"} },
		"of a public route": func(s *spec.Snapshot) { s.APIs[0].Routes[3].Authorize = []string{"a"} },
	} {
		s := OrdersSnapshot(h.current.Load().spec.APIs[0].Routes...)
		s.DecisionPoints = []spec.DecisionPoint{{Name: "a", URL: "https://a.test"}, {Name: "b", URL: "https://b.test"}}
		change(&s)
		if err := h.Load(t.Context(), s); err == nil {
			t.Errorf("%s: it compiles", name)
		}
	}
	h.config.DecisionPoint = nil
	if err := h.Load(t.Context(), h.current.Load().spec); err == nil {
		t.Error("it compiles although nobody can be asked")
	}
}

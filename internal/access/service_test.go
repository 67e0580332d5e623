package access

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

func TestEnsureTenant(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	v, err := r.views.Get(r.ctx, tenant.Default)
	must(t, err)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	again, err := r.views.Get(r.ctx, tenant.Default)
	must(t, err)
	if v.Revision() != again.Revision() {
		t.Error("making the tenant twice changes something")
	}
	s, ok := v.Server(DefaultServer)
	if !ok || s.Algorithm != RS256 || s.Shape != ShapeOkta || s.Audience("https://id") != DefaultAudience {
		t.Fatalf("default server: %+v", s)
	}
	if got := s.PublishedScopes(); len(got) != 7 {
		t.Errorf("scopes %v, want the 7 of OpenID Connect", got)
	}
	if d := s.Evaluate(&Request{Client: "x", GrantType: GrantClientCredentials, Scopes: []string{"a"}}, nil); !d.Allowed || d.RuleName != "Default Policy Rule" {
		t.Errorf("the default policy decides %+v", d)
	}
	if s.Issuer("https://id") != "https://id/oauth2/default" || s.Endpoint("https://id", "token") != "https://id/oauth2/default/v1/token" {
		t.Errorf("issuer %s, endpoint %s", s.Issuer("https://id"), s.Endpoint("https://id", "token"))
	}
	org, ok := v.Server(OrgServer)
	if !ok || org.Issuer("https://id") != "https://id" || org.Audience("https://id") != "https://id" || org.Endpoint("https://id", "token") != "https://id/oauth2/v1/token" {
		t.Errorf("org server: %+v", org)
	}
	if org.Evaluate(&Request{GrantType: GrantClientCredentials}, nil).Allowed {
		t.Error("the org server grants without a policy")
	}
}

func TestEnsureScopes(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	made, err := r.service.EnsureScopes(r.ctx, r.admin, DefaultServer, []string{"b", "a", "b", "openid"}, "from a file")
	must(t, err)
	if d := cmp.Diff([]string{"a", "b"}, made); d != "" {
		t.Error(d)
	}
	made, err = r.service.EnsureScopes(r.ctx, r.admin, DefaultServer, []string{"a", "c"}, "from a file")
	must(t, err)
	if d := cmp.Diff([]string{"c"}, made); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "a b", `a"b`, `a\b`, "ä", strings.Repeat("x", 101)} {
		if _, err := r.service.EnsureScopes(r.ctx, r.admin, DefaultServer, []string{"fine", bad}, ""); !fault.Is(err, fault.Invalid) {
			t.Errorf("scope %q: %v", bad, err)
		}
	}
	s, err := r.service.Server(r.ctx, DefaultServer)
	must(t, err)
	if _, ok := s.Scope("fine"); ok {
		t.Error("half of a refused list was made")
	}
	if _, err := r.service.EnsureScopes(r.ctx, r.admin, "nobody", []string{"a"}, ""); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown server: %v", err)
	}
}

// identity 54: what the server gives is not taken from the caller.
func TestGivenFieldsAreNotTaken(t *testing.T) {
	r := newRoom(t)
	s, err := r.service.EnsureServer(r.ctx, r.admin, Server{Name: "mine", Audiences: []string{"x"}, Default: true})
	must(t, err)
	if s.Default {
		t.Error("a caller made a default server")
	}
	_, err = r.service.CreateScope(r.ctx, r.admin, Scope{Server: s.ID, Name: "sys", System: true})
	must(t, err)
	p, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: "p", System: true, Conditions: PolicyContexts{Clients: include(AllClients)}})
	must(t, err)
	s, err = r.service.Server(r.ctx, s.ID)
	must(t, err)
	if sc, _ := s.Scope("sys"); sc.System {
		t.Error("a caller made a system scope")
	}
	must(t, r.ledger.View(r.ctx, func(tx *ledger.Tx) error {
		o, err := Policies.Get(tx, p)
		if o.Value.System {
			t.Error("a caller made a system policy")
		}
		return err
	}))
}

func TestInvalidObjects(t *testing.T) {
	r := newRoom(t)
	s := r.server(t, "mine")
	apps := map[string]NewApp{
		"no label":            {},
		"control character":   {Label: "a\nb"},
		"unknown grant":       {Label: "a", GrantTypes: []string{"magic"}},
		"unknown method":      {Label: "a", AuthMethod: "tls_client_auth"},
		"public with cc":      {Label: "a", AuthMethod: AuthNone},
		"key method, no keys": {Label: "a", AuthMethod: AuthPrivateKey},
	}
	for name, a := range apps {
		if _, err := r.service.CreateApp(r.ctx, r.admin, a); !fault.Is(err, fault.Invalid) {
			t.Errorf("app, %s: %v", name, err)
		}
	}
	servers := map[string]Server{
		"no audience":      {Name: "x"},
		"audience, space":  {Name: "x", Audiences: []string{"a b"}},
		"algorithm none":   {Name: "x", Audiences: []string{"a"}, Algorithm: "none"},
		"algorithm HS256":  {Name: "x", Audiences: []string{"a"}, Algorithm: "HS256"},
		"shape":            {Name: "x", Audiences: []string{"a"}, Shape: "saml"},
		"a week":           {Name: "x", Audiences: []string{"a"}, AccessTokenMinutes: 10080},
		"org, not default": {Name: OrgServer},
	}
	for name, x := range servers {
		if _, err := r.service.EnsureServer(r.ctx, r.admin, x); !fault.Is(err, fault.Invalid) {
			t.Errorf("server, %s: %v", name, err)
		}
	}
	all := PolicyContexts{Clients: include(AllClients)}
	p, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: "p", Conditions: all})
	must(t, err)
	ok := RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope)}
	rules := map[string]Rule{
		"no grant types": {Policy: p, Name: "r", Conditions: RuleConditions{Scopes: include(AnyScope)}},
		"a minute":       {Policy: p, Name: "r", Conditions: ok, Actions: RuleActions{Token: TokenActions{AccessTokenMinutes: 1}}},
		"unknown group":  {Policy: p, Name: "r", Conditions: RuleConditions{GrantTypes: ok.GrantTypes, Scopes: ok.Scopes, People: People{Groups: include("00gNobody")}}},
		"scopes exclude": {Policy: p, Name: "r", Conditions: RuleConditions{GrantTypes: ok.GrantTypes, Scopes: Selection{Include: []string{"*"}, Exclude: []string{"a"}}}},
	}
	for name, x := range rules {
		if _, err := r.service.CreateRule(r.ctx, r.admin, x); !fault.Is(err, fault.Invalid) {
			t.Errorf("rule, %s: %v", name, err)
		}
	}
	if _, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: "q", Conditions: PolicyContexts{Clients: include("0oaNobody")}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("policy for an unknown app: %v", err)
	}
}

// Inserting at a taken priority moves the run behind it, in one transaction.
func TestPriorities(t *testing.T) {
	r := newRoom(t)
	s := r.server(t, "mine")
	create := func(name string, priority int) {
		t.Helper()
		_, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: name, Priority: priority, Conditions: PolicyContexts{Clients: include(AllClients)}})
		must(t, err)
	}
	create("a", 0) // 1
	create("b", 0) // 2
	create("d", 9) // a gap
	create("c", 1) // moves a and b
	create("e", 9) // moves d
	create("f", 0) // last
	v, err := r.service.Server(r.ctx, s.ID)
	must(t, err)
	got := map[string]int{}
	var order []string
	for _, p := range v.policies {
		got[p.Name] = p.Priority
		order = append(order, p.Name)
	}
	want := map[string]int{"c": 1, "a": 2, "b": 3, "e": 9, "d": 10, "f": 11}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"c", "a", "b", "e", "d", "f"}, order); d != "" {
		t.Error(d)
	}
}

func TestPolicyAndRuleStatus(t *testing.T) {
	r := newRoom(t)
	s := r.server(t, "mine")
	p, err := r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: s.ID, Name: "p", Conditions: PolicyContexts{Clients: include(AllClients)}})
	must(t, err)
	rule, err := r.service.CreateRule(r.ctx, r.admin, Rule{Policy: p, Name: "r", Conditions: RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope)}})
	must(t, err)
	allowed := func() bool {
		v, err := r.service.Server(r.ctx, s.ID)
		must(t, err)
		return v.Evaluate(&Request{Client: "x", GrantType: GrantClientCredentials, Scopes: []string{"a"}}, nil).Allowed
	}
	if !allowed() {
		t.Fatal("not allowed")
	}
	must(t, r.service.SetRuleStatus(r.ctx, r.admin, rule, Inactive))
	if allowed() {
		t.Error("an inactive rule grants")
	}
	must(t, r.service.SetRuleStatus(r.ctx, r.admin, rule, Active))
	must(t, r.service.SetPolicyStatus(r.ctx, r.admin, p, Inactive))
	if allowed() {
		t.Error("an inactive policy grants")
	}
}

func TestAppIsShownWithoutItsSecret(t *testing.T) {
	r := newRoom(t)
	a, err := r.service.CreateApp(r.ctx, r.admin, NewApp{Label: "job", Owner: "team@acme.test"})
	must(t, err)
	if len(a.Secret) < 43 || !strings.HasPrefix(a.ID, "0oa") || len(a.ID) != 20 {
		t.Errorf("id %q, secret of %d characters", a.ID, len(a.Secret))
	}
	found, err := r.service.FindApp(r.ctx, "job")
	must(t, err)
	if found.ID != a.ID || found.Value.Secrets[0].Hash == a.Secret {
		t.Errorf("%+v", found)
	}
	if _, err := r.service.FindApp(r.ctx, "jo"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a part of a label: %v", err)
	}
	if len(r.notes.events) != 1 || r.notes.events[0].Targets[0].ID != a.ID {
		t.Errorf("system log: %+v", r.notes.events)
	}
}

package access

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func include(list ...string) Selection { return Selection{Include: list} }

// policies builds a server of policies that are listed in any order.
func serverOf(policies ...policyView) *ServerView {
	return newServerView("aus1", Server{Name: "s", Audiences: []string{"a"}}.fill(), nil, policies)
}

func policy(id string, priority int, clients []string, rules ...ruleView) policyView {
	return policyView{id: id, rules: rules, Policy: Policy{
		Name: "policy " + id, Priority: priority, Status: Active, Conditions: PolicyContexts{Clients: include(clients...)},
	}}
}

func rule(id string, priority int, c RuleConditions, minutes int) ruleView {
	return ruleView{id: id, Rule: Rule{
		Name: "rule " + id, Priority: priority, Status: Active, Conditions: c,
		Actions: RuleActions{Token: TokenActions{AccessTokenMinutes: minutes}},
	}}
}

func TestEvaluate(t *testing.T) {
	all := RuleConditions{GrantTypes: include(GrantClientCredentials, GrantAuthorizationCode), Scopes: include(AnyScope)}
	cc := RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include("a", "b")}
	staff := RuleConditions{GrantTypes: include(GrantAuthorizationCode), Scopes: include(AnyScope), People: People{Groups: include("00gStaff"), Users: Selection{Exclude: []string{"00uEve"}}}}
	off := rule("off", 1, all, 5)
	off.Status = Inactive
	closed := policy("closed", 1, []string{AllClients}, rule("x", 1, all, 5))
	closed.Status = Inactive
	s := serverOf(
		policy("rest", 9, []string{AllClients}, rule("late", 2, all, 60), rule("early", 1, staff, 20)),
		closed,
		policy("jobs", 2, []string{"0oaJob"}, off, rule("cc", 2, cc, 10)),
	)
	tests := []struct {
		name    string
		req     Request
		policy  string
		rule    string
		minutes int
	}{
		{"first policy for the client", Request{Client: "0oaJob", GrantType: GrantClientCredentials, Scopes: []string{"b", "a"}}, "jobs", "cc", 10},
		{"a scope more falls through to the next policy", Request{Client: "0oaJob", GrantType: GrantClientCredentials, Scopes: []string{"a", "c"}}, "rest", "late", 60},
		{"other client", Request{Client: "0oaX", GrantType: GrantClientCredentials, Scopes: []string{"a"}}, "rest", "late", 60},
		{"user in the group", Request{Client: "0oaX", GrantType: GrantAuthorizationCode, Scopes: []string{"a"}, User: "00uAna", Groups: []string{"00gX", "00gStaff"}}, "rest", "early", 20},
		{"user not in the group", Request{Client: "0oaX", GrantType: GrantAuthorizationCode, Scopes: []string{"a"}, User: "00uBob"}, "rest", "late", 60},
		{"excluded user", Request{Client: "0oaX", GrantType: GrantAuthorizationCode, Scopes: []string{"a"}, User: "00uEve", Groups: []string{"00gStaff"}}, "rest", "late", 60},
		{"grant type nowhere", Request{Client: "0oaJob", GrantType: GrantPassword, Scopes: []string{"a"}}, "", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := Decision{
				Allowed: tt.rule != "", Policy: tt.policy, Rule: tt.rule, AccessTokenLifetime: time.Duration(tt.minutes) * time.Minute,
			}
			if want.Allowed {
				want.RuleName = "rule " + tt.rule
			}
			if d := cmp.Diff(want, s.Evaluate(&tt.req, nil)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTraceNamesEveryStep(t *testing.T) {
	s := serverOf(
		policy("one", 1, []string{"0oaOther"}, rule("never", 1, RuleConditions{}, 5)),
		policy("two", 2, []string{AllClients},
			rule("user", 1, RuleConditions{GrantTypes: include(GrantAuthorizationCode), Scopes: include(AnyScope)}, 5),
			rule("narrow", 2, RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include("a")}, 5),
			rule("wide", 3, RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include("a", "b")}, 5),
			rule("unreached", 4, RuleConditions{GrantTypes: include(GrantClientCredentials), Scopes: include(AnyScope)}, 5)),
	)
	var got []Considered
	s.Evaluate(&Request{Client: "0oaJob", GrantType: GrantClientCredentials, Scopes: []string{"a", "b"}}, &got)
	want := []Considered{
		{Policy: "one", PolicyName: "policy one", Reason: BecauseClient, Detail: "it is for 0oaOther"},
		{Policy: "two", PolicyName: "policy two", Matched: true, Reason: BecauseMatched},
		{Policy: "two", PolicyName: "policy two", Rule: "user", RuleName: "rule user", Reason: BecauseGrantType, Detail: "client_credentials is not among authorization_code"},
		{Policy: "two", PolicyName: "policy two", Rule: "narrow", RuleName: "rule narrow", Reason: BecauseScopes, Detail: "b"},
		{Policy: "two", PolicyName: "policy two", Rule: "wide", RuleName: "rule wide", Matched: true, Reason: BecauseMatched},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryone(t *testing.T) {
	s := serverOf(policy("p", 1, []string{AllClients}, rule("r", 1, RuleConditions{
		GrantTypes: include(GrantAuthorizationCode), Scopes: include(AnyScope), People: People{Groups: include(Everyone)},
	}, 5)))
	if !s.Evaluate(&Request{GrantType: GrantAuthorizationCode, User: "00uAna"}, nil).Allowed {
		t.Error("a user without groups is not everyone")
	}
}

// What holds for all policies: asking for more never gets what asking for less
// does not, from the same rule; and tracing changes nothing.
func TestEvaluateProperties(t *testing.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d", AnyScope})
	grants := rapid.SampledFrom([]string{GrantClientCredentials, GrantAuthorizationCode})
	rapid.Check(t, func(t *rapid.T) {
		var policies []policyView
		for i := range rapid.IntRange(0, 4).Draw(t, "policies") {
			var rules []ruleView
			for j := range rapid.IntRange(0, 3).Draw(t, "rules") {
				rules = append(rules, rule(string(rune('r'+j)), j+1, RuleConditions{
					GrantTypes: include(rapid.SliceOfN(grants, 1, 2).Draw(t, "grants")...),
					Scopes:     include(rapid.SliceOfN(names, 1, 3).Draw(t, "scopes")...),
				}, 5+j))
			}
			clients := rapid.SampledFrom([]string{AllClients, "x", "y"}).Draw(t, "client")
			policies = append(policies, policy(string(rune('A'+i)), i+1, []string{clients}, rules...))
		}
		s := serverOf(policies...)
		req := Request{Client: "x", GrantType: grants.Draw(t, "grant"), Scopes: rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3).Draw(t, "asked")}
		d := s.Evaluate(&req, nil)
		var trace []Considered
		if traced := s.Evaluate(&req, &trace); traced != d {
			t.Fatalf("with a trace the decision is %+v, without %+v", traced, d)
		}
		less := req
		less.Scopes = req.Scopes[:len(req.Scopes)-1]
		if d.Allowed && !s.Evaluate(&less, nil).Allowed {
			t.Fatal("asking for less is refused")
		}
		if d.Allowed != (len(trace) > 0 && trace[len(trace)-1].Matched && trace[len(trace)-1].Rule == d.Rule && d.Rule != "") {
			t.Fatalf("the trace %+v does not end with the decision %+v", trace, d)
		}
	})
}

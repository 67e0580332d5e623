package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// What is left to ask about an app that calls for itself.
func TestBeginnings(t *testing.T) {
	for _, c := range []struct {
		policy string
		asked  bool
		why    string
	}{
		{`forbid (principal, action, resource);`, true, "it is about everybody"},
		{`forbid (principal is User, action, resource);`, false, "the head is about people"},
		{`forbid (principal in Group::"staff", action, resource) when { context.hour < 7 };`, false, "the head is about a group"},
		{`forbid (principal is App, action, resource) unless { context.hour < 7 };`, true, "the head is about apps"},
		{`forbid (principal, action, resource) when { principal.groups.contains("staff") };`, false, "it reads the caller alone"},
		{`forbid (principal, action, resource) when { principal.login == "" && context.hour < 7 };`, true, "the first part holds"},
		{`forbid (principal, action, resource) when { principal.login != "" && context.hour < 7 };`, false, "the first part does not hold"},
		{`forbid (principal, action, resource) when { context.hour < 7 && principal.login != "" };`, false, "the part about the caller comes second, after one that cannot fail"},
		{`forbid (principal, action, resource) when { principal.login == "" && principal.client == "x" && context.hour < 7 };`, false, "the second of three parts does not hold"},
		{`forbid (principal, action, resource) when { principal.login == "" && (principal.client == "x" && context.hour < 7) };`, false, "likewise, in brackets"},
		{`forbid (principal, action, resource) when { principal.login == "" } when { principal.client == "x" } when { context.hour < 7 };`, false, "the second of three conditions does not hold"},
		{`forbid (principal, action, resource) unless { principal.login == "" } when { context.hour < 7 };`, false, "the exception holds"},
		{`forbid (principal, action, resource) unless { principal.login != "" && context.hour < 7 };`, true, "half of an exception is none"},
		{`forbid (principal, action, resource) when { context.hour < 7 } when { principal.login != "" };`, false, "the condition about the caller comes second, likewise"},
		{`forbid (principal, action, resource) unless { context.hour < 7 } when { principal.login != "" };`, false, "likewise, after an exception"},
		{`forbid (principal, action, resource) when { context.asn * context.asn < 7 && principal.login != "" };`, true, "what comes before it can fail"},
		{`forbid (principal, action, resource) unless { context.asn * context.asn < 7 } when { principal.login != "" };`, true, "likewise"},
		{`forbid (principal, action, resource) when { principal.login != "" || context.hour < 7 };`, true, "either part can make it hold"},
		{`forbid (principal, action, resource) when { principal.claims.missing == 1 && context.hour < 7 };`, true, "the first part cannot be evaluated"},
	} {
		compiled, problems := Compile(world("", c.policy))
		if len(problems) > 0 {
			t.Fatal(c.policy, problems)
		}
		if p := compiled.Principal(Caller{Client: "app1"}); p.not.has(1) == c.asked {
			t.Errorf("%s: %s: left out: %t", c.policy, c.why, p.not.has(1))
		}
	}
}

// Leaving out what cannot apply changes no verdict, whatever the policies, the
// condition and the request are.
func TestBeginningsChangeNothing(t *testing.T) {
	texts := append(ruleTexts(),
		`forbid (principal, action, resource) when { principal.login == "ana" && context.hour == 12 };`,
		`forbid (principal, action, resource) when { principal.client == "app1" } unless { context.path == "/hr/deposit/ben" };`,
		`forbid (principal, action, resource) when { principal.claims.missing == 1 && context.hour == 1 };`,
		`@shadow forbid (principal is User, action, resource) when { principal.acr == "phr" && context.hour == 12 };`,
	)
	rapid.Check(t, func(t *rapid.T) {
		s := world(rapid.SampledFrom([]string{"", "true", "false", `resource.user == principal.login`}).Draw(t, "when"),
			rapid.SliceOfN(rapid.SampledFrom(texts), 1, 70).Draw(t, "policies")...)
		who := rapid.SampledFrom([]Caller{ana(), {Client: "app1"}, {}}).Draw(t, "who")
		r := noon()
		r.params = []string{rapid.SampledFrom([]string{"ana", "ben"}).Draw(t, "user")}
		c, problems := Compile(s)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		set := c.For(&s.APIs[0], &s.APIs[0].Routes[0])
		if set == nil {
			return
		}
		p := c.Principal(who)
		whole := &Principal{entity: p.entity, caller: p.caller}
		for name, ask := range map[string]func(*Principal) Verdict{
			"enforced": func(p *Principal) Verdict { return set.Decide(p, r) },
			"shadow":   func(p *Principal) Verdict { return set.Shadow(p, r) },
		} {
			if diff := cmp.Diff(ask(whole), ask(p), cmp.Comparer(func(a, b *Rule) bool { return a == b })); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
	})
}

// An API that a statement names is not asked for attributes: what is known of it is known
// with a request, and the beginning of a statement is decided without one.
func TestNamedEntitiesHaveNoAttributes(t *testing.T) {
	for _, text := range []string{
		`forbid (principal, action, resource) when { API::"hr" has api };`,
		`forbid (principal, action, resource) when { User::"ana" has login && User::"ana".login == "ana" };`,
		`forbid (principal, action, resource) when { API::"hr".api == "hr" };`,
	} {
		if _, problems := Compile(world("", text)); len(problems) == 0 {
			t.Errorf("%s is taken", text)
		}
	}
}

package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
)

// Attack gateway 74, for Cedar: text, depth and work are bounded when a policy is
// compiled, so that no request can be made slow by one, and patterns have no blow-up.
func TestPoliciesAreBounded(t *testing.T) {
	forbid := func(when string) string { return "forbid (principal, action, resource) when { " + when + " };" }
	for name, text := range map[string]string{
		"text":       forbid(`context.path == "` + strings.Repeat("x", MaxText) + `"`),
		"depth":      forbid(strings.Repeat("(", 500) + "true" + strings.Repeat(")", 500)),
		"sets":       forbid(strings.Repeat("[", 500) + strings.Repeat("]", 500) + `.isEmpty()`),
		"work":       forbid("context.hour == 1" + strings.Repeat(" || context.hour == 1", MaxWork/3)),
		"statements": strings.Repeat(`forbid(principal,action,resource)when{context.hour==1||context.hour==2||context.hour==3};`, 100),
	} {
		s := world("", text)
		if name == "statements" {
			for i := range 30 {
				s.Policies = append(s.Policies, spec.Policy{Name: fmt.Sprintf("more%d", i), Text: text})
			}
		}
		began := time.Now()
		c, problems := Compile(s)
		if c != nil || len(problems) == 0 {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(began); took > 30*time.Second { // without a bound it takes minutes; a busy machine takes seconds
			t.Errorf("%s: refused after %s", name, took)
		}
		if !fault.Is(Err(problems), fault.Invalid) {
			t.Errorf("%s: %v", name, Err(problems))
		}
	}
	// The longest pattern against the longest path that can come.
	stars := world("", forbid(`context.path like "`+strings.Repeat("*a", 2000)+`b"`))
	r := noon()
	r.path = "/" + strings.Repeat("a", 8<<10)
	began := time.Now()
	if v := decide(t, stars, ana(), r); v.Outcome != Pass {
		t.Errorf("%+v", v)
	}
	if took := time.Since(began); took > 30*time.Second { // as above
		t.Errorf("a pattern took %s", took)
	}
}

// A condition is one expression, whatever its text tries to be.
func TestConditionsAreOneExpression(t *testing.T) {
	for _, when := range []string{
		`true } unless { false`, `true }; permit (principal, action, resource) when { true`, `true };`, `true } when { true`,
		`}`, `{`, `` + "\x00", `"`, `true // }; forbid(principal, action, resource` + "\n}", `@id("x") true`, `permit`, `true, true`, `true;`,
		"// nothing", "true /* comment */",
	} {
		if c, problems := Compile(world(when)); len(problems) == 0 {
			t.Errorf("%q is taken: %v", when, c.conditions)
		}
	}
}

// rules are texts that the property test draws from: some deny, some do not, some fail.
func ruleTexts() []string {
	return []string{
		`forbid (principal, action, resource);`,
		`forbid (principal, action, resource) when { false };`,
		`forbid (principal, action, resource) when { principal.claims.missing == 1 };`,
		`forbid (principal, action, resource) unless { principal.claims.department == "hr" };`,
		`forbid (principal, action, resource) when { principal.groups.contains("staff") };`,
		`forbid (principal, action == Action::"GET /hr/health", resource);`,
		`forbid (principal in Group::"admins", action, resource) unless { context.hour < 7 };`,
		`forbid (principal is App, action, resource == API::"hr");`,
		`forbid (principal, action, resource) when { context has auth_age && context.auth_age > 60 };`,
		`forbid (principal, action, resource) when { resource.headers["x-role"].contains("admin") };`,
	}
}

// Composition is monotonic: whatever the policies and the condition are, one more
// policy never turns a denial into leave, and a condition never turns one round.
func TestPoliciesOnlyTighten(t *testing.T) {
	texts := ruleTexts()
	rapid.Check(t, func(t *rapid.T) {
		policies := rapid.SliceOfN(rapid.SampledFrom(texts), 0, 5).Draw(t, "policies")
		one := rapid.SampledFrom(texts).Draw(t, "one more")
		when := rapid.SampledFrom([]string{"", "true", "false", `resource.user == principal.login`, `principal.claims.missing`}).Draw(t, "when")
		who := ana()
		if rapid.Bool().Draw(t, "app") {
			who = Caller{Client: "app1"}
		}
		r := noon()
		r.params = []string{rapid.SampledFrom([]string{"ana", "ben"}).Draw(t, "user")}
		r.headers = map[string][]string{"x-role": rapid.SliceOf(rapid.SampledFrom([]string{"user", "admin"})).Draw(t, "roles")}
		r.signIn = r.now.Unix() - int64(rapid.IntRange(0, 120).Draw(t, "age"))
		ask := func(when string, policies ...string) Outcome {
			s := world(when, policies...)
			c, problems := Compile(s)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			set := c.For(&s.APIs[0], &s.APIs[0].Routes[0])
			if set == nil {
				return Pass
			}
			return set.Decide(c.Principal(who), r).Outcome
		}
		at := rapid.IntRange(0, len(policies)).Draw(t, "at")
		more := append(append(append([]string{}, policies[:at]...), one), policies[at:]...)
		before, after := ask(when, policies...), ask(when, more...)
		if before != Pass && after == Pass {
			t.Fatalf("%d without, %d with the policy %s", before, after, one)
		}
		if without := ask("", policies...); without != Pass && before == Pass {
			t.Fatalf("%d without the condition, %d with it", without, before)
		}
		if alone := ask("", one); alone != Pass && after == Pass {
			t.Fatalf("the policy alone denies (%d), and among others it does not", alone)
		}
	})
}

// Whatever the text is, compiling ends without a panic, and what it takes can be asked.
func FuzzCompile(f *testing.F) {
	for _, t := range ruleTexts() {
		f.Add(t, `resource.user == principal.login`)
	}
	f.Add("forbid (principal, action,", `principal.claims["a"].b like "*\""`)
	f.Add("", `if principal has claims then {a: 1}.a == 1 else [1].contains(2)`)
	f.Fuzz(func(t *testing.T, policy, when string) {
		s := world(when, policy)
		c, problems := Compile(s)
		for _, p := range problems {
			if p.Message == "" || p.Path == "" || p.Line < 0 || p.Line > 0 && (p.Column < 1 || p.Width < 1) {
				t.Errorf("%+v", p)
			}
		}
		if set := c.For(&s.APIs[0], &s.APIs[0].Routes[0]); set != nil {
			r := noon()
			if a, b := set.Decide(c.Principal(ana()), r), set.Decide(c.Principal(ana()), r); a.Outcome != b.Outcome {
				t.Errorf("%d, then %d", a.Outcome, b.Outcome)
			}
		}
	})
}

// Fifty policies, a condition, and all that a request has: within five microseconds,
// also when each policy has to be asked about each request.
func BenchmarkDecide(b *testing.B) {
	fifty := func(format string) *spec.Snapshot {
		var policies []string
		for i := range 50 {
			policies = append(policies, fmt.Sprintf("forbid (principal, action, resource) when { "+format+" };", i))
		}
		return world("", policies...)
	}
	policies := fifty(`principal.groups.contains("contractors%d") && (context.hour < 7 || context.hour > 19)`)
	both := *policies
	both.APIs = world(`resource.user == principal.login`).APIs
	for _, x := range []struct {
		name string
		s    *spec.Snapshot
	}{
		{"condition", world(`resource.user == principal.login`)},
		{"50 policies", policies},
		{"50 policies and a condition", &both},
		{"50 policies that begin with the time", fifty(`(context.hour < 7 || context.hour > 19) && principal.groups.contains("contractors%d")`)},
		{"50 policies about the time and a claim", fifty(`context.hour > 7 && principal.claims.department == "d%d"`)},
		{"50 policies that begin with the path", fifty(`context.path like "/hr/*/%d" && context.method == "PUT"`)},
		{"50 policies that begin with a header", fifty(`resource.headers["x-role"].contains("r%d") && context.hour < 7`)},
		{"50 policies about address and zone", fifty(`context.ip.isInRange(ip("10.%d.0.0/16")) && !context.zones.contains("office")`)},
		{"50 policies that count", fifty(`context.hour * 60 + context.minute == %d`)},
		{"50 policies with an if", fifty(`if context.ip.isIpv4() then context.minute == 30 + %d + 1 else context.hour < 7`)},
		{"50 policies about a claim and the request", fifty(`principal.claims has department && resource.headers["x-role"].contains(principal.claims.department) && context.minute == %d`)},
		{"50 policies about what a request may lack", fifty(`context has risk && context.risk == "r%d"`)},
	} {
		b.Run(x.name, func(b *testing.B) {
			c, problems := Compile(x.s)
			if len(problems) > 0 {
				b.Fatal(problems)
			}
			set := c.For(&x.s.APIs[0], &x.s.APIs[0].Routes[0])
			who, r := c.Principal(ana()), noon()
			b.ReportAllocs()
			for b.Loop() {
				if v := set.Decide(who, r); v.Outcome != Pass {
					b.Fatal(v)
				}
			}
		})
	}
}

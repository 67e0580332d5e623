package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/spec"
)

// world has an API with one operation, whose condition is when, and another one.
func world(when string, policies ...string) *spec.Snapshot {
	s := &spec.Snapshot{
		Zones: []spec.Zone{{Name: "office"}, {Name: "home"}},
		APIs: []spec.API{
			{Name: "hr", BasePath: "/hr", Routes: []spec.Route{
				{Method: "PUT", Path: "/deposit/{user}", When: when}, {Method: "GET", Path: "/health", Public: true},
			}},
			{Name: "orders", BasePath: "/orders", Routes: []spec.Route{{Method: "GET", Path: "/*"}}},
		},
	}
	for i, p := range policies {
		s.Policies = append(s.Policies, spec.Policy{Name: fmt.Sprintf("p%d", i), Text: p})
	}
	return s
}

// request is a request as a test describes it.
type request struct {
	params  []string
	headers map[string][]string
	zones   []string
	path    string
	client  string
	now     time.Time
	signIn  int64
	country string
	asn     uint32
	risk    string
}

// Param implements Source.
func (r *request) Param(n int) string { return r.params[n] }

// Header implements Source.
func (r *request) Header(name string) []string { return r.headers[name] }

// Place implements Source.
func (r *request) Place(zones, geo bool) Place {
	var p Place
	if zones {
		p.Zones = r.zones
	}
	if geo {
		p.Country, p.ASN = r.country, r.asn
	}
	return p
}

// Target implements Source.
func (r *request) Target() (method, path, host string) { return "PUT", r.path, "api.test" }

// Circumstances implements Source.
func (r *request) Circumstances() Circumstances {
	return Circumstances{Client: netip.MustParseAddr(r.client), Now: r.now, SignIn: r.signIn, Risk: r.risk}
}

func noon() *request {
	return &request{
		params: []string{"ana"}, path: "/hr/deposit/ana", client: "203.0.113.9", zones: []string{"office"},
		now: time.Date(2026, 1, 5, 12, 30, 0, 0, time.UTC),
	}
}

func ana() Caller {
	return Caller{
		Login: "ana", ID: "00u1", Client: "app1", Issuer: "https://issuer.test", Scopes: []string{"payroll:write"},
		Groups: []string{"employees", "staff"}, AMR: []string{"pwd", "otp"}, ACR: "phr",
		Claim: func(name string) (any, bool) {
			v, ok := map[string]any{"department": "hr", "tags": []any{"a", "b"}, "org": map[string]any{"unit": "x"}, "nothing": nil}[name]
			return v, ok
		},
	}
}

// decide compiles and asks; the first operation is asked for.
func decide(t testing.TB, s *spec.Snapshot, who Caller, r *request) Verdict {
	t.Helper()
	c, problems := Compile(s)
	if len(problems) > 0 {
		t.Fatalf("%v", problems)
	}
	set := c.For(&s.APIs[0], &s.APIs[0].Routes[0])
	if set == nil {
		return Verdict{}
	}
	return set.Decide(c.Principal(who), r)
}

func TestConditions(t *testing.T) {
	for when, want := range map[string]Outcome{
		`resource.user == principal.login`:                                                   Pass,
		`resource.user != principal.login`:                                                   Unmet,
		`resource.user == principal.login // a comment`:                                      Pass,
		"resource.user ==\n principal.login":                                                 Pass,
		`principal == User::"ana"`:                                                           Pass,
		`principal is App`:                                                                   Unmet,
		`principal is User && principal in Group::"staff"`:                                   Pass,
		`principal in Group::"admins"`:                                                       Unmet,
		`principal.groups.contains("staff")`:                                                 Pass,
		`principal.groups.containsAll(["staff", "employees"])`:                               Pass,
		`principal.groups.containsAny(["admins"])`:                                           Unmet,
		`principal.scopes.contains("payroll:write") && principal.id like "0*"`:               Pass,
		`principal.client == "app1" && principal.issuer == "https://issuer.test"`:            Pass,
		`principal.acr == "phr" && principal.amr.contains("otp")`:                            Pass,
		`principal.roles.isEmpty()`:                                                          Pass,
		`principal.claims.department == "hr"`:                                                Pass,
		`principal.claims has department && principal.claims["tags"].contains("b")`:          Pass,
		`principal.claims.org.unit == "x"`:                                                   Pass,
		`principal.claims has missing`:                                                       Unmet,
		`principal.claims.missing == "x"`:                                                    Failed,
		`principal.claims.nothing == "x"`:                                                    Failed,
		`principal.claims.department > 3`:                                                    Failed,
		`resource.api == "hr" && resource == API::"hr"`:                                      Pass,
		`action == Action::"PUT /hr/deposit/{user}"`:                                         Pass,
		`action == Action::"GET /hr/health"`:                                                 Unmet,
		`context.hour == 12 && context.minute == 30`:                                         Pass,
		`context.hour < 7 || context.hour > 19`:                                              Unmet,
		`context.ip.isInRange(ip("203.0.113.0/24"))`:                                         Pass,
		`context.ip == ip("203.0.113.9")`:                                                    Pass,
		`context.zones.contains("office")`:                                                   Pass,
		`context.zones.contains("home")`:                                                     Unmet,
		`context.method == "PUT" && context.path like "/hr/*" && context.host == "api.test"`: Pass,
		`context has auth_age && context.auth_age < 300`:                                     Unmet,
		`if principal is User then true else false`:                                          Pass,
		`true`:  Pass,
		`false`: Unmet,
	} {
		if v := decide(t, world(when), ana(), noon()); v.Outcome != want {
			t.Errorf("%s: %d, want %d (%s)", when, v.Outcome, want, v.Detail)
		}
	}
}

func TestAuthAge(t *testing.T) {
	s := world(`context has auth_age && context.auth_age <= 60`)
	r := noon()
	for at, want := range map[int64]Outcome{r.now.Unix() - 60: Pass, r.now.Unix() - 61: Unmet, r.now.Unix() + 1: Unmet, 0: Unmet, r.now.UnixMilli(): Unmet} {
		r.signIn = at
		if v := decide(t, s, ana(), r); v.Outcome != want {
			t.Errorf("signed in at %d: %d", at, v.Outcome)
		}
	}
}

func TestPoliciesForbid(t *testing.T) {
	night := `forbid (principal, action, resource)
when { principal.groups.contains("contractors") && (context.hour < 7 || context.hour > 19) };`
	contractor := ana()
	contractor.Groups = []string{"contractors"}
	late := noon()
	late.now = late.now.Add(9 * time.Hour)
	for _, x := range []struct {
		name     string
		policies []string
		who      Caller
		r        *request
		want     Outcome
	}{
		{"by day", []string{night}, contractor, noon(), Pass},
		{"at night", []string{night}, contractor, late, Forbid},
		{"an employee", []string{night}, ana(), late, Pass},
		{"another operation", []string{`forbid (principal, action == Action::"GET /hr/health", resource);`}, ana(), noon(), Pass},
		{"this operation", []string{`forbid (principal, action in [Action::"GET /hr/health", Action::"PUT /hr/deposit/{user}"], resource);`}, ana(), noon(), Forbid},
		{"another API", []string{`forbid (principal, action, resource == API::"orders");`}, ana(), noon(), Pass},
		{"this API", []string{`forbid (principal, action, resource in API::"hr");`}, ana(), noon(), Forbid},
		{"apps", []string{`forbid (principal is App, action, resource);`}, ana(), noon(), Pass},
		{"an app", []string{`forbid (principal is App, action, resource);`}, Caller{Client: "app1"}, noon(), Forbid},
		{"nobody", []string{`forbid (principal is Anonymous, action, resource);`}, Caller{}, noon(), Forbid},
		{"a group", []string{`forbid (principal in Group::"staff", action, resource);`}, ana(), noon(), Forbid},
		{"unless", []string{`forbid (principal, action, resource) unless { context.zones.contains("office") };`}, ana(), noon(), Pass},
		{"the second statement", []string{night + `forbid (principal == User::"ana", action, resource);`}, ana(), noon(), Forbid},
		{"a parameter that is there", []string{`forbid (principal, action, resource) when { resource has user && resource.user == "ana" };`}, ana(), noon(), Forbid},
		{"one fails", []string{`forbid (principal, action, resource) when { principal.claims.missing };`}, ana(), noon(), Failed},
		{"one fails, one forbids", []string{`forbid (principal, action, resource) when { principal.claims.missing };`, `forbid (principal, action, resource);`}, ana(), noon(), Forbid},
	} {
		if v := decide(t, world("", x.policies...), x.who, x.r); v.Outcome != x.want {
			t.Errorf("%s: %d, want %d (%s)", x.name, v.Outcome, x.want, v.Detail)
		}
	}
	v := decide(t, world("false", `forbid (principal, action, resource);`), ana(), noon())
	if v.Outcome != Forbid || v.Rules[0].Name != "p0" {
		t.Errorf("a policy comes before the condition: %+v", v)
	}
	v = decide(t, world("false", `forbid (principal, action, resource) when { principal.claims.missing };`), ana(), noon())
	if v.Outcome != Unmet {
		t.Errorf("a condition that does not hold comes before a rule that fails: %+v", v)
	}
	v = decide(t, world("true", `forbid (principal, action, resource) when { principal.claims.missing };`), ana(), noon())
	if v.Outcome != Failed {
		t.Errorf("a condition that holds does not make up for a rule that fails: %+v", v)
	}
}

// Attack gateway 53: a header that is sent twice, or as a list, is judged by all
// of its values.
func TestHeadersAreAllTheirValues(t *testing.T) {
	admin := `forbid (principal, action, resource) when { resource.headers["x-role"].contains("admin") };`
	only := `resource.headers["x-role"] == ["user"]`
	for _, x := range []struct {
		lines  []string
		forbid Outcome
		only   Outcome
	}{
		{[]string{"user"}, Pass, Pass},
		{[]string{"user", "user"}, Pass, Pass},
		{[]string{"user", "admin"}, Forbid, Unmet},
		{[]string{"admin", "user"}, Forbid, Unmet},
		{[]string{"user,admin"}, Forbid, Unmet},
		{[]string{"user ,\tadmin ,"}, Forbid, Unmet},
		{nil, Pass, Unmet},
		{[]string{""}, Pass, Unmet},
		{[]string{strings.Repeat("user,", 101)}, Failed, Failed},
	} {
		r := noon()
		r.headers = map[string][]string{"x-role": x.lines}
		if v := decide(t, world("", admin), ana(), r); v.Outcome != x.forbid {
			t.Errorf("%q under the policy: %d, want %d", x.lines, v.Outcome, x.forbid)
		}
		if v := decide(t, world(only), ana(), r); v.Outcome != x.only {
			t.Errorf("%q under the condition: %d, want %d", x.lines, v.Outcome, x.only)
		}
	}
}

// The detail is what an administrator is shown.
func TestVerdictSaysWhatWasRead(t *testing.T) {
	r := noon()
	r.params = []string{"ben"}
	v := decide(t, world(`resource.user == principal.login`), ana(), r)
	if want := `resource.user = "ben", principal.login = "ana"`; v.Detail != want || v.Rules[0].Text != "resource.user == principal.login" {
		t.Errorf("%q, want %q", v.Detail, want)
	}
	v = decide(t, world("", "// who\nforbid (principal, action, resource)\nwhen { true };\n\nforbid (principal, action, resource) when { context.hour > 3 };"), ana(), noon())
	if len(v.Rules) != 2 || v.Rules[0].Line != 2 || v.Rules[1].Line != 5 {
		t.Errorf("%+v", v)
	}
	v = decide(t, world(`principal.claims.missing == "x"`), ana(), noon())
	if !strings.Contains(v.Detail, "missing") || !strings.Contains(v.Detail, "principal.claims.missing is missing") {
		t.Errorf("%q", v.Detail)
	}
}

// Nothing applies, so there is nothing to do.
func TestNoRulesNoSet(t *testing.T) {
	s := world("")
	c, problems := Compile(s)
	if c != nil || problems != nil || c.For(&s.APIs[0], &s.APIs[0].Routes[0]) != nil {
		t.Errorf("%v %v", c, problems)
	}
	s = world("", `forbid (principal, action, resource == API::"orders");`)
	if c, _ = Compile(s); c.For(&s.APIs[0], &s.APIs[0].Routes[0]) != nil || c.For(&s.APIs[1], &s.APIs[1].Routes[0]) == nil {
		t.Error("a policy for another API is a step here")
	}
}

// What is only tried out decides nothing, and says what it would have decided.
func TestShadow(t *testing.T) {
	for _, x := range []struct {
		name, when     string
		policies       []string
		decide, shadow Outcome
	}{
		{"would forbid", "", []string{`@shadow forbid (principal, action, resource);`}, Pass, Forbid},
		{"would forbid, with a reason", "", []string{`@shadow("until May") @id("x") forbid (principal, action, resource);`}, Pass, Forbid},
		{"would not", "", []string{`@shadow forbid (principal is App, action, resource);`}, Pass, Pass},
		{"would fail", "", []string{`@shadow forbid (principal, action, resource) when { principal.claims.missing };`}, Pass, Failed},
		{"beside one that forbids", "", []string{`forbid (principal, action, resource);`, `@shadow forbid (principal, action, resource) when { false };`}, Forbid, Pass},
		{"beside one for another operation", "", []string{`forbid (principal, action == Action::"GET /hr/health", resource);`, `@shadow forbid (principal, action, resource);`}, Pass, Forbid},
		{"for another operation", "", []string{`@shadow forbid (principal, action == Action::"GET /hr/health", resource);`, `forbid (principal, action, resource) when { context.hour == 12 };`}, Forbid, Pass},
		{"beside a condition", "false", []string{`@shadow forbid (principal, action, resource);`}, Unmet, Forbid},
	} {
		s := world(x.when, x.policies...)
		c, problems := Compile(s)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", x.name, problems)
		}
		set := c.For(&s.APIs[0], &s.APIs[0].Routes[0])
		if v := set.Decide(c.Principal(ana()), noon()); v.Outcome != x.decide {
			t.Errorf("%s: decides %d, want %d", x.name, v.Outcome, x.decide)
		}
		if v := set.Shadow(c.Principal(ana()), noon()); v.Outcome != x.shadow || v.Outcome != Pass && !v.Rules[0].Shadow {
			t.Errorf("%s: would decide %+v, want %d", x.name, v, x.shadow)
		}
	}
	for _, text := range []string{`@shadow permit (principal, action, resource);`, `@shadw forbid (principal, action, resource);`} {
		if _, problems := Compile(world("", text)); len(problems) == 0 {
			t.Errorf("%s is taken", text)
		}
	}
}

package policy

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// asked makes Cedar decide everything: nothing is left out for a caller, nothing screened.
func (c *Compiled) asked() *Compiled {
	for _, list := range [][]*Rule{c.policies, conditionsOf(c)} {
		for _, r := range list {
			r.screen, r.whole, r.beginning = nil, false, nil
		}
	}
	c.beginnings = newRuleList(nil)
	return c
}

func conditionsOf(c *Compiled) []*Rule {
	var out []*Rule
	for _, r := range c.conditions {
		out = append(out, r)
	}
	return out
}

// parts are expressions that are true or false: what screens know, what they do not
// know, and what cannot be evaluated.
func parts() []string {
	return []string{
		`true`, `false`, `context.hour < 7`, `context.hour < 12`, `context.hour > 12`, `12 >= context.hour`, `context.hour >= 12`, `7 > context.hour`, `context.hour <= 12`, `context.minute == 30`, `context.asn != 64500`, `context.hour + 1 == 13`,
		`context.hour * 60 + context.minute >= 750`, `context.hour * 60 + context.minute - 1 < 749`, `-context.hour < -11`, `context.asn * 4294967296 > 1`, `context.asn * context.asn * context.hour > 1`, `9223372036854775807 + context.hour > 1`, `context.hour - 9223372036854775807 < 1`,
		`-9223372036854775807 - context.hour < 0`, `context.hour + context.minute == 42`, `if context.hour < 13 then context.minute < 31 else context.hour > 20`, `if context has risk then context.risk == "high" else false`, `(if context.hour < 13 then 1 else 2) == 1`,
		`context.country == "DE"`, `context.path like "/hr/*"`, `context.path like "*\*"`, `context.method == "PUT"`, `"api.test" != context.host`, `context.path == context.host`,
		`context.time > datetime("2026-01-01")`, `context.time == datetime("2026-01-05T12:30:00Z")`, `context.time < context.time.offset(duration("1h"))`,
		`context.time.offset(duration("-1h30m")) == datetime("2026-01-05T11:00:00Z")`, `context.time.toTime() > duration("7h")`, `duration("1h") < duration("2h")`, `context.time.offset(duration("9223372036854775807ms")) > context.time`, `context.time == datetime("2026-01-05").offset(duration("12h30m"))`,
		`context.ip.isIpv6()`, `context.ip.isLoopback()`, `!context.ip.isMulticast()`, `ip("203.0.113.0/24").isInRange(context.ip)`, `context.ip != ip("2001:db8::1")`, `ip("127.0.0.1").isLoopback()`, `context.ip == ip("203.0.113.0/24")`,
		`context.ip.isInRange(ip("203.0.113.0/24"))`, `context.ip.isInRange(ip("::/0"))`, `context.ip.isInRange(ip("203.0.113.9"))`, `context.ip.isIpv4()`, `context.ip == ip("203.0.113.9")`,
		`context.zones.contains("office")`, `context.zones.isEmpty()`, `context.zones.containsAll(["office", "home"])`, `["office"].contains("office")`,
		`principal.groups.contains("staff")`, `principal.scopes.containsAny(["a", "payroll:write"])`, `principal.roles.isEmpty()`, `principal.amr.containsAll(principal.amr)`, `[principal.login].contains("ana")`,
		`principal.login == "ana"`, `principal.client != principal.id`, `principal.acr like "ph*"`, `principal.device == ""`, `principal.issuer == "https://issuer.test"`,
		`principal == User::"ana"`, `principal is App`, `principal is User in Group::"staff"`, `principal in Group::"staff"`, `principal in User::"ana"`, `principal in App::"staff"`, `principal in [Group::"staff"]`, `principal != App::"app1"`,
		`resource.headers["x-role"].contains("admin")`, `resource.headers["x-role"].isEmpty()`, `resource.api == "hr"`, `resource == API::"hr"`, `action == Action::"GET /hr/health"`,
		`context has risk && context.risk == "high"`, `context has auth_age && context.auth_age > 60`, `resource has user && resource.user == principal.login`, `!(context has risk)`,
		`(context has risk || true) && context.risk == "high"`, `(resource has user || true) && resource.user == "ana"`, `context.auth_age > 60 || context has auth_age`, `(context has auth_age && context.hour > 99) || context.auth_age > 60`,
		`context has risk && (context.hour > 7 || context.risk like "h*")`, `context has hour`, `principal has login`, `resource has user`,
		`principal.claims.missing == 1`, `principal.claims.department == "hr"`, `principal.claims has department`, `principal.claims.tags.contains("a")`, `principal.claims.department`,
		`principal.claims has department && principal.claims.department == "hr"`, `principal.claims has user && resource.headers["x-role"].contains(principal.claims.department)`, `principal.claims has department && principal.claims.department != context.method`,
		`principal.claims has department && resource.headers["x-role"].contains(principal.claims.department)`, `principal.claims has floor && principal.claims.floor == 3`, `principal.claims has tags && ["a"].contains(principal.claims.tags)`, `principal.claims has tags && principal.claims.tags == principal.claims.tags`,
		`principal.claims has missing && principal.claims.missing == 1`, `principal.claims has department && principal.claims.department like "h*"`, `principal has claims && principal.claims has department`,
	}
}

// expression draws one made of parts.
func expression(t *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom(parts()).Draw(t, "part")
	}
	a := expression(t, depth-1)
	switch rapid.IntRange(0, 6).Draw(t, "how") {
	case 0:
		return "!(" + a + ")"
	case 1, 2:
		return "(" + a + ") && (" + expression(t, depth-1) + ")"
	case 3, 4:
		return "(" + a + ") || (" + expression(t, depth-1) + ")"
	case 5:
		return fmt.Sprintf("if (%s) then (%s) else (%s)", a, expression(t, depth-1), expression(t, depth-1))
	default:
		return a
	}
}

// statement draws a policy.
func statement(t *rapid.T) string {
	heads := []string{"principal, action, resource", "principal is App, action, resource", `principal in Group::"staff", action, resource`, `principal, action == Action::"PUT /hr/deposit/{user}", resource`}
	out := rapid.SampledFrom([]string{"", "@shadow "}).Draw(t, "shadow") + "forbid (" + rapid.SampledFrom(heads).Draw(t, "head") + ")"
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		out += rapid.SampledFrom([]string{" when { ", " unless { "}).Draw(t, "if") + expression(t, rapid.IntRange(0, 3).Draw(t, "depth")) + " }"
	}
	return out + ";"
}

// What is screened, and left out for the caller, is what Cedar would have left out:
// whatever the policies, the condition, the caller and the request are, the verdict is the same in every word.
func TestScreensChangeNothing(t *testing.T) {
	screened := 0
	rapid.Check(t, func(t *rapid.T) {
		when := ""
		if rapid.Bool().Draw(t, "conditional") {
			when = expression(t, rapid.IntRange(0, 3).Draw(t, "depth"))
		}
		policies := make([]string, rapid.IntRange(0, 6).Draw(t, "policies"))
		for i := range policies {
			policies[i] = statement(t)
		}
		s := world(when, policies...)
		quick, problems := Compile(s)
		if len(problems) > 0 {
			t.Skip(problems[0].Message) // of what is drawn, some means nothing
		}
		if quick == nil {
			return
		}
		slow, _ := Compile(s)
		slow.asked()
		who := rapid.SampledFrom([]Caller{ana(), {Client: "app1"}, {}, {Login: "ben", ID: "2", Client: "app1", Groups: []string{"staff"}}}).Draw(t, "who")
		r := noon()
		r.params = []string{rapid.SampledFrom([]string{"ana", "ben", "*"}).Draw(t, "user")}
		r.headers = map[string][]string{"x-role": rapid.SampledFrom([][]string{nil, {"user"}, {"user, admin"}, {"user", " admin "}}).Draw(t, "roles")}
		r.signIn = rapid.SampledFrom([]int64{0, r.now.Unix() - 30, r.now.Unix() - 90, r.now.Unix() + 9}).Draw(t, "sign-in")
		r.risk = rapid.SampledFrom([]string{"", "low", "high"}).Draw(t, "risk")
		r.zones = rapid.SampledFrom([][]string{nil, {"office"}, {"office", "home"}}).Draw(t, "zones")
		r.country, r.asn = rapid.SampledFrom([]string{"", "DE"}).Draw(t, "country"), rapid.SampledFrom([]uint32{0, 64500}).Draw(t, "asn")
		r.client = rapid.SampledFrom([]string{"203.0.113.9", "2001:db8::1"}).Draw(t, "client")
		for i := range s.APIs[0].Routes {
			a, b := quick.For(&s.APIs[0], &s.APIs[0].Routes[i]), slow.For(&s.APIs[0], &s.APIs[0].Routes[i])
			if a == nil {
				continue
			}
			for _, rule := range a.Rules() {
				screened += len(rule.screen)
			}
			p, q := quick.Principal(who), slow.Principal(who)
			if diff := cmp.Diff(words(b.Decide(q, r)), words(a.Decide(p, r))); diff != "" {
				t.Fatalf("enforced (-Cedar +screened): %s", diff)
			}
			if diff := cmp.Diff(words(b.Shadow(q, r)), words(a.Shadow(p, r))); diff != "" {
				t.Fatalf("tried out (-Cedar +screened): %s", diff)
			}
		}
	})
	if screened == 0 {
		t.Error("nothing was screened")
	}
}

// words says what a verdict is.
func words(v Verdict) []string {
	out := []string{fmt.Sprint(v.Outcome), v.Detail}
	for _, r := range v.Rules {
		out = append(out, fmt.Sprint(r.Name, " ", r.Line, " ", r.Text))
	}
	return out
}

// What each part is for screens: known to them or left to Cedar. A part that can fail is
// never theirs.
func TestWhatIsScreened(t *testing.T) {
	for expression, want := range map[string]int{
		`context.hour < 7 && principal.claims.x == 1 && context.hour > 3`:                1, // what comes behind is not come to
		`context.hour < 7 && context.minute > 3 && principal.login == ""`:                3,
		`principal.claims.x == 1 && context.hour < 7`:                                    0,
		`context.hour < 7 || principal.claims.x == 1`:                                    0,
		`context.hour + 1 < 7`:                                                           1,
		`context.hour * 60 + context.minute < 450`:                                       1,
		`context.asn * context.asn < 450`:                                                0, // it may be too large
		`context.hour + 9223372036854775800 > 0`:                                         0,
		`context.ip.isIpv4() && context.ip == ip("203.0.113.9")`:                         2,
		`context.time.offset(duration("1h")) > datetime("2026-01-01")`:                   1,
		`if context has risk then context.risk == "high" else true`:                      1,
		`if principal.claims.x == 1 then true else context.hour < 7`:                     0,
		`context has risk && context.risk == "high"`:                                     2,
		`context has risk && !(context.risk == "high")`:                                  2,
		`(context has risk && context.hour > 7) && context.risk != "low"`:                3,
		`(context has risk || context.hour > 7) && context.hour > 1`:                     2,
		`resource has user && resource.user == principal.login`:                          2,
		`principal.claims has t && principal.claims.t == resource.api`:                   2,
		`principal.claims has t && resource.headers["x-t"].contains(principal.claims.t)`: 2,
		`principal.claims has t && principal.claims.t like "a*"`:                         1, // it may be no text
		`principal.claims has t && principal.claims.t.contains("a")`:                     1,
		`principal.claims has t && principal.claims.u == "a"`:                            1,
		`(principal.claims has t || context.hour > 7) && principal.claims.t == "a"`:      1,
		`resource.api == "hr" && resource.headers["x-a"].contains("b")`:                  2,
	} {
		c, problems := Compile(world("", "forbid (principal, action, resource) when { "+expression+" };"))
		if len(problems) > 0 {
			t.Fatal(expression, problems)
		}
		if got := len(c.policies[0].screen); got != want {
			t.Errorf("%s: %d parts are screened, want %d", expression, got, want)
		}
	}
}

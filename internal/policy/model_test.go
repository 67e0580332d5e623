package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"gatehouse/internal/spec"
)

func docs(policies string) *spec.Snapshot {
	return &spec.Snapshot{Models: []spec.Model{{
		Name: "docs", Resources: []string{"doc"}, Policies: policies,
		Entities: []spec.Entity{
			{Type: "user", ID: "ana", Attributes: map[string]spec.Attribute{"roles": {Value: []string{"editor"}}, "level": {Value: int64(3)}, "active": {Value: true}, "mail": {Value: "ana@x"}}},
			{Type: "doc", ID: "secret", Attributes: map[string]spec.Attribute{"owner": {Value: "root"}}},
		},
	}}}
}

const docPolicies = `
permit (principal is user, action == Action::"read", resource is doc);
permit (principal is user, action == Action::"write", resource is doc) when { principal.roles.contains("editor") };
permit (principal is user, action == Action::"delete", resource is doc) when { resource.owner == principal.mail };
permit (principal is user, action == Action::"share", resource is doc) when { context.purpose == "work" && action.loud == false };
forbid (principal, action, resource) when { resource has frozen && resource.frozen };
forbid (principal, action == Action::"audit", resource) when { context.always };
permit (principal, action == Action::"audit", resource);
`

// What no policy permits is denied; a question adds to what the file knows, and
// changes none of it; what cannot be evaluated never lets anybody in.
func TestModelsDecide(t *testing.T) {
	m, problems := CompileModels(docs(docPolicies))
	if problems != nil {
		t.Fatal(problems)
	}
	type props = map[string]any
	for _, c := range []struct {
		name, subject, action, resource string
		sp, rp, ap, ctx                 props
		want                            bool
		why                             string
	}{
		{name: "read", subject: "ana", action: "read", resource: "a", want: true, why: "line 2"},
		{name: "write", subject: "ana", action: "write", resource: "a", want: true},
		{name: "a role of the file is not changed", subject: "ana", action: "write", resource: "a", sp: props{"roles": []any{}}, want: true},
		{name: "nor given", subject: "ben", action: "write", resource: "a", why: "no policy"},
		{name: "a stranger's role is the asker's word", subject: "ben", action: "write", resource: "a", sp: props{"roles": []any{"editor"}}, want: true},
		{name: "own", subject: "ana", action: "delete", resource: "a", rp: props{"owner": "ana@x"}, want: true},
		{name: "another's", subject: "ana", action: "delete", resource: "a", rp: props{"owner": "ben@x"}},
		{name: "nobody's", subject: "ana", action: "delete", resource: "a", why: "could not be evaluated"},
		{name: "an owner of the file is not changed", subject: "ana", action: "delete", resource: "secret", rp: props{"owner": "ana@x"}},
		{name: "context and action", subject: "ana", action: "share", resource: "a", ctx: props{"purpose": "work"}, ap: props{"loud": false}, want: true},
		{name: "other context", subject: "ana", action: "share", resource: "a", ctx: props{"purpose": "fun"}, ap: props{"loud": false}},
		{name: "frozen", subject: "ana", action: "read", resource: "a", rp: props{"frozen": true}, why: "forbidden by line 6"},
		{name: "a forbid that cannot be evaluated forbids", subject: "ana", action: "audit", resource: "a", why: "line 7"},
		{name: "and one that can, does not", subject: "ana", action: "audit", resource: "a", ctx: props{"always": false}, want: true},
		{name: "an action that nobody knows", subject: "ana", action: "burn", resource: "a"},
		{name: "null is nothing", subject: "ana", action: "share", resource: "a", ctx: props{"purpose": nil}, ap: props{"loud": json.Number("1e9")}},
	} {
		r := m.Decide(Question{
			Subject: Thing{"user", c.subject, c.sp}, Resource: Thing{"doc", c.resource, c.rp}, Action: c.action, ActionProperties: c.ap, Context: c.ctx,
		})
		if r.Permitted != c.want || !strings.Contains(r.Why, c.why) {
			t.Errorf("%s: %+v, want %v %s", c.name, r, c.want, c.why)
		}
	}
	if r := m.Decide(Question{Subject: Thing{Type: "user", ID: "ana"}, Resource: Thing{Type: "other", ID: "x"}, Action: "read"}); r.Permitted {
		t.Errorf("a type that no model has: %+v", r)
	}
	if r := (*Models)(nil).Decide(Question{}); r.Permitted {
		t.Errorf("no models: %+v", r)
	}
}

func TestModelsThatAreNone(t *testing.T) {
	for _, text := range []string{"", "// nothing", "permit (principal, action, resource)", "permit (principal, action, resource is user);"} {
		if _, problems := CompileModels(docs(text)); len(problems) == 0 {
			t.Errorf("%q compiles", text)
		}
	}
}

func BenchmarkModel(b *testing.B) {
	m, problems := CompileModels(docs(docPolicies))
	if problems != nil {
		b.Fatal(problems)
	}
	q := Question{Subject: Thing{"user", "ana", nil}, Resource: Thing{"doc", "a", map[string]any{"owner": "ana@x"}}, Action: "delete"}
	b.ReportAllocs()
	for b.Loop() {
		if !m.Decide(q).Permitted {
			b.Fatal("denied")
		}
	}
}

package access

import (
	"net/netip"
	"strings"
	"testing"

	"gatehouse/internal/fault"
)

// signOnRule makes a rule of a policy; change makes it another one than the default.
func (r *room) signOnRule(t *testing.T, policy, name string, change func(*SessionRule)) string {
	t.Helper()
	rule := SessionRule{Policy: policy, Name: name, Actions: DefaultSignOn()}
	if change != nil {
		change(&rule)
	}
	o, err := r.service.CreateSessionRule(r.ctx, r.admin, rule)
	must(t, err)
	return o.ID
}

// The first rule that fits decides; the tenant's own policy is asked last, whatever is
// made; and every step says why.
func TestSignIn(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	zone, err := r.service.CreateZone(r.ctx, r.admin, Zone{Name: "office", Type: ZoneIP, Gateways: []Network{{"CIDR", "203.0.113.0/24"}}})
	must(t, err)
	policy, err := r.service.CreatePeoplePolicy(r.ctx, r.admin, PeoplePolicy{Name: "staff", Conditions: PeoplePolicyFits{People: People{Groups: Selection{Include: []string{Everyone}}}}})
	must(t, err)
	r.signOnRule(t, policy.ID, "by radius", func(r *SessionRule) { r.Conditions.AuthType = AuthRADIUS })
	r.signOnRule(t, policy.ID, "off", func(r *SessionRule) { r.Status = Inactive })
	office := r.signOnRule(t, policy.ID, "office", func(r *SessionRule) {
		r.Conditions.Network = &NetworkCondition{Connection: ConnectionZone, Include: []string{zone.ID}}
		r.Actions.IdleMinutes = 30
	})
	ask := func(address string) (SignInDecision, string) {
		t.Helper()
		in := SignIn{User: "ana"}
		in.Address, _ = netip.ParseAddr(address)
		trace, d, err := r.service.PreviewSignIn(r.ctx, in)
		must(t, err)
		return d, Explain(trace)
	}
	d, why := ask("203.0.113.9")
	if !d.Allowed() || d.Rule != office || d.IdleMinutes != 30 {
		t.Errorf("in the office: %+v", d)
	}
	if want := "staff: all conditions hold; staff / by radius: the rule is for another kind of sign-in (it is for RADIUS, and nobody signs in by that here); staff / off: not active; staff / office: all conditions hold"; why != want {
		t.Errorf("%s", why)
	}
	for _, address := range []string{"198.51.100.1", ""} {
		d, why = ask(address)
		if !d.Allowed() || d.RuleName != DefaultSessionRule || d.IdleMinutes != 120 || d.LifetimeMinutes != 720 || !strings.HasSuffix(why, "Default Policy: all conditions hold; Default Policy / Default Rule: all conditions hold") {
			t.Errorf("%q: %+v\n%s", address, d, why)
		}
	}
	// A change of the zone is one of the rule.
	_, err = r.service.ChangeZone(r.ctx, r.admin, zone.ID, func(z *Zone) error {
		z.Gateways = []Network{{"CIDR", "198.51.100.0/24"}}
		return nil
	})
	must(t, err)
	if d, _ = ask("203.0.113.9"); d.Rule == office {
		t.Error("the rule has its old zone")
	}
	// Nobody comes in when no rule says so.
	if d := (&View{}).SignIn(&SignIn{User: "ana"}, nil); d.Allowed() {
		t.Error("no rule, and yet in")
	}
	// What is named stays, and the tenant's own too.
	if err := r.service.DeleteZone(r.ctx, r.admin, zone.ID); err == nil {
		t.Error("a zone went that a rule names")
	}
	all, err := r.service.ListPeoplePolicies(r.ctx, PolicySignOn)
	must(t, err)
	if err := r.service.DeletePeoplePolicy(r.ctx, r.admin, all[len(all)-1].ID); !fault.Is(err, fault.Denied) {
		t.Errorf("the tenant's own policy: %v", err)
	}
}

// Excluded is excluded, however else somebody is included, and groups are asked for only
// where a policy names one.
func TestPeopleOfSignOnRules(t *testing.T) {
	v := &View{}
	s := &state{
		peoplePolicies: map[string]PeoplePolicy{"p": {Name: "p", Status: Active, Priority: 1, Conditions: PeoplePolicyFits{People: People{Groups: Selection{Include: []string{Everyone}}}}}},
		sessionRules: map[string]SessionRule{
			"r": SessionRule{Policy: "p", Priority: 1, Actions: DefaultSignOn()}.fill(),
		},
	}
	if s.compilePeople(v); v.PeoplePoliciesAskGroups() {
		t.Error("nothing names a group")
	}
	rule := s.sessionRules["r"]
	rule.Conditions.People = People{Users: Selection{Include: []string{"ana", "ben"}, Exclude: []string{"ben"}}, Groups: Selection{Include: []string{"staff"}, Exclude: []string{"guests"}}}
	s.sessionRules["r"] = rule
	if s.compilePeople(v); !v.PeoplePoliciesAskGroups() {
		t.Error("a rule names groups")
	}
	for _, tt := range []struct {
		user   string
		groups []string
		in     bool
	}{{"ana", nil, true}, {"ben", nil, false}, {"cleo", []string{"staff"}, true}, {"cleo", nil, false}, {"ana", []string{"guests"}, false}, {"ben", []string{"staff"}, false}} {
		if d := v.SignIn(&SignIn{User: tt.user, Groups: tt.groups}, nil); d.Allowed() != tt.in {
			t.Errorf("%s in %v: %v", tt.user, tt.groups, d.Access)
		}
	}
}

package access

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/order"
)

// SignIn is what is known of somebody who signs in, or is signed in and goes on.
type SignIn struct {
	User    string
	Groups  []string   // ids; read only when PeoplePoliciesAskGroups
	Address netip.Addr // the zero value is an unknown one
	// Risk is one of RiskLevels, and RiskWhy what it comes from; read only when
	// PeoplePoliciesAskRisk. Empty is not known, which fits no rule about it.
	Risk, RiskWhy string
	// Device is read only when AppPoliciesAskDevice.
	Device Device
}

// SignInDecision is what the session policies say to a sign-in.
type SignInDecision struct {
	Policy, PolicyName string // empty when no rule matched
	Rule, RuleName     string
	SignOn
}

// Allowed reports whether the person may be signed in.
func (d *SignInDecision) Allowed() bool { return d.Access == SignOnAllow }

// The reasons of steps that rules about sign-ins have; those about access have the second
// as well.
const (
	BecauseAuthType = "the rule is for another kind of sign-in"
	BecauseRisk     = "the rule is for another level of risk"
)

// SignIn asks the session policies in the order of their priority, and the rules of
// each that is for the person in the order of theirs. The first rule whose conditions
// all hold decides; nothing after it is looked at. Without one nobody is signed in.
// When trace is not nil each step is appended to it.
func (v *View) SignIn(in *SignIn, trace *[]Considered) SignInDecision {
	who := &Request{User: in.User, Groups: in.Groups}
	policies := v.people[PolicySignOn]
	for i := range policies {
		p := &policies[i]
		if !p.isFor(who, trace) {
			continue
		}
		if r := p.firstFit(in, trace); r != nil {
			return SignInDecision{Policy: p.id, PolicyName: p.Name, Rule: r.id, RuleName: r.Name, SignOn: r.Actions}
		}
	}
	return SignInDecision{SignOn: SignOn{Access: SignOnDeny}}
}

// firstFor returns the first of the policies that is for the person; nil: none.
func firstFor(policies []peoplePolicyView, in *SignIn, trace *[]Considered) *peoplePolicyView {
	who := &Request{User: in.User, Groups: in.Groups}
	for i := range policies {
		if policies[i].isFor(who, trace) {
			return &policies[i]
		}
	}
	return nil
}

// isFor reports whether the policy is in force and for the person.
func (p *peoplePolicyView) isFor(who *Request, trace *[]Considered) bool {
	step := Considered{Policy: p.id, PolicyName: p.Name, Reason: BecauseMatched, Matched: true}
	switch {
	case p.Status != Active:
		step.Reason, step.Matched = BecauseInactive, false
	case !p.Conditions.People.match(who):
		step.Reason, step.Detail, step.Matched = BecausePeople, p.Conditions.People.describe(), false
	}
	consider(trace, step)
	return step.Matched
}

// firstFit returns the first rule of the policy whose conditions all hold; nil: none.
func (p *peoplePolicyView) firstFit(in *SignIn, trace *[]Considered) *sessionRuleView {
	who := &Request{User: in.User, Groups: in.Groups}
	for j := range p.rules {
		r := &p.rules[j]
		step := Considered{Policy: p.id, PolicyName: p.Name, Rule: r.id, RuleName: r.Name, Reason: BecauseMatched}
		reason, detail := r.rejects(who, in)
		if step.Matched = reason == ""; !step.Matched {
			step.Reason, step.Detail = reason, detail
		}
		consider(trace, step)
		if step.Matched {
			return r
		}
	}
	return nil
}

// PeoplePoliciesAskGroups reports whether a policy about people needs to know the
// person's groups.
func (v *View) PeoplePoliciesAskGroups() bool { return v.askGroups }

// PeoplePoliciesAskRisk reports whether one of them needs to know the risk.
func (v *View) PeoplePoliciesAskRisk() bool { return v.askRisk }

// AppPoliciesAskDevice reports whether a policy of an app needs to know the device.
func (v *View) AppPoliciesAskDevice() bool { return v.askDevice }

func consider(trace *[]Considered, c Considered) {
	if trace != nil {
		*trace = append(*trace, c)
	}
}

// Explain says every step of an evaluation in one line, for the system log.
func Explain(trace []Considered) string {
	var b strings.Builder
	for i := range trace {
		c := &trace[i]
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.PolicyName)
		if c.Rule != "" {
			b.WriteString(" / " + c.RuleName)
		}
		b.WriteString(": " + c.Reason)
		if c.Detail != "" {
			b.WriteString(" (" + c.Detail + ")")
		}
	}
	return b.String()
}

// peoplePolicyView is a session policy with its rules, in the order in which they are
// tried.
type peoplePolicyView struct {
	id string
	PeoplePolicy
	rules []sessionRuleView
}

type sessionRuleView struct {
	id string
	SessionRule
	network *networkView // nil: from anywhere
}

// rejects returns the first condition of the rule that does not hold, and what the
// sign-in has instead; "" when all hold.
func (r *sessionRuleView) rejects(who *Request, in *SignIn) (reason, detail string) {
	switch {
	case r.Status != Active:
		return BecauseInactive, ""
	case r.Conditions.AuthType != AuthAny:
		return BecauseAuthType, "it is for " + r.Conditions.AuthType + ", and nobody signs in by that here"
	case !r.Conditions.People.match(who):
		return BecausePeople, r.Conditions.People.describe()
	}
	if r.network != nil {
		if detail := r.network.rejects(in.Address); detail != "" {
			return BecauseNetwork, detail
		}
	}
	if want := r.Conditions.Risk; want != "" && want != in.Risk {
		return BecauseRisk, "it is for " + want + ", and this is " + cmp.Or(in.RiskWhy, in.Risk, "not known")
	}
	if detail := r.Conditions.Device.rejects(in.Device); detail != "" {
		return BecauseDevice, detail
	}
	return "", ""
}

// compilePeople compiles the policies about people.
func (s *state) compilePeople(v *View) {
	v.people, v.askGroups, v.askRisk, v.askDevice = map[string][]peoplePolicyView{}, false, false, false
	asks := func(p People) bool {
		return slices.ContainsFunc(slices.Concat(p.Groups.Include, p.Groups.Exclude), func(id string) bool { return id != Everyone })
	}
	rules := map[string][]sessionRuleView{} // by policy
	for id, r := range s.sessionRules {
		rules[r.Policy] = append(rules[r.Policy], sessionRuleView{id: id, SessionRule: r, network: r.Conditions.Network.compile(s.zones, s.places)})
		v.askGroups, v.askRisk = v.askGroups || asks(r.Conditions.People), v.askRisk || r.Conditions.Risk != ""
		v.askDevice = v.askDevice || r.Conditions.Device != nil
	}
	for _, list := range rules {
		order.By(list, func(a, b sessionRuleView) int { return behind(a.System, a.Priority) - behind(b.System, b.Priority) })
	}
	for id, p := range s.peoplePolicies {
		v.askGroups = v.askGroups || asks(p.Conditions.People)
		v.people[p.TypeName()] = append(v.people[p.TypeName()], peoplePolicyView{id: id, PeoplePolicy: p, rules: rules[id]})
	}
	for _, list := range v.people {
		order.By(list, func(a, b peoplePolicyView) int { return behind(a.System, a.Priority) - behind(b.System, b.Priority) })
	}
	v.appPolicies = s.appViews(rules)
}

// behind orders by priority, and what was made with the tenant behind everything.
func behind(system bool, priority int) int {
	if system {
		return MaxPriority + priority
	}
	return priority
}

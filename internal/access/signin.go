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
	Groups  []string   // ids; read only when SessionPoliciesAskGroups
	Address netip.Addr // the zero value is an unknown one
	// Risk is one of RiskLevels, and RiskWhy what it comes from; read only when
	// SessionPoliciesAskRisk. Empty is not known, which fits no rule about it.
	Risk, RiskWhy string
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
	for i := range v.sessions {
		p := &v.sessions[i]
		step := Considered{Policy: p.id, PolicyName: p.Name, Reason: BecauseMatched, Matched: true}
		switch {
		case p.Status != Active:
			step.Reason, step.Matched = BecauseInactive, false
		case !p.Conditions.People.match(who):
			step.Reason, step.Detail, step.Matched = BecausePeople, p.Conditions.People.describe(), false
		}
		consider(trace, step)
		if !step.Matched {
			continue
		}
		for j := range p.rules {
			r := &p.rules[j]
			step := Considered{Policy: p.id, PolicyName: p.Name, Rule: r.id, RuleName: r.Name, Reason: BecauseMatched}
			reason, detail := r.rejects(who, in)
			if step.Matched = reason == ""; !step.Matched {
				step.Reason, step.Detail = reason, detail
			}
			consider(trace, step)
			if step.Matched {
				return SignInDecision{Policy: p.id, PolicyName: p.Name, Rule: r.id, RuleName: r.Name, SignOn: r.Actions}
			}
		}
	}
	return SignInDecision{SignOn: SignOn{Access: SignOnDeny}}
}

// SessionPoliciesAskGroups reports whether SignIn needs to know the person's groups.
func (v *View) SessionPoliciesAskGroups() bool { return v.askGroups }

// SessionPoliciesAskRisk reports whether SignIn needs to know the risk.
func (v *View) SessionPoliciesAskRisk() bool { return v.askRisk }

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

// sessionPolicyView is a session policy with its rules, in the order in which they are
// tried.
type sessionPolicyView struct {
	id string
	SessionPolicy
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
	return "", ""
}

// sessionViews compiles the session policies.
func (s *state) sessionViews() (out []sessionPolicyView, askGroups, askRisk bool) {
	asks := func(p People) bool {
		return slices.ContainsFunc(slices.Concat(p.Groups.Include, p.Groups.Exclude), func(id string) bool { return id != Everyone })
	}
	for id, p := range s.sessionPolicies {
		v := sessionPolicyView{id: id, SessionPolicy: p}
		askGroups = askGroups || asks(p.Conditions.People)
		for ruleID, r := range s.sessionRules {
			if r.Policy == id {
				v.rules = append(v.rules, sessionRuleView{id: ruleID, SessionRule: r, network: r.Conditions.Network.compile(s.zones, s.places)})
				askGroups, askRisk = askGroups || asks(r.Conditions.People), askRisk || r.Conditions.Risk != ""
			}
		}
		order.By(v.rules, func(a, b sessionRuleView) int { return behind(a.System, a.Priority) - behind(b.System, b.Priority) })
		out = append(out, v)
	}
	order.By(out, func(a, b sessionPolicyView) int { return behind(a.System, a.Priority) - behind(b.System, b.Priority) })
	return out, askGroups, askRisk
}

// behind orders by priority, and what was made with the tenant behind everything.
func behind(system bool, priority int) int {
	if system {
		return MaxPriority + priority
	}
	return priority
}

package access

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Request is what somebody asks a server for.
type Request struct {
	Client    string   // id of the app
	GrantType string   // one of the Grant constants
	Scopes    []string // all that are asked for
	User      string   // id of the user it is for; empty when the client acts for itself
	Groups    []string // ids of the user's groups
	// Address is where the request comes from, for rules about networks; the zero
	// value is an unknown one.
	Address netip.Addr
	// Risk is that of the person's sign-in, one of RiskLevels; empty is not known, which
	// fits no rule about it.
	Risk string
	// Device is that of the person's sign-in, or the one that the app calls from.
	Device Device
}

// Decision is what the policies of a server say to a request.
type Decision struct {
	Allowed  bool
	Policy   string // id of the policy of the rule that matched; empty when none did
	Rule     string // id of the rule that matched; empty when none did
	RuleName string
	// AccessTokenLifetime is the lifetime that the rule gives.
	AccessTokenLifetime time.Duration
	// RefreshLifetime is how long a refresh token and its successors live, 0 without
	// end; RefreshWindow is how long one may lie unused.
	RefreshLifetime, RefreshWindow time.Duration
	// Hook is asked before the tokens are signed; nil: nobody is.
	Hook *HookView
}

// Considered is one step of an evaluation: a policy or one of its rules, and why
// it did or did not match.
type Considered struct {
	Policy     string `json:"policy"`
	PolicyName string `json:"policyName"`
	Rule       string `json:"rule,omitempty"` // empty: the line is about the policy itself
	RuleName   string `json:"ruleName,omitempty"`
	Matched    bool   `json:"matched"`
	Reason     string `json:"reason"` // one of the Because constants
	// Detail is what the condition names, and what the request has instead.
	Detail string `json:"detail,omitempty"`
}

// The reasons of a step.
const (
	BecauseMatched   = "all conditions hold"
	BecauseClient    = "the client is not among the policy's clients"
	BecauseInactive  = "not active"
	BecauseGrantType = "the grant type is not among the rule's"
	BecausePeople    = "the user is not among the rule's people"
	BecauseScopes    = "not all requested scopes are among the rule's"
	BecauseNetwork   = "the request does not come from where the rule says"
	BecauseDevice    = "the device is not one that the rule is for"
	BecauseGranted   = "the app was granted all requested scopes"
	BecauseNoGrant   = "no administrator has granted the app all requested scopes"
)

// Evaluate asks the server's policies in the order of their priority, and the
// rules of each that is for the client in the order of theirs. The first rule
// whose conditions all hold decides; nothing after it is looked at. Without one
// the request is not allowed. When trace is not nil each step is appended to it.
//
// The org server has no policies: it gives an app the scopes of the management API
// that an administrator has granted it, and signs people in to every app that they
// are assigned to.
func (s *ServerView) Evaluate(req *Request, trace *[]Considered) Decision {
	if s.org() {
		return s.evaluateGrants(req, trace)
	}
	for i := range s.policies {
		p := &s.policies[i]
		if reason, detail := p.rejects(req, trace != nil); reason != "" {
			note(trace, p, nil, false, reason, detail)
			continue
		}
		note(trace, p, nil, true, BecauseMatched, "")
		for j := range p.rules {
			r := &p.rules[j]
			reason, detail := r.rejects(req, trace != nil)
			if reason != "" {
				note(trace, p, r, false, reason, detail)
				continue
			}
			note(trace, p, r, true, BecauseMatched, "")
			return Decision{
				Allowed: true, Policy: p.id, Rule: r.id, RuleName: r.Name,
				AccessTokenLifetime: time.Duration(r.Actions.Token.AccessTokenMinutes) * time.Minute,
				RefreshLifetime:     time.Duration(r.Actions.Token.RefreshTokenMinutes) * time.Minute,
				RefreshWindow:       time.Duration(r.Actions.Token.RefreshWindowMinutes) * time.Minute,
				Hook:                r.hook,
			}
		}
	}
	return Decision{}
}

// orgRefreshLifetime is how long refresh tokens of the org server last in all: it has no
// rules to say it.
const orgRefreshLifetime = 90 * 24 * time.Hour

func (s *ServerView) evaluateGrants(req *Request, trace *[]Considered) Decision {
	var lacking []string
	for _, scope := range req.Scopes {
		person := req.User != "" && !ManagementScope(scope)
		if !person && !has(s.granted[req.Client], scope) {
			lacking = append(lacking, scope)
		}
	}
	allowed := len(lacking) == 0 && (req.User != "" || len(req.Scopes) > 0)
	if trace != nil {
		c := Considered{PolicyName: s.Name, Matched: allowed, Reason: BecauseGranted}
		if !allowed {
			c.Reason, c.Detail = BecauseNoGrant, strings.Join(lacking, " ")
		}
		*trace = append(*trace, c)
	}
	if !allowed {
		return Decision{}
	}
	return Decision{Allowed: true, AccessTokenLifetime: s.AccessTokenLifetime(), RefreshLifetime: orgRefreshLifetime, RefreshWindow: DefaultRefreshWindow}
}

func note(trace *[]Considered, p *policyView, r *ruleView, matched bool, reason, detail string) {
	if trace == nil {
		return
	}
	c := Considered{Policy: p.id, PolicyName: p.Name, Matched: matched, Reason: reason, Detail: detail}
	if r != nil {
		c.Rule, c.RuleName = r.id, r.Name
	}
	*trace = append(*trace, c)
}

// policyView is a policy with its rules, both in the order of priority.
type policyView struct {
	id string
	Policy
	rules []ruleView
}

// ruleView is a rule with its id.
type ruleView struct {
	id string
	Rule
	network *networkView // nil: from anywhere
	hook    *HookView    // nil: nobody is asked
}

// rejects returns why the policy is not for the request, and in detail when that
// is wanted; "" when it is.
func (p *policyView) rejects(req *Request, explain bool) (reason, detail string) {
	clients := p.Conditions.Clients.Include
	switch {
	case p.Status != Active:
		return BecauseInactive, ""
	case has(clients, AllClients) || has(clients, req.Client):
		return "", ""
	case explain:
		detail = "it is for " + listed(clients)
	}
	return BecauseClient, detail
}

// rejects returns the first condition of the rule that does not hold, and in
// detail when that is wanted; "" when all hold.
func (r *ruleView) rejects(req *Request, explain bool) (reason, detail string) {
	c := &r.Conditions
	switch {
	case r.Status != Active:
		return BecauseInactive, ""
	case !has(c.GrantTypes.Include, req.GrantType):
		if explain {
			detail = req.GrantType + " is not among " + listed(c.GrantTypes.Include)
		}
		return BecauseGrantType, detail
	case req.User != "" && !c.People.match(req):
		if explain {
			detail = c.People.describe()
		}
		return BecausePeople, detail
	}
	if !has(c.Scopes.Include, AnyScope) {
		for i, s := range req.Scopes {
			if !has(c.Scopes.Include, s) {
				if explain {
					detail = strings.Join(missing(c.Scopes.Include, req.Scopes[i:]), " ")
				}
				return BecauseScopes, detail
			}
		}
	}
	if r.network != nil {
		if detail := r.network.rejects(req.Address); detail != "" {
			return BecauseNetwork, detail
		}
	}
	if c.Risk != "" && c.Risk != req.Risk {
		if explain {
			detail = "it is for " + c.Risk + ", and this is " + cmp.Or(req.Risk, "not known")
		}
		return BecauseRisk, detail
	}
	if detail := c.Device.rejects(req.Device); detail != "" {
		return BecauseDevice, detail
	}
	return "", ""
}

// describe says whom the rule is for.
func (p *People) describe() string {
	var parts []string
	for _, l := range []struct {
		what string
		ids  []string
	}{{"users", p.Users.Include}, {"groups", p.Groups.Include}, {"not users", p.Users.Exclude}, {"not groups", p.Groups.Exclude}} {
		if len(l.ids) > 0 {
			parts = append(parts, l.what+" "+listed(l.ids))
		}
	}
	return "it is for " + strings.Join(parts, "; ")
}

// listed writes a list that may be long.
func listed(list []string) string {
	const shown = 10
	if len(list) == 0 {
		return "none"
	}
	if len(list) > shown {
		return strings.Join(list[:shown], ", ") + " and more"
	}
	return strings.Join(list, ", ")
}

// match reports whether the request's user is meant. People without any
// condition mean everybody; exclusion wins over inclusion.
func (p *People) match(req *Request) bool {
	if has(p.Users.Exclude, req.User) || anyOf(p.Groups.Exclude, req.Groups) {
		return false
	}
	if len(p.Users.Include) == 0 && len(p.Groups.Include) == 0 {
		return true
	}
	return has(p.Users.Include, req.User) || anyOf(p.Groups.Include, req.Groups)
}

// anyOf reports whether a user with the groups is in one of the list.
func anyOf(list, groups []string) bool {
	return has(list, Everyone) || slices.ContainsFunc(groups, func(g string) bool { return has(list, g) })
}

func has(list []string, s string) bool { return slices.Contains(list, s) }

func missing(allowed, asked []string) []string {
	var out []string
	for _, s := range asked {
		if !has(allowed, s) {
			out = append(out, s)
		}
	}
	return out
}

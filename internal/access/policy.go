package access

import (
	"slices"
	"strings"
	"time"
)

// Words that stand for all of a kind in the conditions of a policy or rule.
const (
	AllClients = "ALL_CLIENTS"
	Everyone   = "EVERYONE" // the group that every user is in
	AnyScope   = "*"
)

// maxRefreshMinutes is five years, Okta's bound.
const maxRefreshMinutes = 5 * 365 * 24 * 60

// MaxPriority bounds the priorities of policies and rules.
const MaxPriority = 999

// Policy says which clients its rules are for. The policies of a server are
// tried in the order of their priority, 1 first.
type Policy struct {
	Server      string         `json:"server"` // id of the authorization server
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Status      Status         `json:"status"`
	Priority    int            `json:"priority"` // unique among the policies of the server
	System      bool           `json:"system,omitempty"`
	Conditions  PolicyContexts `json:"conditions"`
}

// PolicyContexts are the conditions of a policy.
type PolicyContexts struct {
	Clients Selection `json:"clients"` // ids of apps, or AllClients
}

// Selection lists what is meant.
type Selection struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
}

// Rule decides: when all of its conditions hold, the request is granted with
// the lifetimes of the rule, and nothing after it is looked at.
type Rule struct {
	Server     string         `json:"server"` // id of the authorization server of the policy
	Policy     string         `json:"policy"` // id of the policy
	Name       string         `json:"name"`
	Status     Status         `json:"status"`
	Priority   int            `json:"priority"` // unique among the rules of the policy
	System     bool           `json:"system,omitempty"`
	Conditions RuleConditions `json:"conditions"`
	Actions    RuleActions    `json:"actions"`
}

// RuleConditions all have to hold.
type RuleConditions struct {
	People     People    `json:"people"`     // not asked when no user is involved
	GrantTypes Selection `json:"grantTypes"` // include: any of these
	Scopes     Selection `json:"scopes"`     // include: all requested scopes are among these, or AnyScope; none: only requests without scopes
	// Network is where the request comes from; nil: anywhere. Okta's access rules do
	// not have it, so a client of Okta's that writes a rule back leaves it out: then it stays.
	Network *NetworkCondition `json:"network,omitempty"`
	// Risk is the level that the person's sign-in has to have, one of RiskLevels; empty:
	// any. It is Okta's condition of sign-on rules, and stays as Network does.
	Risk string `json:"riskScore,omitempty"`
	// Device is what the device has to be; nil: any. It is Okta's condition of app sign-on
	// rules, and stays as Network does.
	Device *DeviceCondition `json:"device,omitempty"`
}

// People selects users: those included by id or by group, less those excluded.
type People struct {
	Users  Selection `json:"users"`
	Groups Selection `json:"groups"` // ids of groups, or Everyone
}

// RuleActions say what is granted.
type RuleActions struct {
	Token TokenActions `json:"token"`
}

// TokenActions are the lifetimes of what is issued.
type TokenActions struct {
	AccessTokenMinutes int `json:"accessTokenLifetimeMinutes"`
	// RefreshTokenMinutes is how long a refresh token and its successors live; 0 = without end.
	RefreshTokenMinutes int `json:"refreshTokenLifetimeMinutes"`
	// RefreshWindowMinutes is how long one may lie unused.
	RefreshWindowMinutes int `json:"refreshTokenWindowMinutes,omitempty"`
	// InlineHook is the id of a hook that is asked before the tokens are signed.
	InlineHook string `json:"inlineHook,omitempty"`
}

// DefaultRefreshWindow is how long a refresh token may lie unused where no rule
// says another.
const DefaultRefreshWindow = 7 * 24 * time.Hour

func (p Policy) fill() Policy {
	if p.Status == "" {
		p.Status = Active
	}
	return p
}

func (r Rule) fill() Rule {
	if r.Status == "" {
		r.Status = Active
	}
	if r.Actions.Token.AccessTokenMinutes == 0 {
		r.Actions.Token.AccessTokenMinutes = int(DefaultAccessTokenLifetime.Minutes())
	}
	if r.Actions.Token.RefreshWindowMinutes == 0 {
		r.Actions.Token.RefreshWindowMinutes = int(DefaultRefreshWindow.Minutes())
	}
	r.Conditions.Network = r.Conditions.Network.fill()
	// Okta answers with sorted lists whatever was sent.
	for _, s := range []*Selection{&r.Conditions.GrantTypes, &r.Conditions.Scopes, &r.Conditions.People.Users, &r.Conditions.People.Groups} {
		s.Include, s.Exclude = sorted(s.Include), sorted(s.Exclude)
	}
	return r
}

func sorted(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

func checkPolicy(p Policy) error {
	var c checks
	c.that(p.Server != "", "server", "is empty")
	c.name("name", p.Name, 50)
	c.that(len(p.Description) <= 255, "description", "is longer than 255 bytes")
	c.oneOf("status", string(p.Status), string(Active), string(Inactive))
	c.that(p.Priority >= 1 && p.Priority <= MaxPriority, "priority", "must be from 1 to 999")
	c.that(len(p.Conditions.Clients.Include) > 0, "conditions.clients.include", "is empty: name the clients, or ALL_CLIENTS")
	c.that(len(p.Conditions.Clients.Exclude) == 0, "conditions.clients.exclude", "is not supported, list the clients that are meant")
	return c.err("access policy %s is not valid", quoted(p.Name))
}

func checkRule(r Rule) error {
	var c checks
	c.that(r.Server != "", "server", "is empty")
	c.that(r.Policy != "", "policy", "is empty")
	c.name("name", r.Name, 50)
	c.oneOf("status", string(r.Status), string(Active), string(Inactive))
	c.that(r.Priority >= 1 && r.Priority <= MaxPriority, "priority", "must be from 1 to 999")
	c.that(len(r.Conditions.GrantTypes.Include) > 0, "conditions.grantTypes.include", "is empty: name the grant types that the rule allows")
	for _, g := range r.Conditions.GrantTypes.Include {
		c.that(KnownGrantType(g), "conditions.grantTypes.include", quoted(g)+" is not a grant type, known are "+strings.Join(GrantTypes(), ", "))
	}
	for _, s := range r.Conditions.Scopes.Include {
		c.that(s == AnyScope || ValidScopeName(s), "conditions.scopes.include", quoted(s)+" is not a scope name")
	}
	r.Conditions.Network.check(&c)
	checkRisk(&c, r.Conditions.Risk)
	r.Conditions.Device.check(&c)
	c.that(len(r.Conditions.GrantTypes.Exclude) == 0, "conditions.grantTypes.exclude", "is not supported, list the grant types that are allowed")
	c.that(len(r.Conditions.Scopes.Exclude) == 0, "conditions.scopes.exclude", "is not supported, list the scopes that are allowed")
	c.lifetime("actions.token.accessTokenLifetimeMinutes", r.Actions.Token.AccessTokenMinutes)
	refresh, window := r.Actions.Token.RefreshTokenMinutes, r.Actions.Token.RefreshWindowMinutes
	c.that(refresh >= 0 && refresh <= maxRefreshMinutes, "actions.token.refreshTokenLifetimeMinutes", "must be 0 for without end, or at most five years")
	c.that(window >= 5 && window <= maxRefreshMinutes, "actions.token.refreshTokenWindowMinutes", "must be from 5 minutes to five years")
	c.that(refresh == 0 || refresh >= r.Actions.Token.AccessTokenMinutes, "actions.token.refreshTokenLifetimeMinutes", "is shorter than the access token's")
	return c.err("access rule %s is not valid", quoted(r.Name))
}

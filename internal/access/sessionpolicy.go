package access

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ledger"
)

// SessionPolicy says for whom its rules about signing in are (Okta's global session
// policy, the type OKTA_SIGN_ON). The policies of a tenant are tried in the order of
// their priority; the one that is made with the tenant is always the last.
type SessionPolicy struct {
	Name        string            `json:"name"` // unique
	Description string            `json:"description,omitempty"`
	Status      Status            `json:"status"`
	Priority    int               `json:"priority"` // unique among the policies that are not the tenant's own
	System      bool              `json:"system,omitempty"`
	Conditions  SessionPolicyFits `json:"conditions"`
}

// SessionPolicyFits are the conditions of a session policy.
type SessionPolicyFits struct {
	People People `json:"people"` // groups.include: ids, or Everyone
}

// SessionRule decides about a sign-in: when all of its conditions hold, its actions
// are what counts, and nothing after it is looked at.
type SessionRule struct {
	Policy     string          `json:"policy"` // id
	Name       string          `json:"name"`   // unique within the policy
	Status     Status          `json:"status"`
	Priority   int             `json:"priority"`
	System     bool            `json:"system,omitempty"`
	Conditions SessionRuleFits `json:"conditions"`
	Actions    SignOn          `json:"signon"`
}

// SessionRuleFits all have to hold.
type SessionRuleFits struct {
	People  People            `json:"people"`
	Network *NetworkCondition `json:"network,omitempty"` // nil: from anywhere
	// AuthType is the kind of sign-in. Only AuthAny fits any that there is here.
	AuthType string `json:"authType,omitempty"`
	// Risk is how unlike the person's earlier sign-ins it is: LOW, MEDIUM or HIGH; empty: however.
	Risk string `json:"risk,omitempty"`
}

// The kinds of sign-in that a rule may be about, Okta's words.
const (
	AuthAny    = "ANY"
	AuthRADIUS = "RADIUS"
	AuthLDAP   = "LDAP_INTERFACE"
)

// RiskLevels are the levels of risk that a rule may be about, Okta's words.
func RiskLevels() []string { return []string{"LOW", "MEDIUM", "HIGH"} }

func checkRisk(c *checks, level string) {
	c.that(level == "" || slices.Contains(RiskLevels(), level), "conditions.riskScore.level", "must be one of ANY, "+strings.Join(RiskLevels(), ", "))
}

// SignOn is what a rule says of a sign-in.
type SignOn struct {
	Access string `json:"access"` // SignOnAllow or SignOnDeny
	// PrimaryFactor is what a session is begun with: PrimaryAny.
	PrimaryFactor string `json:"primaryFactor,omitempty"`
	// RequireFactor demands a second factor, as fresh as FactorPromptMode says.
	RequireFactor    bool   `json:"requireFactor,omitempty"`
	FactorPromptMode string `json:"factorPromptMode,omitempty"`
	// FactorMinutes is how long a second factor counts in the mode PromptSession.
	FactorMinutes int `json:"factorLifetime,omitempty"`
	// RememberDevice is kept for clients that send it.
	RememberDevice bool `json:"rememberDeviceByDefault,omitempty"`
	// IdleMinutes is how long a session lasts without use, LifetimeMinutes how long in
	// all; 0: as long as MaxSession.
	IdleMinutes     int `json:"maxSessionIdleMinutes"`
	LifetimeMinutes int `json:"maxSessionLifetimeMinutes"`
	// PersistentCookie lets the session outlive the browser's window.
	PersistentCookie bool `json:"usePersistentCookie,omitempty"`
}

// The words of SignOn, Okta's.
const (
	SignOnAllow = "ALLOW"
	SignOnDeny  = "DENY"

	PrimaryAny = "PASSWORD_IDP_ANY_FACTOR" // a password, an identity provider, a passkey

	PromptAlways  = "ALWAYS"  // with every sign-in
	PromptSession = "SESSION" // when the last one in the session is older than FactorMinutes
)

// MaxSession bounds the limits of sessions.
const MaxSession = 90 * 24 * time.Hour

// Idle returns how long a session lasts without use.
func (s *SignOn) Idle() time.Duration { return sessionTime(s.IdleMinutes) }

// Lifetime returns how long a session lasts in all.
func (s *SignOn) Lifetime() time.Duration { return sessionTime(s.LifetimeMinutes) }

func sessionTime(minutes int) time.Duration {
	if minutes == 0 {
		return MaxSession
	}
	return time.Duration(minutes) * time.Minute
}

// FactorLifetime returns how long a second factor counts in the mode PromptSession.
func (s *SignOn) FactorLifetime() time.Duration {
	return time.Duration(s.FactorMinutes) * time.Minute
}

// The names of what is made with the tenant.
const (
	DefaultSessionPolicy = "Default Policy"
	DefaultSessionRule   = "Default Rule"
)

// DefaultSignOn is what a rule says of which nothing else is said: sessions last two
// hours without use and twelve in all.
func DefaultSignOn() SignOn {
	return SignOn{Access: SignOnAllow, PrimaryFactor: PrimaryAny, IdleMinutes: 120, LifetimeMinutes: 720}
}

// The ids of these kinds begin as those of access policies and rules do: Okta's clients
// know them so.
var (
	// SessionPolicies are unique by name and, but for the tenant's own, by priority.
	SessionPolicies = ledger.NewKind(ledger.Spec[SessionPolicy]{
		Name: "session_policy", IDPrefix: "00p", SharesPrefix: true,
		Keys: func(p SessionPolicy) []ledger.Key {
			return []ledger.Key{ledger.By("name", p.Name), ledger.By("priority", place("all", p.System), ledger.Sortable(int64(p.Priority)))}
		},
		Refs: func(p SessionPolicy) []ledger.Ref {
			return namedPeople(nil, p.Conditions.People)
		},
		Check: checkSessionPolicy,
	})
	// SessionRules are unique by name and by priority within their policy and go with it.
	SessionRules = ledger.NewKind(ledger.Spec[SessionRule]{
		Name: "session_rule", IDPrefix: "0pr", SharesPrefix: true,
		Keys: func(r SessionRule) []ledger.Key {
			return []ledger.Key{ledger.By("name", r.Policy, r.Name), ledger.By("priority", place(r.Policy, r.System), ledger.Sortable(int64(r.Priority)))}
		},
		Index: func(r SessionRule) []ledger.Key { return []ledger.Key{ledger.By("policy", r.Policy)} },
		Refs: func(r SessionRule) []ledger.Ref {
			refs := []ledger.Ref{{Field: "policy", Kind: "session_policy", ID: r.Policy, OnDelete: ledger.Cascade}}
			return namedZones(namedPeople(refs, r.Conditions.People), r.Conditions.Network)
		},
		Check: checkSessionRule,
	})
)

// place is where priorities are counted: what was made with the tenant stands apart,
// behind all others.
func place(parent string, system bool) string {
	if system {
		return parent + " last"
	}
	return parent
}

func (p SessionPolicy) fill() SessionPolicy {
	if p.Status == "" {
		p.Status = Active
	}
	p.Conditions.People = p.Conditions.People.fill()
	return p
}

func (r SessionRule) fill() SessionRule {
	if r.Status == "" {
		r.Status = Active
	}
	if r.Conditions.AuthType == "" {
		r.Conditions.AuthType = AuthAny
	}
	if r.Actions.Access == "" {
		r.Actions.Access = SignOnAllow
	}
	if r.Actions.PrimaryFactor == "" {
		r.Actions.PrimaryFactor = PrimaryAny
	}
	if !r.Actions.RequireFactor {
		r.Actions.FactorPromptMode, r.Actions.FactorMinutes = "", 0
	}
	r.Conditions.People, r.Conditions.Network = r.Conditions.People.fill(), r.Conditions.Network.fill()
	return r
}

func (p People) fill() People {
	for _, s := range []*Selection{&p.Users, &p.Groups} {
		s.Include, s.Exclude = sorted(s.Include), sorted(s.Exclude)
	}
	return p
}

func checkSessionPolicy(p SessionPolicy) error {
	var c checks
	c.name("name", p.Name, 50)
	c.that(len(p.Description) <= 255, "description", "is longer than 255 bytes")
	c.oneOf("status", string(p.Status), string(Active), string(Inactive))
	c.that(p.Priority >= 1 && p.Priority <= MaxPriority, "priority", "must be from 1 to 999")
	people := p.Conditions.People
	c.that(len(people.Groups.Include) > 0, "conditions.people.groups.include", "is empty: name the groups that the policy is for, or EVERYONE")
	c.that(len(people.Users.Include)+len(people.Users.Exclude)+len(people.Groups.Exclude) == 0, "conditions.people", "has more than groups.include: leave people out by a rule")
	return c.err("sign-on policy %s is not valid", quoted(p.Name))
}

func checkSessionRule(r SessionRule) error {
	var c checks
	c.that(r.Policy != "", "policy", "is empty")
	c.name("name", r.Name, 50)
	c.oneOf("status", string(r.Status), string(Active), string(Inactive))
	c.that(r.Priority >= 1 && r.Priority <= MaxPriority, "priority", "must be from 1 to 999")
	c.oneOf("conditions.authContext.authType", r.Conditions.AuthType, AuthAny, AuthRADIUS, AuthLDAP)
	checkRisk(&c, r.Conditions.Risk)
	r.Conditions.Network.check(&c)
	r.Actions.check(&c)
	return c.err("sign-on rule %s is not valid", quoted(r.Name))
}

func (s *SignOn) check(c *checks) {
	const at = "actions.signon."
	c.oneOf(at+"access", s.Access, SignOnAllow, SignOnDeny)
	c.oneOf(at+"primaryFactor", s.PrimaryFactor, PrimaryAny)
	if s.RequireFactor {
		c.oneOf(at+"factorPromptMode", s.FactorPromptMode, PromptAlways, PromptSession)
		c.that(s.FactorPromptMode != PromptSession || s.FactorMinutes > 0, at+"factorLifetime", "is missing: say for how many minutes a second factor counts")
	}
	most := int(MaxSession / time.Minute)
	c.that(s.FactorMinutes >= 0 && s.FactorMinutes <= most, at+"factorLifetime", "must be at most 90 days, in minutes")
	c.that(s.IdleMinutes >= 1 && s.IdleMinutes <= most, at+"session.maxSessionIdleMinutes", "must be from 1 minute to 90 days")
	c.that(s.LifetimeMinutes >= 0 && s.LifetimeMinutes <= most, at+"session.maxSessionLifetimeMinutes", "must be 0 for as long as possible, or at most 90 days, in minutes")
	c.that(s.LifetimeMinutes == 0 || s.IdleMinutes <= s.LifetimeMinutes, at+"session.maxSessionIdleMinutes", "is longer than the session in all")
}

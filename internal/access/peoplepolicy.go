package access

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ledger"
)

// PeoplePolicy says for whom its rules are: about signing in (Okta's global session
// policy, the type OKTA_SIGN_ON), about passwords, or about setting up second factors. The
// policies of a type are tried in the order of their priority; the one that is made with
// the tenant is always the last.
type PeoplePolicy struct {
	Type        string           `json:"type,omitempty"` // PolicyPassword, PolicyEnroll; empty: PolicySignOn
	Name        string           `json:"name"`           // unique within the type
	Description string           `json:"description,omitempty"`
	Status      Status           `json:"status"`
	Priority    int              `json:"priority"` // unique among the policies that are not the tenant's own
	System      bool             `json:"system,omitempty"`
	Conditions  PeoplePolicyFits `json:"conditions"`
	// Password is what one of the type PolicyPassword says, Enroll what one of the type
	// PolicyEnroll does: types of factors to EnrollOptional and the like.
	Password *PasswordSettings `json:"password,omitempty"`
	Enroll   map[string]string `json:"enroll,omitempty"`
}

// TypeName returns Okta's word for the type of the policy.
func (p *PeoplePolicy) TypeName() string { return cmp.Or(p.Type, PolicySignOn) }

// PeoplePolicyFits are the conditions of a session policy.
type PeoplePolicyFits struct {
	People People `json:"people"` // groups.include: ids, or Everyone
}

// SessionRule decides about a sign-in, or about what its policy is about otherwise: when
// all of its conditions hold, its actions are what counts, and nothing after it is looked
// at.
type SessionRule struct {
	Type       string          `json:"type,omitempty"` // of its policy, PolicyApp among them; empty: PolicySignOn
	Policy     string          `json:"policy"`         // id
	Name       string          `json:"name"`           // unique within the policy
	Status     Status          `json:"status"`
	Priority   int             `json:"priority"`
	System     bool            `json:"system,omitempty"`
	Conditions SessionRuleFits `json:"conditions"`
	Actions    SignOn          `json:"signon"` // of the type PolicySignOn
	// The actions of rules of the other types.
	Password *PasswordActions `json:"passwordActions,omitempty"`
	Enroll   string           `json:"enroll,omitempty"` // EnrollAtChallenge, EnrollAtLogin or EnrollNever
	App      *AppSignOn       `json:"appSignOn,omitempty"`
}

// TypeName returns Okta's word for the type of the policy that the rule is of.
func (r *SessionRule) TypeName() string { return cmp.Or(r.Type, PolicySignOn) }

// SessionRuleFits all have to hold. Rules about passwords and second factors ask neither
// for the kind of sign-in nor for the risk.
type SessionRuleFits struct {
	People  People            `json:"people"`
	Network *NetworkCondition `json:"network,omitempty"` // nil: from anywhere
	// AuthType is the kind of sign-in. Only AuthAny fits any that there is here.
	AuthType string `json:"authType,omitempty"`
	// Risk is how unlike the person's earlier sign-ins it is: LOW, MEDIUM or HIGH; empty: however.
	Risk string `json:"risk,omitempty"`
	// Device is what the device has to be; nil: any. Rules of apps alone ask for it.
	Device *DeviceCondition `json:"device,omitempty"`
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
	// FactorMinutes is how long a second factor counts in the modes PromptSession and
	// PromptDevice.
	FactorMinutes int `json:"factorLifetime,omitempty"`
	// RememberDevice says that the box is checked by which people ask for PromptDevice.
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
	PromptDevice  = "DEVICE"  // once for each browser, and again after FactorMinutes; 0: after MaxSession
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

// DeviceLifetime returns how long one counts in a browser in the mode PromptDevice.
func (s *SignOn) DeviceLifetime() time.Duration { return sessionTime(s.FactorMinutes) }

// The names of what is made with the tenant.
const (
	DefaultPeoplePolicy = "Default Policy"
	DefaultSessionRule  = "Default Rule"
)

// DefaultSignOn is what a rule says of which nothing else is said: sessions last two
// hours without use and twelve in all.
func DefaultSignOn() SignOn {
	return SignOn{Access: SignOnAllow, PrimaryFactor: PrimaryAny, IdleMinutes: 120, LifetimeMinutes: 720}
}

// The ids of these kinds begin as those of access policies and rules do: Okta's clients
// know them so.
var (
	// PeoplePolicies are unique by name and, but for the tenant's own, by priority.
	PeoplePolicies = ledger.NewKind(ledger.Spec[PeoplePolicy]{
		Name: "session_policy", IDPrefix: "00p", SharesPrefix: true,
		Keys: func(p PeoplePolicy) []ledger.Key {
			return []ledger.Key{p.named(), ledger.By("priority", place(p.group(), p.System), ledger.Sortable(int64(p.Priority)))}
		},
		Refs: func(p PeoplePolicy) []ledger.Ref {
			return namedPeople(nil, p.Conditions.People)
		},
		Check: checkPeoplePolicy,
	})
	// SessionRules are unique by name and by priority within their policy and go with it.
	SessionRules = ledger.NewKind(ledger.Spec[SessionRule]{
		Name: "session_rule", IDPrefix: "0pr", SharesPrefix: true,
		Keys: func(r SessionRule) []ledger.Key {
			return []ledger.Key{ledger.By("name", r.Policy, r.Name), ledger.By("priority", place(r.Policy, r.System), ledger.Sortable(int64(r.Priority)))}
		},
		Index: func(r SessionRule) []ledger.Key { return []ledger.Key{ledger.By("policy", r.Policy)} },
		Refs: func(r SessionRule) []ledger.Ref {
			kind := "session_policy"
			if r.Type == PolicyApp {
				kind = "sign_on_policy"
			}
			refs := []ledger.Ref{{Field: "policy", Kind: kind, ID: r.Policy, OnDelete: ledger.Cascade}}
			return namedZones(namedPeople(refs, r.Conditions.People), r.Conditions.Network)
		},
		Check: checkSessionRule,
	})
)

// named is what a policy is unique by.
func (p *PeoplePolicy) named() ledger.Key {
	if p.Type == "" {
		return ledger.By("name", p.Name)
	}
	return ledger.By("name", p.Type, p.Name)
}

// group is where the priorities of the policy's type are counted.
func (p *PeoplePolicy) group() string { return cmp.Or(p.Type, "all") }

// place is where priorities are counted: what was made with the tenant stands apart,
// behind all others.
func place(parent string, system bool) string {
	if system {
		return parent + " last"
	}
	return parent
}

func (p PeoplePolicy) fill() PeoplePolicy {
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
	r.Conditions.People, r.Conditions.Network = r.Conditions.People.fill(), r.Conditions.Network.fill()
	if r.Type != "" {
		r.Actions = SignOn{}
		return r
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
	return r
}

func (p People) fill() People {
	for _, s := range []*Selection{&p.Users, &p.Groups} {
		s.Include, s.Exclude = sorted(s.Include), sorted(s.Exclude)
	}
	return p
}

func checkPeoplePolicy(p PeoplePolicy) error {
	var c checks
	c.name("name", p.Name, 50)
	c.that(len(p.Description) <= 255, "description", "is longer than 255 bytes")
	c.oneOf("status", string(p.Status), string(Active), string(Inactive))
	c.that(p.Priority >= 1 && p.Priority <= MaxPriority, "priority", "must be from 1 to 999")
	people := p.Conditions.People
	c.that(len(people.Groups.Include) > 0, "conditions.people.groups.include", "is empty: name the groups that the policy is for, or EVERYONE")
	c.that(len(people.Users.Include)+len(people.Users.Exclude)+len(people.Groups.Exclude) == 0, "conditions.people", "has more than groups.include: leave people out by a rule")
	c.oneOf("type", p.TypeName(), PolicySignOn, PolicyPassword, PolicyEnroll)
	c.that((p.Type == PolicyPassword) == (p.Password != nil), "settings", "are those of another type of policy")
	c.that((p.Type == PolicyEnroll) == (p.Enroll != nil), "settings", "are those of another type of policy")
	if p.Password != nil {
		p.Password.check(&c)
	}
	checkEnroll(&c, p.Enroll)
	return c.err("policy %s is not valid", quoted(p.Name))
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
	r.Conditions.Device.check(&c)
	c.that(r.Conditions.Device == nil || r.Type == PolicyApp, "conditions.device", "is not asked by rules of this type: leave it out")
	c.that((r.Type == PolicyPassword) == (r.Password != nil) && (r.Type == PolicyEnroll) == (r.Enroll != "") && (r.Type == PolicyApp) == (r.App != nil),
		"actions", "are those of a rule of another type")
	switch {
	case r.Password != nil:
		r.Password.check(&c)
	case r.Enroll != "":
		c.oneOf("actions.enroll.self", r.Enroll, EnrollAtChallenge, EnrollAtLogin, EnrollNever)
	case r.App != nil:
		r.App.check(&c)
	default:
		r.Actions.check(&c)
	}
	return c.err("policy rule %s is not valid", quoted(r.Name))
}

func (s *SignOn) check(c *checks) {
	const at = "actions.signon."
	c.oneOf(at+"access", s.Access, SignOnAllow, SignOnDeny)
	c.oneOf(at+"primaryFactor", s.PrimaryFactor, PrimaryAny)
	if s.RequireFactor {
		c.oneOf(at+"factorPromptMode", s.FactorPromptMode, PromptAlways, PromptSession, PromptDevice)
		c.that(s.FactorPromptMode != PromptSession || s.FactorMinutes > 0, at+"factorLifetime", "is missing: say for how many minutes a second factor counts")
	}
	most := int(MaxSession / time.Minute)
	c.that(s.FactorMinutes >= 0 && s.FactorMinutes <= most, at+"factorLifetime", "must be at most 90 days, in minutes")
	c.that(s.IdleMinutes >= 1 && s.IdleMinutes <= most, at+"session.maxSessionIdleMinutes", "must be from 1 minute to 90 days")
	c.that(s.LifetimeMinutes >= 0 && s.LifetimeMinutes <= most, at+"session.maxSessionLifetimeMinutes", "must be 0 for as long as possible, or at most 90 days, in minutes")
	c.that(s.LifetimeMinutes == 0 || s.IdleMinutes <= s.LifetimeMinutes, at+"session.maxSessionIdleMinutes", "is longer than the session in all")
}

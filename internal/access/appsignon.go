package access

import (
	"regexp"
	"strconv"
	"time"
)

// AppSignOn is what a rule of an app's policy demands of a sign-in to it (Okta's
// appSignOn, with the verification method ASSURANCE).
type AppSignOn struct {
	Access string `json:"access"`     // SignOnAllow or SignOnDeny
	Mode   string `json:"factorMode"` // OneFactor or TwoFactors
	// Again is how old the proofs of the sign-in may be, an ISO 8601 duration; empty: as
	// old as the session. PT0S wants them for every sign-in to the app.
	Again string `json:"reauthenticateIn,omitempty"`
	// Inactive is for how long the session may have lain unused, likewise.
	Inactive string `json:"inactivityPeriod,omitempty"`
	// Password demands that a password is among the proofs, not older than PasswordAgain.
	Password      bool   `json:"password,omitempty"`
	PasswordAgain string `json:"passwordReauthenticateIn,omitempty"`
	// Phishing demands a factor that is safe from phishing: a passkey. Possession demands
	// something that the person has; neither may be older than PossessionAgain.
	Possession      bool   `json:"possession,omitempty"`
	Phishing        bool   `json:"phishingResistant,omitempty"`
	PossessionAgain string `json:"possessionReauthenticateIn,omitempty"`
}

// The words of AppSignOn, Okta's.
const (
	OneFactor  = "1FA"
	TwoFactors = "2FA"
)

// DefaultAppSignOn is what a rule demands of which nothing else is said: that of the
// session is enough.
func DefaultAppSignOn() AppSignOn { return AppSignOn{Access: SignOnAllow, Mode: OneFactor} }

func (a *AppSignOn) check(c *checks) {
	const at = "actions.appSignOn."
	c.oneOf(at+"access", a.Access, SignOnAllow, SignOnDeny)
	c.oneOf(at+"verificationMethod.factorMode", a.Mode, OneFactor, TwoFactors)
	for path, text := range map[string]string{
		"verificationMethod.reauthenticateIn": a.Again, "verificationMethod.inactivityPeriod": a.Inactive,
		"verificationMethod.constraints.knowledge.reauthenticateIn":  a.PasswordAgain,
		"verificationMethod.constraints.possession.reauthenticateIn": a.PossessionAgain,
	} {
		_, ok := ParsePeriod(text)
		c.that(ok, at+path, "must be a duration of days, hours, minutes and seconds such as PT2H, of at most 90 days")
	}
}

// period is the part of ISO 8601 durations that Okta's policies have: no months, whose
// length is not known.
var period = regexp.MustCompile(`^P(?:(\d{1,4})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)

// ParsePeriod returns an ISO 8601 duration. Empty is as long as sessions may be.
func ParsePeriod(text string) (time.Duration, bool) {
	if text == "" {
		return MaxSession, true
	}
	m := period.FindStringSubmatch(text)
	if m == nil || m[1]+m[2]+m[3]+m[4] == "" {
		return 0, false
	}
	var d time.Duration
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] != "" {
			n, err := strconv.Atoi(m[i+1])
			if err != nil {
				return 0, false
			}
			d += time.Duration(n) * unit
		}
	}
	return d, d <= MaxSession
}

// AppDecision is what the policy of an app says to a sign-in to it.
type AppDecision struct {
	Policy, PolicyName string
	Rule, RuleName     string // empty when no rule fits: then nobody is let in
	AppSignOn
}

// Allowed reports whether the person may be signed in to the app.
func (d *AppDecision) Allowed() bool { return d.Access == SignOnAllow }

// Two reports whether two factors are demanded.
func (d *AppDecision) Two() bool { return d.Mode == TwoFactors }

// Ages returns how old the proofs may be: any of them, the password, and the second factor.
func (d *AppDecision) Ages() (all, password, possession time.Duration) {
	all, _ = ParsePeriod(d.Again)
	password, possession = all, all
	if d.PasswordAgain != "" {
		password, _ = ParsePeriod(d.PasswordAgain)
	}
	if d.PossessionAgain != "" {
		possession, _ = ParsePeriod(d.PossessionAgain)
	}
	return all, password, possession
}

// Unused returns for how long the session may have lain unused.
func (d *AppDecision) Unused() time.Duration {
	unused, _ := ParsePeriod(d.Inactive)
	return unused
}

// AppSignOn asks the policy of an app, the tenant's own where the app names none that
// there is. When trace is not nil each step is appended to it.
func (v *View) AppSignOn(app *AppView, in *SignIn, trace *[]Considered) AppDecision {
	p := v.appPolicies[app.OIDC.SignOnPolicy]
	if p == nil {
		p = v.appPolicies[""]
	}
	if p == nil {
		return AppDecision{AppSignOn: DefaultAppSignOn()} // of a tenant that has not been made whole yet
	}
	d := AppDecision{Policy: p.id, PolicyName: p.Name, AppSignOn: AppSignOn{Access: SignOnDeny, Mode: OneFactor}}
	if r := p.firstFit(in, trace); r != nil {
		d.Rule, d.RuleName, d.AppSignOn = r.id, r.Name, *r.App
	}
	return d
}

// appViews compiles the policies of apps; the tenant's own is there by no name as well.
func (s *state) appViews(rules map[string][]sessionRuleView) map[string]*peoplePolicyView {
	out := map[string]*peoplePolicyView{}
	for id, p := range s.signOnPolicies {
		v := &peoplePolicyView{id: id, PeoplePolicy: PeoplePolicy{Name: p.Name, Status: p.Status, Priority: p.Priority, System: p.System}, rules: rules[id]}
		out[id] = v
		if p.System {
			out[""] = v
		}
	}
	return out
}

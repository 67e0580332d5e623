package access

import (
	"context"
	"slices"
	"strconv"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/tenant"
)

// The types of policies about people, Okta's words. A policy of no type is about signing
// in (PolicySignOn).
const (
	PolicySignOn   = "OKTA_SIGN_ON"  // when sessions may be begun, and how long they last
	PolicyPassword = "PASSWORD"      // what passwords have to be
	PolicyEnroll   = "MFA_ENROLL"    // which second factors people may have, and must
	PolicyApp      = "ACCESS_POLICY" // what signing in to an app demands
)

// PasswordSettings are what a policy of the type PASSWORD says, whatever its rules.
type PasswordSettings struct {
	directory.PasswordRule
	// NoLetter says that a forgotten password cannot be replaced by a link in a letter,
	// NoQuestion that it cannot by the answer to the recovery question.
	NoLetter   bool `json:"noLetter,omitempty"`
	NoQuestion bool `json:"noQuestion,omitempty"`
	// LinkMinutes is how long such a link is good.
	LinkMinutes int `json:"linkMinutes"`
}

// DefaultPasswordSettings are those of the policy that is made with the tenant.
func DefaultPasswordSettings() PasswordSettings {
	return PasswordSettings{PasswordRule: directory.DefaultPasswordRule(), LinkMinutes: 60}
}

// LinkTime returns how long a link that replaces the password is good.
func (s *PasswordSettings) LinkTime() time.Duration {
	return time.Duration(s.LinkMinutes) * time.Minute
}

// PasswordActions are what a rule of a policy of the type PASSWORD lets people do by
// themselves: SignOnAllow or SignOnDeny each.
type PasswordActions struct {
	Change string `json:"passwordChange"`
	Reset  string `json:"selfServicePasswordReset"`
	Unlock string `json:"selfServiceUnlock"`
}

// AllowPasswordActions lets people do everything.
func AllowPasswordActions() PasswordActions {
	return PasswordActions{Change: SignOnAllow, Reset: SignOnAllow, Unlock: SignOnAllow}
}

func (a *PasswordActions) check(c *checks) {
	c.oneOf("actions.passwordChange.access", a.Change, SignOnAllow, SignOnDeny)
	c.oneOf("actions.selfServicePasswordReset.access", a.Reset, SignOnAllow, SignOnDeny)
	c.oneOf("actions.selfServiceUnlock.access", a.Unlock, SignOnAllow, SignOnDeny)
}

// maxLinkMinutes is how long a link in a letter may be good: a week.
const maxLinkMinutes = 7 * 24 * 60

func (s *PasswordSettings) check(c *checks) {
	const at = "settings.password."
	within := func(n, least, most int, path string) {
		c.that(n >= least && n <= most, path, "must be from "+strconv.Itoa(least)+" to "+strconv.Itoa(most))
	}
	within(s.MinLength, 4, 64, at+"complexity.minLength")
	within(s.MinLower, 0, 1, at+"complexity.minLowerCase")
	within(s.MinUpper, 0, 1, at+"complexity.minUpperCase")
	within(s.MinNumber, 0, 1, at+"complexity.minNumber")
	within(s.MinSymbol, 0, 1, at+"complexity.minSymbol")
	for _, name := range s.NoNames {
		c.oneOf(at+"complexity.excludeAttributes", name, "firstName", "lastName")
	}
	within(s.History, 0, directory.MaxHistory, at+"age.historyCount")
	within(s.MaxAgeDays, 0, 999, at+"age.maxAgeDays")
	within(s.WarnDays, 0, 999, at+"age.expireWarnDays")
	c.that(s.MaxAgeDays == 0 || s.WarnDays <= s.MaxAgeDays, at+"age.expireWarnDays", "is longer than passwords last")
	within(s.MinAgeMinutes, 0, 999*24*60, at+"age.minAgeMinutes")
	c.that(s.MaxAgeDays == 0 || s.MinAgeMinutes < s.MaxAgeDays*24*60, at+"age.minAgeMinutes", "is longer than passwords last")
	c.that(s.MaxAttempts >= 1 && s.MaxAttempts <= directory.MaxAttempts, at+"lockout.maxAttempts", "must be from 1 to 100: guessing without end is not to be had")
	within(s.UnlockMinutes, 0, 999*24*60, at+"lockout.autoUnlockMinutes")
	within(s.LinkMinutes, 1, maxLinkMinutes, "settings.recovery.factors.okta_email.properties.recoveryToken.tokenLifetimeMinutes")
}

// PasswordDecision is what the password policies say of a person: the settings are those
// of the first policy that is for them, the actions those of its first rule that fits.
type PasswordDecision struct {
	Policy, PolicyName string // empty when none is for the person
	Rule, RuleName     string // empty when no rule fits: then the person may do nothing
	PasswordSettings
	PasswordActions
}

// MayChange reports whether people may replace their own password.
func (d *PasswordDecision) MayChange() bool { return d.Change == SignOnAllow }

// MayReset reports whether a forgotten password can be replaced by a letter.
func (d *PasswordDecision) MayReset() bool { return d.Reset == SignOnAllow && !d.NoLetter }

// MayUnlock reports whether who is locked out can end that by a letter.
func (d *PasswordDecision) MayUnlock() bool { return d.Unlock == SignOnAllow && !d.NoLetter }

// Password asks the password policies. When trace is not nil each step is appended to it.
func (v *View) Password(in *SignIn, trace *[]Considered) PasswordDecision {
	d := PasswordDecision{PasswordSettings: DefaultPasswordSettings(), PasswordActions: PasswordActions{Change: SignOnDeny, Reset: SignOnDeny, Unlock: SignOnDeny}}
	p := firstFor(v.people[PolicyPassword], in, trace)
	if p == nil {
		return d
	}
	d.Policy, d.PolicyName, d.PasswordSettings = p.id, p.Name, *p.Password
	if r := p.firstFit(in, trace); r != nil {
		d.Rule, d.RuleName, d.PasswordActions = r.id, r.Name, *r.Password
	}
	return d
}

// PreviewPassword returns what the password policies would say of a person.
func (s *Service) PreviewPassword(ctx context.Context, in SignIn) (d PasswordDecision, err error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err == nil {
		d = view.Password(&in, nil)
	}
	return d, err
}

// PasswordRule implements directory.Rules.
func (s *Service) PasswordRule(ctx context.Context, who directory.Subject) (directory.PasswordRule, error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return directory.PasswordRule{}, err
	}
	d := view.Password(&SignIn{User: who.User, Groups: who.Groups}, nil)
	return d.PasswordRule, nil
}

// MayEnroll implements directory.Rules.
func (s *Service) MayEnroll(ctx context.Context, who directory.Subject, factor string) (bool, error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return false, err
	}
	d := view.Enrollment(&SignIn{User: who.User, Groups: who.Groups}, nil)
	return d.May(factor), nil
}

// The words of a policy of the type MFA_ENROLL, Okta's.
const (
	EnrollOptional   = "OPTIONAL"
	EnrollRequired   = "REQUIRED"
	EnrollNotAllowed = "NOT_ALLOWED"

	EnrollAtChallenge = "CHALLENGE" // with the first sign-in that demands a second factor
	EnrollAtLogin     = "LOGIN"     // with the next sign-in
	EnrollNever       = "NEVER"     // not asked for; people may set them up by themselves
)

// Enrollable are the types of factors that a policy may be about.
func Enrollable() []string {
	return []string{directory.FactorTOTP, directory.FactorEmail, directory.FactorPasskey, directory.FactorQuestion}
}

// EnrollDecision is what the enrollment policies say of a person: which factors are those
// of the first policy that is for them, when is what its first rule that fits says.
type EnrollDecision struct {
	Policy, PolicyName string
	Rule, RuleName     string
	Factors            map[string]string // type to one of EnrollOptional, EnrollRequired; others are not allowed
	When               string
}

// May reports whether the person may have a factor of the type.
func (d *EnrollDecision) May(factor string) bool {
	return d.Factors[factor] != "" && d.Factors[factor] != EnrollNotAllowed
}

// Must reports whether the person has to have a factor of the type.
func (d *EnrollDecision) Must(factor string) bool { return d.Factors[factor] == EnrollRequired }

// AnyEnrollment lets people have every factor, and demands none.
func AnyEnrollment() map[string]string {
	out := map[string]string{}
	for _, f := range Enrollable() {
		out[f] = EnrollOptional
	}
	return out
}

// Enrollment asks the enrollment policies. When trace is not nil each step is appended to
// it. Whom no policy is for may have every factor: without one nobody could sign in where
// two are demanded.
func (v *View) Enrollment(in *SignIn, trace *[]Considered) EnrollDecision {
	d := EnrollDecision{Factors: AnyEnrollment(), When: EnrollNever}
	p := firstFor(v.people[PolicyEnroll], in, trace)
	if p == nil {
		return d
	}
	d.Policy, d.PolicyName, d.Factors = p.id, p.Name, p.Enroll
	if r := p.firstFit(in, trace); r != nil {
		d.Rule, d.RuleName, d.When = r.id, r.Name, r.Enroll
	}
	return d
}

func checkEnroll(c *checks, factors map[string]string) {
	for factor, self := range factors {
		c.that(slices.Contains(Enrollable(), factor), "settings", "names the factor "+quoted(factor)+", which there is not")
		c.oneOf("settings."+factor+".enroll.self", self, EnrollOptional, EnrollRequired, EnrollNotAllowed)
	}
}

package login

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// asked returns the organization's rules, and a person as they ask for one.
func (s *Server) asked(ctx context.Context, user string, from netip.Addr) (*access.View, access.SignIn, error) {
	in := access.SignIn{User: user, Address: from.WithZone("")}
	t, _ := tenant.From(ctx)
	view, err := s.cfg.Views.Get(ctx, t)
	if err != nil || user == "" || !view.PeoplePoliciesAskGroups() {
		return view, in, err
	}
	groups, err := s.cfg.People.GroupsOf(ctx, user)
	for _, g := range groups {
		in.Groups = append(in.Groups, g.ID)
	}
	return view, in, err
}

// passwordPolicy returns what holds for the passwords of a person who comes from an
// address; the empty one is somebody who is not there yet.
func (s *Server) passwordPolicy(ctx context.Context, user string, from netip.Addr) (d access.PasswordDecision, err error) {
	view, in, err := s.asked(ctx, user, from)
	if err == nil {
		d = view.Password(&in, nil)
	}
	return d, err
}

// guesses returns how many wrong passwords of a person are borne, and how long without
// one signing in rests then; 0: until somebody unlocks them. For who does not exist it is
// as for most.
func (s *Server) guesses(ctx context.Context, user *ledger.Object[directory.User]) (most int, rest time.Duration, err error) {
	if user == nil {
		return attemptsOfOne, restTime, nil
	}
	d, err := s.passwordPolicy(ctx, user.ID, netip.Addr{})
	return d.MaxAttempts, d.Rest(), err
}

// countedFor is how far apart wrong passwords still count as in a row where nothing but
// an unlocking ends a lock-out.
const countedFor = 90 * 24 * time.Hour

// takeGuess counts an attempt to guess the password of a person, before it is judged. It
// reports whether the person rests, and how many wrong ones there were right before.
func (s *Server) takeGuess(ctx context.Context, counter string, user *ledger.Object[directory.User], now time.Time) (resting bool, failed int, err error) {
	most, rest, err := s.guesses(ctx, user)
	if err != nil {
		return false, 0, err
	}
	if rest == 0 && user != nil && user.Value.Status == directory.LockedOut {
		return true, 0, nil // what is tried meanwhile must not lock them out again once they are unlocked
	}
	since := rest
	if rest == 0 {
		since = countedFor
	}
	n, err := s.cfg.Attempts.TakeAttempt(ctx, counter, now, since)
	if err != nil || n <= most {
		return false, n - 1, err
	}
	if rest == 0 && user != nil && maySignIn(user.Value.Status) {
		// From now on the status says it, and a new count begins with the unlocking.
		actor := ledger.System("sign-in")
		if err := s.cfg.Lifecycle.SetStatus(ctx, actor, user.ID, directory.LockedOut); err != nil {
			return true, n - 1, err
		}
		return true, n - 1, s.cfg.Attempts.EndAttempts(ctx, counter, now)
	}
	return true, n - 1, nil
}

// expired reports whether a password is to be replaced before anything else, by who has
// signed in with it.
func (s *Server) expired(ctx context.Context, byPassword bool, u *ledger.Object[directory.User]) (bool, error) {
	if u.Value.Status == directory.PasswordExpired || !byPassword {
		return u.Value.Status == directory.PasswordExpired, nil
	}
	d, err := s.passwordPolicy(ctx, u.ID, netip.Addr{})
	return err == nil && d.Expired(&u.Value, s.cfg.Now()), err
}

// hints say what a password has to be, for a page on which one is chosen.
func (s *Server) hints(lang string, d *access.PasswordDecision) []string {
	out := []string{s.say(lang, "password_rule", "n", d.MinLength)}
	for _, more := range []struct {
		asked bool
		key   string
	}{
		{d.MinLower > 0, "password_lower"},
		{d.MinUpper > 0, "password_upper"},
		{d.MinNumber > 0, "password_number"},
		{d.MinSymbol > 0, "password_symbol"},
		{d.NoLogin || len(d.NoNames) > 0, "password_no_name"},
	} {
		if more.asked {
			out = append(out, s.say(lang, more.key))
		}
	}
	if d.History > 0 {
		out = append(out, s.cfg.Kit.Words().Count(lang, "password_none_of", d.History))
	}
	return out
}

// passwordField is what a page shows of a password that is to be chosen.
type passwordField struct {
	Rules []string // in words
	Min   int      // characters
}

// passwordField returns it for a person; empty: for who is not there yet.
func (s *Server) passwordField(ctx context.Context, lang, user string) (passwordField, error) {
	d, err := s.passwordPolicy(ctx, user, netip.Addr{})
	return passwordField{Rules: s.hints(lang, &d), Min: d.MinLength}, err
}

// judgedApp is the app whose sign-on policy holds for the visit; nil: none.
func (v *visit) judgedApp() *access.AppView {
	if v.app != nil {
		return v.app
	}
	return v.judged
}

// appRuled returns what the policy of the visit's app demands of the person.
func (s *Server) appRuled(v *visit) (*access.AppDecision, error) {
	app := v.judgedApp()
	if app == nil {
		return &access.AppDecision{AppSignOn: access.DefaultAppSignOn()}, nil
	}
	rule, err := s.ruled(v)
	if err != nil {
		return nil, err
	}
	if rule.app == nil {
		if rule.in.Device, err = s.device(v, rule.view); err != nil {
			return nil, err
		}
		d := rule.view.AppSignOn(app, &rule.in, &rule.considered)
		rule.app = &d
	}
	return rule.app, nil
}

// device returns what is known of the device that the visit's browser is on. What is
// approved for a device elsewhere says nothing of that one (docs/adr/0020).
func (s *Server) device(v *visit, view *access.View) (d access.Device, err error) {
	if v.app == nil || !view.AppPoliciesAskDevice() {
		return d, nil
	}
	d.Managed = s.cfg.Certificates.Device(v.r, v.target.Tenant).Certificate != ""
	if d.Registered = d.Managed; !d.Registered && v.session.Passkey != "" {
		d.Registered, err = s.cfg.Persons.HoldsFactor(v.ctx(), v.user.ID, v.session.Passkey)
	}
	return d, err
}

// recentFor reports whether a proof is not older than a rule for the app says. What was
// proved for this very request is always recent.
func (v *visit) recentFor(at time.Time, most time.Duration, now time.Time) bool {
	return !at.IsZero() && (!at.Before(v.req.Created) || now.Sub(at) <= most)
}

// appWantsAgain reports whether the policy of the app wants the person to sign in again,
// or with a password.
func (s *Server) appWantsAgain(v *visit) (bool, error) {
	d, err := s.appRuled(v)
	if err != nil || v.judgedApp() == nil || !d.Allowed() {
		return false, err
	}
	now := s.cfg.Now()
	all, password, _ := d.Ages()
	if d.Password && v.session.PasswordAt.IsZero() && v.user.Value.Password == "" {
		return false, refuse("unmet_authentication_requirements", "The app demands a password, and this user has none.")
	}
	again := !v.recentFor(v.session.AuthTime, all, now)
	idle := v.session.AuthTime.Before(v.req.Created) && v.req.Unused > d.Unused()
	return again || idle || d.Password && !v.recentFor(v.session.PasswordAt, password, now), nil
}

// appDemands reports whether the policy of the app demands a second factor that the
// session has not shown, or not lately enough.
func (s *Server) appDemands(v *visit) (bool, error) {
	d, err := s.appRuled(v)
	if err != nil || !d.Two() && !d.Possession {
		return false, err
	}
	_, _, possession := d.Ages()
	if d.Phishing && !s.party(v.r).Ready() {
		return false, refuse("unmet_authentication_requirements", "The app demands a passkey, and there can be none here.")
	}
	// Who has signed in by a password since shows two factors anew: the session says one.
	safe := slices.Contains(levelsReached(v.session), LevelTwoFactors) && (!d.Phishing || v.session.ACR == LevelPhishing)
	return !safe || !v.recentFor(v.session.FactorAt, possession, s.cfg.Now()), nil
}

// onlyPhishing reports whether nothing less than a passkey will do for the visit.
func (s *Server) onlyPhishing(v *visit) bool {
	return v.req.onlyPhishing() || v.rule != nil && v.rule.app != nil && v.rule.app.Phishing
}

// wantsPassword reports whether nothing but a password will do for the sign-in.
func (s *Server) wantsPassword(v *visit) bool {
	return v.req.wantsPassword() || v.rule != nil && v.rule.app != nil && v.rule.app.Password && v.session != nil && v.session.PasswordAt.IsZero()
}

// admits reports by its error that the policy of an app does not let somebody sign in who
// can show a password and nothing else.
func (*Server) admits(client string, rule *ruling) error {
	app, ok := rule.view.App(client)
	if !ok {
		return nil
	}
	d := rule.view.AppSignOn(app, &rule.in, &rule.considered)
	if !d.Allowed() || d.Two() || d.Possession {
		return fault.New(fault.Denied, "the sign-on policy of the app does not allow a sign-in by the password alone")
	}
	return nil
}

// enrollment returns what the enrollment policies say of the visit's person.
func (s *Server) enrollment(v *visit) (*access.EnrollDecision, error) {
	if v.may == nil {
		rule, err := s.ruled(v)
		if err != nil {
			return nil, err
		}
		d := rule.view.Enrollment(&rule.in, nil)
		v.may = &d
	}
	return v.may, nil
}

// mayEnroll reports whether a person may set up a factor of the type.
func (s *Server) mayEnroll(r *http.Request, user, factor string) (bool, error) {
	view, in, err := s.asked(r.Context(), user, address(r))
	if err != nil {
		return false, err
	}
	d := view.Enrollment(&in, nil)
	return d.May(factor), nil
}

// owed returns a factor that the person has to set up now, because a policy says so,
// whatever else they have; empty: none.
func (s *Server) owed(v *visit, have *own) (string, error) {
	d, err := s.enrollment(v)
	if err != nil || d.When != access.EnrollAtLogin && (d.When != access.EnrollAtChallenge || v.session.FactorAt.IsZero() || v.session.FactorAt.Before(v.req.Created)) {
		return "", err
	}
	switch {
	case d.Must(directory.FactorPasskey) && len(have.passkeys) == 0 && s.party(v.r).Ready():
		return enrollPasskey, nil
	case d.Must(directory.FactorTOTP) && have.app == nil:
		return enrollApp, nil
	case d.Must(directory.FactorEmail) && have.mail == nil && s.canMail(v):
		return enrollMail, nil
	}
	return "", nil
}

// wanted is the factor that the visit is to set up; empty: one that the person chooses.
func (s *Server) wanted(v *visit, have *own) (string, error) {
	if v.req.Enroll != "" {
		return v.req.Enroll, nil
	}
	return s.owed(v, have)
}

// offers returns which factors the page lets the person set up.
func (s *Server) offers(v *visit, have *own) (app, mailed, passkey bool, err error) {
	d, err := s.enrollment(v)
	if err != nil {
		return false, false, false, err
	}
	want, err := s.wanted(v, have)
	wants := func(what string) bool { return want == "" || want == what }
	safe := s.onlyPhishing(v) && want == ""
	app = wants(enrollApp) && have.app == nil && !safe && d.May(directory.FactorTOTP)
	mailed = wants(enrollMail) && have.mail == nil && !safe && d.May(directory.FactorEmail) && s.canMail(v)
	passkey = wants(enrollPasskey) && d.May(directory.FactorPasskey) && s.party(v.r).Ready()
	return app, mailed, passkey, err
}

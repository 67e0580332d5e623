package login

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// Factors is what this room needs of people's second factors.
type Factors interface {
	ListFactors(ctx context.Context, userID string) ([]ledger.Object[directory.Factor], error)
	EnrollFactor(ctx context.Context, actor ledger.Actor, userID string, n directory.NewFactor) (ledger.Object[directory.Factor], string, error)
	ActivateFactor(ctx context.Context, actor ledger.Actor, userID, id, code string) (ledger.Object[directory.Factor], error)
	VerifyFactor(ctx context.Context, userID, id, answer string) error
	RemoveFactor(ctx context.Context, actor ledger.Actor, userID, id string) error
}

// Recovery is what this room needs of recovery codes.
type Recovery interface {
	NewRecoveryCodes(ctx context.Context, actor ledger.Actor, userID string) ([]string, error)
	// UseRecoveryCode takes a code, once, and returns how many are left; fault.Denied
	// when it is none.
	UseRecoveryCode(ctx context.Context, userID, typed string) (left int, err error)
	RecoveryCodes(ctx context.Context, userID string) (left int, made time.Time, err error)
}

// Bounds of second factors.
const (
	// codesOfOne is how many codes in a row may be wrong. They are counted apart from
	// passwords: whoever knows the password must not be able to begin the count anew.
	codesOfOne = 10
	// enrollTime is how long after the sign-in a first factor may be set up.
	enrollTime = 10 * time.Minute
	// changeTime is how long after a second factor it may be taken away.
	changeTime = 5 * time.Minute
)

// authenticator returns the user's authenticator app of the status; nil for none.
func (s *Server) authenticator(ctx context.Context, user, status string) (*ledger.Object[directory.Factor], error) {
	list, err := s.cfg.Factors.ListFactors(ctx, user)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if f := &list[i]; f.Value.Type == directory.FactorTOTP && f.Value.Status == status {
			return f, nil
		}
	}
	return nil, nil
}

// needsEnrollment reports whether a second factor is to be set up: who has one
// already proves that first.
func (s *Server) needsEnrollment(v *visit) (bool, error) {
	missing, have, err := s.missing(v)
	return missing && (!have.any() || s.proven(v)), err
}

// missing reports whether a factor is wanted that the person does not have.
func (s *Server) missing(v *visit) (bool, *own, error) {
	have, err := s.factors(v)
	if err != nil {
		return false, &own{}, err
	}
	switch v.req.Enroll {
	case enrollApp:
		return have.app == nil, have, nil
	case enrollMail:
		return have.mail == nil, have, nil
	case enrollPasskey:
		fresh := func(f ledger.Object[directory.Factor]) bool { return !f.Created.Before(v.req.Created) }
		return !slices.ContainsFunc(have.passkeys, fresh), have, nil
	}
	demanded, err := s.demanded(v, have)
	if err != nil || demanded && have.satisfies(s.onlyPhishing(v)) {
		return false, have, err // it is proved first
	}
	if owed, err := s.owed(v, have); err != nil || owed != "" {
		return true, have, err
	}
	if !demanded {
		return false, have, nil
	}
	app, mailed, passkey, err := s.offers(v, have)
	if err == nil && !app && !mailed && !passkey {
		err = refuse("unmet_authentication_requirements", "A second factor is demanded, and the user may set up none.")
	}
	return true, have, err
}

// satisfies reports whether the person has what is demanded; only a passkey will do
// where it has to be safe from phishing.
func (o *own) satisfies(phishing bool) bool {
	return len(o.passkeys) > 0 || (o.app != nil || o.mail != nil) && !phishing
}

// proven reports whether a factor was used just now: then it may be added to, and
// taken away.
func (s *Server) proven(v *visit) bool {
	return s.cfg.Now().Sub(v.session.FactorAt) <= changeTime
}

// enrollsUnproven reports whether a second factor would be set up now on the
// strength of a sign-in that is not fresh: a browser that was left open must not be
// enough to decide what proves its owner from then on.
func (s *Server) enrollsUnproven(v *visit) (bool, error) {
	if s.proven(v) || s.cfg.Now().Sub(v.session.AuthTime) <= enrollTime {
		return false, nil // by a password, or at a provider
	}
	return s.needsEnrollment(v)
}

// enrollPage is what the page shows.
type enrollPage struct {
	Token   string
	App     string // that asks for it; empty for a page of ours
	Login   string
	Passkey *passkeyForm // nil: not offered
	Mail    *mailForm    // nil: codes by e-mail are not offered
	ByCode  bool         // an authenticator app is offered
	Begun   bool         // a secret was made
	Secret  string       // in groups of four, shown once
	Image   squares
	More    bool // the person has a factor already
	Problem string
}

func (s *Server) showEnrollment(v *visit) {
	p := enrollPage{Token: v.token, Login: v.user.Value.Profile.Login, Begun: v.begun, Problem: s.problem(v)}
	if v.app != nil {
		p.App = v.app.Label
	}
	if v.secret != "" {
		site, _ := s.cfg.Site(v.r)
		image, err := qrSquares(keyURI(site.name(), p.Login, v.secret))
		if err != nil {
			s.end(v, err)
			return
		}
		p.Secret, p.Image = grouped(v.secret), image
	}
	have, err := s.factors(v)
	var byMail, byPasskey bool
	if err == nil {
		p.More = have.any()
		p.ByCode, byMail, byPasskey, err = s.offers(v, have)
	}
	if err == nil && !v.begun && byMail {
		p.Mail, err = s.enrollMailForm(v)
	}
	if p.Mail.alone(v) {
		p.ByCode = false
	} else if err == nil && !v.begun && byPasskey {
		p.Passkey, err = s.passkeyForm(v, ceremony{Use: useCreate, User: v.user.ID}, "enroll")
	}
	if err != nil {
		s.end(v, err)
		return
	}
	p.Mail.beside(v, p.Passkey != nil || p.ByCode || p.Mail.alone(v) && (p.ByCode || byPasskey))
	head := s.head(v, "enroll_title")
	if p.Passkey != nil {
		head.Script = passkeyScript
	}
	s.pages.enroll.Write(v.ctx(), v.w, v.pageStatus(), head, p)
}

// takeEnrollment makes a secret and shows it, or takes the first code of it: that is
// the second factor of this sign-in already.
func (s *Server) takeEnrollment(v *visit) error {
	ctx, user := v.ctx(), v.user
	have, err := s.factors(v)
	if err != nil {
		return err
	}
	byCode, byMail, byPasskey, err := s.offers(v, have)
	if err != nil {
		return err
	}
	if answer := field(v.r, "passkey"); answer != "" && byPasskey {
		return s.takeNewPasskey(v, []byte(answer))
	}
	if (field(v.r, "mail") != "" || field(v.r, "mailcode") != "") && byMail {
		return s.takeMailEnrollment(v)
	}
	if !byCode {
		return nil // the page is shown again: it does not offer that
	}
	pending, err := s.authenticator(ctx, user.ID, directory.FactorPending)
	if err != nil {
		return err
	}
	if field(v.r, "code") == "" {
		if pending != nil { // its secret has been shown, and cannot be shown again
			if err := s.cfg.Factors.RemoveFactor(ctx, self(user), user.ID, pending.ID); err != nil && !fault.Is(err, fault.NotFound) {
				return err
			}
		}
		_, v.secret, err = s.cfg.Factors.EnrollFactor(ctx, self(user), user.ID, directory.NewFactor{Type: directory.FactorTOTP, Provider: "OKTA"})
		v.begun = err == nil
		return err
	}
	if pending == nil {
		v.status, v.problem = http.StatusUnprocessableEntity, "enroll_stale"
		return nil
	}
	v.begun = true
	return s.takeCode(v, directory.FactorTOTP, field(v.r, "code"), func(code string) error {
		_, err := s.cfg.Factors.ActivateFactor(ctx, self(user), user.ID, pending.ID, code)
		return err
	})
}

// factorPage is what the page shows.
type factorPage struct {
	Token   string
	App     string
	Login   string
	Passkey *passkeyForm // nil: the person has none
	ByCode  bool         // the person has an authenticator app
	Mail    *mailForm    // nil: the person has no codes by e-mail
	First   bool         // what is proved now is for setting up another one
	Recover bool         // a recovery code will do
	Opened  bool         // the person was about to use one
	Keep    *rememberForm
	Problem string
}

func (s *Server) showFactor(v *visit) {
	p := factorPage{Token: v.token, Login: v.user.Value.Profile.Login, Problem: s.problem(v)}
	if v.app != nil {
		p.App = v.app.Label
	}
	missing, have, err := s.missing(v)
	p.First = missing
	weaker := missing || !s.onlyPhishing(v)
	p.ByCode = have.app != nil && weaker
	if err == nil && weaker {
		p.Mail, err = s.mailForm(v, have.mail, "factor")
	}
	p.Mail.beside(v, p.ByCode || len(have.passkeys) > 0)
	p.ByCode = p.ByCode && !p.Mail.alone(v)
	if err == nil && weaker {
		var left int
		left, _, err = s.cfg.Recovery.RecoveryCodes(v.ctx(), v.user.ID)
		p.Recover, p.Opened = left > 0, field(v.r, "recovery") != ""
	}
	head := s.head(v, "factor_title")
	if err == nil && len(have.passkeys) > 0 && !p.Mail.alone(v) {
		p.Passkey, err = s.passkeyForm(v, ceremony{Use: useGet, User: v.user.ID}, "factor")
		head.Script = passkeyScript
	}
	if err != nil {
		s.end(v, err)
		return
	}
	p.Keep = s.rememberForm(v)
	if p.Mail != nil {
		p.Mail.Keep = p.Keep
	}
	if p.Passkey != nil {
		p.Passkey.Keep = p.Keep
	}
	s.pages.factor.Write(v.ctx(), v.w, v.pageStatus(), head, p)
}

// takeFactor checks an answer of one of the person's passkeys, or a code of their
// authenticator app.
func (s *Server) takeFactor(v *visit) error {
	if answer := field(v.r, "passkey"); answer != "" {
		return s.takePasskeyFactor(v, []byte(answer))
	}
	if code := field(v.r, "recovery"); code != "" {
		return s.takeCode(v, directory.FactorRecovery, code, func(code string) error {
			_, err := s.cfg.Recovery.UseRecoveryCode(v.ctx(), v.user.ID, code)
			return err
		})
	}
	have, err := s.factors(v)
	if code := field(v.r, "mailcode"); err == nil && have.mail != nil && code != "" {
		return s.takeCode(v, directory.FactorEmail, code, func(code string) error {
			return s.cfg.Factors.VerifyFactor(v.ctx(), v.user.ID, have.mail.ID, code)
		})
	}
	if err == nil && have.mail != nil && field(v.r, "mail") != "" {
		return s.sendOnPage(v, have.mail.ID)
	}
	if err != nil || have.app == nil {
		return err
	}
	return s.takeCode(v, directory.FactorTOTP, field(v.r, "code"), func(code string) error { return s.cfg.Factors.VerifyFactor(v.ctx(), v.user.ID, have.app.ID, code) })
}

// takeCode has a code checked, within the bounds of guessing that all codes of the
// person share, and raises the session when it is right.
func (s *Server) takeCode(v *visit, factor, code string, check func(code string) error) error {
	now, user := s.cfg.Now(), v.user
	if wait := s.networkFull(v.r, now); wait > 0 {
		v.busy(http.StatusTooManyRequests, wait, "busy_network")
		return nil
	}
	counter := codeCounter(user.ID)
	n, err := s.cfg.Attempts.TakeAttempt(v.ctx(), counter, now, restTime)
	if err != nil {
		return err
	}
	if n > codesOfOne {
		s.recordFactor(v, factor, "LOCKED_OUT")
		v.busy(http.StatusTooManyRequests, restTime, "factor_resting")
		return nil
	}
	if err := check(strings.ReplaceAll(code, " ", "")); err != nil {
		f := fault.Of(err)
		if f == nil || f.Code != fault.Denied {
			return err
		}
		v.status, v.problem = http.StatusUnauthorized, "factor_wrong"
		if factor == directory.FactorRecovery {
			v.problem = "recovery_wrong"
		}
		if factor == directory.FactorEmail {
			v.problem = "mailcode_wrong"
		}
		if f.Reason == directory.ReasonUsedCode {
			v.problem = "factor_used"
		}
		s.recordFactor(v, factor, "INVALID_CREDENTIALS")
		return nil
	}
	if err := s.cfg.Attempts.EndAttempts(v.ctx(), counter, now); err != nil {
		return err
	}
	return s.raise(v, factor, session.Proof{AMR: []string{"otp", "mfa"}, ACR: LevelTwoFactors})
}

// raise begins the session anew at the level that a factor has reached, in ways that
// come to those before: with another secret, so that nobody who had the old one has this.
func (s *Server) raise(v *visit, factor string, p session.Proof) error {
	methods := slices.Clone(v.session.AMR)
	for _, m := range p.AMR {
		if !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	p.Factor, p.AMR = true, methods
	if err := s.admitAs(v, v.user, p, true); err != nil || v.problem != "" {
		return err
	}
	s.recordFactor(v, factor, "")
	return s.rememberBrowser(v)
}

// recordFactor records that a second factor was used; a reason says why not.
func (s *Server) recordFactor(v *visit, factor, reason string) {
	t, _ := tenant.From(v.ctx())
	e := audit.Event{
		Tenant: t, Type: audit.FactorUsed, Message: "Authentication of user via MFA",
		Actor:  audit.Entity{ID: v.user.ID, Type: "User", AlternateID: v.user.Value.Profile.Login, DisplayName: v.user.Value.Profile.DisplayName()},
		Client: audit.Client{IP: address(v.r).String(), UserAgent: v.r.UserAgent()}, Outcome: audit.Outcome{Result: audit.Success},
		Debug: map[string]string{"session": v.session.ID, "factor": factor},
	}
	if reason != "" {
		e.Severity, e.Outcome = audit.Warn, audit.Outcome{Result: audit.Failure, Reason: reason}
	}
	s.cfg.Audit.Record(e)
}

// proveFactor leads a person to prove a second factor, or to set one up, before a
// page of ours.
func (s *Server) proveFactor(w http.ResponseWriter, r *http.Request, page string) {
	age := int64(changeTime / time.Second)
	s.ask(&visit{w: w, r: r, req: Request{Page: page, Levels: []string{LevelTwoFactors}, MaxAge: &age, Created: s.cfg.Now()}})
}

// enrollFactor leads a person to set up a factor, before a page of ours. Who has an
// authenticator app is asked for it: another one would take its place.
func (s *Server) enrollFactor(w http.ResponseWriter, r *http.Request, m *member, what, page string) {
	have, err := s.factorsOf(r.Context(), s.party(r), m.user.ID)
	allowed := false
	if err == nil {
		types := map[string]string{enrollApp: directory.FactorTOTP, enrollMail: directory.FactorEmail, enrollPasskey: directory.FactorPasskey}
		allowed, err = s.mayEnroll(r, m.user.ID, types[what])
	}
	switch {
	case err != nil:
		s.lost(w, r, err)
	case !allowed:
		http.Redirect(w, r, "/account", http.StatusSeeOther) // the page does not offer it
	case what == enrollApp && have.app != nil:
		s.proveFactor(w, r, "/account") //nolint:contextcheck // a visit carries its request
	default:
		s.ask(&visit{w: w, r: r, req: Request{Page: page, Enroll: what, Created: s.cfg.Now()}}) //nolint:contextcheck // the same
	}
}

// removeFactor takes a second factor away, the authenticator app when id is empty;
// other browsers were signed in on its strength and are signed out.
func (s *Server) removeFactor(ctx context.Context, r *http.Request, m *member, id string) error {
	have, err := s.factorsOf(ctx, s.party(r), m.user.ID)
	if err != nil {
		return err
	}
	if id == "" && have.app != nil {
		id = have.app.ID
	}
	theirs := have.app != nil && have.app.ID == id || have.mail != nil && have.mail.ID == id ||
		slices.ContainsFunc(have.passkeys, func(f ledger.Object[directory.Factor]) bool { return f.ID == id })
	if !theirs {
		return nil
	}
	if err := s.cfg.Factors.RemoveFactor(ctx, self(m.user), m.user.ID, id); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	_, err = s.cfg.Sessions.End(ctx, session.Selection{User: m.user.ID, Except: m.session.ID})
	return err
}

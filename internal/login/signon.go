package login

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
	"gatehouse/internal/risk"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// ruling is what the sign-on policies say of a person who signs in, or is signed in
// and goes on: both are asked every time, so that a rule holds for who is in already.
type ruling struct {
	access.SignInDecision
	considered []access.Considered
	level      risk.Level // empty: no rule has asked
	risk       risk.Assessment

	// What the policies were asked, for those of apps and about factors.
	view *access.View
	in   access.SignIn
	app  *access.AppDecision // of the visit's app; nil: not asked yet
}

// signals are what is known of a sign-in besides who comes from where.
type signals struct {
	session *session.Session // that goes on; nil: there is none
	new     bool             // a proof that begins a session: what is new about it is always looked at
	failed  int              // wrong passwords right before
}

// ruling asks the sign-on policies about a person who comes by a request.
func (s *Server) ruling(r *http.Request, user string, of signals) (*ruling, error) {
	view, in, err := s.asked(r.Context(), user, address(r))
	if err != nil {
		return nil, err
	}
	out := &ruling{view: view}
	if of.new || view.PeoplePoliciesAskRisk() {
		if out.risk, err = s.assess(r, user, of.failed); err != nil {
			return nil, err
		}
		out.level = out.risk.Level
		// What was new when the session was begun has not become usual by it.
		if of.session != nil {
			out.level = risk.Max(risk.Level(of.session.Risk), out.level)
		}
		in.Risk, in.RiskWhy = string(out.level), out.risk.Explain()
	}
	out.in, out.SignInDecision = in, view.SignIn(&in, &out.considered)
	return out, nil
}

// demands reports whether the rule wants a second factor that the session has not
// shown, or not lately enough.
func (d *ruling) demands(s *session.Session, now time.Time) bool {
	switch {
	case !d.RequireFactor:
		return false
	case s.FactorAt.IsZero():
		return true
	case d.FactorPromptMode == access.PromptSession:
		return now.Sub(s.FactorAt) > d.FactorLifetime()
	}
	return s.FactorAt.Before(s.AuthTime) // signed in again since
}

// limits are those of the rule for sessions.
func (d *ruling) limits() session.Limits {
	return session.Limits{Idle: d.Idle(), Total: d.Lifetime()}
}

// note adds to an event of the system log which rule has decided, and why each one
// before it has not.
func (d *ruling) note(e *audit.Event) {
	if e.Debug == nil {
		e.Debug = map[string]string{}
	}
	e.Debug["policy"], e.Debug["rule"], e.Debug["considered"] = d.Policy, d.Rule, access.Explain(d.considered)
}

// ruled returns what the policies say of the person of the visit.
func (s *Server) ruled(v *visit) (*ruling, error) {
	if v.rule == nil {
		rule, err := s.ruling(v.r, v.user.ID, signals{session: v.session})
		if err != nil {
			return nil, err
		}
		v.rule = rule
	}
	return v.rule, nil
}

// admit begins the session of who has just proved who they are, or raises the one that
// is there, as the policies say. Where they do not let the person in, nothing is begun:
// that is the visit's problem.
func (s *Server) admit(v *visit, user *ledger.Object[directory.User], p session.Proof) error {
	return s.admitAs(v, user, p, false)
}

// admitAs is admit; raised says that the session goes on, at another level.
func (s *Server) admitAs(v *visit, user *ledger.Object[directory.User], p session.Proof, raised bool) error {
	of := signals{session: v.session, new: !raised, failed: v.failed}
	if v.session != nil && v.session.User != user.ID {
		of.session = nil
	}
	rule, err := s.ruling(v.r, user.ID, of)
	if err != nil {
		return err
	}
	if !rule.Allowed() {
		s.recordDenial(v.ctx(), v.r, user, rule)
		v.status, v.problem = http.StatusForbidden, "not_allowed_text"
		return nil
	}
	p.Risk = string(rule.level)
	if raised {
		p.Risk = v.session.Risk
	}
	p.User, p.Address, p.Agent, p.Limits = user.ID, address(v.r).String(), v.r.UserAgent(), rule.limits()
	sess, secret, err := s.cfg.Sessions.Begin(v.ctx(), v.session, p)
	if err != nil {
		return err
	}
	if rule.PersistentCookie {
		s.cfg.Kit.KeepCookie(v.w, sessionCookie, secret, sess.Expires.Sub(s.cfg.Now()))
	} else {
		s.cfg.Kit.SetCookie(v.w, sessionCookie, secret)
	}
	v.session, v.user, v.rule, v.may = &sess, user, rule, nil
	return nil
}

// needsAllowed reports whether the policies keep out who is signed in: a rule may have
// been made since, and the browser may be somewhere else now.
func (s *Server) needsAllowed(v *visit) (bool, error) {
	rule, err := s.ruled(v)
	if err != nil {
		return false, err
	}
	app, err := s.appRuled(v)
	if err != nil || rule.Allowed() && app.Allowed() {
		return false, err
	}
	s.recordDenial(v.ctx(), v.r, v.user, rule)
	if v.app != nil {
		return true, refuse("access_denied", "The sign-on policy does not allow access.")
	}
	return true, nil
}

func (s *Server) showDenied(v *visit) { s.keepOut(v.w, v.r) }

// takeDenied takes nothing: there is no form.
func (*Server) takeDenied(*visit) error { return nil }

// keepOut says that the policies do not let the person in from here.
func (s *Server) keepOut(w http.ResponseWriter, r *http.Request) {
	lang := s.language(r)
	s.pages.message.Write(r.Context(), w, http.StatusForbidden, s.titled(r, lang, "not_allowed_title"), messagePage{
		Heading: s.say(lang, "not_allowed_title"), Text: s.say(lang, "not_allowed_text"),
	})
}

// recordDenial records that the policies keep somebody out.
func (s *Server) recordDenial(ctx context.Context, r *http.Request, user *ledger.Object[directory.User], rule *ruling) {
	t, _ := tenant.From(ctx)
	e := audit.Event{
		Tenant: t, Type: audit.SignOnJudged, Severity: audit.Warn, Message: "Evaluation of sign-on policy",
		Actor:  audit.Entity{ID: user.ID, Type: "User", AlternateID: user.Value.Profile.Login, DisplayName: user.Value.Profile.DisplayName()},
		Client: audit.Client{IP: address(r).String(), UserAgent: r.UserAgent()}, Outcome: audit.Outcome{Result: audit.Deny, Reason: "SIGN_ON_POLICY"},
	}
	if app := rule.app; app != nil && rule.Allowed() {
		e.Targets = []audit.Entity{{ID: app.Policy, Type: "PolicyEntity", DisplayName: app.PolicyName}}
	} else if rule.Rule != "" {
		e.Targets = []audit.Entity{{ID: rule.Policy, Type: "PolicyEntity", DisplayName: rule.PolicyName}, {ID: rule.Rule, Type: "PolicyRule", DisplayName: rule.RuleName}}
	}
	rule.note(&e)
	if rule.level != "" {
		noteRisk(&e, rule.level, &rule.risk)
	}
	s.cfg.Audit.Record(e)
}

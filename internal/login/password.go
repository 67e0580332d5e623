package login

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// Bounds of guessing where no password policy says others. A person has ten attempts
// over all names that stand for them; then signing in rests until a quarter of an hour
// without an attempt has passed. It rests for who does not exist as well, and the page
// says the same.
const (
	attemptsOfOne = 10
	restTime      = 15 * time.Minute
)

// attemptsOfNetwork is for an office behind one address, and little for guessing.
var attemptsOfNetwork = ratelimit.Rate{Count: 150, Period: 5 * time.Minute} //nolint:gochecknoglobals // a constant

// hashingTime is how long a sign-in waits for its turn to hash.
const hashingTime = 5 * time.Second

// needsSignIn asks for the password of who is not signed in, and again where prompt,
// max_age or the setting up of a second factor want it fresh.
func (s *Server) needsSignIn(v *visit) (bool, error) {
	if v.session == nil {
		return true, nil
	}
	if v.req.Subject != "" && v.req.Subject != v.user.ID {
		return true, nil
	}
	if !v.req.recent(v.session.AuthTime, s.cfg.Now()) {
		return true, nil
	}
	if v.req.wantsPassword() && !v.req.reaches(v.session, s.cfg.Now()) {
		return true, nil // signed in by a passkey
	}
	if again, err := s.appWantsAgain(v); err != nil || again {
		return again, err
	}
	return s.enrollsUnproven(v)
}

// signInPage is what the page shows.
type signInPage struct {
	Token   string
	App     string       // empty for a page of ours
	Name    string       // who it is, as far as known
	Again   bool         // the person is signed in and is to prove it again
	Passkey *passkeyForm // nil: not offered
	Problem string
	Cancel  bool
	Recover bool // a forgotten password can be replaced
	Begin   bool // people can make an account for themselves
	First   bool // only the name is asked for: it decides what comes next

	Providers []providerLink
}

func (s *Server) showSignIn(v *visit) {
	p := signInPage{Token: v.token, Name: field(v.r, "identifier"), Problem: s.problem(v), Cancel: v.app != nil, Recover: s.cfg.Letters != nil}
	_, p.Begin = s.registration(v.r)
	if v.app != nil {
		p.App = v.app.Label
	}
	if v.known() != "" {
		p.Name, p.Again = v.user.Value.Profile.Login, true
	}
	if p.Name == "" {
		p.Name = v.req.LoginHint
	}
	if !utf8.ValidString(p.Name) || len(p.Name) > 100 {
		p.Name = ""
	}
	if s.federated(v, &p) {
		return
	}
	head := s.head(v, "signin_title")
	var err error
	if p.Passkey, err = s.signInPasskey(v); err != nil {
		s.end(v, err)
		return
	}
	if p.Passkey != nil {
		head.Script = passkeyScript
	}
	s.pages.signIn.Write(v.ctx(), v.w, v.pageStatus(), head, p)
}

// takeSignIn checks the password. Who does not exist, has no password, may not act
// or has tried too often gets the same answer in the same time as one with a wrong
// password.
func (s *Server) takeSignIn(v *visit) error {
	if answer := field(v.r, "passkey"); answer != "" {
		return s.takePasskeySignIn(v, []byte(answer))
	}
	now := s.cfg.Now()
	if wait := s.networkFull(v.r, now); wait > 0 {
		v.busy(http.StatusTooManyRequests, wait, "busy_network")
		return nil
	}
	identifier, password := field(v.r, "identifier"), field(v.r, "password")
	if v.known() != "" {
		identifier = v.user.Value.Profile.Login
	}
	if strings.TrimSpace(identifier) != "" {
		to, err := s.providerOf(v, identifier)
		if err != nil || to != nil || password == "" && field(v.r, "first") != "" {
			v.again = true
			return err
		}
	}
	if strings.TrimSpace(identifier) == "" || password == "" {
		v.status, v.problem = http.StatusUnprocessableEntity, "signin_empty"
		return nil
	}
	user, failed, err := s.judge(v.ctx(), identifier, password, now)
	switch {
	case isDirectoryDown(err):
		s.cfg.Log.LogAttrs(v.ctx(), slog.LevelError, "the directory server cannot be asked", slog.Any("error", err))
		v.busy(http.StatusServiceUnavailable, 30*time.Second, "directory_down")
		return nil
	case fault.Is(err, fault.Timeout):
		v.busy(http.StatusServiceUnavailable, 5*time.Second, "busy_all")
		return nil
	case fault.Is(err, fault.Denied):
		s.recordSignIn(v, identifier, nil, fault.Of(err).Reason)
		v.status, v.problem = http.StatusUnauthorized, "signin_wrong"
		return nil
	case err != nil:
		return err
	case v.req.Subject != "" && user.ID != v.req.Subject:
		return refuse("login_required", "Another user than the one of the id_token_hint has signed in.")
	}
	v.failed = failed
	if err := s.admit(v, user, session.Proof{Password: true, AMR: []string{"pwd"}, ACR: LevelPassword}); err != nil || v.problem != "" {
		return err
	}
	s.recordSignIn(v, identifier, user, "")
	return nil
}

// judge returns the user who signs in, with how many passwords were wrong right before,
// or fault.Denied with the reason that the system log has. The attempt is counted before
// the password is looked at, so that of many at a time no more than the bound are.
func (s *Server) judge(ctx context.Context, identifier, password string, now time.Time) (_ *ledger.Object[directory.User], failed int, err error) {
	denied := func(reason string) error {
		return fault.New(fault.Denied, "the sign-in is refused").WithReason(reason)
	}
	found, err := s.cfg.People.Identify(ctx, identifier)
	user := &found
	counter := found.ID
	if fault.Is(err, fault.NotFound) {
		// One of a fixed number of counters, so that names nobody has cannot fill the store.
		user, counter = nil, unknownCounter(identifier)
	} else if err != nil {
		return nil, 0, err
	}
	if there, err := s.directory(ctx, identifier, user); err != nil || there != nil {
		if err != nil {
			return nil, 0, err
		}
		return s.judgeThere(ctx, there, identifier, password, now)
	}
	resting, failed, err := s.takeGuess(ctx, counter, user, now)
	if err != nil {
		return nil, 0, err
	}
	checked := user
	if user != nil && (resting || !maySignIn(user.Value.Status)) {
		checked = nil // the work is done all the same
	}
	hashing, cancel := context.WithTimeout(ctx, hashingTime)
	defer cancel()
	ok, err := s.cfg.People.Authenticate(hashing, checked, password)
	switch {
	case err != nil:
		return nil, 0, s.unjudged(ctx, counter, err)
	case user == nil:
		return nil, 0, denied("UNKNOWN_USER")
	case resting:
		return nil, 0, denied("LOCKED_OUT")
	case checked == nil:
		return nil, 0, denied(string(user.Value.Status))
	case !ok:
		return nil, 0, denied("INVALID_CREDENTIALS")
	}
	return user, failed, s.cfg.Attempts.EndAttempts(ctx, user.ID, now)
}

func unknownCounter(identifier string) string {
	return "unknown-" + keys.Hash(strings.ToLower(identifier))[:3]
}

// maySignIn reports whether a user of the status may sign in with a password.
func maySignIn(status directory.Status) bool {
	return status == directory.Active || status == directory.PasswordExpired
}

// networkFull counts an attempt of a network, and returns how long it has to wait;
// 0 when it may go on.
func (s *Server) networkFull(r *http.Request, now time.Time) time.Duration {
	base := s.tries.Key("sign-in")
	got := s.tries.Take(now, s.tries.JoinAddr(base, address(r)), attemptsOfNetwork, 1)
	if got.Allowed {
		return 0
	}
	return max(got.RetryAfter, time.Second)
}

// busy answers with a page that is shown again, and when.
func (v *visit) busy(status int, wait time.Duration, problem string) {
	v.w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	v.status, v.problem = status, problem
}

func address(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

func (s *Server) recordSignIn(v *visit, identifier string, user *ledger.Object[directory.User], reason string) {
	t, _ := tenant.From(v.ctx())
	e := audit.Event{
		Tenant: t, Type: audit.SessionStarted, Message: "User login to Gatehouse",
		Actor:  audit.Entity{Type: "User", AlternateID: shorten(identifier)},
		Client: audit.Client{IP: address(v.r).String(), UserAgent: v.r.UserAgent()}, Outcome: audit.Outcome{Result: audit.Success},
	}
	if user != nil {
		e.Actor = audit.Entity{ID: user.ID, Type: "User", AlternateID: user.Value.Profile.Login, DisplayName: user.Value.Profile.DisplayName()}
		e.Debug = map[string]string{"session": v.session.ID}
		v.rule.note(&e)
		noteRisk(&e, v.rule.level, &v.rule.risk)
	} else {
		e.Severity, e.Outcome = audit.Warn, audit.Outcome{Result: audit.Failure, Reason: reason}
	}
	s.cfg.Audit.Record(e)
}

func shorten(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.ToValidUTF8(s, "")
}

// needsPassword reports whether the password is to be replaced first.
func (s *Server) needsPassword(v *visit) (bool, error) {
	return s.expired(v.ctx(), !v.session.PasswordAt.IsZero(), v.user)
}

// needsFactorFirst reports whether a second factor is to be proved before the
// password is replaced.
func (s *Server) needsFactorFirst(v *visit) (bool, error) {
	expired, err := s.needsPassword(v)
	if err != nil || !expired || s.proven(v) {
		return false, err
	}
	have, err := s.factors(v)
	return err == nil && have.any(), err
}

// passwordPage is what the page shows.
type passwordPage struct {
	Token   string
	Name    string
	Problem string
	Field   passwordField
}

func (s *Server) showPassword(v *visit) {
	p := passwordPage{Token: v.token, Name: v.user.Value.Profile.Login, Problem: s.problem(v)}
	var err error
	if p.Field, err = s.passwordField(v.ctx(), s.lang(v), v.user.ID); err != nil {
		s.end(v, err)
		return
	}
	s.pages.password.Write(v.ctx(), v.w, v.pageStatus(), s.head(v, "reset_title"), p)
}

// takePassword replaces an expired password by one that the person chooses.
func (s *Server) takePassword(v *visit) error {
	old, next := field(v.r, "old"), field(v.r, "password")
	problem := s.changePassword(v.ctx(), v.r, v.user, old, next)
	if problem == nil {
		return nil
	}
	var said *pageProblem
	if !errors.As(problem, &said) {
		return problem
	}
	said.wait(v.w)
	v.status, v.problem = said.status, said.key
	return nil
}

// changePassword replaces the password of a person who knows the old one: guesses
// count like those at the sign-in. The error is a pageProblem for what the person
// can mend.
func (s *Server) changePassword(ctx context.Context, r *http.Request, user *ledger.Object[directory.User], old, next string) error {
	now := s.cfg.Now()
	if s.networkFull(r, now) > 0 {
		return &pageProblem{http.StatusTooManyRequests, "busy_network"}
	}
	resting, _, err := s.takeGuess(ctx, user.ID, user, now)
	if err != nil {
		return err
	}
	if resting {
		return &pageProblem{http.StatusUnprocessableEntity, "password_resting"}
	}
	if old == next {
		return &pageProblem{http.StatusUnprocessableEntity, "password_same"}
	}
	hashing, cancel := context.WithTimeout(ctx, 2*hashingTime)
	defer cancel()
	_, err = s.cfg.People.ChangePassword(hashing, self(user), user.ID, old, next, true)
	f := fault.Of(err)
	switch {
	case err == nil:
		return s.cfg.Attempts.EndAttempts(ctx, user.ID, now)
	case f != nil && f.Reason == directory.ReasonWrongPassword:
		return &pageProblem{http.StatusUnprocessableEntity, "password_old_wrong"}
	}
	if said := passwordProblem(err); said != nil {
		return said
	}
	return err
}

// self is the person as the one who changes something.
func self(u *ledger.Object[directory.User]) ledger.Actor {
	return ledger.Actor{Type: "user", ID: u.ID, Name: u.Value.Profile.Login}
}

func (v *visit) pageStatus() int {
	if v.status == 0 {
		return http.StatusOK
	}
	return v.status
}

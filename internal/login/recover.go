package login

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// RecoverPath is the page of who has forgotten the password.
const RecoverPath = "/recover"

// lettersOfOne bounds the letters that strangers can have sent to a person.
var lettersOfOne = ratelimit.Rate{Count: 3, Period: 15 * time.Minute} //nolint:gochecknoglobals // a constant

// recoverPage is what the page shows.
type recoverPage struct {
	Name    string
	Problem string
}

func (s *Server) showRecover(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Letters == nil {
		s.noPage(w, r)
		return
	}
	name := r.URL.Query().Get("name")
	if len(name) > 100 {
		name = ""
	}
	lang := s.language(r)
	s.pages.recover.Write(r.Context(), w, http.StatusOK, s.titled(r, lang, "recover_title"), recoverPage{Name: name})
}

// takeRecover promises a letter to whoever is meant. Whether there is somebody is
// found out after the answer has been given: it is the same, and takes the same time,
// for everybody (attack identity 62).
func (s *Server) takeRecover(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Letters == nil {
		s.noPage(w, r)
		return
	}
	site, _ := s.cfg.Site(r)
	lang, name := s.language(r), strings.TrimSpace(field(r, "identifier"))
	var wrong *pageProblem
	switch {
	case name == "":
		wrong = &pageProblem{http.StatusUnprocessableEntity, "recover_empty"}
	case s.networkFull(r, s.cfg.Now()) > 0:
		wrong = &pageProblem{http.StatusTooManyRequests, "busy_network"}
	case !s.later(func(ctx context.Context) {
		s.failed(ctx, "recovery", s.recoverByName(tenant.With(ctx, site.Tenant), site, name, lang, address(r)))
	}):
		wrong = &pageProblem{http.StatusServiceUnavailable, "busy_all"}
	}
	if wrong != nil {
		wrong.wait(w)
		s.pages.recover.Write(r.Context(), w, wrong.status, s.titled(r, lang, "recover_title"), recoverPage{Name: shorten(name), Problem: s.say(lang, wrong.key)})
		return
	}
	s.tell(w, r, lang, http.StatusOK, notice{heading: "recover_sent", text: "recover_sent_text", link: "/account", label: "to_sign_in"})
}

// recoverByName sends the letter that fits whoever is meant, if anybody is.
func (s *Server) recoverByName(ctx context.Context, site Site, name, lang string, from netip.Addr) error {
	u, err := s.cfg.People.Identify(ctx, name)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if !s.tries.Take(s.cfg.Now(), s.tries.JoinString(s.tries.Key("letters"), u.ID), lettersOfOne, 1).Allowed {
		return nil
	}
	lang = s.languageOf(u.Value, lang)
	if u.Value.Status == directory.Provisioned {
		return s.sendLink(ctx, site, &u, linkWelcome(), letter{name: "welcome", lang: lang})
	}
	// Who has never had a password here signs in elsewhere.
	never := u.Value.Password == "" && u.Value.Status != directory.Recovery
	l := &link{purpose: linkReset(), data: linkData{Email: u.Value.Profile.Email, Stamp: u.Value.PasswordChanged}}
	if never || l.good(u.Value) != nil {
		return nil
	}
	d, err := s.passwordPolicy(ctx, u.ID, from)
	if err != nil {
		return err
	}
	if u.Value.Status == directory.LockedOut && !d.MayUnlock() || u.Value.Status != directory.LockedOut && !d.MayReset() {
		return nil
	}
	return s.sendLink(ctx, site, &u, linkReset(), letter{name: "reset", lang: lang})
}

// sendLink makes a link and sends it.
func (s *Server) sendLink(ctx context.Context, site Site, u *ledger.Object[directory.User], p purpose, l letter) (err error) {
	if s.cfg.Letters == nil {
		return errNoMail()
	}
	var until time.Time
	if l.link, _, until, err = s.newLink(ctx, site, p, u, ""); err != nil {
		return err
	}
	l.fill = append(l.fill, "until", s.cfg.Kit.Words().Date(l.lang, until)+" UTC")
	return s.send(ctx, site, u, l)
}

// choosePage is what the page shows by which a new password is chosen.
type choosePage struct {
	Heading string
	Lead    string
	Login   string
	Problem string
	Field   passwordField
}

// choose serves the page behind a link that sets a password.
func (s *Server) choose(p purpose, heading, lead string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		lang := s.language(r)
		l, err := s.openLink(r.Context(), p, r.PathValue("token"))
		if err != nil {
			s.badLink(w, r, lang, err)
			return
		}
		page := choosePage{Heading: s.say(lang, heading), Lead: s.say(lang, lead, "login", l.user.Value.Profile.Login), Login: l.user.Value.Profile.Login}
		if page.Field, err = s.passwordField(r.Context(), lang, l.user.ID); err != nil {
			s.lost(w, r, err)
			return
		}
		status := http.StatusOK
		if r.Method == http.MethodPost {
			var said *pageProblem
			err := s.choosePassword(r, l, field(r, "password"))
			switch {
			case err == nil:
				s.cfg.Kit.DropCookie(w, sessionCookie)
				s.tell(w, r, lang, http.StatusOK, notice{heading: "chosen_title", text: "chosen_text", link: "/account", label: "to_sign_in"})
				return
			case errors.As(err, &said):
				said.wait(w)
				status, page.Problem = said.status, s.say(lang, said.key)
			default:
				s.badLink(w, r, lang, err)
				return
			}
		}
		s.pages.choose.Write(r.Context(), w, status, s.titled(r, lang, heading), page)
	}
}

// pageProblem is what a person can mend, by the key of its text.
type pageProblem struct {
	status int
	key    string
}

// Error implements error.
func (p *pageProblem) Error() string { return p.key }

// wait says when it is worth trying again.
func (p *pageProblem) wait(w http.ResponseWriter) {
	switch p.status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "300")
	}
}

// passwordProblem returns what a page says of a password that was refused; nil for
// other errors.
func passwordProblem(err error) *pageProblem {
	if f := fault.Of(err); f != nil {
		key, ok := map[string]string{
			directory.ReasonBreached: "password_breached", directory.ReasonPassword: "password_rule_short", directory.ReasonKinds: "password_kinds",
			directory.ReasonPersonal: "password_personal", directory.ReasonHistory: "password_used", directory.ReasonTooSoon: "password_too_soon",
		}[f.Reason]
		if ok {
			return &pageProblem{http.StatusUnprocessableEntity, key}
		}
	}
	if fault.Is(err, fault.Timeout) {
		return &pageProblem{http.StatusServiceUnavailable, "busy_all"}
	}
	return nil
}

// choosePassword sets the password by a link, once. Whoever was signed in until now
// is not any more, and what apps were given is taken back: the old password may have
// been somebody else's too.
func (s *Server) choosePassword(r *http.Request, l *link, password string) error {
	ctx := r.Context()
	if s.networkFull(r, s.cfg.Now()) > 0 {
		return &pageProblem{http.StatusTooManyRequests, "busy_network"}
	}
	hashing, cancel := context.WithTimeout(ctx, hashingTime)
	defer cancel()
	_, err := s.cfg.People.ChangeUser(hashing, byLink(), l.user.ID, directory.UserChange{
		Password: &password, Chosen: true, Only: l.good, Once: l.take(s.cfg.Waiting), Recover: true,
	})
	if said := passwordProblem(err); said != nil {
		return said
	}
	if err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if _, err := s.cfg.Sessions.End(ctx, session.Selection{User: l.user.ID}); err != nil {
		return err
	}
	if err := s.cfg.Revoke(ctx, l.user.ID, ""); err != nil {
		return err
	}
	// Whoever reads the person's mail is not one who guesses.
	return s.cfg.Attempts.EndAttempts(ctx, l.user.ID, s.cfg.Now())
}

// badLink answers for a link that opens nothing: used, over, or never given.
func (s *Server) badLink(w http.ResponseWriter, r *http.Request, lang string, err error) {
	if !fault.Is(err, fault.NotFound) {
		s.lost(w, r, err)
		return
	}
	n := notice{heading: "bad_link", text: "bad_link_text"}
	if s.cfg.Letters != nil {
		n.link, n.label = RecoverPath, "ask_again"
	}
	s.tell(w, r, lang, http.StatusNotFound, n)
}

// siteOf returns the site of the context's tenant.
func (s *Server) siteOf(ctx context.Context) (Site, error) {
	t, _ := tenant.From(ctx)
	site, ok := s.cfg.SiteOf(t)
	if !ok {
		return Site{}, fault.New(fault.NotFound, "the tenant has no site")
	}
	return site, nil
}

// ActivationLink makes a link by which a provisioned user chooses a password. It is
// sent, or returned with its token.
func (s *Server) ActivationLink(ctx context.Context, userID string, send bool) (address, token string, err error) {
	return s.adminLink(ctx, userID, send, linkWelcome(), "welcome")
}

// ResetLink makes a link by which a user chooses a new password. It is sent, or
// returned. byAdmin says that the old password works no more.
func (s *Server) ResetLink(ctx context.Context, userID string, send, byAdmin bool) (address string, err error) {
	name := "reset"
	if byAdmin {
		name = "reset_admin"
	}
	address, _, err = s.adminLink(ctx, userID, send, linkReset(), name)
	return address, err
}

func (s *Server) adminLink(ctx context.Context, userID string, send bool, p purpose, name string) (address, token string, err error) {
	site, err := s.siteOf(ctx)
	if err != nil {
		return "", "", err
	}
	u, err := s.cfg.People.User(ctx, userID)
	if err != nil {
		return "", "", err
	}
	if !send {
		address, token, _, err = s.newLink(ctx, site, p, &u, "")
		return address, token, err
	}
	return "", "", s.sendLink(ctx, site, &u, p, letter{name: name, lang: s.languageOf(u.Value, site.language())})
}

// CanSend reports whether letters are sent.
func (s *Server) CanSend() bool { return s.cfg.Letters != nil }

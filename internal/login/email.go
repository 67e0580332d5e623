package login

import (
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/mail"
)

// EmailPath is the page on which people change their e-mail address.
const EmailPath = "/account/email"

// fresh reports whether the person has just proved who they are, with the second
// factor if they have one; else it leads them to do so, and then back to the page.
// What a browser that was left open must not be enough for begins with it.
func (s *Server) fresh(w http.ResponseWriter, r *http.Request, m *member, page string) bool {
	have, err := s.factorsOf(r.Context(), s.party(r), m.user.ID)
	if err != nil {
		s.lost(w, r, err)
		return false
	}
	now := s.cfg.Now()
	if now.Sub(m.session.AuthTime) <= changeTime && (!have.any() || now.Sub(m.session.FactorAt) <= changeTime) {
		return true
	}
	age := int64(changeTime / time.Second)
	s.ask(&visit{w: w, r: r, req: Request{Page: page, Levels: []string{levelTwoIfPossible}, MaxAge: &age, Created: now}}) //nolint:contextcheck // a visit carries its request
	return false
}

// emailPage is what the page shows.
type emailPage struct {
	Token   string
	Email   string
	Next    string // what was typed
	Problem string
}

func (s *Server) showEmail(w http.ResponseWriter, r *http.Request, m *member) {
	if !s.fresh(w, r, m, EmailPath) {
		return
	}
	s.writeEmail(w, r, m, http.StatusOK, "", "")
}

func (s *Server) writeEmail(w http.ResponseWriter, r *http.Request, m *member, status int, next, problem string) {
	lang := s.language(r)
	p := emailPage{Token: m.token, Email: m.user.Value.Profile.Email, Next: next}
	if problem != "" {
		p.Problem = s.say(lang, problem)
	}
	s.pages.email.Write(r.Context(), w, status, s.titled(r, lang, "email_title"), p)
}

// takeEmail sends a link to the address that the person wants. Nothing changes until
// it is opened: who reads the letters of an address is whose it is.
func (s *Server) takeEmail(w http.ResponseWriter, r *http.Request, m *member) {
	if !s.fresh(w, r, m, EmailPath) {
		return
	}
	next := strings.TrimSpace(field(r, "email"))
	switch {
	case s.cfg.Letters == nil:
		s.noPage(w, r)
		return
	case mail.CheckAddress(next) != nil || len(next) > 100:
		s.writeEmail(w, r, m, http.StatusUnprocessableEntity, shorten(next), "email_wrong")
		return
	case !s.tries.Take(s.cfg.Now(), s.tries.JoinString(s.tries.Key("letters"), m.user.ID), lettersOfOne, 1).Allowed:
		w.Header().Set("Retry-After", "300")
		s.writeEmail(w, r, m, http.StatusTooManyRequests, next, "busy_letters")
		return
	}
	site, _ := s.cfg.Site(r)
	lang := s.language(r)
	address, _, _, err := s.newLink(r.Context(), site, linkEmail(), m.user, next)
	if err == nil {
		err = s.send(r.Context(), site, m.user, letter{name: "email", to: next, lang: lang, link: address})
	}
	if err != nil {
		s.lost(w, r, err)
		return
	}
	s.tell(w, r, lang, http.StatusOK, notice{heading: "email_sent", text: "email_sent_text", fill: []any{"email", next}, link: "/account", label: "to_account"})
}

// confirmPage is what the page behind such a link shows.
type confirmPage struct {
	Email, Login string
}

// confirmEmail changes the address when the button is pressed: opening the link alone
// does nothing, for scanners open links too.
func (s *Server) confirmEmail(w http.ResponseWriter, r *http.Request) {
	ctx, lang := r.Context(), s.language(r)
	l, err := s.openLink(ctx, linkEmail(), r.PathValue("token"))
	if err != nil {
		s.badLink(w, r, lang, err)
		return
	}
	if r.Method != http.MethodPost {
		s.pages.confirm.Write(ctx, w, http.StatusOK, s.titled(r, lang, "confirm_title"), confirmPage{Email: l.data.Next, Login: l.user.Value.Profile.Login})
		return
	}
	_, err = s.cfg.People.ChangeUser(ctx, self(&l.user), l.user.ID, directory.UserChange{
		Only: l.good, Once: l.take(s.cfg.Waiting),
		Profile: func(p *directory.Profile) error {
			p.Email = l.data.Next
			return nil
		},
	})
	if err != nil {
		s.badLink(w, r, lang, err)
		return
	}
	// The old address is told: it is the only one that a thief of the account would
	// not have chosen.
	if site, ok := s.cfg.Site(r); ok {
		err := s.send(ctx, site, &l.user, letter{name: "email_changed", lang: s.languageOf(l.user.Value, lang), fill: []any{"email", masked(l.data.Next)}})
		s.failed(ctx, "the old address", err)
	}
	s.tell(w, r, lang, http.StatusOK, notice{heading: "confirmed_title", text: "confirmed_text", fill: []any{"email", l.data.Next}, link: "/account", label: "to_account"})
}

// masked shows so much of an address that its owner knows it.
func masked(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 1 {
		return "***"
	}
	return address[:1] + "***" + address[at:]
}

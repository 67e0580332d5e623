package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/mail"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/tenant"
)

// RegisterPath is the page on which people make an account for themselves, where the
// site lets them.
const RegisterPath = "/register"

// Registration says who may make an account for themselves.
type Registration struct {
	// Domains are those whose addresses may; AnyDomain for all.
	Domains []string
}

// AnyDomain stands for every domain.
const AnyDomain = "any"

// Allows reports whether the owner of the address may make an account.
func (g *Registration) Allows(address string) bool {
	if g == nil || mail.CheckAddress(address) != nil || len(address) > 100 {
		return false
	}
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	return slices.ContainsFunc(g.Domains, func(d string) bool { return d == AnyDomain || strings.EqualFold(d, domain) })
}

func linkRegister() purpose { return purpose{"link-register", "/register/", time.Hour} }

// registrationsOfNetwork bounds letters to strangers' addresses.
var registrationsOfNetwork = ratelimit.Rate{Count: 20, Period: time.Hour} //nolint:gochecknoglobals // a constant

// registered is what is kept of one that waits: nothing but the address, which is all
// that was asked for.
type registered struct {
	Email string `json:"email"`
}

// registerPage is what the page shows.
type registerPage struct {
	Email   string
	Domains string // empty: all
	Problem string
}

func (s *Server) registration(r *http.Request) (Site, bool) {
	site, ok := s.cfg.Site(r)
	return site, ok && site.Registration != nil && s.cfg.Letters != nil
}

// serveRegister takes an address. Whether it has an account already is told to its
// reader alone: the page says the same, in the same time (attack identity 62).
func (s *Server) serveRegister(w http.ResponseWriter, r *http.Request) {
	site, open := s.registration(r)
	if !open {
		s.noPage(w, r)
		return
	}
	lang := s.language(r)
	p := registerPage{}
	if !slices.Contains(site.Registration.Domains, AnyDomain) {
		p.Domains = strings.Join(site.Registration.Domains, ", ")
	}
	status := http.StatusOK
	if r.Method == http.MethodPost {
		p.Email = strings.TrimSpace(field(r, "email"))
		wrong := s.takeRegister(r, site, lang, p.Email)
		if wrong == nil {
			s.tell(w, r, lang, http.StatusOK, notice{heading: "recover_sent", text: "register_sent_text", link: "/account", label: "to_sign_in"})
			return
		}
		wrong.wait(w)
		status, p.Email, p.Problem = wrong.status, shorten(p.Email), s.say(lang, wrong.key)
	}
	s.pages.register.Write(r.Context(), w, status, s.titled(r, lang, "register_title"), p)
}

func (s *Server) takeRegister(r *http.Request, site Site, lang, email string) *pageProblem {
	now, peer := s.cfg.Now(), address(r)
	switch {
	case mail.CheckAddress(email) != nil || len(email) > 100:
		return &pageProblem{http.StatusUnprocessableEntity, "email_wrong"}
	case !site.Registration.Allows(email):
		return &pageProblem{http.StatusUnprocessableEntity, "register_domain"}
	case !s.tries.Take(now, s.tries.JoinAddr(s.tries.Key("register"), peer), registrationsOfNetwork, 1).Allowed:
		return &pageProblem{http.StatusTooManyRequests, "busy_network"}
	case !s.tries.Take(now, s.tries.JoinString(s.tries.Key("register"), strings.ToLower(email)), lettersOfOne, 1).Allowed:
		return nil // the reader has three already
	case !s.later(func(ctx context.Context) {
		s.failed(ctx, "registration", s.inviteAddress(tenant.With(ctx, site.Tenant), site, email, lang))
	}):
		return &pageProblem{http.StatusServiceUnavailable, "busy_all"}
	}
	return nil
}

// inviteAddress sends the letter with the link, or one that says that there is an
// account already.
func (s *Server) inviteAddress(ctx context.Context, site Site, address, lang string) error {
	u, err := s.cfg.People.Identify(ctx, address)
	if err == nil {
		return s.send(ctx, site, &u, letter{name: "exists", to: address, lang: s.languageOf(u.Value, lang), link: site.URL + RecoverPath})
	}
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	data, err := json.Marshal(registered{Email: address})
	if err != nil {
		return err
	}
	token, err := s.cfg.Waiting.Add(ctx, linkRegister().name, "", data, linkRegister().lasting)
	if err != nil {
		return err
	}
	nobody := &ledger.Object[directory.User]{Value: directory.User{Profile: directory.Profile{Login: address, Email: address}}}
	return s.send(ctx, site, nobody, letter{name: "register", lang: lang, link: site.URL + linkRegister().path + url.PathEscape(token)})
}

// beginPage is what the page behind the link shows.
type beginPage struct {
	Email       string
	First, Last string
	Problem     string
	Field       passwordField
}

// finishRegister makes the account: only who reads the letters of the address gets
// here, and nothing of it existed before.
func (s *Server) finishRegister(w http.ResponseWriter, r *http.Request) {
	site, open := s.registration(r)
	if !open {
		s.noPage(w, r)
		return
	}
	ctx, lang := r.Context(), s.language(r)
	wait, err := s.cfg.Waiting.Find(ctx, linkRegister().name, r.PathValue("token"))
	var who registered
	if err == nil {
		err = json.Unmarshal(wait.Data, &who)
	}
	if err == nil && !site.Registration.Allows(who.Email) {
		err = errLink() // the domain was allowed when the letter was sent
	}
	if err != nil {
		s.badLink(w, r, lang, err)
		return
	}
	p, status := beginPage{Email: who.Email}, http.StatusOK
	if p.Field, err = s.passwordField(ctx, lang, ""); err != nil {
		s.lost(w, r, err)
		return
	}
	if r.Method == http.MethodPost {
		p.First, p.Last = strings.TrimSpace(field(r, "first")), strings.TrimSpace(field(r, "last"))
		err := s.makeAccount(r, who.Email, p, &link{wait: wait})
		var said *pageProblem
		switch {
		case err == nil:
			s.tell(w, r, lang, http.StatusOK, notice{heading: "registered_title", text: "registered_text", link: "/account", label: "to_sign_in"})
			return
		case errors.As(err, &said):
			said.wait(w)
			status, p.Problem = said.status, s.say(lang, said.key)
			p.First, p.Last = shorten(p.First), shorten(p.Last)
		default:
			s.badLink(w, r, lang, err)
			return
		}
	}
	s.pages.begin.Write(ctx, w, status, s.titled(r, lang, "begin_title"), p)
}

func (s *Server) makeAccount(r *http.Request, email string, p beginPage, l *link) error {
	if s.networkFull(r, s.cfg.Now()) > 0 {
		return &pageProblem{http.StatusTooManyRequests, "busy_network"}
	}
	hashing, cancel := context.WithTimeout(r.Context(), hashingTime)
	defer cancel()
	actor := ledger.Actor{Type: "system", ID: "registration", Name: "registration"}
	password := field(r, "password")
	if password == "" {
		return &pageProblem{http.StatusUnprocessableEntity, "password_rule_short"}
	}
	_, err := s.cfg.People.CreateUser(hashing, actor, directory.NewUser{
		Profile: directory.Profile{Login: email, Email: email, FirstName: p.First, LastName: p.Last}, Password: password, Once: l.take(s.cfg.Waiting),
	})
	if said := passwordProblem(err); said != nil {
		return said
	}
	switch f := fault.Of(err); {
	case f != nil && f.Code == fault.Conflict: // somebody has made it meanwhile
		return errLink()
	case f != nil && f.Code == fault.Invalid && len(f.Fields) > 0:
		return &pageProblem{http.StatusUnprocessableEntity, "begin_name"}
	}
	return err
}

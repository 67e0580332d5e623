package login

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/session"
)

// member is a signed-in person on a page of ours.
type member struct {
	session *session.Session
	user    *ledger.Object[directory.User]
	token   string // of the forms
}

// person serves a page to who is signed in, and leads everybody else to the
// sign-in first.
func (s *Server) person(serve func(http.ResponseWriter, *http.Request, *member)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sess, user, err := s.current(r)
		if err != nil {
			s.lost(w, r, err)
			return
		}
		expired := false
		if sess != nil {
			expired, err = s.expired(r.Context(), !sess.PasswordAt.IsZero(), user)
		}
		if err != nil {
			s.lost(w, r, err)
			return
		}
		if sess == nil || expired {
			v := &visit{w: w, r: r, req: Request{Page: r.URL.RequestURI(), Created: s.cfg.Now()}}
			s.ask(v) //nolint:contextcheck // a visit carries its request
			return
		}
		rule, err := s.ruling(r, user.ID, signals{session: sess})
		demands := false
		if err == nil && rule.Allowed() {
			demands, err = s.ruleDemands(r, rule, sess, user)
		}
		switch {
		case err != nil:
			s.lost(w, r, err)
			return
		case !rule.Allowed():
			s.recordDenial(r.Context(), r, user, rule)
			s.keepOut(w, r)
			return
		case demands:
			s.ask(&visit{w: w, r: r, req: Request{Page: r.URL.RequestURI(), Created: s.cfg.Now()}}) //nolint:contextcheck // a visit carries its request
			return
		}
		m := &member{session: sess, user: user, token: formToken("account", s.cfg.Kit.Cookie(r, sessionCookie))}
		if r.Method == http.MethodPost && !keys.Equal(m.token, field(r, "token")) {
			s.tell(w, r, s.language(r), http.StatusForbidden, notice{heading: "lost_title", text: "stale_text", link: r.URL.Path, label: "open_again"})
			return
		}
		serve(w, r, m)
	}
}

// accountPage is what the page shows.
type accountPage struct {
	Token    string
	Name     string
	Login    string
	Email    string
	Changed  time.Time // of the password; zero: not known
	Expires  int       // in how many days the password does; 0: nothing to tell
	Field    passwordField
	Change   bool // the person may change the password
	Problem  string
	Done     string
	Letters  bool // letters are sent: the address can be changed
	Factors  accountFactors
	Go       string // what the person has proved a factor for: the page leads to its button
	Sessions []accountSession
	Apps     []accountApp
}

type accountSession struct {
	ID      string
	Current bool
	Browser string
	Address string
	Seen    time.Time
	Created time.Time
	Apps    []string // names
}

type accountApp struct {
	ID     string
	Label  string
	Owner  string
	Since  time.Time
	Scopes []string // sentences
}

// done returns the key of what the page says after a change, by what was done; empty for
// nothing.
func done(what string) string {
	return map[string]string{
		"session": "done_session", "others": "done_others", "withdraw": "done_withdraw", "password": "done_password",
		"factor": "done_factor", "rename": "done_rename", "passkey": "done_passkey", "remove": "done_remove",
	}[what]
}

func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, m *member) {
	s.writeAccount(w, r, m, http.StatusOK, "")
}

func (s *Server) writeAccount(w http.ResponseWriter, r *http.Request, m *member, status int, problem string) {
	lang := s.language(r)
	p := accountPage{
		Token: m.token, Name: m.user.Value.Profile.DisplayName(), Login: m.user.Value.Profile.Login, Email: m.user.Value.Profile.Email,
		Changed: m.user.Value.PasswordChanged, Letters: s.cfg.Letters != nil, Go: r.URL.Query().Get("do"),
	}
	if problem != "" {
		p.Problem = s.say(lang, problem)
	}
	if key := done(r.URL.Query().Get("done")); key != "" {
		p.Done = s.say(lang, key)
	}
	site, _ := s.cfg.Site(r)
	view, err := s.cfg.Views.Get(r.Context(), site.Tenant)
	if err == nil {
		err = s.accountPassword(r, m, &p, lang)
	}
	if err == nil {
		p.Sessions, err = s.accountSessions(r, m, view)
	}
	if err == nil {
		p.Apps, err = s.accountApps(r, m, view)
	}
	if err == nil {
		p.Factors, err = s.accountFactors(r, m)
	}
	if err != nil {
		s.lost(w, r, err)
		return
	}
	head := s.titled(r, lang, "account_title")
	head.Wide, head.Here = true, "/account"
	s.pages.account.Write(r.Context(), w, status, head, p)
}

// accountPassword says what holds for the person's password.
func (s *Server) accountPassword(r *http.Request, m *member, p *accountPage, lang string) error {
	d, err := s.passwordPolicy(r.Context(), m.user.ID, address(r))
	p.Field, p.Change = passwordField{Rules: s.hints(lang, &d), Min: d.MinLength}, d.MayChange()
	p.Expires = d.Warns(&m.user.Value, s.cfg.Now())
	return err
}

func (s *Server) accountSessions(r *http.Request, m *member, view *access.View) (out []accountSession, err error) {
	lang := s.language(r)
	list, err := s.cfg.Sessions.List(r.Context(), m.user.ID)
	for i := range list {
		a := accountSession{
			ID: list[i].ID, Current: list[i].ID == m.session.ID, Browser: s.browserName(lang, list[i].Agent), Address: list[i].Address,
			Seen: list[i].Seen, Created: list[i].Created,
		}
		for _, l := range list[i].Apps {
			if app, ok := view.App(l.App); ok && !slices.Contains(a.Apps, app.Label) {
				a.Apps = append(a.Apps, app.Label)
			}
		}
		out = append(out, a)
	}
	return out, err
}

func (s *Server) accountApps(r *http.Request, m *member, view *access.View) (out []accountApp, err error) {
	lang := s.language(r)
	list, err := s.cfg.Consents.ListConsents(r.Context(), m.user.ID, "")
	for _, c := range list {
		app, ok := view.App(c.Value.Client)
		if !ok {
			continue
		}
		i := slices.IndexFunc(out, func(a accountApp) bool { return a.ID == app.ID })
		if i < 0 {
			out = append(out, accountApp{ID: app.ID, Label: app.Label, Owner: app.Owner, Since: c.Created})
			i = len(out) - 1
		}
		says := c.Value.Name
		if server, ok := view.Server(c.Value.Server); ok {
			if scope, ok := server.Scope(c.Value.Name); ok {
				says = s.sentence(lang, scope)
			}
		}
		out[i].Scopes = append(out[i].Scopes, says)
		if c.Created.Before(out[i].Since) {
			out[i].Since = c.Created
		}
	}
	order.By(out, func(a, b accountApp) int { return strings.Compare(a.Label, b.Label) })
	return out, err
}

func (s *Server) showSignedOut(w http.ResponseWriter, r *http.Request) {
	s.tell(w, r, s.language(r), http.StatusOK, notice{heading: "signed_out_title", text: "signed_out_text", link: "/account", label: "sign_in_again"})
}

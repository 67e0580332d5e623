package login

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// SignOut is what an app asks for that signs a person out.
type SignOut struct {
	// User and Session are those of the app's ID token; empty when it sent none.
	User    string
	Session string
	// Return is where the person is led; empty: to a page of ours. It is registered.
	Return string
	State  string
	// Locales are languages that the app would have the page in (ui_locales).
	Locales []string
}

// signOutPage is what the page shows that asks.
type signOutPage struct {
	Token  string
	Name   string
	Return string
	State  string
}

// SignOut ends the browser's session. An app that shows the ID token of that very
// session does it at once; any other page could have led the person here, so they
// are asked.
func (s *Server) SignOut(w http.ResponseWriter, r *http.Request, t *grant.Target, q SignOut) {
	r = r.WithContext(tenant.With(r.Context(), t.Tenant))
	sess, user, err := s.current(r)
	switch {
	case err != nil:
		s.lost(w, r, err)
	case sess == nil:
		// Nobody is signed in here any more. The session of the token may live on in
		// a browser that did not send its cookie with another site's form.
		s.endAndLeave(w, r, session.Selection{ID: q.Session, User: q.User}, "", q)
	case q.Session == sess.ID && q.User == sess.User:
		s.endAndLeave(w, r, session.Selection{ID: sess.ID}, sess.ID, q)
	default:
		head := s.titled(r, s.languageFor(r, q.Locales, time.Time{}), "signout_title")
		head.Target = q.Return
		s.pages.signOut.Write(r.Context(), w, http.StatusOK, head, signOutPage{ //nolint:contextcheck // the context is the request's, with its tenant
			Token: formToken("signout\x00"+q.Return+"\x00"+q.State, s.cfg.Kit.Cookie(r, sessionCookie)), Name: user.Value.Profile.Login, Return: q.Return, State: q.State,
		})
	}
}

// confirmSignOut does what the page asked about. The form's token stands for the
// address as well: it leads only where the page said.
func (s *Server) confirmSignOut(w http.ResponseWriter, r *http.Request) {
	q := SignOut{Return: field(r, "return"), State: field(r, "state")}
	sess, _, err := s.current(r)
	switch {
	case err != nil:
		s.lost(w, r, err)
	case sess == nil || !keys.Equal(field(r, "token"), formToken("signout\x00"+q.Return+"\x00"+q.State, s.cfg.Kit.Cookie(r, sessionCookie))):
		s.lost(w, r, fault.New(fault.Denied, "this page was not sent by this browser's own form"))
	default:
		s.endAndLeave(w, r, session.Selection{ID: sess.ID}, sess.ID, q)
	}
}

// endAndLeave ends sessions; own is the browser's, empty when it has shown none.
func (s *Server) endAndLeave(w http.ResponseWriter, r *http.Request, sel session.Selection, own string, q SignOut) {
	if sel.ID != "" {
		if _, err := s.cfg.Sessions.End(r.Context(), sel); err != nil {
			s.lost(w, r, err)
			return
		}
	}
	s.cfg.Kit.DropCookie(w, sessionCookie)
	s.leave(w, r, own, q)
}

// left leads the browser to where the app would have it.
func (s *Server) left(w http.ResponseWriter, r *http.Request, q SignOut) {
	if q.Return == "" {
		http.Redirect(w, r, "/signout", http.StatusSeeOther)
		return
	}
	to := q.Return
	if q.State != "" {
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		to += separator + "state=" + url.QueryEscape(q.State)
	}
	v := &visit{w: w, r: r}
	v.redirect(to)
}

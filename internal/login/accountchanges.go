package login

import (
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/session"
)

// accountChange is what a form of the account page asks for. Unless it has answered
// itself, or failed, the page is shown again and says that it is done.
type accountChange func(s *Server, w http.ResponseWriter, r *http.Request, m *member) (answered bool, err error)

// accountChanges are all of them, by the name that the form gives.
func accountChanges() map[string]accountChange {
	return map[string]accountChange{
		// Sessions.
		"signout":    (*Server).signOutHere,
		"everywhere": (*Server).signOutEverywhere,
		"others":     (*Server).signOutOthers,
		"session":    (*Server).signOutOne,
		"notme":      (*Server).signOutThief,
		// Factors.
		"enroll":   enrolling(enrollApp, "/account?done=factor"),
		"mail":     enrolling(enrollMail, "/account?done=factor"),
		"passkey":  enrolling(enrollPasskey, "/account?done=passkey"),
		"recovery": (*Server).changeRecovery,
		"rename":   (*Server).renamePasskey,
		"remove":   (*Server).changeRemove,
		// Apps and the password.
		"withdraw": (*Server).changeWithdraw,
		"password": (*Server).changeOwnPassword,
	}
}

// changeAccount does what a form of the page asks for.
func (s *Server) changeAccount(w http.ResponseWriter, r *http.Request, m *member) {
	what := field(r, "do")
	change, ok := accountChanges()[what]
	if !ok {
		http.Redirect(w, r, "/account", http.StatusSeeOther)
		return
	}
	answered, err := change(s, w, r, m)
	switch {
	case err != nil:
		s.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "account change failed", slog.String("what", what), slog.Any("error", err))
		s.lost(w, r, err)
	case !answered:
		http.Redirect(w, r, "/account?done="+what, http.StatusSeeOther)
	}
}

func (s *Server) signOutHere(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	return s.signOutOf(w, r, m, session.Selection{ID: m.session.ID})
}

func (s *Server) signOutEverywhere(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	return s.signOutOf(w, r, m, session.Selection{User: m.user.ID})
}

// signOutOf ends sessions, this one among them.
func (s *Server) signOutOf(w http.ResponseWriter, r *http.Request, m *member, which session.Selection) (bool, error) {
	if _, err := s.cfg.Sessions.End(r.Context(), which); err != nil {
		return false, err
	}
	s.cfg.Kit.DropCookie(w, sessionCookie)
	s.leave(w, r, m.session.ID, SignOut{})
	return true, nil
}

func (s *Server) signOutOthers(_ http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	_, err := s.cfg.Sessions.End(r.Context(), session.Selection{User: m.user.ID, Except: m.session.ID})
	return false, err
}

func (s *Server) signOutOne(_ http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	_, err := s.cfg.Sessions.End(r.Context(), session.Selection{ID: field(r, "id"), User: m.user.ID})
	return false, err
}

// signOutThief is for a sign-in that the person does not know.
func (s *Server) signOutThief(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	if err := s.disown(r, m, field(r, "id")); err != nil {
		return false, err
	}
	s.cfg.Kit.DropCookie(w, sessionCookie)
	s.tell(w, r, s.language(r), http.StatusOK, notice{heading: "everywhere_title", text: "everywhere_text", link: "/account", label: "everywhere_link"})
	return true, nil
}

func enrolling(kind, back string) accountChange {
	return func(s *Server, w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
		s.enrollFactor(w, r, m, kind, back)
		return true, nil
	}
}

func (s *Server) changeRecovery(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	s.makeRecovery(w, r, m)
	return true, nil
}

// renamePasskey asks for no second factor: a name proves nothing.
func (s *Server) renamePasskey(_ http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	err := s.cfg.Passkeys.RenamePasskey(r.Context(), self(m.user), m.user.ID, field(r, "id"), field(r, "name"))
	if fault.Is(err, fault.NotFound) {
		err = nil // it was removed meanwhile: the page shows it
	}
	return false, err
}

func (s *Server) changeRemove(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	if s.cfg.Now().Sub(m.session.FactorAt) > changeTime {
		s.proveFactor(w, r, "/account") //nolint:contextcheck // a visit carries its request; what takes it away must be it
		return true, nil
	}
	return false, s.removeFactor(r.Context(), r, m, field(r, "id"))
}

func (s *Server) changeWithdraw(_ http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	return false, s.withdraw(r, m, field(r, "id"))
}

// withdraw takes back what the person has agreed to for an app, and ends what was
// granted on its strength.
func (s *Server) withdraw(r *http.Request, m *member, app string) error {
	if app == "" {
		return nil
	}
	_, err := s.cfg.Consents.Withdraw(r.Context(), self(m.user), access.Withdrawal{User: m.user.ID, Client: app})
	if err != nil {
		return err
	}
	return s.cfg.Revoke(r.Context(), m.user.ID, app)
}

// changeOwnPassword ends the person's other sessions: whoever knew the old one is out.
func (s *Server) changeOwnPassword(w http.ResponseWriter, r *http.Request, m *member) (bool, error) {
	ctx := r.Context()
	d, err := s.passwordPolicy(ctx, m.user.ID, address(r))
	if err != nil {
		return false, err
	}
	if !d.MayChange() {
		s.writeAccount(w, r, m, http.StatusForbidden, "password_fixed")
		return true, nil
	}
	err = s.changePassword(ctx, r, m.user, field(r, "old"), field(r, "password"))
	var said *pageProblem
	if errors.As(err, &said) {
		said.wait(w)
		s.writeAccount(w, r, m, said.status, said.key)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return s.signOutOthers(w, r, m)
}

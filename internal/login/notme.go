package login

import (
	"net/http"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// eventReported is what Okta calls it when a person says so.
const eventReported = "user.account.report_suspicious_activity_by_enduser"

// disown does what a person wants who finds a sign-in that was not theirs: every
// browser is signed out, what was given to apps is taken back, and the password is to
// be replaced at the next sign-in, with the second factor of who has one.
func (s *Server) disown(r *http.Request, m *member, id string) error {
	ctx := r.Context()
	if id == "" || id == m.session.ID {
		return nil
	}
	if _, err := s.cfg.Sessions.End(ctx, session.Selection{User: m.user.ID}); err != nil {
		return err
	}
	if err := s.cfg.Revoke(ctx, m.user.ID, ""); err != nil {
		return err
	}
	// Nor is what the stranger used known any more.
	if err := s.cfg.Places.ForgetPlaces(ctx, m.user.ID); err != nil {
		return err
	}
	t, _ := tenant.From(ctx)
	person := audit.Entity{ID: m.user.ID, Type: "User", AlternateID: m.user.Value.Profile.Login, DisplayName: m.user.Value.Profile.DisplayName()}
	s.cfg.Audit.Record(audit.Event{
		Tenant: t, Type: eventReported, Message: "User report suspicious activity", Severity: audit.Warn, Actor: person, Targets: []audit.Entity{person},
		Client: audit.Client{IP: address(r).String(), UserAgent: r.UserAgent()}, Outcome: audit.Outcome{Result: audit.Success},
		Debug: map[string]string{"session": m.session.ID, "reported": shorten(id)},
	})
	if m.user.Value.Password == "" || m.user.Value.Status != directory.Active {
		return nil
	}
	return s.cfg.Lifecycle.SetStatus(ctx, self(m.user), m.user.ID, directory.PasswordExpired)
}

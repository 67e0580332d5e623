package access

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Who gave a consent.
const (
	ConsentByPerson = "END_USER"
	ConsentByAdmin  = "ADMIN"
)

// The event types of consents, named as in Okta's System Log.
const (
	consentGiven     = "app.oauth2.as.consent.grant"
	consentWithdrawn = "app.oauth2.as.consent.revoke"
)

// UserConsent says that a person lets an app have one scope. It goes with any of
// them; withdrawing it is deleting it.
type UserConsent struct {
	User   string `json:"user"`   // id
	App    string `json:"app"`    // id
	Client string `json:"client"` // client_id of the app
	Server string `json:"server"` // id of the authorization server
	Path   string `json:"path"`   // of the server in its issuer; empty for the org server
	Scope  string `json:"scope"`  // id
	Name   string `json:"name"`   // of the scope
	Source string `json:"source"` // ConsentByPerson, ConsentByAdmin
}

// Consents are unique by user, app and scope.
var Consents = ledger.NewKind(ledger.Spec[UserConsent]{
	Name: "consent", IDPrefix: "oag",
	Keys:  func(c UserConsent) []ledger.Key { return []ledger.Key{ledger.By("triple", c.User, c.App, c.Scope)} },
	Index: func(c UserConsent) []ledger.Key { return []ledger.Key{ledger.By("app", c.App)} },
	Refs: func(c UserConsent) []ledger.Ref {
		return append(appRefs(c.App, "user", c.User), ofServer(c.Server), ledger.Ref{Field: "scope", Kind: "scope", ID: c.Scope, OnDelete: ledger.Cascade})
	},
	Check: func(c UserConsent) error {
		if c.User == "" || c.App == "" || c.Server == "" || c.Scope == "" || c.Name == "" || c.Source != ConsentByPerson && c.Source != ConsentByAdmin {
			return fault.New(fault.Invalid, "a consent needs a user, an app, a scope of a server, and who gave it")
		}
		return nil
	},
})

// NeedsConsent reports whether a person is asked before the app gets the scope:
// when the app asks for consent and the scope does not go without saying. Of an app that
// nobody has registered nothing does.
func NeedsConsent(app *App, scope *Scope) bool {
	return app.OIDC.ConsentMethod == ConsentAsk && (scope.Consent != ConsentImplicit || app.Document != "")
}

// ConsentQuestion is what a person is, or would be, asked.
type ConsentQuestion struct {
	User   string // id
	App    *AppView
	Server *ServerView
	Scopes []string // names
}

// Withheld returns those of the question's scopes that need the person's consent
// and do not have it, in their order.
func (s *Service) Withheld(ctx context.Context, q ConsentQuestion) (missing []string, err error) {
	var asked []string
	for _, name := range q.Scopes {
		if scope, ok := q.Server.Scope(name); ok && NeedsConsent(&q.App.App, scope) {
			asked = append(asked, name)
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		missing = nil
		for _, name := range asked {
			scope, err := Scopes.Find(tx, ledger.By("name", q.Server.ID, name))
			if err == nil {
				_, err = Consents.Find(tx, ledger.By("triple", q.User, q.App.Object, scope.ID))
			}
			switch {
			case fault.Is(err, fault.NotFound):
				missing = append(missing, name)
			case err != nil:
				return err
			}
		}
		return nil
	})
	return missing, err
}

// Consent keeps what a person has agreed to. Scopes that were agreed to before
// stay as they are.
func (s *Service) Consent(ctx context.Context, actor ledger.Actor, q ConsentQuestion, source string) (err error) {
	defer fault.Wrap(&err, "keep the consent of user %q", q.User)
	err = s.update(ctx, actor, "consent to app "+q.App.ID, func(tx *ledger.Tx) error {
		for _, name := range q.Scopes {
			scope, err := Scopes.Find(tx, ledger.By("name", q.Server.ID, name))
			if err != nil {
				return err
			}
			_, err = Consents.Find(tx, ledger.By("triple", q.User, q.App.Object, scope.ID))
			if err == nil {
				continue
			}
			if !fault.Is(err, fault.NotFound) {
				return err
			}
			if _, err := Consents.Create(tx, UserConsent{
				User: q.User, App: q.App.Object, Client: q.App.ID, Server: q.Server.ID, Path: q.Server.Path(), Scope: scope.ID, Name: name, Source: source,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.record(ctx, actor, consentGiven, "Grant user consent", appEntity(q.App.Object, q.App.Label))
	}
	return err
}

// ListConsents returns what a user has agreed to, for one app when that is not
// empty.
func (s *Service) ListConsents(ctx context.Context, user, app string) (out []ledger.Object[UserConsent], err error) {
	q := ledger.Query{By: "triple", Equal: []string{user}}
	if app != "" {
		q.Equal = append(q.Equal, app)
	}
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		for o, err := range Consents.All(tx, q) {
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

// FindConsent returns a consent of a user, or fault.NotFound.
func (s *Service) FindConsent(ctx context.Context, user, id string) (o ledger.Object[UserConsent], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		if o, err = Consents.Get(tx, id); err == nil && o.Value.User != user {
			err = fault.New(fault.NotFound, "the user has no consent %s", quoted(id))
		}
		return err
	})
	return o, err
}

// Withdrawal says which consents of a user are taken back: one by its id, those
// for an app, or all.
type Withdrawal struct {
	User    string
	App     string // id
	Client  string // client_id of the app
	Consent string
}

// Withdraw takes consents back and returns those. What was granted on their
// strength is for the caller to end.
func (s *Service) Withdraw(ctx context.Context, actor ledger.Actor, w Withdrawal) (gone []ledger.Object[UserConsent], err error) {
	defer fault.Wrap(&err, "withdraw consents of user %q", w.User)
	err = s.update(ctx, actor, "withdraw consents of user "+w.User, func(tx *ledger.Tx) error {
		gone = nil
		q := ledger.Query{By: "triple", Equal: []string{w.User}}
		if w.App != "" {
			q.Equal = append(q.Equal, w.App)
		}
		for o, err := range Consents.All(tx, q) {
			if err != nil {
				return err
			}
			if (w.Consent == "" || o.ID == w.Consent) && (w.Client == "" || o.Value.Client == w.Client) {
				gone = append(gone, o)
			}
		}
		for _, o := range gone {
			if err := Consents.Delete(tx, o.ID, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(gone) > 0 {
		s.record(ctx, actor, consentWithdrawn, "Revoke user consent", audit.Entity{ID: w.User, Type: "User"})
	}
	return gone, err
}

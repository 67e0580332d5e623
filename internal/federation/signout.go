package federation

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// SignedOutPath is where providers that offer it send browsers back to after signing out
// there (OpenID Connect RP-Initiated Logout 1.0): to be registered at the provider.
const SignedOutPath = "/signout/back"

// Origins keeps at which provider sessions were begun. *store.DB is one.
type Origins interface {
	AddOrigin(ctx context.Context, session, provider, hint string, expires time.Time) error
	// TakeOrigin returns it once, or fault.NotFound.
	TakeOrigin(ctx context.Context, session string) (provider, hint string, err error)
}

func hintPlace(t tenant.ID, session string) keys.Place {
	return keys.Place{Tenant: t, Kind: "session", ID: session, Field: "origin"}
}

// Remember notes that a session was begun by a sign-in at a provider which is to be told
// of its end.
func (s *Service) Remember(ctx context.Context, session string, until time.Time, out Outcome) error {
	if out.hint == "" {
		return nil
	}
	t, _ := tenant.From(ctx)
	sealed, err := s.cfg.Sealer.Seal([]byte(out.hint), hintPlace(t, session))
	if err != nil {
		return err
	}
	return s.cfg.Origins.AddOrigin(ctx, session, out.Provider.ID, sealed, until)
}

// SignOut returns where the browser goes so that the provider at which the session was
// begun signs the person out, too; empty when there is none that would. keep stores what
// is to follow, and returns the name under which the browser comes back.
func (s *Service) SignOut(ctx context.Context, session string, keep func() (state string, err error)) (to Choice, address string, err error) {
	defer fault.Wrap(&err, "sign out at a provider")
	provider, sealed, err := s.cfg.Origins.TakeOrigin(ctx, session)
	if fault.Is(err, fault.NotFound) {
		return to, "", nil
	}
	if err != nil {
		return to, "", err
	}
	o, err := s.active(ctx, provider)
	if fault.Is(err, fault.NotFound) || err == nil && !o.Value.SignOut {
		return to, "", nil
	}
	if err != nil {
		return to, "", err
	}
	t, _ := tenant.From(ctx)
	hint, err := s.cfg.Sealer.Open(sealed, hintPlace(t, session))
	if err != nil {
		return to, "", err
	}
	c, err := s.client(ctx, o)
	if err != nil {
		return to, "", err
	}
	end, err := c.Ends(ctx)
	if err != nil || end == "" {
		return to, "", err
	}
	state, err := keep()
	if err != nil {
		return to, "", err
	}
	return Choice{ID: o.ID, Name: o.Value.Name}, c.EndAddress(end, s.cfg.URL+SignedOutPath, string(hint), state), nil
}

package login

import (
	"context"
	"net/netip"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// History reads the system log; *audit.Log does.
type History interface {
	Query(ctx context.Context, q audit.Query) (events []audit.Event, next string, err error)
}

// notices are the letters that tell people what has been done to their account, by
// the event of the system log that says so: whoever has done it, and in whatever way.
func notices() map[string]string {
	return map[string]string{
		audit.UserPasswordSet:        "password",
		audit.SessionStarted:         "sign_in",
		directory.EventFactorAdded:   "factor_added",
		directory.EventFactorRemoved: "factor_removed",
		directory.EventFactorsReset:  "factors_reset",
		directory.EventRecoveryMade:  "codes_made",
		directory.EventRecoveryUsed:  "code_used",
	}
}

// Notice tells the person whom an event is about, if it is one to be told of. It does
// not wait for anything: what cannot be told because too much waits is not told.
func (s *Server) Notice(e audit.Event) {
	name, ok := notices()[e.Type]
	if !ok || s.cfg.Letters == nil || e.Outcome.Result != audit.Success || e.Actor.Type == "system" {
		return
	}
	s.later(func(ctx context.Context) {
		s.failed(ctx, "notice", s.notice(tenant.With(ctx, e.Tenant), name, e))
	})
}

func (s *Server) notice(ctx context.Context, name string, e audit.Event) error {
	person := e.Actor
	if name != "sign_in" {
		if len(e.Targets) == 0 {
			return nil
		}
		person = e.Targets[0]
	}
	u, err := s.cfg.People.User(ctx, person.ID)
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if name == "sign_in" {
		if known, err := s.knownPlace(ctx, e); err != nil || known {
			return err
		}
	}
	site, err := s.siteOf(ctx)
	if err != nil {
		return err
	}
	lang := s.languageOf(u.Value, site.language())
	return s.send(ctx, site, &u, letter{name: name, lang: lang, fill: []any{
		"browser", s.browserName(lang, e.Client.UserAgent), "address", e.Client.IP, "time", s.cfg.Kit.Words().Date(lang, s.cfg.Now()),
	}})
}

// placesRemembered is how many sign-ins are looked at.
const placesRemembered = 200

// knownPlace reports whether the person has signed in before with such a browser from
// such a network, or never before: the first sign-in is nothing that one need be told
// of.
func (s *Server) knownPlace(ctx context.Context, e audit.Event) (bool, error) {
	before, _, err := s.cfg.History.Query(ctx, audit.Query{
		Tenant: e.Tenant, Types: []string{audit.SessionStarted}, Actor: e.Actor.ID, Descending: true, Limit: placesRemembered,
	})
	if err != nil {
		return false, err
	}
	first := true
	for i := range before {
		b := &before[i]
		if b.Outcome.Result != audit.Success || b.Debug["session"] == e.Debug["session"] {
			continue
		}
		first = false
		if sameBrowser(b.Client.UserAgent, e.Client.UserAgent) && network(b.Client.IP) == network(e.Client.IP) {
			return true, nil
		}
	}
	return first, nil
}

// network returns the network of an address, so wide that a phone does not leave it
// with every train: /16, and /32 of IPv6.
func network(address string) netip.Prefix {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	bits := 16
	if a.Is6() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}

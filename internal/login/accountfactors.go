package login

import (
	"net/http"
	"time"
)

// accountFactors is what the account page shows of second factors.
type accountFactors struct {
	App        *accountFactor // nil: none
	Passkeys   []accountFactor
	CanPasskey bool // this site can have passkeys
}

// None reports whether a password is all that proves who the person is.
func (f accountFactors) None() bool { return f.App == nil && len(f.Passkeys) == 0 }

type accountFactor struct {
	ID     string
	Name   string // of a passkey, as the person called it
	Synced bool   // a passkey that other devices of the person have as well
	Since  time.Time
	Used   time.Time // zero: never, or not known
}

func (s *Server) accountFactors(r *http.Request, m *member) (out accountFactors, err error) {
	party := s.party(r)
	out.CanPasskey = party.Ready()
	have, err := s.factorsOf(r.Context(), party, m.user.ID)
	if err != nil {
		return out, err
	}
	if have.app != nil {
		out.App = &accountFactor{ID: have.app.ID, Since: have.app.Created}
	}
	if len(have.passkeys) == 0 {
		return out, nil
	}
	uses, err := s.cfg.Passkeys.PasskeyUses(r.Context(), m.user.ID)
	for _, f := range have.passkeys {
		out.Passkeys = append(out.Passkeys, accountFactor{
			ID: f.ID, Name: f.Value.Passkey.Name, Synced: f.Value.Passkey.Synced, Since: f.Created, Used: uses[f.ID],
		})
	}
	return out, err
}

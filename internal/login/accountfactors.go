package login

import (
	"net/http"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/web"
)

// accountFactors is what the account page shows of second factors.
type accountFactors struct {
	App        *accountFactor // nil: none
	Mail       *accountFactor // nil: none
	CanApp     bool           // an authenticator app can be set up
	CanMail    bool           // codes by e-mail can
	Passkeys   []accountFactor
	CanPasskey bool // this site can have passkeys
	Recovery   int  // codes that are left
	Made       time.Time
}

// Few reports whether the recovery codes go to an end.
func (f accountFactors) Few() bool { return f.Recovery > 0 && f.Recovery <= 3 }

// None reports whether a password is all that proves who the person is.
func (f accountFactors) None() bool { return f.App == nil && f.Mail == nil && len(f.Passkeys) == 0 }

type accountFactor struct {
	ID     string
	Name   string // of a passkey, as the person called it; of codes by e-mail, the address in part
	Synced bool   // a passkey that other devices of the person have as well
	Since  time.Time
	Used   time.Time // zero: never, or not known
}

func (s *Server) accountFactors(r *http.Request, m *member) (out accountFactors, err error) {
	party := s.party(r)
	view, in, err := s.asked(r.Context(), m.user.ID, address(r))
	if err != nil {
		return out, err
	}
	may := view.Enrollment(&in, nil)
	out.CanPasskey, out.CanApp = party.Ready() && may.May(directory.FactorPasskey), may.May(directory.FactorTOTP)
	have, err := s.factorsOf(r.Context(), party, m.user.ID)
	if err != nil {
		return out, err
	}
	if have.app != nil {
		out.App = &accountFactor{ID: have.app.ID, Since: have.app.Created}
	}
	out.CanMail = s.cfg.Letters != nil && may.May(directory.FactorEmail)
	if have.mail != nil {
		out.Mail = &accountFactor{ID: have.mail.ID, Since: have.mail.Created, Name: masked(have.mail.Value.Email)}
	}
	if out.Recovery, out.Made, err = s.cfg.Recovery.RecoveryCodes(r.Context(), m.user.ID); err != nil || len(have.passkeys) == 0 {
		return out, err
	}
	uses, err := s.cfg.Passkeys.PasskeyUses(r.Context(), m.user.ID)
	for _, f := range have.passkeys {
		out.Passkeys = append(out.Passkeys, accountFactor{
			ID: f.ID, Name: f.Value.Passkey.Name, Synced: f.Value.Passkey.Synced, Since: f.Created, Used: uses[f.ID],
		})
	}
	return out, err
}

// codesPage is what the page shows, once.
type codesPage struct{ Codes []string }

// makeRecovery makes recovery codes for who has just used a second factor, and shows
// them.
func (s *Server) makeRecovery(w http.ResponseWriter, r *http.Request, m *member) {
	if s.cfg.Now().Sub(m.session.FactorAt) > changeTime {
		s.proveFactor(w, r, "/account?do=recovery") //nolint:contextcheck // a visit carries its request
		return
	}
	codes, err := s.cfg.Recovery.NewRecoveryCodes(r.Context(), self(m.user), m.user.ID)
	if err != nil {
		s.lost(w, r, err)
		return
	}
	lang := s.language(r)
	s.pages.codes.Write(r.Context(), w, http.StatusOK, web.Head{Lang: lang, Title: s.say(lang, "codes_title")}, codesPage{Codes: codes})
}

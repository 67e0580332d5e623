package login

import (
	"context"
	"net/http"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/mail"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/tenant"
)

// MailCodes is what this room needs of codes that are sent by e-mail.
type MailCodes interface {
	NewEmailCode(ctx context.Context, userID, id string) (code, address string, err error)
	EmailCodeWaits(ctx context.Context, id string) (bool, error)
}

// codesSent is how many codes are sent to a person: who knows the password must not be
// able to fill the mailbox.
var codesSent = ratelimit.Rate{Count: 5, Period: 15 * time.Minute} //nolint:gochecknoglobals // a constant

// mailCodePart is the part of a page that sends codes and takes them.
const mailCodePart = "pages/mailcode.html"

// enrollMail is what Request.Enroll says of it.
const enrollMail = "mail"

// mailForm is what the part shows. It works without scripts.
type mailForm struct {
	Token, Step, Login string
	Address            string // in part
	Sent               bool   // a code is on its way
	Plain              bool   // the button is not the first of the page
	Titled             bool   // the part has a heading
	Others             string // the address of the page with the other ways; empty: there are none
	Keep               *rememberForm
}

// alone reports whether a code was asked for just now, or typed: then the page is about
// nothing else.
func (f *mailForm) alone(v *visit) bool {
	return f != nil && f.Sent && (v.again || field(v.r, "mailcode") != "")
}

// beside gives the part its place among other ways, if there are any.
func (f *mailForm) beside(v *visit, others bool) {
	switch {
	case f == nil || !others:
	case f.alone(v):
		f.Others = v.r.URL.Path
	default:
		f.Plain, f.Titled = true, true
	}
}

// mailFactor returns the user's factor of codes by e-mail of the status; nil for none.
func (s *Server) mailFactor(ctx context.Context, user, status string) (*ledger.Object[directory.Factor], error) {
	list, err := s.cfg.Factors.ListFactors(ctx, user)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if f := &list[i]; f.Value.Type == directory.FactorEmail && f.Value.Status == status {
			return f, nil
		}
	}
	return nil, nil
}

// mailForm returns the part for a factor; nil when there is none.
func (s *Server) mailForm(v *visit, f *ledger.Object[directory.Factor], step string) (*mailForm, error) {
	if f == nil {
		return nil, nil
	}
	waits, err := s.cfg.MailCodes.EmailCodeWaits(v.ctx(), f.ID)
	return &mailForm{Token: v.token, Step: step, Login: v.user.Value.Profile.Login, Address: masked(f.Value.Email), Sent: waits}, err
}

// canMail reports whether codes can be sent to the person.
func (s *Server) canMail(v *visit) bool {
	return s.cfg.Letters != nil && mail.CheckAddress(v.user.Value.Profile.Email) == nil
}

// enrollMailForm returns the part that sets codes by e-mail up.
func (s *Server) enrollMailForm(v *visit) (*mailForm, error) {
	pending, err := s.mailFactor(v.ctx(), v.user.ID, directory.FactorPending)
	if err != nil {
		return nil, err
	}
	if pending == nil {
		pending = &ledger.Object[directory.Factor]{Value: directory.Factor{Email: v.user.Value.Profile.Email}}
	}
	return s.mailForm(v, pending, "enroll")
}

// takeMailEnrollment sends a first code, or takes it: then the mailbox is the person's,
// and a second factor of this sign-in.
func (s *Server) takeMailEnrollment(v *visit) error {
	ctx, user := v.ctx(), v.user
	pending, err := s.mailFactor(ctx, user.ID, directory.FactorPending)
	if err != nil {
		return err
	}
	if code := field(v.r, "mailcode"); code != "" && pending != nil {
		return s.takeCode(v, directory.FactorEmail, code, func(code string) error {
			_, err := s.cfg.Factors.ActivateFactor(ctx, self(user), user.ID, pending.ID, code)
			return err
		})
	}
	if pending != nil && pending.Value.Email != user.Value.Profile.Email {
		if err := s.cfg.Factors.RemoveFactor(ctx, self(user), user.ID, pending.ID); err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		pending = nil
	}
	if pending == nil {
		made, _, err := s.cfg.Factors.EnrollFactor(ctx, self(user), user.ID, directory.NewFactor{Type: directory.FactorEmail, Provider: "OKTA"})
		if err != nil {
			return err
		}
		pending = &made
	}
	return s.sendOnPage(v, pending.ID)
}

// sendOnPage sends a code of a factor of the visit's person, and shows the page again.
func (s *Server) sendOnPage(v *visit, factor string) error {
	v.again = true
	site, _ := s.cfg.Site(v.r)
	err := s.sendCode(v.ctx(), site, v.user, factor, s.lang(v))
	switch {
	case fault.Is(err, fault.RateLimited):
		v.busy(http.StatusTooManyRequests, codesSent.Period/time.Duration(codesSent.Count), "busy_letters")
		return nil
	case fault.Is(err, fault.Full), fault.Is(err, fault.Invalid):
		v.busy(http.StatusServiceUnavailable, time.Minute, "mailcode_not_sent")
		return nil
	}
	return err
}

// sendCode sends the next code of a factor, within the bound of a person's letters.
func (s *Server) sendCode(ctx context.Context, site Site, u *ledger.Object[directory.User], factor, lang string) error {
	if s.cfg.Letters == nil {
		return errNoMail()
	}
	if !s.tries.Take(s.cfg.Now(), s.tries.JoinString(s.tries.Key("codes"), u.ID), codesSent, 1).Allowed {
		return fault.New(fault.RateLimited, "several codes have been sent already")
	}
	code, address, err := s.cfg.MailCodes.NewEmailCode(ctx, u.ID, factor)
	if err != nil {
		return err
	}
	return s.send(ctx, site, u, letter{name: "code", to: address, lang: s.languageOf(u.Value, lang), code: code})
}

// SendCode sends the next code of a user's factor, for the management API.
func (s *Server) SendCode(ctx context.Context, userID, factor string) error {
	u, err := s.cfg.People.User(ctx, userID)
	if err != nil {
		return err
	}
	t, _ := tenant.From(ctx)
	site, ok := s.cfg.SiteOf(t)
	if !ok {
		return fault.New(fault.NotFound, "the tenant has no site")
	}
	return s.sendCode(ctx, site, &u, factor, site.language())
}

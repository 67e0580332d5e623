package login

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// Sealer encrypts what a browser keeps for one place; *keys.Sealer does.
type Sealer interface {
	Seal(plain []byte, at keys.Place) (string, error)
	Open(sealed string, at keys.Place) ([]byte, error)
}

// rememberedCookie says that a second factor was used in this browser, where a rule asks
// for one once for each (factorPromptMode DEVICE). It is sealed for the person: nobody can
// make one, and nobody else's is good. It begins no session and raises none: tokens say
// that a password was all there was.
const rememberedCookie = "gatehouse_remembered"

// remembered is what the cookie holds.
type remembered struct {
	At    time.Time `json:"at"`
	Stamp string    `json:"stamp"`
}

// stamp is of the password and the second factors as they are: with any change a browser
// is remembered no more.
func (s *Server) stamp(ctx context.Context, user *ledger.Object[directory.User]) (string, error) {
	list, err := s.cfg.Factors.ListFactors(ctx, user.ID)
	if err != nil {
		return "", err
	}
	parts := []string{user.Value.PasswordChanged.UTC().Format(time.RFC3339Nano)}
	for i := range list {
		if list[i].Value.Status == directory.FactorActive {
			parts = append(parts, list[i].ID)
		}
	}
	slices.Sort(parts)
	return keys.Hash(strings.Join(parts, "\x00")), nil
}

func rememberedPlace(ctx context.Context, user string) keys.Place {
	t, _ := tenant.From(ctx)
	return keys.Place{Tenant: t, Kind: "remembered_browser", ID: user, Field: "cookie"}
}

// isRemembered reports whether the person has used a second factor in the browser of the
// request, not longer ago than the rule says.
func (s *Server) isRemembered(r *http.Request, user *ledger.Object[directory.User], most time.Duration) (bool, error) {
	cookie := s.cfg.Kit.Cookie(r, rememberedCookie)
	if cookie == "" || s.cfg.Sealer == nil {
		return false, nil
	}
	plain, err := s.cfg.Sealer.Open(cookie, rememberedPlace(r.Context(), user.ID))
	var was remembered
	if err != nil || json.Unmarshal(plain, &was) != nil {
		return false, nil //nolint:nilerr // made up, somebody else's, or of a key that is gone: then it is asked for
	}
	if s.cfg.Now().Sub(was.At) > most {
		return false, nil
	}
	stamp, err := s.stamp(r.Context(), user)
	return err == nil && keys.Equal(stamp, was.Stamp), err
}

// rememberBrowser lets the browser of the visit keep that a second factor was just used,
// where the person wants that and the rule allows it.
func (s *Server) rememberBrowser(v *visit) error {
	if field(v.r, "remember") == "" || s.rememberForm(v) == nil {
		return nil
	}
	stamp, err := s.stamp(v.ctx(), v.user)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(remembered{At: s.cfg.Now(), Stamp: stamp})
	if err != nil {
		return err
	}
	sealed, err := s.cfg.Sealer.Seal(plain, rememberedPlace(v.ctx(), v.user.ID))
	if err == nil {
		s.cfg.Kit.KeepCookie(v.w, rememberedCookie, sealed, v.rule.DeviceLifetime())
	}
	return err
}

// rememberForm is the box by which a person asks not to be asked again.
type rememberForm struct {
	Label   string
	Checked bool
}

// rememberForm returns it; nil where the rule asks each time.
func (s *Server) rememberForm(v *visit) *rememberForm {
	if s.cfg.Sealer == nil || v.rule == nil || !v.rule.RequireFactor || v.rule.FactorPromptMode != access.PromptDevice {
		return nil
	}
	most, words, lang := v.rule.DeviceLifetime(), s.cfg.Kit.Words(), s.lang(v)
	f := &rememberForm{Checked: v.rule.RememberDevice}
	switch {
	case most >= 48*time.Hour:
		f.Label = words.Count(lang, "remember_days", int(most/(24*time.Hour)))
	case most >= 2*time.Hour:
		f.Label = words.Count(lang, "remember_hours", int(most/time.Hour))
	default:
		f.Label = words.Count(lang, "remember_minutes", int(most/time.Minute))
	}
	return f
}

// ruleDemands reports whether the sign-on rule wants a second factor that the session has
// not shown, or not lately enough, and that the browser does not stand for.
func (s *Server) ruleDemands(r *http.Request, rule *ruling, sess *session.Session, user *ledger.Object[directory.User]) (bool, error) {
	if !rule.demands(sess, s.cfg.Now()) {
		return false, nil
	}
	if rule.FactorPromptMode != access.PromptDevice {
		return true, nil
	}
	known, err := s.isRemembered(r, user, rule.DeviceLifetime())
	return !known, err
}

package login

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/session"
)

// Passkeys is what this room needs of people's passkeys. A challenge is base64url
// and good for one answer, which is this room's business.
type Passkeys interface {
	PasskeyOptions(ctx context.Context, p directory.Party, userID, challenge string) ([]byte, error)
	AddPasskey(ctx context.Context, actor ledger.Actor, p directory.Party, userID, challenge, name string, answer []byte) (ledger.Object[directory.Factor], error)
	// AssertionOptions is for whoever has a passkey when userID is empty.
	AssertionOptions(ctx context.Context, p directory.Party, userID, challenge string) ([]byte, error)
	VerifyPasskey(ctx context.Context, p directory.Party, userID, challenge string, answer []byte) (directory.Proven, error)
	RenamePasskey(ctx context.Context, actor ledger.Actor, userID, id, name string) error
	PasskeyUses(ctx context.Context, userID string) (map[string]time.Time, error)
}

// party returns the site as passkeys know it.
func (s *Server) party(r *http.Request) directory.Party {
	site, _ := s.cfg.Site(r)
	p, _ := directory.PartyOf(site.URL)
	return p.Named(site.Name)
}

// ceremony is what a challenge was made for. It is kept under the challenge, and
// an answer is taken for the very same.
type ceremony struct {
	Use  string `json:"use"`            // create or get
	User string `json:"user,omitempty"` // id; empty: whoever has a passkey
}

// The uses of a challenge.
const (
	useCreate = "create"
	useGet    = "get"
)

// passkeyForm is the part of a page that makes or uses a passkey. Its script shows
// it: without scripts there are no passkeys.
type passkeyForm struct {
	Token       string
	Step        string
	Use         string // create or get
	Options     string // what the browser is told, as JSON
	Label       string // of the button
	Name        string // of a new passkey, as a first suggestion
	Plain       bool   // the button is not the first of the page
	Conditional bool   // the browser offers passkeys in the field of the name as well
	Keep        *rememberForm
}

// passkeyForm returns the form for a ceremony, nil when this site can have no
// passkeys.
func (s *Server) passkeyForm(v *visit, c ceremony, step string) (*passkeyForm, error) {
	p := s.party(v.r)
	if !p.Ready() {
		return nil, nil
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var crowd *session.TooMany
	if err := s.cfg.Waiting.Admit(v.ctx(), session.From{Network: address(v.r)}); errors.As(err, &crowd) {
		return nil, nil //nolint:nilnil // without a passkey, then: each page would let another challenge wait
	} else if err != nil {
		return nil, err
	}
	challenge, err := s.cfg.Waiting.Add(v.ctx(), session.PurposePasskey, keys.Hash(s.cfg.Kit.Cookie(v.r, browserCookie)), data, requestTime)
	if err != nil {
		return nil, err
	}
	lang := s.lang(v)
	f := &passkeyForm{Token: v.token, Step: step, Use: c.Use, Label: s.say(lang, "passkey_use")}
	var options []byte
	if c.Use == useCreate {
		f.Label, f.Name = s.say(lang, "passkey_make"), s.browserName(lang, v.r.UserAgent())
		options, err = s.cfg.Passkeys.PasskeyOptions(v.ctx(), p, c.User, challenge)
	} else {
		options, err = s.cfg.Passkeys.AssertionOptions(v.ctx(), p, c.User, challenge)
	}
	f.Options = string(options)
	return f, err
}

// takeChallenge returns the challenge that the browser's answer is to, and makes
// sure that it was made for this, here, and has not been answered.
func (s *Server) takeChallenge(v *visit, want ceremony, answer []byte) (string, error) {
	refused := fault.New(fault.Denied, "the challenge is not one of this page, or was answered before").WithReason(directory.ReasonWrongCode)
	challenge := directory.ChallengeOf(answer)
	w, err := s.cfg.Waiting.Find(v.ctx(), session.PurposePasskey, challenge)
	if fault.Is(err, fault.NotFound) {
		return "", refused
	}
	if err != nil {
		return "", err
	}
	var made ceremony
	browser := s.cfg.Kit.Cookie(v.r, browserCookie)
	if json.Unmarshal(w.Data, &made) != nil || made != want || browser == "" || !keys.Equal(w.Browser, keys.Hash(browser)) {
		return "", refused
	}
	first, err := s.cfg.Waiting.Take(v.ctx(), &w)
	if err == nil && !first {
		err = refused
	}
	return challenge, err
}

// known returns the id of the person who is to sign in again, empty while anybody may.
func (v *visit) known() string {
	if v.user != nil && (v.req.Subject == "" || v.req.Subject == v.user.ID) {
		return v.user.ID
	}
	return ""
}

// signInPasskey returns the form that signs in by a passkey; nil when nobody could
// use it here.
func (s *Server) signInPasskey(v *visit) (*passkeyForm, error) {
	c := ceremony{Use: useGet, User: v.known()}
	if s.wantsPassword(v) {
		return nil, nil
	}
	if c.User != "" {
		have, err := s.factors(v)
		if err != nil || len(have.passkeys) == 0 {
			return nil, err
		}
	}
	f, err := s.passkeyForm(v, c, "signin")
	if f != nil {
		f.Label = s.say(s.lang(v), "passkey_signin")
		f.Conditional, f.Plain = c.User == "", c.User == ""
	}
	return f, err
}

// takePasskeySignIn signs in who has a passkey: it is what they have and what they
// are or know, and so both factors. It is not counted as a guess, since it cannot
// be guessed: who tries passwords of others does not lock out their passkeys.
func (s *Server) takePasskeySignIn(v *visit, answer []byte) error {
	want := ceremony{Use: useGet, User: v.known()}
	got, err := s.verifyPasskey(v, want, answer)
	if err != nil || v.problem != "" {
		return err
	}
	user := &got.User
	if !maySignIn(user.Value.Status) {
		s.recordSignIn(v, user.Value.Profile.Login, nil, string(user.Value.Status))
		v.status, v.problem = http.StatusUnauthorized, "passkey_wrong"
		return nil
	}
	if v.req.Subject != "" && user.ID != v.req.Subject {
		return refuse("login_required", "Another user than the one of the id_token_hint has signed in.")
	}
	if err := s.admit(v, user, provenBy(&got)); err != nil || v.problem != "" {
		return err
	}
	s.recordSignIn(v, user.Value.Profile.Login, user, "")
	s.recordFactor(v, directory.FactorPasskey, "")
	return nil
}

// verifyPasskey has a browser's answer checked. What is wrong with it is the visit's
// problem.
func (s *Server) verifyPasskey(v *visit, want ceremony, answer []byte) (directory.Proven, error) {
	if wait := s.networkFull(v.r, s.cfg.Now()); wait > 0 {
		v.busy(http.StatusTooManyRequests, wait, "busy_network")
		return directory.Proven{}, nil
	}
	var got directory.Proven
	challenge, err := s.takeChallenge(v, want, answer)
	if err == nil {
		got, err = s.cfg.Passkeys.VerifyPasskey(v.ctx(), s.party(v.r), want.User, challenge, answer)
	}
	f := fault.Of(err)
	if err == nil || f == nil || f.Code != fault.Denied {
		return got, err
	}
	v.status, v.problem = http.StatusUnauthorized, "passkey_wrong"
	reason := "INVALID_CREDENTIALS"
	if f.Reason == directory.ReasonCopied {
		v.problem, reason = "passkey_copied", "PASSKEY_COUNTER"
	}
	switch {
	case v.user != nil:
		s.recordFactor(v, directory.FactorPasskey, reason)
	default:
		s.recordSignIn(v, got.User.Value.Profile.Login, nil, reason)
	}
	return directory.Proven{}, nil
}

// takePasskeyFactor raises the session by a passkey of who is signed in.
func (s *Server) takePasskeyFactor(v *visit, answer []byte) error {
	got, err := s.verifyPasskey(v, ceremony{Use: useGet, User: v.user.ID}, answer)
	if err != nil || v.problem != "" {
		return err
	}
	return s.raise(v, directory.FactorPasskey, provenBy(&got))
}

// takeNewPasskey adds the passkey that the browser has made: it has proved itself
// in that, and is a factor of this sign-in already.
func (s *Server) takeNewPasskey(v *visit, answer []byte) error {
	challenge, err := s.takeChallenge(v, ceremony{Use: useCreate, User: v.user.ID}, answer)
	var made ledger.Object[directory.Factor]
	if err == nil {
		made, err = s.cfg.Passkeys.AddPasskey(v.ctx(), self(v.user), s.party(v.r), v.user.ID, challenge, field(v.r, "name"), answer)
	}
	f := fault.Of(err)
	switch {
	case err == nil:
	case f != nil && f.Reason == directory.ReasonPasskeys:
		v.status, v.problem = http.StatusUnprocessableEntity, "passkey_many"
		return nil
	case f != nil && f.Code == fault.Conflict:
		v.status, v.problem = http.StatusConflict, "passkey_in_use"
		return nil
	case f != nil && f.Code == fault.Denied:
		v.status, v.problem = http.StatusUnprocessableEntity, "passkey_not_added"
		return nil
	default:
		return err
	}
	return s.raise(v, directory.FactorPasskey, session.Proof{AMR: passkeyMethods(&made.Value), ACR: LevelPhishing})
}

// provenBy is what the use of a passkey proves. One that is in the device says which
// device it is (docs/adr/0020).
func provenBy(p *directory.Proven) session.Proof {
	out := session.Proof{Factor: true, AMR: passkeyMethods(&p.Factor.Value), ACR: LevelPhishing}
	if p.Here {
		out.Passkey = p.Factor.ID
	}
	return out
}

// passkeyMethods are the authentication methods of a passkey (RFC 8176): possession
// of a key, which stays in its device or is synced by software, and the person's
// verification with it.
func passkeyMethods(f *directory.Factor) []string {
	if f.Passkey.Synced {
		return []string{"swk", "user", "mfa"}
	}
	return []string{"hwk", "user", "mfa"}
}

// own is what a person can prove more with than a password.
type own struct {
	app      *ledger.Object[directory.Factor] // an active authenticator app; nil: none
	mail     *ledger.Object[directory.Factor] // codes by e-mail; nil: none
	passkeys []ledger.Object[directory.Factor]
}

func (o *own) any() bool { return o.app != nil || o.mail != nil || len(o.passkeys) > 0 }

// factors returns what the person of a visit has.
func (s *Server) factors(v *visit) (*own, error) {
	if v.have != nil {
		return v.have, nil
	}
	have, err := s.factorsOf(v.ctx(), s.party(v.r), v.user.ID)
	if err == nil {
		v.have = have
	}
	return have, err
}

func (s *Server) factorsOf(ctx context.Context, p directory.Party, user string) (*own, error) {
	list, err := s.cfg.Factors.ListFactors(ctx, user)
	if err != nil {
		return nil, err
	}
	have := &own{}
	for i := range list {
		switch f := &list[i]; {
		case f.Value.Type == directory.FactorTOTP && f.Value.Status == directory.FactorActive:
			have.app = f
		case f.Value.Type == directory.FactorEmail && f.Value.Status == directory.FactorActive:
			have.mail = f
		case f.Value.IsFor(p):
			have.passkeys = append(have.passkeys, *f)
		}
	}
	order.By(have.passkeys, func(a, b ledger.Object[directory.Factor]) int { return a.Created.Compare(b.Created) })
	return have, nil
}

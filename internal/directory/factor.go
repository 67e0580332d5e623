package directory

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// The types of factors that a user can have.
const (
	FactorQuestion = "question"
	FactorTOTP     = "token:software:totp"
	FactorPasskey  = "webauthn"
)

// The statuses of a factor.
const (
	FactorPending = "PENDING_ACTIVATION" // the person has not shown yet that they have it
	FactorActive  = "ACTIVE"
)

// Factor is something by which a user can show who they are, besides the password.
type Factor struct {
	User     string `json:"user"` // id
	Type     string `json:"type"`
	Provider string `json:"provider"` // OKTA, or GOOGLE for its authenticator app
	Status   string `json:"status"`
	// Question is the key of a security question, Answer the argon2id verifier of its
	// answer.
	Question string `json:"question,omitempty"`
	Answer   string `json:"answerHash,omitempty"`
	// Secret is that of an authenticator app, sealed.
	Secret string `json:"secret,omitempty"` // #nosec G117 -- it is sealed
	// Email is where the codes of a FactorEmail go.
	Email string `json:"email,omitempty"`
	// Passkey is the credential of a FactorPasskey.
	Passkey *Passkey `json:"passkey,omitempty"`
}

// Factors are unique by user, type and provider, passkeys by their credential, and
// go with the user.
var Factors = ledger.NewKind(ledger.Spec[Factor]{
	Name: "factor", IDPrefix: "ufs", Secrets: []string{"secret"},
	Keys: func(f Factor) []ledger.Key {
		if f.Passkey != nil {
			return []ledger.Key{passkeyKey(f.Passkey.Credential), ledger.By("type", f.User, f.Type, f.Provider, keys.Hash(string(f.Passkey.Credential)))}
		}
		return []ledger.Key{ledger.By("type", f.User, f.Type, f.Provider)}
	},
	Refs: func(f Factor) []ledger.Ref {
		return []ledger.Ref{{Field: "user", Kind: "user", ID: f.User, OnDelete: ledger.Cascade}}
	},
	Check: func(f Factor) error {
		var fields []fault.Field
		wrong := func(bad bool, path, message string) {
			if bad {
				fields = append(fields, fault.Field{Path: path, Message: message})
			}
		}
		_, known := SecurityQuestion(f.Question)
		wrong(!isFactor(f.Type), "factorType", "must be question, token:software:totp, email or webauthn: other factors are not available")
		wrong(!fits(f.Type, f.Provider), "provider", "must be OKTA, GOOGLE for an authenticator app, FIDO for a passkey")
		wrong((f.Type == FactorPasskey) != (f.Passkey != nil), "passkey", "is missing")
		if f.Passkey != nil {
			why := f.Passkey.wrong()
			wrong(why != "", "passkey", why)
		}
		wrong(f.Status != FactorPending && f.Status != FactorActive, "status", "must be PENDING_ACTIVATION or ACTIVE")
		wrong((f.Type == FactorQuestion) != known, "profile.question", "is not the key of a security question")
		wrong((f.Type == FactorQuestion) != strings.HasPrefix(f.Answer, "$argon2id$"), "profile.answer", "is missing")
		wrong((f.Type == FactorEmail) != (f.Email != ""), "profile.email", "is missing")
		wrong((f.Type == FactorTOTP) != (f.Secret != ""), "secret", "is missing")
		if len(fields) > 0 {
			return fault.New(fault.Invalid, "the factor is not valid").WithFields(fields...)
		}
		return nil
	},
})

func isFactor(kind string) bool {
	return kind == FactorQuestion || kind == FactorTOTP || kind == FactorPasskey || kind == FactorEmail
}

// fits reports whether a provider has factors of the type.
func fits(kind, provider string) bool {
	switch kind {
	case FactorPasskey:
		return provider == "FIDO"
	case FactorTOTP:
		return provider == "OKTA" || provider == "GOOGLE"
	}
	return provider == "OKTA"
}

// The reasons of faults about factors that an edge may want to tell apart.
const (
	ReasonWrongCode = "wrong_code"     // it is not the code, or not the answer
	ReasonUsedCode  = "code_used"      // the code was taken before
	ReasonFactor    = "factor_state"   // the factor is active already, or not yet
	ReasonCopied    = "passkey_copied" // the counter of a passkey has not gone forward
	ReasonPasskeys  = "too_many"       // the user has as many as anybody may
	// ReasonNotAllowed: no policy lets the user have such a factor.
	ReasonNotAllowed = "factor_not_allowed"
)

// The event types of factors, named as in Okta's System Log.
const (
	EventFactorAdded   = "user.mfa.factor.activate"
	EventFactorRemoved = "user.mfa.factor.deactivate"
	EventFactorsReset  = "user.mfa.factor.reset_all"
)

// Sealer encrypts secrets for one place each; *keys.Sealer does.
type Sealer interface {
	Seal(plain []byte, at keys.Place) (string, error)
	Open(sealed string, at keys.Place) ([]byte, error)
}

// SingleUse marks values as used; *store.DB does.
type SingleUse interface {
	Use(ctx context.Context, purpose, hash string, expires time.Time) (first bool, err error)
}

// FactorUse keeps what the use of factors leaves behind; *store.DB does.
type FactorUse interface {
	// UsePasskey notes a use with the counter that was signed, and reports false when
	// that is none that goes forward.
	UsePasskey(ctx context.Context, user, id string, counter uint32, at time.Time) (bool, error)
	PasskeyUses(ctx context.Context, user string) (map[string]time.Time, error)
	ReplaceRecoveryCodes(ctx context.Context, user string, hashes []string, at time.Time) error
	// TakeRecoveryCode takes one, once: of any number of callers one gets true.
	TakeRecoveryCode(ctx context.Context, user, hash string) (bool, error)
	RecoveryCodes(ctx context.Context, user string) (left int, made time.Time, err error)
}

// NewFactor is what EnrollFactor needs.
type NewFactor struct {
	Type, Provider   string
	Question, Answer string // of FactorQuestion
	Email            string // of FactorEmail: one of the user's addresses; empty: the first
}

// EnrollFactor gives a user a factor. An authenticator app and codes by e-mail have to be
// activated; the app's secret is in the answer and can be read nowhere else. fault.Conflict when the user
// has one of that type and provider.
func (s *Service) EnrollFactor(ctx context.Context, actor ledger.Actor, userID string, n NewFactor) (o ledger.Object[Factor], secret string, err error) {
	defer fault.Wrap(&err, "enroll a factor of user %q", userID)
	f := Factor{User: userID, Type: n.Type, Provider: n.Provider, Status: FactorActive, Question: n.Question}
	if n.Type == FactorPasskey {
		return o, "", fault.New(fault.Unsupported, "a passkey is made in the person's browser: on the account page, or when an app asks for it")
	}
	if n.Type == FactorQuestion {
		if f.Answer, err = s.answer(ctx, n.Answer); err != nil {
			return o, "", err
		}
	}
	if n.Type == FactorTOTP {
		if s.cfg.Sealer == nil || s.cfg.SingleUse == nil {
			return o, "", fault.New(fault.Unavailable, "this process keeps no factors")
		}
		secret, f.Status = keys.NewTOTPSecret(), FactorPending
	}
	if n.Type == FactorEmail {
		f.Status = FactorPending
	}
	if err := s.mayEnroll(ctx, userID, n.Type); err != nil {
		return o, "", err
	}
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "enroll a factor of user "+userID, func(tx *ledger.Tx) (err error) {
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		f, id := f, Factors.NewID(tx)
		if f.Type == FactorEmail {
			if f.Email, err = ownAddress(&user.Value, n.Email); err != nil {
				return err
			}
		}
		if secret != "" {
			if f.Secret, err = s.cfg.Sealer.Seal([]byte(secret), factorPlace(tx, id)); err != nil {
				return err
			}
		}
		o, err = Factors.Insert(tx, ledger.Object[Factor]{Meta: ledger.Meta{ID: id}, Value: f})
		return err
	})
	if err != nil {
		return o, "", err
	}
	if f.Status == FactorActive {
		s.record(ctx, actor, EventFactorAdded, "Enroll factor "+f.Type, userEntity(user))
	}
	return o, secret, nil
}

// mayEnroll reports by its error that no policy lets the user have a factor of the type.
// What is no type of factors is for the kind's check to refuse.
func (s *Service) mayEnroll(ctx context.Context, userID, factor string) error {
	if s.cfg.Rules == nil || !isFactor(factor) {
		return nil
	}
	who, err := s.subject(ctx, userID)
	if err != nil {
		return err
	}
	may, err := s.cfg.Rules.MayEnroll(ctx, who, factor)
	if err == nil && !may {
		err = fault.New(fault.Denied, "the enrollment policy does not let the user have a factor of the type %s", factor).WithReason(ReasonNotAllowed)
	}
	return err
}

// ownAddress returns one of the user's addresses, the first when none is named: codes go
// to nobody else's.
func ownAddress(u *User, named string) (string, error) {
	second, _ := u.Profile.Attributes["secondEmail"].(string)
	switch {
	case named == "" || strings.EqualFold(named, u.Profile.Email):
		return u.Profile.Email, nil
	case strings.EqualFold(named, second):
		return second, nil
	}
	return "", fault.New(fault.Invalid, "the address is not the user's").
		WithFields(fault.Field{Path: "profile.email", Message: "must be the user's email or secondEmail"})
}

func factorPlace(tx *ledger.Tx, id string) keys.Place {
	return keys.Place{Tenant: tx.Tenant(), Kind: Factors.Name(), ID: id, Field: "secret"}
}

// answer returns the verifier of the answer to a question, of which case and outer
// spaces do not count.
func (s *Service) answer(ctx context.Context, answer string) (string, error) {
	answer = foldAnswer(answer)
	if len(answer) < 4 || len(answer) > maxPassword {
		return "", fault.New(fault.Invalid, "the answer is not valid").
			WithFields(fault.Field{Path: "profile.answer", Message: "must have 4 to 256 bytes"})
	}
	return s.cfg.Passwords.Hash(ctx, answer)
}

// ListFactors returns the factors of a user.
func (s *Service) ListFactors(ctx context.Context, userID string) (out []ledger.Object[Factor], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := Users.Get(tx, userID); err != nil {
			return err
		}
		p, err := Factors.List(tx, ledger.Query{By: "type", Equal: []string{userID}})
		out = p.Items
		return err
	})
	return out, err
}

// FindFactor returns a factor of a user, or fault.NotFound.
func (s *Service) FindFactor(ctx context.Context, userID, id string) (o ledger.Object[Factor], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = factorOf(tx, userID, id)
		return err
	})
	return o, err
}

func factorOf(tx *ledger.Tx, userID, id string) (ledger.Object[Factor], error) {
	o, err := Factors.Get(tx, id)
	if err == nil && o.Value.User != userID {
		return ledger.Object[Factor]{}, fault.New(fault.NotFound, "the user has no such factor")
	}
	return o, err
}

// ActivateFactor makes a pending factor active with a code of it.
func (s *Service) ActivateFactor(ctx context.Context, actor ledger.Actor, userID, id, code string) (o ledger.Object[Factor], err error) {
	defer fault.Wrap(&err, "activate factor %q", id)
	if o, err = s.FindFactor(ctx, userID, id); err != nil {
		return o, err
	}
	if o.Value.Status != FactorPending {
		return o, fault.New(fault.Denied, "the factor is active already").WithReason(ReasonFactor)
	}
	if err := s.check(ctx, o, code); err != nil {
		return o, err
	}
	_, err = s.cfg.Ledger.Update(ctx, actor, "activate factor "+id, func(tx *ledger.Tx) error {
		if o, err = factorOf(tx, userID, id); err != nil {
			return err
		}
		o.Value.Status = FactorActive
		o, err = Factors.Put(tx, o)
		return err
	})
	if err == nil {
		var user ledger.Object[User]
		if user, err = s.User(ctx, userID); err == nil {
			s.record(ctx, actor, EventFactorAdded, "Enroll factor "+o.Value.Type, userEntity(user))
		}
	}
	return o, err
}

// VerifyFactor answers fault.Denied unless it is the answer to the question, or a
// code of the authenticator app that nobody has used yet.
func (s *Service) VerifyFactor(ctx context.Context, userID, id, answer string) (err error) {
	defer fault.Wrap(&err, "verify factor %q", id)
	o, err := s.FindFactor(ctx, userID, id)
	if err != nil {
		return err
	}
	if o.Value.Status != FactorActive {
		return fault.New(fault.Denied, "the factor is not active yet").WithReason(ReasonFactor)
	}
	return s.check(ctx, o, answer)
}

// check compares an answer or a code, and takes the code.
func (s *Service) check(ctx context.Context, o ledger.Object[Factor], answer string) error {
	wrong := fault.New(fault.Denied, "it is not right").WithReason(ReasonWrongCode)
	if len(answer) > maxPassword {
		return wrong
	}
	if o.Value.Type == FactorQuestion {
		ok, _, err := s.cfg.Passwords.Check(ctx, o.Value.Answer, foldAnswer(answer))
		if err == nil && !ok {
			err = wrong
		}
		return err
	}
	if o.Value.Type == FactorEmail {
		return s.checkEmailCode(ctx, o.ID, answer)
	}
	if o.Value.Type != FactorTOTP {
		return fault.New(fault.Unsupported, "this factor has no codes")
	}
	if s.cfg.Sealer == nil || s.cfg.SingleUse == nil {
		return fault.New(fault.Unavailable, "this process keeps no factors")
	}
	var place keys.Place
	var now time.Time
	if err := s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		place, now = factorPlace(tx, o.ID), tx.Now()
		return nil
	}); err != nil {
		return err
	}
	secret, err := s.cfg.Sealer.Open(o.Value.Secret, place)
	if err != nil {
		return err
	}
	step, ok := keys.CheckTOTP(string(secret), answer, now)
	if !ok {
		return wrong
	}
	// A mark outlives the steps that are taken at the time.
	first, err := s.cfg.SingleUse.Use(ctx, "totp", keys.Hash(o.ID+" "+strconv.FormatInt(step, 10)), now.Add(10*keys.TOTPStep))
	if err == nil && !first {
		return fault.New(fault.Denied, "the code was used before: wait for the next one").WithReason(ReasonUsedCode)
	}
	return err
}

// RemoveFactor takes a factor from a user.
func (s *Service) RemoveFactor(ctx context.Context, actor ledger.Actor, userID, id string) (err error) {
	defer fault.Wrap(&err, "remove factor %q", id)
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "remove factor "+id, func(tx *ledger.Tx) (err error) {
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		o, err := factorOf(tx, userID, id)
		if err != nil {
			return err
		}
		return Factors.Delete(tx, o.ID, 0)
	})
	if err == nil {
		s.record(ctx, actor, EventFactorRemoved, "Remove factor", userEntity(user))
		err = s.dropRecovery(ctx, userID)
	}
	return err
}

// ResetFactors takes all factors from a user.
func (s *Service) ResetFactors(ctx context.Context, actor ledger.Actor, userID string) (err error) {
	defer fault.Wrap(&err, "reset the factors of user %q", userID)
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "reset the factors of user "+userID, func(tx *ledger.Tx) (err error) {
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		p, err := Factors.List(tx, ledger.Query{By: "type", Equal: []string{userID}})
		if err != nil {
			return err
		}
		for _, o := range p.Items {
			if err := Factors.Delete(tx, o.ID, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.record(ctx, actor, EventFactorsReset, "Reset all factors", userEntity(user))
		err = s.dropRecovery(ctx, userID)
	}
	return err
}

package directory

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// FactorEmail is codes that are sent to a person's mailbox.
const FactorEmail = "email"

// Bounds of codes by e-mail.
const (
	// EmailCodeTime is how long a code is good, Okta's default.
	EmailCodeTime = 5 * time.Minute
	// triesOfCode is how often a code may be wrong before it is good no more.
	triesOfCode = 5
)

// EmailCodes keeps the last code of each factor, sealed; *store.DB does.
type EmailCodes interface {
	PutEmailCode(ctx context.Context, factor, sealed string, expires time.Time) error
	// TryEmailCode counts a try before it is judged; fault.NotFound when there is no code
	// that may be tried.
	TryEmailCode(ctx context.Context, factor string, now time.Time, most int) (sealed string, err error)
	// TakeEmailCode uses a code up: of any number of callers one gets true.
	TakeEmailCode(ctx context.Context, factor, sealed string) (bool, error)
	EmailCodeWaits(ctx context.Context, factor string, now time.Time) (bool, error)
}

// NewEmailCode makes the next code of a user's factor; it is in the answer, for the
// letter, and can be read nowhere else. The one before is good no more.
func (s *Service) NewEmailCode(ctx context.Context, userID, id string) (code, address string, err error) {
	defer fault.Wrap(&err, "make a code of factor %q", id)
	if s.cfg.EmailCodes == nil || s.cfg.Sealer == nil {
		return "", "", errNoFactors()
	}
	o, err := s.FindFactor(ctx, userID, id)
	if err != nil {
		return "", "", err
	}
	if o.Value.Type != FactorEmail {
		return "", "", fault.New(fault.Unsupported, "this factor sends nothing")
	}
	place, now, err := s.codePlace(ctx, id)
	if err != nil {
		return "", "", err
	}
	code = keys.NewDigits(6)
	sealed, err := s.cfg.Sealer.Seal([]byte(code), place)
	if err != nil {
		return "", "", err
	}
	return code, o.Value.Email, s.cfg.EmailCodes.PutEmailCode(ctx, id, sealed, now.Add(EmailCodeTime))
}

// EmailCodeWaits reports whether a code of a factor has been sent and is still good.
func (s *Service) EmailCodeWaits(ctx context.Context, id string) (bool, error) {
	if s.cfg.EmailCodes == nil {
		return false, nil
	}
	now, err := s.now(ctx)
	if err != nil {
		return false, err
	}
	return s.cfg.EmailCodes.EmailCodeWaits(ctx, id, now)
}

// checkEmailCode takes the code of a factor, or is fault.Denied.
func (s *Service) checkEmailCode(ctx context.Context, id, typed string) error {
	if s.cfg.EmailCodes == nil || s.cfg.Sealer == nil {
		return errNoFactors()
	}
	wrong := fault.New(fault.Denied, "it is not the code, or not any more: have another one sent").WithReason(ReasonWrongCode)
	place, now, err := s.codePlace(ctx, id)
	if err != nil {
		return err
	}
	sealed, err := s.cfg.EmailCodes.TryEmailCode(ctx, id, now, triesOfCode)
	if fault.Is(err, fault.NotFound) {
		return wrong
	}
	if err != nil {
		return err
	}
	code, err := s.cfg.Sealer.Open(sealed, place)
	if err != nil {
		return err
	}
	if !keys.Equal(string(code), typed) {
		return wrong
	}
	first, err := s.cfg.EmailCodes.TakeEmailCode(ctx, id, sealed)
	if err == nil && !first {
		err = wrong
	}
	return err
}

// codePlace is where a code of a factor is sealed to, and the ledger's clock.
func (s *Service) codePlace(ctx context.Context, id string) (place keys.Place, now time.Time, err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		place, now = keys.Place{Tenant: tx.Tenant(), Kind: Factors.Name(), ID: id, Field: "code"}, tx.Now()
		return nil
	})
	return place, now, err
}

func errNoFactors() error { return fault.New(fault.Unavailable, "this process keeps no factors") }

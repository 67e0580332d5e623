package directory

import (
	"context"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// FactorRecovery names recovery codes among the factors in the system log. They are
// no factor that somebody enrolls: they stand in for one that was lost.
const FactorRecovery = "recovery_code"

// RecoveryCodesMade is how many recovery codes a person gets.
const RecoveryCodesMade = 10

// The event types of recovery codes; Okta has none.
const (
	EventRecoveryMade = "user.mfa.recovery_codes.generate"
	EventRecoveryUsed = "user.mfa.recovery_codes.use"
)

// NewRecoveryCodes gives a user fresh recovery codes in place of all older ones. They
// are in the answer and can be read nowhere else. fault.Conflict for a user without
// a second factor: there is nothing to recover.
func (s *Service) NewRecoveryCodes(ctx context.Context, actor ledger.Actor, userID string) (codes []string, err error) {
	defer fault.Wrap(&err, "make recovery codes of user %q", userID)
	if s.cfg.FactorUse == nil {
		return nil, fault.New(fault.Unavailable, "this process keeps no recovery codes")
	}
	user, err := s.User(ctx, userID)
	if err != nil {
		return nil, err
	}
	has, err := s.hasFactor(ctx, userID)
	if err == nil && !has {
		err = fault.New(fault.Conflict, "recovery codes stand in for a second factor, and the user has none").WithReason(ReasonFactor)
	}
	if err != nil {
		return nil, err
	}
	hashes := make([]string, RecoveryCodesMade)
	for i := range hashes {
		code := keys.NewRecoveryCode()
		codes, hashes[i] = append(codes, code), keys.RecoveryHash(code)
	}
	now, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.FactorUse.ReplaceRecoveryCodes(ctx, userID, hashes, now); err != nil {
		return nil, err
	}
	s.record(ctx, actor, EventRecoveryMade, "Generate recovery codes", userEntity(user))
	return codes, nil
}

// UseRecoveryCode takes a recovery code of a user, once, and returns how many are
// left. It is fault.Denied when it is none of theirs, or not any more.
func (s *Service) UseRecoveryCode(ctx context.Context, userID, typed string) (left int, err error) {
	defer fault.Wrap(&err, "use a recovery code of user %q", userID)
	wrong := fault.New(fault.Denied, "it is not a recovery code, or was used before").WithReason(ReasonWrongCode)
	hash := keys.RecoveryHash(typed)
	if hash == "" || s.cfg.FactorUse == nil {
		return 0, wrong
	}
	ok, err := s.cfg.FactorUse.TakeRecoveryCode(ctx, userID, hash)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, wrong
	}
	user, err := s.User(ctx, userID)
	if err != nil {
		return 0, err
	}
	if left, _, err = s.RecoveryCodes(ctx, userID); err != nil {
		return 0, err
	}
	t, _ := tenant.From(ctx)
	s.cfg.Audit.Record(audit.Event{
		Tenant: t, Type: EventRecoveryUsed, Message: "Use recovery code", Severity: audit.Warn, Actor: userEntity(user),
		Targets: []audit.Entity{userEntity(user)}, Outcome: audit.Outcome{Result: audit.Success}, Debug: map[string]string{"left": strconv.Itoa(left)},
	})
	return left, nil
}

// RecoveryCodes returns how many recovery codes a user has left, and when they were made.
func (s *Service) RecoveryCodes(ctx context.Context, userID string) (left int, made time.Time, err error) {
	if s.cfg.FactorUse == nil {
		return 0, time.Time{}, nil
	}
	return s.cfg.FactorUse.RecoveryCodes(ctx, userID)
}

// dropRecovery takes a user's recovery codes away when there is nothing left that
// they could stand in for.
func (s *Service) dropRecovery(ctx context.Context, userID string) error {
	if s.cfg.FactorUse == nil {
		return nil
	}
	has, err := s.hasFactor(ctx, userID)
	if err != nil || has {
		return err
	}
	now, err := s.now(ctx)
	if err != nil {
		return err
	}
	return s.cfg.FactorUse.ReplaceRecoveryCodes(ctx, userID, nil, now)
}

// hasFactor reports whether a user has a factor that a sign-in asks for.
func (s *Service) hasFactor(ctx context.Context, userID string) (bool, error) {
	all, err := s.ListFactors(ctx, userID)
	for _, f := range all {
		if f.Value.Status == FactorActive && f.Value.Type != FactorQuestion {
			return true, nil
		}
	}
	return false, err
}

// now returns the clock of the ledger.
func (s *Service) now(ctx context.Context) (now time.Time, err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error { now = tx.Now(); return nil })
	return now, err
}

package directory

import (
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/fault"
)

func TestRecoveryCodes(t *testing.T) {
	r := newRoom(t)
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: "ana", Email: "a@acme.test"}})
	must(t, err)
	if _, err := r.service.NewRecoveryCodes(r.ctx, r.admin, u.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("without a factor: %v", err)
	}
	must(t, r.enroll(t, u.ID, newDevice()))
	codes, err := r.service.NewRecoveryCodes(r.ctx, r.admin, u.ID)
	must(t, err)
	if len(codes) != RecoveryCodesMade {
		t.Fatalf("%d codes", len(codes))
	}

	// attack identity 64: of 32 at a time one is taken.
	var wg sync.WaitGroup
	var winners atomic.Int32
	for range 32 {
		wg.Go(func() {
			if _, err := r.service.UseRecoveryCode(r.ctx, u.ID, codes[3]); err == nil {
				winners.Add(1)
			} else if !fault.Is(err, fault.Denied) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if winners.Load() != 1 {
		t.Errorf("%d winners", winners.Load())
	}
	left, err := r.service.UseRecoveryCode(r.ctx, u.ID, codes[0])
	must(t, err)
	if left != 8 {
		t.Errorf("%d left", left)
	}
	other := r.passkey(t, "ben", newDevice())
	if _, err := r.service.UseRecoveryCode(r.ctx, other, codes[1]); !fault.Is(err, fault.Denied) {
		t.Errorf("another user's: %v", err)
	}

	fresh, err := r.service.NewRecoveryCodes(r.ctx, r.admin, u.ID)
	must(t, err)
	if _, err := r.service.UseRecoveryCode(r.ctx, u.ID, codes[1]); !fault.Is(err, fault.Denied) {
		t.Errorf("an old one: %v", err)
	}
	var said []string
	for _, e := range r.notes.events {
		if e.Type == EventRecoveryMade || e.Type == EventRecoveryUsed {
			said = append(said, e.Type+" "+e.Debug["left"])
		}
	}
	if len(said) != 4 || said[2] != EventRecoveryUsed+" 8" {
		t.Errorf("the system log: %q", said)
	}

	// They go with the last factor.
	must(t, r.service.ResetFactors(r.ctx, r.admin, u.ID))
	if left, _, err := r.service.RecoveryCodes(r.ctx, u.ID); left != 0 || err != nil {
		t.Errorf("after the reset: %d %v", left, err)
	}
	if _, err := r.service.UseRecoveryCode(r.ctx, u.ID, fresh[0]); !fault.Is(err, fault.Denied) {
		t.Errorf("after the reset: %v", err)
	}
}

package directory

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

// envelope seals nothing, and makes sure of the place.
type envelope struct{}

func (envelope) Seal(plain []byte, at keys.Place) (string, error) {
	return fmt.Sprintf("%s/%s/%s/%x", at.Kind, at.ID, at.Field, plain), nil
}

func (envelope) Open(sealed string, at keys.Place) ([]byte, error) {
	rest, ok := strings.CutPrefix(sealed, fmt.Sprintf("%s/%s/%s/", at.Kind, at.ID, at.Field))
	if !ok {
		return nil, fault.New(fault.Internal, "sealed for another place")
	}
	return hex.DecodeString(rest)
}

// other returns a code that is not this one.
func other(code string, n int) string {
	wrong := fmt.Sprintf("%06d", n)
	if wrong == code {
		return "999999"
	}
	return wrong
}

// Codes by e-mail: to an address of the user's own, once each, and no number of guesses
// opens anything (attack identity 63 and 64).
func TestEmailCodes(t *testing.T) {
	r := newRoom(t)
	r.service.cfg.Sealer = envelope{}
	r.service.cfg.EmailCodes, _ = r.service.cfg.FactorUse.(EmailCodes)
	ana := r.user(t, "ana")
	for _, wrong := range []NewFactor{{Type: FactorEmail, Provider: "OKTA", Email: "ben@acme.test"}, {Type: FactorEmail, Provider: "GOOGLE"}} {
		if _, _, err := r.service.EnrollFactor(r.ctx, r.admin, ana, wrong); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
	f, secret, err := r.service.EnrollFactor(r.ctx, r.admin, ana, NewFactor{Type: FactorEmail, Provider: "OKTA"})
	must(t, err)
	if f.Value.Status != FactorPending || secret != "" || f.Value.Email != "ana@acme.test" {
		t.Fatalf("%+v %q", f.Value, secret)
	}
	if err := r.service.VerifyFactor(r.ctx, ana, f.ID, "000000"); !fault.Is(err, fault.Denied) {
		t.Errorf("not set up yet: %v", err)
	}
	next := func() string {
		t.Helper()
		code, address, err := r.service.NewEmailCode(r.ctx, ana, f.ID)
		must(t, err)
		if len(code) != 6 || strings.Trim(code, "0123456789") != "" || address != "ana@acme.test" {
			t.Fatalf("%q to %q", code, address)
		}
		return code
	}
	code := next()
	_, err = r.service.ActivateFactor(r.ctx, r.admin, ana, f.ID, code)
	must(t, err)
	if err := r.service.VerifyFactor(r.ctx, ana, f.ID, code); !fault.Is(err, fault.Denied) {
		t.Errorf("the code twice: %v", err)
	}

	// Five wrong ones end a code; a thousand, over many codes, find none.
	for i := range 1000 {
		if i%10 == 0 {
			code = next()
		}
		if err := r.service.VerifyFactor(r.ctx, ana, f.ID, other(code, i)); !fault.Is(err, fault.Denied) {
			t.Fatalf("guess %d: %v", i, err)
		}
	}
	if err := r.service.VerifyFactor(r.ctx, ana, f.ID, code); !fault.Is(err, fault.Denied) {
		t.Errorf("the right one after ten wrong ones: %v", err)
	}

	// Of 32 at once one is taken.
	code = next()
	var wins atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if r.service.VerifyFactor(r.ctx, ana, f.ID, code) == nil {
				wins.Add(1)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 {
		t.Errorf("%d times", wins.Load())
	}
	old := next()
	code = next()
	if old != code {
		if err := r.service.VerifyFactor(r.ctx, ana, f.ID, old); !fault.Is(err, fault.Denied) {
			t.Errorf("the code before: %v", err)
		}
	}
	must(t, r.service.VerifyFactor(r.ctx, ana, f.ID, code))
}

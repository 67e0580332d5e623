package storetest_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

// A code is good once, for so many tries and so long, whoever comes at once (attack
// identity 63 and 64).
func TestEmailCodes(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		must(t, b.db.PutEmailCode(acme, "f1", "sealed-0", at(10)))
		must(t, b.db.PutEmailCode(acme, "f1", "sealed-1", at(100)))
		if _, err := b.db.TryEmailCode(bravo, "f1", at(1), 5); !fault.Is(err, fault.NotFound) {
			t.Errorf("another tenant's: %v", err)
		}
		if _, err := b.db.TryEmailCode(acme, "f1", at(100), 5); !fault.Is(err, fault.NotFound) {
			t.Errorf("it is over: %v", err)
		}
		if waits, err := b.db.EmailCodeWaits(acme, "f1", at(99)); !waits || err != nil {
			t.Errorf("it does not wait: %v", err)
		}
		// 32 guesses at once: five of them see what they are compared with, one takes it.
		var tries, taken atomic.Int64
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				sealed, err := b.db.TryEmailCode(acme, "f1", at(1), 5)
				if fault.Is(err, fault.NotFound) {
					return
				}
				if err != nil || sealed != "sealed-1" {
					t.Errorf("%q %v", sealed, err)
				}
				tries.Add(1)
				ok, err := b.db.TakeEmailCode(acme, "f1", sealed)
				if err != nil {
					t.Error(err)
				}
				if ok {
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if n := tries.Load(); n < 1 || n > 5 || taken.Load() != 1 {
			t.Errorf("%d tries, %d taken", n, taken.Load())
		}
		if waits, err := b.db.EmailCodeWaits(acme, "f1", at(1)); waits || err != nil {
			t.Errorf("it waits after it was taken: %v", err)
		}
		// Wrong ones use it up; a new one begins anew.
		must(t, b.db.PutEmailCode(acme, "f1", "sealed-2", at(100)))
		for i := range 6 {
			if _, err := b.db.TryEmailCode(acme, "f1", at(1), 5); fmt.Sprint(err == nil) != fmt.Sprint(i < 5) {
				t.Errorf("try %d: %v", i, err)
			}
		}
		if ok, err := b.db.TakeEmailCode(acme, "f1", "sealed-1"); ok || err != nil {
			t.Errorf("an older one: %v %v", ok, err)
		}
		if _, err := b.db.PruneSessions(acme, at(100).Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.db.TakeEmailCode(acme, "f1", "sealed-2"); ok || err != nil {
			t.Errorf("it was not pruned: %v %v", ok, err)
		}
	})
}

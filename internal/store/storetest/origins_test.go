package storetest_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/fault"
)

func TestOrigins(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		for _, hint := range []string{"old", "sealed"} {
			if err := b.db.AddOrigin(acme, "102one", "0oa1", hint, at(100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.db.AddOrigin(acme, "102two", "0oa1", "", at(50)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.db.TakeOrigin(bravo, "102one"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another tenant: %v", err)
		}
		if n, err := b.db.PruneOrigins(acme, at(50)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		var took atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				provider, hint, err := b.db.TakeOrigin(acme, "102one")
				switch {
				case err == nil && provider == "0oa1" && hint == "sealed":
					took.Add(1)
				case !fault.Is(err, fault.NotFound):
					t.Errorf("%q %q %v", provider, hint, err)
				}
			})
		}
		wg.Wait()
		if took.Load() != 1 {
			t.Errorf("%d took the origin", took.Load())
		}
		if _, _, err := b.db.TakeOrigin(acme, "102two"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of a session that is over: %v", err)
		}
	})
}

package storetest_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/keys"
)

func TestPasskeyCounters(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		use := func(user, id string, counter uint32, n int) bool {
			t.Helper()
			ok, err := b.db.UsePasskey(ctx, user, id, counter, at(n))
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		for _, c := range []struct {
			id      string
			counter uint32
			want    bool
			why     string
		}{
			{"ufs1", 5, true, "the first use"},
			{"ufs1", 6, true, "forward"},
			{"ufs1", 6, false, "the same again"},
			{"ufs1", 2, false, "back"},
			{"ufs1", 0, false, "back to none"},
			{"ufs1", 4_000_000_000, true, "far forward"},
			{"ufs2", 0, true, "without a counter"},
			{"ufs2", 0, true, "without a counter, again"},
		} {
			if got := use("usr1", c.id, c.counter, 7); got != c.want {
				t.Errorf("%s: %v", c.why, got)
			}
		}
		if use("usr2", "ufs2", 1, 8) {
			t.Error("another user's passkey was used")
		}
		uses, err := b.db.PasskeyUses(ctx, "usr1")
		if err != nil || len(uses) != 2 || !uses["ufs1"].Equal(at(7)) {
			t.Errorf("%v %v", uses, err)
		}
		if uses, err := b.db.PasskeyUses(in(t, "bravo"), "usr1"); err != nil || len(uses) != 0 {
			t.Errorf("of another tenant: %v %v", uses, err)
		}

		// Two copies of one credential that sign at once: one is taken.
		var wg sync.WaitGroup
		var winners atomic.Int32
		for range 16 {
			wg.Go(func() {
				ok, err := b.db.UsePasskey(ctx, "usr1", "ufs3", 9, at(1))
				if err != nil {
					t.Error(err)
				}
				if ok {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d winners", winners.Load())
		}
	})
}

// attack identity 64: a recovery code is good once, however many ask at a time.
func TestRecoveryCodes(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		var hashes []string
		for i := range 10 {
			hashes = append(hashes, keys.Hash(fmt.Sprint("code ", i)))
		}
		for _, user := range []string{"usr1", "usr2"} {
			if err := b.db.ReplaceRecoveryCodes(ctx, user, hashes, at(3)); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		var winners atomic.Int32
		for range 32 {
			wg.Go(func() {
				ok, err := b.db.TakeRecoveryCode(ctx, "usr1", hashes[4])
				if err != nil {
					t.Error(err)
				}
				if ok {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d winners", winners.Load())
		}
		for _, c := range []struct {
			user string
			want int
		}{{"usr1", 9}, {"usr2", 10}, {"usr3", 0}} {
			left, made, err := b.db.RecoveryCodes(ctx, c.user)
			if err != nil || left != c.want || left > 0 && !made.Equal(at(3)) {
				t.Errorf("%s: %d of %v, %v", c.user, left, made, err)
			}
		}
		if ok, err := b.db.TakeRecoveryCode(in(t, "bravo"), "usr1", hashes[5]); ok || err != nil {
			t.Errorf("of another tenant: %v %v", ok, err)
		}
		if ok, err := b.db.TakeRecoveryCode(ctx, "usr3", hashes[5]); ok || err != nil {
			t.Errorf("of another user: %v %v", ok, err)
		}
		fresh := []string{keys.Hash("fresh")}
		if err := b.db.ReplaceRecoveryCodes(ctx, "usr1", fresh, at(4)); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.db.TakeRecoveryCode(ctx, "usr1", hashes[5]); ok || err != nil {
			t.Errorf("an old one: %v %v", ok, err)
		}
		if err := b.db.ReplaceRecoveryCodes(ctx, "usr1", nil, at(5)); err != nil {
			t.Fatal(err)
		}
		if left, _, err := b.db.RecoveryCodes(ctx, "usr1"); left != 0 || err != nil {
			t.Errorf("taken away: %d %v", left, err)
		}
	})
}

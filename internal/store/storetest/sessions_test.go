package storetest_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/session"

	"github.com/google/go-cmp/cmp"
)

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		one := session.Session{
			ID: "102one", Hash: "h1", User: "u", Created: at(0), Seen: at(0), IdleUntil: at(100), Expires: at(1000),
			AuthTime: at(0), PasswordAt: at(0), AMR: []string{"pwd"}, ACR: "low", Address: "192.0.2.1", Agent: "Firefox",
		}
		two := one
		two.ID, two.Hash, two.Created, two.FactorAt = "102two", "h2", at(1), at(1)
		for _, s := range []session.Session{one, two} {
			if err := b.db.AddSession(acme, s); err != nil {
				t.Fatal(err)
			}
		}
		got, err := b.db.Session(acme, "h1")
		if d := cmp.Diff(one, got); d != "" || err != nil {
			t.Error(d, err)
		}
		for _, err := range []error{
			errOf(b.db.Session(bravo, "h1")), errOf(b.db.SessionByID(bravo, "102one")), errOf(b.db.Session(acme, "h3")), errOf(b.db.Session(acme, "h\x00")),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("a session that is not there: %v", err)
			}
		}

		// Of requests that raise a session at once one gets it (attack identity 61).
		var wins atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				next := one
				next.Hash = keys.Hash(string(rune('a' + i)))
				ok, err := b.db.ReplaceSession(acme, "h1", next)
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d replaced the session", wins.Load())
		}
		if _, err := b.db.Session(acme, "h1"); !fault.Is(err, fault.NotFound) {
			t.Errorf("the old secret is still good: %v", err)
		}

		for _, app := range []string{"b", "a", "b"} {
			if err := b.db.JoinSession(acme, "102two", app, at(2)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.db.TouchSession(acme, "102two", at(50), at(150)); err != nil {
			t.Fatal(err)
		}
		if err := b.db.TouchSession(acme, "102two", at(40), at(140)); err != nil {
			t.Fatal(err)
		}
		two.Apps, two.Seen, two.IdleUntil = []string{"a", "b"}, at(50), at(150)
		list, err := b.db.Sessions(acme, "u", at(120))
		if d := cmp.Diff([]session.Session{two}, list); d != "" || err != nil {
			t.Error(d, err)
		}
		// Somebody else's is not ended by naming one's own user.
		if ended, err := b.db.EndSessions(acme, session.Selection{ID: "102two", User: "other"}); len(ended) != 0 || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		if ended, err := b.db.EndSessions(acme, session.Selection{User: "u", Except: "102two"}); len(ended) != 1 || ended[0].ID != "102one" || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		ended, err := b.db.EndSessions(acme, session.Selection{User: "u"})
		if d := cmp.Diff([]session.Session{two}, ended); d != "" || err != nil {
			t.Error(d, err)
		}
	})
}

func errOf[T any](_ T, err error) error { return err }

func TestWaiting(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		w := session.Waiting{Hash: "h", Purpose: session.PurposePushed, Browser: "b", Data: []byte(`{"a":1}`), Created: at(0), Expires: at(10)}
		if err := b.db.AddWaiting(acme, w); err != nil {
			t.Fatal(err)
		}
		got, err := b.db.Waiting(acme, session.PurposePushed, "h")
		if d := cmp.Diff(w, got); d != "" || err != nil {
			t.Error(d, err)
		}
		if _, err := b.db.Waiting(bravo, session.PurposePushed, "h"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another tenant: %v", err)
		}
		if _, err := b.db.Waiting(acme, session.PurposeSignIn, "h"); !fault.Is(err, fault.NotFound) {
			t.Errorf("of another purpose: %v", err)
		}
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				ok, err := b.db.TakeWaiting(acme, session.PurposePushed, "h")
				if err != nil {
					t.Error(err)
				}
				if ok {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d took it", wins.Load())
		}
		if err := b.db.AddWaiting(acme, w); err != nil {
			t.Fatal(err)
		}
		if n, err := b.db.PruneSessions(acme, at(10)); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
	})
}

// Attempts at the same time each get their own number, so that of a thousand
// guesses no more than the bound are judged (attack identity 63).
func TestAttempts(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme := in(t, "acme")
		var mu sync.Mutex
		seen := map[int]bool{}
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				n, err := b.db.TakeAttempt(acme, "u", at(0), time.Minute)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				seen[n] = true
			})
		}
		wg.Wait()
		if len(seen) != 32 || !seen[1] || !seen[32] {
			t.Errorf("numbers: %v", seen)
		}
		for _, step := range []struct{ second, want int }{{60, 33}, {119, 34}, {180, 1}, {181, 2}} {
			if n, err := b.db.TakeAttempt(acme, "u", at(step.second), time.Minute); n != step.want || err != nil {
				t.Errorf("after %d s: %d, %v", step.second, n, err)
			}
		}
		if err := b.db.EndAttempts(acme, "u", at(182)); err != nil {
			t.Fatal(err)
		}
		s, err := b.db.UserState(acme, "u")
		if err != nil || s.FailedAttempts != 0 || !s.LastSignIn.Equal(at(182)) {
			t.Errorf("after a sign-in: %+v, %v", s, err)
		}
	})
}

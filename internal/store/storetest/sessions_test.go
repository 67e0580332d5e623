package storetest_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/session"

	"github.com/google/go-cmp/cmp"
)

func TestSessions(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		one := session.Session{
			IdleLimit: 90 * time.Minute, Risk: "LOW",
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

		for _, l := range []session.Login{{App: "b"}, {App: "a", Server: "aus1"}, {App: "b"}, {App: "a", Server: "aus2"}} {
			if err := b.db.JoinSession(acme, "102two", l, at(2)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.db.TouchSession(acme, "102two", at(50), at(150)); err != nil {
			t.Fatal(err)
		}
		if err := b.db.TouchSession(acme, "102two", at(40), at(140)); err != nil {
			t.Fatal(err)
		}
		two.Apps, two.Seen, two.IdleUntil = []session.Login{{App: "a", Server: "aus1"}, {App: "a", Server: "aus2"}, {App: "b"}}, at(50), at(150)
		list, err := b.db.Sessions(acme, "u", at(120))
		if d := cmp.Diff([]session.Session{two}, list); d != "" || err != nil {
			t.Error(d, err)
		}
		// Somebody else's is not ended by naming one's own user.
		if ended, _, err := b.db.EndSessions(acme, session.Selection{ID: "102two", User: "other"}, at(200)); len(ended) != 0 || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		if ended, _, err := b.db.EndSessions(acme, session.Selection{User: "u", Except: "102two"}, at(200)); len(ended) != 1 || ended[0].ID != "102one" || err != nil {
			t.Errorf("ended %v, %v", ended, err)
		}
		ended, revoked, err := b.db.EndSessions(acme, session.Selection{User: "u"}, at(200))
		if d := cmp.Diff([]session.Session{two}, ended); d != "" || err != nil || len(revoked) != 0 {
			t.Error(d, revoked, err)
		}
		if err := b.db.JoinSession(acme, "102two", session.Login{App: "c"}, at(201)); !fault.Is(err, fault.NotFound) {
			t.Errorf("joined a session that has ended: %v", err)
		}
	})
}

// The end of a session takes back what was given in it, in the same transaction: the
// tokens are revoked by it, grants end, and those with offline access go on without it.
func TestEndOfASession(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme, bravo := in(t, "acme"), in(t, "bravo")
		s := session.Session{ID: "102one", Hash: "h1", User: "ana", Created: at(0), Seen: at(0), IdleUntil: at(100), Expires: at(1000), AuthTime: at(0)}
		must(t, b.db.AddSession(acme, s))
		for id, scopes := range map[string][]string{"online": {"openid", "offline_access_not"}, "offline": {"openid", "offline_access"}, "elsewhere": {"openid"}} {
			g := grantOf(id, "ana", "app")
			g.Session, g.Scopes = "102one", scopes
			if id == "elsewhere" {
				g.Session = "102two"
			}
			must(t, b.db.AddCode(acme, g, issued.Code{Hash: id, Grant: id, Created: at(0), Expires: at(60)}))
			if id == "offline" {
				must(t, b.db.AddCode(bravo, g, issued.Code{Hash: id, Grant: id, Created: at(0), Expires: at(60)}))
			}
		}
		ended, revoked, err := b.db.EndSessions(acme, session.Selection{ID: "102one"}, at(10))
		if err != nil || len(ended) != 1 || len(revoked) != 1 {
			t.Fatalf("%v %v %v", ended, revoked, err)
		}
		want := cluster.Revocation{Tenant: "acme", Kind: cluster.Session, Issuer: "https://id.test", Value: "102one", Reason: revoked[0].Reason, Expires: revoked[0].Expires}
		if d := cmp.Diff(want, revoked[0]); d != "" || revoked[0].Expires.Before(at(24*3600)) {
			t.Error(d)
		}
		kept, err := b.db.Revocations(t.Context(), 0, at(11), 10)
		if err != nil || len(kept) != 1 || kept[0].Value != "102one" {
			t.Errorf("stored: %v %v", kept, err)
		}
		for _, c := range []struct {
			tenant  context.Context //nolint:containedctx // a row of a table
			grant   string
			session string
			holds   bool
		}{{acme, "online", "102one", false}, {acme, "offline", "", true}, {acme, "elsewhere", "102two", true}, {bravo, "offline", "102one", true}} {
			_, g, err := b.db.Code(c.tenant, c.grant)
			if err != nil || g.Session != c.session || g.Revoked.IsZero() != c.holds {
				t.Errorf("%s: session %q, revoked %v, %v", c.grant, g.Session, g.Revoked, err)
			}
		}
	})
}

// Of those who end a session at once, one tells the apps of it, and every app that
// joined is told or hears that it came too late.
func TestEndAndJoinAtOnce(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		acme := in(t, "acme")
		must(t, b.db.AddSession(acme, session.Session{ID: "102one", Hash: "h1", User: "ana", IdleUntil: at(100), Expires: at(1000)}))
		var mu sync.Mutex
		joined, told := map[string]bool{}, []session.Session(nil)
		ends := atOnce(t, func(i int) (bool, error) {
			if i%4 != 3 {
				app := string(rune('A' + i))
				err := b.db.JoinSession(acme, "102one", session.Login{App: app, Server: "aus1"}, at(1))
				mu.Lock()
				defer mu.Unlock()
				joined[app] = err == nil
				if fault.Is(err, fault.NotFound) {
					err = nil
				}
				return false, err
			}
			ended, _, err := b.db.EndSessions(acme, session.Selection{ID: "102one"}, at(2))
			mu.Lock()
			defer mu.Unlock()
			told = append(told, ended...)
			return len(ended) == 1, err
		})
		if ends != 1 || len(told) != 1 {
			t.Fatalf("%d have ended it", ends)
		}
		for app, ok := range joined {
			if ok != slices.Contains(told[0].Apps, session.Login{App: app, Server: "aus1"}) {
				t.Errorf("app %s: joined %v, told %v", app, ok, told[0].Apps)
			}
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
		for _, c := range []struct {
			tenant context.Context //nolint:containedctx // a row of a table
			second int
			n      int
			want   bool
		}{{acme, 9, 1, true}, {acme, 9, 2, false}, {acme, 10, 1, false}, {bravo, 9, 1, false}} {
			if there, err := b.db.AreWaiting(c.tenant, at(c.second), c.n); there != c.want || err != nil {
				t.Errorf("%d wait after %d s: %v, %v", c.n, c.second, there, err)
			}
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
		if err := b.db.AddWaiting(acme, w); err != nil {
			t.Fatal(err)
		}
		if n, err := b.db.PruneWaiting(acme, at(10)); n != 1 || err != nil {
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
		for now, want := range map[int]int{181: 2, 10000: 0} {
			if n, err := b.db.Attempts(acme, "u", at(now), time.Minute); err != nil || n != want {
				t.Errorf("at %d: %d attempts, %v", now, n, err)
			}
		}
		for _, want := range []int{1, 0, 0} {
			if err := b.db.ReturnAttempt(acme, "u"); err != nil {
				t.Fatal(err)
			}
			if n, err := b.db.Attempts(acme, "u", at(181), time.Minute); err != nil || n != want {
				t.Errorf("returned: %d, %v", n, err)
			}
		}
		if _, err := b.db.TakeAttempt(acme, "u", at(181), time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := b.db.ForgetAttempts(acme, "u"); err != nil {
			t.Fatal(err)
		}
		if n, err := b.db.Attempts(acme, "u", at(181), time.Minute); err != nil || n != 0 {
			t.Errorf("forgotten: %d, %v", n, err)
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

package storetest_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
)

// at is a time, n seconds after one that all tests share.
func at(n int) time.Time { return time.Unix(1_700_000_000+int64(n), 123_000).UTC() }

func TestSigningKeys(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		ring := b.db.SigningKeys()
		next := keys.Record{
			Tenant: "acme", Server: "default", ID: "k1", Algorithm: "ES256", Use: "sig", State: keys.Next, Private: "sealed:v1:x",
			Public: []byte(`{"kty":"EC"}`), Created: at(0), Activates: at(60),
		}
		other := next
		other.Server, other.ID, other.Created = "other", "k2", at(1)
		for _, r := range []keys.Record{next, other} {
			if err := ring.Insert(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := ring.Insert(ctx, next); !fault.Is(err, fault.Conflict) {
			t.Errorf("a key twice: %v", err)
		}
		got, err := ring.Keys(ctx, "acme", "default")
		if d := cmp.Diff([]keys.Record{next}, got); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
		if got, err := ring.Keys(ctx, "bravo", "default"); len(got) != 0 || err != nil {
			t.Errorf("of another tenant: %v %v", got, err)
		}

		// Many nodes rotate at once: one of them does.
		var wg sync.WaitGroup
		var winners atomic.Int32
		active := next
		active.State, active.Activates, active.Expires = keys.Active, at(61), at(99)
		for range 16 {
			wg.Go(func() {
				changed, err := ring.Change(ctx, active, keys.Next)
				if err != nil {
					t.Error(err)
				}
				if changed {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Errorf("%d winners", winners.Load())
		}
		got, err = ring.Keys(ctx, "acme", "default")
		if d := cmp.Diff([]keys.Record{active}, got); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}

		if err := ring.Delete(ctx, "acme", "default", "k1"); err != nil {
			t.Fatal(err)
		}
		if got, _ := ring.Keys(ctx, "acme", "default"); len(got) != 1 {
			t.Error("an active key was deleted")
		}
		active.State = keys.Revoked
		if ok, err := ring.Change(ctx, active, keys.Active); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if err := ring.Delete(ctx, "acme", "default", "k1"); err != nil {
			t.Fatal(err)
		}
		if got, _ := ring.Keys(ctx, "acme", "default"); len(got) != 0 {
			t.Error("a revoked key was not deleted")
		}
	})
}

func TestRevocations(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		add := func(r cluster.Revocation) int64 {
			t.Helper()
			seq, err := b.db.AddRevocation(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			return seq
		}
		list := func(after int64, now time.Time) (out []string) {
			t.Helper()
			rs, err := b.db.Revocations(ctx, after, now, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				out = append(out, fmt.Sprintf("%d %s %s %s %s before=%t expires=%t", r.Seq, r.Tenant, r.Kind, r.Issuer, r.Value, !r.IssuedBefore.IsZero(), !r.Expires.IsZero()))
			}
			return out
		}
		add(cluster.Revocation{Tenant: "acme", Kind: cluster.TokenID, Issuer: "i", Value: "jti1", Expires: at(10)})
		add(cluster.Revocation{Tenant: "bravo", Kind: cluster.TokenID, Issuer: "i", Value: "jti1", Expires: at(20)})
		add(cluster.Revocation{Tenant: "acme", Kind: cluster.User, Issuer: "i", Value: "u", IssuedBefore: at(5), Expires: at(30)})
		want := []string{
			"1 acme token i jti1 before=false expires=true", "2 bravo token i jti1 before=false expires=true", "3 acme user i u before=true expires=true",
		}
		if d := cmp.Diff(want, list(0, at(0))); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want[2:], list(2, at(0))); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(want[1:], list(0, at(10))); d != "" {
			t.Error(d)
		}

		// One again can only become wider.
		add(cluster.Revocation{Tenant: "acme", Kind: cluster.User, Issuer: "i", Value: "u", IssuedBefore: at(4), Expires: at(29)})
		rs, err := b.db.Revocations(ctx, 3, at(0), 10)
		if err != nil || len(rs) != 1 || !rs[0].IssuedBefore.Equal(at(5)) || !rs[0].Expires.Equal(at(30)) || rs[0].Seq != 4 {
			t.Errorf("narrower: %+v, %v", rs, err)
		}
		add(cluster.Revocation{Tenant: "acme", Kind: cluster.User, Issuer: "i", Value: "u"})
		if d := cmp.Diff([]string{"5 acme user i u before=false expires=false"}, list(3, at(0))); d != "" {
			t.Error(d)
		}

		n, err := b.db.PruneRevocations(ctx, at(15))
		if n != 1 || err != nil || len(list(0, at(0))) != 2 {
			t.Errorf("pruned %d, %v", n, err)
		}
		if _, err := b.db.AddRevocation(ctx, cluster.Revocation{Tenant: "acme", Kind: "planet"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("of no kind: %v", err)
		}
	})
}

// Revocations are found by what they name, page by page, and taken back by their
// number; of the tenant who asks only.
func TestFindAndLiftRevocations(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx, other := tenant.With(t.Context(), "acme"), tenant.With(t.Context(), "bravo")
		for i, r := range []cluster.Revocation{
			{Tenant: "acme", Kind: cluster.User, Issuer: "i", Value: "ana", Reason: "left", Actor: "boss", Expires: at(100)},
			{Tenant: "bravo", Kind: cluster.User, Issuer: "i", Value: "ana"},
			{Tenant: "acme", Kind: cluster.Client, Issuer: "i", Value: "app"},
			{Tenant: "acme", Kind: cluster.TokenID, Issuer: "i", Value: "over", Expires: at(1)},
		} {
			if seq, err := b.db.AddRevocation(ctx, r); err != nil || seq != int64(i+1) {
				t.Fatal(seq, err)
			}
		}
		find := func(ctx context.Context, q store.RevocationQuery) (out []string) {
			t.Helper()
			if q.Limit == 0 {
				q.Limit = 10
			}
			list, err := b.db.FindRevocations(ctx, q, at(50))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				out = append(out, fmt.Sprint(r.Seq, " ", r.Kind, " ", r.Value, " ", r.Reason, " ", r.Actor))
			}
			return out
		}
		for _, c := range []struct {
			q    store.RevocationQuery
			want []string
		}{
			{store.RevocationQuery{}, []string{"1 user ana left boss", "3 client app  "}},
			{store.RevocationQuery{Limit: 1}, []string{"1 user ana left boss"}},
			{store.RevocationQuery{After: 1}, []string{"3 client app  "}},
			{store.RevocationQuery{Kind: cluster.Client}, []string{"3 client app  "}},
			{store.RevocationQuery{Value: "ana"}, []string{"1 user ana left boss"}},
			{store.RevocationQuery{Kind: cluster.Client, Value: "ana"}, nil},
		} {
			if d := cmp.Diff(c.want, find(ctx, c.q)); d != "" {
				t.Errorf("%+v: %s", c.q, d)
			}
		}
		if _, err := b.db.LiftRevocation(other, 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("another tenant's: %v", err)
		}
		r, err := b.db.LiftRevocation(ctx, 1)
		if err != nil || r.Kind != cluster.User || r.Value != "ana" || r.Issuer != "i" || len(find(ctx, store.RevocationQuery{})) != 1 {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := b.db.LiftRevocation(ctx, 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("again: %v", err)
		}
		if got := find(other, store.RevocationQuery{}); len(got) != 1 {
			t.Errorf("another tenant has %v", got)
		}
	})
}

// Numbers of revocations that are added at the same time: whoever reads up to one
// has read all before it.
func TestRevocationsAreReadWithoutGaps(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		const writers, each = 4, 15
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					_, err := b.db.AddRevocation(ctx, cluster.Revocation{Tenant: "acme", Kind: cluster.TokenID, Value: fmt.Sprint(w, i)})
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for next := int64(1); next <= writers*each && !t.Failed(); {
			rs, err := b.db.Revocations(ctx, next-1, at(0), 7)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if r.Seq != next {
					t.Fatalf("number %d after %d", r.Seq, next-1)
				}
				next++
			}
		}
		wg.Wait()
	})
}

func TestSingleUse(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		now := at(0)
		var mu sync.Mutex
		db, err := store.Open(t.Context(), store.Config{URL: b.url, Clock: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		acme, bravo := in(t, "acme"), in(t, "bravo")
		race := func(ctx context.Context, purpose, hash string) int32 {
			var wg sync.WaitGroup
			var winners atomic.Int32
			for range 32 {
				wg.Go(func() {
					first, err := db.Use(ctx, purpose, hash, at(60))
					if err != nil {
						t.Error(err)
					}
					if first {
						winners.Add(1)
					}
				})
			}
			wg.Wait()
			return winners.Load()
		}
		for _, tc := range []struct {
			ctx           context.Context
			purpose, hash string
			want          int32
		}{
			{acme, "jti", "h1", 1},
			{acme, "jti", "h1", 0},
			{acme, "jti", "h2", 1},
			{acme, "dpop", "h1", 1},
			{bravo, "jti", "h1", 1},
		} {
			if got := race(tc.ctx, tc.purpose, tc.hash); got != tc.want {
				t.Errorf("%s %s: %d of 32 were first, want %d", tc.purpose, tc.hash, got, tc.want)
			}
		}
		mu.Lock()
		now = at(60)
		mu.Unlock()
		if got, err := db.Use(acme, "jti", "h1", at(120)); !got || err != nil {
			t.Errorf("after it expired: %t, %v", got, err)
		}
		if n, err := db.PruneUsed(t.Context(), at(60)); n != 3 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if got, err := db.Use(acme, "jti", "h1", at(120)); got || err != nil {
			t.Errorf("pruned too early: %t, %v", got, err)
		}
		for _, bad := range []func() (bool, error){
			func() (bool, error) { return db.Use(t.Context(), "p", "h", at(1)) },
			func() (bool, error) { return db.Use(acme, "", "h", at(1)) },
			func() (bool, error) { return db.Use(acme, "p", "", at(1)) },
			func() (bool, error) { return db.Use(acme, "p", "h", time.Time{}) },
		} {
			if first, err := bad(); first || !fault.Is(err, fault.Invalid) {
				t.Errorf("%t, %v", first, err)
			}
		}
	})
}

func TestSettings(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		if _, ok, err := b.db.Setting(ctx, "instance"); ok || err != nil {
			t.Errorf("%t, %v", ok, err)
		}
		var wg sync.WaitGroup
		var winners atomic.Int32
		for i := range 8 {
			wg.Go(func() {
				ok, err := b.db.AddSetting(ctx, "instance", fmt.Sprint(i))
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
		v, _, err := b.db.Setting(ctx, "instance")
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := b.db.SwapSetting(ctx, "instance", "no", "x"); ok || err != nil {
			t.Errorf("swapped: %t, %v", ok, err)
		}
		if ok, err := b.db.SwapSetting(ctx, "instance", v, "x"); !ok || err != nil {
			t.Errorf("not swapped: %t, %v", ok, err)
		}
		if v, _, _ := b.db.Setting(ctx, "instance"); v != "x" {
			t.Errorf("value %q", v)
		}
	})
}

func TestUseState(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		var wg sync.WaitGroup
		seen := make(chan int, 12)
		for range cap(seen) {
			wg.Go(func() {
				n, err := b.db.AddFailedAttempt(ctx, "usr1", at(1))
				if err != nil {
					t.Error(err)
				}
				seen <- n
			})
		}
		wg.Wait()
		close(seen)
		var counts []int
		for n := range seen {
			counts = append(counts, n)
		}
		slices.Sort(counts)
		if len(slices.Compact(counts)) != 12 || counts[11] != 12 {
			t.Errorf("attempts were counted as %v", counts)
		}
		err := b.db.SaveUserStates(ctx, []store.UserState{{ID: "usr1", LastSignIn: at(5)}, {ID: "usr2", LastSignIn: at(6)}, {ID: "usr1", LastSignIn: at(4)}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.db.UserState(ctx, "usr1")
		if d := cmp.Diff(store.UserState{ID: "usr1", LastSignIn: at(5), LastFailure: at(1)}, got); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
		if got, err := b.db.UserState(in(t, "bravo"), "usr1"); got != (store.UserState{ID: "usr1"}) || err != nil {
			t.Errorf("of another tenant: %+v %v", got, err)
		}

		for _, s := range [][]store.KeyState{{{ID: "k", LastUsed: at(9), Uses: 3}, {ID: "l", Uses: 1}}, {{ID: "k", LastUsed: at(8), Uses: 4}}, nil} {
			if err := b.db.SaveKeyStates(ctx, s); err != nil {
				t.Fatal(err)
			}
		}
		k, err := b.db.KeyState(ctx, "k")
		if d := cmp.Diff(store.KeyState{ID: "k", LastUsed: at(9), Uses: 7}, k); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
	})
}

func TestEvents(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := t.Context()
		var all []audit.Event
		for i := range 20 {
			e := audit.Event{
				ID: fmt.Sprintf("e%02d", i), Tenant: "acme", Time: at(i / 3), Type: []string{"a.b", "a.c", "a_b"}[i%3], Severity: audit.Info,
				Actor: audit.Entity{ID: fmt.Sprintf("u%d", i%2), Type: "User"}, Outcome: audit.Outcome{Result: audit.Failure, Reason: "why"},
				RequestID: "r", Debug: map[string]string{"n": fmt.Sprint(i)}, Targets: []audit.Entity{{ID: "x", Type: "y"}},
			}
			if i == 7 {
				e.Tenant = "bravo"
			}
			all = append(all, e)
		}
		if err := b.db.AppendEvents(ctx, all); err != nil {
			t.Fatal(err)
		}
		if err := b.db.AppendEvents(ctx, all[:3]); err != nil {
			t.Errorf("the same events again: %v", err)
		}
		for name, q := range map[string]audit.Query{
			"all":    {},
			"time":   {Since: at(1), Until: at(4)},
			"type":   {Types: []string{"a.b"}},
			"types":  {Types: []string{"a.b", "a_b", "z"}},
			"actor":  {Actor: "u1"},
			"both":   {Actor: "u1", Types: []string{"a.c"}, Since: at(2)},
			"nobody": {Actor: "u9"},
		} {
			for _, down := range []bool{false, true} {
				for _, limit := range []int{1, 4, 100} {
					q.Tenant, q.Descending, q.Limit, q.After = "acme", down, limit, ""
					var want, got []audit.Event
					for _, e := range all {
						if e.Tenant == "acme" && !e.Time.Before(q.Since) && (q.Until.IsZero() || e.Time.Before(q.Until)) &&
							(q.Actor == "" || e.Actor.ID == q.Actor) && (q.Types == nil || slices.Contains(q.Types, e.Type)) {
							want = append(want, e)
						}
					}
					if down {
						slices.Reverse(want)
					}
					for {
						page, next, err := b.db.QueryEvents(ctx, q)
						if err != nil || len(page) > limit {
							t.Fatalf("%s: %d events, %v", name, len(page), err)
						}
						got = append(got, page...)
						if next == "" {
							break
						}
						q.After = next
					}
					if d := cmp.Diff(want, got); d != "" {
						t.Errorf("%s, down=%t, limit %d: %s", name, down, limit, d)
					}
				}
			}
		}
		if _, _, err := b.db.QueryEvents(ctx, audit.Query{Tenant: "acme", After: "x"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("a made-up cursor: %v", err)
		}
		if n, err := b.db.PruneEvents(ctx, "acme", at(3)); n != 8 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if got, _, _ := b.db.QueryEvents(ctx, audit.Query{Tenant: "bravo"}); len(got) != 1 {
			t.Errorf("of the other tenant: %v", got)
		}
		// All or none.
		bad := slices.Clone(all[:2])
		bad[0].ID, bad[1].ID = "new", ""
		if err := b.db.AppendEvents(ctx, bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("an event without an id: %v", err)
		}
		// What strangers choose cannot lose a batch, and comes back as it was.
		bad[1].ID, bad[1].Actor.ID, bad[1].RequestID = "new2", "nul\x00"+strings.Repeat("x", 9000), "\x00"
		if err := b.db.AppendEvents(ctx, bad); err != nil {
			t.Fatal(err)
		}
		got, _, err := b.db.QueryEvents(ctx, audit.Query{Tenant: "acme", Actor: bad[1].Actor.ID})
		if d := cmp.Diff(bad[1:], got); d != "" || err != nil {
			t.Errorf("%s %v", d, err)
		}
	})
}

var _ audit.Sink = (*store.DB)(nil)

var _ audit.Source = (*store.DB)(nil)

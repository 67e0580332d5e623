package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// onEach runs a property on both engines; its runs share a store, each with
// tenants of its own.
func onEach(t *testing.T, f func(t *rapid.T, b bench, fresh func() context.Context)) {
	t.Helper()
	var n atomic.Int64
	run := func(t *testing.T, url string) {
		b := open(t, url)
		ctx := t.Context()
		rapid.Check(t, func(rt *rapid.T) {
			f(rt, b, func() context.Context { return tenant.With(ctx, tenant.ID(fmt.Sprintf("t%d", n.Add(1)))) })
		})
	}
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db")) })
	t.Run("postgres", func(t *testing.T) { run(t, postgres.Database(t)) })
}

// step is one Update of a concurrent writer.
type step struct {
	Creates int
	Delete  bool // one that this writer made before
	Fail    bool // at the end, so that nothing may be left
}

// However writers interleave, a reader sees a prefix without gaps, whole
// revisions, and objects that are exactly what those revisions made.
func TestReadersSeeAGapFreePrefix(t *testing.T) {
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{rapid.IntRange(0, 3).Draw(t, "creates"), rapid.Bool().Draw(t, "delete"), rapid.IntRange(0, 9).Draw(t, "fail") == 0}
	}), 1, 6)
	onEach(t, func(t *rapid.T, b bench, fresh func() context.Context) {
		ctx := fresh()
		writers := rapid.SliceOfN(steps, 2, 5).Draw(t, "writers")
		var wg, readers sync.WaitGroup
		failures := make(chan error, 64)
		done := make(chan struct{})
		for w, plan := range writers {
			wg.Go(func() {
				if err := write(ctx, b, w, plan); err != nil {
					failures <- err
				}
			})
		}
		for range 2 {
			readers.Go(func() {
				var seen ledger.Revision
				for last := false; !last; {
					select {
					case <-done:
						last = true
					default:
					}
					next, err := prefix(ctx, b, seen)
					if err != nil {
						failures <- err
						return
					}
					seen = next
				}
			})
		}
		wg.Wait()
		close(done)
		readers.Wait()
		select {
		case err := <-failures:
			t.Fatal(err)
		default:
		}
		chain, err := b.ledger.VerifyChain(ctx)
		if err != nil || chain.Broken != nil {
			t.Fatalf("%v %v", chain.Broken, err)
		}
		want := 0
		for _, plan := range writers {
			for _, s := range plan {
				if !s.Fail {
					want += s.Creates
				}
			}
		}
		if got := created(ctx, b); got != want {
			t.Fatalf("%d objects were created, want %d", got, want)
		}
	})
}

var errOnPurpose = errors.New("on purpose")

func write(ctx context.Context, b bench, w int, plan []step) error {
	var mine []string
	for i, s := range plan {
		var made []string
		gone := ""
		_, err := b.ledger.Update(ctx, ada, "step", func(tx *ledger.Tx) error {
			made, gone = nil, ""
			for n := range s.Creates {
				o, err := b.team.Create(tx, team{Name: fmt.Sprintf("%d.%d.%d", w, i, n)})
				if err != nil {
					return err
				}
				made = append(made, o.ID)
			}
			if s.Delete && len(mine) > 0 {
				gone = mine[0]
				if err := b.team.Delete(tx, gone, 0); err != nil {
					return err
				}
			}
			if s.Fail {
				return errOnPurpose
			}
			return nil
		})
		if s.Fail && errors.Is(err, errOnPurpose) {
			continue
		}
		if err != nil {
			return err
		}
		mine = append(slices.DeleteFunc(mine, func(id string) bool { return id == gone }), made...)
	}
	return nil
}

// prefix checks one View, whose head may not be before seen.
func prefix(ctx context.Context, b bench, seen ledger.Revision) (head ledger.Revision, err error) {
	err = b.ledger.View(ctx, func(tx *ledger.Tx) error {
		if head, err = tx.Head(); err != nil {
			return err
		}
		if head < seen {
			return fmt.Errorf("the head went back from %d to %d", seen, head)
		}
		live := map[string]bool{}
		at := ledger.Place{}
		parts := 0
		for since := ledger.Revision(0); ; {
			page, err := tx.ChangesSince(since, 5)
			if err != nil {
				return err
			}
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				next := ledger.Place{Revision: at.Revision, Part: at.Part + 1}
				if at.Part == parts {
					next = ledger.Place{Revision: at.Revision + 1, Part: 1}
				}
				if got := (ledger.Place{Revision: c.Revision, Part: c.Part}); got != next {
					return fmt.Errorf("after %v of %d parts comes %v", at, parts, got)
				}
				at, parts = next, c.Parts
				since = c.Revision
				if c.Op == ledger.Created {
					live[c.ID] = true
				} else {
					delete(live, c.ID)
				}
			}
		}
		if at.Revision != head || at.Part != parts {
			return fmt.Errorf("the changes end at %v of %d parts, the head is %d", at, parts, head)
		}
		for o, err := range b.team.All(tx, ledger.Query{By: "name", Limit: 4}) {
			if err != nil {
				return err
			}
			if !live[o.ID] {
				return fmt.Errorf("team %s is there, but not in the changes up to %d", o.ID, head)
			}
			delete(live, o.ID)
		}
		if len(live) > 0 {
			return fmt.Errorf("teams %v are missing at revision %d", slices.Collect(maps.Keys(live)), head)
		}
		return nil
	})
	return head, err
}

func created(ctx context.Context, b bench) (n int) {
	for since := ledger.Revision(0); ; {
		page, err := b.ledger.ChangesSince(ctx, since, 0)
		if err != nil || len(page) == 0 {
			return n
		}
		for _, c := range page {
			since = c.Revision
			if c.Op == ledger.Created {
				n++
			}
		}
	}
}

// Whatever is done in one tenant, with ids and names that others use as well, the
// others do not see it and do not change.
func TestTenantsAreIsolated(t *testing.T) {
	onEach(t, func(t *rapid.T, b bench, fresh func() context.Context) {
		tenants := []context.Context{fresh(), fresh(), fresh()}
		model := make([]map[string]team, len(tenants))
		heads := make([]ledger.Revision, len(tenants))
		for i := range model {
			model[i] = map[string]team{}
		}
		ids := []string{"shared0", "shared1", "shared2"}
		// Two of them begin with the same ids and names; only in the first do they
		// refer to one another.
		for i := range 2 {
			_, err := b.ledger.Update(tenants[i], ada, "begin", func(tx *ledger.Tx) error {
				for n, id := range ids {
					v := team{Name: []string{"a", "b", "c"}[n]}
					if i == 0 {
						v.Friends = []string{ids[(n+1)%len(ids)]}
					}
					o := ledger.Object[team]{Value: v}
					o.ID = id
					if _, err := b.team.Insert(tx, o); err != nil {
						return err
					}
					model[i][id] = v
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			heads[i] = 1
		}
		for range rapid.IntRange(1, 12).Draw(t, "operations") {
			i := rapid.IntRange(0, len(tenants)-1).Draw(t, "tenant")
			id := rapid.SampledFrom(ids).Draw(t, "id")
			v := team{Name: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "name")}
			if friend := rapid.SampledFrom(ids).Draw(t, "friend"); friend != id {
				v.Friends = []string{friend}
			}
			operation := rapid.SampledFrom([]string{"insert", "put", "delete", "rollback"}).Draw(t, "operation")
			next := maps.Clone(model[i])
			r, err := b.ledger.Update(tenants[i], ada, operation, func(tx *ledger.Tx) (err error) {
				o := ledger.Object[team]{Value: v}
				o.ID = id
				switch operation {
				case "insert":
					_, err = b.team.Insert(tx, o)
					next[id] = v
				case "put":
					_, err = b.team.Put(tx, o)
					next[id] = v
				case "delete":
					err = b.team.Delete(tx, id, 0)
					delete(next, id)
				case "rollback":
					_, err = tx.Rollback(0)
					clear(next)
				}
				return err
			})
			if want := allowed(operation, model[i], next, id); (err == nil) != want {
				t.Fatalf("%s %s %+v on %v: %v", operation, id, v, model[i], err)
			}
			if err == nil {
				if !cmp.Equal(model[i], next) {
					heads[i]++
				}
				model[i] = next
				if r != heads[i] {
					t.Fatalf("%s %s: revision %d, want %d", operation, id, r, heads[i])
				}
			}
			for j := range tenants {
				same(tenants[j], t, b, model[j], heads[j], ids)
			}
		}
	})
}

// allowed says whether the operation is one that its tenant alone allows.
func allowed(operation string, before, after map[string]team, id string) bool {
	_, there := before[id]
	if operation == "insert" && there || operation != "insert" && operation != "rollback" && !there {
		return false
	}
	names := map[string]bool{}
	for _, v := range after {
		if names[v.Name] {
			return false
		}
		names[v.Name] = true
		for _, friend := range v.Friends {
			if _, ok := after[friend]; !ok {
				return false
			}
		}
	}
	return true
}

// same compares all that a tenant can read with its model.
func same(ctx context.Context, t *rapid.T, b bench, model map[string]team, head ledger.Revision, ids []string) {
	t.Helper()
	err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
		got := map[string]team{}
		for _, q := range []ledger.Query{{}, {By: "name", Limit: 2}, {By: "rank", Descending: true}} {
			clear(got)
			for o, err := range b.team.All(tx, q) {
				if err != nil {
					return err
				}
				got[o.ID] = o.Value
			}
			if d := cmp.Diff(model, got); d != "" {
				return fmt.Errorf("list by %q: %s", q.By, d)
			}
		}
		for _, id := range ids {
			o, err := b.team.Get(tx, id)
			if want, ok := model[id]; ok != (err == nil) || !cmp.Equal(o.Value, want) {
				return fmt.Errorf("get %s: %+v, %w", id, o.Value, err)
			}
			if _, ok := model[id]; !ok && !fault.Is(err, fault.NotFound) {
				return err
			}
			by, err := b.team.Referrers(tx, id, 0)
			if err != nil {
				return err
			}
			want := 0
			for _, v := range model {
				if slices.Contains(v.Friends, id) {
					want++
				}
			}
			if len(by) != want {
				return fmt.Errorf("%s has referrers %v, want %d", id, by, want)
			}
		}
		if r, err := tx.Head(); err != nil || r != head {
			return fmt.Errorf("head %d, want %d, %w", r, head, err)
		}
		exported := 0
		if err := tx.Export(head, func(ledger.Record) error { exported++; return nil }); err != nil || exported != len(model) {
			return fmt.Errorf("exported %d of %d, %w", exported, len(model), err)
		}
		hist, err := tx.History(ledger.HistoryQuery{})
		if err != nil || len(hist) > 0 && hist[0].Revision != head {
			return fmt.Errorf("history %v, %w", hist, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := b.ledger.VerifyChain(ctx); err != nil || c.Broken != nil {
		t.Fatalf("%v, %v", c.Broken, err)
	}
}

package storetest_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"

	"github.com/google/go-cmp/cmp"
)

// story makes revisions: 1 red and blue, 2 red changes, 3 blue goes and green
// comes, 4 blue comes back under its id with red's old name.
func story(ctx context.Context, t *testing.T, b bench) (red, blue ledger.Object[team]) {
	t.Helper()
	b.update(ctx, t, func(tx *ledger.Tx) (err error) {
		if red, err = b.team.Create(tx, team{Name: "red", Rank: 1}); err != nil {
			return err
		}
		blue, err = b.team.Create(tx, team{Name: "blue", Friends: []string{red.ID}})
		return err
	})
	b.update(ctx, t, func(tx *ledger.Tx) (err error) {
		red.Value.Name = "crimson"
		red, err = b.team.Put(tx, red)
		return err
	})
	b.update(ctx, t, func(tx *ledger.Tx) error {
		if err := b.team.Delete(tx, blue.ID, 1); err != nil {
			return err
		}
		_, err := b.team.Create(tx, team{Name: "green"})
		return err
	})
	b.update(ctx, t, func(tx *ledger.Tx) error {
		back := ledger.Object[team]{Value: team{Name: "red"}}
		back.ID = blue.ID
		_, err := b.team.Insert(tx, back)
		return err
	})
	return red, blue
}

// state is all objects at a revision, as text.
func (b bench) state(ctx context.Context, t *testing.T, at ledger.Revision) (out []string) {
	t.Helper()
	err := b.ledger.Export(ctx, at, func(r ledger.Record) error {
		out = append(out, fmt.Sprintf("%s %s %s %q", r.Kind, r.ID, r.Data, r.Owner))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHistory(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		red, blue := story(ctx, t, b)

		all, err := b.ledger.ChangesSince(ctx, 0, 1)
		if err != nil || len(all) != 2 || all[1].Part != 2 || all[1].Parts != 2 || all[0].Actor != ada || all[0].Reason != "test" {
			t.Fatalf("the first revision, whole: %+v, %v", all, err)
		}
		var got []string
		for since := ledger.Revision(0); ; {
			page, err := b.ledger.ChangesSince(ctx, since, 1)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, c := range page {
				got = append(got, fmt.Sprintf("%d.%d %s", c.Revision, c.Part, c.Op))
				since = c.Revision
			}
		}
		if d := cmp.Diff([]string{"1.1 create", "1.2 create", "2.1 update", "3.1 delete", "3.2 create", "4.1 create"}, got); d != "" {
			t.Error(d)
		}

		hist, err := b.ledger.History(ctx, ledger.HistoryQuery{Kind: "team", ID: red.ID})
		if err != nil || len(hist) != 2 || hist[0].Revision != 2 || string(hist[0].Before) != `{"name":"red","rank":1}` || string(hist[0].After) != `{"name":"crimson","rank":1}` {
			t.Errorf("history of red: %+v, %v", hist, err)
		}
		page, err := b.ledger.History(ctx, ledger.HistoryQuery{Before: ledger.Place{Revision: 3, Part: 2}, Limit: 2})
		if err != nil || len(page) != 2 || page[0].Op != ledger.Deleted || page[0].After != nil || page[1].Revision != 2 {
			t.Errorf("a page of the tenant's history: %+v, %v", page, err)
		}

		for r, want := range map[ledger.Revision]string{1: "blue", 2: "blue", 4: "red"} {
			rec, err := b.ledger.At(ctx, "team", blue.ID, r)
			if err != nil || !strings.Contains(string(rec.Data), want) {
				t.Errorf("at %d: %s, %v", r, rec.Data, err)
			}
		}
		for _, r := range []ledger.Revision{0, 3, 5, -1} {
			if _, err := b.ledger.At(ctx, "team", blue.ID, r); !fault.Is(err, fault.NotFound) {
				t.Errorf("at %d: %v", r, err)
			}
		}
		if c := b.verify(ctx, t); c.Changes != 6 || c.Head.Revision != 4 {
			t.Errorf("verified %+v", c)
		}
	})
}

func TestRollbackReachesEveryRevision(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		story(ctx, t, b)
		var states [][]string
		for r := range ledger.Revision(5) {
			states = append(states, b.state(ctx, t, r))
		}
		if len(states[0]) != 0 || len(states[1]) != 2 || len(states[4]) != 3 {
			t.Fatalf("states %v", states)
		}
		for i, to := range []ledger.Revision{1, 4, 2, 0, 3, 1} {
			before := b.state(ctx, t, ledger.Revision(4+i))
			would, err := b.ledger.PreviewRollback(ctx, ada, "back", to)
			if err != nil {
				t.Fatalf("preview to %d: %v", to, err)
			}
			r, did, err := b.ledger.Rollback(ctx, ada, "back", to)
			if err != nil {
				t.Fatalf("to %d: %v", to, err)
			}
			if r != ledger.Revision(5+i) || len(did) == 0 || len(did) != len(would) {
				t.Errorf("to %d: revision %d, %d changes, %d foreseen", to, r, len(did), len(would))
			}
			if d := cmp.Diff(states[to], b.state(ctx, t, r)); d != "" {
				t.Errorf("to %d: %s", to, d)
			}
			if d := cmp.Diff(before, b.state(ctx, t, r-1)); d != "" {
				t.Errorf("the rollback to %d rewrote history: %s", to, d)
			}
			b.verify(ctx, t)
		}
		if r, did, err := b.ledger.Rollback(ctx, ada, "", 1); err != nil || r != 10 || len(did) != 0 {
			t.Errorf("a rollback to the present: %d %v %v", r, did, err)
		}
		if _, _, err := b.ledger.Rollback(ctx, ada, "", 99); !fault.Is(err, fault.NotFound) {
			t.Errorf("to a revision that is not there: %v", err)
		}
	})
}

func TestRestoreOneObject(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		red, blue := story(ctx, t, b)
		// Blue held the name red meanwhile: it has to go first.
		_, _, err := b.ledger.Restore(ctx, ada, "", "team", red.ID, 1)
		if !fault.Is(err, fault.Conflict) {
			t.Fatalf("restore of a taken name: %v", err)
		}
		if _, did, err := b.ledger.Restore(ctx, ada, "", "team", blue.ID, 1); err != nil || did.Op != ledger.Updated {
			t.Fatalf("%+v, %v", did, err)
		}
		if _, did, err := b.ledger.Restore(ctx, ada, "", "team", red.ID, 1); err != nil || did.Op != ledger.Updated {
			t.Fatalf("%+v, %v", did, err)
		}
		if _, did, err := b.ledger.Restore(ctx, ada, "", "team", red.ID, 1); err != nil || did != nil {
			t.Fatalf("again: %+v, %v", did, err)
		}
		if d := cmp.Diff([]string{"blue", "green", "red"}, b.names(ctx, t)); d != "" {
			t.Error(d)
		}
		diff, err := b.ledger.Diff(ctx, 1, 6)
		if err != nil || len(diff) != 1 || diff[0].Op != ledger.Created {
			t.Errorf("diff %+v, %v", diff, err)
		}
		b.verify(ctx, t)
	})
}

func TestApply(t *testing.T) {
	const file = "gatehouse.yaml"
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		own := b.add(ctx, t, team{Name: "own"})
		declare := func(names ...string) (out []ledger.Desired) {
			for _, n := range names {
				name, friend, _ := strings.Cut(n, ">")
				v := team{Name: name}
				if friend != "" {
					err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
						id, err := tx.DesiredID("team", ledger.By("name", friend))
						v.Friends = []string{id}
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				out = append(out, ledger.Desired{Kind: "team", Key: ledger.By("name", name), Value: v})
			}
			return out
		}
		apply := func(want string, names ...string) {
			t.Helper()
			would, err := b.ledger.PreviewApply(ctx, ada, "apply", file, declare(names...))
			if err != nil {
				t.Fatal(err)
			}
			_, did, err := b.ledger.Apply(ctx, ada, "apply", file, declare(names...))
			if err != nil {
				t.Fatal(err)
			}
			var ops []string
			for _, d := range did {
				ops = append(ops, string(d.Op))
			}
			slices.Sort(ops) // they come in the order of ids
			if got := strings.Join(ops, " "); got != want || len(would) != len(did) {
				t.Errorf("apply %v: %s (%d foreseen), want %s", names, got, len(would), want)
			}
			b.verify(ctx, t)
		}
		apply("create create create", "one>two", "two>three", "three>one")
		apply("", "one>two", "two>three", "three>one")
		head, err := b.ledger.Head(ctx)
		if err != nil || head != 2 {
			t.Errorf("an apply without differences made revision %d, %v", head, err)
		}
		apply("delete delete delete")
		apply("create update", "one>own", "own") // takes over what nobody owned
		if got := b.get(ctx, t, own.ID); got.Owner != file || got.Revision != 4 {
			t.Errorf("taken over: %+v", got.Meta)
		}

		// What a file declares is changed in the file.
		_, err = b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error { return b.team.Delete(tx, own.ID, 0) })
		if f := fault.Of(err); f == nil || f.Code != fault.Conflict || f.Reason != "managed" || !strings.Contains(f.Message, "managed by gatehouse.yaml: change it there") {
			t.Errorf("delete of a declared object: %v", err)
		}
		if _, _, err := b.ledger.Apply(ctx, ada, "", "other.yaml", declare("own")); !fault.Is(err, fault.Conflict) {
			t.Errorf("two files: %v", err)
		}
		if _, _, err := b.ledger.Apply(ctx, ada, "", file, declare("own", "own")); !fault.Is(err, fault.Invalid) {
			t.Errorf("declared twice: %v", err)
		}
		// What a rollback undoes may belong to a file.
		if _, _, err := b.ledger.Rollback(ctx, ada, "", 1); err != nil {
			t.Fatal(err)
		}
		if got := b.get(ctx, t, own.ID); got.Owner != "" {
			t.Errorf("rolled back: %+v", got.Meta)
		}
	})
}

func TestApplySwapsNames(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		set := func(x, y string) []ledger.Desired {
			return []ledger.Desired{
				{Kind: "team", ID: "teamX", Value: team{Name: x}}, {Kind: "team", ID: "teamY", Value: team{Name: y}},
			}
		}
		for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
			if _, _, err := b.ledger.Apply(ctx, ada, "", "f", set(names[0], names[1])); err != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff([]string{`{"name":"b"}`, `{"name":"a"}`}, []string{string(b.get(ctx, t, "teamX").Data), string(b.get(ctx, t, "teamY").Data)}); d != "" {
			t.Error(d)
		}
		_, _, err := b.ledger.Apply(ctx, ada, "", "f", set("a", "a"))
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("one name for two: %v", err)
		}
	})
}

func TestReindex(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		b.add(ctx, t, team{Name: "red", Rank: 5})
		// A newer version finds teams by their initial.
		newer := ledger.NewKind(ledger.Spec[team]{
			Name: "team", IDPrefix: "tea",
			Index: func(v team) []ledger.Key { return []ledger.Key{ledger.By("initial", v.Name[:1])} },
		})
		registry, err := ledger.NewRegistry(newer)
		if err != nil {
			t.Fatal(err)
		}
		l, err := ledger.New(ledger.Config{Store: b.db.Ledger(), Registry: registry})
		if err != nil {
			t.Fatal(err)
		}
		count := func() (n int) {
			err := l.View(ctx, func(tx *ledger.Tx) error {
				p, err := newer.List(tx, ledger.Query{By: "initial", Equal: []string{"r"}})
				n = len(p.Items)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		n, err := l.Reindex(ctx, "team")
		if before != 0 || n != 1 || err != nil || count() != 1 {
			t.Errorf("before %d, reindexed %d, after %d, %v", before, n, count(), err)
		}
		b.verify(ctx, t)
	})
}

// raw opens the store's database beside it.
func raw(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestTamperingIsFound(t *testing.T) {
	for name, tc := range map[string]struct{ sql, want string }{
		"reason":        {`UPDATE changes SET reason = 'nothing' WHERE seq = 2`, "revision 2, change 1 (team %s): its content does not have its hash"},
		"after":         {`UPDATE changes SET data_after = '{"name":"x"}' WHERE seq = 2`, "revision 2, change 1 (team %s): its content does not have its hash"},
		"before absent": {`UPDATE changes SET data_before = '' WHERE seq = 1 AND part = 1`, "revision 1, change 1 (team %s): its content does not have its hash"},
		"row removed":   {`DELETE FROM changes WHERE seq = 2`, "revision 3, change 1 (team %s): revision 2 should be here"},
		"part removed":  {`DELETE FROM changes WHERE seq = 1 AND part = 2`, "revision 2, change 1 (team %s): change 2 of revision 1 should be here"},
		"first removed": {`DELETE FROM changes WHERE seq = 1`, "revision 2, change 1 (team %s): revision 1 should be here"},
		"end removed":   {`DELETE FROM changes WHERE seq = 4`, "revision 3, change 2: the chain ends here, but the head is at revision 4"},
		"end forgotten": {`DELETE FROM changes WHERE seq = 4; UPDATE heads SET seq = 3`, "revision 3, change 2: the head has another hash than the last change"},
		"rehashed":      {`UPDATE changes SET hash = previous, reason = 'x' WHERE seq = 2`, "revision 2, change 1 (team %s): its content does not have its hash"},
		"unlinked":      {`UPDATE changes SET previous = hash WHERE seq = 3 AND part = 1`, "revision 3, change 1 (team %s): it does not hold the hash of the change before"},
		"object":        {`UPDATE objects SET data = '{"name":"evil"}' WHERE revision = 2`, "revision 2, change 0 (team %s): the object is not what its last change wrote"},
		"object gone":   {`DELETE FROM objects WHERE revision = 2`, "revision 2, change 0 (team %s): the object is missing"},
		"owner":         {`UPDATE objects SET owner = 'me' WHERE revision = 2`, "revision 2, change 0 (team %s): the object is not what its last change wrote"},
		"object more":   {`INSERT INTO objects (tenant, kind, id, revision, owner, data, created, updated) VALUES ('acme', 'team', 'a', 1, '', '{}', 1, 1)`, "revision 1, change 0 (team a): the object is there, but no change made it"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, b bench) {
				ctx := in(t, "acme")
				red, blue := story(ctx, t, b)
				b.verify(ctx, t)
				if _, err := raw(t, b.url).ExecContext(ctx, tc.sql); err != nil {
					t.Fatal(err)
				}
				c, err := b.ledger.VerifyChain(ctx)
				if err != nil {
					t.Fatal(err)
				}
				if c.Broken == nil {
					t.Fatal("nothing was found")
				}
				id := red.ID
				if strings.HasPrefix(tc.want, "revision 3") {
					id = blue.ID
				}
				want := tc.want
				if strings.Contains(want, "%s") {
					want = fmt.Sprintf(want, id)
				}
				if got := c.Broken.String(); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			})
		})
	}
}

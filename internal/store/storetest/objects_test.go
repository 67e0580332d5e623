package storetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestCreateGetPutDelete(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		made := b.add(ctx, t, team{Name: "Red <&> Ω", Rank: 7})
		if made.Revision != 1 || len(made.ID) != 20 || !strings.HasPrefix(made.ID, "tea") {
			t.Fatalf("created %+v", made.Meta)
		}
		var got ledger.Object[team]
		read := func() error {
			err := b.ledger.View(ctx, func(tx *ledger.Tx) (err error) { got, err = b.team.Get(tx, made.ID); return err })
			now, nowErr := b.team.Now(ctx, b.ledger, made.ID)
			if d := cmp.Diff(got, now); err == nil && d != "" || fault.Is(err, fault.NotFound) != fault.Is(nowErr, fault.NotFound) {
				t.Errorf("by itself: %v %s", nowErr, d)
			}
			return err
		}
		if err := read(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(made, got); d != "" {
			t.Error(d)
		}

		for name, ctx := range map[string]context.Context{"other": in(t, "other"), "acme": ctx} {
			for _, id := range []string{made.ID, "teaNowhere", "", "a/../b"} {
				if _, err := b.team.Now(ctx, b.ledger, id); (name == "acme" && id == made.ID) != (err == nil) || err != nil && !fault.Is(err, fault.NotFound) {
					t.Errorf("%q of tenant %s: %v", id, name, err)
				}
			}
		}

		got.Value.Rank = 8
		b.update(ctx, t, func(tx *ledger.Tx) (err error) { _, err = b.team.Put(tx, got); return err })
		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) (err error) { _, err = b.team.Put(tx, got); return err })
		if err != nil {
			// The same document again changes nothing, but the revision is old.
			if !fault.Is(err, fault.Stale) || !strings.Contains(err.Error(), "you have revision 1, it is at 2") {
				t.Fatal(err)
			}
		} else {
			t.Error("a stale put was accepted")
		}
		head, err := b.ledger.Head(ctx)
		if err != nil || head != 2 {
			t.Errorf("head %d, %v", head, err)
		}

		b.update(ctx, t, func(tx *ledger.Tx) error { return b.team.Delete(tx, made.ID, 2) })
		if err := read(); !fault.Is(err, fault.NotFound) {
			t.Errorf("read after delete: %v", err)
		}
		b.verify(ctx, t)
	})
}

func TestAnUpdateThatChangesNothingIsNoRevision(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		made := b.add(ctx, t, team{Name: "Red"})
		r := b.update(ctx, t, func(tx *ledger.Tx) (err error) { made, err = b.team.Put(tx, made); return err })
		if r != 1 || made.Revision != 1 {
			t.Errorf("revision %d, object at %d", r, made.Revision)
		}
	})
}

func TestUniqueKeys(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		red := b.add(ctx, t, team{Name: "Red"})
		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error {
			_, err := b.team.Create(tx, team{Name: "RED"})
			if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), `the name "red" exists already: `+red.ID) {
				t.Errorf("a taken key: %v", err)
			}
			// What failed has left no trace, and the transaction goes on.
			_, err = b.team.Create(tx, team{Name: "Blue"})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"Blue", "Red"}, b.names(ctx, t)); d != "" {
			t.Error(d)
		}
		// A key that is given up is free, in the same transaction.
		b.update(ctx, t, func(tx *ledger.Tx) error {
			o, err := b.team.Find(tx, ledger.By("name", "red"))
			if err != nil {
				return err
			}
			o.Value.Name = "Crimson"
			if _, err := b.team.Put(tx, o); err != nil {
				return err
			}
			_, err = b.team.Create(tx, team{Name: "Red"})
			return err
		})
		b.verify(ctx, t)
	})
}

func TestReferences(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		a := b.add(ctx, t, team{Name: "a"})
		child := b.add(ctx, t, team{Name: "child", Parent: a.ID})
		grandchild := b.add(ctx, t, team{Name: "grandchild", Parent: child.ID})
		friend := b.add(ctx, t, team{Name: "friend", Friends: []string{grandchild.ID}})

		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error {
			_, err := b.team.Create(tx, team{Name: "lost", Parent: "teaNowhere"})
			return err
		})
		if f := fault.Of(err); f == nil || f.Code != fault.Invalid || len(f.Fields) != 1 || f.Fields[0].Path != "parent" {
			t.Errorf("a dangling reference: %v", err)
		}

		// Deleting a would delete its grandchild, which a friend holds.
		_, err = b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error { return b.team.Delete(tx, a.ID, 0) })
		f := fault.Of(err)
		if f == nil || f.Code != fault.Conflict || f.Reason != "in_use" {
			t.Fatalf("delete of something in use: %v", err)
		}
		if want := []fault.Field{{Path: "team." + friend.ID, Message: "refers to it in friends.0"}}; !cmp.Equal(want, f.Fields) {
			t.Errorf("fields %v", f.Fields)
		}
		var by []ledger.Referrer
		if err := b.ledger.View(ctx, func(tx *ledger.Tx) (err error) { by, err = b.team.Referrers(tx, a.ID, 0); return err }); err != nil {
			t.Fatal(err)
		}
		if len(by) != 1 || by[0].ID != child.ID || by[0].Field != "parent" {
			t.Errorf("referrers %v", by)
		}

		// Without the friend all three go, each with its change.
		r := b.update(ctx, t, func(tx *ledger.Tx) error {
			if err := b.team.Delete(tx, a.ID, 0); err != nil {
				return err
			}
			return b.team.Delete(tx, friend.ID, 0)
		})
		changes, err := b.ledger.ChangesSince(ctx, r-1, 0)
		if err != nil || len(changes) != 4 {
			t.Fatalf("%d changes, %v", len(changes), err)
		}
		if got := b.names(ctx, t); len(got) != 0 {
			t.Errorf("left: %v", got)
		}
		b.verify(ctx, t)
	})
}

func TestObjectsMayReferToOneAnother(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		var ids [2]string
		b.update(ctx, t, func(tx *ledger.Tx) error {
			ids = [2]string{b.team.NewID(tx), b.team.NewID(tx)}
			for i, id := range ids {
				o := ledger.Object[team]{Value: team{Name: id, Friends: []string{ids[1-i]}}}
				o.ID = id
				if _, err := b.team.Insert(tx, o); err != nil {
					return err
				}
			}
			return nil
		})
		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error { return b.team.Delete(tx, ids[0], 0) })
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("one of a pair: %v", err)
		}
		b.update(ctx, t, func(tx *ledger.Tx) error {
			return errors.Join(b.team.Delete(tx, ids[0], 0), b.team.Delete(tx, ids[1], 0))
		})
	})
}

func TestListPages(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		// Names whose order differs between bytes and English, with parts of one
		// another and bytes that the encoding escapes.
		names := []string{"a", "ab", "a b", "a-b", "a_b", "B", "Zed", "zoo", "é", "\x01", "\x02", "a\x01", "a\x02b", "日本", "100%"}
		b.update(ctx, t, func(tx *ledger.Tx) error {
			for i, n := range names {
				if _, err := b.team.Create(tx, team{Name: n, Rank: int64(i%4) - 2}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, tc := range []struct {
			name string
			q    ledger.Query
			want func(team) bool
			key  func(team) string
		}{
			{"by id", ledger.Query{}, func(team) bool { return true }, nil},
			{"by name", ledger.Query{By: "name"}, func(team) bool { return true }, func(v team) string { return strings.ToLower(v.Name) }},
			{"prefix", ledger.Query{By: "name", Prefix: "a"}, func(v team) bool { return strings.HasPrefix(v.Name, "a") }, func(v team) string { return v.Name }},
			{"range", ledger.Query{By: "name", From: "a_b", Below: "zoo"}, func(v team) bool {
				n := strings.ToLower(v.Name)
				return n >= "a_b" && n < "zoo"
			}, func(v team) string { return strings.ToLower(v.Name) }},
			{"equal", ledger.Query{By: "rank", Equal: []string{ledger.Sortable(-2)}}, func(v team) bool { return v.Rank == -2 }, func(team) string { return "" }},
			{"by rank", ledger.Query{By: "rank"}, func(team) bool { return true }, func(v team) string { return ledger.Sortable(v.Rank) }},
			{"nothing", ledger.Query{By: "name", Equal: []string{"nobody"}}, func(team) bool { return false }, nil},
		} {
			for _, down := range []bool{false, true} {
				for _, limit := range []int{1, 2, 4, 100} {
					t.Run(fmt.Sprintf("%s/down=%t/%d", tc.name, down, limit), func(t *testing.T) {
						q := tc.q
						q.Descending, q.Limit = down, limit
						got := b.list(ctx, t, q)
						b.counted(ctx, t, q, got)
						var want []string
						for _, n := range names {
							if i := slices.Index(names, n); tc.want(team{Name: n, Rank: int64(i%4) - 2}) {
								want = append(want, n)
							}
						}
						var seen, keys []string
						for _, o := range got {
							seen = append(seen, o.Value.Name)
							if tc.key != nil {
								keys = append(keys, tc.key(o.Value))
							} else {
								keys = append(keys, o.ID)
							}
						}
						if down {
							slices.Reverse(keys)
						}
						if !slices.IsSorted(keys) {
							t.Errorf("not sorted: %q", keys)
						}
						slices.Sort(seen)
						slices.Sort(want)
						if d := cmp.Diff(want, seen); d != "" {
							t.Error(d)
						}
					})
				}
			}
		}
	})
}

// counted asserts that a query counts what it lists, and that skipping some leaves
// the others.
func (b bench) counted(ctx context.Context, t *testing.T, q ledger.Query, all []ledger.Object[team]) {
	t.Helper()
	err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
		n, err := b.team.Count(tx, q)
		if err == nil && n != len(all) {
			t.Errorf("counts %d, lists %d", n, len(all))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, q.Skip = range []int{1, 3, 1000} {
		if d := cmp.Diff(all[min(q.Skip, len(all)):], b.list(ctx, t, q), cmpopts.EquateEmpty()); d != "" {
			t.Errorf("skip %d: %s", q.Skip, d)
		}
	}
}

func (b bench) list(ctx context.Context, t *testing.T, q ledger.Query) (out []ledger.Object[team]) {
	t.Helper()
	err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
		for o, err := range b.team.All(tx, q) {
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnknownFieldsSurvive(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		var o ledger.Object[team]
		b.update(ctx, t, func(tx *ledger.Tx) (err error) {
			o, err = b.team.Insert(tx, ledger.Object[team]{
				Value:      team{Name: "Red", Style: style{Colour: "red"}},
				Extensions: map[string]json.RawMessage{"x_note": json.RawMessage(`{"b": 1.50, "a": [1e3]}`), "x_gone": json.RawMessage(`1`), "NAME": json.RawMessage(`"no"`)},
			})
			return err
		})
		// A newer version adds a field inside a struct; this one does not know it.
		record := b.get(ctx, t, o.ID)
		if got, want := string(record.Data), `{"name":"Red","style":{"colour":"red"},"x_gone":1,"x_note":{"a":[1e3],"b":1.50}}`; got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
		newer := `{"name":"Red","rank":3,"style":{"colour":"red","font":"mono"},"x_gone":1,"x_note":{"a":[1e3],"b":1.50}}`
		b.update(ctx, t, func(tx *ledger.Tx) error {
			_, err := tx.Apply("file", []ledger.Desired{{Kind: "team", ID: o.ID, Value: json.RawMessage(newer)}})
			return err
		})

		// A client that knows none of it puts what it knows; null takes one away.
		b.update(ctx, t, func(tx *ledger.Tx) error {
			tx.ActAs("file")
			put := ledger.Object[team]{Value: team{Name: "Scarlet", Style: style{Colour: "scarlet"}}, Extensions: map[string]json.RawMessage{"x_gone": json.RawMessage(`null`)}}
			put.ID = o.ID
			_, err := b.team.Put(tx, put)
			return err
		})
		record = b.get(ctx, t, o.ID)
		if got, want := string(record.Data), `{"name":"Scarlet","style":{"colour":"scarlet","font":"mono"},"x_note":{"a":[1e3],"b":1.50}}`; got != want {
			t.Errorf("stored %s, want %s", got, want)
		}
	})
}

func (b bench) get(ctx context.Context, t *testing.T, id string) (r ledger.Record) {
	t.Helper()
	if err := b.ledger.View(ctx, func(tx *ledger.Tx) (err error) { r, err = tx.Get("team", id); return err }); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSecretsMustBeSealed(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error {
			_, err := b.team.Create(tx, team{Name: "Red", Secret: "hunter2"})
			return err
		})
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("a plain secret: %v", err)
		}
		b.add(ctx, t, team{Name: "Red", Secret: "sealed:v1:k1:" + strings.Repeat("A", 40)})
	})
}

func TestInvalidInput(t *testing.T) {
	each(t, func(t *testing.T, b bench) {
		ctx := in(t, "acme")
		for name, f := range map[string]func(*ledger.Tx) error{
			"check": func(tx *ledger.Tx) error { _, err := b.team.Create(tx, team{}); return err },
			"long key": func(tx *ledger.Tx) error {
				_, err := b.team.Create(tx, team{Name: strings.Repeat("x", 1100)})
				return err
			},
			"no document": func(tx *ledger.Tx) error {
				_, err := tx.Apply("f", []ledger.Desired{{Kind: "team", ID: "x", Value: 3}})
				return err
			},
			"id": func(tx *ledger.Tx) error {
				o := ledger.Object[team]{Value: team{Name: "x"}}
				o.ID = "a/b"
				_, err := b.team.Insert(tx, o)
				return err
			},
			"cursor": func(tx *ledger.Tx) error { _, err := b.team.List(tx, ledger.Query{After: "!"}); return err },
			"query text": func(tx *ledger.Tx) error {
				_, err := b.team.List(tx, ledger.Query{By: "name", Prefix: "\xff"})
				return err
			},
			"query no key": func(tx *ledger.Tx) error { _, err := b.team.List(tx, ledger.Query{Prefix: "a"}); return err },
		} {
			if _, err := b.ledger.Update(ctx, ada, "", f); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.ledger.Update(ctx, ledger.Actor{}, "", func(*ledger.Tx) error { return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("nobody: %v", err)
		}
		// Ids and kinds may come from a path: whatever they are, the answer is "none".
		for _, id := range []string{"", "\x00", "\xff", "a/b", strings.Repeat("x", 5000)} {
			err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
				for what, err := range map[string]error{
					"get": second(tx.Get("team", id)), "get of kind": second(tx.Get(id, "x")), "at": second(tx.At("team", id, 0)), "at of kind": second(tx.At(id, "x", 0)),
				} {
					if !fault.Is(err, fault.NotFound) {
						t.Errorf("%s %q: %v", what, id, err)
					}
				}
				_, err1 := tx.Referrers("team", id, 0)
				_, err2 := tx.Referrers(id, "x", 0)
				_, err3 := tx.History(ledger.HistoryQuery{Kind: "te\x00m", ID: "x" + id})
				return errors.Join(err1, err2, err3)
			})
			if err != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
		if _, err := b.ledger.Update(t.Context(), ada, "", func(*ledger.Tx) error { return nil }); err == nil {
			t.Error("an update without a tenant was accepted")
		}
		if err := b.ledger.View(tenant.With(t.Context(), "Not Valid"), func(*ledger.Tx) error { return nil }); !fault.Is(err, fault.Invalid) {
			t.Errorf("a malformed tenant: %v", err)
		}
		if head, err := b.ledger.Head(ctx); head != 0 || err != nil {
			t.Errorf("head %d, %v", head, err)
		}
		odd := ledger.Actor{Type: "user", ID: "u\x00\xff", Name: strings.Repeat("é", 5000)}
		if _, err := b.ledger.Update(ctx, odd, "why\x00", func(tx *ledger.Tx) error { _, err := b.team.Create(tx, team{Name: "x"}); return err }); err != nil {
			t.Error(err)
		}
		b.verify(ctx, t)
	})
}

func TestGuardsAndPreview(t *testing.T) {
	guard := func(_ context.Context, tx *ledger.Tx) error {
		k := newKinds()
		p, err := k.team.List(tx, ledger.Query{})
		if err == nil && len(p.Items) > 1 {
			err = fault.New(fault.Invalid, "does not compile")
		}
		return err
	}
	run := func(t *testing.T, url string) {
		b := open(t, url, guard)
		ctx := in(t, "acme")
		create := func(name string) func(*ledger.Tx) error {
			return func(tx *ledger.Tx) error { _, err := b.team.Create(tx, team{Name: name}); return err }
		}
		changes, err := b.ledger.Preview(ctx, ada, "look", create("Red"))
		if err != nil || len(changes) != 1 || changes[0].Op != ledger.Created {
			t.Fatalf("preview: %v, %v", changes, err)
		}
		if head, _ := b.ledger.Head(ctx); head != 0 {
			t.Errorf("a preview made revision %d", head)
		}
		b.update(ctx, t, create("Red"))
		for what, err := range map[string]error{
			"update":  second(b.ledger.Update(ctx, ada, "", create("Blue"))),
			"preview": second(b.ledger.Preview(ctx, ada, "", create("Blue"))),
		} {
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "does not compile") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if head, _ := b.ledger.Head(ctx); head != 1 {
			t.Errorf("head %d", head)
		}
	}
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+t.TempDir()+"/x.db") })
	t.Run("postgres", func(t *testing.T) { run(t, postgres.Database(t)) })
}

func second[T any](_ T, err error) error { return err }

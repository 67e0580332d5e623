package storetest_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
	"gatehouse/internal/store/storetest/pg"
	"gatehouse/internal/tenant"
)

// The cluster that all tests of this binary share.
var postgres pg.Cluster

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		fmt.Fprintln(os.Stderr, child())
		return
	}
	// A run of a property waits for the disk often: fewer of them by default.
	flag.Parse()
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		if err := checks.Value.Set("20"); err != nil {
			panic(err)
		}
	}
	m.Run()
	if err := postgres.Stop(); err != nil {
		panic(err)
	}
}

// team is a kind that uses all that a spec has.
type team struct {
	Name    string   `json:"name"`
	Rank    int64    `json:"rank,omitempty"`
	Parent  string   `json:"parent,omitempty"`  // a team; goes with it
	Friends []string `json:"friends,omitempty"` // teams that must stay
	Secret  string   `json:"secret,omitempty"`
	Style   style    `json:"style,omitzero"`
}

type style struct {
	Colour string `json:"colour,omitempty"`
}

type note struct {
	Text string `json:"text"`
	Team string `json:"team,omitempty"`
}

type kinds struct {
	team *ledger.Kind[team]
	note *ledger.Kind[note]
}

func newKinds() kinds {
	return kinds{
		team: ledger.NewKind(ledger.Spec[team]{
			Name: "team", IDPrefix: "tea",
			Keys:  func(v team) []ledger.Key { return []ledger.Key{ledger.By("name", strings.ToLower(v.Name))} },
			Index: func(v team) []ledger.Key { return []ledger.Key{ledger.By("rank", ledger.Sortable(v.Rank))} },
			Refs: func(v team) []ledger.Ref {
				refs := []ledger.Ref{{Field: "parent", Kind: "team", ID: v.Parent, OnDelete: ledger.Cascade}}
				for i, id := range v.Friends {
					refs = append(refs, ledger.Ref{Field: fmt.Sprintf("friends.%d", i), Kind: "team", ID: id})
				}
				return refs
			},
			Check: func(v team) error {
				if v.Name == "" {
					return errors.New("a team needs a name")
				}
				return nil
			},
			Secrets: []string{"secret"},
		}),
		note: ledger.NewKind(ledger.Spec[note]{
			Name: "note", IDPrefix: "not",
			Refs: func(v note) []ledger.Ref { return []ledger.Ref{{Field: "team", Kind: "team", ID: v.Team}} },
		}),
	}
}

// bench is a ledger on one engine.
type bench struct {
	kinds
	url    string
	db     *store.DB
	ledger *ledger.Ledger
}

var ada = ledger.Actor{Type: "user", ID: "usr1", Name: "Ada"}

// each runs the test on both engines, on an empty store.
func each(t *testing.T, f func(*testing.T, bench)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		f(t, open(t, "sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db")))
	})
	t.Run("postgres", func(t *testing.T) { f(t, open(t, postgres.Database(t))) })
}

func open(t testing.TB, url string, guards ...ledger.Guard) bench {
	t.Helper()
	b := bench{kinds: newKinds(), url: url, db: storetest.Open(t, store.Config{URL: url})}
	b.ledger = b.newLedger(t, guards...)
	return b
}

func (b bench) newLedger(t testing.TB, guards ...ledger.Guard) *ledger.Ledger {
	t.Helper()
	registry, err := ledger.NewRegistry(b.team, b.note)
	if err != nil {
		t.Fatal(err)
	}
	var now int64 = 1_700_000_000_000_000
	l, err := ledger.New(ledger.Config{
		Store: b.db.Ledger(), Registry: registry, Guards: guards,
		Clock: func() time.Time { return time.UnixMicro(now) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func in(t testing.TB, id tenant.ID) context.Context { return tenant.With(t.Context(), id) }

// update runs an Update that must succeed.
func (b bench) update(ctx context.Context, t testing.TB, f func(*ledger.Tx) error) ledger.Revision {
	t.Helper()
	r, err := b.ledger.Update(ctx, ada, "test", f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// add creates a team and returns it.
func (b bench) add(ctx context.Context, t testing.TB, v team) (o ledger.Object[team]) {
	t.Helper()
	b.update(ctx, t, func(tx *ledger.Tx) (err error) { o, err = b.team.Create(tx, v); return err })
	return o
}

// names lists the names of all teams, in the order of their names.
func (b bench) names(ctx context.Context, t testing.TB) (out []string) {
	t.Helper()
	err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
		for o, err := range b.team.All(tx, ledger.Query{By: "name", Limit: 3}) {
			if err != nil {
				return err
			}
			out = append(out, o.Value.Name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// verify fails the test when the chain is broken.
func (b bench) verify(ctx context.Context, t testing.TB) ledger.Chain {
	t.Helper()
	c, err := b.ledger.VerifyChain(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if c.Broken != nil {
		t.Fatalf("the chain is broken: %s", c.Broken)
	}
	return c
}

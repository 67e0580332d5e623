package storetest_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
)

// childURL names the variable that makes the test binary a writer on the store
// at that URL, which is killed sooner or later.
const childURL = "GATEHOUSE_TEST_CHILD_STORE"

// child writes without end, and prints the revision and the object of each write
// after it was acknowledged.
func child() error {
	ctx := tenant.With(context.Background(), "acme")
	db, err := store.Open(ctx, store.Config{URL: os.Getenv(childURL)})
	if err != nil {
		return err
	}
	k := newKinds()
	registry, err := ledger.NewRegistry(k.team, k.note)
	if err != nil {
		return err
	}
	l, err := ledger.New(ledger.Config{Store: db.Ledger(), Registry: registry})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, 3)
	for range cap(errs) {
		wg.Go(func() {
			for {
				var o ledger.Object[team]
				r, err := l.Update(ctx, ada, "write", func(tx *ledger.Tx) (err error) {
					id := k.team.NewID(tx)
					if o, err = k.team.Create(tx, team{Name: id}); err != nil {
						return err
					}
					_, err = k.note.Create(tx, note{Text: strings.Repeat("x", 500), Team: o.ID})
					return err
				})
				if err != nil {
					errs <- err
					return
				}
				_, _ = fmt.Fprintf(os.Stdout, "%d %s\n", r, o.ID) // one write each: lines stay whole
			}
		})
	}
	wg.Wait()
	return <-errs
}

func TestKilledWritersLoseNothing(t *testing.T) {
	run := func(t *testing.T, url string, rounds int) {
		acknowledged := map[string]ledger.Revision{}
		for round := range rounds {
			killWriter(t, url, acknowledged)
			b := open(t, url)
			ctx := in(t, "acme")
			chain := b.verify(ctx, t)
			if chain.Changes != 2*int(chain.Head.Revision) {
				t.Fatalf("round %d: %d changes in %d revisions: one is half there", round, chain.Changes, chain.Head.Revision)
			}
			err := b.ledger.View(ctx, func(tx *ledger.Tx) error {
				for id, r := range acknowledged {
					o, err := b.team.Get(tx, id)
					if err != nil {
						return fmt.Errorf("acknowledged as revision %d: %w", r, err)
					}
					if o.Revision != r {
						return fmt.Errorf("team %s: revision %d, acknowledged as %d", id, o.Revision, r)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if err := b.db.Check(ctx); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if err := b.db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d rounds, %d acknowledged writes", rounds, len(acknowledged))
		if len(acknowledged) < rounds {
			t.Errorf("only %d writes were acknowledged: this shows nothing", len(acknowledged))
		}
	}
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"), 25) })
	t.Run("postgres", func(t *testing.T) { run(t, postgres.Database(t), 6) })
}

// killWriter starts a writer, kills it after some acknowledged writes, and adds
// all that it acknowledged.
func killWriter(t *testing.T, url string, acknowledged map[string]ledger.Revision) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	after := 1 + rand.IntN(30)
	lines := bufio.NewScanner(out)
	for n := 1; lines.Scan(); n++ {
		var r ledger.Revision
		var id string
		if _, err := fmt.Sscanf(lines.Text(), "%d %s", &r, &id); err != nil || len(id) != 20 {
			break // the last line, cut off
		}
		acknowledged[id] = r
		if n == after { // at some moment of the writes that run now
			time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the writer ended by itself: %v", err)
	}
}

package storetest_test

import (
	"fmt"
	"sync"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// Two nodes on one store form one chain.
func TestTwoNodesShareAStore(t *testing.T) {
	each(t, func(t *testing.T, first bench) {
		ctx := in(t, "acme")
		nodes := []bench{first, open(t, first.url)}
		const writers, updates = 3, 12
		var wg sync.WaitGroup
		for n, b := range nodes {
			for w := range writers {
				wg.Go(func() {
					for i := range updates {
						_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error {
							_, err := b.team.Create(tx, team{Name: fmt.Sprint(n, w, i)})
							return err
						})
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
		}
		wg.Wait()
		for _, b := range nodes {
			if c := b.verify(ctx, t); c.Head.Revision != 2*writers*updates {
				t.Errorf("revision %d", c.Head.Revision)
			}
		}
	})
}

// When the server drops all connections, each costs at most one failed call, and
// none is left broken.
func TestLostConnections(t *testing.T) {
	b := open(t, postgres.Database(t))
	ctx := in(t, "acme")
	write := func(i int) error {
		_, err := b.ledger.Update(ctx, ada, "", func(tx *ledger.Tx) error {
			_, err := b.team.Create(tx, team{Name: fmt.Sprint(i)})
			return err
		})
		return err
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := write(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := raw(t, b.url).ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	for i := 100; done < 8; i++ {
		switch err := write(i); {
		case err == nil:
			done++
		case !fault.Is(err, fault.Unavailable):
			t.Fatal(err)
		case i > 130:
			t.Fatalf("does not recover: %v", err)
		}
	}
	b.verify(ctx, t)
}

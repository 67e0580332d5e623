package store

import (
	"context"
	"errors"
	"testing"
)

// A glance is one statement that reads: what would see another state fails, and so does
// what writes. Nothing of it stays behind, however it ends.
func TestGlance(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		ctx := t.Context()
		var one int
		look := func(ctx context.Context, tx *tx) error { return tx.row(ctx, sqlPing).Scan(&one) }
		none := func(scanner) error { return nil }
		again := map[string]func(context.Context, *tx) error{
			"row":   look,
			"rows":  func(ctx context.Context, tx *tx) error { return tx.rows(ctx, none, sqlPing) },
			"exec":  func(ctx context.Context, tx *tx) error { _, err := tx.exec(ctx, sqlPrunePlaces, 0); return err },
			"later": func(ctx context.Context, tx *tx) error { return tx.later(ctx, sqlPrunePlaces, 0) },
		}
		for range 20 { // more than there are connections
			if err := db.glance(ctx, "look", look); err != nil || one != 1 {
				t.Fatal(one, err)
			}
			for name, f := range again {
				err := db.glance(ctx, "look", func(ctx context.Context, tx *tx) error {
					return errors.Join(look(ctx, tx), f(ctx, tx))
				})
				if !errors.Is(err, errGlance) {
					t.Fatalf("%s after the first statement: %v", name, err)
				}
			}
			if err := db.glance(ctx, "look", again["exec"]); !errors.Is(err, errGlance) {
				t.Fatal("it wrote:", err)
			}
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		if err := db.glance(over, "look", look); err == nil {
			t.Error("who has hung up was answered")
		}
		if err := db.read(ctx, "read", look); err != nil {
			t.Error(err)
		}
	})
}

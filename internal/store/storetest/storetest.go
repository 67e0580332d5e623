// Package storetest is the conformance suite of the store: the same tests run on
// SQLite and on PostgreSQL, through the rooms that use the store. It also opens
// stores for the tests of other rooms. It must not be part of a program that is
// not a test.
package storetest

import (
	"path/filepath"
	"testing"

	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
)

// SQLite returns a new, empty store in a file, which is closed when the test ends.
func SQLite(t testing.TB) *store.DB {
	t.Helper()
	return Open(t, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db")})
}

// Open opens a store, and closes it when the test ends.
func Open(t testing.TB, c store.Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return db
}

// Ledger returns a ledger of the kinds on a store of its own.
func Ledger(t testing.TB, kinds ...ledger.AnyKind) *ledger.Ledger {
	t.Helper()
	registry, err := ledger.NewRegistry(kinds...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.New(ledger.Config{Store: SQLite(t).Ledger(), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

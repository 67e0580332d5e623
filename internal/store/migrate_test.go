package store

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"

	"gatehouse/internal/fault"

	"github.com/google/go-cmp/cmp"
)

func TestMigrationsAreNumbered(t *testing.T) {
	all := migrations()
	for i, m := range all {
		if m.version != i+1 || m.name == "" {
			t.Errorf("migration %d is %04d_%s: numbers have no gap and start at 1", i+1, m.version, m.name)
		}
	}
	if len(all) < 3 {
		t.Errorf("%d migrations", len(all))
	}
}

// schema describes the tables and columns of a store.
func schema(t *testing.T, db *DB) (out []string) {
	t.Helper()
	text := `SELECT m.name || '.' || p.name || ' ' || p.type || ' ' || p."notnull" FROM sqlite_schema m, pragma_table_info(m.name) p WHERE m.type IN ('table', 'index') AND $1 = 1 ORDER BY 1`
	if !isSQLite(db) {
		text = `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || coalesce(collation_name, '') FROM information_schema.columns
WHERE table_schema = 'public' AND $1 = 1 UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`
	}
	err := db.read(t.Context(), "read schema", func(ctx context.Context, tx *tx) error {
		return tx.rows(ctx, func(row scanner) error {
			var line string
			err := row.Scan(&line)
			out = append(out, line)
			return err
		}, text, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMigrationFromEveryEarlierState(t *testing.T) {
	all := migrations()
	for n := range len(all) {
		eachURL(t, func(t *testing.T, url string) {
			db := unmigrated(t, url)
			if err := db.migrate(t.Context(), all[:n]); err != nil {
				t.Fatal(err)
			}
			if stored, known, err := db.SchemaVersion(t.Context()); stored != n || known != len(all) || err != nil {
				t.Errorf("version %d of %d, %v", stored, known, err)
			}
			if n > 0 {
				err := db.write(t.Context(), "insert", func(ctx context.Context, tx *tx) error {
					_, err := tx.exec(ctx, sqlSaveObject, "acme", "k", "i", 1, "", "{}", 1, 1)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			later := openTest(t, url)
			if stored, _, err := later.SchemaVersion(t.Context()); stored != len(all) || err != nil {
				t.Errorf("version %d, %v", stored, err)
			}
			if n > 0 {
				err := later.read(t.Context(), "read", func(ctx context.Context, tx *tx) error {
					_, err := scanRecord(tx.row(ctx, sqlObject, "acme", "k", "i"))
					return err
				})
				if err != nil {
					t.Errorf("what was there before is gone: %v", err)
				}
			}
			fresh := openTest(t, freshURL(t, db))
			if d := cmp.Diff(schema(t, fresh), schema(t, later)); d != "" {
				t.Error(d)
			}
		})
	}
}

func freshURL(t *testing.T, like *DB) string {
	if isSQLite(like) {
		return "sqlite:" + t.TempDir() + "/fresh.db"
	}
	return postgres.Database(t)
}

// unmigrated opens a store and leaves it without a schema.
func unmigrated(t *testing.T, url string) *DB {
	t.Helper()
	db, err := connect(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestTextsSortByBytes(t *testing.T) {
	db := openTest(t, postgres.Database(t))
	column := regexp.MustCompile(` text $`)
	for _, line := range schema(t, db) {
		if column.MatchString(line) {
			t.Errorf("%ssorts by the locale of the database", line)
		}
	}
}

func TestStoresThatAreRefused(t *testing.T) {
	all := migrations()
	for name, tc := range map[string]struct{ sql, want string }{
		"newer":  {`INSERT INTO schema_migrations (version, name, checksum, applied) VALUES (99, 'future', 'x', 1)`, `has schema 99, this binary knows %d: run a newer gatehouse, or restore a backup`},
		"edited": {`UPDATE schema_migrations SET checksum = 'x' WHERE version = 2`, "is not the one in this binary: run the gatehouse that made the store, or restore a backup"},
		"gap":    {`DELETE FROM schema_migrations WHERE version = 2`, "has no record of migration 2"},
	} {
		t.Run(name, func(t *testing.T) {
			eachURL(t, func(t *testing.T, url string) {
				db := openTest(t, url)
				if err := db.write(t.Context(), "x", func(ctx context.Context, tx *tx) error { _, err := tx.exec(ctx, tc.sql); return err }); err != nil {
					t.Fatal(err)
				}
				_, err := Open(t.Context(), Config{URL: url})
				want := tc.want
				if name == "newer" {
					want = fmt.Sprintf(want, len(all))
				}
				if !fault.Is(err, fault.Unsupported) || !regexp.MustCompile(regexp.QuoteMeta(want)).MatchString(err.Error()) {
					t.Errorf("%v, want %q", err, want)
				}
			})
		})
	}
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := unmigrated(t, url)
		broken := append(migrations(), migration{version: len(migrations()) + 1, name: "broken", text: "CREATE TABLE half (a BIGINT);\nCREATE TABLE half (a BIGINT);"})
		if err := db.migrate(t.Context(), broken); err == nil {
			t.Fatal("a broken migration ran")
		}
		if got := schema(t, db); len(got) != 0 {
			t.Errorf("left behind: %v", got)
		}
		openTest(t, url)
	})
}

func TestManyStartAtOnce(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				db, err := Open(t.Context(), Config{URL: url, Connections: 2})
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		db := openTest(t, url)
		if stored, known, err := db.SchemaVersion(t.Context()); stored != known || err != nil {
			t.Errorf("schema %d of %d, %v", stored, known, err)
		}
	})
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
)

func isSQLite(db *DB) bool { _, ok := db.engine.(*sqliteEngine); return ok }

// prepare prepares a statement on the connection of a transaction.
func prepare(ctx context.Context, tx *tx, text string) error {
	var on interface {
		PrepareContext(ctx context.Context, text string) (*sql.Stmt, error)
	}
	switch t := tx.t.(type) {
	case *session:
		on = t.conn
	case pgTx:
		on = t
	}
	stmt, err := on.PrepareContext(ctx, text)
	if err != nil {
		return err
	}
	defer func() { _ = stmt.Close() }() // the transaction ends anyway
	return nil
}

func TestOpenRefuses(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"mysql://root:hunter2@db/x": `begins with "mysql"`,
		"sqlite:":                   "needs the path of a file",
		"sqlite::memory:":           "needs the path of a file",
		"sqlite:" + folder:          "cannot be opened",
		"sqlite:" + file + "/x.db":  "cannot be made",
		"sqlite:" + file:            "is damaged, or is no store",
		"postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=1":    "the store at postgres://127.0.0.1:1/x does not answer",
		"postgres://u:hunter2@127.0.0.1:bad/x":                    "write postgres://USER@HOST/DATABASE",
		"postgres://u@/gatehouse?host=/nonexistent&port=notaport": "write postgres://USER@HOST/DATABASE",
	} {
		db, err := Open(t.Context(), Config{URL: url, BusyTimeout: 100 * time.Millisecond})
		if err == nil {
			_ = db.Close()
			t.Errorf("%s was opened", url)
			continue
		}
		if !strings.Contains(err.Error(), want) || fault.Of(err) == nil {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the password: %v", url, err)
		}
	}
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b%41?", "gatehouse.db")
	db := openTest(t, "sqlite:"+path)
	if err := db.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "gatehouse.db": 0o600, "gatehouse.db-wal": 0o600, "gatehouse.db-shm": 0o600} {
		info, err := os.Stat(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%q has mode %o, want %o", name, info.Mode().Perm(), want)
		}
	}
}

func TestSQLiteIsDurable(t *testing.T) {
	db := openTest(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		err := db.write(t.Context(), "read pragma", func(ctx context.Context, tx *tx) error {
			var got string
			err := tx.row(ctx, "PRAGMA "+pragma).Scan(&got)
			if err == nil && got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if tooOld(strings.TrimPrefix(db.Engine(), "SQLite ")) {
		t.Errorf("engine %s", db.Engine())
	}
}

func TestTooOld(t *testing.T) {
	for _, v := range []string{"3.51.2", "3.9.9", "2.99.99", "3.51"} {
		if !tooOld(v) {
			t.Errorf("%s is not too old", v)
		}
	}
	for _, v := range []string{"3.51.3", "3.51.10", "3.54.1", "4.0.0"} {
		if tooOld(v) {
			t.Errorf("%s is too old", v)
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		err := db.read(t.Context(), "x", func(ctx context.Context, tx *tx) error {
			_, err := tx.exec(ctx, sqlAddSetting, "a", "b", 1)
			return err
		})
		if err == nil {
			t.Error("a reader has written")
		}
		if _, ok, err := db.Setting(t.Context(), "a"); ok || err != nil {
			t.Errorf("setting: %t, %v", ok, err)
		}
	})
}

// What ends a transaction early must leave the connection usable.
func TestTransactionsEndCleanly(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		for range 20 { // more than there are connections
			func() {
				defer func() { _ = recover() }()
				_ = db.write(t.Context(), "panic", func(ctx context.Context, tx *tx) error {
					if _, err := tx.exec(ctx, sqlAddSetting, "a", "b", 1); err != nil {
						t.Error(err)
					}
					panic("a bug")
				})
			}()
			ctx, cancel := context.WithCancel(t.Context())
			err := db.write(ctx, "cancel", func(ctx context.Context, tx *tx) error {
				_, err := tx.exec(ctx, sqlAddSetting, "a", "b", 1)
				cancel()
				return err
			})
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("a canceled write: %v", err)
			}
			short, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
			err = db.read(short, "slow", func(ctx context.Context, tx *tx) error {
				var n int
				return tx.row(ctx, `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000000) SELECT count(*) FROM n`).Scan(&n)
			})
			stop()
			if !fault.Is(err, fault.Timeout) {
				t.Fatalf("a slow read: %v", err)
			}
			boom := errors.New("boom")
			if err := db.write(t.Context(), "fail", func(ctx context.Context, tx *tx) error {
				_, err := tx.exec(ctx, sqlAddSetting, "a", "b", 1)
				return errors.Join(boom, err)
			}); !errors.Is(err, boom) {
				t.Fatal(err)
			}
		}
		if _, ok, err := db.Setting(t.Context(), "a"); ok || err != nil {
			t.Errorf("setting: %t, %v", ok, err)
		}
		if ok, err := db.AddSetting(t.Context(), "a", "b"); !ok || err != nil {
			t.Errorf("add: %t, %v", ok, err)
		}
	})
}

func TestUniqueIsConflict(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		err := db.write(t.Context(), "insert twice", func(ctx context.Context, tx *tx) error {
			for range 2 {
				if _, err := tx.exec(ctx, sqlSaveKey, "acme", "k", "n", "v", "i", 1); err != nil {
					return err
				}
			}
			return nil
		})
		if !fault.Is(err, fault.Conflict) {
			t.Error(err)
		}
	})
}

// What waits is there for whoever reads, in its order, and its failure undoes all,
// wherever in the transaction it comes out.
func TestStatementsThatWait(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		count := func(ctx context.Context, tx *tx, value string) (n int) {
			if err := tx.row(ctx, `SELECT count(*) FROM object_keys WHERE tenant = $1 AND value = $2`, "acme", value).Scan(&n); err != nil {
				t.Error(err)
			}
			return n
		}
		key := func(ctx context.Context, tx *tx, value, id string) error {
			return tx.later(ctx, sqlSaveKey, "acme", "k", "n", value, id, 1)
		}
		if err := db.write(t.Context(), "many", func(ctx context.Context, tx *tx) error {
			for i := range 2*mostWaiting + 1 {
				if err := key(ctx, tx, strconv.Itoa(i), "i"); err != nil {
					return err
				}
			}
			if n := count(ctx, tx, strconv.Itoa(2*mostWaiting)); n != 1 {
				t.Errorf("a reader sees %d rows of the last statement", n)
			}
			if err := tx.later(ctx, sqlDeleteKeys, "acme", "k", "i"); err != nil {
				return err
			}
			return key(ctx, tx, "again", "i")
		}); err != nil {
			t.Fatal(err)
		}
		err := db.write(t.Context(), "twice", func(ctx context.Context, tx *tx) error {
			return errors.Join(key(ctx, tx, "other", "i"), key(ctx, tx, "again", "j"), key(ctx, tx, "third", "i"))
		})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("a key that is taken: %v", err)
		}
		if err := db.read(t.Context(), "look", func(ctx context.Context, tx *tx) error {
			for value, want := range map[string]int{"0": 0, "again": 1, "other": 0, "third": 0} {
				if n := count(ctx, tx, value); n != want {
					t.Errorf("%q is there %d times, want %d", value, n, want)
				}
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
}

// Two writers that take the same rows in opposite order: one is asked to repeat,
// and does.
func TestDeadlockIsRepeated(t *testing.T) {
	db := openTest(t, postgres.Database(t))
	for _, name := range []string{"a", "b"} {
		if _, err := db.AddSetting(t.Context(), name, "0"); err != nil {
			t.Fatal(err)
		}
	}
	first := make(chan string, 2) // who holds a row
	done := make(chan error, 2)
	goOn := make(chan struct{})
	runs := make(chan string, 16)
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		go func() {
			again := false
			done <- db.write(t.Context(), "swap", func(ctx context.Context, tx *tx) error {
				runs <- order[0]
				for i, name := range order {
					if _, err := tx.exec(ctx, sqlSwapSetting, name, "1", 1, "0"); err != nil {
						return err
					}
					if i == 0 && !again {
						again = true
						first <- name
						<-goOn
					}
				}
				return nil
			})
		}()
	}
	<-first
	<-first
	close(goOn)
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(runs) < 3 {
		t.Errorf("%d runs: there was no deadlock, so nothing was shown", len(runs))
	}
}

func TestCloseTwice(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db, err := Open(t.Context(), Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Close(), db.Close()); err != nil {
			t.Error(err)
		}
		if err := db.Ping(t.Context()); err == nil {
			t.Error("a closed store answers")
		}
	})
}

func TestCheck(t *testing.T) {
	eachURL(t, func(t *testing.T, url string) {
		db := openTest(t, url)
		if err := db.Check(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := Open(t.Context(), Config{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if _, err := db.AddSetting(t.Context(), strings.Repeat("n", i+1), strings.Repeat("v", 300)); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(raw), strings.Repeat("n", 150)) &^ (pageBytes - 1)
	copy(raw[at:at+200], strings.Repeat("\xff", 200))
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err = Open(t.Context(), Config{URL: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("check: %v", err)
	}
}

package storetest_test

import (
	"context"
	"crypto/rand"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/store/storetest"
)

// fill writes until there is no space, and checks that what failed left nothing.
func fill(ctx context.Context, t *testing.T, b bench) {
	t.Helper()
	text := strings.Repeat("0123456789abcdef", 1200)
	for n := 1; ; n++ {
		before, err := b.ledger.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.ledger.Update(ctx, ada, "fill", func(tx *ledger.Tx) error {
			for range 3 {
				// Random at its end, so that it cannot be compressed away.
				if _, err := b.note.Create(tx, note{Text: text + noise(20_000)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			if n > 4000 {
				t.Fatal("the store never fills")
			}
			continue
		}
		if !fault.Is(err, fault.Full) || !strings.Contains(err.Error(), "no space left: free some") {
			t.Fatalf("after %d writes: %v", n, err)
		}
		after, err := b.ledger.Head(ctx)
		if err != nil || before != after {
			t.Fatalf("the head moved from %d to %d, %v", before, after, err)
		}
		b.verify(ctx, t)
		return
	}
}

func noise(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(ledger.NewID(""))
	}
	return b.String()
}

func TestFullStoreWritesNothingByHalves(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
	b := bench{kinds: newKinds(), url: url, db: storetest.Open(t, store.Config{URL: url, MaxBytes: 2 << 20})}
	b.ledger = b.newLedger(t)
	ctx := in(t, "acme")
	fill(ctx, t, b)
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	larger := open(t, url)
	larger.add(ctx, t, team{Name: "after"})
	larger.verify(ctx, t)
}

// small mounts a file system of its own, which needs root.
func small(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		dir := small(t, "8m")
		b := open(t, "sqlite:"+filepath.Join(dir, "x.db"))
		ballast := filepath.Join(dir, "ballast")
		if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx := in(t, "acme")
		fill(ctx, t, b)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		b.add(ctx, t, team{Name: "after"}) // on the same connection
		b.verify(ctx, t)
		if err := b.db.Check(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		url := postgres.Database(t)
		dir := small(t, "8m")
		b := open(t, url)
		own(t, dir)
		ctx := in(t, "acme")
		ballast := filepath.Join(dir, "ballast")
		admin := raw(t, url)
		space := "small_" + strings.ToLower(rand.Text()) // the server may serve other tests as well
		if _, err := admin.ExecContext(ctx, "CREATE TABLESPACE "+space+" LOCATION '"+filepath.Join(dir, "space")+"'"); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"ALTER TABLE changes SET TABLESPACE " + space, "ALTER TABLE objects SET TABLESPACE " + space} {
			if _, err := admin.ExecContext(ctx, text); err != nil {
				t.Fatal(err)
			}
		}
		t.Cleanup(func() {
			for _, text := range []string{"DROP TABLE changes", "DROP TABLE objects", "DROP TABLESPACE " + space} {
				if _, err := admin.Exec(text); err != nil {
					t.Error(err)
				}
			}
		})
		if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		fill(ctx, t, b)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		b.add(ctx, t, team{Name: "after"})
		b.verify(ctx, t)
	})
}

// own makes a folder in dir that PostgreSQL may use.
func own(t *testing.T, dir string) {
	t.Helper()
	space := filepath.Join(dir, "space")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(space, uid, gid); err != nil {
		t.Fatal(err)
	}
	for path := dir; path != "/" && path != os.TempDir(); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o711); err != nil { // the server must reach the folder
			t.Skip(err)
		}
	}
}

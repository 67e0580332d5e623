package app_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver, to damage a store on purpose

	"gatehouse/client"
	"gatehouse/internal/store/storetest/pg"
)

var postgres pg.Cluster

func TestMain(m *testing.M) {
	m.Run() // its result is the exit code of the process
	if err := postgres.Stop(); err != nil {
		panic(err)
	}
}

// Everything works on PostgreSQL as it does on SQLite, and after a restart on it.
func TestOnPostgreSQL(t *testing.T) {
	url := postgres.Database(t)
	identity := freeAddress(t)
	p := start(t, "", withStore(url), withIdentity(identity))
	token := p.token("vacations:read")
	if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, token)}); err != nil {
		t.Fatal(err)
	}
	data := p.data
	p.stop()
	p = start(t, "", withStore(url), withData(data), withIdentity(identity))
	if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked before the restart is answered %d", a.Status)
	}
	if a := p.call(http.MethodGet, "/hr/vacations/ana", p.token("vacations:read")); a.Status != http.StatusOK {
		t.Errorf("after the restart: %d %s", a.Status, a.Body)
	}
}

// A store that a newer version has written is not touched; the message says what to do.
func TestNewerStoreIsRefused(t *testing.T) {
	p := start(t, "")
	data := p.data
	p.stop()
	db, err := sql.Open("sqlite", filepath.Join(data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	var table string
	if err := db.QueryRowContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%migration%'").Scan(&table); err != nil {
		t.Fatal(err)
	}
	names := columnsOf(t, db, table)
	// A row for a version that this binary does not know, the rest copied.
	set := strings.Join(names[1:], ", ")
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT 9999, %s FROM %s LIMIT 1", table, names[0], set, set, table)); err != nil {
		t.Fatal(err)
	}
	_ = db.Close()
	_, err = tryStart(t, "", withData(data))
	if err == nil || !strings.Contains(err.Error(), "has schema 9999") || !strings.Contains(err.Error(), "run a newer gatehouse, or restore a backup") {
		t.Errorf("the newer store: %v", err)
	}
}

func columnsOf(t *testing.T, db *sql.DB, table string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM "+table+" LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err := errors.Join(err, rows.Err()); err != nil {
		t.Fatal(err)
	}
	return names
}

// A full disk: traffic goes on, a change is refused as 507 with nothing half-written,
// and when there is space again changes go on.
func fullDisk(t *testing.T) {
	dir := smallDisk(t)
	p := start(t, "", withData(filepath.Join(dir, "data")))
	token := p.token("vacations:read")
	fill := filepath.Join(dir, "fill")
	fillDisk(t, fill)
	var full *client.Error
	for i := range 50 {
		_, err := p.admin().CreateApp(t.Context(), client.App{Label: fmt.Sprintf("app %d", i)})
		if e, ok := err.(*client.Error); ok { //nolint:errorlint // returned as it is
			full = e
			break
		}
	}
	if full == nil || full.Status != http.StatusInsufficientStorage {
		t.Errorf("a change on a full disk is answered %v", full)
	}
	// The other edges say so in the words of their protocols.
	for _, edge := range []struct{ path, scheme, body, want string }{
		{"/api/v1/groups", "SSWS", `{"profile":{"name":"g %d"}}`, `"errorCode":"E0000010"`},
		{"/scim/v2/Groups", "Bearer", `{"displayName":"s %d"}`, `"status":"507"`},
	} {
		var a answer
		for i := 0; i < 50 && a.Status < 400; i++ {
			a = p.request(http.MethodPost, p.Ready().Identity+edge.path, "", fmt.Sprintf(edge.body, i), "Authorization", edge.scheme+" "+p.Ready().APIToken)
		}
		if a.Status != http.StatusInsufficientStorage || !strings.Contains(a.Body, edge.want) {
			t.Errorf("%s on a full disk: %d %s", edge.path, a.Status, a.Body)
		}
	}
	for range 20 {
		if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
			t.Fatalf("traffic on a full disk: %d %s", a.Status, a.Body)
		}
	}
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	if _, err := p.admin().CreateApp(t.Context(), client.App{Label: "after"}); err != nil {
		t.Errorf("a change when there is space again: %v", err)
	}
}

// smallDisk is a folder on a file system that has little room.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted here: %s", out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	return dir
}

// fillDisk writes to a file until there is no room for more.
func fillDisk(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	_ = f.Close()
}

package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/client"
)

// A store that is restored from a copy knows nothing of what was revoked since. What
// docs/operations.md says to do then refuses it, and what is issued later passes. Attack gateway 73.
func TestRestoredStore(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	file := write(t, fmt.Sprintf(revocable, up.URL))
	identity := freeAddress(t)
	p := start(t, file, withIdentity(identity))
	data := p.data
	_ = p.token("orders:read") // its keys are made
	p.stop()
	store := filepath.Join(data, "gatehouse.db")
	backup, err := os.ReadFile(store)
	if err != nil {
		t.Fatal(err)
	}

	p = start(t, file, withData(data), withIdentity(identity))
	token, other := p.token("orders:read"), p.token("orders:read")
	if _, err := p.admin().CreateRevocation(t.Context(), client.Revocation{Kind: "token_hash", Value: b64(sum(token)), Reason: "leaked"}, false); err != nil {
		t.Fatal(err)
	}
	if !p.refused(token) || p.refused(other) {
		t.Fatal("one token is to be refused, and one not")
	}
	p.stop()

	for _, behind := range []string{"-wal", "-shm"} {
		if err := os.Remove(store + behind); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(store, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, file, withData(data), withIdentity(identity))
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "tenant", Reason: "the store was restored"}); err != nil {
		t.Fatal(err)
	}
	if !p.refused(token) || !p.refused(other) {
		t.Error("a token of the time before the restore passes")
	}
	eventually(t, "a token of a later second", func() bool { return !p.refused(p.token("orders:read")) })
}

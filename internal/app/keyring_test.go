package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
)

// What was appended counts over what was there; a half-written end is left out; a
// damaged middle is an error.
func TestKeyringFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "api-keys.jsonl")
	key := func(id string) gateway.APIKey { return gateway.APIKey{ID: id, Hash: keys.Hash(id), App: "0oa1"} }
	k := &keyring{path: path, set: gateway.NewAPIKeys()}
	defer k.close()
	if known, err := k.recall(); known || err != nil {
		t.Fatalf("without a file: %v, %v", known, err)
	}
	if err := k.rewrite([]gateway.APIKey{key("a"), key("b")}); err != nil {
		t.Fatal(err)
	}
	off := key("a")
	off.Disabled = true
	if err := k.append([]keptKey{{APIKey: off}, {APIKey: key("b"), Deleted: true}, {APIKey: key("c")}}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	for name, text := range map[string]string{"whole": string(whole), "half a line": string(whole) + `{"id":"d","ha`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		again := &keyring{path: path, set: gateway.NewAPIKeys()}
		if known, err := again.recall(); !known || err != nil {
			t.Fatalf("%s: %v, %v", name, known, err)
		}
		got := map[string]bool{}
		for _, a := range again.set.All() {
			got[a.ID] = a.Disabled
		}
		if len(got) != 2 || !got["a"] || got["c"] {
			t.Errorf("%s: %v", name, got)
		}
	}
	broken := strings.Replace(string(whole), `"id"`, `"id`, 1)
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	again := &keyring{path: path, set: gateway.NewAPIKeys()}
	if _, err := again.recall(); err == nil || again.set.Known() {
		t.Errorf("a damaged file: %v", err)
	}
}

package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
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

// The set follows the ledger change by change: keys that are made, rotated,
// disabled and deleted, and apps that are deactivated and deleted.
func TestKeyringFollows(t *testing.T) {
	ctx := tenant.With(t.Context(), tenant.Default)
	dir := t.TempDir()
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(dir, "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := keys.LoadSealer(filepath.Join(dir, "seal.key"), "")
	if err != nil {
		t.Fatal(err)
	}
	id, err := openIdentity(ctx, identityConfig{
		URL: "http://id.test", DB: db, Sealer: sealer, Bus: cluster.NewLocal(cluster.LocalConfig{}),
		Metrics: telemetry.NewMetrics(telemetry.MetricsConfig{}), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := id.close(); err != nil {
			t.Error(err)
		}
	}()
	k := &keyring{path: filepath.Join(dir, "api-keys.jsonl"), set: gateway.NewAPIKeys()}
	defer k.close()
	actor := ledger.System("test")
	app, err := id.access.CreateApp(ctx, actor, access.NewApp{Label: "Export"})
	if err != nil {
		t.Fatal(err)
	}
	create := func(name string) string {
		t.Helper()
		made, err := id.access.CreateAPIKey(ctx, actor, access.NewAPIKey{App: app.ID, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	// expect compares what the gateway knows with what the file would give.
	expect := func(what string, want map[string]bool) {
		t.Helper()
		if err := k.follow(ctx, id.ledger); err != nil {
			t.Fatal(err)
		}
		again := &keyring{path: k.path, set: gateway.NewAPIKeys()}
		if _, err := again.recall(); err != nil {
			t.Fatal(err)
		}
		for where, set := range map[string]*gateway.APIKeys{"memory": k.set, "file": again.set} {
			got := map[string]bool{}
			for _, a := range set.All() {
				got[a.ID] = a.Disabled
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: -want +got\n%s", what, where, diff)
			}
		}
	}
	a := create("a")
	expect("the first time", map[string]bool{a: false})
	b := create("b")
	expect("another key", map[string]bool{a: false, b: false})
	if _, err := id.access.DisableAPIKey(ctx, actor, a); err != nil {
		t.Fatal(err)
	}
	expect("disabled", map[string]bool{a: true, b: false})
	if err := id.access.DeactivateApp(ctx, actor, app.ID); err != nil {
		t.Fatal(err)
	}
	expect("the app is off", map[string]bool{a: true, b: true})
	if _, err := id.access.CreateAPIKey(ctx, actor, access.NewAPIKey{App: app.ID, Name: "c"}); err == nil {
		t.Error("a key of an app that is off was made")
	}
	if err := id.access.ActivateApp(ctx, actor, app.ID); err != nil {
		t.Fatal(err)
	}
	expect("the app is on", map[string]bool{a: true, b: false})
	if err := id.access.DeleteAPIKey(ctx, actor, b); err == nil {
		t.Error("a key in use was deleted")
	}
	if err := id.access.DeleteAPIKey(ctx, actor, a); err != nil {
		t.Fatal(err)
	}
	expect("deleted", map[string]bool{b: false})
	for i := 1; i < access.MaxAPIKeys; i++ {
		create("many")
	}
	if _, err := id.access.CreateAPIKey(ctx, actor, access.NewAPIKey{App: app.ID, Name: "one too many"}); !fault.Is(err, fault.Full) {
		t.Errorf("one key too many: %v", err)
	}
}

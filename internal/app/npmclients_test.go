package app_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The libraries that programs in Node use, unmodified: openid-client and Okta's
// verifier, with code, PKCE, PAR, DPoP, devices, refresh, introspection and
// revocation.
func TestNPMClients(t *testing.T) {
	folder, err := filepath.Abs("../../e2e")
	if err != nil {
		t.Fatal(err)
	}
	for _, module := range []string{"openid-client", "@okta/jwt-verifier"} {
		path := filepath.Join(folder, "node_modules", filepath.FromSlash(module))
		if _, err := os.Stat(path); err != nil {
			if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
				t.Fatalf("%s is missing: scripts/services installs it", path)
			}
			t.Skipf("%s is missing: scripts/services installs it", path)
		}
	}
	p := start(t, "")
	raw, err := json.Marshal(p.Ready())
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(t.TempDir(), "ready.json")
	if err := os.WriteFile(ready, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "clients.mjs", ready)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "ok: clients") {
		t.Fatalf("%v\n%s", err, out)
	}
}

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

// The pages in a real browser: no load that the policy refuses, no request to
// another origin, nothing serious for axe, by keyboard, at 360 pixels, dark and
// light, without scripts.
func TestPagesInChromium(t *testing.T) { inChromium(t, "pages.mjs") }

// Single-page apps with the libraries that Okta and others publish for them.
func TestSinglePageApps(t *testing.T) { inChromium(t, "spa.mjs") }

// inChromium starts the program and runs a walk of e2e/ against it.
func inChromium(t *testing.T, script string) {
	t.Helper()
	folder, err := filepath.Abs("../../e2e")
	if err != nil {
		t.Fatal(err)
	}
	chromium := os.Getenv("CHROMIUM")
	if chromium == "" {
		chromium = "/usr/bin/chromium"
	}
	for _, need := range []string{chromium, filepath.Join(folder, "node_modules", "playwright-core")} {
		if _, err := os.Stat(need); err != nil {
			if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
				t.Fatalf("%s is missing: scripts/services installs it", need)
			}
			t.Skipf("%s is missing: scripts/services installs it", need)
		}
	}
	p := start(t, "")
	ready := filepath.Join(t.TempDir(), "ready.json")
	raw, err := json.Marshal(p.Ready())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ready, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, ready)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "CHROMIUM="+chromium)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok: ") {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

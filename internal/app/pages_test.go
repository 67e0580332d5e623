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
func TestPagesInChromium(t *testing.T) {
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
	// A browser that shares two cores with everything else can miss a moment; what is
	// wrong with a page is wrong the second time as well.
	for attempt := range 2 {
		out, err := walkPages(t, folder, ready, chromium)
		if err == nil && strings.Contains(out, "ok: ") {
			return
		}
		if attempt > 0 {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("the first walk failed: %v\n%s", err, out)
	}
}

// walkPages runs the walk over the pages and returns what it printed.
func walkPages(t *testing.T, folder, ready, chromium string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "pages.mjs", ready)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

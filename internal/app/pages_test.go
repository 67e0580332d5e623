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

	"gatehouse/internal/app"
)

// The pages in a real browser: no load that the policy refuses, no request to
// another origin, nothing serious for axe, by keyboard, at 360 pixels, dark and
// light, without scripts.
func TestPagesInChromium(t *testing.T) { inChromium(t, "pages.mjs") }

// Single-page apps with the libraries that Okta and others publish for them.
func TestSinglePageApps(t *testing.T) { inChromium(t, "spa.mjs") }

// inChromium starts the program and runs a walk of e2e/ against it.
func inChromium(t *testing.T, script string, opts ...startOption) {
	t.Helper()
	folder, chromium := needsChromium(t)
	ready := filepath.Join(t.TempDir(), "ready.json")
	// A browser that shares two cores with everything else can miss a moment; what is
	// wrong with a page is wrong the second time as well.
	for attempt := range 2 {
		p := start(t, "", opts...)
		raw, err := json.Marshal(p.Ready())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(ready, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := walkPages(t, folder, script, ready, chromium)
		p.stop()
		if err == nil && strings.Contains(out, "ok: ") {
			return
		}
		if attempt > 0 {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
		t.Logf("the first walk failed: %v\n%s", err, out)
	}
}

// needsChromium skips a test where there is no browser. Browsers wait most of the time, so
// tests with one run beside each other.
func needsChromium(t *testing.T) (folder, chromium string) {
	t.Helper()
	t.Parallel()
	folder, err := filepath.Abs("../../e2e")
	if err != nil {
		t.Fatal(err)
	}
	if chromium = os.Getenv("CHROMIUM"); chromium == "" {
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
	return folder, chromium
}

// walkPages runs the walk over the pages and returns what it printed.
func walkPages(t *testing.T, folder, script, ready, chromium string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, ready)
	if pictures := os.Getenv("GATEHOUSE_PICTURES"); pictures != "" {
		cmd.Args = append(cmd.Args, pictures)
	}
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "CHROMIUM="+chromium)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Every page that a person can meet, with the longest words and without spaces: nobody
// looks at each of them in each language by hand.
func TestTourOfThePages(t *testing.T) {
	inChromium(t, "tour.mjs", withName(t), func(c *app.Config) {
		logo := filepath.Join(t.TempDir(), "logo.svg")
		if err := os.WriteFile(logo, []byte(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 40"><rect width="40" height="40" rx="9" fill="#0b6b53"/></svg>`), 0o600); err != nil {
			t.Fatal(err)
		}
		c.File = write(t, `version: 1
server:
  brand: { name: Acme, logo: "`+logo+`", accent: "#0b6b53", help: "https://help.acme.test", support: { en: "Questions? Call 4711.", de: "Fragen? Rufen Sie 4711 an." } }
  people: { registration: { domains: [acme.test, people.example.com] } }
issuers:
  default: { builtin: default }
apis:
  hr:
    base_path: /hr
    upstream: http://127.0.0.1:1
    auth: default
    routes:
      GET /vacations/{user}: vacations:read
      PUT /direct-deposit/{user}: { scopes: [payroll:write], mfa: 5m }
`)
	})
}

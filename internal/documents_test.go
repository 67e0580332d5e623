package internal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func document(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The plan of the house has a row for every room, and the walks go through files that exist.
func TestArchitectureIsTrue(t *testing.T) {
	text := document(t, "docs/ARCHITECTURE.md")
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.Contains(text, "| `internal/"+e.Name()+"` |") {
			t.Errorf("docs/ARCHITECTURE.md has no row for internal/%s", e.Name())
		}
	}
	files := regexp.MustCompile("`([a-z0-9/]+\\.go)`").FindAllStringSubmatch(text, -1)
	if len(files) < 20 {
		t.Errorf("%d files are named", len(files))
	}
	for _, f := range files {
		here, _ := filepath.Glob(f[1])
		below, _ := filepath.Glob(filepath.Join("*", f[1]))
		if len(here)+len(below) == 0 {
			t.Errorf("docs/ARCHITECTURE.md names %s, which is not there", f[1])
		}
	}
}

// Every module that go.mod asks for directly has its reason.
func TestDependenciesHaveReasons(t *testing.T) {
	text, version := document(t, "docs/DEPENDENCIES.md"), regexp.MustCompile(`/v\d+$`)
	count := 0
	for line := range strings.Lines(document(t, "go.mod")) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) != 2 || !strings.Contains(fields[0], ".") || !strings.HasPrefix(fields[1], "v") {
			continue // not a requirement, or an indirect one
		}
		count++
		module := version.ReplaceAllString(fields[0], "")
		named := strings.Contains(text, module)
		for rest := module; !named && strings.Contains(rest, "/"); {
			_, rest, _ = strings.Cut(rest, "/")
			named = strings.Contains(text, "…/"+rest)
		}
		if !named {
			t.Errorf("docs/DEPENDENCIES.md has no reason for %s", module)
		}
	}
	if count < 20 {
		t.Errorf("only %d modules were read of go.mod", count)
	}
}

// Links of the documents lead to files that are there.
func TestLinksOfDocuments(t *testing.T) {
	var pages []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join("..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	link := regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	for _, page := range pages {
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			if strings.Contains(m[1], ":") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, m[1])
			}
		}
	}
}

// Every metric is in the documentation, and none that is gone.
func TestMetricsAreDocumented(t *testing.T) {
	source, text := document(t, "internal/telemetry/collector.go"), document(t, "docs/operations.md")
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`desc\("([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		known["gatehouse_"+m[1]] = true
	}
	listed := regexp.MustCompile("(?m)^\\| `(gatehouse_[a-z_]+)` \\|").FindAllStringSubmatch(text, -1)
	for _, m := range listed {
		if !known[m[1]] {
			t.Errorf("docs/operations.md lists %s, which is not there", m[1])
		}
		delete(known, m[1])
	}
	if len(listed) < 20 {
		t.Errorf("%d metrics are listed", len(listed))
	}
	for name := range known {
		t.Errorf("docs/operations.md does not list %s", name)
	}
}

// Every variable of the environment that the program reads is in the documentation.
func TestEnvironmentIsDocumented(t *testing.T) {
	text := document(t, "docs/operations.md")
	names := regexp.MustCompile(`"((?:GATEHOUSE|OTEL)_[A-Z_]+)"`)
	found := map[string]bool{}
	for _, pattern := range []string{"settings/*.go", "cli/*.go", "app/app.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			for _, m := range names.FindAllStringSubmatch(document(t, "internal/"+f), -1) {
				found[m[1]] = true
			}
		}
	}
	if len(found) < 20 {
		t.Errorf("%d variables were found", len(found))
	}
	delete(found, "GATEHOUSE_DEMO_UPSTREAM") // what the demo's file calls the address that it is given
	for name := range found {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
}

package config

import (
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/spec"

	"github.com/google/go-cmp/cmp"
)

// A test in a file can name every reason that has a page, and no other.
func TestReasonsHavePages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/reasons/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	var names []string
	for _, p := range pages {
		if name := strings.TrimSuffix(filepath.Base(p), ".md"); name != "index" {
			names = append(names, name)
		}
	}
	if d := cmp.Diff(names, Reasons()); d != "" {
		t.Errorf("pages and reasons differ (-pages +reasons):\n%s", d)
	}
	for reason, feature := range reasonFeature {
		if feature != "" && !spec.Unbuilt(feature) {
			t.Errorf("%s comes of %q, which is no feature that is not built: empty its entry", reason, feature)
		}
	}
}

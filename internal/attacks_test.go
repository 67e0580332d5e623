package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// attackCases are the cases of the project's lists of attacks whose defence exists,
// or whose feature is refused by the configuration.
var attackCases = map[string][][2]int{
	"gateway":  {{1, 64}, {66, 78}},
	"identity": {{1, 72}},
}

var (
	citation = regexp.MustCompile(`(?i)\b(gateway|identity) ((?:[0-9]+(?:-[0-9]+)?(?:, (?:and )?| and | to )?)+)`)
	interval = regexp.MustCompile(`([0-9]+)(?:(?:-| to )([0-9]+))?`)
)

// Every case is cited by a test, so that none is forgotten when tests move. What the
// test asserts is its own business; this only finds what nobody has taken on.
func TestEveryAttackCaseHasATest(t *testing.T) {
	cited := map[string]map[int]bool{"gateway": {}, "identity": {}}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "attacks_test.go") && filepath.Dir(path) == "../internal" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(b), "\n// ", " ")
		for _, m := range citation.FindAllStringSubmatch(text, -1) {
			for _, r := range interval.FindAllStringSubmatch(m[2], -1) {
				from, _ := strconv.Atoi(r[1])
				to := from
				if r[2] != "" {
					to, _ = strconv.Atoi(r[2])
				}
				for n := from; n <= to; n++ {
					cited[strings.ToLower(m[1])][n] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for list, ranges := range attackCases {
		for _, r := range ranges {
			for n := r[0]; n <= r[1]; n++ {
				if !cited[list][n] {
					t.Errorf("no test cites attack %s %d", list, n)
				}
			}
		}
	}
}

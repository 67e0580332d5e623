package okta

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

var update = flag.Bool("update", false, "write the table of operations in docs/howto/okta-api.md")

// howto is the page that lists the operations, between these two lines.
const (
	howto      = "../../docs/howto/okta-api.md"
	tableBegin = "<!-- operations: written by go test ./internal/okta -run TestRoutes -update -->\n"
	tableEnd   = "<!-- end of operations -->\n"
)

// The page shows what the table of routes has: the golden file of it.
func TestRoutes(t *testing.T) {
	var b strings.Builder
	b.WriteString("| operation | Okta's name | permission |\n|---|---|---|\n")
	seen := map[string]bool{}
	for _, r := range routes() {
		line := r.method + " " + r.path
		if seen[line] {
			t.Errorf("%s is there twice", line)
		}
		seen[line] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", line, r.does, r.needs)
		if r.needs != nobody && r.needs != anyone && !granted(r.needs) {
			t.Errorf("%s needs %q, which no scope allows", line, r.needs)
		}
	}
	page, err := os.ReadFile(howto)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", howto)
	}
	want := before + tableBegin + b.String() + tableEnd + after
	if want == string(page) {
		return
	}
	if !*update {
		t.Fatalf("%s does not list the operations as they are: run go test ./internal/okta -run TestRoutes -update", howto)
	}
	if err := os.WriteFile(howto, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// granted reports whether a scope that apps can be granted allows the permission.
func granted(permission string) bool {
	return access.Permissions(access.ManagementScopes()).Allow(permission)
}

func TestTreeFindsTheRoute(t *testing.T) {
	tree := newTree(routes())
	tests := []struct{ method, path, does, args string }{
		{"GET", "/api/v1/groups/rules/0pr1", "getGroupRule", "groupRuleId=0pr1"},
		{"GET", "/api/v1/groups/rules", "listGroupRules", ""},
		{"GET", "/api/v1/groups/rules/users", "getGroupRule", "groupRuleId=users"},
		{"GET", "/api/v1/groups/00g1/users", "listGroupUsers", "groupId=00g1"},
		{"HEAD", "/api/v1/users/me", "getUser", "id=me"},
		{"DELETE", "/api/v1/api-tokens/current", "revokeCurrentApiToken", ""},
		{"DELETE", "/api/v1/api-tokens/00t1", "revokeApiToken", "apiTokenId=00t1"},
		{"GET", "/api/v1/api-tokens/current", "", ""}, // the literal has no GET
		{"PATCH", "/api/v1/users", "", ""},
		{"GET", "/api/v1/users/", "", ""},
		{"GET", "/api/v1", "", ""},
		{"GET", "/api/v1/users/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q", "", ""},
	}
	for _, tt := range tests {
		r, args, err := tree.find(tt.method, tt.path)
		if tt.does == "" {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s %s: %v", tt.method, tt.path, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.path, err)
			continue
		}
		var got []string
		for k, v := range args {
			got = append(got, k+"="+v)
		}
		if r.does != tt.does || strings.Join(got, ",") != tt.args {
			t.Errorf("%s %s: %s %v", tt.method, tt.path, r.does, got)
		}
	}
}

func TestLimiterCountsEachTokenInAMinute(t *testing.T) {
	now := time.Unix(1000, 0)
	l := newLimiter(2, func() time.Time { return now })
	for i, want := range []int{1, 0, -1, -2} {
		if got, _ := l.take("a"); got != want {
			t.Errorf("call %d: %d remain, want %d", i, got, want)
		}
	}
	if got, _ := l.take("b"); got != 1 {
		t.Errorf("another token: %d remain", got)
	}
	now = now.Add(time.Minute)
	if got, ends := l.take("a"); got != 1 || !ends.Equal(now.Add(time.Minute)) {
		t.Errorf("the next minute: %d until %v", got, ends)
	}
}

func TestLimiterIsBounded(t *testing.T) {
	l := newLimiter(2, func() time.Time { return time.Unix(1000, 0) })
	for i := range 3 * maxCounted {
		l.take(fmt.Sprint(i))
	}
	if len(l.counts) > maxCounted {
		t.Errorf("%d windows are kept", len(l.counts))
	}
}

// Who may read may not write: no permission that a scope to read gives opens an operation
// that changes something, and what only reads needs no more than that (least privilege).
func TestReadScopesOnlyRead(t *testing.T) {
	var reading access.Permissions
	for _, scope := range access.ManagementScopes() {
		if strings.HasSuffix(scope, ".read") {
			reading = append(reading, scope)
		}
	}
	if len(reading) < 10 {
		t.Fatalf("scopes to read: %v", reading)
	}
	// Asks what the policies would say, and changes nothing.
	asks := map[string]bool{"createPolicySimulation": true}
	for _, r := range routes() {
		reads := r.method == "GET" || asks[r.does]
		switch {
		case r.needs == nobody || r.needs == anyone:
		case reads && !reading.Allow(r.needs):
			t.Errorf("%s %s reads, and needs %s", r.method, r.path, r.needs)
		case !reads && reading.Allow(r.needs):
			t.Errorf("%s %s changes something, and %s is enough", r.method, r.path, r.needs)
		}
	}
}

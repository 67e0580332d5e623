package reasons_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/docs/reasons"
	"gatehouse/internal/gateway"
)

// What the pages say is what the gateway does: every reason it can answer with
// has a page with the same status, and the index reserves exactly the others.
func TestPagesAgreeWithTheGateway(t *testing.T) {
	statuses := reasons.Statuses()
	given := map[string]bool{}
	for _, r := range gateway.Reasons() {
		given[r.Name] = true
		if got, ok := statuses[r.Name]; !ok || got != r.Status {
			t.Errorf("%s: the gateway answers %d, its page says %d", r.Name, r.Status, got)
		}
	}
	index, _ := reasons.Page(reasons.Index)
	_, reserved, ok := strings.Cut(string(index), "## Reserved")
	if !ok {
		t.Fatal("the index has no section of reserved reasons")
	}
	for _, name := range reasons.Names() {
		if listed := strings.Contains(reserved, "`"+name+"`"); listed == given[name] {
			t.Errorf("%s: reserved in the index %v, given by the gateway %v", name, listed, given[name])
		}
	}
	if !slices.Contains(reasons.Names(), "missing_scope") {
		t.Error("the best-known reason has no page")
	}
}

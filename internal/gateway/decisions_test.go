package gateway

import (
	"strings"
	"testing"
)

// TestSlotIsUsedAgain: whatever a decision was before in the same place, long or short, with
// many limits or none, the next one is kept whole.
func TestSlotIsUsedAgain(t *testing.T) {
	r := newRing(1)
	rules := make([]limitRule, maxCounted)
	long := "/" + strings.Repeat("p", keptPath-1)
	for i, c := range []struct {
		host, path, kept string
		limits           int
	}{
		{"a.test", "/short", "/short", 1},
		{strings.Repeat("h", keptHost), long + "cut", long, maxCounted},
		{"b.test", "/again", "/again", 0},
		{strings.Repeat("g", keptHost), long, long, 3},
		{"c.test", "/", "/", 2},
	} {
		ex := &Exchange{}
		ex.idLen = copy(ex.idBuf[:], strings.Repeat("i", 20+i))
		ex.kind, ex.host, ex.path, ex.stopped = methodGet, []byte(c.host), []byte(c.path), stepRecord
		for n := range c.limits {
			ex.limits = append(ex.limits, limitState{rule: &rules[n]})
		}
		r.put(ex, 0)
		ok := r.find(string(ex.ID()), func(s *slot) {
			if d := s.decision(); d.Host != c.host || d.Path != c.kept {
				t.Errorf("%d: host %q and path %q", i, d.Host, d.Path)
			}
			if len(s.limits) != c.limits || c.limits > 0 && s.limits[c.limits-1].rule != &rules[c.limits-1] {
				t.Errorf("%d: %d limits, want %d", i, len(s.limits), c.limits)
			}
		})
		if !ok {
			t.Errorf("%d: the decision is not found", i)
		}
	}
}

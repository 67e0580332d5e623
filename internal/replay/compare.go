package replay

import (
	"cmp"
	"context"
	"slices"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/order"
)

// mostGroups bounds the lines of a comparison.
const mostGroups = 10_000

// Judge decides recorded requests by another configuration.
type Judge interface {
	Decide(f *gateway.Facts) (gateway.Judgement, error)
}

// Change is access that somebody gains or loses.
type Change struct {
	Gains     bool // else loses
	Who       string
	Operation string
	Was, Now  string // reasons; "" = allowed
	Count     int64  // requests
}

// Comparison is what another configuration says of recorded decisions.
type Comparison struct {
	From, To time.Time // of the first and the last; zero when there were none
	Replayed int64
	// Skipped were refused for their token, key or form, which no configuration changes.
	Skipped int64
	Changes []Change
	// More is how many changes are not listed, because there are too many.
	More int64
	// Unknown names what the other configuration reads that was not recorded, and
	// Unsure counts the decisions that may be wrong for it.
	Unknown []string
	Unsure  int64
}

// Compare decides what was kept since a time again.
func Compare(ctx context.Context, s *Spool, since time.Time, j Judge) (Comparison, error) {
	var out Comparison
	groups := map[Change]int64{}
	err := s.Each(ctx, since, func(f *gateway.Facts) error {
		if out.From.IsZero() {
			out.From = f.Time
		}
		out.To = f.Time
		if !f.Replayable() {
			out.Skipped++
			return nil
		}
		now, err := j.Decide(f)
		if err != nil {
			out.Skipped++
			return nil //nolint:nilerr // one line that cannot be read, and no reason to give up
		}
		out.Replayed++
		if len(now.Unknown) > 0 {
			out.Unsure++
			for _, what := range now.Unknown {
				if !slices.Contains(out.Unknown, what) && len(out.Unknown) < 100 {
					out.Unknown = append(out.Unknown, what)
				}
			}
		}
		if now.Allowed == f.WasAllowed() {
			return nil
		}
		c := Change{Gains: now.Allowed, Who: f.Who(), Operation: f.Operation(), Now: now.Reason}
		if now.Allowed {
			c.Was = f.Reason
			if now.Route != "" {
				c.Operation = now.Route
			}
		}
		if _, there := groups[c]; !there && len(groups) == mostGroups {
			out.More++
			return nil
		}
		groups[c]++
		return nil
	})
	for c, count := range groups {
		c.Count = count
		out.Changes = append(out.Changes, c)
	}
	order.By(out.Changes, compareChanges)
	slices.Sort(out.Unknown)
	return out, err
}

// compareChanges puts losses first, then what happens most.
func compareChanges(a, b Change) int {
	if a.Gains != b.Gains {
		if b.Gains {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Who, b.Who), cmp.Compare(a.Was, b.Was), cmp.Compare(a.Now, b.Now))
}

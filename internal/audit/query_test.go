package audit

import (
	"context"
	"strconv"
	"testing"
)

// numbers is a Source of so many events, numbered; a position is the number of the
// last event.
type numbers int

func (n numbers) QueryEvents(_ context.Context, q Query) (out []Event, next string, err error) {
	from := 0
	if q.After != "" {
		if from, err = strconv.Atoi(q.After); err != nil {
			return nil, "", err
		}
	}
	for i := from + 1; i <= int(n); i++ {
		if len(out) == q.Limit {
			return out, strconv.Itoa(i - 1), nil
		}
		out = append(out, Event{ID: strconv.Itoa(i)})
	}
	return out, "", nil
}

// Pages of what matches hold every match once, whatever the limit, and a query looks
// at so many events and no more.
func TestQueryOfWhatMatches(t *testing.T) {
	for _, limit := range []int{2, 1000} {
		for _, every := range []int{1, 999, 30000} {
			const all = 45000
			q := Query{Tenant: "default", Limit: limit, Match: func(e *Event) bool {
				n, _ := strconv.Atoi(e.ID)
				return n%every == 0
			}}
			if limit < 100 && every < 100 {
				continue // a thousand pages say no more than some
			}
			want, pages := every, 0
			for {
				got, next, err := NewLog(numbers(all)).Query(t.Context(), q)
				if err != nil || len(got) > limit {
					t.Fatalf("%d events, %v", len(got), err)
				}
				for _, e := range got {
					if e.ID != strconv.Itoa(want) {
						t.Fatalf("limit %d, every %d: event %s where %d is next", limit, every, e.ID, want)
					}
					want += every
				}
				if pages++; next == "" || pages > 1000 {
					break
				}
				q.After = next
			}
			if want <= all {
				t.Errorf("limit %d, every %d: the pages end before %d", limit, every, want)
			}
		}
	}
}

package audit

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Limits of a page of events, as in Okta's System Log.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Query selects events of one tenant. Zero fields do not restrict.
type Query struct {
	Tenant     tenant.ID
	Since      time.Time // inclusive
	Until      time.Time // exclusive
	Types      []string  // any of these event types
	Actor      string    // id of the actor
	Descending bool      // newest first
	After      string    // position that an earlier page returned
	Limit      int       // 1 to MaxLimit; 0 = DefaultLimit
	// Match, when it is not nil, says which of the events that the other fields select
	// are meant.
	Match func(*Event) bool
}

// maxScanned bounds how many events one query looks at: a page may hold fewer than
// its limit, none even, and there is still a next one.
const maxScanned = 20 * MaxLimit

// Log answers questions about the past.
type Log struct{ source Source }

// NewLog returns a Log that reads from source.
func NewLog(source Source) *Log { return &Log{source: source} }

// Query checks q, fills its defaults and returns one page of events and the
// position of the next page, empty when there is none. It returns a fault
// Invalid for a query that cannot be meant.
func (l *Log) Query(ctx context.Context, q Query) (_ []Event, next string, err error) {
	defer fault.Wrap(&err, "query system log")
	if !q.Tenant.Valid() {
		return nil, "", fault.New(fault.Invalid, "the query names no tenant")
	}
	if q.Limit == 0 {
		q.Limit = DefaultLimit
	}
	if q.Limit < 1 || q.Limit > MaxLimit {
		return nil, "", fault.New(fault.Invalid, "limit is %d but must be from 1 to %d", q.Limit, MaxLimit)
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return nil, "", fault.New(fault.Invalid, "since (%s) must be before until (%s)",
			q.Since.UTC().Format(time.RFC3339), q.Until.UTC().Format(time.RFC3339))
	}
	if len(q.Types) > 50 {
		return nil, "", fault.New(fault.Invalid, "a query may name at most 50 event types, this one names %d", len(q.Types))
	}
	if q.Match == nil {
		return l.source.QueryEvents(ctx, q)
	}
	return l.scan(ctx, q)
}

// scan reads on until the page is full of events that match.
func (l *Log) scan(ctx context.Context, q Query) (out []Event, next string, err error) {
	page := q
	page.Limit = MaxLimit
	for scanned := 0; scanned < maxScanned; scanned += MaxLimit {
		events, after, err := l.source.QueryEvents(ctx, page)
		if err != nil {
			return nil, "", err
		}
		for i := range events {
			if !q.Match(&events[i]) {
				continue
			}
			if out = append(out, events[i]); len(out) < q.Limit {
				continue
			}
			if i == len(events)-1 {
				return out, after, nil
			}
			page.Limit = i + 1 // to learn where the next page begins
			_, next, err = l.source.QueryEvents(ctx, page)
			return out, next, err
		}
		if after == "" {
			return out, "", nil
		}
		page.After = after
	}
	return out, page.After, nil
}

package okta

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/fault"
)

// limitWindow is the time in which calls are counted.
const limitWindow = time.Minute

// maxCounted bounds how many tokens are counted at a time; beyond it the counts
// of ended windows are dropped, and if none has ended, all are.
const maxCounted = 10000

// limiter counts the calls of each token in windows of a minute. It counts on
// this node alone: the limit protects the node.
type limiter struct {
	limit int
	now   func() time.Time

	mu     sync.Mutex
	counts map[string]*window
}

type window struct {
	ends time.Time
	used int
}

func newLimiter(limit int, now func() time.Time) *limiter {
	return &limiter{limit: limit, now: now, counts: map[string]*window{}}
}

// count takes one call of the caller, says so in Okta's headers, and refuses what
// is too much.
func (l *limiter) count(w http.ResponseWriter, who Caller) error {
	_, err := l.countTo(w, who, l.limit)
	return err
}

// countTo is count for a caller with a limit of its own, and returns how many calls it
// has made in the window.
func (l *limiter) countTo(w http.ResponseWriter, who Caller, limit int) (used int, err error) {
	remaining, ends := l.take(who.Token + "\x00" + who.App + "\x00" + who.User + "\x00" + who.Name)
	used = l.limit - remaining
	h := w.Header()
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(max(limit-used, 0)))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(ends.Unix(), 10))
	if used > limit {
		// SDKs work out how long to wait from these two headers.
		h.Set("Date", l.now().UTC().Format(http.TimeFormat))
		h.Set("Retry-After", strconv.Itoa(int(ends.Sub(l.now())/time.Second)+1))
		return used, fault.New(fault.RateLimited, "more than %d calls in a minute", limit)
	}
	return used, nil
}

// take returns how many calls remain, negative when this one is too much, and
// when the window ends.
func (l *limiter) take(key string) (remaining int, ends time.Time) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.counts[key]
	if c == nil || !now.Before(c.ends) {
		if c == nil && len(l.counts) >= maxCounted {
			l.forget(now)
		}
		c = &window{ends: now.Truncate(time.Second).Add(limitWindow)}
		l.counts[key] = c
	}
	c.used++
	return l.limit - c.used, c.ends
}

func (l *limiter) forget(now time.Time) {
	for k, c := range l.counts {
		if !now.Before(c.ends) {
			delete(l.counts, k)
		}
	}
	if len(l.counts) >= maxCounted {
		clear(l.counts)
	}
}

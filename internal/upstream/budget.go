package upstream

import "sync/atomic"

const (
	budgetSeconds = 10 // how far back requests and retries are counted
	budgetShare   = 5  // one retry for this many requests
	budgetLeast   = 3  // retries a second that are always allowed
)

// budget bounds retries by the requests of the last ten seconds, so that a pool
// that fails altogether sees a fifth more requests, not a multiple. The zero
// value is ready for use.
type budget struct {
	seconds [budgetSeconds]second
}

// second counts one second. Its number and its counts are not changed together;
// a request that is counted in the wrong second at the edge does no harm.
type second struct {
	number   atomic.Int64
	requests atomic.Int64
	retries  atomic.Int64
}

func (b *budget) at(now int64) *second {
	n := now / 1e9
	s := &b.seconds[n%budgetSeconds]
	if old := s.number.Load(); old != n && s.number.CompareAndSwap(old, n) {
		s.requests.Store(0)
		s.retries.Store(0)
	}
	return s
}

// request counts a request, at a time in Unix nanoseconds.
func (b *budget) request(now int64) { b.at(now).requests.Add(1) }

// retry reports whether one more retry is allowed, and counts it.
func (b *budget) retry(now int64) bool {
	s := b.at(now)
	// It is counted first, so that retries at the same moment see each other.
	mine := s.retries.Add(1)
	if mine <= budgetLeast {
		return true
	}
	var requests, retries int64
	first := now/1e9 - budgetSeconds
	for i := range b.seconds {
		if b.seconds[i].number.Load() > first {
			requests += b.seconds[i].requests.Load()
			retries += b.seconds[i].retries.Load()
		}
	}
	if retries*budgetShare <= requests {
		return true
	}
	s.retries.Add(-1)
	return false
}

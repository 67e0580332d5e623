package introspect

import (
	"sync"
	"time"
)

const (
	tolerated   = 5 // failures in a row
	shortestGap = time.Second
	longestGap  = 30 * time.Second
)

// breaker keeps an issuer that does not answer from being asked all the time:
// after some failures in a row nobody asks for a while, then one does, and when that
// fails the while is twice as long. The zero value is closed.
type breaker struct {
	mu      sync.Mutex
	failure error // the last one, nil after a success
	count   int   // of failures in a row
	gap     time.Duration
	until   time.Time // nobody asks before
	probing bool      // one is asking whether it is back
}

// open reports whether nobody may ask now.
func (b *breaker) open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count >= tolerated && (b.probing || now.Before(b.until))
}

// enter reports whether the caller may ask now. Who may must call succeeded,
// failed or left.
func (b *breaker) enter(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count < tolerated {
		return true
	}
	if b.probing || now.Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure, b.count, b.gap, b.until, b.probing = nil, 0, 0, time.Time{}, false
}

func (b *breaker) failed(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = err
	b.count++
	if b.count == tolerated || b.probing {
		b.gap = min(max(2*b.gap, shortestGap), longestGap)
		b.until = now.Add(b.gap)
	}
	b.probing = false
}

// left says that the call has told nothing about the issuer.
func (b *breaker) left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

func (b *breaker) last() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

package safehttp

import (
	"sync"
	"time"
)

// Tolerated is how many failures in a row a Breaker looks on.
const Tolerated = 5

const (
	shortestGap = time.Second
	longestGap  = 30 * time.Second
)

// Breaker keeps an address that does not answer from being asked all the time:
// after some failures in a row nobody asks for a while, then one does, and when that
// fails the while is twice as long. The zero value is closed. It is safe for
// concurrent use.
type Breaker struct {
	mu      sync.Mutex
	failure error // the last one, nil after a success
	count   int   // of failures in a row
	gap     time.Duration
	until   time.Time // nobody asks before
	probing bool      // one is asking whether it is back
}

// Open reports whether nobody may ask now.
func (b *Breaker) Open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.count >= Tolerated && (b.probing || now.Before(b.until))
}

// Enter reports whether the caller may ask now. Who may must call Succeeded,
// Failed or Left.
func (b *Breaker) Enter(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count < Tolerated {
		return true
	}
	if b.probing || now.Before(b.until) {
		return false
	}
	b.probing = true
	return true
}

// Succeeded says that the address has answered.
func (b *Breaker) Succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure, b.count, b.gap, b.until, b.probing = nil, 0, 0, time.Time{}, false
}

// Failed says that it has not, and why.
func (b *Breaker) Failed(now time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failure = err
	b.count++
	if b.count == Tolerated || b.probing {
		b.gap = min(max(2*b.gap, shortestGap), longestGap)
		b.until = now.Add(b.gap)
	}
	b.probing = false
}

// Left says that the call has told nothing about the address.
func (b *Breaker) Left() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// Last returns why the last call failed, nil when it did not or there was none.
func (b *Breaker) Last() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

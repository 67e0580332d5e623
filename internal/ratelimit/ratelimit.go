// Package ratelimit is limits and quotas as arithmetic over a small counter source.
//
// The arithmetic is GCRA, the generic cell rate algorithm (ITU-T I.371): per key
// one number is kept, the theoretical arrival time: the moment at which the key
// has its whole allowance again. A request of cost c moves it c emission
// intervals into the future, and is refused when that lies further ahead than
// one burst. There are no windows, so there is no edge of a window at which
// twice the limit passes at once, and a refused request costs its key nothing.
//
// Burst semantics: a limit of Count per Period allows Count at once after a
// quiet time, and then one every Period/Count. In any stretch of time of length
// w at most Count + w·Count/Period pass. The emission interval is rounded up to
// whole nanoseconds, so rounding only ever makes a limit stricter.
//
// The room knows keys, rates and numbers. It must not know requests, tenants,
// tokens or configuration: a caller names what it counts by parts of a key.
package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Rate is Count per Period. A Rate with Count or Period below one allows nothing.
type Rate struct {
	Count  int64
	Period time.Duration
}

// Key names one counter: 128 bits of a seeded hash. Keys of one Limiter mean
// nothing to another one. The seed is secret to the process, so nobody outside
// can aim two names at one counter.
type Key struct{ hi, lo uint64 }

// Result is the answer to one claim.
type Result struct {
	Allowed    bool
	Limit      int64         // the rate's Count
	Remaining  int64         // what may still pass at once, after this claim
	Reset      time.Duration // until the whole allowance is back
	RetryAfter time.Duration // until the refused cost would pass; 0 when allowed; -1 when it never will
}

// Claim is one counter that a request has to pass. TakeAll fills in Result.
// A caller keeps its claims in memory it owns already, so that a decision
// allocates nothing.
type Claim struct {
	Key    Key
	Rate   Rate
	Cost   int64
	Result Result
}

// Source keeps one theoretical arrival time per key. Times are nanoseconds since
// the Unix epoch. Implementations decide locally when what they share with other
// nodes is out of reach: a limit never fails, it only becomes local.
type Source interface {
	// Advance moves the key's time at = max(at, now) ahead by `by` unless that
	// lies beyond now+room; then nothing changes. It returns the time after the
	// call and whether it moved. by = 0 reads; by < 0 gives back.
	Advance(now int64, key Key, by, room int64) (at int64, ok bool)
	// AdvanceAll advances every claim or none and returns -1 or the index of the
	// first claim that had no room. It sets the Result of each claim it looked at.
	AdvanceAll(now int64, claims []Claim) int
}

// Limiter answers claims from a Source. It is safe for concurrent use.
type Limiter struct {
	source   Source
	seedHigh maphash.Seed
	seedLow  maphash.Seed
}

// New returns a limiter over the source.
func New(source Source) *Limiter {
	return &Limiter{source: source, seedHigh: maphash.MakeSeed(), seedLow: maphash.MakeSeed()}
}

// Key returns the key of the named counter, such as Key(tenant, "hr", "api limit 0", "client").
// The parts are kept apart: ("ab", "c") and ("a", "bc") are two counters.
func (l *Limiter) Key(parts ...string) Key {
	var k Key
	for _, p := range parts {
		k = k.mix(maphash.String(l.seedHigh, p), maphash.String(l.seedLow, p))
	}
	return k
}

// Join returns the key of one subject (a client id, a user id) under a base key
// that was made when the configuration was compiled.
func (l *Limiter) Join(base Key, subject []byte) Key {
	return base.mix(maphash.Bytes(l.seedHigh, subject), maphash.Bytes(l.seedLow, subject))
}

// JoinString is Join for a string.
func (l *Limiter) JoinString(base Key, subject string) Key {
	return base.mix(maphash.String(l.seedHigh, subject), maphash.String(l.seedLow, subject))
}

// JoinAddr is Join for a peer's address. An IPv6 address counts by its /64, the
// least that one subscriber is given (RFC 6177), so that rotating through it gains nothing.
func (l *Limiter) JoinAddr(base Key, addr netip.Addr) Key {
	addr = addr.Unmap()
	b := addr.As16()
	if addr.Is6() {
		return l.Join(base, b[:8])
	}
	return l.Join(base, b[:])
}

// mix folds one part into the key. The multiplications make the order of parts
// count; both constants are odd, so nothing is lost.
func (k Key) mix(high, low uint64) Key {
	const c1, c2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	h := (k.hi ^ high) * c1
	l := (k.lo ^ low) * c2
	return Key{hi: h ^ h>>32, lo: l ^ l>>29}
}

// Take asks for cost units (1 for an ordinary request) of the key's rate.
// A cost below one takes nothing and is always allowed.
func (l *Limiter) Take(now time.Time, key Key, rate Rate, cost int64) Result {
	n := now.UnixNano()
	by, room, ok := rate.amounts(cost)
	if !ok {
		at, _ := l.source.Advance(n, key, 0, room)
		return rate.result(n, at, false, cost)
	}
	at, moved := l.source.Advance(n, key, by, room)
	return rate.result(n, at, moved, cost)
}

// TakeAll asks for every claim at once: all are taken, or none is. It returns -1
// when all were, or else the index of the claim that had no room; claims behind
// that one are not looked at and keep their Result.
//
// In memory this is take and give back: while one request is being refused, for
// some nanoseconds, another one may be refused by what the first is about to
// give back. Never may more pass than each limit allows.
func (l *Limiter) TakeAll(now time.Time, claims []Claim) int {
	switch len(claims) {
	case 0:
		return -1
	case 1:
		c := &claims[0]
		if c.Result = l.Take(now, c.Key, c.Rate, c.Cost); !c.Result.Allowed {
			return 0
		}
		return -1
	}
	return l.source.AdvanceAll(now.UnixNano(), claims)
}

// Peek returns what Take with a cost of one would say, and takes nothing.
// Remaining is what may pass now.
func (l *Limiter) Peek(now time.Time, key Key, rate Rate) Result {
	n := now.UnixNano()
	by, room, ok := rate.amounts(1)
	at, _ := l.source.Advance(n, key, 0, room)
	r := rate.result(n, at, ok && at+by <= n+room, 1)
	return r
}

// interval returns the emission interval in nanoseconds, rounded up.
func (r Rate) interval() int64 {
	return (int64(r.Period) + r.Count - 1) / r.Count
}

// amounts returns how far a claim moves the time and how far ahead it may lie;
// false when no wait would ever make the cost pass.
func (r Rate) amounts(cost int64) (by, room int64, ok bool) {
	if r.Count < 1 || r.Period < 1 {
		return 0, 0, cost < 1
	}
	interval := r.interval()
	room = interval * r.Count
	if cost > r.Count {
		return 0, room, false
	}
	return interval * max(cost, 0), room, true
}

// result turns a time into an answer.
func (r Rate) result(now, at int64, allowed bool, cost int64) Result {
	res := Result{Allowed: allowed, Limit: max(r.Count, 0)}
	ahead := max(at-now, 0)
	res.Reset = time.Duration(ahead)
	by, room, possible := r.amounts(cost)
	if room > 0 {
		res.Remaining = max(room-ahead, 0) / r.interval()
	}
	switch {
	case allowed:
	case !possible:
		res.RetryAfter = -1
	default:
		res.RetryAfter = time.Duration(max(ahead+by-room, 1))
	}
	return res
}

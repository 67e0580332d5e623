package ratelimit

import (
	"math/bits"
	"sync"
)

// DefaultMaxKeys is how many counters a Memory holds when not told otherwise;
// they take 24 bytes each, and only as they come into use.
const DefaultMaxKeys = 1 << 20

const (
	shardCount = 64 // a power of two
	ways       = 8  // counters per bucket
)

// MemoryConfig says how large a Memory may become.
type MemoryConfig struct {
	// MaxKeys bounds the counters; 0 = DefaultMaxKeys. It is rounded up to a power of two, at least 512.
	MaxKeys int
}

// Memory is a Source in this process: 64 shards, each a table of buckets of
// eight counters. It never grows beyond MaxKeys.
//
// A counter whose time has passed says no more than a counter that does not
// exist, so it is overwritten without loss; there is nothing to sweep. When a
// bucket is full of live counters the table doubles. When it may not, the
// counter that is nearest to being idle gives way: it is the one whose loss gives
// its owner least. Someone who makes up new names gets counters that have moved
// one interval only; those give way before a counter that is at its limit,
// which lies a whole period ahead. To push out the limit of one busy subject,
// its whole bucket, unknown because of the seed, would have to be filled with
// counters that are further ahead, each paid for with as many requests.
type Memory struct {
	shards [shardCount]shard
}

type shard struct {
	mu      sync.Mutex
	buckets []bucket // a power of two of them
	max     int      // of buckets
	_       [16]byte // a cache line each
}

// bucket is three cache lines. A zero time is an empty place.
type bucket struct {
	at  [ways]int64
	key [ways]Key
}

// NewMemory returns an empty source.
func NewMemory(c MemoryConfig) *Memory {
	n := c.MaxKeys
	if n <= 0 {
		n = DefaultMaxKeys
	}
	perShard := max((n+shardCount*ways-1)/(shardCount*ways), 1)
	perShard = 1 << bits.Len(uint(perShard-1)) // at least 1
	m := &Memory{}
	for i := range m.shards {
		m.shards[i].buckets = make([]bucket, 1)
		m.shards[i].max = perShard
	}
	return m
}

// Advance implements Source.
func (m *Memory) Advance(now int64, key Key, by, room int64) (int64, bool) {
	s := &m.shards[key.hi%shardCount]
	s.mu.Lock()
	at, ok := s.advance(now, key, by, room)
	s.mu.Unlock()
	return at, ok
}

// AdvanceAll implements Source: it takes in order and gives back what it took
// when a later claim has no room.
func (m *Memory) AdvanceAll(now int64, claims []Claim) int {
	for i := range claims {
		c := &claims[i]
		by, room, possible := c.Rate.amounts(c.Cost)
		at, ok := m.Advance(now, c.Key, by, room)
		ok = ok && possible
		c.Result = c.Rate.result(now, at, ok, c.Cost)
		if ok {
			continue
		}
		for j := range i {
			back := &claims[j]
			by, room, _ := back.Rate.amounts(back.Cost)
			at, _ := m.Advance(now, back.Key, -by, room)
			back.Result = back.Rate.result(now, at, true, back.Cost)
		}
		return i
	}
	return -1
}

func (s *shard) advance(now int64, key Key, by, room int64) (int64, bool) {
	b := &s.buckets[key.lo&uint64(len(s.buckets)-1)]
	for i := range b.key {
		if b.key[i] == key && b.at[i] != 0 {
			return b.advance(i, now, by, room)
		}
	}
	if by <= 0 {
		return now, true
	}
	if by > room {
		return now, false
	}
	s.place(now, key, now+by)
	return now + by, true
}

// advance does the arithmetic on place i.
func (b *bucket) advance(i int, now, by, room int64) (int64, bool) {
	at := b.at[i]
	if by < 0 {
		b.at[i] = at + by
		return max(at+by, now), true
	}
	// Further ahead than this rate could have put it: the rate has become
	// smaller since, or the clock was set back. The key starts anew with nothing
	// left. Twice the room, because calls may come with times that are a little out of order.
	if room > 0 && at-now > 2*room {
		at = now + room
		b.at[i] = at
	}
	next := max(at, now) + by
	if next > now+room && by > 0 {
		return max(at, now), false
	}
	if by > 0 {
		b.at[i] = next
	}
	return next, true
}

// place puts a new counter into its bucket, in the place of the one that is least worth keeping.
func (s *shard) place(now int64, key Key, at int64) {
	for {
		b := &s.buckets[key.lo&uint64(len(s.buckets)-1)]
		least := 0
		for i := 1; i < ways; i++ {
			if b.at[i] < b.at[least] {
				least = i
			}
		}
		if b.at[least] <= now || len(s.buckets) >= s.max {
			b.key[least], b.at[least] = key, at
			return
		}
		s.grow(now)
	}
}

// grow doubles the table and leaves behind what is idle. A bucket's counters
// spread over two, so every one finds a place.
func (s *shard) grow(now int64) {
	old := s.buckets
	s.buckets = make([]bucket, 2*len(old))
	mask := uint64(len(s.buckets) - 1)
	for i := range old {
		for j, at := range old[i].at {
			if at <= now {
				continue
			}
			b := &s.buckets[old[i].key[j].lo&mask]
			for w := range b.at {
				if b.at[w] == 0 {
					b.key[w], b.at[w] = old[i].key[j], at
					break
				}
			}
		}
	}
}

// Len returns how many counters are live: not yet back at their whole allowance.
func (m *Memory) Len(now int64) int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for j := range s.buckets {
			for _, at := range s.buckets[j].at {
				if at > now {
					n++
				}
			}
		}
		s.mu.Unlock()
	}
	return n
}

package introspect

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"gatehouse/verify"
)

const shards = 16 // a power of two

// entry is what is known of one token: a token, or the error that refuses it.
// Immutable.
type entry struct {
	token *verify.Token
	err   error
	until int64 // Unix nanoseconds
	size  int   // of the answer's text; 0 for a refusal
}

// cache keeps answers by the SHA-256 of the token: the token itself is not kept.
// Refusals have room of their own, so that whoever sends nonsense pushes out nobody's
// good token.
type cache struct {
	shard [shards]struct {
		mu     sync.RWMutex
		active room
		none   room
	}
}

// room is a bounded map.
type room struct {
	entries map[[sha256.Size]byte]*entry
	bytes   int
	most    int
	maxSize int
}

func newCache(tokens, inactive, size int) *cache {
	c := &cache{}
	for i := range c.shard {
		s := &c.shard[i]
		s.active = room{entries: map[[sha256.Size]byte]*entry{}, most: max(1, tokens/shards), maxSize: size / shards}
		s.none = room{entries: map[[sha256.Size]byte]*entry{}, most: max(1, inactive/shards), maxSize: size / shards}
	}
	return c
}

func shardOf(key [sha256.Size]byte) int { return int(binary.BigEndian.Uint32(key[:4]) % shards) }

// find returns what is known of a token, which may be out of date; nil when
// nothing is. A refusal outdoes facts: it came later.
func (c *cache) find(key [sha256.Size]byte) *entry {
	s := &c.shard[shardOf(key)]
	s.mu.RLock()
	e := s.none.entries[key]
	if e == nil {
		e = s.active.entries[key]
	}
	s.mu.RUnlock()
	return e
}

// put makes the entry the only thing that is known of the token.
func (c *cache) put(key [sha256.Size]byte, e *entry, now int64) {
	s := &c.shard[shardOf(key)]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.none.remove(key)
	s.active.remove(key)
	if e.token != nil {
		s.active.put(key, e, now)
	} else {
		s.none.put(key, e, now)
	}
}

func (r *room) remove(key [sha256.Size]byte) {
	if e := r.entries[key]; e != nil {
		r.bytes -= e.size
		delete(r.entries, key)
	}
}

// put looks at a few places that chance chooses (the order in which a map is gone
// through), lets go what is out of date there, and, while there is no room, what is not.
func (r *room) put(key [sha256.Size]byte, e *entry, now int64) {
	if e.size > r.maxSize {
		return
	}
	looked := 0
	for k, old := range r.entries {
		full := len(r.entries) >= r.most || r.bytes+e.size > r.maxSize
		if looked++; looked > 8 && !full {
			break
		}
		if full || now >= old.until {
			r.remove(k)
		}
	}
	r.entries[key] = e
	r.bytes += e.size
}

// size returns how many answers of each sort are kept.
func (c *cache) size() (active, inactive int) {
	for i := range c.shard {
		s := &c.shard[i]
		s.mu.RLock()
		active += len(s.active.entries)
		inactive += len(s.none.entries)
		s.mu.RUnlock()
	}
	return active, inactive
}

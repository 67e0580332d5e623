package verify

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// ways is how many places a token may have in the cache.
const ways = 8

// cache keeps verified tokens. It is a table of sets of eight places; the
// token's keyed hash chooses the set, and the whole text is compared. Readers take no
// lock and write nothing shared but, once per round of the clock hand, a mark; a
// SHA-256 of the token as the key would cost more than all of the lookup.
// Writers, which have just paid for a signature check, take turns.
type cache struct {
	seed  maphash.Seed
	mask  uint64
	table []atomic.Pointer[entry]

	mu       sync.Mutex
	maxCount int
	maxBytes int64
	hand     int
	count    int
	bytes    int64
	epoch    atomic.Uint64 // grows with each drop and purge
}

// entry is one cached token. Only used changes.
type entry struct {
	hash   uint64
	raw    []byte
	token  *Token
	key    *Key
	issuer *issuer
	until  int64 // Unix nanoseconds: exp and leeway, or the end of CacheFor
	from   int64 // Unix nanoseconds: nbf and iat with leeway
	used   atomic.Bool
}

// newCache makes room for max tokens in twice as many places, so that sets
// rarely fill up before the cache does.
func newCache(maxCount int, maxBytes int64) *cache {
	sets := max(1, (2*maxCount+ways-1)/ways)
	sets = 1 << bits.Len(uint(sets-1))
	return &cache{
		seed: maphash.MakeSeed(), mask: uint64(sets - 1), table: make([]atomic.Pointer[entry], sets*ways),
		maxCount: maxCount, maxBytes: maxBytes,
	}
}

// hash is keyed, and over the end of the token alone: that is the signature,
// which differs for every token, and the rest is compared anyway.
func (c *cache) hash(raw []byte) uint64 {
	return maphash.Bytes(c.seed, raw[max(0, len(raw)-64):])
}

// set returns the places that a hash may have.
func (c *cache) set(hash uint64) []atomic.Pointer[entry] {
	i := int(hash&c.mask) * ways
	return c.table[i : i+ways : i+ways]
}

// find returns the entry of a token, which may be out of date.
func (c *cache) find(raw []byte) *entry {
	if c == nil {
		return nil
	}
	hash := c.hash(raw)
	set := c.set(hash)
	for i := range set {
		e := set[i].Load()
		if e == nil || e.hash != hash || !bytes.Equal(e.raw, raw) {
			continue
		}
		if !e.used.Load() {
			e.used.Store(true)
		}
		return e
	}
	return nil
}

// mark returns what put needs to know whether a drop came between.
func (c *cache) mark() uint64 {
	if c == nil {
		return 0
	}
	return c.epoch.Load()
}

// put adds an entry, unless something was dropped since the mark: what was
// verified before a revocation must not be remembered after it. It returns the entry
// that now stands for the token: the one given, or an equal one that came first.
func (c *cache) put(e *entry, mark uint64, now int64) *entry {
	if c == nil || int64(len(e.raw)) > c.maxBytes {
		return e
	}
	e.hash = c.hash(e.raw)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch.Load() != mark {
		return e
	}
	set := c.set(e.hash)
	free := -1
	for i := range set {
		old := set[i].Load()
		switch {
		case old == nil:
			free = i
		case old.hash == e.hash && bytes.Equal(old.raw, e.raw):
			if old.live(now) && old.issuer == e.issuer && old.key == e.key {
				return old
			}
			c.clear(&set[i], old)
			free = i
		case !old.live(now):
			c.clear(&set[i], old)
			free = i
		}
	}
	if free < 0 {
		free = c.victim(set, e.hash)
		c.clear(&set[free], set[free].Load())
	}
	c.makeRoom(int64(len(e.raw)), now)
	set[free].Store(e)
	c.count++
	c.bytes += int64(len(e.raw))
	return e
}

// live reports whether the entry can still be served.
func (e *entry) live(now int64) bool { return now < e.until && e.key.usable(now) }

// victim chooses an entry of a full set that was not used since the clock hand
// came by, or one by chance.
func (c *cache) victim(set []atomic.Pointer[entry], hash uint64) int {
	start := int(hash>>56) % ways
	for i := range set {
		if at := (start + i) % ways; !set[at].Load().used.Load() {
			return at
		}
	}
	return start
}

func (c *cache) clear(place *atomic.Pointer[entry], e *entry) {
	place.Store(nil)
	c.count--
	c.bytes -= int64(len(e.raw))
}

// makeRoom moves the clock hand: a few places each time, so that expired
// tokens go, and as many more as it takes to be within the bounds.
func (c *cache) makeRoom(need, now int64) {
	for step := 0; step < 4 || c.count >= c.maxCount || c.bytes+need > c.maxBytes; step++ {
		if c.count == 0 {
			return
		}
		place := &c.table[c.hand]
		c.hand = (c.hand + 1) % len(c.table)
		e := place.Load()
		if e == nil {
			continue
		}
		full := c.count >= c.maxCount || c.bytes+need > c.maxBytes
		switch {
		case !e.live(now), full && !e.used.Load():
			c.clear(place, e)
		case full:
			e.used.Store(false)
		}
	}
}

// drop removes the entries that match and returns how many they were.
func (c *cache) drop(match func(*Token) bool) int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch.Add(1)
	n := 0
	for i := range c.table {
		if e := c.table[i].Load(); e != nil && match(e.token) {
			c.clear(&c.table[i], e)
			n++
		}
	}
	return n
}

func (c *cache) stats() CacheStats {
	if c == nil {
		return CacheStats{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return CacheStats{Tokens: c.count, Bytes: c.bytes}
}

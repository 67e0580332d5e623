// Package revocation holds what has been revoked, in memory: the gateway asks it
// about the caller of every request, the authorization server about every token that
// it is asked about. Asking takes no lock and does not allocate. The room must not
// know where revocations are kept, who is told of them, or what a refusal looks like.
package revocation

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
)

// Max is how many entries a Set holds when not told otherwise.
const Max = 1 << 20

const shardCount = 4096 // a power of two

// Set is what a node knows to be revoked. Once Add has returned, nobody who asks
// later is told that something which it names is not.
//
// An entry is 24 bytes: a 124-bit keyed hash with its kind, and two times in whole
// seconds. Strangers cannot aim at a collision, and what is revoked cannot be read back
// from memory. The entries of a shard are one sorted array, replaced as a whole, so a
// million of them are 24 MB and no pointers to follow. The zero value is not usable.
type Set struct {
	seeds [2]maphash.Seed
	max   int

	loaded atomic.Bool
	kinds  atomic.Uint32 // a bit for each kind of which there are entries: most are empty
	turn   atomic.Uint64 // counts what has changed
	shards [shardCount]atomic.Pointer[[]entry]

	mu     sync.Mutex // writers
	size   int
	counts [kindCount]int
}

// Config says how large a Set may become.
type Config struct {
	// Max bounds the entries; 0 = Max. A sixteenth of the room is kept for what is
	// wider than one token, so that a flood of single ones shuts out no more than its like.
	Max int
	// Loaded says that an empty set is the truth: nothing has to be loaded first.
	// Otherwise the state is unknown until Replace.
	Loaded bool
}

// New returns an empty set.
func New(c Config) *Set {
	s := &Set{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, max: c.Max}
	if s.max <= 0 {
		s.max = Max
	}
	s.loaded.Store(c.Loaded)
	return s
}

// entry is one revocation.
type entry struct {
	key     Key
	before  uint32 // Unix seconds: only tokens issued earlier; 0 = all
	expires uint32 // Unix seconds: when it can be forgotten; 0 = never
}

// Add puts revocations into force, all or none. When there is no room it returns a
// fault of code Full: they are not in force, and whoever asked must be told so.
func (s *Set) Add(now time.Time, list ...cluster.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		if !list[i].Kind.Valid() {
			return fault.New(fault.Invalid, "there are no revocations of kind %q", string(list[i].Kind))
		}
	}
	if !s.room(list) {
		s.removeExpired(now)
	}
	if !s.room(list) {
		return fault.New(fault.Full, "this node holds no more revocations (it has %d of %d), so this one is not in force: revoke something wider, such as the client, user or key", s.size, s.max)
	}
	for i := range list {
		s.put(s.entryOf(&list[i]))
	}
	s.turn.Add(1)
	return nil
}

// room reports whether the list has room, with some kept for what is wider than one token.
func (s *Set) room(list []cluster.Revocation) bool {
	most := s.max
	for i := range list {
		if k := list[i].Kind; k == cluster.TokenID || k == cluster.TokenHash {
			most = s.max - s.max/16
		}
	}
	return s.size+len(list) <= most
}

// Lift takes revocations back. Those that are not there are none to take back.
func (s *Set) Lift(list ...cluster.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		e := s.entryOf(&list[i])
		shard := &s.shards[e.key.shard()]
		old := load(shard)
		at, there := find(old, e.key)
		if !there {
			continue
		}
		next := slices.Concat(old[:at], old[at+1:])
		shard.Store(&next)
		s.count(e.key.kind(), -1)
	}
	s.turn.Add(1)
}

// Replace makes the set hold exactly the list, and known. Entries in both are in
// force throughout. It changes nothing when the list ends with an error, or is
// longer than the set may be, which is a fault of code Full.
func (s *Set) Replace(list iter.Seq2[cluster.Revocation, error]) error {
	var all []entry
	for r, err := range list {
		if err != nil {
			return err
		}
		if !r.Kind.Valid() {
			return fault.New(fault.Invalid, "there are no revocations of kind %q", string(r.Kind))
		}
		if all = append(all, s.entryOf(&r)); len(all) > s.max {
			return fault.New(fault.Full, "there are more revocations than the %d that a node holds", s.max)
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.key.shard(), b.key.shard()), compare(a.key, b.key))
	})
	all = slices.Clip(merged(all))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swap(all)
	s.loaded.Store(true)
	s.turn.Add(1)
	return nil
}

// merged makes one of entries for the same thing, in place. They are sorted.
func merged(all []entry) []entry {
	n := 0
	for i := range all {
		if n > 0 && all[n-1].key == all[i].key {
			all[n-1] = wider(all[n-1], all[i])
			continue
		}
		all[n] = all[i]
		n++
	}
	return all[:n]
}

// swap puts sorted entries in the place of what is there. Kinds that have entries
// before or after count as such meanwhile, so that no reader skips one.
func (s *Set) swap(all []entry) {
	var counts [kindCount]int
	bits := uint32(0)
	for i := range all {
		k := all[i].key.kind()
		counts[k]++
		bits |= 1 << k
	}
	s.kinds.Store(s.kinds.Load() | bits)
	for i := range s.shards {
		n := 0
		for n < len(all) && all[n].key.shard() == i {
			n++
		}
		if part := all[:n:n]; n > 0 {
			s.shards[i].Store(&part)
		} else {
			s.shards[i].Store(nil)
		}
		all = all[n:]
	}
	s.counts, s.size = counts, 0
	for _, n := range counts {
		s.size += n
	}
	s.kinds.Store(bits)
}

// RemoveExpired forgets what has expired and returns how many entries that were.
func (s *Set) RemoveExpired(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.removeExpired(now)
}

func (s *Set) removeExpired(now time.Time) int {
	t, size := now.Unix(), s.size
	for i := range s.shards {
		old := load(&s.shards[i])
		next := slices.DeleteFunc(slices.Clone(old), func(e entry) bool { return e.over(t) })
		if len(next) == len(old) {
			continue
		}
		s.shards[i].Store(&next)
		for j := range old {
			if old[j].over(t) {
				s.count(old[j].key.kind(), -1)
			}
		}
	}
	return size - s.size
}

func (e entry) over(now int64) bool { return e.expires != 0 && int64(e.expires) <= now }

// Len returns how many entries the set holds.
func (s *Set) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// Max returns how many entries the set may hold.
func (s *Set) Max() int { return s.max }

// Known reports whether the set is the truth. A set that was never loaded is not.
func (s *Set) Known() bool { return s.loaded.Load() }

// Forget makes the state unknown until the next Replace: for a node that has lost
// touch with where revocations come from for longer than it may. Entries stay.
func (s *Set) Forget() { s.loaded.Store(false) }

// Turn returns a number that is another one whenever something has been revoked
// or taken back: whoever remembers an answer knows when to ask again.
func (s *Set) Turn() uint64 { return s.turn.Load() }

// put adds one entry; of two for the same thing the wider one stays.
func (s *Set) put(e entry) {
	shard := &s.shards[e.key.shard()]
	old := load(shard)
	at, there := find(old, e.key)
	next := make([]entry, 0, len(old)+1)
	next = append(next, old[:at]...)
	if there {
		next = append(append(next, wider(old[at], e)), old[at+1:]...)
	} else {
		next = append(append(next, e), old[at:]...)
		s.count(e.key.kind(), +1) // first, so that no reader skips the kind
	}
	shard.Store(&next)
}

// count keeps the number of entries of a kind, and the bit that says whether there are any.
func (s *Set) count(kind uint8, by int) {
	s.size += by
	s.counts[kind] += by
	if s.counts[kind] > 0 {
		s.kinds.Or(1 << kind)
	} else {
		s.kinds.And(^uint32(1 << kind))
	}
}

// wider returns an entry that revokes all that either does, for as long as either does.
func wider(a, b entry) entry {
	a.before, a.expires = widest(a.before, b.before), widest(a.expires, b.expires)
	return a
}

func widest(a, b uint32) uint32 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

func (s *Set) entryOf(r *cluster.Revocation) entry {
	return entry{key: s.key(r.Tenant, rank(r.Kind), r.Issuer, r.Value), before: seconds(r.IssuedBefore), expires: seconds(r.Expires)}
}

// seconds rounds a time up, which is the strict side of both times of an entry.
// What is beyond the range of the field is 0, which is stricter still.
func seconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	n := t.Unix()
	if t.Nanosecond() > 0 {
		n++
	}
	if n > math.MaxUint32 {
		return 0
	}
	return uint32(max(n, 1)) // #nosec G115 -- within the range by now
}

func load(shard *atomic.Pointer[[]entry]) []entry {
	if p := shard.Load(); p != nil {
		return *p
	}
	return nil
}

package gateway

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// RevocationKind says what a revocation names.
type RevocationKind uint8

// The kinds of revocation, from the narrowest to the widest.
const (
	RevokedTokenID   RevocationKind = iota // Issuer and the jti claim
	RevokedTokenHash                       // base64url of the SHA-256 of the whole token, without padding
	RevokedSession                         // Issuer and the sid claim
	RevokedClient                          // Issuer and the client id
	RevokedUser                            // Issuer and the user: its id (verify.Token.UserID) or the subject
	RevokedKey                             // Issuer and the id of the signing key
	RevokedIssuer                          // Issuer alone
	revocationKinds
)

// Revocation says that tokens are no longer good.
type Revocation struct {
	Kind   RevocationKind
	Issuer string // the iss claim; empty for a token hash
	Value  string // empty for an issuer
	// IssuedBefore limits it to tokens issued earlier; zero means all. Tokens that
	// do not say when they were issued count as issued before anything.
	IssuedBefore time.Time
	// Expires is when it may be forgotten because every token that it names has
	// expired by then; zero means never.
	Expires time.Time
}

// MaxRevocations is how many entries Revocations holds when not told otherwise.
const MaxRevocations = 1 << 20

const revocationShards = 4096 // a power of two

// Revocations is the set of what has been revoked, in memory. Others persist it
// and tell nodes of each other's; here it is only asked, on every request, so
// reading takes no lock and does not allocate. Once Add has returned, no request
// that starts later passes with a token that it names.
//
// Entries are held as 128-bit keyed hashes: strangers cannot aim at a collision,
// and what is revoked cannot be read back from memory. The zero value is not usable.
type Revocations struct {
	seeds [2]maphash.Seed
	max   int

	mu     sync.Mutex // writers
	size   int
	loaded atomic.Bool
	kinds  [revocationKinds]atomic.Int64 // how many entries of each kind; 0 saves the look
	shards [revocationShards]atomic.Pointer[map[revocationKey]revocationEntry]
}

type revocationKey [2]uint64

type revocationEntry struct {
	before  int64 // Unix microseconds; 0 = all
	expires int64 // Unix microseconds; 0 = never
	kind    RevocationKind
}

// RevocationsConfig says how large the set may become.
type RevocationsConfig struct {
	// Max bounds the entries; 0 = MaxRevocations. One entry takes some 60 bytes.
	Max int
	// Loaded says that an empty set is the truth: nothing has to be loaded first.
	// Otherwise the state is unknown, and tokens are refused, until Replace.
	Loaded bool
}

// NewRevocations returns an empty set.
func NewRevocations(c RevocationsConfig) *Revocations {
	r := &Revocations{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, max: c.Max}
	if r.max <= 0 {
		r.max = MaxRevocations
	}
	r.loaded.Store(c.Loaded)
	return r
}

// Add puts revocations into the set. When it returns without an error, they are
// in force. When the set is full it returns a fault of code Full and none is
// added: the caller must then revoke something wider, such as the key.
func (r *Revocations) Add(now time.Time, list ...Revocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+len(list) > r.max {
		r.removeExpired(now)
	}
	if r.size+len(list) > r.max {
		return fault.New(fault.Full, "the set of revocations is full (%d entries): revoke by client, user or key instead of token by token", r.max)
	}
	for i := range list {
		r.put(&list[i])
	}
	return nil
}

// Replace makes the set hold exactly the list, and known. Entries in both are in
// force throughout. It returns a fault of code Full, and changes nothing, when
// the list is longer than the set may be.
func (r *Revocations) Replace(list []Revocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(list) > r.max {
		return fault.New(fault.Full, "%d revocations are more than the %d that a node holds", len(list), r.max)
	}
	var next [revocationShards]map[revocationKey]revocationEntry
	for i := range list {
		k, e := r.entry(&list[i])
		shard := &next[k[0]%revocationShards]
		if *shard == nil {
			*shard = map[revocationKey]revocationEntry{}
		}
		if old, there := (*shard)[k]; there {
			e = wider(old, e)
		}
		(*shard)[k] = e
	}
	// Counts first, and upwards only, so that no reader skips a kind that has entries.
	var counts [revocationKinds]int64
	size := 0
	for i := range next {
		size += len(next[i])
		for _, e := range next[i] {
			counts[e.kind]++
		}
	}
	for k := range counts {
		r.kinds[k].Add(counts[k])
	}
	for i := range next {
		old := r.shards[i].Load()
		if next[i] == nil {
			r.shards[i].Store(nil)
		} else {
			r.shards[i].Store(&next[i])
		}
		if old != nil {
			for _, e := range *old {
				r.kinds[e.kind].Add(-1)
			}
		}
	}
	r.size = size
	r.loaded.Store(true)
	return nil
}

// RemoveExpired forgets what has expired and returns how many entries that were.
func (r *Revocations) RemoveExpired(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removeExpired(now)
}

// Len returns how many entries the set holds.
func (r *Revocations) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.size
}

// Known reports whether the set is the truth. A set that was never loaded is not.
func (r *Revocations) Known() bool { return r.loaded.Load() }

// Forget makes the state unknown until the next Replace: for a node that has lost
// touch with where revocations come from for longer than it may. Entries stay.
func (r *Revocations) Forget() { r.loaded.Store(false) }

func (r *Revocations) put(v *Revocation) {
	k, e := r.entry(v)
	shard := &r.shards[k[0]%revocationShards]
	next := map[revocationKey]revocationEntry{}
	if old := shard.Load(); old != nil {
		for ok, oe := range *old {
			next[ok] = oe
		}
	}
	if old, there := next[k]; there {
		next[k] = wider(old, e)
	} else {
		next[k] = e
		r.size++
		r.kinds[v.Kind].Add(1)
	}
	shard.Store(&next)
}

// wider returns an entry that revokes all that either does, for as long as either does.
func wider(a, b revocationEntry) revocationEntry {
	if b.before == 0 || a.before != 0 && b.before > a.before {
		a.before = b.before
	}
	if b.expires == 0 || a.expires != 0 && b.expires > a.expires {
		a.expires = b.expires
	}
	return a
}

func (r *Revocations) removeExpired(now time.Time) int {
	t := now.UnixMicro()
	removed := 0
	for i := range r.shards {
		old := r.shards[i].Load()
		if old == nil {
			continue
		}
		next := make(map[revocationKey]revocationEntry, len(*old))
		for k, e := range *old {
			if e.expires == 0 || e.expires > t {
				next[k] = e
			}
		}
		gone := len(*old) - len(next)
		if gone == 0 {
			continue
		}
		r.shards[i].Store(&next)
		for k, e := range *old {
			if _, kept := next[k]; !kept {
				r.kinds[e.kind].Add(-1)
			}
		}
		removed += gone
	}
	r.size -= removed
	return removed
}

func (r *Revocations) entry(v *Revocation) (revocationKey, revocationEntry) {
	e := revocationEntry{kind: v.Kind}
	if !v.IssuedBefore.IsZero() {
		e.before = v.IssuedBefore.UnixMicro()
	}
	if !v.Expires.IsZero() {
		e.expires = v.Expires.UnixMicro()
	}
	return r.key(v.Kind, v.Issuer, v.Value), e
}

func (r *Revocations) key(kind RevocationKind, issuer, value string) revocationKey {
	const odd1, odd2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	var k revocationKey
	k[0] = (maphash.String(r.seeds[0], issuer)*odd1+uint64(kind))*odd2 ^ maphash.String(r.seeds[0], value)
	k[1] = (maphash.String(r.seeds[1], issuer)*odd2+uint64(kind))*odd1 ^ maphash.String(r.seeds[1], value)
	return k
}

// revocationKeys are the keys under which a token may have been revoked.
type revocationKeys struct {
	list [revocationKinds + 1]struct {
		kind RevocationKind
		key  revocationKey
	}
	n int
}

// keysOf makes the keys of a token, once, when it is first seen. hash is
// base64url of the SHA-256 of its text.
func (r *Revocations) keysOf(t *verify.Token, hash string) revocationKeys {
	var k revocationKeys
	add := func(kind RevocationKind, issuer, value string) {
		if value != "" || kind == RevokedIssuer {
			k.list[k.n].kind, k.list[k.n].key = kind, r.key(kind, issuer, value)
			k.n++
		}
	}
	add(RevokedTokenID, t.Issuer, t.ID)
	add(RevokedTokenHash, "", hash)
	add(RevokedSession, t.Issuer, t.Session)
	add(RevokedClient, t.Issuer, t.ClientID)
	add(RevokedUser, t.Issuer, t.UserID)
	if t.Subject != t.UserID {
		add(RevokedUser, t.Issuer, t.Subject)
	}
	add(RevokedKey, t.Issuer, t.KeyID)
	add(RevokedIssuer, t.Issuer, "")
	return k
}

// names reports whether a revocation names the token.
func (r *Revocations) names(m *tokenMemo, t *verify.Token) bool {
	for i := range m.keys.list[:m.keys.n] {
		if r.kinds[m.keys.list[i].kind].Load() == 0 {
			continue
		}
		k := m.keys.list[i].key
		shard := r.shards[k[0]%revocationShards].Load()
		if shard == nil {
			continue
		}
		// Issue times are whole seconds. One that was cut down to the second of the
		// revocation counts as before it: the strict side.
		if e, there := (*shard)[k]; there && (e.before == 0 || t.IssuedAt == 0 || t.IssuedAt*1_000_000 < e.before) {
			return true
		}
	}
	return false
}

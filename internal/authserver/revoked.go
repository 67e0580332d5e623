package authserver

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// RevokedSet is what this node knows to be revoked, in memory, so that an
// introspection asks no store. It is a cluster.Subscriber: join the bus with it
// first, then Load what the store has. Until Load the state is not known.
type RevokedSet struct {
	mu     sync.RWMutex
	set    map[revokedKey]revokedUntil
	kinds  map[cluster.Kind]int // how many of each kind: most kinds are empty
	loaded atomic.Bool
}

// revokedKey is the beginning of a SHA-256 over what is revoked: half the memory
// of the texts, and nothing can be read back from it.
type revokedKey [16]byte

// revokedUntil is an entry; 0 stands for all and for never.
type revokedUntil struct {
	before  int64 // Unix microseconds: tokens issued earlier
	expires int64 // Unix microseconds: when it can be forgotten
	kind    cluster.Kind
}

var _ cluster.Subscriber = (*RevokedSet)(nil)

// NewRevokedSet returns a set that is not known yet.
func NewRevokedSet() *RevokedSet {
	return &RevokedSet{set: map[revokedKey]revokedUntil{}, kinds: map[cluster.Kind]int{}}
}

// Revoked implements cluster.Subscriber.
func (s *RevokedSet) Revoked(_ context.Context, r cluster.Revocation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(&r)
	return nil
}

// Revised implements cluster.Subscriber; revisions do not concern the set.
func (s *RevokedSet) Revised(context.Context, tenant.ID, int64) {}

// Load adds what the store has and makes the set known. What was heard on the
// bus meanwhile stays.
func (s *RevokedSet) Load(list []cluster.Revocation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		s.add(&list[i])
	}
	s.loaded.Store(true)
}

// Known reports whether the set is the truth.
func (s *RevokedSet) Known() bool { return s.loaded.Load() }

// Prune forgets what has expired and returns how many entries that were.
func (s *RevokedSet) Prune(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, t := 0, now.UnixMicro()
	for k, e := range s.set {
		if e.expires != 0 && e.expires <= t {
			delete(s.set, k)
			s.kinds[e.kind]--
			n++
		}
	}
	return n
}

// add puts r into the set; of two entries for the same the wider one stays.
func (s *RevokedSet) add(r *cluster.Revocation) {
	e := revokedUntil{kind: r.Kind}
	if !r.IssuedBefore.IsZero() {
		e.before = r.IssuedBefore.UnixMicro()
	}
	if !r.Expires.IsZero() {
		e.expires = r.Expires.UnixMicro()
	}
	k := keyOf(r.Tenant, r.Kind, r.Issuer, r.Value)
	old, there := s.set[k]
	if !there {
		s.kinds[r.Kind]++
		s.set[k] = e
		return
	}
	e.before, e.expires = wider(old.before, e.before), wider(old.expires, e.expires)
	s.set[k] = e
}

func wider(a, b int64) int64 {
	if a == 0 || b == 0 {
		return 0
	}
	return max(a, b)
}

// Has reports whether a genuine token is revoked, by whatever of it.
func (s *RevokedSet) Has(t tenant.ID, tok *verify.Token, raw string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.set) == 0 {
		return false
	}
	user := tok.UserID
	if user == "" {
		user = tok.Subject
	}
	return s.has(t, cluster.TokenID, tok.Issuer, tok.ID, tok.IssuedAt) ||
		s.has(t, cluster.Session, tok.Issuer, tok.Session, tok.IssuedAt) ||
		s.has(t, cluster.Client, tok.Issuer, tok.ClientID, tok.IssuedAt) ||
		s.has(t, cluster.User, tok.Issuer, user, tok.IssuedAt) ||
		s.has(t, cluster.Key, tok.Issuer, tok.KeyID, tok.IssuedAt) ||
		s.kinds[cluster.Issuer] > 0 && s.hasKey(keyOf(t, cluster.Issuer, tok.Issuer, ""), tok.IssuedAt) ||
		s.kinds[cluster.TokenHash] > 0 && s.hasKey(keyOf(t, cluster.TokenHash, "", tokenHash(raw)), tok.IssuedAt)
}

func (s *RevokedSet) has(t tenant.ID, kind cluster.Kind, issuer, value string, issued int64) bool {
	return value != "" && s.kinds[kind] > 0 && s.hasKey(keyOf(t, kind, issuer, value), issued)
}

// hasKey compares in whole seconds, as tokens are dated; a token of the very
// second of the revocation counts as before it: the strict side.
func (s *RevokedSet) hasKey(k revokedKey, issued int64) bool {
	e, there := s.set[k]
	return there && (e.before == 0 || issued == 0 || issued*1_000_000 < e.before)
}

func keyOf(t tenant.ID, kind cluster.Kind, issuer, value string) revokedKey {
	b := make([]byte, 0, 256)
	for _, s := range [...]string{string(t), string(kind), issuer, value} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	sum := sha256.Sum256(b)
	return revokedKey(sum[:16])
}

func tokenHash(raw string) string {
	sum := sha256.Sum256([]byte(raw))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

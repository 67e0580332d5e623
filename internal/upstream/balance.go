package upstream

import (
	"math/rand/v2"
	"net/netip"
	"strings"

	"gatehouse/internal/fault"
)

// balance is how a target is chosen.
type balance struct {
	kind balanceKind
	name string // of the header or claim
}

type balanceKind uint8

const (
	roundRobin balanceKind = iota
	leastRequests
	random
	hashAddress
	hashHeader
	hashClaim
)

// parseBalance reads round_robin (also ""), least_requests, random, hash(ip),
// hash(header:NAME) and hash(claim:NAME).
func parseBalance(s string) (balance, error) {
	switch s {
	case "", "round_robin":
		return balance{kind: roundRobin}, nil
	case "least_requests":
		return balance{kind: leastRequests}, nil
	case "random":
		return balance{kind: random}, nil
	case "hash(ip)":
		return balance{kind: hashAddress}, nil
	}
	if in, ok := strings.CutPrefix(s, "hash("); ok {
		if in, ok = strings.CutSuffix(in, ")"); ok {
			if name, ok := strings.CutPrefix(in, "header:"); ok && name != "" {
				return balance{hashHeader, name}, nil
			}
			if name, ok := strings.CutPrefix(in, "claim:"); ok && name != "" {
				return balance{hashClaim, name}, nil
			}
		}
	}
	return balance{}, fault.New(fault.Invalid,
		"balance %q is unknown: use round_robin, least_requests, random, hash(ip), hash(header:NAME) or hash(claim:NAME)", s)
}

// caller is what a hash balance reads of the exchange.
type caller interface {
	Header(name string) []byte
	Claim(name string) string
	ClientIP() netip.Addr
}

// key returns the hash of what the balance looks at, and whether there is any.
func (b balance) key(c caller) (uint64, bool) {
	switch b.kind {
	case hashAddress:
		if a := c.ClientIP(); a.IsValid() {
			v := a.As16()
			return hashBytes(v[:]), true
		}
	case hashHeader:
		if v := c.Header(b.name); len(v) > 0 {
			return hashBytes(v), true
		}
	case hashClaim:
		if v := c.Claim(b.name); v != "" {
			return hashString(v), true
		}
	case roundRobin, leastRequests, random:
	}
	return 0, false
}

// scanAll is how many targets a least_requests pool compares one by one; larger
// pools compare two of them taken at random, which spreads nearly as evenly.
const scanAll = 8

// first returns the index of the target to begin with at the time now. It looks
// at who is available but claims nobody.
func (p *Pool) first(now int64, c caller) int {
	n := len(p.targets)
	if n == 1 {
		return 0
	}
	turn := int(p.next.Add(1) % uint32(n)) // a pool has few targets
	switch p.balance.kind {
	case roundRobin:
	case random:
		return rand.IntN(n) //nolint:gosec // which target it is need not be secret
	case leastRequests:
		return p.least(now, turn)
	case hashAddress, hashHeader, hashClaim:
		if key, ok := p.balance.key(c); ok {
			return p.highest(now, key)
		}
	}
	return turn
}

// least returns the available target with the fewest exchanges under way; where
// there are several, the first from turn on.
func (p *Pool) least(now int64, turn int) int {
	n := len(p.targets)
	if n > scanAll {
		a, b := rand.IntN(n), rand.IntN(n-1) //nolint:gosec // as above
		if b >= a {
			b++
		}
		if p.targets[b].load(now) < p.targets[a].load(now) {
			return b
		}
		return a
	}
	best, least := turn, p.targets[turn].load(now)
	for i := 1; i < n; i++ {
		j := (turn + i) % n
		if l := p.targets[j].load(now); l < least {
			best, least = j, l
		}
	}
	return best
}

// load is what least compares: who is not available comes last.
func (t *target) load(now int64) int32 {
	if t.unavailable(now) != "" {
		return 1 << 30
	}
	return t.active.Load()
}

// highest is rendezvous hashing: each target scores with the key, the highest
// available one wins. When a target goes, only its own keys move.
func (p *Pool) highest(now int64, key uint64) int {
	best, most := 0, uint64(0)
	for i, t := range p.targets {
		if t.unavailable(now) != "" {
			continue
		}
		if score := spread(key ^ t.hash); score >= most {
			best, most = i, score
		}
	}
	return best
}

// The hash is FNV-1a with a finalizer: equal on every node, so that one caller
// reaches one target whichever node it comes through.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func hashString(s string) uint64 {
	h := uint64(fnvOffset)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return spread(h)
}

func hashBytes(s []byte) uint64 {
	h := uint64(fnvOffset)
	for _, c := range s {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return spread(h)
}

func spread(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

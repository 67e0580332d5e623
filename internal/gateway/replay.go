package gateway

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
)

// maxReplays bounds the proofs that are remembered, when nothing else is said. One
// takes some 30 bytes.
const maxReplays = 1 << 20

const (
	replayShards = 64
	replaySlots  = 8                // more than the longest life of a proof has slices
	replaySlice  = 30 * time.Second // proofs that end in one slice of time are forgotten together
)

// replays remembers what may be used once: proofs and signed requests, until they
// are too old anyway. It is bounded, and when it is full nothing new passes. It holds
// hashes only. It is safe for concurrent use: of many that ask about the same at once,
// one is told that it is new.
type replays struct {
	max    int       // of each shard
	since  time.Time // of what was used in a life before this one, nothing is known: see forgot. Zero: all is
	closed atomic.Bool
	shards [replayShards]replayShard
}

type replayShard struct {
	mu    sync.Mutex
	size  int
	slots [replaySlots]struct {
		slice int64 // which slice of time it holds
		seen  map[replayKey]struct{}
	}
}

type replayKey [16]byte

// seen says what is known about a thing that may be used once.
type seen uint8

const (
	seenNever seen = iota
	seenBefore
	seenFull // it cannot be remembered, so it must not be accepted
)

func newReplays(most int) *replays {
	if most <= 0 {
		most = maxReplays
	}
	return &replays{max: max(most/replayShards, 1)}
}

// replayID names a thing by who sent it and what they call it.
func replayID(sender, id string) replayKey {
	h := sha256.New()
	h.Write([]byte(sender))
	h.Write([]byte{0})
	h.Write([]byte(id))
	var sum [sha256.Size]byte
	return replayKey(h.Sum(sum[:0]))
}

// take remembers the thing until the time, and says whether it was new. A dry look
// remembers nothing.
func (r *replays) take(k replayKey, now, until time.Time, dry bool) seen {
	s := &r.shards[k[0]%replayShards]
	current, end := now.UnixNano()/int64(replaySlice), until.UnixNano()/int64(replaySlice)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.slots {
		slot := &s.slots[i]
		if slot.slice < current && len(slot.seen) > 0 {
			s.size -= len(slot.seen)
			slot.seen = nil
		}
		if _, there := slot.seen[k]; there {
			return seenBefore
		}
	}
	switch {
	case dry:
		return seenNever
	case r.closed.Load():
		return seenFull // it is being written down, without this one
	case s.size >= r.max || end-current >= replaySlots:
		return seenFull
	}
	slot := &s.slots[end%replaySlots]
	if slot.seen == nil {
		slot.slice, slot.seen = end, map[replayKey]struct{}{}
	}
	slot.seen[k] = struct{}{}
	s.size++
	return seenNever
}

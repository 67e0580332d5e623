package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gatehouse/internal/fault"
)

// What was used once must not be good again after a restart. A process that ends writes
// down what it remembers, and the next one reads it. While it runs, the file says so and
// nothing else: a process that finds it so knows that the one before it was cut off, and
// that it does not know what that one had accepted. Until nothing of that time can be
// fresh any more, proofs then need a nonce of this life, and signed requests wait.
//
// Of other nodes nothing is known. take is all that would have to be asked elsewhere.

const (
	proofsMagic   = "gatehouse-proofs 1"
	proofsRunning = "running"
	proofsEnded   = "ended"
	proofSize     = len(replayKey{}) + 8 // the thing, and the slice of time in which it ends
)

// forgot reports whether something of this date may have been used before this process
// began, by the clock of whoever made it, and nobody knows.
func (r *replays) forgot(dated time.Time) bool { return dated.Before(r.since) }

// recallProofs reads what the process before this one has used, and says in its place
// that one is running.
func (g *Gateway) recallProofs() {
	now := g.config.Now()
	data, err := os.ReadFile(g.config.Proofs)
	switch {
	case os.IsNotExist(err): // the first process in this folder
	case err == nil && g.replays.read(data, now) == nil:
	default:
		g.replays.since, g.nonces.since = now.Add(proofAhead), now.Unix()
		g.config.Logger.Warn("the process before this one was cut off: for a short time proofs of possession (DPoP) need a nonce, and signed requests are answered 503",
			slog.String("for", proofAhead.String()))
	}
	if err := replaceFile(g.config.Proofs, []byte(proofsMagic+" "+proofsRunning+"\n")); err != nil {
		g.config.Logger.Error("it cannot be written down that this process runs: a proof that it accepts may be good again when it was cut off", slog.Any("error", err))
	}
}

// keepProofs writes down what was used. Nothing is accepted after it.
func (g *Gateway) keepProofs() error {
	if g.config.Proofs == "" || g.replays.closed.Swap(true) {
		return nil
	}
	if g.config.Now().Before(g.replays.since) {
		return nil // what was not known is still not known: the file stays as it is
	}
	body := g.replays.write(g.config.Now())
	if err := replaceFile(g.config.Proofs, []byte(endedHead(body)), body); err != nil {
		return fault.Because(err, fault.CodeOf(err), "keep which proofs were used")
	}
	return nil
}

// endedHead is the first line of what an ended process has written.
func endedHead(body []byte) string {
	sum := sha256.Sum256(body)
	return fmt.Sprintf("%s %s %s\n", proofsMagic, proofsEnded, hex.EncodeToString(sum[:]))
}

// write returns all that is remembered and can still be fresh.
func (r *replays) write(now time.Time) []byte {
	current := now.UnixNano() / int64(replaySlice)
	var out []byte
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		for j := range s.slots {
			slot := &s.slots[j]
			if slot.slice < current {
				continue
			}
			for k := range slot.seen {
				out = binary.BigEndian.AppendUint64(append(out, k[:]...), uint64(slot.slice))
			}
		}
		s.mu.Unlock()
	}
	return out
}

// read takes over what was written. An error says that it is not what an ended process has
// written, as a whole.
func (r *replays) read(data []byte, now time.Time) error {
	head, body, ok := bytes.Cut(data, []byte("\n"))
	if !ok || string(head)+"\n" != endedHead(body) || len(body)%proofSize != 0 {
		return fault.New(fault.Invalid, "it is not what an ended process has written")
	}
	current := now.UnixNano() / int64(replaySlice)
	for ; len(body) > 0; body = body[proofSize:] {
		k := replayKey(body[:len(replayKey{})])
		end := int64(binary.BigEndian.Uint64(body[len(replayKey{}):]))
		if end < current {
			continue
		}
		if end-current >= replaySlots {
			return fault.New(fault.Invalid, "it is from the future: the clock was set back")
		}
		s := &r.shards[k[0]%replayShards]
		slot := &s.slots[end%replaySlots]
		if slot.seen == nil {
			slot.slice, slot.seen = end, map[replayKey]struct{}{}
		}
		slot.seen[k] = struct{}{}
		s.size++
	}
	return nil
}

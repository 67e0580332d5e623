package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"time"

	"gatehouse/internal/tenant"
)

// Operation is what a change did to its object.
type Operation string

// The operations.
const (
	Created Operation = "create"
	Updated Operation = "update"
	Deleted Operation = "delete"
)

// Change is one write of one object. The changes of a tenant, in the order of
// revision and part, form a chain: each holds the hash of the one before.
type Change struct {
	Tenant   tenant.ID       `json:"tenant"`
	Revision Revision        `json:"revision"`
	Part     int             `json:"part"`  // 1 is the first change of the revision
	Parts    int             `json:"parts"` // how many changes the revision has
	Time     time.Time       `json:"time"`  // UTC, microseconds
	Actor    Actor           `json:"actor"`
	Reason   string          `json:"reason,omitempty"`
	Kind     string          `json:"kind"`
	ID       string          `json:"id"`
	Op       Operation       `json:"operation"`
	Created  time.Time       `json:"created"`          // when the object was created
	Owner    string          `json:"owner,omitempty"`  // of the object, after the change
	Before   json.RawMessage `json:"before,omitempty"` // nil when created
	After    json.RawMessage `json:"after,omitempty"`  // nil when deleted
	Previous string          `json:"previous"`         // hash of the change before; empty for the tenant's first
	Hash     string          `json:"hash"`             // of this change, hexadecimal
}

// changeLabel begins the encoding of every change; another encoding gets another label.
const changeLabel = "gatehouse change v1"

// Digest returns the hash that the change should have: the hexadecimal SHA-256 of
// the label "gatehouse change v1" and the fields tenant, revision, part, parts,
// time, actor type, actor id, actor name, reason, kind, id, operation, created,
// owner, before, after, previous, in this order. A text is encoded as its length
// in 8 bytes, big endian, and its bytes; a number (times are microseconds since
// 1970) as 8 bytes, big endian. Before and after are preceded by one byte, 1 when
// present and 0 when not.
func (c *Change) Digest() string {
	h := newHasher(changeLabel)
	h.text(string(c.Tenant))
	h.number(int64(c.Revision))
	h.number(int64(c.Part))
	h.number(int64(c.Parts))
	h.number(c.Time.UnixMicro())
	h.text(c.Actor.Type)
	h.text(c.Actor.ID)
	h.text(c.Actor.Name)
	h.text(c.Reason)
	h.text(c.Kind)
	h.text(c.ID)
	h.text(string(c.Op))
	h.number(c.Created.UnixMicro())
	h.text(c.Owner)
	h.optional(c.Before)
	h.optional(c.After)
	h.text(c.Previous)
	sum := h.sum()
	return hex.EncodeToString(sum[:])
}

// hasher hashes fields so that no two lists of fields have the same encoding.
type hasher struct{ h hash.Hash }

func newHasher(label string) hasher {
	h := hasher{sha256.New()}
	h.text(label)
	return h
}

func (h hasher) number(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n)) // two's complement
	h.h.Write(b[:])
}

func (h hasher) text(s string) {
	h.number(int64(len(s)))
	h.h.Write([]byte(s))
}

func (h hasher) optional(b []byte) {
	if b == nil {
		h.h.Write([]byte{0})
		return
	}
	h.h.Write([]byte{1})
	h.text(string(b))
}

func (h hasher) sum() (out [32]byte) {
	h.h.Sum(out[:0])
	return out
}

package ledger

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// Key is a unique key or an index entry of an object: a name and the parts of
// its value, compared and sorted byte by byte, part by part. Fold the case of
// parts that should compare without it.
type Key struct {
	Name  string
	Parts []string
}

// By returns the key with the name and parts.
func By(name string, parts ...string) Key { return Key{Name: name, Parts: parts} }

// String returns the key for people: name (part, part).
func (k Key) String() string {
	return k.Name + " (" + strings.Join(k.Parts, ", ") + ")"
}

// OnDelete says what happens to a referrer when its target is deleted.
type OnDelete uint8

// What happens to a referrer.
const (
	Refuse  OnDelete = iota // the target stays as long as it is referred to
	Cascade                 // the referrer is deleted with its target
)

// Ref is a reference of one object to another of the same tenant, which must
// exist when the Update ends.
type Ref struct {
	Field    string // where in the document, for messages and "who uses this?"
	Kind     string // of the target
	ID       string // of the target
	OnDelete OnDelete
}

// Sortable returns n as a part whose byte order is the order of numbers: its sign bit is
// flipped.
func Sortable(n int64) string { return fmt.Sprintf("%016x", uint64(n)^(1<<63)) }

// SortableTime returns t, to the microsecond, as a part that sorts by time.
func SortableTime(t time.Time) string { return Sortable(t.UnixMicro()) }

// The encoding of parts: each part ends with 0x01, and the bytes 0x00 to 0x02
// inside a part are escaped with 0x02. It keeps the order of parts, never holds
// NUL (which PostgreSQL refuses), and the beginning of a list of parts is a
// prefix of its encoding.
const (
	partEnd = "\x01"
	// afterAll sorts behind every encoded part; U+10FFFF is a noncharacter.
	afterAll = "\U0010FFFF"
	// mostKey is the longest encoded value in bytes; PostgreSQL's index rows end at 2,704.
	mostKey = 1024
)

func escapePart(s string) string {
	if !strings.ContainsAny(s, "\x00\x01\x02") {
		return s
	}
	return strings.NewReplacer("\x00", "\x02\x01", "\x01", "\x02\x02", "\x02", "\x02\x03").Replace(s)
}

// encode returns the stored value of the key.
func (k Key) encode() (string, error) {
	if k.Name == "" || len(k.Parts) == 0 {
		return "", fmt.Errorf("key %q needs a name and at least one part", k.Name)
	}
	var b strings.Builder
	for _, p := range k.Parts {
		if !utf8.ValidString(p) || strings.Contains(p, afterAll) {
			return "", fault.New(fault.Invalid, "%s %s holds bytes that are not text: use valid UTF-8", k.Name, quote(p))
		}
		b.WriteString(escapePart(p))
		b.WriteString(partEnd)
	}
	if b.Len() > mostKey {
		return "", fault.New(fault.Invalid, "%s %s is too long: at most %d bytes", k.Name, quote(strings.Join(k.Parts, ", ")), mostKey-2*len(k.Parts))
	}
	return b.String(), nil
}

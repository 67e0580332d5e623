package ledger

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"gatehouse/internal/tenant"
)

// IDLength is how many characters an id that is made here has.
const IDLength = 20

const (
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// NewID returns a new id: the kind's prefix of 3 characters and 17 random
// characters of base62, which is 101 bits. At least one of the 20 is a digit and
// one is a letter: clients tell ids from names by that.
func NewID(prefix string) string {
	return fillID(prefix, func(b []byte) {
		_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	})
}

// DeclaredID returns the id that a declared object gets when it is created: the
// same for the same tenant, kind and key, so that a file's objects can refer to
// one another before they exist.
func DeclaredID(t tenant.ID, kind, prefix string, key Key) string {
	seed := newHasher("gatehouse declared id v1")
	seed.text(string(t))
	seed.text(kind)
	seed.text(key.Name)
	for _, p := range key.Parts {
		seed.text(p)
	}
	state := seed.sum()
	var block uint64
	return fillID(prefix, func(b []byte) {
		for len(b) > 0 {
			sum := sha256.Sum256(binary.BigEndian.AppendUint64(state[:len(state):len(state)], block))
			block++
			b = b[copy(b, sum[:]):]
		}
	})
}

// fillID appends base62 characters to prefix, drawn evenly from the source.
func fillID(prefix string, source func([]byte)) string {
	id := make([]byte, 0, IDLength)
	id = append(id, prefix...)
	var buf [32]byte
	for len(id) < IDLength || !mixed(id) {
		if len(id) == IDLength {
			id = id[:len(prefix)]
		}
		source(buf[:])
		for _, b := range buf {
			// 248 is the last multiple of 62 in a byte: what lies above would favour
			// the first characters.
			if b < 248 && len(id) < IDLength {
				id = append(id, base62[b%62])
			}
		}
	}
	return string(id)
}

// mixed reports whether the id has both digits and letters.
func mixed(id []byte) bool {
	digits := 0
	for _, c := range id {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return digits > 0 && digits < len(id)
}

// validID reports whether id may name an object: 1 to 64 letters, digits,
// hyphens, underscores or dots.
func validID(id string) bool {
	if len(id) == 0 || len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

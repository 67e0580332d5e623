package keys

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Hash returns the at-rest form of a generated secret: SHA-256 in hex, 64
// characters. It is for secrets of at least 128 random bits only; passwords go
// to Passwords.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Matches reports in constant time whether hash is the Hash of secret.
func Matches(hash, secret string) bool { return Equal(hash, Hash(secret)) }

// Equal compares two texts in a time that depends on neither: both are hashed
// first, so their lengths do not show.
func Equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

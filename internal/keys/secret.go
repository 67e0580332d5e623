package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
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

// Derive returns a secret of 256 bits that only who has the first secret and the
// salt can find, as base64url text without padding (HMAC-SHA-256, RFC 2104). The
// secret is a generated one of at least 128 bits.
func Derive(secret, salt string) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = h.Write([]byte(salt)) // never fails
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// VerifyHS256 reports whether the signature of a text is by the secret (HS256, RFC
// 7518 section 3.2). The secret has at least 256 bits.
func VerifyHS256(secret []byte, text string, signature []byte) bool {
	h := hmac.New(sha256.New, secret)
	_, _ = h.Write([]byte(text)) // never fails
	return hmac.Equal(h.Sum(nil), signature)
}

// Challenge returns the S256 code challenge of a code verifier (RFC 7636 section
// 4.2).
func Challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

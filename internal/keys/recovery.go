package keys

import (
	"crypto/rand"
	"strings"
)

// recoveryDigits are base 32 without letters that look like others (Crockford's).
const recoveryDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// recoveryLength digits hold 130 bits.
const recoveryLength = 26

// NewRecoveryCode returns a fresh recovery code in groups for people to copy, of 130
// random bits.
func NewRecoveryCode() string {
	var raw [recoveryLength]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	var b strings.Builder
	for i, x := range raw {
		if i > 0 && i%5 == 0 && i < 25 {
			b.WriteByte('-')
		}
		b.WriteByte(recoveryDigits[x&31])
	}
	return b.String()
}

// RecoveryHash returns the at-rest form of a recovery code as somebody typed it:
// spaces, dashes and case do not count, and letters that look like digits are taken
// for those. It is empty for what cannot be one.
func RecoveryHash(typed string) string {
	if len(typed) > 4*recoveryLength {
		return ""
	}
	digits := strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\t' || r == '\r' || r == '\n':
			return -1
		case r == 'o' || r == 'O':
			return '0'
		case r == 'i' || r == 'I' || r == 'l' || r == 'L':
			return '1'
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, typed)
	if len(digits) != recoveryLength || strings.Trim(digits, recoveryDigits) != "" {
		return ""
	}
	return Hash(digits)
}

package keys

import (
	"crypto/rand"
	"encoding/base64"
)

const (
	base62   = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idLength = 20
)

// ID returns a new identifier of 20 characters: the prefix, such as "00u", and
// random base62 digits (17 of them hold 101 bits). An ID is no secret. The
// prefix must be shorter than 8 characters.
func ID(prefix string) string {
	if len(prefix) >= 8 {
		panic("keys: the id prefix " + prefix + " leaves too little room for chance")
	}
	b := make([]byte, len(prefix), idLength)
	copy(b, prefix)
	return string(appendBase62(b, idLength-len(prefix)))
}

// appendBase62 appends n random base62 digits, each equally likely: bytes from
// 248 (4 * 62) up are thrown away.
func appendBase62(b []byte, n int) []byte {
	var buf [32]byte
	for n > 0 {
		_, _ = rand.Read(buf[:]) // crypto/rand never fails: it ends the program instead
		for _, c := range buf {
			if c >= 248 || n == 0 {
				continue
			}
			b = append(b, base62[c%62])
			n--
		}
	}
	return b
}

// Secret returns a new secret of at least that many random bits (128 at the
// least) as base64url text without padding.
func Secret(bits int) string {
	if bits < 128 {
		bits = 128
	}
	b := make([]byte, (bits+7)/8)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewDigits returns so many random digits, each as likely as any other.
func NewDigits(n int) string {
	out := make([]byte, 0, n)
	var raw [1]byte
	for len(out) < n {
		_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
		if raw[0] < 250 {        // 250 is a multiple of 10: no digit is favoured
			out = append(out, '0'+raw[0]%10)
		}
	}
	return string(out)
}

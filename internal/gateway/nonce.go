package gateway

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

const (
	nonceLife  = 2 * time.Minute
	nonceRenew = time.Minute // an older one is answered with a new one (RFC 9449 section 8.2)
	nonceTag   = 16          // bytes of the authentication code
)

// nonces hands out what the next proof must hold (RFC 9449 section 9), and knows
// its own again without having kept them: a nonce is the time and an authentication
// code over it. Nodes with the same key know each other's.
type nonces struct {
	key []byte
	// since is a time in Unix seconds up to which none counts, 0 for no such time: which of
	// those were used is not known.
	since int64
}

func newNonces(key []byte) nonces {
	if len(key) == 0 {
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key)
	}
	return nonces{key: key}
}

func (n nonces) make(now time.Time) string {
	var b [8 + nonceTag]byte
	binary.BigEndian.PutUint64(b[:8], uint64(max(now.Unix(), n.since+1)))
	copy(b[8:], n.tag(b[:8]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// made returns when the nonce was made. ok is false when it is not ours, or too old.
func (n nonces) made(text string, now time.Time) (at time.Time, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 8+nonceTag || !hmac.Equal(b[8:], n.tag(b[:8])) {
		return time.Time{}, false
	}
	at = time.Unix(int64(binary.BigEndian.Uint64(b[:8])), 0)
	age := now.Sub(at)
	return at, age < nonceLife && age > -proofAhead && at.Unix() > n.since
}

func (n nonces) tag(of []byte) []byte {
	h := hmac.New(sha256.New, n.key)
	h.Write([]byte("dpop nonce"))
	h.Write(of)
	return h.Sum(nil)[:nonceTag]
}

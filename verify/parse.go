package verify

import "errors"

// JWS is a parsed compact JWS (RFC 7515 section 7.1). Nothing about it has been
// verified but its form.
type JWS struct {
	Algorithm Algorithm
	KeyID     string         // "" when missing
	Type      string         // typ as it stands, "" when missing
	Header    map[string]any // all of it: duplicates refused, crit and b64 refused
	Payload   []byte
	Signature []byte

	signed []byte
}

// Parse reads a compact JWS of at most max bytes (0 means DefaultMaxTokenBytes)
// by a strict grammar. The error is an *Error with ReasonMalformed.
func Parse(raw []byte, max int) (*JWS, error) {
	_, _ = raw, max
	return nil, errors.New("verify: pending")
}

// Verify reports whether the signature is by the key, which must allow the
// algorithm of the header.
func (j *JWS) Verify(k *Key) bool {
	return k.Allows(j.Algorithm) && j.Algorithm.check(k.pub, j.signed, j.Signature)
}

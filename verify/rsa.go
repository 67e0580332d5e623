package verify

import (
	"bytes"
	"crypto"
	"crypto/fips140"
	"crypto/rsa"

	"filippo.io/bigmod"
)

// preparedRSA is an RSA public key whose modulus is prepared once. crypto/rsa prepares it anew for
// every signature, which is a third of what a check costs.
type preparedRSA struct {
	modulus  *bigmod.Modulus
	exponent uint
}

// prepareRSA returns nil where the standard library alone may check signatures: in FIPS 140 mode.
func prepareRSA(k *rsa.PublicKey) *preparedRSA {
	if fips140.Enabled() {
		return nil
	}
	m, err := bigmod.NewModulus(k.N.Bytes())
	if err != nil {
		return nil
	}
	return &preparedRSA{modulus: m, exponent: uint(k.E)} // NewKey has seen that it is positive
}

// verify checks a signature of RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2.2): it makes
// what the signature must encode and compares all of it, so that nothing is parsed that the
// signer has chosen.
func (k *preparedRSA) verify(hash crypto.Hash, sum, sig []byte) bool {
	size := k.modulus.Size()
	if len(sig) != size {
		return false
	}
	s, err := bigmod.NewNat().SetBytes(sig, k.modulus)
	if err != nil { // not below the modulus
		return false
	}
	var memory [maxRSABits / 8]byte
	want := encodePKCS1(memory[:0], size, hash, sum)
	return want != nil && bytes.Equal(bigmod.NewNat().ExpShortVarTime(s, k.exponent, k.modulus).Bytes(k.modulus), want)
}

// encodePKCS1 appends EMSA-PKCS1-v1_5 of a hash, in size bytes (RFC 8017 section 9.2):
// 0, 1, padding of 0xff, 0, and the DER of DigestInfo. It returns nil for a hash without one.
func encodePKCS1(b []byte, size int, hash crypto.Hash, sum []byte) []byte {
	// The object identifier ends in 1, 2 or 3 for SHA-256, SHA-384, SHA-512.
	var last byte
	switch hash {
	case crypto.SHA256:
		last = 1
	case crypto.SHA384:
		last = 2
	case crypto.SHA512:
		last = 3
	default:
		return nil
	}
	const oid = 15 // bytes of DigestInfo up to the length of the hash
	n := len(sum)
	info := [...]byte{
		0x30, byte(oid + 2 + n), // SEQUENCE
		0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last, // AlgorithmIdentifier
		0x05, 0x00, // NULL
		0x04, byte(n), // OCTET STRING
	}
	if size < len(info)+n+11 {
		return nil
	}
	b = append(b, 0, 1)
	for range size - len(info) - n - 3 {
		b = append(b, 0xff)
	}
	b = append(b, 0)
	b = append(b, info[:]...)
	return append(b, sum...)
}

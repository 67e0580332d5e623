package verify

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// The sizes of RSA keys that are used: smaller ones are weak (RFC 7518 section
// 3.3), larger ones only cost time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// KeySource gives the public keys of one issuer. It is compared by ==, so it
// should be a pointer.
type KeySource interface {
	// Key returns the key with the kid for the algorithm. An empty kid means
	// that the token names none: then the only key that fits the algorithm is
	// returned, if there is exactly one. An *Error with ReasonUnknownKey or
	// ReasonIssuerUnreachable says why there is none.
	Key(ctx context.Context, kid string, alg Algorithm) (*Key, error)
}

// Key is one public key of an issuer. A KeySource must hand out the same *Key
// for as long as its material is the same, and Retire it when it goes: cached
// tokens that it signed are then verified anew.
type Key struct {
	id    string
	alg   Algorithm // "" = any that fits the type
	pub   crypto.PublicKey
	rsa   *preparedRSA // pub prepared for PKCS #1 v1.5; nil when it is no RSA key, or not to be
	until atomic.Int64 // Unix nanoseconds up to which the key may be used
}

// NewKey returns a key. alg may be empty: then every algorithm that fits the
// type is allowed. pub is an *rsa.PublicKey of 2048 to 8192 bits, an
// *ecdsa.PublicKey on P-256, P-384 or P-521, or an ed25519.PublicKey.
func NewKey(kid string, alg Algorithm, pub crypto.PublicKey) (*Key, error) {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits; 2048 to 8192 are accepted", n)
		}
		if k.E < 3 || k.E&1 == 0 {
			return nil, errors.New("an RSA key whose exponent is not an odd number from 3 up")
		}
		if k.N.Bit(0) == 0 {
			return nil, errors.New("an RSA key with an even modulus")
		}
		if isROCA(k.N) {
			return nil, errors.New("an RSA key that can be factored (CVE-2017-15361)")
		}
	case *ecdsa.PublicKey:
		if _, err := k.ECDH(); err != nil { // checks that the point is on the curve
			return nil, errors.New("an elliptic curve key that is not a point of its curve")
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return nil, errors.New("an Ed25519 key of a wrong length")
		}
	default:
		return nil, fmt.Errorf("a key of type %T, which is not supported", pub)
	}
	if alg != "" && !alg.Known() {
		return nil, fmt.Errorf("algorithm %q is not supported", string(alg))
	}
	if alg != "" && !alg.fits(pub) {
		return nil, fmt.Errorf("algorithm %s does not fit the type of the key", alg)
	}
	key := &Key{id: kid, alg: alg, pub: pub}
	if k, ok := pub.(*rsa.PublicKey); ok {
		key.rsa = prepareRSA(k)
	}
	key.until.Store(math.MaxInt64)
	return key, nil
}

// ID returns the kid; it may be empty.
func (k *Key) ID() string { return k.id }

// Algorithm returns the only algorithm that the key allows, or "".
func (k *Key) Algorithm() Algorithm { return k.alg }

// Public returns the key itself.
func (k *Key) Public() crypto.PublicKey { return k.pub }

// Allows reports whether the key may check signatures of the algorithm.
func (k *Key) Allows(alg Algorithm) bool {
	return (k.alg == "" || k.alg == alg) && alg.fits(k.pub)
}

// Verify reports whether the key allows the algorithm and has signed the text with it.
// The signature has the form that JOSE gives it, for ECDSA r and s in full length.
func (k *Key) Verify(alg Algorithm, text, signature []byte) bool {
	return k.Allows(alg) && alg.check(k, text, signature)
}

// Retire ends the use of the key: tokens that it signed leave the cache.
func (k *Key) Retire() { k.until.Store(0) }

// UsableUntil sets the time up to which the key may be used. A new key has no
// such limit.
func (k *Key) UsableUntil(t time.Time) { k.until.Store(t.UnixNano()) }

// usable reports whether the key may be used at a time in Unix nanoseconds.
func (k *Key) usable(now int64) bool { return now < k.until.Load() }

// same reports whether both are the same key for the same use.
func (k *Key) same(o *Key) bool {
	p, ok := k.pub.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.id == o.id && k.alg == o.alg && p.Equal(o.pub)
}

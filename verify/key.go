package verify

import (
	"context"
	"crypto"
	"errors"
	"sync/atomic"
	"time"
)

// KeySource gives the public keys of one issuer.
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
	until atomic.Int64 // Unix nanoseconds up to which the key may be used
}

// NewKey returns a key. alg may be empty: then every algorithm that fits the
// type is allowed. pub is an *rsa.PublicKey of at least 2048 bits, an
// *ecdsa.PublicKey on P-256, P-384 or P-521, or an ed25519.PublicKey.
func NewKey(kid string, alg Algorithm, pub crypto.PublicKey) (*Key, error) {
	_, _, _ = kid, alg, pub
	return nil, errors.New("verify: pending")
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

// Retire ends the use of the key: tokens that it signed leave the cache.
func (k *Key) Retire() { k.until.Store(0) }

// UsableUntil sets the time up to which the key may be used. A new key has no
// such limit.
func (k *Key) UsableUntil(t time.Time) { k.until.Store(t.UnixNano()) }

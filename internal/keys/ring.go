package keys

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// RingConfig is what a Ring is made of.
type RingConfig struct {
	Tenant tenant.ID
	Server string // the name of the ring
	Store  RingStore
	Sealer *Sealer
	Now    func() time.Time // nil means time.Now
	// Algorithms the ring has keys for; the first is the default. Empty means
	// ES256 alone.
	Algorithms []verify.Algorithm
	// Rotation is how long a key signs. 0 means 90 days.
	Rotation time.Duration
	// Ahead is how long a key is published before it signs, and so how long
	// others may cache the set. 0 means 24 h.
	Ahead time.Duration
	// Keep is how long a key stays published after its last signature: the
	// longest lifetime of a token. 0 means 24 h.
	Keep time.Duration
}

// Ring is the signing keys of one authorization server. It signs from memory;
// Tend does what time asks for. It is safe for concurrent use.
type Ring struct{}

// OpenRing loads the ring and, when it is new, makes its first key for the
// default algorithm if that is not RSA. Keys that are still missing are made by Tend,
// which OpenRing starts once in the background; Sign waits for them. Close it.
func OpenRing(ctx context.Context, cfg RingConfig) (*Ring, error) {
	_, _ = ctx, cfg
	return nil, fault.New(fault.Unavailable, "pending")
}

// Sign returns claims (a JSON object) as a compact JWS by the active key of the
// algorithm; an empty alg means the default. typ goes into the header when it is
// not empty.
func (r *Ring) Sign(ctx context.Context, claims []byte, typ string, alg verify.Algorithm) (string, error) {
	_, _, _, _ = ctx, claims, typ, alg
	return "", fault.New(fault.Unavailable, "pending")
}

// JWKS returns the published key set (RFC 7517) in a stable order, and its
// strong ETag with the quotes. The bytes are shared and not to be changed.
func (r *Ring) JWKS() (document []byte, etag string) { return nil, "" }

// KeySource returns the ring's published keys for a verify.Verifier in the same
// process. It is the same value every time.
func (r *Ring) KeySource() verify.KeySource { return nil }

// Tend does what is due: it reads what other nodes did, activates a NEXT key
// whose time has come, makes a new NEXT key, and removes expired ones. Call it every
// minute or so, never on a request: it may make an RSA key.
func (r *Ring) Tend(ctx context.Context) error { _ = ctx; return nil }

// Reload reads the keys from the store.
func (r *Ring) Reload(ctx context.Context) error { _ = ctx; return nil }

// Rotate makes the NEXT key of the algorithm sign from now on, and a new NEXT
// key. When another node rotates at the same time one of both does it, and both succeed.
// An empty alg means the default.
func (r *Ring) Rotate(ctx context.Context, alg verify.Algorithm) error { _, _ = ctx, alg; return nil }

// Revoke takes a key out of the published set at once, because its private part
// may be known to others. If it was the active one, the next one signs.
func (r *Ring) Revoke(ctx context.Context, kid string) error { _, _ = ctx, kid; return nil }

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	ID        string
	Algorithm verify.Algorithm
	State     State
	Created   time.Time
	Activates time.Time
	Expires   time.Time
}

// Keys returns the keys of the ring, newest first.
func (r *Ring) Keys() []KeyInfo { return nil }

// Close waits for work in the background to end.
func (r *Ring) Close() error { return nil }

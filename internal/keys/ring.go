package keys

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
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
	// Algorithms the ring has keys for: RS256, PS256, ES256 or EdDSA; the first
	// is the default. Empty means ES256 alone.
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

// lag is how long another node may go on signing with a key that this one has
// expired: the time between its calls of Tend, and some.
const lag = 10 * time.Minute

// missInterval is the least time between two reads of the store that unknown
// kids cause.
const missInterval = 10 * time.Second

// Ring is the signing keys of one authorization server. It signs from memory;
// Tend does what time asks for. It is safe for concurrent use.
type Ring struct {
	cfg    RingConfig
	cancel context.CancelFunc
	ctx    context.Context // of the work in the background; ends with Close
	wg     sync.WaitGroup

	view atomic.Pointer[view]

	loading sync.Mutex                         // one read of the store at a time, so that views follow each other
	publish func(document []byte, etag string) // guarded by loading; nil for nobody
	tending sync.Mutex                         // one change of the ring at a time in this process
	first   chan struct{}
	closing sync.Mutex
	closed  bool

	missed atomic.Int64 // Unix nanoseconds: when an unknown kid last caused a read
}

// OpenRing loads the ring and, when it is new, makes its first key for the
// default algorithm unless that is RSA. Keys that are still missing are made by
// Tend, which OpenRing starts once in the background; Sign waits for them. Close it.
func OpenRing(ctx context.Context, cfg RingConfig) (_ *Ring, err error) {
	defer fault.Wrap(&err, "open key ring %q of tenant %q", cfg.Server, cfg.Tenant)
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []verify.Algorithm{verify.ES256}
	}
	for _, a := range cfg.Algorithms {
		if !slices.Contains([]verify.Algorithm{verify.RS256, verify.PS256, verify.ES256, verify.EdDSA}, a) {
			return nil, fault.New(fault.Unsupported, "signing with %s is not supported; use RS256, PS256, ES256 or EdDSA", a)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Rotation = orDefault(cfg.Rotation, 90*24*time.Hour)
	cfg.Ahead = orDefault(cfg.Ahead, 24*time.Hour)
	cfg.Keep = orDefault(cfg.Keep, 24*time.Hour)
	r := &Ring{cfg: cfg, first: make(chan struct{})}
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	if a := cfg.Algorithms[0]; r.view.Load().active(a) == nil && a != verify.RS256 && a != verify.PS256 {
		r.tending.Lock()
		err = r.tendAlgorithm(ctx, a, false)
		r.tending.Unlock()
		if err != nil {
			return nil, err
		}
	}
	r.ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.background(func() {
		defer close(r.first)
		_ = r.Tend(r.ctx) // what failed is tried again by the next call of Tend
	})
	return r, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// background runs work that Close waits for.
func (r *Ring) background(work func()) {
	r.closing.Lock()
	defer r.closing.Unlock()
	if !r.closed {
		r.wg.Go(work)
	}
}

// Close ends work in the background and waits for it. The ring goes on signing
// with the keys it has.
func (r *Ring) Close() error {
	r.closing.Lock()
	r.closed = true
	r.closing.Unlock()
	r.cancel()
	r.wg.Wait()
	return nil
}

// Sign returns claims (a JSON object) as a compact JWS by the active key of the
// algorithm; an empty alg means the default. typ goes into the header when it is
// not empty. The error is fault.Unsupported for an algorithm that the ring has
// not, and fault.Unavailable when its first key could not be made yet.
func (r *Ring) Sign(ctx context.Context, claims []byte, typ string, alg verify.Algorithm) (string, error) {
	jws, err := r.AppendSign(ctx, nil, claims, typ, alg)
	return string(jws), err
}

// AppendSign appends to dst what Sign returns. The claims must not be in its spare room.
func (r *Ring) AppendSign(ctx context.Context, dst, claims []byte, typ string, alg verify.Algorithm) ([]byte, error) {
	if alg == "" {
		alg = r.cfg.Algorithms[0]
	}
	k := r.view.Load().active(alg)
	if k == nil {
		var err error
		if k, err = r.awaitFirst(ctx, alg); err != nil {
			return nil, err
		}
	}
	return k.signer.appendSigned(dst, claims, typ)
}

// Await waits for the first key of the default algorithm of a new ring; its errors are
// those of Sign.
func (r *Ring) Await(ctx context.Context) error {
	_, err := r.awaitFirst(ctx, r.cfg.Algorithms[0])
	return err
}

// awaitFirst waits for the first key of an algorithm, which is being made.
func (r *Ring) awaitFirst(ctx context.Context, alg verify.Algorithm) (*ringKey, error) {
	if !slices.Contains(r.cfg.Algorithms, alg) {
		return nil, fault.New(fault.Unsupported, "the key ring %q has no keys for %s", r.cfg.Server, alg)
	}
	for {
		v := r.view.Load()
		if k := v.active(alg); k != nil {
			return k, nil
		}
		select {
		case <-v.replaced:
		case <-r.first:
			if k := r.view.Load().active(alg); k != nil {
				return k, nil
			}
			return nil, fault.New(fault.Unavailable, "the key ring %q has no key for %s yet", r.cfg.Server, alg)
		case <-ctx.Done():
			return nil, fault.Because(context.Cause(ctx), fault.Timeout, "the key ring %q has no key for %s yet", r.cfg.Server, alg)
		}
	}
}

// JWKS returns the published key set (RFC 7517) in a stable order, and its
// strong ETag with the quotes. The bytes are shared and not to be changed.
func (r *Ring) JWKS() (document []byte, etag string) {
	v := r.view.Load()
	return v.jwks, v.etag
}

// OnPublish makes the ring call f with the published key set, as JWKS returns it,
// now and each time it has changed; never with an empty one. There is one such f: it takes
// the place of another. It is not to call the ring.
func (r *Ring) OnPublish(f func(document []byte, etag string)) {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.publish = f
	r.tell(r.view.Load())
}

// tell calls what OnPublish was given. loading is held.
func (r *Ring) tell(v *view) {
	if r.publish != nil && len(v.keys) > 0 {
		r.publish(v.jwks, v.etag)
	}
}

// KeySource returns the ring's published keys for a verify.Verifier in the same
// process. It is the same value every time.
func (r *Ring) KeySource() verify.KeySource { return (*ringSource)(r) }

// KeyInfo is what may be shown of a key.
type KeyInfo struct {
	ID        string
	Algorithm verify.Algorithm
	State     State
	Created   time.Time
	Activates time.Time // zero for a NEXT key
	Expires   time.Time // zero unless EXPIRED or REVOKED
}

// Keys returns the keys of the ring, newest first.
func (r *Ring) Keys() []KeyInfo {
	records := r.view.Load().records
	out := make([]KeyInfo, 0, len(records))
	for _, rec := range slices.Backward(records) {
		out = append(out, KeyInfo{rec.ID, rec.Algorithm, rec.State, rec.Created, rec.Activates, rec.Expires})
	}
	return out
}

// ringSource is a Ring as a verify.KeySource.
type ringSource Ring

// Key implements verify.KeySource. A kid that is not there may have been made by
// another node a moment ago, so the store is read again, at most once per 10 s.
func (s *ringSource) Key(ctx context.Context, kid string, alg verify.Algorithm) (*verify.Key, error) {
	r := (*Ring)(s)
	if k := r.view.Load().public(kid, alg); k != nil {
		return k, nil
	}
	now, last := r.cfg.Now().UnixNano(), r.missed.Load()
	if kid != "" && now-last >= int64(missInterval) && r.missed.CompareAndSwap(last, now) {
		if err := r.Reload(ctx); err == nil {
			if k := r.view.Load().public(kid, alg); k != nil {
				return k, nil
			}
		}
	}
	return nil, &verify.Error{Reason: verify.ReasonUnknownKey, Detail: "the key ring publishes no such key"}
}

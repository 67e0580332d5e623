package grant

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// RingsConfig is what Rings needs.
type RingsConfig struct {
	Store  keys.RingStore
	Sealer *keys.Sealer
	Now    func() time.Time // the clock
	Log    *slog.Logger     // told when a ring cannot be tended; nil = discard
	// Rotation and Ahead are those of keys.RingConfig; 0 means its defaults.
	Rotation, Ahead time.Duration
	// Every is how often Run tends the rings; 0 means a minute.
	Every time.Duration
}

// noRotation is the rotation of servers whose keys are rotated by hand.
const noRotation = 100 * 365 * 24 * time.Hour

// Rings holds the signing keys of every authorization server that has been asked
// for, one ring each: no server ever signs or verifies with another's keys.
type Rings struct {
	cfg  RingsConfig
	open sync.Map // ringName to *openRing

	mu     sync.Mutex // held while a ring is opened
	closed bool
}

type ringName struct {
	tenant tenant.ID
	server string // id
}

// openRing is a ring and the settings it was opened with.
type openRing struct {
	ring       *keys.Ring
	mode       string
	algorithms []verify.Algorithm
}

// NewRings returns Rings that has opened none yet. Close it.
func NewRings(cfg RingsConfig) *Rings {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Minute
	}
	return &Rings{cfg: cfg}
}

// Ring returns the ring of a server, which always has keys for the server's
// present algorithm.
func (r *Rings) Ring(ctx context.Context, t tenant.ID, s *access.ServerView) (*keys.Ring, error) {
	name := ringName{t, s.ID}
	if o := r.opened(name); o != nil && o.fits(s) {
		return o.ring, nil
	}
	return r.reopen(ctx, name, s)
}

// opened returns the open ring of the name, or nil.
func (r *Rings) opened(name ringName) *openRing {
	v, _ := r.open.Load(name)
	o, _ := v.(*openRing)
	return o
}

// fits reports whether the ring serves the server as it is now. The first
// algorithm of a ring is the one that the server signs with.
func (o *openRing) fits(s *access.ServerView) bool {
	return o.mode == s.Credentials.Signing.RotationMode && string(o.algorithms[0]) == s.Algorithm
}

func (r *Rings) reopen(ctx context.Context, name ringName, s *access.ServerView) (_ *keys.Ring, err error) {
	defer fault.Wrap(&err, "open the keys of authorization server %s", s.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fault.New(fault.Unavailable, "the server is shutting down")
	}
	old := r.opened(name)
	if old != nil && old.fits(s) {
		return old.ring, nil
	}
	algorithms, err := r.algorithms(ctx, name, verify.Algorithm(s.Algorithm))
	if err != nil {
		return nil, err
	}
	cfg := keys.RingConfig{
		Tenant: name.tenant, Server: name.server, Store: r.cfg.Store, Sealer: r.cfg.Sealer, Now: r.cfg.Now,
		Algorithms: algorithms, Rotation: r.cfg.Rotation, Ahead: r.cfg.Ahead, Keep: access.MaxAccessTokenLifetime,
	}
	if s.Credentials.Signing.RotationMode == access.RotationManual {
		cfg.Rotation = noRotation
	}
	// The ring outlives the request that happens to ask for it first.
	ring, err := keys.OpenRing(context.WithoutCancel(ctx), cfg)
	if err != nil {
		return nil, err
	}
	r.open.Store(name, &openRing{ring: ring, mode: s.Credentials.Signing.RotationMode, algorithms: algorithms})
	if old != nil {
		if err := old.ring.Close(); err != nil {
			r.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a key ring did not close", slog.String("server", s.ID), slog.Any("error", err))
		}
	}
	return ring, nil
}

// algorithms returns the server's algorithm, and behind it those of older keys:
// tokens that they signed stay verifiable after the algorithm was changed.
func (r *Rings) algorithms(ctx context.Context, name ringName, first verify.Algorithm) ([]verify.Algorithm, error) {
	list := []verify.Algorithm{first}
	records, err := r.cfg.Store.Keys(ctx, name.tenant, name.server)
	if err != nil {
		return nil, err
	}
	for _, k := range records {
		if k.State != keys.Revoked && !slices.Contains(list, k.Algorithm) {
			list = append(list, k.Algorithm)
		}
	}
	slices.Sort(list[1:])
	return list, nil
}

// Sign returns the claims as a token of the server.
func (r *Rings) Sign(ctx context.Context, t tenant.ID, s *access.ServerView, claims []byte, typ string) (string, error) {
	ring, err := r.Ring(ctx, t, s)
	if err != nil {
		return "", err
	}
	return ring.Sign(ctx, claims, typ, verify.Algorithm(s.Algorithm))
}

// Rotate implements access.Rotator.
func (r *Rings) Rotate(ctx context.Context, t tenant.ID, s *access.ServerView) error {
	ring, err := r.Ring(ctx, t, s)
	if err != nil {
		return err
	}
	return ring.Rotate(ctx, verify.Algorithm(s.Algorithm))
}

// Run tends the open rings until ctx ends: keys are made ahead, take over and
// leave when their time has come.
func (r *Rings) Run(ctx context.Context) error {
	tick := time.NewTicker(r.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.Tend(ctx)
		}
	}
}

// Tend tends every open ring once.
func (r *Rings) Tend(ctx context.Context) {
	for name, o := range r.all() {
		if err := o.ring.Tend(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.LogAttrs(ctx, slog.LevelError, "signing keys could not be tended, the present ones go on",
				slog.String("server", name.server), slog.Any("error", err))
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// Close closes every ring. Ring answers Unavailable from then on.
func (r *Rings) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var errs []error
	for name, o := range r.all() {
		errs = append(errs, o.ring.Close())
		r.open.Delete(name)
	}
	return errors.Join(errs...)
}

// all yields the open rings.
func (r *Rings) all() iter.Seq2[ringName, *openRing] {
	return func(yield func(ringName, *openRing) bool) {
		r.open.Range(func(k, v any) bool {
			name, ok1 := k.(ringName)
			o, ok2 := v.(*openRing)
			return !ok1 || !ok2 || yield(name, o)
		})
	}
}

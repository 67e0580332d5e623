package session

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ratelimit"
)

// The purposes of what waits.
const (
	PurposeSignIn   = "signin"  // a person is being asked
	PurposePushed   = "par"     // a pushed authorization request (RFC 9126)
	PurposePasskey  = "passkey" // a challenge for a passkey: its name is the challenge
	PurposeProvider = "idp"     // a browser is at an external identity provider
	PurposeLeaving  = "idpout"  // it is there to sign out
)

// Waiting is a request that waits, by the hash of its name.
type Waiting struct {
	Hash    string // keys.Hash of the name
	Purpose string
	Browser string // keys.Hash of the browser's secret, or the id of the client that pushed it
	Data    []byte // what the request is, to whoever put it there
	Created time.Time
	Expires time.Time
}

// WaitingStore is what a Room needs of the store. Every method answers for the
// tenant of the context.
type WaitingStore interface {
	AddWaiting(ctx context.Context, w Waiting) error
	// Waiting returns what was not taken, or fault.NotFound.
	Waiting(ctx context.Context, purpose, hash string) (Waiting, error)
	// TakeWaiting takes it, once: of any number of callers one gets true.
	TakeWaiting(ctx context.Context, purpose, hash string) (bool, error)
	// AreWaiting reports whether at least n, from 1 on, are waiting at a time.
	AreWaiting(ctx context.Context, now time.Time, n int) (bool, error)
}

// RoomConfig is what a Room needs.
type RoomConfig struct {
	Store WaitingStore
	Now   func() time.Time // the clock
	// Most bounds how many requests of a tenant wait; PerNetwork and PerClient how many
	// come in a minute from where nobody authenticates, and of one app that does. 0: the
	// defaults.
	Most, PerNetwork, PerClient int
}

// Room is where requests wait.
type Room struct {
	cfg     RoomConfig
	limiter *ratelimit.Limiter
}

// NewRoom returns a Room.
func NewRoom(cfg RoomConfig) *Room {
	for _, d := range []struct {
		value    *int
		fallback int
	}{{&cfg.Most, mostWaiting}, {&cfg.PerNetwork, perNetwork}, {&cfg.PerClient, perClient}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	return &Room{cfg: cfg, limiter: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: networksOfRoom}))}
}

// Add lets a request wait, and returns its name: 256 random bits. What strangers can
// bring about is admitted first.
func (r *Room) Add(ctx context.Context, purpose, browser string, data []byte, lasting time.Duration) (name string, err error) {
	defer fault.Wrap(&err, "keep a request")
	name = keys.Secret(256)
	now := r.cfg.Now()
	return name, r.cfg.Store.AddWaiting(ctx, Waiting{
		Hash: keys.Hash(name), Purpose: purpose, Browser: browser, Data: data, Created: now, Expires: now.Add(lasting),
	})
}

// Find returns what waits under a name, or fault.NotFound: the same for what never
// was, what was taken and what is over.
func (r *Room) Find(ctx context.Context, purpose, name string) (Waiting, error) {
	if name == "" || len(name) > 128 {
		return Waiting{}, errOver()
	}
	w, err := r.cfg.Store.Waiting(ctx, purpose, keys.Hash(name))
	if err == nil && !r.cfg.Now().Before(w.Expires) {
		err = errOver()
	}
	return w, err
}

// Take takes what waits: nobody finds it from then on. It reports false when
// somebody was first.
func (r *Room) Take(ctx context.Context, w *Waiting) (bool, error) {
	return r.cfg.Store.TakeWaiting(context.WithoutCancel(ctx), w.Purpose, w.Hash)
}

func errOver() error { return fault.New(fault.NotFound, "there is no such request, or it is over") }

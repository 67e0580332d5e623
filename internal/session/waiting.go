package session

import (
	"context"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

// The purposes of what waits.
const (
	PurposeSignIn   = "signin"  // a person is being asked
	PurposePushed   = "par"     // a pushed authorization request (RFC 9126)
	PurposePasskey  = "passkey" // a challenge for a passkey: its name is the challenge
	PurposeProvider = "idp"     // a browser is at an external identity provider
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
}

// Room is where requests wait.
type Room struct {
	store WaitingStore
	now   func() time.Time
}

// NewRoom returns a Room with the clock.
func NewRoom(store WaitingStore, now func() time.Time) *Room { return &Room{store: store, now: now} }

// Add lets a request wait, and returns its name: 256 random bits.
func (r *Room) Add(ctx context.Context, purpose, browser string, data []byte, lasting time.Duration) (name string, err error) {
	defer fault.Wrap(&err, "keep a request")
	name = keys.Secret(256)
	now := r.now()
	return name, r.store.AddWaiting(ctx, Waiting{
		Hash: keys.Hash(name), Purpose: purpose, Browser: browser, Data: data, Created: now, Expires: now.Add(lasting),
	})
}

// Find returns what waits under a name, or fault.NotFound: the same for what never
// was, what was taken and what is over.
func (r *Room) Find(ctx context.Context, purpose, name string) (Waiting, error) {
	if name == "" || len(name) > 128 {
		return Waiting{}, errOver()
	}
	w, err := r.store.Waiting(ctx, purpose, keys.Hash(name))
	if err == nil && !r.now().Before(w.Expires) {
		err = errOver()
	}
	return w, err
}

// Take takes what waits: nobody finds it from then on. It reports false when
// somebody was first.
func (r *Room) Take(ctx context.Context, w *Waiting) (bool, error) {
	return r.store.TakeWaiting(context.WithoutCancel(ctx), w.Purpose, w.Hash)
}

func errOver() error { return fault.New(fault.NotFound, "there is no such request, or it is over") }

package verify

import (
	"context"
	"errors"
	"time"
)

// Fetcher gets a document. It must bound time and size by itself, refuse
// redirects, and return an error for every status but 200.
type Fetcher func(ctx context.Context, url string) ([]byte, error)

// Store keeps an issuer's last good keys over a restart. Load returns nil and
// no error when there is nothing.
type Store interface {
	Load(issuer string) ([]byte, error)
	Save(issuer string, document []byte) error
}

// RemoteConfig is what RemoteKeys is made of.
type RemoteConfig struct {
	Issuer  string  // the issuer identifier; discovery starts from it
	JWKSURL string  // skips discovery when it is set
	Fetch   Fetcher // nil means a client of its own: no redirects, 5 s, 1 MiB
	Store   Store   // nil means none
	Now     func() time.Time
	// MinInterval is the least time between two fetches that tokens cause.
	// 0 means 10 s.
	MinInterval time.Duration
	// Refresh is how often the keys are fetched anyway. 0 means 1 h.
	Refresh time.Duration
	// MaxStale is how long the last good keys are used when the issuer cannot
	// be reached. 0 means 24 h.
	MaxStale time.Duration
}

// RemoteKeys are the keys that an issuer publishes (SECURITY: last good keys
// stay in use; a bad answer never replaces them). It owns a goroutine: Close it.
type RemoteKeys struct{}

// NewRemoteKeys starts to fetch and returns at once.
func NewRemoteKeys(cfg RemoteConfig) (*RemoteKeys, error) {
	_ = cfg
	return nil, errors.New("verify: pending")
}

// Key implements KeySource. An unknown kid causes at most one fetch per
// MinInterval, and the callers that ask meanwhile wait for it together.
func (r *RemoteKeys) Key(ctx context.Context, kid string, alg Algorithm) (*Key, error) {
	_, _, _ = ctx, kid, alg
	return nil, errors.New("verify: pending")
}

// Fetch gets discovery and keys now, or joins a fetch that runs, and returns
// how it ended. It is for start-up and for diagnosis.
func (r *RemoteKeys) Fetch(ctx context.Context) error { _ = ctx; return nil }

// KeyState is what is known about an issuer's keys, for readiness and diagnosis.
type KeyState struct {
	Issuer      string
	JWKSURL     string    // "" until discovery has answered
	Keys        []string  // usable keys as "kid (alg)", sorted
	Ignored     []string  // published keys that are not used, and why
	Fetched     time.Time // when the keys in use were got; zero when there are none
	Attempt     time.Time // when a fetch was last started
	Err         error     // why the last fetch failed; nil when it did not
	StaleSince  time.Time // since when fetches have failed; zero when the last one did not
	FromStore   bool      // the keys in use come from the Store
	UsableUntil time.Time // when the keys in use will be too old; zero when there are none
}

// State returns a copy of what is known now.
func (r *RemoteKeys) State() KeyState { return KeyState{} }

// Close stops the goroutine and waits for it. The keys that are there go on
// being used until they are too old.
func (r *RemoteKeys) Close() error { return nil }

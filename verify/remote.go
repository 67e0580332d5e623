package verify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Fetcher gets a document. It must bound time and size by itself, refuse
// redirects, and return an error for every status but 200. It may be asked for
// the addresses that RemoteConfig names and those that discovery finds.
type Fetcher func(ctx context.Context, url string) ([]byte, error)

// Store keeps an issuer's last good keys over a restart. Load returns nil and
// no error when there is nothing. Directory is one.
type Store interface {
	Load(issuer string) ([]byte, error)
	Save(issuer string, document []byte) error
}

// RemoteConfig is what RemoteKeys is made of.
type RemoteConfig struct {
	Issuer  string           // the issuer identifier; discovery starts from it
	JWKSURL string           // skips discovery when it is set
	Fetch   Fetcher          // nil means a client of its own: no redirects, 5 s, 1 MiB
	Store   Store            // nil means none
	Fetched func(err error)  // told of every attempt to get the keys: nil when what came is used; nil means nobody
	Now     func() time.Time // nil means time.Now
	// MinInterval is the least time between two fetches that tokens cause.
	// 0 means 10 s.
	MinInterval time.Duration
	// Refresh is how often the keys are fetched anyway. 0 means 1 h.
	Refresh time.Duration
	// MaxStale is how long the last good keys are used when the issuer cannot
	// be reached. 0 means 24 h.
	MaxStale time.Duration
}

const (
	fetchTime    = 5 * time.Second
	maxWaiters   = 4096             // requests that wait for one fetch
	retryFirst   = time.Second      // after a failed fetch in the background, doubled each time
	retryBare    = 10 * time.Second // at most that while there are no keys
	retryLast    = time.Minute      // at most that else
	maxFruitless = 10 * time.Minute // see refetch
)

// RemoteKeys are the keys that an issuer publishes. They are fetched in the
// background and when a token names a key that is not there. The last good keys
// stay in use when the issuer is down, and a bad answer never replaces them. It
// owns goroutines: Close it.
type RemoteKeys struct {
	cfg    RemoteConfig
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	client *ownClient // nil when the Fetcher is given

	set      atomic.Pointer[KeySet] // nil until there are keys
	endpoint atomic.Pointer[string] // the token endpoint, when known

	mu        sync.Mutex
	flight    *flight
	asked     time.Time     // when an unknown kid last caused a fetch
	doubted   time.Time     // when a bad signature last caused one
	patience  time.Duration // how long to wait before a bad signature may again
	jwksURL   string
	fetched   time.Time
	attempt   time.Time
	stale     time.Time
	err       error
	fromStore bool
	closed    bool
}

// flight is one fetch that runs; everybody who needs it waits for it.
type flight struct {
	done    chan struct{}
	err     error // set before done is closed
	waiters atomic.Int32
}

// NewRemoteKeys loads the keys of the Store, starts to fetch, and returns at
// once. The error says which setting is wrong.
func NewRemoteKeys(cfg RemoteConfig) (*RemoteKeys, error) {
	if err := checkURL(cfg.Issuer, cfg.Issuer); err != nil {
		return nil, &Error{Reason: ReasonIssuerUnreachable, Issuer: cfg.Issuer, Detail: "the issuer identifier is not usable", Cause: err}
	}
	if cfg.JWKSURL != "" {
		if err := checkURL(cfg.JWKSURL, cfg.Issuer); err != nil {
			return nil, &Error{Reason: ReasonIssuerUnreachable, Issuer: cfg.Issuer, Detail: "the address of the key set is not usable", Cause: err}
		}
	}
	r := &RemoteKeys{cfg: cfg, jwksURL: cfg.JWKSURL}
	if cfg.Now == nil {
		r.cfg.Now = time.Now
	}
	if cfg.Fetch == nil {
		r.client = newOwnClient()
		r.cfg.Fetch = r.client.fetch
	}
	r.cfg.MinInterval = orDefault(cfg.MinInterval, 10*time.Second)
	r.cfg.Refresh = orDefault(cfg.Refresh, time.Hour)
	r.cfg.MaxStale = orDefault(cfg.MaxStale, 24*time.Hour)
	r.patience = r.cfg.MinInterval
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.restore()
	first := r.start(true)
	r.wg.Go(func() { r.keepFresh(first) })
	return r, nil
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Key implements KeySource. A kid that is not there causes at most one fetch
// per MinInterval, for which all who ask meanwhile wait together; within the
// interval the answer is unknown_key at once.
func (r *RemoteKeys) Key(ctx context.Context, kid string, alg Algorithm) (*Key, error) {
	if k := r.lookup(kid, alg); k != nil {
		return k, nil
	}
	for range 2 { // the first fetch may have begun before the key was published
		f := r.ask(kid) //nolint:contextcheck // a fetch serves all who wait for it and outlives each of them
		if f != nil {
			if err := f.wait(ctx); err != nil {
				return nil, r.missing(err)
			}
		}
		if k := r.lookup(kid, alg); k != nil {
			return k, nil
		}
		if f == nil {
			break
		}
	}
	return nil, r.missing(nil)
}

func (r *RemoteKeys) lookup(kid string, alg Algorithm) *Key {
	set := r.set.Load()
	if set == nil {
		return nil
	}
	if k := set.find(kid, alg); k != nil && k.usable(r.cfg.Now().UnixNano()) {
		return k
	}
	return nil
}

// usable reports whether there are keys that are not too old.
func (r *RemoteKeys) usable() bool {
	set := r.set.Load()
	return set != nil && set.keys[0].usable(r.cfg.Now().UnixNano())
}

// missing says why there is no key: nothing could be had, or the issuer has none such.
func (r *RemoteKeys) missing(cause error) error {
	if r.usable() && cause == nil {
		return &Error{Reason: ReasonUnknownKey, Issuer: r.cfg.Issuer, Detail: "the issuer publishes no key with this kid for this algorithm"}
	}
	if cause == nil {
		r.mu.Lock()
		cause = r.err
		r.mu.Unlock()
	}
	return &Error{Reason: ReasonIssuerUnreachable, Issuer: r.cfg.Issuer, Detail: "no usable keys of the issuer are here", Cause: cause}
}

// ask returns the fetch that may bring the kid, or nil when none is due.
func (r *RemoteKeys) ask(kid string) *flight {
	now, known := r.cfg.Now(), false
	if set := r.set.Load(); set != nil && r.usable() {
		// Without a kid, or with one that is there for another algorithm, a fetch
		// would be a guess; a bad signature is what asks for new material.
		known = kid == "" || set.byID[kid] != nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.flight != nil:
		return r.flight
	case known, !r.asked.IsZero() && now.Sub(r.asked) < r.cfg.MinInterval:
		return nil
	}
	r.asked = now
	return r.startLocked(false)
}

// refetch is called when a signature is not by the key with its kid: the issuer
// may have put new material under the old name. It returns the key that is there
// now, or nil when nothing has changed. A fetch that brings nothing new
// doubles the time to the next one (up to 10 min), so that forged signatures
// buy no fetches.
func (r *RemoteKeys) refetch(ctx context.Context, old *Key, alg Algorithm) (*Key, error) {
	if k := r.lookup(old.id, alg); k != nil && k != old {
		return k, nil
	}
	for range 2 { // as in Key
		f := r.doubt() //nolint:contextcheck // a fetch serves all who wait for it and outlives each of them
		if f == nil {
			return nil, nil
		}
		if err := f.wait(ctx); err != nil {
			return nil, err
		}
		if k := r.lookup(old.id, alg); k != nil && k != old {
			r.mu.Lock()
			r.patience = r.cfg.MinInterval
			r.mu.Unlock()
			return k, nil
		}
	}
	return nil, nil
}

func (r *RemoteKeys) doubt() *flight {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight
	}
	if !r.doubted.IsZero() && now.Sub(r.doubted) < r.patience {
		return nil
	}
	if !r.doubted.IsZero() {
		r.patience = min(2*r.patience, maxFruitless)
	}
	r.doubted = now
	return r.startLocked(false)
}

// wait waits for the end of the fetch or of ctx.
func (f *flight) wait(ctx context.Context) error {
	if f.waiters.Add(1) > maxWaiters {
		f.waiters.Add(-1)
		return errors.New("too many requests wait for the issuer's keys")
	}
	defer f.waiters.Add(-1)
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Fetch gets discovery and keys now, or joins a fetch that runs, and returns
// how it ended. It is for start-up and for diagnosis.
func (r *RemoteKeys) Fetch(ctx context.Context) error {
	f := r.start(true) //nolint:contextcheck // a fetch serves all who wait for it and outlives each of them
	if f == nil {
		return errors.New("verify: the keys of " + r.cfg.Issuer + " are closed")
	}
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.err
}

// start returns the fetch that runs, or a new one; nil after Close.
func (r *RemoteKeys) start(discover bool) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight
	}
	return r.startLocked(discover)
}

func (r *RemoteKeys) startLocked(discover bool) *flight {
	if r.closed {
		return nil
	}
	f := &flight{done: make(chan struct{})}
	r.flight, r.attempt = f, r.cfg.Now()
	r.wg.Go(func() { r.fly(f, discover) })
	return f
}

// fly is one fetch from start to end.
func (r *RemoteKeys) fly(f *flight, discover bool) {
	r.mu.Lock()
	known := discovered{jwksURL: r.jwksURL}
	r.mu.Unlock()
	found, set, raw, err := r.get(known, discover)
	now := r.cfg.Now()
	f.err = err
	if r.cfg.Fetched != nil {
		r.cfg.Fetched(err)
	}
	if err == nil {
		r.adopt(set, now)
		err = r.save(found, raw, now)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	if set != nil {
		r.fetched, r.stale, r.fromStore, r.jwksURL = now, time.Time{}, false, found.jwksURL
	} else if r.stale.IsZero() {
		r.stale = now
	}
	r.flight = nil
	close(f.done)
}

// get fetches what is needed and reads it. The set is nil when that failed.
func (r *RemoteKeys) get(known discovered, discover bool) (discovered, *KeySet, []byte, error) {
	if r.cfg.JWKSURL == "" && (discover || known.jwksURL == "") {
		var err error
		if known, err = r.discover(); err != nil {
			return known, nil, nil, err
		}
	}
	raw, err := r.fetch(known.jwksURL)
	if err != nil {
		return known, nil, nil, &Error{Reason: ReasonIssuerUnreachable, Issuer: r.cfg.Issuer, Detail: "the key set could not be fetched", Cause: err}
	}
	set, err := ParseKeySet(raw)
	if err != nil {
		return known, nil, nil, &Error{Reason: ReasonIssuerUnreachable, Issuer: r.cfg.Issuer, Detail: "the key set is not usable; the last good one stays", Cause: err}
	}
	return known, set, raw, nil
}

func (r *RemoteKeys) fetch(url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(r.ctx, fetchTime)
	defer cancel()
	return r.cfg.Fetch(ctx, url)
}

// adopt makes a good set the current one. Keys that are the same keep their
// identity and with it their tokens in caches; keys that are gone are retired.
func (r *RemoteKeys) adopt(set *KeySet, fetched time.Time) {
	old := r.set.Load()
	until := fetched.Add(r.cfg.MaxStale)
	set.inherit(old)
	for _, k := range set.keys {
		k.UsableUntil(until)
	}
	r.set.Store(set)
	if old == nil {
		return
	}
	kept := make(map[*Key]bool, len(set.keys))
	for _, k := range set.keys {
		kept[k] = true
	}
	for _, k := range old.keys {
		if !kept[k] {
			k.Retire()
		}
	}
}

// keepFresh fetches by the clock until Close.
func (r *RemoteKeys) keepFresh(f *flight) {
	retry := retryFirst
	for f != nil {
		<-f.done
		pause := r.cfg.Refresh
		if f.err != nil {
			limit := retryLast
			if !r.usable() {
				limit = retryBare
			}
			pause = min(retry, limit, r.cfg.Refresh)
			retry *= 2
			retry = min(retry, retryLast)
		} else {
			retry = retryFirst
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-r.ctx.Done():
			timer.Stop()
			return
		}
		f = r.start(true)
	}
}

// TokenEndpoint returns the token endpoint that discovery named, or "".
func (r *RemoteKeys) TokenEndpoint() string {
	if s := r.endpoint.Load(); s != nil {
		return *s
	}
	return ""
}

// Close stops the goroutines and waits for them. The keys that are there go on
// being used until they are too old.
func (r *RemoteKeys) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.wg.Wait()
	if r.client != nil {
		r.client.close()
	}
	return nil
}

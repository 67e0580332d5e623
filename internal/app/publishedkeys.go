package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// maxPublished bounds how many apps' published keys are kept at a time: each set is
// kept fresh in the background.
const maxPublished = 1000

// publishedKeys are the keys that apps publish (jwks_uri, RFC 7591 section 2). They
// are fetched when an app first shows a signature, at public addresses only: who may
// manage apps must not be able to look around in the server's network.
type publishedKeys struct {
	http *safehttp.Client
	now  func() time.Time

	mu     sync.Mutex
	closed bool
	sets   map[string]*publishedSet
}

// publishedSet is one app's keys as long as they are in use.
type publishedSet struct {
	keys *verify.RemoteKeys
	used time.Time
}

// newPublishedKeys returns the keys that apps publish; private addresses and plain
// http are for development.
func newPublishedKeys(private bool, now func() time.Time) *publishedKeys {
	return &publishedKeys{
		http: safehttp.New(safehttp.Config{AllowPrivate: private}), now: now, sets: map[string]*publishedSet{},
	}
}

// source returns the keys at an address. Nothing is fetched before one is asked for.
func (p *publishedKeys) source(address string) verify.KeySource { return publishedSource{p, address} }

// publishedSource implements verify.KeySource.
type publishedSource struct {
	all     *publishedKeys
	address string
}

// Key implements verify.KeySource.
func (s publishedSource) Key(ctx context.Context, kid string, alg verify.Algorithm) (*verify.Key, error) {
	keys, err := s.all.set(s.address) //nolint:contextcheck // the keys are fetched for all who come after, too
	if err != nil {
		return nil, err
	}
	return keys.Key(ctx, kid, alg)
}

func (p *publishedKeys) set(address string) (*verify.RemoteKeys, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.sets[address]; s != nil {
		s.used = p.now()
		return s.keys, nil
	}
	if p.closed {
		return nil, errors.New("the keys of apps are closed")
	}
	keys, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: address, JWKSURL: address, Fetch: p.http.Fetch, Now: p.now})
	if err != nil {
		return nil, err
	}
	if len(p.sets) >= maxPublished {
		p.dropOldest()
	}
	p.sets[address] = &publishedSet{keys: keys, used: p.now()}
	return keys, nil
}

func (p *publishedKeys) dropOldest() {
	var oldest string
	for address, s := range p.sets {
		if oldest == "" || s.used.Before(p.sets[oldest].used) {
			oldest = address
		}
	}
	_ = p.sets[oldest].keys.Close() // it says nothing that anybody could act on
	delete(p.sets, oldest)
}

// close ends everything that goes on in the background.
func (p *publishedKeys) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for address, s := range p.sets {
		_ = s.keys.Close()
		delete(p.sets, address)
	}
	p.http.Close()
}

package app

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// keptRing is the store of one ring with a copy on disk, private keys sealed as
// they are in the store. With it a gateway node that starts while the store is
// down goes on signing what it tells upstreams. It implements keys.RingStore.
type keptRing struct {
	path  string
	store func() keys.RingStore // nil while the store is down

	mu sync.Mutex
}

func (k *keptRing) Keys(ctx context.Context, t tenant.ID, server string) ([]keys.Record, error) {
	store := k.store()
	if store == nil {
		return k.recall()
	}
	list, err := store.Keys(ctx, t, server)
	if err != nil {
		if kept, e := k.recall(); e == nil && len(kept) > 0 {
			return kept, nil
		}
		return nil, err
	}
	return list, k.keep(list)
}

func (k *keptRing) Insert(ctx context.Context, r keys.Record) error {
	store := k.store()
	if store == nil {
		return errStoreDown()
	}
	return store.Insert(ctx, r)
}

func (k *keptRing) Change(ctx context.Context, r keys.Record, from keys.State) (bool, error) {
	store := k.store()
	if store == nil {
		return false, errStoreDown()
	}
	return store.Change(ctx, r, from)
}

func (k *keptRing) Delete(ctx context.Context, t tenant.ID, server, id string) error {
	store := k.store()
	if store == nil {
		return errStoreDown()
	}
	return store.Delete(ctx, t, server, id)
}

func (k *keptRing) recall() (list []keys.Record, err error) {
	defer fault.Wrap(&err, "read the kept keys in %s", k.path)
	k.mu.Lock()
	defer k.mu.Unlock()
	b, err := os.ReadFile(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errStoreDown()
	}
	if err != nil {
		return nil, err
	}
	return list, json.Unmarshal(b, &list)
}

func (k *keptRing) keep(list []keys.Record) error {
	if len(list) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return writeJSON(k.path, list)
}

func errStoreDown() error {
	return fault.New(fault.Unavailable, "the store is down; what needs it goes on when it is back")
}

// builtinKeys are the public keys of one built-in authorization server as the
// gateway sees them: those of the ring in this process, or, while the store is
// down and there is no ring, those that were kept on disk.
type builtinKeys struct {
	issuer string
	kept   keySets
	log    *slog.Logger
	ring   atomic.Pointer[keys.Ring]
	static atomic.Pointer[verify.StaticKeys]

	mu   sync.Mutex
	etag string // of the key set that was kept last
}

// Key implements verify.KeySource.
func (b *builtinKeys) Key(ctx context.Context, kid string, alg verify.Algorithm) (*verify.Key, error) {
	if ring := b.ring.Load(); ring != nil {
		return ring.KeySource().Key(ctx, kid, alg)
	}
	if s := b.static.Load(); s != nil {
		return s.Key(ctx, kid, alg)
	}
	return nil, &verify.Error{Reason: verify.ReasonIssuerUnreachable, Issuer: b.issuer, Detail: "the built-in server's keys are not loaded: the store is down and none were kept"}
}

// keep writes a key set to disk when it is not what is there: a restart without the store
// must know tokens that nobody has shown yet.
func (b *builtinKeys) keep(document []byte, etag string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if etag == b.etag {
		return
	}
	b.etag = etag
	if err := b.kept.Save(b.issuer, document); err != nil {
		b.log.Warn("the keys of a built-in server could not be kept for a restart without the store", "issuer", b.issuer, "error", err)
	}
}

// recall makes the kept keys usable until serve is called.
func (b *builtinKeys) recall() error {
	doc, err := b.kept.Load(b.issuer)
	if err != nil || doc == nil {
		return err
	}
	s, err := verify.NewStaticKeys(doc)
	if err == nil {
		b.static.Store(s)
	}
	return err
}

// serve makes the ring's keys the ones in use. What the kept ones have verified is
// verified anew.
func (b *builtinKeys) serve(ring *keys.Ring) {
	if b.ring.Swap(ring) != ring {
		ring.OnPublish(b.keep)
	}
	if s := b.static.Swap(nil); s != nil {
		s.Retire()
	}
}

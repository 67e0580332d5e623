package keys

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
	"gatehouse/verify"
)

// Rotation needs no lock between nodes. Every step is a compare-and-set of one
// key's state, every node sees the same order among keys, and Tend brings any
// state that a crash or a race left behind to: one ACTIVE and one NEXT key for each algorithm.

// Tend does what is due: it reads what other nodes did, activates a NEXT key
// whose time has come, makes a new NEXT key, and removes expired ones. Call it every
// minute or so, never on a request: it may make an RSA key.
func (r *Ring) Tend(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "tend key ring %q of tenant %q", r.cfg.Server, r.cfg.Tenant)
	r.tending.Lock()
	defer r.tending.Unlock()
	if err := r.Reload(ctx); err != nil {
		return err
	}
	var failed error
	for _, alg := range r.cfg.Algorithms {
		failed = errors.Join(failed, r.tendAlgorithm(ctx, alg, true))
	}
	return errors.Join(failed, r.sweep(ctx))
}

// tendAlgorithm brings the keys of one algorithm in order. The NEXT key is made
// only when asked for.
func (r *Ring) tendAlgorithm(ctx context.Context, alg verify.Algorithm, next bool) error {
	active, waiting := r.sorted(alg, Active), r.sorted(alg, Next)
	now := r.now()
	switch {
	case len(active) == 0 && len(waiting) == 0:
		if err := r.make(ctx, alg, Active); err != nil {
			return err
		}
	case len(active) == 0, due(active[0], waiting, now, r.cfg):
		if err := r.promote(ctx, waiting[0]); err != nil {
			return err
		}
	}
	if err := r.expireOld(ctx, alg); err != nil {
		return err
	}
	if !next {
		return nil
	}
	return r.oneNext(ctx, alg)
}

// due reports whether the NEXT key should take over: the active one has signed
// long enough, and the next one has been published long enough.
func due(active Record, waiting []Record, now time.Time, cfg RingConfig) bool {
	return len(waiting) > 0 && !now.Before(active.Activates.Add(cfg.Rotation)) && !now.Before(waiting[0].Created.Add(cfg.Ahead))
}

// sorted returns the keys in a state, the one that counts first.
func (r *Ring) sorted(alg verify.Algorithm, state State) []Record {
	var out []Record
	for _, rec := range r.view.Load().records {
		if rec.Algorithm == alg && rec.State == state {
			out = append(out, rec)
		}
	}
	if state == Active {
		order.By(out, laterActive)
	} else {
		order.By(out, func(a, b Record) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	}
	return out
}

// now returns the time as stores keep it, in microseconds.
func (r *Ring) now() time.Time { return r.cfg.Now().UTC().Truncate(time.Microsecond) }

// make adds a new key in the state.
func (r *Ring) make(ctx context.Context, alg verify.Algorithm, state State) error {
	priv, err := generate(ctx, alg)
	if err != nil {
		return err
	}
	rec := Record{
		Tenant: r.cfg.Tenant, Server: r.cfg.Server, ID: ID(""), Algorithm: alg, Use: "sig",
		State: state, Created: r.now(),
	}
	if state == Active {
		rec.Activates = rec.Created
	}
	if rec.Public, err = publicJWK(rec.ID, alg, priv.Public()); err != nil {
		return err
	}
	if err = rec.seal(r.cfg.Sealer, priv); err != nil {
		return err
	}
	if err = r.cfg.Store.Insert(ctx, rec); err != nil {
		return err
	}
	return r.Reload(ctx)
}

// promote makes a NEXT key the active one. When another node was first, the
// view is that node's afterwards.
func (r *Ring) promote(ctx context.Context, rec Record) error {
	rec.State, rec.Activates = Active, r.now()
	if _, err := r.cfg.Store.Change(ctx, rec, Next); err != nil {
		return err
	}
	return r.Reload(ctx)
}

// expireOld ends signing by all active keys but the one activated last.
func (r *Ring) expireOld(ctx context.Context, alg verify.Algorithm) error {
	active := r.sorted(alg, Active)
	if len(active) < 2 {
		return nil
	}
	for _, rec := range active[1:] {
		rec.State, rec.Expires = Expired, r.now().Add(r.cfg.Keep+lag)
		if _, err := r.cfg.Store.Change(ctx, rec, Active); err != nil {
			return err
		}
	}
	return r.Reload(ctx)
}

// oneNext makes sure that exactly one key waits for its turn. Of several, made
// by several nodes at once, the oldest stays; the others have signed nothing.
func (r *Ring) oneNext(ctx context.Context, alg verify.Algorithm) error {
	waiting := r.sorted(alg, Next)
	if len(waiting) == 0 {
		if err := r.make(ctx, alg, Next); err != nil {
			return err
		}
		waiting = r.sorted(alg, Next)
	}
	if len(waiting) < 2 {
		return nil
	}
	for _, rec := range waiting[1:] {
		rec.State, rec.Expires = Revoked, r.now()
		if _, err := r.cfg.Store.Change(ctx, rec, Next); err != nil {
			return err
		}
	}
	return r.Reload(ctx)
}

// sweep deletes keys that nobody needs any more.
func (r *Ring) sweep(ctx context.Context) error {
	swept, now := false, r.now()
	for _, rec := range r.view.Load().records {
		if rec.State != Expired && rec.State != Revoked || now.Before(rec.Expires) {
			continue
		}
		if err := r.cfg.Store.Delete(ctx, rec.Tenant, rec.Server, rec.ID); err != nil {
			return err
		}
		swept = true
	}
	if !swept {
		return nil
	}
	return r.Reload(ctx)
}

// Rotate makes the NEXT key of the algorithm sign from now on, and a new NEXT
// key in the background. When another node rotates at the same time one of both does it,
// and both succeed. An empty alg means the default.
func (r *Ring) Rotate(ctx context.Context, alg verify.Algorithm) (err error) {
	defer fault.Wrap(&err, "rotate key ring %q", r.cfg.Server)
	if alg == "" {
		alg = r.cfg.Algorithms[0]
	}
	if !slices.Contains(r.cfg.Algorithms, alg) {
		return fault.New(fault.Unsupported, "the key ring %q has no keys for %s", r.cfg.Server, alg)
	}
	r.tending.Lock()
	defer r.tending.Unlock()
	if err := r.Reload(ctx); err != nil {
		return err
	}
	if err := r.replaceActive(ctx, alg); err != nil {
		return err
	}
	r.background(func() { _ = r.Tend(r.ctx) }) // tried again by the next call of Tend
	return nil
}

// replaceActive promotes the NEXT key, or one made now when there is none.
func (r *Ring) replaceActive(ctx context.Context, alg verify.Algorithm) error {
	waiting := r.sorted(alg, Next)
	if len(waiting) == 0 {
		if err := r.make(ctx, alg, Next); err != nil {
			return err
		}
		waiting = r.sorted(alg, Next)
	}
	if len(waiting) > 0 {
		if err := r.promote(ctx, waiting[0]); err != nil {
			return err
		}
	}
	return r.expireOld(ctx, alg)
}

// Revoke takes a key out of the published set at once, because its private part
// may be known to others. If it was the active one, the next one signs. The
// error is fault.NotFound when the ring has no such key. Other nodes follow when
// they Reload.
func (r *Ring) Revoke(ctx context.Context, kid string) (err error) {
	defer fault.Wrap(&err, "revoke key %q of key ring %q", kid, r.cfg.Server)
	r.tending.Lock()
	defer r.tending.Unlock()
	for {
		if err := r.Reload(ctx); err != nil {
			return err
		}
		records := r.view.Load().records
		i := slices.IndexFunc(records, func(rec Record) bool { return rec.ID == kid })
		if i < 0 {
			return fault.New(fault.NotFound, "the key ring has no key %q", kid)
		}
		rec := records[i]
		from := rec.State
		if from == Revoked {
			return nil
		}
		rec.State, rec.Expires = Revoked, r.now().Add(r.cfg.Keep)
		done, err := r.cfg.Store.Change(ctx, rec, from)
		if err != nil {
			return err
		}
		if !done {
			continue // another node changed it first; look again
		}
		if err := r.Reload(ctx); err != nil {
			return err
		}
		if from == Active && len(r.sorted(rec.Algorithm, Active)) == 0 {
			err = r.replaceActive(ctx, rec.Algorithm)
		}
		r.background(func() { _ = r.Tend(r.ctx) }) // tried again by the next call of Tend
		return err
	}
}

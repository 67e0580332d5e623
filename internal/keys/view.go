package keys

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
	"gatehouse/verify"
)

// view is what a ring knows at one moment. It is immutable but for replaced.
type view struct {
	records  []Record   // all, oldest first
	keys     []*ringKey // the published ones, in the same order
	jwks     []byte
	etag     string
	replaced chan struct{} // closed when a newer view is there
}

// ringKey is one published key.
type ringKey struct {
	Record
	signer *signer // nil unless ACTIVE or NEXT
	public *verify.Key
}

// active returns the key that signs: of several, which is the state between two
// steps of a rotation, the one activated last.
func (v *view) active(alg verify.Algorithm) *ringKey {
	var best *ringKey
	for _, k := range v.keys {
		if k.Algorithm == alg && k.State == Active && (best == nil || laterActive(k.Record, best.Record) < 0) {
			best = k
		}
	}
	return best
}

// laterActive orders active keys: the one to sign with first. Every node must
// come to the same answer.
func laterActive(a, b Record) int {
	return cmp.Or(b.Activates.Compare(a.Activates), cmp.Compare(a.ID, b.ID))
}

// public returns the published key, or nil. Without a kid it is the only one for
// the algorithm.
func (v *view) public(kid string, alg verify.Algorithm) *verify.Key {
	var found *verify.Key
	for _, k := range v.keys {
		if !k.public.Allows(alg) || kid != "" && k.ID != kid {
			continue
		}
		if kid != "" {
			return k.public
		}
		if found != nil {
			return nil
		}
		found = k.public
	}
	return found
}

// Reload reads the keys from the store and publishes them. It is called by Tend,
// and when another node says that the ring has changed.
func (r *Ring) Reload(ctx context.Context) (err error) {
	defer fault.Wrap(&err, "read key ring %q", r.cfg.Server)
	r.loading.Lock()
	defer r.loading.Unlock()
	records, err := r.cfg.Store.Keys(ctx, r.cfg.Tenant, r.cfg.Server)
	if err != nil {
		return err
	}
	order.By(records, func(a, b Record) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	old := r.view.Load()
	v := &view{records: records, replaced: make(chan struct{})}
	now := r.cfg.Now()
	for _, rec := range records {
		if rec.State == Revoked || rec.State == Expired && !now.Before(rec.Expires) {
			continue
		}
		k, err := r.ringKey(rec, old)
		if err != nil {
			return err
		}
		v.keys = append(v.keys, k)
	}
	v.publish()
	r.view.Store(v)
	if old != nil {
		old.retireMissing(v)
		close(old.replaced)
	}
	if old == nil || old.etag != v.etag {
		r.tell(v)
	}
	return nil
}

// ringKey returns the key of a record, with the identity that it had before.
func (r *Ring) ringKey(rec Record, old *view) (*ringKey, error) {
	k := &ringKey{Record: rec}
	if was := old.byID(rec.ID); was != nil && bytes.Equal(was.Public, rec.Public) {
		k.public, k.signer = was.public, was.signer
	}
	if k.public == nil {
		pub, err := verify.ParseKey(rec.Public)
		if err != nil {
			return nil, fault.Because(err, fault.Internal, "the signing key %s cannot be read", rec.ID)
		}
		if pub.ID() != rec.ID || pub.Algorithm() != rec.Algorithm {
			return nil, fault.New(fault.Internal, "the signing key %s is stored under another name or algorithm", rec.ID)
		}
		k.public = pub
	}
	signs := rec.State == Active || rec.State == Next
	switch {
	case !signs:
		k.signer = nil
	case k.signer == nil:
		priv, err := rec.open(r.cfg.Sealer)
		if err != nil {
			return nil, err
		}
		k.signer = &signer{kid: rec.ID, alg: rec.Algorithm, priv: priv}
	}
	return k, nil
}

func (v *view) byID(kid string) *ringKey {
	if v == nil {
		return nil
	}
	for _, k := range v.keys {
		if k.ID == kid {
			return k
		}
	}
	return nil
}

// retireMissing ends the use of keys that the newer view does not publish, and
// with it that of the tokens that verifiers remember by them.
func (v *view) retireMissing(newer *view) {
	for _, k := range v.keys {
		if now := newer.byID(k.ID); now == nil || now.public != k.public {
			k.public.Retire()
		}
	}
}

// publish writes the JWK Set.
func (v *view) publish() {
	var b bytes.Buffer
	b.WriteString(`{"keys":[`)
	for i, k := range v.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(k.Public)
	}
	b.WriteString(`]}`)
	v.jwks = b.Bytes()
	sum := sha256.Sum256(v.jwks)
	v.etag = `"` + hex.EncodeToString(sum[:12]) + `"`
}

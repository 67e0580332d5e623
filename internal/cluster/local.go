package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
	"gatehouse/internal/tenant"
)

// LocalConfig holds what a Local needs.
type LocalConfig struct {
	Now func() time.Time // nil = time.Now
}

// Local is the bus of one process: publishing calls every member in turn. It is
// safe for concurrent use.
type Local struct {
	now func() time.Time

	mu      sync.Mutex
	members []*Member
	changed chan struct{} // closed and replaced when a member joins, leaves or runs another revision
}

// NewLocal returns a bus without members.
func NewLocal(c LocalConfig) *Local {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Local{now: c.Now, changed: make(chan struct{})}
}

// Member is a node's place on the bus.
type Member struct {
	bus       *Local
	sub       Subscriber
	id, role  string
	joined    time.Time
	revisions map[tenant.ID]int64 // guarded by bus.mu

	// calls is held for reading while the subscriber is being called, so that
	// Leave can wait for the calls under way.
	calls sync.RWMutex
	left  bool // guarded by calls
}

// Join puts a node on the bus. From its return on, the node is told everything;
// it reads the store after that. Joining twice under one id is a Conflict.
func (b *Local) Join(id, role string, sub Subscriber) (*Member, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.members {
		if m.id == id {
			return nil, fault.New(fault.Conflict, "a node %q is already running: give each node a name of its own", id)
		}
	}
	m := &Member{bus: b, sub: sub, id: id, role: role, joined: b.now(), revisions: map[tenant.ID]int64{}}
	b.members = append(b.members, m)
	b.signal()
	return m, nil
}

// Leave takes the node off the bus and returns when no call to its subscriber is
// under way any more. Leaving twice does nothing.
func (m *Member) Leave() {
	b := m.bus
	b.mu.Lock()
	b.members = slices.DeleteFunc(b.members, func(x *Member) bool { return x == m })
	b.signal()
	b.mu.Unlock()
	m.calls.Lock()
	m.left = true
	m.calls.Unlock()
}

// Running says which revision of a tenant the node serves now. It may go back:
// a rollback is a new revision, but a node may start from an old snapshot.
func (m *Member) Running(t tenant.ID, revision int64) {
	m.bus.mu.Lock()
	defer m.bus.mu.Unlock()
	m.revisions[t] = revision
	m.bus.signal()
}

// signal wakes who waits in Await. b.mu is held.
func (b *Local) signal() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// call runs f on the subscriber unless the member has left.
func (m *Member) call(f func(Subscriber) error) error {
	m.calls.RLock()
	defer m.calls.RUnlock()
	if m.left {
		return nil
	}
	return f(m.sub)
}

// PublishRevocation implements Publisher. Every node is tried, also after one
// has failed; the error then says which, and has code Unavailable, or Full when one
// has no room for it.
func (b *Local) PublishRevocation(ctx context.Context, r Revocation) error {
	if !r.Kind.Valid() || (r.Value != "") != r.Kind.HasValue() || (r.Issuer != "") != r.Kind.OfIssuer() {
		return fault.New(fault.Invalid, "a revocation of kind %q needs an issuer and a value, but an issuer's has no value, a token hash or certificate no issuer, and a tenant neither", r.Kind)
	}
	var failed []error
	for _, m := range b.snapshot() {
		err := m.call(func(s Subscriber) error { return s.Revoked(ctx, r) })
		if err != nil {
			failed = append(failed, fmt.Errorf("node %s: %w", m.id, err))
		}
	}
	for _, err := range failed {
		if fault.Is(err, fault.Full) {
			return err // to try again would be in vain
		}
	}
	if len(failed) > 0 {
		return fault.Because(errors.Join(failed...), fault.Unavailable, "the revocation has not reached every node: try again")
	}
	return nil
}

// PublishRevision implements Publisher.
func (b *Local) PublishRevision(ctx context.Context, t tenant.ID, revision int64) error {
	for _, m := range b.snapshot() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("publish revision %d of %s: %w", revision, t, err)
		}
		//nolint:errcheck // Revised has no error; call returns f's
		m.call(func(s Subscriber) error { s.Revised(ctx, t, revision); return nil })
	}
	return nil
}

func (b *Local) snapshot() []*Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.members)
}

// Nodes returns the live nodes in order of their ids.
func (b *Local) Nodes() []Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Node, 0, len(b.members))
	for _, m := range b.members {
		out = append(out, Node{ID: m.id, Role: m.role, Joined: m.joined, Revisions: maps.Clone(m.revisions)})
	}
	order.By(out, func(x, y Node) int { return cmp.Compare(x.ID, y.ID) })
	return out
}

// Await returns nil once every live node that serves the tenant runs at least
// the revision, or the context's error with code Timeout and the names of those
// that do not. A node that has never run any revision of the tenant does not count.
func (b *Local) Await(ctx context.Context, t tenant.ID, revision int64) error {
	for {
		b.mu.Lock()
		var behind []string
		for _, m := range b.members {
			if have, serves := m.revisions[t]; serves && have < revision {
				behind = append(behind, m.id)
			}
		}
		changed := b.changed
		b.mu.Unlock()
		if len(behind) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Because(ctx.Err(), fault.Timeout, "revision %d of tenant %s does not run yet on %v", revision, t, behind)
		}
	}
}

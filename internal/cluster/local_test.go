package cluster

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// node is a subscriber that keeps what it hears.
type node struct {
	mu      sync.Mutex
	revoked []string
	news    []int64
	err     error
	block   chan struct{} // when not nil, Revoked waits for it
	entered chan struct{} // when not nil, closed when Revoked begins to wait
}

func (n *node) Revoked(_ context.Context, r Revocation) error {
	if n.block != nil {
		close(n.entered)
		<-n.block
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return n.err
	}
	n.revoked = append(n.revoked, r.Value)
	return nil
}

func (n *node) Revised(_ context.Context, _ tenant.ID, revision int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = append(n.news, revision)
}

func join(t *testing.T, b *Local, id string, n *node) *Member {
	t.Helper()
	m, err := b.Join(id, "gateway", n)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func token(id string) Revocation {
	return Revocation{Tenant: "acme", Kind: TokenID, Issuer: "https://id.acme.test", Value: id}
}

// attack gateway 30: when publishing has returned, every node refuses the token.
func TestRevocationReachesEveryNode(t *testing.T) {
	b := NewLocal(LocalConfig{})
	var nodes [3]node
	var members []*Member
	for i := range nodes {
		members = append(members, join(t, b, string(rune('a'+i)), &nodes[i]))
	}
	if err := b.PublishRevocation(t.Context(), token("jti-1")); err != nil {
		t.Fatal(err)
	}
	members[2].Leave()
	members[2].Leave()
	if err := b.PublishRevocation(t.Context(), token("jti-2")); err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{"jti-1", "jti-2"}, {"jti-1", "jti-2"}, {"jti-1"}} {
		if d := cmp.Diff(want, nodes[i].revoked); d != "" {
			t.Errorf("node %d: %s", i, d)
		}
	}
}

// A node that cannot apply it makes the publisher fail, and keeps no other from it.
func TestRevocationThatFailsSomewhere(t *testing.T) {
	b := NewLocal(LocalConfig{})
	broken, fine := &node{err: errors.New("no memory")}, &node{}
	join(t, b, "broken", broken)
	join(t, b, "fine", fine)
	err := b.PublishRevocation(t.Context(), token("jti-1"))
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, broken.err) {
		t.Errorf("%v, want unavailable because of the node", err)
	}
	if len(fine.revoked) != 1 {
		t.Error("the node behind the broken one was not told")
	}
}

// Publishing and leaving both end only after the node has applied what it is applying.
func TestRevocationWaitsForTheSlow(t *testing.T) {
	b := NewLocal(LocalConfig{})
	slow := &node{block: make(chan struct{}), entered: make(chan struct{})}
	m := join(t, b, "slow", slow)
	applied := func() bool {
		slow.mu.Lock()
		defer slow.mu.Unlock()
		return len(slow.revoked) == 1
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.PublishRevocation(t.Context(), token("jti-1")); err != nil || !applied() {
			t.Errorf("published (%v) before the node has applied it", err)
		}
	})
	<-slow.entered
	leaving := make(chan struct{})
	wg.Go(func() {
		close(leaving)
		m.Leave()
		if !applied() {
			t.Error("left while the node was being called")
		}
	})
	<-leaving
	for range 100 { // let the others run ahead, if they can
		runtime.Gosched()
	}
	close(slow.block)
	wg.Wait()
}

func TestRevocationMustNameSomething(t *testing.T) {
	b := NewLocal(LocalConfig{})
	for _, r := range []Revocation{
		{},
		{Kind: "everything", Issuer: "i", Value: "v"},
		{Kind: TokenID, Issuer: "i"},
		{Kind: User, Value: "v"},
		{Kind: Issuer, Issuer: "i", Value: "v"},
		{Kind: TokenHash, Issuer: "i", Value: "v"},
	} {
		if err := b.PublishRevocation(t.Context(), r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, r := range []Revocation{{Kind: Issuer, Issuer: "i"}, {Kind: TokenHash, Value: "v"}, {Kind: Key, Issuer: "i", Value: "v"}} {
		if err := b.PublishRevocation(t.Context(), r); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestNodesAndRevisions(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := NewLocal(LocalConfig{Now: func() time.Time { return now }})
	n := &node{}
	second, first := join(t, b, "second", n), join(t, b, "first", &node{})
	if _, err := b.Join("first", "gateway", &node{}); !fault.Is(err, fault.Conflict) {
		t.Errorf("joining twice: %v", err)
	}
	first.Running("acme", 7)
	second.Running("acme", 6)
	second.Running("other", 1)
	if err := b.PublishRevision(t.Context(), "acme", 8); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int64{8}, n.news); d != "" {
		t.Error(d)
	}
	want := []Node{
		{ID: "first", Role: "gateway", Joined: now, Revisions: map[tenant.ID]int64{"acme": 7}},
		{ID: "second", Role: "gateway", Joined: now, Revisions: map[tenant.ID]int64{"acme": 6, "other": 1}},
	}
	got := b.Nodes()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got[0].Revisions["acme"] = 99 // a copy: nobody is misled
	if d := cmp.Diff(want, b.Nodes()); d != "" {
		t.Error(d)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.PublishRevision(gone, "acme", 9); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewLocal(LocalConfig{})
		one, two := join(t, b, "one", &node{}), join(t, b, "two", &node{})
		join(t, b, "identity", &node{}) // serves no tenant
		one.Running("acme", 1)
		two.Running("acme", 1)
		done := false
		go func() {
			if err := b.Await(t.Context(), "acme", 3); err != nil {
				t.Error(err)
			}
			done = true
		}()
		for _, step := range []struct {
			do   func()
			want bool
		}{
			{func() { one.Running("acme", 3) }, false},
			{func() { two.Running("acme", 2) }, false},
			{func() { two.Running("other", 3) }, false},
			{func() { two.Leave() }, true},
		} {
			step.do()
			synctest.Wait()
			if done != step.want {
				t.Fatalf("done %v, want %v", done, step.want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Await(ctx, "acme", 4); !fault.Is(err, fault.Timeout) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if err := b.Await(ctx, "acme", 2); err != nil {
			t.Errorf("what runs already: %v", err)
		}
	})
}

// Publishing, joining, leaving and reading at once: the race detector watches,
// and nobody who stays misses anything.
func TestParallel(t *testing.T) {
	b := NewLocal(LocalConfig{})
	stays := &node{}
	join(t, b, "stays", stays)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for range 50 {
				m, err := b.Join(string(rune('a'+g)), "gateway", &node{})
				if err != nil {
					t.Error(err)
					return
				}
				m.Running("acme", 1)
				b.Nodes()
				if err := b.PublishRevocation(t.Context(), token("jti")); err != nil {
					t.Error(err)
				}
				m.Leave()
			}
		})
	}
	wg.Wait()
	if len(stays.revoked) != 200 {
		t.Errorf("%d revocations heard, want 200", len(stays.revoked))
	}
}

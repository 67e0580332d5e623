package session

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
)

// drawer is a store of sessions.
type drawer struct{ all map[string]Session } // by id

func (d drawer) AddSession(_ context.Context, s Session) error { d.all[s.ID] = s; return nil }

func (d drawer) Session(_ context.Context, hash string) (Session, error) {
	for _, s := range d.all {
		if s.Hash == hash {
			return s, nil
		}
	}
	return Session{}, errNone()
}

func (d drawer) SessionByID(_ context.Context, id string) (Session, error) {
	if s, ok := d.all[id]; ok {
		return s, nil
	}
	return Session{}, errNone()
}

func (drawer) Sessions(context.Context, string, time.Time) ([]Session, error) { return nil, nil }

func (d drawer) ReplaceSession(_ context.Context, old string, s Session) (bool, error) {
	if d.all[s.ID].Hash != old {
		return false, nil
	}
	d.all[s.ID] = s
	return true, nil
}

func (d drawer) TouchSession(_ context.Context, id string, seen, idleUntil time.Time) error {
	s := d.all[id]
	s.Seen, s.IdleUntil = seen, idleUntil
	d.all[id] = s
	return nil
}

func (drawer) JoinSession(context.Context, string, Login, time.Time) error { return nil }

func (d drawer) EndSessions(_ context.Context, s Selection, _ time.Time) ([]Session, []cluster.Revocation, error) {
	gone, ok := d.all[s.ID]
	if !ok {
		return nil, nil, nil
	}
	delete(d.all, s.ID)
	return []Session{gone}, nil, nil
}

// life is a Service with a clock that is moved.
type life struct {
	*testing.T
	*Service
	kept drawer
	now  time.Time
}

func newLife(t *testing.T) *life {
	l := &life{T: t, kept: drawer{map[string]Session{}}, now: time.Unix(1_800_000_000, 0)}
	l.Service = NewService(Config{Store: l.kept, Limits: Limits{Idle: time.Hour, Total: 10 * time.Hour}, Now: func() time.Time { return l.now }})
	return l
}

func (l *life) begin(old *Session, p Proof) (Session, string) {
	l.Helper()
	s, secret, err := l.Begin(l.Context(), old, p)
	if err != nil {
		l.Fatal(err)
	}
	return s, secret
}

// live reports whether a cookie's secret opens a session.
func (l *life) live(secret string) bool {
	l.Helper()
	_, err := l.Find(l.Context(), secret)
	if err != nil && !fault.Is(err, fault.NotFound) {
		l.Fatal(err)
	}
	return err == nil
}

// However often a person proves who they are in a session, it ends when it was to end
// from the beginning: the next one begins with nothing of it.
func TestNoProofExtendsASession(t *testing.T) {
	l := newLife(t)
	first, secret := l.begin(nil, Proof{User: "ana", Password: true, AMR: []string{"pwd"}})
	s, begun := first, l.now
	for i := range 19 {
		l.now = l.now.Add(30 * time.Minute)
		proof := Proof{User: "ana", Password: true}
		if i%2 == 0 {
			proof = Proof{User: "ana", Factor: true}
		}
		s, secret = l.begin(&s, proof)
		if s.ID != first.ID || !s.Created.Equal(begun) || !s.Expires.Equal(begun.Add(10*time.Hour)) {
			t.Fatalf("proof %d: %s, from %v to %v", i, s.ID, s.Created, s.Expires)
		}
	}
	if l.now = begun.Add(10*time.Hour - time.Second); !l.live(secret) {
		t.Error("over before its time")
	}
	if l.now = begun.Add(10 * time.Hour); l.live(secret) {
		t.Error("it outlives its limit")
	}
	next, _ := l.begin(&s, Proof{User: "ana", Password: true})
	if next.ID == first.ID || !next.Created.Equal(l.now) || !next.Expires.Equal(l.now.Add(10*time.Hour)) || !next.FactorAt.IsZero() {
		t.Errorf("the next one: %+v", next)
	}
	if _, there := l.kept.all[first.ID]; there {
		t.Error("the session that is over was kept")
	}
}

// A session that is not used ends; use keeps it, up to its end and no further.
func TestIdleSession(t *testing.T) {
	l := newLife(t)
	_, secret := l.begin(nil, Proof{User: "ana", Password: true})
	for range 12 {
		if l.now = l.now.Add(45 * time.Minute); !l.live(secret) {
			t.Fatal("a session in use has ended")
		}
	}
	if l.now = l.now.Add(time.Hour); l.live(secret) {
		t.Error("an hour without use")
	}
	// What is over does not come back by being asked for, by either of its names.
	for id := range l.kept.all {
		if _, err := l.Refresh(t.Context(), id); !fault.Is(err, fault.NotFound) {
			t.Errorf("refreshed: %v", err)
		}
	}
}

// Every change of level changes the secret, and the old one opens nothing; who it is
// never changes within a session (attack identity 61).
func TestEveryLevelHasItsOwnSecret(t *testing.T) {
	l := newLife(t)
	s, secret := l.begin(nil, Proof{User: "ana", Password: true})
	seen := []string{secret}
	for _, p := range []Proof{{User: "ana", Factor: true}, {User: "ana", Password: true}, {User: "ana", Factor: true}, {User: "ben", Password: true}, {User: "ana", Password: true}} {
		was := s
		s, secret = l.begin(&s, p)
		for _, old := range seen {
			if old == secret || l.live(old) {
				t.Errorf("%+v: an old secret opens a session", p)
			}
		}
		if !l.live(secret) || s.User != p.User || (s.ID == was.ID) != (p.User == was.User) {
			t.Errorf("%+v: %+v", p, s)
		}
		seen = append(seen, secret)
	}
	if len(l.kept.all) != 1 {
		t.Errorf("%d sessions are kept of one browser", len(l.kept.all))
	}
	// Of two that raise the same session at once one wins.
	stale := s
	s, _ = l.begin(&s, Proof{User: "ana", Factor: true})
	if _, _, err := l.Begin(t.Context(), &stale, Proof{User: "ana", Factor: true}); !fault.Is(err, fault.Conflict) {
		t.Errorf("%s was raised twice: %v", s.ID, err)
	}
}

// A rule's limits hold for the session that was begun under it. Another rule in the
// same session makes its end earlier, never later.
func TestLimitsOfARule(t *testing.T) {
	l := newLife(t)
	begun := l.now
	s, _ := l.begin(nil, Proof{User: "ana", Limits: Limits{Idle: 10 * time.Minute, Total: 2 * time.Hour}})
	s, secret := l.begin(&s, Proof{User: "ana", Factor: true, Limits: Limits{Idle: 20 * time.Minute, Total: 100 * time.Hour}})
	if !s.Expires.Equal(begun.Add(2 * time.Hour)) {
		t.Errorf("it ends at %v", s.Expires)
	}
	if l.now = l.now.Add(19 * time.Minute); !l.live(secret) {
		t.Error("ended in use")
	}
	if l.now = l.now.Add(19 * time.Minute); !l.live(secret) {
		t.Error("a use has not kept it for as long as its rule says")
	}
	if l.now = l.now.Add(20 * time.Minute); l.live(secret) {
		t.Error("it goes on without use")
	}
	l.now = begun.Add(15 * time.Minute)
	if s, _ = l.begin(&s, Proof{User: "ana", Factor: true, Limits: Limits{Total: time.Hour}}); !s.Expires.Equal(begun.Add(time.Hour)) {
		t.Errorf("the stricter rule: %v", s.Expires)
	}
}

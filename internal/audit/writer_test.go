package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// sink keeps events; fail, when set, says what a call answers.
type sink struct {
	mu     sync.Mutex
	events []Event
	calls  int
	fail   func(call int) error
}

func (s *sink) AppendEvents(ctx context.Context, events []Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.fail != nil {
		if err := s.fail(s.calls); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	s.events = append(s.events, events...)
	return nil
}

func (s *sink) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func newTestWriter(s Sink, capacity, batch int) *Writer {
	n := 0
	return NewWriter(WriterConfig{
		Sink: s, Capacity: capacity, Batch: batch, Now: time.Now,
		NewID: func() string { n++; return fmt.Sprint("id", n) },
	})
}

func start(w *Writer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestEventsAreStoredInOrder(t *testing.T) {
	s := &sink{}
	w := newTestWriter(s, 1000, 7)
	defer start(w)()
	for i := range 100 {
		w.Record(Event{Tenant: tenant.Default, Type: fmt.Sprint(i)})
	}
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.len() != 100 || w.Stored() != 100 || w.Dropped() != 0 {
		t.Fatalf("%d in the sink, %d stored, %d dropped", s.len(), w.Stored(), w.Dropped())
	}
	for i, e := range s.events {
		if e.Type != fmt.Sprint(i) || e.ID == "" || e.Time.IsZero() || e.Severity != Info {
			t.Fatalf("event %d: %+v", i, e)
		}
	}
}

// "Log or event sink down: traffic goes on, drops counted": Record never waits.
func TestFullQueueDrops(t *testing.T) {
	w := newTestWriter(&sink{}, 10, 5) // nobody runs it
	for range 25 {
		w.Record(Event{})
	}
	if w.Dropped() != 15 {
		t.Errorf("%d dropped, want 15", w.Dropped())
	}
}

func TestSinkThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{fail: func(call int) error {
			if call <= 3 {
				return errors.New("down")
			}
			return nil
		}}
		w := newTestWriter(s, 10, 5)
		stop := start(w)
		begin := time.Now()
		w.Record(Event{Type: "a"})
		if err := w.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		if s.len() != 1 || w.Dropped() != 0 {
			t.Errorf("%d in the sink, %d dropped", s.len(), w.Dropped())
		}
		if waited := time.Since(begin); waited < 3*time.Second {
			t.Errorf("it was tried again after %s, in a busy loop", waited)
		}
		stop()
	})
}

// A batch that the sink will never take does not stop those behind it.
func TestRefusedBatch(t *testing.T) {
	s := &sink{fail: func(call int) error {
		if call == 1 {
			return fault.New(fault.Invalid, "no tenant")
		}
		return nil
	}}
	w := newTestWriter(s, 10, 1)
	w.Record(Event{Type: "bad"})
	w.Record(Event{Type: "good"})
	defer start(w)()
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.len() != 1 || w.Dropped() != 1 || s.events[0].Type != "good" {
		t.Errorf("%d in the sink, %d dropped", s.len(), w.Dropped())
	}
}

func TestRunDrainsAtTheEnd(t *testing.T) {
	for range 30 { // Run sees the end or the queue first, as it happens
		s := &sink{}
		w := newTestWriter(s, 100, 7)
		for range 50 {
			w.Record(Event{})
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := w.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if s.len() != 50 {
			t.Fatalf("%d of 50 stored", s.len())
		}
		if err := w.Flush(context.Background()); err != nil {
			t.Errorf("flush after the end: %v", err)
		}
	}
}

func TestDrainCountsWhatIsLost(t *testing.T) {
	s := &sink{fail: func(int) error { return errors.New("down") }}
	w := newTestWriter(s, 100, 7)
	for range 50 {
		w.Record(Event{})
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.Run(ctx)
	if w.Dropped() != 50 {
		t.Errorf("%d counted as lost, want 50", w.Dropped())
	}
}

func TestTextsAreCleaned(t *testing.T) {
	s := &sink{}
	w := newTestWriter(s, 10, 5)
	w.Record(Event{
		Type: "x", Message: "a\x00b\nc\x7f", Outcome: Outcome{Reason: "\xff\xfe"},
		Actor: Entity{ID: strings.Repeat("é", 400)}, Debug: map[string]string{"k": "v\x1b[31m"},
	})
	defer start(w)()
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	e := s.events[0]
	if e.Message != "a?b?c?" || e.Outcome.Reason != "??" || e.Debug["k"] != "v?[31m" {
		t.Errorf("%+v", e)
	}
	if len(e.Actor.ID) > maxText || !utf8.ValidString(e.Actor.ID) {
		t.Errorf("actor id of %d bytes", len(e.Actor.ID))
	}
}

func TestQueryIsChecked(t *testing.T) {
	l := NewLog(source(func(Query) {}))
	ctx := context.Background()
	now := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	for name, q := range map[string]Query{
		"no tenant":      {},
		"negative limit": {Tenant: tenant.Default, Limit: -1},
		"large limit":    {Tenant: tenant.Default, Limit: 1001},
		"empty range":    {Tenant: tenant.Default, Since: now, Until: now},
		"many types":     {Tenant: tenant.Default, Types: make([]string, 51)},
	} {
		if _, _, err := l.Query(ctx, q); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	asked := Query{}
	l = NewLog(source(func(q Query) { asked = q }))
	if _, _, err := l.Query(ctx, Query{Tenant: tenant.Default}); err != nil || asked.Limit != DefaultLimit {
		t.Errorf("limit %d, %v", asked.Limit, err)
	}
}

type source func(Query)

func (f source) QueryEvents(_ context.Context, q Query) ([]Event, string, error) {
	f(q)
	return nil, "", nil
}

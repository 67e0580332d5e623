package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/gateway"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func fact(n int, at time.Time) gateway.Facts {
	return gateway.Facts{
		Time: at, Method: "GET", Path: fmt.Sprintf("/a/%d", n), From: netip.MustParseAddr("192.0.2.1"),
		Caller: &gateway.CallerFacts{Issuer: "i", Subject: "ana", Claims: map[string]any{"floor": json.Number("12345678901234567")}},
	}
}

// clock is moved by hand, between calls that wait for the writer.
type clock struct{ now time.Time }

func open(t *testing.T, dir string, c *clock, change func(*Config)) *Spool {
	t.Helper()
	conf := Config{Dir: dir, Keep: 24 * time.Hour, Now: func() time.Time { return c.now }}
	if change != nil {
		change(&conf)
	}
	s, err := Open(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func paths(t *testing.T, s *Spool, since time.Time) (out []string) {
	t.Helper()
	if err := s.Each(t.Context(), since, func(f *gateway.Facts) error {
		out = append(out, f.Path)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// What was recorded is read back as it was, also by the next process; a line that a
// crash has cut off is left out.
func TestFactsAreKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "replay")
	c := &clock{start}
	s := open(t, dir, c, nil)
	for i := range 3 {
		s.Record(fact(i, start.Add(time.Duration(i)*time.Minute)))
	}
	var first gateway.Facts
	_ = s.Each(t.Context(), start, func(f *gateway.Facts) error {
		if first.Path == "" {
			first = *f
		}
		return nil
	})
	if d := cmp.Diff(fact(0, start), first, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	list, err := s.segments()
	if err != nil || len(list) != 1 {
		t.Fatalf("%v %v", list, err)
	}
	if info, err := os.Stat(list[0].path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	f, err := os.OpenFile(list[0].path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString(`{"time":"2026-05-01T12:03:00Z","path":"/cut`)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, c, nil)
	if d := cmp.Diff([]string{"/a/1", "/a/2"}, paths(t, again, start.Add(time.Minute))); d != "" {
		t.Error(d)
	}
}

// Old files go, and so do the oldest of too many. Nothing older than what is kept is
// read, whatever is asked for.
func TestFactsAreForgotten(t *testing.T) {
	dir := t.TempDir()
	c := &clock{time.Now()}
	s := open(t, dir, c, nil)
	s.Record(fact(1, c.now))
	if got := paths(t, s, time.Time{}); len(got) != 1 {
		t.Fatal(got)
	}
	c.now = c.now.Add(25 * time.Hour)
	if got := paths(t, s, time.Time{}); len(got) != 0 {
		t.Errorf("a day later: %v", got)
	}
	s.Record(fact(2, c.now))
	if got := paths(t, s, time.Time{}); len(got) != 1 || got[0] != "/a/2" {
		t.Errorf("then: %v", got)
	}
	if list, _ := s.segments(); len(list) != 1 {
		t.Errorf("%d files", len(list))
	}
	small := open(t, t.TempDir(), c, func(conf *Config) { conf.MaxSize = segmentSize + 400 })
	for i := range 6 {
		small.Record(fact(i, c.now))
		_ = paths(t, small, time.Time{}) // it is written
		c.now = c.now.Add(segmentTime + time.Second)
	}
	list, err := small.segments()
	total := int64(0)
	for _, one := range list {
		total += one.size
	}
	if err != nil || total > 400+200 || len(list) == 6 {
		t.Errorf("%d files with %d bytes, %v", len(list), total, err)
	}
}

// A request never waits: what does not fit is dropped and counted.
func TestWhatDoesNotFitIsDropped(t *testing.T) {
	s := &Spool{in: make(chan gateway.Facts, 2), done: make(chan struct{})} // nobody writes
	for i := range 5 {
		s.Record(fact(i, start))
	}
	if s.Dropped() != 3 {
		t.Errorf("%d dropped", s.Dropped())
	}
	c := &clock{start}
	dir := t.TempDir()
	broken := open(t, dir, c, nil)
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if os.Getuid() != 0 {
		broken.Record(fact(1, start))
		_ = broken.Each(t.Context(), start, func(*gateway.Facts) error { return nil })
		if broken.Dropped() != 1 {
			t.Errorf("%d dropped by a disk that is full", broken.Dropped())
		}
	}
	if err := broken.Close(); err != nil {
		t.Error(err)
	}
	broken.Record(fact(1, start)) // after the end it is no trouble
}

func TestEachStops(t *testing.T) {
	c := &clock{start}
	s := open(t, t.TempDir(), c, nil)
	s.Record(fact(1, start))
	s.Record(fact(2, start))
	enough := errors.New("enough")
	if err := s.Each(t.Context(), start, func(*gateway.Facts) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Each(ctx, start, func(*gateway.Facts) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	b, _ := json.Marshal(fact(1, start))
	f.Add(b)
	f.Fuzz(func(t *testing.T, line []byte) {
		facts, ok := read(line)
		if ok {
			_ = facts.Who()
			_ = facts.Operation()
			_ = facts.Replayable()
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	s, err := Open(Config{Dir: b.TempDir(), Keep: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	f := fact(1, start)
	b.ReportAllocs()
	for b.Loop() {
		s.Record(f)
	}
	b.ReportMetric(float64(s.Dropped())/float64(b.N), "dropped/op")
	_ = s.Close()
}

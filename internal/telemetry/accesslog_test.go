package telemetry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// sink is a writer that tells what it was given and can be held up or broken.
type sink struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	calls int
	gate  chan struct{} // when not nil, each Write waits for a value
	err   error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.err != nil {
		return 0, s.err
	}
	return s.buf.Write(p)
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func (s *sink) writes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func TestAccessLogWritesEverythingOnce(t *testing.T) {
	s := &sink{}
	l := NewAccessLog(AccessLogConfig{Writer: s})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				if !l.Write(fmt.Appendf(nil, "%d-%d\n", g, i)) {
					t.Error("dropped though there is room")
				}
			}
		})
	}
	wg.Wait()
	if !l.Close(time.Minute) {
		t.Fatal("not closed in time")
	}
	lines := strings.Fields(s.text())
	seen := map[string]bool{}
	next := map[string]int{}
	for _, line := range lines {
		if seen[line] {
			t.Fatalf("%s twice", line)
		}
		seen[line] = true
		g, i, _ := strings.Cut(line, "-")
		if want := fmt.Sprint(next[g]); i != want {
			t.Fatalf("goroutine %s: line %s where %s was due", g, i, want)
		}
		next[g]++
	}
	if len(lines) != 4000 {
		t.Errorf("%d lines, want 4000", len(lines))
	}
	if l.Write([]byte("late\n")) || l.Dropped() != 1 {
		t.Error("a line after Close is not counted as dropped")
	}
}

func TestAccessLogBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		l := NewAccessLog(AccessLogConfig{Writer: s, Delay: time.Second})
		for range 100 {
			l.Write([]byte("line\n"))
		}
		<-time.After(999 * time.Millisecond)
		synctest.Wait()
		if s.writes() != 0 {
			t.Errorf("written after 999 ms, the delay is a second")
		}
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		if s.writes() != 1 || len(s.text()) != 500 {
			t.Errorf("%d writes of %d bytes in all, want one of 500", s.writes(), len(s.text()))
		}
		if !l.Close(time.Second) {
			t.Error("not closed")
		}
	})
}

// A sink that is stuck never blocks who writes; what does not fit is counted.
func TestAccessLogStuckSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		var told int64
		l := NewAccessLog(AccessLogConfig{Writer: s, Bytes: 1000, OnDrop: func(n int64) { told += n }})
		line := bytes.Repeat([]byte("x"), 99)
		line = append(line, '\n')
		taken := 0
		for range 5 {
			if l.Write(line) {
				taken++
			}
		}
		<-time.After(time.Second) // the writing goroutine is stuck with the first five now
		synctest.Wait()
		for range 100 {
			if l.Write(line) {
				taken++
			}
		}
		if taken != 15 || l.Dropped() != 90 {
			t.Errorf("%d taken, %d dropped; want 15 and 90", taken, l.Dropped())
		}
		if told != 90 {
			t.Errorf("told of %d dropped while the sink is stuck, want 90", told)
		}
		if l.Close(time.Minute) {
			t.Error("Close says that all was written while the sink is stuck")
		}
		close(s.gate)
		if !l.Close(time.Minute) {
			t.Error("not closed after the sink came back")
		}
		if got := strings.Count(s.text(), "\n"); got != 15 {
			t.Errorf("%d lines written, want the 15 that were taken", got)
		}
	})
}

func TestAccessLogBrokenSink(t *testing.T) {
	s := &sink{err: errors.New("disk full")}
	var got error
	l := NewAccessLog(AccessLogConfig{Writer: s, OnError: func(err error) { got = err }})
	for range 3 {
		if !l.Write([]byte("line\n")) {
			t.Error("not taken")
		}
	}
	l.Close(time.Minute)
	if l.Dropped() != 3 || got == nil {
		t.Errorf("%d dropped, error %v; want 3 and the sink's", l.Dropped(), got)
	}
}

func TestAccessLogNoAllocation(t *testing.T) {
	l := NewAccessLog(AccessLogConfig{Writer: &sink{err: errors.New("away with it")}})
	defer l.Close(time.Second)
	line := []byte("a line of an access log\n")
	if n := testing.AllocsPerRun(1000, func() { l.Write(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkAccessLog(b *testing.B) {
	l := NewAccessLog(AccessLogConfig{Writer: discard{}})
	defer l.Close(time.Second)
	line := bytes.Repeat([]byte("x"), 400)
	for b.Loop() {
		l.Write(line)
	}
	b.ReportMetric(float64(l.Dropped())/float64(b.N), "drops/op")
}

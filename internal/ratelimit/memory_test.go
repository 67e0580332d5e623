package ratelimit

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func entries(m *Memory) int {
	n := 0
	for i := range m.shards {
		n += len(m.shards[i].buckets) * ways
	}
	return n
}

// As long as there is room, the table answers like a plain map that forgets nothing.
func TestMemoryAgreesWithMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(MemoryConfig{})
		seeds := New(m)
		model := map[Key]int64{}
		now := epoch.UnixNano()
		for range rapid.IntRange(1, 300).Draw(t, "calls") {
			now += rapid.Int64Range(0, 1000).Draw(t, "gap")
			key := seeds.Key(fmt.Sprint(rapid.IntRange(0, 200).Draw(t, "key")))
			by := rapid.Int64Range(0, 300).Draw(t, "by")
			const room = 1000
			want, ok := max(model[key], now)+by, true
			if want > now+room {
				want, ok = max(model[key], now), false
			} else if by > 0 {
				model[key] = want
			}
			if at, moved := m.Advance(now, key, by, room); at != want || moved != ok {
				t.Fatalf("Advance = %d %v, want %d %v", at-now, moved, want-now, ok)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(MemoryConfig{MaxKeys: 4096})
	l := New(m)
	rate := Rate{10, time.Hour}
	for i := range 100_000 {
		if !l.Take(epoch, l.Key(fmt.Sprint(i)), rate, 1).Allowed {
			t.Fatal("a new subject is refused when the table is full")
		}
	}
	if n := entries(m); n > 4096 {
		t.Errorf("%d places, want at most 4096", n)
	}
	if n := m.Len(epoch.UnixNano()); n > 4096 || n < 4000 {
		t.Errorf("%d live counters, want about 4096", n)
	}
}

// Idle counters are overwritten: many subjects over time need no more room than
// those of one period.
func TestMemoryForgetsTheIdle(t *testing.T) {
	m := NewMemory(MemoryConfig{})
	l := New(m)
	now := epoch
	for i := range 200_000 {
		now = now.Add(time.Millisecond)
		l.Take(now, l.Key(fmt.Sprint(i)), Rate{10, time.Second}, 1) // live for 100 ms
	}
	if n := entries(m); n > 16*1024 {
		t.Errorf("%d places for 100 live counters", n)
	}
	if n := m.Len(now.UnixNano()); n != 100 {
		t.Errorf("%d live counters, want 100", n)
	}
}

// Someone who makes up names does not free a subject that is at its limit
// (attack gateway 69, rotation).
func TestFloodDoesNotFreeTheLimited(t *testing.T) {
	m := NewMemory(MemoryConfig{MaxKeys: 8192})
	l := New(m)
	rate := Rate{10, time.Hour}
	const victims = 50
	for i := range victims {
		for range 10 {
			l.Take(epoch, l.Key("victim", fmt.Sprint(i)), rate, 1)
		}
	}
	for i := range 200_000 {
		l.Take(epoch.Add(time.Duration(i)), l.Key("made up", fmt.Sprint(i)), rate, 1)
	}
	freed := 0
	for i := range victims {
		if l.Take(epoch.Add(time.Second), l.Key("victim", fmt.Sprint(i)), rate, 1).Allowed {
			freed++
		}
	}
	if freed > 0 {
		t.Errorf("%d of %d limited subjects were freed by made-up names", freed, victims)
	}
}

func TestHeaders(t *testing.T) {
	res := Result{Limit: 100, Remaining: 42, Reset: 16*time.Second + 1, RetryAfter: 1500 * time.Millisecond}
	got := string(AppendRateLimit(AppendRateLimit(nil, "client", res), "user", Result{}))
	if want := `"client";r=42;t=17, "user";r=0;t=0`; got != want {
		t.Errorf("RateLimit: %s, want %s", got, want)
	}
	got = string(AppendPolicy(AppendPolicy(nil, "a\"b\\c\nd\x80", Rate{100, time.Minute}), "y", Rate{5, time.Hour}))
	if want := `"a\"b\\c?d?";q=100;w=60, "y";q=5;w=3600`; got != want {
		t.Errorf("RateLimit-Policy: %s, want %s", got, want)
	}
	if got := string(AppendRetryAfter(nil, res)); got != "2" {
		t.Errorf("Retry-After: %s, want 2", got)
	}
	if got := string(AppendRetryAfter(nil, Result{RetryAfter: 1})); got != "1" {
		t.Errorf("Retry-After: %s, want 1", got)
	}
}

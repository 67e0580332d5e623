package ratelimit

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newLimiter() *Limiter { return New(NewMemory(MemoryConfig{})) }

func TestTake(t *testing.T) {
	rate := Rate{Count: 3, Period: 3 * time.Second}
	type step struct {
		after time.Duration
		cost  int64
		want  Result
	}
	steps := []step{
		{0, 1, Result{Allowed: true, Limit: 3, Remaining: 2, Reset: time.Second}},
		{0, 1, Result{Allowed: true, Limit: 3, Remaining: 1, Reset: 2 * time.Second}},
		{0, 2, Result{Limit: 3, Remaining: 1, Reset: 2 * time.Second, RetryAfter: time.Second}},
		{0, 1, Result{Allowed: true, Limit: 3, Remaining: 0, Reset: 3 * time.Second}},
		{0, 1, Result{Limit: 3, Remaining: 0, Reset: 3 * time.Second, RetryAfter: time.Second}},
		{time.Second - 1, 1, Result{Limit: 3, Remaining: 0, Reset: 2*time.Second + 1, RetryAfter: 1}},
		{1, 1, Result{Allowed: true, Limit: 3, Remaining: 0, Reset: 3 * time.Second}},
		{0, 4, Result{Limit: 3, Remaining: 0, Reset: 3 * time.Second, RetryAfter: -1}},
		{0, 0, Result{Allowed: true, Limit: 3, Remaining: 0, Reset: 3 * time.Second}},
		{time.Hour, 3, Result{Allowed: true, Limit: 3, Remaining: 0, Reset: 3 * time.Second}},
	}
	l := newLimiter()
	key := l.Key("default", "hr", "limit 0", "ana")
	now := epoch
	for i, s := range steps {
		now = now.Add(s.after)
		if d := cmp.Diff(s.want, l.Take(now, key, rate, s.cost)); d != "" {
			t.Fatalf("step %d: %s", i, d)
		}
	}
}

func TestRateThatAllowsNothing(t *testing.T) {
	l := newLimiter()
	for _, rate := range []Rate{{}, {Count: -1, Period: time.Second}, {Count: 1}} {
		if r := l.Take(epoch, l.Key("x"), rate, 1); r.Allowed || r.RetryAfter != -1 {
			t.Errorf("%v: %+v", rate, r)
		}
		claims := []Claim{{Key: l.Key("x"), Rate: rate, Cost: 1}, {Key: l.Key("y"), Rate: Rate{1, time.Second}, Cost: 1}}
		if got := l.TakeAll(epoch, claims); got != 0 {
			t.Errorf("%v: TakeAll = %d, want 0", rate, got)
		}
	}
}

// attack gateway 69: 200 parallel requests, limit 100: at most 100 pass.
func TestParallelNeverOver(t *testing.T) {
	l := newLimiter()
	key := l.Key("tenant", "api", "client")
	rate := Rate{Count: 100, Period: time.Hour}
	var passed atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 200 {
		wg.Go(func() {
			<-start
			if l.Take(epoch, key, rate, 1).Allowed {
				passed.Add(1)
			}
		})
	}
	close(start)
	wg.Wait()
	if passed.Load() != 100 {
		t.Fatalf("%d passed, want exactly 100", passed.Load())
	}
}

// The bound of the package documentation, for any rate and any sequence of
// requests: in a stretch of length w at most Count + w·Count/Period pass.
func TestNeverOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := Rate{
			Count:  rapid.Int64Range(1, 1_000_000).Draw(t, "count"),
			Period: time.Duration(rapid.Int64Range(1, int64(48*time.Hour)).Draw(t, "period")),
		}
		l := newLimiter()
		key := l.Key("k")
		now := epoch
		type pass struct {
			at   time.Time
			cost int64
		}
		var passes []pass
		for range rapid.IntRange(1, 60).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(rate.Period)/2).Draw(t, "gap")))
			cost := rapid.Int64Range(1, min(rate.Count+1, 1+rate.Count/3)).Draw(t, "cost")
			r := l.Take(now, key, rate, cost)
			if r.Remaining < 0 || r.Remaining > rate.Count || r.Reset < 0 {
				t.Fatalf("impossible result %+v", r)
			}
			if r.Allowed {
				passes = append(passes, pass{now, cost})
			} else if r.RetryAfter > 0 {
				// What it promises holds: exactly then it passes, a nanosecond earlier not.
				if cost == 1 && l.Peek(now.Add(r.RetryAfter-1), key, rate).Allowed {
					t.Fatal("passes before RetryAfter")
				}
				if cost == 1 && !l.Peek(now.Add(r.RetryAfter), key, rate).Allowed {
					t.Fatal("does not pass after RetryAfter")
				}
			}
		}
		for i := range passes {
			var sum int64
			for _, p := range passes[i:] {
				sum += p.cost
				w := p.at.Sub(passes[i].at)
				bound := float64(rate.Count) + float64(w)*float64(rate.Count)/float64(rate.Period)
				if float64(sum) > bound+1e-6 {
					t.Fatalf("%d passed within %s at a rate of %v", sum, w, rate)
				}
			}
		}
	})
}

// A request that one limit refuses takes nothing from the others.
func TestTakeAllTakesAllOrNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLimiter()
		n := rapid.IntRange(2, 5).Draw(t, "limits")
		claims := make([]Claim, n)
		model := make([]int64, n) // how much was taken; the clock stands still
		for i := range claims {
			claims[i] = Claim{
				Key:  l.Key("limit", string(rune('a'+i))),
				Rate: Rate{rapid.Int64Range(1, 6).Draw(t, "count"), time.Minute}, Cost: 1,
			}
		}
		for range 30 {
			want := -1
			for i := range claims {
				claims[i].Cost = rapid.Int64Range(0, 3).Draw(t, "cost")
				if want < 0 && model[i]+claims[i].Cost > claims[i].Rate.Count {
					want = i
				}
			}
			if got := l.TakeAll(epoch, claims); got != want {
				t.Fatalf("TakeAll = %d, want %d (taken %v, claims %+v)", got, want, model, claims)
			}
			for i := range claims {
				if want < 0 {
					model[i] += claims[i].Cost
				}
				if left := l.Peek(epoch, claims[i].Key, claims[i].Rate).Remaining; left != claims[i].Rate.Count-model[i] {
					t.Fatalf("limit %d: %d left, want %d", i, left, claims[i].Rate.Count-model[i])
				}
				if want < 0 || i < want {
					if r := claims[i].Result; r.Remaining != claims[i].Rate.Count-model[i] || !r.Allowed {
						t.Fatalf("limit %d: result %+v does not say what is left", i, r)
					}
				}
			}
		}
	})
}

func TestTakeAllParallel(t *testing.T) {
	l := newLimiter()
	wide, narrow := Rate{1000, time.Hour}, Rate{50, time.Hour}
	var passed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			claims := []Claim{{Key: l.Key("wide"), Rate: wide, Cost: 1}, {Key: l.Key("narrow"), Rate: narrow, Cost: 1}}
			for range 100 {
				if l.TakeAll(epoch, claims) < 0 {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 50 {
		t.Errorf("%d passed, want 50", passed.Load())
	}
	if left := l.Peek(epoch, l.Key("wide"), wide).Remaining; left != 950 {
		t.Errorf("the wide limit has %d left, want 950: what was refused was not given back", left)
	}
}

// A limit that was made smaller must not lock its subjects out for the old period.
func TestSmallerPeriodAfterReload(t *testing.T) {
	l := newLimiter()
	key := l.Key("k")
	for range 5 {
		l.Take(epoch, key, Rate{5, time.Hour}, 1)
	}
	minute := Rate{60, time.Minute}
	if l.Take(epoch, key, minute, 1).Allowed {
		t.Fatal("passes though the old limit was used up")
	}
	if !l.Take(epoch.Add(time.Second), key, minute, 1).Allowed {
		t.Fatal("does not pass one interval of the new limit later")
	}
	if l.Take(epoch.Add(time.Second), key, minute, 1).Allowed {
		t.Fatal("the new limit passes more than one interval's worth")
	}
}

func TestPeekTakesNothing(t *testing.T) {
	l := newLimiter()
	key, rate := l.Key("k"), Rate{1, time.Minute}
	for range 3 {
		if r := l.Peek(epoch, key, rate); !r.Allowed || r.Remaining != 1 {
			t.Fatalf("%+v", r)
		}
	}
	l.Take(epoch, key, rate, 1)
	if r := l.Peek(epoch, key, rate); r.Allowed || r.RetryAfter != time.Minute {
		t.Fatalf("%+v", r)
	}
}

// attack gateway 68: the tenant is part of the key, so tenants never share a counter.
func TestKeys(t *testing.T) {
	l := newLimiter()
	seen := map[Key][]string{}
	for _, parts := range [][]string{
		nil,
		{""},
		{"", ""},
		{"a"},
		{"a", ""},
		{"", "a"},
		{"ab"},
		{"a", "b"},
		{"b", "a"},
		{"acme", "hr", "client", "x"},
		{"other", "hr", "client", "x"},
	} {
		k := l.Key(parts...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q are one counter", parts, other)
		}
		seen[k] = parts
		if k != l.Key(parts...) {
			t.Errorf("%q is not stable", parts)
		}
	}
	base := l.Key("t", "api", "user")
	if l.Join(base, []byte("ana")) != l.JoinString(base, "ana") || l.JoinString(base, "ana") != l.Key("t", "api", "user", "ana") {
		t.Error("Join and Key disagree")
	}
	if other := New(nil); other.Key("a") == l.Key("a") {
		t.Error("two limiters share a seed")
	}
}

func TestJoinAddr(t *testing.T) {
	l := newLimiter()
	base := l.Key("ip")
	at := func(s string) Key { return l.JoinAddr(base, netip.MustParseAddr(s)) }
	if at("2001:db8:1:2::1") != at("2001:db8:1:2:ffff::9") {
		t.Error("two addresses of one /64 have two limits")
	}
	if at("2001:db8:1:2::1") == at("2001:db8:1:3::1") {
		t.Error("two /64 share a limit")
	}
	if at("192.0.2.1") == at("192.0.2.2") {
		t.Error("two IPv4 addresses share a limit")
	}
	if at("192.0.2.1") != at("::ffff:192.0.2.1") {
		t.Error("one IPv4 address has two limits")
	}
}

func TestNoAllocation(t *testing.T) {
	l := newLimiter()
	base, rate := l.Key("tenant", "api", "limit"), Rate{100, time.Second}
	claims := []Claim{{Rate: rate, Cost: 1}, {Rate: rate, Cost: 1}}
	subject, addr := []byte("client-17"), netip.MustParseAddr("192.0.2.1")
	buf := make([]byte, 0, 200)
	now := epoch
	allocs := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Millisecond)
		l.Take(now, l.Join(base, subject), rate, 1)
		claims[0].Key, claims[1].Key = l.JoinAddr(base, addr), l.Key("a", "b")
		l.TakeAll(now, claims)
		l.Peek(now, base, rate)
		buf = AppendRateLimit(buf[:0], "api", claims[0].Result)
		buf = AppendPolicy(buf, "api", rate)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func BenchmarkTake(b *testing.B) {
	l := newLimiter()
	base, rate := l.Key("tenant", "api", "limit"), Rate{1000, time.Second}
	subjects := make([][]byte, 10000)
	for i := range subjects {
		subjects[i] = []byte{byte(i), byte(i >> 8), 'x', 'y', 'z', '0', '1', '2'}
	}
	now, i := epoch, 0
	for b.Loop() {
		i++
		now = now.Add(time.Microsecond)
		l.Take(now, l.Join(base, subjects[i%len(subjects)]), rate, 1)
	}
}

func BenchmarkTakeParallel(b *testing.B) {
	l := newLimiter()
	key, rate := l.Key("tenant", "api", "limit"), Rate{1000, time.Second}
	b.RunParallel(func(pb *testing.PB) {
		now := epoch
		for pb.Next() {
			now = now.Add(time.Microsecond)
			l.Take(now, key, rate, 1)
		}
	})
}

func BenchmarkTakeAll(b *testing.B) {
	l := newLimiter()
	rate := Rate{1000, time.Second}
	claims := []Claim{{Key: l.Key("a"), Rate: rate, Cost: 1}, {Key: l.Key("b"), Rate: rate, Cost: 1}}
	now := epoch
	for b.Loop() {
		now = now.Add(time.Microsecond)
		l.TakeAll(now, claims)
	}
}

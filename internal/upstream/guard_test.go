package upstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano() // a constant

// fail settles n unanswered attempts in a row, none of them a trial.
func fail(g *guard, now int64, n int) {
	for range n {
		g.settle(now, unanswered, false, nil)
	}
}

func TestBreakerOpensAfterSilence(t *testing.T) {
	var g guard
	fail(&g, epoch, breakAfter-1)
	if why := g.unavailable(epoch); why != "" {
		t.Fatalf("%s after %d attempts", why, breakAfter-1)
	}
	g.settle(epoch, answered, false, nil)
	fail(&g, epoch, breakAfter-1)
	if why := g.unavailable(epoch); why != "" {
		t.Fatalf("%s, though an answer came between", why)
	}
	fail(&g, epoch, 1)
	if why := g.unavailable(epoch); why != "breaker open" {
		t.Fatalf("%q after %d attempts without an answer", why, breakAfter)
	}
	if ok, _ := g.claim(epoch + int64(breakFirst) - 1); ok {
		t.Fatal("lets through before its time")
	}
}

func TestBreakerTrial(t *testing.T) {
	var g guard
	now := epoch
	fail(&g, now, breakAfter)
	wait := breakFirst
	// Each failed trial doubles the wait, up to the longest.
	for range 8 {
		if at := g.until(now); at != now+int64(wait) {
			t.Fatalf("opens again in %s, want %s", time.Duration(at-now), wait)
		}
		now += int64(wait)
		ok, trial := g.claim(now)
		if !ok || !trial {
			t.Fatalf("claim after %s: %v %v, want a trial", wait, ok, trial)
		}
		if ok, _ := g.claim(now); ok {
			t.Fatal("a second request passes during the trial")
		}
		g.settle(now, unanswered, true, nil)
		wait = min(2*wait, breakMost)
	}
	// A trial that says nothing leaves room for another one.
	now += int64(wait)
	_, trial := g.claim(now)
	g.settle(now, nothing, trial, nil)
	ok, trial := g.claim(now)
	if !ok || !trial {
		t.Fatal("no further trial after one that the client gave up")
	}
	g.settle(now, erred, trial, nil) // 5xx is an answer
	for range 3 {
		if ok, trial := g.claim(now); !ok || trial {
			t.Fatalf("claim after an answer: %v %v, want closed", ok, trial)
		}
	}
	fail(&g, now, breakAfter)
	if at := g.until(now); at != now+int64(breakFirst) {
		t.Errorf("opens for %s after it was closed, want %s", time.Duration(at-now), breakFirst)
	}
}

func TestBreakerOneTrialAtATime(t *testing.T) {
	var g guard
	fail(&g, epoch, breakAfter)
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if ok, _ := g.claim(epoch + int64(time.Minute)); ok {
				passed.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 1 {
		t.Errorf("%d passed an open breaker at once, want 1", passed.Load())
	}
}

func TestEjectionGrows(t *testing.T) {
	var g guard
	now := epoch
	want := ejectFirst
	for range 8 {
		var eject bool
		for range ejectAfter {
			eject = g.settle(now, erred, false, nil)
		}
		if !eject {
			t.Fatalf("not to be ejected after %d answers of 5xx", ejectAfter)
		}
		if d := g.eject(now); d != want {
			t.Fatalf("ejected for %s, want %s", d, want)
		}
		if g.unavailable(now+int64(want)-1) != "ejected" || g.unavailable(now+int64(want)) != "" {
			t.Fatal("not out for as long as it says")
		}
		if g.eject(now) != 0 {
			t.Fatal("ejected while ejected")
		}
		now += int64(want)
		want = min(2*want, ejectMost)
	}
	now += int64(ejectMost) + 1
	if d := g.eject(now); d != ejectFirst {
		t.Errorf("after a long good time ejected for %s, want %s", d, ejectFirst)
	}
}

func TestBudgetUnderTotalFailure(t *testing.T) {
	// Whatever the traffic, in each second at most 3 retries, or a fifth of the
	// requests of the last ten seconds.
	rapid.Check(t, func(t *rapid.T) {
		var b budget
		requests, retries := map[int64]int64{}, map[int64]int64{}
		now := epoch
		for range rapid.IntRange(1, 400).Draw(t, "events") {
			now += rapid.Int64Range(0, int64(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 15 * time.Second}).Draw(t, "scale"))).Draw(t, "gap")
			second := now / 1e9
			b.request(now)
			requests[second]++
			for range rapid.IntRange(0, 3).Draw(t, "retries") {
				if b.retry(now) {
					retries[second]++
				}
			}
			var window, tried int64
			for s := second - budgetSeconds + 1; s <= second; s++ {
				window += requests[s]
				tried += retries[s]
			}
			if retries[second] > budgetLeast && tried*budgetShare > window {
				t.Fatalf("%d retries for %d requests in ten seconds, %d in this one", tried, window, retries[second])
			}
		}
	})
}

func TestBudgetAllowsAFifth(t *testing.T) {
	var b budget
	for i := range 1000 {
		b.request(epoch + int64(i)*1e6)
	}
	n := 0
	for range 1000 {
		if b.retry(epoch + 999*1e6) {
			n++
		}
	}
	if n != 200 {
		t.Errorf("%d retries for 1000 requests, want 200", n)
	}
	if !b.retry(epoch + 30*1e9) {
		t.Error("no retry after a quiet time")
	}
}

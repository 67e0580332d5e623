package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/telemetry"
)

const (
	ejectAfter  = 5 // failures in a row, answers of 5xx included
	ejectFirst  = 10 * time.Second
	ejectMost   = 5 * time.Minute
	breakAfter  = 5 // attempts in a row without any answer
	breakFirst  = time.Second
	breakMost   = 30 * time.Second
	maxDoubling = 10
)

// outcome is what an attempt says about its target.
type outcome uint8

const (
	answered   outcome = iota // with a status below 500
	erred                     // with 5xx, or broke off in the body
	unanswered                // not at all
	nothing                   // the attempt says nothing: the client went away
)

// guard remembers a target's failures: passive ejection and the breaker. Asking
// it is a few atomic loads; the lock is taken only when something changes.
type guard struct {
	failures  atomic.Int32 // in a row
	silences  atomic.Int32 // in a row
	openUntil atomic.Int64 // breaker: Unix nanoseconds, 0 = closed
	outUntil  atomic.Int64 // ejection: Unix nanoseconds, 0 = never
	trial     atomic.Bool  // an attempt through the open breaker is under way

	mu        sync.Mutex
	openings  int // in a row
	ejections int // in a row
}

// unavailable returns why no request is let through now, "" when one is.
func (g *guard) unavailable(now int64) string {
	if out := g.outUntil.Load(); out > now {
		return "ejected"
	}
	if open := g.openUntil.Load(); open != 0 && (open > now || g.trial.Load()) {
		return "breaker open"
	}
	return ""
}

// claim lets a request through. trial says that it is the one that tries
// whether the target is back; settle must follow.
func (g *guard) claim(now int64) (ok, trial bool) {
	if g.outUntil.Load() > now {
		return false, false
	}
	open := g.openUntil.Load()
	if open == 0 {
		return true, false
	}
	if open > now || !g.trial.CompareAndSwap(false, true) {
		return false, false
	}
	return true, true
}

// until returns when the guard may let something through again, 0 for now.
func (g *guard) until(now int64) int64 {
	at := max(g.outUntil.Load(), g.openUntil.Load())
	if at <= now {
		return 0
	}
	return at
}

// settle tells the guard how an attempt went. It returns whether the target has
// failed often enough to be ejected.
func (g *guard) settle(now int64, o outcome, trial bool, m *telemetry.UpstreamMetrics) (eject bool) {
	switch o {
	case nothing:
		if trial {
			g.trial.Store(false)
		}
		return false
	case answered, erred:
		if g.silences.Load() != 0 {
			g.silences.Store(0)
		}
		if trial || g.openUntil.Load() != 0 {
			g.close(m)
		}
		if o == answered {
			if g.failures.Load() != 0 {
				g.failures.Store(0)
			}
			return false
		}
	case unanswered:
		if trial || g.silences.Add(1) >= breakAfter {
			g.open(now, trial, m)
		}
	}
	return g.failures.Add(1) >= ejectAfter
}

// open opens the breaker, for longer each time that a trial fails.
func (g *guard) open(now int64, trial bool, m *telemetry.UpstreamMetrics) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !trial && g.openUntil.Load() != 0 {
		return // it was opened while this attempt was on its way
	}
	g.openUntil.Store(now + int64(min(breakFirst<<min(g.openings, maxDoubling), breakMost)))
	g.openings++
	g.silences.Store(0)
	if trial {
		g.trial.Store(false)
	}
	m.Breaker(telemetry.BreakerOpen)
}

// close closes the breaker: the target has answered.
func (g *guard) close(m *telemetry.UpstreamMetrics) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.openings = 0
	g.openUntil.Store(0)
	g.trial.Store(false)
	m.Breaker(telemetry.BreakerClosed)
}

// eject takes the target out and returns for how long. Who has stayed in for as
// long as the longest ejection begins with the shortest again.
func (g *guard) eject(now int64) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := g.outUntil.Load()
	if last > now {
		return 0
	}
	if now-last > int64(ejectMost) {
		g.ejections = 0
	}
	d := min(ejectFirst<<min(g.ejections, maxDoubling), ejectMost)
	g.ejections++
	g.failures.Store(0)
	g.outUntil.Store(now + int64(d))
	return d
}

package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// exchange is what serving needs of a *gateway.Exchange beside its request.
type exchange interface {
	caller
	Context() context.Context
	Relay(*wire.Response) error
	Upgrade(*wire.Response) error
	SetRetryAfter(time.Duration)
	SetUpstream(target string, attempts int, took time.Duration)
	Kept() *any
}

// call is one exchange's way through the pool. Its memory stays with the exchange's.
type call struct {
	p    *Pool
	ex   exchange
	out  *wire.Outbound
	resp wire.Response

	start      int64 // Unix nanoseconds
	idempotent bool
	empty      bool   // the request has no body
	path       []byte // the request's target before any prefix
	joined     []byte // memory for prefix and path

	tried    [maxAttempts]*target
	attempts int
	full     bool // a target was passed over because of MaxConnections
}

// Serve implements gateway.Backend.
func (p *Pool) Serve(ex *gateway.Exchange) error {
	return p.serve(ex, &ex.Out, ex.Idempotent())
}

func (p *Pool) serve(ex exchange, out *wire.Outbound, idempotent bool) error {
	start := p.now()
	place := ex.Kept()
	c, ok := (*place).(*call)
	if !ok {
		c = new(call)
	}
	*place = nil // should it panic, it is not used again
	c.p, c.ex, c.out = p, ex, out
	c.start, c.idempotent, c.path = start.UnixNano(), idempotent, out.Target
	c.empty = out.Body == nil || out.Body.Length() == 0
	out.Deadline = start.Add(p.timeout)
	out.Replayable = idempotent && c.empty
	p.budget.request(c.start)
	err := c.run()
	c.release()
	*place = c
	return err
}

// release forgets everything but memory that the next call can use.
func (c *call) release() {
	c.out.Target = c.path // joined belongs to the next call
	c.p, c.ex, c.out, c.path = nil, nil, nil, nil
	c.full = false
	clear(c.tried[:c.attempts])
	c.attempts = 0
	if cap(c.joined) > 64<<10 {
		c.joined = nil
	}
}

// run tries targets until one has answered or there is no use in going on.
func (c *call) run() error {
	var last error
	now := c.start
	for {
		t, trial := c.pick(now)
		if t == nil {
			if last != nil {
				return c.refuse(last)
			}
			return c.none(now)
		}
		done, err := c.try(t, trial, now)
		if done {
			return err
		}
		now = c.p.now().UnixNano()
		if last = err; !c.again(err, now) {
			return c.refuse(err)
		}
	}
}

// pick chooses and enters a target: one that was not tried yet; when there is
// none, and the first try is over, any.
func (c *call) pick(now int64) (t *target, trial bool) {
	p := c.p
	n, first := len(p.targets), p.first(now, c.ex)
	for round := 0; round < 2 && (round == 0 || c.attempts > 0); round++ {
		for i := range n {
			j := first + i
			if j >= n {
				j -= n
			}
			t := p.targets[j]
			if round == 0 && c.hasTried(t) || t.unavailable(now) != "" {
				continue
			}
			if !t.enter() {
				c.full = true
				t.metrics.Shed()
				continue
			}
			ok, trial := t.guard.claim(now)
			if !ok {
				t.leave()
				continue
			}
			return t, trial
		}
	}
	return nil, false
}

func (c *call) hasTried(t *target) bool {
	for _, x := range c.tried[:c.attempts] {
		if x == t {
			return true
		}
	}
	return false
}

// untried reports whether a target is left that could take the request.
func (c *call) untried(now int64) bool {
	for _, t := range c.p.targets {
		if !c.hasTried(t) && t.unavailable(now) == "" && t.active.Load() < t.settings.maxConnections {
			return true
		}
	}
	return false
}

// try sends the request to the target it has entered. done says that the
// exchange is over; otherwise err says why the attempt failed.
func (c *call) try(t *target, trial bool, now int64) (done bool, err error) {
	defer t.leave()
	c.tried[c.attempts] = t
	c.attempts++
	t.metrics.Attempt(c.attempts > 1)
	if trial {
		t.metrics.Breaker(telemetry.BreakerHalfOpen)
	}
	c.address(t)
	err = t.client.RoundTrip(c.out, &c.resp)
	end := c.resp.Received.UnixNano()
	if err != nil {
		end = c.p.now().UnixNano()
	}
	c.ex.SetUpstream(t.settings.raw, c.attempts, time.Duration(end-now))
	if err != nil {
		c.settle(t, end, outcomeOf(err, t.metrics), trial)
		return false, err
	}
	failed := c.resp.Status >= http.StatusInternalServerError
	if failed {
		t.metrics.Failed(telemetry.FailStatus)
		c.settle(t, end, erred, trial)
		if c.anotherMay(end) {
			c.resp.Finish() // what has arrived of the body is thrown away, no more is waited for
			return false, errAnswered
		}
	} else {
		c.settle(t, end, answered, trial)
	}
	return true, c.relay(t)
}

// relay passes the answer on and ends the connection's turn.
func (c *call) relay(t *target) error {
	defer c.resp.Finish()
	if c.resp.Status == http.StatusSwitchingProtocols {
		return c.ex.Upgrade(&c.resp)
	}
	err := c.ex.Relay(&c.resp)
	if err != nil && brokeOff(err) {
		t.metrics.Failed(telemetry.FailBroken)
		c.settle(t, c.p.now().UnixNano(), erred, false)
	}
	return err
}

// address makes the request one for the target: its Host, and its path prefix
// before the canonical path, byte for byte. OPTIONS * has no path (RFC 9110 section 9.3.7).
func (c *call) address(t *target) {
	c.out.Host = t.host
	if len(t.prefix) == 0 || len(c.path) == 1 && c.path[0] == '*' {
		c.out.Target = c.path
		return
	}
	c.joined = append(append(c.joined[:0], t.prefix...), c.path...)
	c.out.Target = c.joined
}

// settle records an attempt and ejects the target when it is time and half of
// the pool stays in.
func (c *call) settle(t *target, now int64, o outcome, trial bool) {
	if t.guard.settle(now, o, trial, t.metrics) {
		c.p.ejectOne(t, now)
	}
}

func (p *Pool) ejectOne(t *target, now int64) {
	p.eject.Lock()
	defer p.eject.Unlock()
	out := 0
	for _, x := range p.targets {
		if x == t {
			continue
		}
		if x.guard.outUntil.Load() > now || x.probe != nil && x.probe.unhealthy.Load() {
			out++
		}
	}
	if 2*(out+1) > len(p.targets) {
		return
	}
	if d := t.guard.eject(now); d > 0 {
		t.metrics.Ejected()
		t.log.LogAttrs(context.Background(), slog.LevelWarn, "target ejected after failures in a row", slog.Duration("for", d))
	}
}

// errAnswered marks an answer that is given up for another target's.
var errAnswered = errors.New("the upstream answered 5xx; another target may do better")

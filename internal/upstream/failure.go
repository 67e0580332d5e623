package upstream

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// outcomeOf says what a failed round trip means for its target, and counts it.
func outcomeOf(err error, m *telemetry.UpstreamMetrics) outcome {
	var w *wire.Error
	if !errors.As(err, &w) {
		m.Failed(telemetry.FailBroken)
		return unanswered
	}
	switch {
	case w.Phase == wire.PhaseBody: // the client's fault
		return nothing
	case errors.Is(err, wire.ErrConnLimit):
		m.Shed()
		return nothing
	case w.Phase == wire.PhaseDial:
		m.Failed(telemetry.FailConnect)
	case w.Phase == wire.PhaseInvalid:
		m.Failed(telemetry.FailInvalid)
	case w.Timeout:
		m.Failed(telemetry.FailTimeout)
	default:
		m.Failed(telemetry.FailBroken)
	}
	return unanswered
}

// again reports whether the request may be tried once more after err: often
// enough allowed, safe, in time, within the budget, and still wanted.
func (c *call) again(err error, now int64) bool {
	if err == errAnswered { //nolint:errorlint // our own mark, never wrapped; anotherMay has asked everything
		return true
	}
	if !c.repeatable(err) || !c.allowed(now) {
		return false
	}
	var w *wire.Error
	if errors.As(err, &w) && w.Phase == wire.PhaseDial {
		return true // it reached nobody, so it is no more work for anybody
	}
	return c.p.budget.retry(now)
}

// repeatable reports whether doing it again cannot do it twice.
func (c *call) repeatable(err error) bool {
	var w *wire.Error
	if !errors.As(err, &w) || errors.Is(err, wire.ErrClientClosed) {
		return false
	}
	switch w.Phase {
	case wire.PhaseDial: // nothing was sent, no body was read
		return true
	case wire.PhaseWrite, wire.PhaseRead:
		return c.empty && !w.Timeout && (!w.Sent || c.idempotent)
	case wire.PhaseInvalid, wire.PhaseBody:
	}
	return false
}

func (c *call) allowed(now int64) bool {
	return c.attempts <= c.p.retries && now < c.start+int64(c.p.timeout) && c.ex.Context().Err() == nil
}

// anotherMay reports whether an answer of 5xx is thrown away for another
// target's: only 502, 503 and 504, which speak of the server and not of the request.
func (c *call) anotherMay(now int64) bool {
	switch c.resp.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return false
	}
	return c.idempotent && c.empty && c.allowed(now) && c.untried(now) && c.p.budget.retry(now)
}

// brokeOff reports whether the upstream failed in the body of its answer, and
// not the client (wire.Exchange: an *Error of Relay is the upstream's).
func brokeOff(err error) bool {
	var w *wire.Error
	return errors.As(err, &w) && w.Phase != wire.PhaseBody
}

// refuse turns the last attempt's failure into the gateway's answer.
func (c *call) refuse(err error) error {
	var w *wire.Error
	if !errors.As(err, &w) {
		return gateway.Refuse(gateway.ReasonUpstreamInvalid, err, "the upstream of %s failed after %d attempts", c.p.api, c.attempts)
	}
	switch {
	case w.Phase == wire.PhaseBody:
		return err
	case errors.Is(err, wire.ErrConnLimit):
		c.ex.SetRetryAfter(time.Second)
		return gateway.Refuse(gateway.ReasonOverloaded, err, "all connections to the upstream of %s are in use", c.p.api)
	case w.Phase == wire.PhaseDial:
		c.ex.SetRetryAfter(time.Second)
		return gateway.Refuse(gateway.ReasonUpstreamUnreachable, err, "no connection to the upstream of %s after %d attempts", c.p.api, c.attempts)
	case w.Timeout:
		return gateway.Refuse(gateway.ReasonUpstreamTimeout, err, "the upstream of %s gave no answer within %s: see upstream.timeout", c.p.api, c.p.timeout)
	}
	return gateway.Refuse(gateway.ReasonUpstreamInvalid, err, "the upstream of %s gave no usable answer", c.p.api)
}

// none is the answer when no target may be used at all.
func (c *call) none(now int64) error {
	p := c.p
	if c.full {
		c.ex.SetRetryAfter(time.Second)
		return gateway.Refuse(gateway.ReasonOverloaded, nil,
			"every usable target of %s has %d exchanges under way: see upstream.max_connections", p.api, p.targets[0].settings.maxConnections)
	}
	wait := defaultProbeInterval
	for _, t := range p.targets {
		at := t.guard.until(now)
		if at == 0 && t.probe != nil && t.probe.unhealthy.Load() {
			wait = min(wait, t.settings.probeInterval)
		} else {
			wait = min(wait, time.Duration(max(at-now, int64(time.Second))))
		}
	}
	c.ex.SetRetryAfter(max(wait, time.Second))
	return gateway.Refuse(gateway.ReasonUpstreamUnreachable, nil,
		"no target of %s is usable: unhealthy, ejected, or spared by the breaker", p.api)
}

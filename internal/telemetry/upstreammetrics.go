package telemetry

import "sync/atomic"

// Failure is how an attempt at an upstream failed.
type Failure uint8

// The failures.
const (
	FailConnect Failure = iota // no connection
	FailTimeout                // no answer in time
	FailBroken                 // the connection broke before the answer
	FailInvalid                // the answer is not HTTP that can be passed on
	FailStatus                 // the upstream answered 5xx
	failureCount
)

var failureNames = [failureCount]string{"connect", "timeout", "broken", "invalid", "status"}

// Breaker is the state of a target's circuit breaker.
type Breaker int32

// The states.
const (
	BreakerClosed   Breaker = iota // traffic flows
	BreakerHalfOpen                // one attempt at a time is let through
	BreakerOpen                    // none is
)

type targetID struct{ api, target string }

// UpstreamMetrics is what the attempts at one target are counted in. Like
// RouteMetrics it lives from the configuration that names the target to the one
// that does not.
type UpstreamMetrics struct {
	id   targetID
	m    *Metrics
	uses int // guarded by Metrics.mu

	attempts  atomic.Int64
	retries   atomic.Int64
	failures  [failureCount]atomic.Int64
	ejections atomic.Int64
	shed      atomic.Int64
	healthy   atomic.Int32
	breaker   atomic.Int32
}

// Upstream returns the counters of a target of an API's pool. Release it when
// the target goes. Nil metrics give nil counters, which count nothing.
func (m *Metrics) Upstream(api, target string) *UpstreamMetrics {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := targetID{api, target}
	u := m.targets[id]
	switch {
	case u != nil:
	case len(m.targets) < m.config.MaxTargets:
		u = &UpstreamMetrics{id: id, m: m}
		u.healthy.Store(1)
		m.targets[id] = u
	default:
		if m.spare == nil {
			m.spare = &UpstreamMetrics{id: targetID{"other", "other"}, m: m}
		}
		u = m.spare
	}
	u.uses++
	return u
}

// Release gives the handle back.
func (u *UpstreamMetrics) Release() {
	if u == nil {
		return
	}
	u.m.mu.Lock()
	defer u.m.mu.Unlock()
	if u.uses--; u.uses <= 0 && u != u.m.spare {
		delete(u.m.targets, u.id)
	}
}

// Attempt counts a request that is sent to the target; retry when it is not the first try.
func (u *UpstreamMetrics) Attempt(retry bool) {
	if u == nil {
		return
	}
	u.attempts.Add(1)
	if retry {
		u.retries.Add(1)
	}
}

// Failed counts an attempt that failed.
func (u *UpstreamMetrics) Failed(f Failure) {
	if u != nil {
		u.failures[f].Add(1)
	}
}

// Ejected counts that the target was taken out because of its failures.
func (u *UpstreamMetrics) Ejected() {
	if u != nil {
		u.ejections.Add(1)
	}
}

// Shed counts a request that was refused because the target's connections were all in use.
func (u *UpstreamMetrics) Shed() {
	if u != nil {
		u.shed.Add(1)
	}
}

// Healthy says whether the target passes its health checks.
func (u *UpstreamMetrics) Healthy(ok bool) {
	if u != nil {
		u.healthy.Store(int32(index(ok))) // 0 or 1
	}
}

// Breaker says in which state the target's breaker is.
func (u *UpstreamMetrics) Breaker(b Breaker) {
	if u != nil {
		u.breaker.Store(int32(b))
	}
}

package telemetry

import (
	"sync/atomic"
	"time"
)

// durationBounds are the upper bounds of the latency buckets.
var durationBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second,
}

type routeID struct{ api, method, path string }

// RouteMetrics is what one operation's exchanges are counted in. It is found
// once, when a snapshot is compiled, and released when that snapshot goes.
type RouteMetrics struct {
	// What every exchange adds to lies together: where there are thousands of routes,
	// it is memory that has to be fetched.
	classes [6]atomic.Int64 // by first digit of the status; 0 = no answer was sent
	nanos   atomic.Int64
	bytes   atomic.Int64
	buckets [len(durationBounds) + 1]atomic.Int64 // the last is everything slower

	id   routeID
	m    *Metrics
	api  *apiMetrics
	uses int // guarded by Metrics.mu
}

// apiMetrics is what the refusals of one API are counted in.
type apiMetrics struct {
	uses    int // guarded by Metrics.mu
	rejects reasonCounters
}

// Route returns the counters of an operation; the same ones as long as anybody
// holds them, so that counts go on over a reload that keeps the route. Call
// Release when the snapshot that asked is gone, after the next one has asked.
func (m *Metrics) Route(api, method, path string) *RouteMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := routeID{api, method, path}
	r := m.routes[id]
	switch {
	case r != nil:
	case len(m.routes) < m.config.MaxRoutes:
		r = &RouteMetrics{id: id, m: m, api: m.apiFor(api)}
		m.routes[id] = r
	default:
		if m.other == nil {
			m.other = &RouteMetrics{id: routeID{"other", "other", "other"}, m: m, api: m.apiFor("other")}
		}
		r = m.other
	}
	r.uses++
	return r
}

func (m *Metrics) apiFor(name string) *apiMetrics {
	a := m.apis[name]
	if a == nil {
		a = &apiMetrics{}
		m.apis[name] = a
	}
	a.uses++
	return a
}

// Release gives the handle back. Exchanges that are still on their way may go
// on using it; what they add is not shown any more.
func (r *RouteMetrics) Release() {
	m := r.m
	m.mu.Lock()
	defer m.mu.Unlock()
	r.uses--
	if r.uses > 0 || r == m.other {
		return
	}
	delete(m.routes, r.id)
	if r.api.uses--; r.api.uses == 0 {
		delete(m.apis, r.id.api)
	}
}

// Observe counts one finished exchange: the status sent (0 when the client was
// gone before any), the reason when the gateway refused it (empty otherwise),
// how long it took and how many body bytes were sent. It costs four atomic additions.
func (r *RouteMetrics) Observe(status int, reason string, d time.Duration, sentBytes int64) {
	class := status / 100
	if class < 0 || class > 5 {
		class = 0
	}
	r.classes[class].Add(1)
	i := 0
	for i < len(durationBounds) && d > durationBounds[i] {
		i++
	}
	r.buckets[i].Add(1)
	r.nanos.Add(int64(d))
	if sentBytes > 0 {
		r.bytes.Add(sentBytes)
	}
	if reason != "" {
		r.api.rejects.add(reason)
	}
}

// reasons are the reason codes that are shown by name (the public contract,
// "Answers made by the gateway"); any other is counted as "other".
var reasons = [...]string{
	"other", "no_route", "method_not_allowed", "ambiguous_request", "body_too_large", "schema_invalid",
	"unsupported_media_type", "no_token", "token_malformed", "token_expired", "token_not_yet_valid",
	"bad_signature", "unknown_issuer", "wrong_audience", "unknown_key", "token_type_not_accepted", "revoked",
	"key_disabled", "session_ended", "cross_site", "sign_in_failed", "proof_invalid", "missing_scope", "group_required", "role_required", "condition_failed", "step_up_required",
	"zone_not_allowed", "policy_forbids", "not_subscribed", "plan_suspended", "rate_limited", "quota_exceeded",
	"overloaded", "upstream_unreachable", "upstream_timeout", "upstream_invalid", "issuer_unreachable",
	"revocation_state_unknown", "policy_error", "internal",
}

// reasonCounters counts by reason.
type reasonCounters [len(reasons)]atomic.Int64

func (c *reasonCounters) add(reason string) {
	for i := 1; i < len(reasons); i++ {
		if reasons[i] == reason {
			c[i].Add(1)
			return
		}
	}
	c[0].Add(1)
}

func (c *reasonCounters) each(f func(reason string, n int64)) {
	for i := range c {
		if n := c[i].Load(); n > 0 {
			f(reasons[i], n)
		}
	}
}

package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// collector reads Metrics when Prometheus asks. It describes nothing beforehand
// ("unchecked"), because routes and targets come and go.
type collector Metrics

// Describe implements prometheus.Collector.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// series is where the collector's metrics go.
type series struct{ out chan<- prometheus.Metric }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("gatehouse_"+name, help, labels, nil)
}

func (s series) counter(d *prometheus.Desc, v int64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

func (s series) gauge(d *prometheus.Desc, v int64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := series{out}
	c.process(s)
	c.mu.Lock()
	routes := make([]*RouteMetrics, 0, len(c.routes)+1)
	for _, r := range c.routes {
		routes = append(routes, r)
	}
	if c.other != nil {
		routes = append(routes, c.other)
	}
	targets := make([]*UpstreamMetrics, 0, len(c.targets)+1)
	for _, u := range c.targets {
		targets = append(targets, u)
	}
	if c.spare != nil {
		targets = append(targets, c.spare)
	}
	apis := make(map[string]*apiMetrics, len(c.apis))
	for name, a := range c.apis {
		apis[name] = a
	}
	c.mu.Unlock()
	collectRoutes(s, routes)
	collectTargets(s, targets)

	rejected := desc("rejected_total", "Requests that the gateway refused, by API and reason; api is empty when none was found.", "api", "reason")
	c.rejects.each(func(reason string, n int64) { s.counter(rejected, n, "", reason) })
	for name, a := range apis {
		a.rejects.each(func(reason string, n int64) { s.counter(rejected, n, name, reason) })
	}
}

// process shows what belongs to the process as a whole.
func (c *collector) process(s series) {
	open := desc("connections_open", "Client connections open now.", "lane")
	accepted := desc("connections_total", "Client connections accepted.", "lane")
	givenUp := desc("connections_given_up_total", "Client connections closed to make room for others: those without a request for longest.", "lane")
	for lane, name := range laneNames {
		s.gauge(open, c.connections[lane].Load(), name)
		s.counter(accepted, c.accepted[lane].Load(), name)
		s.counter(givenUp, c.givenUp[lane].Load(), name)
	}
	reloads := desc("reloads_total", "Attempts to load a configuration.", "outcome")
	s.counter(reloads, c.reloads[0].Load(), "failed")
	s.counter(reloads, c.reloads[1].Load(), "ok")
	cache := desc("token_cache_total", "Looks into the cache of verified tokens.", "outcome")
	s.counter(cache, c.cache[0].Load(), "miss")
	s.counter(cache, c.cache[1].Load(), "hit")
	s.counter(desc("access_log_dropped_total", "Access log lines lost because the sink was slow or broken."), c.logDrops.Load())

	revision := desc("snapshot_revision", "Revision of the configuration that this process serves.", "tenant")
	c.revisions.each(func(tenant, _ string, v int64) { s.gauge(revision, v, tenant) })
	fetches := desc("issuer_key_fetches_total", "Attempts to get an issuer's keys; failed: none came, or none that can be used.", "issuer", "outcome")
	c.fetches.each(func(issuer, outcome string, v int64) { s.counter(fetches, v, issuer, outcome) })
	tokens := desc("tokens_issued_total", "Tokens issued by built-in authorization servers.", "server", "grant")
	shadows := desc("policy_would_deny_total", "Allowed requests that a policy in shadow mode would have denied.", "tenant", "policy")
	c.shadows.each(func(tenant, policy string, v int64) { s.counter(shadows, v, tenant, policy) })
	signIns := desc("sign_ins_total", "What came of browsers' sign-ins and of the renewal of their sessions.", "issuer", "outcome")
	c.signIns.each(func(issuer, outcome string, v int64) { s.counter(signIns, v, issuer, outcome) })
	s.gauge(desc("browser_sessions", "Sessions of browsers that this node holds."), c.sessions.Load())
	c.tokens.each(func(server, grant string, v int64) { s.counter(tokens, v, server, grant) })
}

func collectRoutes(s series, routes []*RouteMetrics) {
	labels := []string{"api", "method", "route"}
	requests := desc("requests_total", "Finished exchanges by class of status; class 0xx: the client was gone before an answer.",
		"api", "method", "route", "class")
	duration := desc("request_duration_seconds", "From the whole request head to the last byte of the answer.", labels...)
	sent := desc("sent_body_bytes_total", "Body bytes sent to clients.", labels...)
	for _, r := range routes {
		for class := range r.classes {
			if n := r.classes[class].Load(); n > 0 {
				s.counter(requests, n, r.id.api, r.id.method, r.id.path, strconv.Itoa(class)+"xx")
			}
		}
		// The buckets are read one after another while others write; the count is
		// their sum, so that the histogram is always whole in itself.
		var count uint64
		cumulative := make(map[float64]uint64, len(durationBounds))
		for i := range r.buckets {
			count += uint64(r.buckets[i].Load()) // counts are never negative
			if i < len(durationBounds) {
				cumulative[durationBounds[i].Seconds()] = count
			}
		}
		if count == 0 {
			continue
		}
		s.out <- prometheus.MustNewConstHistogram(duration, count, float64(r.nanos.Load())/1e9, cumulative,
			r.id.api, r.id.method, r.id.path)
		s.counter(sent, r.bytes.Load(), r.id.api, r.id.method, r.id.path)
	}
}

func collectTargets(s series, targets []*UpstreamMetrics) {
	labels := []string{"api", "target"}
	attempts := desc("upstream_attempts_total", "Requests sent to a target, retries included.", labels...)
	retries := desc("upstream_retries_total", "Of the attempts, those that were not the first.", labels...)
	failures := desc("upstream_failures_total", "Attempts that failed, by kind.", "api", "target", "kind")
	ejections := desc("upstream_ejections_total", "Times that a target was taken out because of its failures.", labels...)
	shed := desc("upstream_shed_total", "Requests refused because all connections of the target were in use.", labels...)
	healthy := desc("upstream_healthy", "1 unless the health checks of the target fail.", labels...)
	breaker := desc("upstream_breaker", "State of the target's breaker: 0 closed, 1 half open, 2 open.", labels...)
	for _, u := range targets {
		s.counter(attempts, u.attempts.Load(), u.id.api, u.id.target)
		s.counter(retries, u.retries.Load(), u.id.api, u.id.target)
		for f, name := range failureNames {
			if n := u.failures[f].Load(); n > 0 {
				s.counter(failures, n, u.id.api, u.id.target, name)
			}
		}
		s.counter(ejections, u.ejections.Load(), u.id.api, u.id.target)
		s.counter(shed, u.shed.Load(), u.id.api, u.id.target)
		s.gauge(healthy, int64(u.healthy.Load()), u.id.api, u.id.target)
		s.gauge(breaker, int64(u.breaker.Load()), u.id.api, u.id.target)
	}
}

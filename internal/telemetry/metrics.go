package telemetry

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Lane is where a connection is served.
type Lane uint8

// The lanes.
const (
	Strict   Lane = iota // of the gateway: HTTP/1.1 by wire
	Standard             // of the gateway: HTTP/2, upgrades
	Identity             // the identity listener
	Console              // the console
	Decide               // the listener of decisions
	laneCount
)

var laneNames = [laneCount]string{Strict: "strict", Standard: "standard", Identity: "identity", Console: "console", Decide: "decide"}

// String returns the lane's name, which is its label.
func (l Lane) String() string { return laneNames[l] }

// MetricsConfig bounds what is recorded.
type MetricsConfig struct {
	// MaxRoutes bounds the routes that have series of their own; 0 = 2,000. Those
	// beyond share the series api="other", method="other", route="other".
	MaxRoutes int
	// MaxTargets bounds the upstream targets likewise; 0 = 1,000.
	MaxTargets int
	// MaxNames bounds each of the other label sets that come from configuration
	// (issuers, authorization servers, tenants); 0 = 200.
	MaxNames int
}

// Metrics is the process's metrics in a registry of its own. Everything on a
// request's way is an atomic addition into memory that was found when the
// configuration was compiled; names and labels are put together only when
// someone reads. All labels come from configuration or from a fixed list,
// never from a request.
type Metrics struct {
	registry *prometheus.Registry

	mu      sync.Mutex
	config  MetricsConfig
	routes  map[routeID]*RouteMetrics
	apis    map[string]*apiMetrics
	targets map[targetID]*UpstreamMetrics
	other   *RouteMetrics    // shared by routes beyond the bound
	spare   *UpstreamMetrics // shared by targets beyond the bound

	connections [laneCount]atomic.Int64
	accepted    [laneCount]atomic.Int64
	givenUp     [laneCount]atomic.Int64
	rejects     reasonCounters
	reloads     [2]atomic.Int64 // failed, ok
	cache       [2]atomic.Int64 // miss, hit
	logDrops    atomic.Int64
	revisions   names // tenant: gauge
	fetches     names // issuer, outcome
	tokens      names // server, grant
	shadows     names // tenant, policy
	signIns     names // issuer, outcome
	sessions    atomic.Int64
}

// NewMetrics returns metrics with the Go runtime's and the process's beside them.
func NewMetrics(c MetricsConfig) *Metrics {
	if c.MaxRoutes <= 0 {
		c.MaxRoutes = 2000
	}
	if c.MaxTargets <= 0 {
		c.MaxTargets = 1000
	}
	if c.MaxNames <= 0 {
		c.MaxNames = 200
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		config:   c,
		routes:   make(map[routeID]*RouteMetrics),
		apis:     make(map[string]*apiMetrics),
		targets:  make(map[targetID]*UpstreamMetrics),
	}
	for _, n := range []*names{&m.revisions, &m.fetches, &m.tokens, &m.shadows, &m.signIns} {
		n.max = c.MaxNames
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		(*collector)(m),
	)
	return m
}

// Handler serves the metrics in the Prometheus text format and OpenMetrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// ConnectionOpened counts a connection of the lane; ConnectionClosed must follow.
func (m *Metrics) ConnectionOpened(l Lane) {
	m.accepted[l].Add(1)
	m.connections[l].Add(1)
}

// ConnectionClosed ends what ConnectionOpened began.
func (m *Metrics) ConnectionClosed(l Lane) { m.connections[l].Add(-1) }

// ConnectionGivenUp counts a connection that was closed to make room for others.
// ConnectionClosed is called for it as well.
func (m *Metrics) ConnectionGivenUp(l Lane) { m.givenUp[l].Add(1) }

// Reject counts an answer that the gateway made before any route was found, by
// reason; reasons that are not of the fixed list are counted as "other".
func (m *Metrics) Reject(reason string) { m.rejects.add(reason) }

// Reload counts an attempt to load a configuration.
func (m *Metrics) Reload(ok bool) { m.reloads[index(ok)].Add(1) }

// Revision says which revision of the tenant this process serves.
func (m *Metrics) Revision(tenant string, revision int64) {
	m.revisions.get(tenant, "").Store(revision)
}

// TokenCache counts a look into the cache of verified tokens.
func (m *Metrics) TokenCache(hit bool) { m.cache[index(hit)].Add(1) }

// KeyFetch counts a fetch of an issuer's keys.
func (m *Metrics) KeyFetch(issuer string, ok bool) {
	m.fetches.get(issuer, [2]string{"failed", "ok"}[index(ok)]).Add(1)
}

// TokenIssued counts a token that a built-in authorization server has issued.
// The grant is a grant type that the server supports, not what a caller sent.
func (m *Metrics) TokenIssued(server, grant string) { m.tokens.get(server, grant).Add(1) }

// WouldDeny counts a request that a policy in shadow mode would have denied.
func (m *Metrics) WouldDeny(tenant, policy string) { m.shadows.get(tenant, policy).Add(1) }

// SignIn counts what came of browsers' sign-ins and of the renewal of their sessions.
// The outcome is of a fixed list.
func (m *Metrics) SignIn(issuer, outcome string) { m.signIns.get(issuer, outcome).Add(1) }

// Sessions says how many sessions of browsers this node holds.
func (m *Metrics) Sessions(n int64) { m.sessions.Store(n) }

// LogDropped counts lines of the access log that were lost.
func (m *Metrics) LogDropped(lines int64) { m.logDrops.Add(lines) }

func index(b bool) int {
	if b {
		return 1
	}
	return 0
}

// names is a bounded set of counters with two labels each.
type names struct {
	mu  sync.RWMutex
	m   map[[2]string]*atomic.Int64
	max int
}

// get returns the counter of the labels, or the one of ("other", "other") when there are too many.
func (n *names) get(first, second string) *atomic.Int64 {
	n.mu.RLock()
	c := n.m[[2]string{first, second}]
	n.mu.RUnlock()
	if c != nil {
		return c
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [2]string{first, second}
	if n.m[key] == nil && len(n.m) >= n.max {
		key = [2]string{"other", "other"}
	}
	if n.m == nil {
		n.m = map[[2]string]*atomic.Int64{}
	}
	if n.m[key] == nil {
		n.m[key] = new(atomic.Int64)
	}
	return n.m[key]
}

func (n *names) each(f func(first, second string, v int64)) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for key, c := range n.m {
		f(key[0], key[1], c.Load())
	}
}

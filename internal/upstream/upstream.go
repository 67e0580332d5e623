// Package upstream is the pools of servers behind APIs: which target a request
// goes to, what is done when one fails, and when one is left alone.
//
// A Pool is a gateway.Backend. It picks a target (Balance), sends the request by
// the target's wire.Client, and relays the answer. It is used by the goroutine
// of the client's connection, holds no lock while anything is sent or received,
// and allocates nothing on the way of an ordinary request.
//
// # What keeps a target from getting traffic
//
//   - Active health: after 3 failed probes in a row, until 2 succeed.
//   - Ejection: after 5 failures in a row, an answer of 5xx included, for 10 s, then
//     20 s, and so on up to 5 min; never more than half of the pool, and never the only target.
//   - The breaker: after 5 attempts in a row without any answer, for 1 s, then 2 s,
//     up to 30 s; then one request at a time is let through to try. It works for a
//     single target too. An answer of 5xx does not open it: it is an answer.
//   - MaxConnections: that many exchanges are under way at the target.
//
// # What is tried again
//
// Only as often as Retries says, on a target that was not tried yet as long as
// there is one, within the time of the first attempt, and only while the client
// is there. A request that found no connection has reached nobody: it may be
// tried again whatever its method, and how often that happens is bounded by the
// breakers. One that may have arrived is sent again only when its method is
// idempotent (RFC 9110 section 9.2.2) and it has no body, and only while such
// retries are less than a fifth of the requests of the last ten seconds (three a
// second are always allowed), so that a pool that fails altogether is not given
// a multiple of its work. An answer of 502, 503 or 504 is exchanged for another
// target's on the same terms.
//
// # What a failure becomes
//
//	no target may be used, no connection       503 upstream_unreachable, Retry-After
//	every usable target at MaxConnections      503 overloaded, Retry-After
//	no response head in time                   504 upstream_timeout
//	broken off before or in the head, not HTTP 502 upstream_invalid
//
// The package must not know tokens, policies, stores or the configuration file;
// what it needs of an API is in spec.API.
package upstream

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
)

const (
	defaultTimeout        = 30 * time.Second
	defaultMaxConnections = 1024
	defaultProbeInterval  = 5 * time.Second
	// maxAttempts bounds Retries+1, so that the targets tried fit an array.
	maxAttempts = 8
)

// Config is what a Pool is made of. API is required.
type Config struct {
	API spec.API
	// Previous is the pool of the API in the snapshot before, or nil. Targets that
	// both have in common, with the same settings, are shared: their connections,
	// health and breaker live on. Previous stays usable and is still to be closed.
	Previous *Pool

	Metrics *telemetry.Metrics // nil = not counted
	Logger  *slog.Logger       // is told when targets come and go; nil = nobody
	Now     func() time.Time   // nil = time.Now; must advance with real time
	// AllowPrivate lets connections go to loopback and private addresses: for
	// upstreams that the operator's own file names. Link-local addresses, where
	// clouds keep their metadata, are always refused. Every resolved address is
	// checked when it is dialled.
	AllowPrivate bool
	Roots        *x509.CertPool // for https targets; nil = the system's
	// Dial opens connections in place of the checked dialer; nil = that one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Pool is the targets of one API in one snapshot.
type Pool struct {
	targets []*target
	balance balance
	timeout time.Duration
	retries int
	api     string
	budget  *budget
	now     func() time.Time

	next   atomic.Uint32 // round robin, and where ties begin
	eject  sync.Mutex    // one ejection at a time, so that half is counted right
	closed sync.Once
}

// Pool implements these.
var (
	_ gateway.Backend = (*Pool)(nil)
	_ io.Closer       = (*Pool)(nil)
)

// New returns the pool of an API and starts its probes. Close ends them. The
// error is a fault of code Invalid that names the setting.
func New(c Config) (*Pool, error) {
	u := c.API.Upstream
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Pool{
		timeout: u.Timeout.Std(), retries: u.Retries, api: c.API.Name, now: c.Now, budget: &budget{},
	}
	p.next.Store(rand.Uint32()) //nolint:gosec // where the first round begins need not be secret
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	if err := check(c.API); err != nil {
		return nil, err
	}
	var err error
	if p.balance, err = parseBalance(u.Balance); err != nil {
		return nil, invalid(c.API, "balance", err)
	}
	settings := make([]targetSettings, len(u.Targets))
	for i, raw := range u.Targets {
		if settings[i], err = parseTarget(raw); err != nil {
			return nil, invalid(c.API, "targets", err)
		}
		for _, other := range settings[:i] {
			if other == settings[i] {
				return nil, invalid(c.API, "targets", fault.New(fault.Invalid, "target %q is listed twice", raw))
			}
		}
	}
	if c.Previous != nil {
		p.budget = c.Previous.budget
	}
	for _, s := range settings {
		s.complete(c, p.timeout)
		p.targets = append(p.targets, p.adopt(c, s))
	}
	return p, nil
}

// adopt returns the previous pool's target of the same settings, or a new one.
func (p *Pool) adopt(c Config, s targetSettings) *target {
	if c.Previous != nil {
		for _, t := range c.Previous.targets {
			if t.settings == s && t.retain() {
				return t
			}
		}
	}
	return newTarget(c, s)
}

// check refuses numbers that cannot be meant.
func check(a spec.API) error {
	u := a.Upstream
	switch {
	case len(u.Targets) == 0:
		return invalid(a, "targets", fault.New(fault.Invalid, "an upstream needs at least one target"))
	case u.Timeout < 0:
		return invalid(a, "timeout", fault.New(fault.Invalid, "a timeout is more than nothing"))
	case u.Retries < 0 || u.Retries >= maxAttempts:
		return invalid(a, "retries", fault.New(fault.Invalid, "retries are 0 to %d", maxAttempts-1))
	case u.MaxConnections < 0:
		return invalid(a, "max_connections", fault.New(fault.Invalid, "max_connections is at least 1; leave it out for %d", defaultMaxConnections))
	case u.Health != nil && (u.Health.Path == "" || u.Health.Path[0] != '/'):
		return invalid(a, "health.path", fault.New(fault.Invalid, "the path of a health check begins with a slash"))
	case u.Health != nil && u.Health.Interval < 0:
		return invalid(a, "health.interval", fault.New(fault.Invalid, "an interval is more than nothing"))
	}
	return nil
}

func invalid(a spec.API, setting string, err error) error {
	path := spec.PathAPI(a.Name, "upstream."+setting)
	return fault.New(fault.Invalid, "the upstream of API %q is not usable", a.Name).
		WithFields(fault.Field{Path: path, Message: err.Error()})
}

// Close gives up the pool's share of its targets. A target that no other pool
// shares ends its probes and closes its connections, those in use when their
// exchange ends; exchanges still on their way through this pool are served as
// before. It returns when the probes have ended. Closing twice does nothing.
func (p *Pool) Close() error {
	p.closed.Do(func() {
		for _, t := range p.targets {
			t.release()
		}
	})
	return nil
}

// TargetStatus is how one target is doing.
type TargetStatus struct {
	Target    string // as configured
	Available bool
	Why       string // when not available: unhealthy, ejected, breaker open
	Active    int    // exchanges under way
}

// Status returns how the targets are doing, in the order of the configuration.
func (p *Pool) Status() []TargetStatus {
	now := p.now().UnixNano()
	out := make([]TargetStatus, len(p.targets))
	for i, t := range p.targets {
		why := t.unavailable(now)
		out[i] = TargetStatus{Target: t.settings.raw, Available: why == "", Why: why, Active: int(t.active.Load())}
	}
	return out
}

// Health is the pool as a line of /readyz?verbose: ok when every target is
// available, degraded when some are, failing when none is.
func (p *Pool) Health(context.Context) telemetry.Status {
	var down int
	var detail string
	all := p.Status()
	for _, s := range all {
		if s.Available {
			continue
		}
		down++
		if detail != "" {
			detail += ", "
		}
		detail += s.Target + " " + s.Why
	}
	switch down {
	case 0:
		return telemetry.Status{State: telemetry.OK}
	case len(all):
		return telemetry.Status{State: telemetry.Failing, Detail: detail}
	}
	return telemetry.Status{State: telemetry.Degraded, Detail: detail}
}

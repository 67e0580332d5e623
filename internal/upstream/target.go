package upstream

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
)

// targetSettings is everything that makes a target what it is. Targets of equal
// settings are shared by one pool and the next.
type targetSettings struct {
	raw    string // as configured
	secure bool
	host   string // without port or brackets
	addr   string // host:port to connect to
	host1  string // the Host field: the authority without the scheme's default port
	prefix string // path before the request's, "" or "/x", no trailing slash

	maxConnections int32
	dialTimeout    time.Duration
	probePath      string // "" = no probes
	probeInterval  time.Duration
	private        bool
}

// parseTarget reads an absolute http or https URL.
func parseTarget(raw string) (s targetSettings, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return s, fault.New(fault.Invalid, "target %q is not a URL", raw)
	}
	s.raw, s.secure = raw, u.Scheme == "https"
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return s, fault.New(fault.Invalid, "target %q needs a scheme: http://... or https://...", raw)
	case u.Hostname() == "":
		return s, fault.New(fault.Invalid, "target %q names no host", raw)
	case u.User != nil:
		return s, fault.New(fault.Invalid, "target %q: credentials do not belong in an address", u.Redacted())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return s, fault.New(fault.Invalid, "target %q: a target has no query and no fragment", raw)
	}
	s.host = strings.ToLower(u.Hostname())
	port := u.Port()
	standard := map[bool]string{false: "80", true: "443"}[s.secure]
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return s, fault.New(fault.Invalid, "target %q ends its host in a colon without a port", raw)
		}
		port = standard
	}
	if n, ok := portNumber(port); !ok || n == 0 {
		return s, fault.New(fault.Invalid, "target %q: the port is 1 to 65535", raw)
	}
	s.addr = net.JoinHostPort(s.host, port)
	s.host1 = s.addr
	if port == standard {
		s.host1 = strings.TrimSuffix(s.addr, ":"+port)
	}
	s.prefix = strings.TrimRight(u.EscapedPath(), "/")
	if !canonicalPrefix(s.prefix) {
		return s, fault.New(fault.Invalid, "target %q: the path holds empty or dot segments, or bytes that must be written another way", raw)
	}
	return s, nil
}

func portNumber(s string) (n int, ok bool) {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' || n > 65535 {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, n <= 65535
}

// canonicalPrefix reports whether every server reads the path alike.
func canonicalPrefix(p string) bool {
	if p == "" {
		return true
	}
	for _, segment := range strings.Split(p[1:], "/") {
		if segment == "" || segment == "." || segment == ".." || strings.ContainsAny(segment, "\\;%") {
			return false
		}
	}
	for i := 0; i < len(p); i++ {
		if p[i] <= ' ' || p[i] >= 0x7f {
			return false
		}
	}
	return p[0] == '/'
}

// complete adds what comes from the pool's settings.
func (s *targetSettings) complete(c Config, timeout time.Duration) {
	u := c.API.Upstream
	s.private = c.AllowPrivate
	s.maxConnections = defaultMaxConnections
	if n := u.MaxConnections; n > 0 {
		s.maxConnections = int32(min(n, 1<<20)) // bounded
	}
	s.dialTimeout = min(5*time.Second, timeout)
	if u.Health != nil {
		s.probePath, s.probeInterval = u.Health.Path, u.Health.Interval.Std()
		if s.probeInterval == 0 {
			s.probeInterval = defaultProbeInterval
		}
	}
}

// target is one server of a pool.
type target struct {
	settings targetSettings
	host     []byte // the Host field
	prefix   []byte
	hash     uint64 // what the target adds to a hash balance
	client   *wire.Client
	metrics  *telemetry.UpstreamMetrics
	log      *slog.Logger
	probe    *prober // nil = not probed

	refs    atomic.Int32 // pools that share it; never rises again from 0
	retired atomic.Bool  // no pool has it any more: connections are not kept
	_       [32]byte     // what changes with every request has a cache line of its own

	active atomic.Int32 // exchanges under way
	guard  guard
}

func newTarget(c Config, s targetSettings) *target {
	dial := c.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: s.dialTimeout, KeepAlive: 30 * time.Second, ControlContext: guardAddress(s.private)}).DialContext
	}
	var secure *tls.Config
	if s.secure {
		secure = &tls.Config{ServerName: s.host, RootCAs: c.Roots, MinVersion: tls.VersionTLS12}
	}
	t := &target{
		settings: s, host: []byte(s.host1), prefix: []byte(s.prefix), hash: hashString(s.raw),
		client: wire.NewClient(wire.ClientConfig{
			Addr: s.addr, TLS: secure, DialContext: dial, DialTimeout: s.dialTimeout,
			MaxIdle: int(s.maxConnections), Now: c.Now,
		}),
		metrics: c.Metrics.Upstream(c.API.Name, s.raw),
		log:     c.Logger.With(slog.String("api", c.API.Name), slog.String("target", s.raw)),
	}
	t.refs.Store(1)
	t.metrics.Healthy(true) // a target of other settings may have had the name before
	t.metrics.Breaker(telemetry.BreakerClosed)
	if s.probePath != "" {
		t.probe = newProber(t, dial, secure)
	}
	return t
}

// retain adds a pool that shares the target; false when it is gone already.
func (t *target) retain() bool {
	for {
		n := t.refs.Load()
		if n == 0 {
			return false
		}
		if t.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release takes a pool away; the last one ends the target.
func (t *target) release() {
	if t.refs.Add(-1) > 0 {
		return
	}
	if t.probe != nil {
		t.probe.stop()
	}
	t.metrics.Release()
	// An exchange that still holds the pool may come even now and must be served,
	// so the client stays open and only keeps no connection.
	t.retired.Store(true)
	t.client.CloseIdle()
}

// leave ends an exchange at the target.
func (t *target) leave() {
	t.active.Add(-1)
	if t.retired.Load() {
		t.client.CloseIdle()
	}
}

// enter begins an exchange; false when there are too many.
func (t *target) enter() bool {
	if t.active.Add(1) > t.settings.maxConnections {
		t.active.Add(-1)
		return false
	}
	return true
}

// unavailable returns why the target is given no traffic, "" when it is.
func (t *target) unavailable(now int64) string {
	if t.probe != nil && t.probe.unhealthy.Load() {
		return "unhealthy"
	}
	return t.guard.unavailable(now)
}

// guardAddress refuses addresses that a target must not lead to. It sees the
// address that is about to be dialled, so a name that resolves to something else
// a moment later gains nothing.
func guardAddress(private bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fault.Because(err, fault.Denied, "the address to connect to is not understood")
		}
		why := safehttp.Refused(ap.Addr(), private)
		switch {
		case why == "":
			return nil
		case private || safehttp.Refused(ap.Addr(), true) != "":
			return fault.New(fault.Denied, "the target leads to %s, which no upstream may have", why)
		}
		return fault.New(fault.Denied, "the target leads to %s, which only the operator's own file may name", why)
	}
}

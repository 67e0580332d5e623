// Package gateway is the data plane: it takes a request from one of two lanes,
// makes it canonical, finds its route, and runs the steps of that route, in one
// order that is written down in one table (compile.go). What every step before
// it has allowed goes to a Backend.
//
// It serves from an immutable snapshot behind an atomic pointer and knows only
// what is in that snapshot: it must not know stores, ledgers, directories or the
// authorization server, and it goes on when all of them are down.
package gateway

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/revocation"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// AccessLog takes finished lines, newline included, and never blocks. It
// reports whether the line was taken.
type AccessLog interface {
	Write(line []byte) bool
}

// ContextSigner appends to dst the claims of X-Gatehouse-Context, a JSON object, signed as
// a compact JWS of type verify.ContextType. It is called about twice a minute per token and API.
type ContextSigner interface {
	Sign(dst, claims []byte) ([]byte, error)
}

// NewIssuer says how tokens of an issuer are verified: its URL, keys,
// algorithms, and the audiences that are accepted when none is configured. It
// must hand out the same Keys for an issuer whose settings have not changed.
type NewIssuer func(spec.Issuer) (verify.Issuer, error)

// Config is what a Gateway is made of. Backend, Issuer, Verifier, Revocations
// and Limiter are required.
type Config struct {
	Backend       NewBackend
	Issuer        NewIssuer
	Verifier      *verify.Verifier // its cache and clock are used; its issuers come from the snapshot
	Revocations   *revocation.Set
	Introspect    NewIntrospector // nil: issuers of opaque tokens are not supported
	APIKeys       *APIKeys        // nil: API keys are not supported
	SignIn        NewSignIn       // nil: sessions of browsers are not supported
	Limiter       *ratelimit.Limiter
	Places        Places             // nil: where addresses are is not known
	DecisionPoint NewDecisionPoint   // nil: authorize is not supported
	Context       ContextSigner      // nil: X-Gatehouse-Context is not set
	Metrics       *telemetry.Metrics // nil: none
	AccessLog     AccessLog          // nil: none
	Recorder      Recorder           // nil: facts of decisions are not kept
	Tracer        *telemetry.Tracer  // nil: trace context is passed on, spans are not recorded
	Logger        *slog.Logger       // nil: discarded
	Now           func() time.Time   // nil: time.Now
	Snapshot      string             // file that snapshots are kept in; "" to keep none
	IdentityURL   string             // base address of the identity listener, for reason pages and the context's iss
	// TrustedProxies are the peers whose X-Forwarded-* and X-Request-ID are believed.
	TrustedProxies []netip.Prefix
	// ClientCA returns the authorities whose certificates the listener takes, which auth:
	// mtls accepts as identity; nil: it asks for none. It is asked anew with every caller.
	ClientCA func() *x509.CertPool
	// CertificateHeader is one of the CertHeader constants: where trusted proxies
	// say which certificate the client has shown them. Empty: they are not believed.
	CertificateHeader string
	// NonceKey makes the nonces of DPoP; nodes that share it know each other's. Nil = a random one.
	NonceKey []byte
	// Replays is how many proofs and signed requests are remembered, so that each is
	// used once; 0 = 1,048,576.
	Replays int
	// Proofs is a file that keeps which proofs and signed requests were used while the
	// process is down; "" to keep none.
	Proofs string
	// Decisions is how many decisions are kept for Decision; 0 = 8,192.
	Decisions int
	// Forgeries is how many tokens with a false signature a peer may send; each
	// costs a signature check. Beyond it, tokens of that peer that have not been seen
	// before are refused. Zero = 100 a second.
	Forgeries ratelimit.Rate
}

// Gateway serves exchanges. Make it with New.
type Gateway struct {
	config    Config
	base      context.Context //nolint:containedctx // the life of the gateway itself
	cancel    context.CancelFunc
	draining  chan struct{} // closed when upgraded connections should end
	drainOnce sync.Once

	current   atomic.Pointer[compiled]
	loading   sync.Mutex // one Load at a time
	status    atomic.Pointer[Status]
	pool      sync.Pool      // *Exchange, for lanes that keep none
	buffers   sync.Pool      // *[]byte of relayBuffer bytes
	tunnels   sync.WaitGroup // upgraded connections
	streams   streams
	ring      *ring
	watchers  watchers
	render    *renderer
	names     *headerNames
	forgery   ratelimit.Key
	replays   *replays
	forwarded forwardedCerts
	nonces    nonces
}

// New returns a gateway that answers 503 until a snapshot is loaded. A
// configuration that cannot work is a fault of code Invalid.
func New(c Config) (*Gateway, error) {
	switch {
	case c.Backend == nil || c.Issuer == nil || c.Verifier == nil || c.Revocations == nil || c.Limiter == nil:
		return nil, fault.New(fault.Invalid, "a gateway needs Backend, Issuer, Verifier, Revocations and Limiter")
	}
	for _, p := range c.TrustedProxies {
		if !p.IsValid() || p.Bits() == 0 {
			return nil, fault.New(fault.Invalid, "trusted proxy %s would trust everybody: name the networks of your own proxies", p)
		}
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the default clock
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = telemetry.NewMetrics(telemetry.MetricsConfig{})
	}
	if c.Decisions <= 0 {
		c.Decisions = 8192
	}
	if c.Forgeries.Count <= 0 || c.Forgeries.Period <= 0 {
		c.Forgeries = ratelimit.Rate{Count: 100, Period: time.Second}
	}
	g := &Gateway{
		config: c, draining: make(chan struct{}), ring: newRing(c.Decisions),
		render: newRenderer(c.IdentityURL), names: newHeaderNames(nil),
		forgery: c.Limiter.Key("gateway", "forged tokens"), replays: newReplays(c.Replays), forwarded: forwardedCerts{header: c.CertificateHeader}, nonces: newNonces(c.NonceKey),
	}
	if c.Proofs != "" {
		g.recallProofs()
	}
	g.base, g.cancel = context.WithCancel(context.Background())
	g.pool.New = func() any { return new(Exchange) }
	g.status.Store(&Status{})
	return g, nil
}

// Close ends what the gateway itself runs: contexts of exchanges, upgraded
// connections, followers of decisions, and the backends. Servers are shut down first.
func (g *Gateway) Close() error {
	g.Drain()
	g.cancel()
	g.streams.close()
	g.watchers.close()
	g.loading.Lock()
	defer g.loading.Unlock()
	err := g.keepProofs()
	if c := g.current.Swap(nil); c != nil {
		return errors.Join(append(c.release(nil), err)...)
	}
	return err
}

// Drain asks upgraded connections to end; they would outlive any deadline.
func (g *Gateway) Drain() { g.drainOnce.Do(func() { close(g.draining) }) }

// ServeExchange implements wire.Handler for both lanes.
func (g *Gateway) ServeExchange(lane wire.Exchange) {
	keeper, kept := lane.(wire.Keeper)
	if !kept {
		ex := g.pool.Get().(*Exchange) //nolint:errcheck,forcetypeassert // the pool holds nothing else
		g.serve(ex, lane)
		g.pool.Put(ex)
		return
	}
	place := keeper.Kept()
	ex, ok := (*place).(*Exchange)
	if !ok {
		ex = new(Exchange)
	}
	*place = nil // should it panic, it is not used again
	g.serve(ex, lane)
	*place = ex
}

func (g *Gateway) serve(ex *Exchange, lane wire.Exchange) {
	ex.begin(g, lane)
	ex.finish(ex.guarded())
	ex.end()
}

// guarded runs the steps and makes an error of a panic: whoever caused it gets a
// 500, and nobody else notices.
func (ex *Exchange) guarded() (err error) {
	defer func() {
		if v := recover(); v != nil {
			ex.gw.config.Logger.Error("a request made the gateway panic",
				slog.Any("panic", v), slog.String("request_id", string(ex.ID())), slog.String("stack", string(debug.Stack())))
			err = fault.New(fault.Internal, "panic: %v", v)
		}
	}()
	return ex.run()
}

// run takes the exchange through the steps until one refuses.
func (ex *Exchange) run() error {
	if ex.snap == nil {
		ex.stopped = stepCanonicalize
		return Refuse(ReasonOverloaded, nil, "no configuration has been loaded yet")
	}
	for i := range ex.snap.front {
		s := &ex.snap.front[i]
		ex.stopped = s.id
		if err := s.do.Do(ex); err != nil {
			return err
		}
	}
	if ex.route == nil {
		return nil // answered: the gateway's own document
	}
	if !ex.dry {
		ex.startTrace()
	}
	for i := range ex.route.steps {
		s := &ex.route.steps[i]
		ex.stopped = s.id
		if err := s.do.Do(ex); err != nil {
			return err
		}
	}
	return nil
}

package app

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/clock"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/replay"
	"gatehouse/internal/revocation"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
	"gatehouse/internal/upstream"
	"gatehouse/verify"
)

// node is the gateway half: it serves from a snapshot and needs nothing else.
type node struct {
	gateway  *gateway.Gateway
	revoked  *revocation.Set
	log      *revocationLog
	issuers  *issuers
	asked    *introspectors
	points   *decisionPoints
	apiKeys  *gateway.APIKeys
	signIns  *signIns
	keys     *keyring
	pools    *pools
	context  *contextSigner
	snapshot string // file

	mu     sync.Mutex // one load at a time
	member *cluster.Member
	health *telemetry.Health
	wake   chan struct{} // a revision is out
}

// nodeConfig is what newNode needs.
type nodeConfig struct {
	Data           string
	IdentityURL    string
	TrustedProxies []netip.Prefix
	ClientCA       *clientCA // nil: there is no auth: mtls
	// CertificateHeader is where trusted proxies name the client's certificate.
	CertificateHeader string
	UnknownTokens     int
	TokenBytes        int
	Spool             *replay.Spool         // nil: decisions are not kept for replay
	Places            gateway.Places        // nil: where addresses are is not known
	RingStore         func() keys.RingStore // nil result while the store is down
	Sealer            *keys.Sealer
	Metrics           *telemetry.Metrics
	Health            *telemetry.Health
	AccessLog         *telemetry.AccessLog
	Tracer            *telemetry.Tracer
	Log               *slog.Logger
	Now               func() time.Time
}

func newNode(c nodeConfig) (_ *node, err error) {
	defer fault.Wrap(&err, "start the gateway")
	n := &node{snapshot: filepath.Join(c.Data, "snapshot.json"), health: c.Health, wake: make(chan struct{}, 1)}
	n.revoked = revocation.New(revocation.Config{})
	n.log = &revocationLog{
		path: filepath.Join(c.Data, "revocations.jsonl"), set: n.revoked, now: c.Now,
		revised: func(tenant.ID, int64) {
			select {
			case n.wake <- struct{}{}:
			default:
			}
		},
	}
	n.issuers = newIssuers(issuersConfig{Kept: keySets{filepath.Join(c.Data, "keys")}, IdentityURL: c.IdentityURL, Health: c.Health, Metrics: c.Metrics, Log: c.Log, Now: c.Now})
	n.asked = newIntrospectors(c, n.issuers.remoteKeys)
	n.points = newDecisionPoints(c)
	if n.signIns, err = newSignIns(c, n.issuers); err != nil {
		return nil, err
	}
	n.log.ended = n.signIns.revoked
	n.apiKeys = gateway.NewAPIKeys()
	n.keys = &keyring{path: filepath.Join(c.Data, "api-keys.jsonl"), set: n.apiKeys}
	// Not by the clock of what is served: connections to upstreams end by the system's.
	n.pools = newPools(upstream.Config{Metrics: c.Metrics, Logger: c.Log, Now: clock.Now, AllowPrivate: true}, c.Health)
	n.context = newContextSigner(c)
	nonces, err := c.Sealer.Derive("dpop nonces")
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(verify.Config{Now: c.Now, MaxTokenBytes: c.TokenBytes})
	if err != nil {
		return nil, err
	}
	conf := gateway.Config{
		Backend: n.pools.backend, Issuer: n.issuers.issuer, Verifier: verifier, Revocations: n.revoked,
		Introspect: n.asked.introspector, APIKeys: n.apiKeys, SignIn: n.signIns.signIn, Places: c.Places,
		Limiter: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{})), NonceKey: nonces,
		Context: n.context, Metrics: c.Metrics, Tracer: c.Tracer, Logger: c.Log, Now: c.Now,
		Snapshot: n.snapshot, IdentityURL: c.IdentityURL, TrustedProxies: c.TrustedProxies,
		Forgeries: ratelimit.Rate{Count: int64(c.UnknownTokens), Period: time.Second},
	}
	conf.CertificateHeader, conf.Proofs = c.CertificateHeader, filepath.Join(c.Data, "proofs")
	conf.DecisionPoint = n.points.point
	if c.Spool != nil {
		conf.Recorder = c.Spool
	}
	if c.ClientCA != nil {
		conf.ClientCA = c.ClientCA.pool
	}
	if c.AccessLog != nil {
		conf.AccessLog = c.AccessLog
	}
	n.gateway, err = gateway.New(conf)
	return n, err
}

// load compiles, keeps and swaps in a snapshot, unless what it says is what runs.
func (n *node) load(ctx context.Context, s spec.Snapshot) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.swap(n.gateway.Load(ctx, s), s)
}

// recall is load with the snapshot that an earlier run kept on disk.
func (n *node) recall(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err := gateway.ReadSnapshot(n.snapshot)
	if err != nil {
		return err
	}
	return n.swap(n.gateway.LoadFromDisk(ctx), s)
}

// swap follows what the gateway did: what the snapshot does not name any more goes.
func (n *node) swap(err error, s spec.Snapshot) error {
	if err != nil {
		n.pools.discard()
		return err
	}
	n.pools.serve()
	n.issuers.retain(s)
	n.asked.retain(s)
	n.points.retain(s)
	n.signIns.retain(s)
	if n.member != nil {
		n.member.Running(tenant.ID(s.Tenant), s.Revision)
	}
	return nil
}

func (n *node) close() error {
	if n.member != nil {
		n.member.Leave()
	}
	err := n.gateway.Close()
	n.log.close()
	n.asked.close()
	n.points.close()
	err = errors.Join(err, n.signIns.close())
	n.keys.close()
	n.issuers.close()
	return errors.Join(err, n.context.close())
}

// issuersConfig is what newIssuers needs.
type issuersConfig struct {
	Kept        keySets
	IdentityURL string
	Health      *telemetry.Health
	Metrics     *telemetry.Metrics
	Log         *slog.Logger
	Now         func() time.Time
}

// issuers says how tokens are verified, and keeps one source of keys for each
// issuer over reloads.
type issuers struct {
	config issuersConfig
	client *safehttp.Client

	mu      sync.Mutex
	remote  map[string]*remoteIssuer // by URL
	builtin map[string]*builtinKeys  // by issuer URL
}

type remoteIssuer struct {
	keys   *verify.RemoteKeys
	forget func() // the health check
}

func newIssuers(c issuersConfig) *issuers {
	// The operator's file names these addresses, so they may be private.
	return &issuers{
		config: c, remote: map[string]*remoteIssuer{}, builtin: map[string]*builtinKeys{},
		client: safehttp.New(safehttp.Config{AllowPrivate: true}),
	}
}

// issuer implements gateway.NewIssuer.
func (i *issuers) issuer(s spec.Issuer) (verify.Issuer, error) {
	out := described(s)
	if s.Builtin != "" {
		out.Keys = i.builtinKeys(s.URL)
		return out, nil
	}
	k, err := i.remoteKeys(s.URL)
	if err != nil {
		return out, err
	}
	out.Keys = k
	return out, nil
}

// described is an issuer as the configuration describes it, without its keys.
func described(s spec.Issuer) verify.Issuer {
	out := verify.Issuer{URL: s.URL, Audience: s.Audience, Claims: verify.ClaimNames(s.Claims.Lists())}
	for _, a := range s.Algorithms {
		out.Algorithms = append(out.Algorithms, verify.Algorithm(a))
	}
	return out
}

// builtinKeys returns the keys of a built-in server, by its issuer URL.
func (i *issuers) builtinKeys(url string) *builtinKeys {
	i.mu.Lock()
	defer i.mu.Unlock()
	b := i.builtin[url]
	if b == nil {
		b = &builtinKeys{issuer: url, kept: i.config.Kept, log: i.config.Log}
		if err := b.recall(); err != nil {
			i.config.Log.Warn("the kept keys of a built-in server cannot be read", "issuer", url, "error", err)
		}
		i.builtin[url] = b
	}
	return b
}

func (i *issuers) remoteKeys(url string) (*verify.RemoteKeys, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r := i.remote[url]; r != nil {
		return r.keys, nil
	}
	k, err := verify.NewRemoteKeys(verify.RemoteConfig{
		Issuer: url, Store: i.config.Kept, Now: i.config.Now, Fetch: i.client.Fetch,
		Fetched: func(err error) { i.config.Metrics.KeyFetch(url, err == nil) },
	})
	if err != nil {
		return nil, err
	}
	forget := i.config.Health.Register(telemetry.Check{Name: "issuer " + url, Probe: func(context.Context) telemetry.Status { return keyStatus(k.State()) }})
	i.remote[url] = &remoteIssuer{keys: k, forget: forget}
	return k, nil
}

// keyStatus turns what is known of an issuer's keys into a line of /readyz.
func keyStatus(s verify.KeyState) telemetry.Status {
	switch {
	case len(s.Keys) == 0 && s.Err != nil:
		return telemetry.Status{State: telemetry.Failing, Detail: "no keys yet, its tokens are answered 503: " + s.Err.Error()}
	case len(s.Keys) == 0:
		return telemetry.Status{State: telemetry.Degraded, Detail: "its keys are being fetched"}
	case s.Err != nil:
		return telemetry.Status{State: telemetry.Degraded, Detail: "served with the last good keys until " + s.UsableUntil.UTC().Format(time.RFC3339) + ": " + s.Err.Error()}
	case s.FromStore:
		return telemetry.Status{State: telemetry.Degraded, Detail: "served with the keys kept on disk until they are fetched again"}
	}
	return telemetry.Status{}
}

// retain closes the sources of issuers that no snapshot names any more.
func (i *issuers) retain(s spec.Snapshot) {
	named := map[string]bool{}
	for _, is := range s.Issuers {
		named[is.URL] = true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for url, r := range i.remote {
		if !named[url] {
			delete(i.remote, url)
			r.forget()
			_ = r.keys.Close()
		}
	}
}

func (i *issuers) close() {
	i.retain(spec.Snapshot{})
	i.client.Close()
}

// contextRing is the name of the ring that signs X-Gatehouse-Context. No
// authorization server can have it: their ids begin with "aus".
const contextRing = "gateway"

// contextSigner signs what upstreams are told. Its ring is opened when the store
// or the kept copy can be read; until then nothing is signed.
type contextSigner struct {
	config nodeConfig

	mu   sync.Mutex
	ring *keys.Ring
}

func newContextSigner(c nodeConfig) *contextSigner { return &contextSigner{config: c} }

// open opens the ring. Opening again reads what other nodes have changed.
func (s *contextSigner) open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ring != nil {
		return s.ring.Tend(ctx)
	}
	ring, err := keys.OpenRing(ctx, keys.RingConfig{
		Tenant: tenant.Default, Server: contextRing, Sealer: s.config.Sealer, Now: s.config.Now,
		Store:      &keptRing{path: filepath.Join(s.config.Data, "context-keys.json"), store: s.config.RingStore},
		Algorithms: []verify.Algorithm{verify.EdDSA},
	})
	s.ring = ring
	return err
}

func (s *contextSigner) current() *keys.Ring {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring
}

// Sign implements gateway.ContextSigner.
func (s *contextSigner) Sign(dst, claims []byte) ([]byte, error) {
	ring := s.current()
	if ring == nil {
		return nil, errStoreDown()
	}
	return ring.AppendSign(context.Background(), dst, claims, verify.ContextType, "")
}

// jwks returns the published keys as a JWK Set.
func (s *contextSigner) jwks() (doc []byte, etag string, ok bool) {
	ring := s.current()
	if ring == nil {
		return nil, "", false
	}
	doc, etag = ring.JWKS()
	return doc, etag, true
}

func (s *contextSigner) close() error {
	if ring := s.current(); ring != nil {
		return ring.Close()
	}
	return nil
}

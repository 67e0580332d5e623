// Package app is the composition: settings in, a running process out. It is the
// only room that knows all others; each part is made in one place, from one
// struct, and is ended in the opposite order. Tests start the real program from
// here on port 0. It holds wiring and adapters, and no rules.
package app

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/clock"
	"gatehouse/internal/cluster"
	"gatehouse/internal/config"
	"gatehouse/internal/directory"
	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/mail"
	"gatehouse/internal/replay"
	"gatehouse/internal/settings"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
	"gatehouse/internal/wire"
)

//go:embed demo.yaml
var demoFile []byte

//go:embed style.css
var docStyle []byte

// Config is what a process is started from.
type Config struct {
	Flags   settings.Flags
	File    string // configuration; dev without one serves the demo API
	Dev     bool
	Getenv  func(string) (string, bool)
	Version string
	// Passwords says how costly guessing passwords is; the zero value is for people's.
	Passwords keys.PasswordConfig
	// Patience says how long clients of the identity, console and decide listeners may
	// take; what is 0 is as on the gateway listener.
	Patience wire.Timeouts
	// Connections bounds those open at once on each of the same listeners; 0 = Limits.EdgeConnections.
	Connections int
	// FolderWait is how long a process that ends may keep the data folder from this one; 0 = 3 s.
	FolderWait time.Duration
	Out, Err   io.Writer
	// Now is the clock of what is served: tokens, sessions and the gateway; nil = the system's.
	Now func() time.Time
}

// App is a running process.
type App struct {
	config   Config
	settings settings.Settings
	log      *slog.Logger
	health   *telemetry.Health
	metrics  *telemetry.Metrics
	access   *telemetry.AccessLog
	tracer   *telemetry.Tracer
	bus      *cluster.Local
	sealer   *keys.Sealer
	node     *node
	spool    *replay.Spool // nil: decisions are not kept for replay
	atlas    access.Atlas  // nil: nobody knows where addresses are
	clientCA *clientCA     // nil: the gateway listener holds client certificates against no authority
	started  time.Time

	post     post
	breached directory.Breached // nil: no list
	look     look
	mailbox  *mail.Mailbox // nil: letters are sent, or there are none

	addresses     Ready
	identityPages later
	okta          later
	scim          later
	admin         later
	tokens        *administrators

	mu       sync.Mutex
	identity *identity // nil while the store is down
	demo     *demoService
	calls    [2]welcomeCall         // what Welcome shows
	broken   atomic.Pointer[string] // why the file was not reloaded; nil when it was
	applied  atomic.Pointer[string] // the digest of the file as it was applied last
	declared config.Server          // what the file said of this process when it started
	waiting  atomic.Bool            // the file says something else of it now

	references atomic.Pointer[[]string] // files that the file refers to

	folder    io.Closer // keeps other processes from the data folder
	serving   bool      // Start has come to its end
	watcher   *config.Watcher
	unwatched error // why there is no watcher

	ctx    context.Context //nolint:containedctx // the life of what goes on by itself
	stop   context.CancelFunc
	work   sync.WaitGroup
	failed chan error
	closes []func(context.Context) error // in the order of starting
}

// Start composes and starts everything, and returns when all listeners serve. The
// error is config.Problems when the configuration is wrong.
func Start(ctx context.Context, c Config) (_ *App, err error) {
	if c.Now == nil {
		c.Now = clock.Now
	}
	a := &App{config: c, bus: cluster.NewLocal(cluster.LocalConfig{}), failed: make(chan error, 8), started: time.Now()}
	a.ctx, a.stop = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			_ = a.Shutdown(context.WithoutCancel(ctx))
		}
	}()
	if c.File != "" {
		// From before it is read, so that no change falls in between.
		a.watcher, a.unwatched = config.NewWatcher(config.WatcherConfig{Path: c.File, Quiet: 50 * time.Millisecond, Changed: a.reload, References: a.referred})
		if a.unwatched == nil {
			a.onClose(func(context.Context) error { return a.watcher.Close() })
		}
	}
	file, err := a.load()
	if err != nil {
		return nil, err
	}
	if a.folder, err = lockFolder(ctx, a.settings.Data, cmp.Or(c.FolderWait, 3*time.Second)); err != nil {
		return nil, err
	}
	if err := a.observe(ctx); err != nil {
		return nil, err
	}
	listeners, err := a.listen(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.openPost(); err != nil {
		return nil, err
	}
	if path := a.settings.People.BreachedPasswords; path != "" {
		list, err := keys.OpenBreached(path)
		if err != nil {
			return nil, err
		}
		a.breached = list
		a.onClose(func(context.Context) error { return list.Close() })
	}
	if a.look, err = readLook(a.settings.Brand); err != nil {
		return nil, err
	}
	places, err := a.places()
	if err != nil {
		return nil, err
	}
	a.atlas = places
	if a.spool, err = a.openSpool(); err != nil {
		return nil, err
	}
	if a.clientCA, err = newClientCA(a.settings.Gateway); err != nil {
		return nil, err
	}
	if a.node, err = newNode(nodeConfig{
		ClientCA: a.clientCA, CertificateHeader: a.settings.Gateway.ClientCertHeader,
		Places: places, Spool: a.spool,
		Data: a.settings.Data, IdentityURL: a.addresses.Identity, TrustedProxies: a.settings.Gateway.TrustedProxies,
		UnknownTokens: a.settings.Limits.UnknownTokens, TokenBytes: a.settings.Limits.TokenBytes,
		RingStore: a.ringStore, Sealer: a.sealer, Metrics: a.metrics, Health: a.health,
		AccessLog: a.access, Tracer: a.tracer, Log: a.log, Now: c.Now,
	}); err != nil {
		return nil, err
	}
	a.onClose(func(context.Context) error { return a.node.close() })
	if a.node.member, err = a.bus.Join("gateway", "gateway", a.node.log); err != nil {
		return nil, err
	}
	if err := a.attach(ctx, file); err != nil {
		return nil, err
	}
	if err := a.serve(listeners); err != nil { //nolint:contextcheck // a listener serves until it is shut down
		return nil, err
	}
	// What reading and compiling have left is given back before traffic comes.
	debug.FreeOSMemory()
	a.follow()
	return a, a.announce()
}

// load reads settings and configuration.
func (a *App) load() (*config.File, error) {
	file, problems := a.readFile(a.demoURL())
	if len(problems) > 0 {
		return nil, problems
	}
	s, problems := settings.Load(settings.Options{Flags: a.config.Flags, Env: a.config.Getenv, File: file.Server, Dev: a.config.Dev})
	if len(problems) > 0 {
		return nil, problems
	}
	a.settings, a.declared = *s, file.Server
	a.refer(file)
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w; name another with --data", err)
	}
	var err error
	env, _ := a.config.Getenv("GATEHOUSE_SEAL_KEY")
	a.sealer, err = keys.LoadSealer(filepath.Join(s.Data, "seal.key"), env)
	return file, err
}

// readFile reads the configuration as it is now; the demo's when none is named.
func (a *App) readFile(demoURL string) (*config.File, config.Problems) {
	opts := config.Options{Path: a.config.File, Env: a.config.Getenv, Dev: a.config.Dev}
	if a.config.File != "" {
		return config.Load(opts)
	}
	opts.Env = func(name string) (string, bool) {
		if name == "GATEHOUSE_DEMO_UPSTREAM" {
			return demoURL, true
		}
		return a.config.Getenv(name)
	}
	return config.Parse("demo.yaml", demoFile, opts)
}

// demoURL starts the demo service when it is wanted, and returns its address.
func (a *App) demoURL() string {
	if !a.config.Dev || a.config.File != "" {
		return ""
	}
	if a.demo == nil {
		ln, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener on loopback opens at once
		if err != nil {
			return ""
		}
		a.demo = startDemoService(ln)
		a.onClose(func(context.Context) error { a.demo.close(); return nil })
	}
	return a.demo.url
}

// observe makes what everything else reports to.
func (a *App) observe(ctx context.Context) (err error) {
	if a.log, err = telemetry.NewLogger(telemetry.LogConfig{
		Writer: a.config.Err, Level: a.settings.Log.Level.String(), Format: a.settings.Log.Format,
	}); err != nil {
		return err
	}
	a.health = &telemetry.Health{}
	a.metrics = telemetry.NewMetrics(telemetry.MetricsConfig{})
	out := a.config.Out
	if a.settings.Dev {
		// A person reads the terminal; the lines go to a file.
		f, err := os.OpenFile(filepath.Join(a.settings.Data, "access.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		a.onClose(func(context.Context) error { return f.Close() })
		out = f
	}
	a.access = telemetry.NewAccessLog(telemetry.AccessLogConfig{Writer: out, OnDrop: a.metrics.LogDropped})
	a.onClose(func(context.Context) error { a.access.Close(2 * time.Second); return nil })
	a.tracer, err = telemetry.NewTracer(ctx, telemetry.TracerConfig{
		Endpoint: a.settings.Telemetry.OTLPEndpoint, Ratio: a.settings.Telemetry.TraceRatio, Version: a.config.Version, Logger: a.log,
	})
	if err != nil {
		return err
	}
	if a.tracer != nil {
		a.onClose(a.tracer.Close)
	}
	return nil
}

// listeners are the doors of the process; decide and envoy are there when they are wanted.
type listeners struct{ gateway, identity, console, decide, envoy net.Listener }

// listen opens the listeners, so that a port that is taken is the first thing said.
func (a *App) listen(ctx context.Context) (l listeners, err error) {
	open := func(name, with, address string) net.Listener {
		if err != nil {
			return nil
		}
		var ln net.Listener
		if ln, err = (&net.ListenConfig{}).Listen(ctx, "tcp", address); err != nil {
			err = fmt.Errorf("the %s listener cannot open %s: %w; end what uses it, or choose another address with %s", name, address, errors.Unwrap(err), with)
			return nil
		}
		a.onClose(func(context.Context) error { _ = ln.Close(); return nil })
		return ln
	}
	l.gateway = open("gateway", "--gateway", a.settings.Gateway.Listen)
	l.identity = open("identity", "--identity", a.settings.Identity.Listen)
	l.console = open("console", "--console", a.settings.Console.Listen)
	if err != nil {
		return l, err
	}
	scheme := "http"
	if a.settings.Gateway.CertFile != "" {
		scheme = "https"
	}
	a.addresses = Ready{
		Gateway: scheme + "://" + reachable(l.gateway.Addr()), Identity: a.settings.Identity.URL,
		Console: "http://" + reachable(l.console.Addr()), PID: os.Getpid(),
	}
	if a.addresses.Identity == "" {
		a.addresses.Identity = "http://" + reachable(l.identity.Addr())
		if a.settings.Identity.CertFile != "" {
			a.addresses.Identity = "https://" + reachable(l.identity.Addr())
		}
	}
	a.listenForDeciders(open, &l)
	return l, err
}

// reachable returns an address that this machine can call: a listener on all
// addresses is called on loopback.
func reachable(addr net.Addr) string {
	t, ok := addr.(*net.TCPAddr)
	if ok && t.IP.IsUnspecified() {
		return fmt.Sprintf("127.0.0.1:%d", t.Port)
	}
	return addr.String()
}

// serve starts the servers on the listeners.
func (a *App) serve(l listeners) error {
	tlsConfig, err := gatewayTLS(a.settings.Gateway)
	if err != nil {
		return err
	}
	if tlsConfig != nil && a.clientCA != nil {
		tlsConfig.VerifyConnection = a.clientCA.verify
	}
	gw := gateway.NewServer(gateway.ServerConfig{Gateway: a.node.gateway, TLS: tlsConfig, Limits: a.wireLimits(), MaxConns: a.settings.Limits.Connections})
	a.run("gateway", func() error { return gw.Serve(l.gateway) }, gw.Shutdown)
	identityConf, err := identityTLS(a.settings.Identity)
	if err != nil {
		return err
	}
	a.serveHTTP(telemetry.Identity, l.identity, identityConf, clientCertificate(a.settings.Identity, clientAddress(a.settings.Identity.TrustedProxies, a.identityHandler())))
	a.serveHTTP(telemetry.Console, l.console, nil, a.consoleHandler())
	if err := a.serveDeciders(l); err != nil {
		return err
	}
	a.health.Started()
	return nil
}

// run owns a server: what ends it by itself ends the process.
func (a *App) run(name string, serve func() error, shutdown func(context.Context) error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			a.failed <- fmt.Errorf("the %s listener ended: %w", name, err)
		}
	}()
	a.onClose(func(ctx context.Context) error {
		err := shutdown(ctx)
		<-done
		return err
	})
}

func (a *App) onClose(f func(context.Context) error) { a.closes = append(a.closes, f) }

// announce writes the ready file, and what commands on this machine need.
func (a *App) announce() error {
	path := filepath.Join(a.settings.Data, "local.json")
	if err := writeJSON(path, localAccess{Console: a.addresses.Console, Token: a.tokens.local}); err != nil {
		return err
	}
	a.onClose(func(context.Context) error { return os.Remove(path) })
	a.log.Info("gatehouse serves", "gateway", a.addresses.Gateway, "identity", a.addresses.Identity, "console", a.addresses.Console,
		"revision", a.node.gateway.Revision(), "version", a.config.Version)
	a.serving = true
	if a.settings.ReadyFile == "" {
		return nil
	}
	return writeJSON(a.settings.ReadyFile, a.addresses)
}

// Ready returns the addresses and, in dev, what the demo needs.
func (a *App) Ready() Ready { return a.addresses }

// Revision returns the revision that the gateway serves.
func (a *App) Revision() int64 { return a.node.gateway.Revision() }

// ShutdownTimeout returns how long Shutdown gives running requests.
func (a *App) ShutdownTimeout() time.Duration { return a.settings.ShutdownTimeout }

// Wait returns when ctx ends, or with the error of a listener that broke.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Shutdown stops accepting, lets what runs finish within the shutdown timeout,
// and ends everything in the opposite order of its start.
func (a *App) Shutdown(ctx context.Context) error {
	if a.health != nil {
		a.health.Draining()
	}
	if a.serving {
		a.log.Info("gatehouse stops; requests under way may finish", "within", a.settings.ShutdownTimeout.String())
	}
	if a.settings.ShutdownTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.settings.ShutdownTimeout)
		defer cancel()
	}
	var errs []error
	for i := len(a.closes) - 1; i >= 0; i-- {
		errs = append(errs, a.closes[i](ctx))
	}
	a.closes = nil
	a.stop()
	a.work.Wait()
	a.mu.Lock()
	id := a.identity
	a.identity = nil
	a.mu.Unlock()
	if id != nil {
		errs = append(errs, id.close())
	}
	if a.folder != nil {
		errs = append(errs, a.folder.Close())
		a.folder = nil
	}
	return errors.Join(errs...)
}

// ringStore returns the store of signing keys, nil while the store is down.
func (a *App) ringStore() keys.RingStore {
	if id := a.current(); id != nil {
		return id.db.SigningKeys()
	}
	return nil
}

func (a *App) current() *identity {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.identity
}

// withTenant returns ctx for work of the default tenant, the only one so far.
func withTenant(ctx context.Context) context.Context { return tenant.With(ctx, tenant.Default) }

var _ admin.Decisions = decisions{}

package settings

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/spec"
)

// Options are where settings come from.
type Options struct {
	Flags Flags
	// Env looks up a variable; nil means os.LookupEnv.
	Env func(name string) (string, bool)
	// File is the section "server" of the configuration; zero for none. Its values
	// have been checked.
	File config.Server
	Dev  bool
}

// The data folders where nothing else is said.
const (
	DevData = ".gatehouse"
	RunData = "gatehouse-data"
)

// Names of the environment's variables. Others that begin with GATEHOUSE_ are left
// alone: Kubernetes makes such names for a service called gatehouse.
const (
	EnvData            = "GATEHOUSE_DATA"
	EnvStore           = "GATEHOUSE_STORE"
	EnvGateway         = "GATEHOUSE_GATEWAY"
	EnvIdentity        = "GATEHOUSE_IDENTITY"
	EnvIdentityURL     = "GATEHOUSE_IDENTITY_URL"
	EnvConsole         = "GATEHOUSE_CONSOLE"
	EnvTrustedProxies  = "GATEHOUSE_TRUSTED_PROXIES" // separated by commas
	EnvTLSCert         = "GATEHOUSE_TLS_CERT"
	EnvTLSKey          = "GATEHOUSE_TLS_KEY"
	EnvLogLevel        = "GATEHOUSE_LOG_LEVEL"
	EnvLogFormat       = "GATEHOUSE_LOG_FORMAT"
	EnvShutdownTimeout = "GATEHOUSE_SHUTDOWN_TIMEOUT"
	EnvReadyFile       = "GATEHOUSE_READY_FILE"
	EnvSetupToken      = "GATEHOUSE_SETUP_TOKEN"
)

// loader picks each setting from where it is said first.
type loader struct {
	o        Options
	problems config.Problems
}

// Load returns the settings of this process, or everything that is wrong with them.
func Load(o Options) (*Settings, config.Problems) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	l := loader{o: o}
	d := defaultsOf(o.Dev)
	f, file := o.Flags, o.File
	s := &Settings{Dev: o.Dev, Limits: DefaultLimits()}

	s.Data = l.pick("--data", f.Data, EnvData, file.Data, d.data, checkPath)
	s.Store = l.pick("--store", f.Store, EnvStore, file.Store, "sqlite:"+filepath.Join(s.Data, "gatehouse.db"), config.CheckStore)
	s.Gateway.Listen = l.listen("--gateway", f.Gateway, EnvGateway, file.Gateway.Listen, d.gateway, config.CheckAddress)
	s.Identity.Listen = l.listen("--identity", f.Identity, EnvIdentity, file.Identity.Listen, d.identity, config.CheckAddress)
	s.Console.Listen = l.listen("--console", f.Console, EnvConsole, file.Console.Listen, d.console, config.CheckConsoleAddress)
	s.Identity.URL = l.pick("--identity-url", f.IdentityURL, EnvIdentityURL, file.Identity.URL, "", config.CheckIdentityURL)
	s.Identity.PrivateApps = file.Identity.PrivateApps == "true" || file.Identity.PrivateApps == "" && o.Dev
	s.Identity.SAML = file.Identity.SAML == "true"
	s.Gateway.TrustedProxies, s.Identity.TrustedProxies = l.proxies(), file.Identity.TrustedProxies
	s.Identity.SCIMDelete = file.Identity.SCIMDelete
	s.Gateway.CertFile = l.pick("", "", EnvTLSCert, file.Gateway.TLS.Cert, "", checkPath)
	s.Gateway.KeyFile = l.pick("", "", EnvTLSKey, file.Gateway.TLS.Key, "", checkPath)
	s.Gateway.ClientCAFile, s.Gateway.ClientCerts = file.Gateway.ClientCA, file.Gateway.ClientCerts
	if s.Gateway.ClientCAFile != "" && s.Gateway.ClientCerts == "" {
		s.Gateway.ClientCerts = config.ClientCerts()[0]
	}
	s.Gateway.ClientCertHeader = file.Gateway.ClientCertHeader
	id := file.Identity
	s.Identity.CertFile, s.Identity.KeyFile, s.Identity.ClientCAFile = id.TLS.Cert, id.TLS.Key, id.ClientCA
	s.Identity.DeviceCAFile = id.DeviceCA
	s.Identity.ClientCerts, s.Identity.ClientCertHeader = id.ClientCerts, id.ClientCertHeader
	s.Log.Format = l.pick("--log-format", f.LogFormat, EnvLogFormat, file.Log.Format, d.logFormat, oneOf(config.LogFormats()))
	s.Log.Level = levels[l.pick("--log-level", f.LogLevel, EnvLogLevel, file.Log.Level, "info", oneOf(config.LogLevels()))]
	s.ReadyFile = l.pick("--ready-file", f.ReadyFile, EnvReadyFile, "", "", checkPath)
	s.ShutdownTimeout = l.timeout(d.shutdown)
	s.SetupToken = l.pick("", "", EnvSetupToken, "", "", checkSetupToken)
	s.Telemetry = Telemetry{Metrics: true, OTLPEndpoint: l.otlp(), TraceRatio: l.traceRatio()}
	s.Decide, s.Geo, s.Replay = l.decide(), file.Geo, file.Replay
	s.Mail, s.People, s.Brand = file.Mail, file.People, file.Brand
	if len(s.People.RegistrationDomains) > 0 && s.Mail.Server == "" && !l.o.Dev {
		l.wrong("server.people.registration", fmt.Errorf("addresses are confirmed by letters, and there is no server.mail"))
	}
	if (s.Mail.User == "") != (s.Mail.Password == "") {
		l.wrong("server.mail", fmt.Errorf("user and password go together: give both, or none for a server that asks for neither"))
	}
	l.together(s)
	if len(l.problems) > 0 {
		return nil, l.problems
	}
	return s, nil
}

// defaults are what is so when nothing says otherwise (CONTRACT section 1).
type defaults struct {
	data, gateway, identity, console, logFormat string
	shutdown                                    time.Duration
}

func defaultsOf(dev bool) defaults {
	if dev {
		return defaults{DevData, "127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082", "text", 5 * time.Second}
	}
	return defaults{RunData, ":8080", ":8081", "127.0.0.1:8082", "json", 30 * time.Second}
}

// DefaultLimits returns what strangers may send (SECURITY rule 9).
func DefaultLimits() Limits {
	return Limits{
		HeaderBytes: 32 << 10, HeaderFields: 100, TargetBytes: 8 << 10, Connections: 20_000, EdgeConnections: 10_000,
		TokenBytes: 16 << 10, UnknownTokens: 50, UpstreamHead: 64 << 10,
	}
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func (l *loader) wrong(where string, err error) {
	l.problems = append(l.problems, config.Problem{Position: config.Position{File: where}, Message: err.Error()})
}

// pick returns the first of flag, variable, file and default that is there, checked
// unless it is the default.
func (l *loader) pick(flag, given, variable, file, fallback string, check func(string) error) string {
	value, where := file, "server section of the configuration"
	if v, ok := l.o.Env(variable); ok && v != "" {
		value, where = v, "environment variable "+variable
	}
	if given != "" {
		value, where = given, "flag "+flag
	}
	if value == "" {
		return fallback
	}
	if err := check(value); err != nil {
		l.wrong(where, err)
		return fallback
	}
	return value
}

// listen is pick for addresses. A host that is left out is every address of the
// machine, but loopback on a developer's machine and for the console.
func (l *loader) listen(flag, given, variable, file, fallback string, check func(string) error) string {
	value := l.pick(flag, given, variable, file, fallback, check)
	if strings.HasPrefix(value, ":") && (l.o.Dev || flag == "--console") {
		return "127.0.0.1" + value
	}
	return value
}

func (l *loader) proxies() []netip.Prefix {
	text, ok := l.o.Env(EnvTrustedProxies)
	if !ok || text == "" {
		return l.o.File.Gateway.TrustedProxies
	}
	var out []netip.Prefix
	for _, one := range strings.Split(text, ",") {
		one = strings.TrimSpace(one)
		if err := config.CheckTrustedProxy(one); err != nil {
			l.wrong("environment variable "+EnvTrustedProxies, err)
			continue
		}
		if p, err := spec.ParseNetwork(one); err == nil {
			out = append(out, p)
		}
	}
	return out
}

func (l *loader) timeout(fallback time.Duration) time.Duration {
	if d := l.o.Flags.ShutdownTimeout; d != 0 {
		if d < 0 {
			l.wrong("flag --shutdown-timeout", fmt.Errorf("a duration is longer than 0"))
			return fallback
		}
		return d
	}
	if text, ok := l.o.Env(EnvShutdownTimeout); ok && text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			l.wrong("environment variable "+EnvShutdownTimeout, fmt.Errorf("a duration is a number longer than 0 with its unit, such as 30s"))
			return fallback
		}
		return d
	}
	if d := l.o.File.ShutdownTimeout; d > 0 {
		return d
	}
	return fallback
}

// otlp returns the endpoint of traces as OpenTelemetry's own variables have it.
func (l *loader) otlp() string {
	if off, _ := l.o.Env("OTEL_SDK_DISABLED"); strings.EqualFold(off, "true") {
		return ""
	}
	endpoint := ""
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		v, ok := l.o.Env(name)
		if !ok || v == "" {
			continue
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			l.wrong("environment variable "+name, fmt.Errorf("the endpoint is a URL such as http://collector:4318"))
			continue
		}
		if endpoint = v; name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
			endpoint = strings.TrimSuffix(v, "/") + "/v1/traces"
		}
	}
	return endpoint
}

// traceRatio returns the share of traces that are recorded, by OpenTelemetry's own
// variable; everything when it says nothing.
func (l *loader) traceRatio() float64 {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	v, ok := l.o.Env(name)
	if !ok || v == "" {
		return 1
	}
	r, err := strconv.ParseFloat(v, 64)
	if err != nil || !(r >= 0 && r <= 1) {
		l.wrong("environment variable "+name, fmt.Errorf("the share of traces is a number from 0 to 1"))
		return 1
	}
	return r
}

// decide returns who may ask for decisions: this machine alone, when nothing else is said.
func (l *loader) decide() config.Decide {
	d := l.o.File.Decide
	if d.Listen == "" && d.Envoy == "" && len(d.Allow) > 0 {
		l.wrong("server.decide.allow", fmt.Errorf("allow has no effect without listen or envoy: the console listener answers this machine alone"))
	}
	if len(d.Allow) == 0 {
		d.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	for _, address := range []*string{&d.Listen, &d.Envoy} {
		if l.o.Dev && strings.HasPrefix(*address, ":") {
			*address = "127.0.0.1" + *address
		}
	}
	return d
}

// together checks what settings mean to one another.
func (l *loader) together(s *Settings) {
	if (s.Gateway.CertFile == "") != (s.Gateway.KeyFile == "") {
		l.wrong("TLS of the gateway", fmt.Errorf("a certificate and a key go together: give both %s and %s", EnvTLSCert, EnvTLSKey))
	}
	if s.Gateway.ClientCertHeader != "" && len(s.Gateway.TrustedProxies) == 0 {
		l.wrong("server.gateway.client_cert_header", fmt.Errorf("it is believed of trusted proxies only, and there are none: name them in trusted_proxies"))
	}
	if s.Identity.ClientCertHeader != "" && len(s.Identity.TrustedProxies) == 0 {
		l.wrong("server.identity.client_cert_header", fmt.Errorf("it is believed of trusted proxies only, and there are none: name them in trusted_proxies"))
	}
	for _, ca := range []struct{ name, file string }{{"tls.client_ca", s.Identity.ClientCAFile}, {"device_ca", s.Identity.DeviceCAFile}} {
		if ca.file == "" || s.Identity.ClientCerts != "" || s.Identity.ClientCertHeader != "" {
			continue
		}
		l.wrong("server.identity."+ca.name, fmt.Errorf("no client can show a certificate: set client_certs to optional, or name the header of trusted proxies in client_cert_header"))
	}
	listeners := []struct{ name, address string }{
		{"gateway", s.Gateway.Listen}, {"identity", s.Identity.Listen}, {"console", s.Console.Listen},
	}
	for _, l := range []struct{ name, address string }{{"decide", s.Decide.Listen}, {"envoy", s.Decide.Envoy}} {
		if l.address != "" {
			listeners = append(listeners, l)
		}
	}
	for i, a := range listeners {
		for _, b := range listeners[:i] {
			if samePlace(a.address, b.address) {
				l.wrong("listeners", fmt.Errorf("the %s and the %s listener have the same address %s: give one of them another port", b.name, a.name, a.address))
			}
		}
	}
}

// samePlace reports whether two listeners would want the same port of the same address.
func samePlace(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || everywhere(hostA) || everywhere(hostB)
}

func everywhere(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.IsUnspecified()
}

func checkPath(s string) error {
	if err := spec.CheckText(s, 4096); err != nil {
		return fmt.Errorf("a path %w", err)
	}
	return nil
}

func oneOf(words []string) func(string) error {
	return func(s string) error {
		for _, w := range words {
			if s == w {
				return nil
			}
		}
		return fmt.Errorf("known values are %s", strings.Join(words, ", "))
	}
}

func checkSetupToken(s string) error {
	if len(s) < MinSetupToken {
		return fmt.Errorf("the setup token has at least %d characters: make one with openssl rand -hex 32", MinSetupToken)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("the setup token is printable ASCII without spaces")
		}
	}
	return nil
}

// StoreName returns the store without its password: for logs and people.
func (s *Settings) StoreName() string {
	u, err := url.Parse(s.Store)
	if err != nil || u.Host == "" {
		if strings.HasPrefix(s.Store, "sqlite:") {
			return s.Store
		}
		return "postgres"
	}
	u.RawQuery = ""
	return u.Redacted()
}

// LogValue keeps secrets out of logs.
func (s *Settings) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Bool("dev", s.Dev), slog.String("data", s.Data), slog.String("store", s.StoreName()),
		slog.String("gateway", s.Gateway.Listen), slog.String("identity", s.Identity.Listen), slog.String("console", s.Console.Listen),
	)
}

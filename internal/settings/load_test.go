package settings

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/config"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func env(pairs ...string) func(string) (string, bool) {
	m := map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(name string) (string, bool) {
		v, ok := m[name]
		return v, ok
	}
}

func TestDefaults(t *testing.T) {
	onThisMachine := config.Decide{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	prefixes := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	run, problems := Load(Options{Env: env()})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &Settings{
		Data: "gatehouse-data", Store: "sqlite:gatehouse-data/gatehouse.db",
		Gateway: Gateway{Listen: ":8080"}, Identity: Identity{Listen: ":8081"}, Console: Console{Listen: "127.0.0.1:8082"},
		Log: Log{Level: slog.LevelInfo, Format: "json"}, ShutdownTimeout: 30 * time.Second,
		Telemetry: Telemetry{Metrics: true, TraceRatio: 1}, Limits: DefaultLimits(), Decide: onThisMachine,
	}
	if d := cmp.Diff(want, run, prefixes); d != "" {
		t.Errorf("run (-want +got):\n%s", d)
	}
	dev, problems := Load(Options{Env: env(), Dev: true})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want = &Settings{
		Dev: true, Data: ".gatehouse", Store: "sqlite:.gatehouse/gatehouse.db",
		Gateway: Gateway{Listen: "127.0.0.1:8080"}, Identity: Identity{Listen: "127.0.0.1:8081", PrivateApps: true}, Console: Console{Listen: "127.0.0.1:8082"},
		Log: Log{Format: "text"}, ShutdownTimeout: 5 * time.Second, Telemetry: Telemetry{Metrics: true, TraceRatio: 1}, Decide: onThisMachine,
	}
	if d := cmp.Diff(want, dev, prefixes, cmpopts.IgnoreFields(Settings{}, "Limits")); d != "" {
		t.Errorf("dev (-want +got):\n%s", d)
	}
}

func TestPrecedence(t *testing.T) {
	file := config.Server{Data: "file", Gateway: config.Gateway{Listen: ":1"}, Identity: config.Identity{Listen: ":2"}, ShutdownTimeout: time.Second, Log: config.Log{Level: "warn"}}
	s, problems := Load(Options{
		Env:   env(EnvData, "env", EnvGateway, ":11", EnvShutdownTimeout, "2s", EnvIdentity, ""),
		File:  file,
		Flags: Flags{Data: "flag"},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := []any{s.Data, s.Store, s.Gateway.Listen, s.Identity.Listen, s.ShutdownTimeout, s.Log.Level}
	want := []any{"flag", "sqlite:flag/gatehouse.db", ":11", ":2", 2 * time.Second, slog.LevelWarn}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// Attack gateway 66: the console is never reachable from another machine.
func TestConsoleStaysOnLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:8082", "[::]:8082", "192.0.2.1:8082", "10.0.0.1:0", "example.com:8082", "[::ffff:0.0.0.0]:1"} {
		for name, o := range map[string]Options{
			"flag": {Env: env(), Flags: Flags{Console: address}},
			"env":  {Env: env(EnvConsole, address)},
			"file": {Env: env(), File: config.Server{Console: config.Console{Listen: address}}},
			"dev":  {Env: env(), Dev: true, Flags: Flags{Console: address}},
		} {
			if s, problems := Load(o); len(problems) != 1 || s != nil || !strings.Contains(problems[0].Message, "loopback") {
				t.Errorf("%s %s: %v", name, address, problems)
			}
		}
	}
	for address, want := range map[string]string{":0": "127.0.0.1:0", "127.0.0.1:0": "127.0.0.1:0", "[::1]:9": "[::1]:9", "localhost:9": "localhost:9"} {
		s, problems := Load(Options{Env: env(), Flags: Flags{Console: address}})
		if len(problems) > 0 || s.Console.Listen != want {
			t.Errorf("%s: %v %v", address, s, problems)
		}
	}
}

// Attack gateway 55: nobody is told to trust everybody.
func TestTrustedProxies(t *testing.T) {
	for _, text := range []string{"0.0.0.0/0", "::/0", "10.0.0.0/8, 0.0.0.0/1", "128.0.0.0/1", "::ffff:0:0/96", "10.0.0.1/8", "all"} {
		if _, problems := Load(Options{Env: env(EnvTrustedProxies, text)}); len(problems) != 1 {
			t.Errorf("%s: %v", text, problems)
		}
	}
	s, problems := Load(Options{Env: env(EnvTrustedProxies, "10.0.0.0/8, 2001:db8::1")})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	if d := cmp.Diff(want, s.Gateway.TrustedProxies, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Error(d)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"port":          {Options{Flags: Flags{Gateway: "8080"}}, "flag --gateway: an address to listen on has a port"},
		"port range":    {Options{Flags: Flags{Gateway: ":65536"}}, "between 0 and 65535"},
		"level":         {Options{Env: env(EnvLogLevel, "loud")}, "environment variable GATEHOUSE_LOG_LEVEL: known values are debug"},
		"timeout":       {Options{Env: env(EnvShutdownTimeout, "30")}, "GATEHOUSE_SHUTDOWN_TIMEOUT: a duration"},
		"minus":         {Options{Flags: Flags{ShutdownTimeout: -1}}, "flag --shutdown-timeout"},
		"setup token":   {Options{Env: env(EnvSetupToken, strings.Repeat("x", 31))}, "at least 32 characters"},
		"setup space":   {Options{Env: env(EnvSetupToken, strings.Repeat("x ", 31))}, "printable"},
		"store":         {Options{Flags: Flags{Store: "mysql://x"}}, "sqlite:PATH or postgres://"},
		"half of TLS":   {Options{Env: env(EnvTLSCert, "/c.pem")}, "go together"},
		"no device":     {Options{File: config.Server{Identity: config.Identity{DeviceCA: "/ca.pem"}}}, "server.identity.device_ca: no client can show"},
		"none shown":    {Options{File: config.Server{Identity: config.Identity{ClientCA: "/ca.pem"}}}, "server.identity.tls.client_ca: no client can show"},
		"same port":     {Options{Flags: Flags{Gateway: ":9", Identity: "127.0.0.1:9"}}, "same address"},
		"identity":      {Options{Flags: Flags{IdentityURL: "http://id.example.com"}}, "https, or on loopback"},
		"identity path": {Options{Flags: Flags{IdentityURL: "https://id.example.com/"}}, "does not end with /"},
		"otel":          {Options{Env: env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")}, "OTEL_EXPORTER_OTLP_ENDPOINT: the endpoint is a URL"},
	} {
		if c.o.Env == nil {
			c.o.Env = env()
		}
		_, problems := Load(c.o)
		if len(problems) != 1 || !strings.Contains(problems.Error(), c.want) {
			t.Errorf("%s: want %q, got %v", name, c.want, problems)
		}
	}
}

func TestTracing(t *testing.T) {
	for want, e := range map[string]func(string) (string, bool){
		"":                    env("OTEL_SDK_DISABLED", "true", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
		"http://c/v1/traces":  env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c/"),
		"https://d/elsewhere": env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://d/elsewhere"),
	} {
		if s, problems := Load(Options{Env: e}); len(problems) > 0 || s.Telemetry.OTLPEndpoint != want {
			t.Errorf("want %q: %v %v", want, s, problems)
		}
	}
}

func TestSecretsStayOutOfLogs(t *testing.T) {
	const canary = "c4n4ry-c4n4ry-c4n4ry-c4n4ry-c4n4ry"
	s, problems := Load(Options{Env: env(EnvSetupToken, canary, EnvStore, "postgres://u:"+canary+"@h/db?password="+canary)})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("settings", "settings", s)
	if strings.Contains(b.String(), canary) || strings.Contains(s.StoreName(), canary) {
		t.Errorf("the secret is shown: %s %s", b.String(), s.StoreName())
	}
	if !strings.Contains(b.String(), "postgres://u:xxxxx@h/db") {
		t.Errorf("the store is not named: %s", b.String())
	}
}

// Who may ask for decisions fails closed: this machine alone, and never everybody.
func TestWhoMayAskForDecisions(t *testing.T) {
	for name, d := range map[string]config.Decide{
		"allow without a listener": {Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"the gateway's address":    {Listen: ":8080"},
		"one address for both":     {Listen: ":9000", Envoy: ":9000"},
	} {
		if _, problems := Load(Options{Env: env(), File: config.Server{Decide: d}}); len(problems) != 1 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	s, problems := Load(Options{Env: env(), File: config.Server{Decide: config.Decide{Listen: ":9000"}}})
	if len(problems) > 0 || len(s.Decide.Allow) != 2 || !s.Decide.Allow[0].Addr().IsLoopback() || !s.Decide.Allow[1].Addr().IsLoopback() {
		t.Errorf("%v %v", s, problems)
	}
}

package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/introspect"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/settings"
	"gatehouse/internal/spec"
	"gatehouse/internal/store"
	"gatehouse/verify"
)

// Outcome is how a check of the installation ended.
type Outcome string

// The outcomes.
const (
	Passed  Outcome = "ok"
	Warning Outcome = "warning"
	Failed  Outcome = "failed"
)

// Finding is what one check of the installation found.
type Finding struct {
	Outcome Outcome `json:"outcome"`
	Check   string  `json:"check"`
	Detail  string  `json:"detail"` // what was found, and what to do when it is bad
}

// examination collects findings.
type examination struct {
	settings settings.Settings
	file     *config.File // nil when there is none
	found    []Finding
}

func (e *examination) add(o Outcome, check, format string, args ...any) {
	e.found = append(e.found, Finding{o, check, fmt.Sprintf(format, args...)})
}

// examine reads settings and configuration for commands that do not serve.
func examine(c Config) (*examination, error) {
	e := &examination{}
	var server config.Server
	if c.File != "" {
		if _, err := os.Stat(c.File); err == nil {
			file, problems := config.Load(config.Options{Path: c.File, Env: c.Getenv})
			if len(problems) > 0 {
				return nil, problems
			}
			e.file, server = file, file.Server
		}
	}
	if set, _ := getenv(c, settings.EnvData); c.Flags.Data == "" && set == "" && server.Data == "" && !exists(settings.RunData) && exists(settings.DevData) {
		c.Flags.Data = settings.DevData // there was a dev here, and no run
	}
	s, problems := settings.Load(settings.Options{Flags: c.Flags, Env: c.Getenv, File: server})
	if len(problems) > 0 {
		return nil, problems
	}
	e.settings = *s
	return e, nil
}

// exists reports whether something is at the path.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func getenv(c Config, name string) (string, bool) {
	if c.Getenv == nil {
		return os.LookupEnv(name)
	}
	return c.Getenv(name)
}

// Doctor checks an installation, whether it runs or not, and changes nothing but
// what opening the store does.
func Doctor(ctx context.Context, c Config) ([]Finding, error) {
	e, err := examine(c)
	if err != nil {
		return nil, err
	}
	e.configuration(ctx, c.File)
	e.folder()
	e.files(time.Now())
	e.snapshot()
	e.store(ctx)
	e.issuers(ctx)
	e.upstreams(ctx)
	e.servers(ctx)
	e.ports(ctx)
	return e.found, nil
}

func (e *examination) configuration(ctx context.Context, path string) {
	if e.file == nil {
		e.add(Warning, "configuration", "there is no %s; gatehouse init writes one", path)
		return
	}
	results, err := CheckFile(ctx, e.file)
	if err != nil {
		e.add(Failed, "configuration", "%v", err)
		return
	}
	for _, r := range results {
		if !r.Passed {
			e.add(Failed, "configuration", "%s: the test %q fails: got %s", r.Source, r.Text, r.Got)
		}
	}
	e.add(Passed, "configuration", "%s: %s, %s", e.file.Name, counted(len(e.file.Declared.APIs), "API"), counted(len(results), "test"))
}

func (e *examination) folder() {
	info, err := os.Stat(e.settings.Data)
	switch {
	case err != nil:
		e.add(Warning, "data folder", "%s is not there yet; the first run makes it", e.settings.Data)
		return
	case info.Mode().Perm()&0o077 != 0:
		e.add(Failed, "data folder", "%s can be read by others (%s): chmod 700 it, it holds keys", e.settings.Data, info.Mode().Perm())
	default:
		e.add(Passed, "data folder", "%s is for its owner alone", e.settings.Data)
	}
	key, err := os.Stat(filepath.Join(e.settings.Data, "seal.key"))
	if err == nil && key.Mode().Perm()&0o077 != 0 {
		e.add(Failed, "sealing key", "%s can be read by others: chmod 600 it", key.Name())
	}
}

func (e *examination) snapshot() {
	s, err := gateway.ReadSnapshot(filepath.Join(e.settings.Data, "snapshot.json"))
	switch {
	case fault.Is(err, fault.NotFound):
		e.add(Warning, "snapshot", "there is none yet, so that this node cannot start while the store is down; the first run writes one")
		return
	case err != nil:
		e.add(Warning, "snapshot", "%v; until then this node cannot start while the store is down", err)
		return
	}
	e.add(Passed, "snapshot", "revision %d is on disk, so a restart needs no store", s.Revision)
}

func (e *examination) store(ctx context.Context) {
	if path, ok := strings.CutPrefix(e.settings.Store, "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			e.add(Warning, "store", "there is no %s yet; the first run makes it", path)
			return
		}
	}
	findings, err := checkStore(ctx, e.settings)
	if err != nil {
		e.add(Failed, "store", "%v", err)
		return
	}
	e.found = append(e.found, findings...)
}

func (e *examination) issuers(ctx context.Context) {
	if e.file == nil {
		return
	}
	client := safehttp.New(safehttp.Config{AllowPrivate: true})
	defer client.Close()
	for _, is := range e.file.Declared.Issuers {
		if is.Builtin != "" {
			continue
		}
		check := "issuer " + is.Name
		if is.Asked() {
			e.asks(ctx, client, is)
		}
		if is.Tokens == spec.TokensOpaque {
			continue
		}
		keys, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: is.URL, Fetch: client.Fetch}) //nolint:contextcheck // fetches have a life of their own
		if err == nil {
			err = keys.Fetch(ctx)
		}
		if err != nil {
			e.add(Failed, check, "%v; its tokens are answered 503 until its keys can be had", err)
		} else {
			st := keys.State()
			e.add(Passed, check, "%d usable keys, %d ignored", len(st.Keys), len(st.Ignored))
		}
		if keys != nil {
			_ = keys.Close()
		}
	}
}

// asks asks an issuer of opaque tokens about one that nobody has.
func (e *examination) asks(ctx context.Context, client *safehttp.Client, is spec.Issuer) {
	check := "issuer " + is.Name
	conf := introspect.Config{Issuer: is.URL, Endpoint: is.IntrospectionURL, ClientID: is.ClientID, HTTP: client}
	err := proveBy(&conf, is.ClientAuth, []byte(e.file.Values[spec.PathIssuer(is.Name)+".client_secret"]))
	if err == nil && is.SignedAnswers {
		var keys *verify.RemoteKeys
		if keys, err = verify.NewRemoteKeys(verify.RemoteConfig{Issuer: is.URL, Fetch: client.Fetch}); err == nil { //nolint:contextcheck // as above
			defer func() { _ = keys.Close() }()
			conf.Keys = keys
		}
	}
	var c *introspect.Client
	if err == nil {
		c, err = introspect.New(conf)
	}
	if err == nil {
		defer c.Close()
		_, err = c.Ask(ctx, []byte(keys.Secret(256)))
	}
	if verify.ReasonOf(err) == introspect.ReasonRevoked {
		e.add(Passed, check, "it answers questions about tokens")
		return
	}
	e.add(Failed, check, "%v; its tokens are answered 503 until it answers: check its address, client_id and client_secret", err)
}

func (e *examination) upstreams(ctx context.Context) {
	if e.file == nil {
		return
	}
	for _, api := range e.file.Declared.APIs {
		for _, target := range api.Upstream.Targets {
			e.reaches(ctx, "upstream of "+api.Name, target)
		}
	}
}

// ports says whether the listeners could open, or who answers there.
func (e *examination) ports(ctx context.Context) {
	for _, l := range []struct{ name, address string }{
		{"gateway", e.settings.Gateway.Listen}, {"identity", e.settings.Identity.Listen}, {"console", e.settings.Console.Listen},
	} {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
		if err == nil {
			_ = ln.Close()
			e.add(Passed, l.name+" port", "%s is free", l.address)
			continue
		}
		if l.name == "console" && alive(ctx, l.address) {
			e.add(Passed, "process", "Gatehouse answers on %s", l.address)
			continue
		}
		e.add(Warning, l.name+" port", "%s is in use: fine when that is Gatehouse, otherwise choose another", l.address)
	}
}

func alive(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/livez", nil)
	if err != nil {
		return false
	}
	res, err := (&http.Client{}).Do(req)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// MigrateStore brings the schema of the store up to this binary's and returns its version.
func MigrateStore(ctx context.Context, c Config) (version int, err error) {
	e, err := examine(c)
	if err != nil {
		return 0, err
	}
	db, err := store.Open(ctx, store.Config{URL: e.settings.Store})
	if err != nil {
		return 0, err
	}
	version, _, err = db.SchemaVersion(ctx)
	if e := db.Close(); err == nil {
		err = e
	}
	return version, err
}

// CheckStore checks the store alone.
func CheckStore(ctx context.Context, c Config) ([]Finding, error) {
	if c.File != "" && !exists(c.File) {
		return nil, fault.New(fault.NotFound, "%s: there is no such file or folder", c.File)
	}
	e, err := examine(c)
	if err != nil {
		return nil, err
	}
	// To open a store that is not there would make one, and find it in order.
	if path, ok := strings.CutPrefix(e.settings.Store, "sqlite:"); ok && !exists(path) {
		return nil, fault.New(fault.NotFound, "there is no store %s: name it with --store, its folder with --data, or its configuration with --config", path)
	}
	return checkStore(ctx, e.settings)
}

// counted returns a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func checkStore(ctx context.Context, s settings.Settings) (found []Finding, err error) {
	defer fault.Wrap(&err, "check the store %s", s.StoreName())
	db, err := store.Open(ctx, store.Config{URL: s.Store})
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	e := &examination{}
	version, known, err := db.SchemaVersion(ctx)
	if err != nil {
		return nil, err
	}
	e.add(Passed, "store", "%s, schema %d of %d", db.Engine(), version, known)
	if err := db.Check(ctx); err != nil {
		e.add(Failed, "integrity", "%v; restore a backup", err)
	} else {
		e.add(Passed, "integrity", "the engine finds nothing wrong")
	}
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	l, err := ledger.New(ledger.Config{Store: db.Ledger(), Registry: registry})
	if err != nil {
		return nil, err
	}
	chain, err := l.VerifyChain(withTenant(ctx))
	switch {
	case err != nil:
		return nil, err
	case chain.Broken != nil:
		e.add(Failed, "history", "the hash chain is broken: %s", chain.Broken)
	default:
		e.add(Passed, "history", "%d changes up to revision %d, each hash right", chain.Changes, chain.Head.Revision)
	}
	return e.found, nil
}

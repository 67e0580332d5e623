//go:build linux

// Command bench runs Gatehouse and its peers in turn on the same work and says
// what each of them costs: microseconds of processor time per request first,
// then throughput, latency, memory and size, as ratios within one run on one
// machine. It measures programs from outside, as built and configured for use;
// it must not know how any of them works inside.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// bench is one run.
type bench struct {
	root, dir, self               string
	gatehouseBinary, olderCommit  string
	caddyBinary, caddyVersion     string
	seconds                       time.Duration // of one measurement
	rounds                        int
	short                         bool
	hurries                       bool // both sides have real-time priority while latency is measured
	cores                         cores
	running                       []*process
	replayScript, formScript      string
	issuer                        *issuer
	token                         string // one that everybody knows
	originAddress                 string
	nginxServer, haproxyServer    *server
	caddyServer, main, coldServer *server
	files                         files
	folders                       int
	removed                       []string // at the end, beside dir

	bars   []bar
	rows   []row
	tables []table
}

// foundation is the last commit that had only the gateway's everyday path: tokens,
// scopes, limits. The first published table was measured with it.
const foundation = "b84949b"

// files are the request files that several works use.
type files struct{ origin, public, full string }

func main() {
	worker := flag.Bool("worker", false, "be the load generator: a job comes on stdin (used by the benchmark itself)")
	only := flag.String("only", "", "measure only the works whose name matches this regular expression")
	short := flag.Bool("short", false, "one round of a second each: shows that everything runs, not how fast")
	seconds := flag.Int("seconds", 3, "length of one measurement")
	rounds := flag.Int("rounds", 3, "how often each measurement is repeated")
	binary := flag.String("gatehouse", "bin/gatehouse", "the program to measure, or none for the peers alone")
	older := flag.String("compare", foundation, "commit whose Gatehouse is measured beside today's, or none")
	measured := flag.Int("cores", 0, "cores for the measured server; 0 = half of the machine, at most 4")
	out := flag.String("out", filepath.Join("bench", "results"), "folder for the results")
	profile := flag.String("profile", "", "measure nothing: record a CPU profile of the program at its everyday work to this file, for go build -pgo")
	flag.Parse()

	if *worker {
		if err := serveJob(); err != nil {
			fail(err)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // a reader that has seen enough is an error of a write, not the end before the cleaning up
	b := &bench{seconds: time.Duration(*seconds) * time.Second, rounds: *rounds, short: *short, gatehouseBinary: *binary, olderCommit: *older}
	if *short {
		b.seconds, b.rounds = time.Second, 1
	}
	if *profile != "" {
		if err := b.profile(ctx, *profile, *measured); err != nil {
			fail(err)
		}
		return
	}
	kept, err := b.everything(ctx, *only, *measured, *out)
	if err != nil {
		fail(err)
	}
	if !kept {
		os.Exit(3)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "bench:", err)
	os.Exit(1)
}

// serveJob does one job of the load generator.
func serveJob() error {
	var j job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	l, err := generate(j)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(l)
}

// everything sets up, measures, reports, and ends what it started. It returns
// whether all bars were kept; a short run has none.
func (b *bench) everything(ctx context.Context, only string, measured int, out string) (kept bool, err error) {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return false, err
	}
	warning, err := busy()
	if err != nil {
		return false, err
	}
	if warning != "" {
		b.say("%s", warning)
	}
	began := time.Now()
	defer b.tearDown()
	if err := b.setUp(ctx, measured); err != nil {
		return false, err
	}
	for _, w := range works {
		if !pattern.MatchString(w.name) {
			continue
		}
		b.say("%s", w.name)
		if err := w.do(b, ctx); err != nil {
			return false, fmt.Errorf("%s: %w", w.name, err)
		}
	}
	where, err := describe(b.cores)
	if err != nil {
		return false, err
	}
	where.Versions = b.versions(ctx)
	where.Method, where.Warning = b.method(), warning
	r := &report{Machine: where, Bars: b.bars, Rows: b.rows, Tables: b.tables}
	if err := r.markdown(os.Stdout); err != nil {
		return false, err
	}
	b.say("took %v", time.Since(began).Round(time.Second))
	if only == "" && !b.short && b.main != nil {
		path, err := r.save(out)
		if err != nil {
			return false, err
		}
		b.say("written to %s", path)
	}
	return b.short || !slices.ContainsFunc(b.bars, func(x bar) bool { return !x.kept() }), nil
}

// setUp installs what is missing and starts the origin, the issuer and the servers.
func (b *bench) setUp(ctx context.Context, measured int) (err error) {
	if b.root, err = moduleRoot(); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if b.cores, err = divide(measured); err != nil {
		return err
	}
	b.hurries = mayHurry(ctx)
	if b.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return err
	}
	if b.gatehouseBinary != "none" {
		if b.gatehouseBinary, err = filepath.Abs(b.gatehouseBinary); err != nil {
			return err
		}
		if _, err := os.Stat(b.gatehouseBinary); err != nil {
			return fmt.Errorf("%w; run make build first, or give -gatehouse none", err)
		}
	}
	if err := b.install(ctx); err != nil {
		return err
	}
	b.replayScript, b.formScript = filepath.Join(b.dir, "replay.lua"), filepath.Join(b.dir, "form.lua")
	if err := errors.Join(
		os.WriteFile(b.replayScript, []byte(replayScript), 0o600),
		os.WriteFile(b.formScript, []byte(formScript), 0o600),
	); err != nil {
		return err
	}
	if b.issuer, err = newIssuer(ctx); err != nil {
		return err
	}
	return b.startServers(ctx)
}

func (b *bench) startServers(ctx context.Context) error {
	origin, err := b.origin(ctx)
	if err != nil {
		return err
	}
	b.originAddress = origin.address
	if b.token, err = b.issuer.token("ES256", 1_000_000); err != nil {
		return err
	}
	for _, f := range []struct {
		to                *string
		name, path, token string
	}{
		{&b.files.origin, "origin", "/1k", ""},
		{&b.files.public, "public", "/plain/1k", ""},
		{&b.files.full, "full", "/full/1k", b.token},
	} {
		if *f.to, err = b.requests(f.name, []string{f.path}, []string{f.token}); err != nil {
			return err
		}
	}
	if b.nginxServer, err = b.nginx(ctx, b.originAddress); err != nil {
		return err
	}
	if b.haproxyServer, err = b.haproxy(ctx, b.originAddress, b.issuer); err != nil {
		return err
	}
	if b.caddyServer, err = b.caddy(ctx, b.originAddress); err != nil {
		return err
	}
	if b.gatehouseBinary == "none" {
		return nil
	}
	dir, err := b.folder("gatehouse")
	if err != nil {
		return err
	}
	b.main, err = b.gatehouse(ctx, dir, configuration(b.issuer, b.originAddress, 10, ""))
	return err
}

// tearDown ends every process that was started, by its id, and removes the files.
func (b *bench) tearDown() {
	for i := len(b.running) - 1; i >= 0; i-- {
		b.running[i].stop()
	}
	if b.issuer != nil {
		b.issuer.close()
	}
	for _, dir := range append(b.removed, b.dir) {
		_ = os.RemoveAll(dir) // "" is nothing
	}
}

// folder makes a new folder for a server's files.
func (b *bench) folder(name string) (string, error) {
	b.folders++
	dir := filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.folders, name))
	return dir, os.Mkdir(dir, 0o755)
}

func (b *bench) say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

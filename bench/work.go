//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// work is one piece of work that the servers do in turn.
type work struct {
	name string
	do   func(*bench, context.Context) error
}

// works is what is measured, in this order.
var works = [...]work{
	{"plain", (*bench).plain},         // the price of passing a request on
	{"full", (*bench).full},           // token, scope, limit, headers, metrics, log
	{"body-10k", (*bench).body10k},    // an answer that is larger than a buffer
	{"body-1m", (*bench).body1m},      // an answer that is moved, not looked at
	{"edge", (*bench).edge},           // API key, policies, introspected token, session, each beside its plain route
	{"compare", (*bench).compare},     // what was built in since the foundation and is not used
	{"tokens", (*bench).manyTokens},   // 1 against 10,000 callers
	{"routes", (*bench).manyRoutes},   // 10 against 10,000 routes
	{"http2", (*bench).http2},         // the standard lane
	{"cold", (*bench).cold},           // every token, and every DPoP proof, seen for the first time
	{"reload", (*bench).reload},       // a new configuration every second
	{"rate", (*bench).rate},           // latency at half of the maximum throughput
	{"footprint", (*bench).footprint}, // start, memory, size
	{"identity", (*bench).onSQLite},   // the authorization server and a large directory
	{"signin", (*bench).signInPages},  // the page for signing in, and who is signed in
	{"postgres", (*bench).onPostgres}, // the same on the other engine
}

// names of contestants; nginx is the reference of every ratio.
const (
	nginxPlain   = "nginx, plain, no log"
	nginxLog     = "nginx, plain, access log"
	nginxLarge   = "nginx, plain, large buffers"
	nginxH2      = "nginx, plain, HTTP/2"
	haproxyPlain = "HAProxy, plain, no log"
	haproxyJWT   = "HAProxy, verifies RS256, no log"
	caddyPlain   = "Caddy, plain, no log"
	ours         = "Gatehouse"
	oursPublic   = "Gatehouse, public route, log"
	oursFull     = "Gatehouse, token scope limit log"
	nginxSteady  = "nginx, plain, at 5,000 a second"
	oursSteady   = "Gatehouse, RS256, at 5,000 a second"
)

func (b *bench) plain(ctx context.Context) error {
	connections := 32
	cs := []contestant{
		{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, connections)},
		{name: nginxLog, server: b.nginxServer, run: b.replay(b.nginxServer.also["log"], b.files.origin, connections)},
		{name: haproxyPlain, server: b.haproxyServer, run: b.replay(b.haproxyServer.address, b.files.origin, connections)},
		{name: caddyPlain, server: b.caddyServer, run: b.replay(b.caddyServer.address, b.files.origin, connections)},
	}
	if b.main != nil {
		cs = append(cs, contestant{name: oursPublic, server: b.main, run: b.replay(b.main.address, b.files.public, connections)})
	}
	_, err := b.fine(ctx, "1 KB, plain", cs...)
	return err
}

func (b *bench) full(ctx context.Context) error {
	rsaToken, err := b.issuer.token("RS256", 0)
	if err != nil {
		return err
	}
	rsaFile, err := b.requests("rs256", []string{"/1k"}, []string{rsaToken})
	if err != nil {
		return err
	}
	cs := []contestant{
		{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, 32)},
		{name: haproxyJWT, server: b.haproxyServer, run: b.replay(b.haproxyServer.also["jwt"], rsaFile, 32)},
		{name: caddyPlain, server: b.caddyServer, run: b.replay(b.caddyServer.address, b.files.origin, 32)},
	}
	if b.main != nil {
		cs = append(cs, contestant{name: oursFull, server: b.main, run: b.replay(b.main.address, b.files.full, 32)})
	}
	rows, err := b.fine(ctx, "1 KB, one caller, cached token", cs...)
	if err != nil || b.main == nil {
		return err
	}
	b.atMost("CPU per authenticated, authorized, limited, logged request / nginx plain", ratio(rows, oursFull, nginxPlain), 1.0, "x")
	b.atMost("the same / Caddy plain", ratio(rows, oursFull, caddyPlain), 0.25, "x")
	b.noFailures(rows)
	return nil
}

func (b *bench) body10k(ctx context.Context) error {
	return b.body(ctx, "10 KB body", "10k", 32, 0)
}

func (b *bench) body1m(ctx context.Context) error {
	return b.body(ctx, "1 MB body", "1m", 16, 0.7)
}

// body compares on one size of answer; a bar of 0 is none.
func (b *bench) body(ctx context.Context, title, path string, connections int, bar float64) error {
	plain, err := b.requests("origin-"+path, []string{"/" + path}, nil)
	if err != nil {
		return err
	}
	cs := []contestant{
		{name: nginxLarge, server: b.nginxServer, run: b.replay(b.nginxServer.also["large"], plain, connections)},
		{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, plain, connections)},
		{name: haproxyPlain, server: b.haproxyServer, run: b.replay(b.haproxyServer.address, plain, connections)},
		{name: caddyPlain, server: b.caddyServer, run: b.replay(b.caddyServer.address, plain, connections)},
	}
	if b.main != nil {
		full, err := b.requests("full-"+path, []string{"/full/" + path}, []string{b.token})
		if err != nil {
			return err
		}
		cs = append(cs, contestant{name: oursFull, server: b.main, run: b.replay(b.main.address, full, connections)})
	}
	rows, err := b.fine(ctx, title, cs...)
	if err != nil || b.main == nil {
		return err
	}
	if bar > 0 {
		b.atMost(title+": CPU / nginx with large buffers", ratio(rows, oursFull, nginxLarge), bar, "x")
	}
	b.noFailures(rows)
	return nil
}

func (b *bench) manyTokens(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	tokens, err := b.issuer.tokens("ES256", 10000)
	if err != nil {
		return err
	}
	many, err := b.requests("tokens", []string{"/full/1k"}, tokens)
	if err != nil {
		return err
	}
	// However slow the machine is, every token has been seen before the first round.
	if _, err := b.generate(ctx, job{Address: b.main.address, File: many, Connections: 32, Count: len(tokens)}); err != nil {
		return err
	}
	rows, err := b.contest(ctx, "1 KB, 1 and 10,000 callers, cached tokens",
		contestant{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, 32)},
		contestant{name: ours + ", 1 token", server: b.main, run: b.replay(b.main.address, b.files.full, 32)},
		contestant{name: ours + ", 10,000 tokens", server: b.main, run: b.replay(b.main.address, many, 32)},
	)
	if err != nil {
		return err
	}
	b.noFailures(rows)
	return nil
}

func (b *bench) manyRoutes(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	cs := []contestant{{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, 32)}}
	var large *server
	for _, n := range []int{10, 10000} {
		dir, err := b.folder("routes")
		if err != nil {
			return err
		}
		s, err := b.gatehouse(ctx, dir, configuration(b.issuer, b.originAddress, n, ""))
		if err != nil {
			return err
		}
		defer s.stop()
		paths := make([]string, n)
		for i := range paths {
			paths[i] = "/many/" + routeName(i) + "/" + fmt.Sprint(1000+i)
		}
		file, err := b.requests(fmt.Sprintf("routes-%d", n), paths, []string{b.token})
		if err != nil {
			return err
		}
		cs = append(cs, contestant{name: routesName(n), server: s, run: b.replay(s.address, file, 32)})
		large = s
	}
	rows, err := b.contest(ctx, "1 KB, cached token, 10 and 10,000 routes", cs...)
	if err != nil {
		return err
	}
	b.atMost("CPU per request, 10,000 routes / 10 routes", ratio(rows, routesName(10000), routesName(10)), 1.2, "x")
	b.noFailures(rows)
	memory, err := large.rss()
	if err != nil {
		return err
	}
	b.atMost("memory with 10,000 routes, after the load", float64(memory)/(1<<20), 150, "MiB")
	return nil
}

func routesName(n int) string { return fmt.Sprintf("%s, %d routes", ours, n) }

func (b *bench) http2(ctx context.Context) error {
	h2 := func(url, token string) func(context.Context, time.Duration) (load, error) {
		return func(ctx context.Context, d time.Duration) (load, error) { return b.h2load(ctx, url, token, 8, 4, d) }
	}
	cs := []contestant{
		{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, 32)},
		{name: nginxH2, server: b.nginxServer, run: h2("http://"+b.nginxServer.also["h2"]+"/1k", "")},
	}
	if b.main != nil {
		cs = append(cs, contestant{name: oursFull, server: b.main, run: h2("http://"+b.main.address+"/full/1k", b.token)})
	}
	rows, err := b.contest(ctx, "1 KB, cached token, HTTP/2 without TLS, 8 connections of 4 streams", cs...)
	if err != nil || b.main == nil {
		return err
	}
	b.atMost("HTTP/2, the full work / nginx plain (HTTP/1.1)", ratio(rows, oursFull, nginxPlain), 2.2, "x")
	b.noFailures(rows)
	return nil
}

// cold shows every token once. Gatehouse is started again before each round, so
// that none of the tokens is in its cache.
// steadyRate is the requests a second at which first sights are compared with nginx: both
// can do it. At full speed nginx keeps the load and the origin busy, while with first sights these sleep
// most of the time, and to wake them costs more than a request does.
const steadyRate = 5000

func (b *bench) cold(ctx context.Context) error {
	count := 20000
	if b.short {
		count = 4000
	}
	sendAt := func(rate float64, s *server, also, file string, count int) func(context.Context, time.Duration) (load, error) {
		return func(ctx context.Context, _ time.Duration) (load, error) {
			address := s.address
			if also != "" {
				address = s.also[also]
			}
			return b.generate(ctx, job{Address: address, File: file, Connections: 32, Count: count, Rate: rate})
		}
	}
	send := func(s *server, also, file string, count int) func(context.Context, time.Duration) (load, error) {
		return sendAt(0, s, also, file, count)
	}
	// The reference is sent more, so that the hundredths of a second in which the kernel counts do not show.
	cs := []contestant{{name: nginxPlain, server: b.nginxServer, run: send(b.nginxServer, "", b.files.origin, 8*count)}}
	dir, err := b.folder("cold")
	if err != nil {
		return err
	}
	for _, alg := range []string{"RS256", "ES256", "EdDSA"} {
		tokens, err := b.issuer.tokens(alg, count)
		if err != nil {
			return err
		}
		if alg == "RS256" {
			file, err := b.requests("cold-haproxy", []string{"/1k"}, tokens)
			if err != nil {
				return err
			}
			cs = append(cs, contestant{name: haproxyJWT, server: b.haproxyServer, run: send(b.haproxyServer, "jwt", file, count)})
		}
		if b.main == nil {
			continue
		}
		file, err := b.requests("cold-"+alg, []string{"/full/1k"}, tokens)
		if err != nil {
			return err
		}
		s := &server{}
		before := func(ctx context.Context) error { return b.restart(ctx, s, dir) }
		cs = append(cs, contestant{name: ours + ", " + alg, server: s, run: send(s, "", file, count), before: before})
		if alg == "RS256" {
			cs = append(cs,
				contestant{name: nginxSteady, server: b.nginxServer, run: sendAt(steadyRate, b.nginxServer, "", b.files.origin, count)},
				contestant{name: oursSteady, server: s, run: sendAt(steadyRate, s, "", file, count), before: before})
		}
	}
	if b.main != nil {
		proofs, err := b.proofs(count)
		if err != nil {
			return err
		}
		cs = append(cs, proofs...)
	}
	rows, err := b.contest(ctx, "1 KB, every token for the first time", cs...)
	if err != nil || b.main == nil {
		return err
	}
	b.atMost("a DPoP proof / first sight of an ES256 token, both above a cached token: one signature check",
		difference(rows, oursProof, oursAgain)/difference(rows, ours+", ES256", oursAgain), 1.25, "x")
	b.atMost("first sight of an RS256 token, above nginx plain, both at 5,000 a second", difference(rows, oursSteady, nginxSteady), 60, "us")
	b.noFailures(rows)
	return nil
}

// restart ends the server that runs in the folder, starts it again on the same
// data, and warms it up on the public route.
func (b *bench) restart(ctx context.Context, s *server, dir string) error {
	if b.coldServer != nil {
		b.coldServer.stop()
	}
	fresh, err := b.gatehouse(ctx, dir, configuration(b.issuer, b.originAddress, 0, ""))
	if err != nil {
		return err
	}
	b.coldServer, *s = fresh, *fresh
	_, err = b.replay(s.address, b.files.public, 32)(ctx, time.Second)
	return err
}

// reload replaces the configuration every second under full load and asks, each
// time, for a route that only the new one has.
func (b *bench) reload(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	dir, err := b.folder("reload")
	if err != nil {
		return err
	}
	const extra = "  reload:\n    base_path: /reload\n    upstream: http://%s\n    auth: public\n    routes:\n      GET /number-%d: public\n"
	numbered := func(n int) string {
		return configuration(b.issuer, b.originAddress, 0, fmt.Sprintf(extra, b.originAddress, n))
	}
	s, err := b.gatehouse(ctx, dir, numbered(0))
	if err != nil {
		return err
	}
	defer s.stop()
	reloads, slowest := 0, time.Duration(0)
	rows, err := b.contest(ctx, "1 KB, cached token, a new configuration every second",
		contestant{name: nginxPlain, server: b.nginxServer, run: b.replay(b.nginxServer.address, b.files.origin, 32)},
		contestant{name: oursFull, server: s, run: func(ctx context.Context, d time.Duration) (load, error) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			var took []time.Duration
			var reloadErr error
			done := make(chan struct{})
			go func() {
				defer close(done)
				took, reloadErr = s.reloadUntil(ctx, filepath.Join(dir, "gatehouse.yaml"), &reloads, numbered)
			}()
			l, err := b.replay(s.address, b.files.full, 32)(ctx, d+2*time.Second)
			cancel()
			<-done
			for _, t := range took {
				slowest = max(slowest, t)
			}
			return l, errors.Join(err, reloadErr)
		}})
	if err != nil {
		return err
	}
	failed := int64(0)
	for _, r := range rows {
		failed += r.Median.Failed
	}
	b.say("  %d reloads, the slowest was live after %v", reloads, slowest.Round(time.Millisecond))
	b.atMost(fmt.Sprintf("failed requests during %d reloads under full load", reloads), float64(failed), 0, "")
	b.atMost("slowest reload, from the change of the file to the first answer of the new route", slowest.Seconds()*1000, 1000, "ms")
	return nil
}

// reloadUntil changes the file once a second until the context ends and returns how long each change took to be live.
func (s *server) reloadUntil(ctx context.Context, file string, number *int, config func(int) string) ([]time.Duration, error) {
	var took []time.Duration
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		*number++
		temporary := file + ".next"
		if err := os.WriteFile(temporary, []byte(config(*number)), 0o600); err != nil {
			return took, err
		}
		began := time.Now()
		if err := os.Rename(temporary, file); err != nil {
			return took, err
		}
		if err := s.await(ctx, fmt.Sprintf("/reload/number-%d", *number), ""); err != nil {
			if ctx.Err() != nil {
				*number-- // cut off in the middle; not counted
				return took, nil
			}
			return took, err
		}
		took = append(took, time.Since(began))
		select {
		case <-ctx.Done():
			return took, nil
		case <-tick.C:
		}
	}
}

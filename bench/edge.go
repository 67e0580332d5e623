//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/client"
)

// What is measured of the checks at the edge. The references are routes of the same process.
const (
	oursPlain   = "Gatehouse, public route"
	oursToken   = "Gatehouse, cached JWT, scope, limit"
	oursKey     = "Gatehouse, API key, scope"
	oursPolicy  = "Gatehouse, cached JWT, 50 Cedar policies"
	oursAsked   = "Gatehouse, cached JWT, 50 Cedar policies about the request"
	oursOpaque  = "Gatehouse, opaque token, scope, limit"
	policyCount = 50
)

// edgeConfiguration adds to the everyday configuration one API for each check. The
// policies are for one API each, so that they cost the others nothing; all of them are
// asked at each request of it, and none forbids.
func (b *bench) edgeConfiguration() string {
	var c strings.Builder
	fmt.Fprintf(&c, `  keyed:
    base_path: /keyed
    upstream: http://%[1]s
    auth: api_key
    routes:
      GET /*: %[2]s
  policed:
    base_path: /policed
    upstream: http://%[1]s
    auth: bench
    limit: 1000000000/min per client
    routes:
      GET /*: %[2]s
  asked:
    base_path: /asked
    upstream: http://%[1]s
    auth: bench
    limit: 1000000000/min per client
    routes:
      GET /*: %[2]s
  opaque:
    base_path: /opaque
    upstream: http://%[1]s
    auth: opaque
    limit: 1000000000/min per client
    routes:
      GET /*: %[2]s
  session:
    base_path: /session
    upstream: http://%[1]s
    auth: session
    sign_in: people
    limit: 1000000000/min per client
    routes:
      GET /*: %[2]s
policies:
`, b.originAddress, scope)
	for i := range policyCount {
		fmt.Fprintf(&c, `  p%02d: |
    forbid (principal, action, resource == API::"policed")
    when { principal.groups.contains("contractors-%[1]d") && (context.hour < 7 || context.hour > 19) };
  r%02[1]d: |
    forbid (principal, action, resource == API::"asked") when { %[2]s };
`, i, fmt.Sprintf([]string{
			`(context.hour > 24 || context.minute > %d) && context.hour > 24`,
			`context.path like "/asked/*/%d" && context.method == "GET"`,
			`context.ip.isInRange(ip("10.%d.0.0/16")) && context.hour < 7`,
			`resource.headers["x-role"].contains("role-%d") && principal.acr != "phr"`,
			`context has risk && context.risk == "high-%d"`,
		}[i%5], i))
	}
	issuers := "issuers:\n"
	for _, more := range []string{"opaque: { tokens: opaque,", "people: {"} {
		issuers += fmt.Sprintf("  %s url: %s, audience: %s, client_id: %s, client_secret: \"${env:INTROSPECTOR_SECRET}\" }\n", more, b.issuer.url, audience, introspector)
	}
	return strings.Replace(configuration(b.issuer, b.originAddress, 0, c.String()), "issuers:\n", issuers, 1)
}

// edge measures what each way to identify a caller costs above a public route,
// and what policies cost above none.
func (b *bench) edge(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	dir, err := b.folder("edge")
	if err != nil {
		return err
	}
	s, err := b.gatehouse(ctx, dir, b.edgeConfiguration())
	if err != nil {
		return err
	}
	defer s.stop()
	key, err := makeKey(ctx, filepath.Join(dir, "ready"), s)
	if err != nil {
		return err
	}
	cookies, err := s.signIn(ctx, "/session/1k")
	if err != nil {
		return err
	}
	var cs []contestant
	for _, c := range []struct{ name, request string }{
		{oursPlain, "/plain/1k"},
		{oursToken, "/full/1k\tAuthorization: Bearer " + b.token},
		{oursKey, "/keyed/1k\tX-API-Key: " + key},
		{oursPolicy, "/policed/1k\tAuthorization: Bearer " + b.token},
		{oursOpaque, "/opaque/1k\tAuthorization: Bearer " + opaqueToken},
		{oursSession, "/session/1k\tCookie: " + cookies},
		{oursAsked, "/asked/1k\tAuthorization: Bearer " + b.token},
	} {
		file, err := b.lines(fmt.Sprintf("edge-%d", len(cs)), c.request)
		if err != nil {
			return err
		}
		cs = append(cs, contestant{name: c.name, server: s, run: b.replay(s.address, file, 32)})
	}
	asked, began := b.issuer.introspections.Load(), time.Now()
	rows, err := b.contest(ctx, "1 KB, what each check at the edge costs", cs...)
	if err != nil {
		return err
	}
	b.atMost("API key with a scope, above a public route", difference(rows, oursKey, oursPlain), 2, "us")
	b.atMost(fmt.Sprintf("decision with %d Cedar policies, above the same route without", policyCount), difference(rows, oursPolicy, oursToken), 5, "us")
	b.atMost(fmt.Sprintf("decision with %d Cedar policies about the request, above the same route without", policyCount), difference(rows, oursAsked, oursToken), 5, "us")
	asked = b.issuer.introspections.Load() - asked
	sent := int64(0)
	for _, r := range rows[4].Rounds {
		sent += r.Requests
	}
	// An answer counts for a minute: see docs/howto/opaque-tokens.md.
	b.atMost(fmt.Sprintf("introspections at the issuer for %d requests of one opaque token, one a minute", sent),
		float64(asked), math.Ceil(time.Since(began).Minutes()), "")
	b.noFailures(rows)
	return nil
}

// makeKey makes an app and an API key that may do what the tokens of the benchmark may.
func makeKey(ctx context.Context, readyFile string, s *server) (string, error) {
	r, err := s.awaitReady(ctx, readyFile)
	if err != nil {
		return "", err
	}
	c := client.New(client.Config{URL: r.Console, Token: setupToken})
	app, err := c.CreateApp(ctx, client.App{Label: "Benchmark"})
	if err != nil {
		return "", err
	}
	key, err := c.CreateAPIKey(ctx, client.APIKey{App: app.ID, Name: "bench", Scopes: []string{scope}})
	return key.Key, err
}

// compare measures the path of cached tokens in today's program beside an earlier
// one, both built in the same way: what has been built in since and is not used
// must cost it nothing. A commit that is not at hand is said and left out.
func (b *bench) compare(ctx context.Context) error {
	if b.main == nil || b.olderCommit == "none" {
		return nil
	}
	binary, err := b.buildOlder(ctx)
	if err != nil {
		return err
	}
	dir, err := b.folder("older")
	if err != nil {
		return err
	}
	older, err := b.start(ctx, binary, dir, configuration(b.issuer, b.originAddress, 10, ""))
	if err != nil {
		return err
	}
	defer older.stop()
	name := "Gatehouse at " + b.olderCommit
	rounds := b.rounds
	defer func() { b.rounds = rounds }()
	if !b.short {
		b.rounds *= 2 // the bar is finer than the others
	}
	rows, err := b.contest(ctx, "1 KB, cached token, today beside an earlier program",
		contestant{name: name, server: older, run: b.replay(older.address, b.files.full, 32)},
		contestant{name: oursFull, server: b.main, run: b.replay(b.main.address, b.files.full, 32)})
	if err != nil {
		return err
	}
	b.atMost("CPU per request with a cached token / the program at "+b.olderCommit, ratio(rows, oursFull, name), 1.03, "x")
	b.noFailures(rows)
	return nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"gatehouse/client"
)

// crowd is how much the directory holds.
type crowd struct{ users, apps int }

// crowd returns how much an engine is filled with. PostgreSQL takes milliseconds for
// each imported user, so that as many as on SQLite would take longer than all else.
func (b *bench) crowd(e engine) crowd {
	switch {
	case b.short:
		return crowd{3000, 20}
	case e.rates:
		return crowd{100_000, 1000}
	}
	return crowd{10_000, 1000}
}

// people fills the directory through the management API, reads pages of users out
// of it, and weighs the server, also after a start on what is there.
func (b *bench) people(ctx context.Context, e engine, dir string, s *server, r ready, t *table) error {
	c := b.crowd(e)
	began := time.Now()
	if err := c.load(ctx, client.New(client.Config{URL: r.Console, Token: r.APIToken})); err != nil {
		return err
	}
	took := time.Since(began)
	b.say("  %d users and %d apps loaded in %v", c.users, c.apps, took.Round(time.Second))
	name := fmt.Sprintf("page of 200 out of %d users, %s", c.users, e.name)
	file, err := b.userPages(ctx, r)
	if err != nil {
		return err
	}
	page := func(r ready) func(context.Context, time.Duration) (load, error) {
		return func(ctx context.Context, d time.Duration) (load, error) {
			return b.wrk(ctx, r.Identity, 1, d, b.replayScript, file)
		}
	}
	rows, err := b.contest(ctx, name, contestant{name: ours, server: s, run: page(r)})
	if err != nil {
		return err
	}
	m := rows[0].Median
	t.Rows = append(t.Rows, []string{name, fmt.Sprintf("%.0f", 1e6/m.CPU), fmt.Sprintf("%.0f", m.CPU), latency(m.P50), latency(m.P99), fmt.Sprint(m.Failed)})
	b.atMost(name+", p99", float64(m.P99)/1e6, 50, "ms")
	b.noFailures(rows)

	loaded, err := s.rss()
	if err != nil {
		return err
	}
	s.stop()
	again, r, err := b.identity(ctx, e, dir)
	if err != nil {
		return err
	}
	defer again.stop()
	if _, err := page(r)(ctx, time.Second); err != nil {
		return err
	}
	started, err := again.rss()
	if err != nil {
		return err
	}
	what := fmt.Sprintf("memory with %d users and %d apps, %s", c.users, c.apps, e.name)
	b.atMost(what+", after loading them and reading pages", float64(loaded)/1e6, 300, "MB")
	b.atMost(what+", after a new start and reading pages", float64(started)/1e6, 300, "MB")
	return nil
}

// load adds the apps one by one and the users a thousand at a time.
func (c crowd) load(ctx context.Context, cl *client.Client) error {
	for i := range c.apps {
		if _, err := cl.CreateApp(ctx, client.App{Label: fmt.Sprintf("App %d", i)}); err != nil {
			return err
		}
	}
	for from := 0; from < c.users; from += client.MaxImport {
		users := make([]client.NewUser, min(client.MaxImport, c.users-from))
		for i := range users {
			n := from + i
			users[i] = client.NewUser{
				Login: fmt.Sprintf("user%06d@example.com", n), FirstName: "Given", LastName: fmt.Sprintf("Family %d", n),
				Attributes: map[string]any{"department": fmt.Sprintf("department-%d", n%50)},
			}
		}
		if err := cl.ImportUsers(ctx, users); err != nil {
			return err
		}
	}
	return nil
}

var nextPage = regexp.MustCompile(`<https?://[^/]+(/[^>]+)>; rel="next"`)

// userPages follows the list of users page by page, as a client would, and writes
// the first ten pages as a file of requests.
func (b *bench) userPages(ctx context.Context, r ready) (string, error) {
	var lines []string
	authorization := "SSWS " + r.APIToken
	for path := "/api/v1/users?limit=200"; path != "" && len(lines) < 10; {
		lines = append(lines, path+"\tAuthorization: "+authorization)
		next, err := followPage(ctx, r.Identity+path, authorization)
		if err != nil {
			return "", err
		}
		path = next
	}
	return b.lines("user-pages", lines...)
}

// followPage reads a page and returns the path of the next one, "" after the last.
func followPage(ctx context.Context, address, authorization string) (next string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", authorization)
	res, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", address, res.Status)
	}
	for _, link := range res.Header.Values("Link") {
		if m := nextPage.FindStringSubmatch(link); m != nil {
			return m[1], nil
		}
	}
	return "", nil
}

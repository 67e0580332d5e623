//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// signInPages measures what people wait for: the page on which they sign in, to ten of them at
// a time, and what it costs to find out who is signed in, which every page of an account
// and every silent sign-in does.
func (b *bench) signInPages(ctx context.Context) error {
	if b.main == nil {
		return nil
	}
	dir, err := b.folder("signin")
	if err != nil {
		return err
	}
	s, r, err := b.identity(ctx, engine{name: "SQLite", rates: true}, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	app, err := r.webApp(ctx)
	if err != nil {
		return err
	}
	page, err := app.authorize(ctx, "login")
	if err != nil {
		return err
	}
	waiting, err := b.lines("signin-page", page.from.RequestURI()+"\tCookie: "+app.cookies())
	if err != nil {
		return err
	}
	if err := app.signIn(ctx); err != nil {
		return err
	}
	icon := regexp.MustCompile(`/assets/icon\.[^"]+`).Find(page.body)
	if icon == nil {
		return errors.New("the page for signing in has no icon")
	}
	known, err := b.lines("session", "/api/v1/sessions/me\tCookie: "+app.cookies())
	if err := errors.Join(err, app.isSignedIn(ctx)); err != nil {
		return err
	}
	file, err := b.lines("icon", string(icon))
	if err != nil {
		return err
	}
	t := table{Title: "People's pages on SQLite", Head: []string{"work", "per core-second", "CPU us", "p50", "p99", "failed"}}
	run := func(file string, connections int) func(context.Context, time.Duration) (load, error) {
		return func(ctx context.Context, d time.Duration) (load, error) {
			return b.wrk(ctx, r.Identity, connections, d, b.replayScript, file)
		}
	}
	rows, err := b.contest(ctx, "page for signing in, 10 at a time", contestant{name: ours, server: s, run: run(waiting, 10)})
	if err != nil {
		return err
	}
	t.add(rows[0])
	b.atMost("page for signing in, 10 at a time, p99", float64(rows[0].Median.P99)/1e6, 50, "ms")
	b.noFailures(rows)
	rows, err = b.contest(ctx, "who is signed in, beside a file of the same server",
		contestant{name: "a file", server: s, run: run(file, 10)}, contestant{name: "session check", server: s, run: run(known, 10)})
	if err != nil {
		return err
	}
	for _, row := range rows {
		row.Work = row.Server
		t.add(row)
	}
	b.atMost("session check, above a file of the same server", rows[1].Median.CPU-rows[0].Median.CPU, 100, "us")
	b.noFailures(rows)
	b.tables = append(b.tables, t)
	return nil
}

// add adds a row of rates.
func (t *table) add(r row) {
	m := r.Median
	t.Rows = append(t.Rows, []string{r.Work, fmt.Sprintf("%.0f", 1e6/m.CPU), fmt.Sprintf("%.1f", m.CPU), latency(m.P50), latency(m.P99), fmt.Sprint(m.Failed)})
}

// cookies returns the header of the person's browser for pages of the server.
func (w *webApp) cookies() string {
	at, err := url.Parse(w.Identity)
	if err != nil {
		return ""
	}
	var list []string
	for _, c := range w.http.Jar.Cookies(at) {
		list = append(list, c.Name+"="+c.Value)
	}
	return strings.Join(list, "; ")
}

// isSignedIn makes sure that what is measured is a check that succeeds.
func (w *webApp) isSignedIn(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Identity+"/api/v1/sessions/me", http.NoBody)
	if err != nil {
		return err
	}
	_, err = w.do(req)
	return err
}

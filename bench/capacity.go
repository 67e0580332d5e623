//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// rate measures latency at half of what each server can do, request after
// request at fixed moments. What the same takes without a server in between, at the
// same rate, is measured beside it and subtracted. The generator is its own origin.
func (b *bench) rate(ctx context.Context) error {
	addresses, err := freeAddresses(ctx, 1)
	if err != nil {
		return err
	}
	origin := addresses[0]
	cs, err := b.rated(ctx, origin)
	if err != nil {
		return err
	}
	for _, c := range cs {
		defer c.server.stop()
	}
	t := table{
		Title: "Latency at half of the maximum throughput, constant rate, 1 KB",
		Head:  []string{"server", "requests/s", "p50", "p99", "added p50", "added p99", "failed"},
	}
	for _, c := range cs {
		if b.hurries {
			if err := c.server.hurry(ctx); err != nil {
				return err
			}
		}
		through := job{Address: c.server.address, Origin: origin, File: c.file, Connections: 64, Time: b.seconds, Hurry: b.hurries}
		full, err := b.generate(ctx, through)
		if err != nil {
			return err
		}
		through.Rate = full.perSecond() / 2
		direct := through
		direct.Address, direct.File = origin, b.files.origin
		var p50, p99, added50, added99 []float64
		var failed int64
		for range b.rounds {
			without, err := b.generate(ctx, direct)
			if err != nil {
				return err
			}
			l, err := b.generate(ctx, through)
			if err != nil {
				return err
			}
			p50, p99 = append(p50, float64(l.P50)), append(p99, float64(l.P99))
			added50, added99 = append(added50, float64(l.P50-without.P50)), append(added99, float64(l.P99-without.P99))
			failed += l.Failed
		}
		t.Rows = append(t.Rows, []string{
			c.name, fmt.Sprintf("%.0f", through.Rate), milliseconds(median(p50)), milliseconds(median(p99)),
			milliseconds(median(added50)), milliseconds(median(added99)), fmt.Sprint(failed),
		})
		b.say("  %-34s %8.0f/s  added p50 %s  added p99 %s", c.name, through.Rate, milliseconds(median(added50)), milliseconds(median(added99)))
		if c.name == oursFull {
			b.atMost("added p99 latency at half of the maximum throughput", median(added99)/1e6, 1, "ms")
		}
	}
	b.tables = append(b.tables, t)
	return nil
}

// rated is a server whose latency is measured, and the requests that it is sent.
type rated struct {
	name   string
	server *server
	file   string
}

// rated starts the servers of which the latency is measured, in front of an origin
// that is there only for as long as they are sent something. While they start, this process stands in for it.
func (b *bench) rated(ctx context.Context, origin string) (list []rated, err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", origin)
	if err != nil {
		return nil, err
	}
	stand := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })}
	ended := make(chan error, 1)
	go func() { ended <- stand.Serve(ln) }()
	defer func() {
		err = errors.Join(err, stand.Close())
		<-ended
	}()
	add := func(name, file string, start func() (*server, error)) error {
		s, err := start()
		if err == nil {
			list = append(list, rated{name, s, file})
		}
		return err
	}
	if err := errors.Join(
		add(nginxPlain, b.files.origin, func() (*server, error) { return b.nginx(ctx, origin) }),
		add(haproxyPlain, b.files.origin, func() (*server, error) { return b.haproxy(ctx, origin, b.issuer) }),
		add(caddyPlain, b.files.origin, func() (*server, error) { return b.caddy(ctx, origin) }),
	); err != nil || b.main == nil {
		return list, err
	}
	dir, err := b.folder("rate")
	if err != nil {
		return list, err
	}
	return list, add(oursFull, b.files.full, func() (*server, error) { return b.gatehouse(ctx, dir, configuration(b.issuer, origin, 0, "")) })
}

func milliseconds(nanoseconds float64) string { return fmt.Sprintf("%.3f ms", nanoseconds/1e6) }

// footprint measures the time from the start of a process to its first good
// answer, and its memory at rest and with five thousand idle connections.
func (b *bench) footprint(ctx context.Context) error {
	t := table{Title: "Start and memory", Head: []string{"server", "start to first answer", "idle", "5,000 idle connections"}}
	type candidate struct {
		name, path, token string
		start             func() (*server, error)
	}
	cs := []candidate{
		{nginxPlain, "/1k", "", func() (*server, error) { return b.nginx(ctx, b.originAddress) }},
		{haproxyPlain, "/1k", "", func() (*server, error) { return b.haproxy(ctx, b.originAddress, b.issuer) }},
		{caddyPlain, "/1k", "", func() (*server, error) { return b.caddy(ctx, b.originAddress) }},
	}
	if b.main != nil {
		kept, err := b.folder("kept")
		if err != nil {
			return err
		}
		config := configuration(b.issuer, b.originAddress, 10, "")
		cs = append(cs,
			candidate{ours + ", first start in an empty folder", "/full/1k", b.token, func() (*server, error) {
				dir, err := b.folder("empty")
				if err != nil {
					return nil, err
				}
				return b.gatehouse(ctx, dir, config)
			}},
			candidate{ours + ", start on its data", "/full/1k", b.token, func() (*server, error) { return b.gatehouse(ctx, kept, config) }},
		)
	}
	for _, c := range cs {
		w, err := b.weigh(ctx, c.path, c.token, c.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		b.say("  %-44s start %v, idle %.1f MiB, 5,000 connections %.1f MiB", c.name, w.start, w.idle, w.busy)
		t.Rows = append(t.Rows, []string{
			c.name, milliseconds(float64(w.start)), fmt.Sprintf("%.1f MiB", w.idle), fmt.Sprintf("%.1f MiB", w.busy),
		})
		if strings.HasPrefix(c.name, ours) {
			b.atMost(strings.TrimPrefix(c.name, ours+", ")+", to the first authenticated answer", float64(w.start)/1e6, 300, "ms")
			b.atMost("memory, idle ("+strings.TrimPrefix(c.name, ours+", ")+")", w.idle, 60, "MiB")
			b.atMost("memory, 5,000 idle connections ("+strings.TrimPrefix(c.name, ours+", ")+")", w.busy, 100, "MiB")
		}
	}
	b.tables = append(b.tables, t)
	if b.main == nil {
		return nil
	}
	info, err := os.Stat(b.gatehouseBinary)
	if err != nil {
		return err
	}
	b.atMost("binary, stripped", float64(info.Size())/1e6, 45, "MB")
	return nil
}

// weight is what one server needs to be there.
type weight struct {
	start      time.Duration // until the first good answer
	idle, busy float64       // MiB
}

// weigh starts a server once unmeasured and then as often as there are rounds; the last one is weighed.
func (b *bench) weigh(ctx context.Context, path, token string, start func() (*server, error)) (weight, error) {
	var (
		w     weight
		times []float64
	)
	for n := range b.rounds + 1 {
		s, err := start()
		if err != nil {
			return w, err
		}
		if n > 0 {
			times = append(times, float64(time.Since(s.began)))
		}
		if n == b.rounds {
			w.idle, w.busy, err = s.memory(ctx, path, token)
		}
		s.stop()
		if err != nil {
			return w, err
		}
	}
	w.start = time.Duration(median(times))
	return w, nil
}

// memory returns the resident memory in MiB at rest, and with 5,000 connections that have been answered once.
func (s *server) memory(ctx context.Context, path, token string) (idle, busy float64, err error) {
	const connections = 5000
	settle := func() (float64, error) {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Second):
		}
		n, err := s.rss()
		return float64(n) / (1 << 20), err
	}
	if idle, err = settle(); err != nil {
		return 0, 0, err
	}
	held := make([]net.Conn, 0, connections)
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for range connections {
		c, err := s.hold(ctx, path, token)
		if err != nil {
			return 0, 0, fmt.Errorf("connection %d: %w", len(held)+1, err)
		}
		held = append(held, c)
	}
	busy, err = settle()
	return idle, busy, err
}

// hold opens a connection, has one request answered on it, and leaves it open.
func (s *server) hold(ctx context.Context, path, token string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: " + s.address + "\r\n"
	if token != "" {
		request += "Authorization: Bearer " + token + "\r\n"
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return c, err
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return c, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return c, err
	}
	if res.StatusCode != http.StatusOK {
		return c, fmt.Errorf("answered %s", res.Status)
	}
	return c, nil
}

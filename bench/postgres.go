//go:build linux

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// postgres starts a PostgreSQL of its own on the cores of the load and returns
// the URL of an empty database, or "" when PostgreSQL is not installed. Its
// settings are those of the package, and what it says to be on disk is there.
func (b *bench) postgres(ctx context.Context) (string, error) {
	bin := postgresFolder()
	if bin == "" {
		return "", nil
	}
	// The server does not run as root, and must reach its folder as another user.
	dir, err := os.MkdirTemp("", "gatehouse-bench-pg-")
	if err != nil {
		return "", err
	}
	b.removed = append(b.removed, dir)
	var as []string
	if os.Getuid() == 0 {
		as = []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"}
		if err := b.run(ctx, time.Minute, dir, "chown", "postgres:", dir); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	if err := b.run(ctx, time.Minute, dir, append(slices.Clone(as), filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8")...); err != nil {
		return "", err
	}
	p, err := startProcess(ctx, "postgres", b.cores.load, filepath.Join(b.dir, "postgres"), nil,
		append(as, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=")...)
	if err != nil {
		return "", err
	}
	b.running = append(b.running, p)
	ready := []string{filepath.Join(bin, "pg_isready"), "-q", "-h", dir}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for exec.CommandContext(ctx, ready[0], ready[1:]...).Run() != nil {
		if err := p.ended(); err != nil {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("PostgreSQL is not ready; its last words:\n%s", p.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
	return "postgres://postgres@/postgres?" + url.Values{"host": {dir}}.Encode(), nil
}

// postgresFolder returns where the newest PostgreSQL of Debian is, "" for nowhere.
func postgresFolder() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		return n
	}
	if len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(x, y string) int { return version(x) - version(y) })
}

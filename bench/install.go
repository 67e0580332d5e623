//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// debian says which package brings a program.
var debian = []struct{ program, pkg string }{
	{"taskset", "util-linux"},
	{"nginx", "nginx"},
	{"haproxy", "haproxy"},
	{"wrk", "wrk"},
	{"h2load", "nghttp2-client"},
}

// install makes sure that the peers and load generators are there.
func (b *bench) install(ctx context.Context) error {
	var missing []string
	for _, d := range debian {
		if _, err := exec.LookPath(d.program); err != nil {
			missing = append(missing, d.pkg)
		}
	}
	if len(missing) > 0 {
		command := "apt-get install -y --no-install-recommends " + strings.Join(missing, " ")
		if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
			return fmt.Errorf("programs are missing; as root, run: %s", command)
		}
		b.say("installing %s", strings.Join(missing, ", "))
		for _, line := range []string{"apt-get update -q", command} {
			if err := b.run(ctx, 5*time.Minute, "", strings.Fields(line)...); err != nil {
				return fmt.Errorf("%s: %w", line, err)
			}
		}
	}
	return b.buildCaddy(ctx)
}

// buildCaddy builds Caddy from its module, once for each version.
func (b *bench) buildCaddy(ctx context.Context) error {
	module := filepath.Join(b.root, "bench", "caddy")
	version, err := exec.CommandContext(ctx, "go", "list", "-C", module, "-m", "-f", "{{.Version}}", "github.com/caddyserver/caddy/v2").Output()
	if err != nil {
		return fmt.Errorf("version of Caddy: %w", err)
	}
	b.caddyVersion = strings.TrimSpace(string(version))
	b.caddyBinary = filepath.Join(b.root, "bench", ".cache", "caddy-"+b.caddyVersion)
	if _, err := os.Stat(b.caddyBinary); err == nil {
		return nil
	}
	b.say("building Caddy %s, which takes a minute or two the first time", b.caddyVersion)
	return b.run(ctx, 15*time.Minute, module, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.caddyBinary,
		"github.com/caddyserver/caddy/v2/cmd/caddy")
}

// run runs a program to its end and returns its output as an error when it fails.
func (b *bench) run(ctx context.Context, limit time.Duration, dir string, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out[max(0, len(out)-2048):])))
	}
	return nil
}

// versions returns what is compared, as each program calls itself.
func (b *bench) versions(ctx context.Context) []string {
	list := []string{"Caddy " + strings.TrimPrefix(b.caddyVersion, "v")}
	for _, ask := range []struct {
		prefix string
		argv   []string
	}{
		{"nginx version: ", []string{"nginx", "-v"}},
		{"", []string{"haproxy", "-v"}},
		{"", []string{"wrk", "-v"}},
		{"", []string{"h2load", "--version"}},
	} {
		out, _ := exec.CommandContext(ctx, ask.argv[0], ask.argv[1:]...).CombinedOutput() // wrk -v fails and answers
		line, _, _ := strings.Cut(string(out), "\n")
		line = strings.TrimPrefix(line, ask.prefix)
		line, _, _ = strings.Cut(line, " - http")
		line, _, _ = strings.Cut(line, " Copyright")
		list = append(list, strings.TrimSpace(line))
	}
	slices.Sort(list)
	return list
}

// buildOlder builds an earlier Gatehouse from the repository's history as make
// build does, once for each commit, and returns the path of the program.
func (b *bench) buildOlder(ctx context.Context) (string, error) {
	binary := filepath.Join(b.root, "bench", ".cache", "gatehouse-"+b.olderCommit)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	b.say("building Gatehouse as it was at %s", b.olderCommit)
	dir, err := b.folder("source")
	if err != nil {
		return "", err
	}
	archive := filepath.Join(b.dir, "source.tar")
	for _, argv := range [][]string{
		{"git", "archive", "-o", archive, b.olderCommit},
		{"tar", "-xf", archive, "-C", dir},
	} {
		if err := b.run(ctx, time.Minute, b.root, argv...); err != nil {
			return "", fmt.Errorf("%s (a commit of this repository is needed, or -compare none): %w", strings.Join(argv, " "), err)
		}
	}
	return binary, b.run(ctx, 15*time.Minute, dir, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-ldflags", "-s -w",
		"-pgo", filepath.Join(b.root, "bench", "gatehouse.pgo"), "-o", binary, "./cmd/gatehouse")
}

//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ready is what Gatehouse writes to its ready file.
type ready struct {
	Gateway  string `json:"gateway"`
	Identity string `json:"identity"`
	Console  string `json:"console"`
	Demo     struct {
		Issuer       string `json:"issuer"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		Users        []struct {
			Login    string `json:"login"`
			Password string `json:"password"`
		} `json:"users"`
	} `json:"demo"`
	APIToken string `json:"api_token"`
}

// configuration is what Gatehouse serves: /plain is public; /full needs a token
// with a scope and counts every caller against a limit that is never reached;
// /many has as many routes as asked for, with the same needs as /full.
func configuration(iss *issuer, origin string, routes int, extra string) string {
	var c strings.Builder
	fmt.Fprintf(&c, `version: 1
server:
  log: { level: info, format: json }
issuers:
  bench:
    url: %s
    audience: %s
apis:
  plain:
    base_path: /plain
    upstream: http://%s
    auth: public
    routes:
      GET /*: public
  full:
    base_path: /full
    upstream: http://%[3]s
    auth: bench
    limit: 1000000000/min per client
    routes:
      GET /*: %s
`, iss.url, audience, origin, scope)
	if routes > 0 {
		fmt.Fprintf(&c, "  many:\n    base_path: /many\n    upstream: http://%s\n    auth: bench\n    limit: 1000000000/min per client\n    routes:\n", origin)
		for i := range routes {
			fmt.Fprintf(&c, "      GET /%s/{id}: %s\n", routeName(i), scope)
		}
	}
	c.WriteString(extra)
	return c.String()
}

// routeName is a path of two literal segments: the i-th of a hundred collections of a hundred.
func routeName(i int) string { return fmt.Sprintf("collection-%02d/kind-%d", i%100, i/100) }

// gatehouse starts Gatehouse in a folder, with the data that an earlier run left
// there and further flags, and waits until it lets a token through.
func (b *bench) gatehouse(ctx context.Context, dir, config string, flags ...string) (*server, error) {
	return b.start(ctx, b.gatehouseBinary, dir, config, flags...)
}

// setupToken opens the management API of every Gatehouse that the benchmark starts.
const setupToken = "setup-token-of-the-benchmark-alone" // #nosec G101 -- good nowhere else

// start is gatehouse for any build of it.
func (b *bench) start(ctx context.Context, binary, dir, config string, flags ...string) (*server, error) {
	a, err := freeAddresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	s := &server{address: a[0]}
	file := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "output")
	s.logs = []string{log}
	s.began = time.Now()
	argv := []string{
		binary, "run", "--config", file, "--data", filepath.Join(dir, "data"), "--gateway", s.address,
		"--identity", "127.0.0.1:0", "--console", "127.0.0.1:0", "--ready-file", filepath.Join(dir, "ready"),
	}
	env := []string{"GATEHOUSE_SETUP_TOKEN=" + setupToken, "INTROSPECTOR_SECRET=" + introspectorSecret}
	s.process, err = startProcess(ctx, "gatehouse", b.cores.server, log, env, append(argv, flags...)...)
	if err != nil {
		return nil, err
	}
	b.running = append(b.running, s.process)
	return s, s.await(ctx, "/full/1k", b.token)
}

// identity starts Gatehouse in a folder with its built-in authorization server, a
// demo client, and the data that is there.
func (b *bench) identity(ctx context.Context, e engine, dir string) (*server, ready, error) {
	file := filepath.Join(dir, "gatehouse.yaml")
	config := fmt.Sprintf(`version: 1
issuers:
  default: { builtin: default }
apis:
  full:
    base_path: /full
    upstream: http://%s
    auth: default
    routes:
      GET /*: %s
`, b.originAddress, scope)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, ready{}, err
	}
	s := &server{logs: []string{filepath.Join(dir, "output")}}
	readyFile := filepath.Join(dir, "ready")
	if err := os.RemoveAll(readyFile); err != nil {
		return nil, ready{}, err
	}
	argv := []string{
		b.gatehouseBinary, "dev", file, "--data", filepath.Join(dir, "data"),
		"--gateway", "127.0.0.1:0", "--identity", "127.0.0.1:0", "--console", "127.0.0.1:0", "--ready-file", readyFile,
	}
	if e.store != "" {
		argv = append(argv, "--store", e.store)
	}
	if err := b.launchOn(ctx, s, b.cores.server, dir, nil, argv...); err != nil {
		return nil, ready{}, err
	}
	r, err := s.awaitReady(ctx, readyFile)
	return s, r, err
}

// awaitReady waits at most twenty seconds for the ready file.
func (s *server) awaitReady(ctx context.Context, path string) (ready, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		b, err := os.ReadFile(path)
		if err == nil {
			var r ready
			return r, json.Unmarshal(b, &r)
		}
		if !errors.Is(err, os.ErrNotExist) {
			return ready{}, err
		}
		if err := s.ended(); err != nil {
			return ready{}, err
		}
		select {
		case <-ctx.Done():
			return ready{}, fmt.Errorf("%s is not ready; its last words:\n%s", s.name, s.tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// server is a program under measurement and the addresses of its work.
type server struct {
	*process
	address string            // host:port of its ordinary HTTP/1.1 listener
	also    map[string]string // host:port of listeners with other settings
	logs    []string          // files it writes while it serves; emptied between runs
	began   time.Time         // when it was started
}

// freeAddresses returns n addresses on loopback on which nobody listens.
func freeAddresses(ctx context.Context, n int) ([]string, error) {
	var (
		addresses []string
		listeners []net.Listener
	)
	defer func() {
		for _, ln := range listeners {
			_ = ln.Close()
		}
	}()
	for range n {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, ln)
		addresses = append(addresses, ln.Addr().String())
	}
	return addresses, nil
}

// launch writes a configuration, starts the program on the measured cores, and waits until it answers.
func (b *bench) launch(ctx context.Context, s *server, dir, config string, env []string, argv ...string) error {
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return err
	}
	return b.launchOn(ctx, s, b.cores.server, dir, env, argv...)
}

func (b *bench) launchOn(ctx context.Context, s *server, cores, dir string, env []string, argv ...string) error {
	log := filepath.Join(dir, "output")
	s.logs = append(s.logs, log)
	s.began = time.Now()
	p, err := startProcess(ctx, filepath.Base(argv[0]), cores, log, env, argv...)
	if err != nil {
		return err
	}
	s.process = p
	b.running = append(b.running, p)
	if s.address == "" {
		return nil // it says itself where it listens
	}
	return s.await(ctx, "/", "")
}

// await asks until the server gives an answer that is not an error, for at most twenty seconds.
func (s *server) await(ctx context.Context, path, token string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for {
		last := s.ask(ctx, client, path, token)
		if last == nil {
			return nil
		}
		if err := s.ended(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s gives no good answer: %w; its last words:\n%s", s.name, last, s.tail())
		case <-time.After(time.Millisecond):
		}
	}
}

func (s *server) ask(ctx context.Context, client *http.Client, path, token string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, http.NoBody)
	if err != nil {
		return err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s %s", path, res.Status, res.Header.Get("Gatehouse-Decision"))
	}
	return nil
}

// emptyLogs cuts off what the server has logged, so that the disk does not fill.
func (s *server) emptyLogs() {
	for _, path := range s.logs {
		_ = os.Truncate(path, 0)
	}
}

// origin starts the one upstream of all servers: an nginx that answers from
// memory and from cached files. It runs on the cores of the load, and its cost is nobody's.
func (b *bench) origin(ctx context.Context) (*server, error) {
	dir, err := b.folder("origin")
	if err != nil {
		return nil, err
	}
	for name, size := range map[string]int{"10k": 10 << 10, "1m": 1 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), bytes.Repeat([]byte("b"), size), 0o644); err != nil {
			return nil, err
		}
	}
	addresses, err := freeAddresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	s := &server{address: addresses[0]}
	config := nginxHead(dir, b.cores.loadCount) + fmt.Sprintf(`
  sendfile on;
  open_file_cache max=10;
  server {
    listen %s backlog=4096;
    default_type text/plain;
    location / { return 200 "%s"; }
    location = /10k { root %s; }
    location = /1m { root %[3]s; }
  }
}
`, s.address, strings.Repeat("a", 1<<10), dir)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return s, b.launchOn(ctx, s, b.cores.load, dir, nil, "nginx", "-p", dir, "-c", filepath.Join(dir, "config"))
}

// nginxHead is the part that the origin and the peer have in common, up to the open http block.
func nginxHead(dir string, workers int) string {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n"
	}
	return fmt.Sprintf(`%sdaemon off;
worker_processes %d;
pid %s/pid;
error_log stderr;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off;
  client_body_temp_path %[3]s/body; proxy_temp_path %[3]s/proxy; fastcgi_temp_path %[3]s/fastcgi; uwsgi_temp_path %[3]s/uwsgi; scgi_temp_path %[3]s/scgi;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
`, user, workers, dir)
}

// nginx starts the peer that the bars are drawn from. Plain means: keep-alive
// on both sides, a pool of upstream connections, no access log.
func (b *bench) nginx(ctx context.Context, origin string) (*server, error) {
	dir, err := b.folder("nginx")
	if err != nil {
		return nil, err
	}
	a, err := freeAddresses(ctx, 4)
	if err != nil {
		return nil, err
	}
	access := filepath.Join(dir, "access.log")
	s := &server{address: a[0], also: map[string]string{"large": a[1], "log": a[2], "h2": a[3]}, logs: []string{access}}
	const proxy = `proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;`
	config := nginxHead(dir, b.cores.serverCount) + fmt.Sprintf(`
  upstream origin { server %s; keepalive 256; keepalive_requests 1000000000; }
  server { listen %s backlog=4096; location / { %[6]s } }
  server { listen %[3]s backlog=4096; location / { %[6]s proxy_buffers 16 256k; proxy_buffer_size 256k; proxy_busy_buffers_size 512k; proxy_max_temp_file_size 0; } }
  server { listen %[4]s backlog=4096; access_log %[7]s; location / { %[6]s } }
  server { listen %[5]s http2 backlog=4096; http2_max_requests 1000000000; location / { %[6]s } }
}
`, origin, a[0], a[1], a[2], a[3], proxy, access)
	return s, b.launch(ctx, s, dir, config, nil, "nginx", "-p", dir, "-c", filepath.Join(dir, "config"))
}

// haproxy starts HAProxy twice in one process: plain, and checking the
// signature, lifetime and audience of an RS256 token on every request.
func (b *bench) haproxy(ctx context.Context, origin string, iss *issuer) (*server, error) {
	dir, err := b.folder("haproxy")
	if err != nil {
		return nil, err
	}
	key := filepath.Join(dir, "key.pem")
	if err := iss.publicPEM(key); err != nil {
		return nil, err
	}
	a, err := freeAddresses(ctx, 2)
	if err != nil {
		return nil, err
	}
	s := &server{address: a[0], also: map[string]string{"jwt": a[1]}}
	config := fmt.Sprintf(`global
  nbthread %d
  maxconn 9000
defaults
  mode http
  timeout connect 5s
  timeout client 300s
  timeout server 300s
  http-reuse always
frontend plain
  bind %s
  default_backend origin
frontend jwt
  bind %s
  http-request set-var(txn.token) http_auth_bearer
  http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg')
  http-request set-var(txn.exp) var(txn.token),jwt_payload_query('$.exp','int')
  http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud')
  http-request set-var(txn.scope) var(txn.token),jwt_payload_query('$.scope')
  http-request set-var(txn.now) date()
  http-request deny unless { var(txn.alg) -m str RS256 }
  http-request deny unless { var(txn.token),jwt_verify(txn.alg,"%s") 1 }
  http-request deny if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny unless { var(txn.aud) -m str %s }
  http-request deny unless { var(txn.scope) -m sub %s }
  default_backend origin
backend origin
  server origin %s
`, b.cores.serverCount, a[0], a[1], key, audience, scope, origin)
	return s, b.launch(ctx, s, dir, config, nil, "haproxy", "-db", "-f", filepath.Join(dir, "config"))
}

// caddy starts Caddy as a plain reverse proxy without logs.
func (b *bench) caddy(ctx context.Context, origin string) (*server, error) {
	dir, err := b.folder("caddy")
	if err != nil {
		return nil, err
	}
	a, err := freeAddresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	s := &server{address: a[0]}
	config := fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
}
http://%s {
	reverse_proxy %s {
		transport http {
			keepalive_idle_conns_per_host 256
		}
	}
}
`, s.address, origin)
	env := []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	return s, b.launch(ctx, s, dir, config, env, b.caddyBinary, "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "config"))
}

package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const forwardAPI = `version: 1
issuers:
  default: { builtin: default }
apis:
  hr:
    base_path: /hr
    upstream: %s
    auth: default
    routes:
      GET /vacations/{user}: vacations:read
      PUT /vacations/{user}: payroll:write
      GET /health: public
`

// nginxAuthRequest is the configuration of docs/howto/forward-auth.md with the
// addresses of a test.
const nginxAuthRequest = `daemon off;
master_process off;
worker_processes 1;
pid %[1]s/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path %[1]s/a;
  proxy_temp_path %[1]s/b;
  fastcgi_temp_path %[1]s/c;
  uwsgi_temp_path %[1]s/d;
  scgi_temp_path %[1]s/e;
  server {
    listen %[2]s;
    location /hr/ {
      auth_request      /_gatehouse;
      auth_request_set  $user    $upstream_http_x_user_id;
      auth_request_set  $client  $upstream_http_x_client_id;
      auth_request_set  $scopes  $upstream_http_x_granted_scopes;
      auth_request_set  $context $upstream_http_x_gatehouse_context;
      proxy_set_header  X-User-ID           $user;
      proxy_set_header  X-Client-ID         $client;
      proxy_set_header  X-Granted-Scopes    $scopes;
      proxy_set_header  X-Gatehouse-Context $context;
      proxy_set_header  Authorization       "";
      proxy_pass        %[3]s;
    }
    location = /_gatehouse {
      internal;
      proxy_pass              %[4]s/authz/forward;
      proxy_pass_request_body off;
      proxy_set_header        Content-Length     "";
      proxy_set_header        X-Original-Method  $request_method;
      proxy_set_header        X-Original-URI     $request_uri;
      proxy_set_header        X-Forwarded-Method "";
      proxy_set_header        X-Forwarded-Uri    "";
      proxy_set_header        X-Forwarded-Proto  $scheme;
      proxy_set_header        X-Forwarded-Host   $http_host;
      proxy_set_header        X-Forwarded-For    $remote_addr;
    }
  }
}
`

// startNginx runs nginx with auth_request until the test ends and returns its address.
func startNginx(t *testing.T, upstream, console string) string {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
			t.Fatal("nginx is not installed")
		}
		t.Skip("nginx is not installed")
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxAuthRequest, dir, addr, upstream, console), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin, "-p", dir, "-c", file, "-e", "stderr")
	out := &syncBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("nginx says:\n%s", out)
		}
	})
	eventually(t, "nginx to listen", func() bool {
		c, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return "http://" + addr
}

// The real nginx asks before it passes requests on. It knows 401 and 403 alone.
func TestNginxAsks(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	attackFront(t, p, startNginx(t, up.URL, p.Ready().Console), func(status int) int {
		if status == http.StatusUnauthorized {
			return status
		}
		return http.StatusForbidden
	})
}

// The endpoint is on the console listener alone, for proxies that name this machine.
func TestWhereTheDecisionIsServed(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	asked := []string{
		"X-Forwarded-Method", "GET", "X-Forwarded-Uri", "/hr/vacations/ana", "X-Forwarded-Proto", "http",
		"X-Forwarded-Host", "api.test", "X-Forwarded-For", "192.0.2.9",
	}
	token := p.token("vacations:read")
	got := p.request("GET", p.Ready().Console+"/authz/forward", token, "", asked...)
	if got.Status != http.StatusOK || got.Header.Get("X-Client-Id") != p.Ready().Demo.ClientID {
		t.Errorf("console: %d %v %s", got.Status, got.Header, got.Body)
	}
	if got := p.request("GET", p.Ready().Console+"/authz/forward", "", "", asked...); got.Status != http.StatusUnauthorized ||
		!strings.Contains(got.Header.Get("WWW-Authenticate"), "http://api.test/.well-known/oauth-protected-resource/hr") {
		t.Errorf("without a token: %d %v", got.Status, got.Header)
	}
	for _, address := range []string{p.Ready().Identity, p.Ready().Gateway} {
		if got := p.request("GET", address+"/authz/forward", token, "", asked...); got.Status != http.StatusNotFound {
			t.Errorf("%s: %d %s", address, got.Status, got.Body)
		}
	}
}

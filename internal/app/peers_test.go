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

// freeAddress returns an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

// runFront runs a proxy until the test ends.
func runFront(t *testing.T, name, address string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
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
			t.Logf("%s says:\n%s", name, out)
		}
	})
	eventually(t, name+" to listen", func() bool {
		c, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return "http://" + address
}

// missing skips a test whose proxy is not there, unless all of them have to be.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// spoofing are headers with which a client says that it is somebody else, somewhere
// else, or asks for something else.
var spoofing = []string{
	"X-User-ID", "root", "X-Client-ID", "root", "X-Granted-Scopes", "everything", "X-Gatehouse-Context", "forged",
	"X-Forwarded-Uri", "/hr/health", "X-Forwarded-Method", "GET", "X-Original-URI", "/hr/health", "X-Original-Method", "GET",
	"X-Forwarded-For", "10.0.0.1", "Gatehouse-Token", "guessed", "User-Agent", "GoogleHC/1.0",
}

// attackFront sends what strangers would to a proxy that asks. Attack gateway 44, 48,
// 49, 50, 54, 57, 58 and identity 71: identity headers of a client do not reach the upstream
// in any spelling, and what it says about where it comes from or what it asks for is
// not what is decided. refused is what the proxy makes of the gateway's status.
func attackFront(t *testing.T, p *program, front string, refused func(status int) int) {
	t.Helper()
	token := p.token("vacations:read")
	got := p.request("GET", front+"/hr/vacations/ana?year=2026", token, "", spoofing...)
	if got.Status != http.StatusOK {
		t.Fatalf("allowed: %d %s", got.Status, got.Body)
	}
	headers, _ := got.json(t)["headers"].(map[string]any)
	value := func(name string) string {
		list, _ := headers[name].([]any)
		if len(list) != 1 {
			return fmt.Sprint(list)
		}
		return fmt.Sprint(list[0])
	}
	id := p.Ready().Demo.ClientID
	if value("X-Client-Id") != id || value("X-User-Id") != id || value("X-Granted-Scopes") != "vacations:read" || !strings.HasPrefix(value("X-Gatehouse-Context"), "ey") {
		t.Errorf("the upstream sees %v", headers)
	}
	if headers["Authorization"] != nil {
		t.Error("the token reached the upstream")
	}

	// Nobody is known on a public operation, whatever the client says.
	got = p.request("GET", front+"/hr/health", "", "", spoofing...)
	headers, _ = got.json(t)["headers"].(map[string]any)
	for _, name := range []string{"X-User-Id", "X-Client-Id", "X-Granted-Scopes", "X-Gatehouse-Context"} {
		if list, _ := headers[name].([]any); got.Status != http.StatusOK || len(list) > 0 && fmt.Sprint(list[0]) != "" {
			t.Errorf("public: %d, %s: %v", got.Status, name, headers[name])
		}
	}

	for _, c := range []struct {
		method, path, token string
		want                int
		header              []string
	}{
		{"GET", "/hr/vacations/ana", "", http.StatusUnauthorized, nil},
		{"GET", "/hr/vacations/ana", "nonsense", http.StatusUnauthorized, nil},
		{"PUT", "/hr/vacations/ana", token, http.StatusForbidden, nil},
		{"GET", "/hr/payslips", token, http.StatusNotFound, nil},
		{"GET", "/hr/health/..%2fvacations", token, http.StatusBadRequest, nil},
		{"GET", "/hr/vacations/ana;x=1", token, http.StatusBadRequest, nil},
		// The client asks that its identity, or ours, is dropped on the way.
		{"GET", "/hr/vacations/ana", token, http.StatusOK, []string{"Connection", "X-User-ID, X-Gatehouse-Context"}},
	} {
		got := p.request(c.method, front+c.path, c.token, "", append(append([]string{}, spoofing...), c.header...)...)
		want := c.want
		if want >= 400 {
			want = refused(want)
		}
		if got.Status != want || c.want == http.StatusUnauthorized && !strings.HasPrefix(got.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s %s: %d %v, want %d", c.method, c.path, got.Status, got.Header, want)
		}
		if c.want == http.StatusOK {
			headers, _ = got.json(t)["headers"].(map[string]any)
			if value("X-User-Id") != id || !strings.HasPrefix(value("X-Gatehouse-Context"), "ey") {
				t.Errorf("with %v the upstream sees %v", c.header, headers)
			}
		}
	}
}

func asItIs(status int) int { return status }

// caddyForwardAuth is the configuration of docs/howto/forward-auth.md with the
// addresses of a test.
const caddyForwardAuth = `{
	admin off
	auto_https off
}
http://%[1]s {
	route /hr/* {
		request_header -X-User-ID
		request_header -X-Client-ID
		request_header -X-Granted-Scopes
		request_header -X-Gatehouse-Context
		request_header -X-Gatehouse-Omitted
		request_header -X-Original-*
		request_header -Gatehouse-Token
		request_header -Connection
		forward_auth %[3]s {
			uri /authz/forward
			header_up Host localhost
			copy_headers X-User-ID X-Client-ID X-Granted-Scopes X-Gatehouse-Context X-Gatehouse-Omitted
		}
		request_header -Authorization
		reverse_proxy %[2]s
	}
}
`

// The real Caddy asks before it passes requests on. It is built from the module of
// the benchmark.
func TestCaddyAsks(t *testing.T) {
	bin, err := filepath.Abs("../../bin/caddy")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		missing(t, "Caddy has not been built: make bin/caddy does")
	}
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	text := fmt.Sprintf(caddyForwardAuth, address, up.URL, strings.TrimPrefix(p.Ready().Console, "http://"))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	attackFront(t, p, runFront(t, "Caddy", address, bin, "run", "--adapter", "caddyfile", "--config", file), asItIs)
}

const haproxyLua = `global
  setenv GATEHOUSE_URL %[3]s/authz/forward
  lua-load %[4]s
defaults
  mode http
  timeout connect 5s
  timeout client 10s
  timeout server 10s
frontend web
  bind %[1]s
  http-request lua.gatehouse
  http-request deny deny_status 503 unless { var(txn.gatehouse) -m str allowed }
  default_backend hr
backend hr
  server hr %[2]s
`

// The real HAProxy asks, by the script that the how-to ships.
func TestHAProxyAsks(t *testing.T) {
	bin, err := exec.LookPath("haproxy")
	if err != nil {
		missing(t, "haproxy is not installed")
	}
	script, err := filepath.Abs("../../docs/howto/haproxy.lua")
	if err != nil {
		t.Fatal(err)
	}
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	address := freeAddress(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(haproxyLua, address, strings.TrimPrefix(up.URL, "http://"), p.Ready().Console, script)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	attackFront(t, p, runFront(t, "haproxy", address, bin, "-db", "-f", file), asItIs)

	// Nobody answers: nobody gets in, public operations neither.
	address = freeAddress(t)
	text = fmt.Sprintf(haproxyLua, address, strings.TrimPrefix(up.URL, "http://"), "http://"+freeAddress(t), script)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	front := runFront(t, "haproxy", address, bin, "-db", "-f", file)
	if got := p.request("GET", front+"/hr/health", "", ""); got.Status != http.StatusServiceUnavailable {
		t.Errorf("while the gateway is down: %d %s", got.Status, got.Body)
	}
}

package app_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// howto returns the first block of a language on a page of docs/howto, changed by pairs of
// old and new: what the page shows is what the tests run. Each old must be there.
func howto(t *testing.T, page, language string, oldnew ...string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/howto/" + page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "\n```"+language+"\n")
	text, _, closed := strings.Cut(rest, "\n```\n")
	if !ok || !closed {
		t.Fatalf("%s has no block of %s", page, language)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("the %s of %s does not say %q", language, page, oldnew[i])
		}
		text = strings.ReplaceAll(text, oldnew[i], oldnew[i+1])
	}
	return text + "\n"
}

// configuration writes a proxy's configuration to a file.
func configuration(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const (
	askedInHowto    = "127.0.0.1:8082" // the gateway that is asked, as the pages name it
	upstreamInHowto = "hr:9000"
)

// lookUp finds a proxy's program: in the path, or what make builds of its module.
func lookUp(name string) (string, bool) {
	if bin, err := exec.LookPath(name); err == nil {
		return bin, true
	}
	bin, err := filepath.Abs("../../bin/" + name)
	if err != nil {
		return "", false
	}
	_, err = os.Stat(bin)
	return bin, err == nil
}

// proxy is a proxy's program, without which the test is skipped.
func proxy(t *testing.T, name string) string {
	t.Helper()
	bin, ok := lookUp(name)
	if !ok {
		missing(t, name+" is not installed: scripts/services and make bin/caddy do it")
	}
	return bin
}

// bare is an address without its scheme.
func bare(address string) string { return strings.TrimPrefix(address, "http://") }

// nginxProgram is all that nginx needs around locations to run in the foreground, for
// one test.
const nginxProgram = `daemon off;
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
%[3]s
  }
}
`

// startNginx runs nginx until the test ends; listen is an address with what else the line
// says.
func startNginx(t *testing.T, listen, locations string) string {
	t.Helper()
	bin, dir := proxy(t, "nginx"), t.TempDir()
	address, _, _ := strings.Cut(listen, " ")
	return runFront(t, "nginx", address, bin, "-p", dir, "-c", configuration(t, "nginx.conf", fmt.Sprintf(nginxProgram, dir, listen, locations)), "-e", "stderr")
}

// front runs a proxy that asks an address as forward-auth.md has it, with the token of
// server.decide when there is one, and returns where it serves.
type front func(t *testing.T, upstream, asked, token string) string

// fronts are the proxies that tests run, by the names of their programs.
func fronts() map[string]front {
	return map[string]front{"nginx": frontNginx, "caddy": frontCaddy, "haproxy": frontHAProxy}
}

func frontNginx(t *testing.T, upstream, asked, token string) string {
	t.Helper()
	oldnew := []string{askedInHowto, bare(asked), upstreamInHowto, bare(upstream)}
	if token != "" {
		oldnew = append(oldnew, "    internal;\n", "    internal;\n    proxy_set_header Gatehouse-Token \""+token+"\";\n")
	}
	return startNginx(t, freeAddress(t), howto(t, "forward-auth.md", "nginx", oldnew...))
}

// startCaddy runs Caddy with the forward_auth of forward-auth.md in a site that is opened
// by these lines, changed by more pairs of old and new.
func startCaddy(t *testing.T, site, upstream, asked string, oldnew ...string) string {
	t.Helper()
	route := howto(t, "forward-auth.md", "caddyfile", append([]string{askedInHowto, bare(asked), upstreamInHowto, bare(upstream)}, oldnew...)...)
	file := configuration(t, "Caddyfile", "{\n\tadmin off\n\tauto_https off\n}\n"+site+"\n"+route+"}\n")
	_, address, _ := strings.Cut(strings.Fields(site)[0], "://")
	return runFront(t, "Caddy", strings.Replace(address, "localhost", "127.0.0.1", 1), proxy(t, "caddy"), "run", "--adapter", "caddyfile", "--config", file)
}

func frontCaddy(t *testing.T, upstream, asked, token string) string {
	t.Helper()
	var oldnew []string
	if token != "" {
		oldnew = []string{"header_up Host localhost", "header_up Host localhost\n\t\theader_up Gatehouse-Token " + token}
	}
	return startCaddy(t, "http://"+freeAddress(t)+" {", upstream, asked, oldnew...)
}

// startHAProxy runs HAProxy with the script and the lines of forward-auth.md; bind is an
// address with what else the line says.
func startHAProxy(t *testing.T, bind, upstream, asked, token string) string {
	t.Helper()
	bin := proxy(t, "haproxy")
	script, err := filepath.Abs("../../docs/howto/haproxy.lua")
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		token = "    setenv GATEHOUSE_TOKEN " + token + "\n"
	}
	text := howto(t, "forward-auth.md", "haproxy", askedInHowto, bare(asked), "    lua-load ", token+"    lua-load ", "/etc/haproxy/haproxy.lua", script,
		"frontend web", "defaults\n    mode http\n    timeout connect 1m\n    timeout client 1m\n    timeout server 1m\nfrontend web\n    bind "+bind)
	address, _, _ := strings.Cut(bind, " ")
	return runFront(t, "haproxy", address, bin, "-db", "-f", configuration(t, "haproxy.cfg", text+"backend hr\n    server hr "+bare(upstream)+"\n"))
}

func frontHAProxy(t *testing.T, upstream, asked, token string) string {
	t.Helper()
	return startHAProxy(t, freeAddress(t), upstream, asked, token)
}

// The real nginx asks before it passes requests on. It knows 401 and 403 alone.
func TestNginxAsks(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	attackFront(t, p, frontNginx(t, up.URL, p.Ready().Console, ""), func(status int) int {
		if status == http.StatusUnauthorized {
			return status
		}
		return http.StatusForbidden
	})
}

// The real Caddy asks before it passes requests on.
func TestCaddyAsks(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	attackFront(t, p, frontCaddy(t, up.URL, p.Ready().Console, ""), asItIs)
}

// The real HAProxy asks, by the script that the how-to ships.
func TestHAProxyAsks(t *testing.T) {
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	attackFront(t, p, frontHAProxy(t, up.URL, p.Ready().Console, ""), asItIs)
}

// While nobody answers the proxies, nobody gets in, on public operations neither.
func TestNobodyAnswersTheProxies(t *testing.T) {
	up := echoUpstream(t, nil)
	for name, run := range fronts() {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, run(t, up.URL, "http://"+freeAddress(t), "")+"/hr/health", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode < 500 {
				t.Errorf("answered %d", res.StatusCode)
			}
		})
	}
}

package app_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// traefikForwardAuth is the configuration of docs/howto/forward-auth.md with the
// addresses of a test.
const traefikForwardAuth = `http:
  routers:
    hr:
      rule: PathPrefix(` + "`/hr`" + `)
      service: hr
      middlewares: [unasked, gatehouse, anonymous]
  middlewares:
    unasked:
      headers:
        customRequestHeaders: { X-Original-URI: "", X-Original-Method: "", X-Original-Host: "", Gatehouse-Token: "" }
    gatehouse:
      forwardAuth:
        address: %[1]s/authz/forward
        authResponseHeaders: [X-User-ID, X-Client-ID, X-Granted-Scopes, X-Gatehouse-Context, X-Gatehouse-Omitted]
    anonymous:
      headers:
        customRequestHeaders: { Authorization: "" }
  services:
    hr:
      loadBalancer:
        servers: [{ url: %[2]s }]
`

// traefikBinary is the one that was built from its module, or one in the path. It takes
// so long to build that make test does not.
func traefikBinary(t *testing.T) string {
	t.Helper()
	if bin, err := filepath.Abs("../../bin/traefik"); err == nil {
		if _, err := os.Stat(bin); err == nil {
			return bin
		}
	}
	bin, err := exec.LookPath("traefik")
	if err != nil {
		t.Skip("Traefik has not been built: make bin/traefik does")
	}
	return bin
}

// The real Traefik asks before it passes requests on.
func TestTraefikAsks(t *testing.T) {
	bin := traefikBinary(t)
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	run := func(gatehouse string) string {
		t.Helper()
		address := freeAddress(t)
		file := filepath.Join(t.TempDir(), "dynamic.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, traefikForwardAuth, gatehouse, up.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		front := runFront(t, "Traefik", address, bin, "--entryPoints.web.address="+address, "--providers.file.filename="+file,
			"--global.checkNewVersion=false", "--global.sendAnonymousUsage=false")
		eventually(t, "Traefik to have its configuration", func() bool {
			return p.request(http.MethodGet, front+"/hr/health", "", "").Status != http.StatusNotFound
		})
		return front
	}
	attackFront(t, p, run(p.Ready().Console), asItIs)

	// Nobody answers: nobody gets in, public operations neither.
	if got := p.request(http.MethodGet, run("http://"+freeAddress(t))+"/hr/health", "", ""); got.Status < 400 {
		t.Errorf("while the gateway is down: %d %s", got.Status, got.Body)
	}
}

// The real Traefik hands over the certificate of its own client, and nobody else's.
func TestTraefikHandsOverCertificates(t *testing.T) {
	bin := traefikBinary(t)
	f := newCertFront(t, "x-forwarded-tls-client-cert")
	conf := strings.Replace(fmt.Sprintf(traefikForwardAuth, f.Ready().Console, f.upstream), "middlewares: [unasked, gatehouse, anonymous]", "tls: {}\n      middlewares: [unasked, certificate, gatehouse, anonymous]", 1)
	conf = strings.Replace(conf, "  middlewares:\n    unasked:", "  middlewares:\n    certificate:\n      passTLSClientCert: { pem: true }\n    unasked:", 1)
	conf += fmt.Sprintf("tls:\n  certificates: [{ certFile: %s, keyFile: %s }]\n  options:\n    default:\n      clientAuth: { clientAuthType: RequestClientCert }\n", f.server, f.key)
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "dynamic.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	runFront(t, "Traefik", address, bin, "--entryPoints.web.address="+address, "--providers.file.filename="+file,
		"--global.checkNewVersion=false", "--global.sendAnonymousUsage=false")
	front := "https://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
	eventually(t, "Traefik to have its configuration", func() bool {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: f.pool, ServerName: "localhost"})
		if err != nil {
			return false
		}
		_ = c.Close()
		return f.get(front, nil).Status != http.StatusNotFound
	})
	f.attack(front)
}

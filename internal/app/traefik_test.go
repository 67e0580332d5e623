package app_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
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

// The real Traefik asks before it passes requests on.
func TestTraefikAsks(t *testing.T) {
	bin, err := exec.LookPath("traefik")
	if err != nil {
		t.Skip("traefik is not installed")
	}
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

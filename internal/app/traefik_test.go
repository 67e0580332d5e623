package app_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// traefik is its program, which takes so long to build that make test does not.
func traefik(t *testing.T) string {
	t.Helper()
	bin, ok := lookUp("traefik")
	if !ok {
		t.Skip("Traefik has not been built: make bin/traefik does")
	}
	return bin
}

// The real Traefik asks before it passes requests on.
func TestTraefikAsks(t *testing.T) {
	bin := traefik(t)
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(forwardAPI, up.URL)))
	run := func(gatehouse string) string {
		t.Helper()
		address := freeAddress(t)
		file := configuration(t, "dynamic.yaml", howto(t, "forward-auth.md", "yaml", askedInHowto, bare(gatehouse), upstreamInHowto, bare(up.URL)))
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
	bin := traefik(t)
	f := newCertFront(t, "x-forwarded-tls-client-cert")
	conf := howto(t, "forward-auth.md", "yaml", askedInHowto, bare(f.Ready().Console), upstreamInHowto, bare(f.upstream),
		"middlewares: [unasked, gatehouse, anonymous]", "tls: {}\n      middlewares: [unasked, certificate, gatehouse, anonymous]",
		"  middlewares:\n    unasked:", "  middlewares:\n    certificate:\n      passTLSClientCert: { pem: true }\n    unasked:")
	conf += fmt.Sprintf("tls:\n  certificates: [{ certFile: %s, keyFile: %s }]\n  options:\n    default:\n      clientAuth: { clientAuthType: RequestClientCert }\n", f.server, f.key)
	address, file := freeAddress(t), configuration(t, "dynamic.yaml", conf)
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

package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/client"
)

// opaPolicy is the policy of docs/howto/decision-points.md.
const opaPolicy = `package access.v1

default evaluation := {"decision": false, "context": {"reason": "no rule permits it"}}

evaluation := {"decision": true} if {
	input.action.name == "GET"
	input.resource.properties.params.user == input.subject.properties.login
	"office" in input.context.zones
}

evaluation := {"decision": true} if {
	input.action.name == "PUT"
	input.subject.id == "ana@example.com"
}
`

// The real OPA decides along, without anything in between: its API for raw documents has
// the form that AuthZEN asks for. What it refuses is refused with its reason, what it cannot
// evaluate and a policy that is not there are no answers, and a dead one lets nobody in.
func TestOPADecides(t *testing.T) {
	bin, err := filepath.Abs("../../bin/opa")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		missing(t, "OPA has not been built: make bin/opa does")
	}
	address, policy := freeAddress(t), filepath.Join(t.TempDir(), "access.rego")
	if err := os.WriteFile(policy, []byte(opaPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	opa := runFront(t, "OPA", address, bin, "run", "--server", "--addr", address, "--disable-telemetry", policy)
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(askedAPI, opa+"/v0/data/access/v1/evaluation", "5s", up.URL)), withEnv(map[string]string{"PDP_TOKEN": "x"}))
	mint := func(user string) string {
		t.Helper()
		tok, err := p.admin().Mint(t.Context(), client.TokenRequest{User: user, Scopes: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		return tok.AccessToken
	}
	ana, ben := mint("ana@example.com"), mint("ben@example.com")
	eventually(t, "OPA to decide", func() bool { return p.call("GET", "/hr/of/ana@example.com", ana).Status == http.StatusOK })
	for _, c := range []struct {
		method, path, token string
		status              int
	}{
		{"GET", "/hr/of/ana@example.com", ana, 200},
		{"GET", "/hr/of/ana@example.com", ben, 403},
		{"PUT", "/hr/of/x", ana, 200},
		{"PUT", "/hr/of/x", ben, 403},
		{"GET", "/hr/alone", ben, 200},
	} {
		a := p.call(c.method, c.path, c.token)
		if a.Status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.Status, a.Body)
		}
		if c.status != http.StatusForbidden {
			continue
		}
		d, err := p.decision(a.Header.Get("X-Request-Id"))
		if err != nil || !strings.Contains(stepNamed(d, "decision points").Had, "pdp forbids it, because: no rule permits it") {
			t.Errorf("explained as %+v %v", d, err)
		}
	}
	elsewhere := start(t, write(t, fmt.Sprintf(askedAPI, opa+"/v0/data/nowhere/evaluation", "5s", up.URL)), withEnv(map[string]string{"PDP_TOKEN": "x"}))
	if a := elsewhere.call("GET", "/hr/of/ana@example.com", elsewhere.token("s")); a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "policy_error") {
		t.Errorf("a policy that is not there: %d %s", a.Status, a.Body)
	}
}

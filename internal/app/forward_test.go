package app_test

import (
	"fmt"
	"net/http"
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

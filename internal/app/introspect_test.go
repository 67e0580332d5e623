package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/client"
)

// An issuer elsewhere whose JWTs are verified here, and asked about where an operation
// says so: what is revoked there is refused by that operation, on both lanes, and by
// the others until it expires.
func TestIntrospectedOperations(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Client-Id"))
	}))
	defer up.Close()
	other := start(t, "")
	d := other.Ready().Demo
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  other:
    url: %s
    audience: api://default
    tokens: both
    client_id: %s
    client_secret: ${env:S}
apis:
  hr:
    upstream: %s
    auth: other
    routes:
      GET /x: vacations:read
      PUT /x: { scopes: vacations:read, introspect: true }
tests:
  - PUT /x with vacations:read -> allow
`, d.Issuer, d.ClientID, up.URL)), withEnv(map[string]string{"S": d.ClientSecret}))
	token := other.token("vacations:read")
	call := func(token string, want map[string]int) {
		t.Helper()
		for method, status := range want {
			for lane, header := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
				a := p.call(method, "/x", token, header...)
				if a.Status != status || status == http.StatusOK && a.Body != d.ClientID {
					t.Errorf("%s on the %s lane: %d %s", method, lane, a.Status, a.Body)
				}
			}
		}
	}
	call(other.token("vacations:read"), map[string]int{"GET": 200, "PUT": 200})
	if err := other.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, token)}); err != nil {
		t.Fatal(err)
	}
	call(token, map[string]int{"GET": 200, "PUT": 401})
	a := p.call("PUT", "/x", token)
	got, err := p.decision(a.Header.Get("X-Request-Id"))
	if err != nil || got.Reason != "revoked" || !strings.HasSuffix(stepNamed(got, "authenticate").Needed, "verified here and asked about") {
		t.Errorf("explained as %+v %v", got, err)
	}
	fresh := other.token("vacations:read")
	other.stop()
	call(fresh, map[string]int{"GET": 200, "PUT": 503})
}

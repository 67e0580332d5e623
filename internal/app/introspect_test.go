package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
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

// askedSigner is an issuer elsewhere that signs its tokens, and says which it has taken back.
type askedSigner struct {
	*signingIssuer
	mu   sync.Mutex
	back map[string]bool
	got  []string
}

func newAskedSigner(t *testing.T) *askedSigner {
	t.Helper()
	s := &askedSigner{signingIssuer: newSigningIssuer(t), back: map[string]bool{}}
	keys := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server":
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"introspection_endpoint":%q}`, s.URL, s.URL+"/keys", s.URL+"/introspect")
		case "/introspect":
			s.mu.Lock()
			defer s.mu.Unlock()
			token := r.FormValue("token")
			s.got = append(s.got, token)
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"active":%t}`, !s.back[token])
		default:
			keys.ServeHTTP(w, r)
		}
	})
	return s
}

func (s *askedSigner) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// Several issuers of one API, and one operation that asks: each is asked about its own
// tokens and shown nobody else's, the built-in one is not asked, and what one takes
// back is refused there alone. The other operations ask nobody.
func TestIntrospectedOperationsOfSeveralIssuers(t *testing.T) {
	up := echoUpstream(t, nil)
	a, b := newAskedSigner(t), newAskedSigner(t)
	p := start(t, write(t, fmt.Sprintf(`version: 1
issuers:
  default: { builtin: default }
  a: { url: %s, audience: api://orders, tokens: both, client_id: g, client_secret: "${env:S}" }
  b: { url: %s, audience: api://orders, tokens: both, client_id: g, client_secret: "${env:S}" }
apis:
  orders:
    upstream: %s
    auth: [a, b, default]
    routes:
      GET /x: orders:read
      PUT /x: { scopes: orders:read, introspect: true }
`, a.URL, b.URL, up.URL)), withEnv(map[string]string{"S": "s"}))
	good, dead, others, own := a.token(t, nil), a.token(t, nil), b.token(t, nil), p.token("orders:read")
	a.mu.Lock()
	a.back[dead] = true
	a.mu.Unlock()
	for _, c := range []struct {
		name, method, token string
		status              int
	}{
		{"a's", "PUT", good, 200},
		{"a's, again", "PUT", good, 200},
		{"taken back", "PUT", dead, 401},
		{"taken back, where nobody is asked", "GET", dead, 200},
		{"b's", "PUT", others, 200},
		{"our own", "PUT", own, 200},
		{"b's, where nobody is asked", "GET", b.token(t, nil), 200},
	} {
		if got := p.call(c.method, "/x", c.token); got.Status != c.status {
			t.Errorf("%s: %d %s", c.name, got.Status, got.Body)
		}
	}
	if got := a.asked(); !slices.Equal(got, []string{good, dead}) {
		t.Errorf("a was asked %d times", len(got))
	}
	if got := b.asked(); !slices.Equal(got, []string{others}) {
		t.Errorf("b was asked %d times", len(got))
	}
	// One that cannot be asked would make the operation's promise empty.
	_, err := tryStart(t, write(t, fmt.Sprintf("version: 1\nissuers:\n  a: { url: %s, audience: x, tokens: both, client_id: g, client_secret: \"${env:S}\" }\n  c: { url: %s, audience: x }\napis:\n  o: { upstream: %s, auth: [a, c], routes: { PUT /x: { scopes: s, introspect: true } } }\n", a.URL, b.URL, up.URL)), withEnv(map[string]string{"S": "s"}))
	if err == nil || !strings.Contains(err.Error(), "c lacks tokens: both") {
		t.Errorf("an issuer that cannot be asked: %v", err)
	}
}

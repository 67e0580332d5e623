package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/cli"
	"gatehouse/internal/gateway"
)

const everyReasonAPI = `version: 1
issuers:
  okta:  { url: %[1]s, audience: api://orders }
  other: { url: %[2]s, audience: api://orders }
  dead:  { url: %[3]s, audience: api://orders }
zones:
  far: 203.0.113.0/24
apis:
  a:
    base_path: /a
    upstream: %[4]s
    auth: [okta, api_key]
    max_body: 1KB
    routes:
      GET /any: {}
      POST /any: {}
      GET /scope: orders:write
      GET /group: { groups: [staff] }
      GET /role: { roles: [reader] }
      GET /condition: { when: principal.login == "nobody" }
      GET /sign-in: { mfa: 5m }
      GET /zone: { zones: [far] }
      GET /limit: { limit: 1/h per client }
      GET /forbidden: {}
      GET /broken: {}
  dead: { base_path: /dead, upstream: %[4]s, auth: dead, routes: { GET /any: {} } }
  gone: { base_path: /gone, upstream: %[3]s, auth: okta, routes: { GET /any: {} } }
  mute: { base_path: /mute, upstream: { targets: [%[5]s], timeout: 4s, retries: 0 }, auth: okta, routes: { GET /any: {} } }
  odd:  { base_path: /odd, upstream: { targets: [%[6]s], retries: 0 }, auth: okta, routes: { GET /any: {} } }
policies:
  never: |
    forbid (principal, action == Action::"GET /a/forbidden", resource);
  unsure: |
    forbid (principal, action == Action::"GET /a/broken", resource) when { principal.claims.level > 3 };
`

// givenElsewhere are reasons that need more than a request.
var givenElsewhere = map[string]string{
	gateway.ReasonOverloaded:             "internal/upstream/serve_test.go: every connection in use",
	gateway.ReasonRevocationStateUnknown: "internal/gateway/revocation_test.go: the list was never loaded",
	gateway.ReasonInternal:               "internal/gateway/pipeline_test.go: a step that panics",
}

// rawUpstream listens and answers each connection with bytes, or with nothing.
func rawUpstream(t *testing.T, bytes string) string {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if bytes != "" {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write([]byte(bytes))
				_ = c.Close()
			}
		}
	}()
	return "http://" + ln.Addr().String()
}

// Every reason is given by the whole program, and gatehouse explain says of the answer's
// request id which step refused it, why in words, and by which line of the file.
func TestEveryReasonIsExplained(t *testing.T) {
	is, other := newIssuer(t), newIssuer(t)
	dead := "http://" + freeAddress(t)
	p := start(t, write(t, fmt.Sprintf(everyReasonAPI, is.URL, other.URL, dead, echoUpstream(t, nil).URL, rawUpstream(t, ""), rawUpstream(t, "HTTP/9 what\r\n\r\n"))))
	thief, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := func(change map[string]any) string { return is.token(t, change) }
	now := time.Now().Unix()
	app, err := p.admin().CreateApp(t.Context(), client.App{Label: "job"})
	if err != nil {
		t.Fatal(err)
	}
	key, err := p.admin().CreateAPIKey(t.Context(), client.APIKey{App: app.ID, Name: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "api_key", Value: key.ID}); err != nil {
		t.Fatal(err)
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: "dead", Issuer: is.URL}); err != nil {
		t.Fatal(err)
	}
	good := token(nil)
	p.call(http.MethodGet, "/a/limit", good)
	given := map[string]bool{}
	for reason, ask := range map[string]func() answer{
		gateway.ReasonNoRoute:          func() answer { return p.call("GET", "/a/nothing", good) },
		gateway.ReasonMethodNotAllowed: func() answer { return p.call("DELETE", "/a/any", good) },
		gateway.ReasonAmbiguousRequest: func() answer { return p.call("GET", "/a/any;x=1", good) },
		gateway.ReasonBodyTooLarge:     func() answer { return p.request("POST", p.Ready().Gateway+"/a/any", good, strings.Repeat("x", 2000)) },
		gateway.ReasonNoToken:          func() answer { return p.call("GET", "/a/any", "") },
		gateway.ReasonTokenMalformed:   func() answer { return p.call("GET", "/a/any", "a.b.c") },
		gateway.ReasonTokenExpired:     func() answer { return p.call("GET", "/a/any", token(map[string]any{"exp": now - 3600})) },
		gateway.ReasonTokenNotYetValid: func() answer { return p.call("GET", "/a/any", token(map[string]any{"nbf": now + 3600})) },
		gateway.ReasonBadSignature:     func() answer { return p.call("GET", "/a/any", good[:len(good)-8]+"AAAAAAAA") },
		gateway.ReasonUnknownIssuer:    func() answer { return p.call("GET", "/a/any", other.token(t, nil)) },
		gateway.ReasonWrongAudience:    func() answer { return p.call("GET", "/a/any", token(map[string]any{"aud": "api://else"})) },
		gateway.ReasonUnknownKey: func() answer {
			return p.call("GET", "/a/any", signWith(t, thief, `{"alg":"ES256","kid":"k9"}`, `{"iss":"`+is.URL+`","aud":"api://orders","exp":9999999999}`))
		},
		gateway.ReasonTokenTypeNotAccepted: func() answer { return p.call("GET", "/a/any", token(map[string]any{"token_use": "id"})) },
		gateway.ReasonRevoked:              func() answer { return p.call("GET", "/a/any", token(map[string]any{"jti": "dead"})) },
		gateway.ReasonKeyDisabled:          func() answer { return p.call("GET", "/a/any", "", "X-API-Key", key.Key) },
		gateway.ReasonProofInvalid: func() answer {
			return p.call("GET", "/a/any", token(map[string]any{"cnf": map[string]any{"jkt": "x"}}))
		},
		gateway.ReasonMissingScope:        func() answer { return p.call("GET", "/a/scope", good) },
		gateway.ReasonGroupRequired:       func() answer { return p.call("GET", "/a/group", good) },
		gateway.ReasonRoleRequired:        func() answer { return p.call("GET", "/a/role", good) },
		gateway.ReasonConditionFailed:     func() answer { return p.call("GET", "/a/condition", good) },
		gateway.ReasonStepUpRequired:      func() answer { return p.call("GET", "/a/sign-in", good) },
		gateway.ReasonZoneNotAllowed:      func() answer { return p.call("GET", "/a/zone", good) },
		gateway.ReasonPolicyForbids:       func() answer { return p.call("GET", "/a/forbidden", good) },
		gateway.ReasonPolicyError:         func() answer { return p.call("GET", "/a/broken", good) },
		gateway.ReasonRateLimited:         func() answer { return p.call("GET", "/a/limit", good) },
		gateway.ReasonIssuerUnreachable:   func() answer { return p.call("GET", "/dead/any", token(map[string]any{"iss": dead})) },
		gateway.ReasonUpstreamUnreachable: func() answer { return p.call("GET", "/gone/any", good) },
		gateway.ReasonUpstreamTimeout:     func() answer { return p.call("GET", "/mute/any", good) },
		gateway.ReasonUpstreamInvalid:     func() answer { return p.call("GET", "/odd/any", good) },
	} {
		p.explained(t, reason, ask())
		given[reason] = true
	}
	s := newSite(t)
	v := s.visitor(t, "http/1.1")
	v.open("/shop/orders/1")
	for reason, ask := range map[string]func() answer{
		gateway.ReasonSessionEnded: func() answer {
			return s.visitor(t, "http/1.1").send("GET", "/shop/orders/1", "Cookie", "__Host-gatehouse-session-okta="+strings.Repeat("a", 43))
		},
		gateway.ReasonCrossSite:    func() answer { return v.send("POST", "/shop/orders", "Sec-Fetch-Site", "cross-site") },
		gateway.ReasonSignInFailed: func() answer { return v.send("GET", "/.gatehouse/okta/callback?state=x&code=y") },
	} {
		s.explained(t, reason, ask())
		given[reason] = true
	}
	for _, r := range gateway.Reasons() {
		if given[r.Name] == (givenElsewhere[r.Name] != "") {
			t.Errorf("%s: given here %v, elsewhere by %q", r.Name, given[r.Name], givenElsewhere[r.Name])
		}
	}
}

// explained checks that an answer is refused for a reason, and that gatehouse explain says
// so of its request id.
func (p *program) explained(t *testing.T, reason string, a answer) {
	t.Helper()
	if got := a.Header.Get("Gatehouse-Decision"); !strings.HasSuffix(got, "reason="+reason) {
		t.Errorf("%s: %d %q %s", reason, a.Status, got, a.Body)
		return
	}
	id := a.Header.Get("X-Request-ID")
	d, err := p.decision(id)
	if err != nil {
		t.Fatal(err)
	}
	var out, said strings.Builder
	code := cli.Run(t.Context(), []string{"explain", id, "--server", p.Ready().Console, "--token", p.Ready().APIToken}, cli.IO{Out: &out, Err: &said, Getenv: func(string) (string, bool) { return "", false }})
	if code != 4 || !strings.Contains(out.String(), reason) || d.Detail == "" || !strings.Contains(out.String(), d.Detail) {
		t.Errorf("%s: explain ends with %d and says %s%s", reason, code, out.String(), said.String())
	}
	refused := 0
	for _, step := range d.Steps {
		if step.Reason != reason {
			continue
		}
		refused++
		if setHere := step.Name != "canonicalize" && step.Name != "match" && step.Name != "sender" && step.Name != "revocation" && step.Name != "guard"; setHere && !strings.Contains(step.Source, "gatehouse.yaml:") {
			t.Errorf("%s: the step %s names no line: %+v", reason, step.Name, step)
		}
	}
	if refused != 1 && reason != gateway.ReasonSignInFailed {
		t.Errorf("%s: %d steps refused it: %+v", reason, refused, d.Steps)
	}
}

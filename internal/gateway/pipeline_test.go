package gateway

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/docs/reasons"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestStepsAreTheTable(t *testing.T) {
	var b strings.Builder
	for i, s := range steps() {
		if s.id != stepID(i) || s.name != s.id.String() {
			t.Errorf("step %d is %s (%s)", i, s.id, s.name)
		}
		if (s.compile == nil) == (s.phase == onRoute) {
			t.Errorf("step %s has the wrong phase for its compile", s.name)
		}
		fmt.Fprintf(&b, "%2d  %-16s %s\n", i+1, s.name, s.why)
	}
	const file = "testdata/steps.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("the steps have changed; if that is meant, run with -update:\n%s", diff)
	}
}

// The documentation is the source of a reason's status and title.
func TestReasonsAgreeWithTheirPages(t *testing.T) {
	statuses, titles := reasons.Statuses(), reasons.Titles()
	for _, r := range Reasons() {
		if statuses[r.Name] != r.Status || titles[r.Name] == "" {
			t.Errorf("%s: status %d here, %d on its page (%q)", r.Name, r.Status, statuses[r.Name], titles[r.Name])
		}
	}
}

func TestRouteHasTheStepsItAsksFor(t *testing.T) {
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/all", Scopes: [][]string{{"x"}}, Limits: []spec.Limit{{Count: 1, Period: spec.Duration(time.Second), Per: "user"}}},
		spec.Route{Method: "GET", Path: "/public", Public: true},
		spec.Route{Method: "GET", Path: "/any", MaxBody: -1},
	)
	g := newTestGateway(t, ConfigFor(t, NewIssuerFor(t, "https://issuer.test")), s)
	got := map[string][]string{}
	for _, r := range g.current.Load().routes {
		for _, st := range r.steps {
			got[r.spec.Path] = append(got[r.spec.Path], st.id.String())
		}
	}
	want := map[string][]string{
		"/all":    {"guard", "authenticate", "sender", "revocation", "authorize", "limit", "transform", "backend"},
		"/public": {"guard", "transform", "backend"},
		"/any":    {"authenticate", "sender", "revocation", "transform", "backend"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDecisions(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	other := NewIssuerFor(t, "https://other.test")
	stranger := NewIssuerFor(t, "https://issuer.test") // says it is iss, has another key under the same kid
	s := OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders/*", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "POST", Path: "/orders", Scopes: [][]string{{"orders:write", "orders:read"}, {"orders:admin"}}, MaxBody: 10},
		spec.Route{Method: "GET", Path: "/staff", Groups: []string{"employees", "board"}},
		spec.Route{Method: "GET", Path: "/health", Public: true},
		spec.Route{Method: "*", Path: "/anything", Public: true},
	)
	s.Issuers = append(s.Issuers, spec.Issuer{Name: "other", URL: other.URL, Audience: []string{"api://test"}})
	s.APIs = append(s.APIs, spec.API{
		Name: "files", BasePath: "/files", Auth: []string{"other"}, EncodedSlashes: true, Upstream: s.APIs[0].Upstream,
		Routes: []spec.Route{{Method: "GET", Path: "/{name}"}},
	})
	g := newTestGateway(t, ConfigFor(t, iss, other), s)
	ok := "Bearer " + iss.Token(t, nil)
	for _, c := range []struct {
		name    string
		method  string
		target  string
		headers []string
		status  int
		reason  string
		changes func(*wire.Request)
	}{
		{name: "allowed", method: "GET", target: "/orders/1", headers: []string{"Authorization", ok}, status: 200},
		{name: "query goes on", method: "GET", target: "/orders/1?x=1&x=2", headers: []string{"Authorization", ok}, status: 200},
		{name: "public", method: "GET", target: "/health", status: 200},
		{name: "public ignores a bad token", method: "GET", target: "/health", headers: []string{"Authorization", "Bearer x"}, status: 200},

		{name: "no token", method: "GET", target: "/orders/1", status: 401, reason: "no_token"},
		{name: "attack gateway 23: two lines", method: "GET", target: "/orders/1", headers: []string{"Authorization", ok, "Authorization", ok}, status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 23: two lines, one other scheme", method: "GET", target: "/orders/1", headers: []string{"Authorization", ok, "authorization", "Basic eA=="}, status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 23: comma", method: "GET", target: "/orders/1", headers: []string{"Authorization", ok + ", " + ok}, status: 401, reason: "token_malformed"},
		{name: "attack gateway 23: lower case", method: "GET", target: "/orders/1", headers: []string{"Authorization", "bearer" + ok[6:]}, status: 200},
		{name: "attack gateway 23: tab", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer\t" + ok[7:]}, status: 401, reason: "token_malformed"},
		{name: "attack gateway 23: two spaces", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer  " + ok[7:]}, status: 401, reason: "token_malformed"},
		{name: "attack gateway 23: scheme alone", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer"}, status: 401, reason: "token_malformed"},
		{name: "another scheme", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Basic eA=="}, status: 401, reason: "no_token"},
		{name: "attack gateway 24: in the query", method: "GET", target: "/orders/1?access_token=" + ok[7:], status: 401, reason: "no_token"},
		{name: "attack gateway 13: issuer of another API", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + other.Token(t, nil)}, status: 401, reason: "unknown_issuer"},
		{name: "attack gateway 14: audience", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"aud": "api://else"})}, status: 401, reason: "wrong_audience"},
		{name: "attack gateway 14: one of several", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"aud": []string{"api://else", "api://test"}})}, status: 200},
		{name: "attack gateway 14: none", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"aud": nil})}, status: 401, reason: "wrong_audience"},
		{name: "forged", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + stranger.Token(t, nil)}, status: 401, reason: "bad_signature"},
		{name: "expired", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"exp": 1000, "iat": 900})}, status: 401, reason: "token_expired"},
		{name: "bound to a key", method: "GET", target: "/orders/1", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"cnf": map[string]string{"jkt": "abc"}})}, status: 401, reason: "proof_invalid"},
		{name: "missing scope", method: "POST", target: "/orders", headers: []string{"Authorization", ok}, status: 403, reason: "missing_scope"},
		{name: "attack gateway 25: same token, other route", method: "POST", target: "/orders", headers: []string{"Authorization", ok}, status: 403, reason: "missing_scope"},
		{name: "all of a set", method: "POST", target: "/orders", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"scp": nil, "scope": "orders:read orders:write"})}, status: 200},
		{name: "the other set", method: "POST", target: "/orders", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"scp": []string{"orders:admin"}})}, status: 200},
		{name: "half of both sets", method: "POST", target: "/orders", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"scp": []string{"orders:write"}})}, status: 403, reason: "missing_scope"},
		{name: "no group", method: "GET", target: "/staff", headers: []string{"Authorization", ok}, status: 403, reason: "group_required"},
		{name: "a group", method: "GET", target: "/staff", headers: []string{"Authorization", "Bearer " + iss.Token(t, Claims{"groups": []string{"x", "board"}})}, status: 200},

		{name: "attack gateway 36", method: "GET", target: "/health/../orders/1", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 37", method: "GET", target: "/staff/", status: 404, reason: "no_route"},
		{name: "attack gateway 39", method: "GET", target: "/orders/a%2Fb", headers: []string{"Authorization", ok}, status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 39: opt in", method: "GET", target: "/files/a%2fb", headers: []string{"Authorization", "Bearer " + other.Token(t, nil)}, status: 200},
		{name: "attack gateway 39: opt in is not a path separator", method: "GET", target: "/files%2fa", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 43: public path in the query", method: "GET", target: "/staff?x=/health", status: 401, reason: "no_token"},
		{name: "attack gateway 43: fragment", method: "GET", target: "/staff#/health", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 43: matrix", method: "GET", target: "/staff;x=/health", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 45: HEAD has the policy of GET", method: "HEAD", target: "/orders/1", status: 401, reason: "no_token"},
		{name: "attack gateway 45: TRACE", method: "TRACE", target: "/anything", status: 405, reason: "method_not_allowed"},
		{name: "attack gateway 45: CONNECT", method: "CONNECT", target: "/anything", status: 405, reason: "method_not_allowed"},
		{name: "attack gateway 45: lower case", method: "get", target: "/anything", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 45: preflight", method: "OPTIONS", target: "/staff", status: 405, reason: "method_not_allowed"},
		{name: "attack gateway 46", method: "GET", target: "/staff\x00", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 47", method: "GET", target: "/health?a=1;b=2", status: 400, reason: "ambiguous_request"},
		{name: "attack gateway 58: health prober", method: "GET", target: "/staff", headers: []string{"User-Agent", "GoogleHC/1.0"}, status: 401, reason: "no_token"},
		{name: "no host", method: "GET", target: "/health", status: 400, reason: "ambiguous_request", changes: func(r *wire.Request) { r.Host = nil }},
		{name: "body too large", method: "POST", target: "/orders", status: 413, reason: "body_too_large", changes: func(r *wire.Request) { r.Body = wire.BytesBody(make([]byte, 11)) }},
		{name: "asterisk", method: "OPTIONS", target: "*", status: 400, reason: "ambiguous_request"},
		{name: "method", method: "DELETE", target: "/staff", status: 405, reason: "method_not_allowed"},
		{name: "no route", method: "GET", target: "/else", status: 404, reason: "no_route"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLane(c.method, c.target, c.headers...)
			if c.changes != nil {
				c.changes(&l.request)
			}
			g.ServeExchange(l)
			if l.status != c.status || l.reason() != c.reason {
				t.Fatalf("%d %s, want %d %s: %s", l.status, l.reason(), c.status, c.reason, l.body)
			}
			if id := l.fields["X-Request-ID"]; len(id) != 1 || len(id[0]) != 20 {
				t.Errorf("X-Request-ID %q", id)
			}
			if c.reason == "" {
				if len(l.fields["Gatehouse-Decision"]) != 0 {
					t.Error("an allowed answer has Gatehouse-Decision")
				}
				return
			}
			checkProblem(t, l, c.reason)
		})
	}
}

// checkProblem checks what every answer of the gateway's own has.
func checkProblem(t *testing.T, l *memoryLane, reason string) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(l.body, &doc); err != nil {
		t.Fatalf("%v: %s", err, l.body)
	}
	want := map[string]any{
		"type": "https://id.test/docs/reasons/" + reason, "title": reasons.Titles()[reason],
		"status": float64(l.status), "reason": reason, "request_id": l.fields["X-Request-ID"][0],
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Error(diff)
	}
	verdict := "deny"
	if l.status == 401 {
		verdict = "challenge"
	}
	for name, want := range map[string]string{
		"Gatehouse-Decision": verdict + "; reason=" + reason, "Cache-Control": "no-store", "Content-Type": "application/problem+json",
	} {
		if got := l.fields[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for name, must := range map[string]bool{
		"WWW-Authenticate": l.status == 401 || reason == ReasonMissingScope,
		"Retry-After":      l.status == 429 || l.status == 503, "Allow": l.status == 405,
	} {
		if has := len(l.fields[name]) == 1; has != must {
			t.Errorf("%s: %q", name, l.fields[name])
		}
	}
}

func TestChallenges(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x", Scopes: [][]string{{"a:read", "b:read"}, {"admin"}}})
	s.APIs[0].BasePath = "/base"
	g := newTestGateway(t, ConfigFor(t, iss), s)
	const metadata = `resource_metadata="http://api.test/.well-known/oauth-protected-resource/base"`
	for _, c := range []struct{ authorization, want string }{
		{"", `Bearer scope="a:read b:read", ` + metadata},
		{"Basic eA==", `Bearer scope="a:read b:read", ` + metadata},
		{"Bearer x", `Bearer error="invalid_token", ` + metadata},
		{"Bearer " + iss.Token(t, nil), `Bearer error="insufficient_scope", scope="a:read b:read", ` + metadata},
	} {
		l := newLane("GET", "/base/x")
		if c.authorization != "" {
			l = newLane("GET", "/base/x", "Authorization", c.authorization)
		}
		g.ServeExchange(l)
		if got := strings.Join(l.fields["WWW-Authenticate"], "|"); got != c.want {
			t.Errorf("%s: got %s\nwant %s", c.authorization, got, c.want)
		}
	}
	l := newLane("GET", "/.well-known/oauth-protected-resource/base")
	g.ServeExchange(l)
	const doc = `{"resource":"http://api.test/base","authorization_servers":["https://issuer.test"],"scopes_supported":["a:read","admin","b:read"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["RS256","RS384","RS512","PS256","PS384","PS512","ES256","ES384","ES512","EdDSA"]}` + "\n"
	if l.status != 200 || string(l.body) != doc {
		t.Errorf("metadata: %d %s", l.status, l.body)
	}
	l = newLane("GET", "/.well-known/oauth-protected-resource/else")
	g.ServeExchange(l)
	if l.status != 404 {
		t.Errorf("metadata of nothing: %d", l.status)
	}
}

func TestForgedTokensAreLimitedPerPeer(t *testing.T) {
	iss, stranger := NewIssuerFor(t, "https://issuer.test"), NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	c.Forgeries.Count, c.Forgeries.Period = 3, time.Hour
	g := newTestGateway(t, c, OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}))
	good := "Bearer " + iss.Token(t, nil)
	send := func(authorization, from string) string {
		l := newLane("GET", "/x", "Authorization", authorization)
		if from != "" {
			l.request.Remote = mustPeer(from)
		}
		g.ServeExchange(l)
		return l.reason()
	}
	if got := send(good, ""); got != "" {
		t.Fatal(got)
	}
	for i, want := range []string{"bad_signature", "bad_signature", "bad_signature", "rate_limited"} {
		if got := send("Bearer "+stranger.Token(t, nil), ""); got != want {
			t.Errorf("forgery %d: %s, want %s", i+1, got, want)
		}
	}
	if got := send(good, ""); got != "" {
		t.Errorf("a token that is known: %s", got)
	}
	if got := send("Bearer "+iss.Token(t, nil), "198.51.100.7:1"); got != "" {
		t.Errorf("another peer: %s", got)
	}
}

func TestReloadKeepsVerifiedTokens(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := newTestGateway(t, ConfigFor(t, iss), OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}))
	raw := []byte(iss.Token(t, nil))
	l := newLane("GET", "/x", "Authorization", "Bearer "+string(raw))
	g.ServeExchange(l)
	if l.status != 200 {
		t.Fatal(l.status)
	}
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"}, spec.Route{Method: "GET", Path: "/y"})
	s.Revision = 2
	if err := g.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if _, hit := g.current.Load().verifier.VerifyCached(raw); !hit {
		t.Error("a reload that does not touch the issuer made its tokens cold")
	}
}

func TestPanicIsAnAnswer(t *testing.T) {
	c := ConfigFor(t)
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(*Exchange) error { panic("boom") }}, nil
	}
	g := newTestGateway(t, c, OrdersSnapshotPublic())
	l := newLane("GET", "/x")
	g.ServeExchange(l)
	if l.status != 500 || l.reason() != "internal" || strings.Contains(string(l.body), "boom") {
		t.Errorf("%d %s", l.status, l.body)
	}
}

// OrdersSnapshotPublic has one public route, GET /x.
func OrdersSnapshotPublic() spec.Snapshot {
	return OrdersSnapshot2("public", spec.Route{Method: "GET", Path: "/x", Public: true})
}

// OrdersSnapshot2 is OrdersSnapshot with another auth and no issuers.
func OrdersSnapshot2(auth string, routes ...spec.Route) spec.Snapshot {
	s := OrdersSnapshot(routes...)
	s.APIs[0].Auth = []string{auth}
	s.Issuers = nil
	return s
}

// hotGateway serves the hot path: cached token, scope, limit, headers, log; by one route, and as many more.
func hotGateway(t testing.TB, iss *FakeIssuer, log AccessLog, more int) *Gateway {
	t.Helper()
	c := ConfigFor(t, iss)
	c.AccessLog = log
	c.Backend = func(spec.API, Backend) (Backend, error) { return &replyBackend{}, nil }
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/orders/{id}", Scopes: [][]string{{"orders:read"}}})
	s.APIs[0].Limits = []spec.Limit{{Count: 1 << 40, Period: spec.Duration(time.Hour), Per: "client"}}
	s.APIs[0].BasePath = "/shop"
	for i := range more {
		s.APIs[0].Routes = append(s.APIs[0].Routes, spec.Route{
			Method: "GET", Path: fmt.Sprintf("/collection-%d/kind-%d/{id}", i%100, i/100), Scopes: [][]string{{"orders:read"}},
		})
	}
	return newTestGateway(t, c, s)
}

// replyBackend answers with an ordinary head.
type replyBackend struct{ resp wire.Response }

// Serve implements Backend.
func (b *replyBackend) Serve(ex *Exchange) error {
	b.resp.Status = 200
	if b.resp.Fields == nil {
		for _, f := range [][2]string{{"Content-Type", "application/json"}, {"Date", "x"}, {"Server", "y"}, {"Cache-Control", "private"}, {"ETag", `"1"`}} {
			b.resp.Fields = append(b.resp.Fields, wire.Field{Name: []byte(f[0]), Value: []byte(f[1]), Kind: wire.Classify([]byte(f[0]))})
		}
	}
	ex.SetUpstream("http://10.0.0.1:80", 1, time.Millisecond)
	return ex.Relay(&b.resp)
}

type nowhere struct{}

// Write implements AccessLog.
func (nowhere) Write([]byte) bool { return true }

func hotLane(t testing.TB, iss *FakeIssuer) *memoryLane {
	l := newLane("GET", "/shop/orders/17?expand=lines", "User-Agent", "bench/1", "Accept", "*/*", "Accept-Encoding", "gzip",
		"Authorization", "Bearer "+iss.Token(t, nil), "X-Forwarded-For", "10.0.0.9", "Cookie", "a=b", "X-Trace", "1")
	l.quiet = true
	return l
}

func TestHotPathAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	iss := NewIssuerFor(t, "https://issuer.test")
	g := hotGateway(t, iss, nowhere{}, 0)
	l := hotLane(t, iss)
	g.ServeExchange(l)
	if l.status != 200 {
		t.Fatal(l.status)
	}
	if n := testing.AllocsPerRun(1000, func() { g.ServeExchange(l) }); n > 0 {
		t.Errorf("%v allocations for an exchange with a cached token", n)
	}
}

// keepingLane is a lane whose memory serves one request after another.
type keepingLane struct {
	*memoryLane
	kept any
}

// Kept implements wire.Keeper.
func (l *keepingLane) Kept() *any { return &l.kept }

// TestKeptMemory: an exchange's memory stays with the lane, and nothing of the request in it.
func TestKeptMemory(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	g := hotGateway(t, iss, nowhere{}, 0)
	l := &keepingLane{memoryLane: hotLane(t, iss)}
	var first *Exchange
	for range 2 {
		g.ServeExchange(l)
		ex, ok := l.kept.(*Exchange)
		switch {
		case l.status != 200 || !ok:
			t.Fatalf("status %d, kept %T", l.status, l.kept)
		case ex.lane != nil || ex.token != nil || ex.req != nil:
			t.Error("the request is still there")
		case first != nil && ex != first:
			t.Error("the memory was not used again")
		}
		first = ex
	}
}

// TestKeptMemoryTellsNothing: callers who follow one another on a connection are told apart; who
// is not known is told to be nobody, and the lines about a caller that exchanges share stay as they are.
func TestKeptMemoryTellsNothing(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	var told string
	var lines, were [][]byte
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			told = string(bytes.Join(ex.Out.Lines[:], nil)) + string(ex.Out.Target)
			for _, f := range ex.Out.Fields {
				told += "\n" + string(f.Name) + ": " + string(f.Value)
			}
			if len(ex.Out.Lines[0]) > 0 {
				lines = append(lines, ex.Out.Lines[0])
				were = append(were, bytes.Clone(ex.Out.Lines[0]))
			}
			return ex.Relay(newResponse(200))
		}}, nil
	}
	g := newTestGateway(t, c, OrdersSnapshot(
		spec.Route{Method: "GET", Path: "/orders/{id}", Scopes: [][]string{{"orders:read"}}},
		spec.Route{Method: "GET", Path: "/open", Public: true}))
	l := &keepingLane{}
	tokens := map[string]string{}
	const ana, bea = "anastasia", "beatrice" // no hexadecimal or random text holds those
	for _, who := range []string{ana, bea} {
		tokens[who] = iss.Token(t, Claims{"uid": "id-of-" + who, "cid": "app-of-" + who})
	}
	for i := range 12 {
		who := []string{ana, "", bea, ana, "refused", ""}[i%6]
		switch who {
		case "":
			l.memoryLane = newLane("GET", "/open")
		case "refused":
			l.memoryLane = newLane("GET", "/orders/of-refused", "Cookie", "a=refused")
		default:
			l.memoryLane = newLane("GET", "/orders/of-"+who+"?"+who, "Authorization", "Bearer "+tokens[who], "Cookie", "a="+who, "X-Own", who)
		}
		told = ""
		g.ServeExchange(l)
		if want := map[bool]int{false: 200, true: 401}[who == "refused"]; l.status != want {
			t.Fatalf("%d for %q", l.status, who)
		}
		for _, other := range []string{ana, bea, "refused"} {
			if other != who && strings.Contains(told, other) {
				t.Errorf("in the request of %q: %q", who, told)
			}
		}
		if known := strings.Contains(told, headerUser+": id-of-"+who+"\r\n"); known != (who == ana || who == bea) {
			t.Errorf("the request of %q: %q", who, told)
		}
	}
	for i := range lines {
		if !bytes.Equal(lines[i], were[i]) {
			t.Errorf("%q became %q", were[i], lines[i])
		}
	}
}

func BenchmarkPipeline(b *testing.B) {
	iss := NewIssuerFor(b, "https://issuer.test")
	g := hotGateway(b, iss, nowhere{}, 0)
	l := hotLane(b, iss)
	b.ReportAllocs()
	for b.Loop() {
		g.ServeExchange(l)
	}
}

// BenchmarkRoutes asks for one route after the other, in no order, of few and of many.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			iss := NewIssuerFor(b, "https://issuer.test")
			g := hotGateway(b, iss, nowhere{}, n)
			l := hotLane(b, iss)
			g.ServeExchange(l)
			if l.status != 200 {
				b.Fatal(l.status)
			}
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				at := int(i * 0x9E3779B97F4A7C15 >> 33 % uint64(n))
				l.request.Target = fmt.Appendf(l.request.Target[:0], "/shop/collection-%d/kind-%d/17", at%100, at/100)
				g.ServeExchange(l)
			}
		})
	}
}

func BenchmarkRefusal(b *testing.B) {
	iss := NewIssuerFor(b, "https://issuer.test")
	g := hotGateway(b, iss, nowhere{}, 0)
	l := newLane("GET", "/shop/orders/17")
	l.quiet = true
	b.ReportAllocs()
	for b.Loop() {
		g.ServeExchange(l)
	}
}

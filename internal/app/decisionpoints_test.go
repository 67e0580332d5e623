package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/client"
	"gatehouse/internal/hostile"
)

// pdpModel decides about routes as a decision point elsewhere would.
const pdpModel = `
authzen:
  gateway:
    resources: [route]
    entities:
      identity:
        ana@example.com: { teams: [red] }
    policies: |
      permit (principal is identity, action == Action::"GET", resource is route)
      when { resource.params.user == principal.login && context.zones.contains("office") };
      permit (principal is identity, action == Action::"PUT", resource is route)
      when { principal has teams && principal.teams.contains("red") };
`

const askedAPI = `version: 1
issuers:
  default: { builtin: default }
zones:
  office: 127.0.0.0/8
decision_points:
  pdp: { url: %q, token: "${env:PDP_TOKEN}", timeout: %s }
apis:
  hr:
    base_path: /hr
    upstream: %s
    auth: default
    routes:
      GET /of/{user}: { scopes: [s], authorize: pdp }
      PUT /of/{user}: { scopes: [s], authorize: [pdp] }
      GET /alone: s
      GET /health: public
tests:
  - GET /hr/of/ana as ana with s -> allow
`

// One Gatehouse asks another one whether requests may pass: what that one's model
// refuses is refused here, on both lanes and for those who only ask, explained, and
// no secret is told to anybody.
func TestDecisionPointElsewhere(t *testing.T) {
	pdp := start(t, write(t, "version: 1\n"+decideServer(t)+pdpModel))
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(askedAPI, pdp.Ready().Decide, "10s", up.URL)), withEnv(map[string]string{"PDP_TOKEN": decideToken}))
	mint := func(user string) string {
		t.Helper()
		tok, err := p.admin().Mint(t.Context(), client.TokenRequest{User: user, Scopes: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		return tok.AccessToken
	}
	ana, ben := mint("ana@example.com"), mint("ben@example.com")
	for _, c := range []struct {
		method, path, token string
		status              int
		reason              string
	}{
		{"GET", "/hr/of/ana@example.com", ana, 200, ""},
		{"GET", "/hr/of/ana@example.com", ben, 403, "policy_forbids"},
		{"PUT", "/hr/of/x", ana, 200, ""},
		{"PUT", "/hr/of/x", ben, 403, "policy_forbids"},
		{"GET", "/hr/alone", ben, 200, ""},
		{"GET", "/hr/health", "", 200, ""},
	} {
		for lane, header := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			a := p.call(c.method, c.path, c.token, header...)
			if a.Status != c.status || !strings.Contains(a.Header.Get("Gatehouse-Decision"), c.reason) {
				t.Errorf("%s %s on the %s lane: %d %s", c.method, c.path, lane, a.Status, a.Body)
			}
			if c.status != http.StatusForbidden {
				continue
			}
			id := a.Header.Get("X-Request-Id")
			d, err := p.decision(id)
			if err != nil {
				t.Fatal(err)
			}
			if s := stepNamed(d, "decision points"); s.Outcome != "refuse" || !strings.HasPrefix(s.Had, "pdp forbids it") || !strings.Contains(s.Source, "gatehouse.yaml:1") {
				t.Errorf("explained as %+v", s)
			}
			// The one that was asked knows the question by the same id.
			if d, err := pdp.decision(id); err != nil || d.Reason != "policy_forbids" {
				t.Errorf("there: %+v %v", d, err)
			}
		}
	}
	a, err := p.admin().Authz(t.Context(), client.AuthzQuestion{
		Method: "GET", Host: "x.test", Path: "/hr/of/ana@example.com", ClientIP: "127.0.0.1", Headers: map[string][]string{"Authorization": {"Bearer " + ben}},
	})
	if err != nil || a.Decision != "deny" || a.Reason != "policy_forbids" {
		t.Errorf("who only asks: %+v %v", a, err)
	}
	out, err := p.admin().Export(t.Context(), 0)
	if err != nil || !strings.Contains(string(out), `token: "${env:PDP_TOKEN}"`) || strings.Contains(string(out), decideToken) {
		t.Errorf("exported as %s %v", out, err)
	}
	pdp.stop()
	if a := p.call("GET", "/hr/of/ana@example.com", ana); a.Status != 503 || !strings.Contains(a.Body, "policy_error") || a.Header.Get("Retry-After") == "" {
		t.Errorf("with nobody to ask: %d %s", a.Status, a.Body)
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", ""); a.Status != 200 || !strings.Contains(a.Body, "decision point pdp degraded") {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
	if a := p.call("GET", "/hr/alone", ana); a.Status != 200 {
		t.Errorf("others: %d", a.Status)
	}
	data := p.data
	said := p.out.String() + p.err.String()
	p.stop()
	if where := contains(t, data, decideToken); len(where) != 0 || strings.Contains(said, decideToken) {
		t.Errorf("the token stands in %v", where)
	}
}

// A decision point only says yes or no. What else it sends, in headers or beside its
// decision, reaches neither the upstream nor the caller, on both lanes (attack gateway 57).
func TestDecisionPointSaysYesOrNo(t *testing.T) {
	var yes atomic.Bool
	pdp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, h := range []string{"Set-Cookie: sid=planted", "X-User-ID: planted", "X-Client-ID: planted", "X-Gatehouse-Context: planted", "Authorization: planted", "Location: /planted", "Host: planted", "Content-Type: application/json"} {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		_, _ = fmt.Fprintf(w, `{"decision":%t,"context":{"headers":{"X-User-ID":"planted"},"reason":"planted","set_headers":{"X-Role":"planted"}}}`, yes.Load())
	}))
	t.Cleanup(pdp.Close)
	up := echoUpstream(t, nil)
	p := start(t, write(t, fmt.Sprintf(askedAPI, pdp.URL, "10s", up.URL)), withEnv(map[string]string{"PDP_TOKEN": "x"}))
	token := p.token("s")
	for answer, want := range map[bool]int{true: http.StatusOK, false: http.StatusForbidden} {
		yes.Store(answer)
		for lane, header := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			a := p.call(http.MethodGet, "/hr/of/ana", token, append([]string{"X-User-ID", "root"}, header...)...)
			if a.Status != want || strings.Contains(a.Body+fmt.Sprint(a.Header), "planted") || strings.Contains(a.Body, "root") {
				t.Errorf("on the %s lane: %d %v %s", lane, a.Status, a.Header, a.Body)
			}
			if answer && !strings.Contains(a.Body, p.Ready().Demo.ClientID) {
				t.Errorf("on the %s lane the upstream is not told who calls: %s", lane, a.Body)
			}
		}
	}
}

// stepNamed returns the step of a decision.
func stepNamed(d client.Decision, name string) client.Step {
	for _, s := range d.Steps {
		if s.Name == name {
			return s
		}
	}
	return client.Step{}
}

// A decision point that misbehaves in every way that we know lets nobody in, and the
// others are served meanwhile.
func decisionPointDown(t *testing.T) {
	s, err := hostile.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	up := echoUpstream(t, nil)
	var ahead atomic.Int64
	p := start(t, write(t, fmt.Sprintf(askedAPI, s.URL, "4s", up.URL)), withEnv(map[string]string{"PDP_TOKEN": "x"}), withClock(&ahead))
	token := p.token("s")
	if a := p.call("GET", "/hr/of/ana", token); a.Status != 200 {
		t.Fatalf("when it behaves: %d %s", a.Status, a.Body)
	}
	for name, answer := range hostile.Answers() {
		if name == "flapping" {
			continue // every other answer of it is right
		}
		ahead.Add(int64(time.Minute)) // one that has failed a few times is not asked at once
		s.Turn(answer)
		s.Asked()
		began := time.Now()
		a := p.call("GET", "/hr/of/ana", token)
		if a.Status != 503 || !strings.Contains(a.Body, "policy_error") || s.Asked() == 0 {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if a := p.call("GET", "/hr/alone", token); a.Status != 200 {
			t.Errorf("%s: others get %d", name, a.Status)
		}
	}
}

package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gatehouse/client"
)

const ruledAPI = `version: 1
issuers:
  default: { builtin: default }
zones:
  here: [127.0.0.0/8]
  elsewhere: 203.0.113.0/24
apis:
  a:
    base_path: /a
    upstream: %s
    auth: default
    routes:
      GET /mine/{user}: { scopes: [s], when: resource.user == principal.login }
      GET /all:         { scopes: [s] }
      GET /here:        { scopes: [s], zones: [here] }
      GET /elsewhere:   { scopes: [s], zones: [elsewhere] }
      GET /open:        public
%s`

const forbidden = `policies:
  hands_off: |
    // nobody reads everything
    forbid (principal, action == Action::"GET /a/all", resource)
    unless { principal.login == "ana@example.com" };
  no_debug: |
    forbid (principal, action, resource) when { resource.headers["x-debug"].contains("on") };
tests:
  - GET /a/all as ana@example.com with s -> allow
  - GET /a/all as ben@example.com with s -> deny policy_forbids
  - GET /a/mine/ben as ana with s        -> deny condition_failed
  - GET /a/here with s from 203.0.113.1  -> deny zone_not_allowed
`

// Conditions, policies and zones through the whole program: served, changed while
// serving, and refused when they are wrong.
func TestRulesThroughTheProgram(t *testing.T) {
	up := echoUpstream(t, nil)
	file := write(t, fmt.Sprintf(ruledAPI, up.URL, ""))
	p := start(t, file)
	mint := func(user string) string {
		t.Helper()
		tok, err := p.admin().Mint(t.Context(), client.TokenRequest{User: user, Scopes: []string{"s"}})
		if err != nil {
			t.Fatal(err)
		}
		return tok.AccessToken
	}
	ana, ben := mint("ana@example.com"), mint("ben@example.com")
	type call struct {
		path, token string
		status      int
		reason      string
		header      []string
	}
	check := func(when string, calls ...call) (last answer) {
		t.Helper()
		for _, c := range calls {
			last = p.call(http.MethodGet, c.path, c.token, c.header...)
			if last.Status != c.status || c.reason != "" && last.json(t)["reason"] != c.reason {
				t.Errorf("%s, %s: %d %s, want %d %s", when, c.path, last.Status, last.Body, c.status, c.reason)
			}
		}
		return last
	}
	always := []call{
		{"/a/mine/ana@example.com", ana, 200, "", nil},
		{"/a/mine/ana%40example.com", ana, 200, "", nil},
		{"/a/mine/ben@example.com", ana, 403, "condition_failed", nil},
		{"/a/here", ana, 200, "", nil},
		{"/a/elsewhere", ana, 403, "zone_not_allowed", nil},
		{"/a/elsewhere", ana, 403, "zone_not_allowed", []string{"X-Forwarded-For", "203.0.113.9"}},
	}
	check("at first", append(always, call{"/a/all", ben, 200, "", nil}, call{"/a/open", "", 200, "", []string{"X-Debug", "on"}})...)

	before := p.Revision()
	replace(t, file, fmt.Sprintf(ruledAPI, up.URL, forbidden))
	eventually(t, "the policies", func() bool { return p.Revision() > before })
	ruled := append(always,
		call{"/a/all", ana, 200, "", nil},
		call{"/a/open", "", 403, "policy_forbids", []string{"X-Debug", "off", "X-Debug", "on"}},
		call{"/a/all", ben, 403, "policy_forbids", nil})
	last := check("with policies", ruled...)
	d, err := p.decision(last.Header.Get("X-Request-Id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Steps {
		if s.Name == "policy" && (s.Reason != "policy_forbids" || !strings.HasPrefix(s.Had, "the policy hands_off (its line 2) forbids it: ") || !strings.HasSuffix(s.Source, ":21:1")) {
			t.Errorf("explained as %+v", s)
		}
	}

	// What would loosen, or means nothing, does not come to be served.
	before = p.Revision()
	for _, wrong := range []string{
		"policies:\n  p: permit (principal, action, resource);\n",
		strings.Replace(forbidden, "principal.login", "principal.logn", 1),
		strings.Replace(forbidden, "-> allow", "-> deny policy_forbids", 1),
	} {
		replace(t, file, fmt.Sprintf(ruledAPI, up.URL, wrong))
		eventually(t, "the file to be refused", func() bool {
			a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", "")
			return strings.Contains(a.Body, "the file was refused")
		})
		check("after a wrong file", ruled...)
		replace(t, file, fmt.Sprintf(ruledAPI, up.URL, forbidden))
		eventually(t, "the file to be taken again", func() bool {
			a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", "")
			return !strings.Contains(a.Body, "the file was refused")
		})
	}
	if p.Revision() != before {
		t.Error("the revision changed")
	}
}

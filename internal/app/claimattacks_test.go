package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
)

const claimedAPI = `version: 1
issuers:
  okta: { url: %s, audience: api://orders }
apis:
  a:
    base_path: /a
    upstream: %s
    auth: okta
    headers: { forward: [X-User-ID, X-Client-ID, X-Granted-Scopes], claims: { X-Team: team, X-Groups: groups } }
    routes:
      GET /plain:  {}
      GET /role:   { when: '!resource.headers["x-role"].contains("admin")' }
      GET /mfa:    { mfa: 5m }
      GET /strong: { acr: phr, max_age: 10m }
`

// What an issuer's tokens may say that is meant to mislead, through the whole program: on
// both lanes and for proxies that ask. Claims that would split a line or a list (attack
// gateway 52), a header that is there twice (attack gateway 53), sign-ins that are weaker or
// older than they look (attack gateway 75 to 78).
func TestMisleadingClaimsThroughTheProgram(t *testing.T) {
	up := echoUpstream(t, nil)
	is := newIssuer(t)
	p := start(t, write(t, fmt.Sprintf(claimedAPI, is.URL, up.URL)))
	now := time.Now().Unix()
	mfa := []string{"pwd", "otp"}
	for _, c := range []struct {
		name, path string
		claims     map[string]any
		header     []string
		status     int
		reason     string
	}{
		{"53: one of two lines", "/a/role", nil, []string{"X-Role", "user", "X-Role", "admin"}, 403, "condition_failed"},
		{"53: one of a list", "/a/role", nil, []string{"X-Role", "user,admin"}, 403, "condition_failed"},
		{"53: with spaces", "/a/role", nil, []string{"X-Role", "user ,\tadmin"}, 403, "condition_failed"},
		{"53: neither", "/a/role", nil, []string{"X-Role", "user", "X-Role", "guest"}, 200, ""},
		{"75: no method", "/a/mfa", map[string]any{"auth_time": now}, nil, 401, "step_up_required"},
		{"75: no class", "/a/strong", map[string]any{"auth_time": now, "amr": mfa}, nil, 401, "step_up_required"},
		{"76: no time", "/a/mfa", map[string]any{"amr": mfa}, nil, 401, "step_up_required"},
		{"76: old", "/a/mfa", map[string]any{"amr": mfa, "auth_time": now - 400}, nil, 401, "step_up_required"},
		{"76: in the future", "/a/mfa", map[string]any{"amr": mfa, "auth_time": now + 3600}, nil, 401, "step_up_required"},
		{"76: in milliseconds", "/a/mfa", map[string]any{"amr": mfa, "auth_time": now * 1000}, nil, 401, ""},
		{"76: as text", "/a/mfa", map[string]any{"amr": mfa, "auth_time": fmt.Sprint(now)}, nil, 401, "token_malformed"},
		{"76: recent", "/a/mfa", map[string]any{"amr": mfa, "auth_time": now - 30}, nil, 200, ""},
		{"77: a refreshed token", "/a/mfa", map[string]any{"amr": mfa, "auth_time": now - 3600, "iat": now}, nil, 401, "step_up_required"},
		{"78: a lower class", "/a/strong", map[string]any{"acr": "urn:okta:loa:1fa:any", "auth_time": now, "acr_values": "phr"}, nil, 401, "step_up_required"},
		{"78: the class", "/a/strong", map[string]any{"acr": "phr", "auth_time": now}, nil, 200, ""},
		{"78: the class, long ago", "/a/strong", map[string]any{"acr": "phr", "auth_time": now - 700}, nil, 401, "step_up_required"},
	} {
		token := is.token(t, c.claims)
		asked := client.AuthzQuestion{Method: "GET", Host: "api.test", Path: c.path, ClientIP: "192.0.2.9", Headers: map[string][]string{"Authorization": {"Bearer " + token}}}
		for i := 0; i < len(c.header); i += 2 {
			asked.Headers[c.header[i]] = append(asked.Headers[c.header[i]], c.header[i+1])
		}
		a, err := p.admin().Authz(t.Context(), asked)
		if err != nil || a.Status != c.status || c.reason != "" && a.Reason != c.reason {
			t.Errorf("%s, asked: %+v %v", c.name, a, err)
		}
		for lane, mark := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			a := p.call(http.MethodGet, c.path, token, append(c.header, mark...)...)
			if a.Status != c.status || c.reason != "" && a.json(t)["reason"] != c.reason {
				t.Errorf("%s on the %s lane: %d %s", c.name, lane, a.Status, a.Body)
			}
			want := map[string]string{"/a/mfa": `acr_values="urn:okta:loa:2fa:any", max_age="300"`, "/a/strong": `acr_values="phr", max_age="600"`}[c.path]
			if got := a.Header.Get("WWW-Authenticate"); c.reason == "step_up_required" && (!strings.Contains(got, `error="insufficient_user_authentication"`) || !strings.Contains(got, want)) {
				t.Errorf("%s: the challenge is %s", c.name, got)
			}
		}
	}

	groups := make([]string, 60) // a token is read up to 16 KiB, and a claim passed on up to 4
	for i := range groups {
		groups[i] = fmt.Sprintf("%0130d", i)
	}
	for name, c := range map[string]struct {
		claims map[string]any
		told   map[string]string // "" = nothing
	}{
		"52: line breaks": {map[string]any{"sub": "ana\r\nX-User-ID: root", "team": "a\r\n\r\nGET /admin"}, map[string]string{"X-User-Id": "ana%0D%0AX-User-ID: root", "X-Team": "a%0D%0A%0D%0AGET /admin"}},
		"52: commas":      {map[string]any{"groups": []string{"a", "b,root"}}, map[string]string{"X-Groups": "a,b%2Croot"}},
		"52: not ASCII":   {map[string]any{"team": "Zoë"}, map[string]string{"X-Team": "Zo%C3%AB"}},
		"52: too long":    {map[string]any{"groups": groups, "team": "red"}, map[string]string{"X-Groups": "", "X-Team": "red", "X-Gatehouse-Omitted": "X-Groups"}},
	} {
		token := is.token(t, c.claims)
		for lane, mark := range map[string][]string{"strict": nil, "standard": {"Expect", "100-continue"}} {
			a := p.call(http.MethodGet, "/a/plain", token, mark...)
			var got struct{ Headers map[string][]string }
			if a.Status != http.StatusOK || json.Unmarshal([]byte(a.Body), &got) != nil {
				t.Errorf("%s on the %s lane: %d %s", name, lane, a.Status, a.Body)
			}
			for header, want := range c.told {
				if list := got.Headers[header]; len(list) > 1 || strings.Join(list, "") != want {
					t.Errorf("%s on the %s lane: the upstream is told %s %q, want %q", name, lane, header, list, want)
				}
			}
			if len(got.Headers["X-User-Id"]) != 1 {
				t.Errorf("%s on the %s lane: %v", name, lane, got.Headers)
			}
		}
	}
}

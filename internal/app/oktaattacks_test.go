package app_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/app"
)

// What the server gives is not taken from the caller (attack identity 54).
func TestOktaMassAssignment(t *testing.T) {
	p := start(t, "")
	given := `"id":"x00000000000000000aa","system":true,"default":true,"builtIn":true,"created":"2001-01-01T00:00:00.000Z","issuer":"https://evil.example","_links":{"self":{"href":"https://evil.example"}}`
	objects := map[string]string{
		"/api/v1/authorizationServers":                `{` + given + `,"name":"mass","audiences":["api://x"],"status":"INACTIVE"}`,
		"/api/v1/authorizationServers/default/scopes": `{` + given + `,"name":"mass"}`,
		"/api/v1/groups":                              `{` + given + `,"type":"BUILT_IN","profile":{"name":"mass"}}`,
		"/api/v1/zones":                               `{` + given + `,"useAsExemptList":true,"type":"IP","name":"mass","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}`,
		"/api/v1/users":                               `{` + given + `,"status":"ACTIVE","passwordHash":"x","profile":{"login":"mass@example.com","email":"mass@example.com"}}`,
		"/api/v1/apps":                                `{` + given + `,"grants":[{"scope":"okta.users.manage"}],"name":"oidc_client","label":"mass","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`,
		"/api/v1/meta/types/user":                     `{` + given + `,"name":"mass","displayName":"mass"}`,
	}
	for path, body := range objects {
		a := p.okta("POST", path, body)
		if a.Status >= 300 {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
			continue
		}
		for _, bad := range []string{"x00000000000000000aa", "evil.example", "2001-01-01", `"system":true`, `"default":true`, `"BUILT_IN"`, `"useAsExemptList":true`} {
			// Scopes may be default ones, and apps have a template of that name.
			own := bad == `"default":true` && strings.HasSuffix(path, "/scopes") || bad == `"BUILT_IN"` && strings.HasSuffix(path, "/apps")
			if strings.Contains(a.Body, bad) && !own {
				t.Errorf("%s took %s: %s", path, bad, a.Body)
			}
		}
		id, _ := a.json(t)["id"].(string)
		// Nor when it is there already: what a change names besides stays as it was.
		put := p.okta("PUT", path+"/"+id, body)
		if put.Status == http.StatusOK && put.json(t)["id"] != id {
			t.Errorf("%s has another id after a change: %s", path, put.Body)
		}
		for _, bad := range []string{"x00000000000000000aa", "evil.example", "2001-01-01", `"system":true`} {
			if put.Status >= 500 || put.Status == http.StatusOK && strings.Contains(put.Body, bad) {
				t.Errorf("a change of %s took %s: %d %s", path, bad, put.Status, put.Body)
			}
		}
		if strings.HasSuffix(path, "/users") && a.json(t)["status"] != "PROVISIONED" {
			t.Errorf("a status was taken: %s", a.Body)
		}
		if strings.HasSuffix(path, "/apps") && p.okta("GET", path+"/"+id+"/grants", "").Body != "[]" {
			t.Error("grants were taken")
		}
	}
}

// What belongs to one server, app or user is not reached by way of another (attack
// identity 55).
func TestOktaForeignParents(t *testing.T) {
	p := start(t, "")
	const servers = "/api/v1/authorizationServers/"
	other := p.made("/api/v1/authorizationServers", `{"name":"other","audiences":["api://x"]}`)
	scope := p.made(servers+"default/scopes", `{"name":"a"}`)
	claim := p.made(servers+"default/claims", `{"name":"a","claimType":"RESOURCE","valueType":"EXPRESSION","value":"\"x\"","conditions":{"scopes":[]}}`)
	policy := p.made(servers+"default/policies", `{"name":"a","conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	rule := p.made(servers+"default/policies/"+policy+"/rules", `{"name":"a","conditions":{"people":{"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["client_credentials"]},"scopes":{"include":["*"]}}}`)
	app := func(label string) string {
		return p.made("/api/v1/apps", `{"name":"oidc_client","label":"`+label+`","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	}
	mine, theirs := app("mine"), app("theirs")
	secret := p.made("/api/v1/apps/"+mine+"/credentials/secrets", "")
	grant := p.made("/api/v1/apps/"+mine+"/grants", `{"scopeId":"okta.logs.read"}`)
	factor := p.made("/api/v1/users/ben@example.com/factors", `{"factorType":"question","provider":"OKTA","profile":{"question":"first_award","answer":"Swimming"}}`)
	role := p.made("/api/v1/users/ben@example.com/roles", `{"type":"REPORT_ADMIN"}`)
	for _, path := range []string{
		servers + other + "/scopes/" + scope, servers + other + "/claims/" + claim, servers + other + "/policies/" + policy,
		servers + other + "/policies/" + policy + "/rules/" + rule,
		"/api/v1/apps/" + theirs + "/credentials/secrets/" + secret, "/api/v1/apps/" + theirs + "/grants/" + grant,
		"/api/v1/users/me/factors/" + factor, "/api/v1/users/me/roles/" + role,
	} {
		for _, method := range []string{"GET", "DELETE"} {
			if a := p.okta(method, path, ""); a.Status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, path, a.Status, a.Body)
			}
		}
	}
}

// What is asked of lists is asked of either engine: they do not take the same text amiss.
func TestOktaListsOnBothEngines(t *testing.T) {
	onBothEngines(t, func(t *testing.T, store startOption) {
		p := start(t, "", store)
		p.forgedCursors(t)
		p.filterBombs(t)
	})
}

// A cursor is a position and nothing else (attack identity 56).
func (p *program) forgedCursors(t *testing.T) {
	t.Helper()
	raw := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, after := range []string{
		"'", "00u", "../..", raw("' OR 1=1 --"), raw("x\x00' OR '1'='1"), raw("a\x00b\x00c"), raw("\x00"), raw(strings.Repeat("a", 70) + "\x00"), raw("a\x00" + strings.Repeat("b", 5000)), strings.Repeat("A", 100_000),
	} {
		for _, list := range []string{"users", "groups", "apps", "zones", "trustedOrigins", "api-tokens", "authorizationServers", "groups/rules", "logs"} {
			a := p.okta("GET", "/api/v1/"+list+"?after="+url.QueryEscape(after), "")
			if a.Status >= 500 || a.Status == http.StatusOK && len(a.Body) > 2 && strings.Contains(after, "OR") {
				t.Errorf("%s with the cursor %.40q: %d %.200s", list, after, a.Status, a.Body)
			}
		}
	}
	// One that was handed out for another order leads nowhere else than to its place.
	links := p.okta("GET", "/api/v1/users?limit=1", "").Header.Values("Link")
	next := links[len(links)-1]
	next = next[strings.Index(next, "after=")+6:]
	next = next[:strings.IndexAny(next, "&>")]
	if a := p.okta("GET", "/api/v1/users?search="+url.QueryEscape(`status eq "ACTIVE"`)+"&after="+next, ""); a.Status >= 500 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// A filter is data, and its cost is bounded (attack identity 57).
func (p *program) filterBombs(t *testing.T) {
	t.Helper()
	quoted := func(s string) string { return `profile.login eq "` + s + `"` }
	for name, tt := range map[string]struct {
		search string
		status int
	}{
		"SQL in a value":         {quoted(`x' OR '1'='1`), 200},
		"SQL in a name":          {`profile.login' OR '1'='1 eq "x"`, 400},
		"wildcards":              {quoted(`%`), 200},
		"a quote that is closed": {`profile.login eq "x" or status pr or "`, 400},
		"NUL":                    {quoted("\x00"), 200},
		"deep":                   {strings.Repeat("(", 1000) + `status pr` + strings.Repeat(")", 1000), 400},
		"many":                   {strings.TrimSuffix(strings.Repeat(`status pr or `, 101), " or "), 400},
		"long":                   {quoted(strings.Repeat("x", 5000)), 400},
		"nots":                   {strings.Repeat("not ", 1000) + "status pr", 400},
		"bytes that are no text": {quoted("\xff"), 400},
	} {
		began := time.Now()
		a := p.okta("GET", "/api/v1/users?search="+url.QueryEscape(tt.search), "")
		if a.Status != tt.status || a.Status == 200 && a.Body != "[]" {
			t.Errorf("%s: %d %.200s", name, a.Status, a.Body)
		}
		t.Logf("%s: %v", name, time.Since(began))
	}
}

// An API token is kept as a hash, and no listing shows it (attack identity 58).
func TestOktaTokensAreNotShown(t *testing.T) {
	p := start(t, "")
	app.FlushLog(t, p.App)
	for _, path := range []string{"/api/v1/api-tokens", "/api/v1/logs?limit=1000", "/api/v1/users/me"} {
		if a := p.okta("GET", path, ""); a.Status != http.StatusOK || strings.Contains(a.Body, p.Ready().APIToken) {
			t.Errorf("%s: %d", path, a.Status)
		}
	}
	if strings.Contains(p.err.String(), p.Ready().APIToken) {
		t.Error("the log has the token")
	}
}

func TestOktaServerParts(t *testing.T) {
	p := start(t, "")
	a, b := p.made("/api/v1/authorizationServers", `{"name":"a","audiences":["api://a"]}`), p.made("/api/v1/authorizationServers", `{"name":"b","audiences":["api://b"]}`)
	path := "/api/v1/authorizationServers/" + a
	list := func(query string) (ids []string) {
		var out []struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(p.okta("GET", path+"/associatedServers"+query, "").Body), &out); err != nil {
			t.Fatal(err)
		}
		for _, o := range out {
			ids = append(ids, o.ID)
		}
		return ids
	}
	if got := p.okta("POST", path+"/associatedServers", `{"trusted":["`+b+`"]}`); got.Status != http.StatusOK {
		t.Fatal(got.Body)
	}
	if got := list("?trusted=true"); len(got) != 1 || got[0] != b {
		t.Errorf("trusted: %v", got)
	}
	if got := list("?trusted=false"); len(got) != 1 {
		t.Errorf("not trusted: %v", got)
	}
	if got := p.okta("POST", path+"/associatedServers", `{"trusted":["aus0"]}`); got.Status != http.StatusBadRequest {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if got := p.okta("DELETE", path+"/associatedServers/"+b, ""); got.Status != want {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}

	app := p.made("/api/v1/apps", `{"name":"oidc_client","label":"certified","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	target := p.made("/api/v1/apps", `{"name":"oidc_client","label":"target","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	certs := "/api/v1/apps/" + app + "/credentials/keys"
	made := p.okta("POST", certs+"/generate?validityYears=2", "")
	cert := made.json(t)
	kid, _ := cert["kid"].(string)
	n, _ := cert["n"].(string)
	if made.Status != http.StatusCreated || len(kid) != 43 || n == "" || strings.Contains(made.Body, "sealed") {
		t.Fatalf("%d %s", made.Status, made.Body)
	}
	for _, years := range []string{"1", "11", "x", ""} {
		if got := p.okta("POST", certs+"/generate?validityYears="+years, ""); got.Status != http.StatusBadRequest {
			t.Errorf("%s years: %d", years, got.Status)
		}
	}
	for _, want := range []int{http.StatusCreated, http.StatusBadRequest} {
		if got := p.okta("POST", certs+"/"+kid+"/clone?targetAid="+target, ""); got.Status != want {
			t.Errorf("clone: %d %s", got.Status, got.Body)
		}
	}
	if got := p.okta("GET", "/api/v1/apps/"+target+"/credentials/keys/"+kid, ""); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}

	// The numbers of the certificate do as a key of resource servers.
	keys := path + "/resourceservercredentials/keys"
	body := func(kid string) string {
		return `{"kty":"RSA","use":"enc","kid":"` + kid + `","n":"` + n + `","e":"AQAB"}`
	}
	one, two := p.made(keys, body("one")), p.made(keys, body("two"))
	for _, bad := range []string{body("one"), `{"kty":"RSA","use":"sig","kid":"x","n":"` + n + `","e":"AQAB"}`, `{"kty":"RSA","use":"enc","kid":"x","n":"AQAB","e":"AQAB"}`, `[]`} {
		if got := p.okta("POST", keys, bad); got.Status != http.StatusBadRequest {
			t.Errorf("%.60s: %d %s", bad, got.Status, got.Body)
		}
	}
	for _, id := range []string{one, two} {
		if got := p.okta("POST", keys+"/"+id+"/lifecycle/activate", ""); got.Status != http.StatusOK {
			t.Errorf("%d %s", got.Status, got.Body)
		}
	}
	// One at most is active.
	if got := p.okta("GET", keys+"/"+one, "").json(t)["status"]; got != "INACTIVE" {
		t.Errorf("the first key is %v", got)
	}
	if got := p.okta("DELETE", keys+"/"+two, ""); got.Status != http.StatusForbidden {
		t.Errorf("an active key: %d %s", got.Status, got.Body)
	}
	if got := p.okta("DELETE", keys+"/"+one, ""); got.Status != http.StatusNoContent {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}

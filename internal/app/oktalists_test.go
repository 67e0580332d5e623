package app_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// profiles returns an attribute of the profiles of a list, page by page as its links lead.
func (p *program) profiles(path, attribute string) (out []string) {
	p.t.Helper()
	for address := p.Ready().Identity + path; address != ""; {
		a := p.request(http.MethodGet, address, "", "", "Authorization", "SSWS "+p.Ready().APIToken)
		var all []struct {
			Profile map[string]any `json:"profile"`
		}
		if err := json.Unmarshal([]byte(a.Body), &all); err != nil || a.Status != http.StatusOK {
			p.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		for _, o := range all {
			text, _ := o.Profile[attribute].(string)
			out = append(out, text)
		}
		address = ""
		for _, l := range a.Header.Values("Link") {
			if strings.HasSuffix(l, `rel="next"`) {
				address = strings.Trim(strings.Split(l, ";")[0], "<>")
			}
		}
	}
	return out
}

// What is searched for is sorted as asked, and one page follows the other, on both
// engines: also while somebody else is added in between.
func TestOktaSortedLists(t *testing.T) {
	onBothEngines(t, func(t *testing.T, store startOption) {
		p := start(t, "", store)
		for login, name := range map[string]string{"s1": "delta", "s2": "Alpha", "s3": "charlie", "s4": "Bravo", "s5": "alpha"} {
			p.made("/api/v1/users", `{"profile":{"login":"`+login+`@sorted.test","email":"`+login+`@sorted.test","firstName":"`+name+`"}}`)
			p.made("/api/v1/groups", `{"profile":{"name":"sorted `+login+`","description":"`+name+`"}}`)
		}
		users := "/api/v1/users?limit=2&sortBy=profile.firstName&search=" + url.QueryEscape(`profile.email ew "@sorted.test"`)
		groups := "/api/v1/groups?limit=2&sortBy=profile.description&search=" + url.QueryEscape(`profile.name sw "sorted"`)
		up := []string{"alpha", "alpha", "bravo", "charlie", "delta"}
		down := slices.Clone(up)
		slices.Reverse(down)
		for query, want := range map[string][]string{users: up, users + "&sortOrder=desc": down} {
			if got := lower(p.profiles(query, "firstName")); !slices.Equal(got, want) {
				t.Errorf("%s: %v", query, got)
			}
		}
		for query, want := range map[string][]string{groups: up, groups + "&sortOrder=desc": down} {
			if got := lower(p.profiles(query, "description")); !slices.Equal(got, want) {
				t.Errorf("%s: %v", query, got)
			}
		}
		for _, bad := range []string{"&sortBy=nothing", "&sortOrder=sideways"} {
			q := strings.Replace(users, "&sortBy=profile.firstName", "", 1) + "&sortBy=" + "profile.firstName"
			if strings.HasPrefix(bad, "&sortBy") {
				q = strings.Replace(q, "sortBy=profile.firstName", bad[1:], 1)
			} else {
				q += bad
			}
			if a := p.okta("GET", q, ""); a.Status != http.StatusBadRequest {
				t.Errorf("%s: %d %s", q, a.Status, a.Body)
			}
		}
		p.grownBetweenPages(t)
	})
}

func lower(in []string) []string {
	for i := range in {
		in[i] = strings.ToLower(in[i])
	}
	return in
}

// grownBetweenPages reads a list while others write: who was there at the beginning and
// stays is listed once, whoever comes and goes.
func (p *program) grownBetweenPages(t *testing.T) {
	t.Helper()
	before := p.profiles("/api/v1/groups?limit=200", "name")
	seen := map[string]int{}
	address, n := "/api/v1/groups?limit=1", 0
	for address != "" {
		a := p.okta("GET", address, "")
		var page []struct {
			Profile struct{ Name string } `json:"profile"`
		}
		if err := json.Unmarshal([]byte(a.Body), &page); err != nil {
			t.Fatal(err)
		}
		for _, g := range page {
			seen[g.Profile.Name]++
		}
		address = ""
		for _, l := range a.Header.Values("Link") {
			if to, ok := strings.CutSuffix(l, `>; rel="next"`); ok {
				address = strings.TrimPrefix(to, "<"+p.Ready().Identity)
			}
		}
		if n++; n < 4 {
			p.made("/api/v1/groups", `{"profile":{"name":"`+[]string{"", "AAA first", "sorted s1a", "zzz last"}[n]+`"}}`)
		}
	}
	for _, name := range before {
		if seen[name] != 1 {
			t.Errorf("%s is listed %d times", name, seen[name])
		}
	}
}

// Lists are filtered by what Okta's are, and embed what is asked for; a filter by what
// there is not is refused, as it would find nothing.
func TestOktaFiltersAndEmbeds(t *testing.T) {
	p := start(t, "")
	group := p.made("/api/v1/groups", `{"profile":{"name":"embedded","description":"g"}}`)
	user := p.made("/api/v1/users", `{"profile":{"login":"embed@example.com","email":"embed@example.com","firstName":"Em"},"groupIds":["`+group+`"]}`)
	app := p.made("/api/v1/apps", `{"name":"oidc_client","label":"embedding","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	other := p.made("/api/v1/apps", `{"name":"oidc_client","label":"embedding more","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	p.okta("PUT", "/api/v1/apps/"+app+"/groups/"+group, `{}`)
	p.okta("POST", "/api/v1/apps/"+other+"/users", `{"id":"`+user+`","scope":"USER","credentials":{"userName":"em-bed"}}`)
	rule := p.made("/api/v1/groups/rules", `{"type":"group_rule","name":"embedded","conditions":{"expression":{"type":"urn:okta:expression:1.0","value":"user.city==\"x\""}},"actions":{"assignUserToGroups":{"groupIds":["`+group+`"]}}}`)
	has := func(path string, want ...string) {
		t.Helper()
		a := p.okta("GET", path, "")
		for _, w := range want {
			if a.Status != http.StatusOK || !strings.Contains(a.Body, w) {
				t.Errorf("%s: %d, without %s: %s", path, a.Status, w, a.Body)
			}
		}
	}
	filter := func(f string) string { return "?filter=" + url.QueryEscape(f) }
	has("/api/v1/groups?q=embedded&expand=stats", `"usersCount":1`, `"appsCount":1`, `"hasAdminPrivilege":false`)
	has("/api/v1/groups"+filter(`objectClass eq "okta:user_group"`), "embedded")
	has("/api/v1/groups/rules/"+rule+"?expand=groupIdToGroupNameMap", `"`+group+`":"embedded"`)
	has("/api/v1/apps/"+app+"/groups?expand=group", `"description":"g"`)
	has("/api/v1/apps/"+app+"/groups?q=EMB", group)
	has("/api/v1/apps/"+other+"/users?expand=user&q=em-", `"login":"embed@example.com"`)
	has("/api/v1/users?search="+url.QueryEscape(`credentials.provider.type eq "OKTA" and id eq "`+user+`"`), "embed@example.com")
	// A person has the apps of their groups, too.
	if got := listed(t, p, "/api/v1/apps"+filter(`user.id eq "`+user+`"`)+"&expand=user/"+user); len(got) != 2 || !slices.Contains(got, app) || !slices.Contains(got, other) {
		t.Errorf("apps of a user: %v", got)
	}
	has("/api/v1/apps"+filter(`user.id eq "`+user+`"`)+"&expand=user/"+user, `"userName":"em-bed"`)
	if got := listed(t, p, "/api/v1/apps"+filter(`group.id eq "`+group+`" and status eq "ACTIVE"`)); !slices.Equal(got, []string{app}) {
		t.Errorf("apps of a group: %v", got)
	}
	has("/api/v1/zones"+filter(`type eq "IP" and system eq true`), "LegacyIpZone")
	for _, path := range []string{"/api/v1/apps/" + app + "/users?q=zz", "/api/v1/apps/" + app + "/groups?q=zz", "/api/v1/apps" + filter(`user.id eq "00unobody"`)} {
		if a := p.okta("GET", path, ""); a.Status != http.StatusOK || a.Body != "[]" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, list := range []string{"users", "groups", "apps", "zones", "trustedOrigins"} {
		if a := p.okta("GET", "/api/v1/"+list+filter(`nonsense eq "x"`), ""); a.Status != http.StatusBadRequest || a.json(t)["errorCode"] != "E0000031" {
			t.Errorf("%s: %d %s", list, a.Status, a.Body)
		}
	}
}

// Groups have the attributes that their schema gives them, and no other.
func TestOktaGroupSchema(t *testing.T) {
	p := start(t, "")
	const schema = "/api/v1/meta/schemas/group/default"
	change := func(properties string) answer {
		t.Helper()
		return p.okta("POST", schema, `{"definitions":{"custom":{"id":"#custom","type":"object","properties":`+properties+`,"required":[]}}}`)
	}
	if a := p.okta("POST", "/api/v1/groups", `{"profile":{"name":"early","costCenter":"x"}}`); a.Status != http.StatusBadRequest || !strings.Contains(a.Body, "costCenter") {
		t.Errorf("an attribute that is not in the schema: %d %s", a.Status, a.Body)
	}
	a := change(`{"costCenter":{"title":"Cost center","type":"string","maxLength":5},"floors":{"title":"Floors","type":"array","items":{"type":"integer"}}}`)
	if a.Status != http.StatusOK || !strings.Contains(a.Body, `"maxLength":5`) {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := p.made("/api/v1/groups", `{"profile":{"name":"late","costCenter":"12345","floors":[1,2]}}`)
	for _, bad := range []string{`{"profile":{"name":"late","costCenter":"123456"}}`, `{"profile":{"name":"late","floors":["x"]}}`, `{"profile":{"name":"late","other":1}}`} {
		if a := p.okta("PUT", "/api/v1/groups/"+id, bad); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
	if got := listed(t, p, "/api/v1/groups?search="+url.QueryEscape(`profile.costCenter eq "12345" and profile.floors eq 2`)); !slices.Equal(got, []string{id}) {
		t.Errorf("found: %v", got)
	}
	if a := change(`{"name":{"title":"Name","type":"string"}}`); a.Status != http.StatusBadRequest {
		t.Errorf("an attribute of the base schema: %d %s", a.Status, a.Body)
	}
	// What leaves the schema leaves the groups.
	change(`{"costCenter":null}`)
	if a := p.okta("GET", "/api/v1/groups/"+id, ""); strings.Contains(a.Body, "costCenter") || !strings.Contains(a.Body, `"floors":[1,2]`) {
		t.Errorf("after the attribute is gone: %s", a.Body)
	}
}

func TestOktaGroupSchemaAsDocumented(t *testing.T) {
	w := newOktaWalk(t, start(t, ""))
	const schema = "/api/v1/meta/schemas/group/default"
	w.do("POST", schema, "", `{"definitions":{"custom":{"id":"#custom","type":"object","properties":{"costCenter":{"title":"Cost center","type":"string","maxLength":5}},"required":[]}}}`)
	w.do("GET", schema, "", "")
}

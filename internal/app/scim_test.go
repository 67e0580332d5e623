package app_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"gatehouse/client"
	"gatehouse/internal/app"
)

const (
	patchOf    = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`
	enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// scim calls the SCIM server as Okta and Entra do: with a bearer token that is an API
// token.
func (p *program) scim(method, path, body string, header ...string) answer {
	p.t.Helper()
	header = append([]string{"Content-Type", "application/scim+json; charset=utf-8"}, header...)
	a := p.request(method, p.Ready().Identity+"/scim/v2"+path, p.Ready().APIToken, body, header...)
	if a.Body != "" && a.Header.Get("Content-Type") != "application/scim+json" {
		p.t.Errorf("%s %s: Content-Type %q", method, path, a.Header.Get("Content-Type"))
	}
	return a
}

// want asserts a status and, for an error, its shape and scimType.
func (a answer) want(t *testing.T, status int, scimType string) map[string]any {
	t.Helper()
	if a.Status != status {
		t.Fatalf("%d, want %d: %s", a.Status, status, a.Body)
	}
	if a.Body == "" {
		return nil
	}
	v := a.json(t)
	if status >= 400 && (v["status"] != fmt.Sprint(status) || fmt.Sprint(v["schemas"]) != "[urn:ietf:params:scim:api:messages:2.0:Error]" || scimType != "" && v["scimType"] != scimType) {
		t.Errorf("the error is not as RFC 7644 has it, or not %q: %s", scimType, a.Body)
	}
	return v
}

func (p *program) scimUser(t *testing.T, name string) map[string]any {
	t.Helper()
	return p.scim("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"`+name+`","name":{"givenName":"G","familyName":"F"},"emails":[{"value":"`+name+`","type":"work","primary":true}]}`).want(t, 201, "")
}

// at returns a value deep in JSON: names and numbers of elements, by dots.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// What Okta sends for one person, in the order and the form in which it does.
func TestSCIMAsOktaCalls(t *testing.T) {
	p := start(t, "")
	found := p.scim("GET", `/Users?filter=userName%20eq%20%22rea%40example.com%22&startIndex=1&count=100`, "").want(t, 200, "")
	if found["totalResults"] != 0.0 || len(at(found, "Resources").([]any)) != 0 {
		t.Fatalf("before: %v", found)
	}
	made := p.scim("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","`+enterprise+`"],"userName":"rea@example.com",
		"name":{"givenName":"Rea","familyName":"Stark"},"emails":[{"primary":true,"value":"rea@example.com","type":"work"}],"displayName":"Rea Stark","locale":"en-US",
		"externalId":"00ujl29u0le5T6Aj10h7","groups":[],"active":true,"phoneNumbers":[{"value":"+1 555","type":"mobile"}],
		"`+enterprise+`":{"department":"Engineering","manager":{"value":"00u1","displayName":"Ben"}}}`)
	u := made.want(t, 201, "")
	id, _ := u["id"].(string)
	if made.Header.Get("Location") != p.Ready().Identity+"/scim/v2/Users/"+id || made.Header.Get("Etag") != at(u, "meta", "version") {
		t.Errorf("headers %v of %v", made.Header, u)
	}
	for want, got := range map[string]any{
		"00ujl29u0le5T6Aj10h7": u["externalId"], "Rea Stark": at(u, "name", "formatted"), "Engineering": at(u, enterprise, "department"),
		"Ben": at(u, enterprise, "manager", "displayName"), "+1 555": at(u, "phoneNumbers", 0, "value"), "User": at(u, "meta", "resourceType"),
	} {
		if got != want {
			t.Errorf("%v, want %v in %s", got, want, made.Body)
		}
	}
	p.scim("POST", "/Users", `{"userName":"REA@example.com"}`).want(t, 409, "uniqueness")
	// A whole replacement, as Okta does for a changed profile: what is not there goes.
	u = p.scim("PUT", "/Users/"+id, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"`+id+`","userName":"rea@example.com","name":{"givenName":"Rea","familyName":"Snow"},
		"emails":[{"primary":true,"value":"rea@example.com","type":"work"}],"active":true,"groups":[],"meta":{"resourceType":"User"}}`).want(t, 200, "")
	if at(u, "name", "familyName") != "Snow" || u["displayName"] != nil || u[enterprise] != nil || u["id"] != id {
		t.Errorf("replaced: %v", u)
	}
	// Deactivated, and activated again.
	u = p.scim("PATCH", "/Users/"+id, fmt.Sprintf(patchOf, `{"op":"replace","value":{"active":false}}`)).want(t, 200, "")
	if u["active"] != false || p.okta("GET", "/api/v1/users/"+id, "").json(t)["status"] != "DEPROVISIONED" {
		t.Errorf("deactivated: %v", u)
	}
	u = p.scim("PATCH", "/Users/"+id, fmt.Sprintf(patchOf, `{"op":"replace","value":{"active":true}}`)).want(t, 200, "")
	if u["active"] != true {
		t.Errorf("activated: %v", u)
	}
	// Group push: by name, with members, and members by filter.
	g := p.scim("POST", "/Groups", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"scim group","members":[{"value":"`+id+`","display":"rea@example.com"}]}`).want(t, 201, "")
	gid, _ := g["id"].(string)
	if at(g, "members", 0, "value") != id {
		t.Fatalf("group: %v", g)
	}
	if u := p.scim("GET", "/Users/"+id, "").want(t, 200, ""); at(u, "groups", 0, "value") != gid || at(u, "groups", 0, "display") != "scim group" {
		t.Errorf("groups of the user: %v", u["groups"])
	}
	other, _ := p.scimUser(t, "sam@example.com")["id"].(string)
	p.scim("PATCH", "/Groups/"+gid, fmt.Sprintf(patchOf, `{"op":"replace","value":{"id":"`+gid+`","displayName":"scim renamed"}},{"op":"add","path":"members","value":[{"value":"`+other+`"}]},{"op":"remove","path":"members[value eq \"`+id+`\"]"}`)).want(t, 204, "")
	if g := p.scim("GET", "/Groups/"+gid, "").want(t, 200, ""); g["displayName"] != "scim renamed" || at(g, "members", 0, "value") != other || at(g, "members", 1) != nil {
		t.Errorf("after the patch: %v", g)
	}
	p.scim("DELETE", "/Users/"+id, "").want(t, 204, "")
	p.scim("GET", "/Users/"+id, "").want(t, 404, "")
	p.scim("DELETE", "/Groups/"+gid, "").want(t, 204, "")
	p.scim("GET", "/Groups/"+gid, "").want(t, 404, "")
	// All of it is in the history of the ledger and in the system log.
	eventually(t, "the events", func() bool {
		log := p.okta("GET", "/api/v1/logs?limit=1000", "").Body
		return strings.Contains(log, "user.lifecycle.create") && strings.Contains(log, "group.user_membership.remove") && strings.Contains(log, "user.lifecycle.delete.completed")
	})
}

// What Entra sends: operations with capital letters, booleans as texts, paths with
// conditions for what is not there yet, members in the value of a removal.
func TestSCIMAsEntraCalls(t *testing.T) {
	p := start(t, "")
	u := p.scim("POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"externalId":"mia","userName":"mia@example.com","active":true,"roles":[],
		"addresses":[{"type":"work","formatted":null,"streetAddress":"1 Way","primary":false}],"name":{"formatted":"Mia M"},"emails":[{"type":"work","value":"mia@example.com"}]}`).want(t, 201, "")
	id, _ := u["id"].(string)
	u = p.scim("PATCH", "/Users/"+id, fmt.Sprintf(patchOf, strings.Join([]string{
		`{"op":"Replace","path":"active","value":"False"}`,
		`{"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+49 1"}`,
		`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"mia@work.example.com"}`,
		`{"op":"Add","path":"name.givenName","value":"Mia"}`,
		`{"op":"Add","path":"` + enterprise + `:manager","value":"00u9"}`,
		`{"op":"Add","path":"` + enterprise + `:department","value":"Sales"}`,
		`{"op":"Replace","path":"addresses[type eq \"work\"].locality","value":"Ulm"}`,
		`{"op":"Add","value":{"name.familyName":"Meyer","` + enterprise + `:employeeNumber":"7"}}`,
	}, ","))).want(t, 200, "")
	for want, got := range map[any]any{
		false: u["active"], "+49 1": at(u, "phoneNumbers", 0, "value"), "mia@work.example.com": at(u, "emails", 0, "value"), "Mia Meyer": at(u, "name", "formatted"),
		"00u9": at(u, enterprise, "manager", "value"), "Sales": at(u, enterprise, "department"), "Ulm": at(u, "addresses", 0, "locality"),
		"1 Way": at(u, "addresses", 0, "streetAddress"), "7": at(u, enterprise, "employeeNumber"),
	} {
		if got != want {
			t.Errorf("%v, want %v in %v", got, want, u)
		}
	}
	// The attributes of its default mapping, all at once, on somebody who has few of them:
	// those that are made of others or have no place here are no reason to refuse the rest.
	few, _ := p.scim("POST", "/Users", `{"userName":"ole@example.com","externalId":"ole","active":true}`).want(t, 201, "")["id"].(string)
	for range 2 { // it sees that the number for faxes is missing, and sends it again
		u = p.scim("PATCH", "/Users/"+few, fmt.Sprintf(patchOf, strings.Join([]string{
			`{"op":"Add","path":"displayName","value":"Ole O"}`, `{"op":"Add","path":"title","value":"Lead"}`, `{"op":"Add","path":"preferredLanguage","value":"da"}`,
			`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"ole@work.example.com"}`,
			`{"op":"Add","path":"name.givenName","value":"Ole"}`, `{"op":"Add","path":"name.familyName","value":"Olsen"}`, `{"op":"Add","path":"name.formatted","value":"Olsen, Ole"}`,
			`{"op":"Add","path":"addresses[type eq \"work\"].formatted","value":"2 Way"}`, `{"op":"Replace","path":"addresses[type eq \"work\"].postalCode","value":"8000"}`,
			`{"op":"Replace","path":"phoneNumbers[type eq \"work\"].value","value":"+45 1"}`, `{"op":"Replace","path":"phoneNumbers[type eq \"fax\"].value","value":"+45 2"}`,
			`{"op":"Add","value":{"` + enterprise + `:department":"Ops","phoneNumbers[type eq \"mobile\"].value":"+45 3"}}`,
		}, ","))).want(t, 200, "")
	}
	for want, got := range map[any]any{
		"ole@work.example.com": at(u, "emails", 0, "value"), "Ole Olsen": at(u, "name", "formatted"), "8000": at(u, "addresses", 0, "postalCode"), "da": u["preferredLanguage"],
		"+45 1": at(u, "phoneNumbers", 0, "value"), "+45 3": at(u, "phoneNumbers", 1, "value"), "Ops": at(u, enterprise, "department"), "Ole O": u["displayName"], nil: at(u, "phoneNumbers", 2),
	} {
		if got != want {
			t.Errorf("%v, want %v in %v", got, want, u)
		}
	}
	if g := p.scim("GET", `/Users?filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22MIA%40work.example.com%22`, "").want(t, 200, ""); g["totalResults"] != 1.0 {
		t.Errorf("by address: %v", g)
	}
	g := p.scim("POST", "/Groups", `{"displayName":"entra","externalId":"8aa1"}`).want(t, 201, "")
	gid, _ := g["id"].(string)
	p.scim("PATCH", "/Groups/"+gid, fmt.Sprintf(patchOf, `{"op":"Add","path":"members","value":[{"$ref":null,"value":"`+id+`"}]}`)).want(t, 204, "")
	is := func(member string) float64 {
		q := url.Values{"filter": {`id eq "` + gid + `" and members eq "` + member + `"`}, "excludedAttributes": {"members"}}
		n, _ := p.scim("GET", "/Groups?"+q.Encode(), "").want(t, 200, "")["totalResults"].(float64)
		return n
	}
	if is(id) != 1 || is("00u000") != 0 {
		t.Error("a member is not found by filter")
	}
	p.scim("PATCH", "/Groups/"+gid, fmt.Sprintf(patchOf, `{"op":"Remove","path":"members","value":[{"value":"`+id+`"}]}`)).want(t, 204, "")
	if is(id) != 0 {
		t.Error("the member is still there")
	}
}

// Deactivation ends tokens and sessions before the call returns, and locks out of the
// APIs who has one (identity 26, 68).
func TestSCIMDeactivationIsAtOnce(t *testing.T) {
	p := startRevocable(t)
	id, _ := p.scim("POST", "/Users", `{"userName":"leaver@example.com","password":"correct horse 5"}`).want(t, 201, "")["id"].(string)
	for _, end := range []struct{ method, path, body string }{
		{"PATCH", "/Users/" + id, fmt.Sprintf(patchOf, `{"op":"replace","path":"active","value":false}`)},
		{"DELETE", "/Users/" + id, ""},
	} {
		var token string
		eventually(t, "a token of a second that is not revoked", func() bool {
			token = p.subject("leaver@example.com")
			return !p.refused(token)
		})
		if a := p.scim(end.method, end.path, end.body); a.Status >= 300 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if !p.refused(token) {
			t.Errorf("%s: the token goes on", end.method)
		}
		if end.method == "PATCH" {
			if _, err := p.admin().Mint(t.Context(), client.TokenRequest{User: "leaver@example.com", Scopes: []string{"orders:read"}}); err == nil {
				t.Error("a token for who is deactivated")
			}
			p.scim("PATCH", end.path, fmt.Sprintf(patchOf, `{"op":"replace","path":"active","value":true}`)).want(t, 200, "")
		}
	}
}

// Who was suspended here for a reason is not let in by a system that does not know it.
func TestSCIMDoesNotUnsuspend(t *testing.T) {
	p := start(t, "")
	id, _ := p.scimUser(t, "held@example.com")["id"].(string)
	p.okta("POST", "/api/v1/users/"+id+"/lifecycle/suspend", "")
	u := p.scim("PATCH", "/Users/"+id, fmt.Sprintf(patchOf, `{"op":"replace","value":{"active":true,"title":"x"}}`)).want(t, 200, "")
	if u["active"] != false || p.okta("GET", "/api/v1/users/"+id, "").json(t)["status"] != "SUSPENDED" || u["title"] != "x" {
		t.Errorf("%v", u)
	}
}

// Nobody changes who may do more, takes what the server gives, or does what their role
// and scopes do not allow (identity 54, 55, 58).
func TestSCIMLeastPrivilege(t *testing.T) {
	p := startOrg(t)
	call := func(who *person, method, path, body string) answer {
		return p.request(method, p.Ready().Identity+"/scim/v2"+path, who.token, body)
	}
	reader, users, members := p.hire("scim-reader", "READ_ONLY_ADMIN"), p.hire("scim-users", "USER_ADMIN"), p.hire("scim-members", "GROUP_MEMBERSHIP_ADMIN")
	nobody := p.hire("scim-nobody")
	boss := p.hire("scim-boss", "SUPER_ADMIN")
	admins := p.made("/api/v1/groups", `{"profile":{"name":"scim admins"}}`)
	p.made("/api/v1/groups/"+admins+"/roles", `{"type":"SUPER_ADMIN"}`)
	deactivate := fmt.Sprintf(patchOf, `{"op":"replace","value":{"active":false}}`)
	join := fmt.Sprintf(patchOf, `{"op":"add","path":"members","value":[{"value":"`+users.id+`"}]}`)
	for i, c := range []struct {
		who                *person
		method, path, body string
		status             int
	}{
		{nobody, "GET", "/Users", "", 403},
		{nobody, "GET", "/ServiceProviderConfig", "", 200},
		{reader, "GET", "/Users?count=1", "", 200},
		{reader, "POST", "/Users", `{"userName":"x@example.com"}`, 403},
		{reader, "PATCH", "/Users/" + nobody.id, deactivate, 403},
		{reader, "POST", "/Bulk", `{"Operations":[{"method":"DELETE","path":"/Users/` + nobody.id + `"}]}`, 200},
		{users, "GET", "/Users/" + nobody.id, "", 200},
		{users, "PATCH", "/Users/" + boss.id, deactivate, 403},
		{users, "DELETE", "/Users/" + boss.id, "", 403},
		{users, "PUT", "/Users/" + boss.id, `{"userName":"scim-boss@example.com","password":"now it is mine 1"}`, 403},
		{users, "PATCH", "/Groups/" + admins, join, 403},
		{members, "PATCH", "/Groups/" + admins, join, 403},
		{members, "DELETE", "/Groups/" + admins, "", 403},
		{users, "PATCH", "/Users/" + nobody.id, deactivate, 200},
	} {
		a := call(c.who, c.method, c.path, c.body)
		if a.Status != c.status {
			t.Errorf("%d %s %s: %d %s", i, c.method, c.path, a.Status, a.Body)
		}
		if strings.HasPrefix(c.path, "/Bulk") && !strings.Contains(a.Body, `"status":"403"`) {
			t.Errorf("bulk did more than the caller may: %s", a.Body)
		}
	}
	u := p.scim("POST", "/Users", `{"id":"00u0000000000000mass","meta":{"created":"2001-01-01T00:00:00Z","version":"W/\"1\""},"status":"ACTIVE","passwordHash":"x",
		"groups":[{"value":"`+admins+`"}],"userName":"mass@example.com","roles":[{"value":"SUPER_ADMIN"}]}`)
	u.want(t, 201, "")
	if strings.Contains(u.Body, "0mass") || strings.Contains(u.Body, "2001-01") || strings.Contains(u.Body, admins) || strings.Contains(u.Body, "SUPER") {
		t.Errorf("taken from the caller: %s", u.Body)
	}
	for _, token := range []string{"", "nope", "a.b.c", p.token("vacations:read")} {
		a := p.request("GET", p.Ready().Identity+"/scim/v2/Users", token, "")
		if a.Status != 401 || !strings.HasPrefix(a.Header.Get("Www-Authenticate"), "Bearer") {
			t.Errorf("token %q: %d %s", token, a.Status, a.Body)
		}
	}
	// An access token of the org server, with the scopes of an app and its role.
	s := p.serviceApp("scim", "okta.users.read")
	p.made("/oauth2/v1/clients/"+s.id+"/roles", `{"type":"SUPER_ADMIN"}`)
	token, _ := s.token("okta.users.read").json(t)["access_token"].(string)
	if a := p.request("GET", p.Ready().Identity+"/scim/v2/Users?count=1", token, ""); a.Status != 200 {
		t.Errorf("with a scope: %d %s", a.Status, a.Body)
	}
	if a := p.request("POST", p.Ready().Identity+"/scim/v2/Users", token, `{"userName":"y@example.com"}`); a.Status != 403 {
		t.Errorf("beyond the scope: %d %s", a.Status, a.Body)
	}
}

// Lists: filters, pages with the true number of results, order, and what is shown; and
// what is refused of them (identity 57).
func TestSCIMLists(t *testing.T) {
	p := start(t, "")
	var ids []string
	for i := range 7 {
		id, _ := p.scimUser(t, fmt.Sprintf("list%d@lists.example.com", i))["id"].(string)
		ids = append(ids, id)
	}
	list := func(pairs ...string) map[string]any {
		t.Helper()
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return p.scim("GET", "/Users?"+q.Encode(), "").want(t, 200, "")
	}
	all := list("count", "0")
	total, _ := all["totalResults"].(float64)
	if total < 9 || at(all, "itemsPerPage") != 0.0 {
		t.Fatalf("count=0: %v", all)
	}
	seen := map[any]bool{}
	for from := 1; from <= int(total); from += 2 {
		page := list("startIndex", fmt.Sprint(from), "count", "2", "attributes", "userName")
		if page["totalResults"] != total || at(page, "startIndex") != float64(from) {
			t.Errorf("page at %d: %v", from, page)
		}
		for _, r := range at(page, "Resources").([]any) {
			seen[at(r, "id")] = true
			if at(r, "name") != nil || at(r, "userName") == nil {
				t.Errorf("attributes=userName shows %v", r)
			}
		}
	}
	if float64(len(seen)) != total {
		t.Errorf("%d of %v are on the pages", len(seen), total)
	}
	const ours = `userName ew "@lists.example.com"`
	for filter, want := range map[string]int{
		ours:                              7,
		ours + ` and userName sw "LIST3"`: 1,
		ours + ` and not (userName co "3" or userName co "4")`:            5,
		`userName eq "list1@lists.example.com" or id eq "` + ids[2] + `"`: 2,
		`emails[type eq "work" and value co "list5"]`:                     1,
		`emails co "list5@"`: 1,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "list5@x"`: 0,
		ours + ` and title pr`:                                0,
		ours + ` and title ne "boss" and active eq true`:      7,
		ours + ` and meta.created gt "2020-01-01T00:00:00Z"`:  7,
		ours + ` and userName ge "list5@lists.example.com"`:   2,
		ours + ` and favouriteColour eq "red"`:                0,
		`userName eq "x\" or userName pr or userName eq \"x"`: 0,
		`userName eq "list1@lists.example.com' OR '1'='1"`:    0,
	} {
		if got := list("filter", filter); got["totalResults"] != float64(want) {
			t.Errorf("%s: %v, want %d", filter, got["totalResults"], want)
		}
	}
	sorted := list("filter", ours, "sortBy", "userName", "sortOrder", "descending", "count", "2", "startIndex", "2")
	if at(sorted, "Resources", 0, "userName") != "list5@lists.example.com" || at(sorted, "Resources", 1, "userName") != "list4@lists.example.com" || sorted["totalResults"] != 7.0 {
		t.Errorf("sorted: %v", sorted)
	}
	search := p.scim("POST", "/Users/.search", `{"filter":"userName sw \"list\"","count":1,"excludedAttributes":["emails","name.givenName"]}`).want(t, 200, "")
	if at(search, "itemsPerPage") != 1.0 || at(search, "Resources", 0, "emails") != nil || at(search, "Resources", 0, "name", "givenName") != nil || at(search, "Resources", 0, "name", "familyName") != "F" {
		t.Errorf("search: %v", search)
	}
	for _, bad := range []struct{ query, scimType string }{
		{"filter=userName", "invalidFilter"},
		{"filter=" + url.QueryEscape(`userName eq x`), "invalidFilter"},
		{"filter=" + url.QueryEscape(`password sw "a"`), "invalidFilter"},
		{"filter=" + url.QueryEscape(`active gt true`), "invalidFilter"},
		{"filter=" + url.QueryEscape(strings.Repeat("(", 200)), "invalidFilter"},
		{"filter=" + url.QueryEscape(strings.Repeat(`a eq 1 or `, 200)+"a eq 1"), "invalidFilter"},
		{"filter=" + url.QueryEscape(`groups eq "x"`), "invalidFilter"},
		{"count=x", "invalidValue"},
		{"sortBy=password", "invalidPath"},
		{"attributes=userName&excludedAttributes=name", "invalidValue"},
	} {
		p.scim("GET", "/Users?"+bad.query, "").want(t, 400, bad.scimType)
	}
}

// Versions: what somebody else has changed meanwhile is not overwritten.
func TestSCIMVersions(t *testing.T) {
	p := start(t, "")
	u := p.scimUser(t, "etag@example.com")
	id, _ := u["id"].(string)
	version, _ := at(u, "meta", "version").(string)
	path := "/Users/" + id
	body := `{"userName":"etag@example.com","title":"TITLE"}`
	next := p.scim("PUT", path, strings.Replace(body, "TITLE", "one", 1), "If-Match", version)
	next.want(t, 200, "")
	p.scim("PUT", path, strings.Replace(body, "TITLE", "two", 1), "If-Match", version).want(t, 412, "")
	p.scim("DELETE", path, "", "If-Match", version).want(t, 412, "")
	now := next.Header.Get("Etag")
	if a := p.scim("GET", path+"?excludedAttributes=groups", "", "If-None-Match", now); a.Status != 304 || a.Body != "" {
		t.Errorf("unchanged: %d %s", a.Status, a.Body)
	}
	p.scim("PATCH", path, fmt.Sprintf(patchOf, `{"op":"remove","path":"title"}`), "If-Match", now).want(t, 200, "")
}

// Bulk: references to what other operations make, in any order; failures do not undo
// what was done, and an end after so many of them.
func TestSCIMBulk(t *testing.T) {
	p := start(t, "")
	a := p.scim("POST", "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
		{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"bulk","members":[{"value":"bulkId:u1"}]}},
		{"method":"POST","path":"/Users","bulkId":"u1","data":{"userName":"b1@example.com"}},
		{"method":"POST","path":"/Users","bulkId":"u2","data":{"userName":"b2@example.com","`+enterprise+`":{"manager":{"value":"bulkId:u1"}}}},
		{"method":"PATCH","path":"/Groups/bulkId:g","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:u2"}]}]}},
		{"method":"POST","path":"/Users","bulkId":"u3","data":{"userName":"b1@example.com"}},
		{"method":"PATCH","path":"/Users/bulkId:u3","data":{"Operations":[{"op":"remove","path":"title"}]}},
		{"method":"GET","path":"/Users"}]}`)
	v := a.want(t, 200, "")
	var statuses []any
	for _, o := range at(v, "Operations").([]any) {
		statuses = append(statuses, at(o, "status"))
	}
	if fmt.Sprint(statuses) != "[201 201 201 200 409 409 400]" {
		t.Fatalf("%v: %s", statuses, a.Body)
	}
	group, _ := at(v, "Operations", 0, "location").(string)
	if g := p.request("GET", group, p.Ready().APIToken, ""); len(at(g.json(t), "members").([]any)) != 2 {
		t.Errorf("members: %s", g.Body)
	}
	v = p.scim("POST", "/Bulk", `{"failOnErrors":1,"Operations":[{"method":"DELETE","path":"/Users/none"},{"method":"POST","path":"/Users","bulkId":"x","data":{"userName":"never@example.com"}}]}`).want(t, 200, "")
	if n := len(at(v, "Operations").([]any)); n != 1 {
		t.Errorf("%d results after the first failure", n)
	}
	circle := `{"Operations":[{"method":"POST","path":"/Users","bulkId":"a","data":{"userName":"ca@example.com","nickName":"bulkId:b"}},{"method":"POST","path":"/Users","bulkId":"b","data":{"userName":"cb@example.com","nickName":"bulkId:a"}}]}`
	if v := p.scim("POST", "/Bulk", circle).want(t, 200, ""); at(v, "Operations", 0, "status") != "409" || at(v, "Operations", 1, "status") != "409" {
		t.Errorf("a circle: %v", v)
	}
	p.scim("POST", "/Bulk", `{"Operations":[`+strings.Repeat(`{"method":"DELETE","path":"/Users/x"},`, 1000)+`{"method":"DELETE","path":"/Users/x"}]}`).want(t, 413, "")
}

// What is wrong with a request is said in SCIM's words.
func TestSCIMRefusals(t *testing.T) {
	p := start(t, "")
	id, _ := p.scimUser(t, "bad@example.com")["id"].(string)
	gid, _ := p.scim("POST", "/Groups", `{"displayName":"bad"}`).want(t, 201, "")["id"].(string)
	op := func(s string) string { return fmt.Sprintf(patchOf, s) }
	for _, c := range []struct {
		method, path, body string
		status             int
		scimType           string
	}{
		{"POST", "/Users", `{`, 400, "invalidSyntax"},
		{"POST", "/Users", `[]`, 400, "invalidSyntax"},
		{"POST", "/Users", strings.Repeat("[", 100), 400, "invalidSyntax"},
		{"POST", "/Users", `{"userName":"a@example.com","USERNAME":"b@example.com"}`, 400, "invalidSyntax"},
		{"POST", "/Users", `{"title":"x"}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"no-address"}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"a@b@example.com"}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"x@example.com","active":"maybe"}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"x@example.com","title":{}}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"x@example.com","password":"short"}`, 400, "invalidValue"},
		{"POST", "/Users", `{"userName":"` + strings.Repeat("x", 1<<20) + `"}`, 413, ""},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"id","value":"x"}`), 400, "mutability"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"groups","value":[]}`), 400, "mutability"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"meta.version","value":"x"}`), 400, "mutability"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"colour","value":"x"}`), 400, "invalidPath"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"emails[","value":"x"}`), 400, "invalidPath"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"title[type eq \"x\"]","value":"x"}`), 400, "invalidPath"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"emails[type eq \"other\"]","value":{"value":"x"}}`), 400, "noTarget"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","path":"emails[value sw \"other\"].value","value":"x"}`), 400, "noTarget"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","value":{"emails[type eq":"x"}}`), 400, "invalidPath"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","value":{"groups[value eq \"x\"].value":"x"}}`), 400, "mutability"},
		{"PATCH", "/Users/" + id, op(`{"op":"remove"}`), 400, "noTarget"},
		{"PATCH", "/Users/" + id, op(`{"op":"remove","path":"userName"}`), 400, "invalidValue"},
		{"PATCH", "/Users/" + id, op(`{"op":"move","path":"title"}`), 400, "invalidSyntax"},
		{"PATCH", "/Users/" + id, op(`{"op":"replace","value":"x"}`), 400, "invalidValue"},
		{"PATCH", "/Users/" + id, op(``), 400, "invalidSyntax"},
		{"PATCH", "/Users/00u0", op(`{"op":"remove","path":"title"}`), 404, ""},
		{"PATCH", "/Groups/" + gid, op(`{"op":"add","path":"members","value":[{"value":"00u0"}]}`), 400, "invalidValue"},
		{"PATCH", "/Groups/" + gid, op(`{"op":"add","path":"members","value":[{"value":"` + gid + `","type":"Group"}]}`), 400, "invalidValue"},
		{"PATCH", "/Groups/" + gid, op(`{"op":"replace","path":"members[value eq \"x\"].value","value":"y"}`), 400, "mutability"},
		{"POST", "/Groups", `{"displayName":"BAD"}`, 201, ""},
		{"POST", "/Groups", `{"displayName":"bad"}`, 409, "uniqueness"},
		{"GET", "/Me", "", 501, ""},
		{"DELETE", "/Users", "", 405, ""},
		{"GET", "/Nothing", "", 404, ""},
		{"GET", "/Users/" + id + "/x", "", 404, ""},
		{"GET", "/Schemas?filter=id+pr", "", 403, ""},
	} {
		a := p.scim(c.method, c.path, c.body)
		if a.Status != c.status || c.status >= 400 && (a.json(t)["status"] != fmt.Sprint(c.status) || c.scimType != "" && a.json(t)["scimType"] != c.scimType) {
			t.Errorf("%s %s %.120s: %d %s", c.method, c.path, c.body, a.Status, a.Body)
		}
	}
}

// What the server says of itself is what it does.
func TestSCIMDiscovery(t *testing.T) {
	p := start(t, "")
	conf := p.scim("GET", "/ServiceProviderConfig", "").want(t, 200, "")
	for _, name := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
		if at(conf, name, "supported") != true {
			t.Errorf("%s: %v", name, conf[name])
		}
	}
	types := p.scim("GET", "/ResourceTypes", "").want(t, 200, "")
	if types["totalResults"] != 2.0 || at(types, "Resources", 0, "schemaExtensions", 0, "schema") != enterprise {
		t.Errorf("types: %v", types)
	}
	list := p.scim("GET", "/Schemas", "").want(t, 200, "")
	if list["totalResults"] != 3.0 {
		t.Errorf("schemas: %v", list["totalResults"])
	}
	for i := range 3 {
		id, _ := at(list, "Resources", i, "id").(string)
		one := p.scim("GET", "/Schemas/"+id, "").want(t, 200, "")
		if one["id"] != id || len(at(one, "attributes").([]any)) == 0 {
			t.Errorf("%s: %v", id, one)
		}
	}
	if a := p.scim("GET", "/ResourceTypes/User", ""); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// Where DELETE deactivates, the person is kept until the second one.
func TestSCIMDeleteInTwoSteps(t *testing.T) {
	file := write(t, "version: 1\nserver:\n  identity: { scim_delete: deactivate }\n")
	p := start(t, file, func(c *app.Config) { c.Dev = true })
	id, _ := p.scimUser(t, "twice@example.com")["id"].(string)
	p.scim("DELETE", "/Users/"+id, "").want(t, 204, "")
	if u := p.scim("GET", "/Users/"+id, "").want(t, 200, ""); u["active"] != false {
		t.Errorf("after the first: %v", u)
	}
	p.scim("DELETE", "/Users/"+id, "").want(t, 204, "")
	p.scim("GET", "/Users/"+id, "").want(t, 404, "")
}

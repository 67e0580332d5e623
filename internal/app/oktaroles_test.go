package app_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/app"
)

// person is somebody with an API token.
type person struct {
	*program
	id, token string
}

// hire makes a user with the roles and an API token.
func (p *program) hire(login string, roles ...string) *person {
	p.t.Helper()
	id := p.made("/api/v1/users", `{"profile":{"login":"`+login+`@example.com","email":"`+login+`@example.com"},"credentials":{"password":{"value":"correct horse 4"}}}`)
	for _, r := range roles {
		p.made("/api/v1/users/"+id+"/roles", `{"type":"`+r+`"}`)
	}
	return &person{program: p, id: id, token: app.NewAPIToken(p.t, p.App, login, id, time.Time{})}
}

// call calls the management API as this person.
func (p *person) call(method, path, body string) answer {
	p.t.Helper()
	return p.request(method, p.Ready().Identity+path, "", body, "Authorization", "SSWS "+p.token)
}

// A token may do what its user's roles allow, and nothing else (identity 58).
func TestOktaRolesLimitTokens(t *testing.T) {
	p := start(t, "")
	zone := `{"type":"IP","name":"NAME","gateways":[{"type":"CIDR","value":"192.0.2.0/24"}]}`
	operations := []struct{ method, path, body string }{
		0:  {"GET", "/api/v1/users?limit=1", ""},
		1:  {"POST", "/api/v1/users", `{"profile":{"login":"NAME@x.example","email":"NAME@x.example"}}`},
		2:  {"POST", "/api/v1/users/ben@example.com/lifecycle/expire_password", ""},
		3:  {"GET", "/api/v1/groups?limit=1", ""},
		4:  {"POST", "/api/v1/groups", `{"profile":{"name":"NAME"}}`},
		5:  {"GET", "/api/v1/apps?limit=1", ""},
		6:  {"POST", "/api/v1/apps", `{"name":"oidc_client","label":"NAME","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`},
		7:  {"POST", "/api/v1/authorizationServers", `{"name":"NAME","audiences":["api://x"]}`},
		8:  {"POST", "/api/v1/zones", zone},
		9:  {"GET", "/api/v1/logs?limit=1", ""},
		10: {"GET", "/api/v1/users/ben@example.com/roles", ""},
		11: {"GET", "/api/v1/api-tokens", ""},
		12: {"GET", "/gatehouse/v1/status", ""},
	}
	tests := []struct {
		role string
		may  []int
	}{
		{"SUPER_ADMIN", []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{"ORG_ADMIN", []int{0, 1, 2, 3, 4, 5, 8, 9, 10, 11}},
		{"APP_ADMIN", []int{0, 3, 5, 6, 9}},
		{"USER_ADMIN", []int{0, 1, 2, 3, 9}},
		{"HELP_DESK_ADMIN", []int{0, 2, 3}},
		{"GROUP_MEMBERSHIP_ADMIN", []int{0, 3}},
		{"API_ACCESS_MANAGEMENT_ADMIN", []int{0, 3, 5, 7, 9}},
		{"READ_ONLY_ADMIN", []int{0, 3, 5, 9, 10, 11}},
		{"REPORT_ADMIN", []int{0, 3, 5, 9}},
		{"", nil},
	}
	for _, tt := range tests {
		login := strings.ToLower("r-" + tt.role)
		var roles []string
		if tt.role != "" {
			roles = []string{tt.role}
		}
		who := p.hire(login, roles...)
		may := map[int]bool{}
		for _, i := range tt.may {
			may[i] = true
		}
		for i, op := range operations {
			a := who.call(op.method, op.path, strings.ReplaceAll(op.body, "NAME", login))
			if may[i] != (a.Status < 300) || !may[i] && a.Status != http.StatusForbidden {
				t.Errorf("%q: %s %s: %d %s", tt.role, op.method, op.path, a.Status, a.Body)
			}
		}
		// Everybody reads themselves, and may give up the token.
		if a := who.call("GET", "/api/v1/users/me", ""); a.Status != http.StatusOK || a.json(t)["id"] != who.id {
			t.Errorf("%q: me: %d %s", tt.role, a.Status, a.Body)
		}
	}
}

// Nobody becomes more than they are by changing somebody who is more (identity 54, 58).
func TestOktaNobodyRises(t *testing.T) {
	p := start(t, "")
	help, users, members, apps := p.hire("help", "HELP_DESK_ADMIN"), p.hire("users", "USER_ADMIN"), p.hire("members", "GROUP_MEMBERSHIP_ADMIN"), p.hire("apps", "APP_ADMIN")
	org := p.hire("org", "ORG_ADMIN")
	admins := p.made("/api/v1/groups", `{"profile":{"name":"admins"}}`)
	p.made("/api/v1/groups/"+admins+"/roles", `{"type":"SUPER_ADMIN"}`)
	bot := p.made("/api/v1/apps", `{"name":"oidc_client","label":"bot","signOnMode":"OPENID_CONNECT","settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	p.made("/oauth2/v1/clients/"+bot+"/roles", `{"type":"ORG_ADMIN"}`)
	newUser := func(groups string) string {
		return `{"profile":{"login":"mole@example.com","email":"mole@example.com"},"groupIds":[` + groups + `]}`
	}
	rule := `{"type":"group_rule","name":"mole","conditions":{"expression":{"value":"user.title == \"x\""}},"actions":{"assignUserToGroups":{"groupIds":["` + admins + `"]}}}`
	tests := []struct {
		who                *person
		method, path, body string
		status             int
	}{
		{help, "POST", "/api/v1/users/ana@example.com/lifecycle/expire_password", "", 403},
		{help, "POST", "/api/v1/users/" + help.id + "/roles", `{"type":"SUPER_ADMIN"}`, 403},
		{users, "POST", "/api/v1/users/ana@example.com", `{"credentials":{"password":{"value":"now it is mine"}}}`, 403},
		{users, "POST", "/api/v1/users/" + org.id + "/lifecycle/suspend", "", 403},
		{users, "DELETE", "/api/v1/users/" + org.id, "", 403},
		{users, "POST", "/api/v1/users", newUser(`"` + admins + `"`), 403},
		{users, "POST", "/api/v1/users", newUser(""), 200},
		{users, "POST", "/api/v1/users/mole@example.com", `{"profile":{"nickName":"mole"}}`, 200},
		{members, "PUT", "/api/v1/groups/" + admins + "/users/" + members.id, "", 403},
		{org, "PUT", "/api/v1/groups/" + admins + "/users/" + org.id, "", 403},
		{org, "POST", "/api/v1/groups/rules", rule, 400},
		{org, "POST", "/api/v1/users/" + org.id + "/roles", `{"type":"SUPER_ADMIN"}`, 403},
		{apps, "POST", "/api/v1/apps/" + bot + "/credentials/secrets", "", 403},
		{apps, "POST", "/api/v1/apps/" + bot + "/lifecycle/deactivate", "", 403},
	}
	for _, tt := range tests {
		if a := tt.who.call(tt.method, tt.path, tt.body); a.Status != tt.status {
			t.Errorf("%s %s %s: %d %s, want %d", tt.method, tt.path, tt.body, a.Status, a.Body, tt.status)
		}
	}
	// A role that comes by a group counts, and goes with the membership.
	if a := p.okta("PUT", "/api/v1/groups/"+admins+"/users/"+help.id, ""); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := help.call("POST", "/api/v1/groups", `{"profile":{"name":"by help"}}`); a.Status != http.StatusOK {
		t.Errorf("a role of the group does not count: %d %s", a.Status, a.Body)
	}
	p.okta("DELETE", "/api/v1/groups/"+admins+"/users/"+help.id, "")
	if a := help.call("POST", "/api/v1/groups", `{"profile":{"name":"by help again"}}`); a.Status != http.StatusForbidden {
		t.Errorf("the role outlives the membership: %d", a.Status)
	}
}

func TestOktaRoleAssignments(t *testing.T) {
	p := start(t, "")
	who := p.hire("roles")
	path := "/api/v1/users/" + who.id + "/roles"
	a := p.okta("POST", path, `{"type":"APP_ADMIN"}`)
	// A role that Okta can limit is told apart by its type alone.
	if r := a.json(t); a.Status != http.StatusCreated || r["id"] != "IFIFAX2BIRGUSTQ" || r["assignmentType"] != "USER" || r["label"] != "Application Administrator" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := p.okta("POST", path, `{"type":"APP_ADMIN"}`); a.Status != http.StatusConflict || a.json(t)["errorCode"] != "E0000090" {
		t.Errorf("again: %d %s", a.Status, a.Body)
	}
	if a := p.okta("POST", path, `{"type":"CUSTOM"}`); a.Status != http.StatusBadRequest {
		t.Errorf("custom: %d %s", a.Status, a.Body)
	}
	if a := p.okta("GET", path+"/IFIFAX2BIRGUSTQ", ""); a.Status != http.StatusOK {
		t.Errorf("get: %d %s", a.Status, a.Body)
	}
	for _, want := range []int{http.StatusNoContent, http.StatusNotFound} {
		if a := p.okta("DELETE", path+"/IFIFAX2BIRGUSTQ", ""); a.Status != want {
			t.Errorf("delete: %d %s", a.Status, a.Body)
		}
	}
	// The last super administrator stays one.
	var own []struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/users/me/roles", "").Body), &own); err != nil || len(own) != 1 {
		t.Fatalf("%v %v", own, err)
	}
	if a := p.okta("DELETE", "/api/v1/users/me/roles/"+own[0].ID, ""); a.Status != http.StatusForbidden {
		t.Errorf("the last super administrator is gone: %d %s", a.Status, a.Body)
	}
	if a := p.okta("POST", "/api/v1/groups/"+mustEveryone(p)+"/roles", `{"type":"READ_ONLY_ADMIN"}`); a.Status != http.StatusForbidden {
		t.Errorf("everybody is an administrator: %d %s", a.Status, a.Body)
	}
}

func mustEveryone(p *program) string {
	p.t.Helper()
	var list []struct {
		ID string `json:"id"`
	}
	a := p.okta("GET", "/api/v1/groups?q=Everyone", "")
	if err := json.Unmarshal([]byte(a.Body), &list); err != nil || len(list) != 1 {
		p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return list[0].ID
}

// A token that is tied to networks opens nothing from elsewhere (identity 58).
func TestOktaTokenNetworks(t *testing.T) {
	p := start(t, "")
	who := p.hire("ops", access.SuperAdmin)
	zone := func(name, network string) string {
		return p.made("/api/v1/zones", `{"type":"IP","name":"`+name+`","gateways":[{"type":"CIDR","value":"`+network+`"}]}`)
	}
	here, there := zone("here", "127.0.0.0/8"), zone("there", "192.0.2.0/24")
	var list []struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/api-tokens", "").Body), &list); err != nil {
		t.Fatal(err)
	}
	var token string
	for _, o := range list {
		if o.Name == "ops" {
			token = o.ID
		}
	}
	for _, tt := range []struct {
		network string
		status  int
	}{
		{`{"connection":"ZONE","include":["` + there + `"]}`, 401},
		{`{"connection":"ZONE","include":["` + here + `"]}`, 200},
		{`{"connection":"ZONE","exclude":["` + here + `"]}`, 401},
		{`{"connection":"ZONE","exclude":["` + there + `"]}`, 200},
		{`{"connection":"ANYWHERE"}`, 200},
	} {
		if a := p.okta("PUT", "/api/v1/api-tokens/"+token, `{"name":"ops","network":`+tt.network+`}`); a.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", tt.network, a.Status, a.Body)
		}
		for _, path := range []string{"/api/v1/users/me", "/gatehouse/v1/status"} {
			if a := who.call("GET", path, ""); a.Status != tt.status {
				t.Errorf("%s: %s: %d %s", tt.network, path, a.Status, a.Body)
			}
		}
	}
	for _, bad := range []string{
		`{"name":"ops","network":{"connection":"ZONE"}}`, `{"name":"ops","network":{"connection":"ZONE","include":["nzo0"]}}`,
		`{"name":"ops","userId":"00u0"}`, `{"name":""}`,
	} {
		if a := p.okta("PUT", "/api/v1/api-tokens/"+token, bad); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", bad, a.Status, a.Body)
		}
	}
}

// Assignments are found by the client id that was chosen for an app.
func TestOktaAssignmentsOfChosenClientIDs(t *testing.T) {
	p := start(t, "")
	object := p.made("/api/v1/apps", `{"name":"oidc_client","label":"chosen","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"client_id":"my-intranet"}},
		"settings":{"oauthClient":{"application_type":"service","grant_types":["client_credentials"]}}}`)
	who := p.hire("chosen")
	if app.AssignedTo(t, p.App, who.id, "my-intranet") {
		t.Error("assigned before it was")
	}
	if a := p.okta("POST", "/api/v1/apps/"+object+"/users", `{"id":"`+who.id+`"}`); a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	if !app.AssignedTo(t, p.App, who.id, "my-intranet") {
		t.Error("not assigned")
	}
}

package app_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/okta/okta-sdk-golang/v5/okta"
)

// sdkClient is Okta's own client, unmodified. It leaves the port out of the
// address of an org, so its connections are led to the right one.
func (p *program) sdkClient(t *testing.T) (*sdk.APIClient, context.Context) {
	t.Helper()
	listener := strings.TrimPrefix(p.Ready().Identity, "http://")
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, listener)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	config, err := sdk.NewConfiguration(
		sdk.WithOrgUrl(p.Ready().Identity), sdk.WithToken(p.Ready().APIToken), sdk.WithTestingDisableHttpsCheck(true), sdk.WithCache(false),
		sdk.WithHttpClientPtr(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	return sdk.NewAPIClient(config), t.Context()
}

func TestOktaSDK(t *testing.T) {
	p := start(t, "")
	c, ctx := p.sdkClient(t)

	me, resp, err := c.UserAPI.GetUser(ctx, "me").Execute()
	if err != nil || me.Profile.GetLogin() != "ana@example.com" {
		t.Fatalf("me: %v %v", me, err)
	}
	closeBody(t, resp)

	names := map[string]bool{}
	for _, n := range []string{"sdk one", "sdk two", "sdk three"} {
		g, resp, err := c.GroupAPI.CreateGroup(ctx).Group(sdk.Group{Profile: &sdk.GroupProfile{Name: sdk.PtrString(n)}}).Execute()
		if err != nil {
			t.Fatal(err)
		}
		closeBody(t, resp)
		names[g.GetId()] = true
	}
	// Pages of two, followed by the SDK itself.
	list, resp, err := c.GroupAPI.ListGroups(ctx).Q("sdk").Limit(2).Execute()
	if err != nil || len(list) != 2 || !resp.HasNextPage() {
		t.Fatalf("first page: %d groups, next %v, %v", len(list), resp.HasNextPage(), err)
	}
	var more []sdk.Group
	if resp, err = resp.Next(&more); err != nil || len(more) != 1 || resp.HasNextPage() {
		t.Fatalf("second page: %d groups, next %v, %v", len(more), resp.HasNextPage(), err)
	}
	for _, g := range append(list, more...) {
		if !names[g.GetId()] {
			t.Errorf("group %s was not made here", g.GetId())
		}
		delete(names, g.GetId())
	}
	if len(names) > 0 {
		t.Errorf("not listed: %v", names)
	}

	user, resp, err := c.UserAPI.CreateUser(ctx).Body(sdk.CreateUserRequest{
		Profile: sdk.UserProfile{
			Login: sdk.PtrString("cleo@example.com"), Email: sdk.PtrString("cleo@example.com"),
			FirstName: *sdk.NewNullableString(sdk.PtrString("Cleo")), Department: sdk.PtrString("Sales"),
		},
		GroupIds: []string{list[0].GetId()},
	}).Execute()
	if err != nil || user.GetStatus() != "PROVISIONED" {
		t.Fatalf("create: %v %v", user.GetStatus(), err)
	}
	closeBody(t, resp)
	found, resp, err := c.UserAPI.ListUsers(ctx).Search(`profile.department eq "sales" and status eq "PROVISIONED"`).Execute()
	if err != nil || len(found) != 1 || found[0].GetId() != user.GetId() {
		t.Fatalf("search: %v %v", found, err)
	}
	closeBody(t, resp)
	members, resp, err := c.GroupAPI.ListGroupUsers(ctx, list[0].GetId()).Execute()
	if err != nil || len(members) != 1 {
		t.Fatalf("members: %v %v", members, err)
	}
	closeBody(t, resp)
	// Okta's deletion in two steps.
	for _, want := range []string{"DEPROVISIONED", ""} {
		resp, err := c.UserAPI.DeleteUser(ctx, user.GetId()).Execute()
		if err != nil {
			t.Fatal(err)
		}
		closeBody(t, resp)
		left, resp, err := c.UserAPI.GetUser(ctx, user.GetId()).Execute()
		if want == "" {
			if err == nil || resp.StatusCode != http.StatusNotFound {
				t.Errorf("after the second deletion: %v %v", left, err)
			}
		} else if err != nil || left.GetStatus() != want {
			t.Errorf("after the first deletion: %v %v", left.GetStatus(), err)
		}
	}
}

func TestOktaSDKServers(t *testing.T) {
	p := start(t, "")
	c, ctx := p.sdkClient(t)
	s, resp, err := c.AuthorizationServerAPI.CreateAuthorizationServer(ctx).AuthorizationServer(sdk.AuthorizationServer{
		Name: sdk.PtrString("orders"), Audiences: []string{"api://orders"},
	}).Execute()
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("create: %v %v", s, err)
	}
	closeBody(t, resp)
	id := s.GetId()
	scope, resp, err := c.AuthorizationServerScopesAPI.CreateOAuth2Scope(ctx, id).OAuth2Scope(sdk.OAuth2Scope{Name: sdk.PtrString("orders:read")}).Execute()
	if err != nil || scope.GetConsent() != "IMPLICIT" {
		t.Fatalf("scope: %v %v", scope, err)
	}
	closeBody(t, resp)
	claims, resp, err := c.AuthorizationServerClaimsAPI.ListOAuth2Claims(ctx, id).Execute()
	if err != nil || len(claims) != 19 {
		t.Fatalf("a new server has %d claims, %v", len(claims), err)
	}
	closeBody(t, resp)
	keys, resp, err := c.AuthorizationServerKeysAPI.ListAuthorizationServerKeys(ctx, id).Execute()
	if err != nil || len(keys) == 0 || keys[0].GetN() == "" {
		t.Fatalf("keys: %v %v", keys, err)
	}
	closeBody(t, resp)
	// An active server stays.
	if resp, err := c.AuthorizationServerAPI.DeleteAuthorizationServer(ctx, id).Execute(); err == nil || resp.StatusCode != http.StatusForbidden {
		t.Fatalf("deleting an active server: %v", err)
	}
	resp, err = c.AuthorizationServerAPI.DeactivateAuthorizationServer(ctx, id).Execute()
	if err != nil {
		t.Fatal(err)
	}
	closeBody(t, resp)
	resp, err = c.AuthorizationServerAPI.DeleteAuthorizationServer(ctx, id).Execute()
	if err != nil {
		t.Fatal(err)
	}
	closeBody(t, resp)
}

func closeBody(t *testing.T, resp *sdk.APIResponse) {
	t.Helper()
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

// okta calls the management API with the administrator's token.
func (p *program) okta(method, path, body string) answer {
	p.t.Helper()
	return p.request(method, p.Ready().Identity+path, "", body, "Authorization", "SSWS "+p.Ready().APIToken)
}

func TestOktaErrors(t *testing.T) {
	p := start(t, "")
	tests := []struct {
		method, path, body string
		status             int
		code, summary      string
	}{
		{"GET", "/api/v1/nothing", "", 404, "E0000008", "The requested path was not found"},
		{"PATCH", "/api/v1/users", "", 405, "E0000022", ""},
		{"GET", "/api/v1/users/00u000", "", 404, "E0000007", "Not found: Resource not found: 00u000 (User)"},
		{"GET", "/api/v1/zones/nzo1", "", 404, "E0000007", "Not found: Resource not found: nzo1 (NetworkZone)"},
		{"GET", "/api/v1/groups/rules/0pr1", "", 404, "E0000007", ""},
		{"POST", "/api/v1/groups", "{", 400, "E0000003", ""},
		{"POST", "/api/v1/groups", `{"profile":{"name":"x"}} {}`, 400, "E0000003", ""},
		{"POST", "/api/v1/groups", strings.Repeat("[", 100), 400, "E0000003", ""},
		{"POST", "/api/v1/groups", `{"profile":{"name":""}}`, 400, "E0000001", "Api validation failed: name"},
		{"POST", "/api/v1/groups", `{"profile":{"name":"employees"}}`, 400, "E0000001", "Api validation failed: name"},
		{"POST", "/api/v1/users", `{"profile":{"login":"ana@example.com","email":"ana@example.com"}}`, 400, "E0000001", "Api validation failed: login"},
		{"POST", "/api/v1/users", `{"profile":{"login":"x@y.z","email":"x@y.z"},"credentials":{"password":{"value":"short"}}}`, 400, "E0000080", ""},
		{"GET", "/api/v1/users?search=status+is+1", "", 400, "E0000031", ""},
		{"GET", "/api/v1/users?limit=x", "", 400, "E0000001", "Api validation failed: limit"},
		{"GET", "/api/v1/users?after=x", "", 400, "E0000001", ""},
		{"POST", "/api/v1/users/ana@example.com/lifecycle/activate", "", 403, "E0000038", ""},
		{"POST", "/api/v1/users/ana/lifecycle/unlock", "", 403, "E0000038", ""},
		{"POST", "/api/v1/users/ben/lifecycle/deactivate?sendEmail=true", "", 400, "E0000001", "Api validation failed: sendEmail"},
		{"DELETE", "/api/v1/users/ben?sendEmail=true", "", 400, "E0000001", "Api validation failed: sendEmail"},
		{"DELETE", "/api/v1/authorizationServers/default", "", 403, "E0000006", ""},
	}
	for _, tt := range tests {
		a := p.okta(tt.method, tt.path, tt.body)
		e := a.json(t)
		if a.Status != tt.status || e["errorCode"] != tt.code || e["errorLink"] != tt.code || tt.summary != "" && e["errorSummary"] != tt.summary {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, a.Status, a.Body)
		}
		if id, _ := e["errorId"].(string); !regexp.MustCompile(`^oae[\w-]{10,}$`).MatchString(id) {
			t.Errorf("%s %s: errorId %q", tt.method, tt.path, id)
		}
		if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("X-Okta-Request-Id") == "" {
			t.Errorf("%s %s: headers %v", tt.method, tt.path, a.Header)
		}
		if _, err := strconv.Atoi(a.Header.Get("X-Rate-Limit-Remaining")); err != nil {
			t.Errorf("%s %s: X-Rate-Limit-Remaining: %v", tt.method, tt.path, err)
		}
	}
	for _, header := range []string{"", "SSWS", "SSWS nope", "Bearer nope", "Basic " + p.Ready().APIToken} {
		a := p.request("GET", p.Ready().Identity+"/api/v1/nothing", "", "", "Authorization", header)
		if a.Status != http.StatusUnauthorized || a.json(t)["errorCode"] != "E0000011" {
			t.Errorf("%q: %d %s", header, a.Status, a.Body)
		}
	}
}

// made posts an object and returns its id.
func (p *program) made(path, body string) string {
	p.t.Helper()
	a := p.okta("POST", path, body)
	id, ok := a.json(p.t)["id"].(string)
	if !ok {
		p.t.Fatalf("%s: %d %s", path, a.Status, a.Body)
	}
	return id
}

// The token of somebody who may do nothing any more opens nothing, in neither API.
func TestOktaTokenEndsWithItsUser(t *testing.T) {
	p := start(t, "")
	if a := p.okta("POST", "/api/v1/users/me/lifecycle/suspend", ""); a.Status != http.StatusOK {
		t.Fatalf("suspend: %d %s", a.Status, a.Body)
	}
	for _, path := range []string{"/api/v1/users/me", "/gatehouse/v1/status"} {
		if a := p.okta("GET", path, ""); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// Each link has a header line of its own: an SDK reads the first of a line.
func TestOktaLinks(t *testing.T) {
	p := start(t, "")
	a := p.okta("GET", "/api/v1/users?limit=1&search=status+pr", "")
	links := a.Header.Values("Link")
	if len(links) != 2 || !strings.HasSuffix(links[0], `; rel="self"`) || !strings.HasSuffix(links[1], `; rel="next"`) ||
		!strings.HasPrefix(links[1], "<"+p.Ready().Identity+"/api/v1/users?after=") || !strings.Contains(links[1], "search=status+pr") {
		t.Errorf("links: %q", links)
	}
}

// What Terraform does in parallel makes Okta answer 500; here every priority ends
// up taken once.
func TestOktaPrioritiesUnderParallelWrites(t *testing.T) {
	p := start(t, "")
	const n = 16
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			a := p.okta("POST", "/api/v1/authorizationServers/default/policies",
				`{"type":"OAUTH_AUTHORIZATION_POLICY","name":"p`+strconv.Itoa(i)+`","priority":1,"conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
			if a.Status != http.StatusCreated {
				t.Errorf("policy %d: %d %s", i, a.Status, a.Body)
			}
		})
	}
	group.Wait()
	var list []struct {
		ID       string `json:"id"`
		Priority int    `json:"priority"`
	}
	if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/authorizationServers/default/policies", "").Body), &list); err != nil {
		t.Fatal(err)
	}
	for i, policy := range list {
		if policy.Priority != i+1 {
			t.Errorf("policy %d stands at %d", i, policy.Priority)
		}
	}
	if len(list) != n+1 {
		t.Errorf("%d policies", len(list))
	}
	// The last one moves to the front: the others make room.
	a := p.okta("PUT", "/api/v1/authorizationServers/default/policies/"+list[n-1].ID, `{"name":"first","priority":1}`)
	if a.Status != http.StatusOK || a.json(t)["priority"] != 1.0 {
		t.Errorf("move: %d %s", a.Status, a.Body)
	}
}

// A client that does not know a setting of ours does not wipe it.
func TestOktaPutKeepsWhatItDoesNotKnow(t *testing.T) {
	p := start(t, "")
	const policies = "/api/v1/authorizationServers/default/policies"
	path := policies + "/" + p.made(policies, `{"name":"p","conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	if a := p.okta("PUT", path, `{"name":"renamed","priority":2}`); a.Status != http.StatusOK || !strings.Contains(a.Body, "ALL_CLIENTS") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

func TestOktaGroupRules(t *testing.T) {
	p := start(t, "")
	group := p.made("/api/v1/groups", `{"profile":{"name":"sales"}}`)
	rule := p.made("/api/v1/groups/rules", `{"type":"group_rule","name":"sales people",
		"conditions":{"expression":{"type":"urn:okta:expression:1.0","value":"user.department == \"Sales\""}},
		"actions":{"assignUserToGroups":{"groupIds":["`+group+`"]}}}`)
	hire := func(login, department string) string {
		return p.made("/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`","department":"`+department+`"}}`)
	}
	members := func() (ids []string) {
		var list []struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal([]byte(p.okta("GET", "/api/v1/groups/"+group+"/users", "").Body), &list); err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			ids = append(ids, u.ID)
		}
		slices.Sort(ids)
		return ids
	}
	before := hire("dan@example.com", "Sales")
	if got := members(); len(got) != 0 {
		t.Errorf("an inactive rule has put %v into the group", got)
	}
	if a := p.okta("POST", "/api/v1/groups/rules/"+rule+"/lifecycle/activate", ""); a.Status != http.StatusNoContent {
		t.Fatalf("activate: %d %s", a.Status, a.Body)
	}
	if got := members(); !slices.Equal(got, []string{before}) {
		t.Errorf("after activation: %v", got)
	}
	after := hire("eve@example.com", "Sales")
	hire("fay@example.com", "IT")
	want := []string{before, after}
	slices.Sort(want)
	if got := members(); !slices.Equal(got, want) {
		t.Errorf("after users came: %v, want %v", got, want)
	}
	p.okta("POST", "/api/v1/users/"+before, `{"profile":{"department":"IT"}}`)
	if got := members(); !slices.Equal(got, []string{after}) {
		t.Errorf("after a change: %v", got)
	}
}

// TestOktaReplay replays recorded traffic of Okta's Terraform provider. The bar is
// 98 of 100 interactions answered as recorded.
func TestOktaReplay(t *testing.T) {
	tool, recordings := replayTool(t)
	p := start(t, "")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "--org", p.Ready().Identity, "--token", p.Ready().APIToken, "--probes", "--first", "0", "--seed", "test", recordings)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`(\d+)/(\d+) interactions as recorded`).FindSubmatch(out)
	probes := regexp.MustCompile(`probes: (\d+)/(\d+)`).FindSubmatch(out)
	if m == nil || probes == nil {
		t.Fatalf("no figures:\n%s", out)
	}
	t.Logf("%s, %s", m[0], probes[0])
	passed, err := strconv.Atoi(string(m[1]))
	total, err2 := strconv.Atoi(string(m[2]))
	if err != nil || err2 != nil || passed*100 < total*98 || string(probes[1]) != string(probes[2]) {
		t.Errorf("%s, %s\n%s", m[0], probes[0], out)
	}
}

// replayTool finds the tool and its recordings in a folder "shared" beside the
// repository, and skips the test when they are not there.
func replayTool(t *testing.T) (tool, recordings string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		tool = filepath.Join(dir, "..", "shared", "okta", "okta-replay")
		if _, err := os.Stat(tool); err == nil {
			if _, err := exec.LookPath("python3"); err != nil {
				t.Skip("there is no python3")
			}
			return tool, filepath.Join(filepath.Dir(tool), "recordings", "core")
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("the recordings are not here")
	return "", ""
}

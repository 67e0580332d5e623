package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
)

// An operator makes an API token of a person: it does what the person's roles allow,
// and nothing after its end.
func TestOperatorsMakeAPITokens(t *testing.T) {
	p := start(t, "")
	admin, ctx := p.admin(), t.Context()
	who := p.hire("tara", "GROUP_MEMBERSHIP_ADMIN")
	made, err := admin.CreateAPIToken(ctx, client.APIToken{Name: "terraform", User: "tara@example.com", Expires: time.Now().Add(time.Hour)})
	if err != nil || made.Token == "" || made.ID == "" || made.User != "tara@example.com" {
		t.Fatalf("%+v %v", made, err)
	}
	call := func(method, path, body string) int {
		return p.request(method, p.Ready().Identity+path, "", body, "Authorization", "SSWS "+made.Token).Status
	}
	if call("GET", "/api/v1/users/me", "") != http.StatusOK || call("GET", "/api/v1/groups", "") != http.StatusOK {
		t.Error("the token does not do what its user may")
	}
	if call("POST", "/api/v1/groups", `{"profile":{"name":"x"}}`) != http.StatusForbidden || call("GET", "/gatehouse/v1/api-tokens", "") != http.StatusForbidden ||
		call("POST", "/gatehouse/v1/api-tokens", `{"name":"mine","user":"ana@example.com"}`) != http.StatusForbidden {
		t.Error("the token does what its user may not")
	}
	list, err := admin.APITokens(ctx)
	found := false
	for _, o := range list {
		found = found || o.ID == made.ID && o.User == "tara@example.com" && o.Token == ""
	}
	if err != nil || !found {
		t.Errorf("listed: %+v %v", list, err)
	}
	for text, wrong := range map[string]client.APIToken{
		"past": {Name: "x", User: "tara@example.com", Expires: time.Now().Add(-time.Hour)}, "nobody": {Name: "x", User: "nobody"},
		"given by the server": {Name: "x", User: "tara@example.com", Token: "mine"}, "name": {User: "tara@example.com"},
	} {
		if got, err := admin.CreateAPIToken(ctx, wrong); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	if err := admin.DeleteAPIToken(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if got := call("GET", "/api/v1/users/me", ""); got != http.StatusUnauthorized {
		t.Errorf("a deleted token: %d", got)
	}
	if a := p.okta("POST", "/api/v1/users/"+who.id+"/lifecycle/suspend", ""); a.Status != http.StatusOK {
		t.Fatal(a.Body)
	}
	if _, err := admin.CreateAPIToken(ctx, client.APIToken{Name: "x", User: "tara@example.com"}); err == nil || !strings.Contains(err.Error(), "SUSPENDED") {
		t.Errorf("a token of somebody who is suspended: %v", err)
	}
}

package app_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/client"
)

// People and policies have their history, with what each change changed, and are brought
// back to what they were: a department, a status, an access rule that was deleted. A
// password is neither shown nor brought back.
func TestObjectsAreRestored(t *testing.T) {
	onBothEngines(t, func(t *testing.T, store startOption) {
		p := start(t, "", store)
		admin, ctx := p.admin(), t.Context()
		id := p.made("/api/v1/users", `{"profile":{"login":"back@example.com","email":"back@example.com","department":"Sales"},"credentials":{"password":{"value":"correct horse 1"}}}`)
		first, err := admin.ObjectHistory(ctx, "user", "back@example.com")
		if err != nil || len(first) != 1 || first[0].Operation != "create" {
			t.Fatalf("%+v %v", first, err)
		}
		then := first[0].Revision
		p.okta("POST", "/api/v1/users/"+id, `{"profile":{"department":"Moved"},"credentials":{"password":{"value":"battery staple 2"}}}`)
		p.okta("POST", "/api/v1/users/"+id+"/lifecycle/suspend", "")
		list, err := admin.ObjectHistory(ctx, "user", id)
		if err != nil || len(list) < 3 {
			t.Fatalf("%+v %v", list, err)
		}
		said := map[string]string{}
		for _, ch := range list {
			for _, f := range ch.Fields {
				said[f.Path] += f.Before + ">" + f.After + ";"
				if strings.Contains(f.Before+f.After, "argon2") {
					t.Errorf("the verifier of a password is shown: %+v", f)
				}
			}
		}
		if !strings.Contains(said["profile.attributes.department"], "Sales>Moved") || !strings.Contains(said["passwordHash"], "(not shown)>(not shown)") {
			t.Errorf("%v", said)
		}
		would, err := admin.RestoreObject(ctx, "user", id, client.ObjectRestore{Revision: then, DryRun: true})
		if err != nil || len(would.Fields) == 0 || p.okta("GET", "/api/v1/users/"+id, "").json(t)["status"] != "SUSPENDED" {
			t.Errorf("a dry run: %+v %v", would, err)
		}
		if did, err := admin.RestoreObject(ctx, "user", id, client.ObjectRestore{Revision: then, Reason: "moved by mistake"}); err != nil || did.Revision == 0 || did.Operation != "update" {
			t.Fatalf("%+v %v", did, err)
		}
		now := p.okta("GET", "/api/v1/users/"+id, "")
		if now.json(t)["status"] != "ACTIVE" || !strings.Contains(now.Body, `"department":"Sales"`) {
			t.Errorf("restored: %s", now.Body)
		}
		// Back to when they were suspended: that is a step of its own, which ends sessions.
		if _, err := admin.RestoreObject(ctx, "user", id, client.ObjectRestore{Revision: list[0].Revision}); err != nil || p.okta("GET", "/api/v1/users/"+id, "").json(t)["status"] != "ACTIVE" {
			t.Errorf("a suspension by restoring: %v", err)
		}
		app, secret := p.legacyApp("https://old.test/callback")
		for password, want := range map[string]int{"correct horse 1": http.StatusBadRequest, "battery staple 2": http.StatusOK} {
			status, _ := p.tokenRequest(url.Values{"grant_type": {"password"}, "client_id": {app}, "client_secret": {secret}, "username": {"back@example.com"}, "password": {password}, "scope": {"openid"}})
			if status != want {
				t.Errorf("the password %q: %d", password, status)
			}
		}
		if again, err := admin.RestoreObject(ctx, "user", id, client.ObjectRestore{Revision: then}); err != nil || len(again.Fields) > 3 {
			t.Errorf("again: %+v %v", again, err)
		}
		p.restoredPolicies(t)
	})
}

// restoredPolicies brings back an access rule that is gone, and refuses what is not to be
// brought back.
func (p *program) restoredPolicies(t *testing.T) {
	t.Helper()
	admin, ctx := p.admin(), t.Context()
	const policies = "/api/v1/authorizationServers/default/policies"
	policy := p.made(policies, `{"name":"restored","conditions":{"clients":{"include":["ALL_CLIENTS"]}}}`)
	rule := p.made(policies+"/"+policy+"/rules", `{"name":"restored","conditions":{"people":{"groups":{"include":["EVERYONE"]}},"grantTypes":{"include":["client_credentials"]},"scopes":{"include":["*"]}}}`)
	made, err := admin.ObjectHistory(ctx, "access_rule", rule)
	if err != nil || len(made) != 1 {
		t.Fatalf("%+v %v", made, err)
	}
	before := made[0].Revision
	if a := p.okta("DELETE", policies+"/"+policy+"/rules/"+rule, ""); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if did, err := admin.RestoreObject(ctx, "access_rule", rule, client.ObjectRestore{Revision: before}); err != nil || did.Operation != "create" {
		t.Errorf("%+v %v", did, err)
	}
	if a := p.okta("GET", policies+"/"+policy+"/rules/"+rule, ""); a.Status != http.StatusOK || !strings.Contains(a.Body, "EVERYONE") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if log := p.logged(t, "object.restore"); !strings.Contains(log, rule) {
		t.Errorf("the log does not say so: %s", log)
	}
	for _, bad := range []struct {
		kind, id string
		revision int64
		status   int
	}{
		{"access_rule", rule, before - 1, 404},
		{"access_rule", rule, 1 << 40, 404},
		{"access_rule", rule, 0, 404},
		{"access_rule", "0pr0", before, 404},
		{"api_token", rule, before, 404},
		{"app", rule, before, 404},
		{"user", "nobody@example.com", before, 404},
		{"nothing", "x'y", before, 404},
	} {
		_, err := admin.RestoreObject(ctx, bad.kind, bad.id, client.ObjectRestore{Revision: bad.revision})
		var e *client.Error
		if !errors.As(err, &e) || e.Status != bad.status {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	// Only who may do everything sees this, and does it.
	who := p.hire("restorer", "USER_ADMIN")
	if a := p.request("POST", p.Ready().Identity+"/gatehouse/v1/objects/access_rule/"+rule+"/restore", "", `{"revision":1}`, "Authorization", "SSWS "+who.token); a.Status != http.StatusForbidden {
		t.Errorf("who may not do everything: %d %s", a.Status, a.Body)
	}
}

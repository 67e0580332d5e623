package access

import (
	"slices"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func TestPermissions(t *testing.T) {
	tests := []struct {
		held  Permissions
		name  string
		allow bool
	}{
		{Permissions{AllPermissions}, "okta.users.read", true},
		{Permissions{AllPermissions}, AllPermissions, true},
		{Permissions{"okta.users.manage"}, "okta.users.read", true},
		{Permissions{"okta.users.manage"}, "okta.users.lifecycle.unlock", true},
		{Permissions{"okta.users.manage"}, "okta.userTypes.read", false},
		{Permissions{"okta.users.manage"}, AllPermissions, false},
		{Permissions{"okta.users.read"}, "okta.users.manage", false},
		{Permissions{"okta.users.read"}, "okta.users.credentials.manage", false},
		{Permissions{"okta.users.credentials.manage"}, "okta.users.manage", false},
		{Permissions{"okta.apps.read"}, "okta.apps.clientCredentials.read", false},
		{Permissions{"okta.groups.members.manage"}, "okta.groups.manage", false},
		{nil, "okta.users.read", false},
	}
	for _, tt := range tests {
		if got := tt.held.Allow(tt.name); got != tt.allow {
			t.Errorf("%v allow %s: %v", tt.held, tt.name, got)
		}
	}
}

// Who may do everything covers everybody, and nobody else covers them.
func TestRolesCoverEachOther(t *testing.T) {
	for _, r := range adminRoles {
		if len(r.Permissions) == 0 || !r.Permissions.Cover(r.Permissions) || !r.Permissions.Cover(nil) {
			t.Errorf("%s does not cover itself", r.Type)
		}
		super, _ := FindAdminRole(SuperAdmin)
		if !super.Permissions.Cover(r.Permissions) || r.Type != SuperAdmin && r.Permissions.Cover(super.Permissions) {
			t.Errorf("%s and %s", r.Type, SuperAdmin)
		}
		for _, p := range r.Permissions {
			// A misspelt permission would allow nothing.
			if p != AllPermissions && !slices.ContainsFunc(ManagementScopes(), func(s string) bool { return (Permissions{s}).Allow(p) }) {
				t.Errorf("%s: no scope allows %s", r.Type, p)
			}
		}
	}
}

func TestChosenClientID(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	app := App{Label: "one", ClientID: "my.client", GrantTypes: []string{GrantClientCredentials}}
	o, secret, err := r.service.AddApp(r.ctx, r.admin, app, "", nil)
	must(t, err)
	if _, _, err := r.service.AddApp(r.ctx, r.admin, app, "", nil); !fault.Is(err, fault.Conflict) {
		t.Errorf("a client id that is taken: %v", err)
	}
	for _, bad := range []string{"short", "a:colon", "two words", "0oa4567890123456789x", "ünicode"} {
		if _, _, err := r.service.AddApp(r.ctx, r.admin, App{Label: "x", ClientID: bad}, "", nil); !fault.Is(err, fault.Invalid) {
			t.Errorf("client id %q: %v", bad, err)
		}
	}
	server := r.server(t, "orders")
	_, err = r.service.CreatePolicy(r.ctx, r.admin, Policy{Server: server.ID, Name: "p", Status: Active, Conditions: PolicyContexts{Clients: Selection{Include: []string{"my.client"}}}})
	must(t, err)
	v, err := r.views.Get(r.ctx, "default")
	must(t, err)
	view, ok := v.App("my.client")
	if !ok || view.ID != "my.client" || view.Object != o.ID || secret == "" {
		t.Fatalf("by its client id: %+v", view)
	}
	if _, ok := v.App(o.ID); ok {
		t.Error("the app is known by its id, too")
	}
	compiled, _ := v.Server(server.ID)
	if got := compiled.policies[0].Conditions.Clients.Include; !slices.Equal(got, []string{"my.client"}) {
		t.Errorf("the policy is for %v", got)
	}
	ids, err := r.service.ClientIDs(r.ctx, []string{AllClients, o.ID})
	must(t, err)
	if !slices.Equal(ids, []string{AllClients, "my.client"}) {
		t.Errorf("client ids %v", ids)
	}
	// It stays, whatever a change says.
	o, err = r.service.ChangeApp(r.ctx, r.admin, o.ID, AppChange{Change: func(a *App) error {
		a.ClientID, a.Grants = "other.client", []ScopeGrant{{ID: "x", Scope: "okta.users.manage"}}
		return nil
	}})
	must(t, err)
	if o.Value.ClientID != "my.client" || len(o.Value.Grants) != 0 {
		t.Errorf("identity 54: %+v", o.Value)
	}
	must(t, r.service.DeactivateApp(r.ctx, r.admin, o.ID))
}

func TestAPITokenEnds(t *testing.T) {
	made := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	token := APIToken{Created: made}
	if got := token.Ends(time.Time{}); !got.Equal(made.Add(IdleTime)) {
		t.Errorf("never used: %v", got)
	}
	used := made.Add(20 * 24 * time.Hour)
	if got := token.Ends(used); !got.Equal(used.Add(IdleTime)) {
		t.Errorf("used: %v", got)
	}
	token.Expires = made.Add(time.Hour)
	if got := token.Ends(used); !got.Equal(token.Expires) {
		t.Errorf("with an end: %v", got)
	}
}

func TestLastSuperAdministrator(t *testing.T) {
	r := newRoom(t)
	app := func(label string) string {
		o, _, err := r.service.AddApp(r.ctx, r.admin, App{Label: label}, "", nil)
		must(t, err)
		return o.ID
	}
	a, b := app("a"), app("b")
	assign := func(user string) ledger.Object[RoleAssignment] {
		o, err := r.service.AssignRole(r.ctx, r.admin, RoleAssignment{Assignee: AssigneeApp, ID: user, Type: SuperAdmin}, nil)
		must(t, err)
		return o
	}
	one, two := assign(a), assign(b)
	must(t, r.service.UnassignRole(r.ctx, r.admin, AssigneeApp, a, one.ID))
	if err := r.service.UnassignRole(r.ctx, r.admin, AssigneeApp, b, two.ID); !fault.Is(err, fault.Denied) {
		t.Errorf("the last one: %v", err)
	}
	// identity 55: an assignment is reached by whom it is of alone.
	if err := r.service.UnassignRole(r.ctx, r.admin, AssigneeApp, a, two.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("another's: %v", err)
	}
}

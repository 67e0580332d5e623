package directory

import (
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func (r *room) status(t *testing.T, id string) Status {
	t.Helper()
	u, err := r.service.User(r.ctx, id)
	must(t, err)
	return u.Value.Status
}

func TestLifecycle(t *testing.T) {
	r := newRoom(t)
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: "ana", Email: "a@acme.test"}, Staged: true})
	must(t, err)
	if !u.Value.Activated.IsZero() || !u.Value.StatusChanged.IsZero() {
		t.Errorf("a staged user is not in use: %+v", u.Value)
	}
	u, err = r.service.Activate(r.ctx, r.admin, u.ID)
	must(t, err)
	if u.Value.Status != Provisioned || u.Value.Activated.IsZero() {
		t.Errorf("without a password a user is provisioned: %+v", u.Value)
	}
	if _, err := r.service.Activate(r.ctx, r.admin, u.ID); fault.Of(err) == nil || fault.Of(err).Reason != ReasonStatus {
		t.Errorf("activated twice: %v", err)
	}
	must(t, r.service.SetPassword(r.ctx, r.admin, u.ID, "correct horse"))
	if s := r.status(t, u.ID); s != Active {
		t.Errorf("with a password: %s", s)
	}
	must(t, r.service.SetStatus(r.ctx, r.admin, u.ID, PasswordExpired))
	must(t, r.service.SetPassword(r.ctx, r.admin, u.ID, "battery staple"))
	if s := r.status(t, u.ID); s != Active {
		t.Errorf("a new password ends the expiry: %s", s)
	}
	if err := r.service.Unlock(r.ctx, r.admin, u.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("unlocked, but was not locked: %v", err)
	}
	must(t, r.service.SetStatus(r.ctx, r.admin, u.ID, Suspended))
	must(t, r.service.Unsuspend(r.ctx, r.admin, u.ID))
	for _, want := range []bool{false, true} {
		if gone, err := r.service.DeleteUser(r.ctx, r.admin, u.ID); err != nil || gone != want {
			t.Errorf("gone %v, want %v, %v", gone, want, err)
		}
	}
	if _, err := r.service.User(r.ctx, u.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("after the deletion: %v", err)
	}
}

func TestChangePasswordNeedsTheOldOne(t *testing.T) {
	r := newRoom(t)
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: "ana", Email: "a@acme.test"}, Password: "correct horse"})
	must(t, err)
	if _, err := r.service.ChangePassword(r.ctx, r.admin, u.ID, "wrong horse", "battery staple", false); !fault.Is(err, fault.Denied) {
		t.Errorf("with a wrong one: %v", err)
	}
	if _, err := r.service.ChangeQuestion(r.ctx, r.admin, u.ID, "wrong horse", "pet?", "rex the dog"); !fault.Is(err, fault.Denied) {
		t.Errorf("question with a wrong one: %v", err)
	}
	_, err = r.service.ChangePassword(r.ctx, r.admin, u.ID, "correct horse", "battery staple", false)
	must(t, err)
	must(t, r.service.CheckPassword(r.ctx, u.ID, "battery staple"))
}

func TestProfileAttributes(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	r.declare(t, map[string]*SchemaAttribute{
		"badge": {Title: "Badge", Type: "number"}, "skills": {Title: "Skills", Type: "array", Items: &SchemaItems{Type: "string"}},
	})
	id := r.user(t, "ana")
	set := func(attributes map[string]any) error {
		_, err := r.service.ChangeUser(r.ctx, r.admin, id, UserChange{Profile: func(p *Profile) error {
			p.Attributes = attributes
			return nil
		}})
		return err
	}
	must(t, set(map[string]any{"department": "Sales", "badge": 7.0, "skills": []any{"go", "sql"}}))
	must(t, set(map[string]any{"department": "IT"}))
	u, err := r.service.User(r.ctx, id)
	must(t, err)
	if len(u.Value.Profile.Attributes) != 1 || u.Value.Profile.Attributes["department"] != "IT" {
		t.Errorf("what was taken away is still there: %v", u.Value.Profile.Attributes)
	}
	for name, bad := range map[string]map[string]any{
		"a number where text is": {"department": 1.0},
		"an object":              {"x": map[string]any{}},
		"a list of lists":        {"x": []any{[]any{}}},
		"a bad name":             {"a b": "x"},
		"an unknown attribute":   {"shoes": "x"},
		"another type":           {"badge": "seven"},
		"another type in a list": {"skills": []any{1.0}},
		"an attribute twice":     {"login": "x"},
	} {
		if err := set(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryone(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	must(t, r.service.EnsureTenant(r.ctx, r.admin))
	ana := r.user(t, "ana")
	everyone, err := r.service.FindGroup(r.ctx, EveryoneGroup)
	must(t, err)
	groups, err := r.service.GroupsOf(r.ctx, ana)
	must(t, err)
	if len(groups) != 1 || groups[0].ID != everyone.ID {
		t.Errorf("groups: %v", groups)
	}
	page, err := r.service.Members(r.ctx, everyone.ID, "", 10)
	must(t, err)
	if len(page.Items) != 1 {
		t.Errorf("members: %v", page.Items)
	}
	for name, err := range map[string]error{
		"add":    r.service.AddMember(r.ctx, r.admin, everyone.ID, ana),
		"remove": r.service.RemoveMember(r.ctx, r.admin, everyone.ID, ana),
		"delete": r.service.DeleteGroup(r.ctx, r.admin, everyone.ID),
	} {
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGroupRules(t *testing.T) {
	r := newRoom(t)
	sales, direct := r.group(t, "sales"), r.group(t, "direct")
	ruled := func(name, expression string, groups ...string) string {
		o, err := r.service.CreateRule(r.ctx, r.admin, GroupRule{Name: name, Expression: expression, Groups: groups})
		must(t, err)
		must(t, r.service.ActivateRule(r.ctx, r.admin, o.ID))
		return o.ID
	}
	ana := r.user(t, "ana")
	must(t, r.service.AddMember(r.ctx, r.admin, direct, ana))
	rule := ruled("by login", `user.login == "ana"`, sales, direct)
	cascade := ruled("by group", `isMemberOfGroup("`+sales+`")`, r.group(t, "third"))
	names := func() (out []string) {
		groups, err := r.service.GroupsOf(r.ctx, ana)
		must(t, err)
		for _, g := range groups {
			out = append(out, g.Name)
		}
		return out
	}
	if got := names(); len(got) != 3 {
		t.Fatalf("groups: %v", got)
	}
	// A user who does not match any more leaves, but not where they were before.
	_, err := r.service.ChangeUser(r.ctx, r.admin, ana, UserChange{Profile: func(p *Profile) error { p.Login = "anna"; return nil }})
	must(t, err)
	if got := names(); len(got) != 1 || got[0] != "direct" {
		t.Errorf("after the change: %v", got)
	}
	if err := r.service.DeleteRule(r.ctx, r.admin, rule, false); !fault.Is(err, fault.Denied) {
		t.Errorf("an active rule was deleted: %v", err)
	}
	must(t, r.service.DeactivateRule(r.ctx, r.admin, cascade))
	must(t, r.service.DeleteRule(r.ctx, r.admin, cascade, true))
	must(t, r.service.DeleteGroup(r.ctx, r.admin, sales))
	if o, err := r.service.Rule(r.ctx, rule); err != nil || o.Value.Status != RuleInvalid {
		t.Errorf("the rule of a deleted group: %v %v", o.Value.Status, err)
	}
	if _, err := r.service.CreateRule(r.ctx, r.admin, GroupRule{Name: "bad", Expression: "exec()", Groups: []string{direct}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a rule that does not compile: %v", err)
	}
}

func TestListUsersPages(t *testing.T) {
	r := newRoom(t)
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		r.user(t, n)
	}
	seen := map[string]bool{}
	after := ""
	for pages := 0; ; pages++ {
		p, err := r.service.ListUsers(r.ctx, UserList{After: after, Limit: 2, Match: func(u ledger.Object[User]) bool { return u.Value.Profile.Login != "c" }})
		must(t, err)
		for _, u := range p.Items {
			if seen[u.ID] {
				t.Errorf("%s is listed twice", u.Value.Profile.Login)
			}
			seen[u.ID] = true
		}
		if after = p.Next; after == "" {
			if pages != 1 {
				t.Errorf("%d pages", pages+1)
			}
			break
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d users", len(seen))
	}
}

package directory

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func newcomers(n int) []NewUser {
	users := make([]NewUser, n)
	for i := range users {
		login := fmt.Sprintf("user%d@acme.test", i)
		users[i].Profile = Profile{Login: login, Email: login}
	}
	return users
}

// count returns how many users there are.
func (r *room) count(t *testing.T) (n int) {
	t.Helper()
	must(t, r.ledger.View(r.ctx, func(tx *ledger.Tx) error {
		for _, err := range Users.All(tx, ledger.Query{}) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	}))
	return n
}

func TestImportIsOneChangeAndOneEvent(t *testing.T) {
	r := newRoom(t)
	staff := r.group(t, "Staff")
	rule, err := r.service.CreateRule(r.ctx, r.admin, GroupRule{Name: "all", Expression: `String.stringContains(user.login, "acme")`, Groups: []string{staff}})
	must(t, err)
	must(t, r.service.ActivateRule(r.ctx, r.admin, rule.ID))
	r.notes.events = nil
	before, err := r.ledger.Head(r.ctx)
	must(t, err)
	users := newcomers(MaxImport)
	users[1].Staged = true
	must(t, r.service.ImportUsers(r.ctx, r.admin, users))
	after, err := r.ledger.Head(r.ctx)
	must(t, err)
	if after != before+1 || r.count(t) != MaxImport {
		t.Errorf("%d revisions later there are %d users", after-before, r.count(t))
	}
	if len(r.notes.events) != 1 || r.notes.events[0].Type != audit.UsersImported {
		t.Errorf("events: %+v", r.notes.events)
	}
	for login, want := range map[string]Status{"user0@acme.test": Provisioned, "USER1@acme.test": Staged} {
		u, err := r.service.FindUser(r.ctx, login)
		must(t, err)
		if u.Value.Status != want || u.Value.Password != "" {
			t.Errorf("%s: %+v", login, u.Value)
		}
	}
	members, err := r.service.Members(r.ctx, staff, "", 200)
	must(t, err)
	if len(members.Items) != 200 {
		t.Errorf("the rule put %d users into the group", len(members.Items))
	}
}

func TestImportTakesAllOrNone(t *testing.T) {
	r := newRoom(t)
	must(t, r.service.ImportUsers(r.ctx, r.admin, newcomers(8)[7:]))
	twice, invalid := newcomers(3), newcomers(3)
	twice[2].Profile.Login = strings.ToUpper(twice[0].Profile.Login)
	invalid[1].Profile.Email = "nobody"
	for _, c := range []struct {
		name  string
		users []NewUser
		code  fault.Code
		says  string
	}{
		{"a login that is taken", newcomers(10), fault.Conflict, "user 8, "},
		{"twice in the same import", twice, fault.Conflict, "user 3, "},
		{"not valid", invalid, fault.Invalid, "users[1].profile.email"},
		{"nobody", nil, fault.Invalid, "nobody"},
		{"too many", newcomers(MaxImport + 1), fault.TooLarge, "at most 1000"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.notes.events = nil
			err := r.service.ImportUsers(r.ctx, r.admin, c.users)
			if !fault.Is(err, c.code) || !strings.Contains(fmt.Sprint(err, fault.Of(err).Fields), c.says) {
				t.Errorf("got %v %v", err, fault.Of(err))
			}
			if n := r.count(t); n != 1 || len(r.notes.events) != 0 {
				t.Errorf("%d users, events %v", n, r.notes.events)
			}
		})
	}
}

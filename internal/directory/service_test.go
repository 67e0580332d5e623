package directory

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
)

type notes struct{ events []audit.Event }

func (n *notes) Record(e audit.Event) { n.events = append(n.events, e) }

// hasher is a Hasher that marks what it has seen.
type hasher struct{ seen []string }

func (h *hasher) Hash(_ context.Context, password string) (string, error) {
	h.seen = append(h.seen, password)
	return "$argon2id$marked " + password, nil
}

func (h *hasher) Check(_ context.Context, verifier, password string) (ok, rehash bool, err error) {
	return verifier == "$argon2id$marked "+password, false, nil
}

type room struct {
	ctx     context.Context
	ledger  *ledger.Ledger
	service *Service
	notes   *notes
	hasher  *hasher
	admin   ledger.Actor
}

func newRoom(t *testing.T) *room {
	t.Helper()
	return newRoomTB(t)
}

func newRoomTB(t testing.TB) *room {
	t.Helper()
	r := &room{ctx: tenant.With(context.Background(), tenant.Default), admin: ledger.System("test"), notes: &notes{}, hasher: &hasher{}}
	clock := func() time.Time { return time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC) }
	db, err := store.Open(r.ctx, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db"), Clock: clock})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	registry, err := ledger.NewRegistry(Kinds()...)
	must(t, err)
	r.ledger, err = ledger.New(ledger.Config{Store: db.Ledger(), Registry: registry, Clock: clock})
	must(t, err)
	r.service = NewService(Config{Ledger: r.ledger, Passwords: r.hasher, Audit: r.notes, FactorUse: db})
	return r
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *room) user(t *testing.T, login string) string {
	t.Helper()
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: login, Email: login + "@acme.test"}})
	must(t, err)
	return u.ID
}

func (r *room) group(t *testing.T, name string) string {
	t.Helper()
	g, err := r.service.CreateGroup(r.ctx, r.admin, Group{Name: name})
	must(t, err)
	return g.ID
}

func TestCreateUser(t *testing.T) {
	r := newRoom(t)
	u, err := r.service.CreateUser(r.ctx, r.admin, NewUser{
		Profile: Profile{Login: "Ana", Email: "ana@acme.test", FirstName: "Ana", LastName: "Díaz"}, Password: "correct horse",
	})
	must(t, err)
	if !strings.HasPrefix(u.ID, "00u") || u.Value.Status != Active || u.Value.Password != "$argon2id$marked correct horse" || u.Value.PasswordChanged.IsZero() {
		t.Errorf("%+v", u)
	}
	if d := cmp.Diff([]string{"correct horse"}, r.hasher.seen); d != "" {
		t.Error(d)
	}
	found, err := r.service.FindUser(r.ctx, "ANA")
	must(t, err)
	if found.ID != u.ID || found.Value.Profile.DisplayName() != "Ana Díaz" {
		t.Errorf("%+v", found)
	}
	if _, err := r.service.CreateUser(r.ctx, r.admin, NewUser{Profile: Profile{Login: "aNA", Email: "b@acme.test"}}); !fault.Is(err, fault.Conflict) {
		t.Errorf("the login in another case: %v", err)
	}
	if _, err := r.service.FindUser(r.ctx, "an"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a part of a login: %v", err)
	}
	bad := map[string]NewUser{
		"no login":       {Profile: Profile{Email: "a@acme.test"}},
		"space in login": {Profile: Profile{Login: "a b", Email: "a@acme.test"}},
		"no e-mail":      {Profile: Profile{Login: "x"}},
		"two @":          {Profile: Profile{Login: "x", Email: "a@b@c"}},
		"line break":     {Profile: Profile{Login: "x", Email: "a@acme.test", FirstName: "a\nb"}},
		"short password": {Profile: Profile{Login: "x", Email: "a@acme.test"}, Password: "short"},
		"long password":  {Profile: Profile{Login: "x", Email: "a@acme.test"}, Password: strings.Repeat("x", 257)},
	}
	for name, n := range bad {
		if _, err := r.service.CreateUser(r.ctx, r.admin, n); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLifeCycle(t *testing.T) {
	all := []Status{Staged, Active, Suspended, Deprovisioned}
	for _, from := range all {
		for _, to := range all {
			t.Run(string(from)+" to "+string(to), func(t *testing.T) {
				r := newRoom(t)
				id := r.user(t, "ana")
				_, err := r.ledger.Update(r.ctx, r.admin, "set up", func(tx *ledger.Tx) error {
					u, err := Users.Get(tx, id)
					if err != nil {
						return err
					}
					u.Value.Status = from
					_, err = Users.Put(tx, u)
					return err
				})
				must(t, err)
				open := from == to || map[string]bool{
					"STAGED ACTIVE": true, "STAGED DEPROVISIONED": true, "ACTIVE SUSPENDED": true, "ACTIVE DEPROVISIONED": true,
					"SUSPENDED ACTIVE": true, "SUSPENDED DEPROVISIONED": true, "DEPROVISIONED ACTIVE": true,
				}[string(from)+" "+string(to)]
				err = r.service.SetStatus(r.ctx, r.admin, id, to)
				if open != (err == nil) || !open && !fault.Is(err, fault.Conflict) {
					t.Errorf("open %v, error %v", open, err)
				}
				u, err := r.service.User(r.ctx, id)
				must(t, err)
				want := from
				if open {
					want = to
				}
				if u.Value.Status != want {
					t.Errorf("the user is %s, want %s", u.Value.Status, want)
				}
			})
		}
	}
}

func TestMembers(t *testing.T) {
	r := newRoom(t)
	ana, bob := r.user(t, "ana"), r.user(t, "bob")
	staff, admins := r.group(t, "staff"), r.group(t, "admins")
	for range 2 { // twice is once
		must(t, r.service.AddMember(r.ctx, r.admin, staff, ana))
	}
	must(t, r.service.AddMember(r.ctx, r.admin, admins, ana))
	must(t, r.service.AddMember(r.ctx, r.admin, staff, bob))
	groups := func(user string) []MemberOf {
		t.Helper()
		out, err := r.service.GroupsOf(r.ctx, user)
		must(t, err)
		return out
	}
	if d := cmp.Diff([]MemberOf{{ID: admins, Name: "admins", Type: "OKTA_GROUP"}, {ID: staff, Name: "staff", Type: "OKTA_GROUP"}}, groups(ana)); d != "" {
		t.Error(d)
	}
	for range 2 {
		must(t, r.service.RemoveMember(r.ctx, r.admin, admins, ana))
	}
	if d := cmp.Diff([]MemberOf{{ID: staff, Name: "staff", Type: "OKTA_GROUP"}}, groups(ana)); d != "" {
		t.Error(d)
	}
	if err := r.service.AddMember(r.ctx, r.admin, "00gNobody", ana); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown group: %v", err)
	}
	if err := r.service.AddMember(r.ctx, r.admin, staff, "00uNobody"); !fault.Is(err, fault.NotFound) {
		t.Errorf("unknown user: %v", err)
	}
	_, err := r.ledger.Update(r.ctx, r.admin, "delete the group", func(tx *ledger.Tx) error { return Groups.Delete(tx, staff, 0) })
	must(t, err)
	if got := groups(ana); len(got) != 0 {
		t.Errorf("in a group that is gone: %v", got)
	}
	counts := map[string]int{}
	for _, e := range r.notes.events {
		counts[e.Type]++
	}
	want := map[string]int{audit.UserCreated: 2, audit.GroupCreated: 2, audit.GroupMemberAdded: 3, audit.GroupMemberGone: 1}
	if d := cmp.Diff(want, counts); d != "" {
		t.Errorf("system log: %s", d)
	}
}

// attack gateway 68.
func TestTenantsAreApart(t *testing.T) {
	r := newRoom(t)
	ana := r.user(t, "ana")
	other := tenant.With(r.ctx, "other")
	if _, err := r.service.FindUser(other, "ana"); !fault.Is(err, fault.NotFound) {
		t.Errorf("found in another tenant: %v", err)
	}
	if err := r.service.SetStatus(other, r.admin, ana, Suspended); !fault.Is(err, fault.NotFound) {
		t.Errorf("changed from another tenant: %v", err)
	}
	u, err := r.service.CreateUser(other, r.admin, NewUser{Profile: Profile{Login: "ana", Email: "ana@other.test"}})
	must(t, err)
	if err := r.service.AddMember(r.ctx, r.admin, r.group(t, "staff"), u.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("a user of another tenant in a group: %v", err)
	}
}

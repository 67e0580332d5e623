package directory

import (
	"context"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
)

// EveryoneGroup is the name of the group that every user is in. It is made with
// the tenant; nobody is put into it or taken out.
const EveryoneGroup = "Everyone"

// ReasonBuiltIn is the reason of a fault about the group Everyone.
const ReasonBuiltIn = "built_in_group"

// The event types of changes, named as in Okta's System Log.
const (
	groupUpdated = "group.lifecycle.update"
	groupDeleted = "group.lifecycle.delete"
)

// Group is a named set of users.
type Group struct {
	Name        string `json:"name"` // unique
	Description string `json:"description,omitempty"`
	BuiltIn     bool   `json:"builtIn,omitempty"` // the group of all users
	// Attributes are further attributes of the profile, by name.
	Attributes map[string]any `json:"attributes,omitempty"`
	// ProfileChanged and MembersChanged say when; zero: with the group itself.
	ProfileChanged time.Time `json:"profileChanged,omitzero"`
	MembersChanged time.Time `json:"membersChanged,omitzero"`
	// External is what the system that provisions the group calls it.
	External string `json:"externalId,omitempty"`
}

// Type returns what Okta calls the kind of a group: BUILT_IN or OKTA_GROUP.
func (g *Group) Type() string {
	if g.BuiltIn {
		return "BUILT_IN"
	}
	return "OKTA_GROUP"
}

func checkGroup(g Group) error {
	var fields []fault.Field
	if strings.TrimSpace(g.Name) == "" || len(g.Name) > 255 || strings.ContainsFunc(g.Name, control) {
		fields = append(fields, fault.Field{Path: "name", Message: "must be 1 to 255 bytes without control characters"})
	}
	if len(g.Description) > 1024 {
		fields = append(fields, fault.Field{Path: "description", Message: "is longer than 1024 bytes"})
	}
	if !externalID(g.External) {
		fields = append(fields, fault.Field{Path: "externalId", Message: "must be at most 255 bytes without control characters"})
	}
	for _, f := range checkAttributes(g.Attributes) {
		// These names mean something for users alone.
		if f.Message != "must be text" && f.Message != "is an attribute of its own" {
			fields = append(fields, f)
		}
	}
	if len(fields) > 0 {
		return fault.New(fault.Invalid, "the group is not valid").WithFields(fields...)
	}
	return nil
}

// EnsureTenant makes what every tenant has, where it is missing: the group
// Everyone and the default user type.
func (s *Service) EnsureTenant(ctx context.Context, actor ledger.Actor) (err error) {
	defer fault.Wrap(&err, "make the tenant's groups")
	_, err = s.cfg.Ledger.Update(ctx, actor, "what every tenant has", func(tx *ledger.Tx) error {
		if err := ensureUserType(tx); err != nil {
			return err
		}
		_, err := Groups.Find(tx, ledger.By("name", EveryoneGroup))
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		_, err = Groups.Create(tx, Group{Name: EveryoneGroup, Description: "All users in your organization", BuiltIn: true})
		return err
	})
	return err
}

// Group returns a group by id, or fault.NotFound.
func (s *Service) Group(ctx context.Context, id string) (g ledger.Object[Group], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		g, err = Groups.Get(tx, id)
		return err
	})
	return g, err
}

// GroupList asks for a page of groups. Zero fields do not restrict.
type GroupList struct {
	Prefix string // of the name, whatever its case
	Match  func(ledger.Object[Group]) bool
	After  string
	Limit  int // 0 means 200
}

// ListGroups returns a page of groups in the order of their names.
func (s *Service) ListGroups(ctx context.Context, q GroupList) (p ledger.Page[Group], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Groups.Select(tx, ledger.Query{By: "folded", Prefix: strings.ToLower(q.Prefix), After: q.After, Limit: q.Limit}, q.Match)
		return err
	})
	return p, err
}

// ChangeGroup applies change to a group. The group Everyone keeps its name.
// fault.Conflict when the new name is taken.
func (s *Service) ChangeGroup(ctx context.Context, actor ledger.Actor, id string, change func(*Group) error) (g ledger.Object[Group], err error) {
	defer fault.Wrap(&err, "change group %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "change group "+id, func(tx *ledger.Tx) error {
		if g, err = Groups.Get(tx, id); err != nil {
			return err
		}
		was := g.Value
		if was.BuiltIn {
			return fault.New(fault.Denied, "the group %s is made with the tenant and cannot be changed", was.Name).WithReason(ReasonBuiltIn)
		}
		if err := change(&g.Value); err != nil {
			return err
		}
		g.Value.BuiltIn, g.Value.MembersChanged, g.Value.ProfileChanged, g.Value.External = was.BuiltIn, was.MembersChanged, tx.Now(), was.External
		if err := checkGroupProfile(tx, g.Value); err != nil {
			return err
		}
		g, err = Groups.Put(tx, g)
		return err
	})
	if err != nil {
		return g, err
	}
	s.record(ctx, actor, groupUpdated, "Update group", groupEntity(g))
	return g, nil
}

// DeleteGroup removes a group and its memberships; group rules that fill it are
// invalid from then on.
// fault.Conflict when an access rule still names it.
func (s *Service) DeleteGroup(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete group %q", id)
	var g ledger.Object[Group]
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete group "+id, func(tx *ledger.Tx) error {
		if g, err = Groups.Get(tx, id); err != nil {
			return err
		}
		if g.Value.BuiltIn {
			return fault.New(fault.Denied, "the group %s is made with the tenant and cannot be deleted", g.Value.Name).WithReason(ReasonBuiltIn)
		}
		if err := invalidateRules(tx, id); err != nil {
			return err
		}
		return Groups.Delete(tx, id, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, groupDeleted, "Delete group", groupEntity(g))
	return nil
}

// Members returns a page of the users of a group, sorted by their ids. Everybody
// is in the group Everyone.
func (s *Service) Members(ctx context.Context, groupID, after string, limit int) (p ledger.Page[User], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		g, err := Groups.Get(tx, groupID)
		if err != nil {
			return err
		}
		if g.Value.BuiltIn {
			p, err = Users.List(tx, ledger.Query{After: after, Limit: limit})
			return err
		}
		list, err := Memberships.List(tx, ledger.Query{By: "pair", Equal: []string{groupID}, After: after, Limit: limit})
		if err != nil {
			return err
		}
		p = ledger.Page[User]{Items: []ledger.Object[User]{}, Next: list.Next}
		for i := range list.Items {
			u, err := Users.Get(tx, list.Items[i].Value.User)
			if err != nil {
				return err
			}
			p.Items = append(p.Items, u)
		}
		return nil
	})
	return p, err
}

// CountMembers returns how many users a group has.
func (s *Service) CountMembers(ctx context.Context, groupID string) (n int, err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		g, err := Groups.Get(tx, groupID)
		if err != nil {
			return err
		}
		if g.Value.BuiltIn {
			n, err = Users.Count(tx, ledger.Query{})
			return err
		}
		n, err = Memberships.Count(tx, ledger.Query{By: "pair", Equal: []string{groupID}})
		return err
	})
	return n, err
}

// UserGroups returns the groups of a user, Everyone first and the others by name.
func (s *Service) UserGroups(ctx context.Context, userID string) (out []ledger.Object[Group], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		out, err = GroupsIn(tx, userID)
		return err
	})
	return out, err
}

// GroupsIn returns the groups of a user, Everyone first and the others by name.
func GroupsIn(tx *ledger.Tx, userID string) ([]ledger.Object[Group], error) {
	if _, err := Users.Get(tx, userID); err != nil {
		return nil, err
	}
	var out []ledger.Object[Group]
	for m, err := range Memberships.All(tx, ledger.Query{By: "user", Equal: []string{userID}}) {
		if err != nil {
			return nil, err
		}
		g, err := Groups.Get(tx, m.Value.Group)
		if err != nil {
			return nil, err
		}
		out = append(out, g)
	}
	order.By(out, func(a, b ledger.Object[Group]) int { return strings.Compare(a.Value.Name, b.Value.Name) })
	everyone, err := Groups.Find(tx, ledger.By("name", EveryoneGroup))
	switch {
	case err == nil:
		out = slices.Insert(out, 0, everyone)
	case !fault.Is(err, fault.NotFound):
		return nil, err
	}
	return out, nil
}

// CreateGroup adds a group. fault.Conflict when the name is taken.
func (s *Service) CreateGroup(ctx context.Context, actor ledger.Actor, g Group) (out ledger.Object[Group], err error) {
	defer fault.Wrap(&err, "make group %q", g.Name)
	g.BuiltIn, g.MembersChanged, g.ProfileChanged = false, time.Time{}, time.Time{}
	_, err = s.cfg.Ledger.Update(ctx, actor, "make group "+g.Name, func(tx *ledger.Tx) error {
		if err := checkGroupProfile(tx, g); err != nil {
			return err
		}
		out, err = Groups.Create(tx, g)
		return err
	})
	if err != nil {
		return out, err
	}
	s.record(ctx, actor, audit.GroupCreated, "Create group", groupEntity(out))
	return out, nil
}

// FindGroup returns a group by name, or fault.NotFound.
func (s *Service) FindGroup(ctx context.Context, name string) (g ledger.Object[Group], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		g, err = Groups.Find(tx, ledger.By("name", name))
		return err
	})
	return g, err
}

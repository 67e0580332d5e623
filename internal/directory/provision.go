package directory

import (
	"context"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
)

// What a system that provisions people needs of the directory: whole users and groups
// replaced in one transaction, found by the number of their page, and members by the list.

// MaxExamined is how many objects one search looks at. A search that would need more is
// refused: it would hold the node's memory for somebody's slip.
const MaxExamined = 200000

// ReasonTooMany is the reason of a fault about a search that looks at too many objects.
const ReasonTooMany = "too_many"

// Search asks for a numbered page. Zero fields do not restrict.
type Search[T any] struct {
	Where []Condition // for users: as in UserList
	Match func(ledger.Object[T]) bool
	// Compare sorts all that match; nil leaves them in the order of ids.
	Compare     func(a, b ledger.Object[T]) int
	Skip, Limit int // Limit 0 returns none, and counts
}

// Found is a page, and how many there are on all pages.
type Found[T any] struct {
	Items []ledger.Object[T]
	Total int
}

// SearchUsers returns a page of users. A page of all users in the order of ids costs
// little, whatever their number; others look at every user that the index finds.
func (s *Service) SearchUsers(ctx context.Context, q Search[User]) (f Found[User], err error) {
	defer fault.Wrap(&err, "search users")
	return search(ctx, s.cfg.Ledger, Users, narrowest(q.Where), q)
}

// SearchGroups returns a page of the groups that are not built in.
func (s *Service) SearchGroups(ctx context.Context, q Search[Group]) (f Found[Group], err error) {
	defer fault.Wrap(&err, "search groups")
	match := q.Match
	q.Match = func(g ledger.Object[Group]) bool { return !g.Value.BuiltIn && (match == nil || match(g)) }
	return search(ctx, s.cfg.Ledger, Groups, ledger.Query{}, q)
}

// narrowest returns the query of the condition that narrows most.
func narrowest(where []Condition) (find ledger.Query) {
	best := 1 << 30
	for _, c := range where {
		if by, rank, ok := c.query(); ok && rank < best {
			find, best = by, rank
		}
	}
	return find
}

func search[T any](ctx context.Context, l *ledger.Ledger, kind *ledger.Kind[T], find ledger.Query, q Search[T]) (f Found[T], err error) {
	err = l.View(ctx, func(tx *ledger.Tx) error {
		f = Found[T]{Items: []ledger.Object[T]{}}
		if q.Match == nil && q.Compare == nil {
			if f.Total, err = kind.Count(tx, find); err != nil || q.Limit <= 0 {
				return err
			}
			find.Skip, find.Limit = q.Skip, q.Limit
			p, err := kind.List(tx, find)
			f.Items = p.Items
			return err
		}
		examined := 0
		find.Limit = 1000
		for o, err := range kind.All(tx, find) {
			if err != nil {
				return err
			}
			if examined++; examined > MaxExamined {
				return fault.New(fault.TooLarge, "the search looks at more than %d objects: narrow it", MaxExamined).WithReason(ReasonTooMany)
			}
			if q.Match != nil && !q.Match(o) {
				continue
			}
			if f.Total++; q.Compare != nil || f.Total > q.Skip && f.Total <= q.Skip+q.Limit {
				f.Items = append(f.Items, o)
			}
		}
		if q.Compare != nil {
			order.Stable(f.Items, q.Compare)
			from := min(max(q.Skip, 0), len(f.Items))
			f.Items = f.Items[from:min(from+max(q.Limit, 0), len(f.Items))]
		}
		return nil
	})
	return f, err
}

// Provision is what ProvisionUser makes of a user. Revision, when it is not 0, must be
// the user's last.
type Provision struct {
	Revision ledger.Revision
	Profile  func(p *Profile, external *string) error // nil: as it is
	// Active puts a staged or deprovisioned user in use, or deprovisions one; nil, and what
	// is so already, changes nothing. Who is suspended or locked out stays that: it was
	// decided here, for a reason that the other system does not know.
	Active   *bool
	Password *string
}

// ProvisionUser changes a user as another system says, whole or not at all.
// fault.Conflict when a new login is taken, fault.Stale for an old revision.
func (s *Service) ProvisionUser(ctx context.Context, actor ledger.Actor, userID string, p Provision) (user ledger.Object[User], err error) {
	defer fault.Wrap(&err, "provision user %q", userID)
	var next nextPassword
	if p.Password != nil {
		if next, err = s.choose(ctx, userID, *p.Password, false, false); err != nil {
			return user, err
		}
	}
	var was Status
	changed := false
	_, err = s.cfg.Ledger.Update(ctx, actor, "provision user "+userID, func(tx *ledger.Tx) error {
		u, err := Users.Get(tx, userID)
		if err != nil {
			return err
		}
		was = u.Value.Status
		if p.Revision != 0 {
			u.Revision = p.Revision
		}
		if p.Profile != nil {
			if err := p.Profile(&u.Value.Profile, &u.Value.External); err != nil {
				return err
			}
			if err := checkProfile(tx, u.Value); err != nil {
				return err
			}
		}
		if err := u.Value.provision(p.Active, next, tx); err != nil {
			return err
		}
		if user, err = Users.Put(tx, u); err != nil {
			return err
		}
		changed = len(tx.Changes()) > 0
		return applyRules(tx, user)
	})
	if err != nil || !changed {
		return user, err
	}
	s.record(ctx, actor, EventUserUpdated, "Update user profile", userEntity(user))
	if p.Password != nil {
		s.record(ctx, actor, audit.UserPasswordSet, "Set a user's password", userEntity(user))
	}
	if user.Value.Status != was {
		s.record(ctx, actor, audit.UserStatusChanged, "User is "+string(user.Value.Status), userEntity(user))
	}
	return user, nil
}

// provision gives the user a new password and status.
func (u *User) provision(active *bool, next nextPassword, tx *ledger.Tx) error {
	gone := u.Status == Deprovisioned
	if active != nil && !*active && !gone {
		if err := u.enter(Deprovisioned, tx); err != nil {
			return err
		}
	}
	if next.verifier != "" {
		u.keepPassword(next.history)
	}
	if next.verifier != "" && (u.Status == Staged || u.Status == Deprovisioned) {
		u.Password, u.PasswordChanged = next.verifier, tx.Now()
	} else if next.verifier != "" {
		if err := u.setPassword(next.verifier, tx); err != nil {
			return err
		}
	}
	if active != nil && *active && (u.Status == Staged || u.Status == Deprovisioned) {
		return u.enter(u.inUse(), tx)
	}
	return nil
}

// RemoveUser deprovisions a user and deletes them, in one transaction. Revision, when it
// is not 0, must be the user's last.
func (s *Service) RemoveUser(ctx context.Context, actor ledger.Actor, userID string, revision ledger.Revision) (err error) {
	defer fault.Wrap(&err, "remove user %q", userID)
	var user ledger.Object[User]
	_, err = s.cfg.Ledger.Update(ctx, actor, "remove user "+userID, func(tx *ledger.Tx) error {
		if user, err = Users.Get(tx, userID); err != nil {
			return err
		}
		return Users.Delete(tx, userID, revision)
	})
	if err == nil {
		s.record(ctx, actor, userDeleted, "Delete user", userEntity(user))
	}
	return err
}

// MembersChange is one step of a change of who is in a group: Add and Remove name users
// by id, Drop chooses members that go.
type MembersChange struct {
	Add, Remove []string
	Drop        func(ledger.Object[User]) bool // nil: nobody
}

// ChangeWhole changes a group and then, step by step, its members, whole or not at all.
// Revision, when it is not 0, must be the group's last. fault.Invalid for a user who does
// not exist.
func (s *Service) ChangeWhole(ctx context.Context, actor ledger.Actor, groupID string, revision ledger.Revision, change func(*Group) error, steps []MembersChange) (g ledger.Object[Group], err error) {
	defer fault.Wrap(&err, "change group %q", groupID)
	var m memberSet
	_, err = s.cfg.Ledger.Update(ctx, actor, "change group "+groupID, func(tx *ledger.Tx) error {
		m = memberSet{group: groupID}
		if g, err = Groups.Get(tx, groupID); err != nil {
			return err
		}
		was := g.Value
		if was.BuiltIn {
			return errEveryone()
		}
		if revision != 0 {
			g.Revision = revision
		}
		if err := change(&g.Value); err != nil {
			return err
		}
		g.Value.BuiltIn, g.Value.MembersChanged, g.Value.ProfileChanged = false, was.MembersChanged, was.ProfileChanged
		if g.Value.Name != was.Name || g.Value.Description != was.Description || g.Value.External != was.External {
			g.Value.ProfileChanged = tx.Now()
		}
		for _, step := range steps {
			if err := m.apply(tx, step); err != nil {
				return err
			}
		}
		if len(m.added)+len(m.removed) > 0 {
			g.Value.MembersChanged = tx.Now()
		}
		g, err = Groups.Put(tx, g)
		return err
	})
	if err == nil {
		s.recordMembers(ctx, actor, g, m)
	}
	return g, err
}

// CreateWhole adds a group with its members. fault.Conflict when the name is taken.
func (s *Service) CreateWhole(ctx context.Context, actor ledger.Actor, n Group, members []string) (g ledger.Object[Group], err error) {
	defer fault.Wrap(&err, "make group %q", n.Name)
	var m memberSet
	_, err = s.cfg.Ledger.Update(ctx, actor, "make group "+n.Name, func(tx *ledger.Tx) error {
		n.BuiltIn = false
		if len(members) > 0 {
			n.MembersChanged, n.ProfileChanged = tx.Now(), tx.Now()
		}
		if g, err = Groups.Create(tx, n); err != nil {
			return err
		}
		m = memberSet{group: g.ID}
		return m.apply(tx, MembersChange{Add: members})
	})
	if err == nil {
		s.record(ctx, actor, audit.GroupCreated, "Create group", groupEntity(g))
		s.recordMembers(ctx, actor, g, m)
	}
	return g, err
}

func (s *Service) recordMembers(ctx context.Context, actor ledger.Actor, g ledger.Object[Group], m memberSet) {
	if len(m.added)+len(m.removed) == 0 {
		s.record(ctx, actor, groupUpdated, "Update group", groupEntity(g))
	}
	for _, u := range m.added {
		s.record(ctx, actor, audit.GroupMemberAdded, "Add user to group membership", userEntity(u), groupEntity(g))
	}
	for _, u := range m.removed {
		s.record(ctx, actor, audit.GroupMemberGone, "Remove user from group membership", userEntity(u), groupEntity(g))
	}
}

// memberSet notes who came into a group and who left it.
type memberSet struct {
	group          string
	added, removed []ledger.Object[User]
}

func (m *memberSet) apply(tx *ledger.Tx, step MembersChange) error {
	if step.Drop != nil {
		var gone []string
		for o, err := range Memberships.All(tx, ledger.Query{By: "pair", Equal: []string{m.group}, Limit: 1000}) {
			if err != nil {
				return err
			}
			u, err := Users.Get(tx, o.Value.User)
			if err != nil {
				return err
			}
			if step.Drop(u) {
				gone = append(gone, u.ID)
			}
		}
		step.Remove = append(gone, step.Remove...)
	}
	for _, id := range step.Remove {
		o, err := Memberships.Find(tx, ledger.By("pair", m.group, id))
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := Memberships.Delete(tx, o.ID, 0); err != nil {
			return err
		}
		u, err := Users.Get(tx, id)
		if err != nil {
			return err
		}
		m.removed = append(m.removed, u)
	}
	for _, id := range step.Add {
		if in, err := IsMember(tx, m.group, id); err != nil || in {
			if err != nil {
				return err
			}
			continue
		}
		u, err := Users.Get(tx, id)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "there is no user %q", id).WithFields(fault.Field{Path: "members.value", Message: "names no user"})
		}
		if err != nil {
			return err
		}
		if _, err := Memberships.Create(tx, Membership{Group: m.group, User: id}); err != nil {
			return err
		}
		m.added = append(m.added, u)
	}
	return nil
}

// AllMembers returns the users of a group, at most max of them, and whether there are
// more.
func (s *Service) AllMembers(ctx context.Context, groupID string, most int) (out []ledger.Object[User], more bool, err error) {
	defer fault.Wrap(&err, "read the members of group %q", groupID)
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		out, more = nil, false
		for m, err := range Memberships.All(tx, ledger.Query{By: "pair", Equal: []string{groupID}, Limit: min(most+1, 1000)}) {
			if err != nil {
				return err
			}
			if len(out) == most {
				more = true
				return nil
			}
			u, err := Users.Get(tx, m.Value.User)
			if err != nil {
				return err
			}
			out = append(out, u)
		}
		return nil
	})
	return out, more, err
}

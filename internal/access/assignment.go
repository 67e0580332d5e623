package access

import (
	"context"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
)

// AppUser says that a user may use an app.
type AppUser struct {
	App      string `json:"app"`  // id
	User     string `json:"user"` // id
	UserName string `json:"userName"`
	// Profile is what the app is told of the user beyond the user's own profile.
	Profile map[string]any `json:"profile,omitempty"`
}

// AppGroup says that the users of a group may use an app.
type AppGroup struct {
	App      string         `json:"app"`      // id
	Group    string         `json:"group"`    // id
	Priority int            `json:"priority"` // of the group's profile; 0 is first
	Profile  map[string]any `json:"profile,omitempty"`
}

func appRefs(app, kind, id string) []ledger.Ref {
	return []ledger.Ref{
		{Field: "app", Kind: "app", ID: app, OnDelete: ledger.Cascade},
		{Field: kind, Kind: kind, ID: id, OnDelete: ledger.Cascade},
	}
}

// The kinds of assignments: they go with either side.
var (
	AppUsers = ledger.NewKind(ledger.Spec[AppUser]{
		Name: "app_user", IDPrefix: "apu",
		Keys:  func(a AppUser) []ledger.Key { return []ledger.Key{ledger.By("pair", a.App, a.User)} },
		Index: func(a AppUser) []ledger.Key { return []ledger.Key{ledger.By("user", a.User)} },
		Refs:  func(a AppUser) []ledger.Ref { return appRefs(a.App, "user", a.User) },
		Check: func(a AppUser) error {
			if a.App == "" || a.User == "" || len(a.UserName) > 255 {
				return fault.New(fault.Invalid, "an assignment needs an app, a user and a name of at most 255 bytes")
			}
			return nil
		},
	})
	AppGroups = ledger.NewKind(ledger.Spec[AppGroup]{
		Name: "app_group", IDPrefix: "apg",
		Keys:  func(a AppGroup) []ledger.Key { return []ledger.Key{ledger.By("pair", a.App, a.Group)} },
		Index: func(a AppGroup) []ledger.Key { return []ledger.Key{ledger.By("group", a.Group)} },
		Refs:  func(a AppGroup) []ledger.Ref { return appRefs(a.App, "group", a.Group) },
		Check: func(a AppGroup) error {
			if a.App == "" || a.Group == "" || a.Priority < 0 || a.Priority > 10000 {
				return fault.New(fault.Invalid, "an assignment needs an app, a group and a priority from 0 to 10000")
			}
			return nil
		},
	})
)

// assigned returns the assignment of an app by its pair, or fault.NotFound.
func assigned[T any](tx *ledger.Tx, kind *ledger.Kind[T], app, other string) (ledger.Object[T], error) {
	if _, err := Apps.Get(tx, app); err != nil {
		return ledger.Object[T]{}, err
	}
	return kind.Find(tx, ledger.By("pair", app, other))
}

// listAssigned returns a page of the assignments of an app.
func listAssigned[T any](ctx context.Context, s *Service, kind *ledger.Kind[T], app, after string, limit int) (p ledger.Page[T], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := Apps.Get(tx, app); err != nil {
			return err
		}
		p, err = kind.List(tx, ledger.Query{By: "pair", Equal: []string{app}, After: after, Limit: limit})
		return err
	})
	return p, err
}

// ListAppUsers returns a page of the users who are assigned to an app themselves.
func (s *Service) ListAppUsers(ctx context.Context, app, after string, limit int) (ledger.Page[AppUser], error) {
	return listAssigned(ctx, s, AppUsers, app, after, limit)
}

// FindAppUser returns the assignment of a user, or fault.NotFound.
func (s *Service) FindAppUser(ctx context.Context, app, user string) (o ledger.Object[AppUser], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = assigned(tx, AppUsers, app, user)
		return err
	})
	return o, err
}

// AssignUser lets a user use an app, or changes how.
func (s *Service) AssignUser(ctx context.Context, actor ledger.Actor, a AppUser) (o ledger.Object[AppUser], err error) {
	defer fault.Wrap(&err, "assign user %q to app %q", a.User, a.App)
	err = s.update(ctx, actor, "assign user "+a.User, func(tx *ledger.Tx) error {
		if _, err := Apps.Get(tx, a.App); err != nil {
			return err
		}
		o, err = assigned(tx, AppUsers, a.App, a.User)
		switch {
		case err == nil:
			o.Value.UserName = a.UserName
			if a.Profile != nil {
				o.Value.Profile = a.Profile
			}
			o, err = AppUsers.Put(tx, o)
		case fault.Is(err, fault.NotFound):
			o, err = AppUsers.Create(tx, a)
		}
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, appUserAssigned, "Add user to application membership", audit.Entity{ID: a.User, Type: "AppUser", AlternateID: a.UserName})
	return o, nil
}

// UnassignUser ends what AssignUser began.
func (s *Service) UnassignUser(ctx context.Context, actor ledger.Actor, app, user string) (err error) {
	defer fault.Wrap(&err, "unassign user %q from app %q", user, app)
	err = s.update(ctx, actor, "unassign user "+user, func(tx *ledger.Tx) error {
		o, err := assigned(tx, AppUsers, app, user)
		if err != nil {
			return err
		}
		return AppUsers.Delete(tx, o.ID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, appUserRemoved, "Remove user from application membership", audit.Entity{ID: user, Type: "AppUser"})
	return nil
}

// ListAppGroups returns a page of the groups that are assigned to an app; a page
// is in the order of the priorities.
func (s *Service) ListAppGroups(ctx context.Context, app, after string, limit int) (ledger.Page[AppGroup], error) {
	p, err := listAssigned(ctx, s, AppGroups, app, after, limit)
	order.Stable(p.Items, func(a, b ledger.Object[AppGroup]) int { return a.Value.Priority - b.Value.Priority })
	return p, err
}

// FindAppGroup returns the assignment of a group, or fault.NotFound.
func (s *Service) FindAppGroup(ctx context.Context, app, group string) (o ledger.Object[AppGroup], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = assigned(tx, AppGroups, app, group)
		return err
	})
	return o, err
}

// AssignGroup lets the users of a group use an app. Without a priority the group
// comes behind those that are assigned.
func (s *Service) AssignGroup(ctx context.Context, actor ledger.Actor, app, group string, priority *int, profile map[string]any) (o ledger.Object[AppGroup], err error) {
	defer fault.Wrap(&err, "assign group %q to app %q", group, app)
	err = s.update(ctx, actor, "assign group "+group, func(tx *ledger.Tx) error {
		if o, err = assigned(tx, AppGroups, app, group); err == nil {
			if priority != nil {
				o.Value.Priority = *priority
			}
			if profile != nil {
				o.Value.Profile = profile
			}
			o, err = AppGroups.Put(tx, o)
			return err
		}
		if !fault.Is(err, fault.NotFound) {
			return err
		}
		if _, err := Apps.Get(tx, app); err != nil {
			return err
		}
		fresh := AppGroup{App: app, Group: group, Profile: profile}
		if priority != nil {
			fresh.Priority = *priority
		} else if fresh.Priority, err = behindAll(tx, app); err != nil {
			return err
		}
		o, err = AppGroups.Create(tx, fresh)
		return err
	})
	return o, err
}

// behindAll returns the priority behind those of the groups of an app.
func behindAll(tx *ledger.Tx, app string) (int, error) {
	next := 0
	for o, err := range AppGroups.All(tx, ledger.Query{By: "pair", Equal: []string{app}}) {
		if err != nil {
			return 0, err
		}
		next = max(next, o.Value.Priority+1)
	}
	return next, nil
}

// UnassignGroup ends what AssignGroup began.
func (s *Service) UnassignGroup(ctx context.Context, actor ledger.Actor, app, group string) (err error) {
	defer fault.Wrap(&err, "unassign group %q from app %q", group, app)
	return s.update(ctx, actor, "unassign group "+group, func(tx *ledger.Tx) error {
		o, err := assigned(tx, AppGroups, app, group)
		if err != nil {
			return err
		}
		return AppGroups.Delete(tx, o.ID, 0)
	})
}

// AppsOfGroup returns a page of the apps that a group is assigned to.
func (s *Service) AppsOfGroup(ctx context.Context, group, after string, limit int) (p ledger.Page[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		list, err := AppGroups.List(tx, ledger.Query{By: "group", Equal: []string{group}, After: after, Limit: limit})
		if err != nil {
			return err
		}
		p = ledger.Page[App]{Items: []ledger.Object[App]{}, Next: list.Next}
		for i := range list.Items {
			o, err := Apps.Get(tx, list.Items[i].Value.App)
			if err != nil {
				return err
			}
			p.Items = append(p.Items, o)
		}
		return nil
	})
	return p, err
}

// CountAppsOfGroup returns how many apps a group is assigned to.
func (s *Service) CountAppsOfGroup(ctx context.Context, group string) (n int, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		n, err = AppGroups.Count(tx, ledger.Query{By: "group", Equal: []string{group}})
		return err
	})
	return n, err
}

// AssignedApps returns the ids of the apps that are assigned to a user or to one of the
// groups.
func (s *Service) AssignedApps(ctx context.Context, user string, groups []string) (ids map[string]bool, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		ids, err = assignedApps(tx, user, groups)
		return err
	})
	return ids, err
}

func assignedApps(tx *ledger.Tx, user string, groups []string) (map[string]bool, error) {
	ids := map[string]bool{}
	for o, err := range AppUsers.All(tx, ledger.Query{By: "user", Equal: []string{user}}) {
		if err != nil {
			return nil, err
		}
		ids[o.Value.App] = true
	}
	for _, g := range groups {
		for o, err := range AppGroups.All(tx, ledger.Query{By: "group", Equal: []string{g}}) {
			if err != nil {
				return nil, err
			}
			ids[o.Value.App] = true
		}
	}
	return ids, nil
}

// AppsOfUser returns the active apps that are assigned to a user or to one of the
// groups, sorted by label.
func (s *Service) AppsOfUser(ctx context.Context, user string, groups []string) (out []ledger.Object[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		ids, err := assignedApps(tx, user, groups)
		if err != nil {
			return err
		}
		for id := range ids {
			o, err := Apps.Get(tx, id)
			if err != nil {
				return err
			}
			if o.Value.Status == Active {
				out = append(out, o)
			}
		}
		return nil
	})
	order.By(out, func(a, b ledger.Object[App]) int { return strings.Compare(a.Value.Label+a.ID, b.Value.Label+b.ID) })
	return out, err
}

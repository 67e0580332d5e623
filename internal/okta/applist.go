package okta

import (
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// listApps answers q (the beginning of a label) and a filter of status, name and
// label.
func (a *api) listApps(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	f, err := c.readFilter("filter", among("id", "client_id", "status", "label", "name", "created", "lastupdated",
		"user.id", "group.id", "credentials.signing.kid", "credentials.oauthclient.client_id"))
	if err != nil {
		return answer{}, err
	}
	has, err := a.assignees(c, f)
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(c.FormValue("q"))
	p, err := a.Access.FindApps(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.App]) bool {
		return strings.HasPrefix(strings.ToLower(o.Value.Label), q) && f.match(func(path string) any {
			if kind, is := strings.CutSuffix(strings.ToLower(path), ".id"); is {
				return has(kind, o.ID)
			}
			return appAttribute(o, path)
		})
	})
	if err != nil {
		return answer{}, err
	}
	user, embed := strings.CutPrefix(c.FormValue("expand"), "user/")
	return each(p, func(o ledger.Object[access.App]) (object, error) {
		shown := a.app(o, "")
		if !embed {
			return shown, nil
		}
		x, err := a.Access.FindAppUser(c.Context(), o.ID, user)
		if fault.Is(err, fault.NotFound) {
			return shown, nil // by a group, or not at all
		}
		if err != nil {
			return nil, err
		}
		as, err := a.appUser(c, x)
		shown.embed("user", as)
		return shown, err
	})
}

// assignees returns which of the users and groups that a filter names have an app.
func (a *api) assignees(c *call, f *filter) (has func(kind, app string) any, err error) {
	apps := map[string]map[string][]any{"user": {}, "group": {}}
	for kind, of := range apps {
		for _, id := range f.values(kind + ".id") {
			user, groups := id, []string(nil)
			if kind == "group" {
				user, groups = "", []string{id}
			} else if in, err := a.People.UserGroups(c.Context(), id); err == nil {
				for _, g := range in {
					groups = append(groups, g.ID)
				}
			} else if !fault.Is(err, fault.NotFound) {
				return nil, err
			}
			ids, err := a.Access.AssignedApps(c.Context(), user, groups)
			if err != nil {
				return nil, err
			}
			for app := range ids {
				of[app] = append(of[app], id)
			}
		}
	}
	return func(kind, app string) any { return apps[kind][app] }, nil
}

// appAttribute returns what a filter compares.
func appAttribute(o ledger.Object[access.App], path string) any {
	switch strings.ToLower(path) {
	case "id":
		return o.ID
	case "client_id", "credentials.oauthclient.client_id":
		return o.Value.Client(o.ID)
	case "status":
		return string(o.Value.Status)
	case "label":
		return o.Value.Label
	case "name":
		return appName
	case "lastupdated":
		return o.Updated
	case "created":
		return o.Created
	case "credentials.signing.kid":
		return o.ID
	}
	return nil
}

package okta

import (
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// expands reports whether the call asks for something to be embedded (Okta's expand: a
// list with commas).
func (c *call) expands(what string) bool {
	for s := range strings.SplitSeq(c.FormValue("expand"), ",") {
		if strings.TrimSpace(s) == what {
			return true
		}
	}
	return false
}

// embed adds something to what an object embeds.
func (o object) embed(name string, v any) {
	in, ok := o["_embedded"].(object)
	if !ok {
		in = object{}
		o["_embedded"] = in
	}
	in[name] = v
}

// groupStats is what a group is shown with that is expanded by stats.
func (a *api) groupStats(c *call, id string) (object, error) {
	users, err := a.People.CountMembers(c.Context(), id)
	if err != nil {
		return nil, err
	}
	apps, err := a.Access.CountAppsOfGroup(c.Context(), id)
	if err != nil {
		return nil, err
	}
	roles, err := a.Access.RolePermissions(c.Context(), access.AssigneeGroup, id)
	if err != nil {
		return nil, err
	}
	return object{
		"usersCount": users, "appsCount": apps, "groupPushMappingsCount": 0, "hasAdminPrivilege": len(roles) > 0,
		"_links": object{"self": object{"href": a.href("groups", id, "users")}},
	}, nil
}

// shownGroup is a group with what the call asks to be embedded.
func (a *api) shownGroup(c *call, g ledger.Object[directory.Group]) (object, error) {
	o := a.group(g)
	if c.expands("stats") {
		stats, err := a.groupStats(c, g.ID)
		if err != nil {
			return nil, err
		}
		o.embed("stats", stats)
	}
	return o, nil
}

// shownRule is a group rule with the names of its groups when the call asks for them.
func (a *api) shownRule(c *call, r ledger.Object[directory.GroupRule]) (object, error) {
	o := groupRule(r)
	if !c.expands("groupIdToGroupNameMap") {
		return o, nil
	}
	names := object{}
	for _, id := range r.Value.Groups {
		g, err := a.People.Group(c.Context(), id)
		if fault.Is(err, fault.NotFound) {
			continue // the rule is invalid: the group is gone
		}
		if err != nil {
			return nil, err
		}
		names[id] = g.Value.Name
	}
	o.embed("groupIdToGroupNameMap", names)
	return o, nil
}

// each shows the objects of a page by a function that may fail.
func each[T any](p ledger.Page[T], show func(ledger.Object[T]) (object, error)) (answer, error) {
	out := make([]object, len(p.Items))
	for i := range p.Items {
		var err error
		if out[i], err = show(p.Items[i]); err != nil {
			return answer{}, err
		}
	}
	return page(out, p.Next, func(o object) object { return o })
}

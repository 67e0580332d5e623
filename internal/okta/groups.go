package okta

import (
	"strings"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// groupBody is a group as it is sent.
type groupBody struct {
	Profile map[string]any `json:"profile"`
}

// onto replaces the profile of a group.
func (b *groupBody) onto(g *directory.Group) error {
	*g = directory.Group{}
	for name, v := range b.Profile {
		text, isText := v.(string)
		switch {
		case v == nil:
		case (name == "name" || name == "description") && !isText:
			return unsupported("profile."+name, "must be text")
		case name == "name":
			g.Name = text
		case name == "description":
			g.Description = text
		default:
			if g.Attributes == nil {
				g.Attributes = map[string]any{}
			}
			g.Attributes[name] = v
		}
	}
	return nil
}

func (a *api) listGroups(c *call) (answer, error) {
	limit, err := c.limit(200, 1000)
	if err != nil {
		return answer{}, err
	}
	sorted, err := c.sorting(limit, groupKnows())
	if err != nil {
		return answer{}, err
	}
	search, err := c.readFilter("search", groupKnows())
	if err != nil {
		return answer{}, err
	}
	filtered, err := c.readFilter("filter", groupKnows())
	if err != nil {
		return answer{}, err
	}
	both := allOf(search, filtered)
	asked := directory.GroupList{Prefix: c.FormValue("q"), After: c.FormValue("after"), Limit: limit}
	if len(both.Parts) > 0 {
		asked.Match = func(g ledger.Object[directory.Group]) bool {
			return both.match(func(path string) any { return groupAttribute(g, path) })
		}
	}
	if sorted.by != "" {
		return a.sortedGroups(c, &sorted, asked)
	}
	p, err := a.People.ListGroups(c.Context(), asked)
	if err != nil {
		return answer{}, err
	}
	return each(p, func(g ledger.Object[directory.Group]) (object, error) { return a.shownGroup(c, g) })
}

// sortedGroups answers a page of all groups that match, in the order of an attribute.
func (a *api) sortedGroups(c *call, sorted *sorting, asked directory.GroupList) (answer, error) {
	var all []sortable
	for asked.After, asked.Limit = "", 1000; ; {
		p, err := a.People.ListGroups(c.Context(), asked)
		if err != nil {
			return answer{}, err
		}
		for _, g := range p.Items {
			if all, err = sorted.add(all, groupAttribute(g, sorted.by), g.ID, func() object { return a.group(g) }); err != nil {
				return answer{}, err
			}
		}
		if asked.After = p.Next; p.Next == "" {
			return sorted.page(all)
		}
	}
}

// groupKnows reports whether groupAttribute knows the attribute. No group comes from
// elsewhere, so none has a source.
func groupKnows() func(path string) bool {
	return among("profile.", "id", "type", "created", "lastupdated", "lastmembershipupdated", "objectclass", "source.id")
}

// groupAttribute returns what a filter compares.
func groupAttribute(g ledger.Object[directory.Group], path string) any {
	switch strings.ToLower(path) {
	case "id":
		return g.ID
	case "type":
		return groupType(g.Value)
	case "created":
		return g.Created
	case "lastupdated":
		return orElse(g.Value.ProfileChanged, g.Updated)
	case "lastmembershipupdated":
		return orElse(g.Value.MembersChanged, g.Created)
	case "objectclass":
		return []any{groupClass}
	case "profile.name":
		return g.Value.Name
	case "profile.description":
		return g.Value.Description
	}
	if name, ok := strings.CutPrefix(path, "profile."); ok {
		return g.Value.Attributes[name]
	}
	return nil
}

// groupClass is the class of every group: none comes from a directory elsewhere.
const groupClass = "okta:user_group"

func groupType(g directory.Group) string { return g.Type() }

func orElse(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

func orNil(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func (a *api) createGroup(c *call) (answer, error) {
	var b groupBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var g directory.Group
	if err := b.onto(&g); err != nil {
		return answer{}, err
	}
	o, err := a.People.CreateGroup(c.Context(), c.by(), g)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.group(o))
}

func (a *api) getGroup(c *call) (answer, error) {
	g, err := a.People.Group(c.Context(), c.arg("groupId"))
	if err != nil {
		return answer{}, err
	}
	shown, err := a.shownGroup(c, g)
	if err != nil {
		return answer{}, err
	}
	return ok(shown)
}

func (a *api) replaceGroup(c *call) (answer, error) {
	var b groupBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	g, err := a.People.ChangeGroup(c.Context(), c.by(), c.arg("groupId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.group(g))
}

func (a *api) deleteGroup(c *call) (answer, error) {
	if err := a.People.DeleteGroup(c.Context(), c.by(), c.arg("groupId")); err != nil {
		return answer{}, inUse(err)
	}
	return nothing()
}

// inUse turns a conflict with those who refer to an object into what Okta
// answers: the operation is forbidden.
func inUse(err error) error {
	if f := fault.Of(err); f != nil && f.Code == fault.Conflict && f.Reason == ledger.ReasonInUse {
		return fault.Because(err, fault.Denied, "%s", f.Message)
	}
	return err
}

func (a *api) listGroupUsers(c *call) (answer, error) {
	limit, err := c.limit(200, 1000)
	if err != nil {
		return answer{}, err
	}
	p, err := a.People.Members(c.Context(), c.arg("groupId"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, func(u ledger.Object[directory.User]) object { return a.user(u, false) })
}

func (a *api) addMember(c *call) (answer, error) {
	if err := a.People.AddMember(c.Context(), c.by(), c.arg("groupId"), c.arg("userId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) removeMember(c *call) (answer, error) {
	if err := a.People.RemoveMember(c.Context(), c.by(), c.arg("groupId"), c.arg("userId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) group(g ledger.Object[directory.Group]) object {
	profile := object{"name": g.Value.Name, "description": g.Value.Description}
	for name, v := range g.Value.Attributes {
		profile[name] = v
	}
	return object{
		"id": g.ID, "created": stamp(g.Created), "lastUpdated": stamp(orElse(g.Value.ProfileChanged, g.Updated)),
		"lastMembershipUpdated": stamp(orElse(g.Value.MembersChanged, g.Created)),
		"objectClass":           []string{groupClass}, "type": groupType(g.Value), "profile": profile,
		"_links": object{
			"users": object{"href": a.href("groups", g.ID, "users")},
			"apps":  object{"href": a.href("groups", g.ID, "apps")},
		},
	}
}

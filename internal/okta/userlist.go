package okta

import (
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

// listUsers answers q (the beginning of a name, login or address), filter and
// search, alone or together.
func (a *api) listUsers(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	sorted, err := c.sorting(limit, userKnows())
	if err != nil {
		return answer{}, err
	}
	search, err := c.readFilter("search", userKnows())
	if err != nil {
		return answer{}, err
	}
	filtered, err := c.readFilter("filter", userKnows())
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(strings.TrimSpace(c.FormValue("q")))
	both := allOf(search, filtered)
	asked := directory.UserList{After: c.FormValue("after"), Limit: limit}
	for _, f := range both.conditions() {
		name, profile := strings.CutPrefix(f.Path, "profile.")
		if text, isText := f.Value.(string); isText && (profile || strings.EqualFold(f.Path, "status")) {
			if !profile {
				name = "status"
			}
			asked.Where = append(asked.Where, directory.Condition{Attribute: name, Text: text, Prefix: f.Op == "sw"})
		}
	}
	switch {
	case q != "" || len(both.Parts) > 0:
		asked.Match = func(u ledger.Object[directory.User]) bool {
			return both.match(func(path string) any { return a.userAttribute(u, path) })
		}
	default:
		// A list without conditions is of those who are still there.
		asked.Match = func(u ledger.Object[directory.User]) bool { return u.Value.Status != directory.Deprovisioned }
	}
	show := func(u ledger.Object[directory.User]) object { return a.user(u, false) }
	if q != "" {
		// As with Okta, this looks people up and has no second page.
		found, err := a.People.FindUsers(c.Context(), q, limit, asked.Match)
		if err != nil {
			return answer{}, err
		}
		return page(found, "", show)
	}
	if sorted.by != "" {
		return a.sortedUsers(c, &sorted, asked, show)
	}
	p, err := a.People.ListUsers(c.Context(), asked)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, show)
}

// sortedUsers answers a page of all users who match, in the order of an attribute.
func (a *api) sortedUsers(c *call, sorted *sorting, asked directory.UserList, show func(ledger.Object[directory.User]) object) (answer, error) {
	var all []sortable
	for asked.After, asked.Limit = "", 1000; ; {
		p, err := a.People.ListUsers(c.Context(), asked)
		if err != nil {
			return answer{}, err
		}
		for _, u := range p.Items {
			if all, err = sorted.add(all, a.userAttribute(u, sorted.by), u.ID, func() object { return show(u) }); err != nil {
				return answer{}, err
			}
		}
		if asked.After = p.Next; p.Next == "" {
			return sorted.page(all)
		}
	}
}

// userKnows reports whether userAttribute knows the attribute.
func userKnows() func(path string) bool {
	return among("profile.", "id", "status", "created", "lastupdated", "activated", "statuschanged", "passwordchanged", "lastlogin",
		"type.id", "credentials.provider.type", "credentials.provider.name")
}

// userAttribute returns what a filter compares.
func (a *api) userAttribute(u ledger.Object[directory.User], path string) any {
	if name, profile := strings.CutPrefix(path, "profile."); profile {
		v, _ := u.Value.Profile.Attribute(name)
		return v
	}
	switch strings.ToLower(path) {
	case "id":
		return u.ID
	case "status":
		return string(u.Value.Status)
	case "created":
		return u.Created
	case "lastupdated":
		return u.Updated
	case "activated":
		return orNil(u.Value.Activated)
	case "statuschanged":
		return orNil(u.Value.StatusChanged)
	case "passwordchanged":
		return orNil(u.Value.PasswordChanged)
	case "type.id":
		return a.typeOf(u.Value)
	case "credentials.provider.type", "credentials.provider.name":
		return providerOKTA
	}
	return nil
}

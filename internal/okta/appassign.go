package okta

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

func (a *api) listAppUsers(c *call) (answer, error) {
	limit, err := c.limit(50, 500)
	if err != nil {
		return answer{}, err
	}
	p, err := looked(c, limit, a.Access.ListAppUsers, func(o ledger.Object[access.AppUser]) ([]string, error) {
		u, err := a.People.User(c.Context(), o.Value.User)
		return []string{o.Value.UserName, u.Value.Profile.FirstName, u.Value.Profile.LastName, u.Value.Profile.Email}, err
	})
	if err != nil {
		return answer{}, err
	}
	return each(p, func(o ledger.Object[access.AppUser]) (object, error) { return a.appUser(c, o) })
}

// looked returns a page of the assignments of an app, or the first of those of which
// one of the names begins with q: that looks somebody up, and has no second page.
func looked[T any](c *call, limit int, list func(ctx context.Context, app, after string, limit int) (ledger.Page[T], error), names func(ledger.Object[T]) ([]string, error)) (ledger.Page[T], error) {
	q := strings.ToLower(c.FormValue("q"))
	if q == "" {
		return list(c.Context(), c.arg("appId"), c.FormValue("after"), limit)
	}
	found := ledger.Page[T]{}
	for after := ""; ; {
		p, err := list(c.Context(), c.arg("appId"), after, 1000)
		if err != nil {
			return found, err
		}
		for _, o := range p.Items {
			all, err := names(o)
			if err != nil {
				return found, err
			}
			if slices.ContainsFunc(all, func(s string) bool { return strings.HasPrefix(strings.ToLower(s), q) }) {
				found.Items = append(found.Items, o)
			}
			if len(found.Items) == limit {
				return found, nil
			}
		}
		if after = p.Next; after == "" {
			return found, nil
		}
	}
}

func (a *api) getAppUser(c *call) (answer, error) {
	o, err := a.Access.FindAppUser(c.Context(), c.arg("appId"), c.arg("userId"))
	if err != nil {
		return answer{}, err
	}
	return a.showAppUser(c, o)
}

func (a *api) showAppUser(c *call, o ledger.Object[access.AppUser]) (answer, error) {
	shown, err := a.appUser(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(shown)
}

func (a *api) assignUser(c *call) (answer, error) {
	var b struct {
		ID          string `json:"id"`
		Scope       string `json:"scope"`
		Credentials struct {
			UserName string `json:"userName"`
		} `json:"credentials"`
		Profile map[string]any `json:"profile"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if id := c.arg("userId"); id != "" {
		b.ID = id
		if _, err := a.Access.FindAppUser(c.Context(), c.arg("appId"), id); err != nil {
			return answer{}, err
		}
	}
	if b.Scope != "" && b.Scope != "USER" {
		return answer{}, unsupported("scope", "must be USER: groups are assigned under groups")
	}
	u, err := a.People.User(c.Context(), b.ID)
	if err != nil {
		return answer{}, err
	}
	name := b.Credentials.UserName
	if name == "" {
		name = u.Value.Profile.Login
	}
	o, err := a.Access.AssignUser(c.Context(), c.by(), access.AppUser{App: c.arg("appId"), User: u.ID, UserName: name, Profile: b.Profile})
	if err != nil {
		return answer{}, err
	}
	return a.showAppUser(c, o)
}

func (a *api) unassignUser(c *call) (answer, error) {
	if err := a.Access.UnassignUser(c.Context(), c.by(), c.arg("appId"), c.arg("userId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

// appUser shows an assignment: the profile is that of OpenID Connect, made of the
// user's and of what was set for this app.
func (a *api) appUser(c *call, o ledger.Object[access.AppUser]) (object, error) {
	x := o.Value
	u, err := a.People.User(c.Context(), x.User)
	if err != nil {
		return nil, err
	}
	profile := oidcProfile(u.Value.Profile)
	for name, v := range x.Profile {
		profile[name] = v
	}
	out := object{
		"id": x.User, "externalId": nil, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "scope": "USER", "status": "ACTIVE",
		"statusChanged": stamp(o.Created), "passwordChanged": nil, "syncState": "DISABLED", "credentials": object{"userName": x.UserName},
		"profile": profile,
		"_links":  object{"app": object{"href": a.href("apps", x.App)}, "user": object{"href": a.href("users", x.User)}},
	}
	if c.expands("user") {
		out.embed("user", a.user(u, true))
	}
	return out, nil
}

// oidcProfile is a user's profile by the names of OpenID Connect Core section 5.1.
func oidcProfile(p directory.Profile) object {
	at := func(name string) any {
		v, _ := p.Attribute(name)
		return v
	}
	or := func(v any, other string) any {
		if v == nil {
			return other
		}
		return v
	}
	return object{
		"name": p.DisplayName(), "given_name": orNull(p.FirstName), "family_name": orNull(p.LastName), "middle_name": at("middleName"),
		"nickname": at("nickName"), "email": p.Email, "phone_number": at("primaryPhone"), "zoneinfo": or(at("timezone"), "America/Los_Angeles"),
		"locale": or(at("locale"), "en_US"), "profile": at("profileUrl"), "street_address": at("streetAddress"), "locality": at("city"),
		"region": at("state"), "postal_code": at("zipCode"), "country": at("countryCode"), "formatted": nil, "website": nil,
		"birthdate": nil, "gender": nil, "picture": nil,
	}
}

func (a *api) listAppGroups(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := looked(c, limit, a.Access.ListAppGroups, func(o ledger.Object[access.AppGroup]) ([]string, error) {
		g, err := a.People.Group(c.Context(), o.Value.Group)
		return []string{g.Value.Name}, err
	})
	if err != nil {
		return answer{}, err
	}
	return each(p, func(o ledger.Object[access.AppGroup]) (object, error) { return a.expandedAppGroup(c, o) })
}

func (a *api) getAppGroup(c *call) (answer, error) {
	o, err := a.Access.FindAppGroup(c.Context(), c.arg("appId"), c.arg("groupId"))
	if err != nil {
		return answer{}, err
	}
	shown, err := a.expandedAppGroup(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(shown)
}

// expandedAppGroup is the assignment of a group, with the group when the call asks for it.
func (a *api) expandedAppGroup(c *call, o ledger.Object[access.AppGroup]) (object, error) {
	out := a.appGroup(o)
	if c.expands("group") {
		g, err := a.People.Group(c.Context(), o.Value.Group)
		if err != nil {
			return nil, err
		}
		out.embed("group", a.group(g))
	}
	return out, nil
}

func (a *api) assignGroup(c *call) (answer, error) {
	var b struct {
		Priority *int           `json:"priority"`
		Profile  map[string]any `json:"profile"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if _, err := a.People.Group(c.Context(), c.arg("groupId")); err != nil {
		return answer{}, err
	}
	o, err := a.Access.AssignGroup(c.Context(), c.by(), c.arg("appId"), c.arg("groupId"), b.Priority, b.Profile)
	if err != nil {
		return answer{}, err
	}
	return ok(a.appGroup(o))
}

func (a *api) unassignGroup(c *call) (answer, error) {
	if err := a.Access.UnassignGroup(c.Context(), c.by(), c.arg("appId"), c.arg("groupId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) appGroup(o ledger.Object[access.AppGroup]) object {
	x, profile := o.Value, o.Value.Profile
	if profile == nil {
		profile = map[string]any{}
	}
	return object{
		"id": x.Group, "lastUpdated": stamp(o.Updated), "priority": x.Priority, "profile": profile,
		"_links": object{
			"app":   object{"href": a.href("apps", x.App)},
			"self":  object{"href": a.href("apps", x.App, "groups", x.Group)},
			"group": object{"href": a.href("groups", x.Group)},
		},
	}
}

// listGroupApps answers the apps that a group is assigned to.
func (a *api) listGroupApps(c *call) (answer, error) {
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	if _, err := a.People.Group(c.Context(), c.arg("groupId")); err != nil {
		return answer{}, err
	}
	p, err := a.Access.AppsOfGroup(c.Context(), c.arg("groupId"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, func(o ledger.Object[access.App]) object { return a.app(o, "") })
}

// patchAppGroup changes the priority or single attributes of a group's assignment: a
// JSON Patch (RFC 6902) of replace, add and remove.
func (a *api) patchAppGroup(c *call) (answer, error) {
	raw, err := c.body()
	if err != nil {
		return answer{}, err
	}
	var steps []struct {
		Op    string          `json:"op"`
		Path  string          `json:"path"`
		Value json.RawMessage `json:"value"`
	}
	if err := decode(raw, &steps); err != nil {
		return answer{}, err
	}
	o, err := a.Access.FindAppGroup(c.Context(), c.arg("appId"), c.arg("groupId"))
	if err != nil {
		return answer{}, err
	}
	priority, profile := o.Value.Priority, map[string]any{}
	for k, v := range o.Value.Profile {
		profile[k] = v
	}
	for _, s := range steps {
		name, inProfile := strings.CutPrefix(s.Path, "/profile/")
		var err error
		switch {
		case s.Path == "/priority" && s.Op == "replace":
			err = json.Unmarshal(s.Value, &priority)
		case inProfile && name != "" && !strings.Contains(name, "/") && (s.Op == "replace" || s.Op == "add"):
			var v any
			err = json.Unmarshal(s.Value, &v)
			profile[name] = v
		case inProfile && s.Op == "remove":
			delete(profile, name)
		default:
			return answer{}, unsupported("path", "must be /priority to replace, or an attribute below /profile to add, replace or remove")
		}
		if err != nil {
			return answer{}, malformed(err)
		}
	}
	if o, err = a.Access.AssignGroup(c.Context(), c.by(), c.arg("appId"), c.arg("groupId"), &priority, profile); err != nil {
		return answer{}, err
	}
	return ok(a.appGroup(o))
}

// listAppLinks answers the apps that a user may use, themselves or by a group.
func (a *api) listAppLinks(c *call) (answer, error) {
	u, err := a.findUser(c, c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	groups, err := a.People.UserGroups(c.Context(), u.ID)
	if err != nil {
		return answer{}, err
	}
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	apps, err := a.Access.AppsOfUser(c.Context(), u.ID, ids)
	if err != nil {
		return answer{}, err
	}
	return page(apps, "", func(o ledger.Object[access.App]) object {
		return object{
			"id": o.ID, "label": o.Value.Label, "linkUrl": orNull(o.Value.OIDC.InitiateLoginURI), "logoUrl": orNull(o.Value.OIDC.LogoURI),
			"appName": appName, "appInstanceId": o.ID, "appAssignmentId": o.ID, "credentialsSetup": false, "hidden": o.Value.OIDC.InitiateLoginURI == "", "sortOrder": 0,
		}
	})
}

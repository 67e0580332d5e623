package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

// groupsClaimBody is the groups claim of the ID tokens of an app, as Terraform
// sends it to an address that Okta does not document.
type groupsClaimBody struct {
	ValueType string `json:"valueType"`
	Name      string `json:"name"`
	Value     string `json:"value"`
	Filter    string `json:"filterType"`
	Mode      string `json:"issuerMode"`
}

func (a *api) getGroupsClaim(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	out := groupsClaim(o.Value)
	out["issuer"], out["audience"] = a.URL, o.Value.Client(o.ID)
	return ok(out)
}

func (a *api) setGroupsClaim(c *call) (answer, error) {
	var b groupsClaimBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeApp(c.Context(), c.by(), c.arg("appId"), access.AppChange{Change: func(x *access.App) error {
		if b.Mode != "" {
			x.OIDC.IssuerMode = b.Mode
		}
		x.OIDC.GroupsClaim = nil
		if b.Name != "" {
			x.OIDC.GroupsClaim = &access.GroupsClaim{ValueType: b.ValueType, Name: b.Name, Value: b.Value, Filter: b.Filter}
		}
		return nil
	}})
	if err != nil {
		return answer{}, err
	}
	return ok(groupsClaim(o.Value))
}

func groupsClaim(x access.App) object {
	mode := x.OIDC.IssuerMode
	if mode == "" {
		mode = access.IssuerOrgURL
	}
	out := object{"issuer": nil, "orgUrl": nil, "customUrl": nil, "audience": nil, "issuerMode": mode}
	if g := x.OIDC.GroupsClaim; g != nil {
		out["valueType"], out["name"], out["value"] = g.ValueType, g.Name, g.Value
		if g.Filter != "" {
			out["filterType"] = g.Filter
		}
	}
	return out
}

func (a *api) listAppUsers(c *call) (answer, error) {
	limit, err := c.limit(50, 500)
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.ListAppUsers(c.Context(), c.arg("appId"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(p.Items))
	for i, o := range p.Items {
		if out[i], err = a.appUser(c, o); err != nil {
			return answer{}, err
		}
	}
	return answer{status: 200, body: out, list: true, next: p.Next}, nil
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
	return object{
		"id": x.User, "externalId": nil, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "scope": "USER", "status": "ACTIVE",
		"statusChanged": stamp(o.Created), "passwordChanged": nil, "syncState": "DISABLED", "credentials": object{"userName": x.UserName},
		"profile": profile,
		"_links":  object{"app": object{"href": a.href("apps", x.App)}, "user": object{"href": a.href("users", x.User)}},
	}, nil
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
	p, err := a.Access.ListAppGroups(c.Context(), c.arg("appId"), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.appGroup)
}

func (a *api) getAppGroup(c *call) (answer, error) {
	o, err := a.Access.FindAppGroup(c.Context(), c.arg("appId"), c.arg("groupId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.appGroup(o))
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

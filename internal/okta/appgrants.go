package okta

import (
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// The grants of an app are the okta.* scopes that it may ask the org server for, to
// call this API with (Okta's "Okta API Scopes" of an app).

func (a *api) listGrants(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	return page(o.Value.Grants, "", func(g access.ScopeGrant) object { return a.grant(o, g) })
}

// grantScope grants a scope. Who grants it may do all that it allows: it would be
// theirs by way of the app.
func (a *api) grantScope(c *call) (answer, error) {
	var b struct {
		Issuer string `json:"issuer"`
		Scope  string `json:"scopeId"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if b.Issuer != "" && b.Issuer != a.URL {
		return answer{}, unsupported("issuer", "must be "+a.URL+": other servers have access policies")
	}
	if err := c.covers(access.Permissions{b.Scope}, nil); err != nil && access.ManagementScope(b.Scope) {
		return answer{}, err
	}
	g, o, err := a.Access.GrantScope(c.Context(), c.by(), c.arg("appId"), b.Scope)
	if err != nil {
		return answer{}, err
	}
	return created(a.grant(o, g))
}

func (a *api) getGrant(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	i := slices.IndexFunc(o.Value.Grants, func(g access.ScopeGrant) bool { return g.ID == c.arg("grantId") })
	if i < 0 {
		return answer{}, fault.New(fault.NotFound, "the app has no such grant")
	}
	return ok(a.grant(o, o.Value.Grants[i]))
}

func (a *api) revokeGrant(c *call) (answer, error) {
	if err := a.Access.RevokeScope(c.Context(), c.by(), c.arg("appId"), c.arg("grantId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) grant(o ledger.Object[access.App], g access.ScopeGrant) object {
	return object{
		"id": g.ID, "status": "ACTIVE", "created": stamp(g.Created), "lastUpdated": stamp(g.Created), "issuer": a.URL, "source": "ADMIN",
		"createdBy": object{"id": g.By, "type": "User"}, "clientId": o.Value.Client(o.ID), "scopeId": g.Scope,
		"_embedded": object{"scope": object{"id": g.Scope}},
		"_links": object{
			"self":   ref(a.href("apps", o.ID, "grants", g.ID), "GET", "DELETE"),
			"app":    object{"href": a.href("apps", o.ID), "title": o.Value.Label},
			"client": object{"href": a.URL + "/oauth2/v1/clients/" + o.Value.Client(o.ID), "title": o.Value.Label},
		},
	}
}

package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

// holder is who has administrator roles: a user, a group or an app.
type holder struct {
	kind string // access.AssigneeUser and so on
	id   string // in the ledger
	href string
}

func (a *api) userHolder(c *call) (holder, error) {
	u, err := a.findUser(c, c.arg("id"))
	return holder{access.AssigneeUser, u.ID, a.href("users", u.ID)}, err
}

func (a *api) groupHolder(c *call) (holder, error) {
	g, err := a.People.Group(c.Context(), c.arg("groupId"))
	return holder{access.AssigneeGroup, g.ID, a.href("groups", g.ID)}, err
}

func (a *api) appHolder(c *call) (holder, error) {
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	return holder{access.AssigneeApp, o.ID, a.URL + "/oauth2/v1/clients/" + c.arg("clientId")}, err
}

func (a *api) listRoles(c *call, h holder) (answer, error) {
	all, err := a.Access.ListRoles(c.Context(), h.kind, h.id)
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(all))
	for i, o := range all {
		out[i] = role(o, h)
	}
	return ok(out)
}

// assignRole gives a role to somebody. Who gives it may do all that it allows.
func (a *api) assignRole(c *call, h holder) (answer, error) {
	var b struct {
		Type string `json:"type"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	r, known := access.FindAdminRole(b.Type)
	if !known {
		return answer{}, unsupported("type", "is not one of the standard roles that are available")
	}
	if err := c.covers(r.Permissions, nil); err != nil {
		return answer{}, err
	}
	var also func(*ledger.Tx) error
	if h.kind == access.AssigneeGroup {
		also = func(tx *ledger.Tx) error { return directory.MayHaveRoles(tx, h.id) }
	}
	o, err := a.Access.AssignRole(c.Context(), c.by(), access.RoleAssignment{Assignee: h.kind, ID: h.id, Type: b.Type}, also)
	if err != nil {
		return answer{}, err
	}
	return created(role(o, h))
}

func (a *api) getRole(c *call, h holder) (answer, error) {
	o, err := a.Access.FindRole(c.Context(), h.kind, h.id, c.arg("roleAssignmentId"))
	if err != nil {
		return answer{}, err
	}
	return ok(role(o, h))
}

func (a *api) unassignRole(c *call, h holder) (answer, error) {
	o, err := a.Access.FindRole(c.Context(), h.kind, h.id, c.arg("roleAssignmentId"))
	if err != nil {
		return answer{}, err
	}
	r, _ := access.FindAdminRole(o.Value.Type)
	if err := c.covers(r.Permissions, nil); err != nil {
		return answer{}, err
	}
	if err := a.Access.UnassignRole(c.Context(), c.by(), h.kind, h.id, c.arg("roleAssignmentId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

// role shows an assignment. Its type says who has it.
func role(o ledger.Object[access.RoleAssignment], h holder) object {
	r, _ := access.FindAdminRole(o.Value.Type)
	kinds := map[string]string{access.AssigneeUser: "USER", access.AssigneeGroup: "GROUP", access.AssigneeApp: "CLIENT"}
	return object{
		"id": o.Value.RoleID(o.ID), "label": r.Label, "type": r.Type, "status": "ACTIVE", "assignmentType": kinds[h.kind],
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "_links": object{"assignee": object{"href": h.href}},
	}
}

// held makes an operation about the roles of somebody one of the routes'.
func held(who func(*api, *call) (holder, error), do func(*api, *call, holder) (answer, error)) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		h, err := who(a, c)
		if err != nil {
			return answer{}, err
		}
		return do(a, c, h)
	}
}

package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// originBody is a trusted origin as it is sent.
type originBody struct {
	Name   string        `json:"name"`
	Origin string        `json:"origin"`
	Status access.Status `json:"status"`
	Scopes []struct {
		Type string   `json:"type"`
		Apps []string `json:"allowedOktaApps"`
	} `json:"scopes"`
}

func (b *originBody) onto(o *access.Origin) error {
	o.Name, o.Origin, o.Scopes = b.Name, b.Origin, nil
	if b.Status != "" {
		o.Status = b.Status
	}
	for _, s := range b.Scopes {
		if len(s.Apps) > 0 {
			return unsupported("scopes.allowedOktaApps", "pages of this server cannot be framed by others")
		}
		o.Scopes = append(o.Scopes, s.Type)
	}
	return nil
}

func (a *api) listOrigins(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	f, err := parseFilter(c.FormValue("filter"))
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.ListOrigins(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.Origin]) bool {
		return f.match(func(path string) any {
			switch path {
			case "id":
				return o.ID
			case "name":
				return o.Value.Name
			case "origin":
				return o.Value.Origin
			case "status":
				return string(o.Value.Status)
			}
			return nil
		})
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.origin)
}

func (a *api) createOrigin(c *call) (answer, error) {
	var b originBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var v access.Origin
	if err := b.onto(&v); err != nil {
		return answer{}, err
	}
	o, err := a.Access.CreateOrigin(c.Context(), c.by(), v)
	if err != nil {
		return answer{}, taken(err, "origin")
	}
	return ok(a.origin(o))
}

func (a *api) getOrigin(c *call) (answer, error) {
	o, err := a.Access.FindOrigin(c.Context(), c.arg("trustedOriginId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.origin(o))
}

func (a *api) replaceOrigin(c *call) (answer, error) {
	var b originBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeOrigin(c.Context(), c.by(), c.arg("trustedOriginId"), b.onto)
	if err != nil {
		return answer{}, taken(err, "origin")
	}
	return ok(a.origin(o))
}

// deleteOrigin removes an origin; Okta lets an active one go as well.
func (a *api) deleteOrigin(c *call) (answer, error) {
	if err := a.Access.DeleteOrigin(c.Context(), c.by(), c.arg("trustedOriginId")); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateOrigin(c *call) (answer, error)   { return a.originStatus(c, access.Active) }
func (a *api) deactivateOrigin(c *call) (answer, error) { return a.originStatus(c, access.Inactive) }

func (a *api) originStatus(c *call, s access.Status) (answer, error) {
	o, err := a.Access.ChangeOrigin(c.Context(), c.by(), c.arg("trustedOriginId"), func(o *access.Origin) error {
		o.Status = s
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return ok(a.origin(o))
}

func (a *api) origin(o ledger.Object[access.Origin]) object {
	v, other := o.Value, opposite(o.Value.Status)
	scopes := make([]object, len(v.Scopes))
	for i, s := range v.Scopes {
		scopes[i] = object{"type": s}
	}
	return object{
		"id": o.ID, "name": v.Name, "origin": v.Origin, "scopes": scopes, "status": v.Status, "created": stamp(o.Created), "createdBy": v.CreatedBy,
		"lastUpdated": stamp(o.Updated), "lastUpdatedBy": v.UpdatedBy,
		"_links": object{
			"self": ref(a.href("trustedOrigins", o.ID), "GET", "PUT", "DELETE"),
			other:  ref(a.href("trustedOrigins", o.ID, "lifecycle", other), "POST"),
		},
	}
}

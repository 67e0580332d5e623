package okta

import (
	"strings"

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
	f, err := c.readFilter("filter", among("id", "name", "origin", "status"))
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(c.FormValue("q"))
	p, err := a.Access.ListOrigins(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.Origin]) bool {
		if !strings.Contains(strings.ToLower(o.Value.Name+"\n"+o.Value.Origin), q) {
			return false
		}
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

// origins are the trusted origins, for the operations on a collection. Okta lets an
// active one be deleted as well.
func origins(a *api) collection[access.Origin, originBody] {
	return collection[access.Origin, originBody]{
		onto: (*originBody).onto,
		arg:  "trustedOriginId", unique: "origin", show: a.origin, status: func(o *access.Origin) *access.Status { return &o.Status },
		find: a.Access.FindOrigin, make: a.Access.CreateOrigin, change: a.Access.ChangeOrigin, remove: a.Access.DeleteOrigin,
	}
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

package okta

import (
	"gatehouse/internal/directory"
	"gatehouse/internal/ledger"
)

func (a *api) getGroupSchema(c *call) (answer, error) {
	s, err := a.People.Schema(c.Context(), directory.SchemaOfGroup, "")
	if err != nil {
		return answer{}, err
	}
	return a.showGroupSchema(c, s)
}

// changeGroupSchema changes attributes that are added to the schema of groups; those of
// its base stay as they are, whatever is sent, as with Okta.
func (a *api) changeGroupSchema(c *call) (answer, error) {
	var b schemaBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	s, err := a.People.ChangeSchema(c.Context(), c.by(), directory.SchemaOfGroup, "", b.Definitions.Custom.Properties, nil)
	if err != nil {
		return answer{}, err
	}
	return a.showGroupSchema(c, s)
}

// showGroupSchema shows the schema of groups: JSON Schema draft 4, as Okta writes it.
func (a *api) showGroupSchema(c *call, s ledger.Object[directory.Schema]) (answer, error) {
	everyone, err := a.People.FindGroup(c.Context(), directory.EveryoneGroup)
	if err != nil {
		return answer{}, err
	}
	fixed := func(title string, most int) object {
		return object{
			"title": title, "type": "string", "scope": "NONE", "mutability": "READ_WRITE", "maxLength": most,
			"permissions": []object{{"principal": "SELF", "action": "READ_ONLY"}}, "master": object{"type": "PROFILE_MASTER"},
		}
	}
	name := fixed("Name", 255)
	name["required"] = true
	base := object{"name": name, "description": fixed("Description", 1024)}
	custom, required := customAttributes(s.Value)
	out := schemaObject(custom, required, base, []string{"name"})
	made := s.Created
	if made.IsZero() {
		made = everyone.Created // with the tenant
	}
	changed := later(made, s.Updated)
	out["id"], out["name"] = a.URL+"/meta/schemas/group/default", "group"
	out["title"], out["description"] = "Okta group", "Okta group profile template with default permission settings"
	out["created"], out["lastUpdated"] = stamp(made), stamp(changed)
	out["_links"] = object{"self": object{"rel": "self", "href": a.href("meta", "schemas", "group", "default"), "method": "GET"}}
	return ok(out)
}

package okta

import (
	"encoding/json"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// schemaBody is what is changed of a schema; null takes an attribute away.
type schemaBody struct {
	Definitions struct {
		Custom struct {
			Properties map[string]*directory.SchemaAttribute `json:"properties"`
		} `json:"custom"`
		Base struct {
			Properties map[string]*directory.SchemaAttribute `json:"properties"`
		} `json:"base"`
	} `json:"definitions"`
}

// schemaID returns the id of the schema of a user type: they differ in the prefix.
func schemaID(userType string) string { return "osc" + userType[min(3, len(userType)):] }

// schemaType returns the user type that a schema's path names: default, or the id of
// the schema or of the type.
func (a *api) schemaType(c *call) (ledger.Object[directory.UserType], error) {
	id := c.arg("schemaId")
	if len(id) > 3 && id[:3] == "osc" {
		id = "oty" + id[3:]
	}
	return a.People.UserType(c.Context(), id)
}

func (a *api) getUserSchema(c *call) (answer, error) {
	t, err := a.schemaType(c)
	if err != nil {
		return answer{}, err
	}
	s, err := a.People.Schema(c.Context(), directory.SchemaOfType, t.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(a.userSchemaObject(t, s))
}

func (a *api) changeUserSchema(c *call) (answer, error) {
	var b schemaBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	t, err := a.schemaType(c)
	if err != nil {
		return answer{}, err
	}
	for name := range b.Definitions.Base.Properties {
		if _, known := directory.BaseAttribute(name); !known {
			return answer{}, unsupported("definitions.base.properties."+name, "is not an attribute of the base schema")
		}
	}
	s, err := a.People.ChangeSchema(c.Context(), c.by(), directory.SchemaOfType, t.ID, b.Definitions.Custom.Properties, b.Definitions.Base.Properties)
	if err != nil {
		return answer{}, err
	}
	return ok(a.userSchemaObject(t, s))
}

// userSchemaObject shows the schema of a user type: JSON Schema draft 4, as Okta
// writes it.
func (a *api) userSchemaObject(t ledger.Object[directory.UserType], s ledger.Object[directory.Schema]) object {
	base, required := object{}, []string{}
	for _, x := range directory.BaseSchema() {
		p := object{"title": x.Title, "type": "string", "mutability": "READ_WRITE", "scope": "NONE"}
		self := x.Self
		changed, is := s.Value.Base[x.Name]
		if is && len(changed.Permissions) > 0 {
			self = changed.Permissions[0].Action
		}
		if need := x.Required && !is || is && changed.Required; need {
			p["required"] = true
			required = append(required, x.Name)
		}
		if x.Format != "" {
			p["format"] = x.Format
		}
		if x.Min > 0 {
			p["minLength"] = x.Min
		}
		if x.Max > 0 {
			p["maxLength"] = x.Max
		}
		if is && changed.Pattern != "" {
			p["pattern"] = changed.Pattern
		}
		addMaster(p, changed.Master)
		p["permissions"] = []object{{"principal": "SELF", "action": self}}
		base[x.Name] = p
	}
	custom, customRequired := customAttributes(s.Value)
	out := schemaObject(custom, customRequired, base, required)
	name := t.Value.Name
	id := "default"
	if !t.Value.Default {
		id = schemaID(t.ID)
	}
	out["id"] = a.URL + "/meta/schemas/user/" + id
	out["name"], out["title"], out["description"] = name, t.Value.DisplayName, t.Value.Description
	out["created"], out["lastUpdated"] = stamp(t.Created), stamp(later(t.Updated, s.Updated))
	out["_links"] = object{
		"self": object{"rel": "self", "href": a.href("meta", "schemas", "user", schemaID(t.ID)), "method": "GET"},
		"type": object{"rel": "type", "href": a.href("meta", "types", "user", t.ID), "method": "GET"},
	}
	return out
}

// customAttributes shows the attributes that a schema of people or groups adds, and which
// of them are required.
func customAttributes(s directory.Schema) (object, []string) {
	custom, required := object{}, []string{}
	for name, x := range s.Custom {
		p := attribute(x)
		p["mutability"] = orText(x.Mutability, "READ_WRITE")
		allowed := x.Permissions
		if len(allowed) == 0 {
			allowed = []directory.SchemaAllowed{{Principal: "SELF", Action: "READ_ONLY"}}
		}
		p["permissions"] = allowed
		addMaster(p, x.Master)
		if x.Required {
			required = append(required, name)
		}
		custom[name] = p
	}
	return custom, required
}

func schemaObject(custom object, customRequired []string, base object, required []string) object {
	return object{
		"$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
		"definitions": object{
			"custom": object{"id": "#custom", "type": "object", "properties": custom, "required": customRequired},
			"base":   object{"id": "#base", "type": "object", "properties": base, "required": required},
		},
		"properties": object{"profile": object{"allOf": []object{{"$ref": "#/definitions/custom"}, {"$ref": "#/definitions/base"}}}},
	}
}

// addMaster adds who sets the attribute: the profile master, unless it was said.
func addMaster(p object, raw json.RawMessage) {
	if len(raw) == 0 {
		p["master"] = object{"type": "PROFILE_MASTER"}
		return
	}
	p["master"] = raw
}

// attribute shows what users and apps have in common of an attribute.
func attribute(x directory.SchemaAttribute) object {
	p := object{"title": x.Title, "type": x.Type, "scope": orText(x.Scope, "NONE")}
	for name, text := range map[string]string{
		"description": x.Description, "format": x.Format, "pattern": x.Pattern, "unique": x.Unique,
		"externalName": x.External, "externalNamespace": x.Namespace,
	} {
		if text != "" {
			p[name] = text
		}
	}
	if x.Required {
		p["required"] = true
	}
	if x.MinLength != nil {
		p["minLength"] = *x.MinLength
	}
	if x.MaxLength != nil {
		p["maxLength"] = *x.MaxLength
	}
	if len(x.Enum) > 0 {
		p["enum"] = x.Enum
	}
	if len(x.OneOf) > 0 {
		p["oneOf"] = x.OneOf
	}
	if x.Items != nil {
		p["items"] = x.Items
	}
	return p
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (a *api) getAppSchema(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	s, err := a.People.Schema(c.Context(), directory.SchemaOfApp, o.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(a.appSchema(o, s))
}

func (a *api) changeAppSchema(c *call) (answer, error) {
	var b schemaBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	s, err := a.People.ChangeSchema(c.Context(), c.by(), directory.SchemaOfApp, o.ID, b.Definitions.Custom.Properties, b.Definitions.Base.Properties)
	if err != nil {
		return answer{}, err
	}
	return ok(a.appSchema(o, s))
}

// listUserTypes answers the user types, the default one first.
func (a *api) listUserTypes(c *call) (answer, error) {
	all, err := a.People.ListUserTypes(c.Context())
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(all))
	for i, o := range all {
		out[i] = a.userTypeObject(o)
	}
	return ok(out)
}

func (a *api) getUserType(c *call) (answer, error) {
	o, err := a.People.UserType(c.Context(), c.arg("typeId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.userTypeObject(o))
}

// userTypeBody is a user type as it is sent.
type userTypeBody struct {
	Name        *string `json:"name"`
	DisplayName *string `json:"displayName"`
	Description *string `json:"description"`
}

func (b *userTypeBody) onto(t *directory.UserType) error {
	for _, f := range []struct{ from, to *string }{{b.Name, &t.Name}, {b.DisplayName, &t.DisplayName}, {b.Description, &t.Description}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return nil
}

func (a *api) createUserType(c *call) (answer, error) {
	var b userTypeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	var t directory.UserType
	_ = b.onto(&t)
	o, err := a.People.CreateUserType(c.Context(), c.by(), t)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	return ok(a.userTypeObject(o))
}

func (a *api) changeUserType(c *call) (answer, error) {
	var b userTypeBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.People.ChangeUserType(c.Context(), c.by(), c.arg("typeId"), b.onto)
	if err != nil {
		return answer{}, err
	}
	return ok(a.userTypeObject(o))
}

func (a *api) deleteUserType(c *call) (answer, error) {
	err := a.People.DeleteUserType(c.Context(), c.by(), c.arg("typeId"))
	if fault.Is(err, fault.Conflict) {
		return answer{}, unsupported("typeId", "somebody is of this type")
	}
	if err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) userTypeObject(o ledger.Object[directory.UserType]) object {
	t := o.Value
	return object{
		"id": o.ID, "displayName": t.DisplayName, "name": t.Name, "description": t.Description, "createdBy": t.CreatedBy, "lastUpdatedBy": t.UpdatedBy,
		"created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "default": t.Default, "_links": object{
			"schema": object{"rel": "schema", "href": a.href("meta", "schemas", "user", schemaID(o.ID)), "method": "GET"},
			"self":   object{"rel": "self", "href": a.href("meta", "types", "user", o.ID), "method": "GET"},
		},
	}
}

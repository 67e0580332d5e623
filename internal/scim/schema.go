package scim

import (
	"slices"
	"strings"
)

// The schemas of resources (RFC 7643 section 8.7).
const (
	schemaUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	schemaGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	schemaEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// attribute is one of a schema (RFC 7643 section 7). Zero fields are the defaults: not
// multi-valued, not required, caseExact false, readWrite, returned by default.
type attribute struct {
	name, about string
	kind        string // "string" when empty
	multi       bool
	required    bool
	exact       bool
	mutability  string // "" is readWrite
	made        bool   // of others: what clients send for it is passed over in PATCH too, and not refused
	returned    string // "" is default
	uniqueness  string // "" is none
	refers      []string
	values      []string // canonical ones
	sub         []attribute
}

func (a *attribute) is(kind string) bool { return a.kind == kind || a.kind == "" && kind == "string" }

func (a *attribute) readOnly() bool { return a.mutability == "readOnly" }

// child returns a sub-attribute by name, whatever its case.
func (a *attribute) child(name string) *attribute { return find(a.sub, name) }

func find(list []attribute, name string) *attribute {
	i := slices.IndexFunc(list, func(a attribute) bool { return strings.EqualFold(a.name, name) })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// schema is a set of attributes with a name.
type schema struct {
	id, name, about string
	attributes      []attribute
}

// resourceType is what an endpoint has (RFC 7643 section 6).
type resourceType struct {
	name, endpoint, about string
	core                  schema
	extensions            []schema
}

// meta are the attributes that every resource has (RFC 7643 section 3.1).
func meta() []attribute {
	return []attribute{
		{name: "id", about: "The id that this server gave.", exact: true, mutability: "readOnly", returned: "always", uniqueness: "server"},
		{name: "externalId", about: "What the system that provisions calls it.", exact: true},
		{name: "schemas", kind: "reference", multi: true, exact: true, mutability: "readOnly", returned: "always", about: "The schemas that it has attributes of."},
		{name: "meta", kind: "complex", mutability: "readOnly", about: "What the server knows about it.", sub: []attribute{
			{name: "resourceType", exact: true, mutability: "readOnly", about: "The name of the resource type."},
			{name: "created", kind: "dateTime", mutability: "readOnly", about: "When it was added."},
			{name: "lastModified", kind: "dateTime", mutability: "readOnly", about: "When it was changed last."},
			{name: "location", kind: "reference", exact: true, mutability: "readOnly", about: "Its address."},
			{name: "version", exact: true, mutability: "readOnly", about: "Its version, for If-Match."},
		}},
	}
}

// several are the sub-attributes of a multi-valued attribute with types.
func several(about string, types ...string) []attribute {
	return []attribute{
		{name: "value", about: about},
		{name: "type", about: "Which one it is.", values: types},
		{name: "primary", kind: "boolean", about: "Whether it is the one that counts."},
		{name: "display", mutability: "readOnly", about: "A name for people."},
	}
}

func userType() resourceType {
	return resourceType{
		name: "User", endpoint: "/Users", about: "A person.",
		core: schema{id: schemaUser, name: "User", about: "A person.", attributes: []attribute{
			{name: "userName", required: true, uniqueness: "server", about: "What the person signs in as."},
			{name: "name", kind: "complex", about: "The parts of the person's name.", sub: []attribute{
				{name: "formatted", mutability: "readOnly", made: true, about: "The whole name, made of its parts."},
				{name: "familyName", about: "The family name."},
				{name: "givenName", about: "The given name."},
				{name: "middleName", about: "The middle name."},
				{name: "honorificPrefix", about: "The title before the name."},
				{name: "honorificSuffix", about: "What stands behind the name."},
			}},
			{name: "displayName", about: "The name that others see."},
			{name: "nickName", about: "The name among friends."},
			{name: "profileUrl", kind: "reference", refers: []string{"external"}, about: "A page about the person."},
			{name: "title", about: "The person's position."},
			{name: "userType", about: "The relation to the organization."},
			{name: "preferredLanguage", about: "The language, as in Accept-Language."},
			{name: "locale", about: "Where numbers and dates are written this way."},
			{name: "timezone", about: "The time zone, by its name in the IANA database."},
			{name: "active", kind: "boolean", about: "Whether the person may sign in. False ends sessions and tokens at once."},
			{name: "password", mutability: "writeOnly", returned: "never", exact: true, about: "The password."},
			{name: "emails", kind: "complex", multi: true, about: "The primary address, and a second one.", sub: several("The address.", "work", "home")},
			{name: "phoneNumbers", kind: "complex", multi: true, about: "The telephone at work and the mobile one.", sub: several("The number.", "work", "mobile")},
			{name: "addresses", kind: "complex", multi: true, about: "The address at work.", sub: []attribute{
				{name: "formatted", about: "The whole address."},
				{name: "streetAddress", about: "Street and number."},
				{name: "locality", about: "The city."},
				{name: "region", about: "The state."},
				{name: "postalCode", about: "The postal code."},
				{name: "country", about: "The country, by its code in ISO 3166-1."},
				{name: "type", about: "Which one it is.", values: []string{"work"}},
				{name: "primary", kind: "boolean", about: "Whether it is the one that counts."},
			}},
			{name: "groups", kind: "complex", multi: true, mutability: "readOnly", about: "The groups that the person is in; changed by way of the groups.", sub: []attribute{
				{name: "value", exact: true, mutability: "readOnly", about: "The id of the group."},
				{name: "$ref", kind: "reference", refers: []string{"Group"}, exact: true, mutability: "readOnly", about: "The address of the group."},
				{name: "display", mutability: "readOnly", about: "The name of the group."},
				{name: "type", mutability: "readOnly", about: "Direct: groups have no groups here.", values: []string{"direct"}},
			}},
		}},
		extensions: []schema{{id: schemaEnterprise, name: "EnterpriseUser", about: "A person who works for an organization.", attributes: []attribute{
			{name: "employeeNumber", about: "The number of the employee."},
			{name: "costCenter", about: "The cost center."},
			{name: "organization", about: "The organization."},
			{name: "division", about: "The division."},
			{name: "department", about: "The department."},
			{name: "manager", kind: "complex", about: "Whom the person reports to.", sub: []attribute{
				{name: "value", exact: true, about: "The id of the manager."},
				{name: "$ref", kind: "reference", refers: []string{"User"}, exact: true, mutability: "readOnly", about: "The address of the manager."},
				{name: "displayName", about: "The name of the manager."},
			}},
		}}},
	}
}

func groupType() resourceType {
	return resourceType{
		name: "Group", endpoint: "/Groups", about: "A named set of people.",
		core: schema{id: schemaGroup, name: "Group", about: "A named set of people.", attributes: []attribute{
			{name: "displayName", required: true, uniqueness: "server", about: "The name of the group."},
			{name: "members", kind: "complex", multi: true, about: "The people in the group.", sub: []attribute{
				{name: "value", exact: true, mutability: "immutable", about: "The id of the user."},
				{name: "$ref", kind: "reference", refers: []string{"User"}, exact: true, mutability: "immutable", about: "The address of the user."},
				{name: "type", mutability: "immutable", about: "User: groups have no groups here.", values: []string{"User"}},
				{name: "display", mutability: "readOnly", about: "The name of the user."},
			}},
		}},
	}
}

// all returns the attributes that a resource has outside of its extensions.
func (t *resourceType) all() []attribute { return append(meta(), t.core.attributes...) }

// extension returns an extension by its URN, whatever its case.
func (t *resourceType) extension(urn string) *schema {
	i := slices.IndexFunc(t.extensions, func(s schema) bool { return strings.EqualFold(s.id, urn) })
	if i < 0 {
		return nil
	}
	return &t.extensions[i]
}

// place is an attribute, and where in a resource it stands.
type place struct {
	urn  string     // of the extension that it is in; empty for the resource itself
	attr *attribute // nil: the extension as a whole
	sub  *attribute // nil: the attribute as a whole
}

// locate finds what a path of names means: "name.givenName", with or without the URN of
// its schema before it.
func (t *resourceType) locate(path string) (p place, ok bool) {
	list := t.all()
	if rest, core := cutURN(path, t.core.id); core {
		path = rest
	} else {
		for i := range t.extensions {
			if rest, in := cutURN(path, t.extensions[i].id); in {
				p.urn, list, path = t.extensions[i].id, t.extensions[i].attributes, rest
				if rest == "" {
					return p, true
				}
				break
			}
		}
	}
	name, sub, deep := strings.Cut(path, ".")
	if p.attr = find(list, name); p.attr == nil {
		return p, false
	}
	if deep {
		p.sub = p.attr.child(sub)
	}
	return p, !deep || p.sub != nil
}

// cutURN takes a URN, and the colon behind it, from the beginning of a path.
func cutURN(path, urn string) (rest string, ok bool) {
	if len(path) < len(urn) || !strings.EqualFold(path[:len(urn)], urn) {
		return "", false
	}
	if rest = path[len(urn):]; rest == "" {
		return "", true
	}
	rest, ok = strings.CutPrefix(rest, ":")
	return rest, ok
}

package directory

import "slices"

// BaseSchemaAttribute is an attribute of the base schema, which every profile of
// users has: Okta's, with its titles, bounds and who sees what.
type BaseSchemaAttribute struct {
	Name, Title, Format string
	Required            bool
	Min, Max            int    // length; 0 for none
	Self                string // what users may do with their own: READ_WRITE, READ_ONLY or HIDE
}

const (
	readWrite = "READ_WRITE"
	readOnly  = "READ_ONLY"
	hidden    = "HIDE"
)

var baseSchema = [...]BaseSchemaAttribute{
	{Name: "login", Title: "Username", Required: true, Min: 5, Max: 100, Self: readOnly},
	{Name: "firstName", Title: "First name", Required: true, Min: 1, Max: 50, Self: readWrite},
	{Name: "lastName", Title: "Last name", Required: true, Min: 1, Max: 50, Self: readWrite},
	{Name: "middleName", Title: "Middle name", Self: readOnly},
	{Name: "honorificPrefix", Title: "Honorific prefix", Self: readOnly},
	{Name: "honorificSuffix", Title: "Honorific suffix", Self: readOnly},
	{Name: "email", Title: "Primary email", Format: "email", Required: true, Self: readWrite},
	{Name: "title", Title: "Title", Self: readOnly},
	{Name: "displayName", Title: "Display name", Self: readOnly},
	{Name: "nickName", Title: "Nickname", Self: readOnly},
	{Name: "profileUrl", Title: "Profile Url", Format: "uri", Self: readOnly},
	{Name: "secondEmail", Title: "Secondary email", Format: "email", Self: readWrite},
	{Name: "mobilePhone", Title: "Mobile phone", Max: 100, Self: readWrite},
	{Name: "primaryPhone", Title: "Primary phone", Max: 100, Self: hidden},
	{Name: "streetAddress", Title: "Street address", Self: hidden},
	{Name: "city", Title: "City", Self: hidden},
	{Name: "state", Title: "State", Self: hidden},
	{Name: "zipCode", Title: "Zip code", Self: hidden},
	{Name: "countryCode", Title: "Country code", Format: "country-code", Self: hidden},
	{Name: "postalAddress", Title: "Postal Address", Self: hidden},
	{Name: "preferredLanguage", Title: "Preferred language", Format: "language-code", Self: readOnly},
	{Name: "locale", Title: "Locale", Format: "locale", Self: readOnly},
	{Name: "timezone", Title: "Time zone", Format: "timezone", Self: readOnly},
	{Name: "userType", Title: "User type", Self: readOnly},
	{Name: "employeeNumber", Title: "Employee number", Self: readOnly},
	{Name: "costCenter", Title: "Cost center", Self: readOnly},
	{Name: "organization", Title: "Organization", Self: readOnly},
	{Name: "division", Title: "Division", Self: readOnly},
	{Name: "department", Title: "Department", Self: readOnly},
	{Name: "managerId", Title: "ManagerId", Self: readOnly},
	{Name: "manager", Title: "Manager", Self: readOnly},
}

// BaseSchema returns the attributes of the base schema, in Okta's order.
func BaseSchema() []BaseSchemaAttribute { return baseSchema[:] }

// BaseAttribute returns an attribute of the base schema by name.
func BaseAttribute(name string) (BaseSchemaAttribute, bool) {
	i := slices.IndexFunc(baseSchema[:], func(a BaseSchemaAttribute) bool { return a.Name == name })
	if i < 0 {
		return BaseSchemaAttribute{}, false
	}
	return baseSchema[i], true
}

package directory

import (
	"encoding/json"
	"regexp"
	"slices"

	"gatehouse/internal/fault"
)

// attributeName is what an attribute may be called.
var attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Bounds of a profile's attributes.
const (
	maxAttributes     = 200
	maxAttributeBytes = 4096
	maxAttributeItems = 200
)

// Attribute returns the value of an attribute by name, whatever part of the
// profile it is in, and whether it is set.
func (p Profile) Attribute(name string) (any, bool) {
	var text string
	switch name {
	case "login":
		text = p.Login
	case "email":
		text = p.Email
	case "firstName":
		text = p.FirstName
	case "lastName":
		text = p.LastName
	default:
		v, ok := p.Attributes[name]
		return v, ok
	}
	return text, text != ""
}

// checkAttributes returns what is wrong with the attributes.
func checkAttributes(all map[string]any) []fault.Field {
	var fields []fault.Field
	if len(all) > maxAttributes {
		fields = append(fields, fault.Field{Path: "profile", Message: "has more than 200 attributes"})
	}
	for name, v := range all {
		at := "profile." + name
		switch {
		case slices.Contains([]string{"login", "email", "firstName", "lastName"}, name):
			fields = append(fields, fault.Field{Path: at, Message: "is an attribute of its own"})
		case !attributeName.MatchString(name):
			fields = append(fields, fault.Field{Path: at, Message: "is not a name of an attribute: letters, digits and _, at most 64"})
		case isBase(name) && !isText(v):
			fields = append(fields, fault.Field{Path: at, Message: "must be text"})
		case !plain(v):
			fields = append(fields, fault.Field{Path: at, Message: "must be text, a number, a boolean, or a list of these, of at most 4096 bytes and 200 items"})
		}
	}
	return fields
}

func isBase(name string) bool {
	_, ok := BaseAttribute(name)
	return ok
}

func isText(v any) bool {
	_, ok := v.(string)
	return ok
}

// plain reports whether v is a scalar or a list of scalars within the bounds.
func plain(v any) bool {
	switch v := v.(type) {
	case string:
		return len(v) <= maxAttributeBytes
	case bool, float64, int, int64, json.Number:
		return true
	case []any:
		return len(v) <= maxAttributeItems && !slices.ContainsFunc(v, func(e any) bool {
			_, list := e.([]any)
			return list || !plain(e)
		})
	}
	return false
}

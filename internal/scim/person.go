package scim

import (
	"strings"

	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
)

// userFields are the attributes of a user that are one attribute of the profile each:
// where they stand in a resource, and what the directory calls them.
func userFields() []struct{ urn, name, sub, profile string } {
	return []struct{ urn, name, sub, profile string }{
		{"", "userName", "", "login"},
		{"", "name", "familyName", "lastName"},
		{"", "name", "givenName", "firstName"},
		{"", "name", "middleName", "middleName"},
		{"", "name", "honorificPrefix", "honorificPrefix"},
		{"", "name", "honorificSuffix", "honorificSuffix"},
		{"", "displayName", "", "displayName"},
		{"", "nickName", "", "nickName"},
		{"", "profileUrl", "", "profileUrl"},
		{"", "title", "", "title"},
		{"", "userType", "", "userType"},
		{"", "preferredLanguage", "", "preferredLanguage"},
		{"", "locale", "", "locale"},
		{"", "timezone", "", "timezone"},
		{schemaEnterprise, "employeeNumber", "", "employeeNumber"},
		{schemaEnterprise, "costCenter", "", "costCenter"},
		{schemaEnterprise, "organization", "", "organization"},
		{schemaEnterprise, "division", "", "division"},
		{schemaEnterprise, "department", "", "department"},
		{schemaEnterprise, "manager", "value", "managerId"},
		{schemaEnterprise, "manager", "displayName", "manager"},
	}
}

// elements are the values of lists that are an attribute of the profile each: the list,
// the type of the element, and the sub-attribute. Elements of other types have no place
// in the directory and are passed over.
func elements() []struct{ name, kind, sub, profile string } {
	return []struct{ name, kind, sub, profile string }{
		{"emails", "work", "value", "email"},
		{"emails", "home", "value", "secondEmail"},
		{"phoneNumbers", "work", "value", "primaryPhone"},
		{"phoneNumbers", "mobile", "value", "mobilePhone"},
		{"addresses", "work", "formatted", "postalAddress"},
		{"addresses", "work", "streetAddress", "streetAddress"},
		{"addresses", "work", "locality", "city"},
		{"addresses", "work", "region", "state"},
		{"addresses", "work", "postalCode", "zipCode"},
		{"addresses", "work", "country", "countryCode"},
	}
}

// show returns the part of a user's resource that is made of the profile.
func show(p directory.Profile) resource {
	res := resource{}
	text := func(name string) string {
		v, _ := p.Attribute(name)
		s, _ := v.(string)
		return s
	}
	for _, f := range userFields() {
		v := text(f.profile)
		if v == "" {
			continue
		}
		to := container(res, f.urn)
		if f.sub != "" {
			to = container(to, f.name)
			to[f.sub] = v
			continue
		}
		to[f.name] = v
	}
	if full := strings.TrimSpace(p.FirstName + " " + p.LastName); full != "" {
		container(res, "name")["formatted"] = full
	}
	for _, e := range elements() {
		v := text(e.profile)
		if v == "" {
			continue
		}
		list, _ := res[e.name].([]any)
		if n := len(list); n > 0 && typeOf(list[n-1]) == e.kind {
			if m, ok := list[n-1].(resource); ok {
				m[e.sub] = v
			}
			continue
		}
		one := resource{e.sub: v, "type": e.kind}
		if e.profile == "email" {
			one["primary"] = true
		}
		res[e.name] = append(list, one)
	}
	return res
}

// take lays a resource over a profile: what it does not have is taken away. Attributes
// that SCIM has no name for stay as they are.
func take(res resource, p *directory.Profile) error {
	for _, f := range userFields() {
		from, _ := res[f.urn].(resource)
		if f.urn == "" {
			from = res
		}
		v := from[f.name]
		if f.sub != "" {
			m, _ := v.(resource)
			v = m[f.sub]
		}
		assign(p, f.profile, v)
	}
	for _, e := range elements() {
		var v any
		if m := element(res, e.name, e.kind); m != nil {
			v = m[e.sub]
		}
		assign(p, e.profile, v)
	}
	if p.Email == "" {
		// A person who signs in with an address may have no other.
		if p.Email = p.Login; strings.Count(p.Login, "@") != 1 {
			return wrong(invalidValue, "emails must have an address when userName is none")
		}
	}
	return nil
}

// element returns the element of a list that stands for a type. Of the addresses for
// mail, the primary one is that at work, whatever its type, and another one that at home.
func element(res resource, name, kind string) resource {
	list, _ := res[name].([]any)
	if name != "emails" {
		for _, e := range list {
			if strings.EqualFold(typeOf(e), kind) || typeOf(e) == "" && kind == "work" {
				m, _ := e.(resource)
				return m
			}
		}
		return nil
	}
	first := -1
	for i, e := range list {
		m, _ := e.(resource)
		if m["primary"] == true {
			first = i
			break
		}
		if first < 0 && strings.EqualFold(typeOf(e), "work") {
			first = i
		}
	}
	if first < 0 && len(list) > 0 {
		first = 0
	}
	for i, e := range list {
		if (i == first) == (kind == "work") {
			m, _ := e.(resource)
			return m
		}
	}
	return nil
}

// assign gives a profile attribute a text, and takes it away for none.
func assign(p *directory.Profile, name string, v any) {
	text, _ := v.(string)
	switch name {
	case "login":
		p.Login = text
	case "email":
		p.Email = text
	case "firstName":
		p.FirstName = text
	case "lastName":
		p.LastName = text
	default:
		if text == "" {
			delete(p.Attributes, name)
			return
		}
		if p.Attributes == nil {
			p.Attributes = map[string]any{}
		}
		p.Attributes[name] = text
	}
}

// inSCIM says in a fault of the directory what the attributes are called here.
func inSCIM(err error) error {
	f := fault.Of(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	out := *f
	out.Fields = nil
	for _, field := range f.Fields {
		name := strings.TrimPrefix(field.Path, "profile.")
		for _, u := range userFields() {
			if u.profile == name {
				name = strings.TrimSuffix(u.name+"."+u.sub, ".")
				break
			}
		}
		for _, e := range elements() {
			if e.profile == name {
				name = e.name + "." + e.sub
				break
			}
		}
		out.Fields = append(out.Fields, fault.Field{Path: name, Message: field.Message})
	}
	return &out
}

// condition returns the condition of the directory that a comparison implies; it is not
// ok for one that no index answers.
func condition(f *filter) (c directory.Condition, ok bool) {
	text, isText := f.Value.(string)
	if !isText || f.Op != "eq" && f.Op != "sw" {
		return c, false
	}
	c = directory.Condition{Text: text, Prefix: f.Op == "sw"}
	t := userType()
	p, ok := t.locate(f.Path)
	switch {
	case !ok || p.attr == nil:
		return c, false
	case p.attr.name == "externalId":
		c.Attribute = "externalId"
		return c, !c.Prefix
	case p.attr.name == "emails" && f.Inner != nil && f.Sub == "value" && f.Inner.Op == "eq" && strings.EqualFold(f.Inner.Path, "type"):
		kind, _ := f.Inner.Value.(string)
		c.Attribute = map[string]string{"work": "email", "home": "secondEmail"}[strings.ToLower(kind)]
		return c, c.Attribute != ""
	case f.Inner != nil:
		return c, false
	}
	for _, u := range userFields() {
		if u.urn == p.urn && u.name == p.attr.name && (p.sub == nil && (u.sub == "" || u.sub == "value") || p.sub != nil && u.sub == p.sub.name) {
			c.Attribute = u.profile
			return c, true
		}
	}
	return c, false
}

// conditions returns what holds whenever the filter does.
func (f *filter) conditions() (out []directory.Condition) {
	switch {
	case f == nil:
	case f.Op == "and":
		for _, p := range f.Parts {
			out = append(out, (*filter)(p).conditions()...)
		}
	default:
		if c, ok := condition(f); ok {
			out = append(out, c)
		}
	}
	return out
}

package okta

import (
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// appAttribute is an attribute of the base schema of an OIDC app's users: the claims
// of OpenID Connect Core section 5.1.
type appBaseAttribute struct{ name, title, description, external string }

var appBaseSchema = [...]appBaseAttribute{
	{"userName", "Username", "", "preferred_username"},
	{"name", "Name", "End-User's full name in displayable form.", ""},
	{"nickname", "Nickname", "Casual name of the End-User (may or may not be the same as the given_name)", ""},
	{"given_name", "Given Name", "Given name or first name of the End-User.", ""},
	{"middle_name", "Middle Name", "Middle name of the End-User.", ""},
	{"family_name", "Family Name", "Surname or last name of the End-User.", ""},
	{"email", "Email", "End-User's preferred e-mail address.", ""},
	{"profile", "Profile URL", "URL of the End-User's profile page.", ""},
	{"picture", "Picture URL", "URL of the End-User's profile picture.", ""},
	{"website", "Website", "URL of the End-User's Web page or blog.", ""},
	{"gender", "Gender", "End-User's gender.", ""},
	{"birthdate", "Birthdate", "End-User's birthday, represented as an ISO 8601:2004 YYYY-MM-DD format.", ""},
	{"zoneinfo", "Time Zone", "String representing the End-User's time zone.", ""},
	{"locale", "Locale Name", "ISO3166\u20111 country code in uppercase, separated by a dash (e.g. 'en-US')", ""},
	{"phone_number", "Phone Number", "End-User's preferred telephone number in E.164 format.", ""},
	{"street_address", "Street Address", "Full street address component.", "address.street_address"},
	{"locality", "Locality", "City or locality component.", "address.locality"},
	{"region", "Region", "State, province, prefecture, or region component.", "address.region"},
	{"postal_code", "Postal Code", "Zip code or postal code component.", "address.postal_code"},
	{"country", "Country", "Country name component.", "address.country"},
	{"formatted", "Formatted", "Full mailing address, formatted for display.", "address.formatted"},
}

// appSchema shows the schema of an app's users.
func (a *api) appSchema(o ledger.Object[access.App], s ledger.Object[directory.Schema]) object {
	base, required := object{}, []string{}
	for _, x := range appBaseSchema {
		p := object{"title": x.title, "type": "string", "scope": "SELF"}
		changed, is := s.Value.Base[x.name]
		if is {
			p["title"] = orText(changed.Title, x.title)
		}
		if x.description != "" {
			p["description"] = x.description
		}
		if x.external != "" {
			p["externalName"] = x.external
		}
		if x.name == "userName" || is && changed.Required {
			p["required"] = true
			required = append(required, x.name)
		}
		base[x.name] = p
	}
	custom, customRequired := object{}, []string(nil)
	for name, x := range s.Value.Custom {
		p := attribute(x)
		if x.Type == "array" && x.Union != "" {
			p["union"] = x.Union
		}
		if x.Required {
			customRequired = append(customRequired, name)
		}
		addMaster(p, x.Master)
		custom[name] = p
	}
	out := schemaObject(custom, orEmpty(customRequired), base, required)
	out["id"] = a.URL + "/meta/schemas/apps/" + o.ID + "/default"
	sum := keys.Hash(o.ID)
	out["name"], out["title"] = appName+"_"+sum[:7], o.Value.Label+" User" // each app is one of its own kind
	out["created"], out["lastUpdated"] = stamp(o.Created), stamp(later(o.Updated, s.Updated))
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

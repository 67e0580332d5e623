package spec

import (
	"slices"
)

// ClaimNames says which claims of an issuer's tokens hold what, where a token of
// Okta would have others. Each is one name; empty is what the preset says, or the
// usual names.
type ClaimNames struct {
	Preset   string `json:"preset,omitempty"` // okta, entra, keycloak, auth0, cognito, google
	User     string `json:"user,omitempty"`
	Client   string `json:"client,omitempty"`
	Audience string `json:"audience,omitempty"`
	Scopes   string `json:"scopes,omitempty"`
	Groups   string `json:"groups,omitempty"`
	Roles    string `json:"roles,omitempty"`
}

// ClaimLists are the names of the claims that may hold something: of each the
// first one that is in the token counts, and nil means the usual names.
type ClaimLists struct{ User, Client, Audience, Scopes, Groups, Roles []string }

// presets are what known issuers call their claims, after their documentation.
// What is nil is as usual.
var presets = map[string]ClaimLists{
	"okta":     {User: []string{"uid"}, Client: []string{"cid"}, Scopes: []string{"scp"}, Groups: []string{"groups"}},
	"entra":    {User: []string{"oid"}, Client: []string{"azp", "appid"}, Scopes: []string{"scp"}, Groups: []string{"groups"}, Roles: []string{"roles"}},
	"keycloak": {User: []string{"sub"}, Client: []string{"azp"}, Scopes: []string{"scope"}, Groups: []string{"groups"}, Roles: []string{"realm_access.roles"}},
	// With role-based access control an API's permissions are in a claim of their own.
	"auth0": {User: []string{"sub"}, Client: []string{"azp"}, Scopes: []string{"permissions", "scope"}},
	// Access tokens name nobody in aud but the client in client_id.
	"cognito": {User: []string{"sub"}, Client: []string{"client_id"}, Audience: []string{"aud", "client_id"}, Scopes: []string{"scope"}, Groups: []string{"cognito:groups"}},
	"google":  {User: []string{"sub"}, Client: []string{"azp"}, Scopes: []string{"scope"}},
}

// Presets are the words for known issuers, sorted.
func Presets() []string { return sortedKeys(presets) }

// Lists returns the names with the preset's filled in.
func (c ClaimNames) Lists() ClaimLists {
	l := presets[c.Preset]
	for _, f := range []struct {
		own  string
		list *[]string
	}{{c.User, &l.User}, {c.Client, &l.Client}, {c.Audience, &l.Audience}, {c.Scopes, &l.Scopes}, {c.Groups, &l.Groups}, {c.Roles, &l.Roles}} {
		if f.own != "" {
			*f.list = []string{f.own}
		}
	}
	return l
}

func (c ClaimNames) check(f *findings, path string) {
	if c.Preset != "" && !slices.Contains(Presets(), c.Preset) {
		f.addf(path+".preset", "there is no preset of this name")
	}
	for _, one := range []struct{ field, name string }{
		{"user", c.User}, {"client", c.Client}, {"audience", c.Audience}, {"scopes", c.Scopes}, {"groups", c.Groups}, {"roles", c.Roles},
	} {
		if one.name == "" {
			continue
		}
		if err := CheckText(one.name, 256); err != nil {
			f.addf(path+"."+one.field, "the name of a claim %w", err)
		}
	}
}

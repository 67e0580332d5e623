package verify

import (
	"slices"
	"strings"
)

// ClaimNames says which claims of an issuer's tokens hold what, where they are
// not those that Okta, Entra, Keycloak and RFC 9068 use. The first of the names that
// is in the token counts; an empty list means the usual names. A name is that of a
// claim or, when the token has no such claim, a path into objects: "realm_access.roles".
type ClaimNames struct {
	User     []string // who the person is; nobody when the client acts for itself
	Client   []string
	Audience []string // Cognito's access tokens have none but client_id
	Scopes   []string // an array, or a text with spaces
	Groups   []string
	Roles    []string
}

// Equal reports whether both say the same.
func (n *ClaimNames) Equal(o *ClaimNames) bool {
	return slices.Equal(n.User, o.User) && slices.Equal(n.Client, o.Client) && slices.Equal(n.Audience, o.Audience) &&
		slices.Equal(n.Scopes, o.Scopes) && slices.Equal(n.Groups, o.Groups) && slices.Equal(n.Roles, o.Roles)
}

// or returns the names, or the usual ones when there are none.
func or(names []string, usual ...string) []string {
	if len(names) == 0 {
		return usual
	}
	return names
}

// value returns a claim by its name, or by a path.
func (c *claimReader) value(name string) (any, bool) {
	if v, has := c.m[name]; has {
		return v, true
	}
	m := c.m
	for {
		head, rest, nested := strings.Cut(name, ".")
		v, has := m[head]
		if !nested || !has {
			return v, has
		}
		inner, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		m, name = inner, rest
	}
}

// find returns the first of the claims that is there.
func (c *claimReader) find(names []string) (name string, v any, has bool) {
	for _, name := range names {
		if v, has := c.value(name); has {
			return name, v, true
		}
	}
	return "", nil, false
}

// list returns the first of the claims that is there, a text or an array of texts.
func (c *claimReader) list(names []string) []string {
	name, v, has := c.find(names)
	if !has {
		return nil
	}
	list, ok := stringList(v)
	if !ok {
		c.wrong(name)
	}
	return list
}

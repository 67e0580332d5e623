package access

import (
	"gatehouse/internal/fault"
)

// Consent says whether a person is asked before a scope is granted.
type Consent string

// Okta's consent modes. A scope that requires consent cannot be had with
// client credentials, where there is no person to ask; a flexible one can.
const (
	ConsentImplicit Consent = "IMPLICIT"
	ConsentRequired Consent = "REQUIRED"
	ConsentFlexible Consent = "FLEXIBLE"
)

// Who learns of a scope from the metadata of its server.
const (
	PublishAll  = "ALL_CLIENTS"
	PublishNone = "NO_CLIENTS"
)

// Scope is one thing that a token of a server can allow.
type Scope struct {
	Server          string  `json:"server"` // id of the authorization server
	Name            string  `json:"name"`
	DisplayName     string  `json:"displayName,omitempty"`
	Description     string  `json:"description,omitempty"`
	System          bool    `json:"system,omitempty"`  // made with the server; cannot be changed
	Default         bool    `json:"default,omitempty"` // granted when a request names no scope
	Consent         Consent `json:"consent"`
	MetadataPublish string  `json:"metadataPublish"`
	Optional        bool    `json:"optional,omitempty"` // a person may leave it out when consenting
}

// systemScopes are the scopes of OpenID Connect that every server has, in the
// order in which Okta lists them.
var systemScopes = [...]Scope{
	{Name: "openid", DisplayName: "openid", Description: "Signals that a request is an OpenID request."},
	{Name: "profile", DisplayName: "profile", Description: "The exact data varies based on what profile information you have provided, such as: name, time zone, picture, or birthday."},
	{Name: "email", DisplayName: "email", Description: "This allows the app to view your email address."},
	{Name: "address", DisplayName: "address", Description: "This allows the app to view your address, such as: street address, city, state, and zip code."},
	{Name: "phone", DisplayName: "phone", Description: "This allows the app to view your phone number."},
	{Name: "offline_access", DisplayName: "offline_access", Description: "This keeps you signed in to the app, even when you are not using it."},
	{Name: "device_sso", DisplayName: "device_sso", Description: "This allows the app to share a sign-in with other apps on this device."},
}

// SystemScopes returns the scopes that a new server starts with.
func SystemScopes(server string) []Scope {
	out := make([]Scope, len(systemScopes))
	for i, s := range systemScopes {
		s.Server, s.System = server, true
		out[i] = s.fill()
	}
	return out
}

// Personal reports whether the scope is about a person: those of OpenID Connect are,
// and have no meaning where an app acts for itself.
func (s *Scope) Personal() bool { return s.System && !ManagementScope(s.Name) }

func (s Scope) fill() Scope {
	if s.Consent == "" {
		s.Consent = ConsentImplicit
	}
	if s.MetadataPublish == "" {
		s.MetadataPublish = PublishNone
		if s.System {
			s.MetadataPublish = PublishAll
		}
	}
	return s
}

func checkScope(s Scope) error {
	var c checks
	c.that(s.Server != "", "server", "is empty")
	c.that(ValidScopeName(s.Name), "name", "must be 1 to 100 printable ASCII characters without spaces, quotes or backslashes (RFC 6749 section 3.3)")
	c.that(len(s.DisplayName) <= 255, "displayName", "is longer than 255 bytes")
	c.that(len(s.Description) <= 1024, "description", "is longer than 1024 bytes")
	c.oneOf("consent", string(s.Consent), string(ConsentImplicit), string(ConsentRequired), string(ConsentFlexible))
	c.oneOf("metadataPublish", s.MetadataPublish, PublishAll, PublishNone)
	return c.err("scope %s is not valid", quoted(s.Name))
}

// ValidScopeName reports whether the name is a scope-token of RFC 6749 section
// 3.3 and at most 100 bytes.
func ValidScopeName(name string) bool {
	if name == "" || len(name) > 100 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func errScopeName(name string) error {
	return fault.New(fault.Invalid, "%s is not a scope name: it must be 1 to 100 printable ASCII characters without spaces, quotes or backslashes", quoted(name))
}

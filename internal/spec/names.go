package spec

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// mostName is the longest name of an issuer, API, zone or policy.
const mostName = 63

// CheckName reports what is wrong with the name of an issuer, API, zone or
// policy: letters, digits, hyphens and underscores, beginning with a letter or a
// digit. Dots are left out because names are parts of dotted paths.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name must not be empty")
	case len(name) > mostName:
		return fmt.Errorf("a name has at most %d characters", mostName)
	case name[0] == '-' || name[0] == '_':
		return fmt.Errorf("a name begins with a letter or a digit")
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !alphanumeric(c) && c != '-' && c != '_' {
			return fmt.Errorf("a name is made of letters, digits, - and _ only")
		}
	}
	return nil
}

// reservedIssuers are words of "auth" that can name no issuer.
var reservedIssuers = []string{Public, AuthAPIKey, AuthSession, AuthMTLS}

// Words that "auth" knows besides issuer names.
const (
	Public      = "public"  // no token is asked for
	AuthAPIKey  = "api_key" // an API key will do
	AuthSession = "session" // a browser that has signed in will do
	AuthMTLS    = "mtls"    // a client certificate that the listener takes will do
)

// CheckScope reports what is wrong with a scope (RFC 6749 section 3.3).
func CheckScope(scope string) error {
	switch {
	case scope == "":
		return fmt.Errorf("a scope must not be empty")
	case len(scope) > 256:
		return fmt.Errorf("a scope has at most 256 characters")
	case scope == Public:
		return fmt.Errorf("public is not a scope: it stands alone and means that no token is asked for")
	}
	for i := 0; i < len(scope); i++ {
		if c := scope[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return fmt.Errorf("a scope is printable ASCII without spaces, quotes and backslashes")
		}
	}
	return nil
}

// CheckText reports what is wrong with a name of somebody else's, such as a group
// or an audience: 1 to most bytes of printable text.
func CheckText(s string, most int) error {
	switch {
	case s == "":
		return fmt.Errorf("must not be empty")
	case len(s) > most:
		return fmt.Errorf("has at most %d bytes", most)
	case !utf8.ValidString(s):
		return fmt.Errorf("must be valid UTF-8")
	case s != strings.TrimSpace(s):
		return fmt.Errorf("must not begin or end with a space")
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return fmt.Errorf("must not hold control characters")
		}
	}
	return nil
}

// CheckMethod reports what is wrong with a route's method: "*" for any, or an
// upper-case token. CONNECT and TRACE are never passed on.
func CheckMethod(m string) error {
	if m == "*" {
		return nil
	}
	if m == "CONNECT" || m == "TRACE" {
		return fmt.Errorf("%s is never passed on to an upstream", m)
	}
	if m == "" || len(m) > 32 {
		return fmt.Errorf("a method has 1 to 32 characters")
	}
	for i := 0; i < len(m); i++ {
		if c := m[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("a method is written in upper-case letters")
		}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

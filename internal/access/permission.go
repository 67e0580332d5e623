package access

import (
	"slices"
	"strings"
)

// Permissions are what somebody may do in the management API, by the names of
// Okta's permissions and of its okta.* scopes, which are one vocabulary here:
//
//	okta.users.read                  reads users
//	okta.users.lifecycle.unlock      does this one thing
//	okta.users.manage                does everything that begins with okta.users.
//	okta.manage                      does everything
//
// Nobody holds okta.manage but by the role SUPER_ADMIN: it is not a scope.
// https://developer.okta.com/docs/api/openapi/okta-management/guides/permissions/
type Permissions []string

// AllPermissions is what nobody may exceed.
const AllPermissions = "okta.manage"

// Allow reports whether the permission is among these.
func (p Permissions) Allow(name string) bool {
	for _, held := range p {
		if held == name {
			return true
		}
		if below, manages := strings.CutSuffix(held, "manage"); manages && strings.HasPrefix(name, below) {
			return true
		}
	}
	return false
}

// Cover reports whether who holds these may do everything that those allow: the
// condition for changing somebody who holds those, and for handing them out.
func (p Permissions) Cover(those Permissions) bool {
	return !slices.ContainsFunc(those, func(name string) bool { return !p.Allow(name) })
}

// And returns these and those, sorted.
func (p Permissions) And(those Permissions) Permissions {
	all := slices.Concat(p, those)
	slices.Sort(all)
	return slices.Compact(all)
}

// scopeAreas are the areas of the management API, and what scopes each has.
var scopeAreas = [...]struct {
	name   string
	scopes []string // sorted
}{
	{"apiTokens", []string{"manage", "read"}},
	{"appGrants", []string{"manage", "read"}},
	{"apps", []string{"manage", "read"}},
	{"authorizationServers", []string{"manage", "read"}},
	{"clients", []string{"manage", "read", "register"}}, // register: an initial access token (RFC 7591 section 3)
	{"factors", []string{"manage", "read"}},
	{"groups", []string{"manage", "read"}},
	{"idps", []string{"manage", "read"}},
	{"inlineHooks", []string{"manage", "read"}},
	{"logs", []string{"read"}},
	{"networkZones", []string{"manage", "read"}},
	{"orgs", []string{"read"}},
	{"policies", []string{"manage", "read"}},
	{"principalRateLimits", []string{"manage", "read"}},
	{"rateLimits", []string{"manage", "read"}},
	{"roles", []string{"manage", "read"}},
	{"schemas", []string{"manage", "read"}},
	{"sessions", []string{"manage", "read"}},
	{"trustedOrigins", []string{"manage", "read"}},
	{"universalLogout", []string{"manage"}},
	{"userTypes", []string{"manage", "read"}},
	{"users", []string{"manage", "read"}},
}

// NativeScope is the scope of the native management API, /gatehouse/v1: whoever has it
// acts there as the user whose token it is, who must be a super administrator.
const NativeScope = "gatehouse.manage"

// ManagementScopes returns the scopes of the management APIs that an app can be granted,
// sorted.
func ManagementScopes() []string {
	out := []string{NativeScope}
	for _, a := range scopeAreas {
		for _, what := range a.scopes {
			out = append(out, "okta."+a.name+"."+what)
		}
	}
	return out
}

// ManagementScope reports whether an app can be granted the scope.
func ManagementScope(name string) bool { return slices.Contains(ManagementScopes(), name) }

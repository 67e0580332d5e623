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

// scopeAreas are the areas of the management API that have scopes, and whether
// something can be changed there.
var scopeAreas = [...]struct {
	name    string
	changes bool
}{
	{"apiTokens", true},
	{"appGrants", true},
	{"apps", true},
	{"authorizationServers", true},
	{"clients", true},
	{"factors", true},
	{"groups", true},
	{"idps", true},
	{"inlineHooks", true},
	{"logs", false},
	{"networkZones", true},
	{"orgs", false},
	{"policies", true},
	{"principalRateLimits", true},
	{"rateLimits", true},
	{"roles", true},
	{"schemas", true},
	{"sessions", true},
	{"trustedOrigins", true},
	{"universalLogout", true},
	{"userTypes", true},
	{"users", true},
}

// NativeScope is the scope of the native management API, /gatehouse/v1: whoever has it
// acts there as the user whose token it is, who must be a super administrator.
const NativeScope = "gatehouse.manage"

// ManagementScopes returns the scopes of the management APIs that an app can be granted,
// sorted.
func ManagementScopes() []string {
	out := []string{NativeScope}
	for _, a := range scopeAreas {
		if a.changes {
			out = append(out, "okta."+a.name+".manage")
		}
		out = append(out, "okta."+a.name+".read")
		if a.name == "clients" {
			out = append(out, "okta.clients.register") // an initial access token (RFC 7591 section 3) has it
		}
	}
	return out
}

// ManagementScope reports whether an app can be granted the scope.
func ManagementScope(name string) bool { return slices.Contains(ManagementScopes(), name) }

package access

import (
	"context"
	"encoding/base32"
	"slices"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// AdminRole is a standard administrator role of Okta's.
type AdminRole struct {
	Type  string // Okta's name of it
	Label string // for people
	// Listed roles are told apart by their type alone, as those of Okta that can be
	// limited to some groups or apps are: an assignment has the id that Okta gives
	// it, which is the type in base 32.
	Listed bool
	// Permissions is what who has the role may do, and nothing else.
	Permissions Permissions
}

// SuperAdmin is the role that may do everything.
const SuperAdmin = "SUPER_ADMIN"

// adminRoles are the roles that can be assigned: least privilege, one line of
// permissions per area.
// https://help.okta.com/en-us/content/topics/security/administrators-admin-comparison.htm
var adminRoles = [...]AdminRole{
	{Type: SuperAdmin, Label: "Super Administrator", Permissions: Permissions{AllPermissions}},
	{Type: "ORG_ADMIN", Label: "Organizational Administrator", Permissions: Permissions{
		"okta.users.manage", "okta.factors.manage", "okta.sessions.manage", "okta.groups.manage",
		"okta.schemas.manage", "okta.userTypes.manage",
		"okta.networkZones.manage", "okta.trustedOrigins.manage", "okta.universalLogout.manage", "okta.policies.manage", "okta.inlineHooks.manage", "okta.rateLimits.manage",
		"okta.apps.read", "okta.appGrants.read", "okta.clients.read", "okta.authorizationServers.read",
		"okta.roles.read", "okta.apiTokens.read", "okta.principalRateLimits.read", "okta.logs.read", "okta.orgs.read",
	}},
	{Type: "APP_ADMIN", Label: "Application Administrator", Listed: true, Permissions: Permissions{
		"okta.apps.manage", "okta.clients.manage", "okta.appGrants.read", "okta.policies.read",
		"okta.users.read", "okta.groups.read", "okta.schemas.read", "okta.userTypes.read", "okta.logs.read", "okta.orgs.read",
	}},
	{Type: "USER_ADMIN", Label: "Group Administrator", Listed: true, Permissions: Permissions{
		"okta.users.manage", "okta.factors.manage", "okta.sessions.manage",
		"okta.groups.read", "okta.groups.members.manage", "okta.schemas.read", "okta.userTypes.read", "okta.logs.read", "okta.orgs.read",
	}},
	{Type: "HELP_DESK_ADMIN", Label: "Help Desk Administrator", Listed: true, Permissions: Permissions{
		"okta.users.read", "okta.users.credentials.manage", "okta.users.lifecycle.unlock", "okta.users.lifecycle.clearSessions",
		"okta.factors.manage", "okta.sessions.manage", "okta.groups.read", "okta.schemas.read", "okta.userTypes.read", "okta.orgs.read",
	}},
	{Type: "GROUP_MEMBERSHIP_ADMIN", Label: "Group Membership Administrator", Listed: true, Permissions: Permissions{
		"okta.users.read", "okta.groups.read", "okta.groups.members.manage", "okta.schemas.read", "okta.userTypes.read", "okta.orgs.read",
	}},
	{Type: "API_ACCESS_MANAGEMENT_ADMIN", Label: "API Access Management Administrator", Permissions: Permissions{
		"okta.authorizationServers.manage", "okta.apps.read", "okta.clients.read", "okta.policies.read",
		"okta.users.read", "okta.groups.read", "okta.schemas.read", "okta.userTypes.read", "okta.networkZones.read", "okta.logs.read", "okta.orgs.read",
	}},
	{Type: "READ_ONLY_ADMIN", Label: "Read-only Administrator", Permissions: Permissions{
		"okta.apiTokens.read", "okta.appGrants.read", "okta.apps.read", "okta.authorizationServers.read", "okta.clients.read", "okta.factors.read",
		"okta.groups.read", "okta.idps.read", "okta.inlineHooks.read", "okta.logs.read", "okta.networkZones.read", "okta.orgs.read", "okta.policies.read",
		"okta.principalRateLimits.read", "okta.rateLimits.read", "okta.roles.read", "okta.schemas.read", "okta.sessions.read",
		"okta.trustedOrigins.read", "okta.userTypes.read", "okta.users.read",
	}},
	{Type: "REPORT_ADMIN", Label: "Report Administrator", Permissions: Permissions{
		"okta.logs.read", "okta.users.read", "okta.groups.read", "okta.apps.read", "okta.schemas.read", "okta.userTypes.read", "okta.orgs.read",
	}},
}

// FindAdminRole returns a role by its type.
func FindAdminRole(roleType string) (AdminRole, bool) {
	for _, r := range adminRoles {
		if r.Type == roleType {
			return r, true
		}
	}
	return AdminRole{}, false
}

// Who can have a role.
const (
	AssigneeUser  = "user"
	AssigneeGroup = "group"
	AssigneeApp   = "app"
)

// RoleAssignment says that somebody has an administrator role.
type RoleAssignment struct {
	Assignee string `json:"assignee"` // AssigneeUser, AssigneeGroup or AssigneeApp
	ID       string `json:"assigneeId"`
	Type     string `json:"type"`
}

// RoleID returns what the API calls the assignment, whose own id is given.
func (a RoleAssignment) RoleID(id string) string {
	if r, ok := FindAdminRole(a.Type); ok && r.Listed {
		return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(a.Type))
	}
	return id
}

// RoleAssignments are unique by assignee and type and go with the assignee.
var RoleAssignments = ledger.NewKind(ledger.Spec[RoleAssignment]{
	Name: "role_assignment", IDPrefix: "ra1",
	Keys:  func(a RoleAssignment) []ledger.Key { return []ledger.Key{ledger.By("role", a.Assignee, a.ID, a.Type)} },
	Index: func(a RoleAssignment) []ledger.Key { return []ledger.Key{ledger.By("type", a.Type)} },
	Refs: func(a RoleAssignment) []ledger.Ref {
		return []ledger.Ref{{Field: "assigneeId", Kind: a.Assignee, ID: a.ID, OnDelete: ledger.Cascade}}
	},
	Check: func(a RoleAssignment) error {
		var c checks
		c.oneOf("assignee", a.Assignee, AssigneeUser, AssigneeGroup, AssigneeApp)
		c.that(a.ID != "", "assigneeId", "is empty")
		_, known := FindAdminRole(a.Type)
		c.that(known, "type", "is not a role that can be assigned: known are "+strings.Join(adminRoleTypes(), ", "))
		return c.err("the role assignment is not valid")
	},
})

func adminRoleTypes() []string {
	out := make([]string, len(adminRoles))
	for i, r := range adminRoles {
		out[i] = r.Type
	}
	return out
}

// ReasonAssigned is the reason of a fault about a role that somebody has already.
const ReasonAssigned = "role_assigned"

// The event types of roles, named as in Okta's System Log.
const (
	privilegeGranted = "user.account.privilege.grant"
	privilegeRevoked = "user.account.privilege.revoke"
)

// RolesOf returns the assignments of somebody, sorted by type.
func RolesOf(tx *ledger.Tx, assignee, id string) (out []ledger.Object[RoleAssignment], err error) {
	for o, err := range RoleAssignments.All(tx, ledger.Query{By: "role", Equal: []string{assignee, id}}) {
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// PermissionsOf returns what the roles of somebody allow, without those of groups.
func PermissionsOf(tx *ledger.Tx, assignee, id string) (p Permissions, err error) {
	all, err := RolesOf(tx, assignee, id)
	for _, o := range all {
		r, _ := FindAdminRole(o.Value.Type)
		p = p.And(r.Permissions)
	}
	return p, err
}

// GroupPermissions returns what the roles of the groups allow that in says
// somebody is in. Few groups have roles, so these are gone through.
func GroupPermissions(tx *ledger.Tx, in func(group string) (bool, error)) (p Permissions, err error) {
	for o, err := range RoleAssignments.All(tx, ledger.Query{By: "role", Equal: []string{AssigneeGroup}}) {
		if err != nil {
			return nil, err
		}
		member, err := in(o.Value.ID)
		if err != nil {
			return nil, err
		}
		if member {
			r, _ := FindAdminRole(o.Value.Type)
			p = p.And(r.Permissions)
		}
	}
	return p, nil
}

// ListRoles returns the assignments of somebody who exists.
func (s *Service) ListRoles(ctx context.Context, assignee, id string) (out []ledger.Object[RoleAssignment], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := tx.Get(assignee, id); err != nil {
			return err
		}
		out, err = RolesOf(tx, assignee, id)
		return err
	})
	return out, err
}

// RolePermissions returns what the roles of a group or an app allow.
func (s *Service) RolePermissions(ctx context.Context, assignee, id string) (p Permissions, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = PermissionsOf(tx, assignee, id)
		return err
	})
	return p, err
}

// FindRole returns an assignment of somebody by what the API calls it, or
// fault.NotFound.
func (s *Service) FindRole(ctx context.Context, assignee, id, role string) (o ledger.Object[RoleAssignment], err error) {
	all, err := s.ListRoles(ctx, assignee, id)
	if err != nil {
		return o, err
	}
	i := slices.IndexFunc(all, func(o ledger.Object[RoleAssignment]) bool { return o.Value.RoleID(o.ID) == role })
	if i < 0 {
		return o, fault.New(fault.NotFound, "the %s has no role %s", assignee, quoted(role))
	}
	return all[i], nil
}

// AssignRole gives a role to a user, a group or an app, unless also, which may be
// nil, refuses it in the same transaction. fault.Conflict with ReasonAssigned when
// they have it.
func (s *Service) AssignRole(ctx context.Context, actor ledger.Actor, a RoleAssignment, also func(*ledger.Tx) error) (o ledger.Object[RoleAssignment], err error) {
	defer fault.Wrap(&err, "assign role %q", a.Type)
	err = s.update(ctx, actor, "assign role "+a.Type, func(tx *ledger.Tx) error {
		if _, err := tx.Get(a.Assignee, a.ID); err != nil {
			return err
		}
		if also != nil {
			if err := also(tx); err != nil {
				return err
			}
		}
		o, err = RoleAssignments.Create(tx, a)
		if fault.Is(err, fault.Conflict) {
			return fault.New(fault.Conflict, "the role is assigned already").WithReason(ReasonAssigned)
		}
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, privilegeGranted, "Grant user privilege", audit.Entity{ID: a.ID, Type: a.Assignee, DisplayName: a.Type})
	return o, nil
}

// EnsureRole gives a role to somebody who may have it already.
func (s *Service) EnsureRole(ctx context.Context, actor ledger.Actor, a RoleAssignment) error {
	_, err := s.AssignRole(ctx, actor, a, nil)
	if f := fault.Of(err); f != nil && f.Reason == ReasonAssigned {
		return nil
	}
	return err
}

// UnassignRole takes a role from somebody. The last super administrator keeps
// theirs: nobody could give it back.
func (s *Service) UnassignRole(ctx context.Context, actor ledger.Actor, assignee, id, role string) (err error) {
	defer fault.Wrap(&err, "take role %q", role)
	o, err := s.FindRole(ctx, assignee, id, role)
	if err != nil {
		return err
	}
	err = s.update(ctx, actor, "take role "+o.Value.Type, func(tx *ledger.Tx) error {
		if o.Value.Type == SuperAdmin {
			p, err := RoleAssignments.List(tx, ledger.Query{By: "type", Equal: []string{SuperAdmin}, Limit: 2})
			if err != nil {
				return err
			}
			if len(p.Items) == 1 {
				return fault.New(fault.Denied, "this is the last super administrator: make another one first").WithReason(ReasonSystem)
			}
		}
		return RoleAssignments.Delete(tx, o.ID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, privilegeRevoked, "Revoke user privilege", audit.Entity{ID: id, Type: assignee, DisplayName: o.Value.Type})
	return nil
}

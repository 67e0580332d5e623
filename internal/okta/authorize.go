package okta

import (
	"context"
	"net/http"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/credential"
	"gatehouse/internal/fault"
)

// Caller is who calls, as an Authenticator found out.
type Caller struct {
	User  string // id of the user whose token it is; empty for an app, and for a token of the process itself
	App   string // client id of the app whose token it is
	Token string // id of the API token; empty for other tokens
	Name  string // for people
	// Permissions are those of the caller's roles.
	Permissions access.Permissions
	// Scopes are those of an OAuth access token, which narrow what the roles allow;
	// nil for an API token, which allows all of it.
	Scopes access.Permissions
	Share  int // of the limit of calls, in percent; 0: all of it
}

// may reports whether the caller has the permission.
func (c *Caller) may(permission string) bool {
	return c.Permissions.Allow(permission) && (c.Scopes == nil || c.Scopes.Allow(permission))
}

// Authenticator says whose token it is. It returns an Unauthenticated fault for a
// token that is unknown, expired or disabled, or may not be used from the address.
type Authenticator interface {
	AuthenticateSSWS(ctx context.Context, token string, from *http.Request) (Caller, error)
	// AuthenticateBearer takes an access token of the org server. One that is bound to its
	// sender comes with its proof, in the scheme DPoP if it is bound to a key.
	AuthenticateBearer(w http.ResponseWriter, r *http.Request, token string, dpop bool) (Caller, error)
}

// Rights says what users may do by their roles and those of their groups.
type Rights interface {
	UserPermissions(ctx context.Context, user string) (access.Permissions, error)
}

// authenticate finds out who calls, and counts the call.
func (a *api) authenticate(ctx context.Context, w http.ResponseWriter, c *call) error {
	var err error
	if c.presented, err = credential.Of(c.Header); err != nil {
		return err
	}
	token, byToken := c.presented.Token, c.presented.Scheme == credential.SSWS
	switch {
	case byToken:
		c.actor, err = a.Authenticator.AuthenticateSSWS(ctx, token, c.Request)
	case c.presented.Scheme == credential.Bearer && access.IsRegistrationToken(token):
		c.actor, err = a.registrant(ctx, c, token)
	default:
		c.actor, err = a.Authenticator.AuthenticateBearer(w, c.Request, token, c.presented.Scheme == credential.DPoP)
	}
	if err != nil {
		if !byToken && fault.Is(err, fault.Unauthenticated) {
			about := `authorization_uri="` + a.URL + `/oauth2/v1/authorize", realm="` + a.URL + `", scope="okta.*"`
			w.Header().Set("WWW-Authenticate", c.presented.Challenge(about, err))
		}
		return err
	}
	return a.countCall(w, c) //nolint:contextcheck // a call carries its context
}

// authorize refuses what the caller's roles, or the scopes of the token, do not
// allow, and what would change somebody who may do more.
func (a *api) authorize(w http.ResponseWriter, c *call, r *route) error {
	if r.needs != anyone && !c.actor.may(r.needs) {
		if c.presented.Scheme != credential.SSWS && !c.actor.Scopes.Allow(r.needs) {
			w.Header().Set("WWW-Authenticate", string(c.presented.Scheme)+` realm="`+a.URL+`", error="insufficient_scope", error_description="The access token provided does not contain the required scopes.", scope="`+scopeFor(r.needs)+`"`)
		}
		return errNotAllowed(r.needs)
	}
	if r.needs == registerClients {
		if err := a.registrations.count(w, c.actor); err != nil {
			return err
		}
	}
	if r.guard == nil {
		return nil
	}
	return r.guard(a, c)
}

// scopeFor returns the least scope that allows a permission.
func scopeFor(permission string) string {
	parts := strings.SplitN(permission, ".", 3)
	if access.ManagementScope(permission) || len(parts) < 3 {
		return permission
	}
	return parts[0] + "." + parts[1] + ".manage"
}

func errNotAllowed(permission string) error {
	return fault.New(fault.Denied, "the operation needs the permission %s", permission)
}

// covers refuses the call unless the caller may do everything that those
// permissions allow.
func (c *call) covers(those access.Permissions, err error) error {
	if err == nil && !c.actor.Permissions.Cover(those) {
		return fault.New(fault.Denied, "whoever is changed here has administrator roles that you do not have")
	}
	return err
}

// mayChangeUser guards a user: who can set a password is who they are.
func (a *api) mayChangeUser(c *call) error {
	name := c.arg("id")
	if name == "" {
		name = c.arg("userId")
	}
	u, err := a.findUser(c, name)
	if err != nil {
		return err
	}
	return c.covers(a.Rights.UserPermissions(c.Context(), u.ID))
}

// mayChangeGroup guards a group: who is in it has its roles.
func (a *api) mayChangeGroup(c *call) error { return a.mayFill(c, c.arg("groupId")) }

// mayFill guards the groups that somebody comes into.
func (a *api) mayFill(c *call, groups ...string) error {
	for _, g := range groups {
		if err := c.covers(a.Access.RolePermissions(c.Context(), access.AssigneeGroup, g)); err != nil {
			return err
		}
	}
	return nil
}

// mayChangeApp guards an app: who has its secret or a key of it is the app.
func (a *api) mayChangeApp(c *call) error {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return err
	}
	if err := c.covers(a.Access.RolePermissions(c.Context(), access.AssigneeApp, o.ID)); err != nil {
		return err
	}
	var granted access.Permissions
	for _, g := range o.Value.Grants {
		granted = append(granted, g.Scope)
	}
	return c.covers(granted, nil)
}

// mayChangeToken guards an API token: it acts as its user.
func (a *api) mayChangeToken(c *call) error {
	o, err := a.Access.APIToken(c.Context(), c.arg("apiTokenId"))
	if err != nil {
		return err
	}
	return c.covers(a.Rights.UserPermissions(c.Context(), o.Value.User))
}

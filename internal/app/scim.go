package app

import (
	"context"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/okta"
	"gatehouse/internal/scim"
	"gatehouse/internal/tenant"
)

// scimAPI makes the SCIM server over an open identity half.
func (a *App) scimAPI(id *identity) scim.Config {
	return scim.Config{
		URL: id.url, Tenant: tenant.Default, Authenticator: provisioners{a.tokens}, Rights: memberRights{id},
		People: id.people, Groups: id.people, Deactivate: a.settings.Identity.SCIMDelete == "deactivate", Logger: a.log, Now: time.Now,
	}
}

// provisioners says whose token it is. It implements scim.Authenticator.
type provisioners struct{ tokens *administrators }

// Authenticate implements scim.Authenticator. An access token has three parts, an API
// token has one.
func (p provisioners) Authenticate(ctx context.Context, token string, from *http.Request) (scim.Caller, error) {
	var c okta.Caller
	var err error
	if strings.Count(token, ".") == 2 {
		c, err = p.tokens.authenticateUnbound(ctx, token)
	} else {
		c, err = p.tokens.AuthenticateSSWS(ctx, token, from)
	}
	return scim.Caller{User: c.User, App: c.App, Name: c.Name, Permissions: c.Permissions, Scopes: c.Scopes}, err
}

// memberRights says what those may do who are provisioned. It implements scim.Rights.
type memberRights struct{ *identity }

// GroupPermissions implements scim.Rights.
func (m memberRights) GroupPermissions(ctx context.Context, group string) (access.Permissions, error) {
	return m.access.RolePermissions(ctx, access.AssigneeGroup, group)
}

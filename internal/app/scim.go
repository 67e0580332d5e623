package app

import (
	"context"
	"net/http"
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

// AuthenticateSSWS implements scim.Authenticator.
func (p provisioners) AuthenticateSSWS(ctx context.Context, token string, from *http.Request) (scim.Caller, error) {
	c, err := p.tokens.AuthenticateSSWS(ctx, token, from)
	return provisioner(&c), err
}

// AuthenticateBearer implements scim.Authenticator.
func (p provisioners) AuthenticateBearer(w http.ResponseWriter, r *http.Request, token string, dpop bool) (scim.Caller, error) {
	c, err := p.tokens.AuthenticateBearer(w, r, token, dpop)
	return provisioner(&c), err
}

func provisioner(c *okta.Caller) scim.Caller {
	return scim.Caller{User: c.User, App: c.App, Name: c.Name, Permissions: c.Permissions, Scopes: c.Scopes}
}

// memberRights says what those may do who are provisioned. It implements scim.Rights.
type memberRights struct{ *identity }

// GroupPermissions implements scim.Rights.
func (m memberRights) GroupPermissions(ctx context.Context, group string) (access.Permissions, error) {
	return m.access.RolePermissions(ctx, access.AssigneeGroup, group)
}

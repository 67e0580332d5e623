package app

import (
	"context"
	"net/http"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// administrators says whose API token it is. It implements admin.Authenticator.
type administrators struct {
	local    string // of this process, for commands on this machine (docs/adr/0004)
	setup    string // GATEHOUSE_SETUP_TOKEN; "" for none
	identity func() *identity
}

func newAdministrators(setup string, id func() *identity) *administrators {
	return &administrators{local: keys.Secret(256), setup: setup, identity: id}
}

// Authenticate implements admin.Authenticator.
func (a *administrators) Authenticate(ctx context.Context, token string, from *http.Request) (admin.Actor, error) {
	if actor, ok := a.process(token); ok {
		return actor, nil
	}
	id := a.identity()
	if id == nil {
		return admin.Actor{}, errStoreDown()
	}
	t, may, err := id.apiToken(ctx, token, from)
	if err != nil {
		return admin.Actor{}, err
	}
	if !may.Allow(access.AllPermissions) {
		return admin.Actor{}, fault.New(fault.Denied, "the API token's user is not a super administrator")
	}
	return admin.Actor{ID: t.Value.User, Name: t.Value.Name}, nil
}

// AuthenticateNative implements admin.Authenticator: an access token with the scope of the
// native API, of a super administrator.
func (a *administrators) AuthenticateNative(w http.ResponseWriter, r *http.Request, token string, dpop bool) (admin.Actor, error) {
	c, err := a.AuthenticateBearer(w, r, token, dpop)
	switch {
	case err != nil:
		return admin.Actor{}, err
	case c.User == "" || !slices.Contains(c.Scopes, access.NativeScope):
		return admin.Actor{}, fault.New(fault.Denied, "the access token has not the scope %s, or is nobody's", access.NativeScope)
	case !c.Permissions.Allow(access.AllPermissions):
		return admin.Actor{}, fault.New(fault.Denied, "the access token's user is not a super administrator")
	}
	return admin.Actor{ID: c.User, Name: c.Name}, nil
}

// apiToken returns the object of a token that is valid, comes from where it may be
// used, and whose user may still act, with what the user's roles allow, or an Unauthenticated fault that does not
// say what is wrong.
func (id *identity) apiToken(ctx context.Context, token string, from *http.Request) (t ledger.Object[access.APIToken], may access.Permissions, err error) {
	err = id.ledger.View(ctx, func(tx *ledger.Tx) error {
		if t, err = access.FindAPIToken(tx, token); err != nil {
			return err
		}
		user, err := directory.Users.Get(tx, t.Value.User)
		if err != nil {
			return err
		}
		from, err := t.Value.MayComeFrom(tx, addressOf(from))
		if err != nil {
			return err
		}
		if !from || !user.Value.MayAct() {
			return errAPIToken()
		}
		may, err = userPermissions(tx, user.ID)
		return err
	})
	if fault.Is(err, fault.NotFound) {
		err = errAPIToken()
	}
	if err == nil {
		err = id.tokenUse.use(ctx, t)
	}
	return t, may, err
}

// userPermissions returns what the roles of a user and of their groups allow.
func userPermissions(tx *ledger.Tx, user string) (access.Permissions, error) {
	own, err := access.PermissionsOf(tx, access.AssigneeUser, user)
	if err != nil {
		return nil, err
	}
	by, err := access.GroupPermissions(tx, func(group string) (bool, error) { return directory.IsMember(tx, group, user) })
	return own.And(by), err
}

// UserPermissions implements okta.Rights.
func (id *identity) UserPermissions(ctx context.Context, user string) (p access.Permissions, err error) {
	err = id.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = userPermissions(tx, user)
		return err
	})
	return p, err
}

// process returns the actor of a token that belongs to this process and to nobody.
func (a *administrators) process(token string) (admin.Actor, bool) {
	switch {
	case keys.Equal(token, a.local):
		return admin.Actor{ID: "local", Name: "local administrator"}, true
	case a.setup != "" && keys.Equal(token, a.setup):
		return admin.Actor{ID: "setup", Name: "setup token"}, true
	}
	return admin.Actor{}, false
}

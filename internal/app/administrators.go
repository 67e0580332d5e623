package app

import (
	"context"

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
func (a *administrators) Authenticate(ctx context.Context, token string) (admin.Actor, error) {
	if actor, ok := a.process(token); ok {
		return actor, nil
	}
	id := a.identity()
	if id == nil {
		return admin.Actor{}, errStoreDown()
	}
	t, err := id.apiToken(ctx, token)
	if err != nil {
		return admin.Actor{}, err
	}
	return admin.Actor{ID: t.Value.User, Name: t.Value.Name}, nil
}

// apiToken returns the object of a token that is valid and whose user may still
// act, or an Unauthenticated fault that does not say what is wrong.
func (id *identity) apiToken(ctx context.Context, token string) (t ledger.Object[access.APIToken], err error) {
	refused := fault.New(fault.Unauthenticated, "the API token is not valid")
	err = id.ledger.View(ctx, func(tx *ledger.Tx) error {
		if t, err = access.FindAPIToken(tx, token); err != nil {
			return err
		}
		user, err := directory.Users.Get(tx, t.Value.User)
		if err != nil {
			return err
		}
		if !user.Value.MayAct() {
			return refused
		}
		return nil
	})
	if fault.Is(err, fault.NotFound) {
		err = refused
	}
	return t, err
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

package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/keys"
	"gatehouse/internal/okta"
	"gatehouse/internal/tenant"
)

// oktaAPI makes the Okta-compatible management API over an open identity half.
func (a *App) oktaAPI(id *identity) okta.Config {
	return okta.Config{
		URL: id.url, Tenant: tenant.Default, Authenticator: a.tokens, Rights: id, TokenUse: id.tokenUse, Access: id.access, People: id.people,
		Keys: signingKeys{id}, Log: audit.NewLog(id.db), Logger: a.log, Now: time.Now,
	}
}

// AuthenticateSSWS implements okta.Authenticator.
func (a *administrators) AuthenticateSSWS(ctx context.Context, token string, from *http.Request) (okta.Caller, error) {
	if actor, ok := a.process(token); ok {
		return okta.Caller{Name: actor.Name, Permissions: access.Permissions{access.AllPermissions}}, nil
	}
	id := a.identity()
	if id == nil {
		return okta.Caller{}, errStoreDown()
	}
	t, may, err := id.apiToken(ctx, token, from)
	if err != nil {
		return okta.Caller{}, err
	}
	return okta.Caller{User: t.Value.User, Token: t.ID, Name: t.Value.Name, Permissions: may}, nil
}

// signingKeys shows the rings of the authorization servers. It implements
// okta.SigningKeys.
type signingKeys struct{ id *identity }

// SigningKeys implements okta.SigningKeys.
func (s signingKeys) SigningKeys(ctx context.Context, server *access.ServerView) ([]keys.KeyInfo, []byte, error) {
	ring, err := s.id.rings.Ring(ctx, tenant.Default, server)
	if err != nil {
		return nil, nil, err
	}
	signs := func(k keys.KeyInfo) bool { return k.State == keys.Active && string(k.Algorithm) == server.Algorithm }
	if !slices.ContainsFunc(ring.Keys(), signs) {
		// A new ring makes its first RSA key in the background: wait for it.
		if err := ring.Tend(ctx); err != nil {
			return nil, nil, err
		}
	}
	set, _ := ring.JWKS()
	return ring.Keys(), set, nil
}

package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/okta"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// oktaAPI makes the Okta-compatible management API over an open identity half.
func (a *App) oktaAPI(id *identity) okta.Config {
	return okta.Config{
		URL: id.url, Tenant: tenant.Default, Authenticator: a.tokens, Rights: id, TokenUse: id.tokenUse, Access: id.access, People: id.people, Sessions: browserSessions{id.sessions, id}, Links: id.pages, Guesses: id.pages,
		Keys: signingKeys{id}, Hooks: id.hooks, Grants: id.grants, Log: audit.NewLog(id.db), Events: id.events, Logger: a.log, Now: time.Now,
		Providers: id.federation,
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
	share, err := id.access.PrincipalPercent(tenant.With(ctx, tenant.Default), access.PrincipalToken, t.ID)
	return okta.Caller{User: t.Value.User, Token: t.ID, Name: t.Value.Name, Permissions: may, Share: share}, err
}

// AuthenticateBearer implements okta.Authenticator: every management API takes access
// tokens here.
func (a *administrators) AuthenticateBearer(w http.ResponseWriter, r *http.Request, token string, dpop bool) (okta.Caller, error) {
	id := a.identity()
	if id == nil {
		return okta.Caller{}, errStoreDown()
	}
	tok, err := id.orgToken(w, r, token, dpop)
	if err != nil {
		return okta.Caller{}, err
	}
	return id.bearer(r.Context(), tok)
}

// bearer is the caller with an access token of the org server. Its scopes count as long
// as the app is granted them; what the user, or the app that acts for itself, may do is
// up to their roles.
func (id *identity) bearer(ctx context.Context, tok *verify.Token) (okta.Caller, error) {
	view, err := id.views.Get(ctx, tenant.Default)
	if err != nil {
		return okta.Caller{}, err
	}
	app, ok := view.App(tok.ClientID)
	if !ok || app.Status != access.Active {
		return okta.Caller{}, errAccessToken()
	}
	c := okta.Caller{App: app.ID, User: tok.UserID, Name: app.Label, Scopes: access.Permissions{}}
	for _, s := range tok.Scopes {
		if app.Granted(s) {
			c.Scopes = append(c.Scopes, s)
		}
	}
	if c.Share, err = id.access.PrincipalPercent(tenant.With(ctx, tenant.Default), access.PrincipalClient, app.ID); err != nil {
		return okta.Caller{}, err
	}
	err = id.ledger.View(ctx, func(tx *ledger.Tx) error {
		if c.User == "" {
			c.Permissions, err = access.PermissionsOf(tx, access.AssigneeApp, app.Object)
			return err
		}
		user, err := directory.Users.Get(tx, c.User)
		if fault.Is(err, fault.NotFound) || err == nil && !user.Value.MayAct() {
			return errAccessToken()
		}
		if err != nil {
			return err
		}
		c.Permissions, err = userPermissions(tx, c.User)
		return err
	})
	return c, err
}

func errAccessToken() error {
	return fault.New(fault.Unauthenticated, "the access token is not valid here")
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

// browserSessions are people's browsers and what they granted. It implements
// okta.Sessions.
type browserSessions struct {
	*session.Service
	id *identity
}

// SignOutEverywhere implements okta.Sessions. The tokens that are about go first: they
// are what somebody else may have.
func (b browserSessions) SignOutEverywhere(ctx context.Context, actor ledger.Actor, user string) error {
	ctx = context.WithoutCancel(ctx)
	if err := b.id.revoker.builtin(ctx, cluster.User, user, "global token revocation", actor.Name, b.id.revoker.now()); err != nil {
		return err
	}
	if _, err := b.End(ctx, session.Selection{User: user}); err != nil {
		return err
	}
	if err := b.id.revokeGrants(ctx, user, ""); err != nil {
		return err
	}
	b.id.events.Record(audit.Event{
		Tenant: tenant.Default, Type: "user.authentication.universal_logout", Message: "Sign a user out of everything",
		Actor:   audit.Entity{ID: actor.ID, Type: actor.Type, DisplayName: actor.Name},
		Targets: []audit.Entity{{ID: user, Type: "User"}}, Outcome: audit.Outcome{Result: audit.Success},
	})
	return nil
}

// RevokeGrants implements okta.Sessions.
func (b browserSessions) RevokeGrants(ctx context.Context, user, client string) error {
	return b.id.revokeGrants(ctx, user, client)
}

package app

import (
	"context"
	"time"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// identityService shows and changes the built-in authorization servers. It
// implements admin.Identity.
type identityService struct{ id *identity }

// Servers implements admin.Identity.
func (s identityService) Servers(ctx context.Context) ([]client.Server, error) {
	view, err := s.id.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	var out []client.Server
	for _, server := range view.Servers() {
		out = append(out, s.describe(server))
	}
	return out, nil
}

func (s identityService) describe(v *access.ServerView) client.Server {
	return client.Server{
		ID: v.ID, Name: v.Name, Issuer: v.Issuer(s.id.url), Status: string(v.Status), Audiences: v.Audiences,
		Algorithm: v.Algorithm, TokenShape: string(v.Shape), AccessTokenMinutes: v.AccessTokenMinutes,
	}
}

// UpdateServer implements admin.Identity. Keys of an algorithm that is new to the
// server are made before this returns, so that its next token can be signed.
func (s identityService) UpdateServer(ctx context.Context, actor admin.Actor, server string, set client.Server) (client.Server, error) {
	if set.ID != "" || set.Name != "" || set.Issuer != "" || set.Status != "" {
		return client.Server{}, fault.New(fault.Invalid, "audiences, algorithm, token_shape and access_token_minutes can be changed here")
	}
	var change access.ServerSettings
	change.Audiences = set.Audiences
	if set.Algorithm != "" {
		change.Algorithm = &set.Algorithm
	}
	if set.TokenShape != "" {
		shape := access.TokenShape(set.TokenShape)
		change.Shape = &shape
	}
	if set.AccessTokenMinutes != 0 {
		change.AccessTokenMinutes = &set.AccessTokenMinutes
	}
	if err := s.id.access.UpdateServer(ctx, ledgerActor(actor), server, change); err != nil {
		return client.Server{}, err
	}
	v, err := s.id.access.Server(ctx, server)
	if err != nil {
		return client.Server{}, err
	}
	ring, err := s.id.rings.Ring(ctx, tenant.Default, v)
	if err != nil {
		return client.Server{}, err
	}
	return s.describe(v), ring.Tend(ctx)
}

// Keys implements admin.Identity.
func (s identityService) Keys(ctx context.Context) ([]client.Key, error) {
	view, err := s.id.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	var out []client.Key
	for _, server := range view.Servers() {
		list, err := s.keysOf(ctx, server)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

func (s identityService) keysOf(ctx context.Context, server *access.ServerView) ([]client.Key, error) {
	ring, err := s.id.rings.Ring(ctx, tenant.Default, server)
	if err != nil {
		return nil, err
	}
	var out []client.Key
	for _, k := range ring.Keys() {
		out = append(out, client.Key{
			Server: server.Name, ID: k.ID, Algorithm: string(k.Algorithm), State: string(k.State),
			Created: k.Created, Activates: k.Activates, Expires: k.Expires,
		})
	}
	return out, nil
}

// RotateKeys implements admin.Identity.
func (s identityService) RotateKeys(ctx context.Context, actor admin.Actor, server string) ([]client.Key, error) {
	if err := s.id.access.RotateKeys(ctx, ledgerActor(actor), server); err != nil {
		return nil, err
	}
	view, err := s.id.access.Server(ctx, server)
	if err != nil {
		return nil, err
	}
	return s.keysOf(ctx, view)
}

// Apps implements admin.Identity.
func (s identityService) Apps(ctx context.Context) ([]client.App, error) {
	var out []client.App
	after := ""
	for {
		page, err := s.id.access.ListApps(ctx, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			out = append(out, client.App{ID: o.ID, Label: o.Value.Label, Status: string(o.Value.Status), GrantTypes: o.Value.GrantTypes})
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// CreateApp implements admin.Identity.
func (s identityService) CreateApp(ctx context.Context, actor admin.Actor, app client.App) (client.App, error) {
	if app.ID != "" || app.Secret != "" || app.Status != "" {
		return client.App{}, fault.New(fault.Invalid, "id, status and client_secret are given by the server: send a label, and grant types if you want to")
	}
	made, err := s.id.access.CreateApp(ctx, ledgerActor(actor), access.NewApp{Label: app.Label, GrantTypes: app.GrantTypes})
	if err != nil {
		return client.App{}, err
	}
	return client.App{ID: made.ID, Label: made.App.Label, Status: string(made.App.Status), GrantTypes: made.App.GrantTypes, Secret: made.Secret}, nil
}

// tokenService mints tokens for trying things out. It implements admin.Tokens.
type tokenService struct {
	id   *identity
	demo string // the client that tokens are for when none is named
}

// Mint implements admin.Tokens.
func (s tokenService) Mint(ctx context.Context, actor admin.Actor, r client.TokenRequest) (client.Token, error) {
	if r.Server == "" {
		r.Server = access.DefaultServer
	}
	if r.ClientID == "" {
		r.ClientID = s.demo
	}
	if r.ClientID == "" {
		return client.Token{}, fault.New(fault.Invalid, "name the app that the token is for: \"gatehouse apps\" lists them, \"gatehouse apps create\" makes one")
	}
	target, err := s.id.target(ctx, r.Server)
	if err != nil {
		return client.Token{}, err
	}
	q := grant.IssueRequest{
		ClientID: r.ClientID, Scopes: r.Scopes, Login: r.User, Lifetime: time.Hour,
		By: audit.Entity{ID: actor.ID, Type: "User", DisplayName: actor.Name},
	}
	if r.MFA {
		if r.User == "" {
			return client.Token{}, fault.New(fault.Invalid, "an app signs in without a second factor: name the user that the token is for")
		}
		q.AuthTime, q.AMR = s.id.now(), secondFactor()
	}
	t, err := s.id.issuer.Issue(ctx, target, q)
	if err != nil {
		return client.Token{}, err
	}
	return client.Token{
		AccessToken: t.AccessToken, TokenType: "Bearer", Scope: joined(t.Scopes), ExpiresIn: int64(time.Until(t.Expires).Seconds()),
	}, nil
}

// dummyPassword makes passwords for people of the demo: nobody chose them.
func dummyPassword() string { return keys.Secret(128) }

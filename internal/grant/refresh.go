package grant

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// RefreshStore keeps refresh tokens.
type RefreshStore interface {
	// Refresh returns a generation of a refresh token and its grant, or fault.NotFound.
	Refresh(ctx context.Context, hash string) (issued.Refresh, issued.Grant, error)
	// RotateRefresh replaces a refresh token; false when somebody was first.
	RotateRefresh(ctx context.Context, old issued.Refresh, salt string, made issued.Made, now time.Time) (bool, error)
	// RenewRefresh stores that a refresh token was used and stays; false when its
	// grant has ended.
	RenewRefresh(ctx context.Context, r issued.Refresh, made issued.Made, now time.Time) (bool, error)
}

// refreshToken is RFC 6749 section 6.
type refreshToken struct{}

func (refreshToken) name() string { return access.GrantRefreshToken }

// prove finds the refresh token. One that was replaced is good for its leeway,
// and gives the same successor; after that it ends the grant: somebody else has it.
func (refreshToken) prove(e *Endpoint, x *exchange) error {
	x.presented = x.form.Get("refresh_token")
	if x.presented == "" {
		return Refuse("token_request_missing_refresh_token", nil)
	}
	r, g, err := e.cfg.Refresh.Refresh(tenant.With(x.ctx(), x.target.Tenant), keys.Hash(x.presented))
	switch {
	case fault.Is(err, fault.NotFound):
		return Refuse("invalid_refresh_token", nil)
	case err != nil:
		return err
	case g.Client != x.app.ID || g.Server != x.target.Server.ID || !g.Revoked.IsZero():
		return Refuse("invalid_refresh_token", nil)
	case !r.Replaced.IsZero() && !inLeeway(x.app, &r, e.cfg.Now()):
		return e.replayed(x, &g, "invalid_refresh_token")
	case r.Over(e.cfg.Now()):
		return Refuse("invalid_refresh_token", nil)
	}
	x.old, x.kept = &r, &g
	return x.bound()
}

// inLeeway reports whether a token that was replaced may be presented again: its
// successor may not have arrived.
func inLeeway(app *access.AppView, r *issued.Refresh, now time.Time) bool {
	leeway := time.Duration(app.OIDC.LeewaySeconds) * time.Second
	return r.Salt != "" && leeway > 0 && now.Before(r.Replaced.Add(leeway))
}

// rotates reports whether each use of a refresh token replaces it. Where an app
// does not say, it does for those that cannot authenticate (RFC 9700 section
// 2.2.2).
func rotates(app *access.AppView) bool {
	return app.OIDC.Rotation == access.RotateTokens || app.OIDC.Rotation == "" && app.Public()
}

// narrow takes the scopes of the grant, or those of them that the request names:
// never more (RFC 6749 section 6). The refresh token keeps them all.
func (refreshToken) narrow(x *exchange) error {
	names, err := splitScopes(x.form.Get("scope"))
	if err != nil {
		return err
	}
	if len(names) == 0 {
		x.scopes = x.kept.Scopes
		return nil
	}
	for _, n := range names {
		if !slices.Contains(x.kept.Scopes, n) {
			return Refuse("scope_not_granted", nil)
		}
	}
	x.scopes = names
	return nil
}

// persist replaces the refresh token or notes that it was used.
func (g refreshToken) persist(e *Endpoint, x *exchange) error {
	ctx, now := tenant.With(x.ctx(), x.target.Tenant), e.cfg.Now()
	if x.refresh("").Over(now) {
		return Refuse("invalid_refresh_token", nil) // the rule gives less than it did
	}
	if !x.old.Replaced.IsZero() {
		return g.again(ctx, e, x)
	}
	if !rotates(x.app) {
		x.refreshToken, x.made.Refresh, x.made.Kept = x.presented, x.refresh(x.old.Hash), true
		ok, err := e.cfg.Refresh.RenewRefresh(ctx, *x.old, x.made, now)
		return lostGrant(ok, err)
	}
	salt := keys.Secret(128)
	x.refreshToken = keys.Derive(x.presented, salt)
	x.made.Refresh = x.refresh(keys.Hash(x.refreshToken))
	ok, err := e.cfg.Refresh.RotateRefresh(ctx, *x.old, salt, x.made, now)
	if err != nil || ok {
		return err
	}
	// Another request with the same token was first, or the grant has ended.
	r, kept, err := e.cfg.Refresh.Refresh(ctx, x.old.Hash)
	switch {
	case err != nil:
		return err
	case !kept.Revoked.IsZero():
		return Refuse("invalid_refresh_token", nil)
	case !inLeeway(x.app, &r, now):
		return e.replayed(x, &kept, "invalid_refresh_token")
	}
	x.old, x.made.Refresh = &r, nil
	return g.again(ctx, e, x)
}

// again answers a token that was replaced within its leeway: with a fresh access
// token and the successor that is there. It can be computed by those who have the
// token and the salt, so it need not be stored.
func (refreshToken) again(ctx context.Context, e *Endpoint, x *exchange) error {
	x.refreshToken = keys.Derive(x.presented, x.old.Salt)
	ok, err := e.cfg.Refresh.RenewRefresh(ctx, *x.old, x.made, e.cfg.Now())
	return lostGrant(ok, err)
}

func lostGrant(ok bool, err error) error {
	if err == nil && !ok {
		return Refuse("invalid_refresh_token", nil)
	}
	return err
}

package authserver

import (
	"context"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/tenant"
)

// RefreshTokens finds refresh tokens.
type RefreshTokens interface {
	// Refresh returns a generation of a refresh token and its grant, or fault.NotFound.
	Refresh(ctx context.Context, hash string) (issued.Refresh, issued.Grant, error)
}

// refreshOf returns the refresh token that a text is, when it is one of the
// target's server and of this client: others learn nothing about it. Its grant is
// nil when it is none.
func (s *Server) refreshOf(ctx context.Context, t *grant.Target, token, client string) (issued.Refresh, *issued.Grant, error) {
	if len(token) != refreshTokenLength {
		return issued.Refresh{}, nil, nil
	}
	r, g, err := s.cfg.Refresh.Refresh(tenant.With(ctx, t.Tenant), keys.Hash(token))
	if fault.Is(err, fault.NotFound) || err == nil && (g.Client != client || g.Server != t.Server.ID) {
		return issued.Refresh{}, nil, nil
	}
	if err != nil {
		return issued.Refresh{}, nil, grant.Refuse("temporarily_unavailable", err)
	}
	return r, &g, nil
}

// refreshTokenLength is that of 256 bits in base64url. An access token is longer.
const refreshTokenLength = 43

// introspectRefresh answers about a refresh token that is the client's own: active
// while it can be used once more.
func (s *Server) introspectRefresh(w http.ResponseWriter, r *http.Request, t *grant.Target, token string, app *access.AppView) {
	ref, g, err := s.refreshOf(r.Context(), t, token, app.ID)
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	if g == nil || !ref.Usable(g, s.cfg.Now()) {
		s.answerIntrospection(w, r, t, app, []byte(inactive))
		return
	}
	s.answerIntrospection(w, r, t, app, grant.AppendRefreshIntrospection(nil, &ref, g))
}

// revokeRefresh ends the grant of a refresh token, whichever generation it is: with
// it its access tokens (RFC 7009 section 2.1).
func (s *Server) revokeRefresh(r *http.Request, t *grant.Target, g *issued.Grant, label string) error {
	ctx := tenant.With(r.Context(), t.Tenant)
	if _, err := s.cfg.Grants.Revoke(ctx, issued.Selection{Grant: g.ID}); err != nil {
		return grant.Refuse("temporarily_unavailable", err)
	}
	s.cfg.Audit.Record(audit.Event{
		Tenant: t.Tenant, Type: audit.TokenRevoked, Message: "OAuth2 token revocation request",
		Actor:   audit.Entity{ID: g.Client, Type: "PublicClientApp", DisplayName: label},
		Targets: []audit.Entity{{ID: g.ID, Type: "refresh_token"}},
		Client:  grant.RequestClient(r), Outcome: audit.Outcome{Result: audit.Success},
		Debug: map[string]string{"authorizationServer": t.Server.ID},
	})
	return nil
}

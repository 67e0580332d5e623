package authserver

import (
	"context"
	"net/http"

	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
	"gatehouse/verify"
)

// RevocationStore keeps revocations for good.
type RevocationStore interface {
	// AddRevocation stores a revocation durably. Adding one again is no error.
	AddRevocation(ctx context.Context, r cluster.Revocation) (seq int64, err error)
}

// revoke answers RFC 7009. A token that is not one, is over, or belongs to
// another client is answered like one that was revoked, and nothing happens: so
// nothing can be learned about it. When the answer to a client's own token is
// 200, it is stored as revoked and every live node refuses it.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	form, app, err := s.admit(w, r, t, "revoke") //nolint:contextcheck // a request carries its context
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	token := form.Get("token")
	if token == "" {
		grant.WriteError(w, r, s.cfg.Log, grant.Refuse("request_missing_token", nil))
		return
	}
	tok, err := s.genuine(r.Context(), t, token)
	switch {
	case err != nil:
	case tok == nil:
		var g *issued.Grant
		if _, g, err = s.refreshOf(r.Context(), t, token, app.ID); err == nil && g != nil {
			err = s.revokeRefresh(r, t, g, app.Label)
		}
	case tok.ClientID == app.ID && tok.ID != "":
		err = s.revokeToken(r, t, tok, app.Label)
	}
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	w.WriteHeader(http.StatusOK)
}

// revokeToken stores first and publishes second: a node that joins in between
// reads it from the store. Once begun it is not given up because the caller hangs up.
func (s *Server) revokeToken(r *http.Request, t *grant.Target, tok *verify.Token, label string) error {
	ctx := context.WithoutCancel(r.Context())
	rev := cluster.Revocation{
		Tenant: t.Tenant, Kind: cluster.TokenID, Issuer: tok.Issuer, Value: tok.ID,
		// Others forgive a clock that is slow: the mark outlives the token.
		Expires: tok.ExpiresAt().Add(2 * verify.DefaultLeeway),
	}
	if _, err := s.cfg.Revocations.AddRevocation(ctx, rev); err != nil {
		return grant.Refuse("temporarily_unavailable", err)
	}
	if err := s.cfg.Bus.PublishRevocation(ctx, rev); err != nil {
		return grant.Refuse("temporarily_unavailable", err)
	}
	s.cfg.Audit.Record(audit.Event{
		Tenant: t.Tenant, Type: audit.TokenRevoked, Message: "OAuth2 token revocation request",
		Actor:   audit.Entity{ID: tok.ClientID, Type: "PublicClientApp", DisplayName: label},
		Targets: []audit.Entity{{ID: tok.ID, Type: "access_token"}},
		Client:  grant.RequestClient(r), Outcome: audit.Outcome{Result: audit.Success},
		Debug: map[string]string{"authorizationServer": t.Server.ID},
	})
	return nil
}

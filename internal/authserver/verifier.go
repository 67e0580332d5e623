package authserver

import (
	"context"

	"gatehouse/internal/grant"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// genuine returns what a token of the target's server says; nil for what is none.
func (s *Server) genuine(ctx context.Context, t *grant.Target, token string) (*verify.Token, error) {
	return s.cfg.Inspector.Genuine(ctx, t, token)
}

// revoked reports whether a genuine token is revoked, by whatever of it.
func (s *Server) revoked(t tenant.ID, tok *verify.Token, raw string) bool {
	return s.cfg.Inspector.Revoked(t, tok, raw)
}

package authserver

import (
	"context"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/verify"
)

// OrgToken returns what an access token of the site's org server says: a token for
// the management API. It is fault.Unauthenticated for everything else: a token of
// another server, a token for somebody else, one that is revoked or expired, and
// one that is bound to its sender (RFC 9449, RFC 8705), whose proof is not asked for
// here. The fault does not say which.
func (s *Server) OrgToken(ctx context.Context, site Site, token string) (*verify.Token, error) {
	view, err := s.cfg.Views.Get(ctx, site.Tenant)
	if err != nil {
		return nil, err
	}
	refused := fault.New(fault.Unauthenticated, "the access token is not valid here")
	server, ok := view.Server(access.OrgServer)
	if !ok {
		return nil, refused
	}
	t := &grant.Target{Tenant: site.Tenant, URL: site.URL, View: view, Server: server}
	tok, err := s.genuine(ctx, t, token)
	switch {
	case err != nil:
		return nil, err
	case tok == nil || !slices.Contains(tok.Audience, server.Audience(site.URL)):
		return nil, refused
	case tok.KeyThumbprint != "" || tok.CertThumbprint != "":
		return nil, refused
	case !s.cfg.Revoked.Known():
		return nil, fault.New(fault.Unavailable, "what is revoked is not known yet")
	case s.revoked(site.Tenant, tok, token):
		return nil, refused
	}
	return tok, nil
}

package authserver

import (
	"context"
	"net/http"
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
	return s.orgToken(ctx, site, token, func(_ *grant.Target, tok *verify.Token) error {
		if tok.KeyThumbprint != "" || tok.CertThumbprint != "" {
			return errOrgToken()
		}
		return nil
	})
}

// ReasonProof is the reason of the fault about a token whose proof is wrong.
const ReasonProof = "invalid_dpop_proof"

// PresentedOrgToken is OrgToken for a request that presents the token in the scheme DPoP
// or Bearer: one that is bound to its sender is taken from that one. A proof that is
// wrong is fault.Unauthenticated with ReasonProof, and says why.
func (s *Server) PresentedOrgToken(w http.ResponseWriter, r *http.Request, site Site, token string, dpop bool) (*verify.Token, error) {
	return s.orgToken(r.Context(), site, token, func(t *grant.Target, tok *verify.Token) error {
		o := grant.Occasion{Address: site.URL + r.URL.EscapedPath(), Token: token}
		err := s.cfg.Tokens.Presents(w, r, t, o, tok, dpop)
		if err == nil {
			return nil
		}
		switch code, text := grant.ProtocolError(err); code {
		case ReasonProof:
			return fault.Because(err, fault.Unauthenticated, "%s", text).WithReason(ReasonProof)
		case "temporarily_unavailable", "server_error":
			return err
		}
		return errOrgToken()
	})
}

func errOrgToken() error {
	return fault.New(fault.Unauthenticated, "the access token is not valid here")
}

func (s *Server) orgToken(ctx context.Context, site Site, token string, presented func(*grant.Target, *verify.Token) error) (*verify.Token, error) {
	view, err := s.cfg.Views.Get(ctx, site.Tenant)
	if err != nil {
		return nil, err
	}
	server, ok := view.Server(access.OrgServer)
	if !ok {
		return nil, errOrgToken()
	}
	t := &grant.Target{Tenant: site.Tenant, URL: site.URL, View: view, Server: server}
	tok, err := s.genuine(ctx, t, token)
	switch {
	case err != nil:
		return nil, err
	case tok == nil || !slices.Contains(tok.Audience, server.Audience(site.URL)):
		return nil, errOrgToken()
	case !s.cfg.Revoked.Known():
		return nil, fault.New(fault.Unavailable, "what is revoked is not known yet")
	case s.revoked(site.Tenant, tok, token):
		return nil, errOrgToken()
	}
	return tok, presented(t, tok)
}

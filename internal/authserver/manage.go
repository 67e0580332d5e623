package authserver

import (
	"context"
	"net/http"
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/credential"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/verify"
)

// OrgToken returns what an access token of the site's org server says: a token for the
// management APIs. The request presents it in the scheme DPoP or Bearer; one that is bound
// to its sender (RFC 9449, RFC 8705) is taken from that one. It is fault.Unauthenticated for
// everything else: a token of another server, a token for somebody else, one that is revoked
// or expired. The fault does not say which, but of a proof that is wrong: that one has
// credential.ReasonProof, and says why.
func (s *Server) OrgToken(w http.ResponseWriter, r *http.Request, site Site, token string, dpop bool) (*verify.Token, error) {
	t, tok, err := s.orgToken(r.Context(), site, token)
	if err != nil {
		return nil, err
	}
	o := grant.Occasion{Address: site.URL + r.URL.EscapedPath(), Token: token}
	err = s.cfg.Tokens.Presents(w, r, t, o, tok, dpop)
	if err == nil {
		return tok, nil
	}
	switch code, text := grant.ProtocolError(err); code {
	case credential.ReasonProof:
		return nil, fault.Because(err, fault.Unauthenticated, "%s", text).WithReason(credential.ReasonProof)
	case "temporarily_unavailable", "server_error":
		return nil, err
	}
	return nil, errOrgToken()
}

func errOrgToken() error {
	return fault.New(fault.Unauthenticated, "the access token is not valid here")
}

// orgToken is OrgToken but for the binding.
func (s *Server) orgToken(ctx context.Context, site Site, token string) (*grant.Target, *verify.Token, error) {
	view, err := s.cfg.Views.Get(ctx, site.Tenant)
	if err != nil {
		return nil, nil, err
	}
	server, ok := view.Server(access.OrgServer)
	if !ok {
		return nil, nil, errOrgToken()
	}
	t := &grant.Target{Tenant: site.Tenant, URL: site.URL, View: view, Server: server}
	tok, err := s.genuine(ctx, t, token)
	switch {
	case err != nil:
		return nil, nil, err
	case tok == nil || !slices.Contains(tok.Audience, server.Audience(site.URL)):
		return nil, nil, errOrgToken()
	case !s.cfg.Revoked.Known():
		return nil, nil, fault.New(fault.Unavailable, "what is revoked is not known yet")
	case s.revoked(site.Tenant, tok, token):
		return nil, nil, errOrgToken()
	}
	return t, tok, nil
}

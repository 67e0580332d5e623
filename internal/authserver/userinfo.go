package authserver

import (
	"net/http"
	"strings"

	"gatehouse/internal/grant"
)

// userInfo answers OpenID Connect Core section 5.3, for GET and for POST. The token
// is in the Authorization header and nowhere else.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		// Nothing is wrong yet, so no error is named (RFC 6750 section 3).
		w.Header().Set("WWW-Authenticate", `Bearer, DPoP algs="`+strings.Join(assertionAlgorithms(), " ")+`"`)
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	dpop := strings.EqualFold(scheme, "DPoP")
	if len(lines) > 1 || !dpop && !strings.EqualFold(scheme, "Bearer") {
		s.cfg.Tokens.WriteTokenError(w, r, grant.Refuse("userinfo_token", nil))
		return
	}
	body, err := s.describe(w, r, t, token, dpop)
	if err != nil {
		s.cfg.Tokens.WriteTokenError(w, r, err)
		return
	}
	grant.WriteJSON(w, http.StatusOK, body)
}

// describe returns what userinfo answers for a token.
func (s *Server) describe(w http.ResponseWriter, r *http.Request, t *grant.Target, token string, dpop bool) ([]byte, error) {
	tok, err := s.genuine(r.Context(), t, token)
	if err != nil {
		return nil, err
	}
	if tok == nil {
		return nil, grant.Refuse("userinfo_token", nil)
	}
	if !s.cfg.Revoked.Known() {
		return nil, grant.Refuse("temporarily_unavailable", nil)
	}
	if s.revoked(t.Tenant, tok, token) {
		return nil, grant.Refuse("userinfo_token", nil)
	}
	if err := s.cfg.Tokens.Presents(w, r, t, grant.Occasion{Endpoint: "userinfo", Token: token}, tok, dpop); err != nil {
		return nil, err
	}
	return s.cfg.Tokens.UserInfo(r.Context(), t, tok)
}

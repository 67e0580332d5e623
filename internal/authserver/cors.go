package authserver

import (
	"net/http"
	"strings"

	"gatehouse/internal/tenant"
)

// crossOriginEndpoints are what pages of apps call: never with the browser's
// cookies. The authorization endpoint is not among them, it is navigated to.
var crossOriginEndpoints = []string{"/v1/token", "/v1/keys", "/v1/revoke", "/v1/userinfo", "/v1/introspect"}

// crossOrigin tells the browser of a page whether the page may read the answer: any
// page may read metadata and keys, pages of trusted origins the rest. It reports
// whether the request was a preflight, which it has answered then.
func (s *Server) crossOrigin(w http.ResponseWriter, r *http.Request, site Site) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || s.cfg.Origins == nil {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	open := strings.Contains(r.URL.Path, "/.well-known/") || strings.HasSuffix(r.URL.Path, "/v1/keys")
	if !open {
		named := false
		for _, e := range crossOriginEndpoints {
			named = named || strings.HasSuffix(r.URL.Path, e)
		}
		if !named {
			return false
		}
		trusted, err := s.cfg.Origins.AllowsOrigin(tenant.With(r.Context(), site.Tenant), origin)
		if err != nil || !trusted {
			return false
		}
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce")
	if r.Method != http.MethodOptions {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, DPoP, X-Okta-User-Agent-Extended")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

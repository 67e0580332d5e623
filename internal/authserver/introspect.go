package authserver

import (
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
)

// inactive is the answer for everything that is not a valid access token of this
// server: expired, revoked, forged, foreign, or no token at all look the same
// (RFC 7662 section 2.2).
const inactive = `{"active":false}`

// introspect answers RFC 7662 with Okta's fields. Every client that can keep a
// secret may ask about every access token of the server: that is what resource
// servers do. A public client may ask about its own tokens only.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	form, app, err := s.admit(w, r, t, "introspect") //nolint:contextcheck // a request carries its context
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
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	if tok == nil {
		s.introspectRefresh(w, r, t, token, app)
		return
	}
	if app.Public() && tok.ClientID != app.ID {
		s.answerIntrospection(w, r, t, app, []byte(inactive))
		return
	}
	if !s.cfg.Revoked.Known() {
		grant.WriteError(w, r, s.cfg.Log, grant.Refuse("temporarily_unavailable", nil))
		return
	}
	if s.revoked(t.Tenant, tok, token) {
		s.answerIntrospection(w, r, t, app, []byte(inactive))
		return
	}
	s.answerIntrospection(w, r, t, app, grant.AppendIntrospection(nil, tok))
}

// admit reads the form and authenticates the client of a request that is not for
// a token.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, t *grant.Target, endpoint string) (*grant.Form, *access.AppView, error) {
	form, err := grant.ReadForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	app, err := s.cfg.Clients.Authenticate(r, &form, t, endpoint)
	if err != nil {
		return nil, nil, err
	}
	return &form, app, nil
}

package authserver

import (
	"errors"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
	"gatehouse/internal/login"
)

// logout answers the end session endpoint (OpenID Connect RP-Initiated Logout 1.0).
// A person is led back only to an address that the app has registered for that,
// byte for byte; who the app is, its ID token or its client_id says.
func (s *Server) logout(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	q, err := s.readLogout(w, r, t)
	if err == nil {
		s.cfg.Login.SignOut(w, r, t, q)
		return
	}
	var ref *login.Refusal
	status := http.StatusBadRequest
	if !errors.As(err, &ref) {
		code, text := grant.ProtocolError(err)
		if code == "server_error" || code == "temporarily_unavailable" {
			status = http.StatusServiceUnavailable
			s.cfg.Log.Error("logout failed", "error", err)
		}
		ref = &login.Refusal{Code: code, Text: text}
	}
	s.cfg.Login.Stop(w, r, status, ref)
}

func (s *Server) readLogout(w http.ResponseWriter, r *http.Request, t *grant.Target) (q login.SignOut, err error) {
	var form grant.Form
	if r.Method == http.MethodPost {
		form, err = grant.ReadForm(w, r)
	} else {
		form, err = grant.ReadQuery(r.URL.RawQuery)
	}
	if err != nil {
		return q, err
	}
	client := form.Get("client_id")
	q.Locales = login.Locales(form.Get("ui_locales"))
	if token := form.Get("id_token_hint"); token != "" {
		hint, err := s.readHint(r.Context(), t, token)
		if err != nil {
			return q, err
		}
		if hint == nil || client != "" && client != hint.client {
			return q, refusal("invalid_request", "The 'id_token_hint' parameter is not an ID token of this authorization server for the client.")
		}
		client, q.User, q.Session = hint.client, hint.subject, hint.session
	}
	to := form.Get("post_logout_redirect_uri")
	if to == "" {
		return q, nil
	}
	app, ok := t.View.App(client)
	if !ok || app.Status != access.Active || !app.ReturnsTo(to) {
		return q, refusal("invalid_request", "The 'post_logout_redirect_uri' parameter must be a Sign-out redirect URI in the client app settings.")
	}
	q.Return, q.State = to, form.Get("state")
	return q, nil
}

package login

import (
	"encoding/json"
	"net/http"
	"time"

	"gatehouse/internal/directory"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
)

// SessionPaths are the addresses at which a page of an app asks about the browser's
// own session, as Okta's browser library does.
func SessionPaths() []string {
	return []string{"/api/v1/sessions/me", "/api/v1/sessions/me/lifecycle/refresh"}
}

// sessionDocument is a session in Okta's shape.
type sessionDocument struct {
	ID       string     `json:"id"`
	Login    string     `json:"login"`
	User     string     `json:"userId"`
	Created  time.Time  `json:"createdAt"`
	Expires  time.Time  `json:"expiresAt"`
	Status   string     `json:"status"`
	Password *time.Time `json:"lastPasswordVerification"`
	Factor   *time.Time `json:"lastFactorVerification"`
	AMR      []string   `json:"amr"`
	Provider struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"idp"`
	MFAActive bool `json:"mfaActive"`
}

func documentOf(s *session.Session, u *ledger.Object[directory.User]) sessionDocument {
	d := sessionDocument{
		ID: s.ID, Login: u.Value.Profile.Login, User: u.ID, Created: s.Created.Truncate(time.Second), Expires: s.End().Truncate(time.Second), Status: "ACTIVE", AMR: s.AMR,
		MFAActive: !s.FactorAt.IsZero(),
	}
	d.Provider.ID, d.Provider.Type = "OKTA", "OKTA"
	for _, at := range []struct {
		time time.Time
		to   **time.Time
	}{{s.PasswordAt, &d.Password}, {s.FactorAt, &d.Factor}} {
		if when := at.time.Truncate(time.Second); !at.time.IsZero() {
			*at.to = &when
		}
	}
	return d
}

// ServeSession answers about the browser's own session: 404 when there is none.
// Pages of trusted origins alone may ask with the browser's cookie.
func (s *Server) ServeSession(w http.ResponseWriter, r *http.Request) {
	site, ok := s.cfg.Site(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	r = r.WithContext(tenant.With(r.Context(), site.Tenant))
	allowed, err := s.allowOrigin(w, r, site.URL)
	refresh := r.URL.Path == SessionPaths()[1]
	switch {
	case err != nil:
		sessionError(w, http.StatusServiceUnavailable, "E0000009", "Internal Server Error")
	case !allowed:
		sessionError(w, http.StatusForbidden, "E0000006", "You do not have permission to perform the requested action")
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet && !refresh, r.Method == http.MethodPost && refresh, r.Method == http.MethodDelete && !refresh:
		s.serveOwnSession(w, r)
	default:
		sessionError(w, http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method")
	}
}

// allowOrigin reports whether a page of the request's origin may ask, and tells
// its browser so.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request, own string) (bool, error) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Cache-Control", "no-store")
	origin := r.Header.Get("Origin")
	if origin == "" || origin == own {
		return r.Header.Get("Sec-Fetch-Site") != "cross-site" || r.Method == http.MethodGet, nil
	}
	trusted, err := s.cfg.Origins.AllowsOrigin(r.Context(), origin)
	if trusted {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
		h.Set("Access-Control-Allow-Headers", "Accept, Content-Type, X-Okta-User-Agent-Extended")
		h.Set("Access-Control-Max-Age", "600")
	}
	return trusted, err
}

func (s *Server) serveOwnSession(w http.ResponseWriter, r *http.Request) {
	sess, user, err := s.current(r)
	demands := false
	if err == nil && sess != nil {
		var rule *ruling
		if rule, err = s.ruling(r, user.ID, signals{session: sess}); err == nil && !rule.Allowed() {
			sess = nil
		} else if err == nil {
			demands, err = s.ruleDemands(r, rule, sess, user)
		}
	}
	if err == nil && sess != nil {
		switch r.Method {
		case http.MethodPost:
			*sess, err = s.cfg.Sessions.Refresh(r.Context(), sess.ID)
		case http.MethodDelete:
			if _, err = s.cfg.Sessions.End(r.Context(), session.Selection{ID: sess.ID}); err == nil {
				s.cfg.Kit.DropCookie(w, sessionCookie)
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
	}
	switch {
	case err != nil:
		s.cfg.Log.Error("session request failed", "error", err)
		sessionError(w, http.StatusServiceUnavailable, "E0000009", "Internal Server Error")
	case sess == nil:
		sessionError(w, http.StatusNotFound, "E0000007", "Not found: Resource not found: me (Session)")
	default:
		d := documentOf(sess, user)
		if demands {
			d.Status = "MFA_REQUIRED"
		}
		writeSessionJSON(w, http.StatusOK, d)
	}
}

func sessionError(w http.ResponseWriter, status int, code, summary string) {
	writeSessionJSON(w, status, map[string]any{
		"errorCode": code, "errorSummary": summary, "errorLink": code, "errorId": keys.ID("oae"), "errorCauses": []string{},
	})
}

func writeSessionJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller has gone, there is nobody to tell
}

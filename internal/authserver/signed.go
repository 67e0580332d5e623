package authserver

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
)

// signedAnswer is the type of an introspection answer that is a JWT (RFC 9701
// section 5), also of the JWT itself.
const signedAnswer = "token-introspection+jwt"

// answerIntrospection gives the answer as the client wants to have it: as JSON, or
// signed for this very client (RFC 9701), so that it can be shown to others. A signed
// answer says no more and no less.
func (s *Server) answerIntrospection(w http.ResponseWriter, r *http.Request, t *grant.Target, app *access.AppView, answer []byte) {
	w.Header().Add("Vary", "Accept")
	if !wantsSigned(r.Header.Values("Accept")) {
		grant.WriteJSON(w, http.StatusOK, answer)
		return
	}
	claims, err := json.Marshal(struct {
		Issuer   string          `json:"iss"`
		Audience string          `json:"aud"`
		IssuedAt int64           `json:"iat"`
		Answer   json.RawMessage `json:"token_introspection"`
	}{t.Issuer(), app.ID, s.cfg.Now().Unix(), answer})
	var jwt string
	if err == nil {
		jwt, err = s.cfg.Rings.Sign(r.Context(), t.Tenant, t.Server, claims, signedAnswer)
	}
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/"+signedAnswer)
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(jwt)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(jwt)) // when the caller has gone, there is nobody to tell
}

// wantsSigned reports whether a signed answer is named among the types that are
// accepted, and JSON is not preferred to it (RFC 9110 section 12.5.1). What cannot be
// read names nothing.
func wantsSigned(accept []string) bool {
	signed, plain := 0.0, 0.0
	for _, part := range strings.Split(strings.Join(accept, ","), ",") {
		name, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		q := 1.0
		if text, has := params["q"]; has {
			if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
				continue
			}
		}
		switch name {
		case "application/" + signedAnswer:
			signed = max(signed, q)
		case "application/json":
			plain = max(plain, q)
		}
	}
	return signed > 0 && signed >= plain
}

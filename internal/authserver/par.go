package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/login"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// requestURI is how the name of a pushed request begins (RFC 9126 section 2.2).
const requestURI = "urn:ietf:params:oauth:request_uri:"

// pushedTime is how long a pushed request waits: a redirect needs no longer.
const pushedTime = 90 * time.Second

// push answers a pushed authorization request (RFC 9126): the client proves who it
// is, and the request is checked, before a browser sees anything of it. The answer
// is 201, as the RFC has it.
func (s *Server) push(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	form, app, err := s.admit(w, r, t, "par") //nolint:contextcheck // a request carries its context
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	p := form.Map()
	for _, secret := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		delete(p, secret)
	}
	if p["client_id"] == "" {
		p["client_id"] = app.ID
	}
	jkt, use, err := s.checkPush(w, r, t, app, p)
	if err != nil {
		s.writeRefusal(w, r, err)
		return
	}
	data, err := json.Marshal(pushedRequest{Parameters: p, JKT: jkt})
	name := ""
	if err == nil {
		err = s.cfg.Waiting.Admit(tenant.With(r.Context(), t.Tenant), pusher(r, app))
	}
	if err == nil {
		err = use(r.Context())
	}
	if err == nil {
		name, err = s.cfg.Waiting.Add(tenant.With(r.Context(), t.Tenant), session.PurposePushed, waiter(t, app), data, pushedTime)
	}
	var crowd *session.TooMany
	if errors.As(err, &crowd) {
		s.crowded(w, crowd)
		return
	}
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	body, err := json.Marshal(map[string]any{"request_uri": requestURI + name, "expires_in": int(pushedTime / time.Second)})
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	grant.WriteJSON(w, http.StatusCreated, body)
}

// pushedRequest is a pushed request while it waits.
type pushedRequest struct {
	Parameters map[string]string `json:"parameters"`
	JKT        string            `json:"jkt,omitempty"` // thumbprint of the key that the client has proved to have
}

// checkPush checks a request before it waits, and returns the key that its code is to be
// bound to: that of a DPoP proof with the pushed request says the same as the parameter
// dpop_jkt (RFC 9449 section 10.1). Use uses the proof up.
func (s *Server) checkPush(w http.ResponseWriter, r *http.Request, t *grant.Target, app *access.AppView, p map[string]string) (jkt string, use func(context.Context) error, err error) {
	if p["request_uri"] != "" {
		return "", nil, refusal("invalid_request", "The 'request_uri' parameter cannot be pushed.")
	}
	if jkt, use, err = s.cfg.Tokens.Proven(w, r, t, app, "par"); err != nil {
		return "", nil, err
	}
	q, _, err := s.checkAuthorization(r.Context(), t, app, p)
	if err != nil {
		return "", nil, err
	}
	return jkt, use, sameKey(&q, jkt)
}

// sameKey binds a request to the key that was proved with it, if there was one.
func sameKey(q *login.Request, jkt string) error {
	if jkt == "" {
		return nil
	}
	if q.JKT != "" && q.JKT != jkt {
		return grant.Refuse("dpop_code_key", nil)
	}
	q.JKT = jkt
	return nil
}

// pusher says who pushes a request: an app that cannot authenticate is anybody.
func pusher(r *http.Request, app *access.AppView) session.From {
	if !app.Public() {
		return session.From{Client: app.ID}
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return session.From{}
	}
	return session.From{Network: a.Addr().Unmap()}
}

// crowded answers that no more requests can wait (RFC 9126 section 2.3).
func (s *Server) crowded(w http.ResponseWriter, crowd *session.TooMany) {
	status, text := http.StatusTooManyRequests, "Too many requests have come from here. Try again later."
	if crowd.All {
		status, text = http.StatusServiceUnavailable, "Too many requests are waiting. Try again later."
	}
	w.Header().Set("Retry-After", strconv.FormatInt(max(ratelimit.Seconds(crowd.After), 1), 10))
	grant.WriteJSON(w, status, []byte(`{"error":"temporarily_unavailable","error_description":"`+text+`"}`))
}

// waiter names the client and the server that a pushed request is for.
func waiter(t *grant.Target, app *access.AppView) string {
	return keys.Hash(t.Server.ID + "\x00" + app.ID)
}

// writeRefusal answers a client directly with what a browser would be led back with.
func (s *Server) writeRefusal(w http.ResponseWriter, r *http.Request, err error) {
	var ref *login.Refusal
	if !errors.As(err, &ref) {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	body, err := json.Marshal(map[string]string{"error": ref.Code, "error_description": ref.Text})
	if err != nil {
		grant.WriteError(w, r, s.cfg.Log, err)
		return
	}
	grant.WriteJSON(w, http.StatusBadRequest, body)
}

// pushed takes the request that a request_uri stands for, once and for the client
// and server that pushed it. Whatever else the browser's address says is not read.
func (s *Server) pushed(ctx context.Context, t *grant.Target, app *access.AppView, p map[string]string) (out pushedRequest, err error) {
	name, ok := strings.CutPrefix(p["request_uri"], requestURI)
	if !ok {
		return out, refusal("request_uri_not_supported", "The 'request_uri' parameter must come from the pushed authorization request endpoint.")
	}
	over := refusal("invalid_request", "The 'request_uri' parameter is not valid, was used, or has expired.")
	ctx = tenant.With(ctx, t.Tenant)
	found, err := s.cfg.Waiting.Find(ctx, session.PurposePushed, name)
	if fault.Is(err, fault.NotFound) || err == nil && !keys.Equal(found.Browser, waiter(t, app)) {
		return out, over
	}
	if err != nil {
		return out, err
	}
	first, err := s.cfg.Waiting.Take(ctx, &found)
	if err != nil {
		return out, err
	}
	if !first {
		return out, over
	}
	return out, json.Unmarshal(found.Data, &out)
}

// requestObject returns the parameters of a signed request (RFC 9101): they alone
// count. The key is one of the app's own; what the header says only selects it.
func (s *Server) requestObject(ctx context.Context, t *grant.Target, app *access.AppView, p map[string]string) (map[string]string, error) {
	bad := func(why string) error {
		return refusal("invalid_request_object", "The 'request' parameter is not valid: "+why+".")
	}
	jws, err := verify.Parse([]byte(p["request"]), maxRequestObject)
	if err != nil {
		return nil, bad("it is not a signed JWT")
	}
	source := app.PublicKeys()
	if source == nil {
		return nil, bad("the client has no registered keys")
	}
	key, err := source.Key(ctx, jws.KeyID, jws.Algorithm)
	if err != nil || !jws.Verify(key) {
		return nil, bad("the signature is not by a key of the client")
	}
	if typ := strings.ToLower(strings.TrimPrefix(strings.ToLower(jws.Type), "application/")); typ != "" && typ != "jwt" && typ != "oauth-authz-req+jwt" {
		return nil, bad("it is another kind of token")
	}
	claims, err := grant.ReadObject(jws.Payload)
	if err != nil {
		return nil, bad("its claims cannot be read")
	}
	held := t.Server.Holds(app)
	if held && !slices.Contains(access.FAPI2Algorithms(), string(jws.Algorithm)) {
		return nil, bad("FAPI 2.0 has no algorithms but PS256, ES256 and EdDSA")
	}
	if why := s.checkRequestObject(claims, t, app); why != "" {
		return nil, bad(why)
	}
	if why := checkMessageSigning(claims, s.cfg.Now()); held && why != "" {
		return nil, bad(why)
	}
	out := map[string]string{}
	for name, raw := range claims {
		var list []string
		if text, ok := textOf(raw); ok {
			out[name] = text
		} else if name == "authorization_details" {
			out[name] = string(raw)
		} else if name == "resource" && json.Unmarshal(raw, &list) == nil {
			out[name] = grant.JoinValues(list)
		}
	}
	if out["request"] != "" || out["request_uri"] != "" || out["client_id"] != app.ID {
		return nil, bad("it must name the client, and no other request")
	}
	return out, nil
}

// checkMessageSigning returns what FAPI 2.0 Message Signing (section 5.3.1) finds wrong
// with a request object whose claims are good in themselves: it is not older than an
// hour, and ends within an hour of its nbf.
func checkMessageSigning(claims map[string]json.RawMessage, now time.Time) string {
	var exp, nbf float64
	if json.Unmarshal(claims["nbf"], &nbf) != nil || json.Unmarshal(claims["exp"], &exp) != nil {
		return "it has no nbf"
	}
	if from := time.Unix(int64(nbf), 0); now.Sub(from) > maxRequestObjectLife || time.Unix(int64(exp), 0).Sub(from) > maxRequestObjectLife {
		return "it lasts for more than an hour"
	}
	return ""
}

// Bounds of a request object.
const (
	maxRequestObject     = 32 << 10
	maxRequestObjectLife = time.Hour
	requestObjectLeeway  = 30 * time.Second
)

// checkRequestObject returns what is wrong with the claims that protect a request
// object from being used elsewhere or later.
func (s *Server) checkRequestObject(claims map[string]json.RawMessage, t *grant.Target, app *access.AppView) string {
	var iss, sub string
	var exp, nbf, iat float64
	var aud []string
	if raw := claims["aud"]; json.Unmarshal(raw, &aud) != nil {
		aud = make([]string, 1)
		if json.Unmarshal(raw, &aud[0]) != nil {
			return "it has no audience"
		}
	}
	if json.Unmarshal(claims["iss"], &iss) != nil || iss != app.ID {
		return "its issuer is not the client"
	}
	// Whoever sees it in a browser could authenticate as the client with it (section 10.8).
	if json.Unmarshal(claims["sub"], &sub) == nil && sub == app.ID {
		return "its subject is the client, as that of a client assertion"
	}
	if len(aud) != 1 || aud[0] != t.Issuer() {
		return "its audience is not this authorization server"
	}
	if json.Unmarshal(claims["exp"], &exp) != nil {
		return "it has no expiry"
	}
	if raw, ok := claims["nbf"]; ok && json.Unmarshal(raw, &nbf) != nil {
		return "its nbf is not a time"
	}
	if raw, ok := claims["iat"]; ok && json.Unmarshal(raw, &iat) != nil {
		return "its iat is not a time"
	}
	now := s.cfg.Now()
	until, from := time.Unix(int64(exp), 0), time.Unix(int64(max(nbf, iat)), 0)
	if now.After(until.Add(requestObjectLeeway)) || until.After(now.Add(maxRequestObjectLife+requestObjectLeeway)) || from.After(now.Add(requestObjectLeeway)) {
		return "it is not valid at this time"
	}
	return ""
}

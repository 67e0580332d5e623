package authserver

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
	"gatehouse/internal/login"
)

// Interaction carries a request for authorization to its end, with the person.
type Interaction interface {
	// Begin answers a request that is right in itself.
	Begin(w http.ResponseWriter, r *http.Request, t *grant.Target, app *access.AppView, q login.Request)
	// Fail answers the app whose address is known to be its own.
	Fail(w http.ResponseWriter, r *http.Request, t *grant.Target, q login.Request, err error)
	// SignOut ends the browser's session.
	SignOut(w http.ResponseWriter, r *http.Request, t *grant.Target, q login.SignOut)
	// Stop answers the person, and leads nowhere.
	Stop(w http.ResponseWriter, r *http.Request, status int, refusal *login.Refusal)
}

// authorize answers the authorization endpoint (RFC 6749 section 3.1, OpenID
// Connect Core section 3.1.2.1). Until the app and its redirect URI are known to be
// right, every answer is a page of ours: nobody is led to an address that is not
// registered (RFC 9700 section 4.11).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request, t *grant.Target) {
	q, app, err := s.readAuthorization(w, r, t)
	var refusal *login.Refusal
	switch {
	case err == nil:
		s.cfg.Login.Begin(w, r, t, app, q)
	case q.RedirectURI != "":
		s.cfg.Login.Fail(w, r, t, q, err)
	case errors.As(err, &refusal):
		s.cfg.Login.Stop(w, r, http.StatusBadRequest, refusal)
	default:
		code, text := grant.ProtocolError(err)
		status := http.StatusBadRequest
		if code == "server_error" || code == "temporarily_unavailable" {
			status = http.StatusServiceUnavailable
			s.cfg.Log.Error("authorization request failed", "error", err)
		}
		s.cfg.Login.Stop(w, r, status, &login.Refusal{Code: code, Text: text})
	}
}

func (s *Server) readAuthorization(w http.ResponseWriter, r *http.Request, t *grant.Target) (login.Request, *access.AppView, error) {
	var form grant.Form
	var err error
	if r.Method == http.MethodPost {
		form, err = grant.ReadForm(w, r)
	} else {
		form, err = grant.ReadQuery(r.URL.RawQuery)
	}
	if err != nil {
		return login.Request{}, nil, err
	}
	p := form.Map()
	app, err := s.authorizingApp(r.Context(), t, p)
	if err != nil {
		return login.Request{}, nil, err
	}
	if p["request_uri"] == "" {
		if t.Server.Holds(app) {
			return login.Request{}, nil, grant.Refuse("profile_not_pushed", nil)
		}
		return s.checkAuthorization(r.Context(), t, app, p)
	}
	was, err := s.pushed(r.Context(), t, app, p)
	if err != nil {
		return login.Request{}, nil, err
	}
	q, app, err := s.checkAuthorization(r.Context(), t, app, was.Parameters)
	if err == nil {
		err = sameKey(&q, was.JKT)
	}
	return q, app, err
}

func refusal(code, text string) error { return &login.Refusal{Code: code, Text: text} }

// authorizingApp returns the app that a request is for.
func (s *Server) authorizingApp(ctx context.Context, t *grant.Target, p map[string]string) (*access.AppView, error) {
	app, ok, err := grant.FindApp(ctx, s.cfg.Documents, t, p["client_id"])
	if err != nil {
		return nil, err
	}
	if !ok || app.Status != access.Active {
		return nil, refusal("invalid_client", "Invalid value for 'client_id' parameter.")
	}
	return app, grant.Fit(t, app)
}

// checkAuthorization turns parameters into a request. When it fails, the request's
// redirect URI is set only if the app may be told there.
func (s *Server) checkAuthorization(ctx context.Context, t *grant.Target, app *access.AppView, p map[string]string) (q login.Request, _ *access.AppView, err error) {
	if p["request"] != "" {
		if p, err = s.requestObject(ctx, t, app, p); err != nil {
			return q, app, err
		}
	}
	to := p["redirect_uri"]
	if !app.Redirects(to) {
		return q, app, refusal("invalid_request", "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.")
	}
	q = login.Request{
		Server: t.Server.ID, Client: app.ID, RedirectURI: to, State: p["state"], HasState: p["state"] != "", Nonce: p["nonce"],
		LoginHint: p["login_hint"], Locales: login.Locales(p["ui_locales"]), ResponseMode: p["response_mode"],
		Provider: p["idp"],
	}
	if q.ResponseMode != "" && !slices.Contains(login.ResponseModes(), q.ResponseMode) {
		q.ResponseMode = ""
		return q, app, refusal("invalid_request", "The response mode is not supported by the authorization server. Configured response modes: ["+strings.Join(login.ResponseModes(), ", ")+"].")
	}
	if q.ResponseMode == login.ModeMessage && !strings.HasPrefix(to, "http") {
		q.ResponseMode = ""
		return q, app, refusal("invalid_request", "The response mode okta_post_message needs a redirect URI with a web origin.")
	}
	for _, check := range []func(*grant.Target, *access.AppView, map[string]string, *login.Request) error{
		checkResponseType, checkPKCE, checkScopes, checkPrompt, checkLevels, checkTargets,
	} {
		if err := check(t, app, p, &q); err != nil {
			return q, app, err
		}
	}
	return q, app, s.checkHint(ctx, t, app, p, &q)
}

func checkResponseType(_ *grant.Target, app *access.AppView, p map[string]string, q *login.Request) error {
	switch {
	case p["response_type"] == "":
		return refusal("invalid_request", "The 'response_type' parameter is required.")
	case p["response_type"] != "code":
		return checkDirect(app, p, q)
	case !app.MayUse(access.GrantAuthorizationCode):
		return refusal("unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: ["+strings.Join(app.GrantTypes, ", ")+"].")
	}
	q.ResponseType = []string{"code"}
	return nil
}

// checkDirect takes response types of the implicit flow from apps that have it as a
// grant type, and list them: no other app learns that there is such a thing. Tokens
// never stand in the query of an address (OAuth 2.0 Multiple Response Types section 5).
func checkDirect(app *access.AppView, p map[string]string, q *login.Request) error {
	types := strings.Fields(p["response_type"])
	slices.Sort(types)
	for i, t := range types {
		known := t == login.ResponseToken || t == login.ResponseIDToken
		if !known || i > 0 && types[i-1] == t || !app.MayUse(access.GrantImplicit) || !slices.Contains(app.OIDC.ResponseTypes, t) {
			return refusal("unsupported_response_type", "The response type is not supported by the authorization server. Configured response types: [code].")
		}
	}
	switch q.ResponseMode {
	case "":
		q.ResponseMode = login.ModeFragment
	case login.ModeQuery:
		q.ResponseMode = login.ModeFragment
		return refusal("invalid_request", "The response mode 'query' cannot be used for tokens.")
	}
	if slices.Contains(types, login.ResponseIDToken) && (p["nonce"] == "" || !slices.Contains(strings.Fields(p["scope"]), "openid")) {
		return refusal("invalid_request", "The authentication request has an invalid 'nonce' parameter, or does not request the scope 'openid'.")
	}
	q.ResponseType = types
	return nil
}

// checkPKCE asks every app that has no secret for a challenge, and takes S256 alone
// (RFC 9700 section 2.1.1).
func checkPKCE(t *grant.Target, app *access.AppView, p map[string]string, q *login.Request) error {
	challenge := p["code_challenge"]
	switch {
	case !slices.Contains(q.ResponseType, "code"):
		return nil // there is no code to protect
	case challenge == "" && app.Public():
		return refusal("invalid_request", "PKCE code challenge is required when the token endpoint authentication method is 'NONE'.")
	case challenge == "" && (app.OIDC.PKCERequired || t.Server.Holds(app)):
		return refusal("invalid_request", "PKCE code challenge is required by the application.")
	case challenge == "" && p["code_challenge_method"] == "":
		return nil
	case p["code_challenge_method"] != "S256":
		return refusal("invalid_request", "The PKCE code challenge method must be 'S256'.")
	case !isHash(challenge):
		return refusal("invalid_request", "The PKCE code challenge must be the SHA-256 of the code verifier in base64url.")
	}
	q.Challenge = challenge
	return nil
}

// isHash reports whether s is a SHA-256 in canonical base64url.
func isHash(s string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(raw) == 32
}

func checkScopes(t *grant.Target, _ *access.AppView, p map[string]string, q *login.Request) error {
	names, err := grant.ReadScopes(t.Server, p["scope"])
	if err != nil {
		code, text := grant.ProtocolError(err)
		return refusal(code, text)
	}
	q.Scopes = names
	return nil
}

// prompts are the values of prompt. An account is chosen by signing in.
var prompts = map[string]string{"none": "none", "login": "login", "consent": "consent", "select_account": "login"}

// Prompts returns the values of prompt, for the metadata.
func promptsSupported() []string { return []string{"none", "login", "consent", "select_account"} }

func checkPrompt(_ *grant.Target, _ *access.AppView, p map[string]string, q *login.Request) error {
	for _, word := range strings.Fields(p["prompt"]) {
		known, ok := prompts[word]
		if !ok {
			return refusal("invalid_request", "The 'prompt' parameter has a value that is not supported: use none, login, consent, or login consent.")
		}
		if !slices.Contains(q.Prompt, known) {
			q.Prompt = append(q.Prompt, known)
		}
	}
	if len(q.Prompt) > 1 && slices.Contains(q.Prompt, "none") {
		return refusal("invalid_request", "The 'prompt' parameter cannot have 'none' together with another value.")
	}
	if text, ok := p["max_age"]; ok {
		age, err := strconv.ParseInt(text, 10, 32)
		if err != nil || age < 0 {
			return refusal("invalid_request", "The 'max_age' parameter must be a number of seconds.")
		}
		q.MaxAge = &age
	}
	return nil
}

// checkLevels reads acr_values. What nobody can reach is found out when it is known
// who signs in; what is no level at all is an error of the app.
func checkLevels(_ *grant.Target, _ *access.AppView, p map[string]string, q *login.Request) error {
	for _, level := range strings.Fields(p["acr_values"]) {
		if !slices.Contains(login.KnownLevels(), level) {
			return refusal("invalid_request", "The 'acr_values' parameter has a value that is not known: "+shown(level)+".")
		}
		q.Levels = append(q.Levels, level)
	}
	return nil
}

func shown(s string) string {
	if len(s) > 80 {
		s = s[:80]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\<>`, r) {
			return '?'
		}
		return r
	}, s)
}

// checkTargets reads resource (RFC 8707), authorization_details (RFC 9396) and dpop_jkt (RFC 9449 section 10), and
// refuses what would be ignored otherwise.
func checkTargets(t *grant.Target, app *access.AppView, p map[string]string, q *login.Request) error {
	var err error
	if q.Resources, err = grant.ReadResources(t, grant.SplitValues(p["resource"])); err != nil {
		code, text := grant.ProtocolError(err)
		return refusal(code, text)
	}
	if q.Details, err = grant.ReadDetails(t, app, p["authorization_details"]); err != nil {
		code, text := grant.ProtocolError(err)
		return refusal(code, text)
	}
	if q.JKT = p["dpop_jkt"]; q.JKT != "" && !isHash(q.JKT) {
		return refusal("invalid_request", "The 'dpop_jkt' parameter must be a JWK SHA-256 thumbprint.")
	}
	for _, name := range []string{"registration", "claims", "sessionToken", "audience"} {
		if p[name] != "" {
			return refusal("invalid_request", "The '"+name+"' parameter is not supported by this authorization server.")
		}
	}
	return nil
}

// checkHint reads id_token_hint: the person who signs in is to be its subject.
func (s *Server) checkHint(ctx context.Context, t *grant.Target, app *access.AppView, p map[string]string, q *login.Request) error {
	if p["id_token_hint"] == "" {
		return nil
	}
	hint, err := s.readHint(ctx, t, p["id_token_hint"])
	if err != nil {
		return err
	}
	if hint == nil || hint.client != app.ID {
		return refusal("invalid_request", "The 'id_token_hint' parameter is not an ID token of this authorization server for the client.")
	}
	q.Subject = hint.subject
	return nil
}

// textOf returns a claim of a request object as the parameter that it stands for.
func textOf(raw json.RawMessage) (string, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, true
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), true
	}
	return "", false
}

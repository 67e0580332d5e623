package grant

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// refusal is how one reason is answered: the status, the error of RFC 6749 (or
// of the RFC that adds it) and the text. The texts are those that Okta's
// endpoints answer with, so that what people search for is found.
type refusal struct {
	status int
	code   string
	text   string
}

// refusals are all answers that are not a success, by the fault's reason. The
// reasons are Okta's internal error codes where Okta has one.
var refusals = map[string]refusal{
	"invalid_request":                      {400, "invalid_request", "Invalid request"},
	"request_too_large":                    {413, "invalid_request", "The request is too large."},
	"request_not_post":                     {405, "invalid_request", "The endpoint takes POST requests only."},
	"request_not_form":                     {400, "invalid_request", "The request must have the content type application/x-www-form-urlencoded."},
	"request_malformed_form":               {400, "invalid_request", "The request body is not a well-formed form."},
	"duplicate_oauth_params":               {400, "invalid_request", "The request contained multiple parameters with the same name."},
	"client_credentials_in_query":          {400, "invalid_request", "Client credentials cannot be supplied via query parameters."},
	"token_request_missing_grant_type":     {400, "invalid_request", "The token request must specify a 'grant_type'. Valid values: [%s]"},
	"request_missing_token":                {400, "invalid_request", "The 'token' parameter is required."},
	"multiple_client_credentials":          {401, "invalid_request", "Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body."},
	"client_assertion_type_invalid":        {400, "invalid_request", "The client_assertion_type is invalid."},
	"invalid_target":                       {400, "invalid_target", "The 'resource' parameter must be an absolute URI without a fragment that is an audience of the authorization server."},
	"target_not_granted":                   {400, "invalid_target", "The 'resource' parameter names a resource that was not granted."},
	"audience_not_supported":               {400, "invalid_target", "The 'audience' parameter is for token exchange only. Use 'resource'."},
	"missing_client_credentials":           {401, "invalid_client", "No client credentials found."},
	"invalid_basic_auth_creds":             {401, "invalid_client", "Found Authentication header but was not valid client credentials."},
	"invalid_client":                       {401, "invalid_client", "Client authentication failed. Either the client or the client credentials are invalid."},
	"client_assertion_invalid_jwt":         {401, "invalid_client", "The parsing of the client_assertion failed."},
	"client_assertion_invalid_audience":    {401, "invalid_client", "The audience claim for client_assertion must be the endpoint invoked for the request."},
	"client_assertion_expiration_required": {401, "invalid_client", "The client_assertion must contain the 'exp' claim as seconds since epoch."},
	"client_assertion_expired_token":       {401, "invalid_client", "The client_assertion token is expired."},
	"client_assertion_expires_too_far":     {401, "invalid_client", "The client_assertion token has an expiration too far into the future."},
	"client_assertion_issued_at_in_future": {401, "invalid_client", "The client_assertion token must be issued before the current time."},
	"client_assertion_jti_required":        {401, "invalid_client", "The client_assertion must contain a 'jti' claim."},
	"client_assertion_already_used":        {401, "invalid_client", "The client_assertion token has already been used."},
	"unsupported_grant_type":               {400, "unsupported_grant_type", "The authorization grant type is not supported by the authorization server. Configured grant types: [%s]."},
	"unauthorized_client":                  {400, "unauthorized_client", "The client is not authorized to use the provided grant type. Configured grant types: [%s]."},
	"invalid_scope":                        {400, "invalid_scope", "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner."},
	"no_matching_scope":                    {400, "invalid_scope", "One or more scopes are not configured for the authorization server resource."},
	"no_default_scopes":                    {400, "invalid_scope", "The authorization server resource does not have any configured default scopes, 'scope' must be provided."},
	"openid_not_allowed_client_creds":      {400, "invalid_scope", "Cannot request 'openid' scopes using client credentials."},
	"consent_required_client_credentials":  {400, "consent_required", "The following scopes require user consent and cannot be granted for the client credentials grant type: [%s]."},
	"token_request_missing_code":           {400, "invalid_request", "The token request must specify a 'code'."},
	"token_request_missing_refresh_token":  {400, "invalid_request", "The token request must specify a 'refresh_token'."},
	"invalid_code":                         {400, "invalid_grant", "The authorization code is invalid or has expired."},
	"invalid_refresh_token":                {400, "invalid_grant", "The refresh token is invalid or expired."},
	"redirect_uri_mismatch":                {400, "invalid_grant", "The 'redirect_uri' does not match the redirection URI used in the authorization request."},
	"pkce_failed":                          {400, "invalid_grant", "PKCE verification failed."},
	"token_request_missing_device_code":    {400, "invalid_request", "The token request must specify a 'device_code'."},
	"invalid_device_code":                  {400, "invalid_grant", "The device code is invalid or has expired."},
	"device_code_expired":                  {400, "expired_token", "The device code is expired. Re-initiate the device activation flow."},
	"slow_down":                            {400, "slow_down", "The device is polling too frequently, the polling interval is 5 seconds longer from now on."},
	"authorization_pending":                {400, "authorization_pending", "The device authorization is pending. Please try again later."},
	"too_many_devices":                     {429, "temporarily_unavailable", "Too many requests have come from here. Try again later."},
	"device_denied":                        {400, "access_denied", "The device authorization request was denied."},
	"scope_not_granted":                    {400, "invalid_scope", "The requested scope is invalid, unknown, malformed, or exceeds the scope granted by the resource owner."},
	"token_request_missing_subject_token":  {400, "invalid_request", "The token request must specify a 'subject_token' and a 'subject_token_type'."},
	"subject_token_type_not_supported":     {400, "invalid_request", "The 'subject_token_type' is not supported. Use urn:ietf:params:oauth:token-type:access_token or urn:ietf:params:oauth:token-type:id_token."},
	"actor_token_type_not_supported":       {400, "invalid_request", "The 'actor_token_type' is not supported. Use urn:ietf:params:oauth:token-type:access_token."},
	"requested_token_type_not_supported":   {400, "invalid_request", "The 'requested_token_type' is not supported. Use urn:ietf:params:oauth:token-type:access_token."},
	"exchange_actor_type":                  {400, "invalid_request", "The 'actor_token' and the 'actor_token_type' are given together or not at all."},
	"invalid_subject_token":                {400, "invalid_grant", "The 'subject_token' is invalid, expired, revoked, of an issuer that is not trusted, or bound to another sender."},
	"invalid_actor_token":                  {400, "invalid_grant", "The 'actor_token' is invalid, expired, revoked, not the client's own, or bound to another sender."},
	"actor_not_allowed":                    {400, "invalid_grant", "The 'subject_token' names another actor in 'may_act'."},
	"too_many_actors":                      {400, "invalid_grant", "The 'subject_token' has passed through %d actors, which is the most that there can be."},
	"exchange_consent_required":            {400, "consent_required", "The following scopes require user consent and cannot be had by token exchange: [%s]."},
	"token_request_missing_assertion":      {400, "invalid_request", "The token request must specify an 'assertion'."},
	"assertion_invalid":                    {400, "invalid_grant", "The assertion is not a JWT that is signed by an issuer that the client may bring assertions of."},
	"assertion_invalid_audience":           {400, "invalid_grant", "The audience claim for the assertion must be the token endpoint or the issuer."},
	"assertion_expiration_required":        {400, "invalid_grant", "The assertion must contain the 'exp' claim as seconds since epoch."},
	"assertion_expired_token":              {400, "invalid_grant", "The assertion is expired."},
	"assertion_expires_too_far":            {400, "invalid_grant", "The assertion has an expiration too far into the future."},
	"assertion_issued_at_in_future":        {400, "invalid_grant", "The assertion must be issued before the current time."},
	"assertion_jti_required":               {400, "invalid_grant", "The assertion must contain a 'jti' claim."},
	"assertion_already_used":               {400, "invalid_grant", "The assertion has already been used."},
	"assertion_consent_required":           {400, "consent_required", "The following scopes require user consent and cannot be granted without the user: [%s]."},
	"certificate_missing":                  {400, "invalid_request", "The client's tokens are bound to its certificate, and the request has shown none."},
	"client_document":                      {400, "invalid_client", "The client's metadata document cannot be used: %s."},
	"profile_client":                       {400, "unauthorized_client", "The client or the authorization server does not meet the FAPI 2.0 Security Profile, section %s: %s."},
	"profile_sender":                       {400, "invalid_dpop_proof", "The FAPI 2.0 Security Profile binds access tokens to their sender: the request needs a DPoP proof or a client certificate."},
	"profile_assertion":                    {401, "invalid_client", "The client_assertion does not meet the FAPI 2.0 Security Profile: it must be signed with PS256, ES256 or EdDSA, and its audience must be the issuer of the authorization server, a string."},
	"profile_grant_assertion":              {400, "invalid_grant", "The assertion does not meet the FAPI 2.0 Security Profile: it must be signed with PS256, ES256 or EdDSA."},
	"profile_proof":                        {400, "invalid_dpop_proof", "The DPoP proof JWT does not meet the FAPI 2.0 Security Profile: it must be signed with PS256, ES256 or EdDSA."},
	"profile_not_pushed":                   {400, "invalid_request", "The FAPI 2.0 Security Profile takes authorization requests from the pushed authorization request endpoint only."},
	"dpop_code_key":                        {400, "invalid_dpop_proof", "The 'dpop_jkt' parameter is not the thumbprint of the key of the DPoP proof."},
	"certificate_mismatch":                 {400, "invalid_grant", "The client certificate is not the one that the grant is bound to."},
	"invalid_authorization_details":        {400, "invalid_authorization_details", "The 'authorization_details' parameter is not valid: %s."},
	"details_not_granted":                  {400, "invalid_authorization_details", "The 'authorization_details' parameter asks for more than was granted."},
	"token_request_missing_password":       {400, "invalid_request", "The token request must specify a 'username' and a 'password'."},
	"invalid_password":                     {400, "invalid_grant", "The credentials provided were invalid."},
	"direct_bound":                         {400, "unauthorized_client", "The client's tokens are bound to its key, and the authorization endpoint can give none that are."},
	"dpop_missing":                         {400, "invalid_dpop_proof", "The DPoP proof JWT header is missing."},
	"dpop_multiple":                        {400, "invalid_dpop_proof", "The request has more than one DPoP proof JWT header."},
	"dpop_malformed":                       {400, "invalid_dpop_proof", "The DPoP proof JWT is malformed, or is not one: it needs typ, alg and the public jwk, and htm, htu, iat and jti."},
	"dpop_method":                          {400, "invalid_dpop_proof", "The 'htm' claim of the DPoP proof JWT is not the HTTP method of the request."},
	"dpop_address":                         {400, "invalid_dpop_proof", "The 'htu' claim of the DPoP proof JWT is not the URL of the request."},
	"dpop_time":                            {400, "invalid_dpop_proof", "The 'iat' claim of the DPoP proof JWT is too far in the past or in the future."},
	"dpop_signature":                       {400, "invalid_dpop_proof", "The DPoP proof JWT signature is invalid."},
	"dpop_used":                            {400, "invalid_dpop_proof", "The DPoP proof JWT has already been used."},
	"dpop_nonce_missing":                   {400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof."},
	"dpop_nonce_stale":                     {400, "use_dpop_nonce", "The DPoP proof JWT includes an invalid nonce."},
	"dpop_token":                           {400, "invalid_dpop_proof", "The 'ath' claim of the DPoP proof JWT is not the hash of the access token."},
	"userinfo_token":                       {401, "invalid_token", "The access token is invalid."},
	"userinfo_scope":                       {403, "insufficient_scope", "The access token must be of a person and have the scope openid."},
	"dpop_key_mismatch":                    {400, "invalid_dpop_proof", "The DPoP proof is not signed by the key that the grant is bound to."},
	access.ReasonUserClaim:                 {400, "server_error", "The '%s' user claim could not be evaluated."},
	access.ReasonSystemClaim:               {400, "server_error", "The '%s' system claim could not be evaluated."},
	access.ReasonTooManyGroups:             {400, "server_error", "The groups claim matched too many groups and must be configured to match fewer groups."},
	"inline_hook_refused":                  {400, "server_error", "%s"},
	"user_inactive":                        {400, "invalid_grant", "The user is not active."},
	"user_not_assigned":                    {400, "access_denied", "User is not assigned to the client application."},
	"consent_withdrawn":                    {400, "consent_required", "The user has not consented to all of the requested scopes."},
	"nonce_required":                       {400, "invalid_request", "The authentication request has an invalid 'nonce' parameter, or does not request the scope 'openid'."},
	"no_matching_policy":                   {401, "access_denied", "Policy evaluation failed for this request, please check the policy configurations."},
	"temporarily_unavailable":              {503, "temporarily_unavailable", "The authorization server is currently unable to handle the request due to a temporary overloading or maintenance of the server."},
	"server_error":                         {500, "server_error", "The authorization server encountered an unexpected condition that prevented it from fulfilling the request."},
}

// Refuse returns the fault for a reason of the protocol. Details fill the text;
// the cause is for the log.
func Refuse(reason string, cause error, details ...any) error {
	r, ok := refusals[reason]
	if !ok {
		return fault.Because(cause, fault.Internal, "no answer is known for %q", reason)
	}
	code := fault.Invalid
	switch {
	case r.status == http.StatusUnauthorized && r.code == "invalid_client":
		code = fault.Unauthenticated
	case r.code == "access_denied":
		code = fault.Denied
	case r.status == http.StatusRequestEntityTooLarge:
		code = fault.TooLarge
	case r.status == http.StatusServiceUnavailable:
		code = fault.Unavailable
	}
	if cause == nil {
		return fault.New(code, r.text, details...).WithReason(reason)
	}
	return fault.Because(cause, code, r.text, details...).WithReason(reason)
}

// ReasonOf returns the reason that err will be answered with.
func ReasonOf(err error) string {
	if f := fault.Of(err); f != nil {
		if _, ok := refusals[f.Reason]; ok {
			return f.Reason
		}
		switch f.Code { //nolint:exhaustive // every other code is an error of ours
		case fault.Unavailable, fault.Timeout, fault.RateLimited:
			return "temporarily_unavailable"
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return "temporarily_unavailable"
	}
	return "server_error"
}

// ErrorCode returns the error of the protocol that err will be answered with.
func ErrorCode(err error) string { return refusals[ReasonOf(err)].code }

// WriteError answers a request with what err is in the protocol (RFC 6749
// section 5.2). What is not the caller's doing goes whole to the log and not at
// all to the caller.
func WriteError(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	reason := ReasonOf(err)
	ref := refusals[reason]
	text := ref.text
	if f := fault.Of(err); f != nil && f.Reason == reason {
		text = f.Message
	}
	if ref.status >= http.StatusInternalServerError {
		log.LogAttrs(r.Context(), slog.LevelError, "request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	}
	h := w.Header()
	if ref.status == http.StatusUnauthorized {
		h["Www-Authenticate"] = basicChallenge
	}
	switch ref.status {
	case http.StatusMethodNotAllowed:
		h["Allow"] = []string{http.MethodPost}
	case http.StatusTooManyRequests:
		h["Retry-After"] = []string{"60"}
	case http.StatusServiceUnavailable:
		h["Retry-After"] = []string{"5"}
	}
	body := make([]byte, 0, 64+len(ref.code)+len(text))
	body = append(body, `{"error":`...)
	body = appendJSON(body, ref.code)
	body = append(body, `,"error_description":`...)
	body = appendJSON(body, text)
	body = append(body, '}')
	WriteJSON(w, ref.status, body)
}

// basicChallenge is answered with 401 (RFC 6749 section 5.2, RFC 7617).
var basicChallenge = []string{`Basic realm="gatehouse"`}

// The headers of every answer of a protocol endpoint. They are shared and never
// changed.
var (
	contentJSON = []string{"application/json"}
	noStore     = []string{"no-store"}
	noCache     = []string{"no-cache"}
)

// WriteJSON answers with a body that no cache may keep (RFC 6749 section 5.1).
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentJSON
	h["Cache-Control"] = noStore
	h["Pragma"] = noCache
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON that no browser takes for a page; when the caller has gone, there is nobody to tell
}

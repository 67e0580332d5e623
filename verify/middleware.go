package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// ContextHeader is the request header in which Gatehouse tells an upstream who
// is calling: a JWT that lives 60 seconds, addressed to the API.
const ContextHeader = "X-Gatehouse-Context"

// ContextType is the typ of that JWT.
const ContextType = "gatehouse-context+jwt"

// ContextIssuer returns the Issuer of X-Gatehouse-Context: url is the identity
// address of the Gatehouse, keys come from its
// /.well-known/gatehouse/jwks.json, audience is the API's name.
func ContextIssuer(url string, keys KeySource, audience ...string) Issuer {
	return Issuer{URL: url, Keys: keys, Audience: audience, Types: []string{ContextType}}
}

// MiddlewareConfig is what Middleware is made of.
type MiddlewareConfig struct {
	Verifier *Verifier
	Scopes   []string // needed, all of them
	// Header is where the token is. Empty means Authorization with the Bearer
	// scheme; ContextHeader means the bare JWT.
	Header string
	// Metadata is the resource_metadata address (RFC 9728) for challenges; may be empty.
	Metadata string
	// Denied, when set, is told of every request that is refused.
	Denied func(*http.Request, *Error)
}

// Middleware returns a maker of handlers: requests with a good token reach the
// next handler, with the token in the context; others are answered as RFC 6750
// section 3 says: 400 for more than one token, 401 for none or a bad one, 403 for
// a missing scope, and 503 when the issuer's keys cannot be had. Sender-constrained
// tokens (those with cnf) are refused, because nothing here checks the proof.
func Middleware(cfg MiddlewareConfig) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			t, err := cfg.authenticate(r)
			if err != nil {
				if cfg.Denied != nil {
					cfg.Denied(r, err)
				}
				cfg.refuse(w, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), t)))
		})
	}
}

func (cfg MiddlewareConfig) authenticate(r *http.Request) (*Token, *Error) {
	raw, e := cfg.token(r)
	if e != nil {
		return nil, e
	}
	t, err := cfg.Verifier.Verify(r.Context(), []byte(raw))
	if err != nil {
		if errors.As(err, &e) {
			return nil, e
		}
		return nil, &Error{Reason: ReasonMalformed, Cause: err}
	}
	if t.KeyThumbprint != "" || t.CertThumbprint != "" {
		return nil, &Error{Reason: ReasonTokenType, Issuer: t.Issuer, Detail: "the token is bound to its sender, whose proof is not checked here"}
	}
	if !t.HasScopes(cfg.Scopes...) {
		return nil, &Error{Reason: ReasonMissingScope, Issuer: t.Issuer, Detail: "needs " + strings.Join(cfg.Scopes, " ")}
	}
	return t, nil
}

// token finds the one token of a request. Two fields, a list in one, or a
// second token in the query are refused: whoever stands in front may have looked at the
// other one.
func (cfg MiddlewareConfig) token(r *http.Request) (string, *Error) {
	header := cfg.Header
	if header == "" {
		header = "Authorization"
	}
	fields := r.Header.Values(header)
	switch {
	case len(fields) == 0:
		return "", fail(ReasonNoToken, header+" is missing")
	case len(fields) > 1:
		return "", fail(ReasonAmbiguous, header+" occurs more than once")
	case cfg.Header != "":
		return fields[0], nil
	}
	scheme, _, _ := strings.Cut(fields[0], " ")
	if !strings.EqualFold(scheme, "Bearer") && !strings.ContainsAny(fields[0], "\t,") {
		return "", fail(ReasonNoToken, "the Authorization scheme is not Bearer")
	}
	token, ok := Bearer(fields[0])
	if !ok {
		return "", fail(ReasonAmbiguous, "Authorization is not one bearer token")
	}
	if r.URL.Query().Has("access_token") {
		return "", fail(ReasonAmbiguous, "a second token is in the query")
	}
	return token, nil
}

// refuse answers, saying no more than the caller may know.
func (cfg MiddlewareConfig) refuse(w http.ResponseWriter, e *Error) {
	status, code := http.StatusUnauthorized, "invalid_token"
	switch e.Reason { //nolint:exhaustive // all other reasons are about the token
	case ReasonNoToken:
		code = ""
	case ReasonAmbiguous:
		status, code = http.StatusBadRequest, "invalid_request"
	case ReasonMissingScope:
		status, code = http.StatusForbidden, "insufficient_scope"
	case ReasonIssuerUnreachable:
		w.Header().Set("Retry-After", "10")
		http.Error(w, string(e.Reason), http.StatusServiceUnavailable)
		return
	}
	var params []string
	add := func(name, value string) {
		if value != "" && !strings.ContainsAny(value, "\"\\\r\n") {
			params = append(params, name+`="`+value+`"`)
		}
	}
	add("error", code)
	if code != "" {
		add("error_description", string(e.Reason))
	}
	add("scope", strings.Join(cfg.Scopes, " "))
	add("resource_metadata", cfg.Metadata)
	challenge := "Bearer"
	if len(params) > 0 {
		challenge += " " + strings.Join(params, ", ")
	}
	if cfg.Header == "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, string(e.Reason), status)
}

type contextKey struct{}

// NewContext returns a context with the token, for transports that Middleware does not
// know.
func NewContext(ctx context.Context, t *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, t)
}

// FromContext returns the token that Middleware has verified, or NewContext was given.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok
}

// Bearer returns the token of an Authorization field value (RFC 6750 section
// 2.1): the scheme in any case, one or more spaces, one b64token, nothing else.
// Tabs, commas and a second token are refused.
func Bearer[T ~string | ~[]byte](value T) (token T, ok bool) {
	const scheme = "bearer"
	if len(value) <= len(scheme) || value[len(scheme)] != ' ' {
		return token, false
	}
	for i := range len(scheme) {
		if value[i]|0x20 != scheme[i] {
			return token, false
		}
	}
	start := len(scheme)
	for start < len(value) && value[start] == ' ' {
		start++
	}
	end := start
	for end < len(value) && tokenByte(value[end]) {
		end++
	}
	for n := end; n < len(value); n++ { // b64token = 1*( ALPHA / ... ) *"="
		if value[n] != '=' {
			return token, false
		}
	}
	if end == start {
		return token, false
	}
	return value[start:], true
}

func tokenByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	default:
		return c == '-' || c == '.' || c == '_' || c == '~' || c == '+' || c == '/'
	}
}

package verify

import (
	"context"
	"net/http"
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
}

// Middleware returns a handler maker: requests with a good token reach the next
// handler, with the token in the context; others are answered as RFC 6750 says.
func Middleware(cfg MiddlewareConfig) func(http.Handler) http.Handler {
	_ = cfg
	return func(h http.Handler) http.Handler { return h }
}

type contextKey struct{}

// FromContext returns the token that Middleware has verified.
func FromContext(ctx context.Context) (*Token, bool) {
	t, ok := ctx.Value(contextKey{}).(*Token)
	return t, ok
}

// Bearer returns the token of an Authorization field value (RFC 6750 section
// 2.1): the scheme in any case, one or more spaces, one b64token, nothing else.
// Tabs, commas and a second token are refused.
func Bearer[T ~string | ~[]byte](value T) (T, bool) {
	var none T
	_ = value
	return none, false
}

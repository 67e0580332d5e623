package verify

import (
	"slices"
	"sync/atomic"
	"time"
)

// Token is what a verified access token says. It is immutable and shared: the
// same pointer is handed to every request that carries the same token, for as
// long as the token is cached. Callers must not change what its fields and
// claims refer to. The token's text is not part of it.
type Token struct {
	Issuer   string // iss
	Subject  string // sub; may be empty
	ClientID string // cid (Okta), client_id (RFC 9068), azp (Keycloak, Entra v2) or appid (Entra v1): the first of these
	// UserID is the person: uid (Okta), oid with tid (Entra), else sub. It is
	// empty when the client acts for itself.
	UserID   string
	Audience []string // aud, as it stands in the token
	Scopes   []string // scp (Okta, Entra) or scope (RFC 9068, Keycloak): sorted, each once
	Groups   []string // groups, as they stand in the token
	Roles    []string // roles (Entra) and realm_access.roles (Keycloak): sorted, each once
	ID       string   // jti
	Session  string   // sid

	IssuedAt  int64 // iat in Unix seconds, 0 when missing
	NotBefore int64 // nbf in Unix seconds, 0 when missing
	Expires   int64 // exp in Unix seconds, always present
	AuthTime  int64 // auth_time in Unix seconds, 0 when missing

	ACR string   // acr
	AMR []string // amr

	// KeyThumbprint (cnf.jkt, RFC 9449) and CertThumbprint (cnf.x5t#S256,
	// RFC 8705) bind the token to its sender. A token that has one must not be
	// accepted as a bare bearer token.
	KeyThumbprint, CertThumbprint string

	KeyID     string    // kid of the key that signed it
	Algorithm Algorithm // alg
	Type      string    // typ, lower-case and without "application/"; empty when missing

	claims map[string]any
	slot   atomic.Value
}

// Claim returns a claim of the token and whether it is there: a string, bool,
// json.Number, nil, []any or map[string]any, shared and not to be changed.
func (t *Token) Claim(name string) (any, bool) {
	v, ok := t.claims[name]
	return v, ok
}

// Claims calls yield with every claim, in no particular order, until it
// returns false. It is a range-over-func iterator.
func (t *Token) Claims(yield func(name string, value any) bool) {
	for k, v := range t.claims {
		if !yield(k, v) {
			return
		}
	}
}

// HasAudience reports whether one of the accepted audiences is in aud.
func (t *Token) HasAudience(accepted ...string) bool {
	for _, a := range t.Audience {
		if slices.Contains(accepted, a) {
			return true
		}
	}
	return false
}

// HasScope reports whether the scope was granted.
func (t *Token) HasScope(scope string) bool {
	_, ok := slices.BinarySearch(t.Scopes, scope)
	return ok
}

// HasScopes reports whether all of the scopes were granted.
func (t *Token) HasScopes(scopes ...string) bool {
	for _, s := range scopes {
		if !t.HasScope(s) {
			return false
		}
	}
	return true
}

// ExpiresAt returns exp as a time.
func (t *Token) ExpiresAt() time.Time { return time.Unix(t.Expires, 0) }

// Slot is a place for one value that the owner of the verifier derives from the
// token and wants back with it, such as a header that is made once per token.
// It lives as long as the token is cached. All values stored must be of one
// concrete type (see atomic.Value); store a pointer, and Load does not allocate.
func (t *Token) Slot() *atomic.Value { return &t.slot }

package verify

import (
	"slices"
	"strings"
)

// defaultTypes are the typ header values of access tokens: RFC 9068 writes
// at+jwt, Entra and Keycloak JWT, Okta nothing.
var defaultTypes = []string{"at+jwt", "jwt", ""}

// normalType makes a media type comparable: lower-case, and without the
// "application/" that RFC 7515 section 4.1.9 advises to leave out.
func normalType(t string) string {
	return strings.TrimPrefix(strings.ToLower(t), "application/")
}

// notAccess says why a genuine token of the issuer is not an access token, or
// returns "". Issuers sign many kinds of token with one key (RFC 8725 section
// 2.8); whoever takes one for another can be logged in by a log-out.
func notAccess(is *issuer, t *Token) string {
	if !slices.Contains(is.types, t.Type) {
		return "typ is not accepted from this issuer"
	}
	if what := declaredKind(t); what != "" {
		return what
	}
	if _, has := t.claims["events"]; has {
		return "a security event or logout token"
	}
	addressed, _ := stringList(t.claims["aud"]) // also where the issuer's audience is in another claim
	if is.isTokenEndpoint(addressed) {
		return "a client assertion: it is addressed to the token endpoint"
	}
	if t.Type == "at+jwt" || t.Type == ContextType || t.claims["typ"] == "Bearer" {
		return "" // the issuer says itself that it is one
	}
	for _, name := range [...]string{"nonce", "at_hash", "c_hash", "s_hash"} {
		if _, has := t.claims[name]; has {
			return "an ID token: it has " + name
		}
	}
	if t.Subject == t.Issuer && t.ClientID == "" && t.Scopes == nil {
		return "a client assertion: iss and sub are the same"
	}
	return ""
}

// declaredKind reads the claims in which Keycloak (typ), Cognito (token_use) and
// others (token_type) say what a token is.
func declaredKind(t *Token) string {
	for _, name := range [...]string{"typ", "token_use", "token_type"} {
		s, _ := t.claims[name].(string)
		switch strings.ToLower(s) {
		case "id", "id_token", "id+jwt":
			return "an ID token: " + name + " says so"
		case "refresh", "refresh_token", "offline", "refresh+jwt":
			return "a refresh token: " + name + " says so"
		case "logout", "logout_token", "logout+jwt":
			return "a logout token: " + name + " says so"
		}
	}
	return ""
}

// Package verify checks access tokens in any Go service: signature, issuer,
// audience, lifetime and kind, by the rules of RFC 9068, RFC 8725 and of what
// Okta, Entra and Keycloak really issue. It is also the engine of Gatehouse's
// data plane.
//
// The key and the algorithm come from configuration; what the token's header
// says only selects among them. A verified token is cached until it expires or
// its key goes, so the second sight of it costs no signature check and no
// allocation. The cache holds facts (this text is a genuine token with these
// claims), never verdicts about a request.
//
// The package must not know the rest of Gatehouse and needs only the standard
// library, so that a service can take it alone.
package verify

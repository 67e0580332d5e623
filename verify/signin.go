package verify

import "slices"

// SignIn says how and when a person has signed in. An ID token tells it to whom
// people sign in at (OpenID Connect Core 1.0 section 2); access tokens often do not.
type SignIn struct {
	AuthTime int64 // auth_time in Unix seconds, 0 when nobody says
	ACR      string
	AMR      []string
	Session  string // sid
}

// WithSignIn returns a copy of the token that says of the sign-in what s says: all
// of it, so that no part of another sign-in is left. The claims are shared, and the
// Slot is the copy's own. Until the caller hands the copy out it may change its
// fields, but not the claims.
func (t *Token) WithSignIn(s SignIn) *Token {
	return &Token{
		Issuer: t.Issuer, Subject: t.Subject, ClientID: t.ClientID, UserID: t.UserID,
		Audience: t.Audience, Scopes: t.Scopes, Groups: t.Groups, Roles: t.Roles,
		ID: t.ID, Session: s.Session,
		IssuedAt: t.IssuedAt, NotBefore: t.NotBefore, Expires: t.Expires, AuthTime: s.AuthTime,
		ACR: s.ACR, AMR: slices.Clone(s.AMR),
		KeyThumbprint: t.KeyThumbprint, CertThumbprint: t.CertThumbprint,
		KeyID: t.KeyID, Algorithm: t.Algorithm, Type: t.Type, claims: t.claims,
	}
}

package grant

import (
	"gatehouse/internal/access"
)

// clientCredentials is RFC 6749 section 4.4: the client acts for itself. What
// proves the identity is the authentication of the client alone.
type clientCredentials struct{}

func (clientCredentials) name() string { return access.GrantClientCredentials }

// prove refuses public clients, who have proved nothing (RFC 6749 section 4.4).
func (clientCredentials) prove(_ *Endpoint, x *exchange) error {
	if x.app.Public() {
		return Refuse("invalid_client", nil)
	}
	x.subject = subject{name: x.app.ID}
	return nil
}

func (c clientCredentials) narrow(x *exchange) error { return narrow(x, c.admit) }

// persist stores nothing: the token is self-contained, and only its revocation is
// ever looked up.
func (clientCredentials) persist(*Endpoint, *exchange) error { return nil }

// admit refuses the scopes that are about a person: there is none, neither to
// speak of nor to ask for consent.
func (clientCredentials) admit(s *access.Scope) error {
	if s.Personal() {
		return Refuse("openid_not_allowed_client_creds", nil)
	}
	if s.Consent == access.ConsentRequired {
		return Refuse("consent_required_client_credentials", nil, s.Name)
	}
	return nil
}

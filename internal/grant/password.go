package grant

import (
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Passwords checks passwords as the page for signing in does: counted over all names of
// a person and all ways to sign in, in the same time for everybody.
type Passwords interface {
	// CheckPassword returns the id of the user who signs in. It is fault.Denied, with
	// nothing that tells why, for everybody who may not; the request's context carries
	// the tenant.
	CheckPassword(r *http.Request, client, identifier, password string) (user string, err error)
}

// passwordGrant is RFC 6749 section 4.3, for apps that have it as a grant type: OAuth
// 2.1 has it no more, because the app sees the password and no second factor can be
// asked for. Tokens say that a password was all there was.
type passwordGrant struct{}

// passwordLevel is the acr of who has proved a password and nothing else.
const passwordLevel = "urn:okta:loa:1fa:pwd"

func (passwordGrant) name() string { return access.GrantPassword }

func (passwordGrant) prove(e *Endpoint, x *exchange) error {
	name, password := x.form.Get("username"), x.form.Get("password")
	if name == "" || password == "" {
		return Refuse("token_request_missing_password", nil)
	}
	user, err := e.cfg.Passwords.CheckPassword(x.r.WithContext(tenant.With(x.ctx(), x.target.Tenant)), x.app.ID, name, password)
	if fault.Is(err, fault.Denied) {
		return Refuse("invalid_password", nil)
	}
	if err != nil {
		return err
	}
	now := e.cfg.Now()
	x.begin(&Authorization{
		Client: x.app.ID, Server: x.target.Server.ID, User: user, AuthTime: now, AMR: []string{"pwd"}, ACR: passwordLevel,
	}, now)
	return nil
}

// narrow gives no scope that a person has to be asked about: the app has no page for
// that.
func (passwordGrant) narrow(x *exchange) error {
	return narrow(x, func(scope *access.Scope) error {
		if access.NeedsConsent(&x.app.App, scope) {
			return Refuse("assertion_consent_required", nil, scope.Name)
		}
		return nil
	})
}

func (passwordGrant) persist(e *Endpoint, x *exchange) error {
	return x.keep(tenant.With(x.ctx(), x.target.Tenant), e)
}

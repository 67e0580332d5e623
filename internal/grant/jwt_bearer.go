package grant

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// Users finds people by what they are called.
type Users interface {
	// FindUser returns a user by login, or fault.NotFound.
	FindUser(ctx context.Context, login string) (ledger.Object[directory.User], error)
}

// jwtBearer is RFC 7523 section 2.1: somebody whom the app's settings trust says who
// a person is. The app authenticates besides, the person must be able to use it, and
// the access rules decide as everywhere.
type jwtBearer struct{}

// grantAssertionPurpose names the marks of used assertions. They are not those of
// client authentication: one token never serves as both.
const grantAssertionPurpose = "assertion_grant"

func (jwtBearer) name() string { return access.GrantJWTBearer }

// prove verifies the assertion with the keys of the issuer that it names, when that is
// one of the app's, and finds the person.
func (jwtBearer) prove(e *Endpoint, x *exchange) error {
	if x.app.Public() {
		return Refuse("invalid_client", nil)
	}
	raw := x.form.Get("assertion")
	if raw == "" {
		return Refuse("token_request_missing_assertion", nil)
	}
	claims, means, err := readVoucher(x, raw)
	if err != nil {
		return err
	}
	if wrong := claims.wrong(e.cfg.Now(), x.target, "token"); wrong != "" {
		return Refuse("assertion_"+wrong, nil)
	}
	user := claims.Subject
	if means != access.SubjectID {
		u, err := e.cfg.Users.FindUser(tenant.With(x.ctx(), x.target.Tenant), user)
		if fault.Is(err, fault.NotFound) {
			return Refuse("user_inactive", err)
		}
		if err != nil {
			return err
		}
		user = u.ID
	}
	x.vouched = claims
	x.begin(&Authorization{Client: x.app.ID, Server: x.target.Server.ID, User: user}, e.cfg.Now())
	return nil
}

// readVoucher returns the claims of an assertion that is genuine, and what its issuer
// calls people.
func readVoucher(x *exchange, raw string) (*assertion, string, error) {
	jws, err := verify.Parse([]byte(raw), maxAssertion)
	if err != nil {
		return nil, "", Refuse("assertion_invalid", err)
	}
	claims, err := readAssertion(jws.Payload)
	if err != nil {
		return nil, "", Refuse("assertion_invalid", err)
	}
	source, means, ok := x.app.Voucher(claims.Issuer)
	if !ok || jws.Type != "" && jws.Type != "jwt" && jws.Type != "JWT" || claims.Subject == "" {
		return nil, "", Refuse("assertion_invalid", nil)
	}
	key, err := source.Key(x.ctx(), jws.KeyID, jws.Algorithm)
	if err != nil || !jws.Verify(key) {
		return nil, "", Refuse("assertion_invalid", err)
	}
	if x.target.Server.Holds(x.app) && !fapi2Algorithm(jws.Algorithm) {
		return nil, "", Refuse("profile_grant_assertion", nil)
	}
	return claims, means, nil
}

// narrow gives what needs no person: neither their consent nor an ID token, and
// nothing that goes on when the issuer does not vouch any more.
func (jwtBearer) narrow(x *exchange) error {
	return narrow(x, func(scope *access.Scope) error {
		switch {
		case scope.Name == scopeOpenID || scope.Name == scopeOffline:
			return Refuse("scope_not_granted", nil)
		case access.NeedsConsent(&x.app.App, scope):
			return Refuse("assertion_consent_required", nil, scope.Name)
		}
		return nil
	})
}

// persist uses the assertion: of any number of requests with it one gets a token.
func (jwtBearer) persist(e *Endpoint, x *exchange) error {
	ctx, a := tenant.With(x.ctx(), x.target.Tenant), x.vouched
	first, err := e.cfg.Single.Use(ctx, grantAssertionPurpose, keys.Hash(a.Issuer+"\x00"+a.ID), a.Expires.Add(assertionLeeway))
	if err != nil {
		return Refuse("temporarily_unavailable", err)
	}
	if !first {
		return Refuse("assertion_already_used", nil)
	}
	return x.keep(ctx, e)
}

// keep stores the grant that the request has begun.
func (x *exchange) keep(ctx context.Context, e *Endpoint) error {
	x.firstRefresh()
	x.kept.Scopes = x.scopes
	x.made.Terms = nil // they are stored with the grant
	return e.cfg.Codes.AddGrant(ctx, *x.kept, x.made)
}

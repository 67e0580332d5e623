package grant

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/issued"
	"gatehouse/internal/tenant"
)

// DerivedStore keeps tokens that were made of other tokens.
type DerivedStore interface {
	// TokenGrant returns the grant that an access token came of, or fault.NotFound.
	TokenGrant(ctx context.Context, jti string) (issued.Grant, error)
	// AddToken stores a token that came of a grant; false when that has ended.
	AddToken(ctx context.Context, grant string, made issued.Token, now time.Time) (bool, error)
	AddGrant(ctx context.Context, g issued.Grant, made issued.Made) error
}

// The types of tokens (RFC 8693 section 3).
const (
	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token" // #nosec G101 -- a name of RFC 8693
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"     // #nosec G101 -- a name of RFC 8693
	typeJWT         = "urn:ietf:params:oauth:token-type:jwt"          // #nosec G101 -- a name of RFC 8693
)

// maxActors bounds the chain of those who act for a subject: who needs more has a
// loop.
const maxActors = 4

// tokenExchange is RFC 8693: an app that has somebody's token gets one of its own
// that says no more. The new token names the app as the actor, unless the app may
// impersonate; it lives no longer than the old one, and ends with its grant.
type tokenExchange struct{}

func (tokenExchange) name() string { return access.GrantTokenExchange }

// prove reads the tokens and finds out who acts for whom.
func (tokenExchange) prove(e *Endpoint, x *exchange) error {
	if x.app.Public() {
		return Refuse("invalid_client", nil)
	}
	s := &exchanged{issuedType: typeAccessToken}
	switch t := x.form.Get("requested_token_type"); t {
	case "", typeAccessToken:
	case typeJWT:
		s.issuedType = typeJWT
	default:
		return Refuse("requested_token_type_not_supported", nil)
	}
	if err := s.readSubject(e, x); err != nil {
		return err
	}
	if err := s.readActor(e, x); err != nil {
		return err
	}
	x.exchanged = s
	x.subject = subject{name: s.subject.Subject, given: true}
	return nil
}

// narrow takes the scopes of the subject token, or those of them that are named. A
// token of another server has scopes of another kind, and an ID token has none: there
// the access rules say which can be had, and none that a person is asked about.
func (tokenExchange) narrow(x *exchange) error {
	s := x.exchanged
	if x.form.Get("scope") == "" && !s.foreign() {
		for _, n := range s.subject.Scopes {
			if _, ok := x.target.Server.Scope(n); ok && n != scopeOffline {
				x.scopes = append(x.scopes, n)
			}
		}
		if len(x.scopes) == 0 {
			return Refuse("scope_not_granted", nil)
		}
		return nil
	}
	return narrow(x, func(scope *access.Scope) error {
		switch {
		case scope.Name == scopeOffline:
			return Refuse("scope_not_granted", nil)
		case !s.foreign():
			if !slices.Contains(s.subject.Scopes, scope.Name) {
				return Refuse("scope_not_granted", nil)
			}
			return nil
		case s.subject.UserID == "":
			return clientCredentials{}.admit(scope)
		case access.NeedsConsent(&x.app.App, scope):
			return Refuse("exchange_consent_required", nil, scope.Name)
		}
		return nil
	})
}

// persist ties the new token to what the old one came of.
func (tokenExchange) persist(e *Endpoint, x *exchange) error {
	ctx, now, s := tenant.With(x.ctx(), x.target.Tenant), e.cfg.Now(), x.exchanged
	if s.grant != "" && !s.elsewhere {
		ok, err := e.cfg.Derived.AddToken(ctx, s.grant, x.minted.kept(), now)
		if err == nil && !ok {
			err = Refuse("invalid_subject_token", nil)
		}
		return err
	}
	if s.subject.UserID == "" {
		return nil // as with client credentials
	}
	a := s.authorization(x)
	return e.cfg.Derived.AddGrant(ctx, newGrant(x.target, &a, access.GrantTokenExchange, now), issued.Made{Token: x.minted.kept()})
}

// evaluateOnBehalf asks whether the person may still use the app that the first token
// was given to, and the access rules about the app that asks now.
func (e *Endpoint) evaluateOnBehalf(x *exchange) error {
	a := x.exchanged.authorization(x)
	who, decision, err := e.cfg.Judge.through(x.ctx(), x.target, &a, x.app.ID, access.GrantTokenExchange, nil)
	if err != nil {
		return err
	}
	x.subject, x.decision = *who, decision
	return nil
}

// exchangedTargets decides for which APIs the new token is: those that resource and
// audience name. They are among those of the subject token, or the app's settings
// say that it may reach them.
func (x *exchange) exchangedTargets(asked []string) error {
	s := x.exchanged
	reach := s.subject.Audience
	if s.foreign() {
		reach = []string{x.target.Server.Audience(x.target.URL)}
	}
	for _, name := range x.form.All("audience") {
		if !slices.Contains(asked, name) {
			asked = append(asked, name)
		}
	}
	if len(asked) > maxResources {
		return Refuse("invalid_target", nil)
	}
	for _, name := range asked {
		if !x.target.Server.HasAudience(x.target.URL, name) || !slices.Contains(reach, name) && !slices.Contains(x.app.Extension.Exchange.Audiences, name) {
			return Refuse("target_not_granted", nil)
		}
	}
	if x.audience = asked; len(asked) > 0 {
		return nil
	}
	for _, name := range reach {
		if x.target.Server.HasAudience(x.target.URL, name) {
			x.audience = append(x.audience, name)
		}
	}
	if len(x.audience) == 0 {
		return Refuse("target_not_granted", nil)
	}
	return nil
}

package grant

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Persons finds out what decides about a person's tokens.
type Persons interface {
	// Person returns a user as an app may see them, or fault.NotFound.
	Person(ctx context.Context, user, app string) (access.Person, error)
	// HoldsFactor reports whether the user has the factor, and it is in force.
	HoldsFactor(ctx context.Context, user, id string) (bool, error)
}

// Consents finds out what a person has agreed to.
type Consents interface {
	// Withheld returns those of the question's scopes that need the person's consent and
	// do not have it.
	Withheld(ctx context.Context, q access.ConsentQuestion) ([]string, error)
}

// JudgeConfig is what a Judge needs.
type JudgeConfig struct {
	Persons  Persons
	Consents Consents
	// Certificates are those that devices show; nil: none can.
	Certificates *Certificates
	Now          func() time.Time // the clock
}

// Judge says whether a person may have tokens of a server for an app, now. It is
// asked when a code is issued, when it is redeemed, and again at every refresh.
type Judge struct{ cfg JudgeConfig }

// NewJudge returns a Judge.
func NewJudge(cfg JudgeConfig) *Judge { return &Judge{cfg: cfg} }

// person evaluates everything that can have changed since the last time: the app,
// the user, the assignment, the scopes and the access rules.
func (j *Judge) person(ctx context.Context, t *Target, a *Authorization, grantType string) (*subject, access.Decision, error) {
	return j.through(ctx, t, a, a.Client, grantType, nil)
}

// consider is person, and tells the trace of every policy and rule that was looked
// at, if there is one.
func (j *Judge) consider(ctx context.Context, t *Target, a *Authorization, grantType string, trace *[]access.Considered) (*subject, access.Decision, error) {
	return j.through(ctx, t, a, a.Client, grantType, trace)
}

// through is consider where the access rules are about another app than the one that
// the person uses: it asks with what that one has.
func (j *Judge) through(ctx context.Context, t *Target, a *Authorization, asks, grantType string, trace *[]access.Considered) (*subject, access.Decision, error) {
	who, err := j.present(ctx, t, a)
	if err != nil {
		return nil, access.Decision{}, err
	}
	req := access.Request{
		Client: asks, GrantType: grantType, Scopes: a.Scopes, User: who.userID, Groups: who.person.GroupIDs(), Address: parseAddress(a.Address), Risk: a.Risk,
	}
	if req.Device, err = j.device(ctx, t, a); err != nil {
		return nil, access.Decision{}, err
	}
	d, err := judge(t, &req, trace)
	if err != nil {
		return nil, d, err
	}
	return who, d, nil
}

// device returns what the person's device is worth now: a passkey that was removed, and
// a certificate that has ended or is revoked, say nothing of it any more.
func (j *Judge) device(ctx context.Context, t *Target, a *Authorization) (d access.Device, err error) {
	if d = a.assumed; d != (access.Device{}) || !t.Server.AsksDevice() {
		return d, nil
	}
	d.Managed = j.cfg.Certificates.vouch(&a.Device, t.Tenant, j.cfg.Now())
	if d.Registered = d.Managed; !d.Registered && a.Device.Passkey != "" {
		d.Registered, err = j.cfg.Persons.HoldsFactor(tenant.With(ctx, t.Tenant), a.User, a.Device.Passkey)
	}
	return d, err
}

// agreed makes sure that the person still agrees to what is asked for: a consent may have
// been taken back, and an app or a scope that went without may ask for it now.
func (j *Judge) agreed(ctx context.Context, t *Target, a *Authorization) error {
	app, ok := t.View.App(a.Client)
	if !ok {
		return Refuse("invalid_client", nil)
	}
	q := access.ConsentQuestion{User: a.User, App: app, Server: t.Server, Scopes: a.Scopes}
	withheld, err := j.cfg.Consents.Withheld(tenant.With(ctx, t.Tenant), q)
	if err != nil {
		return err
	}
	if len(withheld) > 0 {
		return Refuse("consent_withdrawn", nil)
	}
	return nil
}

// judge asks the access rules. Its refusal carries every rule that was considered,
// for the system log.
func judge(t *Target, req *access.Request, trace *[]access.Considered) (access.Decision, error) {
	d := t.Server.Evaluate(req, trace)
	if d.Allowed {
		return d, nil
	}
	if trace == nil {
		trace = new([]access.Considered)
		t.Server.Evaluate(req, trace)
	}
	return d, Refuse("no_matching_policy", considered(*trace))
}

// considered is the cause of a refusal by the access rules.
type considered []access.Considered

// Error implements error.
func (c considered) Error() string { return describe(c) }

// parseAddress reads an address that may have a port; the zero value is an unknown
// one.
func parseAddress(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, _ := netip.ParseAddr(s)
	return a.Unmap().WithZone("")
}

// present returns the person if the app, the user and the assignment are in force and
// the scopes are there.
func (j *Judge) present(ctx context.Context, t *Target, a *Authorization) (*subject, error) {
	app, ok := t.View.App(a.Client)
	if !ok || app.Status != access.Active {
		return nil, Refuse("invalid_client", nil)
	}
	for _, s := range a.Scopes {
		if _, ok := t.Server.Scope(s); !ok {
			return nil, Refuse("no_matching_scope", nil)
		}
	}
	p, err := j.cfg.Persons.Person(tenant.With(ctx, t.Tenant), a.User, a.Client)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, Refuse("user_inactive", err)
	case err != nil:
		return nil, err
	case !p.User.MayAct():
		return nil, Refuse("user_inactive", nil)
	case !p.Assigned && !app.OIDC.ImplicitAssignment:
		return nil, Refuse("user_not_assigned", nil)
	}
	return &subject{name: p.UserName, userID: p.ID, person: &p, authTime: a.AuthTime, acr: a.ACR, amr: a.AMR}, nil
}

package grant

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Persons finds out what decides about a person's tokens.
type Persons interface {
	// Person returns a user as an app may see them, or fault.NotFound.
	Person(ctx context.Context, user, app string) (access.Person, error)
}

// JudgeConfig is what a Judge needs.
type JudgeConfig struct {
	Persons Persons
}

// Judge says whether a person may have tokens of a server for an app, now. It is
// asked when a code is issued, when it is redeemed, and again at every refresh.
type Judge struct{ cfg JudgeConfig }

// NewJudge returns a Judge.
func NewJudge(cfg JudgeConfig) *Judge { return &Judge{cfg: cfg} }

// person evaluates everything that can have changed since the last time: the app,
// the user, the assignment, the scopes and the access rules.
func (j *Judge) person(ctx context.Context, t *Target, a *Authorization, grantType string) (*subject, access.Decision, error) {
	app, ok := t.View.App(a.Client)
	if !ok || app.Status != access.Active {
		return nil, access.Decision{}, Refuse("invalid_client", nil)
	}
	for _, s := range a.Scopes {
		if _, ok := t.Server.Scope(s); !ok {
			return nil, access.Decision{}, Refuse("no_matching_scope", nil)
		}
	}
	p, err := j.cfg.Persons.Person(tenant.With(ctx, t.Tenant), a.User, a.Client)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, access.Decision{}, Refuse("user_inactive", err)
	case err != nil:
		return nil, access.Decision{}, err
	case !p.User.MayAct():
		return nil, access.Decision{}, Refuse("user_inactive", nil)
	case !p.Assigned && !app.OIDC.ImplicitAssignment:
		return nil, access.Decision{}, Refuse("user_not_assigned", nil)
	}
	who := &subject{name: p.UserName, userID: p.ID, person: &p, authTime: a.AuthTime, acr: a.ACR, amr: a.AMR}
	req := access.Request{
		Client: a.Client, GrantType: grantType, Scopes: a.Scopes, User: p.ID, Groups: p.GroupIDs(),
	}
	d := t.Server.Evaluate(&req, nil)
	if !d.Allowed {
		return nil, d, Refuse("no_matching_policy", nil)
	}
	return who, d, nil
}

package grant

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// People is what an Issuer needs of the directory.
type People interface {
	FindUser(ctx context.Context, login string) (ledger.Object[directory.User], error)
	GroupsOf(ctx context.Context, userID string) ([]directory.MemberOf, error)
}

// IssuerConfig is what an Issuer needs.
type IssuerConfig struct {
	Minter *Minter
	People People
	Audit  audit.Recorder
}

// Issuer mints access tokens on an administrator's word, without the person or
// the app taking part: for trying an API out and for tests. Everything else is as
// in a token request: the app must be active, the user too, the scopes must
// exist, and an access rule must allow it. The system log says who asked.
type Issuer struct{ cfg IssuerConfig }

// NewIssuer returns an Issuer.
func NewIssuer(cfg IssuerConfig) *Issuer { return &Issuer{cfg: cfg} }

// IssueRequest says which token is wanted.
type IssueRequest struct {
	ClientID string
	Scopes   []string
	Login    string // of the user; empty: the client acts for itself
	// AuthTime, ACR and AMR say how the user is to be believed to have signed in;
	// zero values leave the claims out.
	AuthTime time.Time
	ACR      string
	AMR      []string
	// Lifetime shortens what the access rule gives; 0 leaves it.
	Lifetime time.Duration
	By       audit.Entity // who asks
}

// Issued is an access token.
type Issued struct {
	AccessToken string
	ID          string // jti
	Scopes      []string
	Expires     time.Time
}

// Issue mints a token of the target's server. The context carries the tenant. It
// returns fault.NotFound for an unknown app or user, Denied when one of them is
// not active or no access rule allows it, Invalid for a scope that the server
// does not have.
func (i *Issuer) Issue(ctx context.Context, t *Target, q IssueRequest) (_ Issued, err error) {
	defer fault.Wrap(&err, "issue a token of authorization server %q", t.Server.Name)
	app, ok := t.View.App(q.ClientID)
	if !ok {
		return Issued{}, fault.New(fault.NotFound, "there is no app %q", q.ClientID)
	}
	if app.Status != access.Active {
		return Issued{}, fault.New(fault.Denied, "app %q is not active", q.ClientID)
	}
	for _, s := range q.Scopes {
		if _, ok := t.Server.Scope(s); !ok {
			return Issued{}, fault.New(fault.Invalid, "authorization server %q has no scope %q", t.Server.Name, s)
		}
	}
	req := access.Request{Client: app.ID, GrantType: access.GrantClientCredentials, Scopes: q.Scopes}
	who := subject{name: app.ID}
	if q.Login != "" {
		if who, err = i.person(ctx, &q, &req); err != nil {
			return Issued{}, err
		}
	}
	var trace []access.Considered
	d := t.Server.Evaluate(&req, &trace)
	if !d.Allowed {
		return Issued{}, fault.Because(errors.New(describe(trace)), fault.Denied, "no access rule of authorization server %q allows it: %s", t.Server.Name, describe(trace))
	}
	lifetime := d.AccessTokenLifetime
	if q.Lifetime > 0 && q.Lifetime < lifetime {
		lifetime = q.Lifetime
	}
	made := draft{app: app, who: &who, scopes: q.Scopes, lifetime: lifetime}
	if err := i.cfg.Minter.transform(ctx, t, &d, req.GrantType, &made, nil); err != nil {
		return Issued{}, err
	}
	m, err := i.cfg.Minter.mint(ctx, t, &made)
	if err != nil {
		return Issued{}, err
	}
	ev := granted(t, app, req.GrantType, q.Scopes, &who, &d, &m, audit.Client{})
	ev.Actor, ev.Message = q.By, "OAuth2 access token is issued by an administrator"
	ev.Targets = append(ev.Targets, appActor(app.ID, app.Label))
	i.cfg.Audit.Record(ev)
	return Issued{AccessToken: m.token, ID: m.id, Scopes: q.Scopes, Expires: m.issued.Add(m.lifetime)}, nil
}

// person makes the user the subject of the request. Groups go into the token by
// name and into the evaluation by id.
func (i *Issuer) person(ctx context.Context, q *IssueRequest, req *access.Request) (subject, error) {
	u, err := i.cfg.People.FindUser(ctx, q.Login)
	if err != nil {
		return subject{}, err
	}
	if u.Value.Status != directory.Active {
		return subject{}, fault.New(fault.Denied, "user %q is %s", q.Login, u.Value.Status)
	}
	groups, err := i.cfg.People.GroupsOf(ctx, u.ID)
	if err != nil {
		return subject{}, err
	}
	who := subject{name: u.Value.Profile.Login, userID: u.ID, authTime: q.AuthTime, acr: q.ACR, amr: q.AMR}
	for _, g := range groups {
		who.groups = append(who.groups, g.Name)
		req.Groups = append(req.Groups, g.ID)
	}
	who.person = &access.Person{ID: u.ID, User: u.Value, Updated: u.Updated, Groups: groups, UserName: who.name, Assigned: true}
	req.GrantType, req.User = access.GrantAuthorizationCode, u.ID
	return who, nil
}

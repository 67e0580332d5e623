package access

import (
	"context"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// The reasons of faults that an edge may want to tell apart.
const (
	ReasonActive = "still_active"  // deactivate it first
	ReasonSystem = "system_object" // it came with the tenant or the server and stays
)

// The event types of changes, named as in Okta's System Log.
const (
	serverCreated     = "oauth2.as.created"
	serverUpdated     = "oauth2.as.updated"
	serverActivated   = "oauth2.as.activated"
	serverDeactivated = "oauth2.as.deactivated"
	serverDeleted     = "oauth2.as.deleted"
)

func serverEntity(o ledger.Object[Server]) audit.Entity {
	return audit.Entity{ID: o.ID, Type: "AuthorizationServer", DisplayName: o.Value.Name}
}

// ListServers returns a page of authorization servers without the org server,
// which has no settings of its own. Match may be nil.
func (s *Service) ListServers(ctx context.Context, after string, limit int, match func(ledger.Object[Server]) bool) (p ledger.Page[Server], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Servers.Select(tx, ledger.Query{After: after, Limit: limit}, func(o ledger.Object[Server]) bool {
			return !o.Value.org() && (match == nil || match(o))
		})
		return err
	})
	return p, err
}

// FindServer returns a server by id, or a default server by name, whatever its
// status, or fault.NotFound.
func (s *Service) FindServer(ctx context.Context, idOrName string) (o ledger.Object[Server], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = addressed(tx, idOrName)
		return err
	})
	return o, err
}

// addressed returns the server that a path names: by id, or a default one by name.
func addressed(tx *ledger.Tx, idOrName string) (ledger.Object[Server], error) {
	o, err := findServer(tx, idOrName)
	if err == nil && o.ID != idOrName && !o.Value.Default {
		return ledger.Object[Server]{}, fault.New(fault.NotFound, "there is no authorization server %s", quoted(idOrName))
	}
	return o, err
}

// CreateServer adds an authorization server with its system scopes and claims.
// It has no policy, so it grants nothing before it gets one. fault.Conflict when
// the name is taken.
func (s *Service) CreateServer(ctx context.Context, actor ledger.Actor, server Server) (o ledger.Object[Server], err error) {
	defer fault.Wrap(&err, "make authorization server %q", server.Name)
	server.Default = false
	err = s.update(ctx, actor, "make authorization server "+server.Name, func(tx *ledger.Tx) error {
		o, err = createServer(tx, server)
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, serverCreated, "Create authorization server", serverEntity(o))
	return o, nil
}

// ChangeServer applies change to a server.
func (s *Service) ChangeServer(ctx context.Context, actor ledger.Actor, idOrName string, change func(*Server) error) (o ledger.Object[Server], err error) {
	defer fault.Wrap(&err, "change authorization server %q", idOrName)
	err = s.update(ctx, actor, "change authorization server "+idOrName, func(tx *ledger.Tx) error {
		if o, err = addressed(tx, idOrName); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Default, o.Value.Status = was.Default, was.Status
		o.Value = o.Value.fill()
		o, err = Servers.Put(tx, o)
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, serverUpdated, "Update authorization server", serverEntity(o))
	return o, nil
}

// SetServerStatus puts a server in or out of force: one that is out of force
// issues nothing and answers as if it did not exist.
func (s *Service) SetServerStatus(ctx context.Context, actor ledger.Actor, idOrName string, status Status) (err error) {
	defer fault.Wrap(&err, "change the status of authorization server %q", idOrName)
	var o ledger.Object[Server]
	err = s.update(ctx, actor, "authorization server "+idOrName+" is "+string(status), func(tx *ledger.Tx) error {
		if o, err = addressed(tx, idOrName); err != nil {
			return err
		}
		if o.Value.org() {
			return fault.New(fault.Denied, "the org authorization server is always active").WithReason(ReasonSystem)
		}
		o.Value.Status = status
		o, err = Servers.Put(tx, o)
		return err
	})
	if err != nil {
		return err
	}
	event, text := serverActivated, "Activate authorization server"
	if status == Inactive {
		event, text = serverDeactivated, "Deactivate authorization server"
	}
	s.record(ctx, actor, event, text, serverEntity(o))
	return nil
}

// DeleteServer removes an inactive server with all that belongs to it. A default
// server stays.
func (s *Service) DeleteServer(ctx context.Context, actor ledger.Actor, idOrName string) (err error) {
	defer fault.Wrap(&err, "delete authorization server %q", idOrName)
	var o ledger.Object[Server]
	err = s.update(ctx, actor, "delete authorization server "+idOrName, func(tx *ledger.Tx) error {
		if o, err = addressed(tx, idOrName); err != nil {
			return err
		}
		switch {
		case o.Value.Default:
			return fault.New(fault.Denied, "the authorization server %s cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		case o.Value.Status != Inactive:
			return fault.New(fault.Denied, "the authorization server is active: deactivate it first").WithReason(ReasonActive)
		}
		return Servers.Delete(tx, o.ID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, serverDeleted, "Delete authorization server", serverEntity(o))
	return nil
}

// member returns an object of a server, or fault.NotFound when it is another's.
func member[T any](tx *ledger.Tx, kind *ledger.Kind[T], server, id string, of func(*T) string) (ledger.Object[T], error) {
	parent, err := addressed(tx, server)
	if err != nil {
		return ledger.Object[T]{}, err
	}
	o, err := kind.Get(tx, id)
	if err == nil && of(&o.Value) != parent.ID {
		return ledger.Object[T]{}, fault.New(fault.NotFound, "the authorization server has no %s %s", kind.Name(), quoted(id))
	}
	return o, err
}

// members returns the objects of a server for which an index or key begins with
// its id, in the order of that.
func members[T any](ctx context.Context, s *Service, kind *ledger.Kind[T], by, server string) (out []ledger.Object[T], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		parent, err := addressed(tx, server)
		if err != nil {
			return err
		}
		for o, err := range kind.All(tx, ledger.Query{By: by, Equal: []string{parent.ID}}) {
			if err != nil {
				return err
			}
			out = append(out, o)
		}
		return nil
	})
	return out, err
}

func scopeServer(s *Scope) string   { return s.Server }
func claimServer(c *Claim) string   { return c.Server }
func policyServer(p *Policy) string { return p.Server }

// ListScopes returns the scopes of a server, sorted by name.
func (s *Service) ListScopes(ctx context.Context, server string) ([]ledger.Object[Scope], error) {
	return members(ctx, s, Scopes, "name", server)
}

// FindScope returns a scope of a server by id, or fault.NotFound.
func (s *Service) FindScope(ctx context.Context, server, id string) (o ledger.Object[Scope], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = member(tx, Scopes, server, id, scopeServer)
		return err
	})
	return o, err
}

// AddScope adds a scope to the server that is named by id or default name.
func (s *Service) AddScope(ctx context.Context, actor ledger.Actor, server string, scope Scope) (o ledger.Object[Scope], err error) {
	parent, err := s.FindServer(ctx, server)
	if err != nil {
		return o, err
	}
	scope.Server = parent.ID
	id, err := s.CreateScope(ctx, actor, scope)
	if err != nil {
		return o, err
	}
	return s.FindScope(ctx, parent.ID, id)
}

// ChangeScope applies change to a scope of a server. The name of a system scope
// stays.
func (s *Service) ChangeScope(ctx context.Context, actor ledger.Actor, server, id string, change func(*Scope) error) (o ledger.Object[Scope], err error) {
	defer fault.Wrap(&err, "change scope %q", id)
	err = s.update(ctx, actor, "change scope "+id, func(tx *ledger.Tx) error {
		if o, err = member(tx, Scopes, server, id, scopeServer); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Server, o.Value.System = was.Server, was.System
		if was.System && o.Value.Name != was.Name {
			return fault.New(fault.Denied, "the scope %s belongs to the server and keeps its name", was.Name).WithReason(ReasonSystem)
		}
		o.Value = o.Value.fill()
		o, err = Scopes.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteScope removes a scope that is not the server's own.
func (s *Service) DeleteScope(ctx context.Context, actor ledger.Actor, server, id string) (err error) {
	defer fault.Wrap(&err, "delete scope %q", id)
	return s.update(ctx, actor, "delete scope "+id, func(tx *ledger.Tx) error {
		o, err := member(tx, Scopes, server, id, scopeServer)
		if err != nil {
			return err
		}
		if o.Value.System {
			return fault.New(fault.Denied, "the scope %s belongs to the server and cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		}
		return Scopes.Delete(tx, o.ID, 0)
	})
}

// ListClaims returns the claims of a server, sorted by name.
func (s *Service) ListClaims(ctx context.Context, server string) ([]ledger.Object[Claim], error) {
	return members(ctx, s, Claims, "server", server)
}

// FindClaim returns a claim of a server by id, or fault.NotFound.
func (s *Service) FindClaim(ctx context.Context, server, id string) (o ledger.Object[Claim], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = member(tx, Claims, server, id, claimServer)
		return err
	})
	return o, err
}

// AddClaim adds a claim to the server that is named by id or default name.
func (s *Service) AddClaim(ctx context.Context, actor ledger.Actor, server string, c Claim) (o ledger.Object[Claim], err error) {
	defer fault.Wrap(&err, "make claim %q", c.Name)
	c.System = false
	err = s.update(ctx, actor, "make claim "+c.Name, func(tx *ledger.Tx) error {
		parent, err := addressed(tx, server)
		if err != nil {
			return err
		}
		c := c
		c.Server = parent.ID
		if err := knownScopes(tx, parent.ID, c.Scopes); err != nil {
			return err
		}
		o, err = Claims.Create(tx, c.fill())
		return err
	})
	return o, err
}

// knownScopes reports the scopes that the server does not have: a condition on
// one could never hold.
func knownScopes(tx *ledger.Tx, server string, names []string) error {
	for _, n := range names {
		_, err := Scopes.Find(tx, ledger.By("name", server, n))
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.Invalid, "the claim is not valid").
				WithFields(fault.Field{Path: "conditions.scopes", Message: "the server has no scope " + quoted(n)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ChangeClaim applies change to a claim of a server. What the server's own claims
// are called and made of stays.
func (s *Service) ChangeClaim(ctx context.Context, actor ledger.Actor, server, id string, change func(*Claim) error) (o ledger.Object[Claim], err error) {
	defer fault.Wrap(&err, "change claim %q", id)
	err = s.update(ctx, actor, "change claim "+id, func(tx *ledger.Tx) error {
		if o, err = member(tx, Claims, server, id, claimServer); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Server, o.Value.System = was.Server, was.System
		if was.System && (o.Value.Name != was.Name || o.Value.ValueType != was.ValueType || o.Value.ClaimType != was.ClaimType) {
			return fault.New(fault.Denied, "the claim %s belongs to the server and keeps its name and type", was.Name).WithReason(ReasonSystem)
		}
		o.Value = o.Value.fill()
		if !slices.Equal(was.Scopes, o.Value.Scopes) {
			if err := knownScopes(tx, was.Server, o.Value.Scopes); err != nil {
				return err
			}
		}
		o, err = Claims.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteClaim removes a claim that is not the server's own.
func (s *Service) DeleteClaim(ctx context.Context, actor ledger.Actor, server, id string) (err error) {
	defer fault.Wrap(&err, "delete claim %q", id)
	return s.update(ctx, actor, "delete claim "+id, func(tx *ledger.Tx) error {
		o, err := member(tx, Claims, server, id, claimServer)
		if err != nil {
			return err
		}
		if o.Value.System {
			return fault.New(fault.Denied, "the claim %s belongs to the server and cannot be deleted", o.Value.Name).WithReason(ReasonSystem)
		}
		return Claims.Delete(tx, o.ID, 0)
	})
}

// ServerView returns the compiled view of a server by id, whatever its status, or
// fault.NotFound: for looking at its keys.
func (s *Service) ServerView(ctx context.Context, id string) (*ServerView, error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return nil, err
	}
	if v, ok := view.servers[id]; ok {
		return v, nil
	}
	return nil, fault.New(fault.NotFound, "there is no authorization server %s", quoted(id))
}

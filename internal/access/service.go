package access

import (
	"context"
	"strings"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// ServiceConfig is what a Service needs.
type ServiceConfig struct {
	Ledger *ledger.Ledger
	Views  *Views
	Audit  audit.Recorder
	Rings  Rotator // may be nil: then keys cannot be rotated
	Sealer Sealer  // may be nil: then secrets of apps cannot be read again
}

// Rotator makes the next signing key of a server sign.
type Rotator interface {
	Rotate(ctx context.Context, t tenant.ID, server *ServerView) error
}

// Service changes what this room keeps. The tenant of each call is that of its
// context; when a call returns, the process's own view shows the change.
type Service struct {
	ledger *ledger.Ledger
	views  *Views
	audit  audit.Recorder
	rings  Rotator
	sealer Sealer
}

// NewService returns a Service.
func NewService(cfg ServiceConfig) *Service {
	return &Service{ledger: cfg.Ledger, views: cfg.Views, audit: cfg.Audit, rings: cfg.Rings, sealer: cfg.Sealer}
}

// update runs f in one transaction. The view hears of the revision before update
// returns, so that whoever asks for it next sees the change.
func (s *Service) update(ctx context.Context, actor ledger.Actor, reason string, f func(*ledger.Tx) error) error {
	r, err := s.ledger.Update(ctx, actor, reason, f)
	if err != nil {
		return err
	}
	t, _ := tenant.From(ctx)
	s.views.Revised(ctx, t, int64(r))
	return nil
}

// record writes an event about a target.
func (s *Service) record(ctx context.Context, actor ledger.Actor, eventType, message string, target audit.Entity) {
	t, _ := tenant.From(ctx)
	s.audit.Record(audit.Event{
		Tenant: t, Type: eventType, Message: message,
		Actor:   audit.Entity{ID: actor.ID, Type: actor.Type, DisplayName: actor.Name},
		Targets: []audit.Entity{target}, Outcome: audit.Outcome{Result: audit.Success},
	})
}

// EnsureTenant makes what every tenant has, where it is missing: the server
// "default" for the tenant's APIs (audience api://default), the server "org" for
// Gatehouse's own API (its audience is its issuer, the identity URL), the system
// scopes of both, and for "default" one policy for all clients with one rule that
// allows every grant type and scope for an hour, as in a new Okta organization.
func (s *Service) EnsureTenant(ctx context.Context, actor ledger.Actor) (err error) {
	defer fault.Wrap(&err, "make the tenant's authorization servers")
	return s.update(ctx, actor, "what every tenant has", func(tx *ledger.Tx) error {
		if err := ensureSignOnPolicy(tx); err != nil {
			return err
		}
		if err := ensurePeoplePolicies(tx); err != nil {
			return err
		}
		if err := ensureZones(tx); err != nil {
			return err
		}
		id, made, err := ensureServer(tx, Server{
			Name: DefaultServer, Default: true, Audiences: []string{DefaultAudience},
			Description: "Issues tokens for your APIs.",
		})
		if err != nil {
			return err
		}
		if made {
			if err := createDefaultPolicy(tx, id); err != nil {
				return err
			}
		}
		org, _, err := ensureServer(tx, Server{
			Name: OrgServer, Default: true,
			Description: "Issues tokens for Gatehouse's own management API.",
		})
		if err != nil {
			return err
		}
		if err := ensureManagementScopes(tx, org); err != nil {
			return err
		}
		return ensureTerminal(tx)
	})
}

// ensureManagementScopes makes the scopes of the management API that the org server
// does not have yet.
func ensureManagementScopes(tx *ledger.Tx, org string) error {
	for _, name := range ManagementScopes() {
		_, err := Scopes.Find(tx, ledger.By("name", org, name))
		if fault.Is(err, fault.NotFound) {
			scope := Scope{Server: org, Name: name, DisplayName: name, Description: "Allows the app to use the management API.", System: true}
			if name == NativeScope {
				scope.Consent, scope.Description = ConsentRequired, "Manage Gatehouse as you: its configuration, keys, apps and users."
			}
			_, err = Scopes.Create(tx, scope.fill())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// createDefaultPolicy makes the policy that a new default server has.
func createDefaultPolicy(tx *ledger.Tx, server string) error {
	p, err := Policies.Create(tx, Policy{
		Server: server, Name: "Default Policy", Description: "Default policy for all clients", Priority: 1, System: true,
		Conditions: PolicyContexts{Clients: Selection{Include: []string{AllClients}}},
	}.fill())
	if err != nil {
		return err
	}
	_, err = Rules.Create(tx, Rule{
		Server: server, Policy: p.ID, Name: "Default Policy Rule", Priority: 1, System: true,
		Conditions: RuleConditions{
			People:     People{Groups: Selection{Include: []string{Everyone}}},
			GrantTypes: Selection{Include: GrantTypes()},
			Scopes:     Selection{Include: []string{AnyScope}},
		},
	}.fill())
	return err
}

// ensureServer makes the server and its system scopes unless one of that name is
// there.
func ensureServer(tx *ledger.Tx, server Server) (id string, made bool, err error) {
	found, err := Servers.Find(tx, ledger.By("name", server.Name))
	if err == nil {
		return found.ID, false, ensureClaims(tx, found.ID)
	}
	if !fault.Is(err, fault.NotFound) {
		return "", false, err
	}
	o, err := createServer(tx, server)
	return o.ID, true, err
}

// createServer makes the server with its system scopes and claims.
func createServer(tx *ledger.Tx, server Server) (ledger.Object[Server], error) {
	o, err := Servers.Create(tx, server.fill())
	if err != nil {
		return o, err
	}
	for _, sc := range SystemScopes(o.ID) {
		if _, err := Scopes.Create(tx, sc); err != nil {
			return o, err
		}
	}
	return o, ensureClaims(tx, o.ID)
}

// ensureClaims makes the system claims of a server that has no claim at all.
func ensureClaims(tx *ledger.Tx, server string) error {
	p, err := Claims.List(tx, ledger.Query{By: "server", Equal: []string{server}, Limit: 1})
	if err != nil || len(p.Items) > 0 {
		return err
	}
	for _, c := range SystemClaims(server) {
		if _, err := Claims.Create(tx, c); err != nil {
			return err
		}
	}
	return nil
}

// EnsureServer makes an authorization server with its system scopes unless one
// of that name is there; then it is returned as it is. A new server has no
// policy, so it grants nothing before it gets one.
func (s *Service) EnsureServer(ctx context.Context, actor ledger.Actor, server Server) (_ *ServerView, err error) {
	defer fault.Wrap(&err, "make authorization server %q", server.Name)
	server.Default = false
	var id string
	err = s.update(ctx, actor, "make authorization server "+server.Name, func(tx *ledger.Tx) error {
		var err error
		id, _, err = ensureServer(tx, server)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.Server(ctx, id)
}

// ServerSettings are the settings of a server that UpdateServer changes; nil
// leaves one as it is.
type ServerSettings struct {
	Audiences          []string
	Algorithm          *string
	Shape              *TokenShape
	AccessTokenMinutes *int
	RotationMode       *string
}

// UpdateServer changes settings of a server, by id or default name.
func (s *Service) UpdateServer(ctx context.Context, actor ledger.Actor, idOrName string, set ServerSettings) (err error) {
	defer fault.Wrap(&err, "change authorization server %q", idOrName)
	return s.update(ctx, actor, "change authorization server "+idOrName, func(tx *ledger.Tx) error {
		o, err := findServer(tx, idOrName)
		if err != nil {
			return err
		}
		if set.Audiences != nil {
			o.Value.Audiences = set.Audiences
		}
		assign(&o.Value.Algorithm, set.Algorithm)
		assign(&o.Value.Shape, set.Shape)
		assign(&o.Value.AccessTokenMinutes, set.AccessTokenMinutes)
		assign(&o.Value.Credentials.Signing.RotationMode, set.RotationMode)
		_, err = Servers.Put(tx, o)
		return err
	})
}

func assign[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// findServer returns a server by id, or by name.
func findServer(tx *ledger.Tx, idOrName string) (ledger.Object[Server], error) {
	o, err := Servers.Get(tx, idOrName)
	if fault.Is(err, fault.NotFound) {
		return Servers.Find(tx, ledger.By("name", idOrName))
	}
	return o, err
}

// Issuers returns the issuers of all authorization servers below an identity URL.
func (s *Service) Issuers(ctx context.Context, identityURL string) ([]string, error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, server := range view.Servers() {
		out = append(out, server.Issuer(identityURL))
	}
	return out, nil
}

// Server returns an active server of the tenant by id, or the default or org
// server by name, or fault.NotFound.
func (s *Service) Server(ctx context.Context, idOrName string) (*ServerView, error) {
	t, _ := tenant.From(ctx)
	view, err := s.views.Get(ctx, t)
	if err != nil {
		return nil, err
	}
	server, ok := view.Server(idOrName)
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no active authorization server %s", quoted(idOrName))
	}
	return server, nil
}

// EnsureScopes makes the scopes that the server (by id or name) does not have
// yet and returns their names. Scopes that are there stay as they are.
func (s *Service) EnsureScopes(ctx context.Context, actor ledger.Actor, server string, names []string, description string) (made []string, err error) {
	defer fault.Wrap(&err, "make scopes of authorization server %q", server)
	for _, n := range names {
		if !ValidScopeName(n) {
			return nil, errScopeName(n)
		}
	}
	err = s.update(ctx, actor, "make scopes "+strings.Join(names, " "), func(tx *ledger.Tx) error {
		made = nil
		o, err := findServer(tx, server)
		if err != nil {
			return err
		}
		for _, n := range sorted(names) {
			_, err := Scopes.Find(tx, ledger.By("name", o.ID, n))
			if err == nil {
				continue
			}
			if !fault.Is(err, fault.NotFound) {
				return err
			}
			if _, err := Scopes.Create(tx, Scope{Server: o.ID, Name: n, DisplayName: n, Description: description}.fill()); err != nil {
				return err
			}
			made = append(made, n)
		}
		return nil
	})
	return made, err
}

// CreateScope adds a scope to the server with the id in it.
func (s *Service) CreateScope(ctx context.Context, actor ledger.Actor, scope Scope) (id string, err error) {
	defer fault.Wrap(&err, "make scope %q", scope.Name)
	scope.System = false
	err = s.update(ctx, actor, "make scope "+scope.Name, func(tx *ledger.Tx) error {
		o, err := Scopes.Create(tx, scope.fill())
		id = o.ID
		return err
	})
	return id, err
}

// RotateKeys makes the next signing key of the server sign from now on. Tokens of
// the old key stay valid until they expire.
func (s *Service) RotateKeys(ctx context.Context, actor ledger.Actor, server string) (err error) {
	defer fault.Wrap(&err, "rotate the keys of authorization server %q", server)
	if s.rings == nil {
		return fault.New(fault.Unavailable, "this process holds no signing keys")
	}
	view, err := s.Server(ctx, server)
	if err != nil {
		return err
	}
	t, _ := tenant.From(ctx)
	if err := s.rings.Rotate(ctx, t, view); err != nil {
		return err
	}
	s.record(ctx, actor, audit.KeyRotated, "Rotate signing keys", audit.Entity{ID: view.ID, Type: "AuthorizationServer", DisplayName: view.Name})
	return nil
}

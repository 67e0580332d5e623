package issued

import (
	"context"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
)

// Store is what a Service needs of the store. Every method answers for the tenant
// of the context and is one transaction.
type Store interface {
	// RevokeGrants marks the selected grants as revoked, stores a revocation for each
	// of their access tokens that has not expired, and returns those: all or nothing.
	RevokeGrants(ctx context.Context, s Selection, now time.Time) (grants int, tokens []cluster.Revocation, err error)
	// Grants returns the selected grants that hold and have a refresh token, in the
	// order of their ids, from behind after, at most limit.
	Grants(ctx context.Context, s Selection, after string, limit int, now time.Time) ([]Grant, error)
	// GrantClients returns the apps of a user's grants that hold and have a refresh token,
	// or, when user is empty, of all of a server's; sorted, at most limit.
	GrantClients(ctx context.Context, user, server string, limit int, now time.Time) ([]string, error)
	// PruneGrants forgets what nobody can use any more, of all tenants.
	PruneGrants(ctx context.Context, now time.Time) (int64, error)
}

// Config is what a Service needs.
type Config struct {
	Store Store
	Bus   cluster.Publisher
	Now   func() time.Time // the clock
}

// Service lists and ends grants. The tenant of each call is that of its context.
type Service struct{ cfg Config }

// NewService returns a Service.
func NewService(cfg Config) *Service { return &Service{cfg: cfg} }

// Revoke ends the selected grants: their codes and refresh tokens are worth
// nothing from then on, and their access tokens are refused by every live node
// when it returns nil. It returns how many grants held until now. Once begun it
// is not given up because the caller hangs up.
func (s *Service) Revoke(ctx context.Context, sel Selection) (grants int, err error) {
	defer fault.Wrap(&err, "revoke grants")
	if sel.empty() {
		return 0, fault.New(fault.Invalid, "say whose grants are to be revoked")
	}
	ctx = context.WithoutCancel(ctx)
	grants, tokens, err := s.cfg.Store.RevokeGrants(ctx, sel, s.cfg.Now())
	if err != nil {
		return 0, err
	}
	for i := range tokens {
		if err := s.cfg.Bus.PublishRevocation(ctx, tokens[i]); err != nil {
			return grants, err
		}
	}
	return grants, nil
}

// List returns a page of the selected grants that hold and have a refresh token,
// and the cursor of the next page; empty when this is the last.
func (s *Service) List(ctx context.Context, sel Selection, after string, limit int) (out []Grant, next string, err error) {
	defer fault.Wrap(&err, "list grants")
	if sel.empty() {
		return nil, "", fault.New(fault.Invalid, "say whose grants are to be listed")
	}
	out, err = s.cfg.Store.Grants(ctx, sel, after, limit+1, s.cfg.Now())
	if err == nil && len(out) > limit {
		out = out[:limit]
		next = out[limit-1].ID
	}
	return out, next, err
}

// maxClients is how many apps Clients returns at most.
const maxClients = 1000

// Clients returns the client ids of the apps that have refresh tokens of a user, or, when
// user is empty, of an authorization server: sorted, a thousand at most.
func (s *Service) Clients(ctx context.Context, user, server string) (out []string, err error) {
	defer fault.Wrap(&err, "list the apps that have refresh tokens")
	return s.cfg.Store.GrantClients(ctx, user, server, maxClients, s.cfg.Now())
}

// Prune forgets what nobody can use any more, of all tenants, and returns how many
// rows that were.
func (s *Service) Prune(ctx context.Context, now time.Time) (int64, error) {
	return s.cfg.Store.PruneGrants(ctx, now)
}

package app

import (
	"context"
	"time"

	"gatehouse/client"
	"gatehouse/internal/access"
	"gatehouse/internal/admin"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// apiKeyService manages API keys. What it returns is in force on this node, and a
// key that it has switched off is off on every node. It implements admin.APIKeys.
type apiKeyService struct {
	id   *identity
	node *node
}

// List implements admin.APIKeys.
func (s apiKeyService) List(ctx context.Context, app string) ([]client.APIKey, error) {
	var out []client.APIKey
	after := ""
	for {
		page, err := s.id.access.ListAPIKeys(ctx, app, after, 1000)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Items {
			k := keyForClient(o, s.id.now())
			state, err := s.id.db.KeyState(ctx, o.ID)
			if err != nil {
				return nil, err
			}
			k.LastUsed, k.Uses = state.LastUsed, state.Uses
			out = append(out, k)
		}
		if after = page.Next; after == "" {
			return out, nil
		}
	}
}

// Create implements admin.APIKeys.
func (s apiKeyService) Create(ctx context.Context, actor admin.Actor, k client.APIKey) (client.APIKey, error) {
	if k.ID != "" || k.Key != "" || k.Status != "" || k.Hint != "" {
		return client.APIKey{}, fault.New(fault.Invalid, "id, key, begins and status are given by the server: send app, name, and scopes, apis, zones, limits and expires if you want to")
	}
	made, err := s.id.access.CreateAPIKey(ctx, ledgerActor(actor), access.NewAPIKey{
		App: k.App, Name: k.Name, Scopes: k.Scopes, APIs: k.APIs, Zones: k.Zones, Limits: k.Limits, Expires: k.Expires,
	})
	return s.made(ctx, made, err)
}

// Rotate implements admin.APIKeys.
func (s apiKeyService) Rotate(ctx context.Context, actor admin.Actor, id string, overlap time.Duration) (client.APIKey, error) {
	made, err := s.id.access.RotateAPIKey(ctx, ledgerActor(actor), id, overlap)
	if err == nil && overlap == 0 {
		err = s.off(ctx, id)
	}
	return s.made(ctx, made, err)
}

// Disable implements admin.APIKeys: durable first, then in force on every node.
func (s apiKeyService) Disable(ctx context.Context, actor admin.Actor, id string) (client.APIKey, error) {
	o, err := s.id.access.DisableAPIKey(ctx, ledgerActor(actor), id)
	if err == nil {
		err = s.off(ctx, id)
	}
	if err == nil {
		err = s.node.keys.follow(ctx, s.id.ledger)
	}
	if err != nil {
		return client.APIKey{}, err
	}
	return keyForClient(o, s.id.now()), nil
}

// Delete implements admin.APIKeys.
func (s apiKeyService) Delete(ctx context.Context, actor admin.Actor, id string) error {
	if err := s.id.access.DeleteAPIKey(ctx, ledgerActor(actor), id); err != nil {
		return err
	}
	return s.node.keys.follow(ctx, s.id.ledger)
}

// off tells every node that the key is off, and returns when they have heard. It
// never expires: a node may have kept the key for as long as it likes.
func (s apiKeyService) off(ctx context.Context, id string) error {
	return s.id.revoker.revoke(ctx, cluster.Revocation{Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: gateway.APIKeyIssuer, Value: id})
}

func (s apiKeyService) made(ctx context.Context, made access.CreatedAPIKey, err error) (client.APIKey, error) {
	if err == nil {
		err = s.node.keys.follow(ctx, s.id.ledger)
	}
	if err != nil {
		return client.APIKey{}, err
	}
	k := keyForClient(made.Object, s.id.now())
	k.Key = made.Text
	return k, nil
}

func keyForClient(o ledger.Object[access.APIKey], now time.Time) client.APIKey {
	v := o.Value
	k := client.APIKey{
		ID: o.ID, App: v.App, Name: v.Name, Hint: v.Hint, Scopes: v.Scopes, APIs: v.APIs, Zones: v.Zones, Limits: v.Limits,
		Status: "active", Created: v.Created, Expires: v.Expires, Replaces: v.Replaces,
	}
	switch {
	case v.Status != access.Active:
		k.Status = "disabled"
	case !v.Usable(now):
		k.Status = "expired"
	}
	return k
}

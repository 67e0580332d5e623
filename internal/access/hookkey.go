package access

import (
	"context"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// HookKey is a key by which this server proves itself where it gets the tokens that
// inline hooks are called with (Okta's hook keys).
type HookKey struct {
	Name   string `json:"name"` // unique
	KID    string `json:"kid"`  // the public half is found by it
	N      string `json:"n"`    // RFC 7518 section 6.3.1
	E      string `json:"e"`
	Sealed string `json:"sealed"` // PKCS #8 in PEM
}

// HookKeys are unique by name, and by what their public half is found by.
var HookKeys = ledger.NewKind(ledger.Spec[HookKey]{
	Name: "hook_key", IDPrefix: "HKY", Secrets: []string{"sealed"},
	Keys: func(k HookKey) []ledger.Key { return []ledger.Key{ledger.By("name", k.Name), ledger.By("kid", k.KID)} },
	Check: func(k HookKey) error {
		var c checks
		c.name("name", k.Name, 255)
		return c.err("hook key %s is not valid", quoted(k.Name))
	},
})

func hookKeyPlace(t tenant.ID, id string) keys.Place {
	return keys.Place{Tenant: t, Kind: HookKeys.Name(), ID: id, Field: "sealed"}
}

// ListHookKeys returns a page of hook keys.
func (s *Service) ListHookKeys(ctx context.Context, after string, limit int) (p ledger.Page[HookKey], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = HookKeys.List(tx, ledger.Query{After: after, Limit: limit})
		return err
	})
	return p, err
}

// FindHookKey returns a hook key by id, or fault.NotFound.
func (s *Service) FindHookKey(ctx context.Context, id string) (o ledger.Object[HookKey], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = HookKeys.Get(tx, id)
		return err
	})
	return o, err
}

// PublicHookKey returns a hook key by its kid, or fault.NotFound.
func (s *Service) PublicHookKey(ctx context.Context, kid string) (o ledger.Object[HookKey], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = HookKeys.Find(tx, ledger.By("kid", kid))
		return err
	})
	return o, err
}

// HookKeyUsed reports whether an inline hook names the key.
func (s *Service) HookKeyUsed(ctx context.Context, id string) (used bool, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		used, err = tx.ReferredBy(HookKeys.Name(), id, InlineHooks.Name())
		return err
	})
	return used, err
}

// CreateHookKey makes a key. fault.Conflict when the name is taken.
func (s *Service) CreateHookKey(ctx context.Context, actor ledger.Actor, name string) (o ledger.Object[HookKey], err error) {
	defer fault.Wrap(&err, "make hook key %q", name)
	if s.sealer == nil {
		return o, fault.New(fault.Unavailable, "this process keeps no keys of hooks")
	}
	made, err := keys.NewClientKey()
	if err != nil {
		return o, err
	}
	err = s.update(ctx, actor, "make hook key "+name, func(tx *ledger.Tx) error {
		id := HookKeys.NewID(tx)
		sealed, err := s.sealer.Seal(made.PEM, hookKeyPlace(tx.Tenant(), id))
		if err != nil {
			return err
		}
		o, err = HookKeys.Insert(tx, ledger.Object[HookKey]{
			Meta: ledger.Meta{ID: id}, Value: HookKey{Name: name, KID: made.ID, N: made.N, E: made.E, Sealed: sealed},
		})
		return err
	})
	return o, err
}

// RenameHookKey gives a key another name. fault.Conflict when it is taken.
func (s *Service) RenameHookKey(ctx context.Context, actor ledger.Actor, id, name string) (o ledger.Object[HookKey], err error) {
	defer fault.Wrap(&err, "rename hook key %q", id)
	err = s.update(ctx, actor, "rename hook key "+id, func(tx *ledger.Tx) error {
		if o, err = HookKeys.Get(tx, id); err != nil {
			return err
		}
		o.Value.Name = name
		o, err = HookKeys.Put(tx, o)
		return err
	})
	return o, err
}

// DeleteHookKey removes a key. fault.Conflict when a hook names it.
func (s *Service) DeleteHookKey(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete hook key %q", id)
	return s.update(ctx, actor, "delete hook key "+id, func(tx *ledger.Tx) error { return HookKeys.Delete(tx, id, 0) })
}

// HookAssertion returns what signs with a hook key.
func (s *Service) HookAssertion(ctx context.Context, id string) (*keys.Assertion, error) {
	o, err := s.FindHookKey(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.sealer == nil {
		return nil, fault.New(fault.Unavailable, "this process keeps no keys of hooks")
	}
	t, _ := tenant.From(ctx)
	text, err := s.sealer.Open(o.Value.Sealed, hookKeyPlace(t, id))
	if err != nil {
		return nil, err
	}
	key, err := keys.ParseAssertionKey(text)
	if err != nil {
		return nil, err
	}
	return key.As(o.Value.KID), nil
}

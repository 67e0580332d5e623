package access

import (
	"context"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

// What the system log calls changes of API keys; the types are ours.
const (
	apiKeyCreated  = "application.api_key.create"  // #nosec G101 -- the name of an event
	apiKeyRotated  = "application.api_key.rotate"  // #nosec G101 -- the name of an event
	apiKeyDisabled = "application.api_key.disable" // #nosec G101 -- the name of an event
	apiKeyDeleted  = "application.api_key.delete"  // #nosec G101 -- the name of an event
)

// NewAPIKey is what CreateAPIKey needs.
type NewAPIKey struct {
	App     string // id of the app
	Name    string
	Scopes  []string
	APIs    []string
	Zones   []string
	Limits  []string
	Expires time.Time // zero = never
}

// CreatedAPIKey is a new key. Its text is here and nowhere else: it is not stored.
type CreatedAPIKey struct {
	ledger.Object[APIKey]
	Text string
}

// CreateAPIKey makes a key of an active app and returns it. An app that is not
// there is fault.NotFound, one with MaxAPIKeys keys fault.Full.
func (s *Service) CreateAPIKey(ctx context.Context, actor ledger.Actor, n NewAPIKey) (out CreatedAPIKey, err error) {
	defer fault.Wrap(&err, "make API key %q of app %q", n.Name, n.App)
	err = s.update(ctx, actor, "make API key "+n.Name, func(tx *ledger.Tx) (err error) {
		out.Object, out.Text, err = createAPIKey(tx, APIKey{App: n.App, Name: n.Name, Scopes: n.Scopes, APIs: n.APIs, Zones: n.Zones, Limits: n.Limits, Expires: n.Expires})
		return err
	})
	if err != nil {
		return CreatedAPIKey{}, err
	}
	s.record(ctx, actor, apiKeyCreated, "Create API key", apiKeyEntity(out.ID, n.Name))
	return out, nil
}

// RotateAPIKey makes a key that may do what the named one may, and lets that one
// live on for overlap. The new key has as long to live as the old one had when
// it was made. A key that is not usable any more cannot be rotated.
func (s *Service) RotateAPIKey(ctx context.Context, actor ledger.Actor, id string, overlap time.Duration) (out CreatedAPIKey, err error) {
	defer fault.Wrap(&err, "rotate API key %q", id)
	if overlap < 0 || overlap > MaxKeyOverlap {
		return out, fault.New(fault.Invalid, "the overlap is between 0 and 90 days")
	}
	err = s.update(ctx, actor, "rotate API key "+id, func(tx *ledger.Tx) error {
		old, err := APIKeys.Get(tx, id)
		if err != nil {
			return err
		}
		if !old.Value.Usable(tx.Now()) {
			return fault.New(fault.Invalid, "the key is disabled or has expired: make a new one")
		}
		next := old.Value
		next.Replaces = old.ID
		if next.Family == "" {
			next.Family = old.ID
		}
		if !next.Expires.IsZero() {
			next.Expires = tx.Now().Add(old.Value.Expires.Sub(old.Value.Created))
		}
		if out.Object, out.Text, err = createAPIKey(tx, next); err != nil {
			return err
		}
		if overlap == 0 {
			old.Value.Status = Inactive
		} else if end := tx.Now().Add(overlap); old.Value.Expires.IsZero() || end.Before(old.Value.Expires) {
			old.Value.Expires = end
		}
		_, err = APIKeys.Put(tx, old)
		return err
	})
	if err != nil {
		return CreatedAPIKey{}, err
	}
	s.record(ctx, actor, apiKeyRotated, "Rotate API key", apiKeyEntity(out.ID, out.Value.Name))
	return out, nil
}

// DisableAPIKey makes the key good for nothing, for ever. One that is disabled
// already stays so.
func (s *Service) DisableAPIKey(ctx context.Context, actor ledger.Actor, id string) (o ledger.Object[APIKey], err error) {
	defer fault.Wrap(&err, "disable API key %q", id)
	err = s.update(ctx, actor, "disable API key "+id, func(tx *ledger.Tx) (err error) {
		if o, err = APIKeys.Get(tx, id); err != nil {
			return err
		}
		o.Value.Status = Inactive
		o, err = APIKeys.Put(tx, o)
		return err
	})
	if err == nil {
		s.record(ctx, actor, apiKeyDisabled, "Disable API key", apiKeyEntity(id, o.Value.Name))
	}
	return o, err
}

// DeleteAPIKey removes a key that is disabled or has expired; the history keeps it.
func (s *Service) DeleteAPIKey(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete API key %q", id)
	var name string
	err = s.update(ctx, actor, "delete API key "+id, func(tx *ledger.Tx) error {
		o, err := APIKeys.Get(tx, id)
		if err != nil {
			return err
		}
		if o.Value.Usable(tx.Now()) {
			return fault.New(fault.Invalid, "the key is in use: disable it first")
		}
		name = o.Value.Name
		return APIKeys.Delete(tx, id, o.Revision)
	})
	if err == nil {
		s.record(ctx, actor, apiKeyDeleted, "Delete API key", apiKeyEntity(id, name))
	}
	return err
}

// ListAPIKeys returns a page of keys, of one app or ("") of all. After is the Next
// of the page before; limit 0 means 200.
func (s *Service) ListAPIKeys(ctx context.Context, app, after string, limit int) (p ledger.Page[APIKey], err error) {
	q := ledger.Query{By: "app", After: after, Limit: limit}
	if app != "" {
		q.Equal = []string{app}
	}
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = APIKeys.List(tx, q)
		return err
	})
	return p, err
}

func apiKeyEntity(id, name string) audit.Entity {
	return audit.Entity{ID: id, Type: "APIKey", DisplayName: name}
}

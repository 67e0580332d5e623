package access

import (
	"context"
	"encoding/json"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// NewApp is what CreateApp needs.
type NewApp struct {
	Label      string
	Owner      string
	AuthMethod string            // empty = client_secret_basic
	GrantTypes []string          // empty = client_credentials
	PublicKeys []json.RawMessage // JWKs with a kid, for private_key_jwt
}

// Created is a new app. The secret is here and nowhere else: it is not stored.
type Created struct {
	ID     string // the client_id
	Secret string // empty for private_key_jwt and none
	App    App
}

// CreateApp adds an app and makes its first secret when its way of
// authentication needs one.
func (s *Service) CreateApp(ctx context.Context, actor ledger.Actor, n NewApp) (out Created, err error) {
	defer fault.Wrap(&err, "make app %q", n.Label)
	err = s.update(ctx, actor, "make app "+n.Label, func(tx *ledger.Tx) error {
		app := App{Label: n.Label, Owner: n.Owner, AuthMethod: n.AuthMethod, GrantTypes: n.GrantTypes}.fill()
		out = Created{}
		id := Apps.NewID(tx)
		if app.WithSecret() {
			out.Secret = keys.Secret(secretBits)
			made, err := s.rotated(tx, id, &app, out.Secret)
			if err != nil {
				return err
			}
			app.Secrets = []AppSecret{made}
		}
		for _, jwk := range n.PublicKeys {
			var named struct {
				ID string `json:"kid"`
			}
			if err := json.Unmarshal(jwk, &named); err != nil {
				return fault.Because(err, fault.Invalid, "a public key of the app is not a JWK")
			}
			app.Keys = append(app.Keys, AppKey{ID: named.ID, JWK: jwk, Status: Active, Created: tx.Now()})
		}
		o, err := Apps.Insert(tx, ledger.Object[App]{Meta: ledger.Meta{ID: id}, Value: app})
		out.ID, out.App = o.ID, o.Value
		return err
	})
	if err != nil {
		return Created{}, err
	}
	s.record(ctx, actor, audit.AppCreated, "Create application", appEntity(out.ID, n.Label))
	return out, nil
}

func appEntity(id, label string) audit.Entity {
	return audit.Entity{ID: id, Type: "AppInstance", DisplayName: label}
}

// DeactivateApp takes an app out of force: it gets no token and may not
// introspect or revoke. Tokens that it has go on until they expire or are revoked.
func (s *Service) DeactivateApp(ctx context.Context, actor ledger.Actor, clientID string) error {
	return s.setAppStatus(ctx, actor, clientID, Inactive, audit.AppDeactivated, "Deactivate application")
}

// ActivateApp puts an app in force again.
func (s *Service) ActivateApp(ctx context.Context, actor ledger.Actor, clientID string) error {
	return s.setAppStatus(ctx, actor, clientID, Active, audit.AppActivated, "Activate application")
}

func (s *Service) setAppStatus(ctx context.Context, actor ledger.Actor, clientID string, status Status, event, message string) (err error) {
	defer fault.Wrap(&err, "change the status of app %q", clientID)
	var label string
	err = s.updateApp(ctx, actor, "status "+string(status), clientID, func(_ *ledger.Tx, a *App) error {
		a.Status, label = status, a.Label
		return nil
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, event, message, appEntity(clientID, label))
	return nil
}

func (s *Service) updateApp(ctx context.Context, actor ledger.Actor, reason, clientID string, f func(*ledger.Tx, *App) error) error {
	return s.update(ctx, actor, "app "+clientID+": "+reason, func(tx *ledger.Tx) error {
		o, err := Apps.Get(tx, clientID)
		if err != nil {
			return err
		}
		if err := f(tx, &o.Value); err != nil {
			return err
		}
		_, err = Apps.Put(tx, o)
		return err
	})
}

// App returns one app, or fault.NotFound.
func (s *Service) App(ctx context.Context, clientID string) (o ledger.Object[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Apps.Get(tx, clientID)
		return err
	})
	return o, err
}

// AppByClient returns the app with the client id, or fault.NotFound.
func (s *Service) AppByClient(ctx context.Context, clientID string) (o ledger.Object[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = appByClient(tx, clientID)
		return err
	})
	return o, err
}

func appByClient(tx *ledger.Tx, clientID string) (ledger.Object[App], error) {
	o, err := Apps.Find(tx, ledger.By("client_id", clientID))
	if !fault.Is(err, fault.NotFound) {
		return o, err
	}
	if o, err = Apps.Get(tx, clientID); err == nil && o.Value.ClientID != "" {
		return ledger.Object[App]{}, fault.New(fault.NotFound, "there is no app with the client id %s", quoted(clientID))
	}
	return o, err
}

// ClientIDs returns the client ids of apps, in the same order; what is no app is
// left as it is.
func (s *Service) ClientIDs(ctx context.Context, apps []string) (out []string, err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		out = slices.Clone(apps)
		for i, id := range out {
			o, err := Apps.Get(tx, id)
			switch {
			case err == nil:
				out[i] = o.Value.Client(o.ID)
			case !fault.Is(err, fault.NotFound):
				return err
			}
		}
		return nil
	})
	return out, err
}

// FindApp returns the first app with the label, or fault.NotFound: labels are not
// unique.
func (s *Service) FindApp(ctx context.Context, label string) (o ledger.Object[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err := Apps.List(tx, ledger.Query{By: "label", Equal: []string{label}, Limit: 1})
		if err != nil {
			return err
		}
		if len(p.Items) == 0 {
			return fault.New(fault.NotFound, "there is no app with the label %s", quoted(label))
		}
		o = p.Items[0]
		return nil
	})
	return o, err
}

// ListApps returns a page of apps in the order of their labels. After is the Next
// of the page before; limit 0 means 200.
func (s *Service) ListApps(ctx context.Context, after string, limit int) (p ledger.Page[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Apps.List(tx, ledger.Query{By: "label", After: after, Limit: limit})
		return err
	})
	return p, err
}

package access

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// The event types of changes, named as in Okta's System Log.
const (
	appUpdated      = "application.lifecycle.update"
	appDeleted      = "application.lifecycle.delete"
	appUserAssigned = "application.user_membership.add"
	appUserRemoved  = "application.user_membership.remove"
)

// AddApp adds an app as it is described, with the given public keys, and with the
// secret or, when that is empty and its way of authentication needs one, one made
// here. fault.Conflict when the client id is taken.
func (s *Service) AddApp(ctx context.Context, actor ledger.Actor, app App, secret string, jwks []json.RawMessage) (o ledger.Object[App], shown string, err error) {
	defer fault.Wrap(&err, "make app %q", app.Label)
	if err := checkSecret(secret); err != nil {
		return o, "", err
	}
	err = s.update(ctx, actor, "make app "+app.Label, func(tx *ledger.Tx) (err error) {
		app, id := app.fill(), Apps.NewID(tx)
		app.Grants = nil
		shown = ""
		if app.WithSecret() {
			if shown = secret; shown == "" {
				shown = keys.Secret(secretBits)
			}
			made, err := s.sealedSecret(tx, id, shown)
			if err != nil {
				return err
			}
			app.Secrets = []AppSecret{made}
		}
		if app.Keys, err = appKeys(tx, nil, jwks); err != nil {
			return err
		}
		o, err = Apps.Insert(tx, ledger.Object[App]{Meta: ledger.Meta{ID: id}, Value: app})
		return err
	})
	if err != nil {
		return o, "", err
	}
	s.record(ctx, actor, audit.AppCreated, "Create application", appEntity(o.ID, app.Label))
	return o, shown, nil
}

// appKeys returns the keys of the JWKs; one that was there keeps its time.
func appKeys(tx *ledger.Tx, old []AppKey, jwks []json.RawMessage) ([]AppKey, error) {
	var out []AppKey
	for _, raw := range jwks {
		var jwk map[string]any
		if err := json.Unmarshal(raw, &jwk); err != nil {
			return nil, fault.Because(err, fault.Invalid, "a public key of the app is not a JWK")
		}
		id, _ := jwk["kid"].(string)
		k := AppKey{ID: id, Status: Active, Created: tx.Now()}
		if status, ok := jwk["status"].(string); ok {
			k.Status = Status(status)
		}
		for _, shown := range []string{"status", "id", "_links", "created", "lastUpdated"} {
			delete(jwk, shown)
		}
		for name, v := range jwk {
			if v == nil {
				delete(jwk, name)
			}
		}
		k.NoCurve = normalize(jwk)
		var err error
		if k.JWK, err = json.Marshal(jwk); err != nil {
			return nil, err
		}
		for i := range old {
			if old[i].ID == k.ID {
				k.Created = old[i].Created
			}
		}
		out = append(out, k)
	}
	return out, nil
}

// normalize writes the numbers of a public key as RFC 7518 asks for (Okta's SDKs
// send spare bits that are not zero), and names the curve where the length of the
// coordinates leaves no doubt. It reports whether it has named one.
func normalize(jwk map[string]any) (named bool) {
	for _, name := range []string{"n", "e", "x", "y"} {
		text, ok := jwk[name].(string)
		if !ok {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			continue // what cannot be read is refused by the check of the app
		}
		jwk[name] = base64.RawURLEncoding.EncodeToString(raw)
		if name == "x" && jwk["kty"] == "EC" && jwk["crv"] == nil {
			if curve, ok := map[int]string{32: "P-256", 48: "P-384", 66: "P-521"}[len(raw)]; ok {
				jwk["crv"], named = curve, true
			}
		}
	}
	return named
}

// AppChange is what ChangeApp changes.
type AppChange struct {
	Keys   []json.RawMessage // replace its public keys unless nil
	Secret string            // becomes its secret, unless it is one of those it has
	Change func(*App) error
}

// ChangeApp applies a change to an app. An app whose way of authentication comes
// to need a secret gets one; one that does not need secrets loses them.
func (s *Service) ChangeApp(ctx context.Context, actor ledger.Actor, clientID string, c AppChange) (o ledger.Object[App], err error) {
	defer fault.Wrap(&err, "change app %q", clientID)
	if err := checkSecret(c.Secret); err != nil {
		return o, err
	}
	err = s.update(ctx, actor, "change app "+clientID, func(tx *ledger.Tx) error {
		if o, err = Apps.Get(tx, clientID); err != nil {
			return err
		}
		was := o.Value
		if err := c.Change(&o.Value); err != nil {
			return err
		}
		o.Value.ClientID, o.Value.Status, o.Value.Secrets, o.Value.Grants = was.ClientID, was.Status, was.Secrets, was.Grants
		o.Value = o.Value.fill()
		if !o.Value.WithSecret() {
			o.Value.Secrets = nil
		} else if secret := c.Secret; secret != "" || len(was.Secrets) == 0 {
			if secret == "" {
				secret = keys.Secret(secretBits)
			}
			o.Value.Secrets = slices.Clone(was.Secrets)
			if err := s.replaceSecret(tx, o.ID, &o.Value, secret); err != nil {
				return err
			}
		}
		if c.Keys != nil {
			if o.Value.Keys, err = appKeys(tx, was.Keys, c.Keys); err != nil {
				return err
			}
		}
		o, err = Apps.Put(tx, o)
		return err
	})
	if err != nil {
		return o, err
	}
	s.record(ctx, actor, appUpdated, "Update application", appEntity(o.ID, o.Value.Label))
	return o, nil
}

// DeleteApp removes an inactive app with its assignments.
func (s *Service) DeleteApp(ctx context.Context, actor ledger.Actor, clientID string) (err error) {
	defer fault.Wrap(&err, "delete app %q", clientID)
	var label string
	err = s.update(ctx, actor, "delete app "+clientID, func(tx *ledger.Tx) error {
		o, err := Apps.Get(tx, clientID)
		if err != nil {
			return err
		}
		if o.Value.Status == Active {
			return fault.New(fault.Denied, "the app is active: deactivate it first").WithReason(ReasonActive)
		}
		label = o.Value.Label
		return Apps.Delete(tx, clientID, 0)
	})
	if err != nil {
		return err
	}
	s.record(ctx, actor, appDeleted, "Delete application", appEntity(clientID, label))
	return nil
}

// FindApps returns a page of the apps for which match reports true, in the order
// of their labels. Match may be nil; limit 0 means 200.
func (s *Service) FindApps(ctx context.Context, after string, limit int, match func(ledger.Object[App]) bool) (p ledger.Page[App], err error) {
	err = s.ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Apps.Select(tx, ledger.Query{By: "label", After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// AddAppKey adds a public key, a JWK (RFC 7517) with a kid, to those of an app.
func (s *Service) AddAppKey(ctx context.Context, actor ledger.Actor, clientID string, jwk json.RawMessage) (made AppKey, err error) {
	defer fault.Wrap(&err, "add a public key to app %q", clientID)
	err = s.updateApp(ctx, actor, "add a public key", clientID, func(tx *ledger.Tx, a *App) error {
		list, err := appKeys(tx, nil, []json.RawMessage{jwk})
		if err != nil {
			return err
		}
		made = list[0]
		a.Keys = append(a.Keys, made)
		return nil
	})
	return made, err
}

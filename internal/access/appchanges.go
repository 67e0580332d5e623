package access

import (
	"context"
	"encoding/base64"
	"encoding/json"

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

// minSecret is the least length of a secret that a caller brings.
const minSecret = 14

// AddApp adds an app as it is described, with the given public keys, and with the
// secret or, when that is empty and its way of authentication needs one, one made
// here. The secret is not stored: it is in the answer and nowhere else.
func (s *Service) AddApp(ctx context.Context, actor ledger.Actor, app App, secret string, jwks []json.RawMessage) (o ledger.Object[App], shown string, err error) {
	defer fault.Wrap(&err, "make app %q", app.Label)
	if secret != "" && len(secret) < minSecret {
		return o, "", fault.New(fault.Invalid, "the app is not valid").
			WithFields(fault.Field{Path: "credentials.oauthClient.client_secret", Message: "must have at least 14 characters"})
	}
	err = s.update(ctx, actor, "make app "+app.Label, func(tx *ledger.Tx) error {
		app := app.fill()
		shown = ""
		if app.AuthMethod == AuthSecretBasic || app.AuthMethod == AuthSecretPost {
			if shown = secret; shown == "" {
				shown = keys.Secret(secretBits)
			}
			app.Secrets = []AppSecret{newSecret(tx, shown)}
		}
		if app.Keys, err = appKeys(tx, nil, jwks); err != nil {
			return err
		}
		o, err = Apps.Create(tx, app)
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
		normalize(jwk)
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
// coordinates leaves no doubt.
func normalize(jwk map[string]any) {
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
				jwk["crv"] = curve
			}
		}
	}
}

// ChangeApp applies change to an app; jwks replaces its public keys unless nil. An
// app whose way of authentication comes to need a secret gets one, which is in
// the answer and nowhere else; one that does not need secrets loses them.
func (s *Service) ChangeApp(ctx context.Context, actor ledger.Actor, clientID string, jwks []json.RawMessage, change func(*App) error) (o ledger.Object[App], secret string, err error) {
	defer fault.Wrap(&err, "change app %q", clientID)
	err = s.update(ctx, actor, "change app "+clientID, func(tx *ledger.Tx) error {
		if o, err = Apps.Get(tx, clientID); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		o.Value.Status, o.Value.Secrets = was.Status, was.Secrets
		o.Value = o.Value.fill()
		secret = ""
		switch with := o.Value.AuthMethod == AuthSecretBasic || o.Value.AuthMethod == AuthSecretPost; {
		case with && len(was.Secrets) == 0:
			secret = keys.Secret(secretBits)
			o.Value.Secrets = []AppSecret{newSecret(tx, secret)}
		case !with:
			o.Value.Secrets = nil
		}
		if jwks != nil {
			if o.Value.Keys, err = appKeys(tx, was.Keys, jwks); err != nil {
				return err
			}
		}
		o, err = Apps.Put(tx, o)
		return err
	})
	if err != nil {
		return o, "", err
	}
	s.record(ctx, actor, appUpdated, "Update application", appEntity(o.ID, o.Value.Label))
	return o, secret, nil
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

// AddSecret gives the app another secret and returns it, the only time.
func (s *Service) AddSecret(ctx context.Context, actor ledger.Actor, clientID string) (made AppSecret, secret string, err error) {
	defer fault.Wrap(&err, "add a secret to app %q", clientID)
	err = s.updateApp(ctx, actor, "add a secret", clientID, func(tx *ledger.Tx, a *App) error {
		secret = keys.Secret(secretBits)
		made = newSecret(tx, secret)
		a.Secrets = append([]AppSecret{made}, a.Secrets...)
		return nil
	})
	return made, secret, err
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

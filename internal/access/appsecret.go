package access

import (
	"context"
	"slices"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/tenant"
)

// Sealer encrypts secrets for one place each. *keys.Sealer is one.
type Sealer interface {
	Seal(plain []byte, at keys.Place) (string, error)
	Open(sealed string, at keys.Place) ([]byte, error)
}

// secretBits is the size of a generated client secret.
const secretBits = 320

// minSecret is the least length of a secret that a caller brings.
const minSecret = 14

// macSecret is the least length of a secret that is the key of HS256: the key is as
// long as the hash (RFC 7518 section 3.2).
const macSecret = 32

// SharedSecrets returns the app's active secrets as they are, for the one method that
// needs them (client_secret_jwt).
func (a *AppView) SharedSecrets(t tenant.ID, sealer Sealer) (out [][]byte, err error) {
	if a.AuthMethod != AuthSecretJWT || sealer == nil {
		return nil, nil
	}
	for _, s := range a.Secrets {
		if s.Status != Active || !s.Long {
			continue
		}
		plain, err := sealer.Open(s.Sealed, secretPlace(t, a.Object, s.ID))
		if err != nil {
			return nil, err
		}
		out = append(out, plain)
	}
	return out, nil
}

// checkSecret refuses a secret that a caller brings and that is too short.
func checkSecret(secret string) error {
	if secret != "" && (len(secret) < minSecret || len(secret) > 100) {
		return fault.New(fault.Invalid, "the app is not valid").
			WithFields(fault.Field{Path: "credentials.oauthClient.client_secret", Message: "must have 14 to 100 characters"})
	}
	return nil
}

// newSecret returns a secret that nobody can read again.
func newSecret(tx *ledger.Tx, secret string) AppSecret {
	return AppSecret{ID: keys.ID("ocs"), Hash: keys.Hash(secret), Long: len(secret) >= macSecret, Status: Active, Created: tx.Now()}
}

// sealedSecret returns a secret of an app that those can read who may.
func (s *Service) sealedSecret(tx *ledger.Tx, app, secret string) (AppSecret, error) {
	made := newSecret(tx, secret)
	if s.sealer == nil {
		return made, nil
	}
	var err error
	made.Sealed, err = s.sealer.Seal([]byte(secret), secretPlace(tx.Tenant(), app, made.ID))
	return made, err
}

// secretPlace is where the sealed secret of an app belongs.
func secretPlace(t tenant.ID, app, secret string) keys.Place {
	return keys.Place{Tenant: t, Kind: Apps.Name(), ID: app, Field: "secrets." + secret}
}

// OpenSecret returns a secret of an app, empty when it was not kept: it was made
// where secrets are shown once, or there is no key here that opens it.
func (s *Service) OpenSecret(ctx context.Context, app string, secret AppSecret) (string, error) {
	if secret.Sealed == "" || s.sealer == nil {
		return "", nil
	}
	t, _ := tenant.From(ctx)
	plain, err := s.sealer.Open(secret.Sealed, secretPlace(t, app, secret.ID))
	if fault.Is(err, fault.Denied) {
		return "", nil
	}
	return string(plain), err
}

// CurrentSecret returns the newest active secret of an app, if it can be read.
func (s *Service) CurrentSecret(ctx context.Context, o ledger.Object[App]) (string, error) {
	for _, secret := range o.Value.Secrets {
		if secret.Status == Active {
			return s.OpenSecret(ctx, o.ID, secret)
		}
	}
	return "", nil
}

// AddSecret gives the app another secret, the one that is given or, when that is
// empty, one made here, and returns it.
func (s *Service) AddSecret(ctx context.Context, actor ledger.Actor, app, secret string, status Status) (made AppSecret, shown string, err error) {
	defer fault.Wrap(&err, "add a secret to app %q", app)
	if err := checkSecret(secret); err != nil {
		return made, "", err
	}
	err = s.updateApp(ctx, actor, "add a secret", app, func(tx *ledger.Tx, a *App) (err error) {
		if shown = secret; shown == "" {
			shown = keys.Secret(secretBits)
		}
		if made, err = s.sealedSecret(tx, app, shown); err != nil {
			return err
		}
		if status != "" {
			made.Status = status
		}
		a.Secrets = append([]AppSecret{made}, a.Secrets...)
		return nil
	})
	return made, shown, err
}

// replaceSecret makes the secret that a caller sends that of the app: it takes the
// place of the newest active one, unless it is one that the app has.
func (s *Service) replaceSecret(tx *ledger.Tx, app string, a *App, secret string) error {
	sum := keys.Hash(secret)
	if slices.ContainsFunc(a.Secrets, func(x AppSecret) bool { return x.Status == Active && keys.Equal(x.Hash, sum) }) {
		return nil
	}
	made, err := s.sealedSecret(tx, app, secret)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(a.Secrets, func(x AppSecret) bool { return x.Status == Active }); i >= 0 {
		a.Secrets[i] = made
		return nil
	}
	a.Secrets = append([]AppSecret{made}, a.Secrets...)
	return nil
}

// RotateSecret gives the app a new secret and returns it, the only time. The
// newest of the old secrets stays valid beside it, so that the app's owner can
// change over without a gap; older and inactive ones are removed.
func (s *Service) RotateSecret(ctx context.Context, actor ledger.Actor, clientID string) (secret string, err error) {
	defer fault.Wrap(&err, "rotate the secret of app %q", clientID)
	var label string
	err = s.updateApp(ctx, actor, "rotate the secret", clientID, func(tx *ledger.Tx, a *App) error {
		if !a.WithSecret() {
			return fault.New(fault.Invalid, "the app authenticates with %s and has no secret", a.AuthMethod)
		}
		label, secret = a.Label, keys.Secret(secretBits)
		kept := slices.DeleteFunc(slices.Clone(a.Secrets), func(x AppSecret) bool { return x.Status != Active })
		order.Stable(kept, func(x, y AppSecret) int { return y.Created.Compare(x.Created) })
		made, err := s.rotated(tx, clientID, a, secret)
		if err != nil {
			return err
		}
		a.Secrets = append([]AppSecret{made}, kept[:min(len(kept), MaxSecrets-1)]...)
		return nil
	})
	if err != nil {
		return "", err
	}
	s.record(ctx, actor, audit.AppSecretRotated, "Rotate client secret", appEntity(clientID, label))
	return secret, nil
}

// rotated returns the next secret of an app: one that is shown once, unless the app's
// way of authentication needs it as it is.
func (s *Service) rotated(tx *ledger.Tx, app string, a *App, secret string) (AppSecret, error) {
	if a.AuthMethod == AuthSecretJWT {
		return s.sealedSecret(tx, app, secret)
	}
	return newSecret(tx, secret), nil
}

// SetSecretStatus puts one secret of an app in or out of force; an inactive
// secret is refused and can be made active again.
func (s *Service) SetSecretStatus(ctx context.Context, actor ledger.Actor, clientID, secretID string, status Status) (err error) {
	defer fault.Wrap(&err, "change a secret of app %q", clientID)
	return s.updateApp(ctx, actor, "a secret is "+string(status), clientID, func(tx *ledger.Tx, a *App) error {
		for i := range a.Secrets {
			if a.Secrets[i].ID == secretID {
				a.Secrets[i].Status, a.Secrets[i].Updated = status, tx.Now()
				return nil
			}
		}
		return fault.New(fault.NotFound, "the app has no secret %s", quoted(secretID))
	})
}

// DeleteSecret removes one secret of an app.
func (s *Service) DeleteSecret(ctx context.Context, actor ledger.Actor, clientID, secretID string) (err error) {
	defer fault.Wrap(&err, "delete a secret of app %q", clientID)
	return s.updateApp(ctx, actor, "delete a secret", clientID, func(_ *ledger.Tx, a *App) error {
		before := len(a.Secrets)
		a.Secrets = slices.DeleteFunc(a.Secrets, func(x AppSecret) bool { return x.ID == secretID })
		if len(a.Secrets) == before {
			return fault.New(fault.NotFound, "the app has no secret %s", quoted(secretID))
		}
		return nil
	})
}

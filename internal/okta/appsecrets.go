package okta

import (
	"slices"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// readSecrets is the permission to read the secrets of apps. It is a part of
// okta.apps.manage and of no scope or role that only reads.
const readSecrets = "okta.apps.clientCredentials.read" // #nosec G101 -- the name of a permission

func (a *api) listSecrets(c *call) (answer, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(o.Value.Secrets))
	for i, s := range o.Value.Secrets {
		if out[i], err = a.secret(c, o.ID, s); err != nil {
			return answer{}, err
		}
	}
	return ok(out)
}

// createSecret makes a secret, or takes the one that is sent.
func (a *api) createSecret(c *call) (answer, error) {
	var b struct {
		Secret string        `json:"client_secret"`
		Status access.Status `json:"status"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	if b.Status != "" && b.Status != access.Active && b.Status != access.Inactive {
		return answer{}, unsupported("status", "must be ACTIVE or INACTIVE")
	}
	made, plain, err := a.Access.AddSecret(c.Context(), c.by(), c.arg("appId"), b.Secret, b.Status)
	if err != nil {
		return answer{}, err
	}
	out, err := a.secret(c, c.arg("appId"), made)
	if err != nil {
		return answer{}, err
	}
	out["client_secret"] = plain
	return created(out)
}

// findSecret returns the secret of the app that the path names.
func (a *api) findSecret(c *call) (access.AppSecret, error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return access.AppSecret{}, err
	}
	i := slices.IndexFunc(o.Value.Secrets, func(s access.AppSecret) bool { return s.ID == c.arg("secretId") })
	if i < 0 {
		return access.AppSecret{}, fault.New(fault.NotFound, "the app has no such secret")
	}
	return o.Value.Secrets[i], nil
}

func (a *api) getSecret(c *call) (answer, error) {
	s, err := a.findSecret(c)
	if err != nil {
		return answer{}, err
	}
	out, err := a.secret(c, c.arg("appId"), s)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// deleteSecret removes a secret, which has to be inactive.
func (a *api) deleteSecret(c *call) (answer, error) {
	s, err := a.findSecret(c)
	if err != nil {
		return answer{}, err
	}
	if s.Status == access.Active {
		return answer{}, fault.New(fault.Denied, "the secret is active: deactivate it first").WithReason(access.ReasonActive)
	}
	if err := a.Access.DeleteSecret(c.Context(), c.by(), c.arg("appId"), s.ID); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *api) activateSecret(c *call) (answer, error)   { return a.secretStatus(c, access.Active) }
func (a *api) deactivateSecret(c *call) (answer, error) { return a.secretStatus(c, access.Inactive) }

func (a *api) secretStatus(c *call, s access.Status) (answer, error) {
	if err := a.Access.SetSecretStatus(c.Context(), c.by(), c.arg("appId"), c.arg("secretId"), s); err != nil {
		return answer{}, err
	}
	return a.getSecret(c)
}

// secret shows a secret of an app: itself to those who may read it, if it was kept.
func (a *api) secret(c *call, app string, s access.AppSecret) (object, error) {
	other := opposite(s.Status)
	links := object{other: ref(a.href("apps", app, "credentials", "secrets", s.ID, "lifecycle", other), "POST")}
	if s.Status == access.Inactive {
		links["delete"] = ref(a.href("apps", app, "credentials", "secrets", s.ID), "DELETE")
	}
	changed := s.Updated
	if changed.IsZero() {
		changed = s.Created
	}
	out := object{
		"id": s.ID, "created": stamp(s.Created), "lastUpdated": stamp(changed), "status": s.Status, "secret_hash": s.Hash[:22], "_links": links,
	}
	if !c.actor.may(readSecrets) {
		return out, nil
	}
	plain, err := a.Access.OpenSecret(c.Context(), app, s)
	if plain != "" {
		out["client_secret"] = plain
	}
	return out, err
}

package okta

import (
	"context"
	"slices"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// ClientsPath is where clients register (RFC 7591) and are managed, by Okta's path.
const ClientsPath = "/oauth2/v1/clients"

// registrationsAMinute bounds how many clients one caller may register in a minute.
const registrationsAMinute = 60

func (a *api) listClients(c *call) (answer, error) {
	limit, err := c.limit(50, 200)
	if err != nil {
		return answer{}, err
	}
	q := strings.ToLower(c.FormValue("q"))
	p, err := a.Access.FindApps(c.Context(), c.FormValue("after"), limit, func(o ledger.Object[access.App]) bool {
		return strings.HasPrefix(strings.ToLower(o.Value.Label), q)
	})
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, func(o ledger.Object[access.App]) object { return client(o) })
}

// createClient registers a client (RFC 7591 section 3): an app like any other, about
// which people are asked, with a token by which it manages itself.
func (a *api) createClient(c *call) (answer, error) {
	var b clientBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	x := access.App{}
	if err := b.onto(&x, c.actor.may("okta.apps.manage")); err != nil {
		return answer{}, err
	}
	token, hash := access.RegistrationToken()
	x.OIDC.ConsentMethod, x.Registration = access.ConsentAsk, hash
	var err error
	if x.OIDC.SignOnPolicy, err = a.defaultSignOn(c); err != nil {
		return answer{}, err
	}
	o, secret, err := a.Access.AddApp(c.Context(), c.by(), x, "", b.keys())
	if err != nil {
		return answer{}, err
	}
	out := withSecret(client(o), secret)
	out["registration_access_token"], out["registration_client_uri"] = token, a.URL+ClientsPath+"/"+o.Value.Client(o.ID)
	return created(out)
}

func (a *api) getClient(c *call) (answer, error) {
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	if err != nil {
		return answer{}, err
	}
	return ok(client(o))
}

// replaceClient replaces all that a client says of itself (RFC 7592 section 2.2). What
// it cannot say stays: whether people are asked, who may use it, its status.
func (a *api) replaceClient(c *call) (answer, error) {
	var b clientBody
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	if err != nil {
		return answer{}, err
	}
	if b.ID != "" && b.ID != c.arg("clientId") {
		return answer{}, unsupported("client_id", "is that of another client")
	}
	if b.Secret != "" && !slices.ContainsFunc(o.Value.Secrets, func(s access.AppSecret) bool { return keys.Equal(s.Hash, keys.Hash(b.Secret)) }) {
		return answer{}, unsupported("client_secret", "cannot be chosen: leave it out")
	}
	o, err = a.Access.ChangeApp(c.Context(), c.by(), o.ID, access.AppChange{Keys: b.keys(), Change: func(x *access.App) error {
		return b.onto(x, c.actor.may("okta.apps.manage"))
	}})
	if err != nil {
		return answer{}, err
	}
	secret := ""
	if c.registrant || c.actor.may(readSecrets) {
		if secret, err = a.Access.CurrentSecret(c.Context(), o); err != nil {
			return answer{}, err
		}
	}
	return ok(withSecret(client(o), secret))
}

// deleteClient removes a client at once; what it was granted ends first.
func (a *api) deleteClient(c *call) (answer, error) {
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	if err != nil {
		return answer{}, err
	}
	if o.Value.Status == access.Active {
		if err := a.Access.DeactivateApp(c.Context(), c.by(), o.ID); err != nil {
			return answer{}, err
		}
	}
	if err := a.Access.DeleteApp(c.Context(), c.by(), o.ID); err != nil {
		return answer{}, inUse(err)
	}
	return nothing()
}

// newClientSecret gives a client another secret. The one before stays good beside it
// until the next, so that the client changes over without a gap.
func (a *api) newClientSecret(c *call) (answer, error) {
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	if err != nil {
		return answer{}, err
	}
	secret, err := a.Access.RotateSecret(c.Context(), c.by(), o.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(withSecret(client(o), secret))
}

// mayChangeClient guards a client as mayChangeApp does an app.
func (a *api) mayChangeClient(c *call) error {
	o, err := a.Access.AppByClient(c.Context(), c.arg("clientId"))
	if err != nil {
		return err
	}
	c.args["appId"] = o.ID
	return a.mayChangeApp(c)
}

// registrant authenticates a client by the token that it was given when it was
// registered: for itself alone (RFC 7592 section 2), and for nothing but its
// registration. What is wrong with it, it is not told.
func (a *api) registrant(ctx context.Context, c *call, token string) (Caller, error) {
	refused := fault.New(fault.Unauthenticated, "the registration access token is not valid here")
	id := c.arg("clientId")
	if id == "" || !strings.HasPrefix(c.URL.Path, ClientsPath+"/") {
		return Caller{}, refused
	}
	o, err := a.Access.AppByClient(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && !o.Value.Registrant(token) {
		return Caller{}, refused
	}
	c.registrant = err == nil
	return Caller{App: id, Name: o.Value.Label, Permissions: access.Permissions{"okta.clients.read", "okta.clients.manage"}}, err
}

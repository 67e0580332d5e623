package okta

import (
	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

func (a *api) listHookKeys(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.ListHookKeys(c.Context(), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return each(p, func(o ledger.Object[access.HookKey]) (object, error) { return a.hookKey(c, o) })
}

func (a *api) getHookKey(c *call) (answer, error) {
	o, err := a.Access.FindHookKey(c.Context(), c.arg("id"))
	if err != nil {
		return answer{}, err
	}
	out, err := a.hookKey(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// publicHookKey answers the public half of a key, by what the other side knows it by.
func (a *api) publicHookKey(c *call) (answer, error) {
	o, err := a.Access.PublicHookKey(c.Context(), c.arg("keyId"))
	if err != nil {
		return answer{}, err
	}
	return ok(hookJWK(o.Value))
}

func (a *api) createHookKey(c *call) (answer, error) {
	return a.writeHookKey(c, func(name string) (ledger.Object[access.HookKey], error) {
		return a.Access.CreateHookKey(c.Context(), c.by(), name)
	})
}

func (a *api) replaceHookKey(c *call) (answer, error) {
	return a.writeHookKey(c, func(name string) (ledger.Object[access.HookKey], error) {
		return a.Access.RenameHookKey(c.Context(), c.by(), c.arg("id"), name)
	})
}

// writeHookKey answers with the public half, as only what writes does.
func (a *api) writeHookKey(c *call, write func(name string) (ledger.Object[access.HookKey], error)) (answer, error) {
	var b struct {
		Name string `json:"name"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := write(b.Name)
	if err != nil {
		return answer{}, taken(err, "name")
	}
	out, err := a.hookKey(c, o)
	if err != nil {
		return answer{}, err
	}
	out["_embedded"] = hookJWK(o.Value)
	return ok(out)
}

func (a *api) deleteHookKey(c *call) (answer, error) {
	if err := a.Access.DeleteHookKey(c.Context(), c.by(), c.arg("id")); err != nil {
		return answer{}, inUse(err)
	}
	return nothing()
}

func (a *api) hookKey(c *call, o ledger.Object[access.HookKey]) (object, error) {
	used, err := a.Access.HookKeyUsed(c.Context(), o.ID)
	return object{
		"id": o.ID, "keyId": o.Value.KID, "name": o.Value.Name, "created": stamp(o.Created), "lastUpdated": stamp(o.Updated), "isUsed": used,
	}, err
}

// hookJWK is the public half of a key, in Okta's words: its alg is that of the key.
func hookJWK(k access.HookKey) object {
	return object{"kty": "RSA", "alg": "RSA", "kid": k.KID, "use": nil, "e": k.E, "n": k.N}
}

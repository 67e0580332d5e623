package okta

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
)

func (a *api) listTokens(c *call) (answer, error) {
	limit, err := c.limit(200, 200)
	if err != nil {
		return answer{}, err
	}
	p, err := a.Access.ListAPITokens(c.Context(), c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	return page(p.Items, p.Next, a.token)
}

func (a *api) getToken(c *call) (answer, error) {
	o, err := a.Access.APIToken(c.Context(), c.arg("apiTokenId"))
	if err != nil {
		return answer{}, err
	}
	return ok(a.token(o))
}

func (a *api) deleteToken(c *call) (answer, error) {
	return a.revoke(c.Context(), c.by(), c.arg("apiTokenId"))
}

// deleteCurrentToken revokes the token that the call is made with.
func (a *api) deleteCurrentToken(c *call) (answer, error) {
	if c.actor.Token == "" {
		return answer{}, fault.New(fault.NotFound, "the token belongs to the process and ends with it")
	}
	return a.revoke(c.Context(), c.by(), c.actor.Token)
}

func (a *api) revoke(ctx context.Context, by ledger.Actor, id string) (answer, error) {
	if err := a.Access.DeleteAPIToken(ctx, by, id); err != nil {
		return answer{}, err
	}
	return nothing()
}

// token shows an API token, and nothing that could stand for it.
func (a *api) token(o ledger.Object[access.APIToken]) object {
	return object{
		"id": o.ID, "name": o.Value.Name, "userId": o.Value.User, "clientName": "Gatehouse", "network": object{"connection": "ANYWHERE"},
		"created": stamp(o.Value.Created), "lastUpdated": stamp(o.Updated), "expiresAt": stamp(o.Value.Expires),
		"_links": object{
			"self": ref(a.href("api-tokens", o.ID), "GET", "DELETE"),
			"user": ref(a.href("users", o.Value.User), "GET"),
		},
	}
}

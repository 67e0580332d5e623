package okta

import (
	"context"
	"net/http"
	"time"

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
	out := make([]object, len(p.Items))
	for i := range p.Items {
		if out[i], err = a.token(c, p.Items[i]); err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusOK, body: out, list: true, next: p.Next}, nil
}

func (a *api) getToken(c *call) (answer, error) {
	o, err := a.Access.APIToken(c.Context(), c.arg("apiTokenId"))
	if err != nil {
		return answer{}, err
	}
	return a.showToken(c, o)
}

func (a *api) showToken(c *call, o ledger.Object[access.APIToken]) (answer, error) {
	out, err := a.token(c, o)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// replaceToken changes the name of a token and from where it may be used. Whose it
// is, and what it is, stay.
func (a *api) replaceToken(c *call) (answer, error) {
	var b struct {
		Name    string `json:"name"`
		User    string `json:"userId"`
		Network *struct {
			Connection string   `json:"connection"`
			Include    []string `json:"include"`
			Exclude    []string `json:"exclude"`
		} `json:"network"`
	}
	if err := c.read(&b); err != nil {
		return answer{}, err
	}
	o, err := a.Access.ChangeAPIToken(c.Context(), c.by(), c.arg("apiTokenId"), func(t *access.APIToken) error {
		if b.User != "" && b.User != t.User {
			return unsupported("userId", "cannot be changed: a token acts as who made it")
		}
		t.Name = b.Name
		if b.Network != nil {
			t.Connection, t.Include, t.Exclude = b.Network.Connection, b.Network.Include, b.Network.Exclude
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return a.showToken(c, o)
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

// TokenUse says when an API token was used last; zero for never.
type TokenUse interface {
	LastUse(ctx context.Context, token string) (time.Time, error)
}

// idleTime is access.IdleTime as a duration of ISO 8601.
const idleTime = "P30D"

// token shows an API token, and nothing that could stand for it.
func (a *api) token(c *call, o ledger.Object[access.APIToken]) (object, error) {
	used, err := a.TokenUse.LastUse(c.Context(), o.ID)
	if err != nil {
		return nil, err
	}
	v, network := o.Value, object{"connection": access.ConnectAnywhere}
	if v.Connection == access.ConnectZone {
		network["connection"] = v.Connection
		if len(v.Include) > 0 {
			network["include"] = v.Include
		}
		if len(v.Exclude) > 0 {
			network["exclude"] = v.Exclude
		}
	}
	return object{
		"id": o.ID, "name": v.Name, "userId": v.User, "clientName": "Okta API", "tokenWindow": idleTime, "network": network,
		"created": stamp(v.Created), "lastUpdated": stamp(o.Updated), "expiresAt": stamp(v.Ends(used)),
		"_links": object{
			"self": ref(a.href("api-tokens", o.ID), "GET", "DELETE"),
			"user": ref(a.href("users", v.User), "GET"),
		},
	}, nil
}

package admin

import (
	"context"
	"net/http"

	"gatehouse/client"
)

// Revocations refuses tokens, and takes that back.
type Revocations interface {
	// Revoke returns when every node refuses what r names. A dry run returns what it
	// would have done.
	Revoke(ctx context.Context, actor Actor, r client.Revocation, dryRun bool) (client.Revocation, error)
	List(ctx context.Context, q client.RevocationQuery) (client.RevocationPage, error)
	Lift(ctx context.Context, actor Actor, id string) error
}

func (a *API) revocations(c *call) (any, error) {
	limit, err := queryNumber(c.Request, "limit")
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > 1000 {
		limit = 200
	}
	q := c.URL.Query()
	return a.Revocations.List(c.Context(), client.RevocationQuery{
		Kind: q.Get("kind"), Value: q.Get("value"), After: q.Get("after"), Limit: int(limit),
	})
}

func (a *API) revoke(c *call) (any, error) {
	var in client.Revocation
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return a.Revocations.Revoke(c.Context(), c.actor, in, c.URL.Query().Get("dryRun") == "true")
}

func (a *API) liftRevocation(c *call) (any, error) {
	if err := a.Revocations.Lift(c.Context(), c.actor, c.PathValue("id")); err != nil {
		return nil, err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

package admin

import (
	"context"
	"net/http"

	"gatehouse/client"
)

// People adds users.
type People interface {
	Import(ctx context.Context, actor Actor, users []client.NewUser) error
}

func (a *API) importUsers(c *call) (any, error) {
	var in client.UserImport
	if err := c.read(&in); err != nil {
		return nil, err
	}
	if err := a.People.Import(c.Context(), c.actor, in.Users); err != nil {
		return nil, err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

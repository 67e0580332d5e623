package admin

import (
	"context"

	"gatehouse/client"
)

// Objects knows what became of single objects of people and policies.
type Objects interface {
	// History returns the changes of an object, the newest first.
	History(ctx context.Context, kind, id string) ([]client.ObjectChange, error)
	// Restore brings an object back to what it was.
	Restore(ctx context.Context, actor Actor, kind, id string, r client.ObjectRestore) (client.RestoredObject, error)
}

type objectHistoryAnswer struct {
	Changes []client.ObjectChange `json:"changes"`
}

func (a *API) objectHistory(c *call) (any, error) {
	list, err := a.Objects.History(c.Context(), c.PathValue("kind"), c.PathValue("id"))
	return objectHistoryAnswer{list}, err
}

func (a *API) restoreObject(c *call) (any, error) {
	var in client.ObjectRestore
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return a.Objects.Restore(c.Context(), c.actor, c.PathValue("kind"), c.PathValue("id"), in)
}

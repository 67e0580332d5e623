package admin

import (
	"context"
	"net/http"
	"time"

	"gatehouse/client"
	"gatehouse/internal/fault"
)

// APIKeys manages the API keys of apps.
type APIKeys interface {
	List(ctx context.Context, app string) ([]client.APIKey, error)
	Create(ctx context.Context, actor Actor, k client.APIKey) (client.APIKey, error)
	Rotate(ctx context.Context, actor Actor, id string, overlap time.Duration) (client.APIKey, error)
	Disable(ctx context.Context, actor Actor, id string) (client.APIKey, error)
	Delete(ctx context.Context, actor Actor, id string) error
}

type apiKeysAnswer struct {
	Keys []client.APIKey `json:"api_keys"`
}

func (a *API) apiKeys(c *call) (any, error) {
	list, err := a.APIKeys.List(c.Context(), c.URL.Query().Get("app"))
	return apiKeysAnswer{Keys: list}, err
}

func (a *API) createAPIKey(c *call) (any, error) {
	var k client.APIKey
	if err := c.read(&k); err != nil {
		return nil, err
	}
	return a.APIKeys.Create(c.Context(), c.actor, k)
}

func (a *API) rotateAPIKey(c *call) (any, error) {
	var in client.APIKeyRotation
	if err := c.read(&in); err != nil {
		return nil, err
	}
	var overlap time.Duration
	if in.Overlap != "" {
		var err error
		if overlap, err = time.ParseDuration(in.Overlap); err != nil {
			return nil, fault.New(fault.Invalid, "overlap is a duration such as 24h")
		}
	}
	return a.APIKeys.Rotate(c.Context(), c.actor, c.PathValue("id"), overlap)
}

func (a *API) disableAPIKey(c *call) (any, error) {
	return a.APIKeys.Disable(c.Context(), c.actor, c.PathValue("id"))
}

func (a *API) deleteAPIKey(c *call) (any, error) {
	if err := a.APIKeys.Delete(c.Context(), c.actor, c.PathValue("id")); err != nil {
		return nil, err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

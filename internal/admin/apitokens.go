package admin

import (
	"context"
	"net/http"

	"gatehouse/client"
)

// APITokens manages the tokens with which people's programs call the management
// APIs.
type APITokens interface {
	List(ctx context.Context) ([]client.APIToken, error)
	Create(ctx context.Context, actor Actor, t client.APIToken) (client.APIToken, error)
	Delete(ctx context.Context, actor Actor, id string) error
}

type apiTokensAnswer struct {
	Tokens []client.APIToken `json:"api_tokens"`
}

func (a *API) apiTokens(c *call) (any, error) {
	list, err := a.APITokens.List(c.Context())
	return apiTokensAnswer{Tokens: list}, err
}

func (a *API) createAPIToken(c *call) (any, error) {
	var t client.APIToken
	if err := c.read(&t); err != nil {
		return nil, err
	}
	return a.APITokens.Create(c.Context(), c.actor, t)
}

func (a *API) deleteAPIToken(c *call) (any, error) {
	if err := a.APITokens.Delete(c.Context(), c.actor, c.PathValue("id")); err != nil {
		return nil, err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil, nil
}

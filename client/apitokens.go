package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// APIToken lets a person's programs call the management APIs as that person.
type APIToken struct {
	ID      string    `json:"id,omitempty"`
	Name    string    `json:"name"`
	User    string    `json:"user"` // login; a token may do what the user's administrator roles allow
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // zero = when it has not been used for 30 days
	// Token is present in the answer to CreateAPIToken alone: it is shown once.
	Token string `json:"token,omitempty"`
}

// APITokens lists the API tokens of all people, without the tokens.
func (c *Client) APITokens(ctx context.Context) ([]APIToken, error) {
	var out struct {
		Tokens []APIToken `json:"api_tokens"`
	}
	err := c.call(ctx, http.MethodGet, "/api-tokens", nil, &out)
	return out.Tokens, err
}

// CreateAPIToken makes an API token of a person.
func (c *Client) CreateAPIToken(ctx context.Context, t APIToken) (APIToken, error) {
	var out APIToken
	err := c.call(ctx, http.MethodPost, "/api-tokens", t, &out)
	return out, err
}

// DeleteAPIToken ends an API token at once.
func (c *Client) DeleteAPIToken(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api-tokens/"+url.PathEscape(id), nil, nil)
}

package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// APIKey is a key with which a program calls APIs as an app.
type APIKey struct {
	ID      string    `json:"id,omitempty"`
	App     string    `json:"app"` // id of the app
	Name    string    `json:"name"`
	Hint    string    `json:"begins,omitempty"` // how the key begins
	Scopes  []string  `json:"scopes,omitempty"`
	APIs    []string  `json:"apis,omitempty"`   // names of the APIs that it is for; empty = all that take keys
	Zones   []string  `json:"zones,omitempty"`  // names of the zones that it may be used from; empty = anywhere
	Limits  []string  `json:"limits,omitempty"` // such as 100/min; keys that were rotated count together
	Status  string    `json:"status,omitempty"` // active, disabled or expired
	Created time.Time `json:"created,omitzero"`
	Expires time.Time `json:"expires,omitzero"` // zero = never
	// Replaces is the key that it was rotated from.
	Replaces string `json:"replaces,omitempty"`
	// LastUsed and Uses follow what happens with a delay of some seconds.
	LastUsed time.Time `json:"last_used,omitzero"`
	Uses     int64     `json:"uses,omitempty"`
	// Key is present in the answers to CreateAPIKey and RotateAPIKey alone: it is shown once.
	Key string `json:"key,omitempty"`
}

// APIKeyRotation says how long the old key lives on beside the new one.
type APIKeyRotation struct {
	Overlap string `json:"overlap,omitempty"` // a duration such as "24h"; empty = none
}

// APIKeys lists the API keys of an app, or ("") of all apps.
func (c *Client) APIKeys(ctx context.Context, app string) ([]APIKey, error) {
	var out struct {
		Keys []APIKey `json:"api_keys"`
	}
	path := "/api-keys"
	if app != "" {
		path += "?app=" + url.QueryEscape(app)
	}
	err := c.call(ctx, http.MethodGet, path, nil, &out)
	return out.Keys, err
}

// CreateAPIKey makes a key of an app.
func (c *Client) CreateAPIKey(ctx context.Context, k APIKey) (APIKey, error) {
	var out APIKey
	err := c.call(ctx, http.MethodPost, "/api-keys", k, &out)
	return out, err
}

// RotateAPIKey makes a key that may do what the named one may, which lives on for
// the overlap.
func (c *Client) RotateAPIKey(ctx context.Context, id string, overlap time.Duration) (APIKey, error) {
	var out APIKey
	err := c.call(ctx, http.MethodPost, "/api-keys/"+url.PathEscape(id)+"/rotate", APIKeyRotation{Overlap: overlap.String()}, &out)
	return out, err
}

// DisableAPIKey makes the key good for nothing, on every node before it returns,
// and for ever.
func (c *Client) DisableAPIKey(ctx context.Context, id string) (APIKey, error) {
	var out APIKey
	err := c.call(ctx, http.MethodPost, "/api-keys/"+url.PathEscape(id)+"/disable", struct{}{}, &out)
	return out, err
}

// DeleteAPIKey removes a key that is disabled or has expired.
func (c *Client) DeleteAPIKey(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api-keys/"+url.PathEscape(id), nil, nil)
}

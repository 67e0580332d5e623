package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Status is what a server says of itself.
type Status struct {
	Version  string    `json:"version"`
	Tenant   string    `json:"tenant"`
	Revision int64     `json:"revision"` // of the ledger
	Started  time.Time `json:"started"`
	Nodes    []Node    `json:"nodes"`
}

// Node is one process that serves traffic.
type Node struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision"` // what it serves
}

// Key is one signing key, public facts only.
type Key struct {
	Server    string    `json:"server"`
	ID        string    `json:"kid"`
	Algorithm string    `json:"alg"`
	State     string    `json:"state"`
	Created   time.Time `json:"created"`
	Activates time.Time `json:"activates,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
}

// Server is a built-in authorization server.
type Server struct {
	ID        string   `json:"id,omitempty"`
	Name      string   `json:"name,omitempty"`
	Issuer    string   `json:"issuer,omitempty"`
	Status    string   `json:"status,omitempty"`
	Audiences []string `json:"audiences,omitempty"`
	// Algorithm signs its tokens: RS256, PS256, ES256 or EdDSA.
	Algorithm string `json:"algorithm,omitempty"`
	// TokenShape is okta (cid, scp, uid) or rfc9068 (client_id, scope, typ at+jwt).
	TokenShape string `json:"token_shape,omitempty"`
	// AccessTokenMinutes is the lifetime of tokens where no access rule says another.
	AccessTokenMinutes int `json:"access_token_minutes,omitempty"`
}

// App is an OAuth client.
type App struct {
	ID         string   `json:"id,omitempty"`
	Label      string   `json:"label"`
	Status     string   `json:"status,omitempty"`
	GrantTypes []string `json:"grant_types,omitempty"`
	// Secret is present in the answer to CreateApp alone: it is shown once.
	Secret string `json:"client_secret,omitempty"`
}

// TokenRequest asks for a token for trying things out.
type TokenRequest struct {
	Server   string   `json:"server,omitempty"` // default "default"
	User     string   `json:"user,omitempty"`   // login; empty = the app itself
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	// MFA makes the token say that the user has just signed in with a second factor.
	MFA bool `json:"mfa,omitempty"`
}

// Token is an access token.
type Token struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// Status returns the server's version, revision and nodes.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/status", nil, &s)
	return s, err
}

// Servers lists the built-in authorization servers.
func (c *Client) Servers(ctx context.Context) ([]Server, error) {
	var out struct {
		Servers []Server `json:"servers"`
	}
	err := c.call(ctx, http.MethodGet, "/servers", nil, &out)
	return out.Servers, err
}

// UpdateServer changes the settings of a server, by name or id, that are not zero,
// and returns what it is then.
func (c *Client) UpdateServer(ctx context.Context, server string, set Server) (Server, error) {
	var out Server
	err := c.call(ctx, http.MethodPatch, "/servers/"+url.PathEscape(server), set, &out)
	return out, err
}

// Keys lists the signing keys of every authorization server.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	var out struct {
		Keys []Key `json:"keys"`
	}
	err := c.call(ctx, http.MethodGet, "/keys", nil, &out)
	return out.Keys, err
}

// RotateKeys makes the next key of a server sign from now on, and publishes a new next key.
func (c *Client) RotateKeys(ctx context.Context, server string) ([]Key, error) {
	var out struct {
		Keys []Key `json:"keys"`
	}
	err := c.call(ctx, http.MethodPost, "/keys/"+url.PathEscape(server)+"/rotate", struct{}{}, &out)
	return out.Keys, err
}

// CreateApp registers a service that may ask for tokens by client credentials.
func (c *Client) CreateApp(ctx context.Context, app App) (App, error) {
	var out App
	err := c.call(ctx, http.MethodPost, "/apps", app, &out)
	return out, err
}

// Apps lists the apps.
func (c *Client) Apps(ctx context.Context) ([]App, error) {
	var out struct {
		Apps []App `json:"apps"`
	}
	err := c.call(ctx, http.MethodGet, "/apps", nil, &out)
	return out.Apps, err
}

// Mint returns a short-lived token for trying things out; the system log says who asked for it.
func (c *Client) Mint(ctx context.Context, r TokenRequest) (Token, error) {
	var t Token
	err := c.call(ctx, http.MethodPost, "/tokens", r, &t)
	return t, err
}

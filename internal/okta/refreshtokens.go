package okta

import (
	"context"
	"net/http"

	"gatehouse/internal/fault"
	"gatehouse/internal/issued"
)

// Grants lists and ends what people have granted to apps.
type Grants interface {
	// List returns a page of the selected grants that hold and have a refresh token.
	List(ctx context.Context, s issued.Selection, after string, limit int) (page []issued.Grant, next string, err error)
	// Clients returns the client ids of the apps that have refresh tokens of a user, or,
	// when user is empty, of an authorization server.
	Clients(ctx context.Context, user, server string) ([]string, error)
	// Revoke ends the selected grants with their access tokens, on every node.
	Revoke(ctx context.Context, s issued.Selection) (int, error)
}

// tokensOf says whose refresh tokens a path is about, and where it is.
type tokensOf func(*api, *call) (sel issued.Selection, at string, err error)

// ofApp is /apps/{appId}/tokens.
func ofApp(a *api, c *call) (sel issued.Selection, at string, err error) {
	o, err := a.Access.App(c.Context(), c.arg("appId"))
	if err != nil {
		return sel, "", err
	}
	return issued.Selection{Client: o.Value.Client(o.ID)}, a.href("apps", o.ID, "tokens"), nil
}

// ofUserAndClient is /users/{id}/clients/{clientId}/tokens.
func ofUserAndClient(a *api, c *call) (sel issued.Selection, at string, err error) {
	id, err := a.userID(c)
	if err != nil {
		return sel, "", err
	}
	client := c.arg("clientId")
	return issued.Selection{User: id, Client: client}, a.href("users", id, "clients", client, "tokens"), nil
}

// ofServerAndClient is /authorizationServers/{authServerId}/clients/{clientId}/tokens.
func ofServerAndClient(a *api, c *call) (sel issued.Selection, at string, err error) {
	o, err := a.Access.FindServer(c.Context(), c.arg("authServerId"))
	if err != nil {
		return sel, "", err
	}
	client := c.arg("clientId")
	return issued.Selection{Client: client, Server: o.ID}, a.href("authorizationServers", o.ID, "clients", client, "tokens"), nil
}

// about is an operation on the refresh tokens that a path is about.
func about(of tokensOf, do func(a *api, c *call, of tokensOf) (answer, error)) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) { return do(a, c, of) }
}

// listRefreshTokens answers with a page of refresh tokens.
func (a *api) listRefreshTokens(c *call, of tokensOf) (answer, error) {
	sel, at, err := of(a, c)
	if err != nil {
		return answer{}, err
	}
	limit, err := c.limit(20, 200)
	if err != nil {
		return answer{}, err
	}
	list, next, err := a.Grants.List(c.Context(), sel, c.FormValue("after"), limit)
	if err != nil {
		return answer{}, err
	}
	out := make([]object, len(list))
	for i := range list {
		out[i] = a.refreshToken(at, &list[i])
	}
	return answer{status: http.StatusOK, body: out, list: true, next: next}, nil
}

// getRefreshToken answers with one refresh token.
func (a *api) getRefreshToken(c *call, of tokensOf) (answer, error) {
	g, at, err := a.findGrant(c, of)
	if err != nil {
		return answer{}, err
	}
	return ok(a.refreshToken(at, g))
}

// revokeRefreshToken ends one refresh token and its access tokens.
func (a *api) revokeRefreshToken(c *call, of tokensOf) (answer, error) {
	g, _, err := a.findGrant(c, of)
	if err != nil {
		return answer{}, err
	}
	return a.revokeSelected(c, issued.Selection{Grant: g.ID})
}

// revokeRefreshTokens ends all refresh tokens that the path is about.
func (a *api) revokeRefreshTokens(c *call, of tokensOf) (answer, error) {
	sel, _, err := of(a, c)
	if err != nil {
		return answer{}, err
	}
	return a.revokeSelected(c, sel)
}

func (a *api) revokeSelected(c *call, sel issued.Selection) (answer, error) {
	if _, err := a.Grants.Revoke(c.Context(), sel); err != nil {
		return answer{}, err
	}
	return nothing()
}

// findGrant returns the refresh token that a path names, among those that the path
// is about: fault.NotFound for others.
func (a *api) findGrant(c *call, of tokensOf) (*issued.Grant, string, error) {
	sel, at, err := of(a, c)
	if err != nil {
		return nil, "", err
	}
	sel.Grant = c.arg("tokenId")
	list, _, err := a.Grants.List(c.Context(), sel, "", 1)
	if err != nil {
		return nil, "", err
	}
	if len(list) == 0 {
		return nil, "", fault.New(fault.NotFound, "there is no refresh token %q", sel.Grant)
	}
	return &list[0], at, nil
}

// refreshToken shows a refresh token, and nothing that could stand for it.
func (a *api) refreshToken(at string, g *issued.Grant) object {
	self := at + "/" + g.ID
	return object{
		"id": g.ID, "status": "ACTIVE", "created": stamp(g.Created), "lastUpdated": stamp(g.Updated), "expiresAt": stamp(g.Until),
		"issuer": g.Issuer, "clientId": g.Client, "userId": g.User, "scopes": orEmpty(g.Scopes),
		"_links": object{
			"app":                 object{"href": a.href("apps", g.Client)},
			"authorizationServer": object{"href": a.href("authorizationServers", g.Server)},
			"client":              object{"href": a.URL + "/oauth2/v1/clients/" + g.Client},
			"self":                object{"href": self},
			"revoke":              ref(self, "DELETE"),
			"user":                object{"href": a.href("users", g.User)},
		},
	}
}

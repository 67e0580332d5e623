package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Revocation refuses tokens from now on: one token by its jti or hash, one API key,
// all that a key has signed or that are bound to a certificate, or all that were issued
// until now to a client, a user or a session, by an issuer, or for the whole tenant.
type Revocation struct {
	ID   string `json:"id,omitempty"`
	Kind string `json:"kind"` // token, token_hash, session, user, client, key, certificate, api_key, issuer, tenant
	// Value says which: a jti, base64url of the SHA-256 of a token, a sid, an id or login,
	// a client_id, a kid, a certificate's x5t#S256, the id of an API key. Empty for an
	// issuer and a tenant.
	Value string `json:"value,omitempty"`
	// Issuer is the iss of the tokens. Empty means the built-in servers for a user, a client
	// and a session, the one named "default" for a token, a key and an issuer as a whole, and
	// every issuer where the kind has none.
	Issuer string `json:"issuer,omitempty"`
	Reason string `json:"reason,omitempty"` // for people
	Actor  string `json:"actor,omitempty"`  // who did it
	// Also are the other built-in servers for which the same was revoked by the same call; the
	// list has one entry for each, and taking one back takes back all.
	Also []string `json:"also,omitempty"`

	Created      time.Time `json:"created,omitzero"`
	IssuedBefore time.Time `json:"issued_before,omitzero"` // of the tokens that it names; zero = all
	// Expires is when it can be forgotten; zero = never. When it is not sent, it is
	// after the last of the tokens has expired.
	Expires time.Time `json:"expires,omitzero"`
}

// RevocationQuery asks for some revocations.
type RevocationQuery struct {
	Kind, Value string // "" for all
	After       string // the Next of the page before
	Limit       int    // 0 = 200
}

// RevocationPage is some of them, oldest first.
type RevocationPage struct {
	Revocations []Revocation `json:"revocations"`
	Next        string       `json:"next,omitempty"` // "" on the last page
}

// Revoke refuses tokens on every node before it returns.
func (c *Client) Revoke(ctx context.Context, r Revocation) error {
	_, err := c.CreateRevocation(ctx, r, false)
	return err
}

// CreateRevocation is Revoke, and returns what was made, or would be in a dry run.
func (c *Client) CreateRevocation(ctx context.Context, r Revocation, dryRun bool) (made Revocation, err error) {
	path := "/revocations"
	if dryRun {
		path += "?dryRun=true"
	}
	err = c.call(ctx, http.MethodPost, path, r, &made)
	return made, err
}

// Revocations returns a page of what is revoked.
func (c *Client) Revocations(ctx context.Context, q RevocationQuery) (page RevocationPage, err error) {
	v := url.Values{}
	for name, value := range map[string]string{"kind": q.Kind, "value": q.Value, "after": q.After} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	err = c.call(ctx, http.MethodGet, "/revocations?"+v.Encode(), nil, &page)
	return page, err
}

// LiftRevocation takes a revocation back, by its id.
func (c *Client) LiftRevocation(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/revocations/"+url.PathEscape(id), nil, nil)
}

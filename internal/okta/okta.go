// Package okta is the Okta-compatible management API, /api/v1: what Okta's SDKs
// and Terraform provider call, with Okta's paths, statuses, shapes, paging and
// error codes. It authenticates the caller, decodes, calls a domain service,
// encodes; the rules are in the services. It must not know the store, the
// gateway, or how tokens are made: what it needs of them it declares here, and
// app passes it.
package okta

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/credential"
	"gatehouse/internal/directory"
	"gatehouse/internal/federation"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// SigningKeys shows the signing keys of an authorization server.
type SigningKeys interface {
	// SigningKeys returns the keys of the server, the oldest first, and its public
	// key set (RFC 7517).
	SigningKeys(ctx context.Context, server *access.ServerView) (list []keys.KeyInfo, jwks []byte, err error)
}

// Guesses are the wrong passwords and codes of people: after too many signing in rests for a
// while.
type Guesses interface {
	Resting(ctx context.Context, user string) (bool, error)
	// Release ends the rest.
	Release(ctx context.Context, user string) error
}

// Config is what New needs. All fields are required but the limit.
type Config struct {
	URL           string // of the identity listener, without trailing slash: the "org"
	Tenant        tenant.ID
	Authenticator Authenticator
	Rights        Rights
	TokenUse      TokenUse
	Access        *access.Service
	People        *directory.Service
	Providers     *federation.Service
	Sessions      Sessions
	Links         Links
	Guesses       Guesses
	Keys          SigningKeys
	Hooks         Hooks
	Grants        Grants
	Log           *audit.Log
	Events        audit.Recorder // told when callers come near their limit
	Logger        *slog.Logger
	Now           func() time.Time
	// Limit is how many calls a token may make in a minute; 0 means DefaultLimit.
	Limit int
}

// DefaultLimit is how many calls a token may make in a minute.
const DefaultLimit = 12000

type api struct {
	Config
	routes *tree
	limits *limiter

	registrations *limiter
}

// New returns the handler of /api/v1 and of /.well-known/okta-organization.
func New(c Config) http.Handler {
	if c.Limit <= 0 {
		c.Limit = DefaultLimit
	}
	a := &api{Config: c, routes: newTree(routes()), limits: newLimiter(c.Limit, c.Now), registrations: newLimiter(registrationsAMinute, c.Now)}
	return a
}

// call is one request with what is known of it.
type call struct {
	*http.Request
	args      map[string]string // of the path
	actor     Caller
	presented credential.Credential
	// The caller is the client that the path names, by its registration access token.
	registrant bool
}

// arg returns a part of the path by its name in the route.
func (c *call) arg(name string) string { return c.args[name] }

// by returns who history names for a change.
func (c *call) by() ledger.Actor {
	switch {
	case c.actor.User == "" && c.actor.App != "":
		return ledger.Actor{Type: "app", ID: c.actor.App, Name: c.actor.Name}
	case c.actor.User == "":
		return ledger.Actor{Type: "system", ID: c.actor.Name, Name: c.actor.Name}
	}
	return ledger.Actor{Type: "user", ID: c.actor.User, Name: c.actor.Name}
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := tenant.With(r.Context(), a.Tenant)
	a.serve(ctx, w, &call{Request: r.WithContext(ctx)})
}

func (a *api) serve(ctx context.Context, w http.ResponseWriter, c *call) {
	h := w.Header()
	h.Set("X-Okta-Request-Id", keys.ID("req"))
	h.Set("Cache-Control", "no-cache, no-store")
	route, args, err := a.routes.find(c.Method, c.URL.Path)
	c.args = args
	if err == nil && route.needs != nobody {
		if err = a.authenticate(ctx, w, c); err == nil {
			err = a.authorize(w, c, route)
		}
	} else if err != nil && !strings.HasPrefix(c.URL.Path, "/.well-known/") {
		// Who may not call learns nothing of what there is.
		if e := a.authenticate(ctx, w, c); e != nil {
			err = e
		}
	}
	if err != nil {
		a.fail(ctx, w, c, err)
		return
	}
	got, err := route.do(a, c)
	if err != nil {
		a.fail(ctx, w, c, err)
		return
	}
	a.write(ctx, w, c, got)
}

// Package admin is the native management API, /gatehouse/v1: configuration,
// history, decisions, keys, apps, revocations. It authenticates the caller,
// decodes, calls a service, encodes, and turns faults into RFC 9457 problem
// documents; the rules are in the services. It must not know the store or the
// gateway: what it needs of them it declares here, and app passes it.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/client"
	"gatehouse/internal/credential"
	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Actor is an authenticated administrator.
type Actor struct {
	ID   string // of the user or token, for the ledger and the system log
	Name string // for people
}

// Authenticator says whose API token it is. It returns an Unauthenticated fault
// for a token that is unknown, expired, disabled or may not be used from where the
// request comes from, and a Denied one for a token that may not do everything.
type Authenticator interface {
	Authenticate(ctx context.Context, token string, from *http.Request) (Actor, error)
	// AuthenticateNative does the same for an access token of the org server. One that is
	// bound to its sender comes with its proof, in the scheme DPoP if it is bound to a key.
	AuthenticateNative(w http.ResponseWriter, r *http.Request, token string, dpop bool) (Actor, error)
}

// Configurations changes what is served.
type Configurations interface {
	Diff(ctx context.Context, conf client.Configuration) (client.Diff, error)
	Apply(ctx context.Context, actor Actor, conf client.Configuration, ifRevision int64, dryRun bool) (client.Diff, error)
	Rollback(ctx context.Context, actor Actor, revision int64, reason string) (client.Diff, error)
	Export(ctx context.Context, revision int64) ([]byte, error)
	Changes(ctx context.Context, since int64, limit int, kind string) ([]client.Change, error)
}

// Decisions answers "why?".
type Decisions interface {
	Explain(ctx context.Context, h client.Hypothetical) (client.Decision, error)
	Decision(ctx context.Context, requestID string) (client.Decision, error)
	// Authz decides about a request that the caller passes on itself.
	Authz(ctx context.Context, q client.AuthzQuestion) (client.AuthzAnswer, error)
	// Tail sends decisions until ctx ends; the channel is closed then.
	Tail(ctx context.Context, api string, denied bool) (<-chan client.Decision, error)
}

// Replays decides recorded requests by a configuration that is not served.
type Replays interface {
	Replay(ctx context.Context, r client.ReplayRequest) (client.Replay, error)
}

// Identity manages the built-in authorization servers.
type Identity interface {
	Servers(ctx context.Context) ([]client.Server, error)
	UpdateServer(ctx context.Context, actor Actor, server string, set client.Server) (client.Server, error)
	Keys(ctx context.Context) ([]client.Key, error)
	RotateKeys(ctx context.Context, actor Actor, server string) ([]client.Key, error)
	Apps(ctx context.Context) ([]client.App, error)
	CreateApp(ctx context.Context, actor Actor, app client.App) (client.App, error)
}

// Tokens mints tokens for trying out.
type Tokens interface {
	Mint(ctx context.Context, actor Actor, r client.TokenRequest) (client.Token, error)
}

// Config is what the API stands on.
type Config struct {
	Authenticator  Authenticator
	Configurations Configurations
	Decisions      Decisions
	Replays        Replays
	Identity       Identity
	Tokens         Tokens
	Previews       Previews
	APITokens      APITokens
	APIKeys        APIKeys
	People         People
	Objects        Objects
	Revocations    Revocations
	Status         func(context.Context) (client.Status, error)
	Tenant         tenant.ID
	Log            *slog.Logger
}

// maxBody bounds what is read of a request: a configuration of 10,000 APIs fits.
const maxBody = 16 << 20

// API serves the routes of the table in routes.go.
type API struct {
	Config
	mux *http.ServeMux
}

// New returns the API as a handler for paths that begin with /gatehouse/v1.
func New(c Config) *API {
	a := &API{Config: c, mux: http.NewServeMux()}
	for _, r := range routes() {
		a.mux.Handle(r.Method+" /gatehouse/v1"+r.Path, a.handler(r))
	}
	a.mux.HandleFunc("GET /gatehouse/v1/openapi.json", serveOpenAPI)
	return a
}

// ServeHTTP answers one request.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := a.mux.Handler(r)
	if pattern == "" {
		// The mux knows whether it is 404 or 405, and sets Allow; the body is ours.
		probe := &statusProbe{ResponseWriter: w}
		h.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			writeProblem(w, client.Error{Status: probe.status, Title: "method not allowed", Detail: "this address takes " + w.Header().Get("Allow")})
			return
		}
		writeProblem(w, client.Error{Status: http.StatusNotFound, Title: "not found", Detail: "there is no such address; /gatehouse/v1/openapi.json lists them"})
		return
	}
	a.mux.ServeHTTP(w, r)
}

// statusProbe notes the status of an answer and drops its body.
type statusProbe struct {
	http.ResponseWriter
	status int
}

func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }

// call is one authenticated request.
type call struct {
	*http.Request
	w     http.ResponseWriter
	actor Actor
}

// read decodes the body into v; what v does not know is an error.
func (c *call) read(v any) error {
	d := json.NewDecoder(http.MaxBytesReader(c.w, c.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var big *http.MaxBytesError
		if errors.As(err, &big) {
			return fault.Because(err, fault.TooLarge, "the body is over %d bytes", big.Limit)
		}
		return fault.Because(err, fault.Invalid, "the body is not the JSON that this address takes: %v", err)
	}
	return nil
}

func (a *API) handler(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		ctx := tenant.With(req.Context(), a.Tenant)
		actor, err := a.authenticate(ctx, w, req)
		if err != nil {
			a.fail(w, req, err)
			return
		}
		out, err := r.do(a, &call{Request: req.WithContext(ctx), w: w, actor: actor})
		switch {
		case err != nil:
			a.fail(w, req, err)
		case out == nil: // the route has answered itself
		default:
			writeJSON(w, http.StatusOK, out)
		}
	})
}

func (a *API) authenticate(ctx context.Context, w http.ResponseWriter, r *http.Request) (Actor, error) {
	p, err := credential.Of(r.Header)
	if err != nil {
		return Actor{}, err
	}
	if p.Scheme == credential.SSWS {
		return a.Authenticator.Authenticate(ctx, p.Token, r)
	}
	actor, err := a.Authenticator.AuthenticateNative(w, r.WithContext(ctx), p.Token, p.Scheme == credential.DPoP)
	if fault.Is(err, fault.Unauthenticated) {
		w.Header().Set("WWW-Authenticate", p.Challenge(realm, err))
	}
	return actor, err
}

// realm is what challenges name.
const realm = `realm="gatehouse"`

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gatehouse/client"
	"gatehouse/internal/fault"
)

// route is one line of the table: what it is, what it takes, what it gives.
type route struct {
	Method, Path string
	Summary      string
	Query        []string // names of query parameters
	In, Out      any      // examples of the types of the bodies; nil = none
	do           func(*API, *call) (any, error)
}

type (
	changesAnswer struct {
		Changes []client.Change `json:"changes"`
	}
	keysAnswer struct {
		Keys []client.Key `json:"keys"`
	}
	appsAnswer struct {
		Apps []client.App `json:"apps"`
	}
	serversAnswer struct {
		Servers []client.Server `json:"servers"`
	}
	rollbackRequest struct {
		Revision int64  `json:"revision"`
		Reason   string `json:"reason,omitempty"`
	}
)

// routes is the whole surface of the native management API.
func routes() []route {
	return []route{
		{"GET", "/status", "version, revision and nodes", nil, nil, client.Status{}, (*API).status},
		{"POST", "/diff", "how a configuration differs from what runs", nil, client.Configuration{}, client.Diff{}, (*API).diff},
		{"POST", "/apply", "make a configuration what runs", []string{"dryRun"}, client.Configuration{}, client.Diff{}, (*API).apply},
		{"POST", "/rollback", "bring what is served back to an earlier revision, by new changes", nil, rollbackRequest{}, client.Diff{}, (*API).rollback},
		{"GET", "/export", "what is served, as a configuration file", []string{"revision"}, nil, nil, (*API).export},
		{"GET", "/changes", "history, oldest first", []string{"since", "limit", "kind"}, nil, changesAnswer{}, (*API).changes},
		{"GET", "/objects/{kind}/{id}/history", "the changes of one object of people or policies, the newest first", nil, nil, objectHistoryAnswer{}, (*API).objectHistory},
		{"POST", "/objects/{kind}/{id}/restore", "bring one object of people or policies back to what it was; secrets stay what they are", nil, client.ObjectRestore{}, client.RestoredObject{}, (*API).restoreObject},
		{"POST", "/explain", "decide a hypothetical request", nil, client.Hypothetical{}, client.Decision{}, (*API).explain},
		{"POST", "/authz", "decide about a request that the caller passes on: counted and recorded as if it had come to the gateway", nil, client.AuthzQuestion{}, client.AuthzAnswer{}, (*API).authz},
		{"POST", "/replay", "decide recorded requests by a configuration that is not served: who gains and who loses access", nil, client.ReplayRequest{}, client.Replay{}, (*API).replay},
		{"GET", "/decisions/{id}", "the trace of a request", nil, nil, client.Decision{}, (*API).decision},
		{"GET", "/tail", "decisions as server-sent events", []string{"api", "denied"}, nil, client.Decision{}, (*API).tail},
		{"GET", "/servers", "the built-in authorization servers", nil, nil, serversAnswer{}, (*API).servers},
		{"PATCH", "/servers/{server}", "change settings of a server", nil, client.Server{}, client.Server{}, (*API).updateServer},
		{"POST", "/servers/{server}/preview", "what would come of a token request: every rule that is considered, and where each claim comes from", nil, client.PreviewRequest{}, client.Preview{}, (*API).preview},
		{"GET", "/keys", "signing keys, public facts", nil, nil, keysAnswer{}, (*API).keys},
		{"POST", "/keys/{server}/rotate", "sign with the next key from now on", nil, struct{}{}, keysAnswer{}, (*API).rotate},
		{"GET", "/apps", "the apps that may ask for tokens", nil, nil, appsAnswer{}, (*API).apps},
		{"POST", "/apps", "register an app; its secret is in this answer alone", nil, client.App{}, client.App{}, (*API).createApp},
		{"GET", "/api-keys", "API keys, without the keys", []string{"app"}, nil, apiKeysAnswer{}, (*API).apiKeys},
		{"POST", "/api-keys", "make an API key; it is in this answer alone", nil, client.APIKey{}, client.APIKey{}, (*API).createAPIKey},
		{"POST", "/api-keys/{id}/rotate", "make a key that may do the same; the old one lives on for the overlap", nil, client.APIKeyRotation{}, client.APIKey{}, (*API).rotateAPIKey},
		{"POST", "/api-keys/{id}/disable", "refuse the key on every node before this returns, for ever", nil, struct{}{}, client.APIKey{}, (*API).disableAPIKey},
		{"DELETE", "/api-keys/{id}", "remove a key that is disabled or has expired", nil, nil, nil, (*API).deleteAPIKey},
		{"GET", "/api-tokens", "API tokens of people, without the tokens", nil, nil, apiTokensAnswer{}, (*API).apiTokens},
		{"POST", "/api-tokens", "make an API token of a person; it is in this answer alone", nil, client.APIToken{}, client.APIToken{}, (*API).createAPIToken},
		{"DELETE", "/api-tokens/{id}", "end an API token at once", nil, nil, nil, (*API).deleteAPIToken},
		{"POST", "/users/import", "add up to 1,000 users without passwords, all of them or none", nil, client.UserImport{}, nil, (*API).importUsers},
		{"POST", "/tokens", "a short-lived token for trying things out", nil, client.TokenRequest{}, client.Token{}, (*API).mint},
		{"GET", "/revocations", "what is revoked, oldest first", []string{"kind", "value", "after", "limit"}, nil, client.RevocationPage{}, (*API).revocations},
		{"POST", "/revocations", "refuse tokens on every node before this returns", []string{"dryRun"}, client.Revocation{}, client.Revocation{}, (*API).revoke},
		{"DELETE", "/revocations/{id}", "take a revocation back", nil, nil, nil, (*API).liftRevocation},
	}
}

func (a *API) status(c *call) (any, error) { return a.Status(c.Context()) }

func (a *API) diff(c *call) (any, error) {
	var conf client.Configuration
	if err := c.read(&conf); err != nil {
		return nil, err
	}
	return a.Configurations.Diff(c.Context(), conf)
}

func (a *API) apply(c *call) (any, error) {
	var conf client.Configuration
	if err := c.read(&conf); err != nil {
		return nil, err
	}
	ifRevision, err := ifMatch(c.Header.Get("If-Match"))
	if err != nil {
		return nil, err
	}
	d, err := a.Configurations.Apply(c.Context(), c.actor, conf, ifRevision, c.URL.Query().Get("dryRun") == "true")
	if err == nil {
		c.w.Header().Set("ETag", fmt.Sprintf("%q", strconv.FormatInt(d.Revision, 10)))
	}
	return d, err
}

// ifMatch reads an ETag that holds a revision; 0 means that none was sent.
func ifMatch(h string) (int64, error) {
	if h == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.Trim(h, `"`), 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "If-Match must hold a revision in quotes, as an ETag gave it")
	}
	return n, nil
}

func (a *API) rollback(c *call) (any, error) {
	var in rollbackRequest
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return a.Configurations.Rollback(c.Context(), c.actor, in.Revision, in.Reason)
}

func (a *API) export(c *call) (any, error) {
	revision, err := queryNumber(c.Request, "revision")
	if err != nil {
		return nil, err
	}
	b, err := a.Configurations.Export(c.Context(), revision)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", "application/yaml")
	_, err = c.w.Write(b)
	return nil, err
}

func (a *API) changes(c *call) (any, error) {
	since, err := queryNumber(c.Request, "since")
	if err != nil {
		return nil, err
	}
	limit, err := queryNumber(c.Request, "limit")
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > 1000 {
		limit = 200
	}
	list, err := a.Configurations.Changes(c.Context(), since, int(limit), c.URL.Query().Get("kind"))
	return changesAnswer{Changes: list}, err
}

func (a *API) explain(c *call) (any, error) {
	var h client.Hypothetical
	if err := c.read(&h); err != nil {
		return nil, err
	}
	return a.Decisions.Explain(c.Context(), h)
}

func (a *API) authz(c *call) (any, error) {
	var q client.AuthzQuestion
	if err := c.read(&q); err != nil {
		return nil, err
	}
	return a.Decisions.Authz(c.Context(), q)
}

func (a *API) replay(c *call) (any, error) {
	var r client.ReplayRequest
	if err := c.read(&r); err != nil {
		return nil, err
	}
	return a.Replays.Replay(c.Context(), r)
}

func (a *API) decision(c *call) (any, error) {
	return a.Decisions.Decision(c.Context(), c.PathValue("id"))
}

// tail writes each decision as one server-sent event, until the caller leaves.
func (a *API) tail(c *call) (any, error) {
	q := c.URL.Query()
	ch, err := a.Decisions.Tail(c.Context(), q.Get("api"), q.Get("denied") == "true")
	if err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(c.w)
	if err := rc.Flush(); err != nil {
		return nil, nil //nolint:nilerr // the caller is gone; there is nobody to tell
	}
	for d := range ch {
		b, err := json.Marshal(d)
		if err != nil {
			continue
		}
		if _, err := fmt.Fprintf(c.w, "data: %s\n\n", b); err != nil {
			break
		}
		if err := rc.Flush(); err != nil {
			break
		}
	}
	return nil, nil
}

func (a *API) servers(c *call) (any, error) {
	list, err := a.Identity.Servers(c.Context())
	return serversAnswer{Servers: list}, err
}

func (a *API) updateServer(c *call) (any, error) {
	var set client.Server
	if err := c.read(&set); err != nil {
		return nil, err
	}
	return a.Identity.UpdateServer(c.Context(), c.actor, c.PathValue("server"), set)
}

func (a *API) keys(c *call) (any, error) {
	list, err := a.Identity.Keys(c.Context())
	return keysAnswer{Keys: list}, err
}

func (a *API) rotate(c *call) (any, error) {
	list, err := a.Identity.RotateKeys(c.Context(), c.actor, c.PathValue("server"))
	return keysAnswer{Keys: list}, err
}

func (a *API) apps(c *call) (any, error) {
	list, err := a.Identity.Apps(c.Context())
	return appsAnswer{Apps: list}, err
}

func (a *API) createApp(c *call) (any, error) {
	var app client.App
	if err := c.read(&app); err != nil {
		return nil, err
	}
	return a.Identity.CreateApp(c.Context(), c.actor, app)
}

func (a *API) mint(c *call) (any, error) {
	var in client.TokenRequest
	if err := c.read(&in); err != nil {
		return nil, err
	}
	return a.Tokens.Mint(c.Context(), c.actor, in)
}

func queryNumber(r *http.Request, name string) (int64, error) {
	s := r.URL.Query().Get(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fault.New(fault.Invalid, "%s must be a whole number, and not negative", name)
	}
	return n, nil
}

package grant

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/ratelimit"
	"gatehouse/internal/tenant"
)

// Target is where a request arrived: which tenant's server, under which address.
type Target struct {
	Tenant tenant.ID
	URL    string // the identity URL, without a trailing slash
	View   *access.View
	Server *access.ServerView
}

// Issuer returns the issuer of the target's tokens.
func (t *Target) Issuer() string { return t.Server.Issuer(t.URL) }

// Endpoint returns the address of one of the target's endpoints.
func (t *Target) Endpoint(name string) string { return t.Server.Endpoint(t.URL, name) }

// SingleUse marks things as used, durably and once.
type SingleUse interface {
	// Use marks the hash, within the context's tenant and the purpose, as used until
	// expires, and reports whether it was unused. It is one conditional statement:
	// of any number of callers at a time one gets true.
	Use(ctx context.Context, purpose, hash string, expires time.Time) (bool, error)
}

// ClientsConfig is what Clients needs.
type ClientsConfig struct {
	SingleUse SingleUse     // for the jti of client assertions
	Sealer    access.Sealer // opens secrets that sign; nil: client_secret_jwt is refused
	// Certificates are those that clients show; nil: none can.
	Certificates *Certificates
	Documents    Documents        // nil: no client is known by its document
	Audit        audit.Recorder   // told of failures
	Now          func() time.Time // the clock
}

// Clients authenticates OAuth clients, for every endpoint that asks for it.
type Clients struct {
	single   SingleUse
	certs    *Certificates
	sealer   access.Sealer
	docs     Documents
	now      func() time.Time
	decoy    *access.AppView // stands in for a client that does not exist
	audit    audit.Recorder
	failures *ratelimit.Limiter // of events, per peer
}

// NewClients returns Clients.
func NewClients(cfg ClientsConfig) (*Clients, error) {
	d, err := newDecoy()
	if err != nil {
		return nil, err
	}
	return &Clients{
		single: cfg.SingleUse, sealer: cfg.Sealer, certs: cfg.Certificates, docs: cfg.Documents, now: cfg.Now, decoy: d, audit: cfg.Audit,
		failures: ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{MaxKeys: 4096})),
	}, nil
}

// method is a way to prove who one is.
type method uint8

const (
	byNothing method = iota // a public client says its id
	byBasic
	byPost
	byAssertion
)

// credentials are what a request brings.
type credentials struct {
	method    method
	id        string
	secret    string
	assertion string
}

// Authenticate returns the app that sends the request, or a fault whose answer
// does not tell an unknown client from a wrong secret, neither by its text nor by
// its time. Failures are recorded.
func (c *Clients) Authenticate(r *http.Request, f *Form, t *Target, endpoint string) (*access.AppView, error) {
	app, use, err := c.Recognize(r, f, t, endpoint)
	if err != nil {
		return nil, err
	}
	return app, use()
}

// Recognize is Authenticate without using up what can be used once: the caller calls use
// when the request is about to succeed. A request that is sent again because it lacked a
// nonce brings the same assertion: Okta's SDKs do.
func (c *Clients) Recognize(r *http.Request, f *Form, t *Target, endpoint string) (app *access.AppView, use func() error, err error) {
	var a *assertion
	app, id, a, err := c.authenticate(r, f, t, endpoint)
	if err == nil {
		err = Fit(t, app)
	}
	if err != nil {
		c.recordFailure(r, t, id, err)
		return nil, nil, err
	}
	return app, func() error {
		err := c.use(r.Context(), t, app, a)
		if err != nil {
			c.recordFailure(r, t, id, err)
		}
		return err
	}, nil
}

// Documents finds apps by the address of their metadata document (OAuth Client ID
// Metadata Document).
type Documents interface {
	// Named returns the app at the address as its document says it is now, whether it is
	// kept already or not. Its fault is client_document where there is none that can be used.
	Named(ctx context.Context, t *Target, address string) (*access.AppView, error)
}

// FindApp returns the app with the client id as it begins an authorization; false for one
// that is not known. docs may be nil.
func FindApp(ctx context.Context, docs Documents, t *Target, client string) (*access.AppView, bool, error) {
	if docs != nil && access.NamesDocument(client) {
		app, err := docs.Named(ctx, t, client)
		return app, err == nil, err
	}
	app, ok := t.View.App(client)
	return app, ok, nil
}

// find returns the app with the client id for one of the endpoints. Where an
// authorization begins an app's document is read; later on what was kept of it counts, so
// that a token never waits for somebody else's server.
func (c *Clients) find(ctx context.Context, t *Target, client, endpoint string) (*access.AppView, bool, error) {
	if endpoint == "par" {
		return FindApp(ctx, c.docs, t, client)
	}
	return FindApp(ctx, nil, t, client)
}

// Fit returns a fault when the app or the server is held to a profile that its settings
// do not meet: a server may have been put under one when it had such apps.
func Fit(t *Target, app *access.AppView) error {
	if !t.Server.Takes(app) {
		return Refuse("client_document", nil, "this authorization server takes none at its host")
	}
	if d := t.Server.Unfit(app); d != nil {
		return Refuse("profile_client", nil, d.Section, d.Says)
	}
	return nil
}

// authenticate is Recognize without the record. id is what the client calls itself, on
// failure, too; a is the assertion that it has brought.
func (c *Clients) authenticate(r *http.Request, f *Form, t *Target, endpoint string) (app *access.AppView, id string, a *assertion, err error) {
	cred, err := readCredentials(r, f)
	if err != nil {
		return nil, cred.id, nil, err
	}
	if cred.method == byAssertion {
		return c.byAssertion(r.Context(), cred, t, endpoint)
	}
	found, known, err := c.find(r.Context(), t, cred.id, endpoint)
	if err != nil {
		return nil, cred.id, nil, err
	}
	if !known {
		found = c.decoy
	}
	ok := false
	switch found.AuthMethod {
	case access.AuthSecretBasic, access.AuthSecretPost:
		ok = found.HasSecret(sha256.Sum256([]byte(cred.secret))) && cred.method != byNothing
	case access.AuthTLS, access.AuthSelfSigned:
		ok = cred.method == byNothing && c.certs.authenticates(r, t.Tenant, found)
	case access.AuthNone:
		ok = cred.method == byNothing
	}
	if !ok || !known || found.Status != access.Active {
		return nil, cred.id, nil, Refuse("invalid_client", nil)
	}
	return found, cred.id, nil, nil
}

// readCredentials finds the one way in which the request authenticates (RFC 6749
// section 2.3: a client must not use more than one).
func readCredentials(r *http.Request, f *Form) (credentials, error) {
	cred := credentials{id: f.Get("client_id")}
	ways := 0
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return cred, Refuse("multiple_client_credentials", nil)
	}
	if len(headers) == 1 {
		ways++
		id, secret, hasSecret, ok := parseBasic(headers[0])
		if !ok || cred.id != "" && cred.id != id {
			return cred, Refuse("invalid_basic_auth_creds", nil)
		}
		cred.id, cred.secret = id, secret
		if hasSecret {
			cred.method = byBasic
		}
	}
	if secret := f.Get("client_secret"); secret != "" {
		ways++
		cred.method, cred.secret = byPost, secret
	}
	if assertion := f.Get("client_assertion"); assertion != "" || f.Has("client_assertion_type") {
		ways++
		if f.Get("client_assertion_type") != assertionType {
			return cred, Refuse("client_assertion_type_invalid", nil)
		}
		cred.method, cred.assertion = byAssertion, assertion
	}
	switch {
	case ways > 1:
		return cred, Refuse("multiple_client_credentials", nil)
	case cred.id == "" && cred.method != byAssertion:
		return cred, Refuse("missing_client_credentials", nil)
	}
	return cred, nil
}

// parseBasic reads HTTP Basic credentials as RFC 6749 section 2.3.1 has them:
// both parts are form-encoded before they are joined. A value without a colon is
// a public client's id: that is what Okta's browser library sends.
func parseBasic(header string) (id, secret string, hasSecret, ok bool) {
	scheme, encoded, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Basic") {
		return "", "", false, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(encoded, " "))
	if err != nil {
		return "", "", false, false
	}
	rawID, rawSecret, hasColon := strings.Cut(string(raw), ":")
	id, err1 := decode(rawID)
	secret, err2 := decode(rawSecret)
	if err1 != nil || err2 != nil || id == "" {
		return "", "", false, false
	}
	return id, secret, hasColon && secret != "", true
}

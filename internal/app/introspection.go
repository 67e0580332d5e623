package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/catalog"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/introspect"
	"gatehouse/internal/keys"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// introspectors keeps one client for each issuer of opaque tokens over reloads,
// so that what issuers have answered is not asked again.
type introspectors struct {
	sealer *keys.Sealer
	health *telemetry.Health
	log    *slog.Logger
	now    func() time.Time
	http   *safehttp.Client
	keys   func(issuer string) (*verify.RemoteKeys, error) // for answers that are signed

	mu     sync.Mutex
	asking map[string]*asking // by everything that makes a client
}

type asking struct {
	*introspect.Client
	forget func() // the health check
}

// maxIntrospection bounds an answer, in bytes. Answers are facts of one token.
const maxIntrospection = 256 << 10

func newIntrospectors(c nodeConfig, keys func(string) (*verify.RemoteKeys, error)) *introspectors {
	return &introspectors{
		keys:   keys,
		sealer: c.Sealer, health: c.Health, log: c.Log, now: c.Now, asking: map[string]*asking{},
		// The operator's file names these addresses, so they may be private.
		http: safehttp.New(safehttp.Config{AllowPrivate: true, MaxBody: maxIntrospection}),
	}
}

// introspector implements gateway.NewIntrospector. The secret is opened here and
// kept in memory only.
func (i *introspectors) introspector(s spec.Issuer) (_ gateway.Introspector, err error) {
	defer fault.Wrap(&err, "introspection")
	secret, err := i.sealer.Open(s.ClientSecret, catalog.SecretPlace(tenant.Default, s))
	if err != nil {
		return nil, fmt.Errorf("client_secret: %w", err)
	}
	key := clientKey(s, string(secret))
	i.mu.Lock()
	defer i.mu.Unlock()
	if a := i.asking[key]; a != nil {
		return a.Client, nil
	}
	conf := introspect.Config{
		Issuer: s.URL, Endpoint: s.IntrospectionURL, ClientID: s.ClientID, HTTP: i.http, Now: i.now,
		Claims: verify.ClaimNames(s.Claims.Lists()),
	}
	if err := proveBy(&conf, s.ClientAuth, secret); err != nil {
		return nil, err
	}
	if s.SignedAnswers {
		if conf.Keys, err = i.keys(s.URL); err != nil {
			return nil, err
		}
	}
	c, err := introspect.New(conf)
	if err != nil {
		return nil, err
	}
	forget := i.health.Register(telemetry.Check{Name: "introspection " + s.Name, Probe: func(context.Context) telemetry.Status {
		if err := c.Err(); err != nil {
			return telemetry.Status{State: telemetry.Degraded, Detail: "what it said within the last minute counts, other tokens are answered 503: " + err.Error()}
		}
		return telemetry.Status{}
	}})
	i.asking[key] = &asking{c, forget}
	return c, nil
}

// proveBy fills in how the gateway proves to an issuer who it is.
func proveBy(c *introspect.Config, method string, secret []byte) error {
	c.Auth = method
	if method != introspect.AuthKey {
		c.Secret = string(secret)
		return nil
	}
	key, err := keys.ParseAssertionKey(secret)
	if err != nil {
		return fmt.Errorf("client_secret: %w", err)
	}
	c.Sign, c.NewID = key.Sign, func() string { return keys.ID("ast") }
	return nil
}

// clientKey names a client by its settings; the secret goes in as a hash.
func clientKey(s spec.Issuer, secret string) string {
	return fmt.Sprintf("%q %q %q %q %q %v %s", s.URL, s.IntrospectionURL, s.ClientID, s.Claims, s.ClientAuth, s.SignedAnswers, keys.Hash(secret))
}

// retain ends the clients that the snapshot does not name any more.
func (i *introspectors) retain(s spec.Snapshot) {
	named := map[string]bool{}
	for _, is := range s.Issuers {
		if !is.Asked() {
			continue
		}
		secret, err := i.sealer.Open(is.ClientSecret, catalog.SecretPlace(tenant.Default, is))
		if err != nil {
			i.log.Warn("the client secret of an issuer cannot be opened", "issuer", is.Name, "error", err)
			continue
		}
		named[clientKey(is, string(secret))] = true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for key, a := range i.asking {
		if !named[key] {
			delete(i.asking, key)
			a.forget()
			a.Close()
		}
	}
}

func (i *introspectors) close() {
	i.retain(spec.Snapshot{})
	i.http.Close()
}

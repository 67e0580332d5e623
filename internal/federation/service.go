package federation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/relying"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// CallbackPath is where providers send browsers back to, as Okta has it: the redirect
// URI to register at the provider is the identity listener's address and this.
const CallbackPath = "/oauth2/v1/authorize/callback"

// OwnCallbackPath is the pattern of where those send browsers back to that have an address of
// their own.
const OwnCallbackPath = "/oauth2/v1/authorize/{provider}/callback"

// callback is the path for a provider.
func callback(o ledger.Object[Provider]) string {
	if o.Value.OwnCallback {
		return strings.Replace(OwnCallbackPath, "{provider}", o.ID, 1)
	}
	return CallbackPath
}

// Callback returns the redirect URI to register at a provider.
func (s *Service) Callback(o ledger.Object[Provider]) string { return s.cfg.URL + callback(o) }

// Sealer encrypts secrets for one place each. *keys.Sealer is one.
type Sealer interface {
	Seal(plain []byte, at keys.Place) (string, error)
	Open(sealed string, at keys.Place) ([]byte, error)
}

// HTTP calls the providers. *safehttp.Client is one.
type HTTP interface {
	relying.UserinfoCaller
	Fetch(ctx context.Context, url string) ([]byte, error)
}

// Uses marks values as used until they expire. *store.DB is one.
type Uses interface {
	// Use reports whether it is the first use of a value, by its hash.
	Use(ctx context.Context, purpose, hash string, expires time.Time) (first bool, err error)
}

// Config is what a Service needs.
type Config struct {
	Ledger *ledger.Ledger
	People *directory.Service
	// Privileged reports whether a user has administrator rights: their account is never
	// linked on the word of a provider alone.
	Privileged func(ctx context.Context, user string) (bool, error)
	Sealer     Sealer
	HTTP       HTTP
	Uses       Uses
	Origins    Origins
	Audit      audit.Recorder
	SAML       bool // providers of SAML 2.0 are served
	// Directory is the directory server whose people sign in with their passwords there; nil: none.
	Directory *Directory
	URL       string // of the identity listener, no slash at the end
	Now       func() time.Time
}

// Service keeps the providers and asks them.
type Service struct {
	cfg Config

	mu      sync.Mutex
	clients map[string]*client // by id of the provider
}

// client is what a provider is asked with, as of a revision of it.
type client struct {
	revision ledger.Revision
	keys     *verify.RemoteKeys
	relying  *relying.Client
}

// NewService returns a Service.
func NewService(c Config) *Service { return &Service{cfg: c, clients: map[string]*client{}} }

// Close stops fetching keys.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.clients {
		_ = c.keys.Close()
		delete(s.clients, id)
	}
}

// The events of changes; the names are Okta's.
const (
	providerCreated = "system.idp.lifecycle.create"
	providerUpdated = "system.idp.lifecycle.update"
	providerDeleted = "system.idp.lifecycle.delete"
)

// List returns the providers, in the order of ids, of which match reports true; nil is
// all.
func (s *Service) List(ctx context.Context, after string, limit int, match func(ledger.Object[Provider]) bool) (p ledger.Page[Provider], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		p, err = Providers.Select(tx, ledger.Query{After: after, Limit: limit}, match)
		return err
	})
	return p, err
}

// Provider returns a provider by id, or fault.NotFound.
func (s *Service) Provider(ctx context.Context, id string) (o ledger.Object[Provider], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Providers.Get(tx, id)
		return err
	})
	return o, err
}

// Create adds a provider; secret is that of the client, empty for a public one.
// fault.Conflict when the name or a domain is taken.
func (s *Service) Create(ctx context.Context, actor ledger.Actor, p Provider, secret string) (o ledger.Object[Provider], err error) {
	defer fault.Wrap(&err, "make identity provider %q", p.Name)
	_, err = s.cfg.Ledger.Update(ctx, actor, "make identity provider "+p.Name, func(tx *ledger.Tx) error {
		if err := errors.Join(s.served(p), free(Provider{}, p)); err != nil {
			return err
		}
		o = ledger.Object[Provider]{Meta: ledger.Meta{ID: Providers.NewID(tx)}, Value: p}
		if o.Value.Secret, err = s.seal(tx, o.ID, secret); err != nil {
			return err
		}
		o, err = Providers.Insert(tx, o)
		return err
	})
	if err == nil {
		s.record(ctx, actor, providerCreated, "Create identity provider", o)
	}
	return o, err
}

// served refuses a provider that could sign nobody in.
func (s *Service) served(p Provider) error {
	if p.Type == LDAP && s.cfg.Directory == nil && p.Status == Active {
		return errDeclared()
	}
	if p.SAML != nil && p.Status == Active && !s.cfg.SAML {
		return fault.New(fault.Invalid, "the identity provider is not valid").
			WithFields(fault.Field{Path: "type", Message: "must not be SAML2: this server serves no SAML; its configuration turns it on with server.identity.saml: true"})
	}
	return nil
}

func (s *Service) seal(tx *ledger.Tx, id, secret string) (string, error) {
	if secret == "" {
		return "", nil
	}
	return s.cfg.Sealer.Seal([]byte(secret), secretPlace(tx.Tenant(), id))
}

// Change changes a provider; a secret that is not empty replaces the one that is there.
func (s *Service) Change(ctx context.Context, actor ledger.Actor, id string, change func(*Provider) error, secret string) (o ledger.Object[Provider], err error) {
	defer fault.Wrap(&err, "change identity provider %q", id)
	_, err = s.cfg.Ledger.Update(ctx, actor, "change identity provider "+id, func(tx *ledger.Tx) error {
		if o, err = Providers.Get(tx, id); err != nil {
			return err
		}
		was := o.Value
		if err := change(&o.Value); err != nil {
			return err
		}
		if err := errors.Join(s.served(o.Value), free(was, o.Value)); err != nil {
			return err
		}
		o.Value.Secret = was.Secret
		if secret != "" {
			if o.Value.Secret, err = s.seal(tx, id, secret); err != nil {
				return err
			}
		} else if o.Value.Issuer != was.Issuer && was.Secret != "" {
			// Who may change where it is sent to could read it there.
			return fault.New(fault.Invalid, "the identity provider is not valid").
				WithFields(fault.Field{Path: "protocol.credentials.client.client_secret", Message: "must be given anew with another issuer"})
		}
		o, err = Providers.Put(tx, o)
		return err
	})
	if err == nil {
		s.record(ctx, actor, providerUpdated, "Update identity provider", o)
	}
	return o, err
}

// Delete removes a provider and its links. One that is active must be deactivated first.
func (s *Service) Delete(ctx context.Context, actor ledger.Actor, id string) (err error) {
	defer fault.Wrap(&err, "delete identity provider %q", id)
	var o ledger.Object[Provider]
	_, err = s.cfg.Ledger.Update(ctx, actor, "delete identity provider "+id, func(tx *ledger.Tx) error {
		if o, err = Providers.Get(tx, id); err != nil {
			return err
		}
		if o.Value.Type == LDAP && s.cfg.Directory != nil {
			return errDeclared()
		}
		return Providers.Delete(tx, id, 0)
	})
	if err == nil {
		s.record(ctx, actor, providerDeleted, "Delete identity provider", o)
	}
	return err
}

// LinksOf returns a page of the links of a provider.
func (s *Service) LinksOf(ctx context.Context, provider, after string, limit int) (p ledger.Page[Link], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		if _, err := Providers.Get(tx, provider); err != nil {
			return err
		}
		p, err = Links.List(tx, ledger.Query{By: "provider", Equal: []string{provider}, After: after, Limit: limit})
		return err
	})
	return p, err
}

// LinkOf returns the link of a user at a provider, or fault.NotFound.
func (s *Service) LinkOf(ctx context.Context, provider, user string) (o ledger.Object[Link], err error) {
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		o, err = Links.Find(tx, ledger.By("user", user, provider))
		return err
	})
	return o, err
}

// AddLink links a user to somebody at a provider. fault.Conflict when either is linked.
func (s *Service) AddLink(ctx context.Context, actor ledger.Actor, l Link) (o ledger.Object[Link], err error) {
	defer fault.Wrap(&err, "link user %q", l.User)
	_, err = s.cfg.Ledger.Update(ctx, actor, "link user "+l.User+" to identity provider "+l.Provider, func(tx *ledger.Tx) error {
		o, err = Links.Create(tx, l)
		return err
	})
	if err == nil {
		s.recordLink(ctx, actor, "user.account.link", "Link a user to an identity provider", l)
	}
	return o, err
}

// RemoveLink ends the link of a user at a provider.
func (s *Service) RemoveLink(ctx context.Context, actor ledger.Actor, provider, user string) (err error) {
	defer fault.Wrap(&err, "unlink user %q", user)
	_, err = s.cfg.Ledger.Update(ctx, actor, "unlink user "+user+" from identity provider "+provider, func(tx *ledger.Tx) error {
		o, err := Links.Find(tx, ledger.By("user", user, provider))
		if err != nil {
			return err
		}
		return Links.Delete(tx, o.ID, 0)
	})
	if err == nil {
		s.recordLink(ctx, actor, "user.account.unlink", "Unlink a user from an identity provider", Link{Provider: provider, User: user})
	}
	return err
}

// Choice is a provider that people can choose.
type Choice struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Routes bool   `json:"-"` // whose address is of one of its domains is sent there
}

// Choices returns the active providers by name; of an identifier that is not empty, those
// alone to whose domains it belongs.
func (s *Service) Choices(ctx context.Context, identifier string) (out []Choice, err error) {
	domain := domainOf(identifier)
	if identifier != "" && domain == "" {
		return nil, nil
	}
	err = s.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		out = nil
		q := ledger.Query{By: "name"}
		if domain != "" {
			q = ledger.Query{By: "domain", Equal: []string{domain}}
		}
		for o, err := range Providers.All(tx, q) {
			if err != nil {
				return err
			}
			if s.inUse(o.Value) && o.Value.Type != LDAP {
				out = append(out, Choice{o.ID, o.Value.Name, len(o.Value.Domains) > 0})
			}
		}
		return nil
	})
	return out, err
}

// domainOf returns the domain of an address in lower case; empty for what is none, which
// includes what has more than one @ (attack identity 68).
func domainOf(address string) string {
	local, domain, ok := strings.Cut(strings.ToLower(strings.TrimSpace(address)), "@")
	if !ok || local == "" || strings.ContainsAny(local, "\"<>,;: \t\r\n") || !domainName.MatchString(domain) {
		return ""
	}
	return domain
}

// client returns what a provider is asked with.
func (s *Service) client(ctx context.Context, o ledger.Object[Provider]) (*relying.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clients[o.ID]
	if c != nil && c.revision == o.Revision {
		return c.relying, nil
	}
	p := o.Value
	secret := ""
	if p.Secret != "" {
		t, _ := tenant.From(ctx)
		plain, err := s.cfg.Sealer.Open(p.Secret, secretPlace(t, o.ID))
		if err != nil {
			return nil, fault.Because(err, fault.Unavailable, "the secret of the identity provider cannot be read")
		}
		secret = string(plain)
	}
	keySource, err := verify.NewRemoteKeys(verify.RemoteConfig{Issuer: p.Issuer, Now: s.cfg.Now, Fetch: s.cfg.HTTP.Fetch}) //nolint:contextcheck // keys are fetched for everybody, and on their own
	if err != nil {
		return nil, fault.Because(err, fault.Unavailable, "the identity provider's address cannot be used")
	}
	next := &client{revision: o.Revision, keys: keySource}
	next.relying, err = relying.NewClient(relying.ClientConfig{
		Issuer: p.Issuer, Keys: keySource, ClientID: p.ClientID, Secret: secret, Scopes: slices.Clone(p.Scopes),
		Site: s.cfg.URL, Callback: callback(o), HTTP: s.cfg.HTTP, Now: s.cfg.Now,
	})
	if err != nil {
		_ = keySource.Close()
		return nil, err
	}
	if c != nil {
		_ = c.keys.Close()
	}
	s.clients[o.ID] = next
	return next.relying, nil
}

func (s *Service) record(ctx context.Context, actor ledger.Actor, kind, message string, o ledger.Object[Provider]) {
	s.event(ctx, actor, kind, message, audit.Entity{ID: o.ID, Type: "IdentityProvider", DisplayName: o.Value.Name})
}

func (s *Service) recordLink(ctx context.Context, actor ledger.Actor, kind, message string, l Link) {
	s.event(ctx, actor, kind, message, audit.Entity{ID: l.User, Type: "User"}, audit.Entity{ID: l.Provider, Type: "IdentityProvider"})
}

func (s *Service) event(ctx context.Context, actor ledger.Actor, kind, message string, targets ...audit.Entity) {
	t, _ := tenant.From(ctx)
	s.cfg.Audit.Record(audit.Event{
		Tenant: t, Type: kind, Message: message, Actor: audit.Entity{ID: actor.ID, Type: actor.Type, DisplayName: actor.Name},
		Targets: targets, Outcome: audit.Outcome{Result: audit.Success},
	})
}

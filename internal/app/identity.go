package app

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
	"gatehouse/internal/cluster"
	"gatehouse/internal/config"
	"gatehouse/internal/directory"
	"gatehouse/internal/fault"
	"gatehouse/internal/federation"
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/login"
	"gatehouse/internal/mail"
	"gatehouse/internal/okta"
	"gatehouse/internal/revocation"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/session"
	"gatehouse/internal/store"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// identity is everything that stands on the store: the ledger, the domain
// services and the authorization server. It exists once the store is open.
type identity struct {
	db        *store.DB
	ledger    *ledger.Ledger
	views     *access.Views
	access    *access.Service
	people    *directory.Service
	rings     *grant.Rings
	issuer    *grant.Issuer
	inspector *grant.Inspector
	login     *login.Server
	previewer *grant.Previewer
	published *publishedKeys
	documents *clientDocuments
	hooks     *hooks
	grants    *issued.Service
	codes     *grant.Codes
	devices   *grant.Devices
	audit     *audit.Writer
	handler   http.Handler
	sessions  *session.Service
	bus       *cluster.Local
	revoker   *revoker
	url       string
	now       func() time.Time // the clock of what is served

	federation      *federation.Service
	directoryServer *federation.Directory // nil: none
	log             *slog.Logger
	providerHTTP    *safehttp.Client

	events  *told        // audit, and people are told of what concerns them
	letters *mail.Outbox // nil: there is no mail
	pages   *login.Server
	apps    *safehttp.Client // calls addresses that apps have named
	logouts *authserver.Logouts

	tokenUse *tokenUse
	orgToken func(w http.ResponseWriter, r *http.Request, token string, dpop bool) (*verify.Token, error) // verifies one for the management APIs
	members  []*cluster.Member
	stop     context.CancelFunc
	work     sync.WaitGroup
}

// identityConfig is what openIdentity needs.
type identityConfig struct {
	URL     string // of the identity listener, without trailing slash
	DB      *store.DB
	Sealer  *keys.Sealer
	Bus     *cluster.Local
	Revoked *revocation.Set // of the process; the node keeps it
	// Certificates are those that apps show; nil: none can.
	Certificates *grant.Certificates
	Metrics      *telemetry.Metrics
	Log          *slog.Logger
	Now          func() time.Time
	Private      bool         // apps and hooks may be at private addresses and without TLS
	SAML         bool         // identity providers may speak SAML 2.0
	Places       access.Atlas // where addresses are; nil: nobody knows
	Post         post
	People       config.People
	Look         look
	Breached     directory.Breached
	Passwords    keys.PasswordConfig
}

// newRegistry returns every kind that this program keeps.
func newRegistry() (*ledger.Registry, error) {
	var all []ledger.AnyKind
	all = append(all, access.Kinds()...)
	all = append(all, directory.Kinds()...)
	all = append(all, catalog.Kinds()...)
	all = append(all, federation.Kinds()...)
	return ledger.NewRegistry(all...)
}

// openIdentity composes the identity half over an open store and makes what the
// default tenant always has.
func openIdentity(ctx context.Context, c identityConfig) (_ *identity, err error) {
	defer fault.Wrap(&err, "start the authorization server")
	registry, err := newRegistry()
	if err != nil {
		return nil, err
	}
	id := &identity{db: c.DB, bus: c.Bus, url: c.URL, now: c.Now, tokenUse: newTokenUse(c.DB, c.Now)}
	id.audit = audit.NewWriter(audit.WriterConfig{
		Sink: c.DB, NewID: func() string { return keys.ID("evt") }, Now: c.Now, Log: c.Log,
	})
	id.events = &told{Writer: id.audit}
	if c.Post.transport != nil {
		id.letters = mail.New(mail.Config{Transport: c.Post.transport, From: c.Post.from, Audit: id.audit, Log: c.Log, Now: c.Now})
	}
	if id.ledger, err = ledger.New(ledger.Config{
		Store: c.DB.Ledger(), Registry: registry, Clock: c.Now,
		// The bus of one process calls its members, which only take a note.
		Committed: func(t tenant.ID, r ledger.Revision) {
			ctx := context.WithoutCancel(ctx)
			_ = c.Bus.PublishRevision(ctx, t, int64(r))
			id.revoker.committed(ctx)
		},
	}); err != nil {
		return nil, err
	}
	id.revoker = &revoker{db: c.DB, ledger: id.ledger, bus: c.Bus, url: c.URL, log: c.Log, now: c.Now}
	id.published = newPublishedKeys(c.Private, c.Now)
	id.documents = newClientDocuments(id, c.Private, c.Now)
	id.views = access.NewViews(access.ViewsConfig{Ledger: id.ledger, Places: c.Places, Published: id.published.source, Now: c.Now, Log: c.Log})
	id.revoker.views = id.views
	id.rings = grant.NewRings(grant.RingsConfig{Store: c.DB.SigningKeys(), Sealer: c.Sealer, Now: c.Now, Log: c.Log})
	id.access = access.NewService(access.ServiceConfig{Ledger: id.ledger, Views: id.views, Audit: id.audit, Rings: id.rings, Sealer: c.Sealer})
	id.people = directory.NewService(directory.Config{Ledger: id.ledger, Rules: id.access, Passwords: keys.NewPasswords(c.Passwords), Audit: id.events, Sealer: c.Sealer, SingleUse: c.DB, FactorUse: c.DB, EmailCodes: c.DB, Breached: c.Breached})
	clients, err := grant.NewClients(grant.ClientsConfig{SingleUse: c.DB, Sealer: c.Sealer, Certificates: c.Certificates, Documents: id.documents, Audit: id.audit, Now: c.Now})
	if err != nil {
		return nil, err
	}
	id.hooks = newHooks(hooksConfig{Private: c.Private, Secrets: id.access, Audit: id.audit, Log: c.Log, Now: c.Now})
	minter := grant.NewMinter(grant.MinterConfig{Rings: id.rings, Hooks: id.hooks, Now: c.Now})
	id.issuer = grant.NewIssuer(grant.IssuerConfig{Minter: minter, People: id.people, Audit: id.audit})
	token, err := id.compose(c, clients, minter)
	if err != nil {
		return nil, err
	}
	site := authserver.Site{Tenant: tenant.Default, URL: c.URL}
	if err := id.openFederation(c); err != nil {
		return nil, err
	}
	pages := id.openPeople(c)
	id.login = pages.login
	id.pages = pages.login
	id.events.pages.Store(pages.login)
	protocol, err := authserver.New(authserver.Config{
		Site:  func(*http.Request) (authserver.Site, bool) { return site, true },
		Views: id.views, Rings: id.rings, Clients: clients, Tokens: token, Inspector: id.inspector, Certificates: c.Certificates, Login: pages.login, Origins: id.access, Waiting: pages.waiting,
		Revocations: c.DB, Bus: c.Bus, Revoked: c.Revoked, Audit: id.audit, Log: c.Log, Now: c.Now,
		Refresh: c.DB, Grants: id.grants, Devices: id.devices, DevicePage: login.DevicePath, Documents: id.documents, Backchannel: true, Registration: okta.ClientsPath, GlobalRevocation: okta.GlobalRevocationPath,
		Languages: pages.kit.Words().Languages(),
	})
	if err != nil {
		return nil, err
	}
	id.handler = pages.handler(protocol)
	id.orgToken = func(w http.ResponseWriter, r *http.Request, token string, dpop bool) (*verify.Token, error) {
		return protocol.OrgToken(w, r, site, token, dpop)
	}
	if err := id.join(ctx, c); err != nil {
		id.leave()
		id.logouts.Close()
		return nil, err
	}
	id.run(ctx)
	return id, nil
}

// join puts the identity half on the bus, and reads the store after that, so that
// nothing falls in between.
func (id *identity) join(ctx context.Context, c identityConfig) error {
	m, err := c.Bus.Join("identity", "identity", id.views)
	if err != nil {
		return err
	}
	id.members = append(id.members, m)
	ctx = tenant.With(ctx, tenant.Default)
	if err := id.revoker.begin(ctx); err != nil {
		return err
	}
	if err := id.people.EnsureTenant(ctx, ledger.System("setup")); err != nil {
		return err
	}
	return id.access.EnsureTenant(ctx, ledger.System("setup"))
}

func (id *identity) leave() {
	for _, m := range id.members {
		m.Leave()
	}
	id.members = nil
}

// revocations yields every revocation that still matters: there may be a million.
func (id *identity) revocations(ctx context.Context, now time.Time) iter.Seq2[cluster.Revocation, error] {
	return func(yield func(cluster.Revocation, error) bool) {
		const page = 1000
		var after int64
		for {
			list, err := id.db.Revocations(ctx, after, now, page)
			if err != nil {
				yield(cluster.Revocation{}, err)
				return
			}
			for i := range list {
				if !yield(list[i].Revocation, nil) {
					return
				}
				after = list[i].Seq
			}
			if len(list) < page {
				return
			}
		}
	}
}

// run starts the work that goes on by itself.
func (id *identity) run(ctx context.Context) {
	ctx, id.stop = context.WithCancel(context.WithoutCancel(ctx))
	id.work.Go(func() { _ = id.audit.Run(ctx) })
	id.work.Go(func() { _ = id.rings.Run(ctx) })
	id.work.Go(func() { id.prune(ctx) })
	id.work.Go(func() { id.clearRoom(ctx) })
	id.work.Go(func() { id.revoker.run(ctx) })
	id.work.Go(func() { id.pages.Run(ctx) })
	if id.letters != nil {
		id.work.Go(func() { id.letters.Run(ctx) })
	}
	if d := id.directoryServer; d != nil {
		id.work.Go(func() { id.lookAround(ctx, d.Every) })
	}
}

// prune forgets what has expired, once an hour.
func (id *identity) prune(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			// What is not pruned now is pruned in an hour; it harms nobody meanwhile.
			_, _ = id.db.PruneRevocations(ctx, now)
			_, _ = id.db.PruneUsed(ctx, now)
			_, _ = id.db.PruneOrigins(ctx, now)
			_, _ = id.grants.Prune(ctx, now)
			_, _ = id.db.PruneSessions(ctx, now)
			_, _ = id.db.PruneEvents(ctx, tenant.Default, now.Add(-90*24*time.Hour))
		}
	}
}

func (id *identity) close() error {
	id.leave()
	id.logouts.Close()
	id.apps.Close()
	id.stop()
	id.work.Wait()
	id.published.close()
	id.documents.http.Close()
	id.hooks.http.Close()
	id.closeFederation()
	return errors.Join(id.rings.Close(), id.db.Close())
}

// target returns where a token of the named server comes from.
func (id *identity) target(ctx context.Context, server string) (*grant.Target, error) {
	view, err := id.views.Get(ctx, tenant.Default)
	if err != nil {
		return nil, err
	}
	s, ok := view.Server(server)
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no active authorization server %q", server)
	}
	return &grant.Target{Tenant: tenant.Default, URL: id.url, View: view, Server: s}, nil
}

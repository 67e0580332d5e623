package app

import (
	"context"
	"net/http"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/issued"
	"gatehouse/internal/login"
	"gatehouse/internal/session"
	"gatehouse/internal/tenant"
	"gatehouse/internal/web"
)

// people is what they meet in a browser.
type people struct {
	kit     *web.Kit
	waiting *session.Room
	login   *login.Server
}

// openPeople composes it over an open identity half.
func (id *identity) openPeople(c identityConfig) people {
	kit := web.New(web.Config{URL: c.URL, Log: c.Log, Now: c.Now, Words: c.Look.words, Brand: c.Look.brand})
	id.openLogouts(c)
	id.sessions = session.NewService(session.Config{Store: c.DB, Bus: id.revoker, Now: c.Now, Ended: id.logouts.Ended})
	id.revoker.sessions, id.revoker.grants = id.sessions, id.grants
	waiting := session.NewRoom(session.RoomConfig{Store: c.DB, Now: c.Now})
	site := login.Site{Tenant: tenant.Default, URL: c.URL, Name: c.Look.brand.Name, Language: c.Look.language}
	if domains := c.People.RegistrationDomains; len(domains) > 0 {
		site.Registration = &login.Registration{Domains: domains}
	}
	var letters login.Letters
	if id.letters != nil {
		letters = id.letters
	}
	return people{kit: kit, waiting: waiting, login: login.New(login.Config{
		Site:    func(*http.Request) (login.Site, bool) { return site, true },
		SiteOf:  func(t tenant.ID) (login.Site, bool) { return site, t == site.Tenant },
		Letters: letters, Sealer: c.Sealer, History: audit.NewLog(c.DB), Held: id.held,
		Views: id.views, Kit: kit, Sessions: id.sessions, Waiting: waiting, Codes: id.codes, Devices: id.devices,
		People: id.people, Lifecycle: id.people, Factors: id.people, Passkeys: id.people, MailCodes: id.people, Recovery: id.people, Attempts: c.DB, Places: c.DB, Atlas: atlasOf(c), Consents: id.access, Persons: assignments{id.access}, Origins: id.access,
		Federation: id.federation, Documents: id.documents, Certificates: c.Certificates,
		Revoke: id.revokeGrants, Audit: id.events, Log: c.Log, Now: c.Now,
	})}
}

// atlasOf returns what knows where addresses are; nil: nobody does.
func atlasOf(c identityConfig) login.Atlas {
	at, _ := c.Places.(login.Atlas)
	return at
}

// handler serves the pages, and all other addresses by the protocol's handler.
func (p people) handler(protocol http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", protocol)
	for _, path := range login.SessionPaths() {
		mux.HandleFunc(path, p.login.ServeSession)
	}
	mux.HandleFunc("GET "+web.AssetPath, p.kit.ServeAsset)
	for _, pattern := range login.Patterns() {
		mux.Handle(pattern, p.login)
	}
	return mux
}

// revokeGrants ends what a user has granted to an app, to all when it is empty.
func (id *identity) revokeGrants(ctx context.Context, user, app string) error {
	_, err := id.grants.Revoke(ctx, issued.Selection{User: user, Client: app})
	return err
}

// assignments says who may use which app. It implements login.Persons.
type assignments struct{ *access.Service }

// Assigned implements login.Persons.
func (a assignments) Assigned(ctx context.Context, user, app string) (bool, error) {
	p, err := a.Person(ctx, user, app)
	return p.Assigned, err
}

var _ login.Consents = (*access.Service)(nil)

package app

import (
	"context"

	"gatehouse/internal/federation"
	"gatehouse/internal/safehttp"
)

// openFederation makes sign-in by external identity providers. The addresses of these
// are named by administrators through an API, so they are public ones over https; on a
// developer's machine any.
func (id *identity) openFederation(c identityConfig) (err error) {
	id.log = c.Log
	if id.directoryServer, err = directoryServer(c.People.LDAP); err != nil {
		return err
	}
	id.providerHTTP = safehttp.New(safehttp.Config{AllowPrivate: c.Private})
	id.federation = federation.NewService(federation.Config{
		Ledger: id.ledger, People: id.people, Sealer: c.Sealer, HTTP: id.providerHTTP, Audit: id.audit, URL: c.URL, Now: c.Now,
		Uses: id.db, Origins: id.db, SAML: c.SAML, Directory: id.directoryServer,
		Privileged: func(ctx context.Context, user string) (bool, error) {
			p, err := id.UserPermissions(ctx, user)
			return len(p) > 0, err
		},
	})
	return nil
}

func (id *identity) closeFederation() {
	id.federation.Close()
	id.providerHTTP.Close()
}

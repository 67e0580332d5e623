package app

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/federation"
	"gatehouse/internal/ldap"
)

// syncEvery is how often the people of a directory server are looked at when nothing
// else is said.
const syncEvery = 15 * time.Minute

// directoryServer makes what asks the directory server of the settings; nil for none.
func directoryServer(c config.LDAP) (*federation.Directory, error) {
	if c.URL == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	var roots *x509.CertPool
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("the authorities of the directory server cannot be read: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate: server.people.ldap.ca names authorities in PEM form", c.CA)
		}
	}
	source, err := ldap.New(ldap.Config{
		URL: c.URL, Roots: roots, User: c.User, Password: c.Password, Base: c.Base, Filter: c.Filter, ID: cmp.Or(c.ID, "entryUUID"),
		Attributes: federation.Attributes(c.Attributes),
		GroupBase:  c.GroupBase, GroupFilter: cmp.Or(c.GroupFilter, "(member={dn})"), GroupName: cmp.Or(c.GroupName, "cn"), Nested: c.GroupNested,
	})
	if err != nil {
		return nil, fmt.Errorf("server.people.ldap: %w", err)
	}
	return &federation.Directory{Source: source, URL: c.URL, Domains: c.Domains, Mapping: c.Attributes, Groups: c.Groups, Every: cmp.Or(c.Sync, syncEvery)}, nil
}

// lookAround looks at the people of the directory server now and then. What does not succeed now is
// tried again the next time; the log says so.
func (id *identity) lookAround(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n, err := id.federation.Sync(withTenant(ctx))
			if err != nil {
				id.log.LogAttrs(ctx, slog.LevelError, "the people of the directory server were not looked at", slog.Any("error", err))
			} else if n.Suspended+n.Restored > 0 {
				id.log.LogAttrs(ctx, slog.LevelInfo, "people of the directory server have come or gone", slog.Int("seen", n.Seen), slog.Int("suspended", n.Suspended), slog.Int("restored", n.Restored))
			}
		}
	}
}

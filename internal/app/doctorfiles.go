package app

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/geo"
	"gatehouse/internal/keys"
)

// soonOver is how long before its end a certificate is worth a warning.
const soonOver = 14 * 24 * time.Hour

// files checks certificates and other files that the settings name.
func (e *examination) files(now time.Time) {
	s := e.settings
	e.certificate("gateway certificate", s.Gateway.CertFile, s.Gateway.KeyFile, now)
	e.certificate("identity certificate", s.Identity.CertFile, s.Identity.KeyFile, now)
	e.certificate("decide certificate", s.Decide.TLS.Cert, s.Decide.TLS.Key, now)
	for _, ca := range []struct{ setting, path string }{
		{"gateway.tls.client_ca", s.Gateway.ClientCAFile}, {"identity.tls.client_ca", s.Identity.ClientCAFile}, {"identity.device_ca", s.Identity.DeviceCAFile},
	} {
		if ca.path == "" {
			continue
		}
		if _, err := openCA(ca.setting, ca.path); err != nil {
			e.add(Failed, "authorities", "%v", err)
		} else {
			e.add(Passed, "authorities", "%s: %s can be read", ca.setting, ca.path)
		}
	}
	if s.Geo != (config.Geo{}) {
		if _, err := geo.Open(geo.Config{Country: s.Geo.Country, ASN: s.Geo.ASN}); err != nil {
			e.add(Failed, "places", "%v", err)
		} else {
			e.add(Passed, "places", "the files of countries and network operators can be read")
		}
	}
	if path := s.People.BreachedPasswords; path != "" {
		list, err := keys.OpenBreached(path)
		if err != nil {
			e.add(Failed, "breached passwords", "%v", err)
			return
		}
		_ = list.Close()
		e.add(Passed, "breached passwords", "%s can be read", path)
	}
}

func (e *examination) certificate(check, cert, key string, now time.Time) {
	if cert == "" {
		return
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		e.add(Failed, check, "%s with the key %s cannot be used: %v", cert, key, err)
		return
	}
	until := pair.Leaf.NotAfter
	switch day := until.Format(time.DateOnly); {
	case now.Before(pair.Leaf.NotBefore):
		e.add(Failed, check, "%s begins only on %s", cert, pair.Leaf.NotBefore.Format(time.DateOnly))
	case now.After(until):
		e.add(Failed, check, "%s ended on %s: put a new one in its place, it is read within seconds", cert, day)
	case now.Add(soonOver).After(until):
		e.add(Warning, check, "%s ends on %s", cert, day)
	default:
		e.add(Passed, check, "%s is good until %s", cert, day)
	}
}

// servers checks that servers for people are there: of letters, of the directory.
func (e *examination) servers(ctx context.Context) {
	e.reaches(ctx, "mail server", e.settings.Mail.Server)
	e.reaches(ctx, "directory server", e.settings.People.LDAP.URL)
}

// reaches checks that the server of an address, "" for none, accepts connections.
func (e *examination) reaches(ctx context.Context, check, address string) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	if err != nil {
		e.add(Failed, check, "it has no address that can be read")
		return
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "smtp": "587", "smtps": "465", "ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		e.add(Failed, check, "%s does not accept connections: %v", u.Redacted(), err)
		return
	}
	_ = conn.Close()
	e.add(Passed, check, "%s accepts connections", u.Redacted())
}

package access

import (
	"context"
	"slices"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
)

// AppCertificate is a certificate of an app with its sealed key (Okta's key
// credential, by which an app of another protocol would know this server).
type AppCertificate struct {
	ID      string    `json:"kid"`
	DER     []byte    `json:"certificate"`
	Sealed  string    `json:"sealed"` // PKCS #8
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// maxCertificates is how many certificates an app may have.
const maxCertificates = 20

func certificatePlace(t tenant.ID, app, kid string) keys.Place {
	return keys.Place{Tenant: t, Kind: Apps.Name(), ID: app, Field: "certificates." + kid}
}

// GenerateCertificate gives an app a new certificate for some years.
func (s *Service) GenerateCertificate(ctx context.Context, actor ledger.Actor, app string, years int) (c AppCertificate, err error) {
	defer fault.Wrap(&err, "make a certificate of app %q", app)
	if years < 2 || years > 10 {
		return c, fault.New(fault.Invalid, "the certificate is not valid").WithFields(fault.Field{Path: "validityYears", Message: "must be from 2 to 10"})
	}
	if s.sealer == nil {
		return c, fault.New(fault.Unavailable, "this process keeps no certificates")
	}
	if _, err := s.App(ctx, app); err != nil {
		return c, err
	}
	now, err := s.now(ctx)
	if err != nil {
		return c, err
	}
	made, err := keys.NewCertificate(app, now, now.AddDate(years, 0, 0))
	if err != nil {
		return c, err
	}
	c = AppCertificate{ID: made.ID, DER: made.DER, Created: now, Expires: now.AddDate(years, 0, 0)}
	return c, s.addCertificate(ctx, actor, app, &c, made.Private)
}

// CloneCertificate gives the certificate of an app to another one as well.
func (s *Service) CloneCertificate(ctx context.Context, actor ledger.Actor, app, kid, target string) (c AppCertificate, err error) {
	defer fault.Wrap(&err, "clone certificate %q of app %q", kid, app)
	o, err := s.App(ctx, app)
	if err != nil {
		return c, err
	}
	if c, err = o.Value.Certificate(kid); err != nil {
		return c, err
	}
	if s.sealer == nil {
		return c, fault.New(fault.Unavailable, "this process keeps no certificates")
	}
	t, _ := tenant.From(ctx)
	private, err := s.sealer.Open(c.Sealed, certificatePlace(t, app, kid))
	if err != nil {
		return c, err
	}
	return c, s.addCertificate(ctx, actor, target, &c, private)
}

// Certificate returns a certificate of the app, or fault.NotFound.
func (a *App) Certificate(kid string) (AppCertificate, error) {
	i := slices.IndexFunc(a.Certificates, func(c AppCertificate) bool { return c.ID == kid })
	if i < 0 {
		return AppCertificate{}, fault.New(fault.NotFound, "the app has no certificate %s", quoted(kid))
	}
	return a.Certificates[i], nil
}

func (s *Service) addCertificate(ctx context.Context, actor ledger.Actor, app string, c *AppCertificate, private []byte) error {
	return s.updateApp(ctx, actor, "add a certificate", app, func(tx *ledger.Tx, a *App) (err error) {
		if slices.ContainsFunc(a.Certificates, func(x AppCertificate) bool { return x.ID == c.ID }) {
			return fault.New(fault.Invalid, "the certificate is not valid").WithFields(fault.Field{Path: "kid", Message: "is a certificate that the app has already"})
		}
		if len(a.Certificates) >= maxCertificates {
			return fault.New(fault.Invalid, "the app has %d certificates already", maxCertificates)
		}
		if c.Sealed, err = s.sealer.Seal(private, certificatePlace(tx.Tenant(), app, c.ID)); err != nil {
			return err
		}
		a.Certificates = append(slices.Clone(a.Certificates), *c)
		return nil
	})
}

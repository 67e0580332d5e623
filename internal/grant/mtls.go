package grant

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/revocation"
	"gatehouse/internal/tenant"
)

// CertificatesConfig is what Certificates needs.
type CertificatesConfig struct {
	// Roots returns the authorities that vouch for apps; a nil function: none do.
	Roots func() *x509.CertPool
	// Devices returns those that vouch for managed devices, likewise.
	Devices func() *x509.CertPool
	Revoked *revocation.Set
	Now     func() time.Time // the clock
}

// Certificates says which certificate the client of a request has shown (RFC 8705):
// the one of its connection, in whose handshake it has proven to hold the key. Who
// serves behind a proxy puts there what the proxy has seen. A nil Certificates says
// that nobody has any.
type Certificates struct{ cfg CertificatesConfig }

// NewCertificates returns Certificates.
func NewCertificates(cfg CertificatesConfig) *Certificates { return &Certificates{cfg: cfg} }

// of returns the certificates of the client, its own first, and the thumbprint of that
// one (x5t#S256, section 3.1). One that is revoked, or not valid now, is none.
func (c *Certificates) of(r *http.Request, t tenant.ID) (chain []*x509.Certificate, x5t string) {
	if c == nil || r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil, ""
	}
	chain = r.TLS.PeerCertificates
	sum := sha256.Sum256(chain[0].Raw)
	x5t = base64.RawURLEncoding.EncodeToString(sum[:])
	now := c.cfg.Now()
	if now.Before(chain[0].NotBefore) || now.After(chain[0].NotAfter) || c.cfg.Revoked.NamesCertificate(t, x5t) {
		return nil, ""
	}
	return chain, x5t
}

// Bind reports whether tokens can be bound to certificates.
func (c *Certificates) Bind() bool { return c != nil }

// Methods returns the ways of authentication that certificates make possible.
func (c *Certificates) Methods() []string {
	switch {
	case c == nil:
		return nil
	case c.cfg.Roots == nil:
		return []string{access.AuthSelfSigned}
	}
	return []string{access.AuthTLS, access.AuthSelfSigned}
}

// authenticates reports whether the request comes with the certificate of the app.
func (c *Certificates) authenticates(r *http.Request, t tenant.ID, app *access.AppView) bool {
	chain, _ := c.of(r, t)
	if len(chain) == 0 {
		return false
	}
	if app.AuthMethod == access.AuthSelfSigned {
		return hasKey(app, chain[0])
	}
	return c.vouchedFor(chain, c.cfg.Roots) && named(&app.Extension.TLS, chain[0])
}

// vouchedFor reports whether one of the authorities has issued a certificate.
func (c *Certificates) vouchedFor(chain []*x509.Certificate, roots func() *x509.CertPool) bool {
	if roots == nil {
		return false
	}
	between := x509.NewCertPool()
	for _, link := range chain[1:] {
		between.AddCert(link)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots(), Intermediates: between, CurrentTime: c.cfg.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// Device returns what the device of a request proves by its certificate: that an
// authority for devices vouches for it.
func (c *Certificates) Device(r *http.Request, t tenant.ID) (d issued.DeviceProof) {
	chain, x5t := c.of(r, t)
	if len(chain) > 0 && c.vouchedFor(chain, c.cfg.Devices) {
		d.Certificate, d.Until = x5t, chain[0].NotAfter
	}
	return d
}

// vouch reports whether the certificate of a device still says that it is one.
func (c *Certificates) vouch(d *issued.DeviceProof, t tenant.ID, now time.Time) bool {
	return c != nil && d.Certificate != "" && now.Before(d.Until) && !c.cfg.Revoked.NamesCertificate(t, d.Certificate)
}

// named reports whether a certificate says what the app's settings say (section
// 2.1.2). Of several names of a kind one has to be it.
func named(want *access.TLSClient, c *x509.Certificate) bool {
	switch {
	case want.SubjectDN != "":
		return c.Subject.String() == want.SubjectDN
	case want.DNS != "":
		return slices.Contains(c.DNSNames, want.DNS)
	case want.Email != "":
		return slices.Contains(c.EmailAddresses, want.Email)
	case want.URI != "":
		for _, u := range c.URIs {
			if u.String() == want.URI {
				return true
			}
		}
	case want.IP != "":
		for _, ip := range c.IPAddresses {
			if ip.String() == want.IP {
				return true
			}
		}
	}
	return false
}

// hasKey reports whether the certificate is of one of the app's public keys (section
// 2.2): nobody vouches for a self-signed certificate but the key in it.
func hasKey(app *access.AppView, c *x509.Certificate) bool {
	return slices.ContainsFunc(app.Keys, func(k access.AppKey) bool {
		return k.Status == access.Active && keys.SameKey(k.JWK, c.PublicKey)
	})
}

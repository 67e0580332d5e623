package gateway

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// CertificateIssuer begins the issuer of the callers that client certificates stand
// for; the name of the configured one follows. No token has it: it is no URL.
const CertificateIssuer = "urn:gatehouse:certificate:"

// maxCallers bounds the certificates whose callers one authority remembers.
const maxCallers = 16384

// Errors about client certificates as identity.
var (
	errCertWanted   = Refuse(ReasonNoToken, nil, "the request came with no client certificate")
	errCertStranger = Refuse(ReasonUnknownIssuer, nil, "no authority that this API accepts vouches for the client certificate")
	errCertExpired  = Refuse(ReasonTokenExpired, nil, "the client certificate has expired")
	errCertEarly    = Refuse(ReasonTokenNotYetValid, nil, "the client certificate is not valid yet")
	errCertRevoked  = Refuse(ReasonRevoked, nil, "the list of its authority says that the client certificate is revoked")
	errCertUnknown  = Refuse(ReasonRevocationStateUnknown, nil, "the authority's list of revoked certificates is missing, or too old")
)

// authority is a certificate authority that vouches for callers.
type authority struct {
	issuer string // of the callers
	roots  func() *x509.CertPool
	crl    *revokedCerts // nil: none is configured
	client string        // field of a certificate that says which client it is
	user   string        // and which user; "" = none
	scopes []string

	mu      sync.RWMutex
	callers map[string]*certCaller // by thumbprint
}

// certCaller is what is known of one certificate: a fact for as long as it is valid
// and not revoked.
type certCaller struct {
	token *verify.Token
	chain []*x509.Certificate // up to the root
	roots *x509.CertPool      // that it was held against
}

// compileAuthority compiles an issuer of certificates.
func (c *compiler) compileAuthority(s spec.Issuer) error {
	pool := x509.NewCertPool()
	if err := addCertificates(pool, []byte(s.ClientCA)); err != nil {
		return fault.Because(err, fault.Invalid, "client_ca")
	}
	a := newAuthority(s.Name, func() *x509.CertPool { return pool })
	if s.Claims.Client != "" {
		a.client = s.Claims.Client
	}
	a.user, a.scopes = s.Claims.User, slices.Clone(s.Scopes)
	if s.CRL != "" {
		a.crl = newRevokedCerts(s.CRL)
		if err := a.crl.look(c.g.config.Now()); err != nil {
			// Another node may have the file, and this one later: until then callers are answered 503.
			c.g.config.Logger.Warn("a list of revoked certificates cannot be used", "issuer", s.Name, "error", err)
		}
	}
	c.issuers[s.Name] = accepted{name: s.Name, url: a.issuer, authority: a}
	return nil
}

// listenerAuthority returns what auth: mtls means: the certificates that the
// listener itself takes.
func (c *compiler) listenerAuthority() (accepted, error) {
	if c.g.config.ClientCA == nil {
		return accepted{}, fault.New(fault.Invalid, "auth: mtls accepts whom the listener's authorities vouch for: name them in server.gateway.tls.client_ca")
	}
	a := newAuthority(spec.AuthMTLS, c.g.config.ClientCA)
	return accepted{name: spec.AuthMTLS, url: a.issuer, authority: a}, nil
}

func newAuthority(name string, roots func() *x509.CertPool) *authority {
	return &authority{issuer: CertificateIssuer + name, roots: roots, client: spec.CertCommonName, callers: map[string]*certCaller{}}
}

// addCertificates adds PEM certificates to a pool; anything else in the text is an error.
func addCertificates(pool *x509.CertPool, text []byte) error {
	n := 0
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		switch {
		case block.Type != "CERTIFICATE" || err != nil:
			return errors.New("it holds a block that is no certificate")
		case !c.IsCA:
			return fmt.Errorf("the certificate of %s is not one of an authority", c.Subject)
		}
		pool.AddCert(c)
		n, text = n+1, rest
	}
	if n == 0 {
		return errors.New("it holds no certificate in PEM form")
	}
	return nil
}

// certificateSpeaks reports whether the client certificate is what says who calls:
// where nothing else could, or the request has nothing else.
func (s *authenticate) certificateSpeaks(ex *Exchange) bool {
	if !s.tokens && s.keys == nil && s.session == nil {
		return true
	}
	if ex.auths > 0 || len(ex.clientCertificate()) == 0 {
		return false
	}
	return s.keys == nil || !slices.ContainsFunc(ex.req.Fields, func(f wire.Field) bool { return f.Kind == wire.APIKey })
}

// byCertificate finds out who calls by the client certificate: the first authority
// that vouches for it decides.
func (s *authenticate) byCertificate(ex *Exchange) error {
	chain := ex.clientCertificate()
	if len(chain) == 0 {
		return errCertWanted
	}
	err := error(errCertStranger)
	for _, a := range s.authorities {
		var t *verify.Token
		if t, err = a.caller(chain, ex.certificate, ex.started); err == nil {
			ex.token, ex.vouched = t, a
			ex.memo = ex.memoOf(t, chain[0].Raw)
			return nil
		}
		if !errors.Is(err, errCertStranger) {
			return err
		}
	}
	return err
}

// caller returns whom the certificate stands for.
func (a *authority) caller(chain []*x509.Certificate, thumbprint string, now time.Time) (*verify.Token, error) {
	roots := a.roots()
	a.mu.RLock()
	c := a.callers[thumbprint]
	a.mu.RUnlock()
	if c == nil || c.roots != roots {
		var err error
		if c, err = a.vouch(chain, thumbprint, roots, now); err != nil {
			return nil, err
		}
		a.mu.Lock()
		if len(a.callers) >= maxCallers {
			clear(a.callers)
		}
		a.callers[thumbprint] = c
		a.mu.Unlock()
	}
	for _, link := range c.chain {
		switch {
		case now.After(link.NotAfter):
			return nil, errCertExpired
		case now.Before(link.NotBefore):
			return nil, errCertEarly
		}
	}
	if a.crl != nil {
		if err := a.crl.check(c.chain, now); err != nil {
			return nil, err
		}
	}
	return c.token, nil
}

// vouch holds a certificate against the roots: RFC 5280 section 6, for the use of a client.
func (a *authority) vouch(chain []*x509.Certificate, thumbprint string, roots *x509.CertPool, now time.Time) (*certCaller, error) {
	between := x509.NewCertPool()
	for _, c := range chain[1:min(len(chain), maxChain+1)] {
		between.AddCert(c)
	}
	leaf := chain[0]
	if leaf.IsCA {
		return nil, Refuse(ReasonTokenTypeNotAccepted, nil, "the client certificate is that of an authority")
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if now.Before(leaf.NotBefore) {
			return nil, errCertEarly
		}
		return nil, errCertExpired
	default:
		return nil, errCertStranger
	}
	t, err := a.token(leaf, thumbprint)
	if err != nil {
		return nil, err
	}
	return &certCaller{token: t, chain: chains[0], roots: roots}, nil
}

// token is the caller as everything behind sees it: the fields of the certificate
// are its claims.
func (a *authority) token(c *x509.Certificate, thumbprint string) (*verify.Token, error) {
	fields := certFields(c, thumbprint)
	client, err := oneField(fields, a.client)
	if err != nil {
		return nil, err
	}
	user := ""
	if a.user != "" {
		if user, err = oneField(fields, a.user); err != nil {
			return nil, err
		}
	}
	claims := map[string]any{"iss": a.issuer, "scp": a.scopes, "cnf": map[string]any{"x5t#S256": thumbprint}}
	if a.scopes == nil {
		claims["scp"] = []string{}
	}
	for name, values := range fields {
		if len(values) == 1 {
			claims[name] = values[0]
		} else if len(values) > 1 {
			claims[name] = values
		}
	}
	object, err := json.Marshal(claims)
	if err != nil {
		return nil, fault.Because(err, fault.Internal, "write the fields of a certificate")
	}
	t, err := verify.FromClaims(object, verify.ClaimNames{})
	if err != nil {
		return nil, Refuse(ReasonTokenMalformed, err, "the client certificate holds a field that is no text")
	}
	t.ClientID, t.UserID, t.Subject = client, user, client
	if user != "" {
		t.Subject = user
	}
	t.ID, t.IssuedAt, t.Expires = fields[spec.CertSerial][0], c.NotBefore.Unix(), c.NotAfter.Unix()
	return t, nil
}

// certFields are the fields of a certificate that can name a caller, by the words of
// the configuration.
func certFields(c *x509.Certificate, thumbprint string) map[string][]string {
	f := map[string][]string{
		spec.CertSubject: {c.Subject.String()}, spec.CertSerial: {c.SerialNumber.Text(16)}, spec.CertThumbprint: {thumbprint},
		spec.CertDNS: c.DNSNames, spec.CertEmail: c.EmailAddresses,
	}
	if c.Subject.CommonName != "" {
		f[spec.CertCommonName] = []string{c.Subject.CommonName}
	}
	for _, u := range c.URIs {
		f[spec.CertURI] = append(f[spec.CertURI], u.String())
	}
	return f
}

// oneField returns the one value of a field: of several nobody knows which is meant.
func oneField(fields map[string][]string, name string) (string, error) {
	values := fields[name]
	if len(values) != 1 || spec.CheckText(values[0], 255) != nil {
		return "", Refuse(ReasonTokenMalformed, nil, "the client certificate has %d values for %s, which names the caller; it must be one line of text", len(values), name)
	}
	return values[0], nil
}

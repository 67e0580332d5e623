// Package saml is the service provider's side of SAML 2.0 web sign-in: what an identity
// provider is asked with, and which of its answers are believed. It keeps nothing and
// leads no browser; it must not know who the people are, HTTP servers, or stores.
package saml

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"time"

	"gatehouse/internal/fault"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// The formats of a subject's name (SAML core section 8.3) that may name an account: the
// others name a session, a machine, or nobody in particular.
const (
	Unspecified = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	Email       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	Persistent  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
)

// What must bear the provider's signature; the words are Okta's.
const (
	Any       = "ANY" // the response with all in it, or the assertion
	Response  = "RESPONSE"
	Assertion = "ASSERTION"
)

// Provider is an identity provider and what we are to it. All fields are required.
type Provider struct {
	Issuer   string              // its entity id
	SignOn   string              // where browsers are sent to (HTTP-Redirect binding)
	Keys     []*x509.Certificate // whose keys sign; the current one and its successor
	Audience string              // our entity id
	Consumer string              // where its answers come to (HTTP-POST binding)
	Format   string              // of the subject's name: Unspecified takes each of the three
	Signed   string              // Any, Response or Assertion
}

// ParseCertificate reads a certificate as JWKs have it in x5c: base64 of DER. Its key is RSA of
// at least 2048 bits or ECDSA of at least 256.
func ParseCertificate(x5c string) (*x509.Certificate, error) {
	der, err := base64.StdEncoding.DecodeString(x5c)
	if err != nil {
		return nil, fault.New(fault.Invalid, "is not base64 of a certificate (DER)")
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fault.New(fault.Invalid, "is not a certificate")
	}
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 {
			return c, nil
		}
	case *ecdsa.PublicKey:
		if k.Curve.Params().BitSize >= 256 {
			return c, nil
		}
	}
	return nil, fault.New(fault.Invalid, "must hold an RSA key of 2048 to 8192 bits or an ECDSA key of at least 256")
}

// party returns the library's service provider with everything that it leaves to choice
// chosen to be strict.
func (p Provider) party(now time.Time) (*saml.ServiceProvider, error) {
	consumer, err := url.Parse(p.Consumer)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the address for the answers is none")
	}
	signing := make([]saml.KeyDescriptor, 0, len(p.Keys))
	for _, c := range p.Keys {
		signing = append(signing, saml.KeyDescriptor{Use: "signing", KeyInfo: saml.KeyInfo{X509Data: saml.X509Data{
			X509Certificates: []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(c.Raw)}},
		}}})
	}
	return &saml.ServiceProvider{
		EntityID: p.Audience, AcsURL: *consumer, AuthnNameIDFormat: saml.NameIDFormat(p.Format),
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding}, MetadataOmitValidUntil: true,
		RejectSHA1Signatures: true, RejectUnknownConditions: true, RequireSignedResponseForCBC: true, LimitRelayStateLength: true,
		Clock: dsig.NewFakeClockAt(now),
		IDPMetadata: &saml.EntityDescriptor{EntityID: p.Issuer, IDPSSODescriptors: []saml.IDPSSODescriptor{{
			SSODescriptor:        saml.SSODescriptor{RoleDescriptor: saml.RoleDescriptor{KeyDescriptors: signing}},
			SingleSignOnServices: []saml.Endpoint{{Binding: saml.HTTPRedirectBinding, Location: p.SignOn}},
		}}},
	}, nil
}

// NewID returns a fresh id of a request.
func NewID() string { return "id-" + rand.Text() }

// Ask returns where the browser goes with the request id, which the answer must name. relay,
// at most 80 bytes, comes back with the answer. With fresh the person is to prove anew who
// they are.
func (p Provider) Ask(now time.Time, id, relay string, fresh bool) (address string, err error) {
	sp, err := p.party(now)
	if err != nil {
		return "", err
	}
	if fresh {
		sp.ForceAuthn = &fresh
	}
	r, err := sp.MakeAuthenticationRequest(p.SignOn, saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", err
	}
	r.ID = id
	u, err := r.Redirect(relay, sp)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// Metadata returns what we are, as an EntityDescriptor for the provider.
func (p Provider) Metadata(now time.Time) ([]byte, error) {
	sp, err := p.party(now)
	if err != nil {
		return nil, err
	}
	return xml.MarshalIndent(sp.Metadata(), "", "  ")
}

// Uses marks the id of an assertion as used until it would be refused anyway, and reports
// whether this was the first use.
type Uses func(ctx context.Context, id string, until time.Time) (first bool, err error)

// consume adapts Uses to the library.
type consume func(id string, until time.Time) error

// Consume implements saml.AssertionReplayCache.
func (c consume) Consume(id string, until time.Time) error { return c(id, until) }

// Read returns what the provider says in its answer to the request id: raw is the XML of a
// Response. The error is fault.Denied for an answer that is not to be taken; nothing of it
// is believed then.
func (p Provider) Read(ctx context.Context, now time.Time, raw []byte, id string, uses Uses) (*Statement, error) {
	form, err := examine(raw)
	if err != nil {
		return nil, err
	}
	if p.Signed == Response && !form.signedResponse || p.Signed == Assertion && !form.signedAssertion {
		return nil, denied("the signature is not where the provider's settings demand it")
	}
	sp, err := p.party(now)
	if err != nil {
		return nil, err
	}
	sp.ReplayCache = consume(func(assertion string, until time.Time) error {
		first, err := uses(ctx, assertion, until)
		if err == nil && !first {
			err = saml.ErrAssertionReplayed
		}
		return err
	})
	a, err := sp.ParseXMLResponse(raw, []string{id}, sp.AcsURL)
	if err != nil {
		var invalid *saml.InvalidResponseError
		if errors.As(err, &invalid) {
			err = invalid.PrivateErr
		}
		if f := fault.Of(err); f != nil && f.Code != fault.Internal {
			return nil, err // of the uses
		}
		return nil, fault.Because(err, fault.Denied, "the identity provider's answer is not to be taken")
	}
	return p.statement(a)
}

func denied(format string, args ...any) error { return fault.New(fault.Denied, format, args...) }

package saml

import (
	"crypto/x509"
	"encoding/xml"
	"strings"
	"time"

	"gatehouse/internal/fault"
)

// Metadata is what a provider says of itself (SAML metadata section 2.4), as far as it is needed.
type Metadata struct {
	Issuer       string
	SignOn       string              // for the binding HTTP-Redirect
	Certificates []*x509.Certificate // whose keys sign
}

const (
	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	maxMetadata     = 512 << 10
	maxCertificates = 5
)

// entity is an EntityDescriptor.
type entity struct {
	XMLName   xml.Name    `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	ID        string      `xml:"entityID,attr"`
	Until     string      `xml:"validUntil,attr"`
	Providers []describer `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

// describer is an IDPSSODescriptor.
type describer struct {
	Protocols string `xml:"protocolSupportEnumeration,attr"`
	Signed    string `xml:"WantAuthnRequestsSigned,attr"`
	Keys      []struct {
		Use          string   `xml:"use,attr"`
		Certificates []string `xml:"KeyInfo>X509Data>X509Certificate"`
	} `xml:"KeyDescriptor"`
	SignOn []struct {
		Binding string `xml:"Binding,attr"`
		Address string `xml:"Location,attr"`
	} `xml:"SingleSignOnService"`
}

// ReadMetadata reads the metadata of one identity provider. Its signature is not looked at:
// whoever brings it vouches for it. The error is fault.Invalid for what cannot be used.
func ReadMetadata(raw []byte, now time.Time) (m Metadata, err error) {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Invalid, format, args...)
	}
	var e entity
	if len(raw) > maxMetadata {
		return Metadata{}, wrong("is longer than %d bytes", maxMetadata)
	}
	if err := xml.Unmarshal(raw, &e); err != nil {
		return Metadata{}, wrong("must be the XML of one EntityDescriptor, which is that of the provider alone")
	}
	if e.Until != "" {
		if until, err := time.Parse(time.RFC3339, e.Until); err != nil || !now.Before(until) {
			return Metadata{}, wrong("was good until %s: fetch it anew from the provider", e.Until)
		}
	}
	m.Issuer = strings.TrimSpace(e.ID)
	for _, d := range e.Providers {
		if !strings.Contains(" "+d.Protocols+" ", " "+protocolSpace+" ") {
			continue
		}
		if d.Signed == "true" || d.Signed == "1" {
			return Metadata{}, wrong("wants signed requests (WantAuthnRequestsSigned), and ours are not: turn that off at the provider")
		}
		for _, s := range d.SignOn {
			if s.Binding == bindingRedirect && m.SignOn == "" {
				m.SignOn = s.Address
			}
		}
		if m.Certificates, err = d.certificates(); err != nil {
			return Metadata{}, err
		}
		break
	}
	switch {
	case m.Issuer == "":
		return Metadata{}, wrong("has no entityID")
	case m.SignOn == "":
		return Metadata{}, wrong("has no identity provider of SAML 2.0 with a SingleSignOnService for the binding HTTP-Redirect")
	case len(m.Certificates) == 0 || len(m.Certificates) > maxCertificates:
		return Metadata{}, wrong("has %d certificates for signing, not 1 to %d", len(m.Certificates), maxCertificates)
	}
	return m, nil
}

// certificates returns those whose keys sign, each once.
func (d *describer) certificates() (out []*x509.Certificate, err error) {
	seen := map[string]bool{}
	for _, k := range d.Keys {
		if k.Use != "" && k.Use != "signing" {
			continue
		}
		for _, text := range k.Certificates {
			text = strings.Join(strings.Fields(text), "")
			if seen[text] {
				continue
			}
			seen[text] = true
			c, err := ParseCertificate(text)
			if err != nil {
				return nil, fault.New(fault.Invalid, "a certificate of it %s", fault.Of(err).Message)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

package spec

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// Fields of a client certificate that can name a caller.
const (
	CertCommonName = "cn"         // the subject's common name
	CertSubject    = "subject"    // the whole subject (RFC 2253)
	CertSerial     = "serial"     // the serial number, in hex
	CertThumbprint = "thumbprint" // x5t#S256 (RFC 8705)
	CertDNS        = "san_dns"
	CertURI        = "san_uri"
	CertEmail      = "san_email"
)

// CertFields are the fields of a client certificate that can name a caller.
func CertFields() []string {
	return []string{CertCommonName, CertSubject, CertSerial, CertThumbprint, CertDNS, CertURI, CertEmail}
}

// checkCertificates checks an issuer of client certificates.
func (i *Issuer) checkCertificates(f *findings, path string) {
	block, _ := pem.Decode([]byte(i.ClientCA))
	if block == nil || bytes.Contains([]byte(i.ClientCA), []byte("PRIVATE KEY")) {
		f.addf(path+".client_ca", "client_ca is the authority's certificates in PEM form: write ${file:/path/ca.pem}")
	}
	i.noTokens(f, path, "with certificates")
	for _, name := range []struct{ field, value string }{{"client", i.Claims.Client}, {"user", i.Claims.User}} {
		if name.value != "" && !slices.Contains(CertFields(), name.value) {
			f.addf(path+".claims."+name.field, "of a certificate, a caller's name is one of %s", strings.Join(CertFields(), ", "))
		}
	}
	if c := i.Claims; (c != ClaimNames{Client: c.Client, User: c.User}) {
		f.addf(path+".claims", "of a certificate, claims says client and user only")
	}
	checkList(f, path+".scopes", i.Scopes, CheckScope)
	if i.CRL != "" {
		if err := CheckText(i.CRL, 4096); err != nil {
			f.add(path+".crl", fmt.Errorf("a path %w", err))
		}
	}
}

// noTokens refuses what only an issuer of tokens has.
func (i *Issuer) noTokens(f *findings, path, how string) {
	for _, other := range []struct {
		field string
		set   bool
	}{
		{"audience", len(i.Audience) > 0},
		{"algorithms", len(i.Algorithms) > 0},
		{"tokens", i.Tokens != ""},
		{"client_id", i.ClientID != ""},
		{"client_secret", i.ClientSecret != ""},
		{"introspection_url", i.IntrospectionURL != ""},
		{"missing_audience", i.MissingAudience != ""},
	} {
		if other.set {
			f.addf(path+"."+other.field, "%s has no effect: the issuer vouches %s, not with tokens", other.field, how)
		}
	}
}

// mostKeys bounds the keys of a partner.
const mostKeys = 16

// checkPartner checks an issuer of signed requests.
func (i *Issuer) checkPartner(f *findings, path string) {
	if i.URL != "" || i.Builtin != "" || i.ClientCA != "" {
		f.addf(path+".keys", "an issuer vouches with tokens, certificates or signatures: describe several")
	}
	if len(i.Keys) > mostKeys {
		f.addf(path+".keys", "a partner has at most %d keys", mostKeys)
	}
	for _, id := range sortedKeys(i.Keys) {
		at := path + ".keys." + id
		f.add(at, CheckKeyID(id))
		block, _ := pem.Decode([]byte(i.Keys[id]))
		if block == nil || block.Type != "PUBLIC KEY" {
			f.addf(at, "a key is a public key in PEM form (BEGIN PUBLIC KEY): write ${file:/path/partner.pem}")
		}
	}
	i.noTokens(f, path, "by signing requests")
	if i.CRL != "" {
		f.addf(path+".crl", "crl has no effect without client_ca")
	}
	if i.Claims != (ClaimNames{}) {
		f.addf(path+".claims", "claims has no effect: a partner is the client of its own name")
	}
	checkList(f, path+".scopes", i.Scopes, CheckScope)
}

// CheckKeyID reports what is wrong with the name of a partner's key.
func CheckKeyID(id string) error {
	if err := CheckName(id); err != nil {
		return fmt.Errorf("the name of a key (keyid): %w", err)
	}
	return nil
}

// onlyForCertificates refuses what only an issuer of certificates has.
func (i *Issuer) onlyForCertificates(f *findings, path string) {
	if i.CRL != "" {
		f.addf(path+".crl", "crl has no effect without client_ca")
	}
	if len(i.Scopes) > 0 {
		f.addf(path+".scopes", "scopes has no effect here: tokens say themselves what they allow")
	}
}

package saml

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/fault"
	"gatehouse/internal/saml/idptest"
)

// described is metadata in the form of Keycloak's and Okta's, with a signing certificate,
// one for encryption, and other things that providers put there.
const described = `<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="https://sso.acme.example/realms/acme" validUntil="2026-11-30T12:00:00Z">
<md:Extensions><x:Info xmlns:x="urn:x"/></md:Extensions>
<md:IDPSSODescriptor WantAuthnRequestsSigned="false" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:KeyName>k</ds:KeyName><ds:X509Data><ds:X509Certificate>
%s
</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:KeyDescriptor use="encryption"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>MIIC</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sso.acme.example/out"/>
<md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sso.acme.example/post"/>
<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://sso.acme.example/saml"/>
</md:IDPSSODescriptor></md:EntityDescriptor>`

func TestReadMetadata(t *testing.T) {
	idp := idptest.New(t, noon)
	x5c := idp.X5C()
	good := fmt.Sprintf(described, x5c[:64]+"\n"+x5c[64:])
	m, err := ReadMetadata([]byte(good), noon)
	if err != nil || m.Issuer != "https://sso.acme.example/realms/acme" || m.SignOn != "https://sso.acme.example/saml" || len(m.Certificates) != 1 || !m.Certificates[0].Equal(idp.Certificate) {
		t.Fatalf("%+v, %v", m, err)
	}
	next := idptest.New(t, noon).X5C()
	key := func(x5c string) string {
		return `<md:KeyDescriptor><ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + x5c + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`
	}
	both := strings.Replace(good, "<md:SingleLogoutService", key(next)+key(next)+"<md:SingleLogoutService", 1)
	if m, err := ReadMetadata([]byte(both), noon); err != nil || len(m.Certificates) != 2 {
		t.Errorf("with the next certificate: %d, %v", len(m.Certificates), err)
	}
	for want, text := range map[string]string{
		"one EntityDescriptor":     `<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">` + strings.TrimPrefix(good, `<?xml version="1.0" encoding="UTF-8"?>`) + `</md:EntitiesDescriptor>`,
		"one EntityDescriptor ":    `<!DOCTYPE x [<!ENTITY a "b">]><md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="&a;"/>`,
		"one EntityDescriptor  ":   `{"issuer":"x"}`,
		"longer than":              good + strings.Repeat(" ", maxMetadata),
		"was good until":           strings.Replace(good, "2026-11-30", "2026-11-28", 1),
		"was good until tomorrow":  strings.Replace(good, "2026-11-30T12:00:00Z", "tomorrow", 1),
		"wants signed requests":    strings.Replace(good, `Signed="false"`, `Signed="true"`, 1),
		"has no entityID":          strings.Replace(good, `entityID="https://sso.acme.example/realms/acme"`, "", 1),
		"no identity provider":     strings.Replace(good, "bindings:HTTP-Redirect", "bindings:HTTP-Artifact", 1),
		"no identity provider of ": strings.Replace(good, "SAML:2.0:protocol", "SAML:1.1:protocol", 1),
		"has 0 certificates":       strings.Replace(good, `use="signing"`, `use="encryption"`, 1),
		"a certificate of it":      fmt.Sprintf(described, "MIIC"),
	} {
		if _, err := ReadMetadata([]byte(text), noon); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Whatever is brought as metadata is read within its bounds, or refused as wrong.
func FuzzReadMetadata(f *testing.F) {
	f.Add([]byte(described))
	f.Add([]byte(`<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="a"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ReadMetadata(raw, noon)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if m.Issuer == "" || m.SignOn == "" || len(m.Certificates) == 0 || len(m.Certificates) > maxCertificates {
			t.Errorf("taken: %+v", m)
		}
	})
}

package saml

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/crewjam/saml"
)

// Statement is what a provider says of a person whom it has signed in.
type Statement struct {
	Subject  string              `json:"subject"`
	Format   string              `json:"format"`
	At       time.Time           `json:"at"`                // when they signed in there
	Context  []string            `json:"context,omitempty"` // how: authentication context classes
	Said     map[string][]string `json:"said,omitempty"`    // attributes by the names of Claim
	Assigned string              `json:"id"`                // of the assertion
}

// claimNames are the names of attributes for which there is a shorter one.
var claimNames = map[string]string{
	// Entra and AD FS, and WS-Federation before them.
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "email",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname":    "given_name",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/surname":      "family_name",
	"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn":          "upn",
	"http://schemas.microsoft.com/ws/2008/06/identity/claims/groups":     "groups",
	"http://schemas.microsoft.com/claims/groups.link":                    "groups_link",
	"http://schemas.microsoft.com/claims/authnmethodsreferences":         "authnmethodsreferences",
	// Directories, as Shibboleth and SimpleSAMLphp send them (RFC 4519, RFC 2798, eduPerson).
	"urn:oid:0.9.2342.19200300.100.1.3": "email",
	"urn:oid:0.9.2342.19200300.100.1.1": "uid",
	"urn:oid:2.5.4.42":                  "given_name",
	"urn:oid:2.5.4.4":                   "family_name",
	"urn:oid:2.16.840.1.113730.3.1.241": "name",
	"urn:oid:1.3.6.1.4.1.5923.1.1.1.6":  "eduPersonPrincipalName",
	"urn:oid:1.3.6.1.4.1.5923.1.5.1.1":  "groups",
	// Okta and Keycloak.
	"firstName": "given_name",
	"lastName":  "family_name",
	"mail":      "email",
}

// Bounds of what is kept.
const (
	maxSaid  = 100 // attributes
	maxText  = 2048
	maxName  = 255
	maxMany  = 1000 // values of an attribute
	maxClass = 10
)

// claimName returns the name of an attribute in expressions: the well-known one, the whole
// one where it may stand in an expression, or its last part. Empty: it has none.
func claimName(name string) string {
	if short := claimNames[name]; short != "" {
		return short
	}
	if i := strings.LastIndexAny(name, "/:"); i >= 0 {
		name = name[i+1:]
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && !('0' <= r && r <= '9') && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z')
	}) {
		return ""
	}
	return name
}

// statement reads an assertion that is to be believed.
func (p Provider) statement(a *saml.Assertion) (*Statement, error) {
	n := a.Subject.NameID
	if n == nil {
		return nil, denied("the assertion names nobody")
	}
	s := &Statement{Subject: n.Value, Format: n.Format, Said: map[string][]string{}, Assigned: a.ID}
	if s.Format == "" {
		s.Format = Unspecified
	}
	if s.Subject == "" || len(s.Subject) > maxName || strings.TrimSpace(s.Subject) != s.Subject || strings.ContainsFunc(s.Subject, unicode.IsControl) {
		return nil, denied("the subject's name is empty, longer than %d bytes, or not a name", maxName)
	}
	if p.Format != Unspecified && s.Format != p.Format || !slices.Contains([]string{Unspecified, Email, Persistent}, s.Format) {
		return nil, denied("the subject's name is of another format than the provider's settings say")
	}
	if n.NameQualifier != "" && n.NameQualifier != p.Issuer || n.SPNameQualifier != "" && n.SPNameQualifier != p.Audience {
		return nil, denied("the subject's name is one at somebody else")
	}
	for _, st := range a.AuthnStatements {
		if st.AuthnInstant.After(s.At) {
			s.At = st.AuthnInstant
		}
		if c := st.AuthnContext.AuthnContextClassRef; c != nil && len(s.Context) < maxClass && len(c.Value) <= maxText {
			s.Context = append(s.Context, c.Value)
		}
	}
	if err := s.gather(a); err != nil {
		return nil, err
	}
	return s, nil
}

// gather reads the attributes. One whose short name another one has too is not to be told
// from it, so the answer is refused rather than one of them chosen.
func (s *Statement) gather(a *saml.Assertion) error {
	from := map[string]string{}
	for _, st := range a.AttributeStatements {
		for _, at := range st.Attributes {
			name := claimName(at.Name)
			if name == "" || name == "subjectNameId" {
				continue
			}
			if whole, taken := from[name]; taken && whole != at.Name {
				return denied("two attributes would both be called %s", name)
			}
			from[name] = at.Name
			for _, v := range at.Values {
				if v.Nil || len(v.Value) > maxText || v.NameID != nil {
					continue
				}
				s.Said[name] = append(s.Said[name], v.Value)
			}
			if len(s.Said) > maxSaid || len(s.Said[name]) > maxMany {
				return denied("the assertion has more attributes than are read")
			}
		}
	}
	return nil
}

// Claim returns what the provider says of the person under a name: a text, or a list where there
// are more. subjectNameId is the subject's own; the e-mail address is the subject's name
// where that is one and no attribute says another. No attribute counts as a provider's
// word that an address is verified: SAML has none for it.
func (s *Statement) Claim(name string) (any, bool) {
	v := s.Said[name]
	switch {
	case name == "subjectNameId":
		return s.Subject, true
	case name == "email_verified":
		return nil, false
	case name == "email" && len(v) == 0 && s.Format == Email:
		return s.Subject, true
	case len(v) == 1:
		return v[0], true
	case len(v) > 1:
		return v, true
	}
	return nil, false
}

// The words of providers for a sign-in with more than a password, and for one with.
var methodNames = map[string]string{
	"https://refeds.org/profile/mfa":                                                 "mfa",
	"http://schemas.microsoft.com/claims/multipleauthn":                              "mfa",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract":                 "mfa",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Password":                                "pwd",
	"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport":              "pwd",
	"http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password": "pwd",
}

// Methods returns how the person signed in there, in the words of RFC 8176.
func (s *Statement) Methods() (out []string) {
	for _, c := range slices.Concat(s.Context, s.Said["authnmethodsreferences"]) {
		if m := methodNames[c]; m != "" && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

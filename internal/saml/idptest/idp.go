// Package idptest is a SAML identity provider for tests: it signs what it is told to,
// true or not. It must not be imported by anything that is not a test.
package idptest

import (
	"bytes"
	"compress/flate"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"encoding/xml"
	"io"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// IDP is an identity provider with a key of its own.
type IDP struct {
	Issuer      string
	Certificate *x509.Certificate

	key *rsa.PrivateKey
}

// New returns one whose certificate is good for the day around now.
func New(t testing.TB, now time.Time) *IDP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &IDP{Issuer: "https://idp.example/saml", Certificate: c, key: key}
}

// X5C returns the certificate as JWKs have it.
func (i *IDP) X5C() string { return base64.StdEncoding.EncodeToString(i.Certificate.Raw) }

// PEM returns the key and the certificate as other programs read them.
func (i *IDP) PEM(t testing.TB) (key, certificate string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("PRIVATE KEY", der), block("CERTIFICATE", i.Certificate.Raw)
}

// Answer is what a response says.
type Answer struct {
	Issuer, Destination, Recipient, Audience, InResponseTo string
	Subject, Format, Qualifier                             string
	Instant, Until, Authn                                  time.Time
	ID, Class, Status                                      string
	Attributes                                             map[string][]string
	// Conditions are further ones, as XML.
	Conditions string
	// Sign says what is signed: "assertion", "response", both or nothing.
	Sign string
	// Method is the signature's; empty: RSA with SHA-256.
	Method string
	// Tamper changes the document after it was signed.
	Tamper func(response *etree.Element)
	// Text changes its text.
	Text func(string) string
}

// Now fills in what an honest answer has, around a time.
func (a Answer) Now(now time.Time) Answer {
	or := func(s *string, otherwise string) {
		if *s == "" {
			*s = otherwise
		}
	}
	or(&a.Recipient, a.Destination)
	or(&a.Format, "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress")
	or(&a.Class, "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport")
	or(&a.Status, "urn:oasis:names:tc:SAML:2.0:status:Success")
	or(&a.ID, "_"+rand.Text())
	or(&a.Sign, "assertion")
	or(&a.Method, dsig.RSASHA256SignatureMethod)
	for _, t := range []struct {
		at        *time.Time
		otherwise time.Time
	}{{&a.Instant, now}, {&a.Until, now.Add(5 * time.Minute)}, {&a.Authn, now}} {
		if t.at.IsZero() {
			*t.at = t.otherwise
		}
	}
	return a
}

// document is the template of a response.
func document() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"time": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"xml": func(s string) string {
			var b strings.Builder
			_ = xml.EscapeText(&b, []byte(s)) // a builder takes everything
			return b.String()
		},
		"text": rand.Text,
	}).Parse(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r{{text}}" Version="2.0" IssueInstant="{{time .Instant}}" Destination="{{xml .Destination}}"{{with .InResponseTo}} InResponseTo="{{xml .}}"{{end}}><saml:Issuer>{{xml .Issuer}}</saml:Issuer><samlp:Status><samlp:StatusCode Value="{{xml .Status}}"/></samlp:Status>` +
		`<saml:Assertion ID="{{xml .ID}}" Version="2.0" IssueInstant="{{time .Instant}}"><saml:Issuer>{{xml .Issuer}}</saml:Issuer>` +
		`<saml:Subject><saml:NameID Format="{{xml .Format}}"{{with .Qualifier}} NameQualifier="{{xml .}}"{{end}}>{{xml .Subject}}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{{time .Until}}" Recipient="{{xml .Recipient}}"{{with .InResponseTo}} InResponseTo="{{xml .}}"{{end}}/></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="{{time .Instant}}" NotOnOrAfter="{{time .Until}}">{{with .Audience}}<saml:AudienceRestriction><saml:Audience>{{xml .}}</saml:Audience></saml:AudienceRestriction>{{end}}{{.Conditions}}</saml:Conditions>` +
		`<saml:AuthnStatement AuthnInstant="{{time .Authn}}"><saml:AuthnContext><saml:AuthnContextClassRef>{{xml .Class}}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
		`{{if .Attributes}}<saml:AttributeStatement>{{range $name, $values := .Attributes}}<saml:Attribute Name="{{xml $name}}">{{range $values}}<saml:AttributeValue>{{xml .}}</saml:AttributeValue>{{end}}</saml:Attribute>{{end}}</saml:AttributeStatement>{{end}}</saml:Assertion></samlp:Response>`))
}

// Respond returns a response.
func (i *IDP) Respond(t testing.TB, a Answer) []byte {
	t.Helper()
	if a.Issuer == "" {
		a.Issuer = i.Issuer
	}
	var b bytes.Buffer
	if err := document().Execute(&b, a); err != nil {
		t.Fatal(err)
	}
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	root := doc.Root()
	if strings.Contains(a.Sign, "assertion") {
		i.sign(t, a.Method, root.SelectElement("Assertion"))
	}
	if strings.Contains(a.Sign, "response") {
		i.sign(t, a.Method, root)
	}
	if a.Tamper != nil {
		a.Tamper(root)
	}
	text, err := doc.WriteToString()
	if err != nil {
		t.Fatal(err)
	}
	if a.Text != nil {
		text = a.Text(text)
	}
	return []byte(text)
}

// sign puts a signature into an element, behind its issuer.
func (i *IDP) sign(t testing.TB, method string, e *etree.Element) {
	t.Helper()
	ctx, err := dsig.NewSigningContext(i.key, [][]byte{i.Certificate.Raw})
	if err != nil {
		t.Fatal(err)
	}
	ctx.Canonicalizer = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	if err := ctx.SetSignatureMethod(method); err != nil {
		t.Fatal(err)
	}
	copied := e.Copy()
	for _, space := range [][2]string{{"samlp", "urn:oasis:names:tc:SAML:2.0:protocol"}, {"saml", "urn:oasis:names:tc:SAML:2.0:assertion"}} {
		copied.CreateAttr("xmlns:"+space[0], space[1])
	}
	signature, err := ctx.ConstructSignature(copied, true)
	if err != nil {
		t.Fatal(err)
	}
	e.InsertChildAt(1, signature)
}

// Asked returns the id of the request and the relay state of an address that a browser
// was sent to, and the request's XML.
func Asked(t testing.TB, address string) (id, relay, request string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(u.Query().Get("SAMLRequest"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	var q struct {
		ID string `xml:",attr"`
	}
	if err := xml.Unmarshal(plain, &q); err != nil {
		t.Fatal(err)
	}
	return q.ID, u.Query().Get("RelayState"), string(plain)
}

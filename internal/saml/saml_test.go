package saml

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/saml/idptest"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"
	dsig "github.com/russellhaering/goxmldsig"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

const (
	ours     = "https://id.example/sso/saml2/0oa1"
	audience = ours + "/metadata"
	request  = "id-1234"
)

// met returns a provider, us as it knows us, and an honest answer.
func met(t testing.TB) (*idptest.IDP, Provider, idptest.Answer) {
	t.Helper()
	idp := idptest.New(t, noon)
	p := Provider{
		Issuer: idp.Issuer, SignOn: "https://idp.example/sso?tenant=1", Keys: []*x509.Certificate{idp.Certificate},
		Audience: audience, Consumer: ours, Format: Unspecified, Signed: Any,
	}
	return idp, p, idptest.Answer{Destination: ours, Audience: audience, InResponseTo: request, Subject: "cleo@acme.example"}
}

// used remembers ids.
func used() Uses {
	seen := map[string]bool{}
	return func(_ context.Context, id string, until time.Time) (bool, error) {
		if !until.After(noon) {
			return false, errors.New("the use is over before it begins")
		}
		first := !seen[id]
		seen[id] = true
		return first, nil
	}
}

func TestHonestAnswers(t *testing.T) {
	idp, p, a := met(t)
	a.ID = "_a1"
	a.Attributes = map[string][]string{
		"http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": {"Cleo"},
		"urn:oid:2.5.4.4": {"Ray"}, "https://acme.example/attributes/costCentre": {"7"},
		"groups": {"a", "b & c"}, "email_verified": {"true"}, "what is this": {"x"},
	}
	for _, sign := range []string{"assertion", "response", "assertion response"} {
		a.Sign = sign
		got, err := p.Read(t.Context(), noon, idp.Respond(t, a.Now(noon)), request, used())
		if err != nil {
			t.Fatalf("%s: %v", sign, err)
		}
		want := &Statement{
			Subject: "cleo@acme.example", Format: Email, At: noon, Assigned: "_a1",
			Context: []string{"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"},
			Said:    map[string][]string{"given_name": {"Cleo"}, "family_name": {"Ray"}, "costCentre": {"7"}, "groups": {"a", "b & c"}, "email_verified": {"true"}},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s:\n%s", sign, d)
		}
		claims := map[string]any{"subjectNameId": "cleo@acme.example", "email": "cleo@acme.example", "given_name": "Cleo", "groups": []string{"a", "b & c"}, "email_verified": nil, "other": nil}
		for name, v := range claims {
			if got, _ := got.Claim(name); !cmp.Equal(got, v) {
				t.Errorf("%s is %v, want %v", name, got, v)
			}
		}
		if m := got.Methods(); !cmp.Equal(m, []string{"pwd"}) {
			t.Errorf("methods %v", m)
		}
	}
}

// wrapped moves the signed assertion away and puts a forged one where readers look.
func wrapped(where func(response, signed, forged *etree.Element)) func(*etree.Element) {
	return func(response *etree.Element) {
		signed := response.SelectElement("Assertion")
		forged := signed.Copy()
		forged.RemoveChild(forged.SelectElement("Signature"))
		forged.FindElement("./Subject/NameID").SetText("boss@acme.example")
		response.RemoveChild(signed)
		where(response, signed, forged)
	}
}

func renamed(e *etree.Element) *etree.Element {
	e.CreateAttr("ID", "_forged")
	return e
}

// What must be refused: each of these once signed somebody in somewhere (attack identity
// 68, and the published attacks on SAML: XML signature wrapping, comments in names,
// entities, confused audiences, replays).
func TestHostileAnswers(t *testing.T) {
	idp, p, honest := met(t)
	stranger := idptest.New(t, noon)
	stranger.Issuer = idp.Issuer
	text := func(from, to string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, from) {
				t.Errorf("the answer has no %q", from)
			}
			return strings.Replace(s, from, to, 1)
		}
	}
	for _, c := range []struct {
		name string
		by   *idptest.IDP
		ask  string // the request that waits
		as   func(*idptest.Answer)
		us   func(*Provider)
	}{
		{name: "nothing is signed", as: func(a *idptest.Answer) { a.Sign = "nothing" }},
		{name: "another key with the same name", by: stranger},
		{name: "SHA-1", as: func(a *idptest.Answer) { a.Method = dsig.RSASHA1SignatureMethod }},
		{name: "SHA-1 around SHA-256", as: func(a *idptest.Answer) { a.Method, a.Sign = dsig.RSASHA1SignatureMethod, "assertion response" }},
		{name: "the name changed after signing", as: func(a *idptest.Answer) { a.Text = text("cleo@acme.example", "boss@acme.example") }},
		{name: "a comment in the name", as: func(a *idptest.Answer) {
			a.Subject = "boss@acme.example.evil.example"
			a.Text = text("boss@acme.example.evil", "boss@acme.example<!---->.evil")
		}},
		{name: "an instruction in the name", as: func(a *idptest.Answer) { a.Text = text("cleo@acme.example", "cleo@acme.example<?x y?>") }},
		{name: "a document type", as: func(a *idptest.Answer) {
			a.Text = func(s string) string {
				return `<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>` + strings.Replace(s, "cleo@", "&a;", 1)
			}
		}},
		{name: "an entity bomb", as: func(a *idptest.Answer) {
			a.Text = func(s string) string {
				return `<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>` + strings.Replace(s, "cleo@", "&c;", 1)
			}
		}},
		{name: "a forged assertion before the signed one", as: func(a *idptest.Answer) {
			a.Tamper = wrapped(func(r, s, f *etree.Element) { r.AddChild(renamed(f)); r.AddChild(s) })
		}},
		{name: "a forged assertion behind the signed one", as: func(a *idptest.Answer) {
			a.Tamper = wrapped(func(r, s, f *etree.Element) { r.AddChild(s); r.AddChild(renamed(f)) })
		}},
		{name: "the signed one inside the forged one", as: func(a *idptest.Answer) {
			a.Tamper = wrapped(func(r, s, f *etree.Element) { renamed(f).AddChild(s); r.AddChild(f) })
		}},
		{name: "the signed one inside the forged one's signature", as: func(a *idptest.Answer) {
			a.Tamper = wrapped(func(r, s, f *etree.Element) {
				signature := s.SelectElement("Signature")
				s.RemoveChild(signature)
				signature.CreateElement("ds:Object").AddChild(s)
				renamed(f).InsertChildAt(1, signature)
				r.AddChild(f)
			})
		}},
		{name: "the forged one with the id of the signed one", as: func(a *idptest.Answer) {
			a.Tamper = wrapped(func(r, s, f *etree.Element) { r.CreateElement("samlp:Extensions").AddChild(s); r.AddChild(f) })
		}},
		{name: "the signed response inside a forged one", as: func(a *idptest.Answer) {
			a.Sign = "response"
			a.Tamper = func(r *etree.Element) {
				inner := r.Copy()
				r.RemoveChild(r.SelectElement("Signature"))
				renamed(r).CreateElement("samlp:Extensions").AddChild(inner)
				r.FindElement("./Assertion/Subject/NameID").SetText("boss@acme.example")
			}
		}},
		{name: "the signature of the assertion put on the response", as: func(a *idptest.Answer) {
			a.Tamper = func(r *etree.Element) {
				as := r.SelectElement("Assertion")
				sig := as.SelectElement("Signature")
				as.RemoveChild(sig)
				r.InsertChildAt(1, sig)
			}
		}},
		{name: "an unsigned assertion beside a signed one of another", as: func(a *idptest.Answer) {
			a.Tamper = func(r *etree.Element) {
				f := r.SelectElement("Assertion").Copy()
				f.RemoveChild(f.SelectElement("Signature"))
				f.CreateAttr("ID", "_other")
				r.AddChild(f)
			}
		}},
		{name: "no assertion", as: func(a *idptest.Answer) {
			a.Tamper = func(r *etree.Element) { r.RemoveChild(r.SelectElement("Assertion")) }
		}},
		{name: "an encrypted assertion", as: func(a *idptest.Answer) {
			a.Tamper = func(r *etree.Element) { r.SelectElement("Assertion").Tag = "EncryptedAssertion" }
		}},
		{name: "an id twice", as: func(a *idptest.Answer) {
			a.Tamper = func(r *etree.Element) { r.CreateAttr("ID", r.SelectElement("Assertion").SelectAttrValue("ID", "")) }
		}},
		{name: "an attribute twice", as: func(a *idptest.Answer) { a.Text = text(`<saml:Assertion `, `<saml:Assertion ID="_x" `) }},
		{name: "an id that readers take for another", as: func(a *idptest.Answer) { a.Text = text(`<saml:Assertion `, `<saml:Assertion xml:id="_x" `) }},
		{name: "another audience", as: func(a *idptest.Answer) { a.Audience = "https://other.example" }},
		{name: "no audience", as: func(a *idptest.Answer) { a.Audience = "" }},
		{name: "a second audience that is not ours", as: func(a *idptest.Answer) {
			a.Conditions = `<saml:AudienceRestriction><saml:Audience>https://other.example</saml:Audience></saml:AudienceRestriction>`
		}},
		{name: "a condition that nobody knows", as: func(a *idptest.Answer) {
			a.Conditions = `<x:Only xmlns:x="urn:x"/>`
		}},
		{name: "another recipient", as: func(a *idptest.Answer) { a.Recipient = "https://id.example/sso/saml2/0oa2" }},
		{name: "another destination", as: func(a *idptest.Answer) { a.Recipient, a.Destination = ours, "https://id.example/sso/saml2/0oa2" }},
		{name: "another issuer", as: func(a *idptest.Answer) { a.Issuer = "https://idp.example/other" }},
		{name: "of another request", as: func(a *idptest.Answer) { a.InResponseTo = "id-other" }},
		{name: "of no request", as: func(a *idptest.Answer) { a.InResponseTo = "" }},
		{name: "of no request, and none waits", ask: "-", as: func(a *idptest.Answer) { a.InResponseTo = "" }},
		{name: "it has expired", as: func(a *idptest.Answer) { a.Instant, a.Until = noon.Add(-time.Hour), noon.Add(-30*time.Minute) }},
		{name: "it was made long ago", as: func(a *idptest.Answer) { a.Instant = noon.Add(-time.Hour) }},
		{name: "it is of tomorrow", as: func(a *idptest.Answer) { a.Instant, a.Until = noon.Add(20*time.Hour), noon.Add(21*time.Hour) }},
		{name: "the sign-in failed", as: func(a *idptest.Answer) { a.Status = "urn:oasis:names:tc:SAML:2.0:status:Responder" }},
		{name: "a name for this session alone", as: func(a *idptest.Answer) { a.Format = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient" }},
		{name: "a name at somebody else", as: func(a *idptest.Answer) { a.Qualifier = "https://else.example" }},
		{name: "no name", as: func(a *idptest.Answer) { a.Subject = " " }},
		{name: "a name that is too long", as: func(a *idptest.Answer) { a.Subject = strings.Repeat("x", 256) }},
		{name: "a name with a line in it", as: func(a *idptest.Answer) { a.Subject = "a\nb" }},
		{name: "another format than agreed", us: func(p *Provider) { p.Format = Persistent }},
		{name: "the assertion is signed, the response is to be", us: func(p *Provider) { p.Signed = Response }},
		{name: "the response is signed, the assertion is to be", as: func(a *idptest.Answer) { a.Sign = "response" }, us: func(p *Provider) { p.Signed = Assertion }},
		{name: "no certificate is known", us: func(p *Provider) { p.Keys = nil }},
		{name: "two attributes by one name", as: func(a *idptest.Answer) {
			a.Attributes = map[string][]string{"email": {"cleo@acme.example"}, "https://evil.example/email": {"boss@acme.example"}}
		}},
		{name: "another document", as: func(a *idptest.Answer) { a.Text = func(string) string { return "<html/>" } }},
		{name: "two documents", as: func(a *idptest.Answer) { a.Text = func(s string) string { return s + s } }},
		{name: "no XML", as: func(a *idptest.Answer) { a.Text = func(string) string { return "{}" } }},
		{name: "deeper than anything", as: func(a *idptest.Answer) {
			a.Text = text("<saml:AuthnStatement", strings.Repeat("<x>", 10000)+"<saml:AuthnStatement")
		}},
		{name: "longer than anything", as: func(a *idptest.Answer) { a.Attributes = map[string][]string{"x": {strings.Repeat("x", 70_000)}} }},
	} {
		a, us, by, ask := honest, p, idp, request
		if c.as != nil {
			c.as(&a)
		}
		if c.us != nil {
			c.us(&us)
		}
		if c.by != nil {
			by = c.by
		}
		if c.ask != "" {
			ask = strings.TrimPrefix(c.ask, "-")
		}
		got, err := us.Read(t.Context(), noon, by.Respond(t, a.Now(noon)), ask, used())
		if !fault.Is(err, fault.Denied) || got != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
}

// An assertion is good once, whatever is around it; and when it cannot be known whether
// it was used, it is not.
func TestAssertionsAreGoodOnce(t *testing.T) {
	idp, p, a := met(t)
	a.ID = "_once"
	seen := used()
	for i, want := range []bool{true, false} {
		_, err := p.Read(t.Context(), noon, idp.Respond(t, a.Now(noon)), request, seen)
		if (err == nil) != want {
			t.Errorf("use %d: %v", i+1, err)
		}
	}
	down := fault.New(fault.Unavailable, "the store is down")
	_, err := p.Read(t.Context(), noon, idp.Respond(t, a.Now(noon)), request, func(context.Context, string, time.Time) (bool, error) { return true, down })
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("with the store down: %v", err)
	}
}

// Both of two certificates are good: that is how a provider changes its key.
func TestTwoCertificates(t *testing.T) {
	idp, p, a := met(t)
	next := idptest.New(t, noon)
	next.Issuer = idp.Issuer
	p.Keys = append(p.Keys, next.Certificate)
	for _, by := range []*idptest.IDP{idp, next} {
		if _, err := p.Read(t.Context(), noon, by.Respond(t, a.Now(noon)), request, used()); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Read(t.Context(), noon.Add(48*time.Hour), idp.Respond(t, a.Now(noon.Add(48*time.Hour))), request, used()); !fault.Is(err, fault.Denied) {
		t.Errorf("with a certificate that is over: %v", err)
	}
}

func TestAsk(t *testing.T) {
	_, p, _ := met(t)
	for _, fresh := range []bool{false, true} {
		id := NewID()
		address, err := p.Ask(noon, id, strings.Repeat("r", 43), fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, relay, xml := idptest.Asked(t, address)
		if got != id || len(id) < 29 || relay != strings.Repeat("r", 43) || !strings.HasPrefix(address, "https://idp.example/sso?") || !strings.Contains(address, "tenant=1") {
			t.Errorf("%s: id %q, relay %q", address, got, relay)
		}
		if strings.Contains(xml, `ForceAuthn="true"`) != fresh || !strings.Contains(xml, `AssertionConsumerServiceURL="`+ours+`"`) || !strings.Contains(xml, audience) {
			t.Errorf("fresh %v: %s", fresh, xml)
		}
	}
	meta, err := p.Metadata(noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`entityID="` + audience + `"`, `Location="` + ours + `"`, "HTTP-POST", `WantAssertionsSigned="true"`} {
		if !strings.Contains(string(meta), want) {
			t.Errorf("no %s in\n%s", want, meta)
		}
	}
	if strings.Contains(string(meta), "Artifact") {
		t.Errorf("a binding that is not served:\n%s", meta)
	}
}

func TestParseCertificate(t *testing.T) {
	idp := idptest.New(t, noon)
	if c, err := ParseCertificate(idp.X5C()); err != nil || !c.Equal(idp.Certificate) {
		t.Error(err)
	}
	for _, bad := range []string{"", "%", "AAAA", base64.StdEncoding.EncodeToString([]byte("no"))} {
		if _, err := ParseCertificate(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Nothing that a stranger can write makes the reader fail in another way than to refuse,
// or believe what was not signed.
func FuzzRead(f *testing.F) {
	idp, p, a := met(f)
	for _, sign := range []string{"assertion", "response", "nothing"} {
		a.Sign = sign
		f.Add(string(idp.Respond(f, a.Now(noon))))
	}
	f.Add("<!DOCTYPE a><a/>")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := p.Read(t.Context(), noon, []byte(s), request, used())
		if err != nil && !fault.Is(err, fault.Denied) {
			t.Errorf("%v", err)
		}
		if err == nil && got.Subject != "cleo@acme.example" {
			t.Errorf("signed in as %q", got.Subject)
		}
	})
}

// What passes the examination has, for another reader of XML as well, one assertion right
// below one Response, no signature and no id in a second place, and nothing that readers
// disagree about.
func FuzzExamine(f *testing.F) {
	for _, s := range []string{
		`<p:Response xmlns:p="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion" ID="r"><a:Assertion ID="a"><s:Signature xmlns:s="http://www.w3.org/2000/09/xmldsig#"/></a:Assertion></p:Response>`,
		`<Response xmlns="urn:oasis:names:tc:SAML:2.0:protocol"><Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion">&amp;<![CDATA[x]]></Assertion></Response>`,
		`<Response xmlns="urn:oasis:names:tc:SAML:2.0:protocol"><!--x--></Response>`, `<?xml version="1.0"?><!DOCTYPE a><a/>`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := examine([]byte(s)); err != nil {
			if !fault.Is(err, fault.Denied) {
				t.Fatal(err)
			}
			return
		}
		doc := etree.NewDocument()
		if doc.ReadFromString(s) != nil {
			return // it is not well-formed for the other one, and comes no further
		}
		if root := doc.Root(); root == nil || root.Tag != "Response" || len(root.SelectElements("Assertion")) != 1 || len(doc.FindElements("//Assertion")) != 1 ||
			len(doc.FindElements("//Signature")) > 2 {
			t.Errorf("%q has passed", s)
		}
		ids := map[string]bool{}
		for _, e := range doc.FindElements("//*") {
			for _, c := range e.Child {
				switch c.(type) {
				case *etree.Comment, *etree.Directive, *etree.ProcInst:
					t.Errorf("%q has passed", s)
				}
			}
			if id := e.SelectAttrValue("ID", ""); id != "" {
				if ids[id] {
					t.Errorf("%q has passed", s)
				}
				ids[id] = true
			}
		}
	})
}

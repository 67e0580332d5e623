package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
)

// PartnerKey is a key by which a partner signs.
type PartnerKey struct {
	ID      string
	PEM     string
	private crypto.Signer
}

// NewPartnerKey makes the public file of a private key.
func NewPartnerKey(t testing.TB, id string, private crypto.Signer) *PartnerKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return &PartnerKey{ID: id, private: private, PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// Ed25519Partner makes a partner with a new key.
func Ed25519Partner(t testing.TB, id string) *PartnerKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return NewPartnerKey(t, id, private)
}

func (k *PartnerKey) sign(t testing.TB, text string) string {
	t.Helper()
	var sig []byte
	var err error
	switch key := k.private.(type) {
	case ed25519.PrivateKey:
		sig = ed25519.Sign(key, []byte(text))
	case *rsa.PrivateKey:
		sum := sha512.Sum512([]byte(text))
		sig, err = rsa.SignPSS(rand.Reader, key, crypto.SHA512, sum[:], &rsa.PSSOptions{SaltLength: 64})
	case *ecdsa.PrivateKey:
		sum := sha256.Sum256([]byte(text))
		r, s, e := ecdsa.Sign(rand.Reader, key, sum[:])
		if err = e; err == nil {
			sig = make([]byte, 64)
			r.FillBytes(sig[:32])
			s.FillBytes(sig[32:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

// Signed is what is signed of a request, and how.
type Signed struct {
	Components []string          // names, in order
	Values     map[string]string // of each
	Params     string            // behind the components; "" = created now, a nonce and the key id
}

// Sign returns the values of Signature-Input and Signature.
func (k *PartnerKey) Sign(t testing.TB, s Signed) (input, signature string) {
	t.Helper()
	if s.Params == "" {
		s.Params = fmt.Sprintf(`;created=%d;keyid=%q;nonce=%q`, time.Now().Unix(), k.ID, rand.Text())
	}
	var quoted []string
	var text strings.Builder
	for _, name := range s.Components {
		quoted = append(quoted, `"`+name+`"`)
		fmt.Fprintf(&text, "%q: %s\n", name, s.Values[name])
	}
	params := "(" + strings.Join(quoted, " ") + ")" + s.Params
	fmt.Fprintf(&text, `"@signature-params": %s`, params)
	return "sig1=" + params, "sig1=:" + k.sign(t, text.String()) + ":"
}

// ContentDigest is the value for a body.
func ContentDigest(body string) string {
	sum := sha256.Sum256([]byte(body))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// partnerGateway takes requests that are signed by the keys at /x, GET and POST.
func partnerGateway(t testing.TB, change func(*Config, *spec.Snapshot), keys ...*PartnerKey) *Gateway {
	t.Helper()
	c := ConfigFor(t)
	s := OrdersSnapshot2("acme", spec.Route{Method: "*", Path: "/x", Scopes: [][]string{{"orders:write"}}}, spec.Route{Method: "GET", Path: "/proven", Proof: spec.ProofAny})
	s.Issuers = []spec.Issuer{{Name: "acme", Keys: map[string]string{}, Scopes: []string{"orders:write"}}}
	s.APIs[0].Host = "api.test"
	for _, k := range keys {
		s.Issuers[0].Keys[k.ID] = k.PEM
	}
	if change != nil {
		change(&c, &s)
	}
	return newTestGateway(t, c, s)
}

func target(method, path, query string) Signed {
	return Signed{
		Components: []string{"@method", "@authority", "@path", "@query"},
		Values:     map[string]string{"@method": method, "@authority": "api.test", "@path": path, "@query": "?" + query},
	}
}

func TestSignedRequests(t *testing.T) {
	k := Ed25519Partner(t, "k1")
	thief := Ed25519Partner(t, "k1")
	began := time.Now()
	g := partnerGateway(t, func(c *Config, _ *spec.Snapshot) { c.Now = func() time.Time { return began } }, k)
	now := began.Unix()
	params := func(format string, args ...any) string { return fmt.Sprintf(format, args...) }
	less := target("GET", "/x", "")
	less.Components = less.Components[:3]
	whole := Signed{Components: []string{"@method", "@target-uri"}, Values: map[string]string{"@method": "GET", "@target-uri": "http://api.test/x?a=1"}}
	header := target("GET", "/x", "")
	header.Components = append(header.Components, "x-amount")
	header.Values["x-amount"] = "5, 6"
	absent := target("GET", "/x", "")
	absent.Components = append(absent.Components, "x-absent")
	with := func(s Signed, p string) Signed { s.Params = p; return s }
	for _, c := range []struct {
		name    string
		by      *PartnerKey
		signed  Signed
		target  string
		headers []string
		change  func(input, sig string) (string, string)
		reason  string
	}{
		{name: "good", by: k, signed: target("GET", "/x", "")},
		{name: "with a query", by: k, signed: target("GET", "/x", "a=1&b=2"), target: "/x?a=1&b=2"},
		{name: "the whole address", by: k, signed: whole, target: "/x?a=1"},
		{name: "header lines", by: k, signed: header, headers: []string{"X-Amount", "5", "x-amount", "6"}},
		{name: "alg named", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1";nonce="a1";alg="ed25519"`, now))},
		{name: "another query", by: k, signed: target("GET", "/x", "a=1"), target: "/x?a=2", reason: "proof_invalid"},
		{name: "another method", by: k, signed: target("PUT", "/x", ""), reason: "proof_invalid"},
		{name: "another path", by: k, signed: target("GET", "/y", ""), reason: "proof_invalid"},
		{name: "another value of a header", by: k, signed: header, headers: []string{"X-Amount", "5", "X-Amount", "7"}, reason: "proof_invalid"},
		{name: "a header that is not there", by: k, signed: absent, reason: "proof_invalid"},
		{name: "without the query", by: k, signed: less, reason: "proof_invalid"},
		{name: "by a thief", by: thief, signed: target("GET", "/x", ""), reason: "proof_invalid"},
		{name: "unknown key", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k2";nonce="a2"`, now)), reason: "unknown_key"},
		{name: "another alg", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1";nonce="a3";alg="hmac-sha256"`, now)), reason: "proof_invalid"},
		{name: "stale", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1";nonce="a4"`, now-70)), reason: "proof_invalid"},
		{name: "from the future", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1";nonce="a5"`, now+40)), reason: "proof_invalid"},
		{name: "expired", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;expires=%d;keyid="k1";nonce="a6"`, now-5, now-1)), reason: "proof_invalid"},
		{name: "not dated", by: k, signed: with(target("GET", "/x", ""), `;keyid="k1";nonce="a7"`), reason: "proof_invalid"},
		{name: "no nonce", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1"`, now)), reason: "proof_invalid"},
		{name: "a parameter twice", by: k, signed: with(target("GET", "/x", ""), params(`;created=%d;keyid="k1";nonce="a8";nonce="a9"`, now)), reason: "proof_invalid"},
		{name: "two signatures", by: k, signed: target("GET", "/x", ""), reason: "proof_invalid", change: func(i, s string) (string, string) { return i + ", " + i, s + ", " + s }},
		{name: "another label", by: k, signed: target("GET", "/x", ""), reason: "proof_invalid", change: func(i, s string) (string, string) { return i, "sig2" + s[4:] }},
		{name: "no signature", by: k, signed: target("GET", "/x", ""), reason: "proof_invalid", change: func(i, _ string) (string, string) { return i, "" }},
		{name: "a component with parameters", by: k, signed: target("GET", "/x", ""), reason: "proof_invalid", change: func(i, s string) (string, string) {
			return strings.Replace(i, `"@path"`, `"@path";req`, 1), s
		}},
	} {
		input, sig := c.by.Sign(t, c.signed)
		if c.change != nil {
			input, sig = c.change(input, sig)
		}
		if c.target == "" {
			c.target = "/x"
		}
		l := newLane("GET", c.target, append(c.headers, "Signature-Input", input, "Signature", sig)...)
		g.ServeExchange(l)
		if l.reason() != c.reason || (l.status == 200) != (c.reason == "") {
			t.Errorf("%s: %d %s, want %q", c.name, l.status, l.reason(), c.reason)
		}
		if c.reason == "" {
			if again := newLane("GET", c.target, append(c.headers, "Signature-Input", input, "Signature", sig)...); true {
				g.ServeExchange(again)
				if again.reason() != "proof_invalid" {
					t.Errorf("%s, again: %d %s", c.name, again.status, again.reason())
				}
			}
		}
	}
	l := newLane("GET", "/x")
	g.ServeExchange(l)
	if l.reason() != "no_token" {
		t.Errorf("not signed: %s", l.reason())
	}
	input, sig := k.Sign(t, target("GET", "/proven", ""))
	l = newLane("GET", "/proven", "Signature-Input", input, "Signature", sig)
	if g.ServeExchange(l); l.status != http.StatusOK {
		t.Errorf("a signature is proof of possession: %d %s", l.status, l.reason())
	}
}

// What counts is the address that the operator says, where they say one; what a partner
// has signed for another server, whose name the Host line then bears, is worth nothing.
func TestSignedForThisServer(t *testing.T) {
	k := Ed25519Partner(t, "k1")
	g := partnerGateway(t, func(_ *Config, s *spec.Snapshot) { s.APIs[0].Host, s.APIs[0].URL = "", "https://api.acme.test/shop" }, k)
	for address, reason := range map[string]string{
		"https://api.acme.test/shop/x": "", "http://api.acme.test/shop/x": "proof_invalid", "http://api.test/x": "proof_invalid", "https://api.acme.test/x": "proof_invalid",
	} {
		input, sig := k.Sign(t, Signed{Components: []string{"@method", "@target-uri"}, Values: map[string]string{"@method": "GET", "@target-uri": address}})
		l := newLane("GET", "/x", "Signature-Input", input, "Signature", sig)
		if g.ServeExchange(l); l.reason() != reason {
			t.Errorf("signed for %s: %d %q, want %q", address, l.status, l.reason(), reason)
		}
	}
	s := OrdersSnapshot2("acme", spec.Route{Method: "GET", Path: "/x"})
	s.Issuers = []spec.Issuer{{Name: "acme", Keys: map[string]string{"k1": k.PEM}}}
	if list := s.Check(spec.Rules{}); len(list) != 1 || !strings.Contains(list[0].Err.Error(), "host or url") {
		t.Errorf("an API that does not say where it is: %v", list)
	}
}

// The body is what was signed, or the request goes nowhere; what goes on is the body
// that was checked.
func TestSignedBodies(t *testing.T) {
	k := Ed25519Partner(t, "k1")
	var got string
	g := partnerGateway(t, func(c *Config, _ *spec.Snapshot) {
		c.Backend = func(spec.API, Backend) (Backend, error) {
			return &backendFunc{func(ex *Exchange) error {
				b, err := io.ReadAll(ex.Out.Body)
				got = string(b)
				if err != nil {
					return err
				}
				return ex.Relay(&wire.Response{Status: 200})
			}}, nil
		}
	}, k)
	covered := func(digest string) Signed {
		s := target("POST", "/x", "")
		s.Components, s.Values["content-digest"] = append(s.Components, "content-digest"), digest
		return s
	}
	weak := "md5=:AAAA:"
	for _, c := range []struct {
		name   string
		signed Signed
		digest string
		body   string
		length int64
		reason string
	}{
		{"good", covered(ContentDigest("five")), ContentDigest("five"), "five", 4, ""},
		{"length not known", covered(ContentDigest("five")), ContentDigest("five"), "five", -1, ""},
		{"changed", covered(ContentDigest("five")), ContentDigest("five"), "nine", 4, "proof_invalid"},
		{"longer", covered(ContentDigest("five")), ContentDigest("five"), "fives", -1, "proof_invalid"},
		{"changed with its digest", covered(ContentDigest("five")), ContentDigest("nine"), "nine", 4, "proof_invalid"},
		{"digest not covered", target("POST", "/x", ""), ContentDigest("five"), "five", 4, "proof_invalid"},
		{"only a weak digest", covered(weak), weak, "five", 4, "proof_invalid"},
		{"two digests, one false", covered(ContentDigest("five") + ", sha-512=:AAAA:"), ContentDigest("five") + ", sha-512=:AAAA:", "five", 4, "proof_invalid"},
		{"too large", covered(ContentDigest("five")), ContentDigest("five"), "five", 2 << 20, "body_too_large"},
	} {
		got = ""
		input, sig := k.Sign(t, c.signed)
		l := newLane("POST", "/x", "Signature-Input", input, "Signature", sig, "Content-Digest", c.digest)
		l.request.Body = wire.NewBody(strings.NewReader(c.body), c.length)
		g.ServeExchange(l)
		if l.reason() != c.reason || c.reason == "" && got != c.body || c.reason != "" && got != "" {
			t.Errorf("%s: %d %s, the upstream got %q", c.name, l.status, l.reason(), got)
		}
	}
}

// The signed text of RFC 9421, appendix B.2.6, with the key of appendix B.1.4.
func TestSignatureOfTheStandard(t *testing.T) {
	const public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n"
	k, err := newPartnerKey("test-key-ed25519", public)
	if err != nil {
		t.Fatal(err)
	}
	in, ok := parseSignatureInput([]byte(`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`))
	if !ok {
		t.Fatal("not read")
	}
	sig, ok := parseSignature([]byte("sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"), in.label)
	if !ok {
		t.Fatal("no signature")
	}
	l := newLane("POST", "/foo?param=Value&Pet=dog", "Date", "Tue, 20 Apr 2021 02:07:55 GMT", "Content-Type", "application/json", "Content-Length", "18")
	l.request.Host = []byte("example.com")
	ex := &Exchange{}
	ex.begin(partnerGateway(t, nil, Ed25519Partner(t, "x")), l)
	if why := ex.canonical(); why != "" {
		t.Fatal(why)
	}
	text, ok := ex.signedText(&in, &publicPlace{hosted: true})
	if !ok || !k.key.Verify(k.fallback, text, sig) {
		t.Errorf("the signature does not hold over:\n%s", text)
	}
}

func FuzzSignatureInput(f *testing.F) {
	f.Add(`sig1=("@method" "@path");created=1;keyid="a\"b";nonce="c"`, `sig1=:AAAA:`, `sha-256=:AAAA:, sha-512=:AAAA:`)
	f.Add(`a=();created=999999999999999`, `a=::`, `x=`)
	f.Fuzz(func(t *testing.T, input, sig, digest string) {
		in, ok := parseSignatureInput([]byte(input))
		if ok {
			// What goes into the signed text reads as what was read.
			again, ok := parseSignatureInput(append([]byte(in.label+"="), in.params...))
			if !ok || string(again.params) != string(in.params) || again.keyID != in.keyID || again.nonce != in.nonce || again.created != in.created ||
				strings.Join(again.components, " ") != strings.Join(in.components, " ") {
				t.Fatalf("%q became %q", input, in.params)
			}
		}
		parseSignature([]byte(sig), in.label)
		parseDigests([]byte(digest))
	})
}

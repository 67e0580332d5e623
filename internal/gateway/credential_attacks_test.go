package gateway_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gateway"
	"gatehouse/internal/keys"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

// presented is a credential of one kind, as a caller presents it.
type presented struct {
	api     string                            // base path of the API that takes it
	secure  bool                              // it needs TLS
	headers func(method, url string) []string // for one request
	certs   []tls.Certificate
	secrets []string          // names of headers that no upstream gets
	told    map[string]string // what the upstream is told
}

// tokenIssuer knows one token.
type tokenIssuer struct{ token string }

// Cached implements gateway.Introspector.
func (tokenIssuer) Cached([]byte) (t *verify.Token, known bool, err error) { return nil, false, nil }

// Ask implements gateway.Introspector.
func (i tokenIssuer) Ask(_ context.Context, raw []byte) (*verify.Token, error) {
	if string(raw) != i.token {
		return nil, &verify.Error{Reason: gateway.ReasonRevoked}
	}
	return &verify.Token{Issuer: "https://asked.test", Subject: "ben", UserID: "ben", ClientID: "app2", Audience: []string{"api://test"}, Scopes: []string{"a"}}, nil
}

// oneSession is the session of one browser.
type oneSession struct{ cookie, token string }

func (o oneSession) Find(value []byte, _ time.Time) gateway.Session {
	if string(value) != o.cookie {
		return nil
	}
	return o
}
func (oneSession) Renew(context.Context, gateway.Session, bool) error { return nil }
func (oneSession) End(gateway.Session) error                          { return nil }
func (o oneSession) Access(time.Time, bool) (raw []byte, expired, due bool) {
	return []byte(o.token), false, false
}
func (oneSession) Facts(verified *verify.Token) *verify.Token { return verified }
func (oneSession) Asked() (what string, at time.Time)         { return "", time.Time{} }
func (oneSession) Ended() bool                                { return false }
func (oneSession) LoginURL(string, string, string) string     { return "/sign-in" }
func (oneSession) ServePage(http.ResponseWriter, *http.Request) error {
	return nil
}

const sessionCookie = "__Host-gatehouse-main"

// everyCredential opens a house with an API for each kind of credential, and returns
// one of each kind.
func everyCredential(t *testing.T, secure bool) (*house, map[string]presented) {
	t.Helper()
	partner, ca := gateway.Ed25519Partner(t, "k1"), gateway.NewTestCA(t, "devices")
	apiKeys, key := gateway.NewAPIKeys(), keys.APIKey()
	session := &oneSession{cookie: "browser"}
	h := open(t, func(c *gateway.Config, s *spec.Snapshot) {
		c.APIKeys = apiKeys
		c.Introspect = func(spec.Issuer) (gateway.Introspector, error) { return tokenIssuer{"opaque-token"}, nil }
		c.SignIn = func(spec.Issuer, []string) (gateway.SignIn, error) {
			return gateway.SignIn{Cookie: sessionCookie, Path: "/.gatehouse/main/", Sessions: session, Pages: session}, nil
		}
		s.Issuers[0].ClientID = "gateway"
		s.Issuers = append(s.Issuers,
			spec.Issuer{Name: "acme", Keys: map[string]string{"k1": partner.PEM}},
			spec.Issuer{Name: "devices", ClientCA: ca.PEM},
			spec.Issuer{Name: "asked", URL: "https://asked.test", Audience: []string{"api://test"}, Tokens: spec.TokensOpaque, ClientID: "g", ClientSecret: "sealed"})
		up := s.APIs[0].Upstream
		for name, auth := range map[string]string{"bearer": "main", "dpop": "main", "opaque": "asked", "key": spec.AuthAPIKey, "signed": "acme", "cert": "devices", "session": spec.AuthSession} {
			a := spec.API{
				Name: name, BasePath: "/" + name, Upstream: up, Auth: []string{auth}, Headers: spec.Headers{Claims: map[string]string{"X-User-Email": "email"}},
				Routes: []spec.Route{{Method: "*", Path: "/x"}, {Method: "GET", Path: "/open", Public: true}},
			}
			if name == "dpop" {
				a.Proof = spec.ProofDPoP
			}
			if name == "session" {
				a.SignIn = "main"
			}
			s.APIs = append(s.APIs, a)
		}
	}, secure)
	sum := sha256.Sum256([]byte(key))
	if err := apiKeys.Replace([]gateway.APIKey{{ID: "k1", Hash: hex.EncodeToString(sum[:]), App: "app3", Scopes: []string{"a"}, Created: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	proof := gateway.NewProofKey(t)
	bound := h.issuer.Token(t, proof.Bound())
	session.token = h.issuer.Token(t, gateway.Claims{"sub": "cleo", "uid": "cleo", "cid": "gateway"})
	ana := map[string]string{"X-User-Id": "00u1", "X-Client-Id": "app1", "X-Granted-Scopes": "orders:read"}
	fixed := func(h ...string) func(string, string) []string { return func(string, string) []string { return h } }
	return h, map[string]presented{
		"bearer": {api: "/bearer", headers: fixed("Authorization", "Bearer "+h.issuer.Token(t, nil)), secrets: []string{"Authorization"}, told: ana},
		"dpop": {api: "/dpop", headers: func(method, url string) []string {
			return []string{"Authorization", "DPoP " + bound, "DPoP", proof.Proof(t, method, url, bound, nil, nil)}
		}, secrets: []string{"Authorization", "Dpop"}, told: ana},
		"opaque": {
			api: "/opaque", headers: fixed("Authorization", "Bearer opaque-token"), secrets: []string{"Authorization"},
			told: map[string]string{"X-User-Id": "ben", "X-Client-Id": "app2", "X-Granted-Scopes": "a"},
		},
		"key": {api: "/key", headers: fixed("X-API-Key", key), secrets: []string{"X-Api-Key", "Authorization"}, told: map[string]string{"X-User-Id": "app3", "X-Client-Id": "app3", "X-Granted-Scopes": "a"}},
		"signed": {api: "/signed", headers: func(method, url string) []string {
			input, sig := partner.Sign(t, gateway.Signed{Components: []string{"@method", "@target-uri"}, Values: map[string]string{"@method": method, "@target-uri": url}})
			return []string{"Signature-Input", input, "Signature", sig}
		}, told: map[string]string{"X-User-Id": "acme", "X-Client-Id": "acme"}},
		"cert": {
			api: "/cert", secure: true, headers: fixed(), certs: []tls.Certificate{ca.Client(t, "device-17", nil)}, secrets: []string{"Client-Cert"},
			told: map[string]string{"X-User-Id": "device-17", "X-Client-Id": "device-17"},
		},
		"session": {
			api: "/session", headers: fixed("Cookie", "a=b; "+sessionCookie+"=browser"),
			told: map[string]string{"X-User-Id": "cleo", "X-Client-Id": "gateway", "X-Granted-Scopes": "orders:read", "Cookie": "a=b"},
		},
	}
}

// spoofs are headers by which a client claims to be somebody else, in every spelling
// that reaches the gateway, and headers that make servers let it pass. None of the values can
// stand in an identifier or a signed text by chance.
var spoofs = []string{
	"X-User-ID", "root.user", "x-user-id", "root.user2", "X-Client-ID", "evil.app", "x-client-id", "evil.app2", "X.User.Id", "root.user3", "X-Client~Id", "evil.app3", "X.Gatehouse.Context", "forged.context2", "X-Granted-Scopes", "admin-scope", "X-User-Email", "root.user@acme.test",
	"X-Gatehouse-Context", "forged.context", "X-Gatehouse-Omitted", "x-user-id", "Gatehouse-Decision", "allow",
	"X-Forwarded-For", "10.9.9.9", "X-Forwarded-Host", "evil.test", "X-Forwarded-User", "root.user", "Forwarded", "for=10.9.9.9", "X-Real-Ip", "10.9.9.9",
	"X-Forwarded-Client-Cert", "By=x;Subject=\"CN=root.user\"", "Client-Cert", ":cm9vdA==:", "Ssl-Client-Verify", "SUCCESS", "X-Ssl-Client-Dn", "CN=root.user",
	"X-Original-Url", "/open", "X-Rewrite-Url", "/open", "X-Http-Method-Override", "OPTIONS", "User-Agent", "GoogleHC/1.0",
}

// Whatever kind of credential a caller has, the upstream is told once who it is, by
// nobody but the gateway, and gets no credential; a public operation is told nothing;
// and no header stands for a credential (attack gateway 48, 49, 50, 54, 56, 58; attack
// identity 42, 71). On every lane.
func TestEveryCredentialAgainstSpoofing(t *testing.T) {
	for _, l := range lanes() {
		t.Run(l.name, func(t *testing.T) {
			h, all := everyCredential(t, l.secure)
			for name, p := range all {
				if p.secure && !l.secure {
					continue
				}
				c := h.with(t, l, p.certs...)
				url := h.url(p.api + "/x")
				a := h.do(t, l, c, "GET", p.api+"/x", "", append(p.headers("GET", url), spoofs...)...)
				if a.StatusCode != 200 {
					t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
					continue
				}
				p.check(t, name, a)
				open := h.do(t, l, c, "GET", p.api+"/open", "", append(p.headers("GET", h.url(p.api+"/open")), spoofs...)...)
				public := presented{secrets: p.secrets, told: map[string]string{}}
				if p.told["Cookie"] != "" {
					public.told["Cookie"] = p.told["Cookie"]
				}
				public.check(t, name+", of a public operation", open)
				none := h.do(t, l, h.with(t, l), "GET", p.api+"/x", "", spoofs...)
				if none.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s, no credential at all: %d", name, none.StatusCode)
				}
			}
		})
	}
}

// check looks at what the upstream got.
func (p *presented) check(t *testing.T, name string, a answer) {
	t.Helper()
	low := strings.ToLower(a.body)
	for _, bad := range []string{"root.user", "evil.", "forged.context", "10.9.9.9", "admin-scope", "success", "cm9vda"} {
		if strings.Contains(low, bad) {
			t.Errorf("%s: the upstream got %q: %s", name, bad, a.body)
		}
	}
	for _, header := range []string{"X-User-Id", "X-Client-Id", "X-Granted-Scopes", "X-User-Email", "Cookie"} {
		got := a.echo.Headers[header]
		if want := p.told[header]; want == "" && len(got) != 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%s: the upstream was told %s %q, want %q", name, header, got, want)
		}
	}
	if n := len(a.echo.Headers["X-Gatehouse-Context"]); (n == 1) != (p.told["X-Client-Id"] != "") {
		t.Errorf("%s: %d signed contexts", name, n)
	}
	for _, header := range p.secrets {
		if got := a.echo.Headers[header]; got != nil {
			t.Errorf("%s: the upstream got the credential in %s", name, header)
		}
	}
}

// A Connection line takes neither the gateway's headers nor what a credential is
// checked by away (attack gateway 50): the caller is known, or refused, as without it.
func TestConnectionLineAndEveryCredential(t *testing.T) {
	h, all := everyCredential(t, false)
	for name, p := range all {
		if p.secure {
			continue
		}
		for lane, expect := range map[string]string{"strict": "", "standard": "Expect: 100-continue\r\n"} {
			url := h.url(p.api + "/x")
			var lines strings.Builder
			list := p.headers("GET", url)
			for i := 0; i < len(list); i += 2 {
				fmt.Fprintf(&lines, "%s: %s\r\n", list[i], list[i+1])
			}
			resp, body := h.raw(t, "GET "+p.api+"/x HTTP/1.1\r\nHost: "+h.addr+
				"\r\nConnection: close, X-User-ID, X-Client-ID, X-Granted-Scopes, X-Gatehouse-Context, Authorization, X-API-Key, DPoP, Cookie, Signature, Signature-Input\r\n"+lines.String()+expect+"\r\n")
			var e echo
			_ = json.Unmarshal([]byte(body), &e)
			if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusBadRequest {
				continue // refused, as who hides their credential may be
			}
			told := p
			told.told = map[string]string{}
			for k, v := range p.told {
				if k != "Cookie" {
					told.told[k] = v
				}
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s on the %s lane: %d %s", name, lane, resp.StatusCode, body)
				continue
			}
			told.check(t, name+" on the "+lane+" lane", answer{resp, body, e})
		}
	}
}

// The same for proxies that only ask: whatever a caller presents and says, what is to be
// set is the gateway's word alone, an empty one for what it does not know, and the
// credential and what else the gateway would not pass on is named to be removed.
func TestEveryCredentialWhereOthersAsk(t *testing.T) {
	h, all := everyCredential(t, false)
	for name, p := range all {
		for _, path := range []string{"/x", "/open"} {
			r := httptest.NewRequest(http.MethodGet, p.api+path, http.NoBody)
			r.RequestURI, r.Host, r.RemoteAddr = p.api+path, h.addr, "192.0.2.1:4711"
			if len(p.certs) > 0 {
				leaf, err := x509.ParseCertificate(p.certs[0].Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{leaf}}
			}
			lines := append(p.headers(http.MethodGet, h.url(p.api+path)), spoofs...)
			for i := 0; i < len(lines); i += 2 {
				r.Header.Add(lines[i], lines[i+1])
			}
			told := p.told
			if path == "/open" {
				told = map[string]string{"Cookie": p.told["Cookie"]}
			}
			a := h.Decide(r)
			if a.Status != http.StatusOK {
				t.Errorf("%s %s: %d %s", name, path, a.Status, a.Body)
				continue
			}
			low := strings.ToLower(fmt.Sprint(a.Header))
			for _, bad := range []string{"root.user", "evil.", "forged.context", "10.9.9.9", "admin-scope", "browser"} {
				if strings.Contains(low, bad) {
					t.Errorf("%s %s: the answer has %q: %v", name, path, bad, a.Header)
				}
			}
			for _, header := range []string{"X-User-Id", "X-Client-Id", "X-Granted-Scopes", "X-User-Email", "Cookie"} {
				if got := a.Header[header]; !slices.Equal(got, []string{told[header]}) {
					t.Errorf("%s %s: %s is to be %q, want %q", name, path, header, got, told[header])
				}
			}
			if got := a.Header.Get("X-Gatehouse-Context"); (got != "") != (path == "/x") {
				t.Errorf("%s %s: the context is %q", name, path, got)
			}
			for _, secret := range p.secrets {
				if r.Header.Get(secret) != "" && !slices.ContainsFunc(a.Remove, func(s string) bool { return strings.EqualFold(s, secret) }) {
					t.Errorf("%s %s: %s is not removed: %v", name, path, secret, a.Remove)
				}
			}
			for _, claim := range []string{"Client-Cert", "Ssl-Client-Verify", "X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override", "X-Real-Ip"} {
				if !slices.ContainsFunc(a.Remove, func(s string) bool { return strings.EqualFold(s, claim) }) {
					t.Errorf("%s %s: the client's %s is not removed: %v", name, path, claim, a.Remove)
				}
			}
		}
	}
}

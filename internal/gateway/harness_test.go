package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/ratelimit"
	"gatehouse/internal/revocation"
	"gatehouse/internal/spec"
	"gatehouse/internal/wire"
	"gatehouse/verify"
)

// FakeIssuer signs tokens.
type FakeIssuer struct {
	URL  string
	Key  *ecdsa.PrivateKey
	Keys *verify.StaticKeys
	kid  string
}

// NewIssuerFor makes an issuer with one ES256 key.
func NewIssuerFor(t testing.TB, url string) *FakeIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	keys, err := verify.NewStaticKeys(fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","kid":"k1","alg":"ES256","use":"sig","x":%q,"y":%q}]}`,
		b64(raw[1:33]), b64(raw[33:65])))
	if err != nil {
		t.Fatal(err)
	}
	return &FakeIssuer{URL: url, Key: key, Keys: keys, kid: "k1"}
}

// Patience is how long a test waits for what must come: it ends only what hangs.
const Patience = time.Minute

// Claims are the claims of a token. A nil value removes a default.
type Claims map[string]any

// Token signs a token: the defaults, and over them the claims.
func (i *FakeIssuer) Token(t testing.TB, claims Claims) string {
	t.Helper()
	now := time.Now().Unix()
	all := map[string]any{
		"iss": i.URL, "aud": "api://test", "sub": "ana", "cid": "app1", "uid": "00u1", "jti": fmt.Sprint(rand.Text()),
		"iat": now, "exp": now + 600, "scp": []string{"orders:read"},
	}
	maps.Copy(all, claims)
	for k, v := range all {
		if v == nil {
			delete(all, k)
		}
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64(fmt.Appendf(nil, `{"alg":"ES256","kid":%q,"typ":"at+jwt"}`, i.kid)) + "." + b64(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.Key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

// LogLines collects the access log.
type LogLines struct {
	mu    sync.Mutex
	lines []string
}

// Write implements AccessLog.
func (l *LogLines) Write(line []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	return true
}

// All returns the lines so far.
func (l *LogLines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// signerFunc signs contexts.
type signerFunc func(claims []byte) (string, error)

// Sign implements ContextSigner.
func (f signerFunc) Sign(dst, claims []byte) ([]byte, error) {
	jwt, err := f(claims)
	return append(dst, jwt...), err
}

// backendFunc is a backend.
type backendFunc struct{ serve func(*Exchange) error }

// Serve implements Backend.
func (f *backendFunc) Serve(ex *Exchange) error { return f.serve(ex) }

// ConfigFor is a gateway's configuration whose issuers are those given.
func ConfigFor(t testing.TB, issuers ...*FakeIssuer) Config {
	t.Helper()
	v, err := verify.New(verify.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Backend: func(spec.API, Backend) (Backend, error) {
			return &backendFunc{func(ex *Exchange) error { return ex.Relay(&wire.Response{Status: 200}) }}, nil
		},
		Issuer: func(s spec.Issuer) (verify.Issuer, error) {
			for _, i := range issuers {
				if i.URL == s.URL {
					return verify.Issuer{URL: i.URL, Keys: i.Keys}, nil
				}
			}
			return verify.Issuer{}, fmt.Errorf("no such issuer")
		},
		Verifier:    v,
		Revocations: revocation.New(revocation.Config{Loaded: true}),
		Limiter:     ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{})),
		IdentityURL: "https://id.test",
		Context: signerFunc(func(claims []byte) (string, error) {
			return "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln", nil
		}),
	}
}

// OrdersSnapshot has one API "orders" of one issuer "main", in the shape that most tests need.
func OrdersSnapshot(routes ...spec.Route) spec.Snapshot {
	return spec.Snapshot{
		Tenant: "default", Revision: 1,
		Issuers: []spec.Issuer{{Name: "main", URL: "https://issuer.test", Audience: []string{"api://test"}}},
		APIs: []spec.API{{
			Name: "orders", Upstream: spec.Upstream{Targets: []string{"http://127.0.0.1:1"}}, Auth: []string{"main"}, Routes: routes,
		}},
	}
}

// newTestGateway loads a snapshot into a new gateway.
func newTestGateway(t testing.TB, c Config, s spec.Snapshot) *Gateway {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := g.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return g
}

// memoryLane is a lane without a network.
type memoryLane struct {
	request wire.Request
	status  int
	fields  map[string][]string
	body    []byte
	quiet   bool // keep nothing of the answer, for measurements
}

func newLane(method, target string, headers ...string) *memoryLane {
	l := &memoryLane{}
	l.request = wire.Request{
		Method: []byte(method), Target: []byte(target), Host: []byte("api.test"), Proto: "HTTP/1.1",
		Remote: netip.MustParseAddrPort("192.0.2.1:4000"), Local: netip.MustParseAddrPort("127.0.0.1:8080"),
	}
	for i := 0; i < len(headers); i += 2 {
		l.request.Fields = append(l.request.Fields, wire.Field{
			Name: []byte(headers[i]), Value: []byte(headers[i+1]), Kind: wire.Classify([]byte(headers[i])),
		})
	}
	return l
}

// Request implements wire.Exchange.
func (l *memoryLane) Request() *wire.Request { return &l.request }

// Respond implements wire.Exchange.
func (l *memoryLane) Respond(status int, fields []wire.Field, body []byte) error {
	l.status = status
	if l.quiet {
		return nil
	}
	l.body = append([]byte(nil), body...)
	l.keep(fields)
	return nil
}

func (l *memoryLane) keep(fields []wire.Field) {
	l.fields = map[string][]string{}
	for _, f := range fields {
		l.fields[string(f.Name)] = append(l.fields[string(f.Name)], string(f.Value))
	}
}

// Relay implements wire.Exchange.
func (l *memoryLane) Relay(r *wire.Response) (int64, error) {
	l.status = r.Status
	if !l.quiet {
		l.keep(r.Fields)
	}
	return 0, nil
}

// Upgrade implements wire.Exchange.
func (l *memoryLane) Upgrade(*wire.Response, <-chan struct{}) (int64, error) {
	return 0, wire.ErrNoUpgrade
}

func (l *memoryLane) reason() string {
	var doc struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(l.body, &doc) != nil {
		return ""
	}
	return doc.Reason
}

func mustPeer(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/client"
)

// issuer is an authorization server elsewhere: discovery, keys, and tokens on demand.
type issuer struct {
	*httptest.Server
	key *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys", "token_endpoint": i.URL + "/token"})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		raw, err := key.PublicKey.Bytes()
		if err != nil {
			panic(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{map[string]any{
			"kty": "EC", "crv": "P-256", "kid": "k1", "use": "sig", "alg": "ES256", "x": b64(raw[1:33]), "y": b64(raw[33:]),
		}}})
	})
	i.Server = httptest.NewServer(mux)
	t.Cleanup(i.Close)
	return i
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token signs claims; the usual ones are added.
func (i *issuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	all := map[string]any{"iss": i.URL, "aud": "api://orders", "sub": "ana", "iat": now, "exp": now + 600, "jti": rand.Text(), "cid": "app1", "scp": []string{"orders:read"}}
	for k, v := range claims {
		all[k] = v
	}
	body, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed := b64([]byte(`{"alg":"ES256","kid":"k1"}`)) + "." + b64(body)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := make([]byte, 64)
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return signed + "." + b64(sig)
}

const ordersAPI = `version: 1
issuers:
  okta:
    url: %s
    audience: api://orders
  default: { builtin: default }
apis:
  orders:
    upstream: %s
    auth: [okta, default]
    limit: 1000/min per client
    routes:
      GET /orders/*: orders:read
`

// With store and issuer down, a gateway that is restarted serves what it served:
// the first authenticated answer comes within a second, and what was revoked
// stays revoked.
func restartWithEverythingDown(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "order") }))
	defer up.Close()
	is := newIssuer(t)
	file := write(t, fmt.Sprintf(ordersAPI, is.URL, up.URL))
	identity := freeAddress(t)
	p := start(t, file, withIdentity(identity))
	foreign, dead := is.token(t, nil), is.token(t, map[string]any{"jti": "dead"})
	own := p.token("orders:read")
	ownDead := p.token("orders:read")
	for _, tok := range []string{foreign, dead, own, ownDead} {
		if a := p.call(http.MethodGet, "/orders/1", tok); a.Status != http.StatusOK {
			t.Fatalf("before the restart: %d %s", a.Status, a.Body)
		}
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: jti(t, ownDead)}); err != nil {
		t.Fatal(err)
	}
	if err := p.admin().Revoke(t.Context(), client.Revocation{Kind: "token", Value: "dead", Issuer: is.URL}); err != nil {
		t.Fatal(err)
	}
	data := p.data
	p.stop()
	is.Close()

	// The quickest of some starts counts: in another one the machine may have been busy.
	var took time.Duration
	for try := 1; ; try++ {
		began := time.Now()
		// Nothing listens on the store's address; tokens name the same issuer as before.
		p = start(t, file, withData(data), withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"), withIdentity(identity))
		a := p.call(http.MethodGet, "/orders/1", foreign)
		took = time.Since(began)
		if a.Status != http.StatusOK {
			t.Fatalf("after the restart: %d %s", a.Status, a.Body)
		}
		if took <= time.Second {
			break
		}
		if try == 5 {
			t.Fatalf("the first authenticated answer took %s", took)
		}
		p.stop()
	}
	t.Logf("first authenticated answer %s after the start", took.Round(time.Millisecond))
	if a := p.call(http.MethodGet, "/orders/1", own); a.Status != http.StatusOK {
		t.Errorf("a token of the built-in server: %d %s", a.Status, a.Body)
	}
	if a := p.call(http.MethodGet, "/orders/1", dead); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked of another issuer is answered %d", a.Status)
	}
	if a := p.call(http.MethodGet, "/orders/1", ownDead); a.Status != http.StatusUnauthorized {
		t.Errorf("what was revoked is answered %d", a.Status)
	}
	if a := p.request(http.MethodGet, p.Ready().Console+"/readyz?verbose", "", ""); a.Status != http.StatusOK || !strings.Contains(a.Body, "store degraded") {
		t.Errorf("readyz: %d %s", a.Status, a.Body)
	}
	if a := p.request(http.MethodGet, p.Ready().Identity+"/oauth2/default/v1/keys", "", ""); a.Status != http.StatusServiceUnavailable {
		t.Errorf("the identity listener answers %d", a.Status)
	}
}

// A gateway that has never been told anything cannot know: it does not start.
func TestFirstStartNeedsTheStore(t *testing.T) {
	file := write(t, fmt.Sprintf(ordersAPI, "http://127.0.0.1:9", "http://127.0.0.1:9"))
	_, err := tryStart(t, file, withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"))
	if err == nil || !strings.Contains(err.Error(), "the first start needs the store") || strings.Contains(err.Error(), "\n") {
		t.Errorf("started without store and snapshot: %v", err)
	}
}

// A port that is taken: the message names the listener, the address and the flag.
func TestPortTaken(t *testing.T) {
	running := start(t, "")
	taken := strings.TrimPrefix(running.Ready().Gateway, "http://")
	_, err := tryStart(t, "", withGateway(taken))
	for _, want := range []string{"gateway", taken, "end what uses it, or choose another address with --gateway"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %q: %v", want, err)
		}
	}
	if a := running.call(http.MethodGet, "/hr/health", ""); a.Status != http.StatusOK {
		t.Errorf("what was running answers %d %s", a.Status, a.Body)
	}
}

// jti reads a claim without verifying: the test knows where the token is from.
func jti(t *testing.T, token string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		ID string `json:"jti"`
	}
	if err := json.Unmarshal(b, &c); err != nil || c.ID == "" {
		t.Fatalf("no jti: %v", err)
	}
	return c.ID
}

// A token that nobody has shown the gateway before the restart is as good after it,
// the store being down, as one that was.
func TestRestartKnowsTokensNotSeen(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "order") }))
	defer up.Close()
	file := write(t, fmt.Sprintf(ordersAPI, "http://127.0.0.1:1", up.URL))
	identity := freeAddress(t)
	p := start(t, file, withIdentity(identity))
	data := p.data
	p.stop()
	p = start(t, file, withData(data), withIdentity(identity))
	own := p.token("orders:read")
	p.stop()
	p = start(t, file, withData(data), withIdentity(identity), withStore("postgres://nobody@"+freeAddress(t)+"/gatehouse"))
	if a := p.call(http.MethodGet, "/orders/1", own); a.Status != http.StatusOK {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

package verify

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// nothing takes an answer and keeps none of it.
type nothing struct{ header http.Header }

func (n nothing) Header() http.Header         { return n.header }
func (n nothing) Write(b []byte) (int, error) { return len(b), nil }
func (n nothing) WriteHeader(int)             {}

// What the middleware adds to a request of net/http: nobody before it, a bearer token
// that is known, the context that Gatehouse sends along, which is a new one every
// half minute, and one that has not been seen.
func BenchmarkMiddleware(b *testing.B) {
	const gate = "https://id.acme.test"
	now := time.Now().Unix()
	keys := must(NewStaticKeys(jwks(jwk("ed", edKey(), nil))))
	issuers := []Issuer{{URL: issuerA, Keys: keys}, ContextIssuer(gate, keys, "orders")}
	v, forgetful := must(New(Config{Issuers: issuers})), must(New(Config{Issuers: issuers, CacheSize: -1}))
	bearer := "Bearer " + string(mint(EdDSA, edKey(), "ed", oktaClaims(obj{"iat": now, "exp": now + 3600, "scp": []string{"orders:read"}, "pad": pad})))
	context := string(sign(EdDSA, edKey(), `{"alg":"EdDSA","kid":"ed","typ":"`+ContextType+`"}`,
		text(obj{"iss": gate, "aud": "orders", "sub": "ana", "client_id": "app", "scope": "orders:read", "iat": now, "exp": now + 3600, "jti": "1"})))
	scopes := []string{"orders:read"}
	for _, c := range []struct {
		name   string
		only   func(http.Handler) http.Handler
		header string
		value  string
	}{
		{"none", func(h http.Handler) http.Handler { return h }, "", ""},
		{"bearer token, known", Middleware(MiddlewareConfig{Verifier: v, Scopes: scopes}), "Authorization", bearer},
		{"context, known", Middleware(MiddlewareConfig{Verifier: v, Scopes: scopes, Header: ContextHeader}), ContextHeader, context},
		{"context, new", Middleware(MiddlewareConfig{Verifier: forgetful, Scopes: scopes, Header: ContextHeader}), ContextHeader, context},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := c.only(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
			r := httptest.NewRequest(http.MethodGet, "/orders/1", nil)
			w := &refusals{nothing: nothing{http.Header{}}}
			b.ReportAllocs()
			if c.header != "" {
				r.Header.Set(c.header, c.value)
			}
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			if w.status != http.StatusNoContent {
				b.Fatalf("answered %d", w.status)
			}
		})
	}
}

// refusals remembers the last status.
type refusals struct {
	nothing
	status int
}

func (r *refusals) WriteHeader(status int) { r.status = status }

package verify

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// attack gateway 23: one rule for where the token is.
func TestBearer(t *testing.T) {
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"Bearer abc", "abc", true},
		{"bearer abc", "abc", true},
		{"BEARER abc", "abc", true},
		{"Bearer   abc", "abc", true},
		{"Bearer a.b-c_d~e+f/g==", "a.b-c_d~e+f/g==", true},
		{"Bearer\tabc", "", false},
		{"Bearer \tabc", "", false},
		{"Bearer abc\t", "", false},
		{"Bearer abc ", "", false},
		{"Bearer abc def", "", false},
		{"Bearer a, Bearer b", "", false},
		{"Bearer a,b", "", false},
		{"Bearer a=b", "", false},
		{"Bearer ==", "", false},
		{"Bearer", "", false},
		{"Bearer ", "", false},
		{"Bearerabc", "", false},
		{" Bearer abc", "", false},
		{"Basic abc", "", false},
		{"DPoP abc", "", false},
		{"Bearer \"abc\"", "", false},
		{"Bearer abc\x00", "", false},
		{"Bearer ab\u00e9", "", false},
		{"", "", false},
	} {
		if got, ok := Bearer(c.in); got != c.want || ok != c.ok {
			t.Errorf("%q: %q, %t", c.in, got, ok)
		}
		if got, ok := Bearer([]byte(c.in)); string(got) != c.want || ok != c.ok {
			t.Errorf("bytes %q: %q, %t", c.in, got, ok)
		}
	}
}

func TestMiddleware(t *testing.T) {
	v := verifierA(t, nil)
	down := must(New(Config{Issuers: []Issuer{{URL: issuerA, Keys: brokenSource{}}}, Now: at(start)}))
	good := "Bearer " + string(mint(EdDSA, edKey(), "ed", oktaClaims(nil)))
	other := "Bearer " + string(mint(EdDSA, edKey(), "ed", oktaClaims(obj{"sub": "eve", "uid": "eve"})))
	forged := "Bearer " + string(mint(ES256, p256b(), "ec", oktaClaims(nil)))
	bound := "Bearer " + string(mint(EdDSA, edKey(), "ed", oktaClaims(obj{"cnf": obj{"jkt": "x"}})))
	for _, c := range []struct {
		name      string
		cfg       MiddlewareConfig
		target    string
		auth      []string
		status    int
		challenge string
		reason    Reason
	}{
		{"good", MiddlewareConfig{Verifier: v, Scopes: []string{"vacations:read"}}, "/", []string{good}, 200, "", ""},
		{"none", MiddlewareConfig{Verifier: v, Metadata: "https://api.test/.well-known/oauth-protected-resource"}, "/", nil, 401, `Bearer resource_metadata="https://api.test/.well-known/oauth-protected-resource"`, ReasonNoToken},
		{"other scheme", MiddlewareConfig{Verifier: v}, "/", []string{"Basic abc"}, 401, "Bearer", ReasonNoToken},
		{"two fields", MiddlewareConfig{Verifier: v}, "/", []string{good, other}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"the same field twice", MiddlewareConfig{Verifier: v}, "/", []string{good, good}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"list in one field", MiddlewareConfig{Verifier: v}, "/", []string{good + ", " + other}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"Basic and Bearer in one field", MiddlewareConfig{Verifier: v}, "/", []string{"Basic abc, " + good}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"tab", MiddlewareConfig{Verifier: v}, "/", []string{strings.Replace(good, " ", "\t", 1)}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"header and query", MiddlewareConfig{Verifier: v}, "/?access_token=" + other[7:], []string{good}, 400, `Bearer error="invalid_request", error_description="ambiguous_request"`, ReasonAmbiguous},
		{"query alone", MiddlewareConfig{Verifier: v}, "/?access_token=" + good[7:], nil, 401, "Bearer", ReasonNoToken},
		{"forged", MiddlewareConfig{Verifier: v}, "/", []string{forged}, 401, `Bearer error="invalid_token", error_description="bad_signature"`, ReasonBadSignature},
		{"no JWT", MiddlewareConfig{Verifier: v}, "/", []string{"Bearer abc"}, 401, `Bearer error="invalid_token", error_description="token_malformed"`, ReasonMalformed},
		{"sender-constrained", MiddlewareConfig{Verifier: v}, "/", []string{bound}, 401, `Bearer error="invalid_token", error_description="token_type_not_accepted"`, ReasonTokenType},
		{"scope", MiddlewareConfig{Verifier: v, Scopes: []string{"vacations:read", "payroll:write"}}, "/", []string{good}, 403, `Bearer error="insufficient_scope", error_description="missing_scope", scope="vacations:read payroll:write"`, ReasonMissingScope},
		{"issuer down", MiddlewareConfig{Verifier: down}, "/", []string{good}, 503, "", ReasonIssuerUnreachable},
	} {
		t.Run(c.name, func(t *testing.T) {
			var reason Reason
			c.cfg.Denied = func(_ *http.Request, e *Error) { reason = e.Reason }
			h := Middleware(c.cfg)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tok, ok := FromContext(r.Context())
				if !ok || tok.Subject != "ana@acme.test" {
					t.Errorf("the handler got %v", tok)
				}
				_, _ = io.WriteString(w, "in")
			}))
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.target, http.NoBody)
			req.Header["Authorization"] = c.auth
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code != c.status || rec.Header().Get("WWW-Authenticate") != c.challenge || reason != c.reason {
				t.Errorf("%d, %q, %q", rec.Code, rec.Header().Get("WWW-Authenticate"), reason)
			}
			if (rec.Body.String() == "in") != (c.status == 200) {
				t.Errorf("body %q", rec.Body)
			}
		})
	}
	if _, ok := FromContext(t.Context()); ok {
		t.Error("a token out of nowhere")
	}
}

// The signed context of the gateway: of its own type, addressed to this API, and
// nothing else is taken for it.
func TestContextHeader(t *testing.T) {
	keys := must(NewStaticKeys(jwks(jwk("g", edKey(), nil))))
	v := must(New(Config{Issuers: []Issuer{ContextIssuer(issuerA, keys, "hr")}, Now: at(start)}))
	h := Middleware(MiddlewareConfig{Verifier: v, Header: ContextHeader})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, _ := FromContext(r.Context())
		_, _ = io.WriteString(w, tok.UserID)
	}))
	mintAs := func(typ, aud string, extra obj) string {
		claims := obj{"iss": issuerA, "aud": aud, "sub": "00uana", "exp": start.Unix() + 60, "iat": start.Unix()}
		for k, v := range extra {
			claims[k] = v
		}
		return sign(EdDSA, edKey(), `{"alg":"EdDSA","kid":"g","typ":"`+typ+`"}`, text(claims))
	}
	good := mintAs(ContextType, "hr", nil)
	for _, c := range []struct {
		name   string
		fields []string
		auth   string
		status int
	}{
		{"good", []string{good}, "", 200},
		{"another API", []string{mintAs(ContextType, "pay", nil)}, "", 401},
		{"an access token", []string{mintAs("at+jwt", "hr", nil)}, "", 401},
		{"old", []string{mintAs(ContextType, "hr", obj{"exp": start.Unix() - 31})}, "", 401},
		{"two", []string{good, good}, "", 400},
		{"as bearer", nil, "Bearer " + good, 401},
		{"with a scheme", []string{"Bearer " + good}, "", 401},
		{"none", nil, "", 401},
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		req.Header[ContextHeader] = c.fields
		if c.auth != "" {
			req.Header.Set("Authorization", c.auth)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if rec.Code != c.status || c.status == 200 && rec.Body.String() != "00uana" {
			t.Errorf("%s: %d %q", c.name, rec.Code, rec.Body)
		}
	}
}

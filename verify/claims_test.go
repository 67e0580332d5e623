package verify

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The shapes of access tokens that are really issued.
func TestDialects(t *testing.T) {
	const now = 1772366400
	base := func(extra obj) obj {
		m := obj{"iss": issuerA, "exp": now + 3600, "iat": now, "aud": "api://hr", "sub": "ana"}
		for k, v := range extra {
			m[k] = v
		}
		return m
	}
	for _, c := range []struct {
		name   string
		header string
		claims obj
		want   Token
	}{
		{
			"Okta, a person", `{"kid":"ec","alg":"ES256"}`, oktaClaims(nil),
			Token{
				Issuer: issuerA, Subject: "ana@acme.test", ClientID: "0oaclient", UserID: "00uperson", Audience: []string{"api://hr"},
				Scopes: []string{"openid", "vacations:read"}, Groups: []string{"employees"}, ID: "AT.abc",
				IssuedAt: now - 60, Expires: now + 3600, AuthTime: now - 60,
			},
		},
		{
			"Okta, a service", `{"kid":"ec","alg":"ES256"}`, oktaClaims(obj{"uid": nil, "sub": "0oaclient", "groups": nil, "auth_time": nil}),
			Token{
				Issuer: issuerA, Subject: "0oaclient", ClientID: "0oaclient", Audience: []string{"api://hr"},
				Scopes: []string{"openid", "vacations:read"}, ID: "AT.abc", IssuedAt: now - 60, Expires: now + 3600,
			},
		},
		{
			"RFC 9068", `{"kid":"ec","alg":"ES256","typ":"at+JWT"}`,
			base(obj{"client_id": "app", "scope": "b a  b", "jti": "1", "acr": "urn:x", "amr": []string{"pwd", "otp"}, "sid": "s", "nbf": now}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "app", UserID: "ana", Audience: []string{"api://hr"}, Scopes: []string{"a", "b"},
				ID: "1", Session: "s", ACR: "urn:x", AMR: []string{"pwd", "otp"}, IssuedAt: now, NotBefore: now, Expires: now + 3600, Type: "at+jwt",
			},
		},
		{
			"RFC 9068, long form of typ, bound to a key", `{"kid":"ec","alg":"ES256","typ":"application/at+jwt"}`,
			base(obj{"client_id": "ana", "scope": "", "aud": []string{"x", "y"}, "cnf": obj{"jkt": "T", "x5t#S256": "C"}}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "ana", Audience: []string{"x", "y"}, KeyThumbprint: "T", CertThumbprint: "C",
				IssuedAt: now, Expires: now + 3600, Type: "at+jwt",
			},
		},
		{
			"Entra v2, a person", `{"kid":"ec","alg":"ES256","typ":"JWT"}`,
			base(obj{"azp": "app", "scp": "Files.Read User.Read", "oid": "o-1", "tid": "t-1", "roles": []string{"Admin"}, "ver": "2.0"}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "app", UserID: "o-1", Audience: []string{"api://hr"}, Scopes: []string{"Files.Read", "User.Read"},
				Roles: []string{"Admin"}, IssuedAt: now, Expires: now + 3600, Type: "jwt",
			},
		},
		{
			"Entra v1, an app", `{"kid":"ec","alg":"ES256","typ":"JWT"}`,
			base(obj{"appid": "app", "idtyp": "app", "oid": "o-2", "tid": "t-1", "roles": []string{"B", "A"}}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "app", Audience: []string{"api://hr"}, Roles: []string{"A", "B"},
				IssuedAt: now, Expires: now + 3600, Type: "jwt",
			},
		},
		{
			"Keycloak, a person", `{"kid":"ec","alg":"ES256","typ":"JWT"}`,
			base(obj{"azp": "app", "typ": "Bearer", "nonce": "n", "scope": "email", "realm_access": obj{"roles": []string{"user"}}}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "app", UserID: "ana", Audience: []string{"api://hr"}, Scopes: []string{"email"},
				Roles: []string{"user"}, IssuedAt: now, Expires: now + 3600, Type: "jwt",
			},
		},
		{
			"Keycloak, a service", `{"kid":"ec","alg":"ES256","typ":"JWT"}`,
			base(obj{"azp": "app", "typ": "Bearer", "preferred_username": "service-account-app"}),
			Token{
				Issuer: issuerA, Subject: "ana", ClientID: "app", Audience: []string{"api://hr"},
				IssuedAt: now, Expires: now + 3600, Type: "jwt",
			},
		},
		{
			"scp beside scope: scp alone counts", `{"kid":"ec","alg":"ES256"}`,
			base(obj{"scp": []string{"a"}, "scope": "a admin"}),
			Token{
				Issuer: issuerA, Subject: "ana", UserID: "ana", Audience: []string{"api://hr"}, Scopes: []string{"a"},
				IssuedAt: now, Expires: now + 3600,
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verifierA(t, nil)
			got, err := v.Verify(t.Context(), []byte(sign(ES256, p256(), c.header, text(c.claims))))
			if err != nil {
				t.Fatal(err)
			}
			c.want.KeyID, c.want.Algorithm = "ec", ES256
			if d := cmp.Diff(&c.want, got, cmpopts.IgnoreUnexported(Token{}), cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

// attack gateway 17 and 20, and claims of a wrong type.
func TestClaims(t *testing.T) {
	now := start.Unix()
	raw := func(name string) func(string) string {
		return func(value string) string {
			m := oktaClaims(obj{name: nil})
			s := text(m)
			return s[:len(s)-1] + `,"` + name + `":` + value + `}`
		}
	}
	exp, nbf, iat := raw("exp"), raw("nbf"), raw("iat")
	num := func(n int64) string { return text(n) }
	leeway := int64(DefaultLeeway / time.Second)
	for _, c := range []struct {
		name, payload string
		reason        Reason
	}{
		{"exp missing", text(oktaClaims(obj{"exp": nil})), ReasonMalformed},
		{"exp string", exp(`"1893456000"`), ReasonMalformed},
		{"exp true", exp(`true`), ReasonMalformed},
		{"exp null", exp(`null`), ReasonMalformed},
		{"exp list", exp(`[1893456000]`), ReasonMalformed},
		{"exp negative", exp(`-1`), ReasonMalformed},
		{"exp 1e30", exp(`1e30`), ReasonMalformed},
		{"exp 1e999", exp(`1e999`), ReasonMalformed},
		{"exp NaN", exp(`NaN`), ReasonMalformed},
		{"exp after the year 9999", exp(`253402300800`), ReasonMalformed},
		{"exp at the end of the year 9999", exp(`253402300799`), ""},
		{"exp beyond int64", exp(`9223372036854775808`), ReasonMalformed},
		{"exp in milliseconds", exp(num((now + 3600) * 1000)), ReasonMalformed},
		{"exp 0", exp(`0`), ReasonExpired},
		{"exp float", exp(num(now+5) + `.75`), ""},
		{"exp in exponent form", exp(`1.8e9`), ""},
		{"exp at the edge of the leeway", exp(num(now - leeway)), ReasonExpired},
		{"exp inside the leeway", exp(num(now - leeway + 1)), ""},
		{"exp fraction rounds down", exp(num(now-leeway) + `.9`), ReasonExpired},
		{"nbf at the edge of the leeway", nbf(num(now + leeway)), ""},
		{"nbf beyond the leeway", nbf(num(now + leeway + 1)), ReasonNotYetValid},
		{"nbf fraction rounds down", nbf(num(now+leeway) + `.9`), ""},
		{"nbf string", nbf(`"0"`), ReasonMalformed},
		{"iat at the edge of the leeway", iat(num(now + leeway)), ""},
		{"iat beyond the leeway", iat(num(now + leeway + 1)), ReasonNotYetValid},
		{"iat string", iat(`"0"`), ReasonMalformed},
		{"iat missing", text(oktaClaims(obj{"iat": nil})), ""},
		{"auth_time string", raw("auth_time")(`"now"`), ReasonMalformed},
		{"duplicate sub", raw("sub")(`"a","sub":"admin"`), ReasonMalformed},
		{"duplicate deep", raw("x")(`{"y":[{"z":1,"z":2}]}`), ReasonMalformed},
		{"scope number", raw("scope")(`1`), ""}, // scp is there and counts
		{"scp number", raw("scp")(`1`), ReasonMalformed},
		{"scp of numbers", raw("scp")(`[1]`), ReasonMalformed},
		{"scp that hides a second", raw("scp")(`["a b"]`), ReasonMalformed},
		{"scp with an empty one", raw("scp")(`[""]`), ReasonMalformed},
		{"scp with a line break", raw("scp")(`["a\r\nX-User-ID: root"]`), ReasonMalformed},
		{"scp with a quote", raw("scp")(`["a\""]`), ReasonMalformed},
		{"scp long", raw("scp")(`["` + strings.Repeat("a", 257) + `"]`), ReasonMalformed},
		{"scp null", raw("scp")(`null`), ReasonMalformed},
		{"iss number", raw("iss")(`1`), ReasonMalformed},
		{"iss missing", text(oktaClaims(obj{"iss": nil})), ReasonUnknownIssuer},
		{"iss with a slash more", raw("iss")(`"` + issuerA + `/"`), ReasonUnknownIssuer},
		{"iss in capitals", raw("iss")(`"` + strings.ToUpper(issuerA) + `"`), ReasonUnknownIssuer},
		{"sub number", raw("sub")(`7`), ReasonMalformed},
		{"sub missing", text(oktaClaims(obj{"sub": nil})), ""},
		{"aud number", raw("aud")(`7`), ReasonMalformed},
		{"aud of numbers", raw("aud")(`[7]`), ReasonMalformed},
		{"aud object", raw("aud")(`{}`), ReasonMalformed},
		{"groups object", raw("groups")(`{"a":1}`), ReasonMalformed},
		{"groups one text", raw("groups")(`"employees"`), ""},
		{"uid number", raw("uid")(`7`), ReasonMalformed},
		{"cid list", raw("cid")(`["a"]`), ReasonMalformed},
		{"jti number", raw("jti")(`7`), ReasonMalformed},
		{"cnf text", raw("cnf")(`"x"`), ReasonMalformed},
		{"cnf.jkt number", raw("cnf")(`{"jkt":1}`), ReasonMalformed},
		{"claims list", `["iss"]`, ReasonMalformed},
		{"claims text", `"iss"`, ReasonMalformed},
		{"claims not JSON", `hello`, ReasonMalformed},
		{"claims not UTF-8", raw("x")("\"\xff\""), ReasonMalformed},
		{"deep", raw("x")(strings.Repeat("[", 64) + strings.Repeat("]", 64)), ReasonMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verifierA(t, nil)
			_, err := v.Verify(t.Context(), []byte(sign(EdDSA, edKey(), `{"alg":"EdDSA","kid":"ed"}`, c.payload)))
			want(t, err, c.reason)
		})
	}
}

// attack gateway 15 and 16: genuine tokens of the issuer that are no access tokens.
func TestKinds(t *testing.T) {
	const (
		bare = `{"alg":"EdDSA","kid":"ed"}`
		jwt  = `{"alg":"EdDSA","kid":"ed","typ":"JWT"}`
		at   = `{"alg":"EdDSA","kid":"ed","typ":"at+jwt"}`
	)
	typ := func(s string) string { return `{"alg":"EdDSA","kid":"ed","typ":"` + s + `"}` }
	noScope := obj{"scp": nil, "cid": nil, "uid": nil}
	with := func(list ...obj) obj {
		all := obj{}
		for _, m := range list {
			for k, v := range m {
				all[k] = v
			}
		}
		return oktaClaims(all)
	}
	for _, c := range []struct {
		name, header string
		claims       obj
		types        []string
		reason       Reason
	}{
		{"bare", bare, oktaClaims(nil), nil, ""},
		{"JWT", jwt, oktaClaims(nil), nil, ""},
		{"at+jwt", at, oktaClaims(nil), nil, ""},
		{"AT+JWT", typ("AT+JWT"), oktaClaims(nil), nil, ""},
		{"JWT where at+jwt is required", jwt, oktaClaims(nil), []string{"at+jwt"}, ReasonTokenType},
		{"bare where at+jwt is required", bare, oktaClaims(nil), []string{"at+jwt"}, ReasonTokenType},
		{"at+jwt where it is required in the long form", at, oktaClaims(nil), []string{"application/AT+JWT"}, ""},
		{"ID token with nonce", jwt, with(noScope, obj{"nonce": "n"}), nil, ReasonTokenType},
		{"ID token with nonce where at+jwt is required", jwt, with(noScope, obj{"nonce": "n"}), []string{"at+jwt"}, ReasonTokenType},
		{"ID token with at_hash", bare, with(noScope, obj{"at_hash": "h"}), nil, ReasonTokenType},
		{"ID token with c_hash", bare, with(noScope, obj{"c_hash": "h"}), nil, ReasonTokenType},
		{"nonce in a declared access token", at, with(obj{"nonce": "n"}), nil, ""},
		{"ID token by claim typ", jwt, with(obj{"typ": "ID"}), nil, ReasonTokenType},
		{"ID token by token_use", jwt, with(obj{"token_use": "id"}), nil, ReasonTokenType},
		{"access token by token_use", jwt, with(obj{"token_use": "access"}), nil, ""},
		{"refresh token by claim typ", jwt, with(obj{"typ": "Refresh"}), nil, ReasonTokenType},
		{"offline token by claim typ", jwt, with(obj{"typ": "Offline"}), nil, ReasonTokenType},
		{"refresh token by token_type", jwt, with(obj{"token_type": "refresh_token"}), nil, ReasonTokenType},
		{"refresh token by typ", typ("rt+jwt"), oktaClaims(nil), nil, ReasonTokenType},
		{"logout token by typ", typ("logout+jwt"), oktaClaims(nil), nil, ReasonTokenType},
		{"logout token by events", jwt, with(obj{"events": obj{"http://schemas.openid.net/event/backchannel-logout": obj{}}}), nil, ReasonTokenType},
		{"logout token that calls itself at+jwt", at, with(obj{"events": obj{}}), nil, ReasonTokenType},
		{"security event by typ", typ("secevent+jwt"), oktaClaims(nil), nil, ReasonTokenType},
		{"DPoP proof by typ", typ("dpop+jwt"), oktaClaims(nil), nil, ReasonTokenType},
		{"client assertion, iss is sub", jwt, with(noScope, obj{"sub": issuerA}), nil, ReasonTokenType},
		{"client assertion, to the token endpoint", jwt, with(obj{"aud": []string{"x", issuerA + "/v1/token"}}), nil, ReasonTokenType},
		{"client assertion by typ", typ("client-authentication+jwt"), oktaClaims(nil), nil, ReasonTokenType},
		{"gateway context as access token", typ(ContextType), oktaClaims(nil), nil, ReasonTokenType},
		{"gateway context where it belongs", typ(ContextType), oktaClaims(nil), []string{ContextType}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verifierA(t, func(cfg *Config) {
				cfg.Issuers[0].Types = c.types
				cfg.Issuers[0].TokenEndpoint = issuerA + "/v1/token"
			})
			_, err := v.Verify(t.Context(), []byte(sign(EdDSA, edKey(), c.header, text(c.claims))))
			want(t, err, c.reason)
		})
	}
}

func TestTokenClaims(t *testing.T) {
	v := verifierA(t, nil)
	tok, err := v.Verify(t.Context(), mint(EdDSA, edKey(), "ed", oktaClaims(obj{"dept": "pay\u00e9", "n": 5})))
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := tok.Claim("dept"); !ok || got != "payé" {
		t.Errorf("dept = %v, %t", got, ok)
	}
	if got, ok := tok.Claim("n"); !ok || got != json.Number("5") {
		t.Errorf("n = %v, %t", got, ok)
	}
	if _, ok := tok.Claim("none"); ok {
		t.Error("a claim that is not there")
	}
	n := 0
	for range tok.Claims {
		n++
	}
	if n != 14 {
		t.Errorf("%d claims", n)
	}
	for range tok.Claims {
		break
	}
	if !tok.HasScopes("openid", "vacations:read") || tok.HasScopes("openid", "admin") || tok.HasScope("") || !tok.HasScopes() {
		t.Error("scopes")
	}
	if !tok.HasAudience("x", "api://hr") || tok.HasAudience() || tok.HasAudience("api://h") {
		t.Error("audience")
	}
	if !tok.ExpiresAt().Equal(start.Add(time.Hour)) {
		t.Error("expiry")
	}
}

func FuzzClaims(f *testing.F) {
	f.Add(text(oktaClaims(nil)))
	f.Add(`{"exp":1e3,"scp":"a b","cnf":{"jkt":"x"},"realm_access":{"roles":["a"]},"aud":[]}`)
	f.Fuzz(func(t *testing.T, payload string) {
		m, err := decodeObject(payload)
		if err != nil {
			return
		}
		tok, bad := readClaims(m, &ClaimNames{})
		if (tok == nil) == (bad == nil) {
			t.Fatal("both or neither")
		}
		if bad != nil {
			return
		}
		for _, n := range []int64{tok.Expires, tok.NotBefore, tok.IssuedAt, tok.AuthTime} {
			if n < 0 || n > maxDate {
				t.Fatalf("date %d", n)
			}
		}
		for i, s := range tok.Scopes {
			if !validScope(s) || i > 0 && tok.Scopes[i-1] >= s {
				t.Fatalf("scopes %q", tok.Scopes)
			}
		}
	})
}

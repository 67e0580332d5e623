package authserver

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/internal/access"
	"gatehouse/internal/grant"
	"gatehouse/internal/keys"
	"gatehouse/internal/login"
	"gatehouse/verify"
)

// wallet has a key for each algorithm that there is.
type wallet map[string]crypto.Signer

func newWallet(t testing.TB) wallet {
	t.Helper()
	w := wallet{}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		w[alg] = rs
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		w[alg], err = ecdsa.GenerateKey(curve, rand.Reader)
		must(t, err)
	}
	_, w["EdDSA"], err = ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return w
}

// jwks are the public keys, each by the name of its algorithm.
func (w wallet) jwks(t testing.TB) (out []json.RawMessage) {
	t.Helper()
	for alg, key := range w {
		raw, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: alg, Algorithm: alg, Use: "sig"})
		must(t, err)
		out = append(out, raw)
	}
	return out
}

// sign signs claims; embed puts the public key into the header, as DPoP proofs have it.
func (w wallet) sign(t testing.TB, alg, typ string, embed bool, payload map[string]any) string {
	t.Helper()
	o := (&jose.SignerOptions{EmbedJWK: embed}).WithType(jose.ContentType(typ))
	if !embed {
		o = o.WithHeader("kid", alg)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: w[alg]}, o)
	must(t, err)
	raw, err := json.Marshal(payload)
	must(t, err)
	signed, err := s.Sign(raw)
	must(t, err)
	out, err := signed.CompactSerialize()
	must(t, err)
	return out
}

// judged is what becomes of an authorization request.
type judged struct {
	pages
	err error
}

func (j *judged) Begin(w http.ResponseWriter, r *http.Request, t *grant.Target, app *access.AppView, q login.Request) {
	j.err = nil
	j.pages.Begin(w, r, t, app, q)
}

func (j *judged) Fail(w http.ResponseWriter, r *http.Request, t *grant.Target, q login.Request, err error) {
	j.err = err
	j.pages.Fail(w, r, t, q, err)
}

func (j *judged) Stop(w http.ResponseWriter, r *http.Request, status int, refusal *login.Refusal) {
	j.err = refusal
	j.pages.Stop(w, r, status, refusal)
}

// truth is a house whose metadata is compared with what it does.
type truth struct {
	*signIn
	wallet wallet
	said   map[string]any
	judge  *judged
	direct http.Handler
	signs  access.Created // authenticates with every key of the wallet
}

func newTruth(t *testing.T) *truth {
	t.Helper()
	x := &truth{signIn: newSignIn(t, func(a *access.App) {
		a.GrantTypes = append(a.GrantTypes, access.GrantImplicit)
		a.OIDC.ResponseTypes = []string{"code", "token", "id_token"}
	}), wallet: newWallet(t), judge: &judged{}}
	c := x.config
	c.Login = x.judge
	server, err := New(c)
	must(t, err)
	x.direct = server
	x.said = x.call(http.MethodGet, "/oauth2/default/.well-known/openid-configuration", "").ok(t).json
	x.signs, err = x.access.CreateApp(x.ctx, x.admin, access.NewApp{Label: "every key", AuthMethod: access.AuthPrivateKey, PublicKeys: x.wallet.jwks(t)})
	must(t, err)
	return x
}

// list is a list of the metadata.
func (x *truth) list(name string) (out []string) {
	x.t.Helper()
	all, ok := x.said[name].([]any)
	if !ok {
		x.t.Fatalf("the metadata has no list %s", name)
	}
	for _, v := range all {
		s, _ := v.(string)
		out = append(out, s)
	}
	return out
}

// same asks for every value that there might be whether it works: those that do are
// announced, and no others.
func (x *truth) same(name string, candidates []string, works func(string) bool) {
	x.t.Helper()
	said := x.list(name)
	for _, v := range said {
		if !slices.Contains(candidates, v) {
			candidates = append(candidates, v)
		}
	}
	for _, v := range candidates {
		if got, want := works(v), slices.Contains(said, v); got != want {
			x.t.Errorf("%s: %q works: %t, is announced: %t", name, v, got, want)
		}
	}
}

// taken reports whether an authorization request with the pairs goes on to the person.
func (x *truth) taken(pairs ...string) bool {
	x.t.Helper()
	q := url.Values{
		"client_id": {x.app.ID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {keys.Challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	x.judge.err = fmt.Errorf("nobody was asked")
	r := httptest.NewRequestWithContext(x.ctx, http.MethodGet, "/oauth2/default/v1/authorize?"+q.Encode(), http.NoBody)
	x.direct.ServeHTTP(httptest.NewRecorder(), r)
	return x.judge.err == nil
}

// Every value that the metadata announces works, and what works is announced: at the
// authorization endpoint.
func TestMetadataIsTrueOfAuthorization(t *testing.T) {
	x := newTruth(t)
	x.same("response_types_supported", []string{"code token", "code id_token", "code id_token token", "none", "device"}, func(v string) bool { return x.taken("response_type", v) })
	x.same("response_modes_supported", []string{"jwt", "query.jwt", "form_post.jwt", "web_message"}, func(v string) bool { return x.taken("response_mode", v) })
	x.same("code_challenge_methods_supported", []string{"plain", "s256", "S512"}, func(v string) bool { return x.taken("code_challenge_method", v) })
	x.same("prompt_values_supported", []string{"create", "enroll_authenticator"}, func(v string) bool { return x.taken("prompt", v) })
	x.same("scopes_supported", []string{"nobody:knows"}, func(v string) bool { return x.taken("scope", v) })
	for _, level := range x.list("acr_values_supported") {
		if !x.taken("acr_values", level) {
			t.Errorf("acr_values_supported: %q is refused", level)
		}
	}
	now := x.clock.Now().Unix()
	a, err := x.access.App(x.ctx, x.app.ID)
	must(t, err)
	for _, raw := range x.wallet.jwks(t) {
		var k struct{ Kid string }
		must(t, json.Unmarshal(raw, &k))
		a.Value.Keys = append(a.Value.Keys, access.AppKey{ID: k.Kid, JWK: raw, Status: access.Active})
	}
	x.putApp(x.app.ID, a.Value)
	object := map[string]any{"iss": x.app.ID, "aud": x.target().Issuer(), "client_id": x.app.ID, "nbf": now, "exp": now + 600, "redirect_uri": callback, "response_type": "code", "scope": "openid"}
	x.same("request_object_signing_alg_values_supported", nil, func(alg string) bool {
		return x.taken("request", x.wallet.sign(t, alg, "oauth-authz-req+jwt", false, object))
	})
	for name, works := range map[string]bool{
		"request_parameter_supported":     x.taken("request", x.wallet.sign(t, "ES256", "oauth-authz-req+jwt", false, object)),
		"request_uri_parameter_supported": x.taken("request_uri", "https://app.test/request.jwt"),
		"claims_parameter_supported":      x.taken("claims", `{"id_token":{"email":null}}`),
	} {
		if x.said[name] != works {
			t.Errorf("%s is %v, and it is %t", name, x.said[name], works)
		}
	}
	// RFC 9101 section 10.8: a request that a browser carries is no client assertion, and
	// none that could become one is taken.
	object["sub"], object["jti"] = x.app.ID, "j1"
	for _, typ := range []string{"JWT", "oauth-authz-req+jwt"} {
		if x.taken("request", x.wallet.sign(t, "ES256", typ, false, object)) {
			t.Errorf("a request object of the type %s that is about the client itself is taken", typ)
		}
	}
}

// The same at the token endpoint, and at those where clients authenticate.
func TestMetadataIsTrueOfTokens(t *testing.T) {
	x := newTruth(t)
	x.same("grant_types_supported", append(access.GrantTypes(), "urn:openid:params:grant-type:ciba", "urn:ietf:params:oauth:grant-type:saml2-bearer"), func(v string) bool {
		if v == access.GrantImplicit {
			return x.taken("response_type", "token")
		}
		return x.form("/oauth2/default/v1/token", x.app.ID, x.app.Secret, url.Values{"grant_type": {v}}).text("error") != "unsupported_grant_type"
	})
	secretJWT, err := x.access.CreateApp(x.ctx, x.admin, access.NewApp{Label: "signs with its secret", AuthMethod: access.AuthSecretJWT})
	must(t, err)
	asserted := func(endpoint, assertion string) answer {
		return x.withAssertion("/oauth2/default/v1/"+endpoint, assertion, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "token": {"x"}})
	}
	for endpoint, name := range map[string]string{"token": "token_endpoint", "introspect": "introspection_endpoint", "revoke": "revocation_endpoint"} {
		x.same(name+"_auth_signing_alg_values_supported", []string{"HS384", "HS512"}, func(alg string) bool {
			if strings.HasPrefix(alg, "HS") {
				return asserted(endpoint, mac(t, secretJWT.Secret, map[string]any{"alg": alg}, x.assertion(secretJWT.ID))).status == http.StatusOK
			}
			return asserted(endpoint, x.wallet.sign(t, alg, "JWT", false, x.assertion(x.signs.ID))).status == http.StatusOK
		})
		x.same(name+"_auth_methods_supported", []string{access.AuthTLS, access.AuthSelfSigned, "attest_jwt_client_auth"}, func(method string) bool { return x.authenticates(endpoint, method) })
	}
	x.same("dpop_signing_alg_values_supported", []string{"HS256"}, func(alg string) bool {
		if alg == "HS256" {
			return false // TestProofRefusals
		}
		address, nonce := x.url+"/oauth2/default/v1/token", ""
		for range 2 {
			proof := x.wallet.sign(t, alg, "dpop+jwt", true, map[string]any{"htm": "POST", "htu": address, "jti": rand.Text(), "iat": x.clock.Now().Unix(), "nonce": nonce})
			got := x.prove(x.codeRequest(), proof)
			if nonce = got.header.Get("Dpop-Nonce"); got.status == http.StatusOK {
				return got.text("token_type") == "DPoP"
			}
		}
		return false
	})
}

// authenticates reports whether a client with the method is known at an endpoint.
func (x *truth) authenticates(endpoint, method string) bool {
	x.t.Helper()
	v := url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "token": {"x"}}
	path := "/oauth2/default/v1/" + endpoint
	switch method {
	case access.AuthSecretBasic:
		return x.form(path, x.app.ID, x.app.Secret, v).text("error") != "invalid_client"
	case access.AuthPrivateKey:
		return x.withAssertion(path, x.wallet.sign(x.t, "ES256", "JWT", false, x.assertion(x.signs.ID)), v).status == http.StatusOK
	case access.AuthSecretPost, access.AuthSecretJWT, access.AuthNone:
		a, err := x.access.CreateApp(x.ctx, x.admin, access.NewApp{Label: method + endpoint, AuthMethod: method, GrantTypes: []string{access.GrantAuthorizationCode, access.GrantRefreshToken}})
		must(x.t, err)
		v.Set("client_id", a.ID)
		switch method {
		case access.AuthSecretPost:
			v.Set("client_secret", a.Secret)
		case access.AuthSecretJWT:
			v.Del("client_id")
			return x.withAssertion(path, mac(x.t, a.Secret, nil, x.assertion(a.ID)), v).text("error") != "invalid_client"
		}
		return x.form(path, "", "", v).text("error") != "invalid_client"
	}
	return false // there is no way for such a client to be one
}

// Each algorithm of a server is that of all that it signs, and the metadata says so; the
// claims that it announces are those that it signs.
func TestMetadataIsTrueOfSignatures(t *testing.T) {
	x := newTruth(t)
	for _, alg := range []string{access.RS256, access.ES256, access.PS256, access.EdDSA} {
		x.setAlgorithm(alg)
		x.said = x.call(http.MethodGet, "/oauth2/default/.well-known/openid-configuration", "").ok(t).json
		got := x.redeem(x.code(x.authorization())).ok(t)
		signed := x.call(http.MethodPost, "/oauth2/default/v1/introspect", url.Values{"token": {got.text("access_token")}}.Encode(),
			"Authorization", basic(x.app.ID, x.app.Secret))
		if signed.json["active"] != true {
			t.Errorf("%s: %s", alg, signed.body)
		}
		for name, token := range map[string]string{"access token": got.text("access_token"), "ID token": got.text("id_token")} {
			jws, err := verify.Parse([]byte(token), 1<<14)
			must(t, err)
			if string(jws.Algorithm) != alg {
				t.Errorf("the %s of a server with %s is signed with %s", name, alg, jws.Algorithm)
			}
		}
		for _, name := range []string{"id_token_signing_alg_values_supported", "introspection_signing_alg_values_supported"} {
			if fmt.Sprint(x.list(name)) != "["+alg+"]" {
				t.Errorf("%s of a server with %s: %v", name, alg, x.list(name))
			}
		}
		for name := range claims(t, got.text("id_token"), 1) {
			if !slices.Contains(x.list("claims_supported"), name) {
				t.Errorf("claims_supported lacks %q of ID tokens", name)
			}
		}
		oauth := x.call(http.MethodGet, "/oauth2/default/.well-known/oauth-authorization-server", "").ok(t)
		for name := range claims(t, got.text("access_token"), 1) {
			if !strings.Contains(oauth.body, `"`+name+`"`) {
				t.Errorf("claims_supported lacks %q of access tokens", name)
			}
		}
	}
}

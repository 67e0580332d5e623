package authserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

// bank is a confidential client with a DPoP key: all that FAPI 2.0 asks of one.
type bank struct {
	*signIn
	keys   *signer
	proofs *proofKey
	at     string // nonce for proofs
	good   access.App
}

func newBank(t testing.TB) *bank {
	t.Helper()
	s := newSignIn(t, nil)
	b := &bank{signIn: s, keys: newSigner(t), proofs: newProofKey(t)}
	s.setAlgorithm(access.ES256)
	o, err := s.access.App(s.ctx, s.app.ID)
	must(t, err)
	b.good = o.Value
	b.good.Secrets, b.good.AuthMethod, s.app.Secret = nil, access.AuthPrivateKey, ""
	b.good.OIDC.Rotation = ""
	b.good.OIDC.RedirectURIs = []string{callback}
	b.good.GrantTypes = []string{access.GrantAuthorizationCode, access.GrantClientCredentials, access.GrantRefreshToken}
	jwk := b.keys.jwks(t)
	b.good.Keys = []access.AppKey{
		{ID: "ec", JWK: jwk[0], Status: access.Active},
		{ID: "rsa", JWK: json.RawMessage(strings.Replace(string(jwk[1]), `"alg":"RS256",`, "", 1)), Status: access.Active},
	}
	b.renew()
	return b
}

// renew brings the app back to its good settings, and a fresh nonce.
func (b *bank) renew() {
	b.t.Helper()
	must(b.t, b.profile(""))
	must(b.t, b.put(b.good, ""))
	got := b.send("token", wish{form: b.credentials(), proofs: []string{b.proofs.proof(b.signIn, "", nil, nil)}})
	got.want(b.t, http.StatusBadRequest, "use_dpop_nonce")
	b.at = got.header.Get("DPoP-Nonce")
}

// put replaces the app, and returns why it cannot be.
func (b *bank) put(a access.App, profile string) error {
	b.t.Helper()
	a.Extension.Profile = profile
	r, err := b.ledger.Update(b.ctx, b.admin, "test", func(tx *ledger.Tx) error {
		o, err := access.Apps.Get(tx, b.app.ID)
		if err != nil {
			return err
		}
		a.OIDC.ConsentMethod, a.OIDC.IssuerMode = access.ConsentTrusted, access.IssuerOrgURL
		if a.OIDC.Wildcard == "" {
			a.OIDC.Wildcard = access.WildcardDisabled
		}
		o.Value = a
		_, err = access.Apps.Put(tx, o)
		return err
	})
	if err == nil {
		b.views.Revised(b.ctx, b.target().Tenant, int64(r))
	}
	return err
}

// profile puts the default server under a profile.
func (b *bank) profile(name string) error {
	b.t.Helper()
	_, err := b.access.ChangeServer(b.ctx, b.admin, access.DefaultServer, func(s *access.Server) error {
		s.Extension.Profile = name
		return nil
	})
	return err
}

// wish is a request of the bank, and how it is not like a good one.
type wish struct {
	alg       string         // of the assertion
	assertion map[string]any // claims in place of good ones
	proofs    []string       // nil: a good one
	form      url.Values     // in place of what a good one has
	secret    string         // instead of an assertion
	bare      bool           // no client authentication at all
}

func (b *bank) send(endpoint string, w wish) answer {
	b.t.Helper()
	v := maps.Clone(w.form)
	header := []string{}
	switch {
	case w.bare:
		v.Set("client_id", b.app.ID)
	case w.secret != "":
		header = append(header, "Authorization", basic(b.app.ID, w.secret))
	default:
		alg := w.alg
		if alg == "" {
			alg = "ES256"
		}
		claims := b.assertion(b.app.ID)
		claims["aud"] = b.target().Issuer()
		maps.Copy(claims, w.assertion)
		v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		v.Set("client_assertion", b.keys.sign(b.t, map[string]any{"alg": alg, "kid": map[string]string{"ES256": "ec", "RS256": "rsa"}[alg]}, claims))
	}
	proofs := w.proofs
	if proofs == nil && endpoint == "token" {
		proofs = []string{b.proofs.proof(b.signIn, b.at, nil, nil)}
	}
	for _, p := range proofs {
		header = append(header, "DPoP", p)
	}
	return b.call(http.MethodPost, "/oauth2/default/v1/"+endpoint, v.Encode(), header...)
}

func (b *bank) credentials() url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}
}

// request returns an authorization request, changed by pairs.
func (b *bank) request(pairs ...string) url.Values {
	v := url.Values{
		"client_id": {b.app.ID}, "response_type": {"code"}, "redirect_uri": {callback}, "scope": {"openid orders:read"}, "state": {"s"},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

// authorize pushes a request and sends the browser with it.
func (b *bank) authorize() answer {
	b.t.Helper()
	uri := b.send("par", wish{form: b.request()}).text("request_uri")
	return b.call(http.MethodGet, "/oauth2/default/v1/authorize?"+url.Values{"client_id": {b.app.ID}, "request_uri": {uri}}.Encode(), "")
}

// demand is how one requirement shows.
type demand struct {
	section string
	what    string
	change  func(*access.App)    // of the good app's settings
	send    func(b *bank) answer // accepted without the profile
	refused string               // the error with it; empty: it is accepted with it, too
	always  func(b *bank) string // instead of send: what is wrong, with and without the profile
}

// lacking returns why an answer is not the error.
func lacking(a answer, status int, code string) string {
	if a.status == status && a.text("error") == code {
		return ""
	}
	return fmt.Sprintf("%d %s, want %d %s", a.status, a.body, status, code)
}

func demands() []demand {
	pay := func(b *bank) answer { return b.send("token", wish{form: b.credentials()}) }
	payWith := func(w wish) func(b *bank) answer {
		return func(b *bank) answer { w.form = b.credentials(); return b.send("token", w) }
	}
	push := func(pairs ...string) func(b *bank) answer {
		return func(b *bank) answer { return b.send("par", wish{form: b.request(pairs...)}) }
	}
	ahead := func(alg string, seconds int64) func(b *bank) answer {
		return func(b *bank) answer {
			proof := b.proofs.proof(b.signIn, b.at, nil, map[string]any{"iat": b.clock.Now().Unix() + seconds})
			return b.send("token", wish{form: b.credentials(), alg: alg, proofs: []string{proof}})
		}
	}
	code := func(b *bank) url.Values {
		return url.Values{"grant_type": {"authorization_code"}, "code": {b.code(b.authorization())}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	}
	return []demand{
		{section: "5.3.2.1-1", what: "metadata", always: func(b *bank) string {
			return lacking(b.call(http.MethodGet, "/oauth2/default/.well-known/openid-configuration", ""), 200, "")
		}},
		{section: "5.3.2.1-2", what: "an app with the password grant", change: func(a *access.App) { a.GrantTypes = append(a.GrantTypes, access.GrantPassword) }, send: pay, refused: "unauthorized_client"},
		{section: "5.3.2.1-3", what: "a public client", change: func(a *access.App) {
			a.AuthMethod, a.Keys, a.OIDC.ApplicationType = access.AuthNone, nil, access.AppBrowser
			a.GrantTypes = []string{access.GrantAuthorizationCode}
		}, send: func(b *bank) answer { return b.send("token", wish{form: code(b), bare: true}) }, refused: "unauthorized_client"},
		{section: "5.3.2.1-4", what: "a bearer token", send: payWith(wish{proofs: []string{}}), refused: "invalid_dpop_proof"},
		{section: "5.3.2.1-5", what: "a DPoP token", send: pay},
		{section: "5.3.2.1-6", what: "a client with a secret", change: func(a *access.App) {
			a.AuthMethod, a.Keys = access.AuthSecretBasic, nil
			a.Secrets = []access.AppSecret{{ID: "ocs1", Hash: keys.Hash("a secret of the test"), Status: access.Active}}
		}, send: payWith(wish{secret: "a secret of the test"}), refused: "unauthorized_client"},
		{section: "5.3.2.1-7", what: "redirect URIs with a wildcard", change: func(a *access.App) { a.OIDC.Wildcard = access.WildcardSubdomain }, send: pay, refused: "unauthorized_client"},
		{section: "5.3.2.1-8", what: "an assertion for the token endpoint", send: func(b *bank) answer {
			return b.send("token", wish{form: b.credentials(), assertion: map[string]any{"aud": b.url + "/oauth2/default/v1/token"}})
		}, refused: "invalid_client"},
		{section: "5.3.2.1-8", what: "an assertion with a list of one audience", send: func(b *bank) answer {
			return b.send("token", wish{form: b.credentials(), assertion: map[string]any{"aud": []string{b.target().Issuer()}}})
		}, refused: "invalid_client"},
		{section: "5.3.2.1-9", what: "rotation of refresh tokens", change: func(a *access.App) { a.OIDC.Rotation = access.RotateTokens }, send: pay, refused: "unauthorized_client"},
		{section: "5.3.2.1-9", what: "a refresh token stays", always: func(b *bank) string {
			first := b.send("token", wish{form: code(b)}).text("refresh_token")
			again := b.send("token", wish{form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}})
			if first == "" || again.text("refresh_token") != first {
				return again.body
			}
			return ""
		}},
		{section: "5.3.2.1-11", what: "a code after 60 seconds", always: func(b *bank) string {
			form := code(b)
			b.clock.Advance(time.Minute)
			return lacking(b.send("token", wish{form: form}), 400, "invalid_grant")
		}},
		{section: "5.3.2.1-12", what: "a code for another key than that of the proof", always: func(b *bank) string {
			proof := b.proofs.proof(b.signIn, b.at, nil, map[string]any{"htu": b.url + "/oauth2/default/v1/par"})
			good := b.send("par", wish{form: b.request(), proofs: []string{proof}})
			proof = b.proofs.proof(b.signIn, b.at, nil, map[string]any{"htu": b.url + "/oauth2/default/v1/par"})
			other := b.send("par", wish{form: b.request("dpop_jkt", newProofKey(b.t).thumbprint), proofs: []string{proof}})
			return lacking(good, 201, "") + lacking(other, 400, "invalid_dpop_proof")
		}},
		{section: "5.3.2.1-13", what: "a proof from 10 seconds ahead", send: ahead("ES256", 10)},
		{section: "5.3.2.1-13", what: "a proof from 90 seconds ahead", send: ahead("ES256", 90), refused: "invalid_dpop_proof"},
		{section: "5.3.2.1-13", what: "an assertion from 10 seconds ahead, and from 90", always: func(b *bank) string {
			at := func(seconds int64) answer {
				return b.send("token", wish{form: b.credentials(), assertion: map[string]any{"iat": b.clock.Now().Unix() + seconds, "nbf": b.clock.Now().Unix() + seconds}})
			}
			return lacking(at(10), 200, "") + lacking(at(90), 401, "invalid_client")
		}},
		{section: "5.3.2.2-1", what: "an app with the implicit grant", change: func(a *access.App) { a.GrantTypes = append(a.GrantTypes, access.GrantImplicit) }, send: pay, refused: "unauthorized_client"},
		{section: "5.3.2.2-2", what: "a pushed request", send: push()},
		{section: "5.3.2.2-3", what: "a request in the address", send: func(b *bank) answer {
			return b.call(http.MethodGet, "/oauth2/default/v1/authorize?"+b.request().Encode(), "")
		}, refused: "a page"},
		{section: "5.3.2.2-4", what: "a pushed request of nobody", always: func(b *bank) string {
			return lacking(b.send("par", wish{form: b.request(), bare: true}), 401, "invalid_client")
		}},
		{section: "5.3.2.2-5", what: "a request without a challenge", send: push("code_challenge", "", "code_challenge_method", ""), refused: "invalid_request"},
		{section: "5.3.2.2-5", what: "a challenge by another method", always: func(b *bank) string {
			return lacking(b.send("par", wish{form: b.request("code_challenge_method", "plain")}), 400, "invalid_request")
		}},
		{section: "5.3.2.2-6", what: "a request without redirect_uri", always: func(b *bank) string {
			return lacking(b.send("par", wish{form: b.request("redirect_uri", "")}), 400, "invalid_request")
		}},
		{section: "5.3.2.2-7", what: "iss is announced", always: func(b *bank) string {
			m := b.call(http.MethodGet, "/oauth2/default/.well-known/oauth-authorization-server", "")
			if m.json["authorization_response_iss_parameter_supported"] != true {
				return m.body
			}
			return ""
		}},
		{section: "5.3.2.2-8", what: "a redirect URI in the clear", change: func(a *access.App) { a.OIDC.RedirectURIs = append(a.OIDC.RedirectURIs, "http://app.test/cb") }, send: pay, refused: "unauthorized_client"},
		{section: "5.3.2.2-8", what: "the loopback address of a native app", change: func(a *access.App) {
			a.OIDC.ApplicationType, a.OIDC.RedirectURIs = access.AppNative, append(a.OIDC.RedirectURIs, "http://127.0.0.1/cb")
			a.GrantTypes = []string{access.GrantAuthorizationCode}
		}, send: push()},
		{section: "5.3.2.2-9", what: "a code twice", always: func(b *bank) string {
			form := code(b)
			return lacking(b.send("token", wish{form: form}), 200, "") + lacking(b.send("token", wish{form: form}), 400, "invalid_grant")
		}},
		{section: "5.3.2.2-10", what: "the browser is led on with 303", always: func(b *bank) string { return lacking(b.authorize(), 303, "") }},
		{section: "5.3.2.2-12", what: "how long a pushed request waits", always: func(b *bank) string {
			a := b.send("par", wish{form: b.request()})
			if seconds, _ := a.json["expires_in"].(float64); seconds <= 0 || seconds >= 600 {
				return a.body
			}
			return ""
		}},
		{section: "5.3.2.2-14", what: "a nonce of 64 characters", send: push("nonce", strings.Repeat("n", 64))},
		{section: "5.4.1-1", what: "a key for RS256", change: func(a *access.App) {
			a.Keys[1].JWK = json.RawMessage(strings.Replace(string(a.Keys[1].JWK), "{", `{"alg":"RS256",`, 1))
		}, send: pay, refused: "unauthorized_client"},
		{section: "5.4.1-1", what: "an assertion by RS256", send: payWith(wish{alg: "RS256"}), refused: "invalid_client"},
		{section: "5.4.1-2", what: "an RSA key of 1024 bits", always: weakKey(`{"kty":"RSA","kid":"weak","e":"AQAB","n":"` + strings.Repeat("_", 171) + `"}`)},
		{section: "5.4.1-3", what: "a curve of 192 bits", always: weakKey(`{"kty":"EC","kid":"weak","crv":"P-192","x":"` + strings.Repeat("A", 32) + `","y":"` + strings.Repeat("A", 32) + `"}`)},
		{section: "5.4.1-4", what: "how long codes and tokens are", always: func(b *bank) string {
			form := code(b)
			if a := b.send("token", wish{form: form}); len(form.Get("code")) < 43 || len(a.text("refresh_token")) < 43 {
				return a.body
			}
			return ""
		}},
	}
}

func weakKey(jwk string) func(*bank) string {
	return func(b *bank) string {
		a := b.good
		a.Keys = append(slices.Clone(a.Keys), access.AppKey{ID: "weak", JWK: json.RawMessage(jwk), Status: access.Active})
		if err := b.put(a, ""); !fault.Is(err, fault.Invalid) {
			return fmt.Sprint("accepted: ", err)
		}
		return ""
	}
}

// Every demand of FAPI 2.0 is there, and what it forbids is accepted without the
// profile and refused with it, whether the server has it or the app.
func TestFAPI2(t *testing.T) {
	b := newBank(t)
	shown := map[string]bool{}
	for _, d := range demands() {
		shown[d.section] = true
		for _, where := range []string{"nowhere", "the server", "the app"} {
			t.Run(d.section+" "+d.what+" with the profile at "+where, func(t *testing.T) { b.try(t, &d, where) })
		}
	}
	for _, d := range access.FAPI2() {
		if !shown[d.Section] {
			t.Errorf("%s (%s) is shown by no case", d.Section, d.Says)
		}
	}
}

func (b *bank) try(t *testing.T, d *demand, where string) {
	b.t = t
	b.renew()
	a, profile := b.good, ""
	a.Keys, a.GrantTypes, a.OIDC.RedirectURIs = slices.Clone(a.Keys), slices.Clone(a.GrantTypes), slices.Clone(a.OIDC.RedirectURIs)
	if d.change != nil {
		d.change(&a)
	}
	server := ""
	switch where {
	case "the server":
		server = access.ProfileFAPI2
	case "the app":
		profile = access.ProfileFAPI2
	}
	must(t, b.profile(server))
	err := b.put(a, profile)
	if d.change != nil && d.refused != "" && profile != "" {
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fmt.Sprint(fault.Of(err).Fields), d.section) {
			t.Errorf("the settings are accepted: %v", err)
		}
		return
	}
	must(t, err)
	if d.always != nil {
		if wrong := d.always(b); wrong != "" {
			t.Error(wrong)
		}
		return
	}
	got := d.send(b)
	refused := got.status >= 400
	if want := d.refused != "" && where != "nowhere"; refused != want {
		t.Errorf("%d %s", got.status, got.body)
	}
	if refused && d.refused != "a page" && got.text("error") != d.refused {
		t.Errorf("%s, want %s", got.body, d.refused)
	}
}

// A server whose own settings do not meet the profile cannot be put under it; an app
// that is held to it gets nothing from a server that does not meet it.
func TestFAPI2ServerSettings(t *testing.T) {
	b := newBank(t)
	b.setAlgorithm(access.RS256)
	if err := b.profile(access.ProfileFAPI2); !fault.Is(err, fault.Invalid) {
		t.Errorf("RS256: %v", err)
	}
	if err := b.profile("fapi3"); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown profile: %v", err)
	}
	must(t, b.put(b.good, access.ProfileFAPI2))
	got := b.send("token", wish{form: b.credentials()})
	if got.want(t, 400, "unauthorized_client"); !strings.Contains(got.text("error_description"), "5.4.1-1") {
		t.Error(got.body)
	}
	b.setAlgorithm(access.PS256)
	b.send("token", wish{form: b.credentials()}).ok(t)
	must(t, b.profile(access.ProfileFAPI2))
	alg := access.RS256
	if err := b.access.UpdateServer(b.ctx, b.admin, access.DefaultServer, access.ServerSettings{Algorithm: &alg}); !fault.Is(err, fault.Invalid) {
		t.Errorf("back to RS256: %v", err)
	}
	m := b.call(http.MethodGet, "/oauth2/default/.well-known/openid-configuration", "").ok(t)
	if fmt.Sprint(m.json["response_types_supported"], m.json["token_endpoint_auth_methods_supported"], m.json["dpop_signing_alg_values_supported"], m.json["require_pushed_authorization_requests"]) !=
		"[code] [private_key_jwt] [PS256 ES256 EdDSA] true" || strings.Contains(m.body, access.GrantImplicit) {
		t.Error(m.body)
	}
}

// A request object of a client that is held to FAPI 2.0 is no older than an hour, and
// signed as all its JWTs are (FAPI 2.0 Message Signing section 5.3.1).
func TestFAPI2RequestObjects(t *testing.T) {
	b := newBank(t)
	now := b.clock.Now().Unix()
	for _, x := range []struct {
		name           string
		alg            string
		claims         map[string]any
		without, under int
	}{
		{"good", "ES256", nil, 201, 201},
		{"RS256", "RS256", nil, 201, 400},
		{"no nbf", "ES256", map[string]any{"nbf": nil}, 201, 400},
		{"of two hours ago", "ES256", map[string]any{"nbf": now - 7200}, 201, 400},
		{"for more than an hour", "ES256", map[string]any{"nbf": now - 600, "exp": now + 3500}, 201, 400},
		{"from two minutes ahead", "ES256", map[string]any{"iat": now + 120}, 400, 400},
	} {
		for profile, want := range map[string]int{"": x.without, access.ProfileFAPI2: x.under} {
			must(t, b.put(b.good, profile))
			claims := map[string]any{"iss": b.app.ID, "aud": b.target().Issuer(), "nbf": now, "exp": now + 600}
			for name, v := range b.request() {
				claims[name] = v[0]
			}
			for name, v := range x.claims {
				if claims[name] = v; v == nil {
					delete(claims, name)
				}
			}
			object := b.keys.sign(t, map[string]any{"alg": x.alg, "kid": map[string]string{"ES256": "ec", "RS256": "rsa"}[x.alg], "typ": "oauth-authz-req+jwt"}, claims)
			if got := b.send("par", wish{form: url.Values{"request": {object}}}); got.status != want {
				t.Errorf("%s, profile %q: %d %s, want %d", x.name, profile, got.status, got.body, want)
			}
		}
	}
}

// The how-to lists the demands as they are.
func TestFAPI2IsDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/howto/fapi.md")
	must(t, err)
	rows := 0
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "| 5.") {
			rows++
		}
	}
	for _, d := range access.FAPI2() {
		if row := "| " + d.Section + " | " + d.Says + " | " + d.By + " |\n"; !strings.Contains(string(raw), row) {
			t.Errorf("the how-to lacks %q", row)
		}
	}
	if rows != len(access.FAPI2()) {
		t.Errorf("the how-to has %d rows", rows)
	}
}

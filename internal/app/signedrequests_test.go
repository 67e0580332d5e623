package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/client"
)

// signing is a web app that authenticates and asks by a key of its own, and a person who is
// signed in.
type signing struct {
	*rotator
	key *ecdsa.PrivateKey
}

func (p *program) signing() *signing {
	p.t.Helper()
	key, jwk := newKey(p.t)
	jwk["kid"], jwk["use"], jwk["alg"] = "k1", "sig", "ES256"
	r := p.rotator()
	r.id = p.made("/api/v1/apps", `{"name":"oidc_client","label":"Bank","signOnMode":"OPENID_CONNECT","credentials":{"oauthClient":{"token_endpoint_auth_method":"private_key_jwt"}},
		"settings":{"implicitAssignment":true,"oauthClient":{"application_type":"web","grant_types":["authorization_code"],"response_types":["code"],"consent_method":"TRUSTED",
		"jwks":{"keys":[`+jsonOf(p.t, jwk)+`]},"redirect_uris":["`+r.redirect+`"]}}}`)
	return &signing{r, key}
}

// object is a signed request (RFC 9101) with other claims where change says so.
func (s *signing) object(key *ecdsa.PrivateKey, change map[string]any) string {
	s.p.t.Helper()
	now := time.Now().Unix()
	claims := map[string]any{"iss": s.id, "aud": s.p.Ready().Demo.Issuer, "nbf": now, "exp": now + 300}
	for name, v := range s.request("scope", "openid vacations:read") {
		claims[name] = v[0]
	}
	for name, v := range change {
		claims[name] = v
	}
	return es256(s.p.t, key, map[string]any{"kid": "k1", "typ": "oauth-authz-req+jwt"}, claims)
}

// proves adds what shows who the app is.
func (s *signing) proves(q url.Values) url.Values {
	now := time.Now().Unix()
	q.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	q.Set("client_assertion", es256(s.p.t, s.key, map[string]any{"kid": "k1"}, map[string]any{"iss": s.id, "sub": s.id, "aud": s.p.Ready().Demo.Issuer, "exp": now + 60, "iat": now, "jti": rand.Text()}))
	return q
}

// scope redeems the code of an answer and returns the scope of the token.
func (s *signing) scope(answer url.Values) string {
	s.p.t.Helper()
	q := s.proves(url.Values{"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "redirect_uri": {s.redirect}, "code_verifier": {s.verifier}})
	a := s.p.tokenForm(q)
	scope, _ := a.json(s.p.t)["scope"].(string)
	if a.Status != http.StatusOK {
		s.p.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return scope
}

// Signed requests through the whole program, by value and by reference: they alone count,
// and nobody else's do. An address that a request names is never fetched (attack identity
// 34), whether it stands in the browser's address or in a signed request.
func TestSignedRequests(t *testing.T) {
	p := start(t, "")
	s := p.signing()
	var fetched atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { fetched.Add(1) }))
	defer elsewhere.Close()
	authorize := func(q url.Values) *seen { return s.b.get(authorizePath + "?" + q.Encode()) }
	byValue := func(object string, pairs ...string) *seen {
		q := url.Values{"client_id": {s.id}, "request": {object}}
		for i := 0; i < len(pairs); i += 2 {
			q.Set(pairs[i], pairs[i+1])
		}
		return authorize(q)
	}
	push := func(object string) answer {
		return p.request(http.MethodPost, p.Ready().Demo.Issuer+"/v1/par", "", s.proves(url.Values{"request": {object}}).Encode(), "Content-Type", "application/x-www-form-urlencoded")
	}

	if got := s.scope(s.answer(t, byValue(s.object(s.key, nil), "scope", "openid payroll:write", "redirect_uri", "https://evil.test/"))); got != "openid vacations:read" {
		t.Errorf("by value: the token is for %q", got)
	}
	pushed := push(s.object(s.key, nil))
	uri, _ := pushed.json(t)["request_uri"].(string)
	if got := s.scope(s.answer(t, authorize(url.Values{"client_id": {s.id}, "request_uri": {uri}}))); got != "openid vacations:read" {
		t.Errorf("by reference: the token is for %q", got)
	}
	stranger, _ := newKey(t)
	for name, object := range map[string]string{
		"by a stranger's key":       s.object(stranger, nil),
		"for another app":           s.object(s.key, map[string]any{"client_id": p.Ready().Demo.BrowserClientID}),
		"for another server":        s.object(s.key, map[string]any{"aud": p.Ready().Identity}),
		"over":                      s.object(s.key, map[string]any{"exp": time.Now().Unix() - 60}),
		"with a request in it":      s.object(s.key, map[string]any{"request": s.object(s.key, nil)}),
		"with an address in it":     s.object(s.key, map[string]any{"request_uri": elsewhere.URL + "/r.jwt"}),
		"that is about the client":  s.object(s.key, map[string]any{"sub": s.id, "jti": "j"}),
		"that leads somewhere else": s.object(s.key, map[string]any{"redirect_uri": "https://evil.test/"}),
		"not signed":                strings.Join(append(strings.Split(s.object(s.key, nil), ".")[:2], ""), "."),
	} {
		if page := byValue(object); page.StatusCode != http.StatusBadRequest || page.Header.Get("Location") != "" {
			t.Errorf("a request %s: %d, led to %q", name, page.StatusCode, page.Header.Get("Location"))
		}
		if a := push(object); a.Status != http.StatusBadRequest {
			t.Errorf("a pushed request %s: %d %s", name, a.Status, a.Body)
		}
	}
	q := s.request("request_uri", elsewhere.URL+"/r.jwt")
	if page := authorize(q); page.StatusCode != http.StatusBadRequest || page.Header.Get("Location") != "" {
		t.Errorf("an address of a request: %d, led to %q", page.StatusCode, page.Header.Get("Location"))
	}
	if n := fetched.Load(); n > 0 {
		t.Errorf("%d requests were fetched", n)
	}
}

// A server signs with the algorithm that it has, and the gateway takes its tokens.
func TestAlgorithmsOfServers(t *testing.T) {
	p := start(t, "")
	for _, alg := range []string{"ES256", "PS256", "EdDSA", "RS256"} {
		if _, err := p.admin().UpdateServer(t.Context(), "default", client.Server{Algorithm: alg}); err != nil {
			t.Fatal(err)
		}
		token := ""
		eventually(t, "the first key for "+alg, func() bool {
			token = p.token("vacations:read")
			head, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
			var h struct {
				Algorithm string `json:"alg"`
			}
			return json.Unmarshal(head, &h) == nil && h.Algorithm == alg
		})
		if a := p.call(http.MethodGet, "/hr/vacations/ana", token); a.Status != http.StatusOK {
			t.Errorf("%s: %d %s", alg, a.Status, a.Body)
		}
	}
}

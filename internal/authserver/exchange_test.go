package authserver

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/issued"
)

const (
	accessTokenType = "urn:ietf:params:oauth:token-type:access_token" // #nosec G101 -- a name of RFC 8693
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"     // #nosec G101 -- a name of RFC 8693
)

// exchangeHouse is a web app with a person's token, and a service that gets it.
type exchangeHouse struct {
	*signIn
	service access.Created
	first   answer // what the web app got
}

func newExchange(t testing.TB) *exchangeHouse {
	t.Helper()
	s := newSignIn(t, nil)
	h := &exchangeHouse{signIn: s, service: s.exchanger("Orders service", access.Extension{})}
	h.first = s.redeem(s.code(s.authorization())).ok(t)
	return h
}

// exchanger makes an app that may exchange tokens.
func (h *house) exchanger(label string, e access.Extension) access.Created {
	h.t.Helper()
	a, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: label, GrantTypes: []string{access.GrantTokenExchange, access.GrantClientCredentials}})
	must(h.t, err)
	h.extend(a.ID, e)
	return a
}

// extend gives an app settings that Okta's apps do not have.
func (h *house) extend(app string, e access.Extension) {
	h.t.Helper()
	_, err := h.access.ChangeApp(h.ctx, h.admin, app, access.AppChange{Change: func(a *access.App) error {
		a.Extension = e
		return nil
	}})
	must(h.t, err)
}

// exchange asks as the service for a token in place of the subject token; pairs
// replace parameters.
func (h *house) exchange(as access.Created, subject string, pairs ...string) answer {
	h.t.Helper()
	v := url.Values{"grant_type": {access.GrantTokenExchange}, "subject_token": {subject}, "subject_token_type": {accessTokenType}}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return h.form("/oauth2/default/v1/token", as.ID, as.Secret, v)
}

// RFC 8693: the service's token is about the same person, says no more than the one it
// was made of, and names the service as the one who acts.
func TestExchange(t *testing.T) {
	h := newExchange(t)
	h.clock.Advance(50 * time.Minute)
	got := h.exchange(h.service, h.first.text("access_token")).ok(t)
	if got.text("issued_token_type") != accessTokenType || got.text("token_type") != "Bearer" || got.text("refresh_token") != "" || got.text("id_token") != "" {
		t.Errorf("%s", got.body)
	}
	if got.text("scope") != "openid orders:read" || got.json["expires_in"] != 600.0 {
		t.Errorf("it says more than the subject token, or lives longer: %s", got.body)
	}
	token := claims(t, got.text("access_token"), 1)
	for name, want := range map[string]any{
		"cid": h.service.ID, "uid": h.user.ID, "sub": "ana", "aud": "api://default", "sid": "sid1", "acr": "urn:okta:loa:2fa:any",
		"auth_time": float64(h.clock.Now().Add(-51 * time.Minute).Unix()),
		"act":       map[string]any{"sub": h.service.ID},
	} {
		if diff := cmp.Diff(want, token[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if diff := cmp.Diff(token["act"], h.introspect(h.service, got.text("access_token")).json["act"]); diff != "" {
		t.Errorf("introspection: %s", diff)
	}
	// Narrower, by name; and as a JWT, which it is.
	narrow := h.exchange(h.service, h.first.text("access_token"), "scope", "orders:read", "requested_token_type", "urn:ietf:params:oauth:token-type:jwt").ok(t)
	if narrow.text("scope") != "orders:read" || narrow.text("issued_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
		t.Errorf("%s", narrow.body)
	}
	// The web app narrows its own token: nobody acts for anybody.
	h.grantTypes(h.app.ID, access.GrantAuthorizationCode, access.GrantRefreshToken, access.GrantTokenExchange)
	own := h.exchange(h.app, h.first.text("access_token"), "scope", "orders:read").ok(t)
	if act, ok := claims(t, own.text("access_token"), 1)["act"]; ok {
		t.Errorf("an actor of its own: %v", act)
	}
	for _, ev := range h.events("app.oauth2.as.token.grant.access_token") {
		if ev.Debug["grantType"] == access.GrantTokenExchange && ev.Debug["subjectClient"] != h.app.ID {
			t.Errorf("the system log does not say whose token it was: %v", ev.Debug)
		}
	}
}

func (h *house) grantTypes(app string, types ...string) {
	h.t.Helper()
	_, err := h.access.ChangeApp(h.ctx, h.admin, app, access.AppChange{Change: func(a *access.App) error {
		a.GrantTypes = types
		return nil
	}})
	must(h.t, err)
}

// attack identity 49: what is refused, and that it is one answer for every token that
// is worth nothing.
func TestExchangeRefuses(t *testing.T) {
	h := newExchange(t)
	good := h.first.text("access_token")
	machine := h.house.app("Batch", "batch:run")
	revoked := h.exchange(h.service, good).ok(t).text("access_token")
	h.form("/oauth2/default/v1/revoke", h.service.ID, h.service.Secret, url.Values{"token": {revoked}}).ended(t)
	elsewhere := newExchange(t)
	id := h.first.text("id_token")
	for _, x := range []struct {
		name    string
		subject string
		pairs   []string
		code    string
	}{
		{"a forged token", good[:len(good)-6] + "AAAAAA", nil, "invalid_grant"},
		{"no token at all", "x", nil, "invalid_grant"},
		{"none", "", nil, "invalid_request"},
		{"of another issuer", elsewhere.first.text("access_token"), nil, "invalid_grant"},
		{"a revoked one", revoked, nil, "invalid_grant"},
		{"an ID token as an access token", id, nil, "invalid_grant"},
		{"an access token as an ID token", good, []string{"subject_token_type", idTokenType}, "invalid_grant"},
		{"somebody else's ID token", id, []string{"subject_token_type", idTokenType}, "invalid_grant"},
		{"a refresh token", h.first.text("refresh_token"), nil, "invalid_grant"},
		{"a type that there is not", good, []string{"subject_token_type", "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"},
		{"no type", good, []string{"subject_token_type", ""}, "invalid_request"},
		{"a refresh token is wanted", good, []string{"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"},
		{"an ID token is wanted", good, []string{"requested_token_type", idTokenType}, "invalid_request"},
		{"a wider scope", good, []string{"scope", "orders:read orders:write"}, "invalid_scope"},
		{"offline access", good, []string{"scope", "offline_access"}, "invalid_scope"},
		{"an unknown scope", good, []string{"scope", "x:y"}, "invalid_scope"},
		{"another audience", good, []string{"audience", "https://hr.test/"}, "invalid_target"},
		{"another resource", good, []string{"resource", "https://hr.test/"}, "invalid_target"},
		{"an actor without a type", good, []string{"actor_token", h.token(machine, "batch:run")}, "invalid_request"},
		{"a type without an actor", good, []string{"actor_token_type", accessTokenType}, "invalid_request"},
		{"somebody else as the actor", good, []string{"actor_token", h.token(machine, "batch:run"), "actor_token_type", accessTokenType}, "invalid_grant"},
		{"a forged actor", good, []string{"actor_token", "x.y.z", "actor_token_type", accessTokenType}, "invalid_grant"},
	} {
		h.exchange(h.service, x.subject, x.pairs...).want(t, http.StatusBadRequest, x.code)
		if t.Failed() {
			t.Fatal(x.name)
		}
	}
	// An app without the grant type, a public app, and a stranger.
	h.exchange(machine, good).want(t, http.StatusBadRequest, "unauthorized_client")
	h.exchange(access.Created{ID: h.service.ID, Secret: "wrong"}, good).want(t, http.StatusUnauthorized, "invalid_client")
	// Expired, by a second.
	h.clock.Advance(time.Hour)
	h.exchange(h.service, good).want(t, http.StatusBadRequest, "invalid_grant")
}

// ended is ok for an answer without a body.
func (a answer) ended(t testing.TB) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
}

// What has ended cannot be exchanged, and what was made of it ends with it: the user,
// the assignment, the app, the rule, the grant.
func TestExchangeEndsWithTheGrant(t *testing.T) {
	for name, end := range map[string]func(h *exchangeHouse){
		"user":       func(h *exchangeHouse) { must(t, h.people.SetStatus(h.ctx, h.admin, h.user.ID, directory.Suspended)) },
		"assignment": func(h *exchangeHouse) { must(t, h.access.UnassignUser(h.ctx, h.admin, h.app.ID, h.user.ID)) },
		"grant": func(h *exchangeHouse) {
			_, err := h.grants.Revoke(h.ctx, issued.Selection{User: h.user.ID, Client: h.app.ID})
			must(t, err)
		},
		"rule": func(h *exchangeHouse) { must(t, h.onlyFor("nobody")) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newExchange(t)
			made := h.exchange(h.service, h.first.text("access_token")).ok(t).text("access_token")
			again := h.exchange(h.exchanger("Next", access.Extension{}), made).ok(t).text("access_token")
			end(h)
			if got := h.exchange(h.service, h.first.text("access_token")); got.status == http.StatusOK {
				t.Errorf("exchanged: %s", got.body)
			}
			if name == "grant" && (h.active(h.service, made) || h.active(h.service, again)) {
				t.Error("a token outlives the grant that it came of")
			}
		})
	}
}

// A token that is about an app stays about that app.
func TestExchangeOfAnAppsToken(t *testing.T) {
	h := newExchange(t)
	batch := h.house.app("Batch", "batch:run")
	token := claims(t, h.exchange(h.service, h.token(batch, "batch:run")).ok(t).text("access_token"), 1)
	if diff := cmp.Diff(map[string]any{"sub": h.service.ID}, token["act"]); token["sub"] != batch.ID || token["cid"] != h.service.ID || token["uid"] != nil || diff != "" {
		t.Errorf("sub %v, cid %v, uid %v %s", token["sub"], token["cid"], token["uid"], diff)
	}
}

// Delegation and impersonation, and chains of actors.
func TestExchangeActors(t *testing.T) {
	h := newExchange(t)
	act := func(a answer) any { return claims(t, a.ok(t).text("access_token"), 1)["act"] }
	first := h.exchange(h.service, h.first.text("access_token"))
	silent := h.exchanger("Silent", access.Extension{Exchange: access.Exchange{Impersonation: true}})
	if got := act(h.exchange(silent, h.first.text("access_token"))); got != nil {
		t.Errorf("an app that may impersonate is named: %v", got)
	}
	// It is not named, but those before it are.
	if diff := cmp.Diff(map[string]any{"sub": h.service.ID}, act(h.exchange(silent, first.text("access_token")))); diff != "" {
		t.Error(diff)
	}
	second := h.exchanger("Second", access.Extension{})
	next := h.exchange(second, first.text("access_token"))
	if diff := cmp.Diff(map[string]any{"sub": second.ID, "act": map[string]any{"sub": h.service.ID}}, act(next)); diff != "" {
		t.Error(diff)
	}
	for i := range 3 {
		as := h.service
		if i%2 == 1 {
			as = second
		}
		next = h.exchange(as, next.text("access_token"))
		if i < 2 {
			next.ok(t)
		}
	}
	next.want(t, http.StatusBadRequest, "invalid_grant")

	// An actor token names who acts: here the service as it signed in itself.
	own := h.form("/oauth2/default/v1/token", silent.ID, silent.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"orders:read"}}).ok(t)
	by := h.exchange(silent, h.first.text("access_token"), "actor_token", own.text("access_token"), "actor_token_type", accessTokenType)
	if diff := cmp.Diff(map[string]any{"sub": silent.ID}, act(by)); diff != "" {
		t.Error(diff)
	}
	// One who is acted for cannot act.
	h.exchange(h.service, h.first.text("access_token"), "actor_token", first.text("access_token"), "actor_token_type", accessTokenType).
		want(t, http.StatusBadRequest, "invalid_grant")
}

// may_act: the app that a token was made for says who may act with it.
func TestExchangeMayAct(t *testing.T) {
	h := newExchange(t)
	h.extend(h.app.ID, access.Extension{MayAct: h.service.ID})
	token := h.redeem(h.code(h.authorization())).ok(t).text("access_token")
	h.exchange(h.service, token).ok(t)
	for _, e := range []access.Extension{{}, {Exchange: access.Exchange{Impersonation: true}}} {
		h.exchange(h.exchanger("Another", e), token).want(t, http.StatusBadRequest, "invalid_grant")
	}
}

// Audiences: those of the subject token, and those that the app's settings name.
func TestExchangeAudiences(t *testing.T) {
	h := newExchange(t)
	h.audiences("api://default", orders, hr)
	a := h.authorization()
	a.Resources = []string{orders, "api://default"}
	token := h.redeem(h.code(a)).ok(t).text("access_token")
	if diff := cmp.Diff([]string{orders, "api://default"}, aud(t, h.exchange(h.service, token).ok(t).text("access_token"))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"api://default"}, aud(t, h.exchange(h.service, token, "audience", "api://default").ok(t).text("access_token"))); diff != "" {
		t.Error(diff)
	}
	h.exchange(h.service, token, "audience", hr).want(t, http.StatusBadRequest, "invalid_target")
	h.extend(h.service.ID, access.Extension{Exchange: access.Exchange{Audiences: []string{hr, "https://elsewhere.test/"}}})
	if diff := cmp.Diff([]string{hr}, aud(t, h.exchange(h.service, token, "resource", hr).ok(t).text("access_token"))); diff != "" {
		t.Error(diff)
	}
	h.exchange(h.service, token, "audience", "https://elsewhere.test/").want(t, http.StatusBadRequest, "invalid_target") // not the server's
}

// A bound token is worth nothing to a holder of another key, or of none.
func TestExchangeOfBoundTokens(t *testing.T) {
	h := newExchange(t)
	k, other := newProofKey(t), newProofKey(t)
	bound := h.prove(h.codeRequest(), k.proof(h.signIn, h.nonce(k), nil, nil)).ok(t).text("access_token")
	h.exchange(h.service, bound).want(t, http.StatusBadRequest, "invalid_grant")
	h.app = h.service // from here on the service asks
	v := url.Values{"grant_type": {access.GrantTokenExchange}, "subject_token": {bound}, "subject_token_type": {accessTokenType}}
	nonce := h.prove(v, k.proof(h.signIn, "", nil, nil)).header.Get("Dpop-Nonce")
	h.prove(v, other.proof(h.signIn, nonce, nil, nil)).want(t, http.StatusBadRequest, "invalid_grant")
	got := h.prove(v, k.proof(h.signIn, nonce, nil, nil)).ok(t)
	if diff := cmp.Diff(map[string]any{"jkt": k.thumbprint}, claims(t, got.text("access_token"), 1)["cnf"]); got.text("token_type") != "DPoP" || diff != "" {
		t.Errorf("%s %s", got.text("token_type"), diff)
	}
}

// An ID token says who somebody is, to the app that it was made for: the access rules
// say what that gives.
func TestExchangeOfIDTokens(t *testing.T) {
	h := newExchange(t)
	h.grantTypes(h.app.ID, access.GrantAuthorizationCode, access.GrantRefreshToken, access.GrantTokenExchange)
	id := h.first.text("id_token")
	got := h.exchange(h.app, id, "subject_token_type", idTokenType, "scope", "orders:write").ok(t)
	token := claims(t, got.text("access_token"), 1)
	if token["uid"] != h.user.ID || token["sid"] != "sid1" || got.text("scope") != "orders:write" {
		t.Errorf("%s", got.body)
	}
	h.clock.Advance(time.Hour)
	h.exchange(h.app, id, "subject_token_type", idTokenType, "scope", "orders:write").want(t, http.StatusBadRequest, "invalid_grant")
}

// A token of another server is taken by one that trusts that server (Okta's
// associated servers), and by no other.
func TestExchangeBetweenServers(t *testing.T) {
	h := newExchange(t)
	o, err := h.access.CreateServer(h.ctx, h.admin, access.Server{Name: "Back", Audiences: []string{"api://back"}})
	must(t, err)
	_, err = h.access.EnsureScopes(h.ctx, h.admin, o.ID, []string{"back:read"}, "for the test")
	must(t, err)
	policy, err := h.access.CreatePolicy(h.ctx, h.admin, access.Policy{Server: o.ID, Name: "all", Conditions: access.PolicyContexts{Clients: access.Selection{Include: []string{access.AllClients}}}})
	must(t, err)
	_, err = h.access.CreateRule(h.ctx, h.admin, access.Rule{Policy: policy, Name: "exchange", Conditions: access.RuleConditions{
		GrantTypes: access.Selection{Include: []string{access.GrantTokenExchange}}, Scopes: access.Selection{Include: []string{access.AnyScope}},
	}})
	must(t, err)
	ask := func() answer {
		return h.form("/oauth2/"+o.ID+"/v1/token", h.service.ID, h.service.Secret, url.Values{
			"grant_type": {access.GrantTokenExchange}, "subject_token": {h.first.text("access_token")}, "subject_token_type": {accessTokenType}, "scope": {"back:read"}, "audience": {"api://back"},
		})
	}
	ask().want(t, http.StatusBadRequest, "invalid_grant")
	_, err = h.access.ChangeServer(h.ctx, h.admin, o.ID, func(s *access.Server) error {
		s.Associated = []string{h.target().Server.ID}
		return nil
	})
	must(t, err)
	token := claims(t, ask().ok(t).text("access_token"), 1)
	if token["iss"] != h.url+"/oauth2/"+o.ID || token["uid"] != h.user.ID || token["aud"] != "api://back" {
		t.Errorf("%v", token)
	}
}

// The grant ends while 32 exchanges are under way: whatever they got is refused when
// the end is told.
func TestExchangeAndTheEndOfTheGrant(t *testing.T) {
	h := newExchange(t)
	const n = 32
	tokens := make([]string, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { tokens[i] = h.exchange(h.service, h.first.text("access_token")).text("access_token") })
	}
	_, err := h.grants.Revoke(h.ctx, issued.Selection{User: h.user.ID})
	must(t, err)
	wg.Wait()
	for _, token := range tokens {
		if token != "" && h.active(h.service, token) {
			t.Error("a token is in force whose grant has ended")
		}
	}
}

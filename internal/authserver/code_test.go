package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/directory"
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
)

const (
	callback = "https://app.test/callback?x=1"
	verifier = "a-verifier-that-has-at-least-43-characters-in-it"
)

// signIn is a web app with a user who is assigned to it, and what asks for tokens.
type signIn struct {
	*house
	app  access.Created
	user ledger.Object[directory.User]
	// group is the one that the user has the app by; empty: the user has it directly.
	group string
}

// newSignIn makes the app; change may alter it before it is stored.
func newSignIn(t testing.TB, change func(*access.App)) *signIn {
	t.Helper()
	h := newHouse(t)
	return h.signIn(change)
}

func (h *house) signIn(change func(*access.App)) *signIn {
	h.t.Helper()
	must(h.t, h.people.EnsureTenant(h.ctx, h.admin))
	s := &signIn{house: h, app: h.app("Shop", "orders:read", "orders:write")}
	o, err := h.access.App(h.ctx, s.app.ID)
	must(h.t, err)
	a := o.Value
	a.GrantTypes = []string{access.GrantAuthorizationCode, access.GrantRefreshToken}
	a.OIDC = access.OIDC{ApplicationType: access.AppWeb, RedirectURIs: []string{callback}, Rotation: access.RotateTokens}
	if change != nil {
		change(&a)
	}
	h.putApp(s.app.ID, a)
	s.user, err = h.people.CreateUser(h.ctx, h.admin, directory.NewUser{Profile: directory.Profile{Login: "ana@acme.test", Email: "ana@acme.test", FirstName: "Ana", LastName: "Lima"}})
	must(h.t, err)
	_, err = h.access.AssignUser(h.ctx, h.admin, access.AppUser{App: s.app.ID, User: s.user.ID, UserName: "ana"})
	must(h.t, err)
	return s
}

// putApp replaces an app.
func (h *house) putApp(id string, a access.App) {
	h.t.Helper()
	a.OIDC.ConsentMethod, a.OIDC.Wildcard, a.OIDC.IssuerMode = access.ConsentTrusted, access.WildcardDisabled, access.IssuerOrgURL
	r, err := h.ledger.Update(h.ctx, h.admin, "test", func(tx *ledger.Tx) error {
		o, err := access.Apps.Get(tx, id)
		if err != nil {
			return err
		}
		o.Value = a
		_, err = access.Apps.Put(tx, o)
		return err
	})
	must(h.t, err)
	h.views.Revised(h.ctx, h.target().Tenant, int64(r))
}

// authorization is what the user grants unless a test says otherwise.
func (s *signIn) authorization() grant.Authorization {
	return grant.Authorization{
		Client: s.app.ID, User: s.user.ID, Session: "sid1", Scopes: []string{"openid", "offline_access", "orders:read"},
		RedirectURI: callback, CodeChallenge: keys.Challenge(verifier), Nonce: "n-1",
		AuthTime: s.clock.Now().Add(-time.Minute), AMR: []string{"pwd", "otp"}, ACR: "urn:okta:loa:2fa:any",
	}
}

func (s *signIn) code(a grant.Authorization) string {
	s.t.Helper()
	code, err := s.codes.Issue(s.ctx, s.target(), a)
	must(s.t, err)
	return code
}

// redeem sends a good token request with the code, changed by pairs of names and
// values; an empty value takes a parameter out.
func (s *signIn) redeem(code string, pairs ...string) answer {
	s.t.Helper()
	return s.post(url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, pairs...)
}

func (s *signIn) refresh(token string, pairs ...string) answer {
	s.t.Helper()
	return s.post(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, pairs...)
}

func (s *signIn) post(v url.Values, pairs ...string) answer {
	s.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	if s.app.Secret == "" || v.Has("client_id") {
		return s.form("/oauth2/default/v1/token", "", "", v)
	}
	return s.form("/oauth2/default/v1/token", s.app.ID, s.app.Secret, v)
}

// want fails the test unless the answer is the error.
func (a answer) want(t testing.TB, status int, code string) {
	t.Helper()
	if a.status != status || a.text("error") != code || a.text("access_token") != "" {
		t.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
}

func (a answer) ok(t testing.TB) answer {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	return a
}

func TestCodeGivesTokens(t *testing.T) {
	s := newSignIn(t, nil)
	got := s.redeem(s.code(s.authorization())).ok(t)
	if got.text("token_type") != "Bearer" || got.text("scope") != "openid offline_access orders:read" || len(got.text("refresh_token")) != 43 {
		t.Errorf("%s", got.body)
	}
	token := claims(t, got.text("access_token"), 1)
	for name, want := range map[string]any{
		"cid": s.app.ID, "uid": s.user.ID, "sub": "ana", "aud": "api://default", "acr": "urn:okta:loa:2fa:any",
		"auth_time": float64(s.clock.Now().Add(-time.Minute).Unix()),
	} {
		if token[name] != want {
			t.Errorf("access token: %s is %v, want %v", name, token[name], want)
		}
	}
	id := claims(t, got.text("id_token"), 1)
	for name, want := range map[string]any{
		"aud": s.app.ID, "sub": s.user.ID, "nonce": "n-1", "sid": "sid1", "acr": "urn:okta:loa:2fa:any", "iss": s.url + "/oauth2/default",
		"ver": float64(1), "auth_time": float64(s.clock.Now().Add(-time.Minute).Unix()),
	} {
		if id[name] != want {
			t.Errorf("ID token: %s is %v, want %v", name, id[name], want)
		}
	}
	if h, _ := id["at_hash"].(string); len(h) != 22 || !strings.HasPrefix(id["jti"].(string), "ID.") {
		t.Errorf("ID token: %v", id)
	}
	// An ID token is no access token, and is none at introspection (attack gateway 72).
	if s.active(s.app, got.text("id_token")) {
		t.Error("an ID token is introspected as an access token")
	}
}

// attack identity 20 to 23: what does not fit the authorization request gets
// nothing, and the code stays good for whom it was made.
func TestCodeMustFit(t *testing.T) {
	s := newSignIn(t, nil)
	other := s.house.app("Other")
	plain := s.authorization()
	plain.CodeChallenge = ""
	for _, tc := range []struct {
		name  string
		a     grant.Authorization
		pairs []string
		error string
	}{
		{"no code", s.authorization(), []string{"code", ""}, "invalid_request"},
		{"another code", s.authorization(), []string{"code", "x"}, "invalid_grant"},
		{"redirect_uri left out", s.authorization(), []string{"redirect_uri", ""}, "invalid_grant"},
		{"redirect_uri with one more byte", s.authorization(), []string{"redirect_uri", callback + "/"}, "invalid_grant"},
		{"redirect_uri in other case", s.authorization(), []string{"redirect_uri", strings.ToUpper(callback)}, "invalid_grant"},
		{"no verifier", s.authorization(), []string{"code_verifier", ""}, "invalid_grant"},
		{"another verifier", s.authorization(), []string{"code_verifier", verifier + "x"}, "invalid_grant"},
		{"the challenge as the verifier (plain)", s.authorization(), []string{"code_verifier", keys.Challenge(verifier)}, "invalid_grant"},
		{"a short verifier", s.authorization(), []string{"code_verifier", "short"}, "invalid_grant"},
		{"a verifier without a challenge", plain, nil, "invalid_grant"},
	} {
		code := s.code(tc.a)
		s.redeem(code, tc.pairs...).want(t, http.StatusBadRequest, tc.error)
		if tc.a.CodeChallenge == "" {
			s.redeem(code, "code_verifier", "").ok(t)
			continue
		}
		s.redeem(code).ok(t)
	}
	code := s.code(s.authorization())
	v := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	a, err := s.access.App(s.ctx, other.ID)
	must(t, err)
	a.Value.GrantTypes = []string{access.GrantAuthorizationCode, access.GrantRefreshToken}
	a.Value.OIDC = access.OIDC{ApplicationType: access.AppWeb, RedirectURIs: []string{callback}}
	s.putApp(other.ID, a.Value)
	s.form("/oauth2/default/v1/token", other.ID, other.Secret, v).want(t, http.StatusBadRequest, "invalid_grant")
	s.form("/oauth2/v1/token", s.app.ID, s.app.Secret, v).want(t, http.StatusBadRequest, "invalid_grant")
	s.clock.Advance(time.Minute)
	s.redeem(code).want(t, http.StatusBadRequest, "invalid_grant")
}

// attack identity 18: a code that comes again ends everything that came of it.
func TestCodeReplay(t *testing.T) {
	s := newSignIn(t, nil)
	code := s.code(s.authorization())
	got := s.redeem(code).ok(t)
	if !s.active(s.app, got.text("access_token")) || !s.active(s.app, got.text("refresh_token")) {
		t.Fatal("the tokens are not active")
	}
	s.clock.Advance(2 * time.Hour / 4)
	s.redeem(code).want(t, http.StatusBadRequest, "invalid_grant")
	if s.active(s.app, got.text("access_token")) || s.active(s.app, got.text("refresh_token")) {
		t.Error("tokens of a replayed code are active")
	}
	s.refresh(got.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_grant")
	if n := len(s.events(audit.TokenReplayed)); n != 1 {
		t.Errorf("%d events", n)
	}
}

// attack identity 19: 32 at once.
func TestCodeRace(t *testing.T) {
	s := newSignIn(t, nil)
	code := s.code(s.authorization())
	var wg sync.WaitGroup
	answers := make([]answer, 32)
	for i := range answers {
		wg.Go(func() { answers[i] = s.redeem(code) })
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		if a.status == http.StatusOK {
			won++
			if s.active(s.app, a.text("access_token")) {
				t.Error("the token of a code that came 32 times is active")
			}
			continue
		}
		a.want(t, http.StatusBadRequest, "invalid_grant")
	}
	if won != 1 {
		t.Errorf("%d of 32 got tokens", won)
	}
}

// attack identity 24 and 27: a refresh token is its client's, and gives no more
// than was granted.
func TestRefreshStays(t *testing.T) {
	s := newSignIn(t, func(a *access.App) { a.OIDC.Rotation = access.StaticTokens })
	first := s.redeem(s.code(s.authorization())).ok(t)
	token := first.text("refresh_token")
	before := claims(t, first.text("access_token"), 1)
	s.clock.Advance(30 * time.Minute)
	again := s.refresh(token).ok(t)
	if again.text("refresh_token") != token || again.text("access_token") == first.text("access_token") {
		t.Errorf("static: %s", again.body)
	}
	after, id := claims(t, again.text("access_token"), 1), claims(t, again.text("id_token"), 1)
	for _, name := range []string{"auth_time", "acr", "sub", "uid"} {
		if before[name] != after[name] || name != "sub" && name != "uid" && id[name] != before[name] {
			t.Errorf("%s was %v and is %v, %v", name, before[name], after[name], id[name])
		}
	}
	if id["nonce"] != nil {
		t.Error("a refreshed ID token has a nonce")
	}
	s.refresh(token, "scope", "openid orders:read orders:write").want(t, http.StatusBadRequest, "invalid_scope")
	narrow := s.refresh(token, "scope", "orders:read").ok(t)
	if narrow.text("scope") != "orders:read" || narrow.text("id_token") != "" {
		t.Errorf("narrowed: %s", narrow.body)
	}
	if all := s.refresh(token).ok(t); all.text("scope") != "openid offline_access orders:read" {
		t.Errorf("narrowing stayed: %s", all.body)
	}
	other := s.house.app("Other")
	a, err := s.access.App(s.ctx, other.ID)
	must(t, err)
	a.Value.GrantTypes = []string{access.GrantRefreshToken, access.GrantClientCredentials}
	s.putApp(other.ID, a.Value)
	s.form("/oauth2/default/v1/token", other.ID, other.Secret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}).want(t, http.StatusBadRequest, "invalid_grant")
	// attack identity 45 and 48: others learn nothing about it and cannot end it.
	if s.active(other, token) {
		t.Error("active for another client")
	}
	s.form("/oauth2/default/v1/revoke", other.ID, other.Secret, url.Values{"token": {token}}).ok(t)
	if !s.active(s.app, token) {
		t.Error("another client has revoked it")
	}
	s.form("/oauth2/default/v1/revoke", s.app.ID, s.app.Secret, url.Values{"token": {token}}).ok(t)
	if s.active(s.app, token) || s.active(s.app, narrow.text("access_token")) {
		t.Error("still active after it was revoked")
	}
}

// attack identity 25: a replaced token is good for its leeway, with the same
// successor; after that it ends the family.
func TestRefreshRotation(t *testing.T) {
	s := newSignIn(t, func(a *access.App) { a.OIDC.LeewaySeconds = 20 })
	first := s.redeem(s.code(s.authorization())).ok(t).text("refresh_token")
	second := s.refresh(first).ok(t)
	if second.text("refresh_token") == first {
		t.Fatal("not rotated")
	}
	s.clock.Advance(19 * time.Second)
	if again := s.refresh(first).ok(t); again.text("refresh_token") != second.text("refresh_token") {
		t.Errorf("within the leeway: another successor")
	}
	third := s.refresh(second.text("refresh_token")).ok(t)
	s.clock.Advance(20 * time.Second)
	s.refresh(first).want(t, http.StatusBadRequest, "invalid_grant")
	for _, token := range []string{third.text("refresh_token"), third.text("access_token"), second.text("access_token")} {
		if s.active(s.app, token) {
			t.Error("a token of the family is active")
		}
	}
	s.refresh(third.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_grant")
}

// attack identity 25: 32 refreshes at once, with and without leeway.
func TestRefreshRace(t *testing.T) {
	for leeway, want := range map[int]int{0: 1, 30: 32} {
		s := newSignIn(t, func(a *access.App) { a.OIDC.LeewaySeconds = leeway })
		token := s.redeem(s.code(s.authorization())).ok(t).text("refresh_token")
		var wg sync.WaitGroup
		answers := make([]answer, 32)
		for i := range answers {
			wg.Go(func() { answers[i] = s.refresh(token) })
		}
		wg.Wait()
		won, successors := 0, map[string]bool{}
		for _, a := range answers {
			if a.status == http.StatusOK {
				won++
				successors[a.text("refresh_token")] = true
			}
		}
		if won != want || len(successors) != 1 {
			t.Errorf("leeway %d: %d got tokens, %d successors", leeway, won, len(successors))
		}
		for successor := range successors {
			if got := s.refresh(successor).status == http.StatusOK; got != (leeway > 0) {
				t.Errorf("leeway %d: the successor works: %t", leeway, got)
			}
		}
	}
}

// attack identity 26: at every refresh everything is asked again.
func TestRefreshAsksAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*signIn) error
		error  string
	}{
		"deactivated":  {func(s *signIn) error { return s.people.SetStatus(s.ctx, s.admin, s.user.ID, directory.Deprovisioned) }, "invalid_grant"},
		"deleted":      {func(s *signIn) error { return s.deleteUser() }, "invalid_grant"},
		"app deleted":  {func(s *signIn) error { return s.deleteApp() }, "invalid_client"},
		"group left":   {func(s *signIn) error { return s.leaveGroup() }, "access_denied"},
		"group taken":  {func(s *signIn) error { return s.access.UnassignGroup(s.ctx, s.admin, s.app.ID, s.byGroup()) }, "access_denied"},
		"suspended":    {func(s *signIn) error { return s.people.SetStatus(s.ctx, s.admin, s.user.ID, directory.Suspended) }, "invalid_grant"},
		"unassigned":   {func(s *signIn) error { return s.access.UnassignUser(s.ctx, s.admin, s.app.ID, s.user.ID) }, "access_denied"},
		"app off":      {func(s *signIn) error { return s.access.DeactivateApp(s.ctx, s.admin, s.app.ID) }, "invalid_client"},
		"rule":         {func(s *signIn) error { return s.onlyFor("nobody") }, "access_denied"},
		"revoked":      {func(s *signIn) error { _, err := s.grants.Revoke(s.ctx, issued.Selection{User: s.user.ID}); return err }, "invalid_grant"},
		"lay too long": {func(s *signIn) error { s.clock.Advance(access.DefaultRefreshWindow); return nil }, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSignIn(t, nil)
			if strings.HasPrefix(name, "group") {
				s.byGroup()
			}
			token := s.redeem(s.code(s.authorization())).ok(t).text("refresh_token")
			code := s.code(s.authorization())
			must(t, tc.change(s))
			got := s.refresh(token)
			status := http.StatusBadRequest
			if got.text("error") == "invalid_client" || got.text("error") == "access_denied" && name == "rule" {
				status = http.StatusUnauthorized
			}
			got.want(t, status, tc.error)
			if s.redeem(code).status == http.StatusOK {
				t.Error("a code from before still gives tokens")
			}
		})
	}
}

// byGroup has the user assigned to the app by a group alone, and returns the group.
func (s *signIn) byGroup() string {
	s.t.Helper()
	if s.group == "" {
		g, err := s.people.CreateGroup(s.ctx, s.admin, directory.Group{Name: "buyers"})
		must(s.t, err)
		s.group = g.ID
		must(s.t, s.people.AddMember(s.ctx, s.admin, g.ID, s.user.ID))
		must(s.t, s.access.UnassignUser(s.ctx, s.admin, s.app.ID, s.user.ID))
		_, err = s.access.AssignGroup(s.ctx, s.admin, s.app.ID, g.ID, nil, nil)
		must(s.t, err)
	}
	return s.group
}

func (s *signIn) leaveGroup() error {
	return s.people.RemoveMember(s.ctx, s.admin, s.byGroup(), s.user.ID)
}

// deleteUser deletes the user: the first time deactivates.
func (s *signIn) deleteUser() error {
	_, err := s.people.DeleteUser(s.ctx, s.admin, s.user.ID)
	if err == nil {
		_, err = s.people.DeleteUser(s.ctx, s.admin, s.user.ID)
	}
	return err
}

func (s *signIn) deleteApp() error {
	if err := s.access.DeactivateApp(s.ctx, s.admin, s.app.ID); err != nil {
		return err
	}
	return s.access.DeleteApp(s.ctx, s.admin, s.app.ID)
}

// onlyFor changes the rules of the default server to name one new group.
func (s *signIn) onlyFor(name string) error {
	g, err := s.people.CreateGroup(s.ctx, s.admin, directory.Group{Name: name})
	if err != nil {
		return err
	}
	r, err := s.ledger.Update(s.ctx, s.admin, "test", func(tx *ledger.Tx) error {
		for o, err := range access.Rules.All(tx, ledger.Query{}) {
			if err != nil {
				return err
			}
			o.Value.Conditions.People.Groups.Include = []string{g.ID}
			if _, err := access.Rules.Put(tx, o); err != nil {
				return err
			}
		}
		return nil
	})
	s.views.Revised(s.ctx, s.target().Tenant, int64(r))
	return err
}

// attack identity 25: nothing at rest can be presented: codes and tokens are hashes.
// (What is revoked stays so after a restart: TestTokensOnBothEngines.)
func TestNothingAtRestCanBePresented(t *testing.T) {
	s := newSignIn(t, nil)
	code := s.code(s.authorization())
	got := s.redeem(code).ok(t)
	next := s.refresh(got.text("refresh_token")).ok(t)
	dump := s.history()
	for _, secret := range []string{code, got.text("refresh_token"), next.text("refresh_token"), got.text("access_token")} {
		if strings.Contains(dump, secret) || strings.Contains(s.logs.String(), secret) {
			t.Error("a secret is in the ledger or the log")
		}
	}
	for _, secret := range []string{code, got.text("refresh_token"), next.text("refresh_token")} {
		hash := keys.Hash(secret)
		s.redeem(hash).want(t, http.StatusBadRequest, "invalid_grant")
		s.refresh(hash).want(t, http.StatusBadRequest, "invalid_grant")
	}
}

// A public app has no secret: it always needs PKCE, and its tokens rotate.
func TestPublicApp(t *testing.T) {
	s := newSignIn(t, func(a *access.App) {
		a.AuthMethod, a.Secrets, a.OIDC.Rotation, a.OIDC.ApplicationType = access.AuthNone, nil, "", access.AppBrowser
	})
	s.app.Secret = ""
	id := []string{"client_id", s.app.ID}
	got := s.redeem(s.code(s.authorization()), id...).ok(t)
	next := s.refresh(got.text("refresh_token"), id...).ok(t)
	if next.text("refresh_token") == got.text("refresh_token") {
		t.Error("not rotated")
	}
	plain := s.authorization()
	plain.CodeChallenge = ""
	s.redeem(s.code(plain), append(id, "code_verifier", "")...).want(t, http.StatusBadRequest, "invalid_grant")
}

// attack identity 26: consent that is not there any more is none, however the grant
// was made: at a refresh, and for a code that was made before. What is asked for
// without it goes on.
func TestRefreshAsksForConsent(t *testing.T) {
	s := newSignIn(t, nil)
	got := s.redeem(s.code(s.authorization())).ok(t)
	token, code := got.text("refresh_token"), s.code(s.authorization())
	r, err := s.ledger.Update(s.ctx, s.admin, "test", func(tx *ledger.Tx) error {
		o, err := access.Apps.Get(tx, s.app.ID)
		if err != nil {
			return err
		}
		o.Value.OIDC.ConsentMethod = access.ConsentAsk
		if _, err = access.Apps.Put(tx, o); err != nil {
			return err
		}
		scope, err := access.Scopes.Find(tx, ledger.By("name", s.target().Server.ID, "orders:read"))
		if err != nil {
			return err
		}
		scope.Value.Consent = access.ConsentRequired
		_, err = access.Scopes.Put(tx, scope)
		return err
	})
	must(t, err)
	s.views.Revised(s.ctx, s.target().Tenant, int64(r))
	s.refresh(token).want(t, http.StatusBadRequest, "consent_required")
	s.redeem(code).want(t, http.StatusBadRequest, "consent_required")

	app, ok := s.target().View.App(s.app.ID)
	if !ok {
		t.Fatal("no app")
	}
	q := access.ConsentQuestion{User: s.user.ID, App: app, Server: s.target().Server, Scopes: []string{"orders:read"}}
	must(t, s.access.Consent(s.ctx, s.admin, q, access.ConsentByPerson))
	next := s.refresh(token).ok(t).text("refresh_token")
	_, err = s.access.Withdraw(s.ctx, s.admin, access.Withdrawal{User: s.user.ID})
	must(t, err)
	s.refresh(next).want(t, http.StatusBadRequest, "consent_required")
	s.refresh(next, "scope", "openid").ok(t)
}

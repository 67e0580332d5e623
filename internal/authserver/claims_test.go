package authserver

import (
	"fmt"
	"net/http"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/internal/grant"
	"gatehouse/internal/ledger"

	"github.com/google/go-cmp/cmp"
)

// claim adds a claim to the default server.
func (h *house) claim(c access.Claim) {
	h.t.Helper()
	server := h.target().Server.ID
	r, err := h.ledger.Update(h.ctx, h.admin, "test", func(tx *ledger.Tx) error {
		c.Server, c.Status = server, access.Active
		_, err := access.Claims.Create(tx, c)
		return err
	})
	must(h.t, err)
	h.views.Revised(h.ctx, h.target().Tenant, int64(r))
}

// subject changes the expression of the claim sub of access tokens.
func (h *house) subject(expression string) {
	h.t.Helper()
	server := h.target().Server.ID
	r, err := h.ledger.Update(h.ctx, h.admin, "test", func(tx *ledger.Tx) error {
		o, err := access.Claims.Find(tx, ledger.By("name", server, access.ClaimResource, "sub"))
		if err != nil {
			return err
		}
		o.Value.Value = expression
		_, err = access.Claims.Put(tx, o)
		return err
	})
	must(h.t, err)
	h.views.Revised(h.ctx, h.target().Tenant, int64(r))
}

func TestClaimsInTokens(t *testing.T) {
	s := newSignIn(t, nil)
	s.claim(access.Claim{Name: "first", ClaimType: access.ClaimResource, ValueType: access.ValueExpression, Value: "user.firstName"})
	s.claim(access.Claim{Name: "groups", ClaimType: access.ClaimResource, ValueType: access.ValueGroups, Value: "Every", GroupFilter: access.FilterStartsWith})
	s.claim(access.Claim{Name: "orders", ClaimType: access.ClaimResource, ValueType: access.ValueExpression, Value: "cool", Scopes: []string{"orders:write"}})
	s.claim(access.Claim{Name: "mail", ClaimType: access.ClaimIdentity, ValueType: access.ValueExpression, Value: "user.email", AlwaysInclude: true})
	s.claim(access.Claim{Name: "quiet", ClaimType: access.ClaimIdentity, ValueType: access.ValueExpression, Value: "1 + 1"})
	a := s.authorization()
	a.Scopes = []string{"openid", "profile", "email", "orders:read"}
	got := s.redeem(s.code(a)).ok(t)
	token, id := claims(t, got.text("access_token"), 1), claims(t, got.text("id_token"), 1)
	if d := cmp.Diff([]any{"Everyone"}, token["groups"]); d != "" || token["first"] != "Ana" || token["sub"] != "ana" {
		t.Errorf("%v", token)
	}
	if id["mail"] != "ana@acme.test" || id["quiet"] != nil || id["name"] != "Ana Lima" || id["email"] != "ana@acme.test" || id["family_name"] != nil || id["email_verified"] != nil {
		t.Errorf("%v", id)
	}
	s.subject("user.email")
	got = s.redeem(s.code(a)).ok(t)
	if token := claims(t, got.text("access_token"), 1); token["sub"] != "ana@acme.test" {
		t.Errorf("sub is %v", token["sub"])
	}

	// A claim that cannot be evaluated ends the request, and the code with it is not used.
	a.Scopes = []string{"openid", "orders:write"}
	broken := s.redeem(s.code(a))
	broken.want(t, http.StatusBadRequest, "server_error")
	if broken.text("error_description") != "The 'orders' user claim could not be evaluated." {
		t.Errorf("%s", broken.body)
	}
	s.subject("user.middleName")
	a.Scopes = []string{"orders:read"}
	if broken = s.redeem(s.code(a)); broken.text("error_description") != "The 'sub' system claim could not be evaluated." {
		t.Errorf("%s", broken.body)
	}
}

// attack identity 60: a claim with a name of the protocol changes no token, and where the
// server's own check lets the name be it is still not in the token.
func TestClaimsOfTheProtocolStay(t *testing.T) {
	s := newSignIn(t, nil)
	a := s.authorization()
	a.Scopes = []string{"openid", "profile", "orders:read"}
	read := func() (map[string]any, map[string]any) {
		t.Helper()
		got := s.redeem(s.code(a)).ok(t)
		return claims(t, got.text("access_token"), 1), claims(t, got.text("id_token"), 1)
	}
	token, id := read()
	server := s.target().Server.ID
	refused := 0
	for _, name := range []string{
		"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "scp", "scope", "cid", "uid", "client_id", "cnf", "act", "ver", "typ", "auth_time", "acr", "amr", "nonce", "sid", "azp", "at_hash", "c_hash", "events",
		"authorization_details",
	} {
		for _, kind := range []string{access.ClaimResource, access.ClaimIdentity} {
			c := access.Claim{Server: server, Status: access.Active, Name: name, ClaimType: kind, ValueType: access.ValueExpression, Value: `"forged"`, AlwaysInclude: true}
			r, err := s.ledger.Update(s.ctx, s.admin, "test", func(tx *ledger.Tx) error {
				_, err := access.Claims.Create(tx, c)
				return err
			})
			if err != nil {
				refused++
				continue
			}
			s.views.Revised(s.ctx, s.target().Tenant, int64(r))
		}
	}
	if refused == 0 {
		t.Error("no such claim is refused")
	}
	tokenNow, idNow := read()
	for _, pair := range [][2]map[string]any{{token, tokenNow}, {id, idNow}} {
		for _, own := range []string{"jti", "at_hash"} { // of each token anew
			if pair[1][own] == "forged" {
				t.Errorf("%s is forged", own)
			}
			delete(pair[0], own)
			delete(pair[1], own)
		}
		if d := cmp.Diff(pair[0], pair[1]); d != "" {
			t.Error(d)
		}
	}
}

// What client credentials get is the same with claims about people there: they are
// left out, and what names the app is not.
func TestClaimsOfClientCredentials(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "orders:read")
	h.claim(access.Claim{Name: "who", ClaimType: access.ClaimResource, ValueType: access.ValueExpression, Value: "user.email"})
	h.claim(access.Claim{Name: "app", ClaimType: access.ClaimResource, ValueType: access.ValueExpression, Value: `app.clientId + "/" + Arrays.toCsvString(access.scope)`})
	h.claim(access.Claim{Name: "teams", ClaimType: access.ClaimResource, ValueType: access.ValueGroups, Value: "x", GroupFilter: access.FilterContains, Scopes: []string{"none"}})
	got := claims(t, h.token(a, "orders:read"), 1)
	if got["app"] != a.ID+"/orders:read" || got["sub"] != a.ID || got["who"] != nil || got["uid"] != nil {
		t.Errorf("%v", got)
	}
	h.subject(`"job-" + app.id`)
	if got := claims(t, h.token(a, "orders:read"), 1); got["sub"] != "job-"+a.ID {
		t.Errorf("%v", got)
	}
}

// A GROUPS claim lists a hundred groups at most; more are an error, never a part of them.
func TestTooManyGroups(t *testing.T) {
	s := newSignIn(t, nil)
	s.claim(access.Claim{Name: "groups", ClaimType: access.ClaimResource, ValueType: access.ValueGroups, Value: ".*", GroupFilter: access.FilterRegex})
	for i := range 101 {
		g, err := s.people.CreateGroup(s.ctx, s.admin, directory.Group{Name: fmt.Sprint("team", i)})
		must(t, err)
		must(t, s.people.AddMember(s.ctx, s.admin, g.ID, s.user.ID))
	}
	a := grant.Authorization{Client: s.app.ID, User: s.user.ID, Scopes: []string{"orders:read"}, RedirectURI: callback, CodeChallenge: s.authorization().CodeChallenge}
	got := s.redeem(s.code(a))
	got.want(t, http.StatusBadRequest, "server_error")
	if got.text("error_description") != "The groups claim matched too many groups and must be configured to match fewer groups." {
		t.Errorf("%s", got.body)
	}
}

package authserver

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
	"gatehouse/verify"
)

const userinfo = "/oauth2/default/v1/userinfo"

// Userinfo says what the scopes of the token open, to who holds it.
func TestUserInfo(t *testing.T) {
	s := newSignIn(t, nil)
	s.claim(access.Claim{Name: "quiet", ClaimType: access.ClaimIdentity, ValueType: access.ValueExpression, Value: "1 + 1"})
	a := s.authorization()
	a.Scopes = []string{"openid", "email", "orders:read"}
	token := s.redeem(s.code(a)).ok(t).text("access_token")
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got := s.call(method, userinfo, "", "Authorization", "Bearer "+token).ok(t)
		if got.text("sub") != s.user.ID || got.text("email") != "ana@acme.test" || got.json["quiet"] != 2.0 || got.json["name"] != nil || got.json["family_name"] != nil {
			t.Errorf("%s: %s", method, got.body)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v", got.header)
		}
	}

	if got := s.call(http.MethodGet, userinfo, ""); got.status != 401 || strings.Contains(got.header.Get("Www-Authenticate"), "error") {
		t.Errorf("nobody: %d %v", got.status, got.header)
	}
	for name, header := range map[string]string{
		"no token": "Bearer ", "not a token": "Bearer x.y.z", "another scheme": "Basic " + token, "as bound": "DPoP " + token,
		"an ID token": "Bearer " + s.redeem(s.code(a)).ok(t).text("id_token"), "forged": "Bearer " + token[:len(token)-8] + "AAAAAAAA",
	} {
		got := s.call(http.MethodGet, userinfo, "", "Authorization", header)
		if got.status != 401 || !strings.Contains(got.header.Get("Www-Authenticate"), `error="invalid_token"`) || got.text("error") != "invalid_token" {
			t.Errorf("%s: %d %s %v", name, got.status, got.body, got.header["Www-Authenticate"])
		}
	}
	s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+token, "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
	s.call(http.MethodGet, "/oauth2/v1/userinfo", "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token") // of another server

	// A token that is about nobody, or not for this.
	a.Scopes = []string{"orders:read"}
	plain := s.redeem(s.code(a)).ok(t).text("access_token")
	got := s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+plain)
	got.want(t, 403, "insufficient_scope")

	// Whoever may not act any more is nobody; and a revoked token opens nothing.
	err := s.people.SetStatus(s.ctx, s.admin, s.user.ID, directory.Suspended)
	must(t, err)
	s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
	err = s.people.Unsuspend(s.ctx, s.admin, s.user.ID)
	must(t, err)
	s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+token).ok(t)
	if got := s.form("/oauth2/default/v1/revoke", s.app.ID, s.app.Secret, map[string][]string{"token": {token}}); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s.call(http.MethodGet, userinfo, "", "Authorization", "Bearer "+token).want(t, 401, "invalid_token")
}

// A bound token opens userinfo with a proof for it, and never without one (attack
// identity 40).
func TestUserInfoOfBoundToken(t *testing.T) {
	s := newSignIn(t, nil)
	k, other := newProofKey(t), newProofKey(t)
	nonce := s.nonce(k)
	token := s.prove(s.codeRequest(), k.proof(s, nonce, nil, nil)).ok(t).text("access_token")
	proof := func(k *proofKey, ath, method string) string {
		return k.proof(s, nonce, nil, map[string]any{"htm": method, "htu": s.url + userinfo, "ath": ath})
	}
	ask := func(scheme string, proofs ...string) answer {
		header := []string{"Authorization", scheme + " " + token}
		for _, p := range proofs {
			header = append(header, "DPoP", p)
		}
		return s.call(http.MethodGet, userinfo, "", header...)
	}
	ath := verify.TokenHash([]byte(token))
	good := proof(k, ath, "GET")
	if got := ask("DPoP", good).ok(t); got.text("sub") != s.user.ID {
		t.Errorf("%s", got.body)
	}
	ask("Bearer", proof(k, ath, "GET")).want(t, 401, "invalid_token")
	ask("DPoP").want(t, 401, "invalid_dpop_proof")
	ask("DPoP", good).want(t, 401, "invalid_dpop_proof") // used
	ask("DPoP", proof(k, "", "GET")).want(t, 401, "invalid_dpop_proof")
	ask("DPoP", proof(k, verify.TokenHash([]byte("another")), "GET")).want(t, 401, "invalid_dpop_proof")
	ask("DPoP", proof(k, ath, "POST")).want(t, 401, "invalid_dpop_proof")
	ask("DPoP", proof(other, ath, "GET")).want(t, 401, "invalid_dpop_proof")
}

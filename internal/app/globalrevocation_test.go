package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const globalRevocation = "/oauth2/v1/global-token-revocation"

// However a person is named, everything that they have ends before the answer: their
// browsers, what apps were granted, and tokens at the gateway; and they can sign in
// again. Attack identity 51, 55.
func TestGlobalTokenRevocation(t *testing.T) {
	p := startRevocable(t)
	c := p.browserApp()
	const password = "correct horse 4"
	idp := p.provider("Corp", "https://corp.test", "c", "s", "")
	org := p.Ready().Identity
	for name, subject := range map[string]func(user, login string) string{
		"opaque": func(user, _ string) string { return `{"format":"opaque","id":"` + user + `"}` },
		"sub of ID tokens": func(user, _ string) string {
			return `{"format":"iss_sub","iss":"` + p.Ready().Demo.Issuer + `","sub":"` + user + `"}`
		},
		"sub of our tokens": func(_, login string) string { return `{"format":"iss_sub","iss":"` + org + `","sub":"` + login + `"}` },
		"at a provider": func(user, _ string) string {
			if a := p.okta(http.MethodPost, "/api/v1/idps/"+idp+"/users/"+user, `{"externalId":"corp-7"}`); a.Status != http.StatusOK {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			return `{"format":"iss_sub","iss":"https://corp.test","sub":"corp-7"}`
		},
		"email": func(_, login string) string { return `{"format":"email","email":"` + strings.ToUpper(login) + `"}` },
	} {
		t.Run(name, func(t *testing.T) {
			login := strings.ReplaceAll(name, " ", "-") + "@example.com"
			user := p.made("/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`"},"credentials":{"password":{"value":"`+password+`"}}}`)
			b := p.browser(t)
			got := c.tokens(b, login, password, "openid offline_access orders:read")
			token, _ := got["access_token"].(string)
			refresh, _ := got["refresh_token"].(string)
			minted := p.subject(login) // of no grant
			if token == "" || refresh == "" || p.refused(token) || p.refused(minted) {
				t.Fatalf("before: %v", got)
			}
			if a := p.okta(http.MethodPost, globalRevocation, `{"sub_id":`+subject(user, login)+`}`); a.Status != http.StatusNoContent || a.Body != "" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			if !p.refused(token) || p.active(token) || !p.refused(minted) {
				t.Error("an access token is accepted")
			}
			if status, _ := c.redeem(b, "grant_type", "refresh_token", "refresh_token", refresh); status != http.StatusBadRequest {
				t.Errorf("the refresh token: %d", status)
			}
			b.get("/account").has(t, 200, "<h1>Sign in</h1>")
			b.signIn(b.get("/account"), login, password).has(t, 200, login)
			if log := p.logged(t, "user.authentication.universal_logout"); !strings.Contains(log, user) {
				t.Errorf("the system log: %s", log)
			}
		})
	}
	if m := p.browser(t).get("/.well-known/oauth-authorization-server"); !strings.Contains(m.body, `"global_token_revocation_endpoint":"`+org+globalRevocation) {
		t.Error("it is not announced")
	}
}

// Who may not, and who is not named, ends nothing.
func TestGlobalTokenRevocationRefused(t *testing.T) {
	p := startOrg(t)
	for body, want := range map[string]int{
		``: 400, `{`: 400, `{}`: 400, `[]`: 400, `{"sub_id":{}}`: 400, `{"sub_id":"00u"}`: 400,
		`{"sub_id":{"format":"opaque"}}`:                                                    400,
		`{"sub_id":{"format":"opaque","id":""}}`:                                            400,
		`{"sub_id":{"format":"opaque","id":["00u"]}}`:                                       400,
		`{"sub_id":{"format":"opaque","id":"00u1","iss":"x"}}`:                              400,
		`{"sub_id":{"format":"phone_number","phone_number":"+1"}}`:                          400,
		`{"sub_id":{"format":"opaque","id":"00uNobody"}}`:                                   404,
		`{"sub_id":{"format":"opaque","id":"ana@example.com"}}`:                             404, // an id, not a login
		`{"sub_id":{"format":"iss_sub","iss":"https://evil.test","sub":"ana@example.com"}}`: 404,
		`{"sub_id":{"format":"email","email":"nobody@example.com"}}`:                        404,
	} {
		if a := p.okta(http.MethodPost, globalRevocation, body); a.Status != want || !strings.Contains(a.Body, `"errorCode"`) {
			t.Errorf("%s: %d %s, want %d", body, a.Status, a.Body, want)
		}
	}
	id, _ := p.okta(http.MethodGet, "/api/v1/users/"+p.Ready().Demo.Users[0].Login, "").json(t)["id"].(string)
	ana := fmt.Sprintf(`{"sub_id":{"format":"opaque","id":%q}}`, id)
	if a := p.bearer(http.MethodPost, globalRevocation, "", ana); a.Status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.Status)
	}
	tool := p.serviceApp("incidents", "okta.universalLogout.manage", "okta.users.read")
	token := func(scope string) string {
		s, _ := tool.token(scope).json(t)["access_token"].(string)
		return s
	}
	if a := p.bearer(http.MethodPost, globalRevocation, token("okta.universalLogout.manage"), ana); a.Status != http.StatusForbidden {
		t.Errorf("an app without a role: %d", a.Status)
	}
	p.made(clientsPath+"/"+tool.id+"/roles", `{"type":"ORG_ADMIN"}`)
	if a := p.bearer(http.MethodPost, globalRevocation, token("okta.users.read"), ana); a.Status != http.StatusForbidden || !strings.Contains(a.Header.Get("WWW-Authenticate"), "okta.universalLogout.manage") {
		t.Errorf("another scope: %d %v", a.Status, a.Header)
	}
	if a := p.bearer(http.MethodPost, globalRevocation, token("okta.universalLogout.manage"), ana); a.Status != http.StatusNoContent {
		t.Errorf("the scope and the role: %d %s", a.Status, a.Body)
	}
}

package authserver

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/access"
	"gatehouse/internal/directory"
)

// SECURITY 14: no secret, token, assertion or password reaches the system log,
// the log, or an answer that it does not belong to.
func TestCanaries(t *testing.T) {
	h := newHouse(t)
	s := newSigner(t)
	a := h.app("job", "a:read")
	keyed := h.keyApp(s, "keyed")
	second, err := h.access.RotateSecret(h.ctx, h.admin, a.ID)
	must(t, err)
	const password = "canary-password-1"
	_, err = h.people.CreateUser(h.ctx, h.admin, directory.NewUser{Profile: directory.Profile{Login: "ana", Email: "ana@acme.test"}, Password: password})
	must(t, err)
	token := h.token(a, "a:read")
	assertion := s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, h.assertion(keyed.ID))
	grantForm := url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}
	const wrong = "canary-wrong-secret"
	var answers strings.Builder
	for _, got := range []answer{
		h.withAssertion("/oauth2/default/v1/token", assertion+"x", grantForm),
		h.withAssertion("/oauth2/default/v1/token", assertion, url.Values{"grant_type": {"client_credentials"}, "scope": {"nope"}}),
		h.form("/oauth2/default/v1/token", a.ID, wrong, grantForm),
		h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"nope"}}),
		h.form("/oauth2/default/v1/introspect", a.ID, wrong, url.Values{"token": {token}}),
		h.form("/oauth2/default/v1/revoke", a.ID, a.Secret, url.Values{"token": {token}}),
		h.call(http.MethodGet, "/oauth2/default/v1/keys?client_secret="+wrong, ""),
	} {
		answers.WriteString(got.body)
	}
	events, err := json.Marshal(h.events())
	must(t, err)
	if len(h.events()) < 6 {
		t.Fatalf("only %d events", len(h.events()))
	}
	for place, text := range map[string]string{"system log": string(events), "log": h.logs.String(), "answers": answers.String()} {
		for name, canary := range map[string]string{
			"secret": a.Secret, "second secret": second, "wrong secret": wrong, "token": token[:64], "middle of the token": token[150:200],
			"signature": token[strings.LastIndexByte(token, '.')+1:][:64], "assertion": assertion[:64], "password": password,
		} {
			if strings.Contains(text, canary) {
				t.Errorf("the %s is in the %s", name, place)
			}
		}
	}
}

// Nor does the ledger keep one: neither the objects nor their history.
func TestLedgerHoldsNoSecrets(t *testing.T) {
	h := newHouse(t)
	a := h.app("job")
	second, err := h.access.RotateSecret(h.ctx, h.admin, a.ID)
	must(t, err)
	const password = "canary-password-1"
	_, err = h.people.CreateUser(h.ctx, h.admin, directory.NewUser{Profile: directory.Profile{Login: "ana", Email: "ana@acme.test"}, Password: password})
	must(t, err)
	text := h.history()
	if !strings.Contains(text, a.ID) || !strings.Contains(text, "$argon2id$") {
		t.Fatal("the history does not hold what it should")
	}
	for _, canary := range []string{a.Secret, second, password} {
		if strings.Contains(text, canary) {
			t.Error("a secret is in the history")
		}
	}
}

// attack gateway 70, identity 70: tokens, rotation of secrets and of keys,
// revocation and changes of policies at the same time. The race detector watches;
// nobody who may have a token is refused, and nobody else gets one.
func TestEverythingAtOnce(t *testing.T) {
	h := newHouse(t)
	h.setAlgorithm(access.ES256)
	h.clock.Advance(1)
	var apps []access.Created
	for range 4 {
		apps = append(apps, h.app("job", "a:read"))
	}
	h.token(apps[0], "a:read")
	var wg sync.WaitGroup
	for i, a := range apps {
		wg.Go(func() {
			for range 15 {
				got := h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}})
				if got.status != http.StatusOK {
					t.Errorf("app %d: %d %s", i, got.status, got.body)
					return
				}
				token := got.text("access_token")
				if c := claims(t, token, 1)["cid"]; c != a.ID {
					t.Errorf("app %d got a token of %v", i, c)
				}
				if !h.active(a, token) {
					t.Errorf("app %d: its token is not active", i)
				}
				h.form("/oauth2/default/v1/revoke", a.ID, a.Secret, url.Values{"token": {token}})
				if h.active(a, token) {
					t.Errorf("app %d: its revoked token is active", i)
				}
			}
		})
	}
	wg.Go(func() {
		for range 5 {
			x := h.app("short-lived")
			if _, err := h.access.RotateSecret(h.ctx, h.admin, x.ID); err != nil {
				t.Error(err)
			}
			if err := h.access.DeactivateApp(h.ctx, h.admin, x.ID); err != nil {
				t.Error(err)
			}
			got := h.form("/oauth2/default/v1/token", x.ID, x.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}})
			if got.status != http.StatusUnauthorized {
				t.Errorf("a deactivated app got %d", got.status)
			}
		}
	})
	wg.Go(func() {
		for range 5 {
			h.clock.Advance(1_000_000)
			if err := h.access.RotateKeys(h.ctx, h.admin, access.DefaultServer); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
}

package authserver

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"gatehouse/internal/access"
)

// mac signs an assertion with a secret.
func mac(t testing.TB, secret string, header, members map[string]any) string {
	t.Helper()
	head := map[string]any{"alg": "HS256"}
	maps.Copy(head, header)
	h, err := json.Marshal(head)
	must(t, err)
	p, err := json.Marshal(members)
	must(t, err)
	text := b64(h) + "." + b64(p)
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(text))
	return text + "." + b64(m.Sum(nil))
}

// client_secret_jwt (OpenID Connect Core section 9): the secret signs and is not sent.
// attack identity 31, 35, 36, 37: and nothing else gets in by it.
func TestClientSecretJWT(t *testing.T) {
	h := newHouse(t)
	_, err := h.access.EnsureScopes(h.ctx, h.admin, access.DefaultServer, []string{"a:read"}, "")
	must(t, err)
	a, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: "signs", AuthMethod: access.AuthSecretJWT})
	must(t, err)
	s := newSigner(t)
	withKey := h.keyApp(s, "has a key")
	withSecret := h.app("sends its secret")
	v := url.Values{"grant_type": {"client_credentials"}, "scope": {"a:read"}}
	const path = "/oauth2/default/v1/token"
	good := h.assertion(a.ID)
	h.withAssertion(path, mac(t, a.Secret, nil, good), v).ok(t)
	h.withAssertion(path, mac(t, a.Secret, nil, good), v).want(t, http.StatusUnauthorized, "invalid_client") // once
	for name, got := range map[string]answer{
		"another secret":         h.withAssertion(path, mac(t, a.Secret+"x", nil, h.assertion(a.ID)), v),
		"the hash of the secret": h.withAssertion(path, mac(t, a.App.Secrets[0].Hash, nil, h.assertion(a.ID)), v),
		"HS512 in name":          h.withAssertion(path, mac(t, a.Secret, map[string]any{"alg": "HS512"}, h.assertion(a.ID)), v),
		"none in name":           h.withAssertion(path, mac(t, a.Secret, map[string]any{"alg": "none"}, h.assertion(a.ID)), v),
		"ES256 in name":          h.withAssertion(path, mac(t, a.Secret, map[string]any{"alg": "ES256"}, h.assertion(a.ID)), v),
		"a public key's bytes":   h.withAssertion(path, mac(t, string(s.rsa.N.Bytes()), map[string]any{"kid": "rsa"}, h.assertion(withKey.ID)), v),
		"an app that sends it":   h.withAssertion(path, mac(t, withSecret.Secret, nil, h.assertion(withSecret.ID)), v),
		"an app that has none":   h.withAssertion(path, mac(t, "", nil, h.assertion(withKey.ID)), v),
		"nobody":                 h.withAssertion(path, mac(t, a.Secret, nil, h.assertion("0oaNobody")), v),
		"a key of another app":   h.withAssertion(path, s.sign(t, map[string]any{"alg": "ES256", "kid": "ec"}, h.assertion(a.ID)), v),
		"another audience":       h.withAssertion(path, mac(t, a.Secret, nil, merged(h.assertion(a.ID), "aud", "https://other.test")), v),
		"Basic":                  h.form(path, a.ID, a.Secret, v),
	} {
		if got.status != http.StatusUnauthorized || got.text("error") != "invalid_client" {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	post := maps.Clone(v)
	post.Set("client_id", a.ID)
	post.Set("client_secret", a.Secret)
	h.form(path, "", "", post).want(t, http.StatusUnauthorized, "invalid_client")

	// Two secrets for a rotation, and one that is out of force.
	next, err := h.access.RotateSecret(h.ctx, h.admin, a.ID)
	must(t, err)
	for _, secret := range []string{next, a.Secret} {
		h.withAssertion(path, mac(t, secret, nil, h.assertion(a.ID)), v).ok(t)
	}
	must(t, h.access.SetSecretStatus(h.ctx, h.admin, a.ID, a.App.Secrets[0].ID, access.Inactive))
	h.withAssertion(path, mac(t, a.Secret, nil, h.assertion(a.ID)), v).want(t, http.StatusUnauthorized, "invalid_client")

	// A secret that is too short for HS256 is not taken.
	if _, _, err := h.access.AddApp(h.ctx, h.admin, access.App{Label: "short", AuthMethod: access.AuthSecretJWT}, "thirty-one-characters-long-12345", nil); err != nil {
		t.Error("32 characters are enough", err)
	}
	if _, _, err := h.access.AddApp(h.ctx, h.admin, access.App{Label: "short", AuthMethod: access.AuthSecretJWT}, "fifteen-letters", nil); err == nil {
		t.Error("a short secret was taken")
	}
}

func merged(m map[string]any, name string, value any) map[string]any {
	m[name] = value
	return m
}

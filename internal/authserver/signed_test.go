package authserver

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/verify"
)

// signed asks about a token and returns what the signed answer says, verified.
func (h *house) signed(id, secret, token string) map[string]any {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.url+"/oauth2/default/v1/introspect", strings.NewReader(url.Values{"token": {token}}.Encode()))
	must(h.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", basic(id, secret))
	r.Header.Set("Accept", "application/token-introspection+jwt")
	res, err := h.web.Client().Do(r)
	must(h.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(h.t, err)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "application/token-introspection+jwt" || res.Header.Get("Cache-Control") != "no-store" {
		h.t.Fatalf("%d %v %s", res.StatusCode, res.Header, raw)
	}
	jws, err := verify.Parse(raw, 1<<14)
	must(h.t, err)
	ring, err := h.rings.Ring(h.ctx, h.target().Tenant, h.target().Server)
	must(h.t, err)
	key, err := ring.KeySource().Key(h.ctx, jws.KeyID, jws.Algorithm)
	must(h.t, err)
	if !jws.Verify(key) || jws.Type != signedAnswer {
		h.t.Fatalf("not signed by us, or of type %q", jws.Type)
	}
	var claims map[string]any
	must(h.t, json.Unmarshal(jws.Payload, &claims))
	if claims["iss"] != h.target().Issuer() || claims["aud"] != id || claims["iat"] != float64(h.clock.Now().Unix()) || len(claims) != 4 {
		h.t.Fatalf("%v", claims)
	}
	answer, _ := claims["token_introspection"].(map[string]any)
	if h.active(h.app("another"), string(raw)) {
		h.t.Error("the signed answer is taken for an access token")
	}
	return answer
}

// RFC 9701: the same answer, signed for the one who asks, for tokens that are good
// and for what is none.
func TestSignedIntrospection(t *testing.T) {
	h := newHouse(t)
	a := h.app("resource server", "orders:read")
	token := h.token(a, "orders:read")
	plain := h.introspect(a, token)
	if got := h.signed(a.ID, a.Secret, token); got["active"] != true || got["scope"] != "orders:read" || len(got) != len(plain.json) {
		t.Errorf("%v, as JSON %v", got, plain.json)
	}
	for _, none := range []string{"nonsense", strings.Repeat("x", refreshTokenLength), token + "x"} {
		if got := h.signed(a.ID, a.Secret, none); got["active"] != false || len(got) != 1 {
			t.Errorf("%q: %v", none, got)
		}
	}
	// Who cannot say who they are gets no signature of ours.
	if got := h.form("/oauth2/default/v1/introspect", a.ID, "wrong", url.Values{"token": {token}}); got.status != http.StatusUnauthorized {
		t.Errorf("%d", got.status)
	}
}

func TestWhichAnswerIsWanted(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "application/json": false, "application/*": false,
		"application/token-introspection+jwt":                              true,
		"Application/Token-Introspection+JWT; q=0.3":                       true,
		"application/token-introspection+jwt;q=0":                          false,
		"application/token-introspection+jwt;q=2":                          false,
		"application/json, application/token-introspection+jwt":            true,
		"application/json, application/token-introspection+jwt;q=0.5":      false,
		"application/json;q=0.1,application/token-introspection+jwt;q=0.2": true,
		"text/html;;,application/token-introspection+jwt":                  true,
		"application/token-introspection+jwt;q=NaN":                        false,
	} {
		if got := wantsSigned([]string{accept}); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// FuzzAccept: what is sent as Accept never breaks anything.
func FuzzAccept(f *testing.F) {
	for _, s := range []string{"application/json;q=0.1,application/token-introspection+jwt;q=0.2", ";;,", "a/b;q=", "application/token-introspection+jwt;q=1e-9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		if wantsSigned([]string{accept}) && !strings.Contains(strings.ToLower(accept), signedAnswer) {
			t.Errorf("%q", accept)
		}
	})
}

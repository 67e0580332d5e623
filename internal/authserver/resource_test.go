package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/access"

	"github.com/google/go-cmp/cmp"
)

const (
	orders = "https://orders.test/v1"
	hr     = "https://hr.test/"
)

// audiences gives the default server those that the tests name.
func (h *house) audiences(names ...string) {
	h.t.Helper()
	must(h.t, h.access.UpdateServer(h.ctx, h.admin, access.DefaultServer, access.ServerSettings{Audiences: names}))
}

// aud returns the audiences of an access token.
func aud(t testing.TB, token string) []string {
	t.Helper()
	switch v := claims(t, token, 1)["aud"].(type) {
	case string:
		return []string{v}
	case []any:
		var out []string
		for _, x := range v {
			s, _ := x.(string)
			out = append(out, s)
		}
		return out
	}
	return nil
}

// RFC 8707: a token is for the APIs that its request names, and for no others.
func TestResources(t *testing.T) {
	h := newHouse(t)
	h.audiences("api://default", orders, hr, "not-a-uri", "https://fragment.test/#a")
	a := h.app("Batch", "orders:read")
	for _, x := range []struct {
		name  string
		query string
		want  []string // nil: invalid_target
	}{
		{"none: the server's own audience", "", []string{"api://default"}},
		{"an empty one is none", "&resource=", []string{"api://default"}},
		{"one", "&resource=" + orders, []string{orders}},
		{"several, in their order", "&resource=" + hr + "&resource=" + orders, []string{hr, orders}},
		{"the same twice is one", "&resource=" + hr + "&resource=" + hr, []string{hr}},
		{"unknown", "&resource=https://evil.test/", nil},
		{"a known and an unknown one", "&resource=" + hr + "&resource=https://evil.test/", nil},
		{"compared byte for byte", "&resource=https://hr.test", nil},
		{"an audience that is no URI", "&resource=not-a-uri", nil},
		{"with a fragment", "&resource=https://fragment.test/%23a", nil},
		{"two in one text", "&resource=" + hr + "%20" + orders, nil},
		{"more than there can be", strings.Repeat("&resource="+hr, 21), nil},
	} {
		got := h.call(http.MethodPost, "/oauth2/default/v1/token", "grant_type=client_credentials&scope=orders:read"+x.query, "Authorization", basic(a.ID, a.Secret))
		if x.want == nil {
			if got.status != http.StatusBadRequest || got.text("error") != "invalid_target" {
				t.Errorf("%s: %d %s", x.name, got.status, got.body)
			}
			continue
		}
		if diff := cmp.Diff(x.want, aud(t, got.ok(t).text("access_token"))); diff != "" {
			t.Errorf("%s: %s", x.name, diff)
		}
	}
	got := h.introspect(a, h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{
		"grant_type": {"client_credentials"}, "scope": {"orders:read"}, "resource": {orders, hr},
	}).ok(t).text("access_token"))
	if diff := cmp.Diff([]any{orders, hr}, got.json["aud"]); diff != "" {
		t.Errorf("introspection: %s", diff)
	}
}

// What was granted is narrowed by a code and by every refresh, and never widened.
func TestResourcesOfAGrant(t *testing.T) {
	s := newSignIn(t, nil)
	s.audiences("api://default", orders, hr)
	a := s.authorization()
	a.Resources = []string{orders, hr}
	got := s.redeem(s.code(a)).ok(t)
	if diff := cmp.Diff([]string{orders, hr}, aud(t, got.text("access_token"))); diff != "" {
		t.Errorf("all: %s", diff)
	}
	next := s.refresh(got.text("refresh_token"), "resource", hr).ok(t)
	if diff := cmp.Diff([]string{hr}, aud(t, next.text("access_token"))); diff != "" {
		t.Errorf("one: %s", diff)
	}
	s.refresh(next.text("refresh_token"), "resource", "api://default").want(t, http.StatusBadRequest, "invalid_target")
	// The grant keeps them all, whatever a refresh has named.
	again := s.refresh(next.text("refresh_token")).ok(t)
	if diff := cmp.Diff([]string{orders, hr}, aud(t, again.text("access_token"))); diff != "" {
		t.Errorf("all again: %s", diff)
	}
	// What the server has lost, nobody gets; when nothing is left, there is no token.
	s.audiences("api://default", hr)
	last := s.refresh(again.text("refresh_token")).ok(t)
	if diff := cmp.Diff([]string{hr}, aud(t, last.text("access_token"))); diff != "" {
		t.Errorf("what is left: %s", diff)
	}
	s.audiences("api://default")
	s.refresh(last.text("refresh_token")).want(t, http.StatusBadRequest, "invalid_target")

	// A grant for no API in particular is for the server's own audience alone.
	s.audiences("api://default", orders)
	plain := s.code(s.authorization())
	s.redeem(plain, "resource", orders).want(t, http.StatusBadRequest, "invalid_target")
	if got := aud(t, s.redeem(plain, "resource", "api://default").ok(t).text("access_token")); got[0] != "api://default" {
		t.Errorf("plain: %v", got)
	}
}

func TestResourcesOfADevice(t *testing.T) {
	s := newDevice(t)
	s.audiences("api://default", orders, hr)
	begin := func(resources ...string) answer {
		return s.form("/oauth2/default/v1/device/authorize", "", "", url.Values{"client_id": {s.app.ID}, "scope": {"orders:read"}, "resource": resources})
	}
	begin("https://evil.test/").want(t, http.StatusBadRequest, "invalid_target")
	begun := begin(orders, hr).ok(t)
	must(t, s.approve(begun.text("user_code"), "orders:read"))
	got := s.poll(begun.text("device_code")).ok(t)
	if diff := cmp.Diff([]string{orders, hr}, aud(t, got.text("access_token"))); diff != "" {
		t.Error(diff)
	}
}

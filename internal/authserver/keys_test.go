package authserver

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/keys"
)

// kids returns the published key ids of the default server.
func (h *house) kids() (out []string, etag string) {
	h.t.Helper()
	got := h.call(http.MethodGet, "/oauth2/default/v1/keys", "")
	if got.status != 200 {
		h.t.Fatalf("keys: %d %s", got.status, got.body)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	must(h.t, json.Unmarshal([]byte(got.body), &set))
	for _, k := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, bad := k[private]; bad {
				h.t.Fatalf("a private member %q is published", private)
			}
		}
		out = append(out, k["kid"].(string))
	}
	return out, got.header.Get("ETag")
}

// A key is published before it signs; tokens of the old key are good until they
// expire; then the key goes.
func TestRotation(t *testing.T) {
	h := newHouse(t)
	h.setAlgorithm(access.ES256)
	a := h.app("job", "a:read")
	old := h.token(a, "a:read")
	h.rings.Tend(h.ctx)
	before, etag := h.kids()
	if len(before) != 2 {
		t.Fatalf("published are %v, want the active and the next key", before)
	}
	h.clock.Advance(time.Minute)
	must(t, h.access.RotateKeys(h.ctx, h.admin, access.DefaultServer))
	fresh := h.token(a, "a:read")
	oldKid, freshKid := claims(t, old, 0)["kid"].(string), claims(t, fresh, 0)["kid"].(string)
	if oldKid == freshKid {
		t.Fatal("the same key signs after the rotation")
	}
	if !slices.Contains(before, freshKid) {
		t.Error("the new key signs without having been published before")
	}
	h.rings.Tend(h.ctx) // the key after the next is made in the background
	after, newTag := h.kids()
	if !slices.Contains(after, oldKid) || !slices.Contains(after, freshKid) || len(after) != 3 || newTag == etag {
		t.Errorf("published are %v with %s", after, newTag)
	}
	if !h.active(a, old) || !h.active(a, fresh) {
		t.Error("tokens of both keys must be active")
	}
	h.clock.Advance(58 * time.Minute)
	h.rings.Tend(h.ctx)
	if !h.active(a, old) {
		t.Error("the token of the old key must be active until it expires")
	}
	h.clock.Advance(48 * time.Hour)
	h.rings.Tend(h.ctx)
	last, _ := h.kids()
	if slices.Contains(last, oldKid) {
		t.Error("the old key is published though none of its tokens is valid")
	}
	if len(h.events(audit.KeyRotated)) != 1 {
		t.Error("the rotation is not in the system log")
	}
}

// Tokens signed before the server's algorithm was changed stay good.
func TestAlgorithmChange(t *testing.T) {
	h := newHouse(t)
	h.setAlgorithm(access.ES256)
	a := h.app("job", "a:read")
	before := h.token(a, "a:read")
	h.setAlgorithm(access.RS256)
	after := h.token(a, "a:read")
	if claims(t, before, 0)["alg"] != "ES256" || claims(t, after, 0)["alg"] != "RS256" {
		t.Fatal("the algorithm did not change")
	}
	if !h.active(a, before) || !h.active(a, after) {
		t.Error("both tokens must be active")
	}
	// The keys of the old algorithm go on being rotated: none of them is for ever.
	for range 3 {
		h.clock.Advance(91 * 24 * time.Hour)
		h.rings.Tend(h.ctx)
	}
	if kids, _ := h.kids(); slices.Contains(kids, claims(t, before, 0)["kid"].(string)) {
		t.Error("the key of the old algorithm is still published after nine months")
	}
}

func TestKeysAreCacheable(t *testing.T) {
	h := newHouse(t)
	h.setAlgorithm(access.ES256)
	h.token(h.app("job", "a:read"), "a:read")
	h.rings.Tend(h.ctx) // the ring has all of its keys now, and stays as it is
	for _, path := range []string{"/oauth2/default/v1/keys", "/oauth2/default/.well-known/openid-configuration"} {
		got := h.call(http.MethodGet, path, "")
		etag := got.header.Get("ETag")
		if !strings.HasPrefix(got.header.Get("Cache-Control"), "max-age=") || etag == "" {
			t.Errorf("%s: Cache-Control %q, ETag %q", path, got.header.Get("Cache-Control"), etag)
		}
		if again := h.call(http.MethodGet, path, "", "If-None-Match", `"x", W/`+etag); again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("%s with the ETag: %d %q", path, again.status, again.body)
		}
		if other := h.call(http.MethodGet, path, "", "If-None-Match", `"x"`); other.status != 200 {
			t.Errorf("%s with another ETag: %d", path, other.status)
		}
		if head := h.call(http.MethodHead, path, ""); head.status != 200 || head.header.Get("ETag") != etag {
			t.Errorf("HEAD %s: %d", path, head.status)
		}
	}
}

// Keys that are rotated by hand are not rotated by time; the others are.
func TestRotationMode(t *testing.T) {
	for mode, rotates := range map[string]bool{access.RotationAuto: true, access.RotationManual: false} {
		t.Run(mode, func(t *testing.T) {
			h := newHouse(t)
			h.setAlgorithm(access.ES256)
			must(t, h.access.UpdateServer(h.ctx, h.admin, access.DefaultServer, access.ServerSettings{RotationMode: &mode}))
			a := h.app("job", "a:read")
			first := claims(t, h.token(a, "a:read"), 0)["kid"]
			h.rings.Tend(h.ctx)
			h.clock.Advance(89 * 24 * time.Hour)
			h.rings.Tend(h.ctx)
			if claims(t, h.token(a, "a:read"), 0)["kid"] != first {
				t.Error("rotated before its time")
			}
			h.clock.Advance(2 * 24 * time.Hour)
			h.rings.Tend(h.ctx)
			if got := claims(t, h.token(a, "a:read"), 0)["kid"] != first; got != rotates {
				t.Errorf("rotated after 91 days: %v, want %v", got, rotates)
			}
		})
	}
}

// Every algorithm that a server can be set to signs tokens that introspection
// takes, and ID tokens with the hash that belongs to it.
func TestEveryAlgorithm(t *testing.T) {
	s := newSignIn(t, nil)
	for alg, hash := range map[string]int{access.RS256: 22, access.ES256: 22, access.PS256: 22, access.EdDSA: 43} {
		s.setAlgorithm(alg)
		got := s.redeem(s.code(s.authorization())).ok(t)
		if h := claims(t, got.text("access_token"), 0); h["alg"] != alg {
			t.Errorf("%s: %v", alg, h)
		}
		if !s.active(s.app, got.text("access_token")) {
			t.Errorf("%s: the token is not active", alg)
		}
		if h, _ := claims(t, got.text("id_token"), 1)["at_hash"].(string); len(h) != hash {
			t.Errorf("%s: at_hash %q", alg, h)
		}
	}
}

// Whoever asks a new server for its keys first waits for them: they are not refused, and
// no empty set is answered that they would keep.
func TestFirstAskerWaitsForTheKeys(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		server, err := h.access.EnsureServer(h.ctx, h.admin, access.Server{Name: "new " + keys.ID("x"), Audiences: []string{"api://new"}})
		must(t, err)
		if got := h.call(http.MethodGet, "/oauth2/"+server.ID+"/v1/keys", ""); got.status != http.StatusOK || !strings.Contains(got.body, `"kid"`) {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

package authserver

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/grant"
	"gatehouse/internal/revocation"
	"gatehouse/internal/tenant"
)

func TestIntrospection(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read", "b:read")
	asker := h.app("resource server")
	token := h.token(a, "b:read a:read")
	got := h.introspect(asker, token)
	jti := got.text("jti")
	delete(got.json, "jti")
	now := float64(h.clock.Now().Unix())
	want := map[string]any{
		"active": true, "token_type": "Bearer", "scope": "a:read b:read", "client_id": a.ID, "exp": now + 3600, "iat": now,
		"sub": a.ID, "aud": "api://default", "iss": h.url + "/oauth2/default",
	}
	if d := cmp.Diff(want, got.json); d != "" || jti != claims(t, token, 1)["jti"] {
		t.Error(d)
	}
	if got.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be cached")
	}
	again := h.introspect(asker, token)
	delete(again.json, "jti")
	if d := cmp.Diff(got.json, again.json); d != "" {
		t.Errorf("the second answer differs: %s", d)
	}
}

func TestIntrospectionOfAUser(t *testing.T) {
	h := newHouse(t)
	a := h.app("portal", "payroll:write")
	u, err := h.people.CreateUser(h.ctx, h.admin, directory.NewUser{Profile: directory.Profile{Login: "ana", Email: "ana@acme.test", FirstName: "Ana"}})
	must(t, err)
	g, err := h.people.CreateGroup(h.ctx, h.admin, directory.Group{Name: "employees"})
	must(t, err)
	must(t, h.people.AddMember(h.ctx, h.admin, g.ID, u.ID))
	signedIn := h.clock.Now().Add(-time.Minute)
	issued, err := h.issuer.Issue(h.ctx, h.target(), grant.IssueRequest{
		ClientID: a.ID, Scopes: []string{"payroll:write"}, Login: "ANA", AuthTime: signedIn, ACR: "phr", AMR: []string{"pwd", "otp"},
		By: audit.Entity{ID: "00uAdmin", Type: "User"},
	})
	must(t, err)
	got := h.introspect(a, issued.AccessToken)
	delete(got.json, "jti")
	now := float64(h.clock.Now().Unix())
	want := map[string]any{
		"active": true, "token_type": "Bearer", "scope": "payroll:write", "client_id": a.ID, "username": "ana", "exp": now + 3600, "iat": now,
		"sub": "ana", "uid": u.ID, "aud": "api://default", "iss": h.url + "/oauth2/default",
		"auth_time": float64(signedIn.Unix()), "acr": "phr", "amr": []any{"pwd", "otp"}, "groups": []any{"employees"},
	}
	if d := cmp.Diff(want, got.json); d != "" {
		t.Error(d)
	}
	must(t, h.people.SetStatus(h.ctx, h.admin, u.ID, directory.Suspended))
	if _, err := h.issuer.Issue(h.ctx, h.target(), grant.IssueRequest{ClientID: a.ID, Scopes: []string{"payroll:write"}, Login: "ana"}); err == nil {
		t.Error("a suspended user gets a token")
	}
}

// identity 45, 46, 72: whatever is not a valid access token of this very server
// is inactive, and nothing more is said.
func TestInactive(t *testing.T) {
	h := newHouse(t)
	h.setAlgorithm(access.ES256)
	a := h.app("job", "a:read")
	token := h.token(a, "a:read")
	other, err := h.access.EnsureServer(h.ctx, h.admin, access.Server{Name: "other", Audiences: []string{"api://other"}, Algorithm: access.ES256})
	must(t, err)
	parts := strings.Split(token, ".")
	flipped := []byte(parts[1])
	flipped[10] ^= 1
	s := newSigner(t)
	body := claims(t, token, 1)
	tests := map[string]string{
		"empty parts":       "..",
		"text":              "hello",
		"truncated":         token[:len(token)-1],
		"longer":            token + "A",
		"changed":           parts[0] + "." + string(flipped) + "." + parts[2],
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          s.sign(t, map[string]any{"alg": "none"}, body),
		"signed by another": s.sign(t, map[string]any{"alg": "ES256", "kid": claims(t, token, 0)["kid"]}, body),
		"jti alone":         body["jti"].(string),
	}
	for name, tok := range tests {
		t.Run(name, func(t *testing.T) {
			if got := h.introspect(a, tok); got.status != 200 || got.body != `{"active":false}` {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	if !h.active(a, token) {
		t.Fatal("the token itself must be active")
	}
	got := h.form("/oauth2/"+other.ID+"/v1/introspect", a.ID, a.Secret, url.Values{"token": {token}})
	if got.status != 200 || got.body != `{"active":false}` {
		t.Errorf("at another server: %d %s", got.status, got.body)
	}
	h.clock.Advance(time.Hour - time.Second)
	if !h.active(a, token) {
		t.Error("inactive a second early")
	}
	h.clock.Advance(time.Second)
	if h.active(a, token) {
		t.Error("active at its expiry")
	}
}

func TestIntrospectionNeedsAClient(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	token := h.token(a, "a:read")
	public, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: "spa", AuthMethod: access.AuthNone, GrantTypes: []string{access.GrantAuthorizationCode}})
	must(t, err)
	own, err := h.issuer.Issue(h.ctx, h.target(), grant.IssueRequest{ClientID: public.ID, Scopes: []string{"a:read"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, endpoint := range []string{"introspect", "revoke"} {
		path := "/oauth2/default/v1/" + endpoint
		for name, got := range map[string]answer{
			"nobody": h.form(path, "", "", url.Values{"token": {token}}),
			"wrong":  h.form(path, a.ID, "wrong", url.Values{"token": {token}}),
		} {
			if got.status != 401 || got.text("error") != "invalid_client" {
				t.Errorf("%s as %s: %d %s", endpoint, name, got.status, got.body)
			}
		}
		if got := h.form(path, a.ID, a.Secret, url.Values{}); got.status != 400 || got.text("error_description") != "The 'token' parameter is required." {
			t.Errorf("%s without token: %d %s", endpoint, got.status, got.body)
		}
	}
	if got := h.form("/oauth2/default/v1/introspect", "", "", url.Values{"client_id": {public.ID}, "token": {token}}); got.body != `{"active":false}` {
		t.Errorf("a public client learns of another's token: %s", got.body)
	}
	if got := h.form("/oauth2/default/v1/introspect", "", "", url.Values{"client_id": {public.ID}, "token": {own.AccessToken}}); got.json["active"] != true {
		t.Errorf("a public client does not see its own token: %d %s", got.status, got.body)
	}
}

// recorder is a node on the bus that notes what it hears.
type recorder struct {
	mu   sync.Mutex
	got  []cluster.Revocation
	fail error
}

func (r *recorder) Revoked(_ context.Context, rev cluster.Revocation) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, rev)
	return r.fail
}

func (r *recorder) Revised(context.Context, tenant.ID, int64) {}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// identity 48, 51: a revoked token is refused everywhere before the call returns,
// and only by its own client.
func TestRevocation(t *testing.T) {
	h := newHouse(t)
	a, b := h.app("job", "a:read"), h.app("other")
	node := &recorder{}
	_, err := h.bus.Join("gateway-1", "gateway", node)
	must(t, err)
	token, kept := h.token(a, "a:read"), h.token(a, "a:read")
	revoke := func(who access.Created, tok string) answer {
		return h.form("/oauth2/default/v1/revoke", who.ID, who.Secret, url.Values{"token": {tok}, "token_type_hint": {"access_token"}})
	}
	if got := revoke(b, token); got.status != 200 || got.body != "" || node.count() != 0 {
		t.Fatalf("another client's revocation: %d %q, %d messages", got.status, got.body, node.count())
	}
	if !h.active(b, token) {
		t.Fatal("another client revoked the token")
	}
	if got := revoke(a, token); got.status != 200 || got.body != "" {
		t.Fatalf("%d %q", got.status, got.body)
	}
	if node.count() != 1 {
		t.Fatal("the gateway had not heard of it when the call returned")
	}
	want := cluster.Revocation{
		Tenant: tenant.Default, Kind: cluster.TokenID, Issuer: h.url + "/oauth2/default", Value: claims(t, token, 1)["jti"].(string),
		Expires: h.clock.Now().Add(time.Hour + time.Minute),
	}
	if d := cmp.Diff(want, node.got[0], cmp.Comparer(time.Time.Equal)); d != "" {
		t.Error(d)
	}
	stored, err := h.db.Revocations(h.ctx, 0, h.clock.Now(), 10)
	must(t, err)
	if len(stored) != 1 || stored[0].Value != want.Value {
		t.Errorf("the store has %+v", stored)
	}
	if h.active(a, token) {
		t.Error("active after the revocation")
	}
	if !h.active(a, kept) {
		t.Error("another token of the client is inactive")
	}
	for _, nothing := range []string{token, "hello", kept + "x"} {
		if got := revoke(a, nothing); got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	if events := h.events(audit.TokenRevoked); len(events) == 0 || events[0].Actor.ID != a.ID {
		t.Errorf("system log has %+v", events)
	}
}

// failingStore cannot store revocations.
type failingStore struct{}

func (failingStore) AddRevocation(context.Context, cluster.Revocation) (int64, error) {
	return 0, errors.New("disk on fire")
}

// identity 47: what could not be stored, or not be told to every node, is not
// answered with 200.
func TestRevocationFails(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	token := h.token(a, "a:read")
	node := &recorder{fail: errors.New("unplugged")}
	member, err := h.bus.Join("gateway-1", "gateway", node)
	must(t, err)
	form := url.Values{"token": {token}}
	if got := h.form("/oauth2/default/v1/revoke", a.ID, a.Secret, form); got.status != 503 || got.text("error") != "temporarily_unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("bus fails: %d %s", got.status, got.body)
	}
	member.Leave()
	h.server.cfg.Revocations = failingStore{}
	second := h.token(a, "a:read")
	form.Set("token", second)
	got := h.form("/oauth2/default/v1/revoke", a.ID, a.Secret, form)
	if got.status != 503 || strings.Contains(got.body, "fire") {
		t.Errorf("store fails: %d %s", got.status, got.body)
	}
	if !strings.Contains(h.logs.String(), "disk on fire") {
		t.Error("the cause is not in the log")
	}
	if !h.active(a, second) {
		t.Error("a revocation that was refused is in force")
	}
}

func TestUnknownRevocationStateFailsClosed(t *testing.T) {
	h := newHouse(t)
	a := h.app("job", "a:read")
	token := h.token(a, "a:read")
	h.server.cfg.Revoked = revocation.New(revocation.Config{})
	if got := h.introspect(a, token); got.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", got.status, got.body)
	}
}

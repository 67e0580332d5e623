package authserver

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
)

// newDevice is a public app on a device, and a user who is assigned to it.
func newDevice(t *testing.T) *signIn {
	t.Helper()
	s := newSignIn(t, func(a *access.App) {
		a.GrantTypes = []string{access.GrantDeviceCode, access.GrantRefreshToken}
		a.AuthMethod, a.Secrets, a.OIDC.ApplicationType, a.OIDC.RedirectURIs = access.AuthNone, nil, access.AppNative, nil
	})
	s.app.Secret = ""
	return s
}

func (s *signIn) begin(scope string) answer {
	s.t.Helper()
	return s.form("/oauth2/default/v1/device/authorize", "", "", url.Values{"client_id": {s.app.ID}, "scope": {scope}})
}

func (s *signIn) poll(code string) answer {
	s.t.Helper()
	s.clock.Advance(6 * time.Second)
	return s.post(url.Values{"grant_type": {access.GrantDeviceCode}, "device_code": {code}, "client_id": {s.app.ID}})
}

// approve is what the page for devices does.
func (s *signIn) approve(code string, scopes ...string) error {
	return s.devices.Approve(s.ctx, s.target(), code, grant.Authorization{
		Client: s.app.ID, User: s.user.ID, Scopes: scopes, AuthTime: s.clock.Now(), AMR: []string{"pwd"},
	})
}

// attack identity 29.
func TestDeviceFlow(t *testing.T) {
	s := newDevice(t)
	begun := s.begin("openid offline_access orders:read").ok(t)
	code, user := begun.text("device_code"), begun.text("user_code")
	if !regexp.MustCompile(`^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$`).MatchString(user) || len(code) != 43 ||
		begun.text("verification_uri_complete") != s.url+"/activate?user_code="+user || begun.json["interval"] != 5.0 || begun.json["expires_in"] != 600.0 {
		t.Fatalf("%s", begun.body)
	}
	s.poll(code).want(t, http.StatusBadRequest, "authorization_pending")
	typed := strings.ToLower(strings.ReplaceAll(user, "-", " "))
	found, err := s.devices.Find(s.ctx, s.target(), typed, s.user.ID)
	if err != nil || found.Client != s.app.ID || found.UserCode != user || len(found.Scopes) != 3 {
		t.Fatalf("%+v %v", found, err)
	}
	if err := s.approve(typed, "orders:write"); !fault.Is(err, fault.Invalid) {
		t.Errorf("approved a scope that nobody asked for: %v", err)
	}
	must(t, s.approve(typed, "openid", "offline_access", "orders:read"))
	if err := s.approve(typed, "openid"); !fault.Is(err, fault.NotFound) {
		t.Errorf("approved twice: %v", err)
	}
	got := s.poll(code).ok(t)
	if token := claims(t, got.text("access_token"), 1); token["uid"] != s.user.ID || got.text("id_token") == "" {
		t.Errorf("%v", token)
	}
	s.poll(code).want(t, http.StatusBadRequest, "invalid_grant")
	s.refresh(got.text("refresh_token"), "client_id", s.app.ID).ok(t)
}

func TestDeviceRefusals(t *testing.T) {
	s := newDevice(t)
	s.poll("unknown").want(t, http.StatusBadRequest, "invalid_grant")
	s.begin("nosuch").want(t, http.StatusBadRequest, "invalid_scope")

	begun := s.begin("orders:read").ok(t)
	code := begun.text("device_code")
	s.poll(code).want(t, http.StatusBadRequest, "authorization_pending")
	early := url.Values{"grant_type": {access.GrantDeviceCode}, "device_code": {code}, "client_id": {s.app.ID}}
	s.post(early).want(t, http.StatusBadRequest, "slow_down")
	s.poll(code).want(t, http.StatusBadRequest, "slow_down") // 6 seconds are too few now
	s.clock.Advance(20 * time.Second)
	must(t, s.devices.Deny(s.ctx, s.target(), begun.text("user_code")))
	s.poll(code).want(t, http.StatusBadRequest, "access_denied")

	// Another client cannot have it.
	begun = s.begin("orders:read").ok(t)
	must(t, s.approve(begun.text("user_code"), "orders:read"))
	other := s.house.app("Other")
	a, err := s.access.App(s.ctx, other.ID)
	must(t, err)
	a.Value.GrantTypes = []string{access.GrantDeviceCode}
	s.putApp(other.ID, a.Value)
	s.form("/oauth2/default/v1/token", other.ID, other.Secret, url.Values{"grant_type": {access.GrantDeviceCode}, "device_code": {begun.text("device_code")}}).
		want(t, http.StatusBadRequest, "invalid_grant")
	s.clock.Advance(10 * time.Minute)
	s.poll(begun.text("device_code")).want(t, http.StatusBadRequest, "expired_token")
	if err := s.approve(begun.text("user_code"), "orders:read"); !fault.Is(err, fault.NotFound) {
		t.Errorf("approved after its end: %v", err)
	}
}

// attack identity 29: few user codes may be tried.
func TestUserCodesCannotBeGuessed(t *testing.T) {
	s := newDevice(t)
	begun := s.begin("orders:read").ok(t)
	for range 10 {
		if _, err := s.devices.Find(s.ctx, s.target(), "BCDF-GHJK", s.user.ID); !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
	}
	if _, err := s.devices.Find(s.ctx, s.target(), begun.text("user_code"), s.user.ID); !fault.Is(err, fault.RateLimited) {
		t.Errorf("the eleventh try: %v", err)
	}
	if _, err := s.devices.Find(s.ctx, s.target(), begun.text("user_code"), "00uother"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	s.clock.Advance(time.Minute)
	if _, err := s.devices.Find(s.ctx, s.target(), begun.text("user_code"), s.user.ID); err != nil {
		t.Errorf("a minute later: %v", err)
	}

	// 32 guesses at once are judged no more often than one after the other.
	s.clock.Advance(time.Hour)
	target := s.target()
	var wg sync.WaitGroup
	var judged atomic.Int32
	for range 32 {
		wg.Go(func() {
			if _, err := s.devices.Find(s.ctx, target, "BCDF-GHJK", s.user.ID); fault.Is(err, fault.NotFound) {
				judged.Add(1)
			}
		})
	}
	wg.Wait()
	if judged.Load() != 10 {
		t.Errorf("%d of 32 guesses at once were judged", judged.Load())
	}
}

// What is begun is kept until it is over, so no network can begin without end.
func TestDevicesOfOneNetwork(t *testing.T) {
	s := newDevice(t)
	for range 300 {
		s.begin("orders:read").ok(t)
	}
	got := s.begin("orders:read")
	if got.want(t, http.StatusTooManyRequests, "temporarily_unavailable"); got.header.Get("Retry-After") != "60" {
		t.Errorf("%v", got.header)
	}
	s.clock.Advance(time.Minute)
	s.begin("orders:read").ok(t)
}

// attack identity 29: of 32 polls at once one gets the tokens.
func TestDeviceRace(t *testing.T) {
	s := newDevice(t)
	begun := s.begin("orders:read").ok(t)
	must(t, s.approve(begun.text("user_code"), "orders:read"))
	var wg sync.WaitGroup
	answers := make([]answer, 32)
	s.clock.Advance(6 * time.Second)
	v := url.Values{"grant_type": {access.GrantDeviceCode}, "device_code": {begun.text("device_code")}, "client_id": {s.app.ID}}
	for i := range answers {
		wg.Go(func() { answers[i] = s.form("/oauth2/default/v1/token", "", "", v) })
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		if a.status == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of 32 got tokens", won)
	}
}

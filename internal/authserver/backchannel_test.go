package authserver

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
	"gatehouse/internal/grant"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/session"
	"gatehouse/verify"
)

// callee is an app as the back channel sees it: it answers with the statuses in turn,
// the last one for ever; 0 is no answer.
type callee struct {
	mu       sync.Mutex
	statuses []int
	tokens   []string
	hold     chan struct{} // when not nil, no call returns before it is closed
}

func (c *callee) PostForAnswer(_ context.Context, _ string, _ http.Header, body []byte) (safehttp.Answer, error) {
	if c.hold != nil {
		<-c.hold
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return safehttp.Answer{}, err
	}
	c.tokens = append(c.tokens, form.Get("logout_token"))
	status := c.statuses[min(len(c.tokens), len(c.statuses))-1]
	if status == 0 {
		return safehttp.Answer{}, fault.New(fault.Unavailable, "the address could not be reached")
	}
	return safehttp.Answer{Status: status}, nil
}

// signsOut makes an app that is told of the end of sessions, and returns its id.
func (h *house) signsOut(label, uri string) string {
	h.t.Helper()
	made, _, err := h.access.AddApp(h.ctx, h.admin, access.App{
		Label: label, AuthMethod: access.AuthNone, GrantTypes: []string{access.GrantAuthorizationCode},
		OIDC: access.OIDC{ApplicationType: access.AppNative, RedirectURIs: []string{"https://app.test/cb"}, ResponseTypes: []string{"code"}, BackchannelURI: uri},
	}, "", nil)
	must(h.t, err)
	return made.ID
}

func (h *house) logouts(c Caller) *Logouts {
	return NewLogouts(LogoutsConfig{
		Target: func(context.Context, string) (*grant.Target, error) { return h.target(), nil },
		Rings:  h.rings, HTTP: c, Audit: h.audit, Now: h.clock.Now, Waits: make([]time.Duration, 3),
	})
}

// A logout token says what it must, is good for one app alone, and each attempt has
// its own. What is refused is not tried again; what fails by accident is, four times.
func TestBackchannelLogout(t *testing.T) {
	h := newHouse(t)
	app := h.signsOut("shop", "https://app.test/logout")
	other := h.signsOut("without", "")
	for _, c := range []struct {
		name     string
		statuses []int
		calls    int
		result   audit.Result
	}{
		{"taken", []int{200}, 1, audit.Success},
		{"no content", []int{204}, 1, audit.Success},
		{"second time", []int{503, 0, 200}, 3, audit.Success},
		{"refused", []int{400}, 1, audit.Failure},
		{"redirected", []int{302}, 1, audit.Failure},
		{"down", []int{500}, 4, audit.Failure},
	} {
		t.Run(c.name, func(t *testing.T) {
			to := &callee{statuses: c.statuses}
			before := h.events(audit.AppSignedOut)
			l := h.logouts(to)
			l.Ended(h.ctx, []session.Session{{ID: "102s", User: "00u1", Apps: []session.Login{{App: app, Server: "default"}, {App: other}, {App: "0oaGone"}}}})
			l.work.Wait()
			l.Close()
			if len(to.tokens) != c.calls {
				t.Fatalf("%d calls, want %d", len(to.tokens), c.calls)
			}
			seen := map[string]bool{}
			for _, raw := range to.tokens {
				tok := h.logoutToken(raw)
				events, _ := tok.Claim("events")
				m, _ := events.(map[string]any)
				if _, has := m[logoutEvent].(map[string]any); !has || tok.Session != "102s" || tok.Subject != "00u1" || tok.Issuer != h.target().Issuer() ||
					len(tok.Audience) != 1 || tok.Audience[0] != app || tok.Expires != h.clock.Now().Add(2*time.Minute).Unix() || seen[tok.ID] || tok.ID == "" {
					t.Errorf("%+v", tok)
				}
				if _, has := tok.Claim("nonce"); has {
					t.Error("it has a nonce")
				}
				seen[tok.ID] = true
			}
			events := slices.DeleteFunc(h.events(audit.AppSignedOut), func(e audit.Event) bool {
				return slices.ContainsFunc(before, func(o audit.Event) bool { return o.ID == e.ID })
			})
			if len(events) != 1 || events[0].Outcome.Result != c.result || events[0].Targets[0].ID != app || (c.result == audit.Failure) != (events[0].Outcome.Reason != "") {
				t.Errorf("events: %+v", events)
			}
		})
	}
}

// logoutToken verifies a logout token as its signature and type alone say.
func (h *house) logoutToken(raw string) *verify.Token {
	h.t.Helper()
	jws, err := verify.Parse([]byte(raw), 1<<14)
	must(h.t, err)
	ring, err := h.rings.Ring(h.ctx, h.target().Tenant, h.target().Server)
	must(h.t, err)
	key, err := ring.KeySource().Key(h.ctx, jws.KeyID, jws.Algorithm)
	must(h.t, err)
	if !jws.Verify(key) || jws.Type != "logout+jwt" {
		h.t.Fatalf("not signed by us, or of type %q", jws.Type)
	}
	tok, err := verify.FromClaims(jws.Payload, verify.ClaimNames{})
	must(h.t, err)
	return tok
}

// A logout token is no access token, and is no hint of who is signed in.
func TestLogoutTokensAreNothingElse(t *testing.T) {
	h := newHouse(t)
	a := h.app("resource server", "orders:read")
	to := &callee{statuses: []int{200}}
	l := h.logouts(to)
	l.Ended(h.ctx, []session.Session{{ID: "102s", User: "00u1", Apps: []session.Login{{App: h.signsOut("shop", "https://app.test/logout"), Server: "default"}}}})
	l.Close()
	if h.active(a, to.tokens[0]) {
		t.Error("introspection takes it for an access token")
	}
	if hint, err := h.server.readHint(h.ctx, h.target(), to.tokens[0]); hint != nil || err != nil {
		t.Errorf("taken for an ID token: %+v %v", hint, err)
	}
}

// An app that never answers holds up no other, and no more is kept than there is
// room for.
func TestBackchannelLogoutIsBounded(t *testing.T) {
	h := newHouse(t)
	slow := &callee{statuses: []int{200}, hold: make(chan struct{})}
	l := h.logouts(slow)
	stuck := h.signsOut("stuck", "https://app.test/logout")
	var list []session.Session
	for range maxLogouts + 3 {
		list = append(list, session.Session{ID: "102s", User: "00u1", Apps: []session.Login{{App: stuck, Server: "default"}}})
	}
	l.Ended(h.ctx, list)
	if l.pending != maxLogouts || cap(l.each[stuck].slots) >= cap(l.slots) {
		t.Errorf("%d on their way", l.pending)
	}
	if got := h.events(audit.AppSignedOut); len(got) != 3 || got[0].Outcome.Result != audit.Failure {
		t.Errorf("what has no room: %+v", got)
	}
	slow.mu.Lock()
	slow.statuses = []int{400}
	slow.mu.Unlock()
	close(slow.hold)
	l.Close()
	if len(l.each) != 0 || l.pending != 0 {
		t.Error("something is left")
	}
}

// attack identity 34: the address of an app may not lead inside, whatever it says.
func TestBackchannelLogoutLeadsNowhereInside(t *testing.T) {
	h := newHouse(t)
	inside := h.logouts(safehttp.New(safehttp.Config{}))
	for _, uri := range []string{"http://169.254.169.254/latest", "https://127.0.0.1:1/x", "https://[::ffff:10.0.0.1]/x", h.url} {
		inside.Ended(h.ctx, []session.Session{{ID: "102s", User: "00u1", Apps: []session.Login{{App: h.signsOut(uri, uri), Server: "default"}}}})
		inside.work.Wait()
	}
	got := h.events(audit.AppSignedOut)
	for _, e := range got {
		if e.Outcome.Result != audit.Failure || e.Debug["attempts"] != "1" || !strings.HasPrefix(e.Outcome.Reason, "the address") {
			t.Errorf("%+v", e)
		}
	}
	if len(got) != 4 {
		t.Errorf("%d events", len(got))
	}
	inside.Close()
}

package gateway

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/fault"
	"gatehouse/internal/spec"
	"gatehouse/verify"
)

func TestSnapshotSurvivesARestart(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	c.Snapshot = filepath.Join(t.TempDir(), "snapshot")
	s := explainSnapshot()
	s.Revision = 7
	g := newTestGateway(t, c, s)
	if st := g.Status(); st.Revision != 7 || st.Routes != 3 || st.APIs != 1 || !st.Persists || st.FromDisk || st.Error != "" {
		t.Errorf("%+v", st)
	}
	info, err := os.Stat(c.Snapshot)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	got, err := ReadSnapshot(c.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got); diff != "" {
		t.Error(diff)
	}
	second, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l := newLane("GET", "/hr/health")
	second.ServeExchange(l)
	if l.status != 503 || l.reason() != "overloaded" {
		t.Errorf("before anything is loaded: %d %s", l.status, l.reason())
	}
	if err := second.LoadFromDisk(t.Context()); err != nil {
		t.Fatal(err)
	}
	l = newLane("GET", "/hr/health")
	second.ServeExchange(l)
	if l.status != 200 || !second.Status().FromDisk || second.Revision() != 7 {
		t.Errorf("%d %+v", l.status, second.Status())
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := second.Load(t.Context(), s); !fault.Is(err, fault.Unavailable) {
		t.Errorf("loading into a closed gateway: %v", err)
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	c := ConfigFor(t)
	dir := t.TempDir()
	c.Snapshot = filepath.Join(dir, "snapshot")
	newTestGateway(t, c, OrdersSnapshotPublic())
	good, err := os.ReadFile(c.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"cut":           string(good[:len(good)-1]),
		"longer":        string(good) + " ",
		"changed":       strings.Replace(string(good), `"public"`, `"publik"`, 1),
		"empty":         "",
		"other version": strings.Replace(string(good), "snapshot 1 ", "snapshot 2 ", 1),
		"other file":    "hello\nworld",
	} {
		path := filepath.Join(dir, "damaged")
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadSnapshot(path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadSnapshot(filepath.Join(dir, "none")); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// attack gateway 73: a change that cannot be served changes nothing, and nothing
// is accepted that would not be enforced.
func TestFailedLoadsKeepTheOld(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	c := ConfigFor(t, iss)
	dir := t.TempDir()
	c.Snapshot = filepath.Join(dir, "snapshot")
	closed := new(atomic.Int32)
	c.Backend = func(spec.API, Backend) (Backend, error) { return &closingBackend{closed: closed}, nil }
	g := newTestGateway(t, c, explainSnapshot())
	before, err := os.ReadFile(c.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	route := func(r spec.Route) func(*spec.Snapshot) {
		return func(s *spec.Snapshot) { s.APIs[0].Routes = append(s.APIs[0].Routes, r) }
	}
	for name, x := range map[string]struct {
		change func(*spec.Snapshot)
		code   fault.Code
		says   string
	}{
		"empty policy":     {func(s *spec.Snapshot) { s.Policies = []spec.Policy{{Name: "p"}} }, fault.Invalid, "policies"},
		"when":             {route(spec.Route{Method: "GET", Path: "/n", When: "x"}), fault.Invalid, "conditions"},
		"public and when":  {route(spec.Route{Method: "GET", Path: "/n", Public: true, When: "true"}), fault.Invalid, "public"},
		"public and mfa":   {route(spec.Route{Method: "GET", Path: "/n", Public: true, MFA: 1e9}), fault.Invalid, "not be enforced"},
		"public and acr":   {route(spec.Route{Method: "GET", Path: "/n", Public: true, ACR: []string{"phr"}}), fault.Invalid, "not be enforced"},
		"negative age":     {route(spec.Route{Method: "GET", Path: "/n", MaxAge: -1}), fault.Invalid, "positive"},
		"unknown zone":     {route(spec.Route{Method: "GET", Path: "/n", Zones: []string{"office"}}), fault.Invalid, `no zone "office"`},
		"bad zone":         {func(s *spec.Snapshot) { s.Zones = []spec.Zone{{Name: "z", Networks: []string{"10.0.0.1/8"}}} }, fault.Invalid, "zone z"},
		"empty zone":       {func(s *spec.Snapshot) { s.Zones = []spec.Zone{{Name: "z"}} }, fault.Invalid, "no networks"},
		"country":          {func(s *spec.Snapshot) { s.Zones = []spec.Zone{{Name: "z", Networks: []string{"country:DE"}}} }, fault.Invalid, "server.geo.country"},
		"opaque":           {func(s *spec.Snapshot) { s.Issuers[0].Tokens = "opaque" }, fault.Unsupported, "tokens"},
		"no audience":      {func(s *spec.Snapshot) { s.Issuers[0].Audience = nil }, fault.Invalid, "audience"},
		"unknown issuer":   {func(s *spec.Snapshot) { s.APIs[0].Auth = []string{"x"} }, fault.Invalid, `no issuer "x"`},
		"no issuer":        {func(s *spec.Snapshot) { s.APIs[0].Auth = nil }, fault.Invalid, "set auth"},
		"duplicate":        {route(spec.Route{Method: "GET", Path: "/vacations/{other}"}), fault.Invalid, "already"},
		"bad path":         {route(spec.Route{Method: "GET", Path: "/a/../b"}), fault.Invalid, "can never match"},
		"bad method":       {route(spec.Route{Method: "get", Path: "/n"}), fault.Invalid, "method"},
		"trace":            {route(spec.Route{Method: "TRACE", Path: "/n"}), fault.Invalid, "never passed on"},
		"public and scope": {route(spec.Route{Method: "GET", Path: "/n", Public: true, Scopes: [][]string{{"x"}}}), fault.Invalid, "not be enforced"},
		"empty set":        {route(spec.Route{Method: "GET", Path: "/n", Scopes: [][]string{{}}}), fault.Invalid, "empty set"},
		"bad limit":        {route(spec.Route{Method: "GET", Path: "/n", Limits: []spec.Limit{{Count: 0, Period: 1, Per: "ip"}}}), fault.Invalid, "limit"},
		"bad subject":      {route(spec.Route{Method: "GET", Path: "/n", Limits: []spec.Limit{{Count: 1, Period: 1, Per: "moon"}}}), fault.Invalid, "moon"},
		"many limits":      {func(s *spec.Snapshot) { s.APIs[0].Limits = make([]spec.Limit, 9) }, fault.Invalid, "limit"},
		"bad base":         {func(s *spec.Snapshot) { s.APIs[0].BasePath = "/x/" }, fault.Invalid, "base path"},
		"bad host":         {func(s *spec.Snapshot) { s.APIs[0].Host = "API.test" }, fault.Invalid, "host"},
		"two of a name":    {func(s *spec.Snapshot) { s.APIs = append(s.APIs, s.APIs[0]) }, fault.Invalid, "two APIs"},
		"our header":       {func(s *spec.Snapshot) { s.APIs[0].Headers.Claims = map[string]string{"X-User-ID": "sub"} }, fault.Invalid, "meaning of its own"},
		"framing header":   {func(s *spec.Snapshot) { s.APIs[0].Headers.Claims = map[string]string{"content-length": "x"} }, fault.Invalid, "meaning of its own"},
		"header name":      {func(s *spec.Snapshot) { s.APIs[0].Headers.Claims = map[string]string{"X_A": "x"} }, fault.Invalid, "letters"},
		"header injection": {func(s *spec.Snapshot) { s.APIs[0].Headers.Claims = map[string]string{"X-A: b\r\nY": "x"} }, fault.Invalid, "letters"},
		"header twice":     {func(s *spec.Snapshot) { s.APIs[0].Headers.Claims = map[string]string{"X-A": "x", "x-a": "y"} }, fault.Invalid, "one header"},
		"unknown forward":  {func(s *spec.Snapshot) { s.APIs[0].Headers.Forward = []string{"X-Else"} }, fault.Invalid, "headers.forward"},
	} {
		s := explainSnapshot()
		s.Revision = 2
		x.change(&s)
		err := g.Load(t.Context(), s)
		if !fault.Is(err, x.code) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
		if g.Check(s) == nil {
			t.Errorf("%s: Check finds nothing", name)
		}
		if st := g.Status(); st.Revision != 1 || st.Error != err.Error() {
			t.Errorf("%s: %+v", name, st)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := explainSnapshot()
	s.Revision = 3
	if err := g.Load(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled load: %v", err)
	}
	if err := writeSnapshot(c.Snapshot, explainSnapshot()); err != nil { // what the cancelled load wrote
		t.Fatal(err)
	}
	g.config.Snapshot = filepath.Join(dir, "no", "such", "folder")
	if err := g.Load(t.Context(), s); err == nil || g.Revision() != 1 {
		t.Errorf("a snapshot that cannot be kept: %v, revision %d", err, g.Revision())
	}
	after, err := os.ReadFile(c.Snapshot)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file has changed: %v", err)
	}
	l := newLane("GET", "/hr/health")
	g.ServeExchange(l)
	if l.status != 204 {
		t.Errorf("status %d", l.status)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("something is left behind: %v %v", files, err)
	}
}

// closingBackend counts how often backends are closed.
type closingBackend struct{ closed *atomic.Int32 }

// Serve implements Backend.
func (b *closingBackend) Serve(ex *Exchange) error {
	return (&backendFunc{func(ex *Exchange) error { r := newResponse(204); return ex.Relay(r) }}).Serve(ex)
}

// Close implements io.Closer.
func (b *closingBackend) Close() error {
	b.closed.Add(1)
	return nil
}

// Backends live on over a reload when they are handed out again, and are closed
// once when they are not, or when the snapshot that made them did not come to be.
func TestBackendsAreClosedOnce(t *testing.T) {
	c := ConfigFor(t)
	keep := false
	closed := new(atomic.Int32)
	c.Backend = func(_ spec.API, previous Backend) (Backend, error) {
		if keep && previous != nil {
			return previous, nil
		}
		return &closingBackend{closed: closed}, nil
	}
	g := newTestGateway(t, c, OrdersSnapshotPublic())
	load := func(s spec.Snapshot, wantErr bool, want int32) {
		t.Helper()
		if err := g.Load(t.Context(), s); (err != nil) != wantErr {
			t.Fatal(err)
		}
		if n := closed.Load(); n != want {
			t.Fatalf("%d closed, want %d", n, want)
		}
	}
	load(OrdersSnapshotPublic(), false, 1) // the old one
	bad := OrdersSnapshotPublic()
	bad.APIs[0].Routes = append(bad.APIs[0].Routes, spec.Route{Method: "GET", Path: "/y", Zones: []string{"nowhere"}})
	load(bad, true, 2) // the one that was made for nothing
	keep = true
	load(OrdersSnapshotPublic(), false, 2)
	load(bad, true, 2) // the one that is served goes on
	empty := OrdersSnapshotPublic()
	empty.APIs = nil
	load(empty, false, 3)
}

func TestConfigIsComplete(t *testing.T) {
	if _, err := New(Config{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}

// Two configured issuers may share a URL for different audiences; each API
// accepts its own.
func TestOneIssuerTwoAudiences(t *testing.T) {
	iss := NewIssuerFor(t, "https://issuer.test")
	s := OrdersSnapshot(spec.Route{Method: "GET", Path: "/x"})
	s.Issuers = append(s.Issuers, spec.Issuer{Name: "second", URL: iss.URL, Audience: []string{"api://second"}})
	s.APIs = append(s.APIs, spec.API{
		Name: "second", BasePath: "/second", Auth: []string{"second"}, Upstream: s.APIs[0].Upstream,
		Routes: []spec.Route{{Method: "GET", Path: "/x"}},
	})
	c := ConfigFor(t, iss)
	g := newTestGateway(t, c, s)
	for _, x := range []struct{ path, aud, reason string }{
		{"/x", "api://test", ""},
		{"/second/x", "api://second", ""},
		{"/x", "api://second", "wrong_audience"},
		{"/second/x", "api://test", "wrong_audience"},
	} {
		l := newLane("GET", x.path, "Authorization", "Bearer "+iss.Token(t, Claims{"aud": x.aud}))
		g.ServeExchange(l)
		if l.reason() != x.reason {
			t.Errorf("%s with %s: %s", x.path, x.aud, l.reason())
		}
	}
	other := NewIssuerFor(t, iss.URL)
	n := 0
	c.Issuer = func(spec.Issuer) (verify.Issuer, error) {
		n++
		return verify.Issuer{URL: iss.URL, Keys: []*FakeIssuer{iss, other}[n%2].Keys}, nil
	}
	g2, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := g2.Load(t.Context(), s); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "other keys") {
		t.Errorf("%v", err)
	}
}

// An exchange ends with the snapshot that it began with.
func TestExchangesKeepTheirSnapshot(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	c := ConfigFor(t)
	c.Backend = func(spec.API, Backend) (Backend, error) {
		return &backendFunc{func(ex *Exchange) error {
			close(entered)
			<-leave
			return ex.Relay(newResponse(200))
		}}, nil
	}
	g := newTestGateway(t, c, OrdersSnapshotPublic())
	l := newLane("GET", "/x")
	done := make(chan struct{})
	go func() { defer close(done); g.ServeExchange(l) }()
	<-entered
	s := OrdersSnapshotPublic()
	s.Revision, s.APIs = 2, nil
	if err := g.Load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	close(leave)
	select {
	case <-done:
	case <-time.After(Patience):
		t.Fatal("the exchange did not end")
	}
	tr, _ := g.Decision(l.fields["X-Request-ID"][0])
	if l.status != 200 || tr.Decision.Revision != 1 {
		t.Errorf("%d %+v", l.status, tr.Decision)
	}
}

package authserver

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/grant"
	"gatehouse/internal/issued"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/revocation"
	"gatehouse/internal/session"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// house is a whole identity node on SQLite and a loopback address.
type house struct {
	t       testing.TB
	ctx     context.Context // carries the tenant
	clock   *clock
	db      *store.DB
	ledger  *ledger.Ledger
	views   *access.Views
	rings   *grant.Rings
	sealer  *keys.Sealer
	access  *access.Service
	people  *directory.Service
	issuer  *grant.Issuer
	grants  *issued.Service
	codes   *grant.Codes
	devices *grant.Devices
	bus     *cluster.Local
	revoked *revocation.Set
	audit   *audit.Writer
	server  *Server
	config  Config
	web     *httptest.Server
	url     string
	logs    *lockedBuffer
	admin   ledger.Actor
}

type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newHouse builds the node; everything ends with the test.
func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{
		t: t, ctx: tenant.With(context.Background(), tenant.Default),
		clock: &clock{now: time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)},
		logs:  &lockedBuffer{}, admin: ledger.System("test"),
	}
	log := slog.New(slog.NewJSONHandler(h.logs, nil))
	db, err := store.Open(h.ctx, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "gatehouse.db"), Clock: h.clock.Now})
	must(t, err)
	t.Cleanup(func() { must(t, db.Close()) })
	h.db = db
	registry, err := ledger.NewRegistry(append(access.Kinds(), directory.Kinds()...)...)
	must(t, err)
	h.bus = cluster.NewLocal(cluster.LocalConfig{Now: h.clock.Now})
	h.ledger, err = ledger.New(ledger.Config{
		Store: db.Ledger(), Registry: registry, Clock: h.clock.Now,
		Committed: func(tn tenant.ID, r ledger.Revision) {
			if err := h.bus.PublishRevision(context.Background(), tn, int64(r)); err != nil {
				t.Errorf("publish revision: %v", err)
			}
		},
	})
	must(t, err)
	h.startAudit(log)
	h.views = access.NewViews(access.ViewsConfig{Ledger: h.ledger, Now: h.clock.Now, Log: log})
	_, err = h.bus.Join("views", "identity", h.views)
	must(t, err)
	sealer, err := keys.NewSealer(keys.SealKey{ID: "k1", Secret: [32]byte{1}})
	must(t, err)
	h.sealer = sealer
	h.rings = grant.NewRings(grant.RingsConfig{Store: db.SigningKeys(), Sealer: sealer, Now: h.clock.Now, Log: log})
	t.Cleanup(func() { must(t, h.rings.Close()) })
	h.access = access.NewService(access.ServiceConfig{Ledger: h.ledger, Views: h.views, Audit: h.audit, Rings: h.rings, Sealer: sealer})
	h.people = directory.NewService(directory.Config{
		Ledger: h.ledger, Audit: h.audit,
		Passwords: keys.NewPasswords(keys.PasswordConfig{MemoryKiB: 64, Iterations: 1, Lanes: 1}),
	})
	must(t, h.access.EnsureTenant(h.ctx, h.admin))
	h.serve(log)
	return h
}

// inForce puts what is told on the bus into the node's set.
type inForce struct{ *house }

func (h inForce) Revoked(_ context.Context, r cluster.Revocation) error {
	return h.revoked.Add(h.clock.Now(), r)
}

func (inForce) Revised(context.Context, tenant.ID, int64) {}

func (h *house) startAudit(log *slog.Logger) {
	h.audit = audit.NewWriter(audit.WriterConfig{
		Sink: h.db, NewID: func() string { return keys.ID("evt") }, Now: h.clock.Now, Log: log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = h.audit.Run(ctx) }()
	h.t.Cleanup(func() { cancel(); <-done })
}

func (h *house) serve(log *slog.Logger) {
	t := h.t
	h.revoked = revocation.New(revocation.Config{Loaded: true})
	_, err := h.bus.Join("identity", "identity", inForce{h})
	must(t, err)
	clients, err := grant.NewClients(grant.ClientsConfig{SingleUse: h.db, Sealer: h.sealer, Audit: h.audit, Now: h.clock.Now})
	must(t, err)
	minter := grant.NewMinter(grant.MinterConfig{Rings: h.rings, Now: h.clock.Now})
	h.issuer = grant.NewIssuer(grant.IssuerConfig{Minter: minter, People: h.people, Audit: h.audit})
	judge := grant.NewJudge(grant.JudgeConfig{Persons: h.access, Consents: h.access, Now: h.clock.Now})
	h.grants = issued.NewService(issued.Config{Store: h.db, Bus: h.bus, Now: h.clock.Now})
	h.codes = grant.NewCodes(grant.CodesConfig{Store: h.db, Judge: judge, Minter: minter, Now: h.clock.Now})
	h.devices = grant.NewDevices(grant.DevicesConfig{Store: h.db, Judge: judge, Now: h.clock.Now})
	inspector, err := grant.NewInspector(grant.InspectorConfig{Rings: h.rings, Revoked: h.revoked, Now: h.clock.Now})
	must(t, err)
	h.config = Config{
		Inspector: inspector,
		Site:      func(*http.Request) (Site, bool) { return Site{Tenant: tenant.Default, URL: h.url}, true },
		Views:     h.views, Rings: h.rings, Clients: clients,
		Login: pages{}, Waiting: session.NewRoom(session.RoomConfig{Store: h.db, Now: h.clock.Now}),
		Tokens: grant.New(grant.Config{
			Clients: clients, Minter: minter, Audit: h.audit, Log: log, Now: h.clock.Now,
			Proofs: grant.NewProofs(grant.ProofsConfig{SingleUse: h.db, Key: []byte("a key of the test"), Now: h.clock.Now}), Judge: judge, Codes: h.db, Refresh: h.db, Devices: h.db, Grants: h.grants,
			Derived: h.db, Inspector: inspector, Users: h.people, Single: h.db,
		}),
		Refresh: h.db, Grants: h.grants, Devices: h.devices, DevicePage: "/activate", Backchannel: true,
		Revocations: h.db, Bus: h.bus, Revoked: h.revoked, Audit: h.audit, Now: h.clock.Now, Log: log,
	}
	h.server, err = New(h.config)
	must(t, err)
	h.web = httptest.NewServer(h.server)
	h.url = h.web.URL
	t.Cleanup(h.web.Close)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// app makes an app for client credentials and scopes for it to ask for.
func (h *house) app(label string, scopes ...string) access.Created {
	h.t.Helper()
	if len(scopes) > 0 {
		_, err := h.access.EnsureScopes(h.ctx, h.admin, access.DefaultServer, scopes, "for the test")
		must(h.t, err)
	}
	a, err := h.access.CreateApp(h.ctx, h.admin, access.NewApp{Label: label})
	must(h.t, err)
	return a
}

func (h *house) setAlgorithm(alg string) {
	h.t.Helper()
	must(h.t, h.access.UpdateServer(h.ctx, h.admin, access.DefaultServer, access.ServerSettings{Algorithm: &alg}))
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (a answer) text(name string) string { s, _ := a.json[name].(string); return s }

// call sends one request.
func (h *house) call(method, path, body string, header ...string) answer {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.ctx, method, h.url+path, strings.NewReader(body))
	must(h.t, err)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] == "" {
			req.Header.Del(header[i])
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	return h.do(req)
}

func (h *house) do(req *http.Request) answer {
	h.t.Helper()
	res, err := h.web.Client().Do(req)
	must(h.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(h.t, err)
	a := answer{status: res.StatusCode, header: res.Header, body: string(raw)}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.json); err != nil {
			h.t.Fatalf("answer %d is not JSON: %s", res.StatusCode, raw)
		}
	}
	return a
}

// form posts a form with HTTP Basic authentication, unless id is empty.
func (h *house) form(path, id, secret string, values url.Values) answer {
	h.t.Helper()
	if id == "" {
		return h.call(http.MethodPost, path, values.Encode())
	}
	return h.call(http.MethodPost, path, values.Encode(), "Authorization", basic(id, secret))
}

func basic(id, secret string) string {
	r, err := http.NewRequest(http.MethodGet, "/", http.NoBody)
	if err != nil {
		panic(err)
	}
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	return r.Header.Get("Authorization")
}

// token gets a token by client credentials.
func (h *house) token(a access.Created, scope string) string {
	h.t.Helper()
	got := h.form("/oauth2/default/v1/token", a.ID, a.Secret, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	if got.status != http.StatusOK {
		h.t.Fatalf("token: %d %s", got.status, got.body)
	}
	return got.text("access_token")
}

func (h *house) introspect(a access.Created, token string) answer {
	h.t.Helper()
	return h.form("/oauth2/default/v1/introspect", a.ID, a.Secret, url.Values{"token": {token}})
}

// active introspects and reports whether the token is active.
func (h *house) active(a access.Created, token string) bool {
	h.t.Helper()
	got := h.introspect(a, token)
	if got.status != http.StatusOK {
		h.t.Fatalf("introspect: %d %s", got.status, got.body)
	}
	on, _ := got.json["active"].(bool)
	return on
}

// target is the default server as the handlers see it.
func (h *house) target() *grant.Target {
	h.t.Helper()
	view, err := h.views.Get(h.ctx, tenant.Default)
	must(h.t, err)
	s, ok := view.Server(access.DefaultServer)
	if !ok {
		h.t.Fatal("no default server")
	}
	return &grant.Target{Tenant: tenant.Default, URL: h.url, View: view, Server: s}
}

// events returns the tenant's system log so far.
func (h *house) events(types ...string) []audit.Event {
	h.t.Helper()
	must(h.t, h.audit.Flush(h.ctx))
	out, _, err := audit.NewLog(h.db).Query(h.ctx, audit.Query{Tenant: tenant.Default, Types: types, Limit: 1000})
	must(h.t, err)
	return out
}

// history is everything that the ledger has ever held, as text.
func (h *house) history() string {
	h.t.Helper()
	var b strings.Builder
	must(h.t, h.ledger.View(h.ctx, func(tx *ledger.Tx) error {
		for before := (ledger.Place{}); ; {
			changes, err := tx.History(ledger.HistoryQuery{Before: before})
			if err != nil || len(changes) == 0 {
				return err
			}
			for _, c := range changes {
				b.Write(c.Before)
				b.Write(c.After)
				b.WriteString(c.Reason)
				b.WriteString(c.ID)
			}
			last := changes[len(changes)-1]
			before = ledger.Place{Revision: last.Revision, Part: last.Part}
		}
	}))
	return b.String()
}

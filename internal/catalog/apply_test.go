package catalog

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/spec"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// house is a ledger on a store of its own.
type house struct {
	t      *testing.T
	ctx    context.Context
	ledger *ledger.Ledger
	actor  ledger.Actor
}

func newHouse(t *testing.T) *house {
	t.Helper()
	ctx := tenant.With(t.Context(), tenant.Default)
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	registry, err := ledger.NewRegistry(Kinds()...)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.New(ledger.Config{Store: db.Ledger(), Registry: registry, Guards: []ledger.Guard{Guard(spec.Rules{})}})
	if err != nil {
		t.Fatal(err)
	}
	return &house{t: t, ctx: ctx, ledger: l, actor: ledger.Actor{Type: "file", ID: "gatehouse.yaml"}}
}

// orders is a small declaration; tests make their changes to it.
func orders(change ...func(*Declared)) Declared {
	d := Declared{File: "gatehouse.yaml", Digest: "d1", Snapshot: spec.Snapshot{
		Issuers: []spec.Issuer{{Name: "okta", URL: "https://acme.okta.com", Audience: []string{"api://orders"}}},
		APIs: []spec.API{{
			Name: "orders", BasePath: "/orders", Auth: []string{"okta"},
			Upstream: spec.Upstream{Targets: []string{"http://orders:8080", "http://secret-host:1"}, Timeout: spec.Duration(5 * time.Second)},
			Limits:   []spec.Limit{{Count: 100, Period: spec.Duration(time.Minute), Per: "client"}},
			Routes: []spec.Route{
				{Method: "GET", Path: "/health", Public: true},
				{Method: "GET", Path: "/{id}", Scopes: [][]string{{"orders:read"}}},
			},
		}},
		Sources: map[string]string{"apis.orders": "gatehouse.yaml:9:3"},
	}, Secrets: map[string]string{"apis.orders.upstream.targets[1]": "${env:SECOND}"}}
	for _, c := range change {
		c(&d)
	}
	return d
}

func (h *house) try(d Declared) (Result, error) { return Apply(h.ctx, h.ledger, d, h.actor) }

func (h *house) apply(d Declared) Result {
	h.t.Helper()
	r, err := h.try(d)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

// byHand changes something without a file.
func (h *house) byHand(f func(*ledger.Tx) error) error {
	_, err := h.ledger.Update(h.ctx, ledger.Actor{Type: "user", ID: "00u1"}, "by hand", f)
	return err
}

func (h *house) snapshot() (s spec.Snapshot) {
	h.t.Helper()
	if err := h.ledger.View(h.ctx, func(tx *ledger.Tx) (err error) { s, err = Snapshot(tx); return err }); err != nil {
		h.t.Fatal(err)
	}
	return s
}

func TestApplyAndSnapshot(t *testing.T) {
	h := newHouse(t)
	d := orders()

	dry := d
	dry.DryRun = true
	if r := h.apply(dry); r.Revision != 0 || len(r.Changes) != 2 {
		t.Errorf("dry run: revision %d, %d changes", r.Revision, len(r.Changes))
	}
	if s := h.snapshot(); s.Revision != 0 || len(s.APIs) != 0 {
		t.Errorf("a dry run wrote something: %+v", s)
	}

	r := h.apply(d)
	if r.Revision != 1 || len(r.Changes) != 2 {
		t.Errorf("revision %d, changes %+v", r.Revision, r.Changes)
	}
	want := d.Snapshot
	want.Tenant, want.Revision = "default", 1
	if diff := cmp.Diff(want, h.snapshot(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	if r := h.apply(d); r.Revision != 1 || !r.Empty() {
		t.Errorf("applying the same again made revision %d: %+v", r.Revision, r.Changes)
	}
}

// Moving lines changes the manifest and no object.
func TestSourcesAreInTheManifestAlone(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	r := h.apply(orders(func(d *Declared) {
		d.Digest = "d2"
		d.Snapshot.Sources = map[string]string{"apis.orders": "gatehouse.yaml:10:3"}
	}))
	if r.Revision != 2 || !r.Empty() {
		t.Errorf("revision %d, changes %+v", r.Revision, r.Changes)
	}
	changes, err := h.ledger.ChangesSince(h.ctx, 1, 10)
	if err != nil || len(changes) != 1 || changes[0].Kind != KindManifest {
		t.Errorf("changes %+v, %v", changes, err)
	}
	if s := h.snapshot(); s.Sources["apis.orders"] != "gatehouse.yaml:10:3" {
		t.Errorf("sources %v", s.Sources)
	}
}

func TestDiffForPeople(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	r := h.apply(orders(func(d *Declared) {
		a := &d.Snapshot.APIs[0]
		a.Upstream.Timeout, a.Upstream.Targets[1] = 0, "http://other-host:1"
		a.Limits = append(a.Limits, spec.Limit{Count: 5, Period: spec.Duration(time.Second), Per: "ip"})
		a.Routes[1].Scopes = [][]string{{"orders:read"}, {"orders:admin", "orders:all"}}
		a.Routes = append(a.Routes, spec.Route{Method: "POST", Path: "/", MaxBody: 1 << 20, Scopes: [][]string{{"orders:write"}}}, spec.Route{Method: "PUT", Path: "/me"})
		a.MaxBody = 1 << 21
		d.Snapshot.Issuers = append(d.Snapshot.Issuers, spec.Issuer{Name: "own", Builtin: "default"})
	}))
	var b strings.Builder
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	want := `~ apis.orders
    - limit: [100/min per client]
    + limit: [100/min per client, 5/s per ip]
    + max_body: 2MiB
    + routes.POST /.max_body: 1MiB
    + routes.POST /.scopes: [[orders:write]]
    + routes.PUT /me: any caller with a token
    - routes.GET /{id}.scopes: [[orders:read]]
    + routes.GET /{id}.scopes: [[orders:read], [orders:admin, orders:all]]
    - upstream.targets: [http://orders:8080, ${env:SECOND}]
    + upstream.targets: [http://orders:8080, ${env:SECOND}] (its value has changed)
    - upstream.timeout: 5s
+ issuers.own
    + builtin: default
`
	lines := func(s string) []string { return strings.Split(s, "\n") }
	if d := cmp.Diff(lines(want), lines(b.String()), cmpopts.SortSlices(func(a, b string) bool { return a < b })); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if strings.Contains(b.String(), "secret-host") || strings.Contains(b.String(), "other-host") {
		t.Errorf("a value from outside of the file is shown:\n%s", b.String())
	}
}

// A setting that is a reference as a whole is shown as such, whatever it holds.
func TestDiffShowsReferences(t *testing.T) {
	h := newHouse(t)
	r := h.apply(orders(func(d *Declared) {
		d.Secrets = map[string]string{"apis.orders.upstream": "${env:UPSTREAM}", "issuers.okta.url": "${env:ISSUER}"}
		d.Snapshot.APIs[0].Upstream = spec.Upstream{Targets: []string{"http://secret-host"}}
	}))
	var b strings.Builder
	if err := r.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"+ upstream.targets: ${env:UPSTREAM}", "+ url: ${env:ISSUER}"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "secret-host") || strings.Contains(b.String(), "acme") {
		t.Errorf("a value from outside of the file is shown:\n%s", b.String())
	}
}

func TestAFileOwnsWhatItDeclares(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())

	// Nobody else changes it.
	err := h.byHand(func(tx *ledger.Tx) error {
		o, err := APIs.Find(tx, nameKey("orders"))
		if err != nil {
			return err
		}
		o.Value.MaxBody = 5
		_, err = APIs.Put(tx, o)
		return err
	})
	if !fault.Is(err, fault.Conflict) || fault.Of(err).Reason != "managed" {
		t.Errorf("changed by hand: %v", err)
	}

	// Another file does not take it over, adopting or not.
	for _, adopt := range []bool{false, true} {
		other := orders(func(d *Declared) { d.File, d.Adopt = "other.yaml", adopt })
		if _, err := h.try(other); !fault.Is(err, fault.Conflict) {
			t.Errorf("declared by two files, adopt %v: %v", adopt, err)
		}
	}

	// What it declares no more is deleted, and only that.
	err = h.byHand(func(tx *ledger.Tx) error {
		_, err := Issuers.Create(tx, spec.Issuer{Name: "hand", Builtin: "default"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.apply(Declared{File: "gatehouse.yaml"})
	s := h.snapshot()
	if len(s.APIs) != 0 || len(s.Issuers) != 1 || s.Issuers[0].Name != "hand" {
		t.Errorf("left: %+v", s)
	}
}

func TestWhatWasMadeElsewhereIsAdoptedOrRefused(t *testing.T) {
	h := newHouse(t)
	err := h.byHand(func(tx *ledger.Tx) error {
		_, err := Issuers.Create(tx, spec.Issuer{Name: "okta", Builtin: "default"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.try(orders())
	if f := fault.Of(err); !fault.Is(err, fault.Conflict) || f.Reason != "not_adopted" || len(f.Fields) != 1 || f.Fields[0].Path != "issuers.okta" {
		t.Fatalf("taken over without being asked: %v", err)
	}
	if s := h.snapshot(); len(s.APIs) != 0 || s.Issuers[0].Builtin != "default" {
		t.Errorf("a refused apply wrote something: %+v", s)
	}
	h.apply(orders(func(d *Declared) { d.Adopt = true }))
	if s := h.snapshot(); s.Issuers[0].URL != "https://acme.okta.com" || len(s.APIs) != 1 {
		t.Errorf("not adopted: %+v", s)
	}
}

// References hold: an issuer stays as long as an API takes its tokens.
func TestReferences(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	if _, err := h.try(orders(func(d *Declared) { d.Snapshot.Issuers = nil })); err == nil {
		t.Error("an API without its issuer was written")
	}
	err := h.ledger.View(h.ctx, func(tx *ledger.Tx) error {
		o, err := Issuers.Find(tx, nameKey("okta"))
		if err != nil {
			return err
		}
		by, err := Issuers.Referrers(tx, o.ID, 5)
		if len(by) != 1 || by[0].Kind != KindAPI || by[0].Field != "ids.issuers.okta" {
			t.Errorf("who uses okta: %+v", by)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The guard sees the whole, whoever writes.
func TestTheWholeIsChecked(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	for name, c := range map[string]struct {
		s    spec.Snapshot
		code fault.Code
		says string
	}{
		"two APIs at one address": {spec.Snapshot{APIs: []spec.API{{
			Name: "twin", BasePath: "/orders", Auth: []string{"okta"}, Upstream: spec.Upstream{Targets: []string{"http://x"}},
			Routes: []spec.Route{{Method: "GET", Path: "/{number}", Scopes: [][]string{{"s"}}}},
		}}}, fault.Invalid, "same address"},
		"a balance that nobody enforces": {spec.Snapshot{APIs: []spec.API{{
			Name: "hashed", BasePath: "/hashed", Auth: []string{"okta"}, Upstream: spec.Upstream{Targets: []string{"http://x"}, Balance: "hash(ip)"},
			Routes: []spec.Route{{Method: "GET", Path: "/", Scopes: [][]string{{"s"}}}},
		}}}, fault.Unsupported, "not supported yet"},
		"a policy that permits": {spec.Snapshot{Policies: []spec.Policy{{Name: "p", Text: "permit (principal, action, resource);"}}}, fault.Invalid, "can only tighten"},
		"a plain secret":        {spec.Snapshot{Issuers: []spec.Issuer{{Name: "p", URL: "https://p.test", Audience: []string{"x"}, ClientSecret: "hunter2"}}}, fault.Invalid, "client_secret"},
		"an issuer over http":   {spec.Snapshot{Issuers: []spec.Issuer{{Name: "p", URL: "http://p.test", Audience: []string{"x"}}}}, fault.Invalid, "https"},
		"an issuer that is not there": {spec.Snapshot{APIs: []spec.API{{
			Name: "lost", BasePath: "/lost", Auth: []string{"nobody"}, Upstream: spec.Upstream{Targets: []string{"http://x"}},
			Routes: []spec.Route{{Method: "GET", Path: "/", Scopes: [][]string{{"s"}}}},
		}}}, fault.Invalid, "there is no issuer"},
	} {
		_, err := h.try(Declared{File: "other.yaml", Snapshot: c.s})
		if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := h.snapshot(); s.Revision != 1 {
		t.Errorf("something was written: %+v", s)
	}
}

func TestStaleRevision(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	if _, err := h.try(orders(func(d *Declared) { d.IfRevision = 7 })); !fault.Is(err, fault.Stale) {
		t.Errorf("at another revision: %v", err)
	}
}

func TestRollbackAndHistory(t *testing.T) {
	h := newHouse(t)
	h.apply(orders())
	first := h.snapshot()
	h.apply(orders(func(d *Declared) {
		d.Snapshot.APIs[0].BasePath = "/o"
		d.Snapshot.APIs = append(d.Snapshot.APIs, spec.API{
			Name: "open", Auth: []string{spec.Public}, Upstream: spec.Upstream{Targets: []string{"http://x"}},
			Routes: []spec.Route{{Method: "GET", Path: "/x", Public: true}},
		})
	}))
	r, err := Rollback(h.ctx, h.ledger, h.actor, "it broke", 1)
	if err != nil || r.Revision != 3 || len(r.Changes) != 2 {
		t.Fatalf("revision %d, %+v, %v", r.Revision, r.Changes, err)
	}
	back := h.snapshot()
	back.Revision = first.Revision
	if d := cmp.Diff(first, back); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	err = h.ledger.View(h.ctx, func(tx *ledger.Tx) error {
		then, err := SnapshotAt(tx, 2)
		if err != nil {
			return err
		}
		if len(then.APIs) != 2 || then.Revision != 2 {
			t.Errorf("at revision 2: %+v", then)
		}
		secrets, err := Secrets(tx, 1)
		if secrets["apis.orders.upstream.targets[1]"] != "${env:SECOND}" {
			t.Errorf("secrets at revision 1: %v", secrets)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

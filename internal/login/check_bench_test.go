package login

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/audit"
	"gatehouse/internal/cluster"
	"gatehouse/internal/directory"
	"gatehouse/internal/keys"
	"gatehouse/internal/ledger"
	"gatehouse/internal/session"
	"gatehouse/internal/store"
	"gatehouse/internal/tenant"
	"gatehouse/internal/web"
)

// BenchmarkSessionCheck is what it costs to find out who is signed in, from the handler
// on: the context can be cancelled, as that of a request is.
func BenchmarkSessionCheck(b *testing.B) {
	ctx, cancel := context.WithCancel(tenant.With(context.Background(), tenant.Default))
	defer cancel()
	s, secret := signedIn(ctx, b)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, SessionPaths()[0], http.NoBody)
		r.Header["Cookie"] = []string{sessionCookie + "=" + secret}
		w := httptest.NewRecorder()
		s.ServeSession(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("%d %s", w.Code, w.Body)
		}
	}
}

// quiet forgets the system log.
type quiet struct{}

func (quiet) Record(audit.Event) {}

// signedIn returns a server over a store of its own, and the cookie of a person's session.
func signedIn(ctx context.Context, b *testing.B) (s *Server, secret string) {
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(b.TempDir(), "gatehouse.db")})
	must(err)
	b.Cleanup(func() { must(db.Close()) })
	registry, err := ledger.NewRegistry(append(access.Kinds(), directory.Kinds()...)...)
	must(err)
	l, err := ledger.New(ledger.Config{Store: db.Ledger(), Registry: registry})
	must(err)
	sealer, err := keys.NewSealer(keys.SealKey{ID: "k1", Secret: [32]byte{1}})
	must(err)
	views := access.NewViews(access.ViewsConfig{Ledger: l, Now: time.Now})
	domain := access.NewService(access.ServiceConfig{Ledger: l, Views: views, Audit: quiet{}, Sealer: sealer})
	people := directory.NewService(directory.Config{Ledger: l, Audit: quiet{}})
	who := ledger.System("test")
	must(domain.EnsureTenant(ctx, who))
	must(people.EnsureTenant(ctx, who))
	ana, err := people.CreateUser(ctx, who, directory.NewUser{Profile: directory.Profile{
		Login: "ana@example.com", Email: "ana@example.com", FirstName: "Ana", LastName: "Example",
	}, Status: directory.Active})
	must(err)
	sessions := session.NewService(session.Config{Store: db, Bus: cluster.NewLocal(cluster.LocalConfig{Now: time.Now}), Now: time.Now})
	_, secret, err = sessions.Begin(ctx, nil, session.Proof{User: ana.ID, Password: true, AMR: []string{"pwd"}, Address: "192.0.2.1", Agent: "test"})
	must(err)
	site := Site{Tenant: tenant.Default, URL: "http://127.0.0.1"}
	return New(Config{
		Site: func(*http.Request) (Site, bool) { return site, true }, Kit: web.New(web.Config{URL: site.URL, Words: web.WordsWith(Words())}),
		Views: views, Sessions: sessions, People: people, Audit: quiet{}, Now: time.Now,
	}), secret
}

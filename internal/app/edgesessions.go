package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"gatehouse/internal/catalog"
	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/gateway"
	"gatehouse/internal/introspect"
	"gatehouse/internal/keys"
	"gatehouse/internal/relying"
	"gatehouse/internal/safehttp"
	"gatehouse/internal/spec"
	"gatehouse/internal/telemetry"
	"gatehouse/internal/tenant"
)

// signIns lets browsers sign in: one relying party for each issuer that APIs with
// sessions sign in at, kept over reloads, and the sessions of all of them.
type signIns struct {
	sealer   *keys.Sealer
	issuers  *issuers
	sessions *relying.Sessions
	health   *telemetry.Health
	metrics  *telemetry.Metrics
	log      *slog.Logger
	now      func() time.Time
	http     *safehttp.Client

	mu      sync.Mutex
	parties map[string]*party // by everything that makes one
	served  bool              // a snapshot is served: parties are all that there are
}

type party struct {
	*relying.Party
	forget func() // the health check
}

func newSignIns(c nodeConfig, is *issuers) (*signIns, error) {
	s := &signIns{
		sealer: c.Sealer, issuers: is, health: c.Health, metrics: c.Metrics, log: c.Log, now: c.Now, parties: map[string]*party{},
		// The operator's file names these addresses, so they may be private.
		http: safehttp.New(safehttp.Config{AllowPrivate: true, MaxBody: maxIntrospection}),
	}
	var err error
	s.sessions, err = relying.OpenSessions(relying.SessionsConfig{
		Path: filepath.Join(c.Data, "sessions.log"), Sealer: purposes{c.Sealer}, Logger: c.Log, Now: c.Now,
	})
	return s, err
}

// purposes seals what the relying party keeps in files and cookies.
type purposes struct{ sealer *keys.Sealer }

func purposeOf(text string) keys.Place {
	return keys.Place{Tenant: tenant.Default, Kind: "browser session", Field: text}
}

// Seal implements relying.Sealer.
func (p purposes) Seal(plain []byte, purpose string) (string, error) {
	return p.sealer.Seal(plain, purposeOf(purpose))
}

// Open implements relying.Sealer.
func (p purposes) Open(sealed, purpose string) ([]byte, error) {
	return p.sealer.Open(sealed, purposeOf(purpose))
}

// signIn implements gateway.NewSignIn. The secret is opened here and kept in memory only.
func (s *signIns) signIn(i spec.Issuer, scopes []string) (_ gateway.SignIn, err error) {
	defer fault.Wrap(&err, "sign-in at issuer %s", i.Name)
	secret, key, err := s.key(i, scopes)
	if err != nil {
		return gateway.SignIn{}, err
	}
	issuer, err := s.issuers.issuer(i)
	if err != nil {
		return gateway.SignIn{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.parties[key]; p != nil {
		return signInOf(p.Party), nil
	}
	var sign func([]byte) (string, error)
	if i.ClientAuth == introspect.AuthKey {
		k, err := keys.ParseAssertionKey([]byte(secret))
		if err != nil {
			return gateway.SignIn{}, fmt.Errorf("client_secret: %w", err)
		}
		sign, secret = k.Sign, ""
	}
	p, err := relying.New(relying.Config{
		Name: i.Name, Issuer: i.URL, Keys: issuer.Keys, Algorithms: issuer.Algorithms, ClientID: i.ClientID, Secret: secret, Sign: sign, Post: i.ClientAuth == introspect.AuthPost, Scopes: scopes,
		Idle: i.Session.Idle.Std(), Lifetime: i.Session.Lifetime.Std(), HTTP: s.http, Sealer: purposes{s.sealer}, Sessions: s.sessions,
		Counter: s.metrics, Logger: s.log, Now: s.now,
	})
	if err != nil {
		return gateway.SignIn{}, err
	}
	forget := s.health.Register(telemetry.Check{Name: "sign-in " + i.Name, Probe: func(context.Context) telemetry.Status {
		detail := fmt.Sprintf("%d sessions on this node", s.sessions.Len())
		if err := p.Err(); err != nil {
			return telemetry.Status{State: telemetry.Degraded, Detail: detail + "; nobody new can sign in: " + err.Error()}
		}
		return telemetry.Status{Detail: detail}
	}})
	s.parties[key] = &party{p, forget}
	return signInOf(p), nil
}

// key opens the issuer's secret and names its party by its settings.
func (s *signIns) key(i spec.Issuer, scopes []string) (secret, key string, err error) {
	if i.ClientSecret != "" {
		b, err := s.sealer.Open(i.ClientSecret, catalog.SecretPlace(tenant.Default, i))
		if err != nil {
			return "", "", fmt.Errorf("client_secret: %w", err)
		}
		secret = string(b)
	}
	return secret, fmt.Sprintf("%q %q %q %q %q %q %v %s", i.Name, i.URL, i.ClientAuth, i.ClientID, i.Algorithms, scopes, i.Session, keys.Hash(secret)), nil
}

// retain ends the parties that the snapshot does not name any more. Their sessions
// end with the next tend, unless another party has the same name, issuer and client.
func (s *signIns) retain(snap spec.Snapshot) {
	named := map[string]bool{}
	for k := range snap.APIs {
		i, err := snap.SignsIn(&snap.APIs[k])
		if !snap.APIs[k].Sessions() || err != nil {
			continue
		}
		if _, key, err := s.key(*i, snap.SessionScopes(i)); err == nil {
			named[key] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served = true
	for key, p := range s.parties {
		if !named[key] {
			delete(s.parties, key)
			p.forget()
			p.Close()
		}
	}
}

// tend ends sessions that are over and keeps the file in order.
func (s *signIns) tend() {
	lives := map[string]relying.Lives{}
	s.mu.Lock()
	served := s.served
	for _, p := range s.parties {
		home, l := p.Lives()
		lives[home] = l
	}
	s.mu.Unlock()
	if !served {
		return // nobody knows yet whose sessions may go on
	}
	if err := s.sessions.Tend(lives); err != nil {
		s.log.Error("which sessions are used could not be written down", "error", err)
	}
	s.metrics.Sessions(int64(s.sessions.Len()))
}

// revoked ends the sessions that a revocation names: it may be forgotten before they
// would have ended, and a renewed token must not bring one back. A token that is
// revoked by itself is noticed when its session is used.
func (s *signIns) revoked(r cluster.Revocation) error {
	e := relying.Ending{Issuer: r.Issuer, Before: r.IssuedBefore}
	switch {
	case r.Lifted:
		return nil
	case r.Kind == cluster.Session:
		e.Session = r.Value
	case r.Kind == cluster.User:
		e.Subject = r.Value
	case r.Kind == cluster.Client:
		e.Client = r.Value
	case r.Kind == cluster.Issuer:
	default:
		return nil
	}
	if n, err := s.sessions.EndAll(e); err != nil {
		return fmt.Errorf("the end of %d sessions could not be written down: %w", n, err)
	}
	return nil
}

func (s *signIns) close() error {
	s.retain(spec.Snapshot{})
	s.http.Close()
	return s.sessions.Close()
}

func signInOf(p *relying.Party) gateway.SignIn {
	return gateway.SignIn{Cookie: p.Cookie(), Path: p.Path(), Sessions: sessionsOf{p}, Pages: sessionsOf{p}}
}

// sessionsOf shows a party's sessions to the gateway.
type sessionsOf struct{ party *relying.Party }

// Find implements gateway.Sessions.
func (s sessionsOf) Find(value []byte, now time.Time) gateway.Session {
	if found := s.party.Find(value, now); found != nil {
		return found
	}
	return nil
}

// Renew implements gateway.Sessions.
func (s sessionsOf) Renew(ctx context.Context, session gateway.Session, wait bool) error {
	found, ok := session.(*relying.Session)
	if !ok {
		return errForeignSession
	}
	return s.party.Renew(ctx, found, wait)
}

// End implements gateway.Sessions.
func (s sessionsOf) End(session gateway.Session) error {
	found, ok := session.(*relying.Session)
	if !ok {
		return errForeignSession
	}
	return s.party.End(found)
}

// LoginURL implements gateway.Pages.
func (s sessionsOf) LoginURL(returnTo, acr, maxAge string) string {
	return relying.LoginURL(s.party.Path(), returnTo, acr, maxAge)
}

// ServePage implements gateway.Pages.
func (s sessionsOf) ServePage(w http.ResponseWriter, r *http.Request) error {
	return s.party.ServePage(w, r)
}

var errForeignSession = errors.New("the session is of another kind")

// nobodySignsIn stands in where nothing is served.
type nobodySignsIn struct{}

func (nobodySignsIn) Find([]byte, time.Time) gateway.Session             { return nil }
func (nobodySignsIn) Renew(context.Context, gateway.Session, bool) error { return errForeignSession }
func (nobodySignsIn) End(gateway.Session) error                          { return errForeignSession }

// Package relying is an OpenID Connect relying party that runs on the gateway:
// browsers sign in at an issuer, and the tokens that come of it stay here, behind a
// session whose only trace in the browser is a cookie. It knows issuers, sessions
// and the pages that lead a browser there and back.
//
// What a session's access token allows is not decided here: the gateway verifies it
// as if the caller had sent it. The room must not know stores, routes, or what
// happens to a request after its session was found.
package relying

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/safehttp"
	"gatehouse/verify"
)

// Prefix is where the pages are: below it come the name of the issuer and the page.
const Prefix = "/.gatehouse/"

// CookiePrefix is what the names of all cookies of this room begin with. The prefix
// "__Host-" makes browsers take such a cookie only over https (or from loopback), for
// this very host and the whole of it, so that no other host can plant one (RFC 6265bis
// section 4.1.3.2).
const CookiePrefix = "__Host-gatehouse-"

// The lifetimes of sessions when nothing else is configured.
const (
	DefaultIdle     = 30 * time.Minute
	DefaultLifetime = 12 * time.Hour
)

// Caller calls addresses that a person has named. *safehttp.Client is one.
type Caller interface {
	Get(ctx context.Context, url string) (body []byte, contentType string, err error)
	PostForAnswer(ctx context.Context, url string, header http.Header, body []byte) (safehttp.Answer, error)
}

// Sealer keeps a text secret and whole outside of this process. purpose is part of
// what is authenticated.
type Sealer interface {
	Seal(plain []byte, purpose string) (string, error)
	Open(sealed, purpose string) ([]byte, error)
}

// Counter is told what came of sign-ins and renewals. *telemetry.Metrics is one.
type Counter interface {
	SignIn(issuer, outcome string)
}

// Config is what a Party is made of. Name, Issuer, Keys, ClientID, HTTP, Sealer and
// Sessions are required.
type Config struct {
	Name       string // of the issuer in the configuration: part of paths and cookies
	Issuer     string // its URL
	Keys       verify.KeySource
	Algorithms []verify.Algorithm // of ID tokens and logout tokens; empty = every one that is known
	ClientID   string
	Secret     string // empty: a public client, which PKCE alone protects
	// Sign signs the claims of a client assertion (private_key_jwt, RFC 7523 section
	// 2.2), in place of a secret; nil: there is no key.
	Sign func(claims []byte) (string, error)
	// Post sends the secret in the form (client_secret_post) whatever the issuer says it
	// takes.
	Post     bool
	Scopes   []string // that are asked for, besides openid and, where offered, offline_access
	Idle     time.Duration
	Lifetime time.Duration
	HTTP     Caller
	Sealer   Sealer
	Sessions *Sessions
	Counter  Counter          // nil: nobody counts
	Logger   *slog.Logger     // nil: discarded
	Now      func() time.Time // nil: time.Now
}

// Party signs browsers in at one issuer, as one client of it. It is safe for
// concurrent use.
type Party struct {
	cfg      Config
	home     string // issuer and client that its sessions belong to
	cookie   string
	path     string // of its pages
	once     bool   // it signs people in for somebody else, and keeps no tokens
	provider provider
	spent    used // flows that have come back
	logouts  used // ids of logout tokens
	pages    map[string]page
	paper    *paper

	life context.Context //nolint:containedctx // the life of the party itself
	end  context.CancelFunc
	work sync.WaitGroup // renewals that nobody waits for
}

// New returns a Party. A configuration that cannot work is a fault of code Invalid.
func New(cfg Config) (*Party, error) {
	if cfg.Name == "" || cfg.Issuer == "" || cfg.Keys == nil || cfg.ClientID == "" || cfg.HTTP == nil || cfg.Sealer == nil || cfg.Sessions == nil {
		return nil, fault.New(fault.Invalid, "sign-in needs an issuer with a name, keys and a client id, and a way to call and to keep")
	}
	if cfg.Idle <= 0 {
		cfg.Idle = DefaultIdle
	}
	if cfg.Lifetime <= 0 {
		cfg.Lifetime = DefaultLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = verify.Algorithms()
	}
	p := &Party{
		cfg: cfg, home: cfg.Name + "\n" + cfg.Issuer + "\n" + cfg.ClientID, cookie: CookiePrefix + "session-" + cfg.Name, path: Prefix + cfg.Name + "/",
		provider: provider{turn: make(chan struct{}, 1)},
	}
	p.pages = p.table()
	var err error
	if p.paper, err = newPaper(); err != nil {
		return nil, err
	}
	p.life, p.end = context.WithCancel(context.Background())
	return p, nil
}

// Close ends renewals under way and waits for them. Sessions stay.
func (p *Party) Close() {
	p.end()
	p.work.Wait()
}

// Cookie returns the name of the cookie that holds a session.
func (p *Party) Cookie() string { return p.cookie }

// Path returns where the pages of the party are, with a slash at the end.
func (p *Party) Path() string { return p.path }

// Err says why the issuer's metadata could not be had, nil when it could or nobody
// has asked for it.
func (p *Party) Err() error { return p.provider.last() }

// Find returns the session whose cookie has the value, nil when there is none. It
// neither blocks nor allocates, and counts as no use.
func (p *Party) Find(value []byte, now time.Time) *Session {
	if len(value) != cookieLength {
		return nil
	}
	s := p.cfg.Sessions.find(sha256.Sum256(value))
	if s == nil || s.home != p.home || !s.alive(now.Unix(), p.cfg.Idle, p.cfg.Lifetime) {
		return nil
	}
	return s
}

func (p *Party) count(outcome string) {
	if p.cfg.Counter != nil {
		p.cfg.Counter.SignIn(p.cfg.Name, outcome)
	}
}

// used remembers for a while what may happen once only. Its two halves change
// places with time, so it is bounded and forgets nothing too early.
type used struct {
	mu      sync.Mutex
	now     map[[16]byte]bool
	before  map[[16]byte]bool
	changed time.Time
}

// mostUsed bounds each half. Only what the issuer or this gateway itself has made
// gets in, so strangers cannot fill it.
const mostUsed = 1 << 17

// first reports whether the text comes for the first time within at least life.
func (u *used) first(text string, now time.Time, life time.Duration) bool {
	sum := sha256.Sum256([]byte(text))
	k := [16]byte(sum[:16])
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.now == nil || now.Sub(u.changed) > life || len(u.now) >= mostUsed {
		u.before, u.now, u.changed = u.now, map[[16]byte]bool{}, now
	}
	if u.now[k] || u.before[k] {
		return false
	}
	u.now[k] = true
	return true
}

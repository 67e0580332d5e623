// Package session keeps browser sessions, and the requests of browsers that wait
// for a person: a sign-in on its way, a pushed authorization request. It is the
// room of ids, rotation and limits of time. It must not know SQL, HTTP, pages, or
// what a request is about.
//
// A session has two names. The secret is in the browser's cookie and nowhere
// else: what is kept is its SHA-256, and it changes whenever the session's level
// does, so that one who planted a cookie or saw an old one has nothing. The id is
// public: it is the sid of ID tokens and what an administrator sees.
package session

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/keys"
)

// Session is one browser in which a person has signed in.
type Session struct {
	ID      string // public
	Hash    string // keys.Hash of the secret
	User    string // id
	Created time.Time
	Seen    time.Time // last use, to the minute
	// It is over at the earlier of both.
	IdleUntil time.Time
	Expires   time.Time
	// IdleLimit is how long it lasts without use; 0: as long as the service says.
	IdleLimit time.Duration
	// When and how the person proved who they are, last.
	AuthTime   time.Time
	PasswordAt time.Time // zero: not by password
	FactorAt   time.Time // of a second factor; zero: none
	AMR        []string  // RFC 8176
	ACR        string
	// Where it was begun, for the person to recognize it.
	Address string
	Agent   string
	// Risk is how unlike the person's earlier sign-ins the ones in it were, at the
	// highest; empty: not known.
	Risk string
	// Passkey is the id of the one in this device that was used in it; empty: none was.
	Passkey string
	Apps    []Login // that were signed in to with it
	// Unused is how long it had lain unused when it was found, to the minute. It is not kept.
	Unused time.Duration
}

// Login is an app that was signed in to with a session.
type Login struct {
	App    string // client_id
	Server string // id of the authorization server
}

// Live reports whether the session is not over at a time.
func (s *Session) Live(now time.Time) bool { return now.Before(s.IdleUntil) && now.Before(s.Expires) }

// End is when the session is over if it is not used.
func (s *Session) End() time.Time {
	if s.IdleUntil.Before(s.Expires) {
		return s.IdleUntil
	}
	return s.Expires
}

// Selection says which sessions are meant: those that fit every field that is not
// empty. At least one is set.
type Selection struct {
	ID     string
	User   string
	Except string // id of one that is left alone; goes with User
}

// Store is what a Service needs of the store. Every method answers for the tenant
// of the context.
type Store interface {
	AddSession(ctx context.Context, s Session) error
	// Session returns the session of a hash, or fault.NotFound.
	Session(ctx context.Context, hash string) (Session, error)
	SessionByID(ctx context.Context, id string) (Session, error)
	// Sessions returns those of a user that are not over, the newest first.
	Sessions(ctx context.Context, user string, now time.Time) ([]Session, error)
	// ReplaceSession writes s over the session that has its id and the old hash, and
	// reports whether there was one: of callers at a time one succeeds.
	ReplaceSession(ctx context.Context, old string, s Session) (bool, error)
	// TouchSession notes a use.
	TouchSession(ctx context.Context, id string, seen, idleUntil time.Time) error
	// JoinSession notes that an app was signed in to; fault.NotFound when the session
	// has ended.
	JoinSession(ctx context.Context, id string, l Login, now time.Time) error
	// EndSessions removes the selected sessions and returns them. In the same
	// transaction the grants that were made in them end, but for those with offline
	// access, which go on without a session; and what revokes the access tokens that
	// were given in them is stored and returned.
	EndSessions(ctx context.Context, s Selection, now time.Time) ([]Session, []cluster.Revocation, error)
}

// Limits are how long sessions last.
type Limits struct {
	Idle  time.Duration // without use; 0 means two hours
	Total time.Duration // whatever the use; 0 means twelve hours
}

// or returns the limits, with those of more where they are not set.
func (l Limits) or(more Limits) Limits {
	if l.Idle <= 0 {
		l.Idle = more.Idle
	}
	if l.Total <= 0 {
		l.Total = more.Total
	}
	return l
}

// Config is what a Service needs.
type Config struct {
	Store  Store
	Bus    Publisher
	Limits Limits
	Now    func() time.Time // the clock
	// Ended is told of sessions that were ended by somebody, after they are gone: for
	// telling the apps. It does not wait for them. May be nil.
	Ended func(ctx context.Context, ended []Session)
}

// Publisher tells every node that tokens are revoked, and returns nil when all of
// them refuse these.
type Publisher interface {
	PublishRevocation(ctx context.Context, r cluster.Revocation) error
}

// Service begins, finds and ends sessions.
type Service struct{ cfg Config }

// NewService returns a Service.
func NewService(cfg Config) *Service {
	cfg.Limits = cfg.Limits.or(Limits{Idle: 2 * time.Hour, Total: 12 * time.Hour})
	return &Service{cfg: cfg}
}

func (s *Service) idle(of *Session) time.Duration {
	return Limits{Idle: of.IdleLimit}.or(s.cfg.Limits).Idle
}

// Proof says how a person has just proved who they are.
type Proof struct {
	User     string
	Password bool
	Factor   bool     // a second factor
	AMR      []string // of this proof, RFC 8176
	ACR      string
	Address  string
	Agent    string
	AuthTime time.Time // when it was; zero: now
	// Limits are those of the session from now on; those that are not set are the
	// service's. They make the end of one that goes on earlier, never later.
	Limits Limits
	Risk   string // of the session from now on
	// Passkey is the id of the one in the device that it was by; empty: it was none.
	Passkey string
}

// Begin begins a session, or raises the one that is there when it is the same
// person's: that keeps its id, and gets a new secret. It keeps its end as well: who
// proves something in a session that goes on has not begun another one, or one proof
// after the other would keep it for ever. A session of somebody else, and one that is
// over, is ended first. The secret is for the cookie.
func (s *Service) Begin(ctx context.Context, old *Session, p Proof) (_ Session, secret string, err error) {
	defer fault.Wrap(&err, "begin a session")
	now := s.cfg.Now()
	secret = keys.Secret(256)
	limits := p.Limits.or(s.cfg.Limits)
	next := Session{ID: keys.ID("102"), User: p.User, Created: now, Expires: now.Add(limits.Total), Address: p.Address, Agent: p.Agent}
	if old != nil && old.User == p.User && old.Live(now) {
		next = *old
		if end := old.Created.Add(limits.Total); end.Before(next.Expires) {
			next.Expires = end
		}
	}
	next.Hash = keys.Hash(secret)
	next.IdleLimit, next.Risk = limits.Idle, p.Risk
	next.Seen, next.IdleUntil = now, now.Add(limits.Idle)
	next.AuthTime, next.ACR = now, p.ACR
	if !p.AuthTime.IsZero() && p.AuthTime.Before(now) {
		next.AuthTime = p.AuthTime
	}
	next.AMR = slices.Clone(p.AMR)
	if p.Password {
		next.PasswordAt = now
	}
	if p.Factor {
		next.FactorAt = now
	}
	if p.Passkey != "" {
		next.Passkey = p.Passkey
	}
	if old == nil || next.ID != old.ID {
		if old != nil {
			if _, err := s.End(ctx, Selection{ID: old.ID}); err != nil {
				return Session{}, "", err
			}
		}
		return next, secret, s.cfg.Store.AddSession(ctx, next)
	}
	replaced, err := s.cfg.Store.ReplaceSession(ctx, old.Hash, next)
	if err == nil && !replaced {
		err = fault.New(fault.Conflict, "the session has changed meanwhile; try again")
	}
	return next, secret, err
}

// touchAfter is how exactly the last use is known: most uses write nothing.
const touchAfter = time.Minute

// Find returns the live session of a cookie's secret, and notes the use. It is
// fault.NotFound when there is none.
func (s *Service) Find(ctx context.Context, secret string) (Session, error) {
	if secret == "" || len(secret) > 128 {
		return Session{}, errNone()
	}
	found, err := s.cfg.Store.Session(ctx, keys.Hash(secret))
	if err != nil {
		return Session{}, err
	}
	now := s.cfg.Now()
	if !found.Live(now) {
		return Session{}, errNone()
	}
	if unused := now.Sub(found.Seen); unused >= touchAfter {
		found.Unused = unused
		found.Seen, found.IdleUntil = now, now.Add(s.idle(&found))
		if err := s.cfg.Store.TouchSession(ctx, found.ID, found.Seen, found.IdleUntil); err != nil {
			return Session{}, err
		}
	}
	return found, nil
}

// Get returns a live session by its id, or fault.NotFound.
func (s *Service) Get(ctx context.Context, id string) (Session, error) {
	found, err := s.cfg.Store.SessionByID(ctx, id)
	if err == nil && !found.Live(s.cfg.Now()) {
		err = errNone()
	}
	return found, err
}

// Refresh notes a use of a session by its id, however recent the last one is.
func (s *Service) Refresh(ctx context.Context, id string) (Session, error) {
	found, err := s.Get(ctx, id)
	if err != nil {
		return Session{}, err
	}
	now := s.cfg.Now()
	found.Seen, found.IdleUntil = now, now.Add(s.idle(&found))
	return found, s.cfg.Store.TouchSession(ctx, id, found.Seen, found.IdleUntil)
}

// List returns the live sessions of a user, the newest first.
func (s *Service) List(ctx context.Context, user string) ([]Session, error) {
	return s.cfg.Store.Sessions(ctx, user, s.cfg.Now())
}

// Join notes that an app was signed in to with a session. It is fault.NotFound when
// the session has ended meanwhile: what was given in it after that has to be taken back.
func (s *Service) Join(ctx context.Context, id string, l Login) error {
	return s.cfg.Store.JoinSession(ctx, id, l, s.cfg.Now())
}

// End ends sessions and returns how many there were: when it returns nil, every live
// node refuses the access tokens that were given in them, and refresh tokens have ended
// too, but for those with offline access (OpenID Connect Core section 11). The apps are
// told. Once begun it is not given up because the caller hangs up.
func (s *Service) End(ctx context.Context, sel Selection) (n int, err error) {
	defer fault.Wrap(&err, "end sessions")
	if sel.ID == "" && sel.User == "" {
		return 0, fault.New(fault.Invalid, "say which sessions are to be ended")
	}
	ctx = context.WithoutCancel(ctx)
	ended, revoked, err := s.cfg.Store.EndSessions(ctx, sel, s.cfg.Now())
	if err != nil {
		return 0, err
	}
	var failed []error
	for i := range revoked {
		failed = append(failed, s.cfg.Bus.PublishRevocation(ctx, revoked[i]))
	}
	if len(ended) > 0 && s.cfg.Ended != nil {
		s.cfg.Ended(ctx, ended)
	}
	return len(ended), errors.Join(failed...)
}

func errNone() error { return fault.New(fault.NotFound, "there is no such session, or it is over") }

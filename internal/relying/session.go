package relying

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/verify"
)

// cookieLength is the length of a cookie's value: 256 random bits in base64url.
const cookieLength = 43

// renewAhead is how long before its end an access token is renewed, at the most; of
// one that lives shorter than an hour, the last twelfth.
const renewAhead = 5 * time.Minute

// retryRenewal is how long after a renewal that failed by accident the next may come.
const retryRenewal = 5 * time.Second

// tokens are what a session has of its issuer at one time. Immutable.
type tokens struct {
	access  []byte
	until   int64 // end of access, in Unix seconds
	renew   int64 // from when on it is renewed; 0 = it cannot be
	refresh string
	id      string // the ID token of the sign-in, for id_token_hint
}

func (t *tokens) bytes() int64 { return int64(len(t.access) + len(t.refresh) + len(t.id)) }

// Session is one browser's sign-in. It is safe for concurrent use.
type Session struct {
	key     [sha256.Size]byte // of the cookie's value
	home    string
	issuer  string
	subject string
	created int64 // when the person signed in, in Unix seconds
	signIn  verify.SignIn
	asked   string // what the sign-in was asked to achieve

	tokens atomic.Pointer[tokens]
	facts  atomic.Pointer[facts]
	used   atomic.Int64 // Unix seconds
	ended  atomic.Bool

	mu     sync.Mutex
	kept   int64     // used, as the log has it
	flight *renewal  // under way
	failed time.Time // when the last renewal failed by accident
	err    error     // why
}

// facts are what an access token says, with the sign-in of the session.
type facts struct{ verified, token *verify.Token }

type renewal struct {
	done chan struct{}
	err  error
}

func (s *Session) alive(now int64, idle, lifetime time.Duration) bool {
	return !s.ended.Load() && now-s.used.Load() <= int64(idle/time.Second) && now-s.created <= int64(lifetime/time.Second)
}

// Access returns the access token that stands behind the session, and whether it has
// to be renewed first (expired), or soon (due). use counts as a use of the session.
func (s *Session) Access(now time.Time, use bool) (raw []byte, expired, due bool) {
	sec := now.Unix()
	if use && s.used.Load() < sec {
		s.used.Store(sec)
	}
	t := s.tokens.Load()
	return t.access, sec >= t.until, t.renew != 0 && sec >= t.renew
}

// Facts returns what is known of the caller: what verified, the verified access
// token, says, with the sign-in that the ID token told of. A renewed token is no newer
// sign-in (attack gateway 77), and for revocations it is as old as the sign-in. For
// one verified it returns the same pointer each time.
func (s *Session) Facts(verified *verify.Token) *verify.Token {
	if f := s.facts.Load(); f != nil && f.verified == verified {
		return f.token
	}
	t := verified.WithSignIn(s.signIn)
	t.IssuedAt = s.created
	s.facts.Store(&facts{verified, t})
	return t
}

// Asked returns what the sign-in was asked to achieve (see Party.LoginURL) and when it was.
func (s *Session) Asked() (what string, at time.Time) { return s.asked, time.Unix(s.created, 0) }

// Ended reports whether the session is over for good: signed out, revoked, refused.
func (s *Session) Ended() bool { return s.ended.Load() }

// End ends the session, because the gateway has seen that it must. The error says
// that it could not be written down, so that it may come back with a restart.
func (p *Party) End(s *Session) error {
	p.count("ended")
	return p.cfg.Sessions.end(s)
}

// Renew gets the session a new access token. When wait is set it returns once there
// is one; else at once. The error is a fault: Unauthenticated when the session is
// over, because it cannot be renewed or its issuer refuses; else Unavailable. Of
// several who ask at once, one asks the issuer: a refresh token that is sent twice may
// end all that was ever granted with it (RFC 9700 section 4.14.2).
func (p *Party) Renew(ctx context.Context, s *Session, wait bool) error {
	s.mu.Lock()
	now := p.cfg.Now()
	t := s.tokens.Load()
	switch {
	case s.ended.Load():
		s.mu.Unlock()
		return errOver
	case s.flight == nil && now.Unix() < t.until && (t.renew == 0 || now.Unix() < t.renew):
		s.mu.Unlock()
		return nil // somebody else was faster
	case s.flight == nil && t.refresh == "":
		s.mu.Unlock()
		if !wait {
			return nil
		}
		p.count("expired")
		return p.over(s, nil)
	case s.flight == nil && s.err != nil && now.Sub(s.failed) < retryRenewal:
		err := s.err
		s.mu.Unlock()
		return err
	}
	f := s.flight
	if f == nil {
		f = &renewal{done: make(chan struct{})}
		s.flight = f
		p.work.Go(func() { p.renew(s, f) }) //nolint:contextcheck // a renewal serves all who wait for it
	}
	s.mu.Unlock()
	if !wait {
		return nil
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fault.Because(ctx.Err(), fault.Unavailable, "the caller did not wait for the renewal")
	}
}

var errOver = fault.New(fault.Unauthenticated, "the session is over")

func (p *Party) over(s *Session, cause error) error {
	if err := p.cfg.Sessions.end(s); err != nil {
		p.cfg.Logger.Error("the end of a session could not be written down", "error", err)
	}
	return fault.Because(cause, fault.Unauthenticated, "the session is over: its access token has expired and cannot be renewed")
}

// renew asks the issuer once.
func (p *Party) renew(s *Session, f *renewal) {
	ctx, cancel := context.WithTimeout(p.life, 10*time.Second)
	defer cancel()
	err := p.refresh(ctx, s)
	switch {
	case err == nil:
		p.count("renewed")
	case fault.Is(err, fault.Denied):
		p.count("refused")
		p.cfg.Logger.Info("an issuer does not renew a session", "issuer", p.cfg.Name, "error", err)
		err = p.over(s, err)
	default:
		p.count("unreachable")
		err = fault.Because(err, fault.Unavailable, "the access token could not be renewed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, s.err, s.failed = nil, nil, time.Time{}
	if err != nil {
		s.err, s.failed = err, p.cfg.Now()
	}
	f.err = err
	close(f.done)
}

func (p *Party) refresh(ctx context.Context, s *Session) error {
	m, err := p.provider.get(ctx, p)
	if err != nil {
		return err
	}
	old := s.tokens.Load()
	g, err := p.token(ctx, m, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.refresh}})
	if err != nil {
		return err
	}
	if g.ID != "" {
		// It says who it is for and nothing else: the sign-in stays what it was.
		if _, err := p.identify(ctx, g.ID, identity{access: g.Access, subject: s.subject}); err != nil {
			return fault.Because(err, fault.Denied, "the renewal came with an ID token that is not accepted")
		}
	}
	if g.Refresh == "" {
		g.Refresh = old.refresh
	}
	return p.cfg.Sessions.renewed(s, newTokens(g, old.id, p.cfg.Now()))
}

func newTokens(g *grant, id string, now time.Time) *tokens {
	t := &tokens{access: []byte(g.Access), until: min(g.until(now), expiry(g.Access)), refresh: g.Refresh, id: id}
	if t.refresh != "" {
		t.renew = t.until - min(int64(renewAhead/time.Second), (t.until-now.Unix())/12+1)
	}
	return t
}

// expiry returns the exp of an access token that is a JWT, and the end of time for
// another. Nothing about it is verified: expires_in is only a recommendation, and what
// comes first counts.
func expiry(access string) int64 {
	if jws, err := verify.Parse([]byte(access), maxToken); err == nil {
		if t, err := verify.FromClaims(jws.Payload, verify.ClaimNames{}); err == nil && t.Expires != 0 {
			return t.Expires
		}
	}
	return math.MaxInt64
}

// newSecret returns 256 random bits as text.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails: it ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

package scim

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/credential"
	"gatehouse/internal/fault"
)

// Caller is who calls, as an Authenticator found out.
type Caller struct {
	User string // id of the user whose token it is; empty for an app, and for a token of the process itself
	App  string // client id of the app whose token it is
	Name string // for people
	// Permissions are those of the caller's roles.
	Permissions access.Permissions
	// Scopes narrow them; nil for an API token, which allows all of them.
	Scopes access.Permissions
}

// may reports whether the caller has the permission.
func (c *Caller) may(permission string) bool {
	return c.Permissions.Allow(permission) && (c.Scopes == nil || c.Scopes.Allow(permission))
}

// Authenticator says whose token it is. It returns an Unauthenticated fault for one that
// is not valid here.
type Authenticator interface {
	AuthenticateSSWS(ctx context.Context, token string, from *http.Request) (Caller, error)
	// AuthenticateBearer takes an access token of the org server. One that is bound to its
	// sender comes with its proof, in the scheme DPoP if it is bound to a key.
	AuthenticateBearer(w http.ResponseWriter, r *http.Request, token string, dpop bool) (Caller, error)
}

// Rights says what those may do who are changed.
type Rights interface {
	UserPermissions(ctx context.Context, user string) (access.Permissions, error)
	GroupPermissions(ctx context.Context, group string) (access.Permissions, error)
}

// authenticate finds out who calls, and counts the call. Systems that provision send
// whatever token they were given as a bearer token, so the schemes SSWS and Bearer take
// both kinds.
func (s *server) authenticate(ctx context.Context, w http.ResponseWriter, r *http.Request) (caller Caller, err error) {
	realm := `realm="` + s.URL + Root + `"`
	p, err := credential.Of(r.Header)
	if err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer "+realm)
		return Caller{}, err
	}
	if dpop := p.Scheme == credential.DPoP; dpop || p.AccessToken() {
		caller, err = s.Authenticator.AuthenticateBearer(w, r.WithContext(ctx), p.Token, dpop)
	} else {
		caller, err = s.Authenticator.AuthenticateSSWS(ctx, p.Token, r)
	}
	if fault.Is(err, fault.Unauthenticated) {
		if p.Scheme == credential.SSWS {
			p.Scheme = credential.Bearer
		}
		w.Header().Set("WWW-Authenticate", p.Challenge(realm, err))
		return Caller{}, fault.Because(err, fault.Unauthenticated, "the token is not valid here")
	}
	if err != nil {
		return Caller{}, err
	}
	return caller, s.limits.count(w, caller, 1)
}

func errNotAllowed(permission string) error {
	return fault.New(fault.Denied, "the operation needs the permission %s, by the caller's roles and by the scopes of the token", permission)
}

// limiter counts the operations of each caller in windows of a minute, on this node
// alone: the limit protects the node.
type limiter struct {
	limit int
	now   func() time.Time

	mu     sync.Mutex
	counts map[who]*window
}

// who is what operations are counted by.
type who struct{ user, app, name string }

type window struct {
	ends time.Time
	used int
}

// maxCounted bounds how many callers are counted at a time.
const maxCounted = 10000

func newLimiter(limit int, now func() time.Time) *limiter {
	return &limiter{limit: limit, now: now, counts: map[who]*window{}}
}

// count takes n operations of the caller, and refuses what is too much.
func (l *limiter) count(w http.ResponseWriter, c Caller, n int) error {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	key := who{c.User, c.App, c.Name}
	at := l.counts[key]
	if at == nil || !now.Before(at.ends) {
		if len(l.counts) >= maxCounted {
			clear(l.counts)
		}
		at = &window{ends: now.Add(time.Minute)}
		l.counts[key] = at
	}
	if at.used += n; at.used > l.limit {
		w.Header().Set("Retry-After", strconv.Itoa(int(at.ends.Sub(now)/time.Second)+1))
		return fault.New(fault.RateLimited, "more than %d operations in a minute", l.limit)
	}
	return nil
}

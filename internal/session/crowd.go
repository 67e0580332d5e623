package session

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/ratelimit"
)

// Limits of what waits, so that nobody who need not say who they are can fill the
// store.
const (
	mostWaiting    = 50_000 // of a tenant; strangers leave an eighth of it to apps that authenticate
	perNetwork     = 300    // a minute
	perClient      = 1200   // a minute, of an app that authenticates
	whenFull       = 30 * time.Second
	reserved       = 8
	networksOfRoom = 1 << 16 // that are told apart at a time
)

// From is who lets a request wait.
type From struct {
	Client  string     // id of an app that has authenticated with a credential; empty: a stranger
	Network netip.Addr // of a stranger; an IPv6 address counts by its /64
}

// TooMany says that a request cannot wait, and when to try again.
type TooMany struct {
	After time.Duration
	All   bool // there is no room for anybody, rather than for this one
	cause *fault.Error
}

// Error implements error.
func (e *TooMany) Error() string { return e.cause.Error() }

// Unwrap returns the fault that it is.
func (e *TooMany) Unwrap() error { return e.cause }

// Admit says whether one more request may wait. The error is a *TooMany when too many
// wait already, or come from there.
func (r *Room) Admit(ctx context.Context, from From) error {
	key, rate := r.limiter.JoinString(r.limiter.Key("client"), from.Client), ratelimit.Rate{Count: int64(r.cfg.PerClient), Period: time.Minute}
	most := r.cfg.Most
	if from.Client == "" {
		key, rate = r.limiter.JoinAddr(r.limiter.Key("network"), from.Network), ratelimit.Rate{Count: int64(r.cfg.PerNetwork), Period: time.Minute}
		most -= most / reserved
	}
	now := r.cfg.Now()
	if res := r.limiter.Take(now, key, rate, 1); !res.Allowed {
		return &TooMany{After: res.RetryAfter, cause: fault.New(fault.RateLimited, "too many requests in a minute have come from here")}
	}
	full, err := r.cfg.Store.AreWaiting(ctx, now, most)
	if err == nil && full {
		err = &TooMany{After: whenFull, All: true, cause: fault.New(fault.Full, "%d requests are waiting for a person, and no more can", most)}
	}
	return err
}

package access

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/cluster"
	"gatehouse/internal/fault"
	"gatehouse/internal/ledger"
	"gatehouse/internal/tenant"
	"gatehouse/verify"
)

// ViewsConfig is what Views needs.
type ViewsConfig struct {
	Ledger *ledger.Ledger
	Now    func() time.Time // the clock
	Places Atlas            // where addresses are, for dynamic zones; nil: nobody knows
	// Published returns the keys that an app publishes at an address; nil: such apps
	// have none.
	Published func(address string) verify.KeySource
	Log       *slog.Logger // told when a view cannot be brought up to date; nil = discard
}

// retryAfter is how long a view that could not be brought up to date is served
// before that is tried again.
const retryAfter = time.Second

// patience is how long a request waits for another one that brings the view up to
// date, counted from when that began, before it takes the view that is there.
const patience = time.Second

// catchUpTime bounds one reading of the ledger: all of it, the first time.
const catchUpTime = 30 * time.Second

// Views keeps the View of every tenant that has been asked for. A view follows
// the ledger change by change; it is read again whole only the first time.
//
// Views is a cluster.Subscriber: it hears of a revision and makes a note, and the
// next Get brings the view up to it. So a request that begins after the
// revision was announced sees it, and nobody else waits.
type Views struct {
	cfg     ViewsConfig
	tenants sync.Map // tenant.ID to *tenantView
}

var _ cluster.Subscriber = (*Views)(nil)

type tenantView struct {
	view   atomic.Pointer[View]
	wanted atomic.Int64 // the newest revision heard of
	failed atomic.Int64 // Unix nanoseconds of the last failure, 0 for none

	turn  chan struct{} // holds one token while somebody catches up
	began atomic.Int64  // Unix nanoseconds: when the one who catches up began
	state state         // of the one who catches up
}

// NewViews returns Views that has read nothing yet.
func NewViews(cfg ViewsConfig) *Views {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Views{cfg: cfg}
}

// Revoked implements cluster.Subscriber; revocations do not concern a view.
func (v *Views) Revoked(context.Context, cluster.Revocation) error { return nil }

// Revised implements cluster.Subscriber.
func (v *Views) Revised(_ context.Context, t tenant.ID, revision int64) {
	tv := v.of(t)
	for {
		old := tv.wanted.Load()
		if revision <= old || tv.wanted.CompareAndSwap(old, revision) {
			return
		}
	}
}

func (v *Views) of(t tenant.ID) *tenantView {
	found, _ := v.tenants.Load(t)
	if tv, ok := found.(*tenantView); ok {
		return tv
	}
	fresh := &tenantView{turn: make(chan struct{}, 1), state: state{places: v.cfg.Places, published: v.cfg.Published}}
	found, _ = v.tenants.LoadOrStore(t, fresh)
	if tv, ok := found.(*tenantView); ok {
		return tv
	}
	return fresh
}

// Get returns the tenant's view, not older than the newest revision that has been
// heard of. When the ledger cannot be read, the view that is there is returned:
// clients that were known go on getting tokens; without one it is the error.
func (v *Views) Get(ctx context.Context, t tenant.ID) (*View, error) {
	tv := v.of(t)
	view := tv.view.Load()
	if view != nil && view.revision >= tv.wanted.Load() {
		return view, nil
	}
	if view != nil && v.cfg.Now().UnixNano()-tv.failed.Load() < int64(retryAfter) {
		return view, nil
	}
	if !tv.take(ctx, view != nil, v.cfg.Now) {
		if view != nil {
			return view, nil
		}
		return nil, fault.Because(ctx.Err(), fault.Timeout, "the access view could not be read in time")
	}
	defer tv.give()
	if now := tv.view.Load(); now != nil && now.revision >= tv.wanted.Load() {
		return now, nil
	}
	next, err := v.catchUp(ctx, t, tv)
	if err == nil {
		tv.failed.Store(0)
		return next, nil
	}
	if view == nil {
		return nil, err
	}
	tv.failed.Store(v.cfg.Now().UnixNano())
	v.cfg.Log.LogAttrs(ctx, slog.LevelError, "access view is behind the ledger",
		slog.String("tenant", string(t)), slog.Int64("revision", view.revision), slog.Any("error", err))
	return view, nil
}

// take waits for the turn to catch up: one who has a view only for as long as
// the patience lasts.
func (tv *tenantView) take(ctx context.Context, impatient bool, now func() time.Time) bool {
	select {
	case tv.turn <- struct{}{}:
		tv.began.Store(now().UnixNano())
		return true
	default:
	}
	var tired <-chan time.Time
	if impatient {
		timer := time.NewTimer(patience - now().Sub(time.Unix(0, tv.began.Load())))
		defer timer.Stop()
		tired = timer.C
	}
	select {
	case tv.turn <- struct{}{}:
		tv.began.Store(now().UnixNano())
		return true
	case <-tired:
		return false
	case <-ctx.Done():
		return false
	}
}

func (tv *tenantView) give() { <-tv.turn }

// catchUp applies what has happened since the view's revision. It is the caller's
// turn. A caller that hangs up does not end it: what was read so far would be lost.
func (v *Views) catchUp(ctx context.Context, t tenant.ID, tv *tenantView) (_ *View, err error) {
	defer fault.Wrap(&err, "bring the access view up to date")
	ctx, cancel := context.WithTimeout(tenant.With(context.WithoutCancel(ctx), t), catchUpTime)
	defer cancel()
	err = v.cfg.Ledger.View(ctx, func(tx *ledger.Tx) error {
		if !tv.state.loaded {
			return tv.state.load(tx)
		}
		return tv.state.follow(tx)
	})
	if err != nil {
		// The state may have been changed in part: it is read again whole.
		tv.state = state{}
		return nil, err
	}
	view := tv.state.compile(tv.view.Load())
	tv.view.Store(view)
	return view, nil
}

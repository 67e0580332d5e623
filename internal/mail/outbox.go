package mail

import (
	"context"
	"log/slog"
	"net/mail"
	"slices"
	"strconv"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/fault"
)

// Transport takes a letter to its reader's server; SMTP and Mailbox do.
type Transport interface {
	Send(ctx context.Context, from, to string, raw []byte) error
}

// Config is what an Outbox needs.
type Config struct {
	Transport Transport
	From      mail.Address
	Audit     audit.Recorder
	Log       *slog.Logger     // nil = discard
	Now       func() time.Time // the clock
	// Waiting bounds the letters that wait or are on their way; 0 means 1,000.
	Waiting int
}

// The bounds of sending.
const (
	senders  = 4 // letters on their way at a time
	attempts = 5 // of one letter
)

// pauses lie between the attempts: a server that greylists is satisfied by the
// second or third, and a link that is an hour good does not come after its end.
var pauses = [attempts - 1]time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute}

// Outbox sends letters in the background. It loses what waits when the process
// ends: whoever waits for a letter can ask for another one.
type Outbox struct {
	cfg  Config
	wake chan struct{}

	mu      sync.Mutex
	waiting []*pending // by due
	taken   int        // waiting or on their way
}

// pending is a letter with what has become of it so far.
type pending struct {
	letter *Letter
	raw    []byte
	due    time.Time
	tried  int
}

// New returns an Outbox. Run must run for letters to leave.
func New(cfg Config) *Outbox {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Waiting <= 0 {
		cfg.Waiting = 1000
	}
	return &Outbox{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Post takes a letter to be sent. It does not wait for anything; fault.Unavailable
// when too many wait already, fault.Invalid when it cannot be sent to that address.
func (o *Outbox) Post(l *Letter) error {
	now := o.cfg.Now()
	raw, err := Compose(l, o.cfg.From, now)
	if err != nil {
		return err
	}
	o.mu.Lock()
	full := o.taken >= o.cfg.Waiting
	if !full {
		o.taken++
		o.put(&pending{letter: l, raw: raw, due: now})
	}
	o.mu.Unlock()
	if full {
		o.record(l, "QUEUE_FULL", 0)
		return fault.New(fault.Unavailable, "%d letters wait already; try again later", o.cfg.Waiting)
	}
	o.poke()
	return nil
}

// put adds to those that wait, by due. The lock is held.
func (o *Outbox) put(p *pending) {
	i, _ := slices.BinarySearchFunc(o.waiting, p.due, func(w *pending, due time.Time) int {
		if w.due.After(due) {
			return 1
		}
		return -1
	})
	o.waiting = slices.Insert(o.waiting, i, p)
}

func (o *Outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// next returns a letter that is due, or how long until one is; a negative time when
// none waits.
func (o *Outbox) next() (*pending, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) == 0 {
		return nil, -1
	}
	if wait := o.waiting[0].due.Sub(o.cfg.Now()); wait > 0 {
		return nil, wait
	}
	p := o.waiting[0]
	o.waiting = slices.Delete(o.waiting, 0, 1)
	return p, 0
}

// Run sends until ctx ends, and returns when nothing is on its way any more.
func (o *Outbox) Run(ctx context.Context) {
	var work sync.WaitGroup
	turns := make(chan struct{}, senders)
	for ctx.Err() == nil {
		p, wait := o.next()
		if p == nil {
			o.sleep(ctx, wait)
			continue
		}
		turns <- struct{}{} // an attempt ends by itself
		work.Go(func() {
			defer func() { <-turns }()
			o.deliver(ctx, p)
		})
	}
	work.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.waiting); n > 0 {
		o.cfg.Log.Warn("letters were not sent before the end", slog.Int("letters", n))
	}
}

// sleep returns when there may be a letter to send.
func (o *Outbox) sleep(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait >= 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-o.wake:
	case <-due:
	}
}

// deliver makes one attempt, and says what became of the letter when it was the last.
// Nothing of a letter but its purpose is logged: it may hold a link that opens an
// account.
func (o *Outbox) deliver(ctx context.Context, p *pending) {
	p.tried++
	err := o.cfg.Transport.Send(ctx, o.cfg.From.Address, p.letter.To, p.raw)
	last := fault.Is(err, fault.Invalid) || p.tried >= attempts
	if err != nil {
		o.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "a letter was not taken", slog.String("purpose", p.letter.Purpose),
			slog.Int("attempt", p.tried), slog.Bool("given_up", last), slog.Any("error", err))
	}
	o.mu.Lock()
	again := err != nil && !last
	if again {
		p.due = o.cfg.Now().Add(pauses[p.tried-1])
		o.put(p)
	} else {
		o.taken--
	}
	o.mu.Unlock()
	switch {
	case again:
		o.poke()
	case err != nil:
		o.record(p.letter, "NOT_DELIVERED", p.tried)
	default:
		o.record(p.letter, "", p.tried)
	}
}

// delivery is the event of a letter that has left or is given up, named as in Okta's
// System Log.
const delivery = "system.email.delivery"

func (o *Outbox) record(l *Letter, reason string, tried int) {
	e := audit.Event{
		Tenant: l.Tenant, Type: delivery, Message: "Deliver an e-mail", Severity: audit.Info,
		Actor: audit.Entity{ID: "mail", Type: "SystemPrincipal", DisplayName: "Mail"}, Targets: []audit.Entity{l.Person},
		Outcome: audit.Outcome{Result: audit.Success}, Debug: map[string]string{"purpose": l.Purpose, "attempts": strconv.Itoa(tried)},
	}
	if reason != "" {
		e.Severity, e.Outcome = audit.Warn, audit.Outcome{Result: audit.Failure, Reason: reason}
	}
	o.cfg.Audit.Record(e)
}

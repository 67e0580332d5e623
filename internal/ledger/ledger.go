// Package ledger keeps every thing that a person manages: objects of registered
// kinds, the changes that made them what they are, and the revisions those
// changes form.
//
// Every write happens in Ledger.Update: one transaction that checks, writes the
// objects and appends one change for each write. The changes of one Update
// share one revision, the tenant's next number, taken while the tenant's head
// is held; so revisions have no gaps, a reader that has seen revision n has seen
// all before n, and every revision is a state that somebody meant: an Update is
// never seen in part. An Update that changes nothing makes no revision.
//
// History, diff, apply, rollback, export, restore and "who uses this?" are
// written once, here, for all kinds. The package knows documents, keys and
// references; it must not know SQL, HTTP, or what any kind means. It never sees
// the plain text of a secret: fields that a kind declares secret must hold
// sealed values.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Revision numbers the states of one tenant: 0 is empty, and each Update that
// changes something adds one.
type Revision int64

// Actor is who makes a change.
type Actor struct {
	Type string `json:"type"`           // "user", "app", "file" or "system"
	ID   string `json:"id"`             // an object id, a file name, or the name of a part of Gatehouse
	Name string `json:"name,omitempty"` // for people; as it was at the time of the change
}

// System returns the actor for what a part of Gatehouse does by itself.
func System(part string) Actor { return Actor{Type: "system", ID: part} }

// Guard is a check of the state that an Update would leave behind, such as "does
// it compile?". It runs last, before the commit, on a transaction that only
// reads; its error undoes the Update.
type Guard func(ctx context.Context, tx *Tx) error

// Config is what a Ledger is made of.
type Config struct {
	Store    Store
	Registry *Registry
	Clock    func() time.Time           // nil means time.Now
	NewID    func(prefix string) string // nil means NewID of this package
	Guards   []Guard
	// Committed is told of each revision after its commit; nil for nobody. It
	// runs on the goroutine of the Update and should return at once.
	Committed func(t tenant.ID, r Revision)
}

// Ledger reads and writes the objects of all tenants. The tenant of each call is
// that of its context. Methods may be called from any goroutine.
type Ledger struct {
	store     Store
	registry  *Registry
	clock     func() time.Time
	newID     func(prefix string) string
	guards    []Guard
	committed func(t tenant.ID, r Revision)
}

// New returns a ledger; the config needs a store and a registry.
func New(c Config) (*Ledger, error) {
	if c.Store == nil || c.Registry == nil {
		return nil, errors.New("ledger needs a store and a registry of kinds")
	}
	l := &Ledger{
		store: c.Store, registry: c.Registry, clock: c.Clock, newID: c.NewID,
		guards: c.Guards, committed: c.Committed,
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	if l.newID == nil {
		l.newID = NewID
	}
	return l, nil
}

// Registry returns the kinds of this ledger.
func (l *Ledger) Registry() *Registry { return l.registry }

// Update runs f in one transaction and returns the revision it made, or the
// current one when f changed nothing. References and guards are checked after f.
// On any error nothing is written. f may run more than once, when the store asks
// for the transaction to be repeated, so it must have no other effects; and it
// must not call Update itself, which would wait for the first one to end.
func (l *Ledger) Update(ctx context.Context, actor Actor, reason string, f func(*Tx) error) (Revision, error) {
	r, _, err := l.update(ctx, actor, reason, false, f)
	return r, err
}

// Preview does all that Update does, checks and guards included, and then undoes
// it. It returns the changes that Update would have written.
func (l *Ledger) Preview(ctx context.Context, actor Actor, reason string, f func(*Tx) error) ([]Change, error) {
	_, changes, err := l.update(ctx, actor, reason, true, f)
	return changes, err
}

// errPreview makes the store undo a preview.
var errPreview = errors.New("preview")

func (l *Ledger) update(ctx context.Context, actor Actor, reason string, preview bool, f func(*Tx) error) (r Revision, changes []Change, err error) {
	defer fault.Wrap(&err, "update the ledger")
	t, err := tenantOf(ctx)
	if err != nil {
		return 0, nil, err
	}
	if actor.Type == "" || actor.ID == "" {
		return 0, nil, fault.New(fault.Invalid, "a change needs an actor with a type and an id")
	}
	actor = Actor{Type: text(actor.Type), ID: text(actor.ID), Name: text(actor.Name)}
	reason = text(reason)
	err = l.store.Write(ctx, t, func(w Writer) error {
		r, changes = 0, nil
		head, err := w.Head(ctx)
		if err != nil {
			return err
		}
		tx := l.begin(ctx, t, w)
		tx.w, tx.actor, tx.reason, tx.next = w, actor, reason, head.Revision+1
		if err := tx.finish(f, head); err != nil {
			return err
		}
		r, changes = head.Revision, tx.changes
		if len(changes) > 0 {
			r = tx.next
		}
		if preview {
			return errPreview
		}
		return nil
	})
	if preview && errors.Is(err, errPreview) {
		err = nil
	}
	if err != nil {
		return 0, nil, err
	}
	if len(changes) > 0 && !preview && l.committed != nil {
		l.committed(t, r)
	}
	return r, changes, nil
}

// View runs f on one unchanging state of the tenant. f must not keep the
// transaction.
func (l *Ledger) View(ctx context.Context, f func(*Tx) error) (err error) {
	defer fault.Wrap(&err, "read the ledger")
	t, err := tenantOf(ctx)
	if err != nil {
		return err
	}
	return l.store.Read(ctx, t, func(r Reader) error { return f(l.begin(ctx, t, r)) })
}

// get returns one object of any kind as it is now, or fault.NotFound.
func (l *Ledger) get(ctx context.Context, kind, id string) (r Record, err error) {
	defer fault.Wrap(&err, "read the ledger")
	t, err := tenantOf(ctx)
	if err != nil {
		return Record{}, err
	}
	if validPlace(kind, id) {
		r, ok, err := l.store.Object(ctx, t, kind, id)
		if err != nil || ok {
			return r, err
		}
	}
	return Record{}, noObject(kind, id)
}

// Head returns the tenant's current revision.
func (l *Ledger) Head(ctx context.Context) (Revision, error) {
	var r Revision
	err := l.View(ctx, func(tx *Tx) (err error) {
		r, err = tx.Head()
		return err
	})
	return r, err
}

func (l *Ledger) begin(ctx context.Context, t tenant.ID, r Reader) *Tx {
	return &Tx{ctx: ctx, ledger: l, tenant: t, now: l.clock().UTC().Truncate(time.Microsecond), r: r}
}

func tenantOf(ctx context.Context) (tenant.ID, error) {
	t, ok := tenant.From(ctx)
	if !ok {
		return "", errors.New("no tenant in the context")
	}
	if !t.Valid() {
		return "", fault.New(fault.Invalid, "tenant %s is not well formed: use 1 to 40 lower-case letters, digits and hyphens", quote(string(t)))
	}
	return t, nil
}

// mostText is the longest reason or name of an actor in bytes.
const mostText = 2000

// text makes a text that a caller gave fit to be stored: valid UTF-8, without NUL
// (which PostgreSQL refuses), and not too long.
func text(s string) string {
	if len(s) > mostText {
		s = s[:mostText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}

// quote shortens and quotes a value for an error message.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf("%q", s)
}

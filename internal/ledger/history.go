package ledger

import (
	"context"
	"math"

	"gatehouse/internal/fault"
)

// HistoryQuery asks for changes, the newest first.
type HistoryQuery struct {
	Kind, ID string // of one object; both empty: of the whole tenant
	Before   Place  // the page ends before this place; zero: the newest
	Limit    int    // 0 means 200; at most 1,000
}

// History returns the changes of an object or of the tenant, the newest first.
// The next page is Before the last one's place.
func (tx *Tx) History(q HistoryQuery) ([]Change, error) {
	if (q.Kind == "") != (q.ID == "") {
		return nil, fault.New(fault.Invalid, "the history of an object needs its kind and its id")
	}
	if q.ID != "" && !validPlace(q.Kind, q.ID) {
		return nil, nil
	}
	if q.Before == (Place{}) {
		q.Before = Place{Revision: math.MaxInt64}
	}
	return tx.r.Changes(tx.ctx, ChangeQuery{Kind: q.Kind, ID: q.ID, Place: q.Before, Limit: pageLimit(q.Limit), Descending: true})
}

// ChangesSince returns the changes of the revisions behind since, the oldest
// first, and only whole revisions: as many as limit changes fill, and at least one
// when there is one. It returns nothing when since is the head.
func (tx *Tx) ChangesSince(since Revision, limit int) ([]Change, error) {
	q := ChangeQuery{Place: Place{Revision: since, Part: math.MaxInt32}, Limit: pageLimit(limit)}
	out, err := tx.r.Changes(tx.ctx, q)
	for err == nil && len(out) > 0 && out[len(out)-1].Part < out[len(out)-1].Parts {
		last := out[len(out)-1]
		q.Place, q.Limit = Place{last.Revision, last.Part}, min(last.Parts-last.Part, mostLimit)
		var more []Change
		more, err = tx.r.Changes(tx.ctx, q)
		if err == nil && len(more) == 0 {
			return nil, fault.New(fault.Internal, "revision %d has %d changes, but only %d are there: verify the chain", last.Revision, last.Parts, last.Part)
		}
		out = append(out, more...)
	}
	return out, err
}

// At returns an object as it was at a revision, or fault.NotFound when it was
// not there then.
func (tx *Tx) At(kind, id string, r Revision) (Record, error) {
	if err := tx.checkRevision(r); err != nil {
		return Record{}, err
	}
	if validPlace(kind, id) {
		if rec, ok, err := tx.at(place{kind, id}, r); err != nil || ok {
			return rec, err
		}
	}
	return Record{}, fault.New(fault.NotFound, "there was no %s %s at revision %d", text(kind), quote(id), r)
}

func (tx *Tx) at(p place, r Revision) (Record, bool, error) {
	rows, err := tx.r.Changes(tx.ctx, ChangeQuery{Kind: p.kind, ID: p.id, Place: Place{Revision: r + 1}, Limit: 1, Descending: true})
	if err != nil || len(rows) == 0 || rows[0].Op == Deleted {
		return Record{}, false, err
	}
	return rows[0].Record(), true, nil
}

// Record returns the object as the change left it; for a deletion, as it was.
func (c *Change) Record() Record {
	r := Record{Kind: c.Kind, Meta: Meta{ID: c.ID, Revision: c.Revision, Created: c.Created, Updated: c.Time, Owner: c.Owner}, Data: c.After}
	if c.Op == Deleted {
		r.Data = c.Before
	}
	return r
}

func (tx *Tx) checkRevision(r Revision) error {
	head, err := tx.Head()
	if err != nil {
		return err
	}
	if r < 0 || r > head {
		return fault.New(fault.NotFound, "there is no revision %d: the newest is %d", r, head)
	}
	return nil
}

// Export calls yield with every object of the tenant as of a revision, by kind
// and id; kinds are in the order of their names. It works on all registered kinds.
func (tx *Tx) Export(at Revision, yield func(Record) error) error {
	if err := tx.checkRevision(at); err != nil {
		return err
	}
	for _, kind := range tx.ledger.registry.Kinds() {
		if err := tx.exportKind(kind, at, yield); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) exportKind(kind string, at Revision, yield func(Record) error) error {
	head, err := tx.Head()
	if err != nil || at == 0 {
		return err
	}
	if at == head {
		at = 0 // the objects themselves
	}
	objects := reader{tx: tx, q: ObjectQuery{Kind: kind, At: at, Limit: mostLimit}}
	for {
		r, err := objects.peek()
		if err != nil || r == nil {
			return err
		}
		if err := yield(*r); err != nil {
			return err
		}
		objects.next()
	}
}

// reader goes through all pages of a query by id, or of an owner.
type reader struct {
	tx   *Tx
	q    ObjectQuery
	page []Record
	i    int
	last bool // there is no page behind this one
}

// peek returns the object that the reader stands at; nil behind the last.
func (r *reader) peek() (*Record, error) {
	if r.i == len(r.page) && !r.last {
		if r.i > 0 {
			r.q.After = Position{Value: r.page[r.i-1].Sort, ID: r.page[r.i-1].ID, Set: true}
		}
		page, err := r.tx.r.Objects(r.tx.ctx, r.q)
		if err != nil {
			return nil, err
		}
		r.page, r.i, r.last = page, 0, len(page) < r.q.Limit
	}
	if r.i == len(r.page) {
		return nil, nil
	}
	return &r.page[r.i], nil
}

func (r *reader) next() { r.i++ }

// Difference is how one object differs between two states.
type Difference struct {
	Kind   string    `json:"kind"`
	ID     string    `json:"id"`
	Op     Operation `json:"operation"`
	Before *Record   `json:"before,omitempty"` // nil when it was not there
	After  *Record   `json:"after,omitempty"`  // nil when it is not there any more
}

// Diff returns how the objects differ from revision a to revision b, by kind and
// id, whichever of the two is older.
func (tx *Tx) Diff(a, b Revision) ([]Difference, error) {
	for _, r := range []Revision{a, b} {
		if err := tx.checkRevision(r); err != nil {
			return nil, err
		}
	}
	touched, err := tx.touched(min(a, b), max(a, b))
	if err != nil {
		return nil, err
	}
	var out []Difference
	for _, p := range touched {
		before, was, err := tx.at(p, a)
		if err != nil {
			return nil, err
		}
		after, is, err := tx.at(p, b)
		if err != nil {
			return nil, err
		}
		d := Difference{Kind: p.kind, ID: p.id, Op: Updated}
		if was {
			d.Before = &before
		} else {
			d.Op = Created
		}
		if is {
			d.After = &after
		} else {
			d.Op = Deleted
		}
		if was != is || was && !before.same(after) {
			out = append(out, d)
		}
	}
	return out, nil
}

// same reports whether two records say the same, whenever they were written.
func (r Record) same(o Record) bool { return string(r.Data) == string(o.Data) && r.Owner == o.Owner }

// touched returns the objects that changed behind revision from, up to revision
// to, sorted by kind and id.
func (tx *Tx) touched(from, to Revision) ([]place, error) {
	seen := map[place]bool{}
	for q := (ChangeQuery{Place: Place{Revision: from, Part: math.MaxInt32}, Limit: mostLimit}); ; {
		rows, err := tx.r.Changes(tx.ctx, q)
		if err != nil {
			return nil, err
		}
		for _, c := range rows {
			if c.Revision > to {
				return sorted(seen), nil
			}
			seen[place{c.Kind, c.ID}] = true
			q.Place = Place{c.Revision, c.Part}
		}
		if len(rows) < mostLimit {
			return sorted(seen), nil
		}
	}
}

// The same, each in a View of its own.

// History is Tx.History in a View of its own.
func (l *Ledger) History(ctx context.Context, q HistoryQuery) (out []Change, err error) {
	err = l.View(ctx, func(tx *Tx) (err error) { out, err = tx.History(q); return err })
	return out, err
}

// ChangesSince is Tx.ChangesSince in a View of its own.
func (l *Ledger) ChangesSince(ctx context.Context, since Revision, limit int) (out []Change, err error) {
	err = l.View(ctx, func(tx *Tx) (err error) { out, err = tx.ChangesSince(since, limit); return err })
	return out, err
}

// At is Tx.At in a View of its own.
func (l *Ledger) At(ctx context.Context, kind, id string, r Revision) (out Record, err error) {
	err = l.View(ctx, func(tx *Tx) (err error) { out, err = tx.At(kind, id, r); return err })
	return out, err
}

// Diff is Tx.Diff in a View of its own.
func (l *Ledger) Diff(ctx context.Context, a, b Revision) (out []Difference, err error) {
	err = l.View(ctx, func(tx *Tx) (err error) { out, err = tx.Diff(a, b); return err })
	return out, err
}

// Export is Tx.Export in a View of its own.
func (l *Ledger) Export(ctx context.Context, at Revision, yield func(Record) error) error {
	return l.View(ctx, func(tx *Tx) error { return tx.Export(at, yield) })
}

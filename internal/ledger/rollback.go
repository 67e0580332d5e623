package ledger

import (
	"context"

	"gatehouse/internal/fault"
)

// Rollback writes the changes that bring every object back to what it was at a
// revision; history stays as it is, and the rollback can itself be rolled back.
// It returns what it did.
func (tx *Tx) Rollback(to Revision) ([]Difference, error) {
	if tx.w == nil {
		return nil, errReadOnly
	}
	if len(tx.changes) > 0 {
		return nil, fault.New(fault.Invalid, "a rollback is an update of its own: it cannot follow other changes")
	}
	head, err := tx.Head()
	if err != nil {
		return nil, err
	}
	plan, err := tx.Diff(head, to)
	if err != nil {
		return nil, err
	}
	return plan, tx.restore(plan)
}

// Restore brings one object back to what it was at a revision: it is replaced,
// created again, or deleted.
func (tx *Tx) Restore(kind, id string, to Revision) (*Difference, error) {
	if err := tx.checkRevision(to); err != nil {
		return nil, err
	}
	if !validPlace(kind, id) {
		return nil, fault.New(fault.NotFound, "there is no %s %s", text(kind), quote(id))
	}
	d := Difference{Kind: kind, ID: id, Op: Updated}
	now, is, err := tx.r.Object(tx.ctx, kind, id)
	if err != nil {
		return nil, err
	}
	then, was, err := tx.at(place{kind, id}, to)
	if err != nil {
		return nil, err
	}
	switch {
	case !is && !was:
		return nil, fault.New(fault.NotFound, "there is no %s %s, and there was none at revision %d", kind, quote(id), to)
	case is && was && now.same(then):
		return nil, nil
	case !is:
		d.Op = Created
	case !was:
		d.Op = Deleted
	}
	if is {
		d.Before = &now
	}
	if was {
		d.After = &then
	}
	return &d, tx.restore([]Difference{d})
}

// restore carries out a plan whatever owner its objects have: whoever may roll
// back may undo what a file declared, until the file is applied again.
func (tx *Tx) restore(plan []Difference) error {
	tx.restoring = true
	defer func() { tx.restoring = false }()
	return tx.carryOut(plan)
}

// Rollback is Tx.Rollback in an Update of its own.
func (l *Ledger) Rollback(ctx context.Context, actor Actor, reason string, to Revision) (r Revision, did []Difference, err error) {
	r, err = l.Update(ctx, actor, reason, func(tx *Tx) (err error) { did, err = tx.Rollback(to); return err })
	return r, did, err
}

// PreviewRollback checks all that Rollback checks, and writes nothing.
func (l *Ledger) PreviewRollback(ctx context.Context, actor Actor, reason string, to Revision) (would []Difference, err error) {
	_, err = l.Preview(ctx, actor, reason, func(tx *Tx) (err error) { would, err = tx.Rollback(to); return err })
	return would, err
}

// Restore is Tx.Restore in an Update of its own; the difference is nil when there
// was nothing to do.
func (l *Ledger) Restore(ctx context.Context, actor Actor, reason, kind, id string, to Revision) (r Revision, did *Difference, err error) {
	r, err = l.Update(ctx, actor, reason, func(tx *Tx) (err error) { did, err = tx.Restore(kind, id, to); return err })
	return r, did, err
}

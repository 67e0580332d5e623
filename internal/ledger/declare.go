package ledger

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
)

// Desired is one object that a file declares.
type Desired struct {
	Kind string
	Key  Key    // a unique key of the kind, by which a file knows the object
	ID   string // empty: of the object that has the key, else DeclaredID
	// Value is the document: a value of the kind's type, or a json.RawMessage.
	Value any
}

// DesiredID returns the id that a declared object has or would get: that of the
// object with the key, else DeclaredID. Use it to refer to declared objects.
func (tx *Tx) DesiredID(kind string, key Key) (string, error) {
	k, err := tx.ledger.registry.kind(kind)
	if err != nil {
		return "", err
	}
	value, err := key.encode()
	if err != nil {
		return "", err
	}
	r, ok, err := tx.lookup(kind, key.Name, value)
	if err != nil {
		return "", err
	}
	if ok {
		return r.ID, nil
	}
	return DeclaredID(tx.tenant, kind, k.prefix, key), nil
}

// Plan returns how the objects would change if the owner's were those that are
// desired, by kind and id: the diff of a file. It writes nothing; whether the
// result is valid, Ledger.PreviewApply says.
func (tx *Tx) Plan(owner string, desired []Desired) ([]Difference, error) {
	if owner == "" {
		return nil, fault.New(fault.Invalid, "declared objects need an owner, such as the name of their file")
	}
	want := map[place]Record{}
	for _, d := range desired {
		r, err := tx.desired(owner, d)
		if err != nil {
			return nil, err
		}
		at := place{r.Kind, r.ID}
		if _, twice := want[at]; twice {
			return nil, fault.New(fault.Invalid, "%s %s is declared twice", d.Kind, quote(strings.Join(d.Key.Parts, ", ")))
		}
		want[at] = r
	}
	var out []Difference
	for _, at := range sorted(want) {
		next := want[at]
		old, ok, err := tx.r.Object(tx.ctx, at.kind, at.id)
		if err != nil {
			return nil, err
		}
		switch {
		case !ok:
			out = append(out, Difference{Kind: at.kind, ID: at.id, Op: Created, After: &next})
		case !old.same(next):
			out = append(out, Difference{Kind: at.kind, ID: at.id, Op: Updated, Before: &old, After: &next})
		}
	}
	gone, err := tx.undeclared(owner, want)
	if err != nil {
		return nil, err
	}
	out = append(out, gone...)
	order.By(out, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return out, nil
}

// desired returns the record that a declaration asks for.
func (tx *Tx) desired(owner string, d Desired) (Record, error) {
	k, err := tx.ledger.registry.kind(d.Kind)
	if err != nil {
		return Record{}, err
	}
	if d.ID == "" {
		if d.ID, err = tx.DesiredID(d.Kind, d.Key); err != nil {
			return Record{}, err
		}
	}
	old, ok, err := tx.r.Object(tx.ctx, d.Kind, d.ID)
	if err != nil {
		return Record{}, err
	}
	if ok && old.Owner != "" && old.Owner != owner {
		return Record{}, fault.New(fault.Conflict, "%s %s is managed by %s already: declare it in one place, or give this file that name", d.Kind, quote(strings.Join(d.Key.Parts, ", ")), old.Owner).WithReason("managed")
	}
	doc, err := k.document(d.Value, old.Data, nil)
	if err != nil {
		return Record{}, err
	}
	return Record{Kind: d.Kind, Meta: Meta{ID: d.ID, Owner: owner}, Data: doc}, nil
}

// undeclared returns the deletions of the owner's objects that are not wanted.
func (tx *Tx) undeclared(owner string, want map[place]Record) ([]Difference, error) {
	var out []Difference
	objects := reader{tx: tx, q: ObjectQuery{Owner: owner, Limit: mostLimit}}
	for {
		r, err := objects.peek()
		if err != nil || r == nil {
			return out, err
		}
		if _, ok := want[place{r.Kind, r.ID}]; !ok {
			gone := *r
			out = append(out, Difference{Kind: r.Kind, ID: r.ID, Op: Deleted, Before: &gone})
		}
		objects.next()
	}
}

// Apply makes the owner's objects those that are desired: creates, replaces,
// takes over what nobody owns, and deletes what the owner had and does not
// declare any more. It returns what it did.
func (tx *Tx) Apply(owner string, desired []Desired) ([]Difference, error) {
	plan, err := tx.Plan(owner, desired)
	if err != nil {
		return nil, err
	}
	before := tx.owner
	tx.owner = owner
	defer func() { tx.owner = before }()
	return plan, tx.carryOut(plan)
}

// ActAs lets the transaction write the objects that the owner declares, and makes
// the owner that of what it writes.
func (tx *Tx) ActAs(owner string) { tx.owner = owner }

// Apply is Tx.Apply in an Update of its own.
func (l *Ledger) Apply(ctx context.Context, actor Actor, reason, owner string, desired []Desired) (r Revision, did []Difference, err error) {
	r, err = l.Update(ctx, actor, reason, func(tx *Tx) (err error) { did, err = tx.Apply(owner, desired); return err })
	return r, did, err
}

// PreviewApply checks all that Apply checks, and writes nothing.
func (l *Ledger) PreviewApply(ctx context.Context, actor Actor, reason, owner string, desired []Desired) (would []Difference, err error) {
	_, err = l.Preview(ctx, actor, reason, func(tx *Tx) (err error) { would, err = tx.Apply(owner, desired); return err })
	return would, err
}

// carryOut brings objects from one state to another. All that leaves or changes
// lets go of its keys and references first, so that names can be swapped and
// objects that refer to one another can go together.
func (tx *Tx) carryOut(plan []Difference) error {
	if tx.w == nil {
		return errReadOnly
	}
	for _, d := range plan {
		if d.Before == nil {
			continue
		}
		if err := tx.w.Save(tx.ctx, *d.Before, Links{}); err != nil {
			return err
		}
	}
	for _, d := range plan {
		if err := tx.carryOutOne(d); err != nil {
			return fmt.Errorf("%s %s %s: %w", d.Op, d.Kind, d.ID, err)
		}
	}
	return nil
}

func (tx *Tx) carryOutOne(d Difference) error {
	k, err := tx.ledger.registry.kind(d.Kind)
	if err != nil {
		return err
	}
	if err := tx.mayWrite(k); err != nil {
		return err
	}
	if d.After == nil {
		return tx.remove(*d.Before)
	}
	next := *d.After
	if d.Before == nil {
		if next.Created.IsZero() {
			next.Created = tx.now
		}
		_, err := tx.save(k, next, nil)
		return err
	}
	next.Created = d.Before.Created
	_, err = tx.save(k, next, d.Before)
	return err
}

// sorted returns the places that are keys of m, by kind and id.
func sorted[V any](m map[place]V) []place {
	return slices.SortedFunc(maps.Keys(m), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
}

// Equal reports whether two documents say the same.
func Equal(a, b []byte) (bool, error) {
	var docs [2][]byte
	for i, raw := range [][]byte{a, b} {
		v, err := parse(raw)
		if err != nil {
			return false, err
		}
		if docs[i], err = canonical(v); err != nil {
			return false, err
		}
	}
	return bytes.Equal(docs[0], docs[1]), nil
}

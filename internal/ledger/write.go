package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gatehouse/internal/fault"
)

// insert adds an object. An empty id means a new one.
func (tx *Tx) insert(k *kindCore, id string, value any, extensions map[string]json.RawMessage) (Record, error) {
	given := id != "" // a new id is nobody else's
	if !given {
		id = tx.ledger.newID(k.prefix)
	}
	doc, err := k.document(value, nil, extensions)
	if err != nil {
		return Record{}, err
	}
	return tx.create(k, id, given, doc)
}

// put replaces an object, when its last revision is the expected one (0: any).
func (tx *Tx) put(k *kindCore, id string, expected Revision, value any, extensions map[string]json.RawMessage) (Record, error) {
	old, err := tx.current(k, id, expected)
	if err != nil {
		return Record{}, err
	}
	doc, err := k.document(value, old.Data, extensions)
	if err != nil {
		return Record{}, err
	}
	return tx.replace(k, old, doc)
}

// delete removes an object, when its last revision is the expected one (0: any).
func (tx *Tx) delete(k *kindCore, id string, expected Revision) error {
	old, err := tx.current(k, id, expected)
	if err != nil {
		return err
	}
	return tx.remove(old)
}

// current returns the object that is about to be replaced or deleted, when its
// last revision is the expected one (0: any) and the transaction may write it.
func (tx *Tx) current(k *kindCore, id string, expected Revision) (Record, error) {
	if err := tx.mayWrite(k); err != nil {
		return Record{}, err
	}
	old, err := tx.Get(k.name, id)
	if err != nil {
		return Record{}, err
	}
	if expected != 0 && old.Revision != expected {
		return Record{}, fault.New(fault.Stale, "%s %s has changed since you read it: you have revision %d, it is at %d; read it again and repeat the change",
			k.name, id, expected, old.Revision)
	}
	if old.Owner != "" && old.Owner != tx.owner && !tx.restoring {
		return Record{}, fault.New(fault.Conflict, "%s %s is managed by %s: change it there", k.name, id, old.Owner).WithReason("managed")
	}
	return old, nil
}

func (tx *Tx) mayWrite(k *kindCore) error {
	if tx.w == nil {
		return errReadOnly
	}
	if registered, err := tx.ledger.registry.kind(k.name); err != nil {
		return err
	} else if registered != k {
		return fmt.Errorf("kind %q of this ledger is another one", k.name)
	}
	return nil
}

// create adds an object. An id that was given, and not made here, may be taken.
func (tx *Tx) create(k *kindCore, id string, given bool, doc []byte) (Record, error) {
	if err := tx.mayWrite(k); err != nil {
		return Record{}, err
	}
	if !validID(id) {
		return Record{}, fault.New(fault.Invalid, "%s is not an id: use 1 to 64 letters, digits, hyphens, underscores or dots", quote(id))
	}
	if given {
		_, taken, err := tx.r.Object(tx.ctx, k.name, id)
		if err != nil {
			return Record{}, err
		}
		if taken {
			return Record{}, fault.New(fault.Conflict, "%s %s exists already", k.name, id)
		}
	}
	meta := Meta{ID: id, Created: tx.now, Owner: tx.owner}
	return tx.save(k, Record{Kind: k.name, Meta: meta, Data: doc}, nil)
}

// replace writes a new document in place of an old one that differs.
func (tx *Tx) replace(k *kindCore, old Record, doc []byte) (Record, error) {
	next := old
	next.Data = doc
	if tx.owner != "" {
		next.Owner = tx.owner
	}
	if bytes.Equal(old.Data, doc) && old.Owner == next.Owner {
		return old, nil
	}
	return tx.save(k, next, &old)
}

// save checks and writes r, in place of old when there is one, and notes the
// change.
func (tx *Tx) save(k *kindCore, r Record, old *Record) (Record, error) {
	links, err := tx.check(k, r)
	if err != nil {
		return Record{}, err
	}
	r.Revision, r.Updated = tx.next, tx.now
	links.Fresh = old == nil
	if err := tx.w.Save(tx.ctx, r, links); err != nil {
		return Record{}, err
	}
	at := place{r.Kind, r.ID}
	if tx.written == nil {
		tx.written, tx.deleted = map[place][]Ref{}, map[place]bool{}
	}
	tx.written[at] = links.Refs
	delete(tx.deleted, at)
	c := tx.change(r, Created)
	c.After = r.Data
	if old != nil {
		c.Op, c.Before = Updated, old.Data
	}
	tx.changes = append(tx.changes, c)
	return r, nil
}

// check returns the links of a document that is valid by itself, and whose
// unique keys are free.
func (tx *Tx) check(k *kindCore, r Record) (Links, error) {
	if err := k.checkSecrets(r.Data); err != nil {
		return Links{}, err
	}
	links, err := k.links(r.Data)
	if err != nil {
		return Links{}, err
	}
	for _, key := range links.Keys {
		if !key.Unique {
			continue
		}
		other, taken, err := tx.lookup(k.name, key.Name, key.Value)
		if err != nil {
			return Links{}, err
		}
		if taken && other.ID != r.ID {
			return Links{}, fault.New(fault.Conflict, "a %s with %s exists already: %s", k.name, key, other.ID)
		}
	}
	return links, nil
}

// String returns the key for people.
func (k KeyRow) String() string {
	parts := strings.Split(strings.TrimSuffix(k.Value, partEnd), partEnd)
	return fmt.Sprintf("the %s %s", k.Name, quote(strings.Join(parts, ", ")))
}

// remove deletes an object, and before it those that refer to it and cascade.
func (tx *Tx) remove(old Record) error {
	at := place{old.Kind, old.ID}
	if tx.deleted[at] {
		return nil
	}
	if tx.deleted == nil {
		tx.written, tx.deleted = map[place][]Ref{}, map[place]bool{}
	}
	tx.deleted[at] = true
	if err := tx.cascade(at); err != nil {
		return err
	}
	if err := tx.w.Remove(tx.ctx, old.Kind, old.ID); err != nil {
		return err
	}
	delete(tx.written, at)
	c := tx.change(old, Deleted)
	c.Before = old.Data
	tx.changes = append(tx.changes, c)
	return nil
}

func (tx *Tx) cascade(target place) error {
	for q := (ReferrerQuery{Kind: target.kind, ID: target.id, Limit: mostLimit}); ; {
		referrers, err := tx.r.Referrers(tx.ctx, q)
		if err != nil {
			return err
		}
		for _, by := range referrers {
			q.After = by
			if by.OnDelete != Cascade || tx.deleted[place{by.Kind, by.ID}] {
				continue
			}
			k, err := tx.ledger.registry.kind(by.Kind)
			if err != nil {
				return err
			}
			old, err := tx.current(k, by.ID, 0)
			if err != nil {
				return err
			}
			if err := tx.remove(old); err != nil {
				return err
			}
		}
		if len(referrers) < mostLimit {
			return nil
		}
	}
}

// change begins the change row of an object.
func (tx *Tx) change(r Record, op Operation) Change {
	return Change{
		Tenant: tx.tenant, Revision: tx.next, Part: len(tx.changes) + 1, Time: tx.now, Actor: tx.actor, Reason: tx.reason,
		Kind: r.Kind, ID: r.ID, Op: op, Created: r.Created, Owner: r.Owner,
	}
}

// finish runs f and the checks that look at the whole, and appends the changes.
func (tx *Tx) finish(f func(*Tx) error, head Head) error {
	if err := f(tx); err != nil {
		return err
	}
	if len(tx.changes) == 0 {
		return nil
	}
	w := tx.w
	tx.w = nil // from here on nothing may change
	if err := tx.checkRefs(); err != nil {
		return err
	}
	for _, guard := range tx.ledger.guards {
		if err := guard(tx.ctx, tx); err != nil {
			return err
		}
	}
	previous := head.Hash
	for i := range tx.changes {
		c := &tx.changes[i]
		c.Parts, c.Previous = len(tx.changes), previous
		c.Hash = c.Digest()
		previous = c.Hash
	}
	return w.Append(tx.ctx, tx.changes, Head{Revision: tx.next, Hash: previous})
}

// checkRefs makes sure that what the written objects refer to exists, and that
// nothing refers to a deleted one.
func (tx *Tx) checkRefs() error {
	for at, refs := range tx.written {
		for _, ref := range refs {
			if _, fresh := tx.written[place{ref.Kind, ref.ID}]; fresh {
				continue
			}
			_, ok, err := tx.r.Object(tx.ctx, ref.Kind, ref.ID)
			if err != nil {
				return err
			}
			if !ok {
				return fault.New(fault.Invalid, "%s %s refers to something that does not exist", at.kind, at.id).
					WithFields(fault.Field{Path: ref.Field, Message: fmt.Sprintf("there is no %s %s", ref.Kind, quote(ref.ID))})
			}
		}
	}
	for at := range tx.deleted {
		const named = 10
		by, err := tx.r.Referrers(tx.ctx, ReferrerQuery{Kind: at.kind, ID: at.id, Limit: named + 1})
		if err != nil {
			return err
		}
		if len(by) > 0 {
			return inUse(at, by, named)
		}
	}
	return nil
}

// ReasonInUse is the reason of a fault about an object that others refer to.
const ReasonInUse = "in_use"

func inUse(at place, by []Referrer, named int) error {
	e := fault.New(fault.Conflict, "%s %s is in use: remove it from what refers to it first", at.kind, at.id).WithReason(ReasonInUse)
	for i, r := range by {
		if i == named {
			return e.WithFields(fault.Field{Path: "more", Message: "and others"})
		}
		e = e.WithFields(fault.Field{Path: r.Kind + "." + r.ID, Message: "refers to it in " + r.Field})
	}
	return e
}

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"gatehouse/internal/fault"
)

// Spec says what the ledger cannot know about a kind. T is its document: a
// struct that encoding/json reads and writes, without the id.
type Spec[T any] struct {
	Name     string // such as "scope": lower-case letters, digits and underscores
	IDPrefix string // 3 letters or digits
	// SharesPrefix says that another kind may have the same prefix: where clients
	// expect ids that are not told apart by it.
	SharesPrefix bool

	Keys  func(T) []Key // unique within tenant and kind; nil for none
	Index func(T) []Key // searchable and sortable, not unique; nil for none
	Refs  func(T) []Ref // what the object refers to; nil for nothing
	Check func(T) error // whether it is valid by itself; nil: always

	// Secrets are the fields that hold a sealed value or nothing, as paths into the
	// document: "secret", "idp.client_secret"; "*" stands for each element of a list
	// or each value of a map: "keys.*.private".
	Secrets []string
}

// Kind gives typed access to the objects of one kind. It holds no state; every
// operation happens in a transaction of a ledger whose registry has the kind.
type Kind[T any] struct{ core *kindCore }

// AnyKind is a kind of any type: what a registry is made of.
type AnyKind interface{ coreOf() *kindCore }

// kindCore is a kind without its type: documents in, links out.
type kindCore struct {
	name, prefix string
	shares       bool // the prefix may be another's as well
	secrets      []string
	shape        *shape
	links        func(doc []byte) (Links, error)
}

func (k *Kind[T]) coreOf() *kindCore { return k.core }

// Object is an object of a kind.
type Object[T any] struct {
	Meta
	Value T
	// Extensions are fields of the document that T does not know, at its top. They
	// survive a Put of an object without them; null removes one.
	Extensions map[string]json.RawMessage
}

// Page is a page of objects and where the next one begins.
type Page[T any] struct {
	Items []Object[T]
	Next  string // for Query.After; empty when this is the last page
}

// NewKind returns the kind of the spec. NewRegistry says what is wrong with it.
//
// What is written with the type T is compiled once for each kind. So it is kept to
// the words that need T; the rest is in kindCore and Tx.
func NewKind[T any](s Spec[T]) *Kind[T] {
	core := &kindCore{name: s.Name, prefix: s.IDPrefix, shares: s.SharesPrefix, secrets: s.Secrets, shape: shapeOf(reflect.TypeFor[T]())}
	core.links = func(doc []byte) (Links, error) {
		var v T
		if err := decode(doc, &v); err != nil {
			return Links{}, err
		}
		if s.Check != nil {
			if err := s.Check(v); err != nil {
				return Links{}, invalid(err)
			}
		}
		var keys, index []Key
		var refs []Ref
		if s.Keys != nil {
			keys = s.Keys(v)
		}
		if s.Index != nil {
			index = s.Index(v)
		}
		if s.Refs != nil {
			refs = s.Refs(v)
		}
		return linksOf(keys, index, refs)
	}
	return &Kind[T]{core: core}
}

func decode(doc []byte, into any) error {
	if err := json.Unmarshal(doc, into); err != nil {
		return fault.Because(err, fault.Invalid, "the document does not fit its kind")
	}
	return nil
}

// invalid makes sure that an error of a Check is a fault.
func invalid(err error) error {
	if fault.Of(err) != nil {
		return err
	}
	return fault.New(fault.Invalid, "%s", err.Error())
}

func linksOf(keys, index []Key, refs []Ref) (Links, error) {
	var l Links
	seen := map[string]bool{}
	add := func(keys []Key, unique bool) error {
		for _, k := range keys {
			value, err := k.encode()
			if err != nil {
				return err
			}
			if at := k.Name + "\x00" + value; !seen[at] {
				seen[at] = true
				l.Keys = append(l.Keys, KeyRow{Name: k.Name, Value: value, Unique: unique})
			}
		}
		return nil
	}
	if err := add(keys, true); err != nil {
		return Links{}, err
	}
	if err := add(index, false); err != nil {
		return Links{}, err
	}
	known := map[Ref]bool{}
	for _, r := range refs {
		if at := (Ref{Field: r.Field, Kind: r.Kind, ID: r.ID}); r.ID != "" && !known[at] {
			known[at] = true
			l.Refs = append(l.Refs, r)
		}
	}
	return l, nil
}

// Name returns the name of the kind.
func (k *Kind[T]) Name() string { return k.core.name }

// NewID returns a fresh id for Insert. Seal secrets with it before the object
// exists.
func (k *Kind[T]) NewID(tx *Tx) string { return tx.ledger.newID(k.core.prefix) }

// DeclaredID returns the id that a declared object with the key has, unless the
// object existed before it was declared.
func (k *Kind[T]) DeclaredID(tx *Tx, key Key) string {
	return DeclaredID(tx.tenant, k.core.name, k.core.prefix, key)
}

// Get returns the object with the id, or fault.NotFound.
func (k *Kind[T]) Get(tx *Tx, id string) (Object[T], error) {
	return k.object(tx.Get(k.core.name, id))
}

// Now returns the object with the id as it is now, or fault.NotFound: a View for Get
// alone costs more.
func (k *Kind[T]) Now(ctx context.Context, l *Ledger, id string) (Object[T], error) {
	return k.object(l.get(ctx, k.core.name, id))
}

// Find returns the object with the unique key, or fault.NotFound.
func (k *Kind[T]) Find(tx *Tx, key Key) (Object[T], error) {
	return k.object(tx.Find(k.core.name, key))
}

// List returns a page of objects.
func (k *Kind[T]) List(tx *Tx, q Query) (Page[T], error) {
	records, next, err := tx.List(k.core.name, q)
	if err != nil {
		return Page[T]{}, err
	}
	p := Page[T]{Items: make([]Object[T], 0, len(records)), Next: next}
	for _, r := range records {
		o, err := k.object(r, nil)
		if err != nil {
			return Page[T]{}, err
		}
		p.Items = append(p.Items, o)
	}
	return p, nil
}

// Count returns how many objects the query finds, on all its pages.
func (k *Kind[T]) Count(tx *Tx, q Query) (int, error) { return tx.Count(k.core.name, q) }

// All goes through the objects of every page of the query, and ends after the
// first error.
func (k *Kind[T]) All(tx *Tx, q Query) iter.Seq2[Object[T], error] {
	return func(yield func(Object[T], error) bool) {
		for {
			p, err := k.List(tx, q)
			if err != nil {
				yield(Object[T]{}, err)
				return
			}
			for _, o := range p.Items {
				if !yield(o, nil) {
					return
				}
			}
			if p.Next == "" {
				return
			}
			q.After, q.Skip = p.Next, 0
		}
	}
}

// Create adds an object with a new id. fault.Conflict when a unique key is
// taken, fault.Invalid when the object is not valid.
func (k *Kind[T]) Create(tx *Tx, v T) (Object[T], error) {
	return k.Insert(tx, Object[T]{Value: v})
}

// Insert adds an object with the id and the extensions of o; an empty id means a
// new one. fault.Conflict when the id or a unique key is taken.
func (k *Kind[T]) Insert(tx *Tx, o Object[T]) (Object[T], error) {
	return k.object(tx.insert(k.core, o.ID, o.Value, o.Extensions))
}

// Put replaces the object with o.ID. When o.Revision is not 0 and is not the
// revision that wrote the object last, it answers fault.Stale: so an object that
// was read, changed and put cannot undo what somebody else did meanwhile. Fields
// that T does not know are kept. Nothing is written when nothing differs.
func (k *Kind[T]) Put(tx *Tx, o Object[T]) (Object[T], error) {
	return k.object(tx.put(k.core, o.ID, o.Revision, o.Value, o.Extensions))
}

// Delete removes the object with the id, and those that refer to it and cascade.
// A revision that is not 0 must be its last, as for Put. The Update ends with
// fault.Conflict, which lists the referrers, when something still refers to it
// then.
func (k *Kind[T]) Delete(tx *Tx, id string, revision Revision) error {
	return tx.delete(k.core, id, revision)
}

// Referrers returns who refers to the object, up to limit: "who uses this?".
func (k *Kind[T]) Referrers(tx *Tx, id string, limit int) ([]Referrer, error) {
	return tx.Referrers(k.core.name, id, limit)
}

// Decode returns a record of this kind as an object: for records of a Change, an
// export or a diff.
func (k *Kind[T]) Decode(r Record) (Object[T], error) {
	return k.object(k.core.own(r))
}

// object makes an object of a record, unless reading that has failed already.
func (k *Kind[T]) object(r Record, err error) (Object[T], error) {
	var o Object[T]
	if err == nil {
		o.Meta = r.Meta
		o.Extensions, err = k.core.read(r, &o.Value)
	}
	if err != nil {
		return Object[T]{}, err
	}
	return o, nil
}

// own returns the record when it is of this kind.
func (k *kindCore) own(r Record) (Record, error) {
	if r.Kind != k.name {
		return Record{}, fmt.Errorf("record %s is a %s, not a %s", r.ID, r.Kind, k.name)
	}
	return r, nil
}

// read decodes a record's document and returns the fields that its type does not know.
func (k *kindCore) read(r Record, into any) (map[string]json.RawMessage, error) {
	if err := decode(r.Data, into); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", r.Kind, r.ID, unreadable(err))
	}
	extensions, err := k.shape.unknown(r.Data)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", r.Kind, r.ID, err)
	}
	return extensions, nil
}

// unreadable turns the fault of a document that came from the store into an
// internal one: the caller did nothing wrong.
func unreadable(err error) error {
	if f := fault.Of(err); f != nil && f.Cause != nil {
		return errors.Join(errors.New("the stored document does not fit its kind"), f.Cause)
	}
	return err
}

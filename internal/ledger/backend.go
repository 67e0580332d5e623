package ledger

import (
	"context"
	"encoding/json"
	"time"

	"gatehouse/internal/tenant"
)

// Store runs transactions on one tenant's rows. The store room implements it;
// nothing that a Reader or Writer answers may come from another tenant.
type Store interface {
	// Read runs f on one unchanging state.
	Read(ctx context.Context, t tenant.ID, f func(Reader) error) error
	// Object returns one object and whether it is there, for less than a Read that asks
	// for that alone.
	Object(ctx context.Context, t tenant.ID, kind, id string) (Record, bool, error)
	// Write runs f alone among the tenant's writers, and commits durably when f
	// returns nil. It may run f again when the engine asks for that.
	Write(ctx context.Context, t tenant.ID, f func(Writer) error) error
}

// Reader reads rows of the transaction's tenant.
type Reader interface {
	Head(ctx context.Context) (Head, error)
	// Object returns one object and whether it is there.
	Object(ctx context.Context, kind, id string) (Record, bool, error)
	Objects(ctx context.Context, q ObjectQuery) ([]Record, error)
	// Count returns how many rows Objects would return of a kind, now, if nothing
	// bounded the page.
	Count(ctx context.Context, q ObjectQuery) (int, error)
	Changes(ctx context.Context, q ChangeQuery) ([]Change, error)
	// Referrers returns who refers to an object, by kind, id and field.
	Referrers(ctx context.Context, q ReferrerQuery) ([]Referrer, error)
}

// Writer reads and writes rows of the transaction's tenant. Head holds the
// tenant's head against other writers until the transaction ends.
type Writer interface {
	Reader
	// Save writes an object, its keys and its references in place of what is there.
	Save(ctx context.Context, o Record, links Links) error
	// Remove deletes an object, its keys and its own references.
	Remove(ctx context.Context, kind, id string) error
	// Append writes the changes of one revision and the head they lead to.
	Append(ctx context.Context, changes []Change, head Head) error
}

// Head is the end of a tenant's chain of changes.
type Head struct {
	Revision Revision
	Hash     string // of the last change; empty at revision 0
}

// Meta is what the ledger knows of an object besides its document.
type Meta struct {
	ID       string
	Revision Revision  // that wrote it last: its ETag
	Created  time.Time // UTC, microseconds
	Updated  time.Time // UTC, microseconds
	Owner    string    // the file that declares it, such as "gatehouse.yaml"; empty for nobody
}

// Record is an object of any kind, as it is stored.
type Record struct {
	Kind string
	Meta
	Data json.RawMessage // the document, canonical JSON

	// Sort is the value that the list was sorted by: of the key, or of the owner's
	// list the kind. Readers fill it in for Objects.
	Sort string
}

// Links are the rows that make an object findable.
type Links struct {
	Fresh bool // the object is new: there are no rows to replace
	Keys  []KeyRow
	Refs  []Ref
}

// KeyRow is one unique key or index entry.
type KeyRow struct {
	Name   string
	Value  string // the encoded parts
	Unique bool
}

// ObjectQuery asks for a page of objects: of a kind by id, of a kind by a key, or
// of an owner by kind and id.
type ObjectQuery struct {
	Kind  string
	By    string // name of a key or index; empty: by id
	Low   string // of By: the lowest value
	High  string // of By: values lie below this; empty: no bound
	Owner string // with neither Kind nor By: all objects of this owner
	// At asks for the state of a kind at an older revision, by id; 0 is now.
	At         Revision
	After      Position // the page begins behind this
	Skip       int      // of a kind, now: and behind so many more
	Limit      int
	Descending bool
}

// Position is a place in a sorted list of objects: behind one of them.
type Position struct {
	Value string // of the key, or the kind for lists of an owner
	ID    string
	Set   bool // false: the beginning
}

// ChangeQuery asks for changes: of the tenant, or of one object.
type ChangeQuery struct {
	Kind, ID string // both or none
	// Place is where the page begins: behind it when ascending, before it when
	// descending.
	Place      Place
	Limit      int
	Descending bool
}

// Place is the place of a change in its tenant's chain.
type Place struct {
	Revision Revision
	Part     int
}

// ReferrerQuery asks who refers to an object.
type ReferrerQuery struct {
	Kind, ID string
	After    Referrer // the page begins behind this one; zero: the beginning
	Limit    int
}

// Referrer is an object that refers to another.
type Referrer struct {
	Kind     string   `json:"kind"`
	ID       string   `json:"id"`
	Field    string   `json:"field"` // where in its document
	OnDelete OnDelete `json:"-"`
}

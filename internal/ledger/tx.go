package ledger

import (
	"context"
	"errors"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/tenant"
)

// Tx is a transaction on one tenant's objects. It is for one goroutine, and ends
// when the function that got it returns.
type Tx struct {
	ctx    context.Context
	ledger *Ledger
	tenant tenant.ID
	now    time.Time
	r      Reader

	// Only in an Update; w is nil when nothing may be written.
	w         Writer
	actor     Actor
	reason    string
	next      Revision
	owner     string // whose declared objects may be written
	restoring bool   // declared objects of every owner may be written
	changes   []Change
	written   map[place][]Ref
	deleted   map[place]bool
}

// place names an object within a tenant.
type place struct{ kind, id string }

var errReadOnly = errors.New("this transaction only reads")

// Context returns the context of the transaction.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Tenant returns the tenant of the transaction.
func (tx *Tx) Tenant() tenant.ID { return tx.tenant }

// Now returns the time of the transaction: UTC, microseconds. All that it writes
// carries this time.
func (tx *Tx) Now() time.Time { return tx.now }

// Actor returns who makes the changes; zero in a View.
func (tx *Tx) Actor() Actor { return tx.actor }

// Changes returns the changes made so far, the caller's to read: hashes and the
// number of parts are filled in when the Update ends.
func (tx *Tx) Changes() []Change { return tx.changes }

// Head returns the revision that the transaction started from.
func (tx *Tx) Head() (Revision, error) {
	if tx.next > 0 {
		return tx.next - 1, nil
	}
	h, err := tx.r.Head(tx.ctx)
	return h.Revision, err
}

// Get returns an object of any kind, or fault.NotFound.
func (tx *Tx) Get(kind, id string) (Record, error) {
	if validPlace(kind, id) {
		r, ok, err := tx.r.Object(tx.ctx, kind, id)
		if err != nil || ok {
			return r, err
		}
	}
	return Record{}, noObject(kind, id)
}

func noObject(kind, id string) error {
	return fault.New(fault.NotFound, "there is no %s %s", text(kind), quote(id))
}

// validPlace reports whether the kind and the id are such that an object could
// have them: they may come from a path.
func validPlace(kind, id string) bool { return lowerName(kind, 1, 40) && validID(id) }

// Find returns the object of a kind with the unique key, or fault.NotFound.
func (tx *Tx) Find(kind string, key Key) (Record, error) {
	value, err := key.encode()
	if err != nil {
		return Record{}, err
	}
	r, ok, err := tx.lookup(kind, key.Name, value)
	if err != nil || ok {
		return r, err
	}
	return Record{}, fault.New(fault.NotFound, "there is no %s with the %s %s", kind, strings.ReplaceAll(key.Name, "_", " "), quote(strings.Join(key.Parts, ", ")))
}

// lookup returns the first object with exactly this value of a key.
func (tx *Tx) lookup(kind, name, value string) (Record, bool, error) {
	// Every value ends with partEnd, and nothing sorts between a value and itself
	// followed by another.
	rows, err := tx.r.Objects(tx.ctx, ObjectQuery{Kind: kind, By: name, Low: value, High: value + partEnd, Limit: 1})
	if err != nil || len(rows) == 0 {
		return Record{}, false, err
	}
	return rows[0], true, nil
}

// Referrers returns who refers to an object, up to limit; 0 means 200.
func (tx *Tx) Referrers(kind, id string, limit int) ([]Referrer, error) {
	if !validPlace(kind, id) {
		return nil, nil
	}
	return tx.r.Referrers(tx.ctx, ReferrerQuery{Kind: kind, ID: id, Limit: pageLimit(limit)})
}

// ReferredBy reports whether an object of the kind by refers to an object.
func (tx *Tx) ReferredBy(kind, id, by string) (bool, error) {
	if !validPlace(kind, id) {
		return false, nil
	}
	// Referrers are in the order of their kinds.
	first, err := tx.r.Referrers(tx.ctx, ReferrerQuery{Kind: kind, ID: id, After: Referrer{Kind: by}, Limit: 1})
	return len(first) > 0 && first[0].Kind == by, err
}

package okta

import (
	"context"

	"gatehouse/internal/access"
	"gatehouse/internal/ledger"
)

// collection is a plain collection of objects with a life cycle of two states: network
// zones, trusted origins.
type collection[V, B any] struct {
	arg    string // of the path, that names one of them
	unique string // the member that is taken when one cannot be made
	find   func(ctx context.Context, id string) (ledger.Object[V], error)
	make   func(ctx context.Context, actor ledger.Actor, v V) (ledger.Object[V], error)
	change func(ctx context.Context, actor ledger.Actor, id string, change func(*V) error) (ledger.Object[V], error)
	remove func(ctx context.Context, actor ledger.Actor, id string) error
	onto   func(*B, *V) error // lays a body over what is kept
	status func(*V) *access.Status
	show   func(ledger.Object[V]) object
}

// shown answers with an object, or why there is none.
func (k *collection[V, B]) shown(o ledger.Object[V], err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	return ok(k.show(o))
}

// written is shown for what was written: the name may be another's.
func (k *collection[V, B]) written(o ledger.Object[V], err error) (answer, error) {
	return k.shown(o, taken(err, k.unique))
}

// createIn, getIn, replaceIn, deleteIn and statusIn are the operations on a collection.
func createIn[V, B any](of func(*api) collection[V, B]) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		k := of(a)
		var b B
		var v V
		if err := c.read(&b); err != nil {
			return answer{}, err
		}
		if err := k.onto(&b, &v); err != nil {
			return answer{}, err
		}
		return k.written(k.make(c.Context(), c.by(), v))
	}
}

func getIn[V, B any](of func(*api) collection[V, B]) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		k := of(a)
		return k.shown(k.find(c.Context(), c.arg(k.arg)))
	}
}

func replaceIn[V, B any](of func(*api) collection[V, B]) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		k := of(a)
		var b B
		if err := c.read(&b); err != nil {
			return answer{}, err
		}
		return k.written(k.change(c.Context(), c.by(), c.arg(k.arg), func(v *V) error { return k.onto(&b, v) }))
	}
}

func deleteIn[V, B any](of func(*api) collection[V, B]) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		k := of(a)
		if err := k.remove(c.Context(), c.by(), c.arg(k.arg)); err != nil {
			return answer{}, err
		}
		return nothing()
	}
}

func statusIn[V, B any](of func(*api) collection[V, B], s access.Status) func(*api, *call) (answer, error) {
	return func(a *api, c *call) (answer, error) {
		k := of(a)
		return k.shown(k.change(c.Context(), c.by(), c.arg(k.arg), func(v *V) error {
			*k.status(v) = s
			return nil
		}))
	}
}

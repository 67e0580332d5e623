package ledger

import (
	"context"
	"fmt"

	"gatehouse/internal/fault"
)

// Reindex writes the keys, index entries and references of a kind's objects
// again, for a version whose kind finds others in the same documents. It makes
// no change and no revision. It returns how many objects it went through.
func (l *Ledger) Reindex(ctx context.Context, kind string) (n int, err error) {
	defer fault.Wrap(&err, "reindex %s", kind)
	t, err := tenantOf(ctx)
	if err != nil {
		return 0, err
	}
	k, err := l.registry.kind(kind)
	if err != nil {
		return 0, err
	}
	const batch = 500 // other writers of the tenant wait for one batch at most
	for q := (ObjectQuery{Kind: kind, Limit: batch}); ; {
		var page []Record
		err := l.store.Write(ctx, t, func(w Writer) (err error) {
			if _, err := w.Head(ctx); err != nil {
				return err
			}
			if page, err = w.Objects(ctx, q); err != nil {
				return err
			}
			for _, r := range page {
				links, err := k.links(r.Data)
				if err != nil {
					return fmt.Errorf("%s: %w", r.ID, err)
				}
				if err := w.Save(ctx, r, links); err != nil {
					return fmt.Errorf("%s: %w", r.ID, err)
				}
			}
			return nil
		})
		n += len(page)
		if err != nil || len(page) < batch {
			return n, err
		}
		q.After = Position{ID: page[len(page)-1].ID, Set: true}
	}
}

package ledger

// Select returns a page of those objects of the query for which match reports
// true; nil matches all. It reads on until the page is full or nothing is left,
// so the cost of a page grows with what does not match. It reads little at first,
// and more each time that was not enough.
func (k *Kind[T]) Select(tx *Tx, q Query, match func(Object[T]) bool) (Page[T], error) {
	want := pageLimit(q.Limit)
	if match == nil {
		return k.List(tx, q)
	}
	p, last := Page[T]{Items: []Object[T]{}}, ""
	for q.Limit = min(want+1, mostLimit); ; q.Limit = min(2*q.Limit, mostLimit) {
		records, next, err := tx.List(k.core.name, q)
		if err != nil {
			return Page[T]{}, err
		}
		for i := range records {
			o, err := k.object(records[i])
			if err != nil {
				return Page[T]{}, err
			}
			if !match(o) {
				continue
			}
			if len(p.Items) == want {
				p.Next = last
				return p, nil
			}
			p.Items = append(p.Items, o)
			last = cursor(Position{Value: records[i].Sort, ID: records[i].ID, Set: true})
		}
		if next == "" {
			return p, nil
		}
		q.After, q.Skip = next, 0
	}
}

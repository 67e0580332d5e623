package ledger

// Select returns a page of those objects of the query for which match reports
// true; nil matches all. It reads on until the page is full or nothing is left,
// so the cost of a page grows with what does not match. It reads little at first,
// and more each time that was not enough.
func (k *Kind[T]) Select(tx *Tx, q Query, match func(Object[T]) bool) (Page[T], error) {
	if match == nil {
		return k.List(tx, q)
	}
	p := Page[T]{Items: []Object[T]{}}
	next, err := tx.sift(k.core.name, q, func(r Record, room bool) (bool, error) {
		o, err := k.object(r, nil)
		if err != nil || !match(o) {
			return false, err
		}
		if room {
			p.Items = append(p.Items, o)
		}
		return true, nil
	})
	if err != nil {
		return Page[T]{}, err
	}
	p.Next = next
	return p, nil
}

// sift asks take about one record of the query after the other until the page is
// full and there is one more; it returns where that begins. take reports whether it
// wants the record, and keeps it when there is room.
func (tx *Tx) sift(kind string, q Query, take func(r Record, room bool) (bool, error)) (string, error) {
	want, taken, last := pageLimit(q.Limit), 0, ""
	for q.Limit = min(want+1, mostLimit); ; q.Limit = min(2*q.Limit, mostLimit) {
		records, next, err := tx.List(kind, q)
		if err != nil {
			return "", err
		}
		for i := range records {
			wanted, err := take(records[i], taken < want)
			switch {
			case err != nil:
				return "", err
			case !wanted:
				continue
			case taken == want:
				return last, nil
			}
			taken++
			last = cursor(Position{Value: records[i].Sort, ID: records[i].ID, Set: true})
		}
		if next == "" {
			return "", nil
		}
		q.After, q.Skip = next, 0
	}
}

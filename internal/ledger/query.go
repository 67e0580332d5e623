package ledger

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// Query asks for a page of a kind's objects.
type Query struct {
	By     string   // name of a key or an index; empty: in the order of ids
	Equal  []string // the first parts, which must be equal
	Prefix string   // the part behind those begins with this
	From   string   // or: that part is at least this
	Below  string   // and less than this; empty: no bound
	// After is the Next of the page before; empty for the first page.
	After      string
	Skip       int // leaves out so many more; a page far back costs as much as all before it
	Limit      int // 0 means 200; at most 1,000
	Descending bool
}

// Limits of a page.
const (
	defaultLimit = 200
	mostLimit    = 1000
)

// bounds returns the lowest value of the query and the one above all.
func (q Query) bounds() (low, high string, err error) {
	var b strings.Builder
	for _, p := range q.Equal {
		b.WriteString(escapePart(p))
		b.WriteString(partEnd)
	}
	begin := b.String()
	switch {
	case q.Prefix != "" && (q.From != "" || q.Below != ""):
		return "", "", fault.New(fault.Invalid, "a query has either a prefix or a range, not both")
	case q.Prefix != "":
		low = begin + escapePart(q.Prefix)
		high = low + afterAll
	default:
		low, high = begin+escapePart(q.From), begin+afterAll
		if q.Below != "" {
			high = begin + escapePart(q.Below)
		}
	}
	if !utf8.ValidString(low + high) {
		return "", "", fault.New(fault.Invalid, "the query holds bytes that are not text: use valid UTF-8")
	}
	return low, high, nil
}

// List returns a page of objects of a kind, and where the next page begins:
// empty when this is the last.
func (tx *Tx) List(kind string, q Query) ([]Record, string, error) {
	oq, err := tx.objectQuery(kind, q)
	if err != nil {
		return nil, "", err
	}
	if q.After != "" {
		if oq.After, err = parseCursor(q.After); err != nil {
			return nil, "", err
		}
	}
	rows, places, err := tx.page(oq)
	if err != nil || len(rows) < oq.Limit {
		return rows, "", err
	}
	return rows[:oq.Limit-1], cursor(places[oq.Limit-2]), nil
}

func (tx *Tx) objectQuery(kind string, q Query) (oq ObjectQuery, err error) {
	if _, err := tx.ledger.registry.kind(kind); err != nil {
		return oq, err
	}
	oq = ObjectQuery{Kind: kind, By: text(q.By), Skip: max(q.Skip, 0), Limit: pageLimit(q.Limit) + 1, Descending: q.Descending}
	if oq.Low, oq.High, err = q.bounds(); err != nil {
		return oq, err
	}
	if q.By == "" && (len(q.Equal) > 0 || q.Prefix+q.From+q.Below != "") {
		return oq, fault.New(fault.Invalid, "a query with values needs the name of a key or an index")
	}
	return oq, nil
}

// Count returns how many objects of a kind a query finds, on all its pages.
func (tx *Tx) Count(kind string, q Query) (int, error) {
	oq, err := tx.objectQuery(kind, q)
	if err != nil {
		return 0, err
	}
	return tx.r.Count(tx.ctx, oq)
}

// page runs the query, and returns for each row its position in the list.
func (tx *Tx) page(q ObjectQuery) ([]Record, []Position, error) {
	rows, err := tx.r.Objects(tx.ctx, q)
	if err != nil {
		return nil, nil, err
	}
	places := make([]Position, len(rows))
	for i := range rows {
		places[i] = Position{Value: rows[i].Sort, ID: rows[i].ID, Set: true}
	}
	return rows, places, nil
}

func pageLimit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, mostLimit)
}

// A cursor is a position as text: opaque to callers, and checked when it returns.
func cursor(p Position) string {
	return base64.RawURLEncoding.EncodeToString([]byte(p.ID + "\x00" + p.Value))
}

func parseCursor(s string) (Position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	id, value, ok := strings.Cut(string(raw), "\x00")
	if err != nil || !ok || !validID(id) || strings.Contains(value, "\x00") || len(value) > mostKey {
		return Position{}, fault.New(fault.Invalid, "the cursor is not one that was handed out: start again without it")
	}
	return Position{Value: value, ID: id, Set: true}, nil
}

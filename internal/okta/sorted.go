package okta

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
)

// maxSorted is how many objects are sorted for a list: more are asked to be narrowed.
const maxSorted = 10000

// sorting is how a list is to be sorted: Okta's sortBy and sortOrder.
type sorting struct {
	by         string // an attribute; empty: the list has its own order
	descending bool
	after      string // the place of the last object of the page before
	limit      int
}

// sorting returns how the call wants its list. As with Okta, only what is searched for
// can be sorted, by an attribute that can be searched for.
func (c *call) sorting(limit int, known func(path string) bool) (s sorting, err error) {
	if s = (sorting{by: c.FormValue("sortBy"), limit: limit}); s.by == "" || c.FormValue("search") == "" {
		return sorting{}, nil
	}
	switch o := strings.ToLower(c.FormValue("sortOrder")); o {
	case "", "asc", "ascending":
	case "desc", "descending":
		s.descending = true
	default:
		return s, unsupported("sortOrder", "must be asc or desc")
	}
	if !known(s.by) {
		return s, fault.New(fault.Invalid, "there is no attribute %s to sort by", s.by).WithReason(reasonSearch)
	}
	if after := c.FormValue("after"); after != "" {
		raw, err := base64.RawURLEncoding.DecodeString(after)
		if err != nil || !strings.Contains(string(raw), placeEnd) {
			return s, fault.New(fault.Invalid, "the cursor is not one that was handed out: start again without it")
		}
		s.after = string(raw)
	}
	return s, nil
}

// placeEnd stands between an object's value and its id.
const placeEnd = "\x00"

// sortable is an object of a list that is sorted.
type sortable struct {
	place string // sorts by value, then by id
	show  func() object
}

// add keeps an object with the value that it is sorted by, and refuses too many.
func (s *sorting) add(all []sortable, value any, id string, show func() object) ([]sortable, error) {
	if len(all) == maxSorted {
		return nil, fault.New(fault.Invalid, "more than %d objects match, which are not sorted: narrow the search", maxSorted).WithReason(reasonSearch)
	}
	return append(all, sortable{sortText(value) + placeEnd + id, show}), nil
}

// page returns the page that was asked for.
func (s *sorting) page(all []sortable) (answer, error) {
	order.By(all, func(a, b sortable) int {
		if s.descending {
			a, b = b, a
		}
		return strings.Compare(a.place, b.place)
	})
	out, next := []object{}, ""
	for i := range all {
		passed := s.after == "" || !s.descending && all[i].place > s.after || s.descending && all[i].place < s.after
		if !passed {
			continue
		}
		if len(out) == s.limit {
			next = base64.RawURLEncoding.EncodeToString([]byte(all[i-1].place))
			break
		}
		out = append(out, all[i].show())
	}
	return answer{status: http.StatusOK, body: out, list: true, next: next}, nil
}

// sortText returns a text whose byte order is that of the values: what is missing comes
// first, text whatever its case, numbers and times by their size.
func sortText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return "t" + strings.ReplaceAll(strings.ToLower(v), placeEnd, " ")
	case time.Time:
		return "d" + v.UTC().Format("2006-01-02T15:04:05.000000000")
	case json.Number:
		n, _ := v.Float64()
		return sortNumber(n)
	case float64:
		return sortNumber(v)
	case int:
		return sortNumber(float64(v))
	}
	return "x" + strings.ReplaceAll(fmt.Sprint(v), placeEnd, " ")
}

// sortNumber flips the bits of a number so that bytes sort as numbers do (IEEE 754,
// section 5.10).
func sortNumber(n float64) string {
	bits := math.Float64bits(n)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return fmt.Sprintf("n%016x", bits)
}

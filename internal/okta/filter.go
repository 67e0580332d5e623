package okta

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/scimfilter"
)

// The filter and search languages of Okta's listings are one: comparisons of
// attributes (SCIM, RFC 7644 section 3.4.2.2: eq ne sw co ew gt ge lt le pr) with
// and, or, not and parentheses. Text is compared whatever its case.

// reasonSearch is the reason of a fault about a filter.
const reasonSearch = "invalid_search"

// filter is a parsed filter: a comparison, or some of them joined.
type filter scimfilter.Filter

// part returns one of the filters that a filter joins.
func (f *filter) part(i int) *filter { return (*filter)(f.Parts[i]) }

// allOf returns a filter that holds when all of those do that are there.
func allOf(parts ...*filter) *filter {
	f := &filter{Op: "and"}
	for _, p := range parts {
		if p != nil {
			f.Parts = append(f.Parts, (*scimfilter.Filter)(p))
		}
	}
	return f
}

// parseFilter returns the filter, nil for an empty text, or a fault that says
// where it is wrong.
func parseFilter(text string) (*filter, error) {
	f, err := scimfilter.Grammar{Loose: true, Attribute: attributePath}.Parse(text)
	if err != nil {
		return nil, fault.Because(err, fault.Invalid, "the filter is %s", err).WithReason(reasonSearch)
	}
	return (*filter)(f), nil
}

// conditions returns the comparisons with eq and sw that hold whenever the filter
// does.
func (f *filter) conditions() []*filter {
	switch {
	case f == nil:
	case f.Op == "eq" || f.Op == "sw":
		return []*filter{f}
	case f.Op == "and":
		var out []*filter
		for i := range f.Parts {
			out = append(out, f.part(i).conditions()...)
		}
		return out
	}
	return nil
}

// match reports whether the filter holds. Get returns the value of an attribute:
// a text, number, boolean, time, list of these, or nil.
func (f *filter) match(get func(path string) any) bool {
	switch {
	case f == nil:
		return true
	case f.Op == "and":
		for i := range f.Parts {
			if !f.part(i).match(get) {
				return false
			}
		}
		return true
	case f.Op == "or":
		for i := range f.Parts {
			if f.part(i).match(get) {
				return true
			}
		}
		return false
	case f.Op == "not":
		return !f.part(0).match(get)
	}
	v := get(f.Path)
	if list, ok := v.([]any); ok {
		if f.Op == "pr" {
			return len(list) > 0
		}
		for _, e := range list {
			if compare(f.Op, e, f.Value) {
				return true
			}
		}
		return false
	}
	return compare(f.Op, v, f.Value)
}

// readFilter is parseFilter for lists that can be filtered by some attributes: a filter
// by another one is refused, as it would find nothing.
func (c *call) readFilter(name string, known func(path string) bool) (*filter, error) {
	f, err := parseFilter(c.FormValue(name))
	if err != nil {
		return nil, err
	}
	if path, ok := f.foreign(known); ok {
		return nil, fault.New(fault.Invalid, "there is no attribute %s to look for", path).WithReason(reasonSearch)
	}
	return f, nil
}

// among returns whether a path is one of some names, whatever its case, or is below
// one of those that end with a dot.
func among(names ...string) func(path string) bool {
	return func(path string) bool {
		path = strings.ToLower(path)
		return slices.ContainsFunc(names, func(n string) bool {
			return path == n || strings.HasSuffix(n, ".") && strings.HasPrefix(path, n) && len(path) > len(n)
		})
	}
}

// values returns the texts that the filter compares an attribute with.
func (f *filter) values(path string) (out []string) {
	if f == nil {
		return nil
	}
	for i := range f.Parts {
		out = append(out, f.part(i).values(path)...)
	}
	if text, ok := f.Value.(string); ok && strings.EqualFold(f.Path, path) {
		out = append(out, text)
	}
	return out
}

// foreign returns an attribute that the filter names and that is not known, if there
// is one.
func (f *filter) foreign(known func(path string) bool) (path string, found bool) {
	if f == nil {
		return "", false
	}
	for i := range f.Parts {
		if path, found := f.part(i).foreign(known); found {
			return path, true
		}
	}
	return f.Path, len(f.Parts) == 0 && !known(f.Path)
}

// compare reports whether a value of an object stands to the filter's as op says.
func compare(op string, have, want any) bool {
	if op == "pr" {
		return have != nil && have != ""
	}
	if op == "ne" {
		return !compare("eq", have, want)
	}
	if have == nil || want == nil {
		return op == "eq" && have == nil && want == nil
	}
	switch have := have.(type) {
	case time.Time:
		s, _ := want.(string)
		t, err := time.Parse(time.RFC3339, s)
		// What is compared was shown in milliseconds.
		return err == nil && scimfilter.Ordered(op, have.Truncate(time.Millisecond).Compare(t))
	case string:
		s, text := want.(string)
		return text && scimfilter.CompareText(op, strings.ToLower(have), strings.ToLower(s))
	case bool:
		b, isBool := want.(bool)
		return isBool && op == "eq" && have == b
	}
	a, isNumber := number(have)
	b, wantNumber := number(want)
	if !isNumber || !wantNumber {
		return false
	}
	switch {
	case a < b:
		return scimfilter.Ordered(op, -1)
	case a > b:
		return scimfilter.Ordered(op, 1)
	}
	return scimfilter.Ordered(op, 0)
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case interface{ Float64() (float64, error) }:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}

// attributePath reports whether the word is a dotted path of names.
func attributePath(word string) bool {
	if word == "" || len(word) > 255 {
		return false
	}
	for i := range len(word) {
		c := word[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		digit := c >= '0' && c <= '9' || c == '-' || c == ':' || c == '.'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return word[len(word)-1] != '.'
}

package scim

import (
	"encoding/json"
	"strings"
	"time"

	"gatehouse/internal/scimfilter"
)

// resource is a resource as JSON has it: attributes by their canonical names, those of an
// extension below its URN. Lists are []any, complex values map[string]any, times
// time.Time.
type resource = map[string]any

// scope is what a filter looks at: a resource, or an element of one of its lists.
type scope interface {
	// values returns the values of a path and the attribute that they are of, nil for
	// one that there is not. With whole, complex values are not replaced by their
	// value.
	values(path string, whole bool) ([]any, *attribute)
}

type inResource struct {
	t   *resourceType
	res resource
}

func (s inResource) values(path string, whole bool) ([]any, *attribute) {
	p, ok := s.t.locate(path)
	if !ok || p.attr == nil {
		return nil, nil
	}
	from := s.res
	if p.urn != "" {
		from, _ = s.res[p.urn].(resource)
	}
	return spread(from[p.attr.name], p.attr, p.sub, whole)
}

type inElement struct {
	attr    *attribute
	element any
}

func (s inElement) values(path string, whole bool) ([]any, *attribute) {
	if len(s.attr.sub) == 0 { // a list of plain values: value is the element itself
		return []any{s.element}, s.attr
	}
	sub := s.attr.child(path)
	if sub == nil {
		return nil, nil
	}
	m, _ := s.element.(resource)
	return spread(m[sub.name], sub, nil, whole)
}

// spread returns the single values of an attribute's value.
func spread(v any, attr, sub *attribute, whole bool) ([]any, *attribute) {
	if v == nil {
		return nil, attr
	}
	list, many := v.([]any)
	if !many {
		list = []any{v}
	}
	if len(attr.sub) == 0 || sub == nil && whole {
		return list, attr
	}
	if sub == nil {
		if sub = attr.child("value"); sub == nil {
			return nil, attr
		}
	}
	var out []any
	for _, e := range list {
		if m, ok := e.(resource); ok && m[sub.name] != nil {
			out = append(out, m[sub.name])
		}
	}
	return out, sub
}

// match reports whether the filter holds.
func (f *filter) match(s scope) bool {
	switch f.Op {
	case "and":
		for _, p := range f.Parts {
			if !(*filter)(p).match(s) {
				return false
			}
		}
		return true
	case "or":
		for _, p := range f.Parts {
			if (*filter)(p).match(s) {
				return true
			}
		}
		return false
	case "not":
		return !(*filter)(f.Parts[0]).match(s)
	case "ne":
		return !f.any(s, "eq")
	}
	return f.any(s, f.Op)
}

// any reports whether one of the values stands to the filter's as op says.
func (f *filter) any(s scope, op string) bool {
	list, attr := s.values(f.Path, f.Inner != nil || op == "pr")
	if attr == nil {
		return op == "eq" && f.Value == nil
	}
	if f.Inner != nil {
		var chosen []any
		for _, e := range list {
			if !f.inner().match(inElement{attr, e}) {
				continue
			}
			if f.Sub == "" {
				return true
			}
			more, sub := inElement{attr, e}.values(f.Sub, false)
			if sub == nil {
				return false
			}
			chosen = append(chosen, more...)
		}
		if op == "any" {
			return false
		}
		if list = chosen; len(attr.sub) > 0 {
			if attr = attr.child(f.Sub); attr == nil {
				return false
			}
		}
	}
	if op == "eq" && f.Value == nil {
		return len(list) == 0
	}
	for _, v := range list {
		if op == "pr" {
			if present(v) {
				return true
			}
		} else if compare(op, v, f.Value, attr) {
			return true
		}
	}
	return false
}

func present(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case string:
		return v != ""
	case resource:
		return len(v) > 0
	}
	return true
}

// compare reports whether a value of a resource stands to the filter's as op says.
func compare(op string, have, want any, attr *attribute) bool {
	switch have := have.(type) {
	case time.Time:
		s, _ := want.(string)
		t, err := time.Parse(time.RFC3339, s)
		// What is compared was shown in milliseconds.
		return err == nil && scimfilter.Ordered(op, have.Truncate(time.Millisecond).Compare(t))
	case bool:
		b, ok := truth(want)
		return ok && op == "eq" && have == b
	case string:
		s, ok := want.(string)
		if n, number := want.(json.Number); number {
			s, ok = n.String(), true
		}
		if !ok {
			return false
		}
		if !attr.exact {
			have, s = strings.ToLower(have), strings.ToLower(s)
		}
		return scimfilter.CompareText(op, have, s)
	}
	return false
}

// truth reads a boolean; Entra writes it as a text.
func truth(v any) (b, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case string:
		return strings.EqualFold(v, "true"), strings.EqualFold(v, "true") || strings.EqualFold(v, "false")
	}
	return false, false
}

// check refuses what a filter may not ask: secrets, an order of booleans, and the
// attributes that are listed elsewhere.
func (f *filter) check(t *resourceType, elsewhere ...string) error {
	for _, p := range f.Parts {
		if err := (*filter)(p).check(t, elsewhere...); err != nil {
			return err
		}
	}
	if f.Path == "" {
		return nil
	}
	p, ok := t.locate(f.Path)
	if !ok || p.attr == nil {
		return nil // as if it had no value
	}
	if p.attr.mutability == "writeOnly" {
		return wrong(invalidFilter, "%s cannot be compared", p.attr.name)
	}
	for _, name := range elsewhere {
		if p.attr.name == name {
			return wrong(invalidFilter, "%s cannot be filtered by here", name)
		}
	}
	leaf := p.attr
	if p.sub != nil {
		leaf = p.sub
	}
	switch f.Op {
	case "gt", "ge", "lt", "le":
		if leaf.is("boolean") {
			return wrong(invalidFilter, "%s has no order", f.Path)
		}
	}
	return nil
}

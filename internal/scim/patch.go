package scim

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"gatehouse/internal/scimfilter"
)

// operation is one of a PATCH request (RFC 7644 section 3.5.2).
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// maxOperations bounds a PATCH request and a bulk request.
const maxOperations = 1000

// readPatch reads the operations of a PATCH request; Entra writes their names with a
// capital letter.
func readPatch(raw []byte) ([]operation, error) {
	var b struct {
		Operations []operation `json:"Operations"`
	}
	if err := decode(raw, &b); err != nil {
		return nil, err
	}
	if len(b.Operations) == 0 || len(b.Operations) > maxOperations {
		return nil, wrong(invalidSyntax, "Operations must have 1 to %d operations", maxOperations)
	}
	for i := range b.Operations {
		o := &b.Operations[i]
		o.Op = strings.ToLower(o.Op)
		if !slices.Contains([]string{"add", "replace", "remove"}, o.Op) {
			return nil, wrong(invalidSyntax, "op must be add, replace or remove")
		}
		if o.Op == "remove" && o.Path == "" {
			return nil, wrong(noTarget, "remove needs a path")
		}
		if o.Op != "remove" && o.Path == "" {
			if _, ok := o.Value.(map[string]any); !ok {
				return nil, wrong(invalidValue, "without a path the value must be an object")
			}
		}
	}
	return b.Operations, nil
}

// target is what an operation changes.
type target struct {
	place
	inner *filter
}

// target finds the target of a path.
func (t *resourceType) target(text string) (target, error) {
	p, err := parsePath(text)
	if err != nil {
		return target{}, err
	}
	at, ok := t.locate(p.Attribute)
	if !ok {
		return target{}, wrong(invalidPath, "%q is not an attribute here", p.Attribute)
	}
	out := target{place: at, inner: (*filter)(p.Inner)}
	if p.Inner != nil {
		if at.attr == nil || !at.attr.multi || at.sub != nil {
			return target{}, wrong(invalidPath, "%q has no elements to choose from", p.Attribute)
		}
		if p.Sub != "" {
			if out.sub = at.attr.child(p.Sub); out.sub == nil {
				return target{}, wrong(invalidPath, "%s has no sub-attribute %q", at.attr.name, p.Sub)
			}
		}
	}
	if out.attr != nil && out.attr.readOnly() || out.sub != nil && out.sub.mutability != "" && !out.sub.made {
		return target{}, wrong(mutability, "%q cannot be changed", text)
	}
	return out, nil
}

// apply does one operation on a resource.
func (t *resourceType) apply(res resource, o operation) error {
	if o.Path != "" {
		at, err := t.target(o.Path)
		if err != nil {
			return err
		}
		return t.change(res, at, o)
	}
	m, _ := o.Value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.Contains(name, "[") {
			// Entra has paths with conditions for names, too.
			at, err := t.target(name)
			if err == nil {
				err = t.change(res, at, operation{Op: o.Op, Value: m[name]})
			}
			if err != nil {
				return err
			}
			continue
		}
		// What is not here, and what clients send back without being able to change
		// it, is passed over as in a PUT.
		p, ok := t.locate(name)
		if !ok || p.attr != nil && p.attr.readOnly() || p.sub != nil && p.sub.readOnly() {
			continue
		}
		if err := t.change(res, target{place: p}, operation{Op: o.Op, Value: m[name]}); err != nil {
			return err
		}
	}
	return nil
}

func (t *resourceType) change(res resource, at target, o operation) error {
	if at.attr == nil {
		if o.Op == "remove" {
			delete(res, at.urn)
			return nil
		}
		return mergeExtension(res, at.place, o.Value, t)
	}
	to := container(res, at.urn)
	switch {
	case at.sub != nil && at.sub.made:
		return nil
	case at.attr.multi:
		return changeList(to, at, o)
	case o.Op == "remove" && at.sub == nil:
		delete(to, at.attr.name)
		return nil
	case o.Op == "remove":
		if m, ok := to[at.attr.name].(resource); ok {
			delete(m, at.sub.name)
		}
		return nil
	case at.sub != nil:
		return set(to, at.attr, map[string]any{at.sub.name: o.Value})
	}
	return set(to, at.attr, o.Value)
}

// changeList does an operation on a multi-valued attribute.
func changeList(to resource, at target, o operation) error {
	list, _ := to[at.attr.name].([]any)
	var err error
	if at.inner == nil && at.sub == nil {
		list, err = changeWhole(list, at.attr, o)
	} else {
		list, err = changeElements(list, at, o)
	}
	if err != nil {
		return err
	}
	if len(list) == 0 {
		delete(to, at.attr.name)
		return nil
	}
	to[at.attr.name] = list
	return nil
}

// changeWhole changes which elements there are.
func changeWhole(list []any, attr *attribute, o operation) ([]any, error) {
	if o.Op == "remove" && o.Value == nil {
		return nil, nil
	}
	v, err := coerce(attr, o.Value)
	if err != nil {
		return nil, err
	}
	given, _ := v.([]any)
	switch o.Op {
	case "replace":
		return given, nil
	case "remove":
		return slices.DeleteFunc(list, func(e any) bool {
			return slices.ContainsFunc(given, func(g any) bool { return covers(e, g) })
		}), nil
	}
	for _, g := range given {
		if slices.ContainsFunc(list, func(e any) bool { return reflect.DeepEqual(e, g) }) {
			continue
		}
		onlyPrimary(list, g)
		// Of each type there is one: the new one takes its place.
		list = slices.DeleteFunc(list, func(e any) bool { return typeOf(g) != "" && strings.EqualFold(typeOf(e), typeOf(g)) })
		list = append(list, g)
	}
	return list, nil
}

// covers reports whether an element has all that another one says.
func covers(e, g any) bool {
	have, ok := e.(resource)
	want, ok2 := g.(resource)
	if !ok || !ok2 {
		return reflect.DeepEqual(e, g)
	}
	for name, v := range want {
		if !reflect.DeepEqual(have[name], v) {
			return false
		}
	}
	return len(want) > 0
}

func typeOf(e any) string {
	m, _ := e.(resource)
	s, _ := m["type"].(string)
	return s
}

// onlyPrimary takes primary from all elements when the new one is it (RFC 7644 section
// 3.5.2).
func onlyPrimary(list []any, fresh any) {
	if m, ok := fresh.(resource); !ok || m["primary"] != true {
		return
	}
	for _, e := range list {
		if m, ok := e.(resource); ok {
			delete(m, "primary")
		}
	}
}

// changeElements changes those elements that a path chooses.
func changeElements(list []any, at target, o operation) ([]any, error) {
	chosen := func(e any) bool { return at.inner == nil || at.inner.match(inElement{at.attr, e}) }
	if o.Op == "remove" && at.sub == nil {
		return slices.DeleteFunc(list, chosen), nil
	}
	if !slices.ContainsFunc(list, chosen) && o.Op != "remove" {
		fresh, ok := described(at.inner, at.attr)
		// To replace what is not there is noTarget (RFC 7644 section 3.5.2.3); Entra
		// replaces a value in an element without looking whether there is one.
		if !ok || o.Op == "replace" && at.inner != nil && at.sub == nil {
			return nil, wrong(noTarget, "no element of %s fulfils the condition", at.attr.name)
		}
		list = append(list, fresh)
	}
	for i, e := range list {
		if !chosen(e) {
			continue
		}
		m, ok := e.(resource)
		switch {
		case !ok:
			return nil, wrong(invalidPath, "the elements of %s have no sub-attributes", at.attr.name)
		case at.sub != nil && o.Op == "remove":
			delete(m, at.sub.name)
			continue
		case at.sub != nil:
			if err := set(m, at.sub, o.Value); err != nil {
				return nil, err
			}
		default:
			v, err := single(at.attr, o.Value)
			if err != nil {
				return nil, err
			}
			fresh, _ := v.(resource)
			if o.Op == "replace" {
				m = resource{}
			}
			maps.Copy(m, fresh)
			maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
			list[i] = m
		}
		if m["primary"] == true {
			onlyPrimary(slices.Concat(list[:i], list[i+1:]), m)
		}
	}
	return list, nil
}

// described returns the element that a condition of equalities describes: what Entra
// means by emails[type eq "work"].value when there is none.
func described(f *filter, attr *attribute) (resource, bool) {
	m := resource{}
	if f == nil {
		return m, true
	}
	parts := []*scimfilter.Filter{(*scimfilter.Filter)(f)}
	if f.Op == "and" {
		parts = f.Parts
	}
	for _, p := range parts {
		if p.Op != "eq" || p.Inner != nil {
			return nil, false
		}
		sub := attr.child(p.Path)
		if sub == nil || sub.readOnly() {
			return nil, false
		}
		v, err := coerce(sub, p.Value)
		if err != nil || v == nil {
			return nil, false
		}
		m[sub.name] = v
	}
	return m, true
}

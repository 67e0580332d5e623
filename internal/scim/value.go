package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// read returns a body as a resource: names in their canonical spelling, values of the
// right kinds. What the client may not set, what is null and what no schema has is left
// out, as RFC 7644 sections 3.3 and 3.5.1 say: the answer shows what was taken.
func (t *resourceType) read(body map[string]any) (resource, error) {
	res := resource{}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		p, ok := t.locate(name)
		if !ok || p.attr != nil && p.attr.readOnly() {
			continue
		}
		if err := put(res, p, body[name], t); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// put puts one member of a body where it belongs.
func put(res resource, p place, v any, t *resourceType) error {
	if p.attr == nil {
		return mergeExtension(res, p, v, t)
	}
	to := container(res, p.urn)
	if p.sub != nil {
		if p.attr.multi || p.sub.readOnly() {
			return nil
		}
		v = map[string]any{p.sub.name: v}
	}
	if _, twice := to[p.attr.name]; twice && p.sub == nil {
		return wrong(invalidSyntax, "%s is there more than once", p.attr.name)
	}
	return set(to, p.attr, v)
}

// mergeExtension lays an object over an extension.
func mergeExtension(res resource, p place, v any, t *resourceType) error {
	m, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return nil
		}
		return wrong(invalidValue, "%s must be an object", p.urn)
	}
	to := container(res, p.urn)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		attr := find(t.extension(p.urn).attributes, name)
		if attr == nil || attr.readOnly() {
			continue
		}
		if err := set(to, attr, m[name]); err != nil {
			return err
		}
	}
	return nil
}

// container returns the part of a resource that an attribute stands in.
func container(res resource, urn string) resource {
	if urn == "" {
		return res
	}
	m, ok := res[urn].(resource)
	if !ok {
		m = resource{}
		res[urn] = m
	}
	return m
}

// set gives an attribute a value; null takes it away, and a complex value is laid over
// what is there.
func set(to resource, attr *attribute, v any) error {
	v, err := coerce(attr, v)
	if err != nil {
		return err
	}
	if v == nil {
		delete(to, attr.name)
		return nil
	}
	if old, ok := to[attr.name].(resource); ok && !attr.multi {
		fresh, _ := v.(resource)
		maps.Copy(old, fresh)
		for name, sub := range old {
			if sub == nil {
				delete(old, name)
			}
		}
		return nil
	}
	if m, ok := v.(resource); ok {
		maps.DeleteFunc(m, func(_ string, sub any) bool { return sub == nil })
	}
	to[attr.name] = v
	return nil
}

// coerce returns a value in the form that the attribute has; nil for none.
func coerce(attr *attribute, v any) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // no value
	}
	if !attr.multi {
		return single(attr, v)
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v} // a list of one may come without its brackets
	}
	out := make([]any, 0, len(list))
	for _, e := range list {
		one, err := single(attr, e)
		if err != nil {
			return nil, err
		}
		if m, ok := one.(resource); ok {
			maps.DeleteFunc(m, func(_ string, sub any) bool { return sub == nil })
		}
		if one != nil {
			out = append(out, one)
		}
	}
	if len(out) == 0 {
		return nil, nil //nolint:nilnil // an empty list is no value (RFC 7643 section 2.5)
	}
	return out, nil
}

// single returns one value. Members that are null stay, as nil, in a complex one.
func single(attr *attribute, v any) (any, error) {
	if len(attr.sub) > 0 {
		m, ok := v.(map[string]any)
		if !ok {
			if _, text := v.(string); !text || attr.child("value") == nil {
				return nil, wrong(invalidValue, "%s must be an object", attr.name)
			}
			m = map[string]any{"value": v} // Entra sends a manager as a text
		}
		out := resource{}
		for _, name := range slices.Sorted(maps.Keys(m)) {
			sub := attr.child(name)
			if sub == nil || sub.readOnly() {
				continue
			}
			if _, twice := out[sub.name]; twice {
				return nil, wrong(invalidSyntax, "%s.%s is there more than once", attr.name, sub.name)
			}
			one, err := coerce(sub, m[name])
			if err != nil {
				return nil, err
			}
			out[sub.name] = one
		}
		return out, nil
	}
	if attr.is("boolean") {
		b, ok := truth(v)
		if !ok {
			return nil, wrong(invalidValue, "%s must be true or false", attr.name)
		}
		return b, nil
	}
	switch v := v.(type) {
	case nil:
		return nil, nil //nolint:nilnil // no value
	case string:
		if strings.TrimSpace(v) == "" {
			return nil, nil //nolint:nilnil // an empty text is no value
		}
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return nil, wrong(invalidValue, "%s must be text", attr.name)
}

package ledger

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"

	"gatehouse/internal/fault"
)

// A document is stored as canonical JSON: one object, names sorted, no spaces,
// numbers as they were written. Two documents are equal when their bytes are.

// document returns the canonical document of value: fields of the stored
// document that the kind does not know are kept, and the extensions are laid on
// top.
func (k *kindCore) document(value any, stored []byte, extensions map[string]json.RawMessage) ([]byte, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fault.Because(err, fault.Invalid, "the %s cannot be written as JSON", k.name)
	}
	next, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if stored != nil {
		old, err := parse(stored)
		if err != nil {
			return nil, err
		}
		k.shape.keep(next, old)
	}
	for name, raw := range extensions {
		if k.shape.knows(name) {
			continue
		}
		v, err := parseValue(raw)
		if err != nil {
			return nil, fault.Because(err, fault.Invalid, "extension %s is not JSON", quote(name))
		}
		if v == nil {
			delete(next, name)
			continue
		}
		next[name] = v
	}
	return canonical(next)
}

func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// parse reads one JSON object.
func parse(raw []byte) (map[string]any, error) {
	v, err := parseValue(raw)
	if err != nil {
		return nil, fault.Because(err, fault.Invalid, "the document is not JSON")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fault.New(fault.Invalid, "the document is not a JSON object")
	}
	return m, nil
}

func parseValue(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// shape is the set of names that a struct knows, with the shapes of its structs.
// nil is a type that takes every name: a map, or one that reads its own JSON.
type shape struct{ fields map[string]*shape }

func shapeOf(t reflect.Type) *shape { return shapeIn(t, map[reflect.Type]*shape{}) }

func shapeIn(t reflect.Type, seen map[reflect.Type]*shape) *shape {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || readsItself(t) {
		return nil
	}
	if s := seen[t]; s != nil {
		return s
	}
	s := &shape{fields: map[string]*shape{}}
	seen[t] = s
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" && f.Tag.Get("json") == "-", !f.IsExported():
		case f.Anonymous && name == "" && structured(f.Type):
			// Its fields are visible fields themselves.
		case name == "":
			s.fields[strings.ToLower(f.Name)] = shapeIn(f.Type, seen)
		default:
			s.fields[strings.ToLower(name)] = shapeIn(f.Type, seen)
		}
	}
	return s
}

func structured(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct
}

func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// knows reports whether the type reads the name; like encoding/json, whatever
// its case.
func (s *shape) knows(name string) bool {
	if s == nil {
		return true
	}
	_, ok := s.fields[strings.ToLower(name)]
	return ok
}

// keep copies what the type does not know from old to next, in the document and
// in the structs inside it. Structs inside lists are not matched: a list is
// replaced as a whole.
func (s *shape) keep(next, old map[string]any) {
	if s == nil {
		return
	}
	for name, v := range old {
		if !s.knows(name) {
			if _, there := next[name]; !there {
				next[name] = v
			}
			continue
		}
		oldInner, ok1 := v.(map[string]any)
		nextInner, ok2 := next[name].(map[string]any)
		if ok1 && ok2 {
			s.fields[strings.ToLower(name)].keep(nextInner, oldInner)
		}
	}
}

// unknown returns the fields at the top of the document that the type does not
// know; nil for none.
func (s *shape) unknown(doc []byte) (map[string]json.RawMessage, error) {
	if s == nil || s.knowsAll(doc) {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(doc, &all); err != nil {
		return nil, err
	}
	var out map[string]json.RawMessage
	for name, v := range all {
		if s.knows(name) {
			continue
		}
		if out == nil {
			out = map[string]json.RawMessage{}
		}
		out[name] = v
	}
	return out, nil
}

// knowsAll reports whether the type surely knows all fields at the top of a document
// that is JSON: as good as every document is such, and to look costs less than to read
// it. It is not sure of names with escapes.
func (s *shape) knowsAll(doc []byte) bool {
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			begin := i + 1
			for i++; i < len(doc) && doc[i] != '"'; i++ {
				if doc[i] == '\\' {
					i++
				}
			}
			// Of an object on one line a name is what a colon follows.
			if depth != 1 || i+1 < len(doc) && (doc[i+1] == ',' || doc[i+1] == '}' || doc[i+1] == ']') {
				continue
			}
			if i >= len(doc) || bytes.IndexByte(doc[begin:i], '\\') >= 0 || !s.knows(string(doc[begin:i])) {
				return false
			}
		}
	}
	return true
}

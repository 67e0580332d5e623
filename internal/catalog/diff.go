package catalog

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/ledger"
	"gatehouse/internal/order"
	"gatehouse/internal/spec"
)

// Diff is what changes, object by object and field by field, for people. Values
// that came from outside of a file are shown as they were written there.
type Diff struct {
	Changes []ObjectChange `json:"changes,omitempty"` // by path; manifests are left out
}

// ObjectChange is what happens to one object.
type ObjectChange struct {
	Operation string        `json:"operation"` // create, update, delete
	Kind      string        `json:"kind"`
	Name      string        `json:"name"`
	Path      string        `json:"path"` // such as "apis.orders"
	Fields    []FieldChange `json:"fields,omitempty"`
}

// FieldChange is one setting before and after; absent is the empty string.
type FieldChange struct {
	Path   string `json:"path"` // whole, such as "apis.orders.upstream.timeout"
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Empty reports whether no object changes.
func (d Diff) Empty() bool { return len(d.Changes) == 0 }

// Print writes the difference for people: + added, - taken away, ~ changed.
func (d Diff) Print(w io.Writer, color bool) error {
	var b strings.Builder
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	for _, c := range d.Changes {
		sign := map[string]string{"create": "+", "update": "~", "delete": "-"}[c.Operation]
		code := map[string]string{"create": "32", "update": "33", "delete": "31"}[c.Operation]
		b.WriteString(paint(code, sign+" "+c.Path) + "\n")
		for _, f := range c.Fields {
			name := strings.TrimPrefix(f.Path, c.Path+".")
			if f.Before != "" {
				b.WriteString(paint("31", "    - "+name+": "+f.Before) + "\n")
			}
			if f.After != "" {
				b.WriteString(paint("32", "    + "+name+": "+f.After) + "\n")
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// differ makes a Diff; the secrets are what is shown in place of values.
type differ struct{ before, after map[string]string }

func (d differ) of(plan []ledger.Difference) (Diff, error) {
	var out Diff
	for _, one := range plan {
		if one.Kind == KindManifest || !isOurs(one.Kind) {
			continue
		}
		c := ObjectChange{Operation: string(one.Op), Kind: one.Kind}
		before, err := flatten(one.Before, d.before)
		if err != nil {
			return Diff{}, err
		}
		after, err := flatten(one.After, d.after)
		if err != nil {
			return Diff{}, err
		}
		c.Name, c.Path = before.name, before.path
		if one.After != nil {
			c.Name, c.Path = after.name, after.path
		}
		c.Fields = fieldsOf(before, after)
		if len(c.Fields) == 0 && c.Operation == string(ledger.Updated) {
			continue // only its owner or its references change
		}
		out.Changes = append(out.Changes, c)
	}
	order.By(out.Changes, func(a, b ObjectChange) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

func fieldsOf(before, after flat) []FieldChange {
	paths := slices.Collect(maps.Keys(before.shown))
	for path := range after.shown {
		if _, ok := before.shown[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var out []FieldChange
	for _, path := range paths {
		if before.actual[path] == after.actual[path] && before.shown[path] == after.shown[path] {
			continue
		}
		f := FieldChange{Path: path, Before: before.shown[path], After: after.shown[path]}
		if f.Before == f.After {
			f.After += " (its value has changed)"
		}
		out = append(out, f)
	}
	return out
}

// flat is an object as settings paths and texts: those to compare, and those to show.
type flat struct {
	name, path    string
	actual, shown map[string]string
	secrets       map[string]string
}

func flatten(r *ledger.Record, secrets map[string]string) (flat, error) {
	f := flat{actual: map[string]string{}, shown: map[string]string{}, secrets: secrets}
	if r == nil {
		return f, nil
	}
	var doc map[string]any
	if err := json.Unmarshal(r.Data, &doc); err != nil {
		return f, fmt.Errorf("read %s %s: %w", r.Kind, r.ID, err)
	}
	f.name, _ = doc["name"].(string)
	f.path = pathOf(r.Kind, f.name)
	delete(doc, "name")
	delete(doc, "ids")
	for key, v := range doc {
		f.add(f.path+"."+fieldName(key), key, v)
	}
	return f, nil
}

// fieldName is the key of the configuration file for a field of a document.
func fieldName(key string) string {
	if key == "limits" {
		return "limit"
	}
	return key
}

func pathOf(kind, name string) string {
	switch kind {
	case KindIssuer:
		return spec.PathIssuer(name)
	case KindAPI:
		return spec.PathAPI(name)
	case KindZone:
		return spec.PathZone(name)
	case KindPolicy:
		return spec.PathPolicy(name)
	case KindModel:
		return spec.PathModel(name)
	case KindPoint:
		return spec.PathDecisionPoint(name)
	}
	return kind + "." + name
}

func (f *flat) add(path, key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			f.add(path+"."+fieldName(k), k, inner)
		}
	case []any:
		if key == "routes" {
			f.routes(path, v)
			return
		}
		actual, shown := f.list(path, key, v)
		f.set(path, actual, shown)
	default:
		text := f.text(key, v)
		f.set(path, text, text)
	}
}

// routes adds each route under its own name. A route that asks for nothing but a
// token is there too.
func (f *flat) routes(path string, list []any) {
	for _, one := range list {
		r, ok := one.(map[string]any)
		if !ok {
			continue
		}
		at := fmt.Sprintf("%s.%v %v", path, r["method"], r["path"])
		delete(r, "method")
		delete(r, "path")
		if len(r) == 0 {
			f.set(at, "any caller with a token", "any caller with a token")
		}
		if r["public"] == true {
			delete(r, "public")
			f.set(at, "public", "public")
		}
		for k, v := range r {
			f.add(at+"."+fieldName(k), k, v)
		}
	}
}

func (f *flat) list(path, key string, list []any) (string, string) {
	actual, shown := make([]string, len(list)), make([]string, len(list))
	for i, one := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if inner, ok := one.([]any); ok {
			actual[i], shown[i] = f.list(at, key, inner)
			continue
		}
		actual[i] = f.text(key, one)
		shown[i] = actual[i]
		if raw, ok := f.secrets[at]; ok {
			shown[i] = raw
		}
	}
	return "[" + strings.Join(actual, ", ") + "]", "[" + strings.Join(shown, ", ") + "]"
}

func (f *flat) text(key string, v any) string {
	if key == "limits" {
		var l spec.Limit
		if raw, err := json.Marshal(v); err == nil && json.Unmarshal(raw, &l) == nil {
			return l.String()
		}
	}
	if n, ok := v.(float64); ok {
		if key == "max_body" {
			return spec.FormatSize(int64(n))
		}
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}

// set notes a setting. It is shown as it was written when that was a reference at
// its path or around it.
func (f *flat) set(path, actual, shown string) {
	for p := path; p != "" && p != f.path; p = p[:max(0, strings.LastIndexAny(p, ".["))] {
		if raw, ok := f.secrets[p]; ok {
			shown = raw
			break
		}
	}
	f.actual[path], f.shown[path] = actual, shown
}

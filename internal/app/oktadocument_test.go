package app_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// oktaDocument is one of Okta's published descriptions of its API (OpenAPI 3.0). It has
// megabytes, and is read by the piece.
type oktaDocument struct {
	t      *testing.T
	pieces map[string]string // YAML text by its place: "paths /api/v1/users", "schemas User"
	read   map[string]map[string]any
}

// sharedOkta returns the folder with what is known of Okta's API, beside the repository, and
// skips the test when it is not there.
func sharedOkta(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		found := filepath.Join(dir, "..", "shared", "okta")
		if _, err := os.Stat(found); err == nil {
			return found
		}
		dir = filepath.Dir(dir)
	}
	t.Skip("what is known of Okta's API is not here")
	return ""
}

// openOktaDocument cuts a document into its paths and components: each begins at a line
// of its own, at an indentation that its section has.
func openOktaDocument(t *testing.T, name string) *oktaDocument {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(sharedOkta(t), name))
	if err != nil {
		t.Fatal(err)
	}
	d := &oktaDocument{t: t, pieces: map[string]string{}, read: map[string]map[string]any{}}
	section, kind, at, start := "", "", "", 0
	keep := func(end int) {
		if at != "" {
			d.pieces[at] = string(raw[start:end])
		}
		at = ""
	}
	for pos := 0; pos < len(raw); {
		end := pos + bytes.IndexByte(raw[pos:], '\n') + 1
		if end == pos {
			end = len(raw)
		}
		line := strings.TrimRight(string(raw[pos:end]), "\r\n")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		word := strings.Trim(strings.TrimSuffix(strings.TrimSpace(line), ":"), `'"`)
		switch {
		case strings.TrimSpace(line) == "":
		case indent == 0:
			keep(pos)
			section, kind = word, word
		case section == "components" && indent == 2:
			keep(pos)
			kind = word
		case section == "paths" && indent == 2, section == "components" && indent == 4:
			keep(pos)
			at, start = kind+" "+word, end
		}
		pos = end
	}
	keep(len(raw))
	return d
}

// piece returns a path item or a component by its place.
func (d *oktaDocument) piece(at string) map[string]any {
	if v, ok := d.read[at]; ok {
		return v
	}
	var v map[string]any
	if err := yaml.Unmarshal([]byte(d.pieces[at]), &v); err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	d.read[at] = v
	return v
}

// resolve follows references within the document.
func (d *oktaDocument) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	for range 20 {
		to, ok := m["$ref"].(string)
		if !ok {
			return m
		}
		parts := strings.Split(to, "/") // #/components/schemas/User
		m = d.piece(parts[2] + " " + parts[3])
	}
	return m
}

// response returns what the document says of an answer: whether the status is documented,
// and the schema of its JSON, nil for none.
func (d *oktaDocument) response(method, path string, status int) (documented bool, schema any) {
	if _, ok := d.pieces["paths "+path]; !ok {
		d.t.Errorf("the document has no path %s", path)
		return true, nil
	}
	op, _ := d.piece("paths " + path)[strings.ToLower(method)].(map[string]any)
	responses, _ := op["responses"].(map[string]any)
	answer, ok := responses[fmt.Sprint(status)]
	if !ok {
		return false, nil
	}
	content, _ := d.resolve(answer)["content"].(map[string]any)
	kind, _ := content["application/json"].(map[string]any)
	return true, kind["schema"]
}

var documentedTime = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)

// violations returns where a JSON value is not as a schema says. A null counts as
// missing: Okta itself answers it where the document does not say that it may be null.
func (d *oktaDocument) violations(schema, v any, at string, depth int) (out []string) {
	s := d.resolve(schema)
	if s == nil || v == nil || depth > 40 {
		return nil
	}
	wrong := func(format string, args ...any) { out = append(out, at+" "+fmt.Sprintf(format, args...)) }
	if allowed, ok := s["enum"].([]any); ok && !slices.ContainsFunc(allowed, func(e any) bool { return fmt.Sprint(e) == fmt.Sprint(v) }) {
		wrong("is %v, and the document has %v", v, allowed)
	}
	if kind, ok := s["type"].(string); ok && !isJSON(kind, v) {
		wrong("is a %T, and the document has %s", v, kind)
		return out
	}
	if text, ok := v.(string); ok && s["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, text); err != nil || !documentedTime.MatchString(text) {
			wrong("is %q and no time", text)
		}
	}
	for _, part := range list(s["allOf"]) {
		out = append(out, d.violations(part, v, at, depth+1)...)
	}
	out = append(out, d.variants(s, v, at, depth)...)
	switch v := v.(type) {
	case map[string]any:
		out = append(out, d.members(s, v, at, depth)...)
	case []any:
		for i, e := range v {
			out = append(out, d.violations(s["items"], e, fmt.Sprintf("%s[%d]", at, i), depth+1)...)
		}
	}
	return out
}

// variants looks at what the schema leaves open: by the discriminator, or the one of
// several that fits best.
func (d *oktaDocument) variants(s map[string]any, v any, at string, depth int) []string {
	if by, ok := s["discriminator"].(map[string]any); ok {
		o, _ := v.(map[string]any)
		name, _ := by["propertyName"].(string)
		mapping, _ := by["mapping"].(map[string]any)
		to, ok := mapping[fmt.Sprint(o[name])]
		if !ok || depth > 10 {
			return nil
		}
		return d.violations(map[string]any{"$ref": to}, v, at, depth+10)
	}
	open := append(slices.Clone(list(s["oneOf"])), list(s["anyOf"])...)
	var best []string
	for i, one := range open {
		if got := d.violations(one, v, at, depth+1); i == 0 || len(got) < len(best) {
			best = got
		}
	}
	return best
}

func (d *oktaDocument) members(s, v map[string]any, at string, depth int) (out []string) {
	properties, _ := s["properties"].(map[string]any)
	for _, name := range list(s["required"]) {
		p := d.resolve(properties[fmt.Sprint(name)])
		if _, there := v[fmt.Sprint(name)]; !there && p["writeOnly"] != true {
			out = append(out, fmt.Sprintf("%s.%s is missing, and the document has it required", at, name))
		}
	}
	for name, e := range v {
		if p, ok := properties[name]; ok {
			out = append(out, d.violations(p, e, at+"."+name, depth+1)...)
		} else if more, ok := s["additionalProperties"].(map[string]any); ok && len(more) > 0 {
			out = append(out, d.violations(more, e, at+"."+name, depth+1)...)
		}
	}
	return out
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// isJSON reports whether a decoded value is of a kind of JSON Schema.
func isJSON(kind string, v any) bool {
	switch v := v.(type) {
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case map[string]any:
		return kind == "object"
	case []any:
		return kind == "array"
	}
	return false
}

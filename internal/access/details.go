package access

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// Bounds of authorization details (RFC 9396).
const (
	maxDetails      = 20       // elements of one request
	maxDetailsBytes = 16 << 10 // of one request
)

// The kinds of a field of authorization details.
const (
	FieldText    = "string"
	FieldNumber  = "number"
	FieldBoolean = "boolean"
	FieldTexts   = "strings" // a list of different texts, which a refresh may narrow
)

// ServerExtension holds the settings of a server that Okta's servers do not have.
// Management shows and takes them as they stand here, below gatehouse.
type ServerExtension struct {
	// Profile is ProfileFAPI2 or empty.
	Profile string `json:"profile,omitempty"`
	// ClientDocuments are the hosts at which apps may have their metadata documents: host
	// names, *.names, or AnyHost. None: an app is known here before it comes.
	ClientDocuments []string `json:"client_id_metadata_documents,omitempty"`
	// DetailTypes are the types of authorization details that the server knows.
	DetailTypes []DetailType `json:"authorization_details_types,omitempty"`
}

// DetailType is a type of authorization details (RFC 9396 section 2): what one may
// hold, and what it says to a person.
type DetailType struct {
	Type string `json:"type"`
	// Sentence is shown to the person who is asked; {name} stands for the value of a
	// field: Pay {instructedAmount.amount} to {creditorName}.
	Sentence string        `json:"sentence"`
	Fields   []DetailField `json:"fields,omitempty"`
}

// DetailField is a field of a type. What no field describes is refused.
type DetailField struct {
	Name     string   `json:"name"` // members of objects are joined by dots
	Kind     string   `json:"kind"`
	Required bool     `json:"required,omitempty"`
	Enum     []string `json:"enum,omitempty"` // the values of a text, or of the texts of a list
}

// Detail is one element of authorization_details.
type Detail map[string]any

func checkServerExtension(c *checks, e *ServerExtension) {
	const path = "gatehouse.authorization_details_types"
	c.that(len(e.DetailTypes) <= 50, path, "has more than 50 types")
	seen := map[string]bool{}
	for i := range e.DetailTypes {
		t := &e.DetailTypes[i]
		c.that(t.Type != "" && len(t.Type) <= 255 && !strings.ContainsFunc(t.Type, notPrintable), path+".type", "is 1 to 255 printable characters without spaces")
		c.that(!seen[t.Type], path+".type", quoted(t.Type)+" occurs twice")
		seen[t.Type] = true
		c.that(t.Sentence != "" && len(t.Sentence) <= 500 && !strings.ContainsFunc(t.Sentence, isControl), path+".sentence", "says to a person what the type allows, in at most 500 bytes")
		c.that(len(t.Fields) <= 50, path+".fields", "has more than 50 fields")
		names := map[string]bool{"type": true}
		for _, f := range t.Fields {
			c.that(usableField(f.Name) && !names[f.Name], path+".fields.name", quoted(f.Name)+" is not a name, or occurs twice")
			c.oneOf(path+".fields.kind", f.Kind, FieldText, FieldNumber, FieldBoolean, FieldTexts)
			c.that(len(f.Enum) == 0 || f.Kind == FieldText || f.Kind == FieldTexts, path+".fields.enum", "is for texts")
			names[f.Name] = true
		}
		for _, name := range placeholders(t.Sentence) {
			c.that(names[name], path+".sentence", "there is no field "+quoted(name))
		}
	}
}

func usableField(name string) bool {
	if len(name) > 100 {
		return false
	}
	for part := range strings.SplitSeq(name, ".") {
		if part == "" || strings.ContainsFunc(part, func(r rune) bool { return notPrintable(r) || strings.ContainsRune("{}", r) }) {
			return false
		}
	}
	return true
}

// placeholders returns the names in braces.
func placeholders(sentence string) (out []string) {
	for {
		_, rest, ok := strings.Cut(sentence, "{")
		if !ok {
			return out
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return append(out, "{"+rest) // no field has such a name
		}
		out, sentence = append(out, name), after
	}
}

// ReadDetails reads authorization_details for an app: each element is of a type that
// the server knows and the app may ask for, and holds what the type says and nothing
// else. wrong says what is not so, to a developer; empty: nothing.
func (s *ServerView) ReadDetails(app *AppView, text string) (list []Detail, wrong string) {
	if len(text) > maxDetailsBytes {
		return nil, "it is longer than 16 KiB"
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&list); err != nil || d.More() || len(list) == 0 || len(list) > maxDetails {
		return nil, "it must be a JSON array of 1 to 20 objects"
	}
	for _, x := range list {
		name, _ := x["type"].(string)
		t := s.detailType(name)
		if t == nil || !slices.Contains(app.Extension.DetailTypes, name) {
			return nil, "the type " + quoted(name) + " is not one that the client may ask for"
		}
		if wrong := t.check(x); wrong != "" {
			return nil, wrong
		}
	}
	return list, ""
}

func (s *ServerView) detailType(name string) *DetailType {
	for i := range s.Extension.DetailTypes {
		if s.Extension.DetailTypes[i].Type == name {
			return &s.Extension.DetailTypes[i]
		}
	}
	return nil
}

func (t *DetailType) check(x Detail) string {
	flat := map[string]any{}
	flatten("", x, flat, 4)
	delete(flat, "type")
	for i := range t.Fields {
		f := &t.Fields[i]
		v, ok := flat[f.Name]
		switch {
		case !ok && f.Required:
			return "the field " + quoted(f.Name) + " is missing"
		case ok && !f.fits(v):
			return "the field " + quoted(f.Name) + " is not what it must be"
		}
		delete(flat, f.Name)
	}
	for name := range flat {
		return "the field " + quoted(name) + " is not known"
	}
	return ""
}

// flatten makes names of members of objects, to a depth.
func flatten(before string, x map[string]any, to map[string]any, depth int) {
	for name, v := range x {
		if inner, ok := v.(map[string]any); ok && depth > 0 {
			flatten(before+name+".", inner, to, depth-1)
			continue
		}
		to[before+name] = v
	}
}

func (f *DetailField) fits(v any) bool {
	known := func(s string) bool { return len(f.Enum) == 0 || slices.Contains(f.Enum, s) }
	switch x := v.(type) {
	case string:
		return f.Kind == FieldText && known(x)
	case json.Number:
		return f.Kind == FieldNumber
	case bool:
		return f.Kind == FieldBoolean
	case []any:
		seen := map[string]bool{}
		for _, e := range x {
			s, ok := e.(string)
			if !ok || !known(s) || seen[s] {
				return false
			}
			seen[s] = true
		}
		return f.Kind == FieldTexts && len(x) > 0
	}
	return false
}

// DescribeDetail says in words what an element allows.
func (s *ServerView) DescribeDetail(x Detail) string {
	name, _ := x["type"].(string)
	t := s.detailType(name)
	if t == nil {
		return name
	}
	flat := map[string]any{}
	flatten("", x, flat, 4)
	var out strings.Builder
	rest := t.Sentence
	for _, name := range placeholders(t.Sentence) {
		before, after, _ := strings.Cut(rest, "{"+name+"}")
		out.WriteString(before + plain(shown(flat[name])))
		rest = after
	}
	return out.String() + rest
}

// plain is a text without what could change how the text around it reads: controls,
// and characters that turn the direction of writing.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			return '\ufffd'
		}
		return r
	}, s)
}

func shown(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case json.Number:
		return x.String()
	case bool:
		if x {
			return "yes"
		}
		return "no"
	case []any:
		var parts []string
		for _, e := range x {
			parts = append(parts, shown(e))
		}
		return strings.Join(parts, ", ")
	}
	return "anything"
}

// NarrowerDetail reports whether what is asked allows no more than what was granted:
// the same members with the same values, lists with the same texts or fewer.
func NarrowerDetail(asked, granted Detail) bool {
	return narrower(map[string]any(asked), map[string]any(granted))
}

func narrower(a, g any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := g.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for name, v := range x {
			if w, ok := y[name]; !ok || !narrower(v, w) {
				return false
			}
		}
		return true
	case []any:
		y, ok := g.([]any)
		for _, v := range x {
			if !ok || !slices.Contains(y, v) {
				return false
			}
		}
		return ok && len(x) > 0
	}
	_, list := g.([]any)
	_, object := g.(map[string]any)
	return !list && !object && a == g
}

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// SchemaID is the name of the published JSON Schema.
const SchemaID = "urn:gatehouse:configuration:v1"

// JSONSchema returns the grammar as a JSON Schema (draft 2020-12), for completion
// and checks in editors. It takes what the parser takes; what needs more than one
// value to judge, only the parser refuses.
func JSONSchema() []byte {
	s := schemaOf(root, "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = SchemaID
	s["title"] = "Gatehouse configuration"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // maps of strings, lists and maps always encode
	}
	return b.Bytes()
}

type schema = map[string]any

func schemaOf(s *shape, doc string) schema {
	var forms []schema
	if s.scalar != nil {
		forms = append(forms, s.scalar.schema()...)
	}
	if s.list != nil {
		list := schema{"type": "array", "items": schemaOf(s.list, "")}
		if !s.empty {
			list["minItems"] = 1
		}
		forms = append(forms, list)
	}
	if s.keys != nil {
		forms = append(forms, tableSchema(s.keys))
	}
	if s.dict != nil {
		forms = append(forms, schema{
			"type":                 "object",
			"patternProperties":    schema{s.dict.pattern: schemaOf(s.dict.value, "")},
			"additionalProperties": false,
		})
	}
	if s.empty {
		forms = append(forms, schema{"type": "null"})
	}
	out := schema{}
	if len(forms) == 1 {
		out = forms[0]
	} else {
		out["anyOf"] = forms
	}
	if doc == "" && out["description"] == nil {
		doc = s.what
	}
	if doc != "" {
		out["description"] = doc
	}
	return out
}

func tableSchema(keys []key) schema {
	properties, required := schema{}, []string{}
	for _, k := range keys {
		doc := k.doc
		if k.unbuilt != "" {
			doc = "Not supported yet. " + doc
		}
		properties[k.name] = schemaOf(k.shape, doc)
		if k.required {
			required = append(required, k.name)
		}
	}
	out := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// referencePattern matches text that holds a reference.
const referencePattern = `\$\{(env|file):`

func (c *scalar) schema() []schema {
	var out []schema
	switch {
	case slices.Equal(c.kinds, []kind{boolean}):
		return []schema{{"type": "boolean"}, {"type": "string", "pattern": referencePattern}}
	case slices.Equal(c.kinds, []kind{number}) && c.pattern != "":
		return []schema{{"type": "integer", "const": Version}}
	case slices.Equal(c.kinds, []kind{number}):
		return []schema{{"type": "integer", "minimum": c.least}, {"type": "string", "pattern": referencePattern}}
	case c.secret:
		return []schema{{"type": "string", "pattern": referencePattern, "examples": []string{c.example}}}
	}
	switch {
	case slices.Contains(c.kinds, number) && c.check != nil:
		out = append(out, schema{"type": "integer", "minimum": 1})
	case slices.Contains(c.kinds, number):
		out = append(out, schema{"type": "integer"})
	}
	if slices.Contains(c.kinds, boolean) {
		out = append(out, schema{"type": "boolean"})
	}
	if c.words != nil {
		out = append(out, schema{"type": "string", "enum": c.words})
		if !c.open {
			return append(out, schema{"type": "string", "pattern": referencePattern})
		}
	}
	s := schema{"type": "string", "minLength": 1}
	if c.pattern != "" {
		s["pattern"] = fmt.Sprintf("(%s)|%s", c.pattern, referencePattern)
	}
	if c.example != "" {
		s["examples"] = []string{c.example}
	}
	return append(out, s)
}

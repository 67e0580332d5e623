package config

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/spec"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instance(t *testing.T, text []byte) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The schema takes every valid example, also what cannot be served yet.
func TestSchemaTakesExamples(t *testing.T) {
	s := compileSchema(t)
	paths, _ := filepath.Glob("testdata/good/*.yaml")
	for _, path := range append(paths, "testdata/whole.yaml", "starter.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(path, "every_key") {
			// The library's decoder reads lists within { } wrongly, see plainWithColon.
			text = bytes.ReplaceAll(text, []byte("[[orders:write], [orders:admin, orders:bulk]]"), []byte(`[["orders:write"], ["orders:admin", "orders:bulk"]]`))
		}
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The schema refuses what it can see to be wrong.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, name := range []string{"unknown_keys", "version_missing", "version_other", "version_text", "wrong_types", "empty_values", "literal_secrets", "limits", "names"} {
		text, err := os.ReadFile("testdata/bad/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(instance(t, text)) == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
}

// Every key of the grammar is in the schema, described; every one has a shape, and
// says so when it is not served yet.
func TestSchemaHasEveryKey(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(JSONSchema(), &doc); err != nil {
		t.Fatal(err)
	}
	count := 0
	var walk func(s *shape, node map[string]any, path string)
	find := func(node map[string]any, want string) map[string]any {
		if node[want] != nil {
			return node
		}
		forms, _ := node["anyOf"].([]any)
		for _, f := range forms {
			if form := f.(map[string]any); form[want] != nil {
				return form
			}
		}
		return nil
	}
	walk = func(s *shape, node map[string]any, path string) {
		if s.what == "" {
			t.Errorf("%s: the grammar does not say what it takes", path)
		}
		for _, k := range s.keys {
			count++
			at := join(path, k.name)
			table := find(node, "properties")
			if table == nil {
				t.Fatalf("%s is not in the schema", at)
			}
			below, ok := table["properties"].(map[string]any)[k.name].(map[string]any)
			if !ok {
				t.Errorf("%s is not in the schema", at)
				continue
			}
			description, _ := below["description"].(string)
			if k.doc == "" || !strings.HasSuffix(description, k.doc) {
				t.Errorf("%s has no description", at)
			}
			if unbuilt := strings.HasPrefix(description, "Not supported yet"); unbuilt != (k.unbuilt != "") || unbuilt != spec.Unbuilt(k.unbuilt) {
				t.Errorf("%s: %q, but the feature is %q", at, description, k.unbuilt)
			}
			walk(k.shape, below, at)
		}
		if s.dict != nil {
			names := find(node, "patternProperties")
			if names == nil {
				t.Fatalf("%s: names are not in the schema", path)
			}
			walk(s.dict.value, names["patternProperties"].(map[string]any)[s.dict.pattern].(map[string]any), path+".*")
		}
	}
	walk(root, doc, "")
	if count < 50 {
		t.Errorf("only %d keys: the walk does not reach all of the grammar", count)
	}
}

// Every key of the grammar can be written: the two example files together hold
// each of them.
func TestExamplesHaveEveryKey(t *testing.T) {
	var text strings.Builder
	for _, path := range []string{"testdata/whole.yaml", "testdata/good/every_key.yaml"} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b)
	}
	var walk func(s *shape)
	walk = func(s *shape) {
		for _, k := range s.keys {
			if !strings.Contains(text.String(), k.name+":") {
				t.Errorf("no example has the key %s", k.name)
			}
			walk(k.shape)
		}
		if s.dict != nil {
			walk(s.dict.value)
		}
	}
	walk(root)
}

package ledger

import (
	"encoding/json"
	"reflect"
	"testing"
)

// A document whose fields a glance says are all known has none that is not.
func FuzzKnowsAll(f *testing.F) {
	for _, doc := range []string{
		`{}`, `null`, `[]`, `{"name":"x"}`, `{"Name":"a\"b","inner":{"more":1},"list":["more",{"more":2}]}`, `{"more":1}`,
		`{"name":"x","more":1}`, `{ "name" : "x" , "more" : 1 }`, "{\n\"more\"\n:1}", `{"\u006dore":1}`, `{"name":"more\\","more":[]}`,
		`{"name":"}","more":{}}`, `{"list":["]}"],"":0}`, `{"name":"\\\"","n":"more"}`, `{"name":1,"NAME":2}`, `{"naïve":1}`,
	} {
		f.Add([]byte(doc))
	}
	s := shapeOf(reflect.TypeFor[struct {
		Name, N string
		Inner   struct{ A int }
		List    []string
	}]())
	f.Fuzz(func(t *testing.T, doc []byte) {
		var all map[string]json.RawMessage
		if json.Unmarshal(doc, &all) != nil {
			return // read refuses it before
		}
		for name := range all {
			if !s.knows(name) && s.knowsAll(doc) {
				t.Errorf("%s: %q was overlooked", doc, name)
			}
		}
	})
}

// The short way is taken: else it would only cost.
func TestKnowsAll(t *testing.T) {
	s := shapeOf(reflect.TypeFor[struct{ Name, List any }]())
	for doc, want := range map[string]bool{
		`{}`: true, `{"name":"more","list":["more",{"more":"x"}]}`: true, `{"name":"a\"b\\"}`: true, `{"name":1,"more":2}`: false, `{"\u006eame":1}`: false,
	} {
		if got := s.knowsAll([]byte(doc)); got != want {
			t.Errorf("%s: %v", doc, got)
		}
	}
}

package config

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	referencePage  = "../../docs/configuration.md"
	referenceBegin = "<!-- The tables below are made from the grammar: go test ./internal/config -run Reference -update -->\n"
)

// The reference in the documentation is made from the grammar, so that it says
// what the parser takes.
func TestReferencePageFollowsTheGrammar(t *testing.T) {
	page, err := os.ReadFile(referencePage)
	if err != nil {
		t.Fatal(err)
	}
	head, got, found := strings.Cut(string(page), referenceBegin)
	if !found {
		t.Fatalf("%s has no line %q", referencePage, referenceBegin)
	}
	var b bytes.Buffer
	referenceTables(&b, "", root)
	if got == b.String() {
		return
	}
	if *update {
		if err := os.WriteFile(referencePage, []byte(head+referenceBegin+b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not follow the grammar; run the test with -update", referencePage)
}

// referenceTables writes a table for each group of keys, the outer ones first.
func referenceTables(b *bytes.Buffer, path string, s *shape) {
	if s == nil {
		return
	}
	if len(s.keys) > 0 {
		title := "The file"
		if path != "" {
			title = "`" + path + "`"
		}
		fmt.Fprintf(b, "\n### %s\n\n| key | what it is for | value |\n|---|---|---|\n", title)
		for _, k := range s.keys {
			name := "`" + k.name + "`"
			doc := k.doc
			switch {
			case k.unbuilt != "":
				doc += " *Not supported yet: refused.*"
			case k.required:
				name += " (required)"
			}
			fmt.Fprintf(b, "| %s | %s | %s |\n", name, doc, value(k.shape))
		}
		for _, k := range s.keys {
			below := k.name
			if path != "" {
				below = path + "." + k.name
			}
			referenceTables(b, below, k.shape)
		}
	}
	if s.dict != nil {
		referenceTables(b, path+".NAME", s.dict.value)
	}
}

func value(s *shape) string {
	out := strings.ReplaceAll(s.what, "|", "or")
	if s.scalar != nil && s.scalar.example != "" && !strings.Contains(out, s.scalar.example) {
		out += ", such as `" + s.scalar.example + "`"
	}
	return out
}

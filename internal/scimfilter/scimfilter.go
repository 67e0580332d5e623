// Package scimfilter reads the filter language of RFC 7644 section 3.4.2.2, which Okta's
// listings speak as well: comparisons of attributes, joined by and, or, not and
// parentheses, and, where the grammar has them, conditions in brackets on the elements of
// a list. What strangers send is bounded in length, depth and number of comparisons. It
// must not know which attributes there are, nor what a filter is asked about.
package scimfilter

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a filter.
const (
	maxFilter      = 4096 // bytes
	maxDepth       = 20
	maxComparisons = 100
)

// Filter is a parsed filter: a comparison, some of them joined, or a condition on
// elements.
type Filter struct {
	Op    string    // eq, ne, co, sw, ew, pr, gt, ge, lt, le; and, or, not; or any: an element fulfils Inner
	Path  string    // of a comparison and of any: the attribute as it was written
	Inner *Filter   // of any; of a comparison: which elements are looked at
	Sub   string    // of a comparison with Inner: the sub-attribute of those
	Value any       // of a comparison: string, json.Number, bool or nil
	Parts []*Filter // of and, or, not
}

// Grammar is where the speakers of the language differ.
type Grammar struct {
	// Elements says that there are conditions in brackets.
	Elements bool
	// Loose says that in a text a backslash which escapes neither a quote nor a backslash
	// stands for itself; else texts are written as in JSON.
	Loose bool
	// Attribute reports whether a word may be the name of an attribute.
	Attribute func(word string) bool
}

// Error says what is wrong with a filter, and where.
type Error struct {
	At   int // in characters, from 1
	Says string
}

// Error says both.
func (e *Error) Error() string { return fmt.Sprintf("wrong at character %d: %s", e.At, e.Says) }

// Parse returns the filter, nil for an empty text, or an *Error.
func (g Grammar) Parse(text string) (*Filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // no filter
	}
	p, err := g.parser(text)
	if err != nil {
		return nil, err
	}
	f, err := p.or(0)
	if err == nil && p.kind != tokenEnd {
		err = p.wrong("expected and, or, or the end")
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Path is the target of a PATCH operation (RFC 7644 section 3.5.2).
type Path struct {
	Attribute string  // as it was written
	Inner     *Filter // which elements; nil for all
	Sub       string  // sub-attribute of the elements; empty for none
}

// ParsePath returns the path, or an *Error.
func (g Grammar) ParsePath(text string) (out Path, err error) {
	p, err := g.parser(text)
	if err != nil {
		return Path{}, err
	}
	if p.kind != tokenWord || !g.Attribute(p.word) {
		return Path{}, p.wrong("expected the name of an attribute")
	}
	out.Attribute = p.word
	p.next()
	if p.kind == tokenOpenList {
		if out.Inner, out.Sub, err = p.elements(0); err != nil {
			return Path{}, err
		}
	}
	if p.kind != tokenEnd {
		return Path{}, p.wrong("expected the end")
	}
	return out, nil
}

func (g Grammar) parser(text string) (*parser, error) {
	p := &parser{Grammar: g, text: text}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return nil, p.wrong("it is longer than 4096 bytes or is not text")
	}
	p.next()
	return p, nil
}

// CompareText reports whether a text stands to another as the comparison says; pr and ne
// are the caller's.
func CompareText(op, have, want string) bool {
	switch op {
	case "sw":
		return strings.HasPrefix(have, want)
	case "ew":
		return strings.HasSuffix(have, want)
	case "co":
		return strings.Contains(have, want)
	}
	return Ordered(op, strings.Compare(have, want))
}

// Ordered reports whether the outcome of a comparison (-1, 0, 1) is what it asks for.
func Ordered(op string, c int) bool {
	switch op {
	case "eq":
		return c == 0
	case "gt":
		return c > 0
	case "ge":
		return c >= 0
	case "lt":
		return c < 0
	case "le":
		return c <= 0
	}
	return false
}

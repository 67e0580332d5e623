package policy

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Where in its text a problem of a statement is, and how it is said.

// problem reports what is wrong at a word; the zero word is the statement's beginning.
func (c *checker) problem(w word, format string, args ...any) *Problem {
	if w.size == 0 && len(c.words) > 0 {
		w = c.words[0]
	}
	line, column := place(c.text[c.before:], w.at-c.before)
	width := utf8.RuneCountInString(c.text[min(w.at, len(c.text)):min(w.at+w.size, len(c.text))])
	c.problems = append(c.problems, Problem{Path: c.path, Line: line, Column: column, Width: max(width, 1), Message: fmt.Sprintf(format, args...)})
	return &c.problems[len(c.problems)-1]
}

func (c *checker) unknown(w word, name string, known []string, format string, args ...any) {
	p := c.problem(w, format, args...)
	p.Word, p.Known = name, known
}

// bare finds a variable that no attribute of follows.
func (c *checker) bare(name string) word {
	for i, w := range c.words {
		follows := i+1 < len(c.words) && slices.Contains([]string{".", "[", "has", ",", ":", "in", "is"}, c.words[i+1].text)
		if w.text == name && !w.quoted && !follows && (i == 0 || c.words[i-1].text != ".") && (name != "resource" || i > 5) {
			return w
		}
	}
	return word{}
}

// wordOf finds where an expression stands, as far as that can be told.
func (c *checker) wordOf(n ast.IsNode) word {
	if p := pathOf(n); len(p) > 0 {
		w := attribute(c.words, p...)
		return w
	}
	if v, ok := n.(ast.NodeValue); ok {
		if s, ok := v.Value.(types.String); ok {
			w := literal(c.words, string(s))
			return w
		}
	}
	return word{}
}

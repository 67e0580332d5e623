package config

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kind is the form of a node.
type kind uint8

const (
	nothing kind = iota // no value, or null
	text                // a scalar that is text, or that is quoted
	number              // a plain scalar that YAML reads as a number
	boolean             // a plain true or false
	list
	mapping
)

func (k kind) String() string {
	return [...]string{"nothing", "text", "a number", "true or false", "a list", "a group of keys"}[k]
}

// node is one value of a file with the place where it was written. It is what
// the YAML library's tree becomes: nothing else of this room knows that library.
type node struct {
	kind    kind
	text    string // of a scalar, references resolved
	raw     string // of a scalar, as written; differs from text when it holds references
	at      Position
	width   int // characters of the scalar or key in its line
	items   []*node
	entries []entry
	block   bool // a scalar on lines of its own below "|", as they are
	bad     bool // reported already: nothing more is said about it
	missing bool // holds a reference to what is not there
}

// entry is a key of a mapping and its value.
type entry struct {
	key   *node
	value *node
}

// get returns the value of a key, or nil.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapping {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key.text == key {
			return n.entries[i].value
		}
	}
	return nil
}

// lacks reports whether a reference somewhere in n leads to what is not there.
func (n *node) lacks() bool {
	return n != nil && (n.missing || slices.ContainsFunc(n.items, (*node).lacks) || slices.ContainsFunc(n.entries, func(e entry) bool { return e.value.lacks() }))
}

// usable reports whether n has a value that nothing is wrong with.
func (n *node) usable() bool { return n != nil && !n.bad && n.kind != nothing }

// str returns the text of a scalar, or "".
func (n *node) str() string {
	if !n.usable() {
		return ""
	}
	return n.text
}

// isTrue reports whether n is the scalar true.
func (n *node) isTrue() bool { return n.usable() && n.text == "true" }

// whole returns the whole number of a scalar, or 0.
func (n *node) whole() int {
	v, err := strconv.Atoi(n.str())
	if err != nil {
		return 0
	}
	return v
}

// each returns the items of a list, or the node itself as a list of one.
func (n *node) each() []*node {
	switch {
	case !n.usable():
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

// strs returns the texts of a list of scalars, or of one scalar.
func (n *node) strs() []string {
	var out []string
	for _, item := range n.each() {
		if item.usable() {
			out = append(out, item.text)
		}
	}
	return out
}

// referring reports whether the scalar holds text from outside of the file.
func (n *node) referring() bool { return n.raw != n.text }

// widthOf returns the number of characters of the first line of s, at least 1.
func widthOf(s string) int {
	line, _, _ := strings.Cut(s, "\n")
	return max(1, utf8.RuneCountInString(line))
}

package config

import (
	"slices"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/policy"
	"gatehouse/internal/spec"
)

// mostListed is how many known names are listed when none is like the unknown one.
const mostListed = 24

// rules compiles policies and conditions, and reports what is wrong with them at
// the place in the file. It also notes where policies' texts begin.
func (c *compilation) rules(w *walker, s *spec.Snapshot) {
	for i := range s.Policies {
		path := spec.PathPolicy(s.Policies[i].Name)
		if n := w.values[path]; n != nil && n.block {
			s.Sources[spec.PathPolicyText(s.Policies[i].Name)] = Position{File: n.at.File, Line: n.at.Line + 1, Column: 1}.String()
		}
	}
	// Names that are missing because of another problem are not one of their own.
	incomplete := slices.ContainsFunc(w.problems, func(p Problem) bool {
		return strings.HasPrefix(p.Path, "apis") || strings.HasPrefix(p.Path, "zones")
	})
	reported := map[string]bool{}
	for _, p := range w.problems {
		reported[p.Path] = true
	}
	_, problems := policy.Compile(s)
	_, models := policy.CompileModels(s)
	problems = append(problems, models...)
	for _, p := range problems {
		n := w.values[p.Path]
		if n == nil {
			n, _ = w.place(p.Path)
		}
		if n == nil || n.bad || p.Word != "" && incomplete || reported[p.Path] {
			continue
		}
		at := c.inside(n, p)
		if p.Word != "" {
			if Nearest(p.Word, p.Known) == "" && len(p.Known) > 0 && len(p.Known) <= mostListed {
				p.Message += ": there are " + strings.Join(p.Known, ", ")
			}
			w.unknown(at, p.Path, p.Message, p.Word, p.Known)
			continue
		}
		w.problems = append(w.problems, Problem{Position: at.at, Width: at.width, Path: p.Path, Message: p.Message})
	}
}

// inside returns a node for a place within a scalar's text, or for the scalar as a
// whole where the text is not written as it reads.
func (c *compilation) inside(n *node, p policy.Problem) *node {
	whole := &node{kind: text, at: n.at, width: n.width}
	lines := c.sources[n.at.File].lines
	if p.Line == 0 || n.referring() {
		return whole
	}
	written := strings.Split(n.text, "\n")
	if p.Line > len(written) {
		return whole
	}
	line, at := written[p.Line-1], n.at
	if n.block {
		at.Line += p.Line
		at.Column = 1
	}
	if at.Line < 1 || at.Line > len(lines) || line == "" {
		return whole
	}
	source := lines[at.Line-1]
	from := max(0, min(len(source), columnOffset(source, at.Column)))
	i := strings.Index(source[from:], strings.TrimRight(line, " "))
	if i < 0 {
		return whole
	}
	at.Column = utf8.RuneCountInString(source[:from+i]) + p.Column
	return &node{kind: text, at: at, width: p.Width}
}

// columnOffset returns the byte at which a column, in characters from 1, begins.
func columnOffset(line string, column int) int {
	at := 0
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(line[at:])
		at += size
	}
	return at
}

package config

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
	"gatehouse/internal/order"
)

// Position is a place in a file. Line and Column count from 1, columns in characters.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String returns "file:line:column", the form that editors jump to.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Position
	// Path is the setting as a dotted path such as "apis.orders.limit"; empty for the file as a whole.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Suggestion is the known word that was probably meant; it is part of Message too.
	Suggestion string `json:"did_you_mean,omitempty"`
	// Unsupported says that the setting is valid and this version does not serve it yet.
	Unsupported bool `json:"unsupported,omitempty"`
	// Source is the line as written, secrets masked; Width the number of characters meant, from Column.
	Source string `json:"source,omitempty"`
	Width  int    `json:"width,omitempty"`
}

// Error returns the problem on one line, with its position.
func (p Problem) Error() string {
	if p.File == "" {
		return p.Message
	}
	return p.Position.String() + ": " + p.Message
}

// Problems is everything that is wrong, in file order. An empty one means that all is well.
type Problems []Problem

// Error returns the first problem and how many more there are.
func (p Problems) Error() string {
	switch len(p) {
	case 0:
		return "no problems"
	case 1:
		return p[0].Error()
	}
	return p[0].Error() + " (and " + strconv.Itoa(len(p)-1) + " more)"
}

// Err returns nil when there are no problems, and otherwise p as an error.
// Use it where an error interface is wanted: an empty Problems in one is not nil.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Fault returns the problems as an invalid-input fault with a field error each, or nil.
func (p Problems) Fault() error {
	if len(p) == 0 {
		return nil
	}
	e := fault.New(fault.Invalid, "the configuration has %s", plural(len(p), "problem"))
	for _, one := range p {
		path := one.Path
		if path == "" {
			path = one.Position.String()
		}
		e.Fields = append(e.Fields, fault.Field{Path: path, Message: one.Message})
	}
	return e
}

// Print writes each problem with its source line and a caret, and a count at the end.
func (p Problems) Print(w io.Writer, color bool) error {
	var b strings.Builder
	for _, one := range p {
		one.print(&b, color)
	}
	if len(p) > 1 {
		fmt.Fprintf(&b, "%s\n", plural(len(p), "problem"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p Problem) print(b *strings.Builder, color bool) {
	paint := func(code, s string) string {
		if !color {
			return s
		}
		return "\x1b[" + code + "m" + s + "\x1b[0m"
	}
	if p.File != "" {
		b.WriteString(paint("1", p.Position.String()+":") + " ")
	}
	b.WriteString(paint("31", p.Message) + "\n")
	if p.Source == "" {
		return
	}
	source, column := excerpt(p.Source, p.Column)
	number := fmt.Sprintf("%5d", p.Line)
	b.WriteString(paint("2", number+" | ") + source + "\n")
	width := max(1, min(p.Width, utf8.RuneCountInString(source)-column+1))
	b.WriteString(paint("2", "      | ") + strings.Repeat(" ", column-1) + paint("31", strings.Repeat("^", width)) + "\n")
}

// excerpt cuts a long line down to what surrounds the column, and returns the column in it.
func excerpt(line string, column int) (string, int) {
	const before, most = 60, 140
	r := []rune(line)
	column = max(1, min(column, len(r)+1))
	if len(r) <= most {
		return line, column
	}
	from := max(0, column-1-before)
	to := min(len(r), from+most)
	text := string(r[from:to])
	column -= from
	if from > 0 {
		text, column = "..."+text, column+3
	}
	if to < len(r) {
		text += "..."
	}
	return text, column
}

// sorted returns the problems in file order, without repetitions, bounded.
func (p Problems) sorted() Problems {
	order.Stable(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	p = slices.CompactFunc(p, func(a, b Problem) bool { return a.Position == b.Position && a.Message == b.Message })
	if len(p) > MaxProblems {
		last := Problem{Position: Position{File: p[MaxProblems-1].File}, Message: fmt.Sprintf("too many problems: %d more are not shown", len(p)-MaxProblems+1)}
		p = append(p[:MaxProblems-1:MaxProblems-1], last)
	}
	return p
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

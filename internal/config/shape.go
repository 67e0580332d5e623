package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/spec"
)

// shape says what a value may look like. It has a facet for each form that is
// allowed: a value fits when the facet of its own form takes it.
type shape struct {
	what   string // for messages: "a duration such as 5s"
	scalar *scalar
	list   *shape // of each item
	keys   []key  // of a group with fixed keys
	dict   *dict
	empty  bool // no value at all is fine too
}

// scalar is the facet of plain values.
type scalar struct {
	kinds   []kind             // forms accepted; text from a reference always is
	check   func(string) error // of the value; its errors never repeat it
	written func(string) error // of the text as written, references not resolved
	words   []string           // if not nil: the only values
	open    bool               // words are examples of common values, others are checked by check
	pattern string             // for the JSON Schema; looser than check
	example string             // for the JSON Schema
	secret  bool               // must come from a reference
	least   int                // of a number
}

// dict is the facet of groups whose keys are names that the writer chooses.
type dict struct {
	name    func(string) error
	pattern string // of a name, for the JSON Schema
	value   *shape
}

// key is one line of the grammar table.
type key struct {
	name     string
	doc      string
	shape    *shape
	required bool
	unbuilt  string // the feature that it needs, when that may be one that is not served yet
}

// walker checks a tree against shapes and notes where everything is.
type walker struct {
	at       map[string]*node  // by dotted path: what a finding about the path points to
	values   map[string]*node  // by dotted path
	sources  map[string]string // by dotted path: the position of the key
	problems Problems
	builtAll bool
}

func newWalker(builtAll bool) *walker {
	return &walker{at: map[string]*node{}, values: map[string]*node{}, sources: map[string]string{}, builtAll: builtAll}
}

// problem reports what is wrong at n, once.
func (w *walker) problem(n *node, path string, err error) {
	var unbuilt spec.ErrUnbuilt
	p := Problem{Position: n.at, Width: n.width, Path: path, Message: err.Error(), Unsupported: errors.As(err, &unbuilt)}
	n.bad = true
	if p.Unsupported && w.builtAll {
		n.bad = false
		return
	}
	w.problems = append(w.problems, p)
}

// unknown reports a word that is not among the known ones.
func (w *walker) unknown(n *node, path, message, word string, known []string) {
	p := Problem{Position: n.at, Width: n.width, Path: path, Message: message}
	if guess := Nearest(word, known); guess != "" {
		p.Suggestion = guess
		p.Message += fmt.Sprintf(": did you mean %s?", guess)
	}
	n.bad = true
	w.problems = append(w.problems, p)
}

// walk checks n and what is below it. It returns whether all of it fits.
func (w *walker) walk(n *node, s *shape, path string) bool {
	w.values[path] = n
	if _, ok := w.at[path]; !ok {
		w.at[path] = n
	}
	if n.bad {
		return false
	}
	switch {
	case n.kind == nothing:
		switch {
		case s.empty || n.referring():
		case path == "":
			w.problem(n, path, errors.New("the file is empty: \"gatehouse init example.yaml\" writes one to look at"))
		default:
			w.problem(n, path, fmt.Errorf("%s has no value: it takes %s", lastWord(path), s.what))
		}
	case n.kind == list && s.list != nil:
		return w.items(n, s, path)
	case n.kind == mapping && s.keys != nil:
		return w.table(n, s.keys, path)
	case n.kind == mapping && s.dict != nil:
		return w.names(n, s.dict, path)
	case n.kind != list && n.kind != mapping && s.scalar != nil:
		if s.list != nil {
			w.at[path+"[0]"] = n
		}
		w.plain(n, s, path)
	default:
		w.problem(n, path, fmt.Errorf("%s takes %s, and this is %s", lastWord(path), s.what, n.kind))
	}
	return !n.bad
}

func (w *walker) items(n *node, s *shape, path string) bool {
	if len(n.items) == 0 && !s.empty {
		w.problem(n, path, fmt.Errorf("%s is an empty list: leave it out, or say what it holds", lastWord(path)))
	}
	for i, item := range n.items {
		if !w.walk(item, s.list, fmt.Sprintf("%s[%d]", path, i)) {
			n.bad = true
		}
	}
	return !n.bad
}

func (w *walker) plain(n *node, s *shape, path string) {
	c := s.scalar
	switch {
	case c.secret && n.kind != nothing && !n.referring():
		w.problem(n, path, errors.New("a secret never stands in the file itself: write ${env:NAME} or ${file:/path}"))
	case !n.referring() && !slices.Contains(c.kinds, n.kind):
		if n.kind == text {
			w.problem(n, path, fmt.Errorf("%s takes %s", lastWord(path), s.what))
			return
		}
		w.problem(n, path, fmt.Errorf("%s takes %s, and this is %s%s", lastWord(path), s.what, n.kind, quotesHelp(c)))
	case c.words != nil && !slices.Contains(c.words, n.text) && !c.open:
		w.unknown(n, path, fmt.Sprintf("%s takes %s", lastWord(path), s.what), n.text, c.words)
	case n.referring() && n.kind == text && slices.Equal(c.kinds, []kind{boolean}) && n.text != "true" && n.text != "false":
		w.problem(n, path, fmt.Errorf("%s takes %s", lastWord(path), s.what))
	default:
		if err := c.judge(n); err != nil {
			w.problem(n, path, err)
		}
	}
}

// judge runs the facet's own checks.
func (c *scalar) judge(n *node) error {
	if c.written != nil {
		if err := c.written(n.raw); err != nil {
			return err
		}
	}
	if c.check != nil {
		if err := c.check(n.text); err != nil {
			return err
		}
	}
	if n.whole() < c.least {
		return fmt.Errorf("the number is at least %d", c.least)
	}
	return nil
}

func quotesHelp(c *scalar) string {
	if slices.Contains(c.kinds, text) && c.check == nil && c.words == nil {
		return ": put it in quotes if it is meant as text"
	}
	return ""
}

func (w *walker) table(n *node, keys []key, path string) bool {
	for _, e := range n.entries {
		k := keyNamed(keys, e.key.text)
		if k == nil {
			names := make([]string, len(keys))
			for i := range keys {
				names[i] = keys[i].name
			}
			message := fmt.Sprintf("unknown key %q", e.key.text)
			if Nearest(e.key.text, names) == "" {
				message += belongs(e.key.text, path)
			}
			w.unknown(e.key, join(path, e.key.text), message, e.key.text, names)
			if guess := Nearest(e.key.text, names); guess != "" && n.get(guess) == nil {
				// What is missing because of the slip is not reported as well.
				w.at[join(path, guess)] = e.key
			}
			continue
		}
		below := join(path, k.name)
		w.sources[below] = e.key.at.String()
		if e.value.kind == list || e.value.kind == mapping {
			w.at[below] = e.key
		}
		if !w.walk(e.value, k.shape, below) {
			e.key.bad = true
		}
		w.features(e, k, below)
	}
	for _, k := range keys {
		below := join(path, k.name)
		if k.required && n.get(k.name) == nil && w.at[below] == nil {
			w.missing(n, path, k)
		}
	}
	return true
}

// belongs says where else in the grammar a key stands, when that is one place of the
// same section, or else one of the file.
func belongs(name, path string) string {
	places := placesOf(name, "", root)
	section, _, _ := strings.Cut(path, ".")
	near := slices.DeleteFunc(slices.Clone(places), func(p string) bool { return path == "" || !strings.HasPrefix(p, section+".") })
	switch {
	case len(near) == 1:
		return ": it belongs to " + near[0]
	case len(near) == 0 && len(places) == 1 && places[0] != "":
		return ": it belongs to " + places[0]
	case len(near) == 0 && slices.Contains(places, ""):
		return ": it stands at the top of the file"
	}
	return ""
}

// placesOf returns the groups of the grammar that have the key, as dotted paths.
func placesOf(name, path string, s *shape) (out []string) {
	if s == nil {
		return nil
	}
	for _, k := range s.keys {
		if k.name == name {
			out = append(out, path)
		}
		out = append(out, placesOf(name, join(path, k.name), k.shape)...)
	}
	if s.dict != nil {
		out = append(out, placesOf(name, join(path, "NAME"), s.dict.value)...)
	}
	return append(out, placesOf(name, path, s.list)...)
}

// features refuses what is valid and not served yet.
func (w *walker) features(e entry, k *key, path string) {
	if spec.Unbuilt(k.unbuilt) && !e.value.bad && (e.value.kind != nothing || !e.value.referring()) {
		w.problem(e.key, path, spec.ErrUnbuilt{Feature: k.unbuilt})
		e.value.bad = e.key.bad
	}
}

// missing reports a required key at the name of the group that lacks it.
func (w *walker) missing(n *node, path string, k key) {
	at := w.at[path]
	if at == nil {
		at = n
	}
	what := lastWord(path)
	w.problems = append(w.problems, Problem{
		Position: at.at, Width: at.width, Path: join(path, k.name),
		Message: fmt.Sprintf("%s lacks the key %q: %s", what, k.name, k.shape.what),
	})
	w.at[join(path, k.name)] = &node{at: at.at, width: at.width, bad: true}
}

func (w *walker) names(n *node, d *dict, path string) bool {
	for _, e := range n.entries {
		name := normalName(e.key.text)
		below := join(path, name)
		if other, ok := w.at[below]; ok {
			w.problem(e.key, below, fmt.Errorf("%q is here already, at %s", name, other.at))
			e.value.bad = true
			continue
		}
		w.at[below] = e.key
		w.sources[below] = e.key.at.String()
		if err := d.name(name); err != nil {
			w.problem(e.key, below, err)
			e.value.bad = true
			continue
		}
		if !w.walk(e.value, d.value, below) {
			e.key.bad = true
		}
	}
	return true
}

func keyNamed(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// normalName is a name with its runs of spaces made one: "GET  /x" is "GET /x",
// and the method ANY is "*".
func normalName(name string) string {
	fields := strings.Fields(name)
	if len(fields) == 2 && fields[0] == "ANY" {
		fields[0] = "*"
	}
	if len(fields) < 2 {
		return name
	}
	return strings.Join(fields, " ")
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// lastWord returns the part of a dotted path that people recognize.
func lastWord(path string) string {
	if path == "" {
		return "the file"
	}
	if i := strings.Index(path, ".routes."); i >= 0 {
		route := path[i+len(".routes."):]
		if _, below, ok := strings.Cut(route, " "); ok {
			if j := strings.LastIndex(below, "."); j >= 0 && !strings.Contains(below[j:], "/") {
				return trimIndex(below[j+1:])
			}
		}
		return trimIndex(route)
	}
	return trimIndex(path[strings.LastIndex(path, ".")+1:])
}

func trimIndex(s string) string {
	if i := strings.IndexByte(s, '['); i > 0 {
		return s[:i]
	}
	return s
}

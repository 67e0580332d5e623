package okta

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// The filter and search languages of Okta's listings are one: comparisons of
// attributes (SCIM, RFC 7644 section 3.4.2.2: eq ne sw co ew gt ge lt le pr) with
// and, or, not and parentheses. Text is compared whatever its case.

// reasonSearch is the reason of a fault about a filter.
const reasonSearch = "invalid_search"

// Bounds of a filter.
const (
	maxFilter      = 4096 // bytes
	maxFilterDepth = 20
	maxComparisons = 100
)

// filter is a parsed filter: a comparison, or some of them joined.
type filter struct {
	op    string // a comparison, or "and", "or", "not"
	path  string // of a comparison: the attribute as it was written
	value any    // of a comparison: string, float64, bool or nil
	parts []*filter
}

// parseFilter returns the filter, nil for an empty text, or a fault that says
// where it is wrong.
func parseFilter(text string) (*filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	p := &filterParser{text: text}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return nil, p.wrong("is longer than 4096 bytes or is not text")
	}
	p.next()
	f, err := p.or(0)
	if err == nil && p.kind != tokenEnd {
		err = p.wrong("expected and, or, or the end")
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// conditions returns the comparisons with eq and sw that hold whenever the filter
// does.
func (f *filter) conditions() []*filter {
	switch {
	case f == nil:
	case f.op == "eq" || f.op == "sw":
		return []*filter{f}
	case f.op == "and":
		var out []*filter
		for _, p := range f.parts {
			out = append(out, p.conditions()...)
		}
		return out
	}
	return nil
}

// match reports whether the filter holds. Get returns the value of an attribute:
// a text, number, boolean, time, list of these, or nil.
func (f *filter) match(get func(path string) any) bool {
	switch {
	case f == nil:
		return true
	case f.op == "and":
		for _, p := range f.parts {
			if !p.match(get) {
				return false
			}
		}
		return true
	case f.op == "or":
		for _, p := range f.parts {
			if p.match(get) {
				return true
			}
		}
		return false
	case f.op == "not":
		return !f.parts[0].match(get)
	}
	v := get(f.path)
	if list, ok := v.([]any); ok {
		if f.op == "pr" {
			return len(list) > 0
		}
		for _, e := range list {
			if compare(f.op, e, f.value) {
				return true
			}
		}
		return false
	}
	return compare(f.op, v, f.value)
}

// foreign returns an attribute that the filter names and that is not known, if there
// is one.
func (f *filter) foreign(known func(path string) bool) (path string, found bool) {
	if f == nil {
		return "", false
	}
	for _, p := range f.parts {
		if path, found := p.foreign(known); found {
			return path, true
		}
	}
	return f.path, len(f.parts) == 0 && !known(f.path)
}

// compare reports whether a value of an object stands to the filter's as op says.
func compare(op string, have, want any) bool {
	if op == "pr" {
		return have != nil && have != ""
	}
	if op == "ne" {
		return !compare("eq", have, want)
	}
	if have == nil || want == nil {
		return op == "eq" && have == nil && want == nil
	}
	switch have := have.(type) {
	case time.Time:
		s, _ := want.(string)
		t, err := time.Parse(time.RFC3339, s)
		// What is compared was shown in milliseconds.
		return err == nil && ordered(op, have.Truncate(time.Millisecond).Compare(t))
	case string:
		s, text := want.(string)
		return text && compareText(op, strings.ToLower(have), strings.ToLower(s))
	case bool:
		b, isBool := want.(bool)
		return isBool && op == "eq" && have == b
	}
	a, isNumber := number(have)
	b, wantNumber := number(want)
	if !isNumber || !wantNumber {
		return false
	}
	switch {
	case a < b:
		return ordered(op, -1)
	case a > b:
		return ordered(op, 1)
	}
	return ordered(op, 0)
}

func compareText(op, have, want string) bool {
	switch op {
	case "sw":
		return strings.HasPrefix(have, want)
	case "ew":
		return strings.HasSuffix(have, want)
	case "co":
		return strings.Contains(have, want)
	}
	return ordered(op, strings.Compare(have, want))
}

func ordered(op string, c int) bool {
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

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case interface{ Float64() (float64, error) }:
		n, err := v.Float64()
		return n, err == nil
	}
	return 0, false
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenText
	tokenOpen
	tokenClose
	tokenBad
)

type filterParser struct {
	text  string
	at    int // behind the token
	begin int // of the token
	kind  tokenKind
	word  string // of a word or a text
	count int
}

func (p *filterParser) wrong(what string) error {
	return fault.New(fault.Invalid, "the filter is wrong at character %d: %s", utf8.RuneCountInString(p.text[:min(p.begin, len(p.text))])+1, what).WithReason(reasonSearch)
}

// next reads one token.
func (p *filterParser) next() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.begin, p.word = p.at, ""
	if p.at == len(p.text) {
		p.kind = tokenEnd
		return
	}
	switch p.text[p.at] {
	case '(':
		p.kind = tokenOpen
		p.at++
	case ')':
		p.kind = tokenClose
		p.at++
	case '"':
		p.quoted()
	default:
		end := strings.IndexAny(p.text[p.at:], " \t\r\n()\"")
		if end < 0 {
			end = len(p.text) - p.at
		}
		p.kind, p.word = tokenWord, p.text[p.at:p.at+end]
		p.at += end
	}
}

// quoted reads a text: a backslash makes the next quote or backslash part of it.
func (p *filterParser) quoted() {
	var b strings.Builder
	for i := p.at + 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			p.kind, p.word, p.at = tokenText, b.String(), i+1
			return
		case c == '\\' && i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\'):
			i++
			b.WriteByte(p.text[i])
		default:
			b.WriteByte(c)
		}
	}
	p.kind, p.at = tokenBad, len(p.text)
}

func (p *filterParser) or(depth int) (*filter, error) { return p.joined("or", depth, p.and) }

func (p *filterParser) and(depth int) (*filter, error) { return p.joined("and", depth, p.unary) }

// joined reads what the word joins.
func (p *filterParser) joined(word string, depth int, part func(int) (*filter, error)) (*filter, error) {
	first, err := part(depth)
	if err != nil {
		return nil, err
	}
	all := &filter{op: word, parts: []*filter{first}}
	for p.kind == tokenWord && strings.EqualFold(p.word, word) {
		p.next()
		f, err := part(depth)
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, f)
	}
	if len(all.parts) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *filterParser) unary(depth int) (*filter, error) {
	if depth > maxFilterDepth {
		return nil, p.wrong("is nested too deeply")
	}
	if p.kind == tokenWord && strings.EqualFold(p.word, "not") {
		p.next()
		if p.kind != tokenOpen {
			return nil, p.wrong("expected ( behind not")
		}
		f, err := p.unary(depth + 1)
		if err != nil {
			return nil, err
		}
		return &filter{op: "not", parts: []*filter{f}}, nil
	}
	if p.kind != tokenOpen {
		return p.comparison()
	}
	p.next()
	f, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.kind != tokenClose {
		return nil, p.wrong("expected )")
	}
	p.next()
	return f, nil
}

func (p *filterParser) comparison() (*filter, error) {
	if p.kind != tokenWord || !attributePath(p.word) {
		return nil, p.wrong("expected the name of an attribute")
	}
	if p.count++; p.count > maxComparisons {
		return nil, p.wrong("has more than 100 comparisons")
	}
	f := &filter{path: p.word}
	p.next()
	f.op = strings.ToLower(p.word)
	if p.kind != tokenWord || !comparison(f.op) {
		return nil, p.wrong("expected eq, ne, sw, ew, co, gt, ge, lt, le or pr")
	}
	p.next()
	if f.op == "pr" {
		return f, nil
	}
	switch p.kind {
	case tokenText:
		f.value = p.word
	case tokenWord:
		v, ok := bare(p.word)
		if !ok {
			return nil, p.wrong("expected a text in double quotes, a number, true, false or null")
		}
		f.value = v
	case tokenEnd, tokenOpen, tokenClose, tokenBad:
		return nil, p.wrong("expected a value; a text stands in double quotes")
	}
	p.next()
	return f, nil
}

func comparison(op string) bool {
	switch op {
	case "eq", "ne", "sw", "ew", "co", "gt", "ge", "lt", "le", "pr":
		return true
	}
	return false
}

// bare returns the value that a word without quotes stands for.
func bare(word string) (any, bool) {
	switch strings.ToLower(word) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	}
	if c := word[0]; c != '-' && (c < '0' || c > '9') {
		return nil, false
	}
	n, err := strconv.ParseFloat(word, 64)
	return n, err == nil
}

// attributePath reports whether the word is a dotted path of names.
func attributePath(word string) bool {
	if word == "" || len(word) > 255 {
		return false
	}
	for i := range len(word) {
		c := word[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		digit := c >= '0' && c <= '9' || c == '-' || c == ':' || c == '.'
		if !letter && (!digit || i == 0) {
			return false
		}
	}
	return word[len(word)-1] != '.'
}

package scim

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/fault"
)

// Filters (RFC 7644 section 3.4.2.2) and the paths of PATCH (section 3.5.2) have one
// grammar: comparisons of attributes, joined by and, or, not and parentheses, and
// conditions in brackets on the elements of a list.

// Bounds of a filter.
const (
	maxFilter      = 4096 // bytes
	maxFilterDepth = 20
	maxComparisons = 100
)

// filter is a parsed filter: a comparison, some of them joined, or a condition on
// elements.
type filter struct {
	op    string    // eq, ne, co, sw, ew, pr, gt, ge, lt, le; and, or, not; or any: an element fulfils inner
	path  string    // of a comparison and of any: the attribute as it was written
	inner *filter   // of any; of a comparison: which elements are looked at
	sub   string    // of a comparison with inner: the sub-attribute of those
	value any       // of a comparison: string, json.Number, bool or nil
	parts []*filter // of and, or, not
}

// parseFilter returns the filter, nil for an empty text, or a fault that says where it
// is wrong.
func parseFilter(text string) (*filter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil //nolint:nilnil // no filter
	}
	p, err := newParser(text, invalidFilter)
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

// path is the target of a PATCH operation.
type path struct {
	attr  string  // as it was written; may begin with a URN
	inner *filter // which elements; nil for all
	sub   string  // sub-attribute of the elements; empty for none
}

// parsePath returns the path of a PATCH operation.
func parsePath(text string) (path, error) {
	p, err := newParser(text, invalidPath)
	if err != nil {
		return path{}, err
	}
	if p.kind != tokenWord || !attributePath(p.word) {
		return path{}, p.wrong("expected the name of an attribute")
	}
	out := path{attr: p.word}
	p.next()
	if p.kind == tokenOpenList {
		if out.inner, out.sub, err = p.elements(0); err != nil {
			return path{}, err
		}
	}
	if p.kind != tokenEnd {
		return path{}, p.wrong("expected the end")
	}
	return out, nil
}

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenText
	tokenOpen
	tokenClose
	tokenOpenList
	tokenCloseList
	tokenBad
)

type parser struct {
	text     string
	scimType string // of what is wrong
	at       int    // behind the token
	begin    int    // of the token
	kind     tokenKind
	word     string // of a word or a text
	count    int
}

func newParser(text, scimType string) (*parser, error) {
	p := &parser{text: text, scimType: scimType}
	if len(text) > maxFilter || !utf8.ValidString(text) {
		return nil, p.wrong("it is longer than 4096 bytes or is not text")
	}
	p.next()
	return p, nil
}

func (p *parser) wrong(what string) error {
	return fault.New(fault.Invalid, "wrong at character %d: %s", utf8.RuneCountInString(p.text[:min(p.begin, len(p.text))])+1, what).WithReason(p.scimType)
}

// next reads one token.
func (p *parser) next() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	p.begin, p.word = p.at, ""
	if p.at == len(p.text) {
		p.kind = tokenEnd
		return
	}
	single := map[byte]tokenKind{'(': tokenOpen, ')': tokenClose, '[': tokenOpenList, ']': tokenCloseList}
	switch b := p.text[p.at]; {
	case single[b] != tokenEnd:
		p.kind = single[b]
		p.at++
	case b == '"':
		p.quoted()
	default:
		end := strings.IndexAny(p.text[p.at:], " \t\r\n()[]\"")
		if end < 0 {
			end = len(p.text) - p.at
		}
		p.kind, p.word = tokenWord, p.text[p.at:p.at+end]
		p.at += end
	}
}

// quoted reads a text, which is written as in JSON.
func (p *parser) quoted() {
	for i := p.at + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '"':
			p.kind = tokenText
			if json.Unmarshal([]byte(p.text[p.at:i+1]), &p.word) != nil {
				p.kind = tokenBad
			}
			p.at = i + 1
			return
		}
	}
	p.kind, p.at = tokenBad, len(p.text)
}

func (p *parser) or(depth int) (*filter, error) { return p.joined("or", depth, p.and) }

func (p *parser) and(depth int) (*filter, error) { return p.joined("and", depth, p.unary) }

// joined reads what the word joins.
func (p *parser) joined(word string, depth int, part func(int) (*filter, error)) (*filter, error) {
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

func (p *parser) unary(depth int) (*filter, error) {
	if depth > maxFilterDepth {
		return nil, p.wrong("nested too deeply")
	}
	negate := false
	if p.kind == tokenWord && strings.EqualFold(p.word, "not") {
		negate = true
		if p.next(); p.kind != tokenOpen {
			return nil, p.wrong("expected ( behind not")
		}
	}
	if p.kind != tokenOpen {
		return p.comparison(depth)
	}
	p.next()
	f, err := p.or(depth + 1)
	if err != nil {
		return nil, err
	}
	if p.kind != tokenClose {
		return nil, p.wrong("expected )")
	}
	if p.next(); negate {
		return &filter{op: "not", parts: []*filter{f}}, nil
	}
	return f, nil
}

// elements reads a condition in brackets, and a sub-attribute behind it.
func (p *parser) elements(depth int) (inner *filter, sub string, err error) {
	if depth > maxFilterDepth {
		return nil, "", p.wrong("nested too deeply")
	}
	p.next()
	if inner, err = p.or(depth + 1); err != nil {
		return nil, "", err
	}
	if p.kind != tokenCloseList {
		return nil, "", p.wrong("expected ]")
	}
	// A sub-attribute follows without a space: [...].value
	dotted := p.at < len(p.text) && p.text[p.at] == '.'
	if p.next(); !dotted {
		return inner, "", nil
	}
	if sub = strings.TrimPrefix(p.word, "."); p.kind != tokenWord || !attributePath(sub) || strings.ContainsAny(sub, ".:") {
		return nil, "", p.wrong("expected the name of a sub-attribute")
	}
	p.next()
	return inner, sub, nil
}

func (p *parser) comparison(depth int) (*filter, error) {
	if p.kind != tokenWord || !attributePath(p.word) {
		return nil, p.wrong("expected the name of an attribute")
	}
	if p.count++; p.count > maxComparisons {
		return nil, p.wrong("more than 100 comparisons")
	}
	f := &filter{path: p.word}
	if p.next(); p.kind == tokenOpenList {
		var err error
		if f.inner, f.sub, err = p.elements(depth); err != nil {
			return nil, err
		}
		if f.sub == "" {
			f.op = "any"
			return f, nil
		}
	}
	f.op = strings.ToLower(p.word)
	if p.kind != tokenWord || !comparison(f.op) {
		return nil, p.wrong("expected eq, ne, co, sw, ew, pr, gt, ge, lt or le")
	}
	if p.next(); f.op == "pr" {
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
	case tokenEnd, tokenOpen, tokenClose, tokenOpenList, tokenCloseList, tokenBad:
		return nil, p.wrong("expected a value; a text stands in double quotes")
	}
	p.next()
	return f, nil
}

func comparison(op string) bool {
	switch op {
	case "eq", "ne", "co", "sw", "ew", "pr", "gt", "ge", "lt", "le":
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
	var n json.Number
	if c := word[0]; c != '-' && (c < '0' || c > '9') || json.Unmarshal([]byte(word), &n) != nil {
		return nil, false
	}
	return n, true
}

// attributePath reports whether the word is a name, a dotted one, or one behind a URN.
func attributePath(word string) bool {
	if word == "" || len(word) > 255 {
		return false
	}
	for i := range len(word) {
		c := word[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '$'
		if !letter && (i == 0 || (c < '0' || c > '9') && strings.IndexByte("-_:.$", c) < 0) {
			return false
		}
	}
	return true
}

package scimfilter

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

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
	Grammar
	text  string
	at    int // behind the token
	begin int // of the token
	kind  tokenKind
	word  string // of a word or a text
	count int
}

func (p *parser) wrong(what string) error {
	return &Error{At: utf8.RuneCountInString(p.text[:min(p.begin, len(p.text))]) + 1, Says: what}
}

// single returns the kind of a token that is one character.
func single(b byte) tokenKind {
	switch b {
	case '(':
		return tokenOpen
	case ')':
		return tokenClose
	case '[':
		return tokenOpenList
	case ']':
		return tokenCloseList
	}
	return tokenEnd
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
	switch b := p.text[p.at]; {
	case single(b) != tokenEnd:
		p.kind = single(b)
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

// quoted reads a text.
func (p *parser) quoted() {
	begin := p.at
	for i := begin + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			if !p.Loose || i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\') {
				i++
			}
		case '"':
			p.at = i + 1
			p.kind, p.word = p.unquoted(p.text[begin:p.at])
			return
		}
	}
	p.kind, p.at = tokenBad, len(p.text)
}

// unquoted returns what a text between its quotes stands for.
func (p *parser) unquoted(quoted string) (tokenKind, string) {
	if p.Loose {
		return tokenText, strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(quoted[1 : len(quoted)-1])
	}
	var text string
	if json.Unmarshal([]byte(quoted), &text) != nil {
		return tokenBad, ""
	}
	return tokenText, text
}

func (p *parser) or(depth int) (*Filter, error) { return p.joined("or", depth, p.and) }

func (p *parser) and(depth int) (*Filter, error) { return p.joined("and", depth, p.unary) }

// joined reads what the word joins.
func (p *parser) joined(word string, depth int, part func(int) (*Filter, error)) (*Filter, error) {
	first, err := part(depth)
	if err != nil {
		return nil, err
	}
	all := &Filter{Op: word, Parts: []*Filter{first}}
	for p.kind == tokenWord && strings.EqualFold(p.word, word) {
		p.next()
		f, err := part(depth)
		if err != nil {
			return nil, err
		}
		all.Parts = append(all.Parts, f)
	}
	if len(all.Parts) == 1 {
		return first, nil
	}
	return all, nil
}

func (p *parser) unary(depth int) (*Filter, error) {
	if depth > maxDepth {
		return nil, p.wrong("it is nested too deeply")
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
		return &Filter{Op: "not", Parts: []*Filter{f}}, nil
	}
	return f, nil
}

// elements reads a condition in brackets, and a sub-attribute behind it.
func (p *parser) elements(depth int) (inner *Filter, sub string, err error) {
	if depth > maxDepth {
		return nil, "", p.wrong("it is nested too deeply")
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
	if sub = strings.TrimPrefix(p.word, "."); p.kind != tokenWord || !p.Attribute(sub) || strings.ContainsAny(sub, ".:") {
		return nil, "", p.wrong("expected the name of a sub-attribute")
	}
	p.next()
	return inner, sub, nil
}

func (p *parser) comparison(depth int) (*Filter, error) {
	if p.kind != tokenWord || !p.Attribute(p.word) {
		return nil, p.wrong("expected the name of an attribute")
	}
	if p.count++; p.count > maxComparisons {
		return nil, p.wrong("it has more than 100 comparisons")
	}
	f := &Filter{Path: p.word}
	if p.next(); p.kind == tokenOpenList && p.Elements {
		var err error
		if f.Inner, f.Sub, err = p.elements(depth); err != nil {
			return nil, err
		}
		if f.Sub == "" {
			f.Op = "any"
			return f, nil
		}
	}
	f.Op = strings.ToLower(p.word)
	if p.kind != tokenWord || !comparison(f.Op) {
		return nil, p.wrong("expected eq, ne, co, sw, ew, pr, gt, ge, lt or le")
	}
	if p.next(); f.Op == "pr" {
		return f, nil
	}
	switch p.kind {
	case tokenText:
		f.Value = p.word
	case tokenWord:
		v, ok := bare(p.word)
		if !ok {
			return nil, p.wrong("expected a text in double quotes, a number, true, false or null")
		}
		f.Value = v
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
